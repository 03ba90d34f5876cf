//! Reads a span as an HTTP exchange: which attributes hold what, and what is left out of a replay.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use thiserror::Error;

use super::attribute::Attributes;
use super::fault::Faults;
use super::source::Source;
use crate::base::document::Way;
use crate::base::http::{
    Direction, Failure, Headers, Request, Response, SESSION_HEADER, is_hop_by_hop, split_target,
    split_url,
};
use crate::base::json::Json;
#[cfg(feature = "embedded")]
use crate::otlp::json::Any;
use crate::otlp::json::{field, id, integer, unsigned};

const REQUEST_HEADER: &str = "http.request.header.";
const RESPONSE_HEADER: &str = "http.response.header.";
/// The attribute of a response whose body is not whole.
pub(super) const CUT_OFF: &str = "sp.response.cut_off";
/// The attribute of an exchange that was not recorded whole, with the reason.
pub(super) const UNUSABLE: &str = "sp.recording.unusable";

/// The attributes that may hold the status, the first of which counts.
pub(crate) const STATUS_KEYS: [&str; 3] = [
    "http.response.status_code",
    "http.response.header.:status",
    "http.status_code",
];
/// The attributes that may hold the query of a request.
#[cfg(feature = "runner")]
pub(crate) const URL_KEYS: [&str; 6] = [
    "url.query",
    "url.full",
    "http.url",
    "url.path",
    "http.request.header.:path",
    "http.target",
];

/// A captured HTTP exchange, read from a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// The trace id, in lower-case hex.
    pub trace_id: String,
    /// The span id, in lower-case hex.
    pub span_id: String,
    /// The parent's span id, if any.
    pub parent_span_id: Option<String>,
    /// The direction, if the span gives one or the case identifies the exchange as its inbound one.
    pub direction: Option<Direction>,
    /// The service: `sp.service.name`, or else the resource's `service.name`, if any.
    pub service: Option<String>,
    /// The session that recorded the exchange or asked for its answer, `sp.session.id`, if any.
    pub session_id: Option<String>,
    /// The start time, in nanoseconds since 1970; 0 if it was not captured.
    pub start_ns: u64,
    /// The end time, in nanoseconds since 1970; 0 if it was not captured.
    pub end_ns: u64,
    /// The request; its headers contain no pseudo-headers.
    pub request: Request,
    request_body_captured: bool,
    span: Span,
    pub(super) kind: Kind,
    span_type: SpanType,
    request_body_is_bytes: bool,
    response: Result<CapturedResponse, MissingStatus>,
    /// Whether the response's body ended before it was whole.
    is_cut_off: bool,
    /// Why it can't be replayed, if whoever recorded it says so.
    unusable: Option<String>,
    /// `error.type`, if the exchange got no response.
    error: Option<String>,
}

/// A span, by its place in a document that it shares with others.
#[derive(Clone, PartialEq)]
pub(super) struct Span {
    source: Arc<Source>,
    /// The place, as a JSON pointer.
    at: Box<str>,
}

impl Span {
    /// Returns the span at that place in the document.
    pub(super) fn at(source: &Arc<Source>, way: &Way<'_>) -> Self {
        Self {
            source: Arc::clone(source),
            at: way.pointer().into(),
        }
    }

    fn value(&self) -> &Value {
        // The pointer was made while the document was read, and a shared document does not change.
        self.source
            .document()
            .pointer(&self.at)
            .unwrap_or(&Value::Null)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Span({})", self.at)
    }
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

/// A captured response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CapturedResponse {
    /// The status code.
    pub status: u16,
    /// The headers in captured order, including repeated ones but no pseudo-headers.
    pub headers: Headers,
    /// The body; `None` if it was not captured, as opposed to being empty.
    pub body: Option<Vec<u8>>,
    /// Whether the body was captured as bytes, so that its `content-encoding` still applies.
    pub body_is_bytes: bool,
    /// The header fields that followed the body: `http.response.trailer.<name>`.
    pub trailers: Headers,
}

