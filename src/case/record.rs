//! Writes exchanges as spans, with the attributes that the reader of cases expects.

use serde_json::{Value, json};

use super::exchange::{CUT_OFF, UNUSABLE};
use crate::base::encoding::encode_base64;
use crate::base::http::{Direction, Headers, Request, Response};

const REQUEST_BODY: &str = "http.request.body";
const RESPONSE_BODY: &str = "http.response.body";

/// The purpose of a span: `sp.span.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpanPurpose {
    /// Records an exchange.
    Extract,
    /// Asks for an answer, or carries one.
    Inject,
}

/// An exchange as a proxy saw it, to be written as a span.
#[derive(Debug, Clone)]
pub(crate) struct Recording<'a> {
    /// The purpose of the span.
    pub purpose: SpanPurpose,
    /// The session that the exchange belongs to, if any.
    pub session: Option<&'a str>,
    /// The direction in which it crossed the boundary of the application.
    pub direction: Direction,
    /// The trace id, in hex.
    pub trace_id: String,
    /// The span id, in hex.
    pub span_id: String,
    /// The parent's span id, in hex, if the request named one.
    pub parent_span_id: Option<String>,
    /// The start and end times, in nanoseconds since 1970.
    pub times_ns: (u64, u64),
    /// The request.
    pub request: &'a Request,
    /// The response, if there is one yet.
    pub response: Option<&'a Response>,
    /// The bodies that were not recorded.
    pub without: Without,
    /// Further attributes, as OTLP JSON.
    pub more: Vec<Value>,
}

/// The bodies of an exchange that were not recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Without {
    /// That of the request.
    pub(crate) request_body: bool,
    /// That of the response.
    pub(crate) response_body: bool,
}

/// Why an exchange got no response: `error.type`.
#[cfg(feature = "embedded")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorType {
    /// Nothing listens there.
    ConnectionRefused,
    /// The connection ended before the response.
    ConnectionReset,
    /// There was no response in time, or its client did not wait for it.
    Timeout,
    /// The host has no address.
    NameNotResolved,
    /// There was no TLS connection.
    Tls,
    /// Anything else.
    Other,
}

#[cfg(feature = "embedded")]
impl ErrorType {
    /// Returns the attribute's value.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ConnectionRefused => "connection_refused",
            Self::ConnectionReset => "connection_reset",
            Self::Timeout => "timeout",
            Self::NameNotResolved => "name_not_resolved",
            Self::Tls => "tls",
            Self::Other => "_OTHER",
        }
    }

    /// Returns the attribute.
    pub(crate) fn attribute(self) -> Value {
        text_attribute("error.type", self.name())
    }
}

impl Recording<'_> {
    /// Returns a trace document that holds only this span.
    pub(crate) fn document(&self) -> Value {
        document_of(self.span())
    }

    /// Returns the scope of recorded spans.
    pub(crate) fn scope() -> Value {
        json!({"name": "softprobe"})
    }

    /// Returns the span.
    pub(crate) fn span(&self) -> Value {
        let Self {
            purpose,
            session,
            direction,
            trace_id,
            span_id,
            parent_span_id,
            times_ns: (start, end),
            request,
            response,
            without,
            more,
        } = self;
        let kind = match direction {
            Direction::Inbound => 2,
            Direction::Outbound => 3,
        };
        let purpose = match purpose {
            SpanPurpose::Extract => "extract",
            SpanPurpose::Inject => "inject",
        };
        let mut attributes = vec![
            text_attribute("sp.traffic.direction", direction.name()),
            text_attribute("sp.span.type", purpose),
        ];
        attributes.extend(session.map(|id| text_attribute("sp.session.id", id)));
        attributes.extend(request_attributes(request));
        attributes.extend(response.iter().flat_map(|r| response_attributes(r)));
        attributes.retain(|attribute| match attribute["key"].as_str() {
            Some(REQUEST_BODY) => !without.request_body,
            Some(RESPONSE_BODY) => !without.response_body,
            _ => true,
        });
        attributes.extend(more.iter().cloned());
        let mut span = json!({
            "traceId": trace_id,
            "spanId": span_id,
            "name": format!("{} {}", request.method, request.path),
            "kind": kind,
            "startTimeUnixNano": start.to_string(),
            "endTimeUnixNano": end.to_string(),
            "attributes": attributes,
        });
        if let Some(parent) = parent_span_id {
            span["parentSpanId"] = parent.as_str().into();
        }
        span
    }
}

