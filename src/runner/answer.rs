//! Compares the application's answer with the captured one: the built-in comparison first, then the hooks.

use serde_json::Value;

use super::unjudged::Unjudged;
use crate::base::decode::{Undecoded, decoded};
use crate::base::http::{Headers, MASKED, Response, is_secret};
use crate::base::json::{self, Query};
use crate::case::CapturedResponse;
use crate::compare::{
    Barrier, Comparison, Expected, MessagePlace, Mismatch, Reached, Side, Why, compare, redact,
};
use crate::hook::{Hook, HookContext, HookError, Issue};
use crate::proxy::unreversed;
use crate::report::{CaseOutcome, Fault, HIDDEN, Note};
use crate::suite::{AssertionPlan, Plan};

/// Returns a captured response in the form in which it is compared.
pub(crate) fn expected(captured: &CapturedResponse) -> Expected<'_> {
    let CapturedResponse {
        status,
        headers,
        body,
        body_is_bytes,
        // A captured request of gRPC, which alone has them, can't be sent to the application yet.
        trailers: _,
    } = captured;
    // A body captured as bytes may still be encoded; one captured as text never is.
    let body = body.as_deref().map(|body| match body_is_bytes {
        true => decoded(headers, body).0,
        false => body.into(),
    });
    Expected {
        status: *status,
        headers,
        body,
        reached: Reached::default(),
    }
}

/// Returns an answer in the form in which it is compared, and why its body could not be decoded, if it could not.
pub(super) fn comparable(mut answer: Response) -> (Response, Option<Undecoded>) {
    let (body, undecoded) = decoded(&answer.headers, &answer.body);
    if let std::borrow::Cow::Owned(body) = body {
        answer.body = body;
    }
    // An application that calls in the reverse form may pass on a redirect that the proxy turned into it.
    for name in ["location", "content-location"] {
        let own = answer.headers.text(name).and_then(|url| unreversed(&url));
        if let Some(own) = own {
            answer.headers.set(name, own);
        }
    }
    (answer, undecoded)
}

/// Compares a [comparable] answer, then lets the hooks judge it. A hook that fails must not hide what was found
/// before.
pub(super) fn judge_answer(
    answer: &Response,
    captured: Option<&Expected<'_>>,
    plan: &Plan,
    hooks: &HookContext<'_>,
    outcome: &mut CaseOutcome,
) -> Result<(), Unjudged> {
    let Comparison {
        mismatches,
        repeated,
    } = compare(captured, answer, &plan.assertions.rules);
    outcome
        .notes
        .extend(repeated.into_iter().map(Note::Repeated));
    let wrong_status = mismatches.iter().any(|m| m.place == MessagePlace::Status);
    if wrong_status && let Some(note) = start_of_body(answer, plan) {
        outcome.notes.push(note);
    }
    let found = |mismatch| Fault::Mismatch(mismatch).fatal();
    outcome.findings.extend(mismatches.into_iter().map(found));
    let mut issues = Vec::new();
    let hooks_ran = run_hooks(answer, captured, plan, hooks, &mut issues);
    outcome.findings.extend(issues.into_iter().map(found));
    Ok(hooks_ran?)
}

/// Returns the beginning of an answer's body as a note, if the body is text and no redactions are set.
fn start_of_body(answer: &Response, plan: &Plan) -> Option<Note> {
    const MOST: usize = 500;
    let text = std::str::from_utf8(&answer.body).ok()?;
    let redacted = !plan.assertions.rules.body.redactions.is_empty();
    let shown: String = text.chars().take(MOST).collect();
    (!redacted && !shown.is_empty()).then_some(Note::AnswerOfWrongStatus(shown))
}