impl CapturedResponse {
    /// Returns the body as text, empty if there is none; bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.body.as_deref().unwrap_or_default()).into_owned()
    }

    /// Returns the response as a mock can send it: without hop-by-hop headers, a `content-encoding` that no
    /// longer applies, and, unless the body is empty, `content-length`. It is sent in answer to a `HEAD`
    /// only; any other answer has the length of its body.
    pub fn replayable(&self) -> Response {
        let Self {
            status,
            headers,
            body,
            body_is_bytes,
            trailers,
        } = self;
        let mut headers = headers.clone();
        // Without a body it is the length of another answer's, as for `HEAD`.
        let has_length = body.as_ref().is_none_or(Vec::is_empty);
        headers.retain(|name| {
            !is_hop_by_hop(name)
                && (has_length || !name.eq_ignore_ascii_case("content-length"))
                && (*body_is_bytes || !name.eq_ignore_ascii_case("content-encoding"))
        });
        Response {
            status: *status,
            headers,
            body: body.clone().unwrap_or_default(),
            trailers: trailers.clone(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct MissingStatus {
    fault: Fault,
    /// Whether other parts of a response were captured.
    damaged: bool,
}

/// A span from which no response can be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{span}: {fault}")]
pub struct NoResponse {
    span: Box<SpanSummary>,
    fault: Fault,
}

impl NoResponse {
    /// Returns a summary of the span.
    pub fn span(&self) -> &SpanSummary {
        &self.span
    }
}

/// What is wrong with a span's status.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
enum Fault {
    #[error("has no http.response.status_code")]
    NoStatus,
    #[error("{attribute}: `{text}` is not an HTTP status")]
    BadStatus {
        attribute: &'static str,
        text: String,
    },
}

/// A summary of a span, as lookup errors list it:
/// `span b7ad6b7169203331: GET api.example/items?page=2 -> 200`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpanSummary {
    /// The trace id, in lower-case hex.
    pub trace_id: String,
    /// The span id, in lower-case hex.
    pub span_id: String,
    /// The request's method.
    pub method: String,
    /// The request's host, with a port if one was given.
    pub host: String,
    /// The request's path with its query.
    pub path: String,
    /// The response's status, if one was captured.
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
    /// Returns whether a lookup can find it, which requires a span of type `extract` or `inject` or, if
    /// the span has no type, a method and a status.
    pub(crate) fn is_candidate(&self) -> bool {
        match self.span_type {
            SpanType::Extract | SpanType::Inject => true,
            SpanType::Other => false,
            SpanType::None => !self.request.method.is_empty() && self.response.is_ok(),
        }
    }

    /// Returns the span as written in its document.
    pub fn span(&self) -> &Value {
        self.span.value()
    }

    /// Returns whether the span records an exchange: its type is `extract`.
    #[cfg(feature = "embedded")]
    pub(crate) fn is_extract(&self) -> bool {
        self.span_type == SpanType::Extract
    }

    /// Returns whether the span asks for an answer: its type is `inject`.
    #[cfg(feature = "embedded")]
    pub(crate) fn is_inject(&self) -> bool {
        self.span_type == SpanType::Inject
    }

    /// Returns the span's attributes as plain JSON, in order.
    #[cfg(feature = "embedded")]
    pub(crate) fn attributes(&self) -> Vec<(String, Value)> {
        let attributes = field(self.span(), "attributes").and_then(Value::as_array);
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

    /// Returns the body of the request; `None` if it was not captured, which is not the same as an empty body.
    pub fn request_body(&self) -> Option<&[u8]> {
        self.request_body_captured
            .then_some(self.request.body.as_slice())
    }

    /// Returns whether the body of the request was captured as bytes, so that its `content-encoding` still applies.
    #[cfg(feature = "runner")]
    pub(crate) fn request_body_is_bytes(&self) -> bool {
        self.request_body_is_bytes
    }

    /// Returns the place of the span in its document, as a JSON pointer.
    #[cfg(feature = "runner")]
    pub(crate) fn pointer(&self) -> &str {
        &self.span.at
    }

    /// Returns the captured response.
    ///
    /// # Errors
    ///
    /// [`NoResponse`] when the span has no status, or one that is not an HTTP status.
    pub fn response(&self) -> Result<&CapturedResponse, NoResponse> {
        self.response.as_ref().map_err(|missing| NoResponse {
            span: Box::new(self.summary()),
            fault: missing.fault.clone(),
        })
    }

    /// Returns how the exchange failed, if it got no response and a client behind a proxy can see how: a reset, or no
    /// answer in time. For any other `error.type`, the response is the 502 of a proxy.
    pub fn failure(&self) -> Option<Failure> {
        let kind = self.error.as_deref()?.to_ascii_lowercase();
        match () {
            () if kind.contains("reset") => Some(Failure::Reset),
            () if ["timeout", "timed_out", "timedout"]
                .iter()
                .any(|word| kind.contains(word)) =>
            {
                Some(Failure::Timeout)
            }
            () => None,
        }
    }

    /// Returns the captured response; `None` if no part of one was captured.
    ///
    /// # Errors
    ///
    /// As [`Exchange::response`], when other parts of a response were captured.
    pub fn captured_response(&self) -> Result<Option<&CapturedResponse>, NoResponse> {
        match &self.response {
            Ok(_) => Ok(self.own_response()),
            Err(missing) if !missing.damaged => Ok(None),
            Err(_) => self.response().map(Some),
        }
    }

    /// Returns the response that the call got, if it got one that can be read.
    fn own_response(&self) -> Option<&CapturedResponse> {
        let response = self.response.as_ref().ok();
        response.filter(|_| self.error.is_none())
    }

    /// Returns a summary of the span.
    pub fn summary(&self) -> SpanSummary {
        SpanSummary {
            trace_id: self.trace_id.clone(),
            span_id: self.span_id.clone(),
            method: self.request.method.clone(),
            host: self.request.host.clone(),
            path: self.request.target(),
            status: self.own_response().map(|response| response.status),
        }
    }

    pub(super) fn read<'a, J: Json<'a>>(
        raw: J,
        span: Span,
        way: &Way<'_>,
        words: &Attributes<'_>,
        resource: &Attributes<'_>,
        faults: &mut Faults,
    ) -> Self {
        let kind = read_kind(field(raw, "kind"));
        let direction = match words.text("sp.traffic.direction") {
            Some(name) => name.parse().ok(),
            None => match kind {
                Kind::Server => Some(Direction::Inbound),
                Kind::Client => Some(Direction::Outbound),
                Kind::Other | Kind::Unspecified => None,
            },
        };
        let (request_body, request_body_is_bytes) = words.body("http.request.body", way, faults);
        let error = words.text("error.type").filter(|_| {
            !words.has_prefix("http.response.") && words.text("http.status_code").is_none()
        });
        Self {
            trace_id: id(field(raw, "traceId"), 16).unwrap_or_default(),
            span_id: id(field(raw, "spanId"), 8).unwrap_or_default(),
            parent_span_id: id(field(raw, "parentSpanId"), 8),
            direction,
            service: words
                .text("sp.service.name")
                .or_else(|| resource.text("service.name")),
            session_id: words
                .text("sp.session.id")
                .or_else(|| resource.text("sp.session.id")),
            start_ns: match field(raw, "startTimeUnixNano") {
                None => 0,
                Some(value) => unsigned(value).unwrap_or_else(|| {
                    let way = way.key("startTimeUnixNano");
                    faults.add(&way, "expected nanoseconds since 1970");
                    0
                }),
            },
            // An end that can't be read is one that was not captured: nothing is judged by it.
            end_ns: field(raw, "endTimeUnixNano")
                .and_then(unsigned)
                .unwrap_or_default(),
            request_body_captured: request_body.is_some(),
            request: request_of(words, kind, request_body.unwrap_or_default()),
            kind,
            span_type: match words.text("sp.span.type").as_deref() {
                Some("extract") => SpanType::Extract,
                Some("inject") => SpanType::Inject,
                Some(_) => SpanType::Other,
                None => SpanType::None,
            },
            request_body_is_bytes,
            is_cut_off: words.text(CUT_OFF).is_some_and(|word| word == "true"),
            unusable: words.text(UNUSABLE),
            response: match &error {
                Some(kind) => Ok(failed(kind)),
                None => response_of(words, way, faults),
            },
            error,
            span,
        }
    }
}

/// Returns the answer of a proxy to a call that failed like this: the same when it is recorded and when it is replayed.
pub(crate) fn no_answer(kind: &str) -> Response {
    let text = format!("softprobe: the call got no answer: {kind}\n");
    Response {
        status: 502,
        headers: Headers::from_iter([("content-type", "text/plain; charset=utf-8")]),
        body: text.into_bytes(),
        trailers: Headers::new(),
    }
}

fn failed(kind: &str) -> CapturedResponse {
    let Response {
        status,
        headers,
        body,
        trailers,
    } = no_answer(kind);
    CapturedResponse {
        status,
        headers,
        body: Some(body),
        body_is_bytes: false,
        trailers,
    }
}

impl Exchange {
    /// Returns the captured request as it can be sent again: without hop-by-hop headers, `content-length`,
    /// `host`, a `content-encoding` that no longer applies, and the headers that tied it to its own session
    /// and trace. Several `cookie` fields become one.
    pub fn replayable_request(&self) -> Request {
        let mut request = self.request.clone();
        // Envoy adds a request id and a hop counter; an application's own request id is data.
        let envoy = request.headers.contains("x-sp-num");
        request.headers.retain(|name| {
            let name = name.to_ascii_lowercase();
            !(is_hop_by_hop(&name)
                || name.starts_with("x-softprobe-")
                || ["content-length", "host", "traceparent", "tracestate"].contains(&name.as_str())
                || (envoy && name == "x-request-id")
                || (name == "content-encoding" && !self.request_body_is_bytes))
        });
        // HTTP/2 sends a cookie in several fields, HTTP/1.1 in one (RFC 9113, 8.2.3).
        let cookies: Vec<&[u8]> = request.headers.all("cookie").collect();
        if cookies.len() > 1 {
            let joined = cookies.join(&b"; "[..]);
            request.headers.set("cookie", joined);
        }
        request
    }

    /// Returns what to say about bodies that are shorter than their headers say. Instrumentations cut long ones off.
    pub(super) fn truncated(&self) -> Vec<String> {
        let request = self
            .request_body()
            .map(|body| (&self.request.headers, body));
        let response = self.own_response();
        let response =
            response.filter(|response| response.status != 304 && self.request.method != "HEAD");
        let response =
            response.and_then(|response| Some((&response.headers, response.body.as_deref()?)));
        let bodies = [("request", request), ("response", response)];
        let cut_off = bodies.into_iter().filter_map(|(which, message)| {
            let (headers, body) = message?;
            let length: usize = headers.text("content-length")?.trim().parse().ok()?;
            // A decoded body has another length.
            let is_cut_off = body.len() < length && !headers.contains("content-encoding");
            is_cut_off.then(|| {
                format!(
                    "{}: the body of the {which} is cut off: it has {} of {length} bytes; capture it whole, or don't rely on it",
                    self.summary(),
                    body.len()
                )
            })
        });
        let ended = self.is_cut_off.then(|| {
            format!(
                "{}: the body of the response is cut off: its client went away or its server broke off before its end; \
                 capture it whole, or don't rely on it",
                self.summary()
            )
        });
        cut_off.chain(ended).collect()
    }

    /// Returns `error.type`, if the exchange got no response.
    pub fn error_type(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Returns why the exchange can't be replayed, if whoever recorded it says so: a body was too large, for example.
    pub fn unusable(&self) -> Option<&str> {
        self.unusable.as_deref()
    }

    /// Returns whether the response's body ended before it was whole: its client went away, or its server broke off.
    pub(super) fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }

    /// Returns whether the captured request has the session header, which only a first hop carries.
    pub(super) fn has_session_header(&self) -> bool {
        self.request.headers.contains(SESSION_HEADER)
    }
}

fn read_kind<'a>(value: Option<impl Json<'a>>) -> Kind {
    let Some(value) = value else {
        return Kind::Unspecified;
    };
    match (value.text(), integer(value)) {
        (Some("SPAN_KIND_SERVER"), _) | (_, Some(2)) => Kind::Server,
        (Some("SPAN_KIND_CLIENT"), _) | (_, Some(3)) => Kind::Client,
        (Some("SPAN_KIND_UNSPECIFIED"), _) | (_, Some(0)) => Kind::Unspecified,
        _ => Kind::Other,
    }
}

/// Returns the request that the attributes describe.
fn request_of(words: &Attributes<'_>, kind: Kind, body: Vec<u8>) -> Request {
    // The URL of a client's span, in the newer and the older conventions of OpenTelemetry.
    let urls: Vec<String> = ["url.full", "http.url"]
        .iter()
        .filter_map(|key| words.text(key))
        .collect();
    let mut urls = urls.iter().filter_map(|url| split_url(url));
    let full = urls.next();
    let host = words
        .first(&[
            "url.host",
            "http.request.header.:authority",
            "http.request.header.host",
        ])
        .or_else(|| full.map(|(_, authority, _)| authority.to_owned()))
        .or_else(|| server_address(words))
        .or_else(|| words.first(&["http.host"]))
        // Of a server's span it is the caller.
        .or_else(|| {
            words
                .first(&["net.peer.name"])
                .filter(|_| kind == Kind::Client)
        });
    let target = words
        .first(&["url.path", "http.request.header.:path", "http.target"])
        .or_else(|| full.map(|(_, _, target)| target.to_owned()))
        .unwrap_or_default();
    let (path, query) = split_target(&target);
    let query = words
        .first(&["url.query"])
        .or_else(|| query.map(str::to_owned));
    Request {
        method: method_of(words).unwrap_or_default(),
        scheme: words
            .first(&["url.scheme", "http.request.header.:scheme"])
            .or_else(|| full.map(|(scheme, _, _)| scheme.to_owned()))
            .or_else(|| words.first(&["http.scheme"]))
            .unwrap_or_else(|| "http".to_owned()),
        host: host.unwrap_or_default(),
        path: if path.is_empty() { "/" } else { path }.to_owned(),
        query,
        headers: words.headers(REQUEST_HEADER),
        body,
        unread: false,
    }
}

/// Returns the method. OpenTelemetry names one that it does not know `_OTHER`, and keeps what was sent.
fn method_of(words: &Attributes<'_>) -> Option<String> {
    const METHOD: &str = "http.request.method";
    let given = words.first(&[METHOD]).filter(|method| method != "_OTHER");
    given.or_else(|| {
        words.first(&[
            "http.request.method_original",
            "http.request.header.:method",
            "http.method",
        ])
    })
}

/// Returns the host and port of `server.address` and `server.port`.
fn server_address(words: &Attributes<'_>) -> Option<String> {
    let address = words.first(&["server.address"])?;
    let is_bare_ipv6 = address.parse::<std::net::Ipv6Addr>().is_ok();
    let address = match is_bare_ipv6 {
        true => format!("[{address}]"),
        false => address,
    };
    Some(match words.first(&["server.port"]) {
        Some(port) => format!("{address}:{port}"),
        None => address,
    })
}

/// Returns the response that the attributes describe.
fn response_of(
    words: &Attributes<'_>,
    way: &Way<'_>,
    faults: &mut Faults,
) -> Result<CapturedResponse, MissingStatus> {
    let Some((key, text)) = STATUS_KEYS
        .iter()
        .find_map(|key| Some((key, words.text(key)?)))
    else {
        let captured = words.has_prefix("http.response.");
        return Err(MissingStatus {
            fault: Fault::NoStatus,
            damaged: captured,
        });
    };
    let Some(status) = text.trim().parse().ok().filter(|s| (100..1000).contains(s)) else {
        return Err(MissingStatus {
            fault: Fault::BadStatus {
                attribute: key,
                text,
            },
            damaged: true,
        });
    };
    let (body, body_is_bytes) = words.body("http.response.body", way, faults);
    Ok(CapturedResponse {
        status,
        headers: words.headers(RESPONSE_HEADER),
        body,
        body_is_bytes,
        trailers: words.headers("http.response.trailer."),
    })
}
