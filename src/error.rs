//! The library's error type, which wraps the more specific errors.

use std::borrow::Cow;
use std::error::Error;

use serde_json::{Value, json};
use thiserror::Error;

use crate::case::{CaseError, CaseLoadError, CaseLookupError};

/// The error code that a runtime sends for a session that is closed or was never open.
pub(crate) const UNKNOWN_SESSION: &str = "unknown_session";

/// Any error of a session, a server or a proxy.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SoftprobeError {
    /// The runtime refused a call.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// No runtime could be reached.
    #[error("no runtime answers at {url}; start one, or correct the URL")]
    #[non_exhaustive]
    Unreachable {
        /// The URL that was called.
        url: String,
        /// Why there is no answer.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The runtime did not answer in time.
    #[error(
        "the runtime gave no answer to {url} in time; find out what delays it, or allow more time (SoftprobeBuilder::timeout)"
    )]
    #[non_exhaustive]
    Timeout {
        /// The URL that was called.
        url: String,
    },
    /// An answer that does not follow the control API.
    #[error("{url} does not speak the control API: {message}; is this a Softprobe runtime?")]
    #[non_exhaustive]
    Protocol {
        /// The URL that was called.
        url: String,
        /// What is wrong with the answer.
        message: String,
    },
    /// A lookup found no exchange, too many, or one without a response.
    #[error(transparent)]
    CaseLookup(#[from] CaseLookupError),
    /// A document is not a case.
    #[error(transparent)]
    Case(#[from] CaseError),
    /// A case file can't be loaded.
    #[error(transparent)]
    CaseLoad(#[from] CaseLoadError),
    /// A lookup in a session into which no case has been loaded.
    #[error("the session has no case to search; call load_case or load_case_from_file first")]
    NoCase,
    /// A value that can't be written as JSON.
    #[error("{what} can't be written as JSON")]
    #[non_exhaustive]
    Serialize {
        /// The value: `the mock's body` or `the auth fixtures`.
        what: &'static str,
        /// The serializer's error.
        source: serde_json::Error,
    },
    /// A server or a proxy would listen where other machines reach it, and nothing keeps them out.
    #[error("{address} can be reached from other machines: {way_out}")]
    #[non_exhaustive]
    Exposed {
        /// The address, host and port.
        address: String,
        /// What to do.
        way_out: &'static str,
    },
    /// There can't be an authority for certificates, for this reason.
    #[error("can't make certificates: {0}")]
    Authority(String),
    /// A server or a proxy can't listen on the address that it was given.
    #[error("can't listen on {address}")]
    #[non_exhaustive]
    Listen {
        /// The address, host and port.
        address: String,
        /// The reason.
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
    /// Returns the HTTP status of the runtime's refusal; `None` for any other error.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Runtime(error) => Some(error.status),
            _ => None,
        }
    }

    /// Returns whether the runtime refused the call because the session is closed or was never open.
    pub fn is_unknown_session(&self) -> bool {
        match self {
            // A 404 without a code can only mean an unknown session.
            Self::Runtime(RuntimeError { status, code, .. }) => {
                *status == 404 && code.as_deref().is_none_or(|code| code == UNKNOWN_SESSION)
            }
            _ => false,
        }
    }
}

/// A runtime's refusal of a call.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the runtime answered {status} at {url}: {message}")]
#[non_exhaustive]
pub struct RuntimeError {
    /// The HTTP status: for example 404 for a session that is closed or unknown, or 400 for an invalid
    /// payload.
    pub status: u16,
    /// The code in `{"error": {"code"}}`, such as `unknown_session`; `None` if the answer has none.
    pub code: Option<String>,
    /// What is wrong, and where.
    pub message: String,
    /// The URL that was called; for a runtime in this process, it starts with `embedded`.
    pub url: String,
    /// The answer's body, if it arrived over HTTP.
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

    /// Returns the answer's body. For a refusal that did not arrive over HTTP, this is
    /// `{"error": {"code", "message"}}`.
    pub fn body(&self) -> Cow<'_, str> {
        match &self.body {
            Some(body) => body.into(),
            None => json!({"error": {"code": self.code, "message": self.message}})
                .to_string()
                .into(),
        }
    }

    /// Reads the refusal from an answer's body: `{"error": {"code", "message"}}`. Any other body is itself
    /// the message, cut after 200 characters.
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
