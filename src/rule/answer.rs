//! The answer to a request.

use std::sync::Arc;
use std::time::Duration;

use crate::base::http::{Failure, Response};

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A mock's response, after a delay.
    Mock {
        /// The response.
        response: Arc<Response>,
        /// How long the answer is delayed.
        latency: Duration,
    },
    /// An error response.
    Error(Arc<Response>),
    /// The exchange breaks; the response is the one whose body breaks off, if that is how.
    Fault(Failure, Arc<Response>),
    /// No answer here: the request is forwarded to its target.
    Forward,
    /// A strict miss.
    Miss,
}

impl Answer {
    /// Returns its name in logs and metrics: `mock`, `error`, `fault`, `forwarded` or `missed`.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Mock { .. } => "mock",
            Self::Error(_) => "error",
            Self::Fault(..) => "fault",
            Self::Forward => "forwarded",
            Self::Miss => "missed",
        }
    }
}
