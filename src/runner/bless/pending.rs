//! Keeps what a case found in a file beside it, until somebody decides.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::check::check;
use crate::accept::{Accepted, Pending, Undecided, changed};
use crate::base::http::shown_target;
use crate::base::with_causes;
use crate::compare::Risk;
use crate::disk::{Readers, lock, relative, write_whole};
use crate::report::{Fault, side};
use crate::runner::discover::Trial;
use crate::runner::judge::Heard;

/// Keeps what was found in a file beside the case until somebody decides, in place of what the same trial found before.
pub(super) fn keep(
    trial: &Trial,
    heard: &Heard,
    changes: Vec<(Vec<Accepted>, &Fault)>,
) -> Result<PathBuf, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", trial.shown.display());
    let _lock = lock(&trial.file).map_err(failed)?;
    let text = std::fs::read_to_string(&trial.file).map_err(failed)?;
    let accepted: Vec<Accepted> = changes
        .iter()
        .flat_map(|(accepted, _)| accepted.clone())
        .collect();
    let new = changed(&text, &heard.case, &accepted).map_err(|error| with_causes(&error))?;
    check(trial, heard, new.as_deref().unwrap_or(&text))?;
    let file = Pending::path_of(&trial.file);
    let known = read_pending(&file)?;
    if let Some(pending) = known
        .as_ref()
        .filter(|known| known.case != name_of(&trial.file))
    {
        return Err(format!(
            "{}: it is about {}; rename one of the two cases, or remove it",
            relative(&file).display(),
            pending.case
        ));
    }
    let known = known.filter(|known| known.is_about(&text));
    let mut pending = known.unwrap_or_else(|| Pending::new(&name_of(&trial.file), &text));
    pending.differences.retain(|one| !is_of(one, trial));
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
pub(super) fn forget(trial: &Trial) {
    let file = Pending::path_of(&trial.file);
    if !file.exists() {
        return;
    }
    let Ok(_lock) = lock(&trial.file) else {
        return;
    };
    if let Ok(Some(mut pending)) = read_pending(&file) {
        pending.differences.retain(|one| !is_of(one, trial));
        // What can't be dropped is told as out of date when it is looked at.
        let _ = write_pending(&file, &pending);
    }
}

/// Returns whether a trial found a difference. Suites in two folders may have one name.
fn is_of(one: &Undecided, trial: &Trial) -> bool {
    one.trial == trial.name && *one.suite == *trial.suite_file
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
