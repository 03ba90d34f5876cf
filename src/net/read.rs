//! Reads whole requests, within limits.

use std::fmt;
use std::io::Read as _;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::convert::{Body, Continued, HyperRequest, describe};
use super::server::{LARGEST_HEAD, MOST_HEADERS};
use crate::base::http::Request;

/// How many bytes beyond the limit are read and discarded before a body that is too large is answered.
const MOST_DRAINED: usize = 256 * 1024 * 1024;
/// The largest body that is read into memory, in bytes.
pub(crate) const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// The reason why a request can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Its head has more than this many bytes.
    HeadTooLarge(usize),
    /// It has more than this many headers.
    TooManyHeaders(usize),
    /// Its body has more than this many bytes.
    TooLarge(usize),
    /// No byte of its body arrived for this long.
    Stalled(Duration),
    /// Too many bodies are held already.
    NoRoom,
    /// It was cut short before its whole body had arrived.
    BrokeOff(String),
    /// Its body is declared as gzip, but is not.
    NoGzip(String),
}

impl Unreadable {
    /// Returns the HTTP status for this reason.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::HeadTooLarge(_) | Self::TooManyHeaders(_) => 431,
            Self::TooLarge(_) => 413,
            Self::Stalled(_) => 408,
            Self::NoRoom => 503,
            Self::BrokeOff(_) | Self::NoGzip(_) => 400,
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeadTooLarge(largest) => write!(f, "a head larger than {largest} bytes is refused"),
            Self::TooManyHeaders(most) => {
                write!(f, "a head with more than {most} headers is refused")
            }
            Self::TooLarge(largest) => write!(f, "a body larger than {largest} bytes is refused"),
            Self::Stalled(limit) => {
                write!(f, "no byte of the request's body arrived for {} seconds", limit.as_secs_f32())
            }
            Self::NoRoom => f.write_str(
                "the process is overloaded: it holds as many bytes of bodies as it may; send fewer requests at a time",
            ),
            Self::BrokeOff(why) => write!(f, "the request was cut short: {why}"),
            Self::NoGzip(why) => write!(f, "the body is not gzip: {why}"),
        }
    }
}

/// How much a server takes in, and how long it waits for it.
#[derive(Debug, Clone)]
pub(crate) struct Intake {
    /// The largest body of a request, in bytes.
    pub(crate) largest_body: usize,
    /// How long no byte of a body may arrive.
    pub(crate) stalled_after: Duration,
    /// How long a body waits until there is room for it.
    pub(crate) waits_for_room: Duration,
    /// The room for all bodies that are held at one time, in blocks.
    room: Arc<Semaphore>,
}

/// The unit in which room for bodies is counted, in bytes: small bodies cost one.
const BLOCK: usize = 4 * 1024;

/// How many bytes of bodies this process holds at one time.
pub(crate) const MOST_HELD: usize = 512 * 1024 * 1024;

static ROOM: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(MOST_HELD / BLOCK)));

impl Default for Intake {
    fn default() -> Self {
        Self {
            largest_body: LARGEST_BODY,
            stalled_after: Duration::from_secs(30),
            waits_for_room: Duration::from_secs(5),
            room: Arc::clone(&ROOM),
        }
    }
}

/// A request whose body was read as far as it may be held.
pub(crate) enum Taken {
    /// The whole request; its body has room for as long as the second one lives.
    Whole(Request, Held),
    /// A request without its body, and the body.
    Left(Request, Body),
}

/// The room that a body takes, until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Held {
    blocks: Option<OwnedSemaphorePermit>,
}

impl Intake {
    /// Returns the usual limits with another one for bodies, in bytes.
    pub(crate) fn of_bodies(largest_body: usize) -> Self {
        Self {
            largest_body,
            ..Self::default()
        }
    }

    /// Makes sure that `held` is enough for a body of this many bytes, and waits for room if there is none.
    async fn hold(&self, held: &mut Held, bytes: usize) -> Result<(), Unreadable> {
        let has = held
            .blocks
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let lacks = bytes.div_ceil(BLOCK).saturating_sub(has);
        if lacks == 0 {
            return Ok(());
        }
        let lacks = u32::try_from(lacks).map_err(|_| Unreadable::NoRoom)?;
        let got = match Arc::clone(&self.room).try_acquire_many_owned(lacks) {
            Ok(got) => got,
            Err(_) => {
                let room = Arc::clone(&self.room).acquire_many_owned(lacks);
                let waited = tokio::time::timeout(self.waits_for_room, room).await;
                waited.ok().and_then(Result::ok).ok_or(Unreadable::NoRoom)?
            }
        };
        match &mut held.blocks {
            Some(blocks) => blocks.merge(got),
            none => *none = Some(got),
        }
        Ok(())
    }

