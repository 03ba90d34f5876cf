//! The main loop of one case, in the contract's order.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use super::discover::Case as Trial;
use super::mocks::{MockError, Registered, register};
use super::world::World;
use crate::case::{CapturedResponse, Case, replayable_request};
use crate::compare::{Comparison, Expected, HIDDEN, Mismatch, compare, redact};
use crate::decode::decoded;
use crate::error::SoftprobeError;
use crate::hook::{Hook, HookContext, HookError, Issue};
use crate::http::{Headers, Request, Response};
use crate::json;
use crate::outcome::{CaseOutcome, UnusedMock, Verdict};
use crate::session::read_case;
use crate::stats::SessionStats;
use crate::suite::{AssertionPlan, Plan, RequestSource, Unused};

/// Why a case can't be judged.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unjudged(pub(super) String);

impl From<SoftprobeError> for Unjudged {
    fn from(error: SoftprobeError) -> Self {
        Self(error.to_string())
    }
}

impl From<MockError> for Unjudged {
    fn from(error: MockError) -> Self {
        Self(error.to_string())
    }
}

impl From<HookError> for Unjudged {
    fn from(error: HookError) -> Self {
        Self(error.to_string())
    }
}

/// Replays one case and says what became of it.
pub(super) fn replay(trial: &Trial, world: &World) -> CaseOutcome {
    let start = Instant::now();
    let mut outcome = world.outcome(trial);
    outcome.verdict = match judge(trial, world, &mut outcome) {
        Err(Unjudged(message)) => Verdict::Errored(message),
        Ok(()) if outcome.faults().is_empty() => Verdict::Passed,
        Ok(()) => Verdict::Failed,
    };
    outcome.took = start.elapsed();
    outcome
}

fn judge(trial: &Trial, world: &World, outcome: &mut CaseOutcome) -> Result<(), Unjudged> {
    let plan = &trial.plan;
    let file = super::relative(&trial.file);
    let in_file = |why: &dyn std::fmt::Display| Unjudged(format!("{}: {why}", file.display()));
    let case = Arc::new(read_case(&trial.file).map_err(|e| in_file(&e.source))?);
    outcome.warnings.extend(case.warnings.iter().cloned());
    let hooks = HookContext {
        case: &case,
        case_file: &trial.file,
        env: &trial.env,
    };
    let captured = captured_response(&case)?;
    let request = request(plan, &case)?;
    let base = world.app_url(plan)?;
    refuse_nothing_to_compare(captured.as_ref(), &plan.assertions)?;

    let session = world.open_session(&plan.policy)?;
    session.load(Arc::clone(&case)).map_err(|e| in_file(&e))?;
    let rules = register(&plan.mocks, &case, &hooks)?;
    session.mock_all(rules.iter().map(|rule| rule.mock.clone()).collect())?;

    let request = match &plan.request.transform {
        Some(hook) => hook.change_request(&request, &hooks)?.apply(request),
        None => request,
    };
    let (sent, answer) = world.send(&session, base, request, plan.request.timeout);
    outcome.request = Some(sent);
    let judged = answer.map_err(Unjudged).and_then(|answer| {
        let (comparison, hooks_ran) = judge_answer(answer, captured, plan, &hooks);
        outcome.mismatches = comparison.mismatches;
        outcome.warnings.extend(comparison.notes);
        Ok(hooks_ran?)
    });

    let stats = session.stats()?;
    world.close(session)?;
    note_stats(stats, &rules, outcome)?;
    judged
}

fn captured_response(case: &Case) -> Result<Option<CapturedResponse>, Unjudged> {
    let inbound = case.inbound().map_err(|e| Unjudged(e.to_string()))?;
    let Some(inbound) = inbound else {
        return Ok(None);
    };
    let response = inbound.captured_response().map_err(Unjudged)?;
    Ok(response.cloned())
}

fn request(plan: &Plan, case: &Case) -> Result<Request, Unjudged> {
    let base = match &plan.request.source {
        RequestSource::Inline(request) => request.clone(),
        RequestSource::Captured => {
            let inbound = case.inbound().map_err(|e| Unjudged(e.to_string()))?;
            let inbound = inbound.ok_or_else(|| {
                Unjudged(
                    "the case has no inbound exchange, so that there is no request to send; mark \
                     one with sp.traffic.direction = inbound, or give `request: {source: inline, …}`"
                        .to_owned(),
                )
            })?;
            let request = replayable_request(inbound);
            if request.method.is_empty() {
                return Err(Unjudged(format!(
                    "{}: no http.request.method",
                    inbound.summary()
                )));
            }
            request
        }
    };
    Ok(plan.request.apply(base))
}

/// A case that compares nothing would pass whatever the application answers.
fn refuse_nothing_to_compare(
    captured: Option<&CapturedResponse>,
    assertions: &AssertionPlan,
) -> Result<(), Unjudged> {
    let hooked = assertions.body_hook.is_some() || assertions.headers_hook.is_some();
    let expected = captured.map(expected);
    let probe = compare(expected.as_ref(), &Response::default(), &assertions.rules);
    if hooked || probe.compared > 0 {
        return Ok(());
    }
    Err(Unjudged(
        "nothing would be compared: the case has no captured response, and the suite asserts nothing; \
         give `assertions: {status: …}` or a body to expect"
            .to_owned(),
    ))
}

