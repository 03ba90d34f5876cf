//! The port between a proxy and the runtime it asks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "runner")]
use super::late::LateCall;
use super::ruling::Ruling;
use crate::base::http::{Host, Request};
use crate::case::Recording;
use crate::error::SoftprobeError;

/// What records the answers of a session that are still arriving; as long as its proxy lives.
pub(crate) type CutOff = std::sync::Weak<dyn Fn(&str) + Send + Sync>;

/// What a proxy asks a runtime, in this process or elsewhere. No method waits without a time limit.
pub(crate) trait Oracle: fmt::Debug + Send + Sync {
    /// Returns whether its methods may wait for a network, so that they must not be called on a server's own
    /// threads.
    fn blocks(&self) -> bool;

    /// Returns the URL of a runtime elsewhere.
    fn url(&self) -> Option<String> {
        None
    }

    /// Returns the ids of the open sessions, in the order they were started.
    fn open_sessions(&self) -> Result<Vec<String>, SoftprobeError>;

    /// Ties a trace id to a session, so that calls of that trace belong to the session.
    fn issue_trace(&self, trace_id: &str, session: &str);

    /// Returns the session to which this process tied the trace id, whether or not it is still open.
    fn session_of_trace(&self, trace_id: &str) -> Option<String>;

    /// Decides how a session's call is answered, and records the ruling in the session's stats; returns
    /// `None` if the session is not open.
    fn decide(
        &self,
        session: &str,
        request: &Arc<Request>,
    ) -> Result<Option<Ruling>, SoftprobeError>;

    /// Decides about a call of a session that was closed through this oracle, and keeps it as a late one; returns
    /// `None` if no such session is known.
    fn decide_late(&self, _session: &str, _request: &Request) -> Option<Ruling> {
        None
    }

    /// Returns the late calls since the last time this was called.
    #[cfg(feature = "runner")]
    fn take_late(&self) -> Vec<LateCall> {
        Vec::new()
    }

    /// Returns whether a policy of an open session lists this host as ambient and, if so, whether every one of them
    /// lets such a call pass.
    fn ambient_host(&self, _host: &Host<'_>) -> Option<bool> {
        None
    }

    /// Returns whether every open session's policy lets calls to this host pass, without counting one.
    fn lets_pass(&self, _host: &Host<'_>) -> bool {
        false
    }

    /// Returns whether a rule of the session is about a call.
    fn expects(&self, _session: &str, _request: &Request) -> bool {
        false
    }

    /// Notes how long it took until a listed call of a session that was forwarded had its answer.
    fn note_took(&self, _session: &str, _call: usize, _took: Duration) {}

    /// Lists a call of a session that was forwarded and got no answer, which fails nobody.
    fn note_failed(&self, _session: &str, _request: &Request, _why: &str) {}

    /// Notes that a session's call which passed is not in its capture.
    fn note_unrecorded(&self, session: &str, request: &Request, why: &str) {
        log::warn!("{request}: {why}; the capture of session {session} lacks it");
    }

    /// Lists a call that is no concern of any session.
    fn note_ambient(&self, _request: &Request, _reason: &str) {}

    /// Returns the session that records the calls which belong to none that is open; `None` unless whatever the application
    /// does is recorded.
    fn owner_of_others(&self) -> Option<String> {
        None
    }

    /// Calls `cut_off` with a session before its capture is taken: it hands over what is still arriving.
    fn before_capture(&self, _cut_off: CutOff) {}

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
