//! Sockets on which an answer counts that comes before the whole request was sent.
//!
//! A server may answer early, for example because the body is too large, and read no more. The HTTP library would
//! go on sending until its time is up, and never see the answer.

use std::fmt;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Error, Timeout};

/// How long a write may wait before the socket is checked for an answer.
const PAUSE: Duration = Duration::from_millis(20);

/// Connects to servers that are reached without TLS.
#[derive(Debug, Default)]
pub(super) struct Sockets;

impl<In: Transport> Connector<In> for Sockets {
    type Out = Either<In, Socket>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if chained.is_some() || details.needs_tls() {
            return Ok(chained.map(Either::A));
        }
        let limit = limit(&details.timeout);
        let start = Instant::now();
        let mut failure = Error::ConnectionFailed;
        for address in &details.addrs {
            let left = limit.map(|limit| limit.saturating_sub(start.elapsed()));
            let connected = match left {
                Some(left) if left.is_zero() => return Err(Error::Timeout(Timeout::Connect)),
                Some(left) => TcpStream::connect_timeout(address, left),
                None => TcpStream::connect(address),
            };
            match connected {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_write_timeout(Some(PAUSE))?;
                    let config = &details.config;
                    return Ok(Some(Either::B(Socket {
                        stream,
                        buffers: LazyBuffers::new(
                            config.input_buffer_size(),
                            config.output_buffer_size(),
                        ),
                        read_limit: None,
                        is_answered: false,
                    })));
                }
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    failure = Error::Timeout(Timeout::Connect);
                }
                Err(error) => failure = error.into(),
            }
        }
        Err(failure)
    }
}

/// Returns the time that is left; `None` if it is not limited.
fn limit(timeout: &NextTimeout) -> Option<Duration> {
    timeout.not_zero().map(|limit| *limit)
}

/// Fails if no time is left.
fn check(timeout: &NextTimeout) -> Result<(), Error> {
    match timeout.after.is_zero() {
        true => Err(Error::Timeout(timeout.reason)),
        false => Ok(()),
    }
}

/// A connection that stops sending once the server has answered.
pub(super) struct Socket {
    stream: TcpStream,
    buffers: LazyBuffers,
    /// The limit for reads that was set last.
    read_limit: Option<Duration>,
    is_answered: bool,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket")
            .field(&self.stream.peer_addr().ok())
            .finish()
    }
}

/// Returns whether a read or a write only took longer than the socket lets it.
fn is_pause(error: &std::io::Error) -> bool {
    [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind())
}

/// Reads what is there without taking it; 0 bytes at the end of the connection.
fn peek(stream: &TcpStream, buffer: &mut [u8]) -> std::io::Result<usize> {
    stream.set_nonblocking(true)?;
    let peeked = stream.peek(buffer);
    stream.set_nonblocking(false)?;
    peeked
}

/// How long a server may stop reading a request that it has already accepted, before its answer counts.
const LONGEST_STOP: Duration = Duration::from_secs(2);

/// Returns whether the server has answered and does not want the rest of the request. An interim answer is none. A
/// server that accepts a request may answer while it reads, so it has to have stopped reading for a while; so has one
/// whose answer can't be told yet.
fn is_refused(stream: &TcpStream, is_open: bool, stopped: Duration) -> bool {
    let mut start = [0; 4096];
    let Ok(count @ 1..) = peek(stream, &mut start) else {
        return false;
    };
    let mut rest = &start[..count];
    loop {
        match rest.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2)) {
            Some(b'1') => {
                let Some(end) = rest.windows(4).position(|end| end == b"\r\n\r\n") else {
                    return false;
                };
                rest = &rest[end + 4..];
            }
            Some(b'3'..=b'5') => return true,
            // The rest of a request can't be sent any more.
            Some(_) if !is_open => return true,
            Some(_) => return stopped >= LONGEST_STOP,
            None => return false,
        }
    }
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        check(&timeout)?;
        let start = Instant::now();
        let mut waited = start;
        let mut rest = self.buffers.output().get(..amount).unwrap_or_default();
        while !rest.is_empty() && !self.is_answered {
            match (&self.stream).write(rest) {
                Ok(0) => return Err(std::io::Error::from(ErrorKind::WriteZero).into()),
                Ok(written) => {
                    rest = &rest[written..];
                    waited = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A server that has answered may also have closed its side.
                Err(error) if is_refused(&self.stream, is_pause(&error), waited.elapsed()) => {
                    self.is_answered = true;
                }
                Err(error) if is_pause(&error) => {
                    if limit(&timeout).is_some_and(|limit| start.elapsed() >= limit) {
                        return Err(Error::Timeout(timeout.reason));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        check(&timeout)?;
        let limit = limit(&timeout);
        if limit != self.read_limit {
            self.stream.set_read_timeout(limit)?;
            self.read_limit = limit;
        }
        loop {
            match (&self.stream).read(self.buffers.input_append_buf()) {
                Ok(read) => {
                    self.buffers.input_appended(read);
                    return Ok(read > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_pause(&error) => {
                    return Err(Error::Timeout(timeout.reason));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Only an unused connection that is still open, with nothing to read, can be used again.
    fn is_open(&mut self) -> bool {
        !self.is_answered
            && peek(&self.stream, &mut [0])
                .is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}
