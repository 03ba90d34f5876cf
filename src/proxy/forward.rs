//! Forwards calls to their upstreams.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, PROXY_AUTHORIZATION, UPGRADE};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpStream;

use super::upstream::{UpstreamSettings, UpstreamTls, Upstreams};
use crate::base::http::{Headers, Request, Response, SESSION_HEADER, is_hop_by_hop};
use crate::base::with_causes;
use crate::case::ErrorType;
use crate::net::{Body, HyperResponse, append_headers, headers_of, plain};

/// How long an upstream may take to answer.
const SLOWEST_UPSTREAM: Duration = Duration::from_secs(60);

/// How long a body may take that is passed on as it arrives, with the answer to it.
const SLOWEST_UPLOAD: Duration = Duration::from_secs(600);

/// A call that got no answer from its upstream.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) kind: ErrorType,
    /// What its client is told: 400, 502 or 504.
    pub(super) answer: Response,
}

pub(super) struct Forwarder {
    upstreams: Upstreams,
    /// Keeps connections.
    kept: Client<Upstreams, Full<Bytes>>,
    /// Opens a connection for each request.
    fresh: Client<Upstreams, Full<Bytes>>,
    /// For the application itself, with a connection for each request too.
    inbound: Client<Upstreams, Full<Bytes>>,
    /// For bodies that are not held.
    passing: Client<Upstreams, Body>,
    passing_inbound: Client<Upstreams, Body>,
    /// For calls of gRPC without TLS, whose servers speak HTTP/2 and nothing else.
    http2: Client<Upstreams, Full<Bytes>>,
    /// For requests to go on in another protocol.
    switching: Client<Upstreams, Full<Bytes>>,
}

impl std::fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Forwarder")
    }
}

impl Forwarder {
    pub(super) fn new(settings: UpstreamSettings) -> Self {
        let tls = Arc::new(UpstreamTls::new(settings));
        let upstreams = Upstreams::new(Arc::clone(&tls));
        let applications = Upstreams::to_applications(tls);
        let mut once = Client::builder(TokioExecutor::new());
        once.pool_max_idle_per_host(0);
        Self {
            kept: Client::builder(TokioExecutor::new()).build(upstreams.clone()),
            fresh: once.build(upstreams.clone()),
            inbound: once.build(applications.clone()),
            passing_inbound: once.build(applications),
            passing: once.build(upstreams.clone()),
            http2: Client::builder(TokioExecutor::new())
                .http2_only(true)
                .build(upstreams.by_tunnel()),
            switching: once.build(upstreams.for_upgrades()),
            upstreams,
        }
    }

    /// Opens a connection to `host:port` for a tunnel.
    ///
    /// # Errors
    ///
    /// Why it can't be opened.
    pub(super) async fn tunnel(&self, authority: &str) -> std::io::Result<TcpStream> {
        self.upstreams.connect(authority).await
    }

    /// Sends a request on and returns the upstream's answer, whose body may still be arriving. An inbound one, to the
    /// application, gets a connection of its own: some applications carry the context of one request into the next on
    /// the same connection.
    ///
    /// # Errors
    ///
    /// What went wrong.
    pub(super) async fn forward(
        &self,
        request: &Request,
        inbound: bool,
    ) -> Result<HyperResponse, Failed> {
        let (shown, is_grpc) = (request.to_string(), request.is_grpc());
        let request = self.upstream_request(request, &shown)?;
        let request = request.map(|body| Full::new(Bytes::from(body)));
        let exchange = async {
            match is_grpc && !inbound && request.uri().scheme_str() == Some("http") {
                true => self.http2.request(request).await,
                false => self.exchange(request, inbound).await,
            }
        };
        Ok(passed_on(
            answered(&shown, SLOWEST_UPSTREAM, exchange).await?,
        ))
    }

    /// Returns a request as it is sent on.
    fn upstream_request(
        &self,
        request: &Request,
        shown: &str,
    ) -> Result<hyper::Request<Vec<u8>>, Failed> {
        let request = upstream_request(request);
        let mut request = request.map_err(|error| Failed {
            kind: ErrorType::Other,
            answer: plain(400, &format!("{shown} can't be forwarded: {error}")),
        })?;
        if let Some(credentials) = self.upstreams.credentials(request.uri()) {
            request
                .headers_mut()
                .insert(PROXY_AUTHORIZATION, credentials);
        }
        Ok(request)
    }

