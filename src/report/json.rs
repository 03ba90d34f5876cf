//! A run as one JSON value, for the command's `--json`.

use std::time::Duration;

use serde_json::{Value, json};

use super::mask;
use crate::compare::Mismatch;
use crate::outcome::{CaseOutcome, RunOutcome, SentRequest, UnusedMock, Verdict};
use crate::stats::{Miss, OutboundCall, UncorrelatedCall};

/// `{"passed", "failed", "ignored", "tookMs", "cases": […]}`, every secret replaced.
pub(crate) fn run_value(run: &RunOutcome, secrets: &[String]) -> Value {
    let RunOutcome { cases, took } = run;
    let count = |wanted: &[&str]| {
        let words = cases.iter().map(|case| word(&case.verdict));
        words.filter(|word| wanted.contains(word)).count()
    };
    let mut value = json!({
        "passed": count(&["passed"]),
        "failed": count(&["failed", "errored"]),
        "ignored": count(&["ignored"]),
        "tookMs": millis(*took),
        "cases": cases.iter().map(case_value).collect::<Vec<_>>(),
    });
    mask_all(&mut value, secrets);
    value
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Failed => "failed",
        Verdict::Errored(_) => "errored",
        Verdict::Skipped(_) => "ignored",
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

fn case_value(outcome: &CaseOutcome) -> Value {
    let CaseOutcome {
        trial,
        suite,
        file,
        verdict,
        request,
        mismatches,
        misses,
        uncorrelated,
        calls,
        unused,
        warnings,
        rerun,
        took,
    } = outcome;
    let mut value = json!({
        "name": trial,
        "suite": suite,
        "file": file.display().to_string(),
        "result": word(verdict),
        "tookMs": millis(*took),
        "differences": mismatches.iter().map(mismatch_value).collect::<Vec<_>>(),
        "misses": misses.iter().map(miss_value).collect::<Vec<_>>(),
        "uncorrelated": uncorrelated.iter().map(uncorrelated_value).collect::<Vec<_>>(),
        "calls": calls.iter().map(call_value).collect::<Vec<_>>(),
        "unused": unused.iter().map(unused_value).collect::<Vec<_>>(),
        "warnings": warnings,
    });
    match verdict {
        Verdict::Passed => {}
        // The summary is the message's first line; a machine has room for all of it.
        Verdict::Errored(message) => value["message"] = message.as_str().into(),
        Verdict::Failed | Verdict::Skipped(_) => value["message"] = outcome.summary().into(),
    }
    if !matches!(verdict, Verdict::Skipped(_)) {
        value["rerun"] = rerun.as_str().into();
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
    json!({"method": method, "url": url, "headers": headers, "body": body})
}

fn mismatch_value(mismatch: &Mismatch) -> Value {
    let Mismatch {
        path,
        expected,
        actual,
        reason,
        diff,
    } = mismatch;
    json!({
        "path": path, "expected": expected, "actual": actual, "reason": reason, "diff": diff,
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
    let nearest = nearest.as_ref().map(ToString::to_string);
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
    } = call;
    json!({
        "method": method, "host": host, "path": path, "reason": reason,
        "openSessions": open_sessions, "distrusted": distrusted,
    })
}

fn call_value(call: &OutboundCall) -> Value {
    let OutboundCall {
        method,
        host,
        path,
        answer,
        rule,
    } = call;
    json!({"method": method, "host": host, "path": path, "answer": answer, "rule": rule})
}

fn unused_value(mock: &UnusedMock) -> Value {
    let UnusedMock { name, fails } = mock;
    json!({"name": name, "fails": fails})
}

/// Masks in each text by itself: inside the finished document a secret may be escaped.
fn mask_all(value: &mut Value, secrets: &[String]) {
    match value {
        Value::String(text) => *text = mask(std::mem::take(text), secrets),
        Value::Array(elements) => elements.iter_mut().for_each(|e| mask_all(e, secrets)),
        Value::Object(members) => members.values_mut().for_each(|m| mask_all(m, secrets)),
        _ => {}
    }
}