/// Returns a trace document that holds only this span.
pub(crate) fn document_of(span: Value) -> Value {
    json!({"resourceSpans": [{"scopeSpans": [{"scope": Recording::scope(), "spans": [span]}]}]})
}

/// Returns an attribute whose value is text.
pub(crate) fn text_attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// Returns the attribute that says why an exchange can't be replayed.
#[cfg(feature = "embedded")]
pub(crate) fn unusable(why: &str) -> Value {
    text_attribute(UNUSABLE, why)
}

/// Returns the attribute that says that a response's body broke off, or that its client went away before its end.
#[cfg(feature = "embedded")]
pub(crate) fn cut_off() -> Value {
    json!({"key": CUT_OFF, "value": {"boolValue": true}})
}

fn request_attributes(request: &Request) -> Vec<Value> {
    let Request {
        method,
        scheme,
        host,
        path,
        query,
        headers,
        body,
        unread: _,
    } = request;
    let mut attributes = vec![
        text_attribute("http.request.method", method),
        text_attribute("url.scheme", scheme),
        text_attribute("url.host", host),
        // A bare `?` at the end is not a query, but it is part of the target.
        match query.as_deref() {
            Some("") => text_attribute("url.path", &format!("{path}?")),
            _ => text_attribute("url.path", path),
        },
    ];
    let query = query.iter().filter(|query| !query.is_empty());
    attributes.extend(query.map(|query| text_attribute("url.query", query)));
    attributes.extend(header_attributes("http.request.header.", headers));
    attributes.push(body_attribute(REQUEST_BODY, headers, body));
    attributes
}

/// Returns a response's attributes, as a span carries them.
pub(crate) fn response_attributes(response: &Response) -> Vec<Value> {
    let Response {
        status,
        headers,
        body,
        trailers,
    } = response;
    let mut attributes = vec![json!({
        "key": "http.response.status_code",
        "value": {"intValue": status.to_string()},
    })];
    attributes.extend(header_attributes("http.response.header.", headers));
    attributes.push(body_attribute(RESPONSE_BODY, headers, body));
    attributes.extend(header_attributes("http.response.trailer.", trailers));
    attributes
}

fn header_attributes(prefix: &str, headers: &Headers) -> Vec<Value> {
    headers
        .names()
        .into_iter()
        .map(|name| {
            let mut values: Vec<Value> = headers.all(&name).map(any_value).collect();
            let value = match values.len() {
                1 => values.remove(0),
                _ => json!({"arrayValue": {"values": values}}),
            };
            json!({"key": format!("{prefix}{name}"), "value": value})
        })
        .collect()
}

/// Returns a body's attribute. An encoded body is written as bytes even if it happens to be UTF-8: as text
/// it would lose its `content-encoding` when it is replayed.
fn body_attribute(key: &str, headers: &Headers, body: &[u8]) -> Value {
    let encoded = headers
        .text("content-encoding")
        .is_some_and(|coding| !coding.trim().eq_ignore_ascii_case("identity"));
    let value = if encoded && !body.is_empty() {
        json!({"bytesValue": encode_base64(body)})
    } else {
        any_value(body)
    };
    json!({"key": key, "value": value})
}

fn any_value(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({"stringValue": text}),
        Err(_) => json!({"bytesValue": encode_base64(bytes)}),
    }
}
