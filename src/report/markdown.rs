//! A run as Markdown: for the summary of a step on GitHub, for tickets, and for agents.

use std::fmt::Write as _;

use super::outcome::Verdict;
use super::sides::around;
use super::told::{CallReport, CaseReport, CauseReport, DifferenceReport, MissReport, RunReport};
use super::words;
use crate::base::visible;

/// The most bytes that GitHub shows of a summary, with room for what other steps write.
pub(crate) const MOST_BYTES: usize = 900 * 1024;

/// The characters after which a value is cut.
const LONGEST_VALUE: usize = 2_000;

/// The bytes of what an application wrote that a summary shows: the last ones, which tell most.
const LONGEST_OUTPUT: usize = 4_000;

/// Returns a summary of a run: the verdict, what cases fail for, and the failures, as many as there is room for. `file_of` names
/// the file that tells a failure whole, if there is one.
pub(crate) fn summary(run: &RunReport, file_of: &dyn Fn(&CaseReport) -> Option<String>) -> String {
    let mut out = String::new();
    let failed = run.count(&[Verdict::Failed, Verdict::Errored]);
    let passed = run.count(&[Verdict::Passed]);
    let skipped = run.count(&[Verdict::Skipped]);
    let verdict = match (failed, run.broke_off) {
        (0, true) => "The run broke off".to_owned(),
        (0, false) if passed == 0 => "No case was run".to_owned(),
        (0, false) => format!("{passed} passed"),
        _ => format!("{failed} of {} failed", run.cases.len()),
    };
    // Writing to a String can't fail.
    let _ = writeln!(out, "# Softprobe: {verdict}\n");
    let ms = run.took_ms;
    let _ = writeln!(
        out,
        "{passed} passed, {failed} failed, {skipped} not run, in {}.{:03} s\n",
        ms / 1_000,
        ms % 1_000
    );
    if run.broke_off {
        out.push_str("**The run broke off before all of its cases had ended.** What it did not get to is not known to be right.\n\n");
        if let Some(why) = &run.broke_off_why {
            let _ = writeln!(out, "{}\n", code(why));
        }
    }
    if !run.causes.is_empty() {
        out.push_str("## Why they fail\n\n");
        for cause in &run.causes {
            let told = cause_of(cause);
            if out.len() + told.len() > MOST_BYTES / 2 {
                out.push_str("- and more\n");
                break;
            }
            out.push_str(&told);
        }
        out.push('\n');
    }
    if failed > 0 {
        out.push_str("## Failures\n\n");
    }
    for (n, case) in run.bad().enumerate() {
        let mut told = told(case, LONGEST_OUTPUT);
        if let Some(file) = file_of(case) {
            let _ = writeln!(told, "[The failure in a file of its own]({file})\n");
        }
        let room = (MOST_BYTES - 200).saturating_sub(out.len());
        if told.len() > room {
            // A large one does not keep others out.
            told = in_short(case, file_of(case));
        }
        if told.len() > room {
            let more = match failed - n {
                1 => "one more failure".to_owned(),
                n => format!("{n} more failures"),
            };
            let _ = writeln!(out, "and {more}, for which there is no room here");
            break;
        }
        out.push_str(&told);
    }
    out
}

/// Returns a failure in a few lines.
fn in_short(case: &CaseReport, file: Option<String>) -> String {
    let error = case.error.as_deref().unwrap_or_default();
    let mut out = format!("### {}\n\n{}\n\n", code(&case.name), code(error));
    if let Some(file) = file {
        let _ = writeln!(out, "[The failure in a file of its own]({file})\n");
    }
    out
}

fn cause_of(cause: &CauseReport) -> String {
    let CauseReport {
        message,
        mend,
        accept: _,
        cases,
        ..
    } = cause;
    let (count, names) = (words::cases(cases.len()), words::named(cases, code));
    let mut out = format!("- **{count}**: {}\n  {names}\n", code(message));
    if !mend.is_empty() {
        let _ = writeln!(out, "  {}", code(mend));
    }
    out
}

/// Returns a failure, with all that the application wrote.
pub(crate) fn failure(case: &CaseReport) -> String {
    told(case, usize::MAX)
}