fn run_hooks(
    answer: &Response,
    captured: Option<&Expected<'_>>,
    plan: &Plan,
    hooks: &HookContext<'_>,
    issues: &mut Vec<Mismatch>,
) -> Result<(), HookError> {
    let AssertionPlan {
        rules,
        body_hook,
        headers_hook,
    } = &plan.assertions;
    if let Some(hook) = body_hook {
        let view = |body: &[u8]| hook_view(body, &rules.body.redactions);
        let captured = captured.and_then(|captured| captured.body.as_deref());
        let captured = captured.map_or(Value::Null, view);
        let found = hook.assert_body(&view(&answer.body), &captured, hooks)?;
        issues.extend(found.into_iter().map(|issue| objection(issue, hook)));
    }
    if let Some(hook) = headers_hook {
        let view = |headers: &Headers| {
            let mut headers = headers.clone();
            let ignored = |name: &str| {
                let mut list = rules.headers.ignore.iter();
                list.any(|ignored| ignored.eq_ignore_ascii_case(name))
            };
            headers.retain(|name| !ignored(name));
            headers
        };
        let captured = captured.map(|captured| view(captured.headers));
        let captured = captured.unwrap_or_default();
        let actual = view(&answer.headers);
        let found = hook.assert_headers(&actual, &captured, hooks)?;
        let secrets = secret_values([&actual, &captured]);
        let found = found.into_iter().map(|issue| masked(issue, &secrets));
        issues.extend(found.map(|issue| objection(issue, hook)));
    }
    Ok(())
}

/// Returns a body as a hook sees it: as JSON if it is JSON, else as text.
pub(super) fn hook_view(body: &[u8], redactions: &[(Query, Value)]) -> Value {
    match json::read(body) {
        Ok(mut document) => match redact(&mut document.value, redactions) {
            Ok(()) => document.value,
            Err(_) => Value::from(HIDDEN),
        },
        Err(_) if !redactions.is_empty() => Value::from(HIDDEN),
        Err(_) => Value::from(String::from_utf8_lossy(body)),
    }
}

/// Returns the values of headers that hold secrets, and the parts of them that may be a cookie's value or a token.
fn secret_values(headers: [&Headers; 2]) -> Vec<String> {
    /// Shorter parts are words that a message may have anyway.
    const SHORTEST_PART: usize = 6;
    let fields = headers.into_iter().flat_map(Headers::iter);
    let mut values = Vec::new();
    for (_, value) in fields.filter(|(name, value)| is_secret(name) && !value.is_empty()) {
        let value = String::from_utf8_lossy(value).into_owned();
        let parts = value.split(['=', ';', ',', ' ']);
        let parts = parts.filter(|part| part.len() >= SHORTEST_PART);
        values.extend(parts.map(str::to_owned));
        values.push(value);
    }
    // A value may be a part of another one.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values
}

/// Returns a hook's issue without these values.
fn masked(issue: Issue, secrets: &[String]) -> Issue {
    let Issue {
        path,
        expected,
        actual,
        reason,
    } = issue;
    // A hook that names the header may tell any part of its value.
    let names_secret = path
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
        .any(is_secret);
    let side = |value: Option<Value>| {
        let value = value?;
        let text = json::show(&value);
        let told =
            |secret: &String| text.contains(json::show(&secret.as_str().into()).trim_matches('"'));
        let is_hidden = names_secret || secrets.iter().any(told);
        Some(if is_hidden { MASKED.into() } else { value })
    };
    Issue {
        path,
        expected: side(expected),
        actual: side(actual),
        reason: reason.map(|reason| {
            let mask = |text: String, secret: &String| text.replace(secret, MASKED);
            secrets.iter().fold(reason, mask)
        }),
    }
}

/// Converts a hook's issue to a mismatch.
pub(super) fn objection(issue: Issue, hook: &Hook) -> Mismatch {
    let Issue {
        path,
        expected,
        actual,
        reason,
    } = issue;
    Mismatch {
        place: MessagePlace::Written(path),
        expected: expected.map(Side::Json),
        actual: actual.map(Side::Json),
        why: Some(Why::Hook {
            name: hook.name().to_owned(),
            reason,
        }),
        diff: None,
        accepts: Err(Barrier::Hook),
        changes: Vec::new(),
    }
}
