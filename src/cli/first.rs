//! Writes the first suite for captures, or adds captures to a suite that stands.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::files;
use super::output::{Failed, arguments, invalid};
use crate::case::Case;
use crate::disk::{self, Readers};
use crate::suite::{Addition, FirstCase, FirstSuite, extended, parse_yaml};

/// What was done to a suite.
pub(super) enum Written {
    /// It was written.
    New,
    /// It stood, and what was new was added.
    Extended,
    /// It stood, and nothing was new.
    Unchanged,
}

/// Returns the name of a suite: this one, or that of its file, or `first`.
pub(super) fn suite_name(given: Option<String>, file: Option<&Path>) -> Result<String, Failed> {
    let stem = file.and_then(Path::file_name);
    let stem = stem.map(|name| name.to_string_lossy().into_owned());
    let stem = stem.and_then(|name| Some(name.split('.').next()?.to_owned()));
    let name = given.or(stem).unwrap_or_else(|| "first".to_owned());
    match name.trim().is_empty() || name.starts_with('-') {
        false => Ok(name),
        true => Err(arguments(
            "--name: a name must not be empty or start with `-`",
        )),
    }
}

/// Returns the elements of `cases` for these files, as a suite in a folder names them.
pub(super) fn first_cases(folder: &Path, cases: &[(PathBuf, Case)]) -> Vec<FirstCase> {
    let element = |(path, case): &(PathBuf, Case)| {
        let mut element = FirstCase::new(named_from(folder, path));
        element.skip = case
            .unusable()
            .map(|(exchange, why)| format!("{}: {why}", exchange.summary()));
        if let Ok(None) = case.inbound() {
            element.comment = Some(
                "This case has no inbound exchange: give `request: {source: inline, method, path, body}` in overrides.",
            );
        }
        element
    };
    cases.iter().map(element).collect()
}

/// Returns a file's path as a suite in a folder names it.
pub(super) fn named_from(folder: &Path, file: &Path) -> String {
    with_slashes(&relative_to(folder, file))
}

/// Writes a suite, or adds to one that stands what it lacks; nothing else in it is changed.
pub(super) fn write_suite(file: &Path, suite: &FirstSuite<'_>) -> Result<Written, Failed> {
    if !file.exists() {
        files::write(file, &suite.write(), Readers::Usual)?;
        return Ok(Written::New);
    }
    let text = files::read_text(file)?;
    let document = parse_yaml(&text).map_err(|faults| invalid(file, faults.join("; ")))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let known = known_files(folder, &document["cases"]);
    let is_new = |case: &&FirstCase| !known.contains(&whole(&folder.join(&case.path)));
    let addition = Addition {
        cases: suite.cases.iter().filter(is_new).cloned().collect(),
        masked: &suite.masked,
        shared: &suite.shared,
    };
    let extended = extended(&text, &addition).map_err(|why| invalid(file, why))?;
    if extended == text {
        return Ok(Written::Unchanged);
    }
    files::write(file, &extended, Readers::Usual)?;
    Ok(Written::Extended)
}

/// Returns the files that a suite's elements of `cases` stand for.
fn known_files(folder: &Path, cases: &serde_json::Value) -> BTreeSet<PathBuf> {
    let elements = match cases {
        serde_json::Value::Array(elements) => elements.as_slice(),
        one => std::slice::from_ref(one),
    };
    let paths = elements
        .iter()
        .filter_map(|element| element.get("path").unwrap_or(element).as_str());
    let root = disk::project_root();
    let files = paths.filter_map(|path| disk::files(path, &[folder, &root]).ok());
    files
        .flat_map(|found| found.files)
        .map(|file| whole(&file))
        .collect()
}

fn whole(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Returns a file's path relative to a folder; unchanged unless both are plain paths below the working
/// directory.
pub(super) fn relative_to(folder: &Path, file: &Path) -> PathBuf {
    let is_plain = |path: &Path| {
        let mut parts = path.components();
        parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    };
    if !is_plain(folder) || !is_plain(file) {
        return file.to_owned();
    }
    let parts = |path: &Path| -> Vec<PathBuf> {
        let parts = path.components().filter(|part| *part != Component::CurDir);
        parts.map(|part| PathBuf::from(part.as_os_str())).collect()
    };
    let (folder, file) = (parts(folder), parts(file));
    let common = folder.iter().zip(&file).take_while(|(a, b)| a == b).count();
    let up = folder[common..].iter().map(|_| PathBuf::from(".."));
    up.chain(file[common..].iter().cloned()).collect()
}

fn with_slashes(path: &Path) -> String {
    let parts = path
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    let parts: Vec<_> = parts.collect();
    match parts.first().map(AsRef::as_ref) {
        Some("/") => format!("/{}", parts[1..].join("/")),
        Some(".") => parts[1..].join("/"),
        _ => parts.join("/"),
    }
}
