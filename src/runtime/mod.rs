//! The embedded runtime: sessions, their rules and policies, and what answers an outbound call.
//!
//! [`EmbeddedRuntime`] lives in this process; [`ControlServer`] puts its control API on a socket.

mod routes;
mod server;
mod state;

pub use server::ControlServer;
pub use state::EmbeddedRuntime;

use std::sync::Arc;

use crate::http::Request;
use crate::rule::{Answer, Nearest};
use crate::session::Softprobe;

impl Softprobe {
    /// A runtime inside this process: no server, no token.
    ///
    /// The [proxy](crate::Proxy) ties an application's outbound calls to it.
    pub fn embedded(runtime: &EmbeddedRuntime) -> Self {
        Self::with_runtime(Arc::new(runtime.clone()))
    }
}

/// What a proxy asks of a runtime.
pub(crate) trait Oracle: std::fmt::Debug + Send + Sync {
    /// The ids of the open sessions, in the order they were started.
    fn open_sessions(&self) -> Vec<String>;

    /// The session that a trace id was issued to, open or not.
    fn session_of_trace(&self, trace_id: &str) -> Option<String>;

    /// What answers an outbound call of a session; `None` when the session is not open.
    ///
    /// It may block; the decision is recorded in the session's stats.
    fn decide(&self, session: &str, request: &Request) -> Option<Verdict>;

    /// Takes note of a call that fits no session, in every session that is open, and says whether it
    /// may pass: where one of them is not strict and would let it.
    fn note_uncorrelated(&self, request: &Request, reason: &str) -> bool;
}

/// What a call gets, and who decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What it gets.
    pub answer: Answer,
    /// The rule that answered, where one did.
    pub rule: Option<String>,
    /// For a miss: the rule that came closest.
    pub nearest: Option<Nearest>,
}
