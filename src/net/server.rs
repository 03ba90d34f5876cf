//! A small HTTP server on hyper, shared by the control API and the proxy.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::convert::{HyperRequest, HyperResponse};
use super::listening::Listening;
use super::peer::Peer;
use super::targets::Readable;
use super::watched::{Resets, Unread, Watch, Watched};
use crate::base::http::Failure;

/// How long a client may take to send its headers.
const SLOWEST_CLIENT: Duration = Duration::from_secs(60);

/// How long what a client sends after its last answer is read.
const LONGEST_END: Duration = Duration::from_secs(2);

/// How long a client is kept waiting by an answer that never comes, unless it gives up before.
const LONGEST_SILENCE: Duration = Duration::from_secs(600);

/// An exchange that breaks without an answer, because a mock says so.
#[derive(Debug)]
pub(super) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mock breaks the exchange")
    }
}

impl std::error::Error for Broken {}

/// The most headers of a request.
pub(super) const MOST_HEADERS: usize = 256;
/// The largest head of a request, in bytes.
pub(super) const LARGEST_HEAD: usize = 64 * 1024;

/// The error when a server can't listen on its address.
#[derive(Debug)]
pub(crate) struct ListenError {
    /// The address.
    pub(crate) address: String,
    /// The cause.
    pub(crate) source: std::io::Error,
}

/// A listening server with its own threads; dropping it stops it.
pub(crate) struct Server {
    address: SocketAddr,
    _listening: Listening,
    threads: Option<tokio::runtime::Runtime>,
    /// Tells the listener and the connections to stop.
    stop: CancellationToken,
    /// The listener and the connections.
    tasks: TaskTracker,
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
    /// [`ListenError`] if it can't listen on the address.
    pub(crate) fn start<H, F>(address: &str, handle: H) -> Result<Self, ListenError>
    where
        H: Fn(HyperRequest) -> F + Send + Sync + 'static,
        F: Future<Output = HyperResponse> + Send + 'static,
    {
        Self::start_noting(
            address,
            handle,
            Arc::new(|_| Box::pin(async {})),
            Manner::default(),
        )
    }

    /// Starts a server as [`start`](Self::start) does, which calls `unread` for each request that can't be
    /// parsed; `manner` says how its connections are served.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start).
    pub(crate) fn start_noting<H, F>(
        address: &str,
        handle: H,
        unread: Unread,
        manner: Manner,
    ) -> Result<Self, ListenError>
    where
        H: Fn(HyperRequest) -> F + Send + Sync + 'static,
        F: Future<Output = HyperResponse> + Send + 'static,
    {
        let failed = |source| ListenError {
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
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        {
            let _inside = threads.enter();
            let listener = TcpListener::from_std(listener).map_err(failed)?;
            let accepting = accept(
                listener,
                handle,
                unread,
                stop.clone(),
                tasks.clone(),
                manner,
            );
            tasks.spawn(accepting);
        }
        Ok(Self {
            address: bound,
            _listening: Listening::at(bound),
            threads: Some(threads),
            stop,
            tasks,
        })
    }

    /// Runs a task alongside the connections until the server stops.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(threads) = &self.threads {
            threads.spawn(task);
        }
    }

    /// Stops the server: accepts no more connections and gives running requests this long to finish.
    pub(crate) fn stop(self, limit: Duration) {
        self.stop.cancel();
        self.tasks.close();
        let Some(threads) = &self.threads else {
            return;
        };
        // Not `block_on`, which panics inside another async runtime.
        let (tell, gone) = std::sync::mpsc::channel();
        let tasks = self.tasks.clone();
        threads.spawn(async move {
            tasks.wait().await;
            let _ = tell.send(());
        });
        if gone.recv_timeout(limit).is_err() {
            log::warn!("requests are still in progress after {limit:?}; cutting them off");
        }
    }

    /// Returns what tells its connections to stop, and counts them.
    pub(crate) fn stopping(&self) -> (CancellationToken, TaskTracker) {
        (self.stop.clone(), self.tasks.clone())
    }

    /// Returns the address it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            // A plain drop would block, and would panic inside another async runtime.
            threads.shutdown_background();
        }
    }
}

/// Waits for an answer's delay. A sleep of zero length would still wait for the timer's next tick.
pub(crate) async fn delay(latency: Duration) {
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
}

async fn accept<H, F>(
    listener: TcpListener,
    handle: Arc<H>,
    unread: Unread,
    stop: CancellationToken,
    tasks: TaskTracker,
    manner: Manner,
) where
    H: Fn(HyperRequest) -> F + Send + Sync + 'static,
    F: Future<Output = HyperResponse> + Send + 'static,
{
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                // Without it, a small answer waits for the peer's delayed acknowledgement.
                let _ = stream.set_nodelay(true);
                let (handle, unread) = (Arc::clone(&handle), Arc::clone(&unread));
                let serving = connection(stream, handle, unread, stop.clone(), manner);
                tasks.spawn(async move { drop(serving.await) });
            }
            Err(error) => {
                // Most likely the process is out of file handles: others have to be closed first.
                log::warn!("can't accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// How connections are served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// Whether a client may say that it sends no more, and wait for its answer; otherwise, it gives the answer up by that.
    pub(crate) half_close: bool,
    /// Whether each request has a [`ClientAddress`] in its extensions.
    #[cfg(feature = "runner")]
    pub(crate) tells_client: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            half_close: true,
            #[cfg(feature = "runner")]
            tells_client: false,
        }
    }
}

