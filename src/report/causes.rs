//! Why cases fail, told once for all that fail for one reason.

use std::collections::HashMap;

use super::first::first_fault;
use super::outcome::{
    CaseOutcome, End, Fault, MissedCall, NearestExchange, NotAnswering, Rerun, RunOutcome,
    Unacceptable,
};
use super::sides;
use super::told::AcceptReport;
use super::words;
use crate::base::http::{shown_target, with_ids};
use crate::base::with_causes;
use crate::compare::{MessagePlace, Risk, Side};

/// A reason for which cases fail.
#[derive(Debug)]
pub(super) struct Cause<'o> {
    /// What is the same for all cases that fail for it.
    pub(super) key: String,
    /// What is wrong.
    pub(super) what: String,
    /// What to do about it; empty if what is wrong says so.
    pub(super) mend: String,
    /// How what the cases found is accepted, if that is what to do.
    pub(super) accept: Option<AcceptReport>,
    /// The cases that fail for it, in the order of their trials.
    pub(super) cases: Vec<&'o CaseOutcome>,
}

/// Returns the reasons for which the cases of a run fail, those of most cases first. Each case is told under one of them: the one that
/// may have brought about the others.
pub(super) fn causes(run: &RunOutcome) -> Vec<Cause<'_>> {
    let mut causes: Vec<Cause<'_>> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for outcome in run.cases.iter().filter(|outcome| outcome.is_bad()) {
        let (key, what) = reason(outcome);
        let at = *known.entry(key.clone()).or_insert(causes.len());
        if at == causes.len() {
            causes.push(Cause {
                key,
                what,
                mend: String::new(),
                accept: None,
                cases: Vec::new(),
            });
        }
        causes[at].cases.push(outcome);
    }
    for cause in &mut causes {
        cause.accept = accept(&cause.cases);
        cause.mend = match &cause.accept {
            Some(accept) => accepting(accept, &names(&cause.cases)),
            None => cause
                .cases
                .first()
                .map_or_else(String::new, |case| mend(case)),
        };
    }
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.cases.len()));
    causes
}

/// Returns a reason for which cases fail: how many, what is wrong, three of their names, and what to do.
pub(super) fn shown(cause: &Cause<'_>) -> String {
    let Cause {
        key: _,
        what,
        mend,
        accept: _,
        cases,
    } = cause;
    let names = words::named(&names(cases), str::to_owned);
    let mut text = format!("  {}: {what}\n      {names}\n", words::cases(cases.len()));
    if !mend.is_empty() {
        text.push_str(&format!("      {mend}\n"));
    }
    text
}

/// Returns what a case fails for: a key that is the same for all cases that fail for it, and what to say of it.
fn reason(outcome: &CaseOutcome) -> (String, String) {
    let first = first_fault(outcome);
    if let (End::Errored(error), None) = (&outcome.end, first) {
        let told = with_causes(&**error);
        let line = told.lines().next().unwrap_or_default().to_owned();
        return (in_general(&line), line);
    }
    match first {
        None => (String::new(), words::summary(outcome)),
        Some(Fault::Missed(MissedCall { miss, .. })) => {
            let shown = words::call(&miss.method, &miss.host, &miss.path);
            let what = format!("nothing answers calls to {}, such as {shown}", miss.host);
            (format!("missed {}", miss.host), what)
        }
        Some(Fault::Uncorrelated(call)) => {
            let shown = words::call(&call.method, &call.host, &call.path);
            let what = match call.refused {
                true => format!(
                    "calls to {} can't be answered, such as {shown}: {}",
                    call.host, call.reason
                ),
                false => format!(
                    "calls to {} belong to no session, such as {shown}: {}",
                    call.host, call.reason
                ),
            };
            (
                format!("uncorrelated {} {}", call.host, in_general(&call.reason)),
                what,
            )
        }
        Some(Fault::Late(call)) => {
            let what = words::late_call(call);
            (format!("late {}", call.host), what)
        }
        Some(Fault::Unused(mock)) => {
            let call = call_of(mock);
            let what = format!("the application no longer makes the call {call}");
            (format!("unused {call}"), what)
        }
        Some(Fault::Extra(calls)) => {
            let call = call_of(&calls.mock);
            let what =
                format!("the application makes the call {call} more often than it was captured");
            (format!("extra {call}"), what)
        }
        Some(Fault::NotCompared(_)) => {
            let what = "there was no room to keep the requests of calls".to_owned();
            ("not compared".to_owned(), what)
        }
        Some(Fault::Sent(sent)) => {
            let call = without_ids(&sent.request);
            let place = general(&sent.mismatch.place);
            let what = format!(
                "{call} is sent with another {place}, such as {}",
                sides::change(&sent.mismatch)
            );
            (format!("sent {call} {place}"), what)
        }
        Some(Fault::Mismatch(mismatch)) => {
            let place = general(&mismatch.place);
            if let (MessagePlace::Status, Some(Side::Status(actual))) =
                (&mismatch.place, &mismatch.actual)
            {
                let what = format!("the answer's {}", sides::change(mismatch));
                return (format!("differs status {actual}"), what);
            }
            let what = format!(
                "{place} differs in the answer, such as {}",
                sides::change(mismatch)
            );
            (format!("differs {place}"), what)
        }
    }
}

/// Returns a call, as mocks name it, with ids in its path as `{id}`.
fn without_ids(call: &str) -> String {
    let call = shown_target(call);
    let call = call.split('?').next().unwrap_or_default();
    match call.find('/') {
        // What comes before is the method and the host, each name of which may have a digit.
        Some(at) => format!("{}{}", &call[..at], with_ids(&call[at..])),
        None => call.to_owned(),
    }
}

