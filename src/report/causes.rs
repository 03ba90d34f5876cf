//! Why cases fail, told once for all that fail for one reason.

use std::collections::HashMap;

use super::outcome::{
    CaseOutcome, End, Fault, MissedCall, RunOutcome, SentDifference, Unacceptable,
};
use super::words;
use crate::base::http::{shown_target, with_ids};
use crate::base::with_causes;
use crate::compare::{MessagePlace, Mismatch, Risk};

/// A reason for which cases fail.
#[derive(Debug)]
pub(super) struct Cause<'o> {
    /// What is the same for all cases that fail for it.
    pub(super) key: String,
    /// What is wrong.
    pub(super) what: String,
    /// What to do about it; empty if what is wrong says so.
    pub(super) mend: String,
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
                cases: Vec::new(),
            });
        }
        causes[at].cases.push(outcome);
    }
    for cause in &mut causes {
        cause.mend = mend(&cause.cases);
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
        cases,
    } = cause;
    let names: Vec<&str> = cases.iter().map(|case| case.trial.as_str()).collect();
    let names = words::named(&names, str::to_owned);
    let mut text = format!("  {}: {what}\n      {names}\n", words::cases(cases.len()));
    if !mend.is_empty() {
        text.push_str(&format!("      {mend}\n"));
    }
    text
}

/// Returns what a case fails for: a key that is the same for all cases that fail for it, and what to say of it.
fn reason(outcome: &CaseOutcome) -> (String, String) {
    if let End::Errored(error) = &outcome.end {
        let told = with_causes(&**error);
        let line = told.lines().next().unwrap_or_default().to_owned();
        return (line.clone(), line);
    }
    match first_fault(outcome) {
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
            (format!("uncorrelated {} {}", call.host, call.reason), what)
        }
        Some(Fault::Late(call)) => {
            let what = words::late_call(call);
            (format!("late {}", call.host), what)
        }
        Some(Fault::Unused(mock)) => {
            // A captured call has a number in each case.
            let call = mock
                .split_once("] ")
                .map_or(mock.as_str(), |(_, call)| call);
            let call = with_ids(&shown_target(call));
            let what = format!("the application no longer makes the call {call}");
            (format!("unused {call}"), what)
        }
        Some(Fault::Extra(calls)) => {
            let call = calls
                .mock
                .split_once("] ")
                .map_or(calls.mock.as_str(), |(_, call)| call);
            let call = with_ids(&shown_target(call));
            let what =
                format!("the application makes the call {call} more often than it was captured");
            (format!("extra {call}"), what)
        }
        Some(Fault::NotCompared(_)) => {
            let what = "there was no room to keep the requests of calls".to_owned();
            ("not compared".to_owned(), what)
        }
        Some(Fault::Sent(sent)) => {
            let request = shown_target(&sent.request);
            let call = with_ids(request.split('?').next().unwrap_or_default());
            let place = general(&sent.mismatch.place);
            let what = format!(
                "{call} is sent with another {place}, such as {}",
                words::change(&sent.mismatch)
            );
            (format!("sent {call} {place}"), what)
        }
        Some(Fault::Mismatch(mismatch)) => {
            let place = general(&mismatch.place);
            let what = format!(
                "{place} differs in the answer, such as {}",
                words::change(mismatch)
            );
            (format!("differs {place}"), what)
        }
    }
}

/// Returns what fails a judged case: of several faults, the one that may have brought about the others.
pub(crate) fn first_fault(outcome: &CaseOutcome) -> Option<&Fault> {
    let fatal = outcome.findings.iter().filter(|finding| finding.fails);
    let faults = fatal.map(|finding| &finding.fault);
    faults
        .filter(|_| matches!(outcome.end, End::Judged))
        .min_by_key(|fault| (rank(fault), is_masked(fault)))
}

/// Returns whether nothing can be seen of a difference.
fn is_masked(fault: &Fault) -> bool {
    match fault {
        Fault::Mismatch(mismatch) | Fault::Sent(SentDifference { mismatch, .. }) => {
            words::is_masked(mismatch)
        }
        _ => false,
    }
}

/// Returns what comes first of the things that are wrong with a case: what may have brought about the others.
fn rank(fault: &Fault) -> usize {
    match fault {
        Fault::Uncorrelated(_) => 0,
        Fault::Missed(_) => 1,
        Fault::Sent(_) => 2,
        Fault::Mismatch(Mismatch {
            place: MessagePlace::Status,
            ..
        }) => 3,
        Fault::Mismatch(_) => 4,
        Fault::Unused(_) => 5,
        Fault::Extra(_) => 6,
        Fault::NotCompared(_) => 7,
        Fault::Late(_) => 8,
    }
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

/// Returns what to do about cases that fail for one reason.
fn mend(cases: &[&CaseOutcome]) -> String {
    let Some(first) = cases.first() else {
        return String::new();
    };
    match first_fault(first) {
        _ if matches!(first.end, End::Errored(_)) => String::new(),
        Some(Fault::Missed(MissedCall { miss, .. })) => format!(
            "record the cases again, answer it in the suite (`mocks: [ {{ match: {{ host: {0} }}, response: {{ … }} }} ]`), or let it pass \
             (`policy: {{ allowHosts: [ {0} ] }}`)",
            miss.host
        ),
        Some(Fault::Uncorrelated(call)) if !call.refused => {
            "have the application pass `traceparent` or `tracestate` on, or replay one case at a time: --one-at-a-time".to_owned()
        }
        Some(Fault::Unused(_)) => "if this is right, say so in the suite: `unused: ignore` in an entry of `mocks` for it".to_owned(),
        Some(Fault::Extra(_)) => "if this is right, say so in the suite: `outbound: { extra: warn }`".to_owned(),
        Some(Fault::Late(_)) => "if the application makes it in the background, wait for it: `mocks` that answer it, and \
             `outbound: { settleMs: … }`"
            .to_owned(),
        Some(Fault::Sent(_) | Fault::Mismatch(_)) => accept(cases),
        _ => String::new(),
    }
}

/// Returns the command that accepts what these cases found, if it can be accepted in all of them.
fn accept(cases: &[&CaseOutcome]) -> String {
    let risks: Result<Vec<Risk>, Unacceptable<'_>> = cases.iter().map(|case| case.risk()).collect();
    match (risks, cases.first()) {
        (Ok(risks), Some(first)) => {
            let risk = risks.into_iter().max().unwrap_or(Risk::High);
            let command = words::accepting(&first.rerun, &first.rerun.whole, risk);
            format!("if this is right now, accept it, with whatever else the run finds: {command}")
        }
        _ => String::new(),
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
