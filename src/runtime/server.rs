//! The HTTP API on a socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::captures::keep_captures;
use super::desk::Desk;
use super::options::Options;
use super::state::{EmbeddedRuntime, EndedSession};
use crate::control::Token;
use crate::error::SoftprobeError;
use crate::net::{HyperRequest, Server, to_hyper};

/// The longest time between two checks for idle sessions.
const SWEEP: Duration = Duration::from_secs(30);

/// A server for the HTTP control API of a runtime; dropping it stops it.
///
/// ```
/// use softprobe::{ControlServer, EmbeddedRuntime, Mode, Softprobe};
///
/// # fn main() -> Result<(), softprobe::SoftprobeError> {
/// let server = ControlServer::start(&EmbeddedRuntime::new())?;
/// let softprobe = Softprobe::builder().base_url(server.url()).build();
/// softprobe.start_session(Mode::Replay)?.close()
/// # }
/// ```
#[derive(Debug)]
pub struct ControlServer {
    server: Server,
}

impl ControlServer {
    /// Serves the runtime on a free port of the loopback interface, without a token;
    /// [`builder`](Self::builder) changes either.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Listen`] when no port can be had.
    pub fn start(runtime: &EmbeddedRuntime) -> Result<Self, SoftprobeError> {
        Self::builder(runtime).start()
    }

    /// Configures a server for the runtime.
    pub fn builder(runtime: &EmbeddedRuntime) -> ControlServerBuilder {
        ControlServerBuilder {
            runtime: runtime.clone(),
            address: "127.0.0.1:0".to_owned(),
            options: Options::default(),
        }
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Returns the base URL for clients: `http://127.0.0.1:8080`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Stops accepting connections, waits at most `limit` for the requests in progress, and stops.
    pub fn stop(self, limit: Duration) {
        self.server.stop(limit);
    }
}

/// Configures a [`ControlServer`] before it starts.
#[derive(Debug)]
#[must_use = "a server listens once it is started"]
pub struct ControlServerBuilder {
    runtime: EmbeddedRuntime,
    address: String,
    options: Options,
}

impl ControlServerBuilder {
    /// The address to listen on, host and port; port 0 picks a free one. The default is `127.0.0.1:0`.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.address = address.into();
        self
    }

    /// The bearer token that every call but `GET /health` needs; a blank one means none.
    pub fn api_token(mut self, token: &str) -> Self {
        self.options.token = Token::new(token);
        self
    }

    /// The largest request body in bytes, as it arrives and after decompression; a larger one is refused
    /// with 413. The default is 64 MiB.
    pub fn largest_body(mut self, bytes: usize) -> Self {
        self.options.largest_body = bytes;
        self
    }

    /// The folder below which `close?out=` may write captures. By default no file is written.
    pub fn captures(mut self, folder: impl Into<PathBuf>) -> Self {
        self.options.captures = Some(folder.into());
        self
    }

    /// Closes a session that has not been used for that long. By default none is closed.
    pub fn close_idle_after(mut self, limit: Duration) -> Self {
        self.options.idle = Some(limit);
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Listen`] when the address can't be had.
    pub fn start(self) -> Result<ControlServer, SoftprobeError> {
        let Self {
            runtime,
            address,
            options,
        } = self;
        let (idle, folder) = (options.idle, options.captures.clone());
        let desk = Arc::new(Desk::new(runtime.clone(), options));
        let server = Server::start(&address, move |request: HyperRequest| {
            let desk = Arc::clone(&desk);
            async move { to_hyper(desk.serve(request).await) }
        })?;
        if let Some(limit) = idle {
            server.spawn(close_idle(runtime, limit, folder));
        }
        Ok(ControlServer { server })
    }
}

async fn close_idle(runtime: EmbeddedRuntime, limit: Duration, folder: Option<PathBuf>) {
    let mut ticks = tokio::time::interval((limit / 4).clamp(Duration::from_millis(10), SWEEP));
    loop {
        ticks.tick().await;
        let ended = runtime.end_idle(limit);
        for EndedSession { session, .. } in &ended {
            log::info!("session {session}: closed after {limit:?} without use");
        }
        keep_captures(folder.as_deref(), &ended);
    }
}
