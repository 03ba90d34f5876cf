//! Options of the HTTP API.

use std::time::Duration;

use super::captures::Keep;
use crate::control::Token;
use crate::net::{Callers, Intake};

/// How a [`ControlServer`](super::ControlServer) behaves; the default needs no token, writes no files and
/// closes no session.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    /// Every call but `GET /health` needs this bearer token.
    pub(super) token: Option<Token>,
    /// Who may call it without the token.
    pub(super) callers: Callers,
    /// What it takes in. The largest body is counted as it arrives, and again after decompression.
    pub(super) intake: Intake,
    /// Whether it may listen where other machines reach it without a token.
    pub(super) unauthenticated: bool,
    /// Where captures are kept as files.
    pub(super) keep: Keep,
    /// How long a session may go unused before it is closed.
    pub(super) idle: Option<Duration>,
}
