//! Accepts what a case found: its file says so from then on.

mod check;
mod pending;
mod secrets;
mod undo;

use std::mem;
use std::path::Path;

use super::args::Bless;
use super::discover::Trial;
use super::judge::Heard;
use super::mocks::index_of;
use crate::accept::{Accepted, Conflict, Part, changed};
use crate::base::with_causes;
use crate::compare::Risk;
use crate::disk::{Readers, lock, relative, write_whole};
use crate::report::{Acceptance, CaseOutcome, Fault, Finding, unacceptable};
use check::{check, place};
use pending::{forget, keep};

pub(crate) use pending::{read_pending, write_pending};
pub(crate) use secrets::secrets;
pub(super) use undo::Undo;

/// Accepts what a case found, as far as that is asked for and possible, and notes in its outcome what came of it. The others
/// pass with the same file. Returns what takes it back.
pub(super) fn accept(
    bless: Bless,
    trial: &Trial,
    heard: &Heard,
    others: &[(Trial, Heard)],
    outcome: &mut CaseOutcome,
) -> Option<Undo> {
    let risk = match outcome.risk() {
        Ok(risk) => risk,
        Err(_) if !outcome.is_bad() => {
            if bless == Bless::Pending {
                forget(trial);
            }
            return None;
        }
        Err(why) => {
            outcome.acceptance = Acceptance::Refused(unacceptable(why));
            return None;
        }
    };
    if bless == Bless::Values && risk == Risk::High {
        outcome.acceptance = Acceptance::TooRisky;
        return None;
    }
    if bless == Bless::Pending {
        let kept = changes(heard, outcome).map_err(|error| with_causes(&error));
        outcome.acceptance = match kept.and_then(|changes| keep(trial, heard, changes)) {
            Ok(file) => Acceptance::Pending(relative(&file)),
            Err(why) => Acceptance::Refused(why),
        };
        return None;
    }
    match write(trial, heard, others, outcome) {
        Ok(undo) => {
            let (fatal, others) = mem::take(&mut outcome.findings)
                .into_iter()
                .partition(|finding: &Finding| finding.fails);
            outcome.findings = others;
            outcome.acceptance = Acceptance::Written(fatal);
            undo
        }
        Err(why) => {
            outcome.acceptance = Acceptance::Refused(why);
            None
        }
    }
}

/// What a difference changes in a case.
type Found<'o> = (Vec<Accepted>, &'o Fault);

/// Returns the changes of the case that make what fails it right, with what differs.
fn changes<'o>(heard: &Heard, outcome: &'o CaseOutcome) -> Result<Vec<Found<'o>>, Conflict> {
    let inbound = heard.case.inbound().ok().flatten();
    let inbound = inbound.map(|inbound| index_of(inbound, &heard.case));
    let fatal = outcome.findings.iter().filter(|finding| finding.fails);
    let changes = fatal.filter_map(|finding| {
        let (exchange, part, mismatch) = match &finding.fault {
            Fault::Mismatch(mismatch) => (inbound, Part::Response, mismatch),
            Fault::Sent(sent) => (Some(sent.exchange), Part::Request, &sent.mismatch),
            _ => return None,
        };
        if mismatch.changes.is_empty() {
            return None;
        }
        let accepted = exchange.ok_or(Conflict::Gone).map(|exchange| {
            let changes = mismatch.changes.iter().cloned();
            let accepted = changes.map(|change| Accepted {
                exchange,
                part,
                change,
            });
            (accepted.collect(), &finding.fault)
        });
        Some(accepted)
    });
    changes.collect()
}

/// Writes what was found into the case file, unless it has it already. No other process writes to it meanwhile.
fn write(
    trial: &Trial,
    heard: &Heard,
    others: &[(Trial, Heard)],
    outcome: &mut CaseOutcome,
) -> Result<Option<Undo>, String> {
    let file: &Path = &trial.file;
    let failed = |error: std::io::Error| format!("{}: {error}", trial.shown.display());
    let changes = changes(heard, outcome).map_err(|error| with_causes(&error))?;
    let changes: Vec<(Vec<Accepted>, String)> = changes
        .into_iter()
        .map(|(accepted, fault)| (accepted, place(fault)))
        .collect();
    let accepted: Vec<Accepted> = changes
        .iter()
        .flat_map(|(accepted, _)| accepted.clone())
        .collect();
    let _lock = lock(file).map_err(failed)?;
    let text = std::fs::read_to_string(file).map_err(failed)?;
    let new = changed(&text, &heard.case, &accepted).map_err(|error| with_causes(&error))?;
    let after = new.as_deref().unwrap_or(&text);
    // What a file is to say is never a matter of trust: the answer has to pass with it.
    check(trial, heard, after)?;
    for (other, heard) in others {
        check(other, heard, after).map_err(|_| {
            format!(
                "{} uses the file too and passes with it as it is, and would not with it changed; give one of them a file of its own",
                other.name
            )
        })?;
    }
    let Some(new) = &new else {
        return Ok(None);
    };
    write_whole(file, new, Readers::Owner).map_err(failed)?;
    outcome.notes.extend(secrets(&changes));
    Ok(Some(Undo::new(trial, &text, new)))
}
