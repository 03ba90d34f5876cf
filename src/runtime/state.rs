//! The sessions of a runtime, and the calls on them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::capture::Captured;
use super::captures::{Captures, EndedSession, Keep, NOT_WRITTEN};
use super::change::{Change, Start};
use super::metrics::Metrics;
use super::session::{Asked, OpenSession};
use crate::base::encoding::encode_base64url;
use crate::base::http::{Direction, Host, Request};
use crate::case::{Case, Recording};
use crate::control::{
    Action, Call, ClosedSessions, Closing, ControlError, CutOff, Mode, Oracle, Ruling, Runtime,
    SCHEMA_VERSION, SPEC_VERSION, SessionStats, UncorrelatedCall,
};
#[cfg(feature = "runner")]
use crate::control::{AnsweredRequests, LateCall};
use crate::error::{SoftprobeError, UNKNOWN_SESSION};
use crate::net::now_us;
use crate::rule::{Policy, Rule};

/// The runtime's address in messages.
const EMBEDDED: &str = "embedded";

const MOST_SESSIONS: usize = 10_000;
/// Once this many traces are known, those of closed sessions are forgotten.
const MOST_TRACES: usize = 100_000;

/// A runtime inside this process. Clones share their sessions.
#[derive(Clone)]
pub struct EmbeddedRuntime {
    sessions: Arc<Mutex<Sessions>>,
    most_sessions: usize,
    /// What closed sessions have captured.
    captures: Arc<Mutex<Captures>>,
    /// What hands over answers that are still arriving.
    cut_offs: Arc<Mutex<Vec<CutOff>>>,
    pub(super) metrics: Metrics,
}

impl fmt::Debug for EmbeddedRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedRuntime")
            .field("sessions", &self.lock().open.len())
            .finish_non_exhaustive()
    }
}

impl Default for EmbeddedRuntime {
    fn default() -> Self {
        Self::with_most_sessions(MOST_SESSIONS)
    }
}

/// An open session with its number.
#[derive(Clone)]
struct Numbered {
    /// Its position in the order in which sessions were started, from 1.
    number: u64,
    session: Arc<Mutex<OpenSession>>,
    /// Notified when a rule of the session was used, and when the session is closed.
    changed: Arc<Condvar>,
}

/// All open sessions, issued traces and closed sessions. The lock on it is held only to look a session up: each
/// session has its own lock, under which rules are evaluated. No session is locked while this lock is held.
#[derive(Default)]
struct Sessions {
    open: HashMap<String, Numbered>,
    started: u64,
    traces: HashMap<String, String>,
    closed: ClosedSessions,
}

impl EmbeddedRuntime {
    /// Creates a runtime without sessions, which holds at most 10,000 at a time.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a runtime that holds at most this many sessions at a time.
    pub fn with_most_sessions(most_sessions: usize) -> Self {
        Self {
            sessions: Arc::default(),
            most_sessions,
            captures: Arc::default(),
            cut_offs: Arc::default(),
            metrics: Metrics::default(),
        }
    }

    /// Returns the ids of the open sessions, in the order they were started.
    pub fn open_sessions(&self) -> Vec<String> {
        let all = self.all().into_iter();
        let mut open: Vec<(u64, String)> = all.map(|(id, listed)| (listed.number, id)).collect();
        open.sort_unstable();
        open.into_iter().map(|(_, id)| id).collect()
    }

    /// Closes the sessions that have not been used for this long and returns what each had captured; that is kept in
    /// memory as well.
    pub(super) fn end_idle(&self, limit: Duration) -> Vec<EndedSession> {
        let mut ended = self.end(|session| session.used.elapsed() >= limit);
        for ended in &mut ended {
            if let Some(case) = &ended.capture {
                ended.in_memory = self.remember(&ended.session, case.to_string().into());
            }
        }
        self.metrics.idle.inc_by(ended.len() as u64);
        ended
    }

    /// Closes every open session and returns what each had captured.
    #[cfg(feature = "runner")]
    pub(crate) fn end_all(&self) -> Vec<EndedSession> {
        self.end(|_| true)
    }

