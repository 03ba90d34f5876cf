//! Asks a remote runtime as Envoy's filter does: with OTLP to `/v1/inject` and `/v1/traces`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::http_runtime::HttpRuntime;
use crate::base::http::{
    Direction, FAILURE_HEADER, Failure, Host, MISS_HEADER, Request, Response, Trace, is_hop_by_hop,
};
use crate::case::{Recording, SpanPurpose, Without, read_spans, text_attribute};
#[cfg(feature = "runner")]
use crate::control::LateCall;
use crate::control::{
    Action, Call, DELAY_HEADER, Mode, NO_MATCH, Oracle, PROTOBUF, REFUSAL_HEADER, REFUSED, Ruling,
    Runtime, UNCORRELATED,
};
use crate::error::{RuntimeError, SoftprobeError, UNKNOWN_SESSION};
use crate::net::{now_us, random_trace};
use crate::otlp::{decode, encode};
use crate::rule::{Answer, Policy};

/// The number of sessions whose mode is remembered; beyond that, all of them are forgotten.
const MOST_MODES: usize = 1_000;

impl HttpRuntime {
    fn captures(&self, session: &str) -> Result<bool, SoftprobeError> {
        if let Some(captures) = lock(&self.memory.captures).get(session) {
            return Ok(*captures);
        }
        let stats = self.call(&Call::on(session, Action::Stats))?;
        let captures = stats["mode"] == Mode::Capture.name();
        let mut known = lock(&self.memory.captures);
        if known.len() >= MOST_MODES {
            known.clear();
        }
        known.insert(session.to_owned(), captures);
        Ok(captures)
    }

    /// Remembers the policy of a session that was opened here.
    pub(super) fn remember(&self, session: &str, policy: Policy) {
        lock(&self.memory.policies).insert(session.to_owned(), policy);
    }

    /// Remembers that a session is closed.
    pub(super) fn forget(&self, session: &str) {
        let policy = lock(&self.memory.policies).remove(session);
        lock(&self.memory.closed).add(session, policy.unwrap_or_default());
        #[cfg(feature = "runner")]
        lock(&self.memory.owners).remove(session);
    }

    fn inject(
        &self,
        session: Option<&str>,
        request: &Request,
        more: Vec<Value>,
    ) -> Result<Told, SoftprobeError> {
        let own = random_trace();
        let (trace_id, parent_span_id) = match Trace::of(&request.headers) {
            Some(named) => (named.trace_id, Some(named.span_id)),
            None => (own.trace_id, None),
        };
        let question = Recording {
            purpose: SpanPurpose::Inject,
            session,
            direction: Direction::Outbound,
            trace_id,
            span_id: own.span_id,
            parent_span_id,
            times_ns: (0, 0),
            request,
            response: None,
            without: Without::default(),
            more,
        };
        self.send("/v1/inject", &question.document())
    }

    fn send(&self, path: &str, document: &Value) -> Result<Told, SoftprobeError> {
        let body = encode(document).map_err(|error| self.protocol(path, error.to_string()))?;
        let (response, url) = self.post(path, PROTOBUF, body)?;
        Ok(Told { response, url })
    }

    /// Reads the mock's response from the body of an answer with status 200.
    fn read_mock(&self, body: &[u8]) -> Result<Response, SoftprobeError> {
        let wrong = |why: &str| self.protocol("/v1/inject", format!("its answer {why}"));
        let document = decode(body).map_err(|why| wrong(&format!("does not parse: {why}")))?;
        let spans = read_spans(document).map_err(|why| wrong(&why.to_string()))?;
        let span = spans.first().ok_or_else(|| wrong("has no span"))?;
        let captured = span
            .exchange
            .response()
            .map_err(|why| wrong(&why.to_string()))?;
        // The runtime chose these headers, so none are dropped, unlike those of a capture.
        Ok(Response {
            status: captured.status,
            headers: captured.headers.clone(),
            body: captured.body.clone().unwrap_or_default(),
            trailers: captured.trailers.clone(),
        })
    }
}

/// A runtime's answer, before it is interpreted.
#[derive(Debug)]
struct Told {
    response: Response,
    url: String,
}

impl Told {
    /// Returns whether the body is `{"error": message}`.
    fn says(&self, message: &str) -> bool {
        let body: Option<Value> = serde_json::from_slice(&self.response.body).ok();
        body.is_some_and(|body| body["error"] == message)
    }

    /// Returns the code of the runtime's own refusal, if the answer is marked as one. The status and the body
    /// do not show this, because an error sent by a rule may have any status and any body.
    fn refusal(&self) -> Option<String> {
        Some(self.response.headers.text(REFUSAL_HEADER)?.into_owned())
    }

    /// Returns how long the proxy has to wait with the answer.
    fn delay(&self) -> Duration {
        let delay = self.response.headers.text(DELAY_HEADER);
        let delay = delay.and_then(|delay| delay.parse().ok());
        Duration::from_millis(delay.unwrap_or_default())
    }

