//! Judges what was heard once more, with a case file as it would be.

use std::sync::Arc;

use crate::base::http::shown_target;
use crate::base::with_causes;
use crate::case::Case;
use crate::report::{Fault, Finding};
use crate::runner::discover::Trial;
use crate::runner::judge::{Heard, judge_again};

/// Checks that what was heard in a trial passes with a case file of this text.
///
/// # Errors
///
/// What would still be wrong.
pub(super) fn check(trial: &Trial, heard: &Heard, text: &str) -> Result<(), String> {
    let case: Case = text.parse().map_err(|error| with_causes(&error))?;
    match judge_again(trial, heard, &Arc::new(case)) {
        Ok(None) => Ok(()),
        Ok(Some(Finding { fault, .. })) => Err(format!(
            "{}: it would still differ with the file changed; record the case again",
            place(&fault)
        )),
        Err(error) => Err(with_causes(&error)),
    }
}

/// Returns where a fault is.
pub(super) fn place(fault: &Fault) -> String {
    match fault {
        Fault::Mismatch(mismatch) => mismatch.place.to_string(),
        Fault::Sent(sent) => format!("{}: {}", shown_target(&sent.request), sent.mismatch.place),
        _ => "a call".to_owned(),
    }
}
