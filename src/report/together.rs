//! Puts several runs together, such as the parts of one on several machines.

use std::collections::BTreeSet;

use super::told::{MOST_SHARDS, RunReport};

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
                    // What accepts all that differs accepts what is of less risk, too.
                    Some(known) if cause.mend.contains("bless=all") || known.mend.is_empty() => {
                        known.mend = cause.mend;
                        known.cases.extend(cause.cases);
                    }
                    Some(known) => known.cases.extend(cause.cases),
                    None => all.causes.push(cause),
                }
            }
        }
        if let (Some(start), Some(end)) = (all.started_us, end) {
            all.took_ms = (end - start) / 1_000;
        }
        all.shards.sort();
        all.shards.dedup();
        all.suite_files.sort();
        all.suite_files.dedup();
        all.cases.sort_by(|a, b| a.name.cmp(&b.name));
        for cause in &mut all.causes {
            cause.cases.sort();
        }
        all.causes
            .sort_by(|a, b| (b.cases.len(), &a.key).cmp(&(a.cases.len(), &b.key)));
        all
    }

    /// Returns the parts that are missing, of a run of which there are some.
    pub(crate) fn missing_shards(&self) -> Vec<String> {
        let parts = self.shards.iter().filter_map(|shard| shard.split_once('/'));
        let counts: BTreeSet<&str> = parts.map(|(_, count)| count).collect();
        let known: BTreeSet<&str> = self.shards.iter().map(String::as_str).collect();
        let all = counts.into_iter().flat_map(|count| {
            let last: u32 = count.parse().unwrap_or_default();
            (1..=last.min(MOST_SHARDS)).map(move |number| format!("{number}/{count}"))
        });
        all.filter(|part| !known.contains(part.as_str())).collect()
    }
}