    fn end(&self, ends: impl Fn(&OpenSession) -> bool) -> Vec<EndedSession> {
        let mut ended = Vec::new();
        for (id, listed) in self.all() {
            if !ends(&lock(&listed.session)) {
                continue;
            }
            self.cut_off(&id);
            let mut session = lock(&listed.session);
            // If a client has closed it in the meantime, saving its capture was up to that client.
            if session.is_closed() {
                continue;
            }
            let capture = session.recorded();
            self.close_one(&id, &mut session);
            drop(session);
            self.forget(&id);
            ended.push(EndedSession {
                session: id,
                capture,
                in_memory: false,
            });
        }
        ended.sort_by(|a, b| a.session.cmp(&b.session));
        ended
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        lock(&self.sessions)
    }

    /// Returns the open sessions with their ids.
    fn all(&self) -> Vec<(String, Numbered)> {
        let sessions = self.lock();
        let open = sessions.open.iter();
        open.map(|(id, listed)| (id.clone(), listed.clone()))
            .collect()
    }

    /// Closes a session. It is known as closed before it is, so that no call of it seems to belong to none.
    fn close_one(&self, id: &str, session: &mut OpenSession) {
        self.lock().closed.add(id, session.policy().clone());
        session.close();
    }

    /// Takes what is still arriving into a session's capture.
    fn cut_off(&self, id: &str) {
        let cut_offs: Vec<_> = {
            let mut known = lock(&self.cut_offs);
            known.retain(|cut_off| cut_off.strong_count() > 0);
            known.iter().filter_map(CutOff::upgrade).collect()
        };
        for cut_off in cut_offs {
            cut_off(id);
        }
    }

    fn forget(&self, id: &str) {
        let removed = {
            let mut sessions = self.lock();
            let removed = sessions.open.remove(id);
            self.note_open(&sessions);
            removed
        };
        if let Some(listed) = removed
            && lock(&listed.session).is_awaited
        {
            listed.changed.notify_all();
        }
    }

    fn note_open(&self, sessions: &Sessions) {
        let open = i64::try_from(sessions.open.len()).unwrap_or(i64::MAX);
        self.metrics.open.set(open);
    }

    /// Runs `work` on an open session, under its lock.
    fn with<T>(
        &self,
        id: &str,
        work: impl FnOnce(&mut OpenSession) -> Result<T, ControlError>,
    ) -> Result<T, ControlError> {
        let listed = self.listed(id)?;
        let mut session = lock(&listed.session);
        if !session.is_open() {
            return Err(ControlError::unknown_session(id));
        }
        work(&mut session)
    }

    fn listed(&self, id: &str) -> Result<Numbered, ControlError> {
        let listed = self.lock().open.get(id).cloned();
        listed.ok_or_else(|| ControlError::unknown_session(id))
    }

    /// Opens a session and returns its id.
    fn open(&self, start: Start) -> Result<String, ControlError> {
        let id = new_session_id()?;
        let mut sessions = self.lock();
        if sessions.open.len() >= self.most_sessions {
            return Err(ControlError::new(
                503,
                "too_many_sessions",
                format!(
                    "{} sessions are already open; close some",
                    self.most_sessions
                ),
            ));
        }
        sessions.started += 1;
        let listed = Numbered {
            number: sessions.started,
            session: Arc::new(Mutex::new(OpenSession::new(id.clone(), start))),
            changed: Arc::default(),
        };
        sessions.open.insert(id.clone(), listed);
        self.metrics.started.inc();
        self.note_open(&sessions);
        Ok(id)
    }

    /// Closes a session after running `last` on it, and returns the result; if `last` fails, the session stays
    /// open.
    fn shut<T>(
        &self,
        id: &str,
        last: impl FnOnce(&OpenSession) -> Result<T, ControlError>,
    ) -> Result<T, ControlError> {
        let kept = self.with(id, |session| {
            let kept = last(session)?;
            self.close_one(id, session);
            Ok(kept)
        })?;
        self.forget(id);
        Ok(kept)
    }

