//! Judges the outbound calls of a case: how many there were, and what was sent.

use std::collections::BTreeSet;
use std::time::Duration;

use super::answer::{hook_view, objection};
use super::mocks::{Watched, index_of};
use super::nearest::with_nearest;
use super::unjudged::Unjudged;
use crate::base::decode::decoded;
use crate::base::http::Request;
use crate::case::{Case, Exchange};
use crate::compare::{CapturedRequest, Comparison, Mismatch, RequestRules, compare_requests};
use crate::control::{AnsweredRequest, AnsweredRequests, CallAnswer, Miss, SessionStats};
use crate::hook::{Hook, HookContext};
use crate::report::{CaseOutcome, ExtraCalls, Fault, Finding, Note, SentDifference};
use crate::suite::{Severity, Unused};

/// Records the calls in the outcome, and what is wrong with them.
///
/// # Errors
///
/// If a mock has to be used, but the runtime does not report which mocks were used.
pub(super) fn note_calls(
    stats: SessionStats,
    case: &Case,
    watched: &[Watched<'_>],
    outcome: &mut CaseOutcome,
) -> Result<(), Unjudged> {
    let SessionStats {
        injected_spans: _,
        extracted_spans: _,
        strict_misses,
        mut misses,
        calls,
        uncorrelated,
        rule_uses,
    } = stats;
    // What passes unread is listed as the `CONNECT` that it began with.
    let unread = calls
        .iter()
        .filter(|call| call.method == "CONNECT" && call.answer == CallAnswer::Forwarded);
    let unread = unread.map(|call| call.host.clone());
    let unread: BTreeSet<String> = unread.collect();
    outcome
        .notes
        .extend(unread.into_iter().map(Note::PassedUnread));
    outcome.calls = calls;
    if misses.is_empty() && strict_misses > 0 {
        // Other runtimes count misses without listing them.
        misses.push(Miss {
            method: "an outbound call".to_owned(),
            count: strict_misses,
            ..Miss::default()
        });
    }
    let findings = &mut outcome.findings;
    findings.extend(misses.into_iter().map(|miss| {
        let missed = with_nearest(miss, case, watched, rule_uses.as_deref());
        Fault::Missed(missed).fatal()
    }));
    findings.extend(uncorrelated.into_iter().map(|call| Finding {
        fails: call.distrusted,
        fault: Fault::Uncorrelated(call),
    }));
    let Some(uses) = rule_uses else {
        return refuse_unknown_uses(watched);
    };
    findings.extend(watched.iter().zip(&uses).filter_map(extra));
    let unused = watched
        .iter()
        .zip(uses)
        .filter(|(rule, uses)| *uses == 0 && rule.unused != Unused::Ignore);
    findings.extend(unused.map(|(rule, _)| Finding {
        fault: Fault::Unused(rule.name.clone()),
        fails: rule.unused == Unused::Fail,
    }));
    Ok(())
}

/// Refuses settings that can't be judged because the runtime does not report how rules were used.
fn refuse_unknown_uses(watched: &[Watched<'_>]) -> Result<(), Unjudged> {
    let stated = |rule: &Watched<'_>| match rule.unused {
        Unused::Fail => Some("unused: fail"),
        _ => rule.replays.as_ref().and_then(|replays| replays.stated),
    };
    let found = watched.iter().find_map(|rule| Some((rule, stated(rule)?)));
    let Some((rule, setting)) = found else {
        return Ok(());
    };
    Err(Unjudged::UsesUnknown {
        mock: rule.name.clone(),
        setting,
    })
}

/// Returns the finding about a call that was made more often than it was captured.
fn extra((rule, uses): (&Watched<'_>, &u64)) -> Option<Finding> {
    let replays = rule.replays.as_ref()?;
    // An exchange that several others equal answers only once they are all used.
    let more = uses.checked_sub(1).filter(|more| *more > 0)?;
    Some(Finding {
        fails: fails(replays.extra.severity(&replays.exchange.request.method))?,
        fault: Fault::Extra(ExtraCalls {
            mock: rule.name.clone(),
            captured: replays.captured,
            made: replays.captured + more,
        }),
    })
}

/// Returns whether something of this severity fails a case; `None` if it is not reported.
fn fails(severity: Severity) -> Option<bool> {
    match severity {
        Severity::Fail => Some(true),
        Severity::Warn => Some(false),
        Severity::Ignore => None,
    }
}

/// Returns whether there may be calls to wait for after the answer.
pub(super) fn waits(watched: &[Watched<'_>]) -> bool {
    let waits = |rule: &Watched<'_>| rule.unused != Unused::Ignore && !rule.settle.is_zero();
    watched.iter().any(waits)
}

/// Returns how long to wait for calls that have not come yet, given how often each rule was used.
pub(super) fn patience(watched: &[Watched<'_>], uses: &[u64]) -> Duration {
    let waiting = watched
        .iter()
        .zip(uses)
        .filter(|(rule, uses)| **uses == 0 && rule.unused != Unused::Ignore);
    let settle = waiting.map(|(rule, _)| rule.settle);
    settle.max().unwrap_or_default()
}

/// Returns whether requests are compared with captured ones.
pub(super) fn compares(watched: &[Watched<'_>]) -> bool {
    watched.iter().any(|rule| {
        let replays = rule.replays.as_ref();
        replays.is_some_and(|replays| replays.difference != Severity::Ignore)
    })
}

/// Compares the requests that the rules have answered with the captured ones.
///
/// # Errors
///
/// If a difference has to fail the case, but the runtime does not report the requests; if a hook fails.
pub(super) fn compare_calls(
    answered: Option<&AnsweredRequests>,
    watched: &[Watched<'_>],
    hooks: &HookContext<'_>,
    outcome: &mut CaseOutcome,
) -> Result<(), Unjudged> {
    let Some(AnsweredRequests { list, dropped, .. }) = answered else {
        let stated = |rule: &&Watched<'_>| {
            let replays = rule.replays.as_ref();
            replays.and_then(|replays| replays.stated) == Some("outbound.difference")
        };
        if let Some(rule) = watched.iter().find(stated) {
            return Err(Unjudged::UsesUnknown {
                mock: rule.name.clone(),
                setting: "outbound.difference",
            });
        }
        outcome.notes.push(Note::CallsNotCompared);
        return Ok(());
    };
    if *dropped > 0 {
        let fails = |rule: &Watched<'_>| {
            let replays = rule.replays.as_ref();
            replays.is_some_and(|replays| replays.difference == Severity::Fail)
        };
        outcome.findings.push(Finding {
            fault: Fault::NotCompared(*dropped),
            fails: watched.iter().any(fails),
        });
    }
    for AnsweredRequest {
        rule,
        call,
        request,
    } in list
    {
        let Some(rule) = watched.get(*rule) else {
            continue;
        };
        let Some(replays) = &rule.replays else {
            continue;
        };
        let Some(fails) = fails(replays.difference) else {
            continue;
        };
        let exchange = replays.exchange;
        if exchange.request.scheme == "https" && request.scheme == "http" {
            let note = Note::WithoutTls(request.to_string());
            if !outcome.notes.contains(&note) {
                outcome.notes.push(note);
            }
        }
        let captured = CapturedRequest {
            request: &exchange.request,
            has_body: exchange.request_body().is_some(),
        };
        let Comparison {
            mut mismatches,
            repeated,
        } = compare_requests(captured, request, &replays.rules);
        if let Some(hook) = replays.body_hook {
            let issues = judge_bodies(hook, exchange, request, &replays.rules, hooks)?;
            mismatches.extend(issues);
        }
        outcome
            .notes
            .extend(repeated.into_iter().map(|repeated| Note::RepeatedInCall {
                call: request.to_string(),
                repeated,
            }));
        if mismatches.is_empty() {
            continue;
        }
        let index = index_of(exchange, hooks.case);
        let found = mismatches.into_iter().map(|mismatch| Finding {
            fails,
            fault: Fault::Sent(SentDifference {
                call: *call,
                exchange: index,
                request: request.to_string(),
                mismatch,
            }),
        });
        outcome.findings.extend(found);
    }
    Ok(())
}

/// Lets a hook judge the body of a request.
fn judge_bodies(
    hook: &Hook,
    exchange: &Exchange,
    request: &Request,
    rules: &RequestRules,
    hooks: &HookContext<'_>,
) -> Result<Vec<Mismatch>, Unjudged> {
    let view = |request: &Request| {
        let body = decoded(&request.headers, &request.body).0;
        hook_view(&body, &rules.body.redactions)
    };
    let captured = exchange.request_body().map(|_| view(&exchange.request));
    let issues = hook.assert_body(&view(request), &captured.unwrap_or_default(), hooks)?;
    let issues = issues.into_iter();
    Ok(issues.map(|issue| objection(issue, hook)).collect())
}
