//! A session of a runtime.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
#[cfg(feature = "runner")]
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::mock::Mock;
use crate::base::document::{Place, Problems};
use crate::base::with_causes;
use crate::case::{CapturedHit, Case, Predicate};
#[cfg(feature = "runner")]
use crate::control::AnsweredRequests;
use crate::control::{ControlError, Runtime, SessionStats};
use crate::error::SoftprobeError;
use crate::rule::{Policy, Rule};

/// A session of a runtime. It can be shared between threads. Dropping it closes it, unless it was opened
/// elsewhere and [attached](crate::Softprobe::attach) to.
///
/// Against a runtime elsewhere, each call can also fail with [`SoftprobeError::Unreachable`],
/// [`SoftprobeError::Timeout`] or [`SoftprobeError::Protocol`]. A call blocks its thread until it is answered.
#[derive(Debug)]
pub struct SoftprobeSession {
    id: String,
    runtime: Arc<dyn Runtime>,
    closes_on_drop: bool,
    local: Mutex<Local>,
}

/// What the session keeps in this process.
#[derive(Debug, Default)]
struct Local {
    case: Option<Arc<Case>>,
    /// All of the session's rules: a call replaces the whole list, so mocks are added to it here.
    rules: Vec<Arc<Rule>>,
}

impl SoftprobeSession {
    pub(super) fn new(id: String, runtime: &Arc<dyn Runtime>, closes_on_drop: bool) -> Self {
        Self {
            id,
            runtime: Arc::clone(runtime),
            closes_on_drop,
            local: Mutex::default(),
        }
    }

    /// Returns the session's id. With several sessions open, the request to the application carries it as
    /// `x-softprobe-session-id` and in `tracestate`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Ties a trace to the session: a call whose `traceparent` has this trace id, and whose headers name no
    /// session, belongs to this one. `trace_id` is 32 hex digits.
    ///
    /// Only a [`Proxy`](crate::Proxy) in this process knows about the trace: one for the same
    /// [`EmbeddedRuntime`](crate::EmbeddedRuntime) or, for a remote runtime, one started with this
    /// [`Softprobe`](crate::Softprobe) or a clone of it.
    #[cfg(feature = "embedded")]
    pub fn issue_trace(&self, trace_id: &str) {
        self.runtime
            .oracle()
            .issue_trace(&trace_id.to_ascii_lowercase(), &self.id);
    }

    /// Reads a case file and loads it into the session.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::CaseLoad`] when the file is not a case, with the file and the place in it; otherwise
    /// as [`load_case`](Self::load_case).
    pub fn load_case_from_file(&self, path: impl AsRef<Path>) -> Result<(), SoftprobeError> {
        self.load_case(Case::from_file(path)?)
    }

    /// Loads a case into the session from its parsed JSON document.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Case`] when the document is not a case, with the place in it; otherwise as
    /// [`load_case`](Self::load_case).
    pub fn load_case_from_document(&self, document: Value) -> Result<(), SoftprobeError> {
        self.load_case(Case::from_document(document)?)
    }

    /// Loads a case into the session, replacing any other. Lookups search this case. Its embedded rules
    /// apply too; on equal priority, the session's mocks take precedence.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Runtime`] when the runtime refuses the case, for example for an invalid rule in it.
    pub fn load_case(&self, case: impl Into<Arc<Case>>) -> Result<(), SoftprobeError> {
        let case = case.into();
        let mut local = self.local();
        self.runtime.load_case(&self.id, &case)?;
        log::debug!("session {}: loaded case {}", self.id, case.id());
        local.case = Some(case);
        Ok(())
    }

    /// Returns the one captured exchange that the predicate matches.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::CaseLookup`] when none or several match, or when the one that matches has no
    /// response; its `matches` are the spans that matched. [`SoftprobeError::NoCase`] when no case was
    /// loaded through this handle.
    pub fn find_in_case(&self, predicate: &Predicate) -> Result<CapturedHit, SoftprobeError> {
        Ok(self.case()?.find(predicate)?)
    }

    /// Returns every captured exchange that the predicate matches, in captured order; the list may be empty.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::CaseLookup`] when one of them has no response, [`SoftprobeError::NoCase`] when no
    /// case is loaded.
    pub fn find_all_in_case(
        &self,
        predicate: &Predicate,
    ) -> Result<Vec<CapturedHit>, SoftprobeError> {
        Ok(self.case()?.find_all(predicate)?)
    }

    /// Adds a mock to the session.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Runtime`] with status 400 when the mock is invalid, [`SoftprobeError::Serialize`]
    /// when its body can't be written as JSON. It is checked before anything is sent, and the mocks added
    /// through this handle stay as they were.
    pub fn mock_outbound(&self, mock: Mock) -> Result<(), SoftprobeError> {
        self.mock_all([mock])
    }

    /// Adds several mocks in one call, in order; among mocks of equal priority, the latest that matches
    /// answers.
    ///
    /// # Errors
    ///
    /// As [`mock_outbound`](Self::mock_outbound); if one mock is invalid, none is added.
    pub fn mock_all(&self, mocks: impl IntoIterator<Item = Mock>) -> Result<(), SoftprobeError> {
        self.mock_in_turn(mocks).map(drop)
    }

