//! The embedded runtime: sessions, their rules and policies, and what answers an outbound call.
//!
//! [`EmbeddedRuntime`] lives in this process; [`ControlServer`] puts its control API on a socket.

mod capture;
mod change;
mod metrics;
mod oracle;
mod otlp;
mod routes;
mod server;
mod session;
mod state;

pub(crate) use oracle::{Oracle, Verdict};
pub(crate) use otlp::{NO_MATCH, PROTOBUF, UNCORRELATED};
#[cfg(feature = "cli")]
pub(crate) use server::keep_captures;
pub use server::{ControlServer, ServerOptions};
pub use state::EmbeddedRuntime;

use std::sync::Arc;

use crate::session::Softprobe;

/// The OpenAPI document of the control API.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");

impl Softprobe {
    /// A runtime inside this process: no server, no token.
    ///
    /// The [proxy](crate::Proxy) ties an application's outbound calls to it.
    pub fn embedded(runtime: &EmbeddedRuntime) -> Self {
        Self::with_runtime(Arc::new(runtime.clone()))
    }
}
