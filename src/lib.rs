//! Turns captured HTTP traffic into tests.
//!
//! A *case* is one captured scenario: an inbound request with its response, and the outbound calls it
//! caused. A *suite* (YAML) says which cases to replay and what to assert. For each case the runner
//! opens a *session*, registers *mocks* for the outbound calls from the capture, sends the captured
//! request to the application under test, and compares the answer with the captured one.
//!
//! - [`Replay`] runs suites as libtest trials: the whole of a `tests/replay.rs`.
//! - [`Softprobe`] and [`SoftprobeSession`] are the same by hand, for tests of your own.
//! - [`EmbeddedRuntime`] and [`Proxy`] answer the application's calls, inside the test's process;
//!   [`ControlServer`] serves the runtime to others.
//! - [`run_command`] is the `softprobe` command: all of this for people without a Rust project.
//!
//! ```
//! use softprobe::{EmbeddedRuntime, Mock, MockResponse, Mode, Predicate, Softprobe};
//!
//! # fn main() -> Result<(), softprobe::SoftprobeError> {
//! let runtime = EmbeddedRuntime::new();
//! Softprobe::embedded(&runtime).with_session(Mode::Replay, |session| {
//!     session.mock_outbound(
//!         Mock::new(Predicate::outbound().host_suffix("stripe.com"))
//!             .response(MockResponse::new(200).json(&serde_json::json!({"id": "pi_test"}))),
//!     )?;
//!     assert!(session.stats()?.misses.is_empty());
//!     Ok(())
//! })
//! # }
//! ```
//!
//! # A session for each test, or one for a module
//!
//! ```
//! use softprobe::{EmbeddedRuntime, Mode, ModuleSession, Softprobe, SoftprobeError};
//!
//! // One for the module: opened by the first test that asks, closed by the last that lets go.
//! static SESSION: ModuleSession = ModuleSession::new(|| {
//!     Softprobe::embedded(&EmbeddedRuntime::new()).start_session(Mode::Replay)
//! });
//!
//! # fn main() -> Result<(), SoftprobeError> {
//! let shared = SESSION.get()?;
//! // One for this test alone.
//! let own = Softprobe::embedded(&EmbeddedRuntime::new()).start_session(Mode::Replay)?;
//! assert_ne!(shared.id(), own.id());
//! # Ok(())
//! # }
//! ```
//!
//! With rstest the same two are fixtures:
//!
//! ```
//! use std::sync::Arc;
//!
//! use rstest::{fixture, rstest};
//! use softprobe::{EmbeddedRuntime, Mode, ModuleSession, Softprobe, SoftprobeSession};
//!
//! static SESSION: ModuleSession = ModuleSession::new(|| {
//!     Softprobe::embedded(&EmbeddedRuntime::new()).start_session(Mode::Replay)
//! });
//!
//! #[fixture]
//! fn session() -> Arc<SoftprobeSession> {
//!     SESSION.get().unwrap()
//! }
//!
//! #[rstest]
//! fn checkout_pays(session: Arc<SoftprobeSession>) {
//!     assert!(session.stats().unwrap().misses.is_empty());
//! }
//! # fn main() {}
//! ```
//!
//! # Limits
//!
//! HTTPS is not intercepted: call upstreams by plain HTTP through the proxy, or through its reverse
//! form. The default feature set is everything; `default-features = false` is the SDK against a
//! runtime elsewhere.

mod base;
pub mod case;
#[cfg(feature = "runner")]
mod cli;
#[cfg(feature = "runner")]
mod compare;
pub mod control;
#[cfg(feature = "embedded")]
mod disk;
mod error;
#[cfg(feature = "runner")]
mod foreign;
#[cfg(feature = "runner")]
pub mod hook;
#[cfg(feature = "runner")]
#[doc(hidden)]
pub mod internals;
#[cfg(feature = "runner")]
mod logging;
mod net;
mod otlp;
#[cfg(feature = "embedded")]
mod proxy;
#[cfg(feature = "runner")]
mod report;
mod rule;
#[cfg(feature = "runner")]
mod runner;
#[cfg(feature = "embedded")]
mod runtime;
#[cfg(feature = "runner")]
mod scrub;
mod sdk;
#[cfg(feature = "runner")]
mod suite;

pub use base::http::{Direction, Headers, ParseDirectionError, Request, Response};
pub use case::{Case, Predicate};
pub use control::{Mode, Policy};
pub use error::{RuntimeError, SoftprobeError};
pub use sdk::{Mock, MockResponse, ModuleSession, Softprobe, SoftprobeBuilder, SoftprobeSession};

#[cfg(feature = "embedded")]
pub use proxy::{Idle, Proxy, ProxyBuilder};
#[cfg(feature = "embedded")]
pub use runtime::{ControlServer, ControlServerBuilder, EmbeddedRuntime};

#[cfg(feature = "runner")]
pub use hook::Hooks;
#[cfg(feature = "runner")]
pub use logging::install_logger;
#[cfg(feature = "runner")]
pub use runner::{App, Replay};

#[cfg(feature = "runner")]
pub use cli::run_command;

#[cfg(feature = "embedded")]
impl Softprobe {
    /// A runtime inside this process: no server, no token.
    ///
    /// The [proxy](crate::Proxy) ties an application's outbound calls to it.
    pub fn embedded(runtime: &EmbeddedRuntime) -> Self {
        Self::with_runtime(std::sync::Arc::new(runtime.clone()))
    }
}

#[cfg(all(doctest, feature = "runner"))]
#[doc = include_str!("../README.md")]
struct Readme;
