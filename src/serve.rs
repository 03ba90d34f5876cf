//! A small HTTP server on hyper, shared by the control API and the proxy: limits, and the way between
//! hyper's types and ours.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::client::headers_of;
use crate::error::SoftprobeError;
use crate::http::{Headers, Request, Response, split_port};

/// How long a client may take to send its headers, and again to send its body.
const SLOWEST_CLIENT: Duration = Duration::from_secs(60);
/// As much of a body that is too large is thrown away before its answer.
const MOST_DRAINED: usize = 256 * 1024 * 1024;
/// The largest body that is read into memory.
pub(crate) const LARGEST_BODY: usize = 64 * 1024 * 1024;

pub(crate) type Body = BoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;
pub(crate) type HyperRequest = hyper::Request<Incoming>;
pub(crate) type HyperResponse = hyper::Response<Body>;

/// A listening server with its own threads; dropping it stops it.
pub(crate) struct Server {
    address: SocketAddr,
    threads: Option<tokio::runtime::Runtime>,
    /// Tells the listener and the connections to stop.
    stop: watch::Sender<bool>,
    /// Ends when the listener and every connection are gone.
    gone: mpsc::Receiver<()>,
}

/// Told why a request can't be read as one; the client has its 400 already.
pub(crate) type Unread = Arc<dyn Fn(&str) + Send + Sync>;

/// What ties a connection to its server.
#[derive(Clone)]
pub(crate) struct Lifeline {
    stop: watch::Receiver<bool>,
    _alive: mpsc::Sender<()>,
}

