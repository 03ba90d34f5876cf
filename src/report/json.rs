//! A run as one JSON value, for the command's `--json`.

use std::time::Duration;

use serde_json::{Value, json};

use super::causes::{Cause, causes};
use super::outcome::{
    Acceptance, CaseOutcome, End, RunOutcome, SentDifference, SentRequest, Verdict,
};
use super::words;
use crate::base::http::shown_target;
use crate::base::with_causes;
use crate::compare::{Mismatch, Side};
use crate::control::{Miss, OutboundCall, UncorrelatedCall};

/// Returns the run as `{"passed", "failed", "ignored", "tookMs", "cases": […]}`, with every secret
/// masked. A run of one suite has its name in `suite`, one of several has a summary of each in `suites`.
pub(crate) fn run_value(run: &RunOutcome, secrets: &[String]) -> Value {
    let mut suites: Vec<(&str, Vec<&CaseOutcome>)> = Vec::new();
    for outcome in &run.cases {
        match suites.iter_mut().find(|(name, _)| *name == &*outcome.suite) {
            Some((_, cases)) => cases.push(outcome),
            None => suites.push((&*outcome.suite, vec![outcome])),
        }
    }
    let mut value = json!({
        "total": run.cases.len(),
        "passed": run.count(&[Verdict::Passed]),
        "failed": run.count(&[Verdict::Failed, Verdict::Errored]),
        "ignored": run.count(&[Verdict::Skipped]),
        "tookMs": millis(run.took),
        "brokeOff": run.broke_off,
        "cases": run.cases.iter().map(case_value).collect::<Vec<_>>(),
        "causes": causes(run).iter().map(cause_value).collect::<Vec<_>>(),
    });
    match suites.as_slice() {
        [(name, _)] => value["suite"] = (*name).into(),
        several => {
            let suites = several.iter().map(|(name, cases)| suite_value(name, cases));
            value["suites"] = suites.collect();
        }
    }
    mask_all(&mut value, secrets);
    value
}

/// Returns a reason for which cases fail, with the names of all of them.
fn cause_value(cause: &Cause<'_>) -> Value {
    let Cause { what, mend, cases } = cause;
    let names = cases.iter().map(|case| case.trial.as_str());
    json!({"message": what, "mend": mend, "cases": names.collect::<Vec<_>>()})
}

