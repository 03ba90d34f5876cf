//! A runtime's refusal of a call.

#[cfg(feature = "embedded")]
use serde_json::{Value, json};

use crate::error::RuntimeError;
#[cfg(feature = "embedded")]
use crate::error::UNKNOWN_SESSION;

/// A runtime's refusal of a call: `{"error": {"code", "message"}}` with a status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ControlError {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The code, one of those that `openapi.json` lists: `unknown_session`.
    pub(crate) code: &'static str,
    /// What is wrong and where, for display.
    pub(crate) message: String,
}

impl ControlError {
    /// Creates a refusal with status 400 and code `invalid_request`.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request", message)
    }

    /// Creates a refusal with this status and code.
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    /// Converts the refusal to the error that the caller gets; `url` is the URL that was called.
    pub(crate) fn at(self, url: String) -> RuntimeError {
        let Self {
            status,
            code,
            message,
        } = self;
        RuntimeError::new(status, Some(code.to_owned()), message, url)
    }
}

/// What only a runtime needs.
#[cfg(feature = "embedded")]
impl ControlError {
    /// Creates a refusal with status 404 and code `unknown_session`.
    pub(crate) fn unknown_session(id: &str) -> Self {
        Self::new(
            404,
            UNKNOWN_SESSION,
            format!("no session `{id}` is open; it was closed, or never started here"),
        )
    }

    /// Returns the body of the answer.
    pub(crate) fn to_value(&self) -> Value {
        json!({"error": {"code": self.code, "message": self.message}})
    }
}
