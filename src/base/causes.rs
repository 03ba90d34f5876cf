//! Formats an error and its causes as one line.

use std::error::Error;

/// Returns an error's text followed by the texts of its causes:
/// `can't listen on 127.0.0.1:80: permission denied`.
///
/// An error of this crate either includes the text of its cause or returns the cause from `source()`,
/// never both, so all code that shows an error to a user must use this function.
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