    /// Reads a whole request. Its body has room for as long as what is returned beside it lives.
    ///
    /// # Errors
    ///
    /// The reason why it can't be read, and the request without its body.
    pub(crate) async fn read(
        &self,
        request: HyperRequest,
    ) -> Result<(Request, Held), (Unreadable, Request)> {
        let (parts, body) = request.into_parts();
        if let Some(why) = unreadable_head(&parts) {
            return Err((why, describe(&parts, Vec::new())));
        }
        if body.is_end_stream() {
            return Ok((describe(&parts, Vec::new()), Held::default()));
        }
        // A body that is declared too large even to discard is not awaited.
        let largest = self.largest_body;
        if body.size_hint().lower() > largest.saturating_add(MOST_DRAINED) as u64 {
            return Err((Unreadable::TooLarge(largest), describe(&parts, Vec::new())));
        }
        let (mut body, mut held) = (body, Held::default());
        match self.read_start(&mut body, &mut held).await {
            Ok((whole, true)) => return Ok((describe(&parts, whole), held)),
            Ok((start, false)) => drain(&mut body, start.len(), self.stalled_after).await,
            Err(why) => return Err((why, describe(&parts, Vec::new()))),
        }
        Err((Unreadable::TooLarge(largest), describe(&parts, Vec::new())))
    }

    /// Reads a request as [`read`](Self::read) does, and leaves a body that is too large to be held to the caller.
    ///
    /// # Errors
    ///
    /// The reason why it can't be read, and the request without its body.
    pub(crate) async fn take(&self, request: HyperRequest) -> Result<Taken, (Unreadable, Request)> {
        let (parts, mut body) = request.into_parts();
        if let Some(why) = unreadable_head(&parts) {
            return Err((why, describe(&parts, Vec::new())));
        }
        let mut held = Held::default();
        match self.read_start(&mut body, &mut held).await {
            Ok((whole, true)) => Ok(Taken::Whole(describe(&parts, whole), held)),
            Ok((start, false)) => {
                let request = Request {
                    unread: true,
                    ..describe(&parts, Vec::new())
                };
                let rest = body.map_err(Into::into);
                Ok(Taken::Left(request, Continued::new(start, rest).boxed()))
            }
            Err(why) => Err((why, describe(&parts, Vec::new()))),
        }
    }

    /// Reads a body as far as it may be held, and returns whether it is whole.
    async fn read_start(
        &self,
        body: &mut Incoming,
        held: &mut Held,
    ) -> Result<(Vec<u8>, bool), Unreadable> {
        let mut read = Vec::new();
        let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if declared > self.largest_body {
            return Ok((read, false));
        }
        // What is declared gets its room at once: bodies that each have a part of theirs would wait for each other.
        self.hold(held, declared).await?;
        read.reserve_exact(declared);
        while read.len() <= self.largest_body {
            let frame = tokio::time::timeout(self.stalled_after, body.frame()).await;
            let Some(frame) = frame.map_err(|_| Unreadable::Stalled(self.stalled_after))? else {
                return Ok((read, true));
            };
            let frame = frame.map_err(|error| Unreadable::BrokeOff(error.to_string()))?;
            if let Ok(data) = frame.into_data() {
                // The vector's own growth is counted, since it is what takes memory.
                read.reserve(data.len());
                self.hold(held, read.capacity()).await?;
                read.extend_from_slice(&data);
            }
        }
        Ok((read, false))
    }
}

/// Reads some more of a body that is too large, and discards it: a client that is still sending would not see the answer.
async fn drain(body: &mut Incoming, read: usize, stalled_after: Duration) {
    let mut seen = read;
    while seen < MOST_DRAINED
        && let Ok(Some(Ok(frame))) = tokio::time::timeout(stalled_after, body.frame()).await
    {
        seen += frame.data_ref().map_or(0, |data| data.len());
    }
}

/// Returns why a head is refused, if it is. The HTTP library refuses heads only when its buffer is full, which may be later,
/// and those of HTTP/2 by their size alone.
fn unreadable_head(parts: &hyper::http::request::Parts) -> Option<Unreadable> {
    if head_length(parts) > LARGEST_HEAD {
        return Some(Unreadable::HeadTooLarge(LARGEST_HEAD));
    }
    let too_many = parts.headers.len() > MOST_HEADERS;
    too_many.then_some(Unreadable::TooManyHeaders(MOST_HEADERS))
}

