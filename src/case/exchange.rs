//! One span as an HTTP exchange: the attribute vocabulary, and what is dropped before a replay.

use std::fmt;

use serde_json::Value;

use super::document::{Attribute, Faults};
use crate::http::{
    Direction, Headers, Request, Response, SESSION_HEADER, is_hop_by_hop, split_target, split_url,
};
use crate::otlp::json::{Any, decode_base64, field, id, integer, unsigned};
use crate::reader::Place;

const REQUEST_HEADER: &str = "http.request.header.";
const RESPONSE_HEADER: &str = "http.response.header.";

/// A span read as an HTTP exchange.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// Trace id, lower-case hex.
    pub trace_id: String,
    /// Span id, lower-case hex.
    pub span_id: String,
    /// The parent's span id, when there is a parent.
    pub parent_span_id: Option<String>,
    /// Which way it crossed the application, where the capture or the inbound search tells.
    pub direction: Option<Direction>,
    /// `sp.service.name`, else the resource's `service.name`.
    pub service: Option<String>,
    /// `sp.session.id`: the session that captured or asked.
    pub session_id: Option<String>,
    /// Start, nanoseconds since 1970; 0 when it was not captured.
    pub start_ns: u64,
    /// The request, its headers without pseudo-headers.
    pub request: Request,
    /// Whether the request's body was captured: an absent body is not an empty one.
    pub request_body_captured: bool,
    /// The span as it stands in the case document.
    pub span: Value,
    pub(super) kind: Kind,
    span_type: SpanType,
    request_body_is_bytes: bool,
    response: Result<CapturedResponse, MissingStatus>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Server,
    Client,
    Other,
    Unspecified,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SpanType {
    Extract,
    Inject,
    Other,
    None,
}

/// What was captured of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedResponse {
    /// The status code.
    pub status: u16,
    /// The headers in captured order, repeats kept, without pseudo-headers.
    pub headers: Headers,
    /// The body; `None` when it was not captured, which is not an empty body.
    pub body: Option<Vec<u8>>,
    /// Whether the body was captured as bytes, so that a `content-encoding` still describes it.
    pub body_is_bytes: bool,
}

impl CapturedResponse {
    /// The body as text, empty when there is none; bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.body.as_deref().unwrap_or_default()).into_owned()
    }

    /// The response as a mock may send it: without hop-by-hop headers, `content-length`, and a
    /// `content-encoding` that no longer holds.
    pub fn replayable(&self) -> Response {
        let Self {
            status,
            headers,
            body,
            body_is_bytes,
        } = self;
        let mut headers = headers.clone();
        headers.retain(|name| {
            !is_hop_by_hop(name)
                && !name.eq_ignore_ascii_case("content-length")
                && (*body_is_bytes || !name.eq_ignore_ascii_case("content-encoding"))
        });
        Response {
            status: *status,
            headers,
            body: body.clone().unwrap_or_default(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct MissingStatus {
    fault: String,
    /// Whether there is something of a response all the same.
    damaged: bool,
}

/// A span in a few words: what lookup errors list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanSummary {
    /// Trace id, lower-case hex.
    pub trace_id: String,
    /// Span id, lower-case hex.
    pub span_id: String,
    /// Request method.
    pub method: String,
    /// Request host, perhaps with a port.
    pub host: String,
    /// Request path with its query.
    pub path: String,
    /// Response status, where one was captured.
    pub status: Option<u16>,
}

impl fmt::Display for SpanSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trace_id: _,
            span_id,
            method,
            host,
            path,
            status,
        } = self;
        write!(f, "span {span_id}: {method} {host}{path}")?;
        match status {
            Some(status) => write!(f, " -> {status}"),
            None => write!(f, " -> no status"),
        }
    }
}

impl Exchange {
    /// Whether a lookup may find it: a span of type `extract` or `inject`; without a type, one with
    /// a method and a status.
    pub fn is_candidate(&self) -> bool {
        match self.span_type {
            SpanType::Extract | SpanType::Inject => true,
            SpanType::Other => false,
            SpanType::None => !self.request.method.is_empty() && self.response.is_ok(),
        }
    }

    /// Whether the span records an exchange: its type says `extract`.
    #[cfg(feature = "embedded")]
    pub(crate) fn is_extract(&self) -> bool {
        self.span_type == SpanType::Extract
    }

    /// Whether the span asks for an answer: its type says `inject`.
    #[cfg(feature = "embedded")]
    pub(crate) fn is_inject(&self) -> bool {
        self.span_type == SpanType::Inject
    }

