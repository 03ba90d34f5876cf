//! The document that a case was read from.

use std::sync::OnceLock;

use serde_json::Value;

/// A document that was given as a value, or as text that is not parsed until the value is needed.
pub(super) struct Source {
    text: String,
    document: OnceLock<Value>,
}

impl Source {
    /// Creates a source from text that is known to be JSON.
    pub(super) fn of_text(text: String) -> Self {
        Self {
            text,
            document: OnceLock::new(),
        }
    }

    /// Creates a source from a parsed document.
    pub(super) fn of_document(document: Value) -> Self {
        Self {
            text: String::new(),
            document: document.into(),
        }
    }

    /// Returns the document, which is parsed on the first call.
    pub(super) fn document(&self) -> &Value {
        let parse = || serde_json::from_str(&self.text).unwrap_or_default();
        self.document.get_or_init(parse)
    }

    /// Returns the text; empty if the source was given as a parsed document.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.document() == other.document()
    }
}
