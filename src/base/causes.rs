//! An error with what caused it, as one line.

use std::error::Error;

/// An error's text followed by the texts of its causes: `can't listen on 127.0.0.1:80: permission denied`.
///
/// An error of this crate either says what its cause says or returns it from `source()`, never both, so
/// whatever shows an error to a user goes through here.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
