//! The proxy between an application and its dependencies: it finds the session that a call belongs to, asks
//! the runtime, and answers or forwards the call.

mod adapt;
mod ambient;
mod answer;
mod connect;
mod correlate;
mod decide;
mod forward;
#[cfg(feature = "runner")]
mod idle;
#[cfg(feature = "runner")]
mod ingress;
mod observe;
mod pass;
mod running;
mod server;
mod stream;
mod target;
mod tls;
mod upstream;

#[cfg(feature = "runner")]
pub(crate) use adapt::unreversed;
#[cfg(feature = "runner")]
pub(crate) use correlate::names_session;
pub use decide::Idle;
#[cfg(feature = "runner")]
pub(crate) use idle::IdleCall;
#[cfg(feature = "runner")]
pub(crate) use ingress::{Admitted, Arrivals};
#[cfg(feature = "runner")]
pub(crate) use running::Running;
#[cfg(feature = "runner")]
pub(crate) use server::Connections;
pub use server::{Proxy, ProxyBuilder};
#[cfg(feature = "runner")]
pub(crate) use server::{Tunnels, variables_of};
#[cfg(feature = "runner")]
pub(crate) use target::GREETING;
#[cfg(feature = "runner")]
pub(crate) use tls::{Authority, AuthorityFiles};
#[cfg(feature = "runner")]
pub(crate) use upstream::{Identity, UpstreamSettings};
