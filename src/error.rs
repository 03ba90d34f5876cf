//! The public error: one enum over the concerns' own errors.

use std::borrow::Cow;
use std::error::Error;

use serde_json::{Value, json};
use thiserror::Error;

use crate::case::{CaseLoadError, CaseLookupError};

/// What a runtime calls a session that is closed or was never open.
pub(crate) const UNKNOWN_SESSION: &str = "unknown_session";

/// Anything the library can fail with.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SoftprobeError {
    /// The runtime answered, and refused.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// No runtime answered.
    #[error("no runtime answers at {url}; start one, or correct the URL")]
    Unreachable {
        /// What was called.
        url: String,
        /// Why nothing came back.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A runtime is there, and gave no answer in time.
    #[error(
        "the runtime gave no answer to {url} in time; look what holds it up, or allow more (SoftprobeBuilder::timeout)"
    )]
    Timeout {
        /// What was called.
        url: String,
    },
    /// Something answered that does not speak the control API.
    #[error("{url} does not speak the control API: {message}; is this a Softprobe runtime?")]
    Protocol {
        /// What was called.
        url: String,
        /// What is wrong with the answer.
        message: String,
    },
    /// A lookup did not find exactly one exchange.
    #[error(transparent)]
    CaseLookup(#[from] CaseLookupError),
    /// A case file can't be read.
    #[error(transparent)]
    CaseLoad(#[from] CaseLoadError),
    /// A lookup in a session that has no case.
    #[error("the session has no case to look in; call load_case or load_case_from_file first")]
    NoCase,
    /// A value that can't be written as JSON.
    #[error("{what} can't be written as JSON")]
    Serialize {
        /// What was to be written: `the mock's body`.
        what: &'static str,
        /// What the serializer found.
        source: serde_json::Error,
    },
    /// The address that a server or a proxy was told to listen on can't be had.
    #[error("can't listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
}

#[cfg(feature = "embedded")]
impl From<crate::net::ListenError> for SoftprobeError {
    fn from(error: crate::net::ListenError) -> Self {
        let crate::net::ListenError { address, source } = error;
        Self::Listen { address, source }
    }
}

impl SoftprobeError {
    /// The status a runtime answered with, where one did.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Runtime(error) => Some(error.status),
            _ => None,
        }
    }

    /// Whether the session is closed or was never open there.
    pub fn is_unknown_session(&self) -> bool {
        match self {
            // A runtime that names no code has but one thing that it can mean.
            Self::Runtime(RuntimeError { status, code, .. }) => {
                *status == 404 && code.as_deref().is_none_or(|code| code == UNKNOWN_SESSION)
            }
            _ => false,
        }
    }
}

/// The runtime refused a call.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the runtime answered {status} at {url}: {message}")]
#[non_exhaustive]
pub struct RuntimeError {
    /// The HTTP status: 404 for a session that is closed or unknown, 400 for a payload that does not
    /// fit.
    pub status: u16,
    /// The code in `{"error": {"code"}}`: `unknown_session`; `None` where the answer has none.
    pub code: Option<String>,
    /// What is wrong, and where.
    pub message: String,
    /// What was called.
    pub url: String,
    /// The answer's body, where it came over a wire.
    body: Option<String>,
}

impl RuntimeError {
    pub(crate) fn new(status: u16, code: Option<String>, message: String, url: String) -> Self {
        Self {
            status,
            code,
            message,
            url,
            body: None,
        }
    }

    /// The answer's body: `{"error": {"code", "message"}}` where a runtime has one to say.
    pub fn body(&self) -> Cow<'_, str> {
        match &self.body {
            Some(body) => body.into(),
            None => json!({"error": {"code": self.code, "message": self.message}})
                .to_string()
                .into(),
        }
    }

    /// The refusal in an answer's body: `{"error": {"code", "message"}}`, else the body's beginning.
    pub(crate) fn read(status: u16, body: &[u8], url: String) -> Self {
        let parsed: Option<Value> = serde_json::from_slice(body).ok();
        let text = |pointer: &str| Some(parsed.as_ref()?.pointer(pointer)?.as_str()?.to_owned());
        let message = text("/error/message").unwrap_or_else(|| match body {
            [] => "no message".to_owned(),
            body => String::from_utf8_lossy(body).chars().take(200).collect(),
        });
        Self {
            body: Some(String::from_utf8_lossy(body).into_owned()),
            ..Self::new(status, text("/error/code"), message, url)
        }
    }
}
