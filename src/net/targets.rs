//! Request targets with characters that clients send as they are, though a URL must escape them.
//!
//! Clients send quotes and angle brackets in queries, and most servers take them. The HTTP library answers such a
//! request with 400, so they are escaped before it reads them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::peer::Peer;

/// The longest line that says how a request is framed, in bytes.
const LONGEST_LINE: usize = 256;

/// A stream whose requests have targets that can be read.
pub(super) struct Readable<S> {
    stream: S,
    requests: Requests,
    /// Bytes that were read and are still to be passed on.
    ready: Vec<u8>,
    /// How many of them have been passed on.
    passed: usize,
}

impl<S> Readable<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            requests: Requests::default(),
            ready: Vec::new(),
            passed: 0,
        }
    }
}

impl<S: Peer> Peer for Readable<S> {
    fn reset(&self) {
        self.stream.reset();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Readable<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.passed == this.ready.len() {
            this.ready.clear();
            this.passed = 0;
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
            let read = &buffer.filled()[before..];
            if !this.requests.take(read, &mut this.ready) {
                return Poll::Ready(Ok(()));
            }
            buffer.set_filled(before);
        }
        let left = &this.ready[this.passed..];
        let count = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..count]);
        this.passed += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Readable<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
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

/// Where a byte stands in a stream of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    /// In the method, or in the empty lines before it.
    #[default]
    Method,
    /// In the target.
    Target,
    /// In the rest of the request line.
    Version,
    /// In a header line.
    Header,
    /// In a body of which this much is left.
    Body(u64),
    /// In the line with the size of a chunk.
    Size,
    /// In a chunk of which this much is left.
    Chunk(u64),
    /// In the line end after a chunk.
    ChunkEnd,
    /// In the trailers.
    Trailer,
    /// In something else: what follows a `CONNECT` or an upgrade, or something that can't be followed.
    Unknown,
}

/// Returns whether a line of a head, of which this is the beginning, may say how the request is framed, or ends the
/// head.
fn is_framing(line: &[u8]) -> bool {
    let names = ["content-length", "transfer-encoding", "upgrade"];
    let begins = |name: &str| {
        let count = name.len().min(line.len());
        line[..count].eq_ignore_ascii_case(&name.as_bytes()[..count])
    };
    match line.first() {
        Some(b'\r' | b'\n') => true,
        Some(b'c' | b'C' | b't' | b'T' | b'u' | b'U') => names.into_iter().any(begins),
        _ => false,
    }
}

/// Follows a stream of requests.
#[derive(Debug, Default)]
struct Requests {
    at: At,
    /// The beginning of the line that is being read, or the method.
    line: Vec<u8>,
    is_tunnel: bool,
    is_chunked: bool,
    length: u64,
}