/// Returns a failure: what differs, the calls, the request, what the application wrote, and the commands.
fn told(case: &CaseReport, longest_output: usize) -> String {
    let mut out = format!("### {}\n\n{}\n\n", code(&case.name), code(&case.file));
    if case.result == Verdict::Errored {
        out.push_str("It can't be judged:\n\n");
        out.push_str(&block("", case.message.as_deref().unwrap_or_default()));
    }
    section(
        &mut out,
        "What differs in the answer",
        &case.differences,
        difference,
    );
    section(&mut out, "Calls that nothing answers", &case.misses, miss);
    section(
        &mut out,
        "Calls that could not be answered, or belong to no session",
        &case.uncorrelated,
        |call| {
            let shown = format!("{} {}{}", call.method, call.host, call.path);
            format!("- {}: {}\n", code(&shown), code(&call.reason))
        },
    );
    section(&mut out, "Outbound calls", &case.outbound, call);
    section(
        &mut out,
        "Calls that came after the case had ended",
        &case.late,
        call,
    );
    if !case.late.is_empty() {
        out.push_str(
            "If the application makes them in the background, wait for them: `mocks` that answer them, and `outbound: {settleMs: …}`.\n\n",
        );
    }
    section(
        &mut out,
        "Calls made more often than captured",
        &case.extra,
        |calls| {
            format!(
                "- {}: made {}, captured {}\n",
                code(&calls.name),
                calls.made,
                calls.captured
            )
        },
    );
    section(
        &mut out,
        "Mocks that were never used",
        &case.unused,
        |mock| format!("- {}\n", code(&mock.name)),
    );
    section(&mut out, "Notes", &case.warnings, |note| {
        format!("- {}\n", code(note))
    });
    if let Some(request) = &case.request {
        let mut text = format!("{} {}\n", request.method, request.url);
        for (name, value) in words::own_headers(&request.headers) {
            let _ = writeln!(text, "{name}: {value}");
        }
        let _ = write!(text, "\n{}", request.body);
        out.push_str("The request:\n\n");
        out.push_str(&block("http", &text));
    }
    if !case.application_output.is_empty() {
        out.push_str("The application wrote meanwhile:\n\n");
        let written = case.application_output.join("\n");
        out.push_str(&fenced("", &visible(tail(&written, longest_output))));
    }
    for (title, command) in [
        ("Run just this case", &case.rerun),
        ("If this is right now, accept it", &case.accept),
    ] {
        if let Some(command) = command {
            let _ = writeln!(out, "{title}:\n\n{}", block("sh", command));
        }
    }
    out
}

fn section<T>(out: &mut String, title: &str, items: &[T], shown: impl Fn(&T) -> String) {
    if items.is_empty() {
        return;
    }
    let _ = writeln!(out, "{title}:\n");
    items.iter().for_each(|item| out.push_str(&shown(item)));
    out.push('\n');
}

fn difference(difference: &DifferenceReport) -> String {
    let DifferenceReport {
        path,
        expected,
        actual,
        reason,
        diff,
        fails,
    } = difference;
    let warning = if *fails { "" } else { " (a warning)" };
    let mut out = format!("- {}{warning}\n", code(path));
    if let Some(diff) = diff {
        let _ = writeln!(out, "\n{}", indented(&block("diff", diff)));
    } else if expected.is_some() || actual.is_some() {
        let sides = match (expected, actual) {
            (Some(expected), Some(actual)) => around([expected, actual]).map(Some),
            (expected, actual) => [expected.clone(), actual.clone()],
        };
        for (word, side) in ["expected", "actual"].into_iter().zip(sides) {
            let side = side.as_deref().map_or("nothing".to_owned(), code);
            let _ = writeln!(out, "  - {word} {side}");
        }
    }
    if let Some(reason) = reason {
        let _ = writeln!(out, "  - {}", code(reason));
    }
    out
}

fn miss(miss: &MissReport) -> String {
    let shown = format!("{} {}{}", miss.method, miss.host, miss.path);
    let times = match miss.count {
        0 | 1 => String::new(),
        n => format!(" ({n} times)"),
    };
    let mut out = format!("- {}{times}\n", code(&shown));
    for near in [&miss.nearest_captured, &miss.nearest]
        .into_iter()
        .flatten()
    {
        let _ = writeln!(out, "  - {}", code(near));
    }
    out
}

fn call(call: &CallReport) -> String {
    let rule = match &call.rule {
        Some(rule) => format!(" by {}", code(rule)),
        None => String::new(),
    };
    let mut out = format!("- {}: {}{rule}\n", code(&call.to_string()), call.answer);
    for one in &call.differences {
        out.push_str(&indented(&difference(one)));
    }
    out
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| match line {
        "" => "\n".to_owned(),
        line => format!("  {line}\n"),
    });
    lines.collect()
}

/// Returns a text as code within a line: nothing in it is read as Markdown or HTML.
fn code(text: &str) -> String {
    let text = cut(text).replace(['\n', '\r', '\t'], " ");
    if text.trim().is_empty() {
        return "(empty)".to_owned();
    }
    let fence = "`".repeat(longest_run(&text) + 1);
    // A space inside each end is no part of the code, and keeps its own backticks from the fence.
    let room = if fence.len() > 1 || text.starts_with(' ') {
        " "
    } else {
        ""
    };
    format!("{fence}{room}{text}{room}{fence}")
}

/// Returns a text as a block of code.
fn block(language: &str, text: &str) -> String {
    fenced(language, &cut(text))
}

fn fenced(language: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n\n", text.trim_end())
}

/// Returns the whole lines at the end of a text that have no more than this many bytes.
fn tail(text: &str, most: usize) -> &str {
    let Some(from) = text.len().checked_sub(most) else {
        return text;
    };
    let start = (from..text.len()).find(|at| text.is_char_boundary(*at));
    let rest = &text[start.unwrap_or(text.len())..];
    rest.split_once('\n').map_or(rest, |(_, whole)| whole)
}

fn longest_run(text: &str) -> usize {
    let runs = text.split(|c| c != '`').map(str::len);
    runs.max().unwrap_or_default()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_VALUE) {
        None => visible(text).into_owned(),
        Some((end, _)) => format!(
            "{}… ({} more bytes)",
            visible(&text[..end]),
            text.len() - end
        ),
    }
}
