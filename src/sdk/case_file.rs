//! Case files, read.

use std::path::Path;

use crate::case::Case;
use crate::error::CaseLoadError;

/// Reads a case file.
///
/// # Errors
///
/// [`CaseLoadError`] names the file and the place in it.
pub fn read_case(path: &Path) -> Result<Case, CaseLoadError> {
    let text = std::fs::read_to_string(path).map_err(|e| CaseLoadError::io(path, e))?;
    Case::from_text(text).map_err(|e| CaseLoadError::content(path, e))
}
