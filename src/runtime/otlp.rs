//! The part of the HTTP API that proxies use: `/v1/inject` and `/v1/traces`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::session::Asked;
use super::state::EmbeddedRuntime;
use crate::base::http::{Direction, FAILURE_HEADER, Failure, Headers, Response};
use crate::case::{
    Exchange, ScopedSpan, document_of, read_spans, response_attributes, text_attribute,
};
use crate::control::{
    ControlError, DELAY_HEADER, NO_MATCH, OWN_DELAY, PROTOBUF, REFUSED, Ruling, UNCORRELATED,
};
use crate::otlp::{check_json, check_protobuf, decode, encode};
use crate::rule::{Answer, strict_miss};

/// The encoding of a trace document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WireFormat {
    Protobuf,
    Json,
}

impl WireFormat {
    /// Returns the format with that media type, if any.
    fn of(media_type: &str) -> Option<Self> {
        let name = media_type.split(';').next().unwrap_or_default();
        match name.trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" | "application/protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// Returns the formats of a request and of its answer: that of `Content-Type`, and the first known one in
/// `Accept`, or the request's own if there is none.
///
/// # Errors
///
/// 400 if the content type is not one of OTLP's.
fn wire_format(headers: &Headers) -> Result<(WireFormat, WireFormat), ControlError> {
    let given = headers.text("content-type").unwrap_or_default();
    let given = WireFormat::of(&given).ok_or_else(|| {
        ControlError::invalid(format!(
            "content-type: `{given}` is not OTLP; send {PROTOBUF} or application/json"
        ))
    })?;
    let accept = headers.text("accept").unwrap_or_default();
    let wanted = accept.split(',').find_map(WireFormat::of);
    Ok((given, wanted.unwrap_or(given)))
}

/// Parses a body and returns the spans of its trace document.
///
/// # Errors
///
/// 400, with the place that can't be parsed; 413 if it would take too much memory.
fn parse(format: WireFormat, body: &[u8]) -> Result<Vec<ScopedSpan>, ControlError> {
    match format {
        WireFormat::Protobuf => check_protobuf(body),
        WireFormat::Json => check_json(body),
    }
    .map_err(|why| ControlError::new(413, "payload_too_large", why.to_string()))?;
    let document = match format {
        WireFormat::Protobuf => decode(body).map_err(ControlError::invalid)?,
        WireFormat::Json => serde_json::from_slice(body)
            .map_err(|error| ControlError::invalid(format!("the body is not JSON: {error}")))?,
    };
    read_spans(document).map_err(|e| ControlError::invalid(e.to_string()))
}

/// An answer to `/v1/inject`, to be sent after a delay.
#[derive(Debug)]
pub(super) struct Injected {
    pub(super) response: Arc<Response>,
    pub(super) latency: Duration,
}

impl Injected {
    fn at_once(response: impl Into<Arc<Response>>) -> Self {
        Self {
            response: response.into(),
            latency: Duration::ZERO,
        }
    }
}

/// Answers `/v1/inject`: the first span of type `inject` is the question.
pub(super) fn inject(
    runtime: &EmbeddedRuntime,
    headers: &Headers,
    body: &[u8],
) -> Result<Injected, ControlError> {
    let (given, wanted) = wire_format(headers)?;
    let spans = parse(given, body)?;
    let mut exchanges = spans.iter().map(|span| &span.exchange);
    let question = exchanges.find(|x| x.is_inject()).ok_or_else(|| {
        ControlError::invalid(
            "no span has sp.span.type = inject; send the call in a span of that type",
        )
    })?;
    let attributes = question.attributes();
    let request = &question.request;
    let reason = attributes.iter().find(|(name, _)| name == UNCORRELATED);
    let reason = reason.and_then(|(_, value)| value.as_str());
    let is_refused =
        question.session_id.is_some() || attributes.iter().any(|(name, _)| name == REFUSED);
    if let (true, Some(reason)) = (is_refused, reason) {
        let session = question.session_id.as_deref();
        runtime.refused(session, request, reason);
        return Ok(Injected::at_once(strict_miss(
            request,
            session.unwrap_or_default(),
        )));
    }
    let Some(session) = &question.session_id else {
        let Some(reason) = reason else {
            return Err(ControlError::invalid(
                "the inject span has no sp.session.id; add the id of the session to ask",
            ));
        };
        return Ok(Injected::at_once(
            match runtime.uncorrelated(request, reason) {
                true => no_match(),
                false => strict_miss(request, ""),
            },
        ));
    };
    let shared = Arc::new(request.clone());
    let asked = Asked {
        request: &shared,
        direction: question.direction.unwrap_or(Direction::Outbound),
        service: question.service.as_deref(),
        attributes: &attributes,
    };
    let Ruling { answer, .. } = runtime.ask(session, &asked)?;
    log::debug!("session {session}: inject {request} -> {}", answer.word());
    Ok(match answer {
        Answer::Mock { response, latency } => {
            let mut told = as_mock(question, &response, wanted)?;
            let asker_waits = headers
                .text(DELAY_HEADER)
                .is_some_and(|value| value == OWN_DELAY);
            if asker_waits && !latency.is_zero() {
                told.headers
                    .push(DELAY_HEADER, latency.as_millis().to_string());
            }
            Injected {
                response: told.into(),
                latency: if asker_waits { Duration::ZERO } else { latency },
            }
        }
        Answer::Forward => Injected::at_once(no_match()),
        Answer::Error(response) => Injected::at_once(as_error(question, response, wanted)?),
        Answer::Fault(failure, response) => {
            // A proxy that does not know the header gets an error, or the whole answer.
            let mut told = match failure {
                Failure::Truncated => as_mock(question, &response, wanted)?,
                _ => Response {
                    status: 502,
                    ..Response::default()
                },
            };
            told.headers.push(FAILURE_HEADER, failure.name());
            Injected::at_once(told)
        }
        Answer::Miss => {
            let miss = strict_miss(request, session).into();
            Injected::at_once(as_error(question, miss, wanted)?)
        }
    })
}

fn no_match() -> Response {
    Response {
        status: 404,
        headers: Headers::from_iter([("content-type", "application/json")]),
        body: json!({"error": NO_MATCH}).to_string().into_bytes(),
        trailers: Headers::new(),
    }
}

/// Returns an error's response unchanged, unless its status would make a proxy mistake it for a mock or for no
/// match; then it is sent as a mock.
fn as_error(
    question: &Exchange,
    response: Arc<Response>,
    wanted: WireFormat,
) -> Result<Arc<Response>, ControlError> {
    if (200..300).contains(&response.status) || response.status == 404 {
        return as_mock(question, &response, wanted).map(Arc::new);
    }
    Ok(response)
}

fn as_mock(
    question: &Exchange,
    response: &Response,
    wanted: WireFormat,
) -> Result<Response, ControlError> {
    let mut attributes = vec![text_attribute("sp.span.type", "inject")];
    attributes.extend(
        question
            .session_id
            .iter()
            .map(|id| text_attribute("sp.session.id", id)),
    );
    attributes.extend(response_attributes(response));
    let document = document_of(json!({
        "traceId": question.trace_id,
        "spanId": question.span_id,
        "name": "inject",
        "attributes": attributes,
    }));
    let (content_type, body) = match wanted {
        WireFormat::Json => ("application/json", document.to_string().into_bytes()),
        // The ids are echoed from the question, so a malformed one is the question's fault.
        WireFormat::Protobuf => (
            PROTOBUF,
            encode(&document).map_err(|e| ControlError::invalid(e.to_string()))?,
        ),
    };
    Ok(Response {
        status: 200,
        headers: Headers::from_iter([("content-type", content_type)]),
        body,
        trailers: Headers::new(),
    })
}

/// Answers `/v1/traces`: hands the spans of type `extract` to their sessions. A message without such a span is somebody's
/// telemetry, and is dropped.
///
/// # Errors
///
/// The first refusal of a span, after all were tried: 404 if its session is not open, 400 if it names none.
pub(super) fn traces(
    runtime: &EmbeddedRuntime,
    headers: &Headers,
    body: &[u8],
) -> Result<Response, ControlError> {
    let (given, _) = wire_format(headers)?;
    keep(runtime, parse(given, body)?)?;
    Ok(Response {
        status: 204,
        ..Response::default()
    })
}

/// Hands each span to its session and returns the first refusal, but only after trying every span.
fn keep(runtime: &EmbeddedRuntime, spans: Vec<ScopedSpan>) -> Result<(), ControlError> {
    let mut kept = Ok(());
    for span in spans.into_iter().filter(|span| span.exchange.is_extract()) {
        kept = kept.and(match span.exchange.session_id.clone() {
            Some(session) => runtime.extract(&session, span.into()),
            None => Err(ControlError::invalid(
                "an extract span has no sp.session.id; add the id of the session that captures it",
            )),
        });
    }
    kept
}
