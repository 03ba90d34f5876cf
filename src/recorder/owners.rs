//! Says which request each of an application's calls belongs to, and hands what is recorded to its session.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::gate::Gate;
use super::summary::Summary;
use crate::base::http::{Direction, Host, Request};
use crate::case::Recording;
use crate::control::{CutOff, Oracle, Ruling};
use crate::error::SoftprobeError;
use crate::proxy::names_session;

/// How many different calls to one path outside of requests are recorded: one with a body that is never the same again
/// answers nothing.
const MOST_OF_A_KIND: usize = 100;
/// How many kinds of calls outside of requests are known.
const MOST_KINDS: usize = 10_000;

/// What a call is known by outside of requests: its method, scheme, host and path.
type Kind = (String, String, String, String);

/// The oracle of a recording: lets every call pass, and has it recorded for the request that it belongs to, or for none.
pub(super) struct Owners {
    runtime: Arc<dyn Oracle>,
    gate: Arc<Gate>,
    /// The session that records what belongs to no request.
    others: String,
    outside: Mutex<Outside>,
    pub(super) summary: Mutex<Summary>,
    /// What is told that the request of a session was answered.
    answered: Mutex<Option<Answered>>,
}

/// What is called with a session and its answer, if there was one.
pub(super) type Answered = Arc<dyn Fn(&str) + Send + Sync>;

/// The calls that belong to no request.
#[derive(Default)]
struct Outside {
    /// The different ones of each kind that are recorded: hashes of their requests and answers.
    recorded: HashMap<Kind, HashSet<u64>>,
    dropped: usize,
}

impl Outside {
    /// Returns whether an exchange is to be recorded: it is another one, and there is room for it.
    fn takes(&mut self, kind: &Kind, hash: u64) -> bool {
        let has_room = self.recorded.len() < MOST_KINDS || self.recorded.contains_key(kind);
        if has_room {
            let of_kind = self.recorded.entry(kind.clone()).or_default();
            if of_kind.contains(&hash) {
                return false;
            }
            if of_kind.len() < MOST_OF_A_KIND {
                return of_kind.insert(hash);
            }
        }
        self.dropped += 1;
        false
    }
}

impl fmt::Debug for Owners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owners")
    }
}

fn kind(request: &Request) -> Kind {
    let Request {
        method,
        scheme,
        host,
        path,
        ..
    } = request;
    (method.clone(), scheme.clone(), host.clone(), path.clone())
}

/// Returns what tells an exchange from others of its kind.
fn hash(recording: &Recording<'_>) -> u64 {
    let request = recording.request;
    let answer = recording
        .response
        .map(|response| (response.status, &response.body));
    let mut hasher = DefaultHasher::new();
    (&request.query, &request.body, answer).hash(&mut hasher);
    hasher.finish()
}

impl Owners {
    pub(super) fn new(runtime: Arc<dyn Oracle>, gate: Arc<Gate>, others: String) -> Self {
        Self {
            runtime,
            gate,
            others,
            outside: Mutex::default(),
            summary: Mutex::default(),
            answered: Mutex::default(),
        }
    }

    /// Sets what is told of answers to requests.
    pub(super) fn when_answered(&self, answered: Answered) {
        *lock(&self.answered) = Some(answered);
    }

    pub(super) fn summary(&self) -> MutexGuard<'_, Summary> {
        lock(&self.summary)
    }

    /// Returns how many calls outside of requests were recorded, and how many there was no room for.
    pub(super) fn outside(&self) -> (usize, usize) {
        let outside = lock(&self.outside);
        let recorded = outside.recorded.values().map(HashSet::len);
        (recorded.sum(), outside.dropped)
    }

    /// Returns whether a call that names no session is one that the application makes outside of requests, too: what names
    /// none elsewhere does not name none here by chance.
    fn is_outside(&self, request: &Request) -> bool {
        self.gate.is_proven() && self.knows(request)
    }

    /// Returns whether the application makes calls of this kind outside of requests.
    fn knows(&self, request: &Request) -> bool {
        lock(&self.outside).recorded.contains_key(&kind(request))
    }

    fn record_outside(&self, recording: &Recording<'_>) {
        let (kind, hash) = (kind(recording.request), hash(recording));
        if !lock(&self.outside).takes(&kind, hash) {
            return;
        }
        let recorded = self.runtime.record(&Recording {
            session: Some(&self.others),
            ..recording.clone()
        });
        if let Err(error) = recorded {
            // Not for want of this is a recording broken off.
            log::warn!("{}: {error}", recording.request);
            let mut outside = lock(&self.outside);
            if let Some(of_kind) = outside.recorded.get_mut(&kind) {
                of_kind.remove(&hash);
            }
            outside.dropped += 1;
        }
    }
}