    /// Closes a session, and keeps what it has captured: as a file if `keep` says where, and in memory. If it can't be
    /// kept, the session stays open. No exchange can be recorded in between.
    pub(super) fn close_keeping(
        &self,
        id: &str,
        closing: &Closing,
        keep: &Keep,
    ) -> Result<Value, ControlError> {
        self.cut_off(id);
        let (case, path) = self.shut(id, |session| {
            let wanted = closing.out.is_some() || closing.include_case;
            let case = match wanted {
                true => Some(session.captured()?),
                false => session.recorded(),
            };
            let Some(case) = case else {
                return Ok((None, None));
            };
            let text: Arc<str> = case.to_string().into();
            let path = keep.write(id, closing, &case)?;
            if path.is_none() && !closing.include_case && !session.is_handed_over() {
                stays_in_memory(id, text.len())?;
            }
            Ok((Some((case, text)), path))
        })?;
        let mut answer = json!({"sessionId": id, "closed": true});
        if let Some(path) = path {
            answer["capturePath"] = path.display().to_string().into();
        }
        if let Some((case, text)) = case {
            self.remember(id, text);
            if closing.include_case {
                answer["case"] = case;
            }
        }
        Ok(answer)
    }

    /// Keeps a capture in memory, as far as there is room, and returns whether it does.
    fn remember(&self, id: &str, case: Arc<str>) -> bool {
        lock(&self.captures).add(id, case)
    }

    /// Returns the case that a closed session has captured.
    fn capture_of(&self, id: &str) -> Result<Value, ControlError> {
        let text = lock(&self.captures).get(id);
        let case = text.and_then(|text| serde_json::from_str(&text).ok());
        case.ok_or_else(|| {
            let known = self.listed(id).is_ok();
            let message = match known {
                true => {
                    format!("session `{id}` is still open; GET /v1/sessions/{id}/case has its case")
                }
                false => format!("there is no capture of a session `{id}`"),
            };
            ControlError::new(404, UNKNOWN_SESSION, message)
        })
    }

    /// Carries out a call that arrived over a wire and returns the JSON of its answer.
    ///
    /// # Errors
    ///
    /// The refusals that `openapi.json` lists.
    pub(crate) fn handle(&self, call: &Call) -> Result<Value, ControlError> {
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
            Call::Start { body } => {
                let id = self.open(Start::read(body)?)?;
                Ok(json!({"sessionId": id, "sessionRevision": 0}))
            }
            Call::Sessions => Ok(self.list()),
            Call::Capture { id } => self.capture_of(id),
            Call::Session { id, action } => self.act(id, action),
        }
    }

    fn list(&self) -> Value {
        let sessions: BTreeMap<u64, Value> = self
            .all()
            .iter()
            .map(|(_, listed)| (listed.number, lock(&listed.session).head()))
            .collect();
        json!({"sessions": sessions.into_values().collect::<Vec<_>>()})
    }

    fn act(&self, id: &str, action: &Action) -> Result<Value, ControlError> {
        // An unknown session is told first, whatever its body is.
        self.listed(id)?;
        // Documents are read before a lock is taken: a large one must not hold up a proxy.
        if let Some(change) = Change::read(action)? {
            let revision = self.with(id, |session| session.apply(change))?;
            return Ok(json!({"sessionId": id, "sessionRevision": revision}));
        }
        match action {
            Action::Requests => self.with(id, |session| Ok(session.requests_value())),
            Action::State => self.with(id, |session| Ok(session.state())),
            Action::Case => {
                self.cut_off(id);
                self.with(id, OpenSession::hand_over)
            }
            Action::Close(closing) => self.close_keeping(id, closing, &Keep::default()),
            _ => self.with(id, |session| Ok(session.stats_value())),
        }
    }

    /// Decides how a session's call is answered.
    pub(super) fn ask(&self, id: &str, asked: &Asked<'_>) -> Result<Ruling, ControlError> {
        let started = Instant::now();
        // Deciding and counting are one step under the session's lock: that makes `consume: once` atomic.
        let listed = self.listed(id)?;
        let mut session = lock(&listed.session);
        if !session.is_open() {
            return Err(ControlError::unknown_session(id));
        }
        let ruling = session.decide(asked);
        if session.is_awaited {
            listed.changed.notify_all();
        }
        drop(session);
        self.metrics.note(&ruling.answer, started.elapsed());
        Ok(ruling)
    }

    /// Hands a recorded exchange to its session.
    pub(super) fn extract(&self, id: &str, span: Captured) -> Result<(), ControlError> {
        self.with(id, |session| session.extract(span))?;
        self.metrics.extracted.inc();
        Ok(())
    }

    /// Adds a call that belongs to no session to the stats of every open session, and returns whether it may
    /// pass: if every policy lets it and no rule is about it, it is nobody's concern; otherwise, if no session is
    /// strict.
    pub(super) fn uncorrelated(&self, request: &Request, reason: &str) -> bool {
        self.count_uncorrelated();
        let all = self.all();
        let harmless = all
            .iter()
            .all(|(_, listed)| lock(&listed.session).is_indifferent_to(request));
        let call = Arc::new(UncorrelatedCall::new(request, reason, all.len()));
        let mut distrusted = false;
        for (_, listed) in &all {
            let mut session = lock(&listed.session);
            distrusted |= session.note_uncorrelated(request, &call, harmless);
        }
        !distrusted
    }

    /// Adds a call that a proxy refused to the stats of its session, if that is open, else of every open
    /// session.
    pub(super) fn refused(&self, session: Option<&str>, request: &Request, reason: &str) {
        self.count_uncorrelated();
        let all = self.all();
        let own = all.iter().filter(|(id, _)| Some(id.as_str()) == session);
        let mut listed: Vec<_> = own.collect();
        if listed.is_empty() {
            let is_late =
                session.is_some_and(|id| self.lock().closed.refuse(id, request, now_us()));
            if is_late {
                return;
            }
            listed = all.iter().collect();
        }
        let call = Arc::new(UncorrelatedCall {
            refused: true,
            ..UncorrelatedCall::new(request, reason, listed.len())
        });
        for (_, listed) in listed {
            lock(&listed.session).note_uncorrelated(request, &call, false);
        }
    }

    fn count_uncorrelated(&self) {
        self.metrics
            .calls
            .with_label_values(&["uncorrelated"])
            .inc();
    }
}