    /// Adds mocks as [`mock_all`](Self::mock_all) does, and returns whether the request's body decides between those
    /// with a turn.
    pub(crate) fn mock_in_turn(
        &self,
        mocks: impl IntoIterator<Item = Mock>,
    ) -> Result<bool, SoftprobeError> {
        let mut local = self.local();
        let mut rules = local.rules.clone();
        let mut problems = Problems::default();
        for mock in mocks {
            let place = Place::root().key("rules").index(rules.len());
            let Some(rule) = mock.into_rule(&place, &mut problems)? else {
                continue;
            };
            log::debug!(
                "session {}: mock {:?} when {}",
                self.id,
                rule.name.as_deref().unwrap_or_default(),
                rule.when.shown()
            );
            rules.push(Arc::new(rule));
        }
        if !problems.is_empty() {
            return Err(invalid(&problems, self.url("rules")));
        }
        let turns = self.runtime.set_rules(&self.id, &rules)?;
        local.rules = rules;
        Ok(turns)
    }

    /// Removes all mocks of the session.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Runtime`] when the runtime refuses the call.
    pub fn clear_rules(&self) -> Result<(), SoftprobeError> {
        let mut local = self.local();
        self.runtime.set_rules(&self.id, &[])?;
        local.rules.clear();
        Ok(())
    }

    /// Replaces the session's policy.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Runtime`] with status 400 when the policy is invalid, which is checked before
    /// anything is sent.
    pub fn set_policy(&self, policy: &Policy) -> Result<(), SoftprobeError> {
        check_policy(policy, &Place::root(), || self.url("policy"))?;
        self.runtime.set_policy(&self.id, policy)
    }

    /// Replaces the session's auth fixtures: `{"tokens": […], "cookies": […], "metadata": {…}}` or
    /// `{"fixtures": [{"name": "admin", "value": …}]}`.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Runtime`] when the runtime refuses the call, [`SoftprobeError::Serialize`] when the
    /// fixtures can't be written as JSON.
    pub fn set_auth_fixtures(&self, fixtures: &impl Serialize) -> Result<(), SoftprobeError> {
        let fixtures =
            serde_json::to_value(fixtures).map_err(|source| SoftprobeError::Serialize {
                what: "the auth fixtures",
                source,
            })?;
        self.runtime.set_auth_fixtures(&self.id, &fixtures)
    }

    /// Returns what has happened in the session so far.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Runtime`] when the runtime refuses the call.
    pub fn stats(&self) -> Result<SessionStats, SoftprobeError> {
        self.runtime.stats(&self.id)
    }

    /// Closes the session and returns what has happened in it, with the requests that its mocks have answered if the
    /// runtime reports them.
    #[cfg(feature = "runner")]
    pub(crate) fn finish(
        mut self,
    ) -> Result<(SessionStats, Option<AnsweredRequests>), SoftprobeError> {
        let finished = self.runtime.finish(&self.id)?;
        self.closes_on_drop = false;
        log::debug!("session {}: closed", self.id);
        Ok(finished)
    }

    /// Waits as long as `patience` says, given how often each mock has been used.
    #[cfg(feature = "runner")]
    pub(crate) fn wait_for_uses(
        &self,
        patience: &dyn Fn(&[u64]) -> Duration,
    ) -> Result<(), SoftprobeError> {
        self.runtime.wait_for_uses(&self.id, patience)
    }

    /// Closes the session. A later call through another handle fails with status 404.
    ///
    /// # Errors
    ///
    /// The error of the call; closing is not tried again.
    pub fn close(mut self) -> Result<(), SoftprobeError> {
        self.closes_on_drop = false;
        let closed = self.runtime.close(&self.id);
        log::debug!("session {}: closed", self.id);
        closed
    }

    /// Returns the case that a capture session has recorded so far, as the document for a case file.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Runtime`] with status 400 when this is not a capture session.
    pub fn captured_case(&self) -> Result<Value, SoftprobeError> {
        self.runtime.captured_case(&self.id)
    }

    /// Closes a capture session and returns the case that it recorded, as the document for a case file.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Runtime`] when the runtime refuses the call, [`SoftprobeError::Protocol`] when its
    /// answer has no case.
    pub fn close_with_case(mut self) -> Result<Value, SoftprobeError> {
        let case = self.runtime.close_with_case(&self.id)?;
        self.closes_on_drop = false;
        log::debug!("session {}: closed", self.id);
        Ok(case)
    }

    /// Returns the URL of a call on this session, for errors.
    fn url(&self, call: &str) -> String {
        format!("{}/v1/sessions/{}/{call}", self.runtime.address(), self.id)
    }

    fn case(&self) -> Result<Arc<Case>, SoftprobeError> {
        self.local().case.clone().ok_or(SoftprobeError::NoCase)
    }

    fn local(&self) -> MutexGuard<'_, Local> {
        // A poisoned lock is safe to use: the state is changed only after the call has succeeded.
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SoftprobeSession {
    fn drop(&mut self) {
        if !self.closes_on_drop {
            return;
        }
        match self.runtime.close(&self.id) {
            Ok(()) => log::debug!("session {}: closed", self.id),
            Err(error) if error.is_unknown_session() => {}
            Err(error) => log::warn!(
                "session {}: can't be closed: {}",
                self.id,
                with_causes(&error)
            ),
        }
    }
}

/// Refuses an invalid policy as the runtime would.
pub(super) fn check_policy(
    policy: &Policy,
    place: &Place,
    url: impl FnOnce() -> String,
) -> Result<(), SoftprobeError> {
    let mut problems = Problems::default();
    policy.check(place, &mut problems);
    match problems.is_empty() {
        true => Ok(()),
        false => Err(invalid(&problems, url())),
    }
}

fn invalid(problems: &Problems, url: String) -> SoftprobeError {
    ControlError::invalid(problems.to_string()).at(url).into()
}
