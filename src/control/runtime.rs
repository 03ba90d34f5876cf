//! The port between a session and its runtime.

use std::fmt;
use std::sync::Arc;
#[cfg(feature = "runner")]
use std::time::Duration;

use serde_json::Value;

#[cfg(feature = "runner")]
use super::answered::AnsweredRequests;
#[cfg(feature = "embedded")]
use super::oracle::Oracle;
use super::stats::SessionStats;
use crate::case::Case;
use crate::case::Mode;
use crate::error::SoftprobeError;
use crate::rule::{Policy, Rule};

/// A runtime that holds sessions, in this process or reached over HTTP.
///
/// Each call fails with [`SoftprobeError::Runtime`] if the runtime refuses it, and with
/// [`SoftprobeError::Unreachable`] if no runtime answers.
pub(crate) trait Runtime: fmt::Debug + Send + Sync {
    /// Opens a session and returns its id; a policy, if given, applies from the start.
    fn start(&self, mode: Mode, policy: Option<&Policy>) -> Result<String, SoftprobeError>;

    /// Loads a case into the session, replacing any other.
    fn load_case(&self, session: &str, case: &Arc<Case>) -> Result<(), SoftprobeError>;

    /// Replaces the session's rules, and returns whether the request's body decides between those that replay
    /// exchanges of one call. It does not in a runtime that lacks the predicate `body`; there, they answer in order.
    fn set_rules(&self, session: &str, rules: &[Arc<Rule>]) -> Result<bool, SoftprobeError>;

    /// Replaces the session's policy.
    fn set_policy(&self, session: &str, policy: &Policy) -> Result<(), SoftprobeError>;

    /// Replaces the session's auth fixtures.
    fn set_auth_fixtures(&self, session: &str, fixtures: &Value) -> Result<(), SoftprobeError>;

    /// Returns what has happened in the session so far.
    fn stats(&self, session: &str) -> Result<SessionStats, SoftprobeError>;

    /// Returns the requests that the session's rules have answered; `None` if the runtime does not report them.
    #[cfg(feature = "runner")]
    fn answered(&self, session: &str) -> Result<Option<AnsweredRequests>, SoftprobeError>;

    /// Closes the session and returns what has happened in it, with the requests that its rules have answered if the
    /// runtime reports them. In this process that is one step: no call falls between the two.
    #[cfg(feature = "runner")]
    fn finish(
        &self,
        session: &str,
    ) -> Result<(SessionStats, Option<AnsweredRequests>), SoftprobeError> {
        let answered = self.answered(session)?;
        let stats = self.stats(session)?;
        self.close(session)?;
        Ok((stats, answered))
    }

    /// Waits as long as `patience` says, given how often each of the session's rules has been used; it is asked
    /// again whenever that changes, and its answer counts from the start of the wait.
    #[cfg(feature = "runner")]
    fn wait_for_uses(
        &self,
        session: &str,
        patience: &dyn Fn(&[u64]) -> Duration,
    ) -> Result<(), SoftprobeError>;

    /// Returns the document of the case that a capture session has recorded so far.
    fn captured_case(&self, session: &str) -> Result<Value, SoftprobeError>;

    /// Closes the session.
    fn close(&self, session: &str) -> Result<(), SoftprobeError>;

    /// Closes a capture session and returns the document of the case that it recorded.
    fn close_with_case(&self, session: &str) -> Result<Value, SoftprobeError>;

    /// Returns the oracle through which a proxy asks this runtime.
    #[cfg(feature = "embedded")]
    fn oracle(&self) -> Arc<dyn Oracle>;

    /// Returns the runtime's address for display: a URL, or `embedded`.
    fn address(&self) -> &str;
}
