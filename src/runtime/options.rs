//! How the HTTP API behaves.

use std::path::PathBuf;
use std::time::Duration;

use crate::control::Token;
use crate::net::LARGEST_BODY;

/// How a [`ControlServer`](super::ControlServer) behaves; the default has no token, writes no files and closes no session.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    pub(super) token: Option<Token>,
    pub(super) largest_body: usize,
    pub(super) captures: Option<PathBuf>,
    pub(super) idle: Option<Duration>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            token: None,
            largest_body: LARGEST_BODY,
            captures: None,
            idle: None,
        }
    }
}

impl ServerOptions {
    /// Every call but `GET /health` needs this bearer token; an empty one is none.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.token = Token::new(token);
        self
    }

    /// A larger body, in bytes, is refused with 413, also one that unpacks to more; 64 MiB when it is not
    /// given.
    #[must_use]
    pub fn largest_body(mut self, bytes: usize) -> Self {
        self.largest_body = bytes;
        self
    }

    /// The folder below which `close?out=` may write captures.
    #[must_use]
    pub fn captures(mut self, folder: impl Into<PathBuf>) -> Self {
        self.captures = Some(folder.into());
        self
    }

    /// Closes a session that nobody used for that long.
    #[must_use]
    pub fn close_idle_after(mut self, limit: Duration) -> Self {
        self.idle = Some(limit);
        self
    }
}
