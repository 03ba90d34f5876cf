//! The cases that a command writes: how, and what is told of them.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::files;
use super::inspect::{cell, table};
use super::output::{Failed, invalid};
use crate::case::Case;
use crate::recorder::{Destination, Left, Recorded, Summary};
use crate::scrub::{Rules, Scrubber};

/// The most cases that a table has.
const MOST_ROWS: usize = 50;

/// How cases are written.
#[derive(Debug, clap::Args)]
pub(super) struct WritingFlags {
    /// Leave out what is like a case that stands: the same method, path but for ids, status, shapes of bodies, and calls
    #[arg(long)]
    distinct: bool,
    /// Write secrets as they are
    #[arg(long)]
    no_scrub: bool,
    /// JSON or YAML file with what else is a secret, as for scrub --rules
    #[arg(long, value_name = "FILE", conflicts_with = "no_scrub")]
    scrub_rules: Option<PathBuf>,
    /// Key for the hash in placeholders of secrets
    #[arg(long, hide = true, env = "SOFTPROBE_SCRUB_KEY", hide_env_values = true)]
    scrub_key: Option<String>,
}

impl WritingFlags {
    /// Returns how cases are written to a folder.
    pub(super) fn destination(&self, folder: PathBuf) -> Result<Destination, Failed> {
        let rules = match &self.scrub_rules {
            None => Rules::default(),
            Some(path) => {
                Rules::read(&files::read_rules(path)?).map_err(|why| invalid(path, why))?
            }
        };
        let key = self.scrub_key.as_deref().unwrap_or_default();
        Ok(Destination {
            folder,
            scrubber: (!self.no_scrub).then(|| Scrubber::new(rules, key.as_bytes())),
            distinct: self.distinct,
        })
    }
}

/// Reads the cases that were written.
pub(super) fn cases_of(summary: &Summary) -> Result<Vec<(PathBuf, Case)>, Failed> {
    let read = summary.recorded.iter().map(|Recorded { file, .. }| {
        let case = Case::from_file(file).map_err(|error| invalid(file, error.cause))?;
        Ok((file.clone(), case))
    });
    read.collect()
}

/// Tells what was left out, what can't be replayed, and what to know of the rest.
pub(super) fn tell_left(summary: &Summary, left_out: &str, out: &mut String) {
    // Writing to a String can't fail.
    for Left {
        what,
        why,
        count,
        is_lost: _,
    } in &summary.left
    {
        let times = match count {
            1 => String::new(),
            n => format!(" ({n} times)"),
        };
        let _ = writeln!(out, "{left_out}: {what}{times}: {why}");
    }
    for Recorded { file, unusable, .. } in &summary.recorded {
        if let Some(why) = unusable {
            let _ = writeln!(out, "can't be replayed: {}: {why}", file.display());
        }
    }
    for note in &summary.notes {
        let _ = writeln!(out, "note: {note}");
    }
}

/// Returns a table of cases.
pub(super) fn recorded_table(recorded: &[Recorded]) -> String {
    let mut table = table(&["request", "status", "calls", "file"]);
    for recorded in recorded.iter().take(MOST_ROWS) {
        let Recorded {
            file,
            request,
            status,
            calls,
            unusable: _,
        } = recorded;
        table.add_row(vec![
            cell(request),
            cell(status.to_string()),
            cell(calls.to_string()),
            cell(file.display().to_string()),
        ]);
    }
    let mut text = format!("{table}\n");
    let more = recorded.len().saturating_sub(MOST_ROWS);
    if more > 0 {
        let _ = writeln!(text, "and {more} more");
    }
    text
}

/// Returns a case as JSON.
pub(super) fn recorded_value(recorded: &Recorded) -> Value {
    let Recorded {
        file,
        request,
        status,
        calls,
        unusable,
    } = recorded;
    json!({
        "file": file.display().to_string(),
        "request": request,
        "status": status,
        "calls": calls,
        "unusable": unusable,
    })
}

/// Returns what is left out as JSON.
pub(super) fn left_value(left: &Left) -> Value {
    let Left {
        what,
        why,
        count,
        is_lost,
    } = left;
    json!({"what": what, "why": why, "count": count, "lost": is_lost})
}
