//! Writes what is proposed into the suites.

use super::gather::{Report, Scope, SuiteReport};
use super::settings::{below, calls_of, cases_of, entry_of, mock_of, override_of, own_of, setting};
use crate::disk::{Readers, lock, relative, write_whole};
use crate::runner::Message;
use crate::suite::{flow, with_mock, with_mock_settings, with_override, with_settings};
use std::fmt::Write as _;

use serde_json::Value;

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) text: String,
    /// What could not be written, and what to write where by hand.
    pub(super) faults: Vec<String>,
}

/// Writes what is proposed into the suites, as far as they can be edited.
pub(super) fn write(report: &Report) -> Written {
    let mut written = Written::default();
    for suite in report
        .suites
        .iter()
        .filter(|suite| !suite.proposals.is_empty())
    {
        let shown = relative(&suite.file).display().to_string();
        match edit(suite) {
            Ok((count, faults)) => {
                if count > 0 {
                    let s = if count == 1 { "" } else { "s" };
                    let _ = writeln!(written.text, "\nwrote {count} setting{s} into {shown}");
                }
                let faults = faults.into_iter().map(|why| format!("{shown}: {why}"));
                written.faults.extend(faults);
            }
            Err(why) => written.faults.push(format!("{shown}: {why}")),
        }
    }
    written
}

fn edit(suite: &SuiteReport) -> Result<(usize, Vec<String>), String> {
    let SuiteReport {
        file, proposals, ..
    } = suite;
    let _lock = lock(file).map_err(|error| error.to_string())?;
    let before = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let (mut text, mut count, mut faults) = (before.clone(), 0, Vec::new());
    let mut take = |edited: Result<String, String>, text: &mut String, settings: usize| match edited
    {
        Ok(new) => {
            *text = new;
            count += settings;
        }
        Err(why) => faults.push(why),
    };
    for one in proposals.iter().filter(|one| one.scope == Scope::Suite) {
        let edited = with_settings(&text, &[setting(one)]);
        take(edited, &mut text, 1);
    }
    for (trial, case) in cases_of(proposals) {
        let own = own_of(proposals, trial);
        let assertions = override_of(file, &text, proposals, (trial, case));
        let edited = match entry_of(file, &text, case) {
            Some(Value::String(path)) => with_override(&text, &path, &assertions),
            Some(_) => Err(format!(
                "the entry for {trial} can't be edited here; have its `overrides` say `assertions: {}`",
                flow(&assertions)
            )),
            None => Err(format!(
                "{trial} is found by a glob, which has no settings for a case alone; list the cases, and write for it: `{{ path: {}, \
                 overrides: {{ assertions: {} }} }}`",
                below(file, case),
                flow(&assertions)
            )),
        };
        take(edited, &mut text, own.len());
    }
    for (call, own) in calls_of(proposals) {
        let edited = match &call {
            Message::Call {
                mock: Some(name), ..
            } => {
                let settings: Vec<_> = own.iter().map(|one| setting(one)).collect();
                with_mock_settings(&text, name, &settings)
            }
            call => with_mock(&text, &mock_of(&text, proposals, call, &own)),
        };
        take(edited, &mut text, own.len());
    }
    if text != before {
        write_whole(file, text, Readers::Usual).map_err(|error| error.to_string())?;
    }
    Ok((count, faults))
}
