//! The port between a proxy and the runtime it asks.

use std::fmt;

use crate::base::http::Request;
use crate::case::Recording;
use crate::error::SoftprobeError;
use crate::rule::{Answer, Nearest};

/// What a proxy asks a runtime, in this process or elsewhere. No method waits without a time limit.
pub(crate) trait Oracle: fmt::Debug + Send + Sync {
    /// Returns whether its methods may wait for a network, so that they must not be called on a server's own
    /// threads.
    fn blocks(&self) -> bool;

    /// Returns the ids of the open sessions, in the order they were started.
    fn open_sessions(&self) -> Result<Vec<String>, SoftprobeError>;

    /// Ties a trace id to a session, so that calls of that trace belong to the session.
    fn issue_trace(&self, trace_id: &str, session: &str);

    /// Returns the session to which this process tied the trace id, whether or not it is still open.
    fn session_of_trace(&self, trace_id: &str) -> Option<String>;

    /// Decides how a session's call is answered, and records the ruling in the session's stats; returns
    /// `None` if the session is not open.
    fn decide(&self, session: &str, request: &Request) -> Result<Option<Ruling>, SoftprobeError>;

    /// Hands an exchange to the capture session that records it.
    fn record(&self, recording: &Recording<'_>) -> Result<(), SoftprobeError>;

    /// Adds a call that belongs to no session to the stats of every open session, and returns whether it may
    /// pass: if every policy lets it and no rule is about it, or else if no session is strict.
    fn note_uncorrelated(&self, request: &Request, reason: &str) -> Result<bool, SoftprobeError>;

    /// Lists a call that the proxy itself refuses, in the session that its headers name if that is open, else
    /// in every open session.
    fn note_refused(
        &self,
        session: Option<&str>,
        request: &Request,
        reason: &str,
    ) -> Result<(), SoftprobeError>;
}

/// The decision about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ruling {
    /// How the call is answered.
    pub answer: Answer,
    /// The rule that decided, if one did and the runtime names it.
    pub rule: Option<String>,
    /// For a miss, the rule that came closest, if the runtime names it.
    pub nearest: Option<Nearest>,
    /// Whether the exchange must be recorded for the session.
    pub records: bool,
}
