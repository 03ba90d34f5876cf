//! Reads whole requests, within limits.

use std::fmt;
use std::io::Read as _;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use super::convert::{HyperRequest, describe};
use super::server::SLOWEST_CLIENT;
use crate::base::http::Request;

/// How many bytes beyond the limit are read and discarded before a body that is too large is answered.
const MOST_DRAINED: usize = 256 * 1024 * 1024;
/// The largest body that is read into memory, in bytes.
pub(crate) const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// The reason why a request can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Its body has more than this many bytes.
    TooLarge(usize),
    /// Its body did not arrive in time.
    TooSlow,
    /// It was cut short before its whole body had arrived.
    BrokeOff(String),
    /// Its body is declared as gzip, but is not.
    NoGzip(String),
}

impl Unreadable {
    /// Returns the HTTP status for this reason.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::TooLarge(_) => 413,
            Self::TooSlow => 408,
            Self::BrokeOff(_) | Self::NoGzip(_) => 400,
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(largest) => write!(f, "a body larger than {largest} bytes is refused"),
            Self::TooSlow => f.write_str("the request's body took too long to arrive"),
            Self::BrokeOff(why) => write!(f, "the request was cut short: {why}"),
            Self::NoGzip(why) => write!(f, "the body is not gzip: {why}"),
        }
    }
}

/// Reads a whole request, whose body may have at most `largest` bytes.
///
/// # Errors
///
/// The reason why it can't be read, and the request without its body.
pub(crate) async fn read_request(
    request: HyperRequest,
    largest: usize,
) -> Result<Request, (Unreadable, Request)> {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return Ok(describe(&parts, Vec::new()));
    }
    // A body that is declared too large even to discard is not awaited.
    if body.size_hint().lower() > largest.saturating_add(MOST_DRAINED) as u64 {
        return Err((Unreadable::TooLarge(largest), describe(&parts, Vec::new())));
    }
    let read = tokio::time::timeout(SLOWEST_CLIENT, read_body(body, largest));
    match read.await.unwrap_or(Err(Unreadable::TooSlow)) {
        Ok(body) => Ok(describe(&parts, body)),
        Err(why) => Err((why, describe(&parts, Vec::new()))),
    }
}

/// Reads a body. If it is too large, some more of it is read and discarded, because a client that is
/// still sending would not see the answer.
async fn read_body(mut body: Incoming, largest: usize) -> Result<Vec<u8>, Unreadable> {
    let (mut whole, mut seen) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Unreadable::BrokeOff(error.to_string()))?;
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
        return Err(Unreadable::TooLarge(largest));
    }
    Ok(whole)
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
