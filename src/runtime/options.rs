//! Options of the HTTP API.

use std::path::PathBuf;
use std::time::Duration;

use crate::control::Token;
use crate::net::LARGEST_BODY;

/// How a [`ControlServer`](super::ControlServer) behaves; the default needs no token, writes no files and
/// closes no session.
#[derive(Debug, Clone)]
pub(super) struct Options {
    /// Every call but `GET /health` needs this bearer token.
    pub(super) token: Option<Token>,
    /// The largest body of a request in bytes, as it arrives and after decompression.
    pub(super) largest_body: usize,
    /// The folder below which `close?out=` may write captures.
    pub(super) captures: Option<PathBuf>,
    /// How long a session may go unused before it is closed.
    pub(super) idle: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            token: None,
            largest_body: LARGEST_BODY,
            captures: None,
            idle: None,
        }
    }
}
