//! The HTTP API on a socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::captures::keep_captures;
use super::desk::Desk;
use super::options::ServerOptions;
use super::state::{EmbeddedRuntime, EndedSession};
use crate::error::SoftprobeError;
use crate::net::{HyperRequest, Server, to_hyper};

/// How often sessions are looked at for being idle, at the most.
const SWEEP: Duration = Duration::from_secs(30);

/// A server for the HTTP API of a runtime; dropping it stops it.
#[derive(Debug)]
pub struct ControlServer {
    server: Server,
}

impl ControlServer {
    /// Serves the runtime on an address; port 0 picks a free one.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Listen`] when the address can't be had.
    pub fn start(runtime: &EmbeddedRuntime, address: &str) -> Result<Self, SoftprobeError> {
        Self::start_with(runtime, address, ServerOptions::default())
    }

    /// Serves the runtime with a token, limits, or a folder for captures.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_with(
        runtime: &EmbeddedRuntime,
        address: &str,
        options: ServerOptions,
    ) -> Result<Self, SoftprobeError> {
        let (idle, folder) = (options.idle, options.captures.clone());
        let desk = Arc::new(Desk::new(runtime.clone(), options));
        let server = Server::start(address, move |request: HyperRequest| {
            let desk = Arc::clone(&desk);
            async move { to_hyper(desk.serve(request).await) }
        })?;
        if let Some(limit) = idle {
            server.spawn(close_idle(runtime.clone(), limit, folder));
        }
        Ok(Self { server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The base URL for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Takes no further connection, lets requests that run end within the limit, and stops.
    pub fn stop(self, limit: Duration) {
        self.server.stop(limit);
    }
}

async fn close_idle(runtime: EmbeddedRuntime, limit: Duration, folder: Option<PathBuf>) {
    let mut ticks = tokio::time::interval((limit / 4).clamp(Duration::from_millis(10), SWEEP));
    loop {
        ticks.tick().await;
        let ended = runtime.end_idle(limit);
        for EndedSession { session, .. } in &ended {
            log::info!("session {session}: closed, since nobody used it for {limit:?}");
        }
        keep_captures(folder.as_deref(), &ended);
    }
}