impl Lifeline {
    /// Returns when the server is told to stop.
    async fn cut(&mut self) {
        // An error is a server that is gone already.
        let _ = self.stop.wait_for(|stop| *stop).await;
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Listens on an address and answers each request with what `handle` returns.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Listen`] when the address can't be had.
    pub(crate) fn start<H, F>(address: &str, handle: H) -> Result<Self, SoftprobeError>
    where
        H: Fn(HyperRequest) -> F + Send + Sync + 'static,
        F: Future<Output = HyperResponse> + Send + 'static,
    {
        Self::start_noting(address, handle, Arc::new(|_| {}))
    }

    /// The same; `unread` is told of each request that can't be read as one.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub(crate) fn start_noting<H, F>(
        address: &str,
        handle: H,
        unread: Unread,
    ) -> Result<Self, SoftprobeError>
    where
        H: Fn(HyperRequest) -> F + Send + Sync + 'static,
        F: Future<Output = HyperResponse> + Send + 'static,
    {
        let failed = |source| SoftprobeError::Listen {
            address: address.to_owned(),
            source,
        };
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("softprobe")
            .enable_all()
            .build()
            .map_err(failed)?;
        let handle = Arc::new(handle);
        let (stop, stopped) = watch::channel(false);
        let (alive, gone) = mpsc::channel(1);
        let lifeline = Lifeline {
            stop: stopped,
            _alive: alive,
        };
        {
            let _inside = threads.enter();
            let listener = TcpListener::from_std(listener).map_err(failed)?;
            threads.spawn(accept(listener, handle, unread, lifeline));
        }
        Ok(Self {
            address: bound,
            threads: Some(threads),
            stop,
            gone,
        })
    }

    /// Runs a task beside the connections, until the server stops.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(threads) = &self.threads {
            threads.spawn(task);
        }
    }

    /// Takes no further connection, lets requests that run end within the limit, and stops.
    pub(crate) fn stop(mut self, limit: Duration) {
        self.stop.send_replace(true);
        let gone = self.gone.recv();
        if let Some(threads) = &self.threads
            && threads
                .block_on(async { tokio::time::timeout(limit, gone).await })
                .is_err()
        {
            log::warn!("requests still run after {limit:?}; they are cut off");
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            // Not the plain drop: that one blocks, and panics inside another async runtime.
            threads.shutdown_background();
        }
    }
}

async fn accept<H, F>(listener: TcpListener, handle: Arc<H>, unread: Unread, mut lifeline: Lifeline)
where
    H: Fn(HyperRequest) -> F + Send + Sync + 'static,
    F: Future<Output = HyperResponse> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = lifeline.cut() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                // Without it a small answer waits for the peer's delayed acknowledgement.
                let _ = stream.set_nodelay(true);
                let lifeline = Some(lifeline.clone());
                let (handle, unread) = (Arc::clone(&handle), Arc::clone(&unread));
                tokio::spawn(connection(stream, handle, unread, lifeline));
            }
            Err(error) => {
                // Out of file handles, most likely: others have to be closed first.
                log::warn!("can't accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Serves one connection until its client is done with it, or until its server stops.
pub(crate) async fn connection<S, H, F>(
    stream: S,
    handle: Arc<H>,
    unread: Unread,
    lifeline: Option<Lifeline>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(HyperRequest) -> F + Send + Sync + 'static,
    F: Future<Output = HyperResponse> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = handle(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut serving = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(SLOWEST_CLIENT)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    );
    let served = match lifeline {
        None => serving.await,
        Some(mut lifeline) => tokio::select! {
            served = serving.as_mut() => served,
            () = lifeline.cut() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        },
    };
    if let Err(error) = served {
        log::debug!("connection ended: {error}");
        if error.is_parse() {
            unread(&error.to_string());
        }
    }
}

/// Reads a request whole, a body of so many bytes at the most.
///
/// # Errors
///
/// The answer for a body that is too large, too slow, or broken off.
pub(crate) async fn read_request(
    request: HyperRequest,
    largest: usize,
) -> Result<Request, Response> {
    let (parts, body) = request.into_parts();
    // What is declared to be too large to throw away is not waited for.
    if body.size_hint().lower() > largest.saturating_add(MOST_DRAINED) as u64 {
        return Err(too_large(largest));
    }
    let read = tokio::time::timeout(SLOWEST_CLIENT, read_body(body, largest));
    let body = read.await.unwrap_or_else(|_| {
        let slow = "the request's body took too long";
        Err(plain(408, slow))
    })?;
    Ok(describe(&parts, body))
}

/// A body that is too large is read on for a while: a client that still sends would not see the answer.
async fn read_body(mut body: Incoming, largest: usize) -> Result<Vec<u8>, Response> {
    let (mut whole, mut seen) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| plain(400, &format!("the request broke off: {e}")))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        seen += data.len();
        if seen <= largest {
            whole.extend_from_slice(&data);
        } else if seen > largest.saturating_add(MOST_DRAINED) {
            break;
        }
    }
    if seen > largest {
        return Err(too_large(largest));
    }
    Ok(whole)
}

fn too_large(largest: usize) -> Response {
    plain(
        413,
        &format!("a body of more than {largest} bytes is refused"),
    )
}

/// The body without its gzip, of so many bytes at the most.
///
/// # Errors
///
/// The answer for a body that is no gzip, or unpacks to more.
pub(crate) fn gunzip(body: &[u8], largest: usize) -> Result<Vec<u8>, Response> {
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(body)
        .take(largest as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|error| plain(400, &format!("the body is not gzip: {error}")))?;
    if out.len() > largest {
        return Err(too_large(largest));
    }
    Ok(out)
}

/// A request's head as our own type: host from the target, else from the `Host` header.
pub(crate) fn describe(parts: &hyper::http::request::Parts, body: Vec<u8>) -> Request {
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
    }
}

/// The authority without the port that its scheme implies.
pub(crate) fn without_default_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    match (scheme, split_port(authority)) {
        ("http", (host, Some("80"))) | ("https", (host, Some("443"))) => host,
        _ => authority,
    }
}

/// A short answer in text.
pub(crate) fn plain(status: u16, message: &str) -> Response {
    Response {
        status,
        headers: Headers::from_iter([("content-type", "text/plain; charset=utf-8")]),
        body: format!("softprobe: {message}\n").into_bytes(),
    }
}

/// Our response as hyper sends it. The length is computed anew; where HTTP allows no body there is
/// none; a header that HTTP can't carry is left out and logged.
pub(crate) fn to_hyper(response: Response) -> HyperResponse {
    let Response {
        status,
        headers,
        body,
    } = response;
    let status = hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::BAD_GATEWAY);
    let empty = status.is_informational() || status == 204 || status == 304;
    let body = if empty { Bytes::new() } else { body.into() };
    let mut out = hyper::Response::new(full(body));
    *out.status_mut() = status;
    let mut headers = headers;
    // The body's framing is hyper's.
    headers.remove("content-length");
    headers.remove("transfer-encoding");
    append_headers(out.headers_mut(), &headers);
    out
}

/// Adds header fields; one that HTTP can't carry is left out and logged.
pub(crate) fn append_headers(map: &mut hyper::HeaderMap, headers: &Headers) {
    for (name, value) in headers.iter() {
        match (
            hyper::header::HeaderName::from_bytes(name.as_bytes()),
            hyper::header::HeaderValue::from_bytes(value),
        ) {
            (Ok(name), Ok(value)) => drop(map.append(name, value)),
            _ => log::warn!("header {name:?} can't be sent over HTTP and is left out"),
        }
    }
}

fn full(body: Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed()
}
