//! A runtime to open sessions in.

use std::sync::Arc;
use std::time::Duration;

use super::http_runtime::HttpRuntime;
use super::session::SoftprobeSession;
#[cfg(feature = "embedded")]
use crate::control::Oracle;
use crate::control::{Mode, Runtime, Token};
use crate::error::SoftprobeError;
use crate::rule::Policy;

const DEFAULT_BASE_URL: &str = "https://runtime.softprobe.dev";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// A runtime to open sessions in.
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
    /// The runtime that `SOFTPROBE_RUNTIME_URL` names, else `https://runtime.softprobe.dev`, with the
    /// token of `SOFTPROBE_API_TOKEN` and a timeout of five seconds.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A runtime whose address, timeout or token is given in code.
    pub fn builder() -> SoftprobeBuilder {
        SoftprobeBuilder::default()
    }

    /// Any runtime.
    pub(crate) fn with_runtime(runtime: Arc<dyn Runtime>) -> Self {
        Self { runtime }
    }

    /// The runtime as a proxy asks it.
    #[cfg(feature = "embedded")]
    pub(crate) fn oracle(&self) -> Arc<dyn Oracle> {
        self.runtime.oracle()
    }

    /// Opens a session.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Unreachable`] when no runtime answers, [`SoftprobeError::Runtime`] when it
    /// refuses.
    pub fn start_session(&self, mode: Mode) -> Result<SoftprobeSession, SoftprobeError> {
        self.start(mode, None)
    }

    /// Opens a session that has this policy from its first moment.
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
        let id = self.runtime.start(mode, policy)?;
        log::debug!("session {id}: started in mode {mode}");
        Ok(SoftprobeSession::new(id, &self.runtime, true))
    }

    /// The session of that id, without a call; it is not closed when it is dropped, since somebody
    /// else opened it.
    pub fn attach(&self, id: &str) -> SoftprobeSession {
        SoftprobeSession::new(id.to_owned(), &self.runtime, false)
    }

    /// Opens a session for a closure and closes it behind, whatever the closure returned.
    ///
    /// # Errors
    ///
    /// The closure's error; else what opening or closing failed with.
    pub fn with_session<T, E: From<SoftprobeError>>(
        &self,
        mode: Mode,
        work: impl FnOnce(&SoftprobeSession) -> Result<T, E>,
    ) -> Result<T, E> {
        let session = self.start_session(mode)?;
        // On an error, dropping the session closes it, and the closure's error is the one to tell.
        let value = work(&session)?;
        session.close()?;
        Ok(value)
    }
}

/// How [`Softprobe`] reaches its runtime.
#[derive(Debug, Clone, Default)]
pub struct SoftprobeBuilder {
    base_url: Option<String>,
    timeout: Option<Duration>,
    token: Option<Token>,
}

impl SoftprobeBuilder {
    /// The runtime's base URL, without `/v1`.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// How long each phase of a call may take; five seconds when it is not given.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The bearer token.
    #[must_use]
    pub fn api_token(mut self, token: &str) -> Self {
        self.token = Token::new(token);
        self
    }

    /// The finished value; nothing is sent yet.
    pub fn build(self) -> Softprobe {
        Softprobe::with_runtime(Arc::new(self.runtime()))
    }

    /// The runtime alone.
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
