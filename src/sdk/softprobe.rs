//! The entry point of the SDK, and how it reaches a runtime.

use std::sync::Arc;
use std::time::Duration;

use super::http_runtime::HttpRuntime;
use super::session::{SoftprobeSession, check_policy};
use crate::base::document::Place;
#[cfg(feature = "embedded")]
use crate::control::Oracle;
use crate::control::{Mode, Runtime, Token};
use crate::error::SoftprobeError;
use crate::rule::Policy;

const DEFAULT_BASE_URL: &str = "https://runtime.softprobe.dev";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// A runtime in which to open sessions. Clones use the same runtime.
///
/// ```no_run
/// use softprobe::{Mode, Mock, Predicate, Softprobe};
///
/// # fn main() -> Result<(), softprobe::SoftprobeError> {
/// let softprobe = Softprobe::new();
/// softprobe.with_session(Mode::Replay, |session| {
///     session.load_case_from_file("cases/checkout.case.json")?;
///     let stripe = Predicate::outbound().host_suffix("stripe.com");
///     let hit = session.find_in_case(&stripe)?;
///     session.mock_outbound(Mock::new(stripe).response(&hit))
/// })
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Softprobe {
    runtime: Arc<dyn Runtime>,
}

impl Default for Softprobe {
    fn default() -> Self {
        Self::new()
    }
}

impl Softprobe {
    /// Uses the runtime at `SOFTPROBE_RUNTIME_URL`, by default `https://runtime.softprobe.dev`, with the
    /// token in `SOFTPROBE_API_TOKEN`, if any, and a timeout of five seconds. Nothing is sent yet.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder that sets the runtime's address, the timeout and the token in code.
    pub fn builder() -> SoftprobeBuilder {
        SoftprobeBuilder::default()
    }

    /// Uses any implementation of a runtime.
    pub(crate) fn with_runtime(runtime: Arc<dyn Runtime>) -> Self {
        Self { runtime }
    }

    /// Returns the oracle through which a proxy asks this runtime.
    #[cfg(feature = "embedded")]
    pub(crate) fn oracle(&self) -> Arc<dyn Oracle> {
        self.runtime.oracle()
    }

    /// Opens a session, with the default policy: unmatched calls pass.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Unreachable`], [`SoftprobeError::Timeout`] or [`SoftprobeError::Protocol`] when no
    /// runtime answers as one, [`SoftprobeError::Runtime`] when it refuses.
    pub fn start_session(&self, mode: Mode) -> Result<SoftprobeSession, SoftprobeError> {
        self.start(mode, None)
    }

    /// Opens a session that has this policy from the start.
    ///
    /// # Errors
    ///
    /// As [`start_session`](Self::start_session).
    pub fn start_session_with_policy(
        &self,
        mode: Mode,
        policy: &Policy,
    ) -> Result<SoftprobeSession, SoftprobeError> {
        self.start(mode, Some(policy))
    }

    fn start(
        &self,
        mode: Mode,
        policy: Option<&Policy>,
    ) -> Result<SoftprobeSession, SoftprobeError> {
        if let Some(policy) = policy {
            check_policy(policy, &Place::root().key("policy"), || {
                format!("{}/v1/sessions", self.runtime.address())
            })?;
        }
        let id = self.runtime.start(mode, policy)?;
        log::debug!("session {id}: started in mode {mode}");
        Ok(SoftprobeSession::new(id, &self.runtime, true))
    }

    /// Returns a handle to the session with this id, without calling the runtime. Dropping the handle does
    /// not close the session, because it was opened elsewhere.
    ///
    /// The handle does not know the case and the mocks that the session was given elsewhere: a lookup
    /// needs a case that was loaded through this handle, and the first mock added through it replaces all
    /// of the session's other mocks.
    pub fn attach(&self, id: &str) -> SoftprobeSession {
        SoftprobeSession::new(id.to_owned(), &self.runtime, false)
    }

    /// Opens a session, passes it to a closure, and closes it, whatever the closure returns.
    ///
    /// # Errors
    ///
    /// The closure's error, or otherwise the error of opening or closing the session.
    pub fn with_session<T, E: From<SoftprobeError>>(
        &self,
        mode: Mode,
        work: impl FnOnce(&SoftprobeSession) -> Result<T, E>,
    ) -> Result<T, E> {
        let session = self.start_session(mode)?;
        // On an error, dropping the session closes it, and the closure's error is the one to return.
        let value = work(&session)?;
        session.close()?;
        Ok(value)
    }
}

/// Configures how [`Softprobe`] reaches its runtime.
#[derive(Debug, Clone, Default)]
#[must_use = "a builder does nothing until it is built"]
pub struct SoftprobeBuilder {
    base_url: Option<String>,
    timeout: Option<Duration>,
    token: Option<Token>,
}

impl SoftprobeBuilder {
    /// Sets the runtime's base URL, without `/v1`: `http://127.0.0.1:8080`. The default is
    /// `SOFTPROBE_RUNTIME_URL`, or else `https://runtime.softprobe.dev`.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Sets how long each phase of a call may take: connecting, sending, waiting for the answer and
    /// reading it. The default is five seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the bearer token. If it is not set or is blank, the one in `SOFTPROBE_API_TOKEN` is used, if
    /// any.
    pub fn api_token(mut self, token: &str) -> Self {
        self.token = Token::new(token);
        self
    }

    /// Returns the configured runtime; nothing is sent yet.
    pub fn build(self) -> Softprobe {
        Softprobe::with_runtime(Arc::new(self.runtime()))
    }

    /// Returns the HTTP runtime itself.
    pub(crate) fn runtime(self) -> HttpRuntime {
        let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
        let base = self
            .base_url
            .or_else(|| variable("SOFTPROBE_RUNTIME_URL"))
            .unwrap_or_else(|| DEFAULT_BASE_URL.to_owned());
        let token = self
            .token
            .or_else(|| Token::new(&variable("SOFTPROBE_API_TOKEN")?));
        let timeout = self.timeout.unwrap_or(DEFAULT_TIMEOUT);
        HttpRuntime::new(&base, token, timeout)
    }
}
