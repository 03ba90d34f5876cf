//! Says which request each of an application's calls belongs to, and hands what is recorded to its session.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::gate::Gate;
use super::lock;
use super::summary::Summary;
use crate::base::http::{Direction, Host, Request};
use crate::case::{Recording, cut_off};
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
    supposed: Mutex<Vec<Supposed>>,
    pub(super) summary: Mutex<Summary>,
    /// What is told that the request of a session was answered.
    answered: Mutex<Option<Answered>>,
}

/// What is called with a session and its answer, if there was one.
pub(super) type Answered = Arc<dyn Fn(&str) + Send + Sync>;

/// The calls that belong to no request.
#[derive(Default)]
struct Outside {
    kinds: HashMap<Kind, Seen>,
    dropped: usize,
}

/// The calls of a kind.
#[derive(Default)]
struct Seen {
    /// How many were made outside of requests.
    count: usize,
    /// The different ones that are recorded: hashes of their requests and answers.
    recorded: HashSet<u64>,
}

impl Outside {
    /// Returns whether an exchange is to be recorded: it is another one, and there is room for it.
    fn takes(&mut self, kind: &Kind, hash: u64) -> bool {
        if self.kinds.len() >= MOST_KINDS && !self.kinds.contains_key(kind) {
            self.dropped += 1;
            return false;
        }
        let seen = self.kinds.entry(kind.clone()).or_default();
        seen.count += 1;
        if seen.recorded.contains(&hash) {
            return false;
        }
        if seen.recorded.len() >= MOST_OF_A_KIND {
            self.dropped += 1;
            return false;
        }
        seen.recorded.insert(hash)
    }
}

/// A call without a session's name that was recorded for the only request that it could belong to.
#[derive(Debug, Clone)]
struct Supposed {
    session: String,
    span_id: String,
    kind: Kind,
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
            supposed: Mutex::default(),
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
        let recorded = outside.kinds.values().map(|seen| seen.recorded.len());
        (recorded.sum(), outside.dropped)
    }

    /// Returns whether calls of a kind that name no session are the application's own, and no request's: it makes them outside
    /// of requests as well. Where calls of requests name their sessions, one such call tells; elsewhere, the first one may be what
    /// the application does once when it starts.
    fn is_apart(&self, kind: &Kind) -> bool {
        let least = if self.gate.is_proven() { 1 } else { 2 };
        let outside = lock(&self.outside);
        outside
            .kinds
            .get(kind)
            .is_some_and(|seen| seen.count >= least)
    }

    /// Returns the spans, with their sessions, that were recorded for requests before it was known that they are the
    /// application's own.
    pub(super) fn misplaced(&self) -> Vec<(String, String)> {
        let supposed = lock(&self.supposed).clone();
        let apart = supposed
            .into_iter()
            .filter(|call| self.is_apart(&call.kind));
        apart.map(|call| (call.session, call.span_id)).collect()
    }

    fn record_outside(&self, recording: &Recording<'_>) {
        let is_whole = recording.response.is_some() && !recording.more.contains(&cut_off());
        if !is_whole && self.gate.is_closed() {
            // It failed since the application ends with the recording.
            return;
        }
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
            if let Some(seen) = outside.kinds.get_mut(&kind) {
                seen.recorded.remove(&hash);
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
            if is_named || !self.is_apart(&kind(request)) {
                self.gate.note_call(session, is_named);
            }
        }
        self.runtime.decide(session, request)
    }

    fn decide_late(&self, session: &str, request: &Request) -> Option<Ruling> {
        // It passes, and belongs to no request any more.
        let ruling = self.runtime.decide_late(session, request)?;
        Some(Ruling {
            records: true,
            ..ruling
        })
    }

    fn lets_pass(&self, _: &Host<'_>) -> bool {
        true
    }

    fn note_took(&self, session: &str, call: usize, took: Duration) {
        self.runtime.note_took(session, call, took);
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
        let is_named = names_session(&request.headers, self.runtime.as_ref()).is_some();
        if !is_named {
            self.gate.note_unnamed();
        }
        let kind = kind(request);
        if session != self.others
            && self.gate.is_open(session)
            && (is_named || !self.is_apart(&kind))
        {
            let recorded = self.runtime.record(recording);
            // It may have been closed just now; then it belongs to none.
            if recorded.is_ok() || self.gate.is_open(session) {
                if !is_named {
                    lock(&self.supposed).push(Supposed {
                        session: session.to_owned(),
                        span_id: recording.span_id.clone(),
                        kind,
                    });
                }
                return recorded;
            }
        }
        if session != self.others {
            let why = "it came after its request was over, and is with what belongs to none; a longer --settle waits for it";
            if is_named {
                self.summary().note(format!("{request}: {why}"));
            }
        }
        self.record_outside(recording);
        Ok(())
    }

    fn note_failed(&self, _: &str, request: &Request, why: &str) {
        self.summary().note(format!("a call got no answer: {why}"));
        log::debug!("{request}: {why}");
    }

    fn note_uncorrelated(&self, request: &Request, reason: &str) -> Result<bool, SoftprobeError> {
        if request.method != "CONNECT" && !self.is_apart(&kind(request)) {
            self.gate.note_stray();
            let why = format!(
                "{reason}; it is with what belongs to no request: if it belongs to one, record with --concurrency serial"
            );
            self.summary().lose(request.to_string(), why);
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
