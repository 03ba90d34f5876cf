//! Why a runtime refuses a call.

#[cfg(feature = "embedded")]
use serde_json::{Value, json};

use crate::error::RuntimeError;
#[cfg(feature = "embedded")]
use crate::error::UNKNOWN_SESSION;

/// Why a runtime refuses a call: `{"error": {"code", "message"}}` with a status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ControlError {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The code of the contract's table: `unknown_session`.
    pub(crate) code: &'static str,
    /// What is wrong and where, for people.
    pub(crate) message: String,
}

impl ControlError {
    /// 400 `invalid_request`
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request", message)
    }

    /// An error of that status and code.
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    /// The refusal as its caller is told of it; `url` says what was called.
    pub(crate) fn at(self, url: String) -> RuntimeError {
        let Self {
            status,
            code,
            message,
        } = self;
        RuntimeError::new(status, Some(code.to_owned()), message, url)
    }
}

/// What only a runtime says.
#[cfg(feature = "embedded")]
impl ControlError {
    /// 404 `unknown_session`
    pub(crate) fn unknown_session(id: &str) -> Self {
        Self::new(
            404,
            UNKNOWN_SESSION,
            format!("no session `{id}` is open; it was closed, or never started here"),
        )
    }

    /// The body that goes out with it.
    pub(crate) fn to_value(&self) -> Value {
        json!({"error": {"code": self.code, "message": self.message}})
    }
}
