//! The outbound calls of a case: those of the capture beside those of the replay, over time.

use maud::{Markup, html};

use super::cut::{Cut, shown};
use crate::report::told::{CallReport, CapturedReport, CaseReport, UncorrelatedReport};

/// A call over time, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Span {
    at: u64,
    took: u64,
}

/// A captured call beside the one of the replay.
struct Pair<'c> {
    captured: Option<&'c CapturedReport>,
    replayed: Option<&'c CallReport>,
}

/// Returns the calls, each with what answered it, as bars over time.
pub(super) fn waterfall(case: &CaseReport, cut: &Cut) -> Markup {
    let pairs = pairs(case);
    let was = |pair: &Pair<'_>| {
        let call = pair.captured?;
        Some(Span {
            at: call.at_us?,
            took: call.took_us.unwrap_or_default(),
        })
    };
    let is = |pair: &Pair<'_>| {
        let call = pair.replayed?;
        Some(Span {
            at: call.arrived_us?.saturating_sub(case.started_us?),
            took: call.took_us.unwrap_or_default(),
        })
    };
    let end = |spans: &dyn Fn(&Pair<'_>) -> Option<Span>| {
        let ends = pairs
            .iter()
            .filter_map(|pair| spans(pair).map(|span| span.at + span.took));
        ends.max().unwrap_or_default().max(1)
    };
    let (was_end, is_end) = (end(&was), end(&is));
    html! {
        table {
            thead { tr { th scope="col" { "Call" } th scope="col" { "Answered by" } th scope="col" { "Captured above, replayed below" } } }
            tbody {
                @for pair in pairs.iter().take(cut.rows) {
                    tr {
                        td.mono data-th="Call" { (name(pair)) }
                        td data-th="Answered by" { (answer(pair, &case.late)) }
                        td { (bars(was(pair), was_end, is(pair), is_end, pair)) }
                    }
                }
            }
        }
        @if pairs.len() > cut.rows { p.warn { "and " (pairs.len() - cut.rows) " more calls" } }
    }
}

/// Pairs each call of the replay with a captured one, in order; captured calls that were not made come where they were.
fn pairs(case: &CaseReport) -> Vec<Pair<'_>> {
    let mut left: Vec<Option<&CapturedReport>> = case.captured.iter().map(Some).collect();
    let mut pairs: Vec<(usize, Pair<'_>)> = Vec::new();
    let mut last = 0;
    for call in &case.outbound {
        let own = call.to_string();
        let found = left
            .iter_mut()
            .enumerate()
            .find(|(_, captured)| captured.is_some_and(|captured| is_same(&captured.call, &own)));
        let captured = found.and_then(|(n, captured)| {
            last = n;
            captured.take()
        });
        let replayed = Some(call);
        pairs.push((last, Pair { captured, replayed }));
    }
    for (n, captured) in left.into_iter().enumerate() {
        if captured.is_some() {
            let at = pairs.iter().position(|(own, _)| *own > n);
            let pair = Pair {
                captured,
                replayed: None,
            };
            pairs.insert(at.unwrap_or(pairs.len()), (n, pair));
        }
    }
    pairs.into_iter().map(|(_, pair)| pair).collect()
}

/// Returns whether two calls are the same, whatever their queries are.
fn is_same(a: &str, b: &str) -> bool {
    let whole = |text: &str| {
        text.split('?')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    whole(a) == whole(b)
}

fn name(pair: &Pair<'_>) -> String {
    let replayed = pair.replayed.map(ToString::to_string);
    let name = replayed.or_else(|| pair.captured.map(|captured| captured.call.clone()));
    shown(&name.unwrap_or_default(), 300)
}

fn answer(pair: &Pair<'_>, late: &[CallReport]) -> Markup {
    let Some(call) = pair.replayed else {
        let own = pair.captured.map(|captured| captured.call.as_str());
        let is_late =
            own.is_some_and(|own| late.iter().any(|late| is_same(own, &late.to_string())));
        return match is_late {
            true => html! { span.failed { "made after the case had ended" } },
            false => html! { span.failed { "not made" } },
        };
    };
    html! {
        @if call.answer == "missed" { span.failed { "missed" } } @else { (call.answer) }
        @if let Some(rule) = &call.rule { " " span.mono { (shown(rule, 300)) } }
        @if call.differences.iter().any(|one| one.fails) { " " span.failed { "sent otherwise" } }
        @if pair.captured.is_none() { " " span.soft { "(not in the capture)" } }
    }
}

fn bars(was: Option<Span>, was_end: u64, is: Option<Span>, is_end: u64, pair: &Pair<'_>) -> Markup {
    /// The width of the picture, in its own units.
    const WIDE: u64 = 1_000;
    let bar = |span: Span, end: u64, y: u64, class: &str| {
        let x = span.at * WIDE / end;
        let width = (span.took * WIDE / end).max(6);
        html! { rect class=(class) x=(x.min(WIDE - 6)) y=(y) width=(width) height="8" {} }
    };
    let told = |which: &str, span: Option<Span>| {
        let ms = |us: u64| format!("{}.{}", us / 1_000, us % 1_000 / 100);
        span.map(|span| format!("{which} at {} ms, for {} ms", ms(span.at), ms(span.took)))
    };
    let told = [told("captured", was), told("replayed", is)];
    let told: Vec<String> = told.into_iter().flatten().collect();
    if told.is_empty() {
        return html! { span.soft { "no times" } };
    }
    let is_missed = pair.replayed.is_some_and(|call| call.answer == "missed");
    html! {
        svg viewBox="0 0 1000 20" preserveAspectRatio="none" role="img" aria-label=(told.join("; ")) {
            @if let Some(span) = was { (bar(span, was_end, 0, "was")) }
            @if let Some(span) = is { (bar(span, is_end, 11, if is_missed { "miss" } else { "is" })) }
        }
        span.soft { (told.join("; ")) }
    }
}

/// Returns calls that belong to no session, equal ones once.
pub(super) fn unowned(calls: &[&UncorrelatedReport], cut: &Cut) -> Markup {
    let mut told: Vec<(String, &str, usize)> = Vec::new();
    for call in calls {
        let name = format!("{} {}{}", call.method, call.host, call.path);
        let known = told
            .iter_mut()
            .find(|(known, reason, _)| *known == name && *reason == call.reason);
        match known {
            Some((.., count)) => *count += 1,
            None => told.push((name, &call.reason, 1)),
        }
    }
    html! {
        ul {
            @for (name, reason, count) in told.iter().take(cut.rows) {
                li {
                    b.mono { (shown(name, 300)) } @if *count > 1 { " (" (count) " times)" }
                    ": " (shown(reason, cut.value))
                }
            }
        }
    }
}