/// Returns what scripts for another command read of a suite.
fn suite_value(name: &str, cases: &[&CaseOutcome]) -> Value {
    let count = |wanted: &str| {
        let words = cases.iter().map(|case| status(case.verdict()));
        words.filter(|word| *word == wanted).count()
    };
    let told = cases.iter().map(|outcome| {
        let mut value = told_value(outcome);
        if outcome.is_bad() {
            value["error"] = words::summary(outcome).into();
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
fn told_value(outcome: &CaseOutcome) -> Value {
    let own = outcome.trial.split_once("::").map(|(_, name)| name);
    json!({
        "caseId": outcome.case_id,
        "path": outcome.file.display().to_string(),
        "displayName": own.unwrap_or(&outcome.trial),
        "status": status(outcome.verdict()),
        "durationMs": millis(outcome.took),
    })
}

fn status(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Failed | Verdict::Errored => "failed",
        Verdict::Skipped => "skipped",
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Failed => "failed",
        Verdict::Errored => "errored",
        Verdict::Skipped => "ignored",
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

fn list<T>(items: impl Iterator<Item = T>, to_value: impl Fn(T) -> Value) -> Value {
    items.map(to_value).collect()
}

fn case_value(outcome: &CaseOutcome) -> Value {
    let CaseOutcome {
        trial,
        suite,
        file,
        case_id: _,
        end,
        findings: _,
        notes,
        request,
        calls,
        any_call_seen: _,
        launched: _,
        written,
        acceptance,
        rerun: _,
        took,
    } = outcome;
    let verdict = outcome.verdict();
    let mut value = json!({
        "name": trial,
        "suite": **suite,
        "file": file.display().to_string(),
        "result": word(verdict),
        "tookMs": millis(*took),
        "differences": list(outcome.mismatches(), mismatch_value),
        "misses": list(outcome.misses(), miss_value),
        "uncorrelated": list(outcome.uncorrelated(), |(call, _)| uncorrelated_value(call)),
        "calls": list(calls.iter().enumerate(), |(n, call)| {
            let own = outcome.sent().filter(|(sent, _)| sent.call == n);
            call_value(call, own)
        }),
        "late": list(outcome.late(), |(call, fails)| {
            let mut value = call_value(call, std::iter::empty());
            value["fails"] = fails.into();
            value
        }),
        "notCompared": outcome.not_compared().unwrap_or_default(),
        "extra": list(outcome.extra(), |(calls, fails)| {
            json!({"name": shown_target(&calls.mock), "made": calls.made, "captured": calls.captured, "fails": fails})
        }),
        "unused": list(outcome.unused(), |(name, fails)| {
            json!({"name": shown_target(name), "fails": fails})
        }),
        "warnings": list(notes.iter(), |note| words::note(note).into()),
    });
    if let (Some(value), Value::Object(told)) = (value.as_object_mut(), told_value(outcome)) {
        value.extend(told);
    }
    if outcome.is_bad() {
        value["error"] = words::summary(outcome).into();
    }
    match end {
        // The summary has only the first line of the message; the JSON report has all of it.
        End::Errored(error) => value["message"] = with_causes(&**error).into(),
        _ if verdict == Verdict::Passed => {}
        _ => value["message"] = words::summary(outcome).into(),
    }
    if verdict != Verdict::Skipped {
        if !written.lines.is_empty() {
            value["applicationOutput"] = written.lines.clone().into();
        }
        value["rerun"] = words::rerun(outcome).into();
    }
    match acceptance {
        Acceptance::NotAsked => {}
        Acceptance::Written(findings) => value["accepted"] = words::accepted(findings).into(),
        Acceptance::Pending(file) => value["pending"] = file.display().to_string().into(),
        Acceptance::Refused(_) | Acceptance::TooRisky => {
            value["notAccepted"] = words::not_accepted(acceptance).into();
        }
    }
    if let Some((_, command)) = words::accept(outcome) {
        value["accept"] = command.into();
    }
    if let Some(request) = request {
        value["request"] = request_value(request);
    }
    value
}

fn request_value(request: &SentRequest) -> Value {
    let SentRequest {
        method,
        url,
        headers,
        body,
    } = request;
    let headers: Vec<_> = words::headers(headers).collect();
    json!({"method": method, "url": shown_target(url), "headers": headers, "body": words::sent_body(body)})
}

fn mismatch_value(mismatch: &Mismatch) -> Value {
    let Mismatch {
        place,
        expected,
        actual,
        why,
        diff,
        accepts: _,
        changes: _,
    } = mismatch;
    let side = |side: &Option<Side>| side.as_ref().map(words::side);
    json!({
        "path": place.to_string(), "expected": side(expected), "actual": side(actual),
        "reason": why.as_ref().map(words::why), "diff": diff,
    })
}

fn miss_value(miss: &Miss) -> Value {
    let Miss {
        method,
        host,
        path,
        count,
        nearest,
    } = miss;
    let nearest = nearest.as_ref().map(words::nearest);
    let path = shown_target(path);
    json!({"method": method, "host": host, "path": path, "count": count, "nearest": nearest})
}

fn uncorrelated_value(call: &UncorrelatedCall) -> Value {
    let UncorrelatedCall {
        method,
        host,
        path,
        reason,
        open_sessions,
        distrusted,
        ambient,
        refused,
    } = call;
    let path = shown_target(path);
    json!({
        "method": method, "host": host, "path": path, "reason": reason,
        "openSessions": open_sessions, "distrusted": distrusted, "ambient": ambient,
        "refused": refused,
    })
}

fn call_value<'d>(
    call: &OutboundCall,
    sent: impl Iterator<Item = (&'d SentDifference, bool)>,
) -> Value {
    let OutboundCall {
        method,
        host,
        path,
        answer,
        rule,
    } = call;
    let path = shown_target(path);
    let rule = rule.as_deref().map(shown_target);
    let differences = list(sent, |(sent, fails)| {
        let mut value = mismatch_value(&sent.mismatch);
        value["fails"] = fails.into();
        value
    });
    json!({
        "method": method, "host": host, "path": path, "answer": answer, "rule": rule,
        "differences": differences,
    })
}

/// Masks the secrets in each string separately, since they may be escaped in the serialised document.
fn mask_all(value: &mut Value, secrets: &[String]) {
    match value {
        Value::String(text) => *text = words::mask(std::mem::take(text), secrets),
        Value::Array(elements) => elements.iter_mut().for_each(|e| mask_all(e, secrets)),
        Value::Object(members) => members.values_mut().for_each(|m| mask_all(m, secrets)),
        _ => {}
    }
}
