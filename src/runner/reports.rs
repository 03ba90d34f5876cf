//! Writes the reports of a run to the files that were asked for.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::refusal::Refusal;
use crate::base::{unless_blank, visible_line};
use crate::disk::{Readers, remove, write_whole};
use crate::report::{
    CaseReport, MOST_MARKDOWN, RunReport, annotations, junit, markdown, markdown_of_failure, page,
    trace,
};
use crate::screen;

/// The flags about where reports go.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ReportFlags {
    /// Write a JUnit report to this file
    #[arg(long, value_name = "PATH", env = "SOFTPROBE_JUNIT")]
    pub(crate) junit: Option<String>,
    /// Write a page for a browser to this file: one file, which needs no network
    #[arg(
        long,
        value_name = "PATH",
        env = "SOFTPROBE_HTML",
        visible_alias = "report"
    )]
    pub(crate) html: Option<String>,
    /// Write a summary in Markdown to this file, and each failure to a file of its own in a folder of the same name without `.md`
    #[arg(long, value_name = "PATH", env = "SOFTPROBE_MARKDOWN")]
    pub(crate) markdown: Option<String>,
    /// Write a timeline to this file, in the format of Chrome's traces: ui.perfetto.dev shows it
    #[arg(long, value_name = "PATH", env = "SOFTPROBE_TRACE")]
    pub(crate) trace: Option<String>,
}

/// What begins each file of a failure: only such files are removed when a later run has other failures.
const OF_FAILURE: &str = "<!-- a failure, as softprobe tells it -->\n";

impl ReportFlags {
    /// Returns the flags, with blank variables treated as unset.
    pub(crate) fn without_blanks(self) -> Self {
        let Self {
            junit,
            html,
            markdown,
            trace,
        } = self;
        let filled = unless_blank::<String>;
        Self {
            junit: filled(junit),
            html: filled(html),
            markdown: filled(markdown),
            trace: filled(trace),
        }
    }

    /// Returns whether any report goes to a file.
    pub(crate) fn is_any(&self) -> bool {
        self.paths().next().is_some()
    }

    /// Returns where reports go.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        let Self {
            junit,
            html,
            markdown,
            trace,
        } = self;
        let paths = [junit, html, markdown, trace].into_iter().flatten();
        paths.map(Path::new)
    }

    /// Writes the reports that were asked for. One that can't be written keeps none of the others from being written.
    ///
    /// # Errors
    ///
    /// A line for each report that can't be written, with its path.
    pub(crate) fn write(&self, run: &RunReport) -> Result<(), Refusal> {
        let Self {
            junit,
            html,
            markdown,
            trace: timeline,
        } = self;
        let mut faults = Vec::new();
        let mut note = |path: &str, written: Result<(), String>| {
            faults.extend(
                written
                    .err()
                    .map(|why| format!("{path}: can't be written: {why}")),
            );
        };
        if let Some(path) = junit {
            note(path, render_junit(run).and_then(|text| put(path, &text)));
        }
        if let Some(path) = html {
            note(path, put(path, &page(run)));
        }
        if let Some(path) = timeline {
            note(path, put(path, &trace(run)));
        }
        if let Some(path) = markdown {
            note(path, put_markdown(path, run));
        }
        match faults.is_empty() {
            true => Ok(()),
            false => Err(Refusal::failures(faults)),
        }
    }
}

fn put(path: &str, text: &str) -> Result<(), String> {
    put_at(Path::new(path), text)
}

/// Writes a report. Where it can't be written, the one of an earlier run goes: it would be taken for this one.
fn put_at(path: &Path, text: &str) -> Result<(), String> {
    write_whole(path, text, Readers::Usual).map_err(|error| {
        remove(path);
        error.to_string()
    })
}

/// Returns the run as JUnit XML.
///
/// # Errors
///
/// Why it can't be written as XML.
pub(super) fn render_junit(run: &RunReport) -> Result<String, String> {
    junit(run).map_err(|error| format!("the JUnit report can't be made: {error}"))
}

