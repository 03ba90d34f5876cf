//! Reads case files.

use std::path::Path;

use crate::case::{Case, CaseLoadError};

impl Case {
    /// Reads a case file.
    ///
    /// # Errors
    ///
    /// [`CaseLoadError`] when the file can't be read or is not a case; it names the file, the place in it and
    /// the fault.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, CaseLoadError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|e| CaseLoadError::io(path, e))?;
        Self::from_text(text).map_err(|e| CaseLoadError::content(path, e))
    }
}
