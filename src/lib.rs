//! Turns captured HTTP traffic into tests.

mod case;
mod client;
mod control;
mod error;
mod http;
mod json;
mod logging;
mod reader;
mod rule;
mod session;

#[cfg(feature = "runner")]
mod compare;
#[cfg(feature = "runner")]
mod hook;
#[cfg(feature = "embedded")]
mod proxy;
#[cfg(feature = "embedded")]
mod runtime;
#[cfg(feature = "embedded")]
mod serve;
#[cfg(feature = "runner")]
mod suite;

pub use case::*;
pub use control::{Action, Call, ControlError, Mode, Runtime};
pub use error::*;
pub use session::*;
#[cfg(feature = "embedded")]
pub use proxy::{Idle, Proxy};
#[cfg(feature = "embedded")]
pub use runtime::{ControlServer, EmbeddedRuntime};
#[cfg(feature = "runner")]
pub use hook::*;
#[cfg(feature = "runner")]
pub use compare::*;
pub use http::*;
pub use rule::*;
