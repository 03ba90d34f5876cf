//! The sessions of a runtime, and what each call of the control API does to them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};

use super::change::{Change, Start};
use super::metrics::Metrics;
use super::otlp;
use super::session::{Asked, Session};
use super::{Oracle, Verdict};
use crate::case::ScopedSpan;
use crate::control::{Action, Call, ControlError, Runtime, SCHEMA_VERSION, SPEC_VERSION};
use crate::error::{RuntimeError, SoftprobeError};
use crate::http::{Direction, Request};

const MOST_SESSIONS: usize = 10_000;
const MOST_TRACES: usize = 100_000;

/// A runtime inside this process. Clones share their sessions.
#[derive(Clone)]
pub struct EmbeddedRuntime {
    state: Arc<Mutex<State>>,
    most_sessions: usize,
    pub(super) metrics: Metrics,
}

impl fmt::Debug for EmbeddedRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedRuntime")
            .field("sessions", &self.lock().sessions.len())
            .finish_non_exhaustive()
    }
}

impl Default for EmbeddedRuntime {
    fn default() -> Self {
        Self::with_most_sessions(MOST_SESSIONS)
    }
}

/// A session that ended without being closed.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its id.
    pub(crate) session: String,
    /// What it had captured, where it had captured anything.
    pub(crate) capture: Option<Value>,
}

#[derive(Default)]
struct State {
    sessions: HashMap<String, Session>,
    started: u64,
    traces: HashMap<String, String>,
}

impl State {
    /// The session, marked as used just now.
    fn session(&mut self, id: &str) -> Result<&mut Session, ControlError> {
        let unknown = || ControlError::unknown_session(id);
        let session = self.sessions.get_mut(id).ok_or_else(unknown)?;
        session.used = Instant::now();
        Ok(session)
    }
}

impl EmbeddedRuntime {
    /// A runtime without sessions, for 10,000 at the most at one time.
    pub fn new() -> Self {
        Self::default()
    }

    /// A runtime that holds this many sessions at the most at one time.
    pub fn with_most_sessions(most_sessions: usize) -> Self {
        Self {
            state: Arc::default(),
            most_sessions,
            metrics: Metrics::default(),
        }
    }

    /// Ties a trace id to a session, so that calls of that trace are the session's.
    ///
    /// It stays so when the session is closed, for a late call must not fall to another one; beyond
    /// 100,000 traces those of closed sessions are forgotten.
    pub fn issue_trace(&self, trace_id: &str, session: &str) {
        let state = &mut *self.lock();
        if state.traces.len() >= MOST_TRACES {
            let sessions = &state.sessions;
            state
                .traces
                .retain(|_, session| sessions.contains_key(session));
        }
        state.traces.insert(trace_id.to_owned(), session.to_owned());
    }

    /// Closes every session that is open, and says how many there were.
    pub fn close_all(&self) -> usize {
        self.end_all().len()
    }

    /// Closes the sessions that nobody used for that long; their ids, in order.
    pub fn close_idle(&self, limit: Duration) -> Vec<String> {
        let ended = self.end_idle(limit).into_iter();
        ended.map(|Ended { session, .. }| session).collect()
    }

    /// The same, with what they had captured.
    pub(super) fn end_idle(&self, limit: Duration) -> Vec<Ended> {
        let ended = self.end(|session| session.used.elapsed() >= limit);
        self.metrics.idle.inc_by(ended.len() as u64);
        ended
    }

    /// Closes every session that is open; what each had captured.
    pub(crate) fn end_all(&self) -> Vec<Ended> {
        self.end(|_| true)
    }

