//! What came of a recording, for people and as JSON.

use std::fmt::Write as _;
use std::path::Path;

use crate::base::encoding::shell_word;
use crate::cli::first::Written;
use crate::cli::output::Output;
use crate::cli::recorded::{left_value, recorded_table, recorded_value, tell_left};
use crate::cli::validate::counted;
use crate::recorder::Summary;

/// How a recording ended, besides what it recorded.
pub(super) struct Outcome<'a> {
    /// The driver's exit code, if there was one that ended by itself.
    pub(super) driver: Option<u8>,
    /// The exit code for the signal that broke the driver off.
    pub(super) interrupted: Option<u8>,
    /// Whether the application ended by itself.
    pub(super) app_ended: bool,
    /// The suite's file, and what was done to it, if there was something for it.
    pub(super) suite: Option<(&'a Path, Result<Option<Written>, String>)>,
    pub(super) is_launched: bool,
}

/// Returns the result of the command.
pub(super) fn told(summary: &Summary, outcome: &Outcome<'_>) -> Output {
    let Summary {
        recorded,
        left,
        alike,
        shared,
        shared_dropped,
        notes,
        has_unnamed: _,
        host: _,
    } = summary;
    let mut text = String::new();
    if !recorded.is_empty() {
        text.push_str(&recorded_table(recorded));
    }
    // Writing to a String can't fail.
    let _ = writeln!(text, "recorded {}", counted(recorded.len(), "case"));
    if *alike > 0 {
        let _ = writeln!(text, "left out {alike} that are like others");
    }
    if let Some((count, file)) = shared {
        let calls = counted(*count, "call");
        let _ = writeln!(text, "{calls} outside of requests: {}", file.display());
    }
    if *shared_dropped > 0 {
        let _ = writeln!(
            text,
            "warning: {shared_dropped} more calls outside of requests were not recorded"
        );
    }
    tell_left(summary, "not recorded", &mut text);
    let next = next(summary, outcome, &mut text);
    let unwritten = match &outcome.suite {
        Some((_, Err(why))) => Some(why),
        _ => None,
    };
    let lost = left.iter().any(|left| left.is_lost);
    let unusable = recorded.iter().any(|recorded| recorded.unusable.is_some());
    let output = if let Some(code) = outcome.interrupted {
        Output::of_failed_command(code, text, "interrupted")
    } else if let Some(code @ 1..) = outcome.driver {
        Output::of_failed_command(
            code,
            text,
            format!("the driver ended with exit code {code}"),
        )
    } else if let Some(why) = unwritten {
        let message = format!("the cases are recorded, but the suite can't be written: {why}");
        Output::incomplete(text, "suite_not_written", &message)
    } else if outcome.app_ended {
        Output::incomplete(text, "application_ended", "the application ended meanwhile")
    } else if recorded.is_empty() && *alike == 0 {
        let message = "nothing was recorded: no request to APP_URL was answered by the application";
        Output::incomplete(text, "nothing_recorded", message)
    } else if lost || unusable {
        let message = "not everything was recorded so that it can be replayed";
        Output::incomplete(text, "incomplete", message)
    } else {
        Output::fine(text)
    };
    let recorded = recorded.iter().map(recorded_value);
    let left = left.iter().map(left_value);
    output
        .field("recorded", recorded.collect::<Vec<_>>())
        .field("notRecorded", left.collect::<Vec<_>>())
        .field("alike", *alike)
        .field(
            "shared",
            shared.as_ref().map(|(_, file)| file.display().to_string()),
        )
        .field("notes", notes.clone())
        .field("driverExitCode", outcome.driver)
        .field(
            "suite",
            outcome
                .suite
                .as_ref()
                .map(|(file, _)| file.display().to_string()),
        )
        .field("next", next)
}

/// Tells what was done to the suite and what to do next; returns the next command.
fn next(summary: &Summary, outcome: &Outcome<'_>, text: &mut String) -> Option<String> {
    let (file, written) = outcome.suite.as_ref()?;
    let shown = file.display().to_string();
    let written = written.as_ref().ok()?.as_ref()?;
    if summary.has_unnamed && !matches!(written, Written::New) {
        let _ = writeln!(
            text,
            "note: some calls do not carry the trace headers on: these cases need `concurrency: serial` in {shown}"
        );
    }
    let app = match outcome.is_launched {
        true => "",
        false => " --app-url URL --proxy-listen ADDR",
    };
    let next = format!("softprobe suite run {}{app}", shell_word(&shown));
    let done = written.told(&shown);
    let _ = writeln!(text, "{done}; replay it with:\n\n  {next}\n");
    Some(next)
}