/// The address of the client of a request.
#[cfg(feature = "runner")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) SocketAddr);

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Its client ended it, or `stop` did.
    InOrder,
    /// Its server did, since nobody used it or something was wrong with it.
    ByServer,
    /// It broke.
    Broken(hyper::Error),
}

/// Serves one connection until the client closes it, or until `stop`.
pub(crate) async fn connection<S, H, F>(
    stream: S,
    handle: Arc<H>,
    unread: Unread,
    stop: CancellationToken,
    manner: Manner,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Peer + Unpin + Send + 'static,
    H: Fn(HyperRequest) -> F + Send + Sync + 'static,
    F: Future<Output = HyperResponse> + Send + 'static,
{
    let watch = Arc::new(Watch::default());
    #[cfg(feature = "runner")]
    let client = stream.address().filter(|_| manner.tells_client);
    let service = {
        let watch = Arc::clone(&watch);
        service_fn(move |mut request: HyperRequest| {
            let is_connect = request.method() == hyper::Method::CONNECT;
            #[cfg(feature = "runner")]
            if let Some(client) = client {
                request.extensions_mut().insert(ClientAddress(client));
            }
            if is_connect {
                request.extensions_mut().insert(Resets(Arc::clone(&watch)));
            }
            let (answer, watch) = (handle(request), Arc::clone(&watch));
            async move {
                let mut answer = answer.await;
                match answer.extensions_mut().remove::<Failure>() {
                    None | Some(Failure::Truncated) => {}
                    Some(Failure::Reset) => {
                        watch.resets.store(true, Ordering::SeqCst);
                        return Err(Broken);
                    }
                    Some(Failure::Empty) => return Err(Broken),
                    Some(Failure::Timeout) => {
                        watch.silent.notify_one();
                        std::future::pending::<()>().await;
                        return Err(Broken);
                    }
                }
                watch.due.fetch_add(1, Ordering::SeqCst);
                if is_connect && answer.status().is_success() {
                    // What follows belongs to the tunnel, which is watched by itself.
                    watch.noted.store(true, Ordering::SeqCst);
                }
                Ok(answer)
            }
        })
    };
    let stream = Watched {
        stream: Readable::new(stream),
        unread: Arc::clone(&unread),
        watch: Arc::clone(&watch),
        noting: None,
    };
    let mut serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SLOWEST_CLIENT)
        .max_headers(MOST_HEADERS)
        .max_buf_size(LARGEST_HEAD)
        .half_close(manner.half_close)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // hyper-util's graceful shutdown takes no connection that `CONNECT` can upgrade.
    let served = tokio::select! {
        served = &mut serving => served,
        () = stop.cancelled() => {
            std::pin::Pin::new(&mut serving).graceful_shutdown();
            (&mut serving).await
        }
        () = watch.silent.notified() => {
            if let Some(parts) = serving.into_parts() {
                until_gone(parts.io.into_inner(), &stop).await;
            }
            return Ended::ByServer;
        }
    };
    if !watch.resets.load(Ordering::SeqCst)
        && let Some(parts) = serving.into_parts()
    {
        linger(parts.io.into_inner(), &stop).await;
    }
    let Err(error) = served else {
        return Ended::InOrder;
    };
    log::debug!("connection ended: {error}");
    if error.is_parse() && !watch.noted.load(Ordering::SeqCst) {
        unread(&error.to_string()).await;
    }
    match error.is_timeout() {
        true => Ended::ByServer,
        false => Ended::Broken(error),
    }
}

/// Reads what a client still sends after the last answer, until it has seen the end: a connection that is closed with something
/// unread is reset, and the answer may be lost with it.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin, stop: &CancellationToken) {
    let mut ignored = [0_u8; 4 * 1024];
    let until_seen = async {
        let _ = stream.shutdown().await;
        while stream.read(&mut ignored).await.is_ok_and(|count| count > 0) {}
    };
    tokio::select! {
        _ = tokio::time::timeout(LONGEST_END, until_seen) => {}
        () = stop.cancelled() => {}
    }
}

/// Waits until a client that gets no answer gives up.
async fn until_gone(mut stream: impl AsyncRead + Unpin, stop: &CancellationToken) {
    let mut ignored = [0_u8; 1024];
    let gone = async { while stream.read(&mut ignored).await.is_ok_and(|count| count > 0) {} };
    tokio::select! {
        _ = tokio::time::timeout(LONGEST_SILENCE, gone) => {}
        () = stop.cancelled() => {}
    }
}