    fn end(&self, ends: impl Fn(&Session) -> bool) -> Vec<Ended> {
        let mut state = self.lock();
        let ids: Vec<String> = state
            .sessions
            .iter()
            .filter(|(_, session)| ends(session))
            .map(|(id, _)| id.clone())
            .collect();
        let mut ended: Vec<Ended> = ids
            .into_iter()
            .map(|id| Ended {
                capture: state
                    .sessions
                    .remove(&id)
                    .and_then(|session| session.recorded()),
                session: id,
            })
            .collect();
        ended.sort_by(|a, b| a.session.cmp(&b.session));
        self.note_open(&state);
        ended
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change under this lock is complete before anything in it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_open(&self, state: &State) {
        let open = i64::try_from(state.sessions.len()).unwrap_or(i64::MAX);
        self.metrics.open.set(open);
    }

    /// Carries a call out.
    ///
    /// # Errors
    ///
    /// As the contract's table of errors has them.
    pub fn handle(&self, call: &Call) -> Result<Value, ControlError> {
        match call {
            Call::Health => Ok(json!({
                "status": "ok",
                "specVersion": SPEC_VERSION,
                "schemaVersion": SCHEMA_VERSION,
            })),
            Call::Meta => Ok(json!({
                "runtimeVersion": env!("CARGO_PKG_VERSION"),
                "specVersion": SPEC_VERSION,
                "schemaVersion": SCHEMA_VERSION,
            })),
            Call::Start { body } => self.start(body),
            Call::Sessions => Ok(self.list()),
            Call::Session { id, action } => self.act(id, action),
        }
    }

    fn start(&self, body: &Value) -> Result<Value, ControlError> {
        let start = Start::read(body)?;
        let id = new_session_id()?;
        let mut state = self.lock();
        if state.sessions.len() >= self.most_sessions {
            return Err(ControlError::new(
                503,
                "too_many_sessions",
                format!("{} sessions are open; close some", self.most_sessions),
            ));
        }
        state.started += 1;
        let session = Session::new(id.clone(), state.started, start);
        state.sessions.insert(id.clone(), session);
        self.metrics.started.inc();
        self.note_open(&state);
        Ok(json!({"sessionId": id, "sessionRevision": 0}))
    }

    fn list(&self) -> Value {
        let state = self.lock();
        let sessions: BTreeMap<u64, Value> = state
            .sessions
            .values()
            .map(|session| (session.number, session.head()))
            .collect();
        json!({"sessions": sessions.into_values().collect::<Vec<_>>()})
    }

    fn act(&self, id: &str, action: &Action) -> Result<Value, ControlError> {
        // Documents are read before the lock is taken: a large one must not hold up a proxy.
        let change = Change::read(action)?;
        let mut state = self.lock();
        let session = state.session(id)?;
        match (change, action) {
            (Some(change), _) => Ok(session.apply(change)),
            (None, Action::State) => Ok(session.state()),
            (None, Action::Case) => session.captured(),
            (None, Action::Close(closing)) => {
                if closing.out.is_some() {
                    return Err(ControlError::invalid(
                        "out: only a server that was started with a folder for captures writes \
                         files; ask for the case with include=case, or GET its /case",
                    ));
                }
                let mut answer = json!({"sessionId": id, "closed": true});
                if closing.include_case {
                    answer["case"] = session.captured()?;
                }
                state.sessions.remove(id);
                self.note_open(&state);
                Ok(answer)
            }
            (None, _) => Ok(session.stats()),
        }
    }

    /// What answers a call of a session.
    pub(super) fn ask(&self, id: &str, asked: &Asked<'_>) -> Result<Verdict, ControlError> {
        // Decision and counting are one step under the lock: that makes `consume: once` atomic.
        let verdict = self.lock().session(id)?.decide(asked);
        let answer = verdict.answer.word();
        self.metrics.calls.with_label_values(&[answer]).inc();
        Ok(verdict)
    }

    /// Takes a recorded exchange.
    pub(super) fn extract(&self, id: &str, span: ScopedSpan) -> Result<(), ControlError> {
        self.metrics.extracted.inc();
        self.lock().session(id)?.extract(span)
    }

    /// Lists a call that fits no session in all that are open, and says whether it may pass.
    pub(super) fn uncorrelated(&self, request: &Request, reason: &str) -> bool {
        self.metrics
            .calls
            .with_label_values(&["uncorrelated"])
            .inc();
        let mut state = self.lock();
        let open = state.sessions.len();
        let mut passes = false;
        for session in state.sessions.values_mut() {
            passes |= session.note_uncorrelated(request, reason, open);
        }
        passes
    }
}

impl Runtime for EmbeddedRuntime {
    fn call(&self, call: &Call) -> Result<Value, SoftprobeError> {
        self.handle(call)
            .map_err(|error| refused(&error, &call.route().path))
    }

    fn address(&self) -> &str {
        "embedded"
    }
}

fn refused(error: &ControlError, path: &str) -> SoftprobeError {
    RuntimeError {
        status: error.status,
        body: error.to_value().to_string(),
        url: format!("embedded:{path}"),
    }
    .into()
}

impl Oracle for EmbeddedRuntime {
    fn open_sessions(&self) -> Result<Vec<String>, SoftprobeError> {
        let state = self.lock();
        let mut open: Vec<_> = state.sessions.iter().collect();
        open.sort_by_key(|(_, session)| session.number);
        Ok(open.into_iter().map(|(id, _)| id.clone()).collect())
    }

    fn issue_trace(&self, trace_id: &str, session: &str) {
        Self::issue_trace(self, trace_id, session);
    }

    fn session_of_trace(&self, trace_id: &str) -> Option<String> {
        self.lock().traces.get(trace_id).cloned()
    }

    fn decide(&self, id: &str, request: &Request) -> Result<Option<Verdict>, SoftprobeError> {
        let asked = Asked {
            request,
            direction: Direction::Outbound,
            service: None,
            attributes: &[],
        };
        // The only refusal is that the session is not open.
        Ok(self.ask(id, &asked).ok())
    }

    fn record(&self, document: &Value) -> Result<(), SoftprobeError> {
        otlp::take_traces(self, document).map_err(|error| refused(&error, "/v1/traces"))
    }

    fn note_uncorrelated(&self, request: &Request, reason: &str) -> Result<bool, SoftprobeError> {
        Ok(self.uncorrelated(request, reason))
    }
}

fn new_session_id() -> Result<String, ControlError> {
    let mut bytes = [0_u8; 15];
    getrandom::fill(&mut bytes).map_err(|error| {
        ControlError::new(
            500,
            "internal_error",
            format!("no random numbers to be had: {error}"),
        )
    })?;
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    Ok(format!("sess_{text}"))
}
