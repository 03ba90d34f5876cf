//! The wording of reports.

use std::borrow::Cow;

use super::first::first_fault;
use super::masked;
use super::outcome::{
    Acceptance, CaseOutcome, End, ExtraCalls, Fault, Finding, Launched, MissedCall,
    NearestExchange, NotAnswering, Note, Rerun, SentDifference, Skip, Unacceptable,
};
use super::sides;
use crate::base::decode::Undecoded;
use crate::base::encoding::shell_word;
use crate::base::http::{
    Headers, MASKED, SESSION_HEADER, is_secret_name, shown, shown_target, without_credentials,
};
use crate::base::with_causes;
use crate::compare::{Excerpt, Mismatch, Repeated, Risk};
use crate::control::{CallAnswer, NearestRule, OutboundCall, UncorrelatedCall};

/// Returns the advice to show if there are mocks but no outbound call arrived.
pub(super) fn no_call(launched: &Launched) -> String {
    match launched {
        Launched::Not => NO_CALL.to_owned(),
        Launched::By(command) => format!(
            "no outbound call reached the proxy; if the application made any, its HTTP client uses no proxy: \
             `softprobe doctor -- {command}` says what to set"
        ),
        Launched::Unintercepted => {
            "no outbound call reached the proxy: with `intercept: none`, nothing sends them there"
                .to_owned()
        }
    }
}

/// The advice for an application that was started by hand.
const NO_CALL: &str = "no outbound call reached the proxy; check that the application's HTTP_PROXY points to it, and that \
     the HTTP client uses that variable (Node's built-in clients do with NODE_USE_ENV_PROXY=1), or run \
     `softprobe doctor`";

/// The warning at the end of a run under a strict policy in which no outbound call arrived.
pub(crate) const NOTHING_SEEN: &str = "no outbound call reached the proxy in this run; if the application makes any, they went past it, and the \
     strict policy did not hold them: run `softprobe doctor`";

/// Returns the text with every secret in it masked, and what stands under the names of secrets.
pub(crate) fn mask(text: String, secrets: &[String]) -> String {
    let shown = match masked::text(&text) {
        Cow::Owned(masked) => masked,
        Cow::Borrowed(_) => text,
    };
    without(shown, secrets)
}

/// Returns the text with every one of these secrets masked, as it is, as it stands in a URL, and its beginning where it is cut.
pub(super) fn without(text: String, secrets: &[String]) -> String {
    /// So much of a secret is no word that a text has anyway.
    const BEGINNING: usize = 8;
    let mut shown = text;
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        shown = shown.replace(secret.as_str(), MASKED);
        let escaped =
            percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC);
        shown = shown.replace(&escaped.to_string(), MASKED);
        let Some((end, _)) = secret.char_indices().nth(BEGINNING) else {
            continue;
        };
        while let Some(at) = shown.find(&secret[..end]) {
            let rest = shown[at..].char_indices().zip(secret.chars());
            let same = rest.take_while(|((_, a), b)| a == b);
            let length: usize = same.map(|((_, c), _)| c.len_utf8()).sum();
            shown.replace_range(at..at + length, MASKED);
        }
    }
    shown
}

/// Returns how many findings of each kind fail the case: `2 differences, 1 outbound call missed`.
pub(super) fn faults(outcome: &CaseOutcome) -> String {
    let (mut mismatches, mut misses, mut uncorrelated, mut refused) = (0, 0, 0, 0);
    let (mut sent, mut not_compared, mut extra, mut unused, mut late) = (0, 0, 0, 0, 0);
    for finding in outcome.findings.iter().filter(|finding| finding.fails) {
        *match &finding.fault {
            Fault::Mismatch(_) => &mut mismatches,
            Fault::Missed(_) => &mut misses,
            Fault::Uncorrelated(call) if call.refused => &mut refused,
            Fault::Uncorrelated(_) => &mut uncorrelated,
            Fault::Extra(_) => &mut extra,
            Fault::Unused(_) => &mut unused,
            Fault::Sent(_) => &mut sent,
            Fault::NotCompared(_) => &mut not_compared,
            Fault::Late(_) => &mut late,
        } += 1;
    }
    let counted = [
        (mismatches, "difference", "differences"),
        (misses, "outbound call missed", "outbound calls missed"),
        (
            refused,
            "outbound call could not be answered",
            "outbound calls could not be answered",
        ),
        (
            sent,
            "difference in what was sent",
            "differences in what was sent",
        ),
        (
            not_compared,
            "part of what was sent was not compared",
            "parts of what was sent were not compared",
        ),
        (
            uncorrelated,
            "outbound call belongs to no session",
            "outbound calls belong to no session",
        ),
        (
            extra,
            "outbound call made too often",
            "outbound calls made too often",
        ),
        (unused, "mock was never used", "mocks were never used"),
        (
            late,
            "outbound call missed after the case had ended",
            "outbound calls missed after the case had ended",
        ),
    ];
    let counted = counted.into_iter().filter(|(n, ..)| *n > 0);
    let counted =
        counted.map(|(n, one, several)| format!("{n} {}", if n == 1 { one } else { several }));
    counted.collect::<Vec<_>>().join(", ")
}

