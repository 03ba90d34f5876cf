//! Accepts what a case found: its file says so from then on.

use std::borrow::Cow;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::args::Bless;
use super::discover::Trial;
use super::judge::{Heard, judge_again};
use super::mocks::index_of;
use crate::accept::{Accepted, Conflict, Part, Pending, Undecided, changed};
use crate::base::http::shown_target;
use crate::base::with_causes;
use crate::case::Case;
use crate::compare::{Change, Risk};
use crate::disk::{Readers, lock, relative, write_whole};
use crate::report::{Acceptance, CaseOutcome, Fault, Finding, Note, side, unacceptable};
use crate::scrub::{Rules, Scrubber};

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
        outcome.acceptance = match keep(trial, heard, outcome) {
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

/// Keeps what was found in a file beside the case until somebody decides, in place of what the same trial found before.
fn keep(trial: &Trial, heard: &Heard, outcome: &CaseOutcome) -> Result<PathBuf, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", trial.shown.display());
    let changes = changes(heard, outcome).map_err(|error| with_causes(&error))?;
    let _lock = lock(&trial.file).map_err(failed)?;
    let text = std::fs::read_to_string(&trial.file).map_err(failed)?;
    let accepted: Vec<Accepted> = changes
        .iter()
        .map(|(accepted, _)| accepted.clone())
        .collect();
    changed(&text, &heard.case, &accepted).map_err(|error| with_causes(&error))?;
    let file = Pending::path_of(&trial.file);
    let mut pending = match read_pending(&file)? {
        Some(pending) if pending.is_about(&text) => pending,
        _ => Pending::new(&name_of(&trial.file), &text),
    };
    if pending.case != name_of(&trial.file) {
        return Err(format!(
            "{}: it is about {}; rename one of the two cases",
            relative(&file).display(),
            pending.case
        ));
    }
    pending.differences.retain(|one| one.trial != trial.name);
    for (accepted, fault) in changes {
        let (call, risk, mismatch) = match fault {
            Fault::Sent(sent) => (Some(sent.request.clone()), Risk::High, &sent.mismatch),
            Fault::Mismatch(mismatch) => (None, mismatch.accepts.unwrap_or(Risk::High), mismatch),
            _ => continue,
        };
        pending.differences.push(Undecided::new(
            (&trial.name, &trial.suite_file),
            risk,
            &accepted,
            call.as_deref().map(shown_target).map(Cow::into_owned),
            mismatch.place.to_string(),
            (
                mismatch.expected.as_ref().map(side),
                mismatch.actual.as_ref().map(side),
            ),
        ));
    }
    write_pending(&file, &pending)?;
    Ok(file)
}

/// Drops what a trial found before, now that it passes.
fn forget(trial: &Trial) {
    let file = Pending::path_of(&trial.file);
    if !file.exists() {
        return;
    }
    let Ok(_lock) = lock(&trial.file) else {
        return;
    };
    if let Ok(Some(mut pending)) = read_pending(&file) {
        pending.differences.retain(|one| one.trial != trial.name);
        // What can't be dropped is told as out of date when it is looked at.
        let _ = write_pending(&file, &pending);
    }
}

fn name_of(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Reads a file of what waits for a decision; `None` if there is none.
pub(crate) fn read_pending(file: &Path) -> Result<Option<Pending>, String> {
    let shown = relative(file);
    match std::fs::read_to_string(file) {
        Ok(text) => match Pending::read(&text) {
            Ok(pending) => Ok(Some(pending)),
            Err(error) => Err(format!(
                "{}: it is not what --bless=pending writes ({error}); remove it",
                shown.display()
            )),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", shown.display())),
    }
}

/// Writes a file of what waits for a decision, or removes it if nothing does.
pub(crate) fn write_pending(file: &Path, pending: &Pending) -> Result<(), String> {
    let written = match pending.differences.is_empty() {
        true => match std::fs::remove_file(file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
        false => write_whole(file, pending.text(), Readers::Owner),
    };
    written.map_err(|error| format!("{}: {error}", relative(file).display()))
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

/// Returns what looks like a secret in accepted changes.
fn secrets(changes: &[(Accepted, String)]) -> Vec<Note> {
    let mut notes = Vec::new();
    for (Accepted { part, change, .. }, place) in changes {
        let side = match part {
            Part::Request => "http.request",
            Part::Response => "http.response",
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let joined = |parts: &[Vec<u8>]| text(&parts.join(&b"&"[..]));
        let (key, value) = match change {
            Change::Status(_) | Change::Json { to: None, .. } => continue,
            Change::Header { name, values } => (
                format!("{side}.header.{name}"),
                text(&values.join(&b", "[..])),
            ),
            Change::Query { parts, .. } => (
                "url.full".to_owned(),
                format!("http://a/?{}", joined(parts)),
            ),
            Change::Form { parts, .. } => (format!("{side}.body"), joined(parts)),
            Change::Body(body) => (format!("{side}.body"), text(body)),
            Change::Json {
                at,
                to: Some(value),
            } => {
                // The name of a member tells what its value is.
                let mut names = at.rsplit('/').filter(|step| step.parse::<u64>().is_err());
                let name = names.find(|step| *step != "-").unwrap_or_default();
                (format!("{side}.body"), json!({name: value}).to_string())
            }
        };
        let attribute = json!({"key": key, "value": {"stringValue": value}});
        let mut document = json!({"traces": [{"spanId": "", "attributes": [attribute]}]});
        let found = Scrubber::new(Rules::default(), &[]).scrub(&mut document);
        notes.extend(found.list.into_iter().map(|found| Note::AcceptedSecret {
            place: place.clone(),
            kind: found.kind,
        }));
    }
    notes
}
