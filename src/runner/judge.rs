//! Replays one case, step by step, and judges the result.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ahead::ReadAhead;
use super::answer::{comparable, expected, hook_view, judge_answer};
use super::apps::AppOfCase;
use super::calls::{compare_calls, compares, note_calls, patience, waits};
use super::discover::Trial;
use super::environment::Environment;
use super::mocks::{Registered, filled, index_of, register};
use super::unjudged::Unjudged;
use crate::base::decode::decodable;
use crate::base::http::{Request, Response, split_url};
use crate::case::{Case, Exchange};
use crate::compare::{Expected, Reached, RequestRules, compares_anything};
use crate::control::{AnsweredRequests, Mode};
use crate::hook::HookContext;
use crate::launch::Lines;
use crate::net::now_us;
use crate::report::{
    Acceptance, Bodies, CapturedCall, CaseOutcome, End, Finding, Launched, Note, Rerun, Written,
};
use crate::runtime::EmbeddedRuntime;
use crate::sdk::{Mock, Softprobe};
use crate::suite::{AssertionPlan, Plan, RequestSource, Severity};

/// How many lines of an application's output stand in the report of a case.
const SHOWN_LINES: usize = 100;

/// Returns a trial's outcome before anything is known.
pub(super) fn fresh_outcome(trial: &Trial, rerun: &Arc<Rerun>) -> CaseOutcome {
    CaseOutcome {
        case_id: None,
        trial: trial.name.clone(),
        suite: Arc::clone(&trial.suite),
        file: trial.shown.clone(),
        end: End::Judged,
        findings: Vec::new(),
        notes: Vec::new(),
        request: None,
        bodies: None,
        calls: Vec::new(),
        captured: Vec::new(),
        any_call_seen: false,
        launched: Launched::Not,
        written: Written::default(),
        acceptance: Acceptance::NotAsked,
        rerun: Arc::clone(rerun),
        started_us: None,
        lane: 0,
        took: Duration::ZERO,
    }
}

/// Replays one case, and returns its outcome with what was heard of the application, if the case could be judged.
pub(super) fn replay(
    trial: &Trial,
    ahead: Option<&ReadAhead>,
    environment: &Environment,
    rerun: &Arc<Rerun>,
) -> (CaseOutcome, Option<Heard>) {
    let start = Instant::now();
    let mut outcome = fresh_outcome(trial, rerun);
    outcome.started_us = now_us();
    let app = environment.app(trial);
    let before = app.written();
    let judged = match app.still_runs(false) {
        // Whatever was found in a case in which the application died is its death's doing.
        Ok(()) => judge(trial, ahead, environment, app, &mut outcome)
            .and_then(|heard| app.still_runs(true).map(|()| heard)),
        Err(ended) => Err(ended),
    };
    let heard = judged
        .map_err(|error| outcome.end = End::Errored(Arc::new(error)))
        .ok();
    if outcome.unused().next().is_some() {
        outcome.launched = app.launched_as();
    }
    if outcome.is_bad() {
        let Lines { lines, cut } = app.lines_since(before, SHOWN_LINES);
        outcome.written = Written { lines, cut };
        if let Some(heard) = &heard {
            outcome.bodies = bodies(trial, heard);
            outcome.captured = captured_calls(&heard.case);
        }
    }
    outcome.took = start.elapsed();
    (outcome, heard)
}

/// Returns the body of an answer beside the one that was expected, if both are JSON that a report can show.
fn bodies(trial: &Trial, heard: &Heard) -> Option<Bodies> {
    /// Larger bodies are not shown whole, in bytes.
    const LARGEST: usize = 256 * 1024;
    let rules = &trial.plan.assertions.rules.body;
    let inbound = heard.case.inbound().ok().flatten();
    let captured = inbound.and_then(|inbound| inbound.captured_response().ok().flatten());
    let captured = captured.map(expected);
    let captured = captured
        .as_ref()
        .and_then(|captured| captured.body.as_deref());
    let actual = heard.answer.body.as_slice();
    if captured.is_some_and(|body| body.len() > LARGEST) || actual.len() > LARGEST {
        return None;
    }
    let view = |body: &[u8]| {
        let view = hook_view(body, &rules.redactions);
        (view.is_object() || view.is_array()).then_some(view)
    };
    Some(Bodies {
        expected: match &rules.expected {
            Some(stated) => stated.clone(),
            None => view(captured?)?,
        },
        actual: view(actual)?,
    })
}

