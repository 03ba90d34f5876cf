//! Writes the first suite for captures, or adds captures to a suite that stands.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::files;
use super::output::{Failed, arguments, invalid};
use crate::case::Case;
use crate::disk::{self, Readers};
use crate::suite::{Addition, FirstCase, FirstSuite, Masked, extended, parse_yaml};

/// What was done to a suite.
pub(super) enum Written {
    /// It was written.
    New,
    /// It stood, and what was new was added.
    Extended,
    /// It stood, and nothing was new.
    Unchanged,
}

impl Written {
    /// Tells what was done to a suite's file.
    pub(super) fn told(&self, shown: &str) -> String {
        match self {
            Self::New => format!("wrote {shown}"),
            Self::Extended => format!("added to {shown}"),
            Self::Unchanged => format!("{shown} has all of it already"),
        }
    }
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

/// Checks that a suite, if it stands, can be added to.
pub(super) fn check_suite(file: &Path) -> Result<(), Failed> {
    if !file.exists() {
        return Ok(());
    }
    let text = files::read_text(file)?;
    let addition = Addition {
        cases: vec![FirstCase::new("../cases/some.case.json")],
        masked: &Masked::default(),
        shared: &[],
    };
    let checked = extended(&text, &addition);
    checked.map(drop).map_err(|why| invalid(file, why))
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
    let named = |base: &serde_json::Value| base["request"]["headers"]["host"].clone();
    let hosts = [named(&document), named(&document["defaults"])];
    // The suite may say by which host others were called.
    let host = suite.host.clone();
    let host = host.filter(|host| !hosts.iter().any(|known| *known == **host));
    let cases = suite.cases.iter().filter(is_new).cloned();
    let cases = cases.map(|case| FirstCase {
        host: host.clone(),
        ..case
    });
    let addition = Addition {
        cases: cases.collect(),
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

/// Returns a file's path relative to a folder.
fn relative_to(folder: &Path, file: &Path) -> PathBuf {
    let (folder, file) = (steps(folder), steps(file));
    let common = folder.iter().zip(&file).take_while(|(a, b)| a == b).count();
    let up = folder[common..].iter().map(|_| PathBuf::from(".."));
    up.chain(file[common..].iter().cloned()).collect()
}

/// Returns the steps of an absolute path without `.` and `..`.
fn steps(path: &Path) -> Vec<PathBuf> {
    let path = match path.as_os_str().is_empty() {
        true => std::env::current_dir().unwrap_or_default(),
        false => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
    };
    let mut steps = Vec::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(steps.pop()),
            part => steps.push(PathBuf::from(part.as_os_str())),
        }
    }
    steps
}

fn with_slashes(path: &Path) -> String {
    let parts = path
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    let parts: Vec<_> = parts.collect();
    match parts.is_empty() {
        true => ".".to_owned(),
        false => parts.join("/"),
    }
}