/// Returns the call that a mock replays: captured calls have a number in each case.
fn call_of(mock: &str) -> String {
    without_ids(mock.split_once("] ").map_or(mock, |(_, call)| call))
}

/// Returns a text without what differs between cases that fail for one reason: URLs and numbers.
fn in_general(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.contains("://") {
        true => "…".to_owned(),
        false => word.chars().filter(|c| !c.is_ascii_digit()).collect(),
    });
    words.collect::<Vec<String>>().join(" ")
}

/// Returns a place with any element for a single one.
fn general(place: &MessagePlace) -> String {
    let MessagePlace::Json(_) = place else {
        return place.to_string();
    };
    let text = place.to_string();
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('[') {
        let (before, after) = rest.split_at(at + 1);
        out.push_str(before);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        match digits > 0 && after[digits..].starts_with(']') {
            true => {
                out.push('*');
                rest = &after[digits..];
            }
            false => rest = after,
        }
    }
    out + rest
}

/// Returns what to do about a case of which the rest of its report does not say so.
pub(super) fn way_out(outcome: &CaseOutcome) -> Option<String> {
    match first_fault(outcome)? {
        Fault::Missed(_) | Fault::Unused(_) => Some(mend(outcome)),
        _ => None,
    }
}

fn names<'o>(cases: &[&'o CaseOutcome]) -> Vec<&'o str> {
    cases.iter().map(|case| case.trial.as_str()).collect()
}

/// Returns what to do about cases that fail for one reason, of which this is one, where nothing can be accepted.
fn mend(case: &CaseOutcome) -> String {
    match first_fault(case) {
        Some(Fault::Missed(MissedCall { miss, captured })) => {
            let host = &miss.host;
            let query = captured.as_ref().and_then(only_in_query);
            let by_name = match query {
                Some(name) => format!("if {name} is another one in each run, leave it out: `outbound: {{ query: {{ ignore: [ {name} ] }} }}`; else "),
                None => String::new(),
            };
            format!(
                "{by_name}mend the application, record the cases again, add an entry that answers the call to `mocks` (beside `auto`: \
                 `mocks: {{ auto: true, rules: [ … ] }}`), or let it pass: add {host} to `allowHosts` of `policy`"
            )
        }
        Some(Fault::Uncorrelated(call)) if !call.refused => {
            "have the application pass `traceparent` or `tracestate` on, or replay one case at a time: --one-at-a-time".to_owned()
        }
        Some(Fault::Uncorrelated(call)) if call.open_sessions > 1 => {
            "another case that ran at the time may have made them: --one-at-a-time tells".to_owned()
        }
        Some(Fault::Unused(_)) => "mend the application; if it is right, record the cases again, or let it be: `unused: ignore` in the suite or in \
             `overrides` of a case; if the call comes later than half a second after the answer, wait for it: `outbound: { settleMs: … }`"
            .to_owned(),
        Some(Fault::Extra(_)) => "if this is right, say so in the suite: `outbound: { extra: warn }`".to_owned(),
        Some(Fault::Late(_)) => "if the application makes it in the background, wait for it: `mocks` that answer it, and \
             `outbound: { settleMs: … }`"
            .to_owned(),
        Some(
            Fault::Uncorrelated(_) | Fault::NotCompared(_) | Fault::Sent(_) | Fault::Mismatch(_),
        )
        | None => String::new(),
    }
}

/// Returns the name in the query in which alone a call differs from a captured one.
fn only_in_query(nearest: &NearestExchange) -> Option<&str> {
    match &nearest.why {
        NotAnswering::Differs(fields) => match fields.as_slice() {
            [field] => field.field.strip_prefix("query."),
            _ => None,
        },
        NotAnswering::Spent { .. } | NotAnswering::NotMocked | NotAnswering::Alike => None,
    }
}

/// Returns how what these cases found is accepted, if it can be accepted in all of them.
fn accept(cases: &[&CaseOutcome]) -> Option<AcceptReport> {
    let first = cases.first()?;
    let Some(Fault::Sent(_) | Fault::Mismatch(_)) = first_fault(first) else {
        return None;
    };
    let risks: Result<Vec<Risk>, Unacceptable<'_>> = cases.iter().map(|case| case.risk()).collect();
    let risk = risks.ok()?.into_iter().max()?;
    Some(AcceptReport {
        rerun: Rerun::clone(&first.rerun),
        is_risky: risk == Risk::High,
    })
}

/// Returns the command that accepts what the cases of these names found, with what that means.
pub(super) fn accepting(accept: &AcceptReport, names: &[&str]) -> String {
    /// That many are named; of more, the command is the one for all.
    const NAMED: usize = 5;
    let AcceptReport { rerun, is_risky } = accept;
    let (risk, note) = match is_risky {
        true => (
            Risk::High,
            " (high risk: something is gone, of another kind, or sent otherwise)",
        ),
        false => (Risk::Medium, ""),
    };
    match names.len() <= NAMED {
        true => {
            let command = words::accepting(rerun, &words::rerun_of(rerun, names), risk);
            format!("if this is right now, accept it{note}: {command}")
        }
        false => {
            let command = words::accepting(rerun, &rerun.whole, risk);
            format!(
                "if this is right now, accept it, with whatever else the run finds{note}: {command}"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::document::Step;

    #[test]
    fn a_place_stands_for_those_of_other_elements() {
        let place = |steps: Vec<Step>| MessagePlace::Json(steps);
        let key = |name: &str| Step::Key(name.to_owned());
        for (place, wanted) in [
            (place(vec![key("l"), Step::Index(3), key("a")]), "$.l[*].a"),
            (
                place(vec![key("odd [3] key"), Step::Index(0)]),
                "$['odd [*] key'][*]",
            ),
            (MessagePlace::Status, "status"),
        ] {
            assert_eq!(general(&place), wanted);
        }
    }
}
