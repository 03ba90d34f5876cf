//! What a run sees of its cases, for whoever looks at more than their outcomes.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::discover::Trial;
use super::judge::Heard;
use crate::report::CaseOutcome;

/// What was seen of a case in a replay.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(super) trial: Trial,
    pub(super) outcome: CaseOutcome,
    /// What was heard of the application, if the case could be judged.
    pub(super) heard: Option<Heard>,
    pub(super) at: SystemTime,
}

/// Where a run puts what it sees of its cases.
#[derive(Debug, Default)]
pub(crate) struct Observer(Mutex<Vec<Seen>>);

impl Observer {
    /// Keeps what was seen of a case.
    pub(super) fn see(&self, trial: &Trial, outcome: &CaseOutcome, heard: Option<Heard>) {
        let seen = Seen {
            trial: trial.clone(),
            outcome: outcome.clone(),
            heard,
            at: SystemTime::now(),
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(seen);
    }

    /// Returns what was seen since the last call.
    pub(super) fn take(&self) -> Vec<Seen> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *all)
    }
}
