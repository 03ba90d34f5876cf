//! The proxy as its user holds it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::answer::answer;
use super::decide::{Core, Idle, note_unread};
use super::forward::Forwarder;
use super::target::REVERSE_PREFIX;
use crate::control::Backend;
use crate::error::SoftprobeError;
use crate::net::Server;

/// A forward proxy for plain HTTP, with a reverse form below `/__softprobe/`; dropping it stops it.
///
/// ```no_run
/// use softprobe::{EmbeddedRuntime, Idle, Mode, Proxy, Softprobe};
///
/// # fn main() -> Result<(), softprobe::SoftprobeError> {
/// let runtime = EmbeddedRuntime::new();
/// let proxy = Proxy::start(&runtime, "127.0.0.1:0", Idle::Refuse)?;
/// let session = Softprobe::embedded(&runtime).start_session(Mode::Replay)?;
/// // Start the application with `proxy.variables()`, send it requests that carry `session.id()`.
/// # drop(session); Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Proxy {
    server: Server,
}

impl Proxy {
    /// Starts a proxy on an address, port 0 for a free one, in front of a runtime: `&EmbeddedRuntime`, or
    /// `&HttpRuntime` for one elsewhere, which is asked by OTLP.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Listen`] when the address can't be had.
    pub fn start(
        runtime: impl Into<Backend>,
        address: &str,
        idle: Idle,
    ) -> Result<Self, SoftprobeError> {
        let Backend(oracle) = runtime.into();
        let core = Arc::new(Core {
            oracle,
            idle,
            forwarder: Forwarder::new(),
        });
        let unread = note_unread(&core);
        let handle = move |request| answer(Arc::clone(&core), None, request);
        let server = Server::start_noting(address, handle, unread)?;
        Ok(Self { server })
    }

    /// Takes no further connection, lets calls that run end within the limit, and stops.
    pub fn stop(self, limit: Duration) {
        self.server.stop(limit);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its URL, for a client's proxy setting.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The URL below which the reverse form of a host answers, for clients that can't use a proxy:
    /// `http://127.0.0.1:4100/__softprobe/http/payments.example`.
    pub fn reverse_url(&self, scheme: &str, host: &str) -> String {
        format!("{}{}{scheme}/{host}", self.url(), REVERSE_PREFIX)
    }

    /// The environment that points an application's HTTP clients here. `NO_PROXY` is emptied, since an
    /// inherited value would let calls slip past.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let url = self.url();
        vec![
            ("HTTP_PROXY", url.clone()),
            ("http_proxy", url.clone()),
            ("HTTPS_PROXY", url.clone()),
            ("https_proxy", url),
            ("NO_PROXY", String::new()),
            ("no_proxy", String::new()),
            // Node's own clients look at the others only when they are told to.
            ("NODE_USE_ENV_PROXY", "1".to_owned()),
        ]
    }
}
