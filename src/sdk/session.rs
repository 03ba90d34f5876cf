//! One session of a runtime.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

use super::mock::Mock;
use crate::base::document::{Place, Problems};
use crate::base::with_causes;
use crate::case::{CapturedHit, Case, CaseLoadError, Predicate};
use crate::control::{ControlError, Runtime, SessionStats};
use crate::error::SoftprobeError;
use crate::rule::{Policy, Rule, mask_secret_headers};

/// One session of a runtime. It may be shared between threads; dropping it closes it.
#[derive(Debug)]
pub struct SoftprobeSession {
    id: String,
    runtime: Arc<dyn Runtime>,
    closes_on_drop: bool,
    local: Mutex<Local>,
}

/// What the session keeps on this side.
#[derive(Debug, Default)]
struct Local {
    case: Option<Arc<Case>>,
    /// The whole list of rules: the wire replaces, so that merging is done here.
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

    /// The session's id: what the application's request carries as `x-softprobe-session-id`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Ties a trace to the session: a call that carries the trace id in its `traceparent`, and no session of
    /// its own, belongs to this session.
    ///
    /// Only a [`Proxy`](crate::Proxy) of this process that was started with the same
    /// [`Softprobe`](crate::Softprobe) knows about it. `trace_id` is 32 lower-case hex digits.
    #[cfg(feature = "embedded")]
    pub fn issue_trace(&self, trace_id: &str) {
        self.runtime.oracle().issue_trace(trace_id, &self.id);
    }

    /// Reads a case file and loads it into the session.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::CaseLoad`] names the file and the place in it.
    pub fn load_case_from_file(&self, path: impl AsRef<Path>) -> Result<(), SoftprobeError> {
        self.load_case(Case::from_file(path)?)
    }

    /// Loads a case document into the session.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::CaseLoad`] names the place in the document.
    pub fn load_case_from_document(&self, document: Value) -> Result<(), SoftprobeError> {
        let case = Case::from_document(document)
            .map_err(|e| CaseLoadError::content(Path::new("<document>"), e))?;
        self.load_case(case)
    }

    /// Loads a case that has been read already.
    ///
    /// # Errors
    ///
    /// What the runtime refuses.
    pub fn load_case(&self, case: impl Into<Arc<Case>>) -> Result<(), SoftprobeError> {
        let case = case.into();
        let mut local = self.local();
        self.runtime.load_case(&self.id, &case)?;
        log::debug!("session {}: loaded case {}", self.id, case.id);
        local.case = Some(case);
        Ok(())
    }

    /// The one captured exchange that the predicate fits.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::CaseLookup`] when none or several fit: its `matches` are those spans.
    pub fn find_in_case(&self, predicate: &Predicate) -> Result<CapturedHit, SoftprobeError> {
        Ok(self.case()?.find(predicate)?)
    }

    /// Every captured exchange that the predicate fits, in captured order, perhaps none.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::CaseLookup`] when one of them has no status.
    pub fn find_all_in_case(
        &self,
        predicate: &Predicate,
    ) -> Result<Vec<CapturedHit>, SoftprobeError> {
        Ok(self.case()?.find_all(predicate)?)
    }

    /// Adds a mock to those of the session.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Runtime`] with status 400 when the rule does not fit; the session's other
    /// mocks stay as they were.
    pub fn mock_outbound(&self, mock: Mock) -> Result<(), SoftprobeError> {
        self.mock_all(vec![mock])
    }

    /// Adds several mocks in one call, in order: on a tie the later one answers.
    ///
    /// # Errors
    ///
    /// As [`mock_outbound`](Self::mock_outbound).
    pub fn mock_all(&self, mocks: Vec<Mock>) -> Result<(), SoftprobeError> {
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
                shown_when(&rule)
            );
            rules.push(Arc::new(rule));
        }
        if !problems.is_empty() {
            let url = format!("{}/v1/sessions/{}/rules", self.runtime.address(), self.id);
            return Err(ControlError::invalid(problems.to_string()).at(url).into());
        }
        self.runtime.set_rules(&self.id, &rules)?;
        local.rules = rules;
        Ok(())
    }

    /// Removes every mock of the session.
    ///
    /// # Errors
    ///
    /// What the runtime refuses.
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
    /// What the runtime refuses.
    pub fn set_policy(&self, policy: &Policy) -> Result<(), SoftprobeError> {
        self.runtime.set_policy(&self.id, policy)
    }

    /// Replaces the session's auth fixtures: `{"tokens", "cookies", "metadata"}` or
    /// `{"fixtures": [{"name", "value"}]}`.
    ///
    /// # Errors
    ///
    /// What the runtime refuses.
    pub fn set_auth_fixtures(&self, fixtures: &impl Serialize) -> Result<(), SoftprobeError> {
        let fixtures =
            serde_json::to_value(fixtures).map_err(|source| SoftprobeError::Serialize {
                what: "the auth fixtures",
                source,
            })?;
        self.runtime.set_auth_fixtures(&self.id, &fixtures)
    }

    /// What has happened in the session.
    ///
    /// # Errors
    ///
    /// What the runtime refuses.
    pub fn stats(&self) -> Result<SessionStats, SoftprobeError> {
        self.runtime.stats(&self.id)
    }

    /// Closes the session; a second close, and any call behind it, is a 404.
    ///
    /// # Errors
    ///
    /// What the runtime refuses.
    pub fn close(mut self) -> Result<(), SoftprobeError> {
        self.closes_on_drop = false;
        let closed = self.runtime.close(&self.id);
        log::debug!("session {}: closed", self.id);
        closed
    }

    /// The case that a capture session has recorded so far, as a document for a case file.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Runtime`] with status 400 when the session captures nothing.
    pub fn captured_case(&self) -> Result<Value, SoftprobeError> {
        self.runtime.captured_case(&self.id)
    }

    /// Closes a capture session and returns the case that it recorded.
    ///
    /// # Errors
    ///
    /// What the runtime refuses; [`SoftprobeError::Protocol`] when its answer has no case.
    pub fn close_with_case(mut self) -> Result<Value, SoftprobeError> {
        let case = self.runtime.close_with_case(&self.id)?;
        self.closes_on_drop = false;
        log::debug!("session {}: closed", self.id);
        Ok(case)
    }

    fn case(&self) -> Result<Arc<Case>, SoftprobeError> {
        self.local().case.clone().ok_or(SoftprobeError::NoCase)
    }

    fn local(&self) -> MutexGuard<'_, Local> {
        // A panic elsewhere leaves nothing half-done here: state changes after its call succeeded.
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

/// The predicates of a rule as a log may show them.
fn shown_when(rule: &Rule) -> Value {
    let mut when = rule.when.to_value();
    mask_secret_headers(&mut when);
    when
}
