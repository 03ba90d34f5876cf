//! Proposals as they stand in a suite.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::gather::{Proposal, Scope};
use crate::runner::Message;
use crate::suite::{Setting, parse_yaml};

/// Returns the proposals for a case alone.
pub(super) fn own_of<'p>(proposals: &'p [Proposal], trial: &str) -> Vec<&'p Proposal> {
    let own =
        |one: &&Proposal| matches!(&one.scope, Scope::Cases(cases) if cases.contains_key(trial));
    proposals.iter().filter(own).collect()
}

/// Returns the cases that have proposals of their own, with their files.
pub(super) fn cases_of(proposals: &[Proposal]) -> BTreeMap<&str, &Path> {
    let cases = proposals.iter().filter_map(|one| match &one.scope {
        Scope::Cases(cases) => Some(cases),
        Scope::Suite | Scope::Calls(_) => None,
    });
    let cases = cases.flatten();
    cases
        .map(|(trial, file)| (trial.as_str(), file.as_path()))
        .collect()
}

/// Returns the proposals for some calls alone, by the calls.
pub(super) fn calls_of(proposals: &[Proposal]) -> Vec<(Message, Vec<&Proposal>)> {
    let mut calls: Vec<(Message, Vec<&Proposal>)> = Vec::new();
    for one in proposals {
        let Scope::Calls(call) = &one.scope else {
            continue;
        };
        match calls.iter_mut().find(|(known, _)| known == call) {
            Some((_, own)) => own.push(one),
            None => calls.push((call.clone(), vec![one])),
        }
    }
    calls
}

/// Returns a file's path as a suite names it.
pub(super) fn below(suite: &Path, file: &Path) -> String {
    let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = canonical(
        suite
            .parent()
            .filter(|f| !f.as_os_str().is_empty())
            .unwrap_or(Path::new(".")),
    );
    let file = canonical(file);
    let mut up = String::new();
    let mut at = folder.as_path();
    loop {
        if let Ok(rest) = file.strip_prefix(at) {
            return format!("{up}{}", rest.display());
        }
        up.push_str("../");
        match at.parent() {
            Some(parent) => at = parent,
            None => return file.display().to_string(),
        }
    }
}

/// Returns a proposal as a suite is edited by it.
pub(super) fn setting(one: &Proposal) -> Setting<'_> {
    Setting {
        is_sent: one.is_sent,
        path: one.path,
        name: &one.name,
        matcher: one.matcher.as_ref(),
    }
}

/// Returns the `assertions` of a case that needs its own, which replace those of the suite with this text.
pub(super) fn override_of(
    suite: &Path,
    text: &str,
    proposals: &[Proposal],
    (trial, case): (&str, &Path),
) -> Value {
    let own = own_of(proposals, trial);
    let stated = entry_of(suite, text, case);
    let stated = stated.and_then(|entry| entry["overrides"].get("assertions").cloned());
    match stated {
        Some(mut settings) => {
            own.iter()
                .for_each(|one| setting(one).add_to(&mut settings));
            settings
        }
        None => settings_of(text, "assertions", &of_suite(proposals, false), &own),
    }
}

/// Returns the element of `cases` that is about this file alone, as it stands in the suite, if it is the only one.
pub(super) fn entry_of(suite: &Path, text: &str, case: &Path) -> Option<Value> {
    let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = suite.parent().unwrap_or(Path::new(""));
    let suite = parse_yaml(text).ok()?;
    let cases = match suite.get("cases")? {
        Value::Array(cases) => cases.clone(),
        one => vec![one.clone()],
    };
    let is_own = |entry: &Value| {
        let path = entry.as_str().or_else(|| entry["path"].as_str());
        path.is_some_and(|path| {
            let beside = folder.join(path);
            let there = if beside.is_file() {
                beside
            } else {
                path.into()
            };
            there.is_file() && canonical(&there) == canonical(case)
        })
    };
    let mut own = cases.into_iter().filter(is_own);
    // Which of several entries a case is of, its file does not tell.
    own.next().filter(|_| own.next().is_none())
}

/// Returns the proposals for all cases of the suite.
pub(super) fn of_suite(proposals: &[Proposal], is_sent: bool) -> Vec<&Proposal> {
    let own = |one: &&Proposal| one.scope == Scope::Suite && one.is_sent == is_sent;
    proposals.iter().filter(own).collect()
}

/// Returns what a suite says of `assertions` or `outbound`, with these proposals.
fn settings_of(text: &str, part: &str, general: &[&Proposal], own: &[&Proposal]) -> Value {
    let suite = parse_yaml(text).unwrap_or_default();
    let stated = suite.get(part).or_else(|| suite.get("defaults")?.get(part));
    let mut settings = stated.cloned().unwrap_or_default();
    for one in general.iter().chain(own) {
        setting(one).add_to(&mut settings);
    }
    settings
}

/// Returns the mock for some calls of a suite with this text, whose requests are compared under these proposals.
pub(super) fn mock_of(
    text: &str,
    proposals: &[Proposal],
    call: &Message,
    own: &[&Proposal],
) -> Value {
    let Message::Call {
        method,
        host,
        path,
        query,
        ..
    } = call
    else {
        return Value::Null;
    };
    let mut outbound = settings_of(text, "outbound", &of_suite(proposals, true), own);
    // What `mocks: auto` does unasked.
    for (name, word) in [("difference", "fail"), ("extra", "unsafe")] {
        if outbound.get(name).is_none() {
            outbound[name] = word.into();
        }
    }
    let query = query.as_deref().unwrap_or_default();
    let ignored = outbound["query"]["ignore"].clone();
    let is_ignored = |name: &str| match &ignored {
        Value::Array(names) => names.iter().any(|ignored| ignored == name),
        one => one == name,
    };
    let mut names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    // A captured exchange is found by a path with its query, but by no other predicate for a query.
    let target = match query.is_empty() || names.any(|name| is_ignored(&name)) {
        true => path.clone(),
        false => format!("{path}?{query}"),
    };
    json!({
        "name": format!("{method} {host}{target}"),
        "match": {"method": method, "host": host, "path": target},
        "expect": "any",
        "outbound": outbound,
    })
}
