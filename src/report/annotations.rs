//! What GitHub shows beside the lines of files: its workflow commands.

use super::told::{CauseReport, RunReport};
use super::words;
use crate::base::visible;

/// How many reasons are told: GitHub shows ten annotations of a step and drops the others.
const MOST: usize = 9;

/// Returns a line for each of the reasons for which most cases fail, and one that counts the others.
pub(crate) fn annotations(run: &RunReport) -> String {
    let mut lines: Vec<String> = run.causes.iter().take(MOST).map(annotation).collect();
    let more = &run.causes[run.causes.len().min(MOST)..];
    if !more.is_empty() {
        let cases: usize = more.iter().map(|cause| cause.cases.len()).sum();
        let message = format!(
            "and {} more reasons, for which {cases} cases fail",
            more.len()
        );
        lines.push(format!("::error title=softprobe::{}\n", data(&message)));
    }
    if run.broke_off {
        let why = run.broke_off_why.as_deref();
        let why = why.map_or(String::new(), |why| format!(": {why}"));
        let message = format!("the run broke off before all of its cases had ended{why}");
        lines.truncate(MOST);
        lines.push(format!("::error title=softprobe::{}\n", data(&message)));
    }
    lines.concat()
}

fn annotation(cause: &CauseReport) -> String {
    let CauseReport {
        key: _,
        message,
        mend,
        accept: _,
        cases,
        file,
        line,
    } = cause;
    let fail = if cases.len() == 1 { "fails" } else { "fail" };
    let count = format!("{} {fail}", words::cases(cases.len()));
    let mut place = String::new();
    if let Some(file) = file {
        place.push_str(&format!("file={},", property(file)));
    }
    if let Some(line) = line {
        place.push_str(&format!("line={line},"));
    }
    let names = words::named(cases, str::to_owned);
    let text = format!("{message}\n{names}\n{mend}");
    format!(
        "::error {place}title={}::{}\n",
        property(&format!("softprobe: {count}")),
        data(text.trim_end())
    )
}

/// Escapes a message.
fn data(text: &str) -> String {
    visible(text)
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes a value among others.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
