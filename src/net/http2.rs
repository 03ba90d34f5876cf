//! Serves HTTP/2 connections.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::{Bytes, Frame, SizeHint};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::convert::{Body, HyperRequest, HyperResponse, plain, to_hyper};
use super::frames::Framed;
use super::server::{Broken, Ended, LARGEST_HEAD};
use super::watched::Unread;
use crate::base::http::Failure;

/// The largest head that is decoded at all, in bytes. The library answers larger ones by itself, so that nobody could list
/// them; [`LARGEST_HEAD`] is what a request may have.
const LARGEST_DECODED: usize = 16 * LARGEST_HEAD;
/// How much of an answer is handed to the library at a time, in bytes: what it has, a client need not take.
const PIECE: usize = 16 * 1024;

/// What a connection may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Http2Limits {
    /// The most requests at one time.
    pub(crate) streams: u32,
    /// The most requests in a row that the client takes back.
    pub(crate) resets: usize,
    /// How long the client may take nothing of an answer.
    pub(crate) stalled_after: Duration,
    /// How long a connection without a request is kept.
    pub(crate) idle_after: Duration,
}

impl Default for Http2Limits {
    fn default() -> Self {
        Self {
            streams: 250,
            resets: 1_000,
            stalled_after: Duration::from_secs(60),
            idle_after: Duration::from_secs(60),
        }
    }
}

/// Serves one HTTP/2 connection until the client closes it, or until `stop`.
pub(crate) async fn http2_connection<S, H, F>(
    stream: S,
    handle: Arc<H>,
    unread: Unread,
    stop: CancellationToken,
    limits: Http2Limits,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(HyperRequest) -> F + Send + Sync + 'static,
    F: Future<Output = HyperResponse> + Send + 'static,
{
    let flow = Arc::new(Flow::new(limits));
    let service = {
        let flow = Arc::clone(&flow);
        service_fn(move |request: HyperRequest| {
            let mut exchange = Exchange::begin(&flow);
            // A client that takes its request back does not take back that it made it.
            let answer = tokio::spawn(handle(request));
            async move {
                let answer = answer.await;
                let answer = answer.unwrap_or_else(|error| {
                    to_hyper(plain(
                        502,
                        &format!("the call could not be answered: {error}"),
                    ))
                });
                match answer.extensions().get::<Failure>() {
                    None | Some(Failure::Truncated) => exchange.answered(),
                    Some(Failure::Reset | Failure::Empty) => {
                        exchange.answered();
                        return Err(Broken);
                    }
                    // The client is not the one that keeps this waiting.
                    Some(Failure::Timeout) => {
                        exchange.is_answered = true;
                        std::future::pending().await
                    }
                }
                Ok(answer.map(|body| Paced {
                    body,
                    rest: Bytes::new(),
                    exchange,
                }))
            }
        })
    };
    let serving = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(LARGEST_DECODED).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(limits.resets)
        .max_local_error_reset_streams(limits.resets)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(30))
        .serve_connection(
            TokioIo::new(Framed::new(stream, Arc::clone(&unread))),
            service,
        );
    let mut serving = std::pin::pin!(serving);
    let mut ticks = tokio::time::interval(limits.idle_after.min(limits.stalled_after) / 20);
    let (mut is_ending, mut is_idle) = (false, false);
    let served = loop {
        tokio::select! {
            served = &mut serving => break served,
            () = stop.cancelled(), if !is_ending => {
                is_ending = true;
                serving.as_mut().graceful_shutdown();
            }
            () = flow.abused.notified() => {
                unread(&format!("{} requests in a row were taken back", limits.resets)).await;
                return Ended::ByServer;
            }
            _ = ticks.tick() => match flow.look() {
                Look::Fine => {}
                Look::Stalled => {
                    log::warn!("a client took nothing of an answer for {:?}; ending its connection", limits.stalled_after);
                    return Ended::ByServer;
                }
                Look::Idle if !is_ending => {
                    (is_ending, is_idle) = (true, true);
                    serving.as_mut().graceful_shutdown();
                }
                Look::Idle => {}
            },
        }
    };
    let Err(error) = served else {
        return match is_idle {
            true => Ended::ByServer,
            false => Ended::InOrder,
        };
    };
    log::debug!("connection ended: {error}");
    let broken =
        std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    if let Some(broken) = broken.filter(|broken| broken.is_library()) {
        unread(&broken.to_string()).await;
    }
    Ended::Broken(error)
}

/// What the exchanges of a connection are doing.
#[derive(Debug)]
struct Flow {
    limits: Http2Limits,
    state: Mutex<State>,
    /// Notified when the client has taken back too many requests.
    abused: Notify,
}

#[derive(Debug)]
struct State {
    /// How many exchanges there are.
    open: usize,
    /// Since when there is none.
    idle_since: Instant,
    /// Since when the client has taken nothing of answers that are ready to be sent.
    waiting: HashMap<u64, Instant>,
    /// How many requests in a row the client has taken back.
    resets: usize,
    /// The number of the next exchange.
    next: u64,
}

/// What is seen of a connection.
enum Look {
    Fine,
    Stalled,
    Idle,
}

