//! The streams of a tunnel whose TLS is read: what is outside of it, and what is inside.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;
use tokio_util::io::InspectReader;

use super::trust::Connected;
use crate::net::{Peer, Resets};

/// The stream inside a tunnel, of which some bytes have been read.
pub(in crate::proxy) struct Inner {
    stream: TokioIo<Upgraded>,
    /// These bytes, in reverse.
    begun: Vec<u8>,
    resets: Option<Resets>,
}

impl Inner {
    pub(in crate::proxy) fn new(
        stream: TokioIo<Upgraded>,
        mut begun: Vec<u8>,
        resets: Option<Resets>,
    ) -> Self {
        begun.reverse();
        Self {
            stream,
            begun,
            resets,
        }
    }
}

impl Peer for Inner {
    fn reset(&self) {
        if let Some(resets) = &self.resets {
            resets.reset();
        }
    }
}

impl Peer for TlsStream<Inner> {
    fn reset(&self) {
        self.get_ref().0.reset();
    }
}

/// What is inside TLS.
pub(in crate::proxy) type Spoken = InspectReader<TlsStream<Inner>, Box<dyn FnMut(&[u8]) + Send>>;

/// Returns a stream whose connection is used as soon as its client sends anything: then it trusts the certificate.
pub(super) fn spoken(stream: TlsStream<Inner>, connected: Arc<Connected>) -> Spoken {
    let note = move |read: &[u8]| {
        if !read.is_empty() {
            connected.is_used();
        }
    };
    InspectReader::new(stream, Box::new(note))
}

impl AsyncRead for Inner {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.begun.is_empty() && buffer.remaining() > 0 {
            while buffer.remaining() > 0
                && let Some(byte) = self.begun.pop()
            {
                buffer.put_slice(&[byte]);
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Inner {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}