fn expected(captured: &CapturedResponse) -> Expected {
    let CapturedResponse {
        status,
        headers,
        body,
        body_is_bytes,
    } = captured;
    // A body captured as bytes may still be encoded; one captured as text never is.
    let body = match body {
        Some(body) if *body_is_bytes => Some(decoded(headers, body).0),
        other => other.clone(),
    };
    Expected {
        status: *status,
        headers: headers.clone(),
        body,
    }
}

/// What the comparison found, and whether the hooks behind it ran: a hook that fails must not hide what
/// was found before it.
fn judge_answer(
    mut answer: Response,
    captured: Option<CapturedResponse>,
    plan: &Plan,
    hooks: &HookContext<'_>,
) -> (Comparison, Result<(), HookError>) {
    let (body, note) = decoded(&answer.headers, &answer.body);
    answer.body = body;
    let expected = captured.as_ref().map(expected);
    let mut comparison = compare(expected.as_ref(), &answer, &plan.assertions.rules);
    comparison.notes.extend(note);
    comparison
        .notes
        .extend(answer_of_wrong_status(&comparison, &answer, plan));
    let hooks_ran = run_hooks(&answer, expected.as_ref(), plan, hooks, &mut comparison);
    (comparison, hooks_ran)
}

/// The beginning of an answer whose status is wrong: it mostly says why. Redactions were not made in it.
fn answer_of_wrong_status(
    comparison: &Comparison,
    answer: &Response,
    plan: &Plan,
) -> Option<String> {
    const MOST: usize = 500;
    let wrong = comparison.mismatches.iter().any(|m| m.path == "status");
    let text = std::str::from_utf8(&answer.body).ok()?;
    let redacted = !plan.assertions.rules.body.redactions.is_empty();
    let shown: String = text.chars().take(MOST).collect();
    (wrong && !redacted && !shown.is_empty()).then(|| format!("the answer's body: {shown}"))
}

fn run_hooks(
    answer: &Response,
    expected: Option<&Expected>,
    plan: &Plan,
    hooks: &HookContext<'_>,
    comparison: &mut Comparison,
) -> Result<(), HookError> {
    let AssertionPlan {
        rules,
        body_hook,
        headers_hook,
    } = &plan.assertions;
    if let Some(hook) = body_hook {
        let view = |body: &[u8]| match serde_json::from_slice(body) {
            Ok(mut view) => {
                redact(&mut view, &rules.body.redactions);
                view
            }
            Err(_) if !rules.body.redactions.is_empty() => Value::from(HIDDEN),
            Err(_) => Value::from(String::from_utf8_lossy(body)),
        };
        let captured = expected.and_then(|e| e.body.as_deref());
        let captured = captured.map_or(Value::Null, view);
        let issues = hook.assert_body(&view(&answer.body), &captured, hooks)?;
        add_issues(issues, hook, comparison);
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
        let captured = expected.map(|e| view(&e.headers)).unwrap_or_default();
        let issues = hook.assert_headers(&view(&answer.headers), &captured, hooks)?;
        add_issues(issues, hook, comparison);
    }
    Ok(())
}

fn add_issues(issues: Vec<Issue>, hook: &Hook, comparison: &mut Comparison) {
    for issue in issues {
        let Issue {
            path,
            expected,
            actual,
            reason,
        } = issue;
        let by = format!("hook `{}`", hook.name());
        comparison.mismatches.push(Mismatch {
            path,
            expected: expected.as_ref().map(json::show),
            actual: actual.as_ref().map(json::show),
            reason: Some(match reason {
                Some(reason) => format!("{by}: {reason}"),
                None => by,
            }),
            diff: None,
        });
    }
}

fn note_stats(
    stats: SessionStats,
    rules: &[Registered],
    outcome: &mut CaseOutcome,
) -> Result<(), Unjudged> {
    let SessionStats {
        injected_spans: _,
        extracted_spans: _,
        strict_misses,
        misses,
        calls,
        uncorrelated,
        rule_uses,
    } = stats;
    outcome.misses = misses;
    if outcome.misses.is_empty() && strict_misses > 0 {
        // Another runtime counts its misses and does not list them.
        outcome.misses.push(crate::stats::Miss {
            method: "an outbound call".to_owned(),
            count: strict_misses,
            ..crate::stats::Miss::default()
        });
    }
    outcome.calls = calls;
    outcome.uncorrelated = uncorrelated;
    let Some(uses) = rule_uses else {
        if let Some(rule) = rules.iter().find(|rule| rule.unused == Unused::Fail) {
            return Err(Unjudged(format!(
                "mock `{}` has `unused: fail`, and this runtime does not say which mocks were used",
                rule.name
            )));
        }
        return Ok(());
    };
    let unused = rules
        .iter()
        .zip(uses)
        .filter(|(rule, uses)| *uses == 0 && rule.unused != Unused::Ignore);
    // Sequences are registered last first; reports have the order of the suite.
    outcome.unused = unused
        .map(|(rule, _)| UnusedMock {
            name: rule.name.clone(),
            fails: rule.unused == Unused::Fail,
        })
        .collect();
    Ok(())
}
