//! The proxy side: `/v1/inject` and `/v1/traces`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::session::Asked;
use super::state::EmbeddedRuntime;
use crate::base::http::{Direction, Headers, Response};
use crate::case::{
    Exchange, ScopedSpan, document_of, read_spans, response_attributes, text_attribute,
};
use crate::control::{ControlError, NO_MATCH, PROTOBUF, REFUSAL_HEADER, Ruling, UNCORRELATED};
use crate::error::UNKNOWN_SESSION;
use crate::otlp::{decode, encode};
use crate::rule::{Answer, strict_miss};

/// How a trace document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WireFormat {
    Protobuf,
    Json,
}

impl WireFormat {
    /// The format of that media type.
    fn of(media_type: &str) -> Option<Self> {
        let name = media_type.split(';').next().unwrap_or_default();
        match name.trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" | "application/protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// The formats of a request and of its answer: `Content-Type`, and the first of `Accept` that is known.
///
/// # Errors
///
/// 400 for a content type that is not OTLP's.
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

/// The spans of the trace document in a body.
///
/// # Errors
///
/// 400 that says where it does not parse.
fn parse(format: WireFormat, body: &[u8]) -> Result<Vec<ScopedSpan>, ControlError> {
    let document = match format {
        WireFormat::Protobuf => decode(body).map_err(ControlError::invalid)?,
        WireFormat::Json => serde_json::from_slice(body)
            .map_err(|error| ControlError::invalid(format!("the body is not JSON: {error}")))?,
    };
    read_spans(document).map_err(|e| ControlError::invalid(e.to_string()))
}

/// An answer to `/v1/inject`, to be given after a while.
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
            "there is no span with sp.span.type = inject, so that nothing is asked",
        )
    })?;
    let attributes = question.attributes();
    let request = &question.request;
    let Some(session) = &question.session_id else {
        let reason = attributes.iter().find(|(name, _)| name == UNCORRELATED);
        let Some(reason) = reason.and_then(|(_, value)| value.as_str()) else {
            return Err(ControlError::invalid(
                "the inject span has no sp.session.id, so that no session can be asked",
            ));
        };
        return Ok(Injected::at_once(
            match runtime.uncorrelated(request, reason) {
                true => no_match(),
                false => strict_miss(request, ""),
            },
        ));
    };
    let asked = Asked {
        request,
        direction: question.direction.unwrap_or(Direction::Outbound),
        service: question.service.as_deref(),
        attributes: &attributes,
    };
    let Ruling { answer, .. } = runtime.ask(session, &asked)?;
    log::debug!("session {session}: inject {request} -> {}", answer.word());
    Ok(match answer {
        Answer::Mock { response, latency } => Injected {
            response: as_mock(question, &response, wanted)?.into(),
            latency,
        },
        Answer::Forward => Injected::at_once(no_match()),
        Answer::Error(response) => Injected::at_once(as_error(question, response, wanted)?),
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
    }
}

/// An error goes out as it is, unless a proxy would take its status for that of a mock or of no match.
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
        // Ids are echoed; one that is no id would have been a fault of the question.
        WireFormat::Protobuf => (
            PROTOBUF,
            encode(&document).map_err(|e| ControlError::invalid(e.to_string()))?,
        ),
    };
    Ok(Response {
        status: 200,
        headers: Headers::from_iter([("content-type", content_type)]),
        body,
    })
}

/// Answers `/v1/traces`: spans of type `extract` go to their sessions. Those of sessions that are not open are
/// dropped, and whoever asks may hear that.
pub(super) fn traces(
    runtime: &EmbeddedRuntime,
    headers: &Headers,
    body: &[u8],
) -> Result<Response, ControlError> {
    let (given, _) = wire_format(headers)?;
    let mut response = Response {
        status: 204,
        ..Response::default()
    };
    match keep(runtime, parse(given, body)?) {
        Err(error) if error.code == UNKNOWN_SESSION => {
            response.headers.push(REFUSAL_HEADER, UNKNOWN_SESSION);
        }
        kept => kept?,
    }
    Ok(response)
}

/// Hands each span to its session; the first refusal, after all of them.
fn keep(runtime: &EmbeddedRuntime, spans: Vec<ScopedSpan>) -> Result<(), ControlError> {
    let mut kept = Ok(());
    for span in spans.into_iter().filter(|span| span.exchange.is_extract()) {
        if let Some(session) = span.exchange.session_id.clone() {
            kept = kept.and(runtime.extract(&session, span.into()));
        }
    }
    kept
}
