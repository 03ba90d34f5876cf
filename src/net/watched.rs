//! A connection that notes a request that can't be parsed before its client hears of it.
//!
//! The HTTP library answers such a request by itself, and says so only when the connection has ended. By then
//! the client may have gone on, and a verdict that reads what was noted would come too early.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::peer::Peer;

/// Called with the reason when a request can't be parsed. The client is answered once the future is done.
pub(crate) type Unread = Arc<dyn Fn(&str) -> Noting + Send + Sync>;

/// The work of an [`Unread`].
pub(crate) type Noting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a connection and its stream know about each other.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// How many answers of the service's own have not been written yet.
    pub(super) due: AtomicUsize,
    /// Whether a request that can't be parsed has been noted, or none can come any more.
    pub(super) noted: AtomicBool,
    /// Whether the connection ends with a reset.
    pub(super) resets: AtomicBool,
    /// Notified if a request gets no answer.
    pub(super) silent: tokio::sync::Notify,
}

/// Makes the end of a connection a reset; a tunnel gets it from its `CONNECT`.
#[derive(Debug, Clone)]
pub(crate) struct Resets(pub(super) Arc<Watch>);

impl Peer for Resets {
    fn reset(&self) {
        self.0.resets.store(true, Ordering::SeqCst);
    }
}

/// A stream that holds an answer back that is not the service's own until the request is noted.
pub(super) struct Watched<S: Peer> {
    pub(super) stream: S,
    pub(super) unread: Unread,
    pub(super) watch: Arc<Watch>,
    pub(super) noting: Option<Noting>,
}

impl<S: Peer> Drop for Watched<S> {
    fn drop(&mut self) {
        if self.watch.resets.load(Ordering::SeqCst) {
            self.stream.reset();
        }
    }
}

impl<S: Peer> Watched<S> {
    /// Notes a request whose refusal is about to be written; ready once that is done.
    fn note(&mut self, context: &mut Context<'_>, answer: &[u8]) -> Poll<()> {
        if self.noting.is_none() {
            let noted = self.watch.noted.load(Ordering::SeqCst);
            if noted || self.watch.due.load(Ordering::SeqCst) > 0 {
                return Poll::Ready(());
            }
            let Some(status) = refusal(answer) else {
                return Poll::Ready(());
            };
            let why = format!("it was answered with {status}");
            self.noting = Some((self.unread)(&why));
        }
        if let Some(noting) = &mut self.noting {
            ready!(noting.as_mut().poll(context));
            self.noting = None;
            self.watch.noted.store(true, Ordering::SeqCst);
        }
        Poll::Ready(())
    }

    /// Notes that answers of the service's own have been written: all that were due, since those to pipelined
    /// requests are written together.
    fn count(&self, written: &[u8]) {
        if written.starts_with(b"HTTP/1.") {
            self.watch.due.store(0, Ordering::SeqCst);
        }
    }
}

/// Returns the status of an answer that the HTTP library gives by itself: a client error without a body.
fn refusal(answer: &[u8]) -> Option<&str> {
    let head = std::str::from_utf8(answer).ok()?;
    let status = head.strip_prefix("HTTP/1.1 4")?.get(..2)?;
    let is_whole = head.ends_with("\r\n\r\n") && head.contains("content-length: 0\r\n");
    (is_whole && status.bytes().all(|b| b.is_ascii_digit()))
        .then(|| &head["HTTP/1.1 ".len()..][..3])
}

impl<S: AsyncRead + Peer + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Peer + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.note(context, bytes));
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        self.count(bytes);
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.first().map_or(&[][..], |slice| slice);
        ready!(self.note(context, first));
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices));
        self.count(first);
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
