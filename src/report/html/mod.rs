//! A run as one HTML page, which works from the disk and without a network.
//!
//! Nothing in it can run but its own script: all texts are escaped, and a content security policy names the script and the
//! style by their digests.

mod bodies;
mod calls;
mod cut;

use maud::{DOCTYPE, Markup, html};
use sha2::{Digest as _, Sha256};

use self::cut::{Cut, shown};
use super::outcome::Verdict;
use super::sides;
use super::told::{
    CaseReport, CauseReport, DifferenceReport, MissReport, RequestReport, RunReport,
};
use super::words;
use crate::base::encoding::encode_base64;
use crate::base::json;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The most bytes of a page.
pub(super) const MOST_BYTES: usize = 5_000_000;

/// Returns the page. One that would have more than [`MOST_BYTES`] has bodies and lists cut, and says so.
pub(crate) fn page(run: &RunReport) -> String {
    let failures = run.bad().count();
    let mut cut = Cut::LEAST;
    loop {
        // Bodies may be nested deeply.
        let page = json::with_room(|| whole(run, &cut).into_string());
        if page.len() <= MOST_BYTES {
            return page;
        }
        match cut.more(page.len(), failures) {
            Some(more) => cut = more,
            None => return page,
        }
    }
}

fn whole(run: &RunReport, cut: &Cut) -> Markup {
    let failed = run.count(&[Verdict::Failed, Verdict::Errored]);
    let verdict = verdict(run, failed);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(policy());
                title { (verdict) " – softprobe" }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                header { (header(run, failed, &verdict)) }
                main {
                    @if cut.is_any() {
                        p.warn { "To keep this page below 5 MB, " (cut.told()) ". What the run keeps of itself, last-run.json, has all of it." }
                    }
                    @if !run.causes.is_empty() { (causes(run)) }
                    (filter(run))
                    @if failed > 0 { (failures(run, cut)) }
                    (others(run, Verdict::Passed, "Passed", "passed", cut))
                    (others(run, Verdict::Skipped, "Not run", "ignored", cut))
                }
                script { (maud::PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// Returns the content security policy: only the page's own style and script count.
fn policy() -> String {
    let digest = |text: &str| encode_base64(&Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        digest(STYLE),
        digest(SCRIPT)
    )
}

fn verdict(run: &RunReport, failed: usize) -> String {
    let cases = |n: usize| if n == 1 { "case" } else { "cases" };
    let all = run.cases.len();
    match (failed, run.broke_off) {
        (0, false) if run.count(&[Verdict::Passed]) == 0 => "No case was run".to_owned(),
        (0, false) => {
            let passed = run.count(&[Verdict::Passed]);
            format!("{passed} {} passed", cases(passed))
        }
        (0, true) => "The run broke off".to_owned(),
        _ => format!("{failed} of {all} {} failed", cases(all)),
    }
}

fn header(run: &RunReport, failed: usize, verdict: &str) -> Markup {
    let is_good = failed == 0 && !run.broke_off && run.count(&[Verdict::Passed]) > 0;
    html! {
        h1 class=(if is_good { "passed" } else { "failed" }) { (verdict) }
        p.soft {
            (run.count(&[Verdict::Passed])) " passed, " (failed) " failed, "
            (run.count(&[Verdict::Skipped])) " not run, in " (seconds(run.took_ms))
        }
        @if run.broke_off {
            p.banner role="alert" { "The run broke off before all of its cases had ended. What it did not get to is not known to be right." @if let Some(why) = &run.broke_off_why { br; (shown(why, 1_000)) } }
        }
    }
}

fn seconds(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        _ => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
    }
}

fn causes(run: &RunReport) -> Markup {
    /// How many are told, and how many names of each.
    const MOST: usize = 20;
    const NAMED: usize = 3;
    let number = |name: &String| run.cases.iter().position(|case| case.name == *name);
    html! {
        section aria-labelledby="why" {
            h2 #why { "Why they fail" }
            ol.causes {
                @for CauseReport { message, mend, cases, .. } in run.causes.iter().take(MOST) {
                    li {
                        @if cases.len() > 1 { b { (cases.len()) " cases" } ": " span.mono { (shown(message, 600)) } br; }
                        span {
                            @for (n, name) in cases.iter().take(NAMED).enumerate() {
                                @if n > 0 { ", " }
                                @if let Some(number) = number(name) {
                                    a href={ "#case-" (number) } { (shown(name, 300)) }
                                } @else { (shown(name, 300)) }
                            }
                            @if cases.len() > NAMED { " and " (cases.len() - NAMED) " more" }
                        }
                        @if cases.len() == 1 { ": " span.mono { (shown(message, 600)) } }
                        @if !mend.is_empty() {
                            @match mend.rsplit_once(": ").filter(|(words, _)| words.starts_with("if this is right now")) {
                                Some((words, line)) => { p { (words) ":" } (command(line)) }
                                None => p.mono { (shown(mend, 1_000)) },
                            }
                        }
                    }
                }
            }
            @if run.causes.len() > MOST { p { "and " (run.causes.len() - MOST) " more" } }
        }
    }
}

fn filter(run: &RunReport) -> Markup {
    let count = |verdicts: &[Verdict]| run.count(verdicts);
    let status = |value: &str, word: &str, count: usize| {
        html! { label { input type="checkbox" name="status" value=(value) checked; " " (word) " (" (count) ")" } }
    };
    html! {
        form #filter role="search" hidden {
            label for="text" { "Filter" }
            input #text type="search" placeholder="part of a name or a file" autocomplete="off";
            fieldset {
                legend.unseen { "Status" }
                (status("failed", "failed", count(&[Verdict::Failed, Verdict::Errored])))
                (status("passed", "passed", count(&[Verdict::Passed])))
                (status("ignored", "not run", count(&[Verdict::Skipped])))
            }
            span #found.soft aria-live="polite" {}
        }
    }
}

fn failures(run: &RunReport, cut: &Cut) -> Markup {
    /// That many are open at once.
    const OPEN: usize = 3;
    let bad = run
        .cases
        .iter()
        .enumerate()
        .filter(|(_, case)| case.is_bad());
    html! {
        section aria-labelledby="failures" {
            h2 #failures { "Failures" }
            @for (n, (number, case)) in bad.enumerate() {
                @if n < cut.failures { (failure(number, case, n < OPEN, cut)) }
                @else if n < cut.lines {
                    p data-status="failed" data-name={ (case.name) " " (case.file) } #{ "case-" (number) } {
                        b.failed { (shown(&case.name, 300)) } ": " (shown(case.error.as_deref().unwrap_or_default(), 200))
                    }
                }
            }
            @if run.bad().count() > cut.lines { p.warn { "and " (run.bad().count() - cut.lines) " more" } }
        }
    }
}

