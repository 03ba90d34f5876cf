//! Requests read whole, within limits.

use std::fmt;
use std::io::Read as _;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use super::convert::{HyperRequest, describe};
use super::server::SLOWEST_CLIENT;
use crate::base::http::Request;

/// As much of a body that is too large is thrown away before its answer.
const MOST_DRAINED: usize = 256 * 1024 * 1024;
/// The largest body that is read into memory.
pub(crate) const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// Why a request can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Its body has more than so many bytes.
    TooLarge(usize),
    /// Its body did not arrive in time.
    TooSlow,
    /// It ended before its body did.
    BrokeOff(String),
    /// Its body says that it is gzip, and is not.
    NoGzip(String),
}

impl Unreadable {
    /// The status that says so.
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
            Self::TooLarge(largest) => write!(f, "a body of more than {largest} bytes is refused"),
            Self::TooSlow => f.write_str("the request's body took too long"),
            Self::BrokeOff(why) => write!(f, "the request broke off: {why}"),
            Self::NoGzip(why) => write!(f, "the body is not gzip: {why}"),
        }
    }
}

/// Reads a request whole, a body of so many bytes at the most.
///
/// # Errors
///
/// Why it can't be read.
pub(crate) async fn read_request(
    request: HyperRequest,
    largest: usize,
) -> Result<Request, Unreadable> {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return Ok(describe(&parts, Vec::new()));
    }
    // What is declared to be too large to throw away is not waited for.
    if body.size_hint().lower() > largest.saturating_add(MOST_DRAINED) as u64 {
        return Err(Unreadable::TooLarge(largest));
    }
    let read = tokio::time::timeout(SLOWEST_CLIENT, read_body(body, largest));
    let body = read.await.unwrap_or(Err(Unreadable::TooSlow))?;
    Ok(describe(&parts, body))
}

/// A body that is too large is read on for a while: a client that still sends would not see the answer.
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

/// The body without its gzip, of so many bytes at the most.
///
/// # Errors
///
/// That it is no gzip, or unpacks to more.
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
