//! Puts several runs together, such as the parts of one on several machines.

use std::collections::BTreeSet;

use super::causes::accepting;
use super::told::{CauseReport, MOST_SHARDS, RunReport};

/// Why what was put together is no whole run, where nothing better is known.
pub(super) const ONE_BROKE_OFF: &str =
    "one of these runs broke off before all of its cases had ended";

impl RunReport {
    /// Returns several runs as one, as if their cases had run together.
    pub(crate) fn merged(runs: Vec<Self>) -> Self {
        let mut all = Self::default();
        let mut end: Option<u64> = None;
        for run in runs {
            let Self {
                started_us,
                took_ms,
                broke_off,
                broke_off_why,
                suite_files,
                command,
                shards,
                is_merged: _,
                cases,
                causes,
            } = run;
            all.suite_files.extend(suite_files);
            all.shards.extend(shards);
            all.command = command;
            let ended = started_us.map(|start| start + took_ms * 1_000);
            end = end.max(ended);
            all.started_us = [all.started_us, started_us].into_iter().flatten().min();
            all.took_ms += took_ms;
            all.broke_off |= broke_off;
            all.broke_off_why = all.broke_off_why.or(broke_off_why);
            all.cases.extend(cases);
            for cause in causes {
                match all.causes.iter_mut().find(|known| known.key == cause.key) {
                    Some(known) => known.add(cause),
                    None => all.causes.push(cause),
                }
            }
        }
        if let (Some(start), Some(end)) = (all.started_us, end) {
            all.took_ms = (end - start) / 1_000;
        }
        all.shards.sort();
        all.shards.dedup();
        if told_missing(&all.shards).is_none() {
            // It is a part of nothing any more, and what runs it again names none.
            all.shards.clear();
            let accepting = all.causes.iter_mut().flat_map(|cause| &mut cause.accept);
            let accepting = accepting.map(|accept| &mut accept.rerun.whole);
            for command in accepting.chain([&mut all.command]) {
                *command = without_shard(command);
            }
        }
        all.suite_files.sort();
        all.suite_files.dedup();
        all.cases.sort_by(|a, b| a.name.cmp(&b.name));
        for cause in &mut all.causes {
            cause.cases.sort();
            if let Some(accept) = &cause.accept {
                let names: Vec<&str> = cause.cases.iter().map(String::as_str).collect();
                cause.mend = accepting(accept, &names);
            }
        }
        all.causes
            .sort_by(|a, b| (b.cases.len(), &a.key).cmp(&(a.cases.len(), &b.key)));
        all
    }

    /// Returns the command that runs all parts.
    pub(crate) fn command_of_all(&self) -> String {
        without_shard(&self.command)
    }

    /// Returns why a run that was put together is no whole one.
    pub(crate) fn why_broken(&self) -> &str {
        self.broke_off_why.as_deref().unwrap_or(ONE_BROKE_OFF)
    }

    /// Says of a run that was put together if parts of it are missing, so that what nobody has looked at does not look green.
    pub(crate) fn tell_missing(&mut self) {
        if let Some(why) = told_missing(&self.shards).filter(|_| self.is_merged) {
            self.broke_off = true;
            self.broke_off_why.get_or_insert(why);
        }
    }
}

/// Returns a command without the part that it runs.
fn without_shard(command: &str) -> String {
    let mut words = command.split(' ');
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "--shard" => drop(words.next()),
            word => kept.push(word),
        }
    }
    kept.join(" ")
}

/// Tells which parts of a run are missing where these are there, if any is.
pub(super) fn told_missing(shards: &[String]) -> Option<String> {
    const TOLD: usize = 10;
    match missing(shards).as_slice() {
        [] => None,
        [part] => Some(format!("of this run, a part is missing: {part}")),
        parts => {
            let first = parts[..parts.len().min(TOLD)].join(", ");
            let more = match parts.len().saturating_sub(TOLD) {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            Some(format!("of this run, parts are missing: {first}{more}"))
        }
    }
}

impl CauseReport {
    /// Adds the cases of another run that fail for this reason. What is said of it is what is said of the first of all cases.
    fn add(&mut self, other: Self) {
        let mut cases = std::mem::take(&mut self.cases);
        let is_first = other.cases.iter().min() < cases.iter().min();
        cases.extend(other.cases.iter().cloned());
        // What accepts all that differs accepts what is of less risk, too; what can't be accepted in all of them is not.
        let both = [&self.accept, &other.accept].map(Option::as_ref);
        let is_risky = both.into_iter().flatten().any(|accept| accept.is_risky);
        let in_some_alone = both.iter().filter(|accept| accept.is_some()).count() == 1;
        if is_first {
            *self = other;
        }
        if in_some_alone {
            (self.accept, self.mend) = (None, String::new());
        }
        if let Some(accept) = &mut self.accept {
            accept.is_risky = is_risky;
        }
        self.cases = cases;
    }
}

/// Returns the parts of a run that are missing, where these are there: of 1/3 and 3/3, it is 2/3.
fn missing(shards: &[String]) -> Vec<String> {
    let parts = shards.iter().filter_map(|shard| shard.split_once('/'));
    let counts: BTreeSet<&str> = parts.map(|(_, count)| count).collect();
    let known: BTreeSet<&str> = shards.iter().map(String::as_str).collect();
    let all = counts.into_iter().flat_map(|count| {
        let last: u32 = count.parse().unwrap_or_default();
        (1..=last.min(MOST_SHARDS)).map(move |number| format!("{number}/{count}"))
    });
    all.filter(|part| !known.contains(part.as_str())).collect()
}
