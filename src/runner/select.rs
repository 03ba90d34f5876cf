//! Selects the trials of a run.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::args::Args;
use super::discover::{self, Trial, trial_by_name};
use super::refusal::Refusal;
use crate::base::visible_line;
use crate::screen;
use crate::suite::Suite;

/// Returns the trials that the arguments select.
pub(super) fn select(suites: &[Suite], args: &Args, root: &Path) -> Result<Vec<Trial>, Refusal> {
    let flags = &args.flags;
    let (filters, skip) = (args.filters.as_slice(), flags.skip.as_slice());
    if let (true, [name], [], None, None) = (flags.exact, filters, skip, &args.only, args.shard()) {
        let mut found = suites
            .iter()
            .filter_map(|suite| trial_by_name(suite, root, name));
        if let Some(trial) = found.next() {
            return Ok(if flags.ignored && trial.ignored.is_none() {
                Vec::new()
            } else {
                vec![trial]
            });
        }
    }
    let mut trials = trials(suites, root)?;
    let known = trials.len();
    if let Some(only) = &args.only {
        tell_gone(only, &trials);
    }
    trials.retain(|trial| args.selects(&trial.name, &trial.file));
    if flags.exact && trials.is_empty() && !filters.is_empty() {
        return Err(Refusal::invalid(vec![format!(
            "no case is called {}; {} (--list shows them)",
            filters.join(" or "),
            counted(known)
        )]));
    }
    if let Some(only) = &args.only {
        trials.retain(|trial| only.contains(&trial.name));
        if trials.is_empty() && !only.is_empty() {
            return Err(Refusal::invalid(vec![format!(
                "--failed: none of the {} that failed in the last run is selected here; {} (--list shows them)",
                only.len(),
                counted(known)
            )]));
        }
    }
    if args.wants_cases && trials.is_empty() && args.only.is_none() {
        return Err(Refusal::invalid(vec![format!(
            "no case's name matches the filters; {} (--list shows them)",
            counted(known)
        )]));
    }
    // In a part of a run, there may be none.
    if let Some(shard) = args.shard() {
        trials.retain(|trial| shard.has(&trial.name));
    }
    if flags.ignored {
        trials.retain(|trial| trial.ignored.is_some());
    }
    Ok(trials)
}

/// Tells which cases of an earlier run are no longer there.
fn tell_gone(wanted: &HashSet<String>, trials: &[Trial]) {
    const TOLD: usize = 5;
    let known: HashSet<&str> = trials.iter().map(|trial| trial.name.as_str()).collect();
    let gone = wanted.iter().filter(|name| !known.contains(name.as_str()));
    let mut gone: Vec<&str> = gone.map(String::as_str).collect();
    gone.sort_unstable();
    if !gone.is_empty() {
        let more = if gone.len() > TOLD { ", …" } else { "" };
        let line = format!(
            "warning: {} of the cases that failed in the last run are not here: {}{more}",
            gone.len(),
            gone[..gone.len().min(TOLD)].join(", ")
        );
        screen::line(&visible_line(&line));
    }
}

/// Returns how many cases are known, for display.
fn counted(known: usize) -> String {
    match known {
        1 => "1 case is known".to_owned(),
        n => format!("{n} cases are known"),
    }
}

/// Returns every trial of the suites.
///
/// # Errors
///
/// A refusal that lists every glob without a match, and trials with the same name.
pub(super) fn trials(suites: &[Suite], root: &Path) -> Result<Vec<Trial>, Refusal> {
    let (mut trials, mut faults) = (Vec::new(), Vec::new());
    for suite in suites {
        match discover::trials(suite, root) {
            Ok(found) => trials.extend(found),
            Err(lines) => faults.extend(lines),
        }
    }
    if suites.len() > 1 {
        faults.extend(same_names(&trials));
    }
    if faults.is_empty() {
        Ok(trials)
    } else {
        Err(Refusal::invalid(faults))
    }
}

/// Returns a message for each name that trials of two suites share.
fn same_names(trials: &[Trial]) -> Vec<String> {
    let mut by_name: HashMap<&str, &Trial> = HashMap::new();
    let mut faults = Vec::new();
    for trial in trials {
        if let Some(other) = by_name.insert(&trial.name, trial) {
            faults.push(format!(
                "two cases are called {}: {} and {}; give the suites different names",
                trial.name,
                other.file.display(),
                trial.file.display()
            ));
        }
    }
    faults
}
