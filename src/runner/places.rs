//! Finds the lines of files that tell most about failures.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::discover::Trial;
use crate::base::json;
use crate::case::{Case, Exchange, STATUS_KEYS, URL_KEYS};
use crate::compare::{Barrier, MessagePlace, Mismatch};
use crate::disk::relative;
use crate::report::{CaseOutcome, CauseReport, Fault, RunOutcome, first_fault};

/// Where a failure is told: in a file, and at a line of it, from 1.
type At = (String, Option<usize>);

/// How many reasons are looked at: no more are shown beside lines.
const MOST: usize = 9;

/// Adds to the reasons for which cases fail the lines that tell most about them.
pub(super) fn add_places(causes: &mut [CauseReport], run: &RunOutcome, trials: &[Arc<Trial>]) {
    let known: HashMap<&str, (&CaseOutcome, &Trial)> = run
        .cases
        .iter()
        .zip(trials)
        .map(|(case, trial)| (case.trial.as_str(), (&**case, &**trial)))
        .collect();
    for cause in causes.iter_mut().take(MOST) {
        let first = cause.cases.first();
        let Some((case, trial)) = first.and_then(|name| known.get(name.as_str())) else {
            continue;
        };
        let (file, line) = place_of(case, trial);
        (cause.file, cause.line) = (Some(file), line);
    }
}

fn place_of(outcome: &CaseOutcome, trial: &Trial) -> At {
    let in_case = |keys: &[&str], exchange: &dyn Fn(&Case) -> Option<Exchange>| {
        let line = line_in_case(&trial.file, keys, exchange);
        (from_workspace(&trial.file), line)
    };
    let is_stated =
        |mismatch: &Mismatch| matches!(mismatch.accepts, Err(Barrier::Stated | Barrier::Hook));
    match first_fault(outcome) {
        Some(Fault::Mismatch(mismatch)) if is_stated(mismatch) => in_suite(trial, "assertions"),
        Some(Fault::Mismatch(mismatch)) => {
            let inbound = |case: &Case| case.inbound().ok().flatten().cloned();
            match &mismatch.place {
                MessagePlace::Status => in_case(&STATUS_KEYS, &inbound),
                MessagePlace::Header(name) => {
                    in_case(&[&format!("http.response.header.{name}")], &inbound)
                }
                _ => in_case(&["http.response.body"], &inbound),
            }
        }
        Some(Fault::Sent(sent)) => {
            let exchange = |case: &Case| case.exchanges().get(sent.exchange).cloned();
            match &sent.mismatch.place {
                MessagePlace::Query(_) => in_case(&URL_KEYS, &exchange),
                MessagePlace::Header(name) => {
                    in_case(&[&format!("http.request.header.{name}")], &exchange)
                }
                _ => in_case(&["http.request.body"], &exchange),
            }
        }
        Some(Fault::Missed(_) | Fault::Unused(_) | Fault::Extra(_)) => in_suite(trial, "mocks"),
        Some(Fault::Uncorrelated(_) | Fault::Late(_) | Fault::NotCompared(_)) => {
            in_suite(trial, "policy")
        }
        None => (from_workspace(&trial.file), None),
    }
}

/// Returns the line of a member of the suite, or its first line.
fn in_suite(trial: &Trial, member: &str) -> At {
    let text = fs::read_to_string(&trial.suite_file).unwrap_or_default();
    let is_own = |line: &str| {
        line.strip_prefix(member)
            .is_some_and(|rest| rest.trim_start().starts_with(':'))
    };
    // At the top, or else where it is said for some cases.
    let line = text.lines().position(is_own);
    let inside = || {
        text.lines()
            .position(|line| is_own(line.trim_start_matches([' ', '-'])))
    };
    let line = line.or_else(inside).map_or(1, |n| n + 1);
    (from_workspace(&trial.suite_file), Some(line))
}

/// Returns the line of the first of these attributes of an exchange, or of its span.
fn line_in_case(
    file: &Path,
    keys: &[&str],
    exchange: &dyn Fn(&Case) -> Option<Exchange>,
) -> Option<usize> {
    let text = fs::read_to_string(file).ok()?;
    let case: Case = text.parse().ok()?;
    let exchange = exchange(&case)?;
    let span = exchange.span();
    let attributes = span.get("attributes")?.as_array()?;
    let of_key = |key: &&str| {
        let own = |one: &serde_json::Value| {
            let own = one["key"].as_str();
            own.is_some_and(|own| own.eq_ignore_ascii_case(key))
        };
        attributes.iter().position(own)
    };
    let place = match keys.iter().find_map(of_key) {
        Some(n) => format!("{}/attributes/{n}", exchange.pointer()),
        None => exchange.pointer().to_owned(),
    };
    let offset = json::start_of(&text, &place)?;
    Some(
        text.as_bytes()[..offset]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1,
    )
}

/// Returns a path as the pages of GitHub know it: from the root of the repository.
fn from_workspace(path: &Path) -> String {
    let workspace = std::env::var_os("GITHUB_WORKSPACE").map(std::path::PathBuf::from);
    let workspace = workspace.and_then(|path| path.canonicalize().ok());
    let below = workspace.and_then(|workspace| {
        let whole = path.canonicalize().ok()?;
        Some(whole.strip_prefix(workspace).ok()?.to_owned())
    });
    below
        .unwrap_or_else(|| relative(path))
        .display()
        .to_string()
}