/// Returns the first line of a case's report.
pub(super) fn headline(outcome: &CaseOutcome) -> String {
    let trial = &outcome.trial;
    match &outcome.end {
        End::Errored(error) => format!("{trial}: can't be judged: {}", with_causes(&**error)),
        End::Skipped(why) => format!("{trial}: skipped: {}", skip(why)),
        End::Judged => match faults(outcome) {
            none if none.is_empty() => format!("{trial}: passed"),
            faults => format!("{trial}: {faults}"),
        },
    }
}

/// Returns what is wrong, in a few words.
fn fault(fault: &Fault) -> String {
    match fault {
        Fault::Missed(MissedCall { miss, .. }) => call(&miss.method, &miss.host, &miss.path),
        Fault::Uncorrelated(lost) => {
            let shown = call(&lost.method, &lost.host, &lost.path);
            format!("{shown}: {}", lost.reason)
        }
        Fault::Late(late) => call(&late.method, &late.host, &late.path),
        Fault::Unused(mock) => format!("`{}`", shown_target(mock)),
        Fault::Extra(calls) => extra_calls(calls),
        Fault::NotCompared(count) => not_compared(*count),
        Fault::Sent(sent) => sent_difference(sent),
        Fault::Mismatch(mismatch) => format!("{} {}", mismatch.place, sides::in_short(mismatch)),
    }
}

/// Returns what happened, in one line.
pub(crate) fn summary(outcome: &CaseOutcome) -> String {
    match &outcome.end {
        End::Skipped(why) => skip(why),
        End::Errored(error) => {
            let message = with_causes(&**error);
            let line = message.lines().next().unwrap_or_default();
            // What nothing answered may be why.
            match first_fault(outcome).map(fault) {
                Some(first) => format!("no answer to {first}; {line}"),
                None => line.to_owned(),
            }
        }
        End::Judged => match (faults(outcome), first_fault(outcome)) {
            (none, _) if none.is_empty() => "passed".to_owned(),
            (faults, None) => faults,
            (faults, Some(first)) => format!("{faults}; first: {}", fault(first)),
        },
    }
}

/// Returns the command that runs only this case again.
pub(super) fn rerun(outcome: &CaseOutcome) -> String {
    rerun_of(&outcome.rerun, &[&outcome.trial])
}

/// Tells how many cases ended in which way.
pub(crate) fn came_to(passed: usize, failed: usize, not_run: usize) -> String {
    let all = cases(passed + failed + not_run);
    format!("{all}: {passed} passed, {failed} failed, {not_run} not run")
}

/// Returns the command that runs only these cases again.
pub(super) fn rerun_of(rerun: &Rerun, names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| shell_word(name)).collect();
    let between = match rerun.is_target {
        true => " ",
        false => " --filter ",
    };
    format!("{} {}", rerun.command, names.join(between))
}

/// Returns the command that accepts what a case found, with a title that says what that means; `None` if nothing can be
/// accepted.
pub(super) fn accept(outcome: &CaseOutcome) -> Option<(&'static str, String)> {
    if let Acceptance::Pending(file) = &outcome.acceptance {
        let command = format!(
            "softprobe review {}",
            shell_word(&file.display().to_string())
        );
        return Some(("look at what differs, and decide", command));
    }
    if let Acceptance::Refused(_) = &outcome.acceptance {
        return None;
    }
    let risk = outcome.risk().ok()?;
    let title = match risk {
        Risk::Low | Risk::Medium => "if this is right now, accept it",
        Risk::High => {
            "if this is right now, accept it (high risk: something is gone, of another kind, or sent otherwise)"
        }
    };
    Some((title, accepting(&outcome.rerun, &rerun(outcome), risk)))
}