/// Returns the outbound calls of a case, with their times after the inbound request.
fn captured_calls(case: &Case) -> Vec<CapturedCall> {
    /// The reports show no more.
    const MOST: usize = 100;
    let inbound = case.inbound().ok().flatten();
    let start = inbound.map_or(0, |inbound| inbound.start_ns);
    let nanos = |from: u64, to: u64| {
        let known = from > 0 && to >= from;
        known.then(|| Duration::from_nanos(to - from))
    };
    let calls = case.outbound().take(MOST).map(|exchange| CapturedCall {
        call: exchange.request.to_string(),
        at: nanos(start, exchange.start_ns),
        took: nanos(exchange.start_ns, exchange.end_ns),
    });
    calls.collect()
}

/// What was heard of the application in a case.
#[derive(Debug)]
pub(super) struct Heard {
    /// The case.
    pub(super) case: Arc<Case>,
    /// The address of the application.
    base: String,
    /// The `host` that the request had, if any.
    host: Option<String>,
    /// The answer, in the form in which it is compared.
    pub(super) answer: Response,
    /// The requests that were answered, if they are known.
    answered: Option<AnsweredRequests>,
}

fn judge(
    trial: &Trial,
    ahead: Option<&ReadAhead>,
    environment: &Environment,
    app: AppOfCase<'_>,
    outcome: &mut CaseOutcome,
) -> Result<Heard, Unjudged> {
    let plan = &trial.plan;
    let file = || trial.shown.display().to_string();
    let read = ahead.and_then(|ahead| ahead.take(&trial.file));
    let case = read.unwrap_or_else(|| Case::from_file(&trial.file));
    let case = case.map_err(|error| Unjudged::File {
        file: file(),
        error,
    })?;
    let case = Arc::new(case);
    outcome.case_id = Some(case.id().to_owned());
    outcome
        .notes
        .extend(case.warnings().iter().cloned().map(Note::Size));
    if let Some((exchange, why)) = case.unusable() {
        return Err(Unjudged::Unusable {
            span: Box::new(exchange.summary()),
            why: why.to_owned(),
        });
    }
    let hooks = context(trial, &case);
    let request = request(plan, &case)?;
    let base = plan.request.url.as_deref().or(app.url);
    let base = base.ok_or(Unjudged::NoApplication)?;
    let mut captured = captured_answer(&case, base)?;
    refuse_nothing_to_compare(captured.as_ref(), &plan.assertions)?;

    app.reset()?;
    let session = environment.open_session(&plan.policy, &trial.name)?;
    session
        .load_case(Arc::clone(&case))
        .map_err(|error| Unjudged::Refused {
            file: file(),
            error: Box::new(error),
        })?;
    let plans = filled(&plan.mocks, &case)?;
    let Registered {
        mocks,
        watched,
        bodiless,
    } = register(&plans, &trial.shared, &case, &hooks)?;
    outcome
        .notes
        .extend(bodiless.into_iter().map(Note::MockWithoutBody));
    if !session.mock_in_turn(mocks)? {
        outcome.notes.push(Note::TurnsInOrder);
    }

    let request = match &plan.request.transform {
        Some(hook) => hook.change_request(&request, &hooks)?.apply(request),
        None => request,
    };
    let host = request.headers.text("host").map(Cow::into_owned);
    if let (Some(captured), Some(host)) = (&mut captured, &host) {
        captured.reached.named = host;
    }
    let (sent, answer) = environment.send(&session, base, request, plan.request.timeout);
    outcome.request = Some(sent);
    let (answer, judged) = match answer {
        Ok(answer) => {
            let (answer, undecoded) = comparable(answer);
            outcome.notes.extend(undecoded.map(Note::Undecoded));
            let judged = judge_answer(&answer, captured.as_ref(), plan, &hooks, outcome);
            (Some(answer), judged)
        }
        Err(why) => (None, Err(app.why_silent(why))),
    };

    if answer.is_some() && waits(&watched) {
        session.wait_for_uses(&|uses| patience(&watched, uses))?;
    }
    let (stats, answered) = environment.finish(session)?;
    note_calls(stats, &case, &watched, outcome)?;
    let compared = match compares(&watched) {
        true => compare_calls(answered.as_ref(), &watched, &hooks, outcome),
        false => Ok(()),
    };
    judged.and(compared)?;
    let base = base.to_owned();
    drop((captured, watched));
    Ok(Heard {
        base,
        host,
        // Without an answer there is an error.
        answer: answer.unwrap_or_default(),
        answered,
        case,
    })
}

