//! What is kept of the last run, for reports of it and for running again what failed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::refusal::Refusal;
use crate::base::encoding::split_mark;
use crate::base::with_causes;
use crate::disk::{Readers, lock, relative, write_whole, write_whole_by};
use crate::report::RunReport;

/// The file that keeps the last run.
const FILE: &str = "last-run.json";
/// The file with the names of the cases that failed.
const FAILED: &str = "failed.json";
/// The folder for runs by cargo-nextest, which runs each case in a process of its own.
const BY_PROCESSES: &str = "nextest";

/// Returns where a page of a run goes for which no other place is named.
pub(crate) fn page_of_last_run(root: &Path) -> PathBuf {
    folder(root).join("report.html")
}

/// Returns the folder in which runs are kept: below `target` in a package of Rust, which git ignores already.
fn folder(root: &Path) -> PathBuf {
    match root.join("Cargo.toml").is_file() {
        true => root.join("target").join("softprobe"),
        false => root.join(".softprobe"),
    }
}

/// Keeps a run in place of the one before. That it can't be kept fails no run.
/// A run of a part of the cases does not forget what failed before in the others.
pub(super) fn keep(root: &Path, run: &RunReport, is_partial: bool) {
    if let Err(error) = try_to_keep(root, run, is_partial) {
        let folder = folder(root);
        log::warn!("{}: the run can't be kept: {error}", folder.display());
        // The one before would be taken for this one.
        let _ = fs::remove_file(folder.join(FILE));
    }
}

/// Keeps a run whose suites can't be read in place of the one before, which would be taken for this one. What failed in that one, and its
/// suites, can still be run again.
pub(super) fn keep_none(root: &Path, refusal: &Refusal) {
    if let Ok(last) = last_run(root) {
        let told = RunReport {
            broke_off: true,
            broke_off_why: Some(did_not_begin(refusal)),
            suite_files: last.suite_files,
            ..RunReport::default()
        };
        keep(root, &told, true);
    }
}

/// Tells why a run did not begin.
pub(super) fn did_not_begin(refusal: &Refusal) -> String {
    let why = refusal.lines.first().map_or("", String::as_str);
    format!("it did not begin: {why}")
}

/// Keeps the names of the cases that failed in a run or did not get to run, and, if it was one of a part of the cases, of those that
/// failed before and were not looked at.
fn keep_failed(root: &Path, run: &RunReport, is_partial: bool) -> std::io::Result<()> {
    let file = folder(root).join(FAILED);
    // Under cargo-nextest, the processes of all cases change it.
    fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(&file)?;
    let _locked = lock(&file)?;
    let mut failed = match is_partial {
        true => failed_before(root),
        false => BTreeSet::new(),
    };
    for case in &run.cases {
        failed.remove(&case.name);
        if case.is_left() {
            failed.insert(case.name.clone());
        }
    }
    let text = serde_json::to_string(&failed)?;
    write_whole(&file, text + "\n", Readers::Owner)
}

/// Returns the names of the cases that failed and have not passed since.
pub(super) fn failed_before(root: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(folder(root).join(FAILED)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn try_to_keep(root: &Path, run: &RunReport, is_partial: bool) -> std::io::Result<()> {
    let folder = folder(root);
    let ignoring = folder.join(".gitignore");
    if !ignoring.exists() {
        write_whole(&ignoring, "*\n", Readers::Usual)?;
    }
    keep_failed(root, run, is_partial)?;
    let file = match nextest_run() {
        None => folder.join(FILE),
        Some(id) => {
            let own = folder.join(BY_PROCESSES).join(id);
            if !own.is_dir() {
                remove_others(&folder.join(BY_PROCESSES), &own);
            }
            let names = run.cases.iter().map(|case| case.name.as_bytes());
            let digest = Sha256::digest(names.collect::<Vec<_>>().concat());
            own.join(format!("{}.json", hex::encode(&digest[..8])))
        }
    };
    write_whole_by(&file, Readers::Owner, |out| {
        let mut out = BufWriter::new(out);
        serde_json::to_writer(&mut out, run)?;
        out.write_all(b"\n")?;
        out.flush()
    })
}

/// Returns the id of the run of cargo-nextest that this process is one of.
fn nextest_run() -> Option<String> {
    let id = std::env::var("NEXTEST_RUN_ID").ok()?;
    let is_name = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    is_name.then_some(id)
}

fn remove_others(folder: &Path, own: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path() != own {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Returns the last run that was kept.
///
/// # Errors
///
/// A refusal that says where none was found, or what is wrong with it.
pub(crate) fn last_run(root: &Path) -> Result<RunReport, Refusal> {
    let folder = folder(root);
    let whole = folder.join(FILE);
    let time = |path: &Path| fs::metadata(path).and_then(|there| there.modified()).ok();
    let runs = fs::read_dir(folder.join(BY_PROCESSES));
    let runs = runs.into_iter().flatten().flatten().map(|run| run.path());
    let newest = runs.max_by_key(|run| time(run));
    let by_processes = newest.filter(|run| time(run) > time(&whole));
    let files: Vec<PathBuf> = match &by_processes {
        None => vec![whole],
        Some(run) => {
            let parts = fs::read_dir(run).into_iter().flatten().flatten();
            let mut parts: Vec<PathBuf> = parts.map(|part| part.path()).collect();
            parts.sort();
            parts
        }
    };
    let runs = files.iter().map(|file| read(file));
    let mut runs = runs.collect::<Result<Vec<RunReport>, Refusal>>()?;
    Ok(match (runs.len(), runs.pop()) {
        (1, Some(run)) => run,
        (_, last) => RunReport::merged(runs.into_iter().chain(last).collect()),
    })
}

/// Reads a file that a run has kept.
///
/// # Errors
///
/// A refusal that names the file, what is wrong with it, and where.
pub(crate) fn read(file: &Path) -> Result<RunReport, Refusal> {
    let shown = relative(file).display().to_string();
    let text = fs::read_to_string(file).map_err(|error| {
        Refusal::invalid(vec![match error.kind() {
            std::io::ErrorKind::NotFound => {
                format!(
                    "{shown}: no run is kept there; run a suite first, or name the file of a run"
                )
            }
            _ => format!("{shown}: can't be read: {error}"),
        }])
    })?;
    let (_, text) = split_mark(&text);
    RunReport::read(text)
        .map_err(|why| Refusal::invalid(vec![format!("{shown}: {}", with_causes(&why))]))
}