    /// The span's attributes as plain JSON, in order.
    #[cfg(feature = "embedded")]
    pub(crate) fn attributes(&self) -> Vec<(String, Value)> {
        let attributes = field(&self.span, "attributes").and_then(Value::as_array);
        let attributes = attributes.map(Vec::as_slice).unwrap_or_default();
        attributes
            .iter()
            .filter_map(|attribute| {
                let key = attribute.get("key")?.as_str()?;
                let value = Any::read(field(attribute, "value")?).ok()?;
                Some((key.to_owned(), value.to_json()))
            })
            .collect()
    }

    /// The captured response.
    ///
    /// # Errors
    ///
    /// A message that names the span and the attribute, where the span has no status.
    pub fn response(&self) -> Result<&CapturedResponse, String> {
        self.response
            .as_ref()
            .map_err(|missing| format!("{}: {}", self.summary(), missing.fault))
    }

    /// The captured response; `None` where the capture has nothing of one.
    ///
    /// # Errors
    ///
    /// As [`Exchange::response`], where there is something of a response and no status.
    pub fn captured_response(&self) -> Result<Option<&CapturedResponse>, String> {
        match &self.response {
            Ok(response) => Ok(Some(response)),
            Err(missing) if !missing.damaged => Ok(None),
            Err(_) => self.response().map(Some),
        }
    }

    /// The span in a few words.
    pub fn summary(&self) -> SpanSummary {
        SpanSummary {
            trace_id: self.trace_id.clone(),
            span_id: self.span_id.clone(),
            method: self.request.method.clone(),
            host: self.request.host.clone(),
            path: self.request.target(),
            status: self.response.as_ref().ok().map(|r| r.status),
        }
    }

    pub(super) fn read(
        span: &Value,
        place: &Place,
        attributes: &[Attribute],
        resource: &[Attribute],
        faults: &mut Faults,
    ) -> Self {
        let words = Words(attributes);
        let kind = read_kind(field(span, "kind"));
        let direction = match words.text("sp.traffic.direction") {
            Some(name) => Direction::from_name(&name),
            None => match kind {
                Kind::Server => Some(Direction::Inbound),
                Kind::Client => Some(Direction::Outbound),
                Kind::Other | Kind::Unspecified => None,
            },
        };
        let (request_body, request_body_is_bytes) = words.body("http.request.body", faults);
        Self {
            trace_id: id(field(span, "traceId"), 16).unwrap_or_default(),
            span_id: id(field(span, "spanId"), 8).unwrap_or_default(),
            parent_span_id: id(field(span, "parentSpanId"), 8),
            direction,
            service: words
                .text("sp.service.name")
                .or_else(|| Words(resource).text("service.name")),
            session_id: words
                .text("sp.session.id")
                .or_else(|| Words(resource).text("sp.session.id")),
            start_ns: match field(span, "startTimeUnixNano") {
                None => 0,
                Some(value) => unsigned(value).unwrap_or_else(|| {
                    let place = place.key("startTimeUnixNano");
                    faults.add(&place, "expected nanoseconds since 1970");
                    0
                }),
            },
            request_body_captured: request_body.is_some(),
            request: words.request(request_body.unwrap_or_default()),
            span: span.clone(),
            kind,
            span_type: match words.text("sp.span.type").as_deref() {
                Some("extract") => SpanType::Extract,
                Some("inject") => SpanType::Inject,
                Some(_) => SpanType::Other,
                None => SpanType::None,
            },
            request_body_is_bytes,
            response: words.response(faults),
        }
    }
}

/// The request as it may be sent again: without hop-by-hop headers, `content-length`, `host`, and
/// what tied the captured request to its own session and trace.
pub fn replayable_request(exchange: &Exchange) -> Request {
    let mut request = exchange.request.clone();
    // Envoy stamps its own request id and a hop counter; an application's own id is data.
    let envoy = request.headers.contains("x-sp-num");
    request.headers.retain(|name| {
        let name = name.to_ascii_lowercase();
        !(is_hop_by_hop(&name)
            || name.starts_with("x-softprobe-")
            || ["content-length", "host", "traceparent", "tracestate"].contains(&name.as_str())
            || (envoy && name == "x-request-id")
            || (name == "content-encoding" && !exchange.request_body_is_bytes))
    });
    request
}

impl Exchange {
    /// Whether the captured request carried the header that only a first hop has.
    pub(super) fn has_session_header(&self) -> bool {
        self.request.headers.contains(SESSION_HEADER)
    }
}

fn read_kind(value: Option<&Value>) -> Kind {
    let Some(value) = value else {
        return Kind::Unspecified;
    };
    match (value.as_str(), integer(value)) {
        (Some("SPAN_KIND_SERVER"), _) | (_, Some(2)) => Kind::Server,
        (Some("SPAN_KIND_CLIENT"), _) | (_, Some(3)) => Kind::Client,
        (Some("SPAN_KIND_UNSPECIFIED"), _) | (_, Some(0)) => Kind::Unspecified,
        _ => Kind::Other,
    }
}

