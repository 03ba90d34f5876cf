//! What a case was read from.

use std::sync::OnceLock;

use serde_json::Value;

/// A document: as its text until somebody wants to walk it, or as it was given.
#[derive(Debug)]
pub(super) struct Source {
    text: String,
    document: OnceLock<Value>,
}

impl Source {
    /// A text that is known to be JSON.
    pub(super) fn of_text(text: String) -> Self {
        Self {
            text,
            document: OnceLock::new(),
        }
    }

    /// A document that is at hand.
    pub(super) fn of_document(document: Value) -> Self {
        Self {
            text: String::new(),
            document: document.into(),
        }
    }

    /// The document.
    pub(super) fn document(&self) -> &Value {
        let parse = || serde_json::from_str(&self.text).unwrap_or_default();
        self.document.get_or_init(parse)
    }

    /// The text, where it was read from one.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.document() == other.document()
    }
}
