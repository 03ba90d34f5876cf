//! What a request gets.

use std::sync::Arc;
use std::time::Duration;

use crate::base::http::Response;

/// What a request gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// This response, after the delay.
    Mock {
        /// The response.
        response: Arc<Response>,
        /// How long the answer waits.
        latency: Duration,
    },
    /// This error response.
    Error(Arc<Response>),
    /// What its own target answers.
    Forward,
    /// A strict miss.
    Miss,
}

impl Answer {
    /// Its name in stats: `mock`, `error`, `forwarded` or `missed`.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Mock { .. } => "mock",
            Self::Error(_) => "error",
            Self::Forward => "forwarded",
            Self::Miss => "missed",
        }
    }
}