impl Flow {
    fn new(limits: Http2Limits) -> Self {
        Self {
            limits,
            state: Mutex::new(State {
                open: 0,
                idle_since: Instant::now(),
                waiting: HashMap::new(),
                resets: 0,
                next: 0,
            }),
            abused: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) -> Look {
        let state = self.lock();
        let longest = state.waiting.values().map(Instant::elapsed).max();
        if longest.is_some_and(|longest| longest >= self.limits.stalled_after) {
            return Look::Stalled;
        }
        match state.open == 0 && state.idle_since.elapsed() >= self.limits.idle_after {
            true => Look::Idle,
            false => Look::Fine,
        }
    }
}

/// A request and the answer to it, until the answer is sent or the client takes the request back.
#[derive(Debug)]
struct Exchange {
    flow: Arc<Flow>,
    number: u64,
    is_answered: bool,
}

impl Exchange {
    fn begin(flow: &Arc<Flow>) -> Self {
        let mut state = flow.lock();
        let number = state.next;
        state.next += 1;
        state.open += 1;
        drop(state);
        Self {
            flow: Arc::clone(flow),
            number,
            is_answered: false,
        }
    }

    /// Notes that there is an answer, of which the client has taken nothing so far.
    fn answered(&mut self) {
        self.is_answered = true;
        self.flow.lock().resets = 0;
        self.waits(true);
    }

    /// Notes whether the client keeps the answer waiting; otherwise the answer keeps it waiting.
    fn waits(&self, waits: bool) {
        let mut state = self.flow.lock();
        match waits {
            true => drop(state.waiting.insert(self.number, Instant::now())),
            false => drop(state.waiting.remove(&self.number)),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut state = self.flow.lock();
        state.waiting.remove(&self.number);
        state.open -= 1;
        state.idle_since = Instant::now();
        if !self.is_answered {
            state.resets += 1;
            if state.resets >= self.flow.limits.resets {
                self.flow.abused.notify_one();
            }
        }
    }
}

/// A body that is handed on in pieces, and that knows whether the client takes them.
struct Paced {
    body: Body,
    /// What is left of a frame.
    rest: Bytes,
    exchange: Exchange,
}

impl hyper::body::Body for Paced {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Pending => {
                    self.exchange.waits(false);
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                ready => return ready,
            }
        }
        self.exchange.waits(true);
        let count = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(count);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        match hint.exact() {
            Some(exact) => hint = SizeHint::with_exact(exact + rest),
            None => hint.set_lower(hint.lower() + rest),
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);
    const SOON: Duration = Duration::from_millis(50);

    /// Serves a connection whose every request is answered, lets a client use it, and waits until it ends. Returns how many
    /// requests could not be read.
    fn served<F: Future<Output = ()> + Send + 'static>(
        limits: Http2Limits,
        client: impl FnOnce(DuplexStream) -> F,
    ) -> usize {
        let threads = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        threads.unwrap().block_on(async {
            let (near, far) = tokio::io::duplex(64 * 1024);
            let noted = Arc::new(AtomicUsize::new(0));
            let unread: Unread = {
                let noted = Arc::clone(&noted);
                Arc::new(move |_| {
                    noted.fetch_add(1, Ordering::SeqCst);
                    Box::pin(async {})
                })
            };
            let handle = |_| async { to_hyper(plain(200, &"x".repeat(100_000))) };
            let client = tokio::spawn(client(near));
            let stop = CancellationToken::new();
            let serving = http2_connection(far, Arc::new(handle), unread, stop, limits);
            tokio::time::timeout(LIMIT, serving)
                .await
                .expect("the connection should end");
            client.abort();
            noted.load(Ordering::SeqCst)
        })
    }

    /// Asks for an answer with this window, and keeps the connection open.
    async fn ask(stream: DuplexStream, window: u32, reads: bool) {
        let mut client = h2::client::Builder::new();
        client.initial_window_size(window);
        let (mut send, connection) = client.handshake::<_, Bytes>(stream).await.unwrap();
        tokio::spawn(connection);
        let request = hyper::Request::get("https://a.example/").body(()).unwrap();
        let (answer, _) = send.send_request(request, true).unwrap();
        let mut body = answer.await.unwrap().into_body();
        while reads && let Some(data) = body.data().await {
            let count = data.unwrap().len();
            body.flow_control().release_capacity(count).unwrap();
        }
        std::future::pending().await
    }

    #[test]
    fn a_client_that_takes_nothing_of_an_answer_loses_its_connection() {
        let limits = Http2Limits {
            stalled_after: SOON,
            ..Http2Limits::default()
        };
        for window in [0, 20_000] {
            assert_eq!(served(limits, |stream| ask(stream, window, false)), 0);
        }
    }

    #[test]
    fn a_connection_that_nobody_uses_ends() {
        let limits = Http2Limits {
            idle_after: SOON,
            ..Http2Limits::default()
        };
        assert_eq!(served(limits, |stream| ask(stream, 65_535, true)), 0);
    }

    #[test]
    fn headers_without_an_end_end_the_connection_and_are_noted() {
        let endless = |mut stream: DuplexStream| async move {
            let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
                let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
                [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
            };
            stream
                .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                .await
                .unwrap();
            stream.write_all(&frame(4, 0, 0, &[])).await.unwrap();
            // A header that is not indexed, with a name and a value.
            let header = [&[0, 1, b'a', 0x7f, 0x80, 0x7e][..], &[b'x'; 16_000 - 6]].concat();
            stream.write_all(&frame(1, 0, 1, &header)).await.unwrap();
            let (mut read, mut write) = tokio::io::split(stream);
            tokio::spawn(async move {
                while read.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {}
            });
            while write.write_all(&frame(9, 0, 1, &header)).await.is_ok() {}
        };
        assert_eq!(served(Http2Limits::default(), endless), 1);
    }
}