impl Requests {
    /// Follows the bytes. If there are characters to escape, adds all bytes to `out` with these escaped, and returns
    /// `true`.
    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        let (mut at, mut copied) = (0, 0);
        let mut changed = false;
        while let Some(byte) = bytes.get(at) {
            let rest = &bytes[at..];
            match self.at {
                At::Unknown => break,
                At::Body(left) | At::Chunk(left) => {
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    self.skip(left, count as u64);
                    at += count;
                    continue;
                }
                // Most lines of a head say nothing about how the request is framed.
                At::Header if self.line.is_empty() && !is_framing(rest) => {
                    if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                        at += end + 1;
                        continue;
                    }
                    self.step(*byte);
                }
                At::Target => match rest.iter().position(|byte| b"\"<>^` \n".contains(byte)) {
                    None => break,
                    Some(0) if [b' ', b'\n'].contains(byte) => self.step(*byte),
                    Some(0) => {
                        out.extend_from_slice(&bytes[copied..at]);
                        out.extend_from_slice(format!("%{byte:02X}").as_bytes());
                        copied = at + 1;
                        changed = true;
                    }
                    Some(plain) => {
                        at += plain;
                        continue;
                    }
                },
                _ => self.step(*byte),
            }
            at += 1;
        }
        if changed {
            out.extend_from_slice(&bytes[copied..]);
        }
        changed
    }

    /// Notes that part of a body or a chunk has been read.
    fn skip(&mut self, left: u64, count: u64) {
        let left = left - count;
        self.at = match self.at {
            At::Body(_) if left == 0 => At::Method,
            At::Body(_) => At::Body(left),
            _ if left == 0 => At::ChunkEnd,
            _ => At::Chunk(left),
        };
    }

    /// Notes a byte outside bodies.
    fn step(&mut self, byte: u8) {
        match (self.at, byte) {
            (At::Method, b' ') => {
                self.is_tunnel = self.line.eq_ignore_ascii_case(b"CONNECT");
                (self.is_chunked, self.length) = (false, 0);
                self.line.clear();
                self.at = if self.is_tunnel {
                    At::Version
                } else {
                    At::Target
                };
            }
            (At::Method, b'\r' | b'\n') => self.line.clear(),
            (At::Target, b' ') => self.at = At::Version,
            (At::Target | At::Version, b'\n') => self.at = At::Header,
            (At::Header | At::Size | At::Trailer, b'\n') => {
                let line = std::mem::take(&mut self.line);
                self.end_line(line.strip_suffix(b"\r").unwrap_or(&line));
            }
            (At::ChunkEnd, b'\n') => self.at = At::Size,
            (At::Method | At::Header | At::Size | At::Trailer, byte)
                if self.line.len() < LONGEST_LINE =>
            {
                self.line.push(byte);
            }
            _ => {}
        }
    }

    fn end_line(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line).to_ascii_lowercase();
        match self.at {
            At::Header if line.is_empty() => {
                self.at = match (self.is_tunnel, self.is_chunked, self.length) {
                    (true, ..) => At::Unknown,
                    (_, true, _) => At::Size,
                    (_, _, 0) => At::Method,
                    (_, _, length) => At::Body(length),
                };
            }
            At::Header => match text.split_once(':') {
                Some(("content-length", value)) => match value.trim().parse() {
                    Ok(length) => self.length = length,
                    Err(_) => self.at = At::Unknown,
                },
                Some(("transfer-encoding", value)) => {
                    self.is_chunked = value.trim().ends_with("chunked");
                }
                Some(("upgrade", _)) => self.is_tunnel = true,
                _ => {}
            },
            At::Size => {
                let size = text.split(';').next().unwrap_or_default().trim().to_owned();
                self.at = match u64::from_str_radix(&size, 16) {
                    Ok(0) => At::Trailer,
                    Ok(size) => At::Chunk(size),
                    Err(_) => At::Unknown,
                };
            }
            At::Trailer if line.is_empty() => self.at = At::Method,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the stream as it is passed on, read in pieces of this size.
    fn passed(stream: &str, piece: usize) -> String {
        let mut requests = Requests::default();
        let mut out = Vec::new();
        for bytes in stream.as_bytes().chunks(piece) {
            if !requests.take(bytes, &mut out) {
                out.extend_from_slice(bytes);
            }
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_targets_are_escaped() {
        let body = "GET /<a> HTTP/1.1\r\n";
        let chunked = format!("{:x};x=\"y\"\r\n{body}\r\n0\r\nx: <\r\n\r\n", body.len());
        let stream = [
            "\r\nGET /a?q=\"<x>\" HTTP/1.1\r\nx-a: \"<>\"\r\n\r\n",
            &format!(
                "POST /<p> HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
            &format!("PUT /c^d HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n{chunked}"),
            "GET http://h/`b HTTP/1.1\r\n\r\n",
            "CONNECT h:1 HTTP/1.1\r\n\r\nGET /<t> HTTP/1.1\r\n\r\n",
        ];
        let wanted = stream
            .concat()
            .replace("q=\"<x>\"", "q=%22%3Cx%3E%22")
            .replace("/<p>", "/%3Cp%3E")
            .replace("/c^d", "/c%5Ed")
            .replace("/`b", "/%60b");
        for piece in [1, 2, 7, 10_000] {
            assert_eq!(passed(&stream.concat(), piece), wanted, "{piece}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_left_alone() {
        for head in [
            "POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
            "GET / HTTP/1.1\r\nupgrade: websocket\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nno size\r\n",
        ] {
            let stream = format!("{head}GET /<a> HTTP/1.1\r\n\r\n");
            assert_eq!(passed(&stream, 3), stream);
        }
    }
}