    /// Converts a refusal to an error.
    fn into_error(self) -> SoftprobeError {
        let Response { status, body, .. } = self.response;
        RuntimeError::read(status, &body, self.url).into()
    }

    /// Returns the answer as it can be passed on to the application.
    fn into_response(self) -> Response {
        let mut response = self.response;
        let own = |name: &str| is_hop_by_hop(name) || ["content-length", "date"].contains(&name);
        response.headers.retain(|name| !own(name));
        response
    }
}

impl Oracle for HttpRuntime {
    fn blocks(&self) -> bool {
        true
    }

    fn url(&self) -> Option<String> {
        Some(Runtime::address(self).to_owned())
    }

    fn open_sessions(&self) -> Result<Vec<String>, SoftprobeError> {
        let answer = self.call(&Call::Sessions)?;
        let sessions = answer["sessions"].as_array();
        let sessions =
            sessions.ok_or_else(|| self.protocol("/v1/sessions", "it lists no sessions"));
        Ok(sessions?
            .iter()
            .filter_map(|session| session["sessionId"].as_str().map(str::to_owned))
            .collect())
    }

    fn issue_trace(&self, trace_id: &str, session: &str) {
        lock(&self.memory.traces).insert(trace_id.to_owned(), session.to_owned());
    }

    fn session_of_trace(&self, trace_id: &str) -> Option<String> {
        lock(&self.memory.traces).get(trace_id).cloned()
    }

    fn decide_late(&self, session: &str, request: &Request) -> Option<Ruling> {
        lock(&self.memory.closed).decide(session, request, now_us())
    }

    #[cfg(feature = "runner")]
    fn take_late(&self) -> Vec<LateCall> {
        lock(&self.memory.closed).take_late()
    }

    fn ambient_host(&self, host: &Host<'_>) -> Option<bool> {
        let policies = lock(&self.memory.policies);
        let is_ambient = policies.values().any(|policy| policy.is_ambient(host));
        is_ambient.then(|| policies.values().all(|policy| policy.lets_pass(host)))
    }

    fn decide(
        &self,
        session: &str,
        request: &Arc<Request>,
    ) -> Result<Option<Ruling>, SoftprobeError> {
        let answer = self.inject(Some(session), request, Vec::new())?;
        match answer.refusal().as_deref() {
            Some(UNKNOWN_SESSION) => return Ok(None),
            // The question came from the proxy, so its refusal is not an answer for the application.
            Some(_) => return Err(answer.into_error()),
            None => {}
        }
        let missed = answer.response.headers.contains(MISS_HEADER);
        let failure = answer.response.headers.text(FAILURE_HEADER);
        let failure = failure.and_then(|name| {
            let mut known = Failure::NAMES.into_iter();
            known
                .find(|(known, _)| *known == name)
                .map(|(_, failure)| failure)
        });
        let answer = match answer.response.status {
            200 if failure.is_some() => Answer::Fault(
                Failure::Truncated,
                Arc::new(self.read_mock(&answer.response.body)?),
            ),
            _ if let Some(failure) = failure => Answer::Fault(failure, Arc::default()),
            200 => Answer::Mock {
                response: Arc::new(self.read_mock(&answer.response.body)?),
                latency: answer.delay(),
            },
            404 if answer.says(NO_MATCH) => Answer::Forward,
            // Another implementation of the runtime, whose 404 does not say what is missing.
            404 => return Ok(None),
            _ => Answer::Error(Arc::new(answer.into_response())),
        };
        Ok(Some(Ruling {
            answer,
            rule: None,
            nearest: None,
            call: None,
            records: !missed && self.captures(session)?,
        }))
    }

    fn record(&self, recording: &Recording<'_>) -> Result<(), SoftprobeError> {
        let answer = self.send("/v1/traces", &recording.document())?;
        // The status is successful even if the session is gone and nothing was recorded; the header
        // shows that.
        match answer.response.status {
            200..300 if answer.refusal().is_none() => Ok(()),
            _ => Err(answer.into_error()),
        }
    }

    fn note_uncorrelated(&self, request: &Request, reason: &str) -> Result<bool, SoftprobeError> {
        let answer = self.inject(None, request, vec![text_attribute(UNCORRELATED, reason)])?;
        // A runtime that does not list such calls can't say whether this one may pass, so it may not.
        Ok(answer.response.status == 404 && answer.says(NO_MATCH))
    }

    fn note_refused(
        &self,
        session: Option<&str>,
        request: &Request,
        reason: &str,
    ) -> Result<(), SoftprobeError> {
        if session.is_some_and(|id| lock(&self.memory.closed).refuse(id, request, now_us())) {
            return Ok(());
        }
        let more = vec![
            text_attribute(UNCORRELATED, reason),
            text_attribute(REFUSED, "true"),
        ];
        self.inject(session, request, more).map(drop)
    }
}

pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned lock is safe to use: every change to a map is complete before anything can panic.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
