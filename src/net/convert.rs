//! Conversions between hyper's types and ours.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Frame, Incoming, SizeHint};

use super::client::headers_of;
use crate::base::http::{Failure, Headers, Host, Request, Response, without_default_port};

pub(crate) type Body = BoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;
pub(crate) type HyperRequest = hyper::Request<Incoming>;
pub(crate) type HyperResponse = hyper::Response<Body>;

/// Converts a request's head, with this body, to our own type. The host is taken from the target, else from
/// the `Host` header.
pub(super) fn describe(parts: &hyper::http::request::Parts, body: Vec<u8>) -> Request {
    let headers = headers_of(&parts.headers);
    let scheme = parts.uri.scheme_str().unwrap_or("http").to_owned();
    let host = match parts.uri.authority() {
        Some(authority) => {
            let authority = authority.as_str();
            authority
                .rsplit_once('@')
                .map_or(authority, |(_, host)| host)
                .to_owned()
        }
        None => headers
            .text("host")
            .map(|host| host.into_owned())
            .unwrap_or_default(),
    };
    let host = Host::read(&host).authority(&host);
    Request {
        method: parts.method.as_str().to_owned(),
        host: without_default_port(&scheme, &host).to_owned(),
        scheme,
        path: match parts.uri.path() {
            "" => "/".to_owned(),
            path => path.to_owned(),
        },
        query: parts.uri.query().map(str::to_owned),
        headers,
        body,
        unread: false,
    }
}

/// Returns the head of a request without its body.
pub(crate) fn head_of(request: HyperRequest) -> Request {
    let (parts, _) = request.into_parts();
    describe(&parts, Vec::new())
}

/// Returns a short plain-text answer.
pub(crate) fn plain(status: u16, message: &str) -> Response {
    Response {
        status,
        headers: Headers::from_iter([("content-type", "text/plain; charset=utf-8")]),
        body: format!("softprobe: {message}\n").into_bytes(),
        trailers: Headers::new(),
    }
}

/// Converts our response to hyper's. The length is recomputed; the body is dropped if HTTP allows none
/// for the status; a header that HTTP can't carry is left out and logged.
pub(crate) fn to_hyper(response: impl Into<Arc<Response>>) -> HyperResponse {
    convert(response.into(), false)
}

/// Converts our response to a request as [`to_hyper`] does. An answer to `HEAD` keeps its length, which is that of
/// another answer's body.
pub(crate) fn answer_to(request: &Request, response: impl Into<Arc<Response>>) -> HyperResponse {
    let response: Arc<Response> = response.into();
    let keeps_length = request.method == "HEAD" && response.body.is_empty();
    convert(response, keeps_length)
}

/// Returns what makes the server break the exchange; the response is the one whose body breaks off, if that is how.
pub(crate) fn breaking(failure: Failure, response: Arc<Response>) -> HyperResponse {
    let mut out = to_hyper(Arc::clone(&response));
    if failure == Failure::Truncated {
        *out.body_mut() = BreaksOff::new(response).boxed();
    }
    out.extensions_mut().insert(failure);
    out
}

/// A body that breaks off in the middle.
struct BreaksOff {
    length: u64,
    start: Option<Bytes>,
    is_flushed: bool,
}

impl BreaksOff {
    fn new(response: Arc<Response>) -> Self {
        let whole = Bytes::from_owner(SharedBody(response));
        // A body that has nothing to cut off promises one byte more.
        Self {
            length: whole.len().max(1) as u64,
            start: Some(whole.slice(..whole.len() / 2)),
            is_flushed: false,
        }
    }
}

impl hyper::body::Body for BreaksOff {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.start.take() {
            Some(start) if !start.is_empty() => return Poll::Ready(Some(Ok(Frame::data(start)))),
            _ => {}
        }
        if !self.is_flushed {
            // Hyper sends what it has when there is nothing more for now, but not at an error.
            self.is_flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err("the mock breaks off here".into())))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

/// A body of which a part has been read already.
pub(crate) struct Continued<B> {
    start: Option<Bytes>,
    rest: B,
}

impl<B> Continued<B> {
    pub(crate) fn new(start: Vec<u8>, rest: B) -> Self {
        Self {
            start: (!start.is_empty()).then(|| start.into()),
            rest,
        }
    }
}

impl<B: hyper::body::Body<Data = Bytes> + Unpin> hyper::body::Body for Continued<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.start.take() {
            Some(start) => Poll::Ready(Some(Ok(Frame::data(start)))),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.rest.size_hint();
        let start = self.start.as_ref().map_or(0, Bytes::len) as u64;
        match hint.exact() {
            Some(exact) => hint = SizeHint::with_exact(exact + start),
            None => hint.set_lower(hint.lower() + start),
        }
        hint
    }
}

fn convert(response: Arc<Response>, keeps_length: bool) -> HyperResponse {
    let status = hyper::StatusCode::from_u16(response.status);
    let status = status.unwrap_or(hyper::StatusCode::BAD_GATEWAY);
    let empty = status.is_informational() || status == 204 || status == 304;
    let shared = SharedBody(Arc::clone(&response));
    let body = match empty || response.body.is_empty() {
        true => Bytes::new(),
        false => Bytes::from_owner(shared),
    };
    let body = Full::new(body).map_err(|never| match never {});
    let body = match response.trailers.is_empty() {
        true => body.boxed(),
        false => {
            let mut trailers = hyper::HeaderMap::new();
            append_headers(&mut trailers, &response.trailers);
            body.with_trailers(std::future::ready(Some(Ok(trailers))))
                .boxed()
        }
    };
    let mut out = hyper::Response::new(body);
    *out.status_mut() = status;
    // Hyper frames the body itself.
    let framing: &[&str] = match keeps_length {
        true => &["transfer-encoding"],
        false => &["content-length", "transfer-encoding"],
    };
    let fields = response.headers.iter();
    append_fields(
        out.headers_mut(),
        fields.filter(|(name, _)| !framing.iter().any(|f| f.eq_ignore_ascii_case(name))),
    );
    out
}

/// The body of a shared response, which is sent without being copied.
struct SharedBody(Arc<Response>);

impl AsRef<[u8]> for SharedBody {
    fn as_ref(&self) -> &[u8] {
        &self.0.body
    }
}

/// Adds header fields; one that HTTP can't carry is left out and logged.
pub(crate) fn append_headers(map: &mut hyper::HeaderMap, headers: &Headers) {
    append_fields(map, headers.iter());
}

fn append_fields<'h>(
    map: &mut hyper::HeaderMap,
    fields: impl Iterator<Item = (&'h str, &'h [u8])>,
) {
    for (name, value) in fields {
        match (
            hyper::header::HeaderName::from_bytes(name.as_bytes()),
            hyper::header::HeaderValue::from_bytes(value),
        ) {
            (Ok(name), Ok(value)) => drop(map.append(name, value)),
            _ => log::warn!("header {name:?} can't be sent over HTTP and is left out"),
        }
    }
}