/// A span's attributes, asked by the vocabulary.
struct Words<'a>(&'a [Attribute]);

impl Words<'_> {
    fn find(&self, key: &str) -> Option<&Attribute> {
        self.0.iter().find(|a| a.key == key)
    }

    fn text(&self, key: &str) -> Option<String> {
        match &self.find(key)?.value {
            Any::List(values) => values.first().and_then(Any::text),
            other => other.text(),
        }
    }

    fn first(&self, keys: &[&str]) -> Option<String> {
        keys.iter()
            .find_map(|key| self.text(key).filter(|text| !text.is_empty()))
    }

    fn headers(&self, prefix: &str) -> Headers {
        let mut headers = Headers::new();
        for attribute in self.0 {
            let Some(name) = attribute.key.strip_prefix(prefix) else {
                continue;
            };
            if name.starts_with(':') || name.is_empty() {
                continue;
            }
            match &attribute.value {
                Any::List(values) => {
                    for value in values.iter().filter_map(Any::bytes) {
                        headers.push(name, value);
                    }
                }
                value => {
                    if let Some(value) = value.bytes() {
                        headers.push(name, value);
                    }
                }
            }
        }
        headers
    }

    /// The body, and whether it was captured as bytes.
    fn body(&self, key: &str, faults: &mut Faults) -> (Option<Vec<u8>>, bool) {
        let Some(Attribute { value, place, .. }) = self.find(key) else {
            return (None, false);
        };
        match value {
            Any::Bytes(bytes) => (Some(bytes.clone()), true),
            Any::Text(text) => match self.text(&format!("{key}.encoding")).as_deref() {
                Some("base64") => {
                    let bytes = decode_base64(text);
                    if bytes.is_none() {
                        faults.add(
                            place,
                            format!("{key}: {key}.encoding says base64, which this is not"),
                        );
                    }
                    (bytes, true)
                }
                _ => (Some(text.clone().into_bytes()), false),
            },
            Any::None => (None, false),
            _ => {
                let message = format!("{key}: a body is a stringValue or a bytesValue");
                faults.add(place, message);
                (None, false)
            }
        }
    }

    fn request(&self, body: Vec<u8>) -> Request {
        let full = self.text("url.full");
        let full = full.as_deref().and_then(split_url);
        let host = self
            .first(&[
                "url.host",
                "http.request.header.:authority",
                "http.request.header.host",
            ])
            .or_else(|| full.map(|(_, authority, _)| authority.to_owned()))
            .or_else(|| {
                let address = self.first(&["server.address"])?;
                Some(match self.first(&["server.port"]) {
                    Some(port) => format!("{address}:{port}"),
                    None => address,
                })
            })
            .or_else(|| self.first(&["http.host", "net.peer.name"]));
        let target = self
            .first(&["url.path", "http.request.header.:path", "http.target"])
            .or_else(|| full.map(|(_, _, target)| target.to_owned()))
            .unwrap_or_default();
        let (path, query) = split_target(&target);
        let query = self
            .first(&["url.query"])
            .or_else(|| query.map(str::to_owned));
        Request {
            method: self
                .first(&[
                    "http.request.method",
                    "http.request.header.:method",
                    "http.method",
                ])
                .unwrap_or_default(),
            scheme: self
                .first(&["url.scheme", "http.request.header.:scheme"])
                .or_else(|| full.map(|(scheme, _, _)| scheme.to_owned()))
                .unwrap_or_else(|| "http".to_owned()),
            host: host.unwrap_or_default(),
            path: if path.is_empty() { "/" } else { path }.to_owned(),
            query,
            headers: self.headers(REQUEST_HEADER),
            body,
        }
    }

    fn response(&self, faults: &mut Faults) -> Result<CapturedResponse, MissingStatus> {
        const STATUS: [&str; 3] = [
            "http.response.status_code",
            "http.response.header.:status",
            "http.status_code",
        ];
        let Some((key, text)) = STATUS.iter().find_map(|key| Some((key, self.text(key)?))) else {
            let captured = self.0.iter().any(|a| a.key.starts_with("http.response."));
            return Err(MissingStatus {
                fault: "has no http.response.status_code".to_owned(),
                damaged: captured,
            });
        };
        let Some(status) = text.trim().parse().ok().filter(|s| (100..1000).contains(s)) else {
            return Err(MissingStatus {
                fault: format!("{key}: `{text}` is not an HTTP status"),
                damaged: true,
            });
        };
        let (body, body_is_bytes) = self.body("http.response.body", faults);
        Ok(CapturedResponse {
            status,
            headers: self.headers(RESPONSE_HEADER),
            body,
            body_is_bytes,
        })
    }
}
