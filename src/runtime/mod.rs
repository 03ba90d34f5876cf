//! The embedded runtime: sessions, their rules and policies, and the answers to outbound calls.
//!
//! [`EmbeddedRuntime`] lives in this process; [`ControlServer`] serves its control API on a socket.

mod capture;
mod captures;
mod change;
mod desk;
mod metrics;
mod options;
mod otlp;
mod redact;
mod routes;
mod server;
mod session;
mod state;

#[cfg(feature = "runner")]
pub(crate) use captures::Keep;
pub use server::{ControlServer, ControlServerBuilder};
pub use state::EmbeddedRuntime;

/// The OpenAPI document of the control API.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");