/// Judges what was heard in a case once more, with another capture, and returns the first thing that fails it.
pub(super) fn judge_again(
    trial: &Trial,
    heard: &Heard,
    case: &Arc<Case>,
) -> Result<Option<Finding>, Unjudged> {
    let plan = &trial.plan;
    let mut outcome = fresh_outcome(trial, &Arc::default());
    let hooks = context(trial, case);
    let mut captured = captured_answer(case, &heard.base)?;
    if let (Some(captured), Some(host)) = (&mut captured, &heard.host) {
        captured.reached.named = host;
    }
    judge_answer(&heard.answer, captured.as_ref(), plan, &hooks, &mut outcome)?;
    let plans = filled(&plan.mocks, case)?;
    let Registered { mocks, watched, .. } = register(&plans, &trial.shared, case, &hooks)?;
    if compares(&watched) {
        compare_calls(heard.answered.as_ref(), &watched, &hooks, &mut outcome)?;
    }
    if let Some(answered) = &heard.answered {
        let rules = rules_again(plan, case, mocks, answered)?;
        if answered.list.iter().map(|one| Some(one.rule)).ne(rules) {
            return Err(Unjudged::AnsweredByAnother);
        }
    }
    Ok(outcome.findings.into_iter().find(|finding| finding.fails))
}

/// Returns the rules that would answer requests with another capture: of several exchanges of one call, the request's body
/// chooses, and it may choose another one then.
fn rules_again(
    plan: &Plan,
    case: &Arc<Case>,
    mocks: Vec<Mock>,
    answered: &AnsweredRequests,
) -> Result<Vec<Option<usize>>, Unjudged> {
    let softprobe = Softprobe::embedded(&EmbeddedRuntime::new());
    let session = softprobe.start_session_with_policy(Mode::Replay, &plan.policy)?;
    session.load_case(Arc::clone(case))?;
    session.mock_in_turn(mocks)?;
    let oracle = softprobe.oracle();
    for one in &answered.list {
        oracle.decide(session.id(), &one.request)?;
    }
    let (_, again) = session.finish()?;
    let again = again.map(|again| again.list).unwrap_or_default();
    let by_call = |call: usize| {
        let mut again = again.iter();
        again.find(|one| one.call == call).map(|one| one.rule)
    };
    Ok((0..answered.list.len()).map(by_call).collect())
}

/// A request that the application sent in a call, and the captured exchange that answered it.
#[derive(Debug, Clone)]
pub(super) struct SentCall {
    /// The exchange's index among those of the case.
    pub(super) exchange: usize,
    /// The name of the suite's entry that answered; `None` for `mocks: auto`.
    pub(super) mock: Option<String>,
    /// How the request is compared.
    pub(super) rules: Arc<RequestRules>,
    pub(super) request: Arc<Request>,
}

