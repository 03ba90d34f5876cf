//! The HTTP API on a socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::captures::{EndedSession, Keep};
use super::desk::Desk;
use super::options::Options;
use super::state::EmbeddedRuntime;
use crate::control::Token;
use crate::error::SoftprobeError;
use crate::net::{HyperRequest, MOST_HELD, Server, is_loopback, to_hyper};

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
    /// Serves the runtime on a free port of the loopback interface, without a token. Use
    /// [`builder`](Self::builder) to change either setting.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Listen`] when no port is available.
    pub fn start(runtime: &EmbeddedRuntime) -> Result<Self, SoftprobeError> {
        Self::builder(runtime).start()
    }

    /// Returns a builder for a server of the runtime.
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
#[must_use = "the server does not listen until `start` is called"]
pub struct ControlServerBuilder {
    runtime: EmbeddedRuntime,
    address: String,
    options: Options,
}

impl ControlServerBuilder {
    /// Sets the address to listen on: host and port, where port 0 picks a free one. The default is
    /// `127.0.0.1:0`.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.address = address.into();
        self
    }

    /// Sets the bearer token that every call except `GET /health` needs; a blank one means none.
    pub fn api_token(mut self, token: &str) -> Self {
        self.options.token = Token::new(token);
        self
    }

    /// Sets the largest request body in bytes, as it arrives and after decompression; a larger one is
    /// refused with 413. The default is 64 MiB, the most 512 MiB.
    pub fn largest_body(mut self, bytes: usize) -> Self {
        self.options.intake.largest_body = bytes.min(MOST_HELD);
        self
    }

    /// Lets requests in that call the server by this name, such as `runtime.internal`. Without it, a request whose `Host`
    /// is a name other than `localhost` is refused, since a web page may have made it, unless it brings the token.
    pub fn allow_host(mut self, name: impl Into<String>) -> Self {
        self.options.callers.hosts.push(name.into());
        self
    }

    /// Lets requests in that pages of this origin make, such as `http://shop.example:3000`. Without it, a request whose
    /// `Origin` is not on this machine is refused, unless it brings the token.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.options.callers.origins.push(origin.into());
        self
    }

    /// Allows an address that other machines reach although no token is set. Without it, the server does not start there.
    pub fn allow_unauthenticated(mut self) -> Self {
        self.options.unauthenticated = true;
        self
    }

    /// Sets the folder in which captures are kept: `close?out=` may write below it, and what a session has captured that is
    /// closed without `out`, or because it was idle, is written to `<session>.case.json`. By default, no file is written,
    /// and the newest 100 captures (64 MiB together) stay in memory for `GET /v1/captures/{id}`.
    pub fn captures(mut self, folder: impl Into<PathBuf>) -> Self {
        self.options.keep.folder = Some(folder.into());
        self
    }

    /// Sets the file for the capture of a session that is closed without `out`, or because it was idle, instead of one in
    /// the folder for [captures](Self::captures). `{sessionId}`, `{mode}` and `{ts}` in it stand for the session's id, `capture` and the
    /// time. A file that exists is not overwritten; the new one gets a number.
    pub fn capture_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.options.keep.file = Some(file.into());
        self
    }

    /// Sets how long a session may go unused before it is closed. Its capture, if any, is kept as
    /// [`captures`](Self::captures) says. By default, no session is closed.
    pub fn close_idle_after(mut self, limit: Duration) -> Self {
        self.options.idle = Some(limit);
        self
    }

    /// Starts the server.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Listen`] when it can't listen on the address, and [`SoftprobeError::Exposed`] when other machines
    /// reach the address and there is no token.
    pub fn start(self) -> Result<ControlServer, SoftprobeError> {
        let Self {
            runtime,
            address,
            options,
        } = self;
        if options.token.is_none() && !options.unauthenticated && !is_loopback(&address) {
            return Err(SoftprobeError::Exposed {
                address,
                way_out: "set a token (SOFTPROBE_API_TOKEN), or allow calls without one (--allow-unauthenticated)",
            });
        }
        let (idle, keep) = (options.idle, options.keep.clone());
        let desk = Arc::new(Desk::new(runtime.clone(), options));
        let server = Server::start(&address, move |request: HyperRequest| {
            let desk = Arc::clone(&desk);
            async move { to_hyper(desk.serve(request).await) }
        })?;
        if let Some(limit) = idle {
            server.spawn(close_idle(runtime, limit, keep));
        }
        Ok(ControlServer { server })
    }
}

async fn close_idle(runtime: EmbeddedRuntime, limit: Duration, keep: Keep) {
    let mut ticks = tokio::time::interval((limit / 4).clamp(Duration::from_millis(10), SWEEP));
    loop {
        ticks.tick().await;
        let ended = runtime.end_idle(limit);
        for EndedSession { session, .. } in &ended {
            log::info!("session {session}: closed after {limit:?} without use");
        }
        keep.save(&ended);
    }
}
