//! The runtime's bearer token.

use std::fmt;

/// A bearer token that is never displayed, not even in debug output.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    /// Creates a token from the trimmed text; returns `None` if nothing is left.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Returns the token itself.
    #[cfg(feature = "embedded")]
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }

    /// Returns the value of the `Authorization` header.
    pub(crate) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[masked]")
    }
}