fn failure(number: usize, case: &CaseReport, is_open: bool, cut: &Cut) -> Markup {
    let CaseReport {
        name,
        file,
        error,
        message,
        differences,
        misses,
        uncorrelated,
        outbound,
        late,
        not_compared,
        extra,
        unused,
        warnings,
        advice,
        application_output,
        rerun,
        accept,
        accepted: _,
        pending,
        not_accepted,
        request,
        bodies,
        captured,
        result,
        ..
    } = case;
    let first_line = error.as_deref().unwrap_or_default();
    let (refused, lost): (Vec<_>, Vec<_>) = uncorrelated.iter().partition(|call| call.refused);
    html! {
        details.case #{ "case-" (number) } open[is_open] data-status="failed" data-name={ (name) " " (file) } {
            summary { b { (shown(name, 300)) } ": " (shown(first_line, 300)) " " span.soft { (seconds(case.took_us / 1_000)) } }
            p.soft.mono { (shown(file, 1_000)) }
            @if *result == Verdict::Errored {
                h3 { "It can’t be judged" }
                pre { (shown(message.as_deref().unwrap_or_default(), cut.value)) }
            }
            @if !differences.is_empty() {
                h3 { "What differs in the answer" }
                (difference_table(differences, cut))
                @if let Some(bodies) = bodies { (bodies::side_by_side(bodies, differences, cut)) }
            }
            @if !misses.is_empty() {
                h3 { "Calls that nothing answers" }
                @for miss in misses.iter().take(cut.rows) { (missed(miss, cut)) }
            }
            @if !refused.is_empty() {
                h3 { "Calls that could not be answered" }
                (calls::unowned(&refused, cut))
            }
            @if !lost.is_empty() {
                h3 { "Calls that belong to no session" }
                (calls::unowned(&lost, cut))
                @if lost.iter().any(|call| !call.ambient) {
                    p { "The application must pass " code { "tracestate" } " or " code { "traceparent" } " on to the calls it makes; a host that it calls on its own behalf belongs into " code { "policy.ambient" } "." }
                }
            }
            @if !outbound.is_empty() || !captured.is_empty() {
                h3 { "Outbound calls" }
                (calls::waterfall(case, cut))
            }
            @for call in outbound.iter().filter(|call| !call.differences.is_empty()).take(cut.rows) {
                h3 { "What differs in the call " span.mono { (shown(&call.to_string(), 300)) } @if call.differences.iter().all(|one| !one.fails) { " (a warning)" } }
                (difference_table(&call.differences, cut))
            }
            @if *not_compared > 0 { p.warn { (not_compared) " further calls were answered but not compared, since there was no room to keep their requests" } }
            @if !late.is_empty() {
                h3 { "Calls that came after the case had ended" }
                ul { @for call in late.iter().take(cut.rows) { li.mono { (shown(&call.to_string(), 300)) " (" (call.answer) ")" } } }
                p { "If the application makes them in the background, wait for them: " code { "mocks" } " that answer them, and " code { "outbound: {settleMs: …}" } "." }
            }
            @if !extra.is_empty() {
                h3 { "Calls made more often than captured" }
                ul { @for calls in extra.iter().take(cut.rows) { li.mono { (shown(&calls.name, 300)) ": made " (calls.made) ", captured " (calls.captured) @if !calls.fails { " (a warning)" } } } }
            }
            @if !unused.is_empty() {
                h3 { "Mocks that were never used" }
                ul { @for mock in unused.iter().take(cut.rows) { li.mono { (shown(&mock.name, 300)) @if !mock.fails { " (a warning)" } } } }
                @if let Some(advice) = advice { p { (advice) } }
            }
            @if !warnings.is_empty() {
                h3 { "Notes" }
                ul { @for note in warnings.iter().take(cut.rows) { li { (shown(note, cut.value)) } } }
            }
            @if let Some(request) = request { (sent(request, cut)) }
            @if !application_output.is_empty() {
                h3 { "What the application wrote meanwhile" }
                pre { (shown(&last_lines(application_output, cut.output_lines), cut.value * 4)) }
            }
            @if let Some(rerun) = rerun { h3 { "Run just this case" } (command(rerun)) }
            @if let Some(why) = not_accepted { h3 { "Not accepted" } p { (shown(why, cut.value)) } }
            @if let Some(accept) = accept {
                h3 { @if pending.is_some() { "Look at what differs, and decide" } @else { "If this is right now, accept it" } }
                (command(accept))
            }
        }
    }
}