    /// Sends a request on whose body is passed on as it arrives, and returns the upstream's answer.
    ///
    /// # Errors
    ///
    /// As for [`forward`](Self::forward).
    pub(super) async fn pass(
        &self,
        request: &Request,
        body: Body,
        inbound: bool,
    ) -> Result<HyperResponse, Failed> {
        let shown = request.to_string();
        let length = body.size_hint().exact();
        let request = self.upstream_request(request, &shown)?;
        let mut request = request.map(|_| body);
        if let Some(length) = length {
            request.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        let client = match inbound {
            true => &self.passing_inbound,
            false => &self.passing,
        };
        let sent = client.request(request);
        Ok(passed_on(answered(&shown, SLOWEST_UPLOAD, sent).await?))
    }

    /// Sends a request to the application itself, by the host that its client named and with these headers besides, and
    /// returns the answer, whose body may still be arriving. A body that was not read is passed on as it arrives.
    ///
    /// # Errors
    ///
    /// What went wrong.
    #[cfg(feature = "runner")]
    pub(super) async fn deliver(
        &self,
        request: &Request,
        host: &str,
        headers: &[(&'static str, String)],
        body: Option<Body>,
    ) -> Result<HyperResponse, Failed> {
        let shown = request.to_string();
        let mut sent = self.upstream_request(request, &shown)?;
        let own = headers.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in own.chain([("host", host)]) {
            if let Ok(value) = HeaderValue::from_str(value) {
                sent.headers_mut().insert(name, value);
            }
        }
        let length = body.as_ref().and_then(|body| body.size_hint().exact());
        if let Some(length) = length {
            sent.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        let answer = match body {
            Some(body) => {
                let sent = self.passing_inbound.request(sent.map(|_| body));
                answered(&shown, SLOWEST_UPLOAD, sent).await?
            }
            None => {
                let sent = sent.map(|body| Full::new(Bytes::from(body)));
                answered(&shown, SLOWEST_UPSTREAM, self.inbound.request(sent)).await?
            }
        };
        Ok(passed_on(answer))
    }

    /// Sends a request on that asks for another protocol, and returns the upstream's answer: with status 101, what follows can
    /// be taken from it.
    ///
    /// # Errors
    ///
    /// As for [`forward`](Self::forward).
    pub(super) async fn switch(
        &self,
        request: &Request,
        inbound: bool,
    ) -> Result<HyperResponse, Failed> {
        let shown = request.to_string();
        let mut sent = self.upstream_request(request, &shown)?;
        let protocol = request.headers.all("upgrade").next().unwrap_or_default();
        if let Ok(protocol) = HeaderValue::from_bytes(protocol) {
            sent.headers_mut().insert(UPGRADE, protocol);
            let upgrade = HeaderValue::from_static("upgrade");
            sent.headers_mut().insert(CONNECTION, upgrade);
        }
        let sent = sent.map(|body| Full::new(Bytes::from(body)));
        let client = match inbound {
            true => &self.inbound,
            false => &self.switching,
        };
        let answer = answered(&shown, SLOWEST_UPSTREAM, client.request(sent)).await?;
        if answer.status() != hyper::StatusCode::SWITCHING_PROTOCOLS {
            return Ok(passed_on(answer));
        }
        // The headers of this hop are what the client waits for.
        Ok(answer.map(|body| body.map_err(Into::into).boxed()))
    }

    /// Sends a request on. An idempotent one is sent again on another connection if the connection ends without an
    /// answer (RFC 9110, 9.2.2): upstreams close connections that are kept for reuse without a word.
    async fn exchange(
        &self,
        request: hyper::Request<Full<Bytes>>,
        inbound: bool,
    ) -> Result<hyper::Response<Incoming>, hyper_util::client::legacy::Error> {
        if inbound {
            return self.inbound.request(request).await;
        }
        const IDEMPOTENT: [&str; 6] = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"];
        let again = IDEMPOTENT
            .contains(&request.method().as_str())
            .then(|| request.clone());
        match (self.kept.request(request).await, again) {
            (Err(error), Some(again)) if !error.is_connect() => self.fresh.request(again).await,
            (sent, _) => sent,
        }
    }
}

/// Waits for an upstream's answer for this long.
async fn answered(
    shown: &str,
    limit: Duration,
    sent: impl Future<Output = Result<hyper::Response<Incoming>, hyper_util::client::legacy::Error>>,
) -> Result<hyper::Response<Incoming>, Failed> {
    match tokio::time::timeout(limit, sent).await {
        Ok(answer) => answer.map_err(|error| failed(shown, &error)),
        Err(_) => Err(Failed {
            kind: ErrorType::Timeout,
            answer: plain(504, &format!("{shown} timed out")),
        }),
    }
}

/// Returns the answer to a call whose upstream can't be reached, or breaks off.
fn failed(shown: &str, error: &hyper_util::client::legacy::Error) -> Failed {
    let why = with_causes(error);
    let way_out = if why.contains("UnknownIssuer") {
        "; `upstreamCa` in the suite's `app`, or --upstream-ca FILE, adds the authority that made its certificate"
    } else if why.contains("CertificateRequired") {
        "; `upstreamCert` in the suite's `app` gives it a certificate"
    } else {
        ""
    };
    let message = format!("{shown} failed: {why}{way_out}");
    log::warn!("a forwarded call, {message}");
    Failed {
        kind: kind_of(error),
        answer: plain(502, &message),
    }
}

/// Returns what kind of error kept a call from its answer.
fn kind_of(error: &(dyn std::error::Error + 'static)) -> ErrorType {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut kind = ErrorType::Other;
    for cause in causes {
        if cause.to_string() == "dns error" {
            return ErrorType::NameNotResolved;
        }
        if cause.is::<rustls::Error>() {
            return ErrorType::Tls;
        }
        if let Some(cause) = cause.downcast_ref::<hyper::Error>()
            && (cause.is_incomplete_message() || cause.is_canceled() || cause.is_closed())
        {
            kind = ErrorType::ConnectionReset;
        }
        if let Some(cause) = cause.downcast_ref::<io::Error>() {
            // An error of TLS is wrapped in one of the stream.
            let inner = cause.get_ref();
            if inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
                return ErrorType::Tls;
            }
            kind = match cause.kind() {
                io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable => ErrorType::ConnectionRefused,
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof => ErrorType::ConnectionReset,
                io::ErrorKind::TimedOut => ErrorType::Timeout,
                _ => kind,
            };
        }
    }
    kind
}

/// Returns an upstream's answer in the form in which the client gets it.
fn passed_on(response: hyper::Response<Incoming>) -> HyperResponse {
    let (mut parts, body) = response.into_parts();
    let mut kept = headers_of(&parts.headers);
    if kept.contains("transfer-encoding") {
        // Chunks count, and not a length beside them (RFC 9112, 6.3).
        kept.remove("content-length");
    }
    drop_hop_by_hop(&mut kept);
    parts.headers.clear();
    // The upstream's HTTP version applies to that hop only.
    parts.version = hyper::Version::HTTP_11;
    append_headers(&mut parts.headers, &kept);
    // The reason of an upstream's reset is none of ours for one to the client.
    let body = body.map_err(|error| with_causes(&error).into());
    HyperResponse::from_parts(parts, body.boxed())
}

fn upstream_request(request: &Request) -> Result<hyper::Request<Vec<u8>>, hyper::http::Error> {
    let url = format!("{}://{}{}", request.scheme, request.host, request.target());
    let mut out = hyper::Request::builder()
        .method(request.method.as_str())
        .uri(url);
    let dropped = connection_names(&request.headers);
    for (name, value) in request.headers.iter() {
        let ours = name.eq_ignore_ascii_case(SESSION_HEADER)
            || ["content-length", "host", "expect"]
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known));
        if !(ours || is_hop_by_hop(name) || dropped.contains(&name.to_ascii_lowercase())) {
            out = out.header(name, value);
        }
    }
    if request.is_grpc() {
        // Servers refuse clients that do not say that they take trailers.
        out = out.header("te", HeaderValue::from_static("trailers"));
    }
    out.body(request.body.clone())
}

/// Keeps only the headers that go on to the client; hyper frames the body itself.
fn drop_hop_by_hop(headers: &mut Headers) {
    let dropped = connection_names(headers);
    headers.retain(|name| !is_hop_by_hop(name) && !dropped.contains(&name.to_ascii_lowercase()));
}

/// Returns the header names, in lower case, that `Connection` headers limit to this hop.
fn connection_names(headers: &Headers) -> Vec<String> {
    headers
        .all("connection")
        .flat_map(|value| {
            let text = String::from_utf8_lossy(value).to_ascii_lowercase();
            text.split(',')
                .map(|name| name.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .collect()
}
