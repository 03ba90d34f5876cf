//! The public error: one enum over the concerns' own errors.

use std::error::Error;
use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;

use crate::case::{CaseError, CaseLookupError};

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
    #[error("no runtime answers at {url}; start one, or correct the URL: {source}")]
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
    #[error("the session has no case to look in; call load_case_from_file or load_case first")]
    NoCase,
    /// A value that can't be written as JSON.
    #[error("the mock's body can't be written as JSON: {0}")]
    Body(#[source] serde_json::Error),
    /// A hook failed.
    #[cfg(feature = "runner")]
    #[error(transparent)]
    Hook(#[from] crate::hook::HookError),
    /// A server or proxy of ours can't listen.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
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
            Self::Runtime(error) => {
                let code = error.code();
                error.status == 404 && code.is_none_or(|code| code == UNKNOWN_SESSION)
            }
            _ => false,
        }
    }
}

/// The runtime refused a call.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the runtime answered {status} at {url}: {}", message_of(body))]
pub struct RuntimeError {
    /// The HTTP status: 404 for a session that is closed or unknown, 400 for a payload that does not
    /// fit.
    pub status: u16,
    /// The answer's body.
    pub body: String,
    /// What was called.
    pub url: String,
}

impl RuntimeError {
    /// The code in `{"error": {"code"}}`: `unknown_session`; `None` where the answer has none.
    pub fn code(&self) -> Option<String> {
        let body: Value = serde_json::from_str(&self.body).ok()?;
        Some(body.pointer("/error/code")?.as_str()?.to_owned())
    }
}

/// The message in `{"error": {"message"}}`, else the body's beginning.
fn message_of(body: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    let message = parsed
        .as_ref()
        .and_then(|v| v.pointer("/error/message")?.as_str());
    match message {
        Some(message) => message.to_owned(),
        None if body.is_empty() => "no message".to_owned(),
        None => body.chars().take(200).collect(),
    }
}

/// A case file that can't be read.
#[derive(Debug, Error)]
#[error("{}: {source}", path.display())]
pub struct CaseLoadError {
    /// The file; `<document>` for a case that was given as a document.
    pub path: PathBuf,
    /// Why not.
    pub source: CaseLoadCause,
}

/// Why a case can't be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaseLoadCause {
    /// The file can't be opened or read.
    #[error("can't be read: {0}")]
    Io(std::io::Error),
    /// Its content is no case.
    #[error(transparent)]
    Content(CaseError),
}

impl CaseLoadError {
    pub(crate) fn io(path: &Path, error: std::io::Error) -> Self {
        Self {
            path: path.to_owned(),
            source: CaseLoadCause::Io(error),
        }
    }

    pub(crate) fn content(path: &Path, error: CaseError) -> Self {
        Self {
            path: path.to_owned(),
            source: CaseLoadCause::Content(error),
        }
    }
}