/// Tells that a capture of this many bytes is in no file.
///
/// # Errors
///
/// That it is too large to be kept in memory.
fn stays_in_memory(id: &str, bytes: usize) -> Result<(), ControlError> {
    if bytes <= Captures::MOST_BYTES {
        log::warn!(
            "session {id}: its capture is only in memory, for GET /v1/captures/{id}; \
             `softprobe serve --captures DIR` keeps captures as files"
        );
        return Ok(());
    }
    let message = format!(
        "the session's capture has {bytes} bytes, and only {} are kept in memory; take it with include=case, or start \
         the server with a folder for captures (`softprobe serve --captures DIR`); the session is still open",
        Captures::MOST_BYTES
    );
    Err(ControlError::new(507, NOT_WRITTEN, message))
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned lock is safe to use: every change under it is complete before anything can panic.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Converts a refusal to the error that a caller in this process gets.
fn refused(path: &str) -> impl Fn(ControlError) -> SoftprobeError {
    move |error| error.at(format!("{EMBEDDED}{path}")).into()
}

fn refused_on(session: &str, step: &str) -> impl Fn(ControlError) -> SoftprobeError {
    move |error| {
        let url = format!("{EMBEDDED}/v1/sessions/{session}/{step}");
        error.at(url).into()
    }
}

impl Runtime for EmbeddedRuntime {
    fn start(&self, mode: Mode, policy: Option<&Policy>) -> Result<String, SoftprobeError> {
        let start = Start {
            mode,
            policy: policy.cloned().unwrap_or_default(),
            policy_document: None,
            case_id: None,
        };
        self.open(start).map_err(refused("/v1/sessions"))
    }

    fn load_case(&self, session: &str, case: &Arc<Case>) -> Result<(), SoftprobeError> {
        Change::case(case)
            .and_then(|change| self.with(session, |session| session.apply(change)))
            .map(drop)
            .map_err(refused_on(session, "load-case"))
    }

    fn set_rules(&self, session: &str, rules: &[Arc<Rule>]) -> Result<bool, SoftprobeError> {
        let change = Change::Rules(rules.to_vec(), None);
        self.with(session, |session| session.apply(change))
            .map(|_| true)
            .map_err(refused_on(session, "rules"))
    }

    fn set_policy(&self, session: &str, policy: &Policy) -> Result<(), SoftprobeError> {
        let change = Change::Policy(policy.clone(), None);
        self.with(session, |session| session.apply(change))
            .map(drop)
            .map_err(refused_on(session, "policy"))
    }

    fn set_auth_fixtures(&self, session: &str, fixtures: &Value) -> Result<(), SoftprobeError> {
        Change::auth_fixtures(fixtures)
            .and_then(|change| self.with(session, |session| session.apply(change)))
            .map(drop)
            .map_err(refused_on(session, "fixtures/auth"))
    }

    fn stats(&self, session: &str) -> Result<SessionStats, SoftprobeError> {
        self.with(session, |session| Ok(session.stats()))
            .map_err(refused_on(session, "stats"))
    }

    #[cfg(feature = "runner")]
    fn answered(&self, session: &str) -> Result<Option<AnsweredRequests>, SoftprobeError> {
        self.with(session, |session| Ok(Some(session.answered().clone())))
            .map_err(refused_on(session, "requests"))
    }

    #[cfg(feature = "runner")]
    fn finish(
        &self,
        session: &str,
    ) -> Result<(SessionStats, Option<AnsweredRequests>), SoftprobeError> {
        self.shut(session, |session| {
            Ok((session.stats(), Some(session.answered().clone())))
        })
        .map_err(refused_on(session, "close"))
    }

    #[cfg(feature = "runner")]
    fn wait_for_uses(
        &self,
        session: &str,
        patience: &dyn Fn(&[u64]) -> Duration,
    ) -> Result<(), SoftprobeError> {
        let listed = self.listed(session);
        let listed = listed.map_err(refused_on(session, "stats"))?;
        let start = Instant::now();
        let mut session = lock(&listed.session);
        while !session.is_closed() {
            let left = patience(&session.uses()).saturating_sub(start.elapsed());
            if left.is_zero() {
                break;
            }
            session.is_awaited = true;
            let waited = listed.changed.wait_timeout(session, left);
            session = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    fn captured_case(&self, session: &str) -> Result<Value, SoftprobeError> {
        self.cut_off(session);
        self.with(session, OpenSession::hand_over)
            .map_err(refused_on(session, "case"))
    }

    fn close(&self, session: &str) -> Result<(), SoftprobeError> {
        self.close_keeping(session, &Closing::default(), &Keep::default())
            .map(drop)
            .map_err(refused_on(session, "close"))
    }

    fn close_with_case(&self, session: &str) -> Result<Value, SoftprobeError> {
        self.cut_off(session);
        self.shut(session, OpenSession::captured)
            .map_err(refused_on(session, "close"))
    }

    fn address(&self) -> &str {
        EMBEDDED
    }

    fn oracle(&self) -> Arc<dyn Oracle> {
        Arc::new(self.clone())
    }
}

impl Oracle for EmbeddedRuntime {
    fn blocks(&self) -> bool {
        false
    }

    fn open_sessions(&self) -> Result<Vec<String>, SoftprobeError> {
        Ok(Self::open_sessions(self))
    }

    fn issue_trace(&self, trace_id: &str, session: &str) {
        let Sessions { open, traces, .. } = &mut *self.lock();
        // A late call must not be assigned to another session, so a trace is kept after its session has
        // closed, as long as there is room.
        if traces.len() >= MOST_TRACES {
            traces.retain(|_, session| open.contains_key(session));
        }
        traces.insert(trace_id.to_owned(), session.to_owned());
    }

    fn session_of_trace(&self, trace_id: &str) -> Option<String> {
        self.lock().traces.get(trace_id).cloned()
    }

    fn decide(&self, id: &str, request: &Arc<Request>) -> Result<Option<Ruling>, SoftprobeError> {
        let asked = Asked {
            request,
            direction: Direction::Outbound,
            service: None,
            attributes: &[],
        };
        // The only possible refusal is that the session is not open.
        let ruling = self.ask(id, &asked);
        Ok(ruling.inspect_err(|_| self.metrics.note_refused()).ok())
    }

    fn decide_late(&self, session: &str, request: &Request) -> Option<Ruling> {
        self.lock().closed.decide(session, request, now_us())
    }

    #[cfg(feature = "runner")]
    fn take_late(&self) -> Vec<LateCall> {
        self.lock().closed.take_late()
    }

    fn ambient_host(&self, host: &Host<'_>) -> Option<bool> {
        let all = self.all();
        let is_listed = |listed: &Numbered| lock(&listed.session).policy().is_ambient(host);
        let passes = |listed: &Numbered| lock(&listed.session).policy().lets_pass(host);
        let is_ambient = all.iter().any(|(_, listed)| is_listed(listed));
        is_ambient.then(|| all.iter().all(|(_, listed)| passes(listed)))
    }

    fn lets_pass(&self, host: &Host<'_>) -> bool {
        let passes = |listed: &Numbered| lock(&listed.session).policy().lets_pass(host);
        self.all().iter().all(|(_, listed)| passes(listed))
    }

    fn expects(&self, session: &str, request: &Request) -> bool {
        let expects = self.with(session, |session| Ok(session.has_rule_for(request)));
        expects.unwrap_or(false)
    }

    fn note_took(&self, session: &str, call: usize, took: Duration) {
        // A session that is closed has been judged already.
        let _ = self.with(session, |session| {
            session.note_took(call, took);
            Ok(())
        });
    }

    fn note_failed(&self, session: &str, request: &Request, why: &str) {
        let call = Arc::new(UncorrelatedCall {
            refused: true,
            ..UncorrelatedCall::new(request, why, 1)
        });
        let noted = self.with(session, |session| {
            session.note_uncorrelated(request, &call, true);
            Ok(())
        });
        if noted.is_err() {
            log::debug!("session {session} is not open any more: {request} failed");
        }
    }

    fn note_ambient(&self, request: &Request, reason: &str) {
        let all = self.all();
        let call = Arc::new(UncorrelatedCall {
            ambient: true,
            ..UncorrelatedCall::new(request, reason, all.len())
        });
        for (_, listed) in &all {
            lock(&listed.session).note_ambient(&call);
        }
    }

    fn before_capture(&self, cut_off: CutOff) {
        lock(&self.cut_offs).push(cut_off);
    }

    fn record(&self, recording: &Recording<'_>) -> Result<(), SoftprobeError> {
        let Some(session) = recording.session else {
            return Ok(());
        };
        self.extract(session, Captured::from(recording))
            .map_err(refused("/v1/traces"))
    }

    fn note_uncorrelated(&self, request: &Request, reason: &str) -> Result<bool, SoftprobeError> {
        Ok(self.uncorrelated(request, reason))
    }

    fn note_refused(
        &self,
        session: Option<&str>,
        request: &Request,
        reason: &str,
    ) -> Result<(), SoftprobeError> {
        self.refused(session, request, reason);
        Ok(())
    }
}

fn new_session_id() -> Result<String, ControlError> {
    let mut bytes = [0_u8; 15];
    getrandom::fill(&mut bytes).map_err(|error| {
        ControlError::new(
            500,
            "internal_error",
            format!("no random numbers are available: {error}"),
        )
    })?;
    Ok(format!("sess_{}", encode_base64url(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_memory_does_not_hold_is_refused_and_forgets_nothing() {
        assert_eq!(stays_in_memory("s", Captures::MOST_BYTES), Ok(()));
        let refused = stays_in_memory("s", Captures::MOST_BYTES + 1).unwrap_err();
        assert_eq!((refused.status, refused.code), (507, NOT_WRITTEN));
        let mut captures = Captures::default();
        assert!(captures.add("small", "{}".into()));
        assert!(!captures.add("large", "x".repeat(Captures::MOST_BYTES + 1).into()));
        assert!(captures.get("small").is_some() && captures.get("large").is_none());
        // Of those that fit, the oldest one makes room.
        captures.add("next", "x".repeat(Captures::MOST_BYTES).into());
        assert!(captures.get("small").is_none() && captures.get("next").is_some());
    }
}
