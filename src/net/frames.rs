//! A connection of HTTP/2 that notes a request which the library refuses before its client hears of it.
//!
//! The library resets what it can't read by itself, and says so to nobody: a path with a character that a URL has to escape, a
//! length that is wrong, a request beyond the limit.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::peer::Peer;
use super::watched::{Noting, Unread};

/// The type of a frame that resets a stream.
const RESET: u8 = 3;
/// The length of a frame's head.
const HEAD: usize = 9;

/// A stream that holds a reset back that is the library's own until the request is noted.
pub(super) struct Framed<S> {
    stream: S,
    unread: Unread,
    /// Where the frames that have been written end.
    written: Frames,
    /// How many of the refusals in what is being written are noted.
    noted: usize,
    noting: Option<Noting>,
}

/// A place in a stream of frames.
#[derive(Debug, Clone, Default)]
struct Frames {
    /// What there is of the head of a frame, with the payload of a reset.
    begun: Vec<u8>,
    /// How much of a payload is still to come.
    rest: usize,
}

impl Frames {
    /// Reads on, and returns the reasons of the resets that end in it.
    fn read(&mut self, mut bytes: &[u8]) -> Vec<u32> {
        let mut reasons = Vec::new();
        while !bytes.is_empty() {
            if self.rest > 0 {
                let count = self.rest.min(bytes.len());
                self.rest -= count;
                bytes = &bytes[count..];
                continue;
            }
            self.begun.push(bytes[0]);
            bytes = &bytes[1..];
            let Some([a, b, c, kind, ..]) = self.begun.get(..HEAD) else {
                continue;
            };
            if *kind == RESET {
                if let Some(payload) = self.begun.get(HEAD..HEAD + 4) {
                    let reason = payload.try_into().unwrap_or_default();
                    reasons.push(u32::from_be_bytes(reason));
                    self.begun.clear();
                }
                continue;
            }
            self.rest = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            self.begun.clear();
        }
        reasons
    }
}

/// Returns why the library refuses a request, if this is the reason of its own. A mock that breaks a call has another one.
fn refusal(reason: u32) -> Option<&'static str> {
    match h2::Reason::from(reason) {
        h2::Reason::PROTOCOL_ERROR => Some("it breaks a rule of HTTP/2"),
        h2::Reason::FRAME_SIZE_ERROR => Some("one of its frames is too large"),
        h2::Reason::COMPRESSION_ERROR => Some("its headers can't be unpacked"),
        h2::Reason::REFUSED_STREAM => Some("there are too many requests on its connection"),
        _ => None,
    }
}

impl<S> Framed<S> {
    pub(super) fn new(stream: S, unread: Unread) -> Self {
        Self {
            stream,
            unread,
            written: Frames::default(),
            noted: 0,
            noting: None,
        }
    }

    /// Notes the refusals in what is about to be written; ready once that is done.
    fn note(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<()> {
        loop {
            if let Some(noting) = &mut self.noting {
                ready!(noting.as_mut().poll(context));
                self.noting = None;
                self.noted += 1;
            }
            let reasons = self.written.clone().read(bytes).into_iter();
            let Some(why) = reasons.filter_map(refusal).nth(self.noted) else {
                return Poll::Ready(());
            };
            self.noting = Some((self.unread)(why));
        }
    }
}

impl<S: Peer> Peer for Framed<S> {
    fn reset(&self) {
        self.stream.reset();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Framed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.note(context, bytes));
        let count = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        let passed = self.written.read(&bytes[..count]);
        self.noted -= passed
            .into_iter()
            .filter_map(refusal)
            .count()
            .min(self.noted);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_are_found_wherever_a_stream_is_cut() {
        let frame = |kind: u8, payload: &[u8]| {
            let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
            [&length[1..], &[kind, 0, 0, 0, 0, 1], payload].concat()
        };
        let stream = [
            frame(4, &[]),
            frame(0, &[3; 300]),
            frame(RESET, &1_u32.to_be_bytes()),
            frame(1, &[RESET; 20]),
            frame(RESET, &7_u32.to_be_bytes()),
        ]
        .concat();
        for piece in 1..stream.len() {
            let mut frames = Frames::default();
            let found: Vec<u32> = stream
                .chunks(piece)
                .flat_map(|piece| frames.read(piece))
                .collect();
            assert_eq!(found, [1, 7], "{piece}");
        }
    }
}