/// Returns a command with what has it accept differences of this risk.
pub(super) fn accepting(rerun: &Rerun, command: &str, risk: Risk) -> String {
    match (rerun.is_target, risk) {
        (true, Risk::High) => format!("SOFTPROBE_BLESS=all {command}"),
        (true, _) => format!("SOFTPROBE_BLESS=1 {command}"),
        (false, Risk::High) => format!("{command} --bless=all"),
        (false, _) => format!("{command} --bless"),
    }
}

/// Returns why what a case found was not accepted, if it was to be.
pub(super) fn not_accepted(acceptance: &Acceptance) -> Option<&str> {
    match acceptance {
        Acceptance::Refused(why) => Some(why),
        Acceptance::TooRisky => Some(
            "its risk is high: something is gone, of another kind, or sent otherwise; --bless=all accepts that too",
        ),
        Acceptance::NotAsked | Acceptance::Written(_) | Acceptance::Pending(_) => None,
    }
}

/// Returns why what a case found can't be accepted.
pub(crate) fn unacceptable(why: Unacceptable<'_>) -> String {
    let what = match why {
        Unacceptable::NotJudged => return "the case could not be judged".to_owned(),
        Unacceptable::Passed => return "nothing fails the case".to_owned(),
        Unacceptable::Barred(mismatch, barrier) => return format!("{}: {barrier}", mismatch.place),
        Unacceptable::Fault(fault) => match fault {
            Fault::Missed(MissedCall { miss, .. }) => {
                let shown = call(&miss.method, &miss.host, &miss.path);
                format!("nothing answered {shown}")
            }
            Fault::Uncorrelated(uncorrelated) => {
                let UncorrelatedCall {
                    method, host, path, ..
                } = uncorrelated;
                let what = match uncorrelated.refused {
                    true => "could not be answered",
                    false => "belongs to no session",
                };
                format!("{} {what}", call(method, host, path))
            }
            Fault::Extra(calls) => extra_calls(calls),
            Fault::Unused(mock) => {
                let mock = shown_target(mock);
                return format!(
                    "mock `{mock}` was never used, and the answer may be what it is because of that; mend this first, or say that it \
                     is right: `unused: ignore`"
                );
            }
            Fault::Late(late) => late_call(late),
            Fault::NotCompared(count) => not_compared(*count),
            Fault::Mismatch(_) | Fault::Sent(_) => "something differs".to_owned(),
        },
    };
    format!("{what}, and the answer may be what it is because of that; mend this first")
}

/// Returns what was accepted, a line for each difference.
pub(crate) fn accepted(findings: &[Finding]) -> Vec<String> {
    let changes = |mismatch: &&Mismatch| !mismatch.changes.is_empty();
    let lines = findings.iter().filter_map(|finding| match &finding.fault {
        Fault::Mismatch(mismatch) => {
            let mismatch = Some(mismatch).filter(changes)?;
            Some(sides::change(mismatch))
        }
        Fault::Sent(sent) => {
            let mismatch = Some(&sent.mismatch).filter(changes)?;
            let request = shown_target(&sent.request);
            Some(format!("{request}: {}", sides::change(mismatch)))
        }
        _ => None,
    });
    lines.collect()
}

/// The headers by which a run knows its calls, new in each.
const TRACE_HEADERS: [&str; 3] = [SESSION_HEADER, "traceparent", "tracestate"];

/// Returns whether a header is one by which a run knows its calls.
pub(super) fn is_trace_header(name: &str) -> bool {
    let mut known = TRACE_HEADERS.iter();
    known.any(|known| known.eq_ignore_ascii_case(name))
}

/// Returns the headers of a request but for those by which a run knows its calls.
pub(super) fn own_headers(headers: &[(String, String)]) -> impl Iterator<Item = &(String, String)> {
    headers.iter().filter(|(name, _)| !is_trace_header(name))
}

/// Returns the headers of a request, secrets masked.
pub(super) fn headers(headers: &Headers) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    headers.iter().map(|(name, value)| {
        let value = shown(name, value);
        (name, masked::text(&value).into_owned().into())
    })
}

/// Returns a URL without the secrets in it.
pub(super) fn url(url: &str) -> String {
    let url = shown_target(&without_credentials(url)).into_owned();
    masked::text(&url).into_owned()
}

/// Returns the body of a request that was sent, as text; only its beginning if it is long.
pub(super) fn sent_body(body: &Excerpt) -> String {
    const MOST: usize = 2_000;
    match sides::beginning(body) {
        Some(text) => masked::text(text).chars().take(MOST).collect(),
        None => format!("({} bytes that are not text)", body.len),
    }
}

