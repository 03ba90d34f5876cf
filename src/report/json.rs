//! A run as one JSON value, for the command's `--json`.

use std::time::Duration;

use serde_json::{Value, json};

use super::outcome::{CaseOutcome, End, RunOutcome, SentDifference, SentRequest, Verdict};
use super::words;
use crate::base::http::shown_target;
use crate::base::with_causes;
use crate::compare::{Mismatch, Side};
use crate::control::{Miss, OutboundCall, UncorrelatedCall};

/// Returns the run as `{"passed", "failed", "ignored", "tookMs", "cases": […]}`, with every secret
/// masked.
pub(crate) fn run_value(run: &RunOutcome, secrets: &[String]) -> Value {
    let mut value = json!({
        "passed": run.count(&[Verdict::Passed]),
        "failed": run.count(&[Verdict::Failed, Verdict::Errored]),
        "ignored": run.count(&[Verdict::Skipped]),
        "tookMs": millis(run.took),
        "brokeOff": run.broke_off,
        "cases": run.cases.iter().map(case_value).collect::<Vec<_>>(),
    });
    mask_all(&mut value, secrets);
    value
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
        end,
        findings: _,
        notes,
        request,
        calls,
        any_call_seen: _,
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
    match end {
        // The summary has only the first line of the message; the JSON report has all of it.
        End::Errored(error) => value["message"] = with_causes(&**error).into(),
        _ if verdict == Verdict::Passed => {}
        _ => value["message"] = words::summary(outcome).into(),
    }
    if verdict != Verdict::Skipped {
        value["rerun"] = words::rerun(outcome).into();
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
    } = call;
    let path = shown_target(path);
    json!({
        "method": method, "host": host, "path": path, "reason": reason,
        "openSessions": open_sessions, "distrusted": distrusted, "ambient": ambient,
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