fn last_lines(lines: &[String], most: usize) -> String {
    let from = lines.len().saturating_sub(most);
    let cut = if from > 0 { "…\n" } else { "" };
    cut.to_owned() + &lines[from..].join("\n")
}

/// Returns a command, with a button that copies it.
fn command(line: &str) -> Markup {
    html! {
        div.command {
            pre { code { (shown(line, 4_000)) } }
            button.copy type="button" aria-label={ "copy: " (shown(line, 200)) } hidden { "copy" }
        }
    }
}

fn difference_table(differences: &[DifferenceReport], cut: &Cut) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "Place" } th scope="col" { "Expected" } th scope="col" { "Actual" } } }
            tbody {
                @for difference in differences.iter().take(cut.rows) { (row(difference, cut)) }
            }
        }
        @if differences.len() > cut.rows { p.warn { "and " (differences.len() - cut.rows) " more places" } }
    }
}

fn row(difference: &DifferenceReport, cut: &Cut) -> Markup {
    let DifferenceReport {
        path,
        expected,
        actual,
        reason,
        diff,
        fails: _,
    } = difference;
    if let Some(diff) = diff {
        return html! {
            tr { td.mono data-th="Place" { (shown(path, 1_000)) } td colspan="2" { (bodies::lines(diff, cut)) @if let Some(reason) = reason { p { (shown(reason, cut.value)) } } } }
        };
    }
    if expected.is_none() && actual.is_none() {
        let reason = reason.as_deref().unwrap_or_default();
        return html! { tr { td.mono data-th="Place" { (shown(path, 1_000)) } td colspan="2" { (shown(reason, cut.value)) } } };
    }
    let (expected, actual) = match (expected, actual) {
        (Some(expected), Some(actual)) => {
            let [expected, actual] = sides::around([expected, actual]);
            (Some(expected), Some(actual))
        }
        sides => (sides.0.clone(), sides.1.clone()),
    };
    let side = |side: &Option<String>| match side {
        Some(text) => html! { (shown(text, cut.value)) },
        None => html! { i { "nothing" } },
    };
    html! {
        tr {
            td.mono data-th="Place" { (shown(path, 1_000)) @if let Some(reason) = reason { p.soft { (shown(reason, cut.value)) } } }
            td.mono.was data-th="Expected" { (side(&expected)) }
            td.mono.is data-th="Actual" { (side(&actual)) }
        }
    }
}

