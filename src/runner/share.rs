//! Finds the exchanges that answer every case of a suite.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::discover::{self, Trial};
use super::refusal::Refusal;
use super::shared::{SharedMocks, fits};
use crate::base::with_causes;
use crate::case::Case;
use crate::disk::{files, relative};
use crate::rule::When;
use crate::suite::{Shared, SharedSource, Suite};

/// Finds what the suites of these trials share, and gives it to the trials.
///
/// # Errors
///
/// What is wrong with a case file that a suite names.
pub(super) fn share(suites: &[Suite], trials: &mut [Trial], root: &Path) -> Result<(), Refusal> {
    let mut found: HashMap<*const Shared, Arc<SharedMocks>> = HashMap::new();
    for suite in suites {
        for entry in &suite.entries {
            let list = &entry.plan.shared;
            if list.is_empty() || found.contains_key(&list.as_ptr()) {
                continue;
            }
            let shared = find(list, suite, root).map_err(|line| Refusal::invalid(vec![line]))?;
            found.insert(list.as_ptr(), Arc::new(shared));
        }
    }
    for trial in trials {
        if let Some(shared) = found.get(&trial.plan.shared.as_ptr()) {
            trial.shared = Arc::clone(shared);
        }
    }
    Ok(())
}

/// Finds the shared exchanges of a suite: in its cases the first of each call by path, then those in files.
fn find(list: &[Shared], suite: &Suite, root: &Path) -> Result<SharedMocks, String> {
    let mut shared = SharedMocks::default();
    let mut known = HashSet::new();
    let cases = cases(list, suite, root);
    for entry in list {
        match &entry.source {
            SharedSource::File(file) => {
                let case = read(file, suite, root)
                    .map_err(|why| format!("{}: {why}", at(suite, entry)))?;
                for exchange in case.outbound() {
                    shared.add(&When::default(), exchange, &mut known);
                }
            }
            SharedSource::Cases(when) => {
                let before = shared.mocks.len();
                let fitting = cases.iter().flat_map(|case| case.outbound());
                for exchange in fitting.filter(|exchange| fits(when, exchange)) {
                    shared.add(when, exchange, &mut known);
                }
                if shared.mocks.len() == before {
                    let at = at(suite, entry);
                    let _ = writeln!(
                        std::io::stderr(),
                        "warning: {at}: no exchange of any case fits, or an earlier entry has it"
                    );
                }
                shared.matches.push(Arc::clone(when));
            }
        }
    }
    // The last rule that matches answers, and calls of one case come before those of the next.
    shared.mocks.reverse();
    Ok(shared)
}

/// Reads the cases of a suite in the order of their paths. What is wrong with one is told when it is replayed.
fn cases(list: &[Shared], suite: &Suite, root: &Path) -> Vec<Case> {
    let needed = |shared: &Shared| matches!(shared.source, SharedSource::Cases(_));
    if !list.iter().any(needed) {
        return Vec::new();
    }
    let trials = discover::trials(suite, root).unwrap_or_default();
    let mut files: Vec<Arc<Path>> = trials.into_iter().map(|trial| trial.file).collect();
    files.sort();
    files.dedup();
    let read = files.iter().map(Case::from_file);
    read.filter_map(Result::ok).collect()
}

/// Returns what is wrong with the case files that a suite shares exchanges of.
pub(super) fn shared_faults(suite: &Suite, root: &Path) -> Vec<String> {
    let lists = suite.entries.iter().map(|entry| &entry.plan.shared);
    let mut lists: Vec<&Arc<[Shared]>> = lists.collect();
    lists.dedup_by_key(|list| list.as_ptr());
    let entries = lists.into_iter().flat_map(|list| list.iter());
    let faults = entries.filter_map(|entry| match &entry.source {
        SharedSource::File(file) => {
            let why = read(file, suite, root).err()?;
            Some(format!("{}: {why}", at(suite, entry)))
        }
        SharedSource::Cases(_) => None,
    });
    faults.collect()
}

/// Returns the place of an element of `shared`, with the suite's file.
fn at(suite: &Suite, shared: &Shared) -> String {
    let file = relative(&suite.file);
    format!("{}:{}", file.display(), suite.at(&shared.place))
}

/// Reads a case file that a suite names.
fn read(file: &str, suite: &Suite, root: &Path) -> Result<Case, String> {
    let folder = suite.file.parent().unwrap_or(root);
    let found: Vec<PathBuf> = files(file, &[folder, root])?.files;
    let [path] = found.as_slice() else {
        return Err(format!("`{file}` names {} files; name one", found.len()));
    };
    Case::from_file(path).map_err(|error| with_causes(&error))
}
