//! `validate`: reports every error in files at once.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::files;
use super::output::{Exit, Failed, Output};
use crate::base::document::{MOST_TOLD, Place};
use crate::base::encoding::split_mark;
use crate::case::Case;
use crate::disk::{project_root, relative};
use crate::hook::Hooks;
use crate::otlp::encode;
use crate::rule::Rule;
use crate::runner::{SuiteFlags, check};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Validate {
    /// Report every error in case files
    Case(Files),
    /// Report every error in rules documents, `{"version": 1, "rules": […]}` or a single rule, as JSON or YAML
    Rules(Files),
    /// Report every error in suites; same as suite validate
    Suite(Suites),
}

#[derive(Debug, clap::Args)]
pub(super) struct Files {
    /// Files or globs
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Knows only the hooks in hook files, not those registered in Rust code.")]
pub(super) struct Suites {
    /// Suite files or globs
    #[arg(value_name = "SUITE", required = true)]
    suites: Vec<String>,
    #[command(flatten)]
    flags: SuiteFlags,
}

impl Validate {
    pub(super) fn run(self) -> Result<Output, Failed> {
        match self {
            Self::Case(Files { files }) => each(&files, case_faults),
            Self::Rules(Files { files }) => each(&files, |path| Findings {
                errors: rules_faults(path),
                warnings: Vec::new(),
            }),
            Self::Suite(suites) => suites.run(),
        }
    }
}

/// What was found in a file.
struct Findings {
    errors: Vec<String>,
    /// What is worth knowing but is not an error.
    warnings: Vec<String>,
}

impl Findings {
    /// Keeps the errors that are told of one file, and counts the others.
    fn told(mut self) -> Self {
        let more = self.errors.len().saturating_sub(MOST_TOLD);
        self.errors.truncate(MOST_TOLD);
        if more > 0 {
            self.errors.push(format!("and {more} more errors"));
        }
        self
    }
}

/// Checks each file and reports everything found.
fn each(patterns: &[String], find: impl Fn(&Path) -> Findings) -> Result<Output, Failed> {
    let paths: Vec<PathBuf> = files::find(patterns)?;
    let mut lines = Vec::new();
    let mut text = String::new();
    let mut reported: Vec<Value> = Vec::new();
    for path in &paths {
        let Findings { errors, warnings } = find(path).told();
        let shown = path.display();
        for warning in &warnings {
            text.push_str(&format!("warning: {shown}: {warning}\n"));
        }
        lines.extend(errors.iter().map(|error| format!("{shown}: {error}")));
        let placed: Vec<Value> = errors.iter().map(|error| placed(error)).collect();
        reported.push(json!({
            "file": shown.to_string(), "path": shown.to_string(), "valid": errors.is_empty(), "errors": placed,
            "warnings": warnings,
        }));
    }
    if lines.is_empty() {
        text.push_str(&format!("{}: no errors\n", counted(paths.len(), "file")));
        return Ok(Output::fine(text).one_or_all("files", reported));
    }
    let answer = Output::all_failed(Exit::InvalidInput, "invalid_input", lines);
    Err(Failed::from(
        answer.text(text).one_or_all("files", reported),
    ))
}

/// Returns an error with its place by itself.
fn placed(error: &str) -> Value {
    let is_place = |place: &str| !place.contains(' ') || place.starts_with("line ");
    match error.split_once(": ").filter(|(place, _)| is_place(place)) {
        Some((place, message)) => json!({"place": place, "message": message}),
        None => json!({"place": "", "message": error}),
    }
}

pub(super) fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn case_faults(path: &Path) -> Findings {
    let mut found = Findings {
        errors: Vec::new(),
        warnings: Vec::new(),
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            found.errors.push(format!("can't be read: {error}"));
            return found;
        }
    };
    let case = match text.parse::<Case>() {
        Ok(case) => case,
        Err(error) => {
            let errors = error.each().iter().map(ToString::to_string);
            found.errors.extend(errors);
            // Rules are checked separately, so that their errors are reported in the same run.
            let document: Value = serde_json::from_str(&text).unwrap_or_default();
            let rules = document["rules"].as_array();
            found
                .errors
                .extend(embedded_faults(rules.map_or(&[], Vec::as_slice)));
            return found;
        }
    };
    found.errors.extend(embedded_faults(&case.exact_rules()));
    match case.inbound() {
        Err(ambiguous) => found.errors.push(ambiguous.to_string()),
        Ok(None) => found
            .warnings
            .push("there is no inbound exchange; a suite has to give the request".to_owned()),
        Ok(Some(_)) => {}
    }
    let unanswered = case
        .outbound()
        .filter_map(|exchange| exchange.response().err());
    found
        .warnings
        .extend(unanswered.map(|why| format!("{why}, so it can't be a mock")));
    found.warnings.extend(case.warnings().iter().cloned());
    found.warnings.extend(odd_traces(&case));
    let is_time = |text: &str| humantime::parse_rfc3339_weak(text).is_ok();
    if let Some(created) = case.created_at().filter(|text| !is_time(text)) {
        let warning = format!("createdAt: `{created}` is not an RFC 3339 time in UTC");
        found.warnings.push(warning);
    }
    found
}

/// Returns what a collector would refuse but a replay does not need.
fn odd_traces(case: &Case) -> Vec<String> {
    let traces = case.document()["traces"].as_array();
    let traces = traces.map(Vec::as_slice).unwrap_or_default();
    let faults = traces.iter().enumerate().filter_map(|(n, trace)| {
        let why = encode(trace).err()?;
        Some(format!("traces[{n}].{why}; export otlp can't send it"))
    });
    faults.collect()
}

fn embedded_faults(rules: &[Value]) -> Vec<String> {
    match Rule::read_list(rules, &Place::root().key("rules")) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
    }
}

fn rules_faults(path: &Path) -> Vec<String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return vec![format!("can't be read: {error}")],
    };
    let (_, text) = split_mark(&text);
    let document = match files::parse_rules(text) {
        Ok(document) => document,
        Err(why) => return vec![why],
    };
    match Rule::read_document(&document) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
    }
}

impl Suites {
    pub(super) fn run(self) -> Result<Output, Failed> {
        let shown = self.suites.join(", ");
        let sources = self.flags.sources(self.suites, Hooks::new());
        let checked = check(&sources, &project_root()).map_err(|refusal| {
            let output = Failed::from(refusal).into_output();
            Failed::from(output.field("suite", shown.clone()))
        });
        let (suites, cases) = checked?;
        let (mut errors, mut text) = (Vec::new(), String::new());
        for file in &cases {
            let (found, shown) = (case_faults(file).told(), relative(file));
            let shown = shown.display();
            errors.extend(found.errors.iter().map(|error| format!("{shown}: {error}")));
            let warnings = found.warnings.iter();
            text.extend(warnings.map(|warning| format!("warning: {shown}: {warning}\n")));
        }
        let summary = format!(
            "{} with {}",
            counted(suites, "suite"),
            counted(cases.len(), "case file")
        );
        let answer = if errors.is_empty() {
            Output::fine(text + &summary + ": no errors\n").field("errors", json!([]))
        } else {
            Output::all_failed(Exit::InvalidInput, "invalid_input", errors).text(text)
        };
        let answer = answer
            .field("suite", shown)
            .field("suites", suites)
            .field("cases", cases.len());
        match answer.code() {
            0 => Ok(answer),
            _ => Err(Failed::from(answer)),
        }
    }
}