/// Returns a miss beside the captured exchange that comes closest, with the fields that differ.
fn missed(miss: &MissReport, cut: &Cut) -> Markup {
    let MissReport {
        method,
        host,
        path,
        count,
        nearest,
        nearest_captured,
        captured: _,
        differs,
    } = miss;
    let call = format!("{method} {host}{path}");
    html! {
        p { b.mono.failed { (shown(&call, 1_000)) } @if *count > 1 { " (" (count) " times)" } }
        @if !differs.is_empty() {
            table {
                thead { tr { th scope="col" { "Field" } th scope="col" { "Nearest captured exchange" } th scope="col" { "The call" } } }
                tbody {
                    @for field in differs.iter().take(cut.rows) {
                        tr {
                            td.mono data-th="Field" { (shown(&field.field, 300)) }
                            td.mono.was data-th="Captured" { (shown(field.captured.as_deref().unwrap_or("none"), cut.value)) }
                            td.mono.is data-th="The call" { (shown(field.actual.as_deref().unwrap_or("none"), cut.value)) }
                        }
                    }
                }
            }
        }
        @if let Some(captured) = nearest_captured { p { (shown(captured, cut.value)) } }
        @if let Some(nearest) = nearest { p { (shown(nearest, cut.value)) } }
        @if nearest.is_none() && nearest_captured.is_none() { p { "There are no rules at all; add a mock for this call." } }
    }
}

fn sent(request: &RequestReport, cut: &Cut) -> Markup {
    let RequestReport {
        method,
        url,
        headers,
        body,
    } = request;
    html! {
        details.same {
            summary { "The request: " span.mono { (shown(&format!("{method} {url}"), 1_000)) } }
            pre {
                @for (name, value) in words::own_headers(headers).take(cut.rows) { (shown(&format!("{name}: {value}"), cut.value)) "\n" }
                @if !body.is_empty() { "\n" (shown(body, cut.value)) }
            }
        }
    }
}

/// Returns the cases that did not fail, a line each.
fn others(run: &RunReport, verdict: Verdict, title: &str, status: &str, cut: &Cut) -> Markup {
    /// The lines of a part that is laid out only when it is looked at.
    const PART: usize = 100;
    let all: Vec<&CaseReport> = run
        .cases
        .iter()
        .map(|case| &**case)
        .filter(|case| case.result == verdict)
        .collect();
    if all.is_empty() {
        return html! {};
    }
    let shown_cases = &all[..all.len().min(cut.lines)];
    html! {
        section aria-labelledby=(status) {
            h2 #(status) { (title) " (" (all.len()) ")" }
            @for part in shown_cases.chunks(PART) {
                ul.cases.part[part.len() == PART] {
                    @for case in part {
                        li data-status=(status) {
                            span { (shown(&case.name, 300)) }
                            @if let Some(why) = &case.message { ": " (shown(why, 300)) }
                            @else { " " i { (seconds(case.took_us / 1_000)) } }
                            @for note in case.warnings.iter().take(cut.rows) { " " span.warn { (shown(note, 300)) } }
                        }
                    }
                }
            }
            @if all.len() > cut.lines { p.warn { "and " (all.len() - cut.lines) " more" } }
        }
    }
}