/// Returns how many bytes a head took on the wire, or a little less.
fn head_length(parts: &hyper::http::request::Parts) -> usize {
    let target = parts
        .uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    let fields = parts.headers.iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + 4);
    target + fields.sum::<usize>()
}

/// Unpacks a gzip body, to at most `largest` bytes.
///
/// # Errors
///
/// [`Unreadable::NoGzip`] if it is not gzip, [`Unreadable::TooLarge`] if it unpacks to more.
pub(crate) fn gunzip(body: &[u8], largest: usize) -> Result<Vec<u8>, Unreadable> {
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(body)
        .take(largest as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|error| Unreadable::NoGzip(error.to_string()))?;
    if out.len() > largest {
        return Err(Unreadable::TooLarge(largest));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::sync::mpsc;

    use super::*;
    use crate::net::{Server, plain, to_hyper};

    const LIMIT: Duration = Duration::from_secs(60);

    fn intake(blocks: usize) -> Intake {
        Intake {
            largest_body: 16 * BLOCK,
            stalled_after: LIMIT,
            waits_for_room: LIMIT,
            room: Arc::new(Semaphore::new(blocks)),
        }
    }

    /// Starts a server that answers with the length of the body, once `answers` says so for each.
    fn server(intake: Intake, answers: Option<mpsc::Receiver<()>>) -> Server {
        let answers = Arc::new(std::sync::Mutex::new(answers));
        let handle = move |request| {
            let (intake, answers) = (intake.clone(), Arc::clone(&answers));
            async move {
                let response = match intake.read(request).await {
                    Ok((request, _held)) => {
                        let wait = move || {
                            let answers = answers.lock().unwrap();
                            answers.as_ref().map(|answers| answers.recv_timeout(LIMIT))
                        };
                        tokio::task::spawn_blocking(wait).await.unwrap();
                        plain(200, &request.body.len().to_string())
                    }
                    Err((why, _)) => plain(why.status(), &why.to_string()),
                };
                to_hyper(response)
            }
        };
        Server::start("127.0.0.1:0", handle).unwrap()
    }

    /// Sends a head that declares a length, and this much of the body.
    fn send(server: &Server, declared: usize, sent: usize) -> TcpStream {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {declared}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&vec![b'x'; sent]).unwrap();
        stream
    }

    fn answer(mut stream: TcpStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        format!(
            "{} {}",
            &head["HTTP/1.1 ".len()..][..3],
            body.trim_start_matches("softprobe: ").trim()
        )
    }

    #[test]
    fn a_body_that_stalls_is_let_go() {
        let stalled_after = Duration::from_millis(20);
        let server = server(
            Intake {
                stalled_after,
                ..intake(100)
            },
            None,
        );
        let stalled = answer(send(&server, 10, 5));
        assert_eq!(
            stalled,
            "408 no byte of the request's body arrived for 0.02 seconds"
        );
        assert_eq!(answer(send(&server, 10, 10)), "200 10");
    }

    #[test]
    fn a_body_that_is_too_large_is_refused() {
        let server = server(intake(100), None);
        let most = 16 * BLOCK;
        assert_eq!(answer(send(&server, most, most)), format!("200 {most}"));
        let refused = format!("413 a body larger than {most} bytes is refused");
        assert_eq!(answer(send(&server, most + 1, most + 1)), refused);
    }

    #[test]
    fn bodies_wait_for_room_and_give_it_back() {
        // One body fits; the next one waits until it is answered.
        let (release, released) = mpsc::channel();
        let server_with_patience = server(intake(10), Some(released));
        let body = 6 * BLOCK;
        let first = send(&server_with_patience, body, body);
        let second = send(&server_with_patience, body, body);
        release.send(()).unwrap();
        release.send(()).unwrap();
        for stream in [first, second] {
            assert_eq!(answer(stream), format!("200 {body}"));
        }
        // Without patience it is refused, and the room of what is refused is given back.
        let waits_for_room = Duration::ZERO;
        let server = server(
            Intake {
                waits_for_room,
                ..intake(4)
            },
            None,
        );
        for _ in 0..3 {
            assert!(answer(send(&server, body, body)).starts_with("503 the process is overloaded"));
            assert_eq!(answer(send(&server, BLOCK, BLOCK)), format!("200 {BLOCK}"));
        }
    }
}