/// Writes the summary, and the failures beside it; to what is no regular file, the summary alone.
fn put_markdown(path: &str, run: &RunReport) -> Result<(), String> {
    let target = Path::new(path);
    let there = fs::metadata(target);
    let summary = match path.ends_with('/') || there.as_ref().is_ok_and(fs::Metadata::is_dir) {
        true => target.join("summary.md"),
        false => target.to_owned(),
    };
    let summary = summary.as_path();
    if fs::metadata(summary).is_ok_and(|there| !there.is_file()) {
        return put(path, &markdown(run, &|_| None));
    }
    let folder = match summary.extension() {
        Some(_) => summary.with_extension(""),
        None => {
            let mut name = summary.as_os_str().to_owned();
            name.push(".failures");
            PathBuf::from(name)
        }
    };
    let files = failure_files(run);
    let shown = folder.file_name().unwrap_or_default().to_string_lossy();
    let file_of = |case: &CaseReport| {
        let mut files = files.iter();
        let (_, file) = files.find(|(own, _)| std::ptr::eq(*own, case))?;
        Some(format!("{}/{file}", link(&shown)))
    };
    put_at(summary, &markdown(run, &file_of))?;
    remove_old(&folder, &files);
    let mut first = Ok(());
    for (case, file) in &files {
        let own = folder.join(file);
        let text = format!("{OF_FAILURE}{}", markdown_of_failure(case));
        let written = put_at(&own, &text);
        first = first.and(written.map_err(|why| format!("{}: {why}", own.display())));
    }
    first
}

/// Returns a name of a folder as it stands in a link.
fn link(name: &str) -> String {
    let escaped = |c: char| match c {
        c if c.is_alphanumeric() || ['-', '_', '.'].contains(&c) => c.to_string(),
        c => c
            .to_string()
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect(),
    };
    name.chars().map(escaped).collect()
}

/// Returns the failures with the names of their files, no two of which are equal even where letters are not told apart by case.
fn failure_files(run: &RunReport) -> Vec<(&CaseReport, String)> {
    /// In bytes; file systems take names of 255.
    const LONGEST: usize = 180;
    let mut taken: HashMap<String, usize> = HashMap::new();
    let files = run.bad().map(|case| {
        let kept = |c: char| c.is_alphanumeric() || ['-', '_'].contains(&c);
        let name: String = case
            .name
            .replace("::", "-")
            .chars()
            .map(|c| if kept(c) { c } else { '-' })
            .scan(0, |length, c| {
                *length += c.len_utf8();
                (*length <= LONGEST).then_some(c)
            })
            .collect();
        // Those of one name have a number that no other name ends with.
        let count = taken.entry(name.to_lowercase()).or_default();
        *count += 1;
        let file = match *count {
            1 => format!("{name}.md"),
            n => format!("{name}~{n}.md"),
        };
        (case, file)
    });
    files.collect()
}

/// Removes the files of failures that an earlier run has written, and this one does not write.
fn remove_old(folder: &Path, files: &[(&CaseReport, String)]) {
    let new: HashSet<&str> = files.iter().map(|(_, file)| file.as_str()).collect();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if new.contains(&*name.to_string_lossy()) || !name.to_string_lossy().ends_with(".md") {
            continue;
        }
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        if text.starts_with(OF_FAILURE) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Tells GitHub what failed, if the run is one of its actions: beside the lines of files, and in the summary of the step.
pub(super) fn tell_github(run: &RunReport) {
    screen::write(annotations(run).as_bytes());
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return;
    };
    let text = markdown(run, &|_| None);
    let taken = fs::metadata(&path).map_or(0, |there| there.len());
    // With more than it takes, GitHub shows nothing at all.
    if taken.saturating_add(text.len() as u64) > MOST_MARKDOWN as u64 + 64 * 1024 {
        log::warn!("the step's summary has no room for this run");
        return;
    }
    let file = fs::OpenOptions::new().append(true).create(true).open(&path);
    if let Err(error) = file.and_then(|mut file| file.write_all(text.as_bytes())) {
        let shown = Path::new(&path).display().to_string();
        let line = format!("warning: {shown}: the summary can't be written: {error}");
        screen::line(&visible_line(&line));
    }
}

/// Returns whether cargo-nextest runs this process, which then has one case of many.
pub(super) fn by_nextest() -> bool {
    std::env::var_os("NEXTEST").is_some()
}

/// Returns whether the run is one of GitHub's actions.
pub(super) fn on_github() -> bool {
    std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}
