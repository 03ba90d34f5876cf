//! What `suite noise` prints: the settings as YAML to paste, and what has none.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::gather::{Line, Proposal, Report, Scope, SuiteReport};
use super::settings::{
    below, calls_of, cases_of, entry_of, mock_of, of_suite, override_of, own_of,
};
use crate::base::{visible, visible_line};
use crate::disk::relative;
use crate::runner::Message;
use crate::suite::{flow, parse_yaml, quoted};

/// Returns the whole report.
pub(super) fn text(report: &Report, runs: usize) -> String {
    let mut out = String::new();
    for suite in &report.suites {
        out.push_str(&suite_text(suite, runs));
    }
    if !report.unjudged.is_empty() {
        out.push_str("\nnot looked at:\n");
        for (trial, why) in &report.unjudged {
            let _ = writeln!(out, "  {}", visible_line(&format!("{trial}: {why}")));
        }
    }
    out
}

fn suite_text(suite: &SuiteReport, runs: usize) -> String {
    let SuiteReport {
        file,
        proposals,
        varies,
        differs,
    } = suite;
    let mut out = format!("{}\n", relative(file).display());
    if proposals.is_empty() && varies.is_empty() && differs.is_empty() {
        let _ = writeln!(out, "  nothing varies in {runs} runs, and nothing differs");
        return out;
    }
    if !proposals.is_empty() {
        let _ = writeln!(out, "\n{}", visible(yaml(file, proposals).trim_end()));
    }
    for (title, lines) in [
        (
            "varies, and no setting accepts it without hiding more:",
            varies,
        ),
        (
            "no noise, but a difference from the capture in every run:",
            differs,
        ),
    ] {
        if !lines.is_empty() {
            let _ = writeln!(out, "\n{title}");
            for Line { trial, call, text } in lines {
                let call = call
                    .iter()
                    .map(|call| format!("{call}: "))
                    .collect::<String>();
                let _ = writeln!(out, "  {}", visible_line(&format!("{trial}: {call}{text}")));
            }
        }
    }
    out
}

/// Returns the proposals as YAML.
fn yaml(file: &Path, proposals: &[Proposal]) -> String {
    // What can't be read any more says nothing.
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut out = String::new();
    let of_answers = of_suite(proposals, false);
    if !of_answers.is_empty() && replaces_assertions(&text) {
        out.push_str("# a case replaces `assertions` in its `overrides`: these belong there too\n");
    }
    block(&mut out, "assertions", &of_answers);
    block(&mut out, "outbound", &of_suite(proposals, true));
    let trials = cases_of(proposals);
    if !trials.is_empty() {
        out.push_str("# in some cases only, so each needs an entry of its own\ncases:\n");
    }
    for (trial, case) in trials {
        let own = own_of(proposals, trial);
        let told: Vec<String> = own
            .iter()
            .map(|one| format!("{}: {}", one.name, one.what))
            .collect();
        let _ = writeln!(out, "  # {}", told.join(", "));
        let assertions = override_of(file, &text, proposals, (trial, case));
        let mut entry = match entry_of(file, &text, case) {
            Some(entry @ Value::Object(_)) => entry,
            Some(path) => json!({"path": path}),
            None => json!({"path": below(file, case)}),
        };
        entry["overrides"]["assertions"] = assertions;
        let _ = writeln!(out, "  - {}", flow(&entry));
    }
    let (mut rules, mut comments) = (Vec::new(), String::new());
    for (call, own) in calls_of(proposals) {
        match &call {
            Message::Call {
                mock: Some(name), ..
            } => {
                let _ = writeln!(out, "# in the mock {}", quoted(name));
                block(&mut out, "outbound", &own);
            }
            call => {
                for one in &own {
                    let _ = writeln!(comments, "# {}: {}", one.name, one.what);
                }
                rules.push(mock_of(&text, proposals, call, &own));
            }
        }
    }
    if !rules.is_empty() {
        out.push_str(&comments);
        let _ = writeln!(out, "mocks:\n  auto: true\n  rules:");
        for rule in rules {
            let _ = writeln!(out, "    - {}", flow(&rule));
        }
    }
    out
}

/// Returns whether a case of a suite has `assertions` of its own.
fn replaces_assertions(text: &str) -> bool {
    let suite = parse_yaml(text).unwrap_or_default();
    let cases = suite.get("cases").and_then(Value::as_array);
    let mut cases = cases.into_iter().flatten();
    cases.any(|case| case["overrides"].get("assertions").is_some())
}

/// Adds settings of `assertions` or `outbound`, each on a line of its own with what it is for.
fn block(out: &mut String, part: &str, own: &[&Proposal]) {
    if own.is_empty() {
        return;
    }
    let _ = writeln!(out, "{part}:");
    let mut known: [&str; 2] = ["", ""];
    let mut sorted = own.to_vec();
    sorted.sort_by_key(|one| one.path);
    for one in sorted {
        if one.path[0] != known[0] {
            let _ = writeln!(out, "  {}:", one.path[0]);
        }
        if one.path != known {
            let _ = writeln!(out, "    {}:", one.path[1]);
        }
        known = one.path;
        let line = match &one.matcher {
            // Names of members are never taken for variables.
            Some(matcher) => format!("{}: {}", flow(&one.name.as_str().into()), flow(matcher)),
            None => format!("- {}", quoted(&one.name)),
        };
        let _ = writeln!(out, "      {line}  # {}", one.what.replace('\n', " "));
    }
}

/// Returns the report as the JSON document has it.
pub(super) fn document(report: &Report) -> Value {
    let line = |line: &Line| json!({"case": line.trial, "call": line.call, "message": line.text});
    let suites = report.suites.iter().map(|suite| {
        let proposals = suite.proposals.iter().map(|one| {
            let part = if one.is_sent { "outbound" } else { "assertions" };
            let (cases, call) = match &one.scope {
                Scope::Suite => (Value::Null, Value::Null),
                Scope::Cases(cases) => (cases.keys().cloned().collect(), Value::Null),
                Scope::Calls(Message::Call { method, host, path, .. }) => {
                    (Value::Null, format!("{method} {host}{path}").into())
                }
                Scope::Calls(Message::Answer) => (Value::Null, Value::Null),
            };
            json!({
                "setting": format!("{part}.{}", one.path.join(".")), "name": one.name, "matcher": one.matcher,
                "what": one.what, "cases": cases, "call": call,
            })
        });
        json!({
            "suite": relative(&suite.file).display().to_string(),
            "proposals": proposals.collect::<Value>(),
            "varies": suite.varies.iter().map(line).collect::<Value>(),
            "differs": suite.differs.iter().map(line).collect::<Value>(),
        })
    });
    let unjudged = report.unjudged.iter();
    let unjudged = unjudged.map(|(trial, why)| json!({"case": trial, "message": why}));
    json!({"suites": suites.collect::<Value>(), "unjudged": unjudged.collect::<Value>()})
}