/// Returns the requests that the application sent in a case, as far as they are compared with captured ones.
pub(super) fn calls_of(trial: &Trial, heard: &Heard) -> Result<Vec<SentCall>, Unjudged> {
    let hooks = context(trial, &heard.case);
    let plans = filled(&trial.plan.mocks, &heard.case)?;
    let watched = register(&plans, &trial.shared, &heard.case, &hooks)?.watched;
    let answered = heard.answered.iter().flat_map(|answered| &answered.list);
    let calls = answered.filter_map(|answered| {
        let rule = watched.get(answered.rule)?;
        let replays = rule.replays.as_ref()?;
        (replays.difference != Severity::Ignore).then(|| SentCall {
            exchange: index_of(replays.exchange, &heard.case),
            mock: replays.entry.map(str::to_owned),
            rules: Arc::clone(&replays.rules),
            request: Arc::clone(&answered.request),
        })
    });
    Ok(calls.collect())
}

/// Returns what hooks are told of a case.
fn context<'c>(trial: &'c Trial, case: &'c Case) -> HookContext<'c> {
    HookContext {
        case,
        case_file: &trial.file,
        env: &trial.env,
    }
}

/// Returns the application's captured answer, if there is one, to be compared with an answer from `base`.
fn captured_answer<'c>(case: &'c Case, base: &'c str) -> Result<Option<Expected<'c>>, Unjudged> {
    let Some(inbound) = case.inbound()? else {
        return Ok(None);
    };
    let response = inbound.captured_response()?;
    Ok(response.map(|response| Expected {
        reached: Reached {
            captured: (&inbound.request.scheme, &inbound.request.host),
            actual: split_url(base).map_or(("", ""), |(scheme, host, _)| (scheme, host)),
            named: "",
        },
        ..expected(response)
    }))
}

fn request(plan: &Plan, case: &Case) -> Result<Request, Unjudged> {
    let base = match &plan.request.source {
        RequestSource::Inline(request) => request.clone(),
        RequestSource::Captured => {
            let inbound = case.inbound()?.ok_or(Unjudged::NoRequest)?;
            let mut request = inbound.replayable_request();
            if request.method.is_empty() {
                return Err(Unjudged::NoMethod(Box::new(inbound.summary())));
            }
            if let Some(protocol) = upgrade(inbound) {
                return Err(Unjudged::Upgrade {
                    span: Box::new(inbound.summary()),
                    protocol,
                });
            }
            if request.is_grpc() {
                return Err(Unjudged::Grpc(Box::new(inbound.summary())));
            }
            // An answer in another coding could not be compared.
            let accepted: Vec<&[u8]> = request.headers.all("accept-encoding").collect();
            if !accepted.is_empty() {
                let accepted = accepted.join(&b", "[..]);
                match decodable(&String::from_utf8_lossy(&accepted)) {
                    Some(kept) => request.headers.set("accept-encoding", kept),
                    None => request.headers.remove("accept-encoding"),
                }
            }
            request
        }
    };
    Ok(plan.request.apply(base))
}

/// Returns the protocol that a captured request switched to, if it did. An offer that the server may pass over, as
/// of HTTP/2, is none.
fn upgrade(inbound: &Exchange) -> Option<String> {
    let protocol = inbound.request.headers.text("upgrade")?.into_owned();
    let response = inbound.captured_response().ok().flatten();
    let switched = response.is_some_and(|response| response.status == 101);
    (switched || protocol.eq_ignore_ascii_case("websocket")).then_some(protocol)
}

/// Refuses a case that compares nothing: it would pass whatever the application answers.
fn refuse_nothing_to_compare(
    captured: Option<&Expected<'_>>,
    assertions: &AssertionPlan,
) -> Result<(), Unjudged> {
    let hooked = assertions.body_hook.is_some() || assertions.headers_hook.is_some();
    if hooked || compares_anything(captured, &assertions.rules) {
        return Ok(());
    }
    Err(Unjudged::NothingToCompare)
}
