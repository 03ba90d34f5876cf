//! A runtime elsewhere, asked as Envoy's filter asks it: OTLP inject and traces.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::http_runtime::HttpRuntime;
use crate::base::http::{Direction, MISS_HEADER, Request, Response, Trace, is_hop_by_hop};
use crate::case::{Recording, SpanPurpose, read_spans, text_attribute};
use crate::control::{
    Action, Call, Mode, NO_MATCH, Oracle, PROTOBUF, REFUSAL_HEADER, Ruling, UNCORRELATED,
};
use crate::error::{RuntimeError, SoftprobeError, UNKNOWN_SESSION};
use crate::net::random_trace;
use crate::otlp::{decode, encode};
use crate::rule::Answer;

/// Sessions whose mode is remembered; beyond that they are asked for again.
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
            more,
        };
        self.send("/v1/inject", &question.document())
    }

    fn send(&self, path: &str, document: &Value) -> Result<Told, SoftprobeError> {
        let body = encode(document).map_err(|error| self.protocol(path, error.to_string()))?;
        let (response, url) = self.post(path, PROTOBUF, body)?;
        Ok(Told { response, url })
    }

    /// The answer that a 200 carries.
    fn read_mock(&self, body: &[u8]) -> Result<Response, SoftprobeError> {
        let wrong = |why: &str| self.protocol("/v1/inject", format!("its answer {why}"));
        let document = decode(body).map_err(|why| wrong(&format!("does not parse: {why}")))?;
        let spans = read_spans(document).map_err(|why| wrong(&why.to_string()))?;
        let span = spans.first().ok_or_else(|| wrong("has no span"))?;
        let captured = span
            .exchange
            .response()
            .map_err(|why| wrong(&why.to_string()))?;
        // Its headers are the runtime's to choose: nothing is dropped as from a capture.
        Ok(Response {
            status: captured.status,
            headers: captured.headers.clone(),
            body: captured.body.clone().unwrap_or_default(),
        })
    }
}

/// What a runtime answered, before anything is made of it.
#[derive(Debug)]
struct Told {
    response: Response,
    url: String,
}

impl Told {
    /// Whether the body is `{"error": message}`.
    fn says(&self, message: &str) -> bool {
        let body: Option<Value> = serde_json::from_slice(&self.response.body).ok();
        body.is_some_and(|body| body["error"] == message)
    }

    /// The code of a refusal of the runtime's own, where it says that this is one: an error that a rule
    /// sends may have any status and any body.
    fn refusal(&self) -> Option<String> {
        Some(self.response.headers.text(REFUSAL_HEADER)?.into_owned())
    }

    /// The answer as the refusal that it is.
    fn into_error(self) -> SoftprobeError {
        let Response { status, body, .. } = self.response;
        RuntimeError::read(status, &body, self.url).into()
    }

    /// The answer as it may go on to somebody else.
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

    fn decide(&self, session: &str, request: &Request) -> Result<Option<Ruling>, SoftprobeError> {
        let answer = self.inject(Some(session), request, Vec::new())?;
        match answer.refusal().as_deref() {
            Some(UNKNOWN_SESSION) => return Ok(None),
            // The question is the proxy's own: that it is refused is no answer for the application.
            Some(_) => return Err(answer.into_error()),
            None => {}
        }
        let missed = answer.response.headers.contains(MISS_HEADER);
        let answer = match answer.response.status {
            200 => Answer::Mock {
                response: Arc::new(self.read_mock(&answer.response.body)?),
                latency: Duration::ZERO,
            },
            404 if answer.says(NO_MATCH) => Answer::Forward,
            // Another implementation's runtime: it has no word for what is missing.
            404 => return Ok(None),
            _ => Answer::Error(Arc::new(answer.into_response())),
        };
        Ok(Some(Ruling {
            answer,
            rule: None,
            nearest: None,
            records: !missed && self.captures(session)?,
        }))
    }

    fn record(&self, recording: &Recording<'_>) -> Result<(), SoftprobeError> {
        let answer = self.send("/v1/traces", &recording.document())?;
        // A session that is gone takes nothing, though the contract's answer is that of success.
        match answer.response.status {
            200..300 if answer.refusal().is_none() => Ok(()),
            _ => Err(answer.into_error()),
        }
    }

    fn note_uncorrelated(&self, request: &Request, reason: &str) -> Result<bool, SoftprobeError> {
        let answer = self.inject(None, request, vec![text_attribute(UNCORRELATED, reason)])?;
        // A runtime that takes no such note can't say whether the call may pass, so it does not.
        Ok(answer.response.status == 404 && answer.says(NO_MATCH))
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // A map is whole after every change.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
