//! Accepts what a case found: its file says so from then on.

mod pending;
mod secrets;

use std::mem;
use std::path::Path;
use std::sync::Arc;

use super::args::Bless;
use super::discover::Trial;
use super::judge::{Heard, judge_again};
use super::mocks::index_of;
use crate::accept::{Accepted, Conflict, Part, changed};
use crate::base::http::shown_target;
use crate::base::with_causes;
use crate::case::Case;
use crate::compare::Risk;
use crate::disk::{Readers, lock, relative, write_whole};
use crate::report::{Acceptance, CaseOutcome, Fault, Finding, unacceptable};
use pending::{forget, keep};
use secrets::secrets;

pub(crate) use pending::{read_pending, write_pending};

/// Accepts what a case found, as far as that is asked for and possible, and notes in its outcome what came of it.
pub(super) fn accept(bless: Bless, trial: &Trial, heard: &Heard, outcome: &mut CaseOutcome) {
    let risk = match outcome.risk() {
        Ok(risk) => risk,
        Err(_) if !outcome.is_bad() => {
            if bless == Bless::Pending {
                forget(trial);
            }
            return;
        }
        Err(why) => {
            outcome.acceptance = Acceptance::Refused(unacceptable(why));
            return;
        }
    };
    if bless == Bless::Values && risk == Risk::High {
        let why = "its risk is high: something is gone, of another kind, or sent otherwise; --bless=all accepts that too";
        outcome.acceptance = Acceptance::Refused(why.to_owned());
        return;
    }
    if bless == Bless::Pending {
        let kept = changes(heard, outcome).map_err(|error| with_causes(&error));
        outcome.acceptance = match kept.and_then(|changes| keep(trial, heard, changes)) {
            Ok(file) => Acceptance::Pending(relative(&file)),
            Err(why) => Acceptance::Refused(why),
        };
        return;
    }
    match write(trial, heard, outcome) {
        Ok(()) => {
            let (fatal, others) = mem::take(&mut outcome.findings)
                .into_iter()
                .partition(|finding: &Finding| finding.fails);
            outcome.findings = others;
            outcome.acceptance = Acceptance::Written(fatal);
        }
        Err(why) => outcome.acceptance = Acceptance::Refused(why),
    }
}

/// Returns the changes of the case that make what fails it right, each with what differs.
fn changes<'o>(
    heard: &Heard,
    outcome: &'o CaseOutcome,
) -> Result<Vec<(Accepted, &'o Fault)>, Conflict> {
    let inbound = heard.case.inbound().ok().flatten();
    let inbound = inbound.map(|inbound| index_of(inbound, &heard.case));
    let fatal = outcome.findings.iter().filter(|finding| finding.fails);
    let changes = fatal.filter_map(|finding| {
        let (exchange, part, mismatch) = match &finding.fault {
            Fault::Mismatch(mismatch) => (inbound, Part::Response, mismatch),
            Fault::Sent(sent) => (Some(sent.exchange), Part::Request, &sent.mismatch),
            _ => return None,
        };
        let change = mismatch.change.clone()?;
        let accepted = exchange.ok_or(Conflict::Gone).map(|exchange| Accepted {
            exchange,
            part,
            change,
        });
        Some(accepted.map(|accepted| (accepted, &finding.fault)))
    });
    changes.collect()
}

/// Writes what was found into the case file, unless it has it already. No other process writes to it meanwhile.
fn write(trial: &Trial, heard: &Heard, outcome: &mut CaseOutcome) -> Result<(), String> {
    let file: &Path = &trial.file;
    let failed = |error: std::io::Error| format!("{}: {error}", trial.shown.display());
    let changes = changes(heard, outcome).map_err(|error| with_causes(&error))?;
    let place = |fault: &Fault| match fault {
        Fault::Mismatch(mismatch) => mismatch.place.to_string(),
        Fault::Sent(sent) => format!("{}: {}", shown_target(&sent.request), sent.mismatch.place),
        _ => "a call".to_owned(),
    };
    let changes: Vec<(Accepted, String)> = changes
        .into_iter()
        .map(|(accepted, fault)| (accepted, place(fault)))
        .collect();
    let accepted: Vec<Accepted> = changes
        .iter()
        .map(|(accepted, _)| accepted.clone())
        .collect();
    let _lock = lock(file).map_err(failed)?;
    let text = std::fs::read_to_string(file).map_err(failed)?;
    let new = changed(&text, &heard.case, &accepted).map_err(|error| with_causes(&error))?;
    let text = new.as_deref().unwrap_or(&text);
    let case: Case = text.parse().map_err(|error| with_causes(&error))?;
    // What a file is to say is never a matter of trust: the answer has to pass with it.
    match judge_again(trial, heard, &Arc::new(case)) {
        Ok(None) => {}
        Ok(Some(Finding { fault, .. })) => {
            return Err(format!(
                "{}: it would still differ with the file changed; record the case again",
                place(&fault)
            ));
        }
        Err(error) => return Err(with_causes(&error)),
    }
    let Some(new) = &new else {
        return Ok(());
    };
    write_whole(file, new, Readers::Owner).map_err(failed)?;
    outcome.notes.extend(secrets(&changes));
    Ok(())
}
