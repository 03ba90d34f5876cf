//! Passes bytes on that are not looked into.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Mutex;

use super::decide::{Act, Core, decide};
use crate::base::http::{Request, SESSION_HEADER};

/// How much is passed on at a time, in bytes.
const PIECE: usize = 16 * 1024;

/// A connection that was let pass.
pub(super) struct Passing {
    core: Arc<Core>,
    /// The call that it began with, without what tied it to a session: those to come are other ones.
    call: Arc<Request>,
    /// The sessions that were open when it was let pass.
    sessions: Vec<String>,
}

impl Passing {
    /// Creates one for a call that is about to be decided about.
    pub(super) async fn new(core: &Arc<Core>, call: &Request) -> Self {
        let mut call = call.clone();
        call.body = Vec::new();
        for name in [SESSION_HEADER, "traceparent", "tracestate"] {
            call.headers.remove(name);
        }
        Self {
            core: Arc::clone(core),
            call: Arc::new(call),
            sessions: open_sessions(core).await,
        }
    }

    /// Copies between a client and its upstream until both have ended or the proxy stops. When other sessions are open than
    /// before, what either side sends is decided about again: their policies may not let it pass, and their reports have to
    /// have it.
    pub(super) async fn copy(
        self,
        client: impl AsyncRead + AsyncWrite,
        upstream: impl AsyncRead + AsyncWrite,
    ) -> io::Result<()> {
        let stop = self.core.stop();
        let (from_client, to_client) = tokio::io::split(client);
        let (from_upstream, to_upstream) = tokio::io::split(upstream);
        let shared = Mutex::new(self);
        let both = async {
            tokio::try_join!(
                copy(&shared, from_client, to_upstream),
                copy(&shared, from_upstream, to_client)
            )
        };
        tokio::select! {
            both = both => both.map(drop),
            () = stop.cancelled() => Ok(()),
        }
    }

    async fn still_passes(&mut self) -> bool {
        let open = open_sessions(&self.core).await;
        if open == self.sessions {
            return true;
        }
        self.sessions = open;
        if self.sessions.is_empty() {
            return true;
        }
        matches!(decide(&self.core, &self.call).await.act, Act::Forward)
    }
}

/// Copies in one direction.
async fn copy(
    passing: &Mutex<Passing>,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let count = from.read(&mut piece).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        let piece = &piece[..count];
        if !is_farewell(piece) && !passing.lock().await.still_passes().await {
            return Err(io::Error::other("a session does not let it pass any more"));
        }
        to.write_all(piece).await?;
        to.flush().await?;
    }
}

/// Returns whether this only ends a connection of TLS: an alert, which TLS 1.3 hides in a record of this length. A pool that
/// drops a connection makes no call.
fn is_farewell(piece: &[u8]) -> bool {
    match piece {
        [0x15, ..] => true,
        [0x17, 3, 3, 0, 19, rest @ ..] => rest.len() == 19,
        _ => false,
    }
}

/// Returns the sessions that are open, in order.
async fn open_sessions(core: &Arc<Core>) -> Vec<String> {
    let open = core.ask(|oracle| oracle.open_sessions().unwrap_or_default());
    let mut open = open.await.unwrap_or_default();
    open.sort_unstable();
    open
}