impl Oracle for Owners {
    fn blocks(&self) -> bool {
        false
    }

    fn open_sessions(&self) -> Result<Vec<String>, SoftprobeError> {
        Ok(self.gate.owners())
    }

    fn issue_trace(&self, trace_id: &str, session: &str) {
        self.runtime.issue_trace(trace_id, session);
    }

    fn session_of_trace(&self, trace_id: &str) -> Option<String> {
        self.runtime.session_of_trace(trace_id)
    }

    fn decide(
        &self,
        session: &str,
        request: &Arc<Request>,
    ) -> Result<Option<Ruling>, SoftprobeError> {
        if !self.gate.is_open(session) {
            return Ok(None);
        }
        if request.method != "CONNECT" {
            let is_named = names_session(&request.headers, self.runtime.as_ref()).is_some();
            if !is_named {
                self.gate.note_unnamed();
            }
            if is_named || !self.is_outside(request) {
                self.gate.note_call(session, is_named);
            }
        }
        self.runtime.decide(session, request)
    }

    fn decide_late(&self, session: &str, request: &Request) -> Option<Ruling> {
        // It passes, and belongs to no request any more.
        let ruling = self.runtime.decide_late(session, request)?;
        if request.method != "CONNECT" {
            let why = "it came after its request was over, and is with what belongs to none; a longer --settle waits for it";
            let mut summary = self.summary();
            let note = format!("{request}: {why}");
            if !summary.notes.contains(&note) {
                summary.notes.push(note);
            }
        }
        Some(Ruling {
            records: true,
            ..ruling
        })
    }

    fn lets_pass(&self, _: &Host<'_>) -> bool {
        true
    }

    fn owner_of_others(&self) -> Option<String> {
        Some(self.others.clone())
    }

    fn before_capture(&self, cut_off: CutOff) {
        self.runtime.before_capture(cut_off);
    }

    fn note_unrecorded(&self, _: &str, request: &Request, why: &str) {
        self.summary()
            .leave(request.to_string(), why.to_owned(), false);
    }

    fn record(&self, recording: &Recording<'_>) -> Result<(), SoftprobeError> {
        let session = recording.session.unwrap_or(&self.others);
        if recording.direction == Direction::Inbound {
            let recorded = self.runtime.record(recording);
            let answered = lock(&self.answered).clone();
            if let Some(answered) = answered {
                answered(session);
            }
            return recorded;
        }
        let request = recording.request;
        let is_named = || names_session(&request.headers, self.runtime.as_ref()).is_some();
        let is_own = session != self.others
            && self.gate.is_open(session)
            && (!self.is_outside(request) || is_named());
        if is_own {
            return self.runtime.record(recording);
        }
        if !is_named() {
            self.gate.note_unnamed();
        }
        self.record_outside(recording);
        Ok(())
    }

    fn note_uncorrelated(&self, request: &Request, reason: &str) -> Result<bool, SoftprobeError> {
        if request.method != "CONNECT" && !self.knows(request) {
            self.gate.note_stray();
            let why = format!(
                "{reason}; it is with what belongs to no request: if it belongs to one, record with --concurrency serial"
            );
            let note = format!("{request}: {why}");
            let mut summary = self.summary();
            if !summary.notes.contains(&note) {
                summary.notes.push(note);
            }
        }
        Ok(true)
    }

    fn note_refused(
        &self,
        _session: Option<&str>,
        request: &Request,
        reason: &str,
    ) -> Result<(), SoftprobeError> {
        self.summary().lose(request.to_string(), reason.to_owned());
        Ok(())
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned lock is safe to use: every change under it is complete before anything can panic.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