/// Returns why a case was not run.
pub(super) fn skip(why: &Skip) -> String {
    match why {
        Skip::Suite(reason) => reason.clone(),
        Skip::Interrupted => "not run: interrupted".to_owned(),
        Skip::AnotherFailed => "not run: another case failed".to_owned(),
        Skip::Broken => "not run: the results can't be written".to_owned(),
        Skip::NotStarted(why) => format!("not run: {why}"),
    }
}

/// What to do about a tunnel that is a miss.
pub(super) const UNREAD: &str = "what is inside was not read: have softprobe launch the application, or give --ca DIR and have the \
                                 application trust DIR/ca.pem; to let it pass unread, as hosts in `tunnel` do, list the host in `policy.allowHosts`";

/// Returns a note in words.
pub(crate) fn note(note: &Note) -> String {
    match note {
        Note::Size(text) => text.clone(),
        Note::Undecoded(Undecoded { coding, why }) => format!(
            "the body could not be decoded (content-encoding: {coding}: {why}); it was compared as bytes"
        ),
        Note::Repeated(Repeated { place, in_expected }) => format!(
            "{place} appears more than once in the {} body; the last one was compared",
            sides::which(*in_expected)
        ),
        Note::AnswerOfWrongStatus(start) => {
            format!("the answer's body: {}", masked::text(start))
        }
        Note::RepeatedInCall {
            call,
            repeated: Repeated { place, in_expected },
        } => format!(
            "{}: {place} appears more than once in the {} body; the last one was compared",
            shown_target(call),
            sides::which(*in_expected)
        ),
        Note::MockWithoutBody(mock) => format!(
            "mock `{}` has an empty body, because the body of its exchange was not captured",
            shown_target(mock)
        ),
        Note::CallsNotCompared => {
            "this runtime does not report the requests of outbound calls, so they were not \
                                   compared with the capture"
                .to_owned()
        }
        Note::TurnsInOrder => {
            "this runtime does not know the predicate `body`, so calls that differ only in their \
                               bodies got the captured answers in order"
                .to_owned()
        }
        Note::WithoutTls(call) => {
            format!(
                "{} was captured over HTTPS, and made without",
                shown_target(call)
            )
        }
        Note::AcceptedSecret { place, kind } => {
            format!(
                "{place}: what was accepted there looks like a secret ({kind}); `softprobe scrub` takes it out of the file"
            )
        }
        Note::PassedUnread(host) => {
            format!(
                "a connection to {host} passed unread, so its calls were neither seen nor compared"
            )
        }
    }
}

/// Returns the rule that came closest to a call, with secrets masked.
pub(super) fn nearest(nearest: &NearestRule) -> String {
    let NearestRule {
        rule,
        field,
        wanted,
        has,
        more,
    } = nearest;
    let first = (field, wanted, has);
    let more = more.iter().map(|one| (&one.field, &one.wanted, &one.has));
    let fields = std::iter::once(first)
        .chain(more)
        .map(|(field, wanted, has)| {
            let (wanted, has) = (unheld(field, wanted), unheld(field, has));
            format!("{field}: it wants `{wanted}`, the call has `{has}`")
        });
    let fields: Vec<String> = fields.collect();
    format!(
        "nearest rule `{}` differs on {}",
        shown_target(rule),
        fields.join("; ")
    )
}

/// Returns what a predicate wants, or what a call has, without secrets.
fn unheld(field: &str, text: &str) -> String {
    let name = field.rsplit('.').next().unwrap_or_default();
    match field {
        // Whole queries and single parameters.
        "query" => shown_target(&format!("?{text}"))[1..].to_owned(),
        field if field.contains('.') && is_secret_name(name) => MASKED.to_owned(),
        _ => shown_target(text).into_owned(),
    }
}

