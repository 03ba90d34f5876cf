//! The requests that a session's rules have answered.

use std::sync::Arc;

use super::stats::MOST_LISTED;
use crate::base::http::Request;

/// The most bytes of requests that a session keeps.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// A request that a session's rule has answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AnsweredRequest {
    /// The rule's index among the session's rules.
    pub(crate) rule: usize,
    /// The call's index in [`SessionStats::calls`](super::SessionStats::calls).
    pub(crate) call: usize,
    /// The request.
    pub(crate) request: Arc<Request>,
}

/// The requests that a session's rules have answered, in the order they arrived.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct AnsweredRequests {
    /// The requests.
    pub(crate) list: Vec<AnsweredRequest>,
    /// How many more there were than a session keeps.
    pub(crate) dropped: u64,
    bytes: usize,
}

impl AnsweredRequests {
    /// Creates a list from which this many are missing.
    #[cfg(feature = "runner")]
    pub(crate) fn with_dropped(dropped: u64) -> Self {
        Self {
            dropped,
            ..Self::default()
        }
    }

    /// Adds a request, as far as there is room and its call is listed.
    pub(crate) fn add(&mut self, answered: AnsweredRequest) {
        let bytes = self.bytes.saturating_add(answered.request.body.len());
        if bytes > MOST_BYTES || answered.call >= MOST_LISTED {
            self.dropped += 1;
            return;
        }
        self.bytes = bytes;
        self.list.push(answered);
    }
}
