//! The port between a proxy and the runtime that it asks.

use std::fmt;

use crate::base::http::Request;
use crate::case::Recording;
use crate::error::SoftprobeError;
use crate::rule::{Answer, Nearest};

/// What a proxy asks of a runtime, wherever that is. None of it waits without a limit.
pub(crate) trait Oracle: fmt::Debug + Send + Sync {
    /// Whether a question may wait for a network, so that no thread of a server should put it.
    fn blocks(&self) -> bool;

    /// The ids of the open sessions, in the order they were started.
    fn open_sessions(&self) -> Result<Vec<String>, SoftprobeError>;

    /// Ties a trace id to a session, so that calls of that trace are the session's.
    fn issue_trace(&self, trace_id: &str, session: &str);

    /// The session that this process issued a trace id to, open or not.
    fn session_of_trace(&self, trace_id: &str) -> Option<String>;

    /// What a call of a session gets; `None` when the session is not open.
    ///
    /// The ruling is recorded in the session's stats.
    fn decide(&self, session: &str, request: &Request) -> Result<Option<Ruling>, SoftprobeError>;

    /// Takes an exchange of a capture session.
    fn record(&self, recording: &Recording<'_>) -> Result<(), SoftprobeError>;

    /// Takes note of a call that fits no session, in every session that is open, and says whether it
    /// may pass: where one of them is not strict and would let it.
    fn note_uncorrelated(&self, request: &Request, reason: &str) -> Result<bool, SoftprobeError>;
}

/// What a call gets, and who decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ruling {
    /// What it gets.
    pub answer: Answer,
    /// The rule that answered, where one did and the runtime says which.
    pub rule: Option<String>,
    /// For a miss: the rule that came closest, where the runtime says which.
    pub nearest: Option<Nearest>,
    /// Whether the session wants the exchange recorded.
    pub records: bool,
}
