//! What came of an import, for people and as JSON.

use std::fmt::Write as _;
use std::path::Path;

use crate::base::encoding::shell_word;
use crate::cli::first::Written;
use crate::cli::output::Output;
use crate::cli::recorded::{left_value, recorded_table, recorded_value, tell_left};
use crate::cli::validate::counted;
use crate::recorder::Summary;

/// Returns the result of the command.
pub(super) fn told(
    summary: &Summary,
    suite: Option<(&Path, Result<Option<Written>, String>)>,
) -> Output {
    let Summary {
        recorded,
        left,
        alike,
        ..
    } = summary;
    let mut text = String::new();
    if !recorded.is_empty() {
        text.push_str(&recorded_table(recorded));
    }
    // Writing to a String can't fail.
    let _ = writeln!(text, "imported {}", counted(recorded.len(), "case"));
    if *alike > 0 {
        let _ = writeln!(text, "left out {alike} that are like others");
    }
    tell_left(summary, "not imported", &mut text);
    let mut next = None;
    if let Some((file, Ok(Some(written)))) = &suite {
        let shown = file.display().to_string();
        let done = written.told(&shown);
        let command = format!("softprobe suite run {} -- COMMAND", shell_word(&shown));
        let _ = writeln!(
            text,
            "{done}; replay it with the command that starts the application:\n\n  {command}\n"
        );
        next = Some(command);
    }
    let is_incomplete = left.iter().any(|left| left.is_lost)
        || recorded.iter().any(|recorded| recorded.unusable.is_some());
    let output = if let Some((_, Err(why))) = &suite {
        let message = format!("the cases are written, but the suite can't be: {why}");
        Output::incomplete(text, "suite_not_written", &message)
    } else if recorded.is_empty() && *alike == 0 {
        Output::incomplete(text, "nothing_imported", "nothing was imported")
    } else if is_incomplete {
        let message = "not everything was imported so that it can be replayed";
        Output::incomplete(text, "incomplete", message)
    } else {
        Output::fine(text)
    };
    output
        .field(
            "imported",
            recorded.iter().map(recorded_value).collect::<Vec<_>>(),
        )
        .field(
            "notImported",
            left.iter().map(left_value).collect::<Vec<_>>(),
        )
        .field("alike", *alike)
        .field("notes", summary.notes.clone())
        .field("suite", suite.map(|(file, _)| file.display().to_string()))
        .field("next", next)
}