/// Returns the captured exchange that came closest to a call, and why it did not answer.
pub(super) fn nearest_exchange(nearest: &NearestExchange) -> String {
    let NearestExchange { exchange, why } = nearest;
    match why {
        NotAnswering::Differs(fields) => {
            let shown = |side: &Option<String>| match side {
                Some(text) => format!("`{}`", shown_target(text)),
                None => "none".to_owned(),
            };
            let fields = fields.iter().map(|field| {
                let (captured, actual) = (shown(&field.captured), shown(&field.actual));
                format!(
                    "{}: captured {captured}, the call has {actual}",
                    field.field
                )
            });
            let fields: Vec<String> = fields.collect();
            format!(
                "nearest captured exchange `{exchange}` differs on {}",
                fields.join("; ")
            )
        }
        NotAnswering::Spent { captured } => format!(
            "`{exchange}` is in the capture, but spent: it was captured {}, and has answered as often",
            times(*captured as u64)
        ),
        NotAnswering::NotMocked => format!(
            "`{exchange}` is in the capture, but no mock replays it: `mocks: auto` does, or an entry that finds it"
        ),
        NotAnswering::Alike => format!(
            "`{exchange}` is in the capture, and its mock wants something else of the call as well"
        ),
    }
}

/// Returns how many cases there are.
pub(crate) fn cases(n: usize) -> String {
    match n {
        1 => "1 case".to_owned(),
        n => format!("{n} cases"),
    }
}

/// Returns the first names of a list, each as it is shown, and how many more there are.
pub(super) fn named<N: AsRef<str>>(names: &[N], shown: impl Fn(&str) -> String) -> String {
    /// How many are enough to know which ones are meant.
    const NAMED: usize = 3;
    let first = names.iter().take(NAMED).map(|name| shown(name.as_ref()));
    let first: Vec<String> = first.collect();
    match names.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        n => format!("{} and {n} more", first.join(", ")),
    }
}

fn times(n: u64) -> String {
    match n {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        n => format!("{n} times"),
    }
}

/// Returns a call for display, with the secrets in its query masked.
pub(super) fn call(method: &str, host: &str, path: &str) -> String {
    format!("{method} {host}{}", masked::text(&shown_target(path)))
}

/// Returns a difference of what was sent, in a line.
pub(super) fn sent_difference(difference: &SentDifference) -> String {
    let SentDifference {
        call: _,
        exchange: _,
        request,
        mismatch,
    } = difference;
    let (request, place) = (shown_target(request), &mismatch.place);
    format!("{request}: {place} {}", sides::in_short(mismatch))
}

/// Returns that a call came after its case had ended, in a line.
pub(crate) fn late_call(late: &OutboundCall) -> String {
    let shown = call(&late.method, &late.host, &late.path);
    let answer = match late.answer {
        CallAnswer::Missed => "it was a miss".to_owned(),
        answer => format!("by the policy: {answer}"),
    };
    format!("{shown} came after the case had ended ({answer})")
}

/// Returns that calls were not compared, in words.
pub(super) fn not_compared(count: u64) -> String {
    format!(
        "{count} further calls were answered but not compared with the capture, because a session keeps only 1,000 \
         requests and 64 MiB of them"
    )
}

/// Returns how often a call was made and captured, in words.
pub(super) fn extra_calls(calls: &ExtraCalls) -> String {
    let ExtraCalls {
        mock,
        captured,
        made,
    } = calls;
    let mock = shown_target(mock);
    format!(
        "mock `{mock}` answered {}, captured {}",
        times(*made),
        times(*captured)
    )
}

/// Returns the warnings of a passing case, one line each.
pub(crate) fn warnings(outcome: &CaseOutcome) -> Vec<String> {
    let mut lines: Vec<String> = outcome.notes.iter().map(note).collect();
    lines.extend(outcome.sent().map(|(sent, _)| sent_difference(sent)));
    lines.extend(outcome.not_compared().map(not_compared));
    lines.extend(outcome.extra().map(|(calls, _)| extra_calls(calls)));
    lines.extend(outcome.late().map(|(call, _)| late_call(call)));
    let unused: Vec<&str> = outcome.unused().map(|(mock, _)| mock).collect();
    lines.extend(
        unused
            .iter()
            .map(|mock| format!("mock `{}` was never used", shown_target(mock))),
    );
    let uncorrelated: Vec<String> = outcome
        .uncorrelated()
        .filter(|(call, _)| !call.ambient)
        .map(|(uncorrelated, _)| {
            let UncorrelatedCall {
                method, host, path, ..
            } = uncorrelated;
            let shown = call(method, host, path);
            let what = match uncorrelated.refused {
                true => "could not be answered",
                false => "belongs to no session",
            };
            format!("{shown} {what}: {}", uncorrelated.reason)
        })
        .collect();
    if !unused.is_empty() && !outcome.any_call_seen {
        lines.push(no_call(&outcome.launched));
    }
    lines.extend(uncorrelated);
    lines
}
