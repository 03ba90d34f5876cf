//! A run as one JSON value, for the command's `--json`.

use serde_json::{Value, json};

use super::outcome::Verdict;
use super::told::{CaseReport, RunReport};

/// Returns the run as `{"passed", "failed", "ignored", "tookMs", "cases": […], "causes": […]}`. A run of one suite has its name
/// in `suite`, one of several has a summary of each in `suites`.
pub(crate) fn run_value(run: &RunReport) -> Value {
    let mut value = json!({
        "total": run.cases.len(),
        "passed": run.count(&[Verdict::Passed]),
        "failed": run.count(&[Verdict::Failed, Verdict::Errored]),
        "ignored": run.count(&[Verdict::Skipped]),
        "startedUs": run.started_us,
        "tookMs": run.took_ms,
        "brokeOff": run.broke_off,
        "brokeOffWhy": run.broke_off_why,
        "command": run.command,
        "suiteFiles": run.suite_files,
        "shards": run.shards,
        "cases": run.cases.iter().map(|case| case_value(case)).collect::<Vec<_>>(),
        "causes": run.causes,
    });
    match run.by_suite().as_slice() {
        [(name, _)] => value["suite"] = (*name).into(),
        several => {
            let suites = several.iter().map(|(name, cases)| suite_value(name, cases));
            value["suites"] = suites.collect();
        }
    }
    value
}

/// Returns what scripts for another command read of a suite.
fn suite_value(name: &str, cases: &[&CaseReport]) -> Value {
    let count = |wanted: &str| cases.iter().filter(|case| status(case) == wanted).count();
    let told = cases.iter().map(|case| {
        let mut value = told_value(case);
        if let Some(error) = &case.error {
            value["error"] = error.as_str().into();
        }
        value
    });
    json!({
        "suite": name,
        "total": cases.len(),
        "passed": count("passed"),
        "failed": count("failed"),
        "cases": told.collect::<Vec<_>>(),
    })
}

/// Returns what scripts for another command read of a case.
fn told_value(case: &CaseReport) -> Value {
    json!({
        "caseId": case.case_id,
        "path": case.file,
        "displayName": case.own_name(),
        "status": status(case),
        "durationMs": case.took_us / 1_000,
    })
}

fn status(case: &CaseReport) -> &'static str {
    match case.result {
        Verdict::Passed => "passed",
        Verdict::Failed | Verdict::Errored => "failed",
        Verdict::Skipped => "skipped",
    }
}

fn case_value(case: &CaseReport) -> Value {
    // Texts, numbers and lists of them can be written.
    let mut value = serde_json::to_value(case).unwrap_or_default();
    value["tookMs"] = (case.took_us / 1_000).into();
    if let (Some(value), Value::Object(told)) = (value.as_object_mut(), told_value(case)) {
        value.extend(told);
    }
    value
}
