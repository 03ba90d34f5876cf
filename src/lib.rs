//! softprobe turns captured HTTP traffic into tests.
//!
//! A *case* is one captured scenario: an inbound request with its response, and the outbound calls that it
//! caused. A replay sends the captured request to the application under test, answers the application's
//! outbound calls from the capture, and compares the response with the captured one. The application may be
//! written in any language, and no other service has to run.
//!
//! # Replaying suites
//!
//! A *suite* is a YAML file that says which cases to replay and what to assert. [`Replay`] runs suites as
//! libtest trials, one for each case. It is all that a `tests/replay.rs` needs:
//!
//! ```no_run
//! # #[cfg(feature = "runner")]
//! # mod replay {
//! use std::process::ExitCode;
//!
//! use softprobe::Replay;
//!
//! fn main() -> ExitCode {
//!     softprobe::install_logger(); // logs at the level in SOFTPROBE_LOG
//!     Replay::new()
//!         .suites("suites/*.suite.yaml")
//!         .app_url("http://127.0.0.1:3000")
//!         .proxy_listen("127.0.0.1:4100") // the application's HTTP_PROXY
//!         .main()
//! }
//! # }
//! ```
//!
//! The test target needs `harness = false` in `Cargo.toml`. [`Replay::app_command`], or `app` in a suite, launches the
//! application as part of the run. The repository's `docs/suites.md` lists every field of a suite.
//!
//! # Testing by hand
//!
//! You can use the same parts in tests that you write yourself. [`Softprobe`] opens *sessions* in a
//! runtime, which is inside the process here. A [`SoftprobeSession`] loads a case, finds exchanges in
//! it and registers *mocks* that answer outbound calls. A [`Proxy`] carries the application's calls to
//! the session:
//!
//! ```
//! # #[cfg(feature = "embedded")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//!
//! use softprobe::{EmbeddedRuntime, Mock, Mode, Policy, Predicate, Proxy, Softprobe};
//!
//! let softprobe = Softprobe::embedded(&EmbeddedRuntime::new());
//! let proxy = Proxy::start(&softprobe)?;
//!
//! // Under a strict policy, a call that no mock answers is a miss, and never leaves the machine.
//! let session = softprobe.start_session_with_policy(Mode::Replay, &Policy::strict())?;
//! session.load_case_from_file("cases/checkout/happy.case.json")?;
//! let payment = Predicate::outbound().host("payments.example").method("POST");
//! let captured = session.find_in_case(&payment)?;
//! session.mock_outbound(Mock::new(payment).name("payment").response(&captured))?;
//!
//! // A real test sends a request to the application, which then makes this call through its HTTP_PROXY.
//! let mut call = TcpStream::connect(proxy.address())?;
//! write!(
//!     call,
//!     "POST http://payments.example/v1/charges HTTP/1.1\r\n\
//!      host: payments.example\r\n\
//!      connection: close\r\n\r\n"
//! )?;
//! let mut answer = String::new();
//! call.read_to_string(&mut answer)?;
//! assert!(answer.starts_with("HTTP/1.1 200 OK"));
//!
//! let stats = session.stats()?;
//! assert_eq!(stats.calls[0].rule.as_deref(), Some("payment"));
//! assert!(stats.misses.is_empty());
//! session.close()?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "embedded"))]
//! # fn main() {}
//! ```
//!
//! If several sessions are open at the same time, a call belongs to the session that its headers name:
//! the request to the application carries the session's id in `x-softprobe-session-id` and in
//! `tracestate`, and any OpenTelemetry instrumentation copies `tracestate` onto the outbound calls.
//! `docs/runtime.md` lists everything that can name a session, in order of precedence.
//!
//! # One session for each test, or one for a module
//!
//! Dropping a session closes it. Tests that share one hold it through a [`ModuleSession`]:
//!
//! ```
//! # #[cfg(feature = "embedded")]
//! # fn main() -> Result<(), softprobe::SoftprobeError> {
//! use std::sync::LazyLock;
//!
//! use softprobe::{EmbeddedRuntime, Mode, ModuleSession, Proxy, Softprobe};
//!
//! static SOFTPROBE: LazyLock<Softprobe> =
//!     LazyLock::new(|| Softprobe::embedded(&EmbeddedRuntime::new()));
//! static PROXY: LazyLock<Proxy> = LazyLock::new(|| Proxy::start(&SOFTPROBE).unwrap());
//! // Opened by the first test that needs it, and closed when the last one drops it.
//! static SESSION: ModuleSession = ModuleSession::new(|| SOFTPROBE.start_session(Mode::Replay));
//!
//! // Start the application with `PROXY.variables()`.
//! assert!(PROXY.url().starts_with("http://127.0.0.1:"));
//! let shared = SESSION.get()?;
//! let own = SOFTPROBE.start_session(Mode::Replay)?;
//! assert_ne!(shared.id(), own.id());
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "embedded"))]
//! # fn main() {}
//! ```
//!
//! With rstest, either can be a fixture:
//!
//! ```
//! # #[cfg(feature = "embedded")]
//! # mod tests {
//! use std::sync::{Arc, LazyLock};
//!
//! use rstest::{fixture, rstest};
//! use softprobe::{EmbeddedRuntime, Mode, ModuleSession, Softprobe, SoftprobeSession};
//!
//! static SOFTPROBE: LazyLock<Softprobe> =
//!     LazyLock::new(|| Softprobe::embedded(&EmbeddedRuntime::new()));
//! static SESSION: ModuleSession = ModuleSession::new(|| SOFTPROBE.start_session(Mode::Replay));
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
//! # }
//! # fn main() {}
//! ```
//!
//! # Further reading
//!
//! | topic | in this documentation | in the repository |
//! | --- | --- | --- |
//! | case files and lookups | [`case`], [`Predicate`] | `docs/case-files.md` |
//! | suites | [`Replay`] | `docs/suites.md` |
//! | hooks | [`hook`] | `docs/hooks.md` |
//! | mocks, rules and policies | [`Mock`], [`Policy`] | `docs/rules.md` |
//! | sessions and what they report | [`SoftprobeSession`], [`control`] | `docs/runtime.md` |
//! | the runtime and the proxy | [`EmbeddedRuntime`], [`ControlServer`], [`Proxy`] | `docs/runtime.md` |
//! | the command | [`run_command`] | `docs/command.md` |
//!
//! # Errors
//!
//! [`SoftprobeError`] covers every error of a session, a server or a proxy; case files have their own
//! errors, in [`case`]. An error never repeats the text of its `source()`, so print the whole chain.
//!
//! # Features
//!
//! - `runner` (default): everything.
//! - `embedded`: the SDK with the runtime, its server and the proxy, but without suites.
//! - `default-features = false`: the SDK alone, for a runtime that runs elsewhere.
//!
//! # Limits
//!
//! HTTPS is read if the application trusts the proxy's authority ([`ProxyBuilder::read_tls`]), as launched ones do. A captured
//! call of gRPC can't be sent to the application, which is called over HTTP/1.1.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "runner")]
mod accept;
mod base;
pub mod case;
#[cfg(feature = "runner")]
mod cli;
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
mod import;
#[cfg(feature = "runner")]
#[doc(hidden)]
pub mod internals;
#[cfg(feature = "runner")]
mod launch;
#[cfg(feature = "runner")]
mod logging;
mod net;
#[cfg(feature = "runner")]
mod noise;
mod otlp;
#[cfg(feature = "embedded")]
mod proxy;
#[cfg(feature = "runner")]
mod recorder;
#[cfg(feature = "runner")]
mod report;
mod rule;
#[cfg(feature = "runner")]
mod runner;
#[cfg(feature = "embedded")]
mod runtime;
#[cfg(feature = "runner")]
mod screen;
#[cfg(feature = "runner")]
mod scrub;
mod sdk;
#[cfg(feature = "runner")]
mod suite;

pub use base::http::{Failure, Headers, Request, Response};
pub use case::{Case, Direction, Mode, Predicate};
pub use control::Policy;
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
    /// Uses a runtime inside this process, without a server or a token.
    pub fn embedded(runtime: &EmbeddedRuntime) -> Self {
        Self::with_runtime(std::sync::Arc::new(runtime.clone()))
    }
}

#[cfg(all(doctest, feature = "runner"))]
#[doc = include_str!("../README.md")]
struct Readme;
