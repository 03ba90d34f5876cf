//! The files given to commands: finds them by path or glob, reads and writes them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::output::{Exit, Failed, Output, invalid};
use crate::base::encoding::split_mark;
use crate::base::json;
use crate::case::Case;
use crate::disk::{self, Found};
use crate::disk::{Readers, write_whole};
use crate::suite::parse_yaml;

/// Returns the files that match paths and globs, sorted and without duplicates.
pub(super) fn find(patterns: &[String]) -> Result<Vec<PathBuf>, Failed> {
    let mut files = Vec::new();
    for pattern in patterns {
        files.extend(find_one(pattern)?.files);
    }
    files.sort();
    files.dedup();
    Ok(files)
}

/// Returns the files that match one path or glob.
pub(super) fn find_one(pattern: &str) -> Result<Found, Failed> {
    disk::files(pattern, &[Path::new("")])
        .map_err(|why| Failed::from(Output::failed(Exit::InvalidInput, "invalid_input", why)))
}

/// Reads the cases that match paths and globs, or reports each one that can't be read.
pub(super) fn read_cases(patterns: &[String]) -> Result<Vec<(PathBuf, Case)>, Failed> {
    let read = read_all(find(patterns)?)?.into_iter();
    Ok(read
        .map(|CaseFile { path, case, .. }| (path, case))
        .collect())
}

/// A case file, its text, and the case in it.
pub(super) struct CaseFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) case: Case,
}

/// Reads the cases in these files, or reports each one that can't be read.
pub(super) fn read_all(files: Vec<PathBuf>) -> Result<Vec<CaseFile>, Failed> {
    let (mut cases, mut faults) = (Vec::new(), Vec::new());
    for path in files {
        let shown = path.display();
        match std::fs::read_to_string(&path) {
            Err(error) => faults.push(format!("{shown}: can't be read: {error}")),
            Ok(text) => match text.parse::<Case>() {
                Err(error) => faults.extend(error.each().iter().map(|e| format!("{shown}: {e}"))),
                Ok(case) => cases.push(CaseFile { path, text, case }),
            },
        }
    }
    if faults.is_empty() {
        return Ok(cases);
    }
    let answer = Output::all_failed(Exit::InvalidInput, "invalid_input", faults);
    Err(Failed::from(answer))
}

/// Reads a file's text; `-` is standard input.
pub(super) fn read_text(path: &Path) -> Result<String, Failed> {
    let read = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    read.map_err(|error| invalid(path, format!("can't be read: {error}")))
}

/// Reads a file's JSON; `-` is standard input.
pub(super) fn read_json(path: &Path) -> Result<Value, Failed> {
    let text = read_text(path)?;
    let (_, json) = split_mark(&text);
    serde_json::from_str(json).map_err(|error| invalid(path, format!("not JSON: {error}")))
}

/// Reads a file's rules document, JSON or YAML; `-` is standard input.
pub(super) fn read_rules(path: &Path) -> Result<Value, Failed> {
    let text = read_text(path)?;
    let (_, text) = split_mark(&text);
    parse_rules(text).map_err(|why| invalid(path, why))
}

/// Parses a rules document: JSON, whose numbers keep their digits, or YAML, which may begin as JSON does.
pub(super) fn parse_rules(text: &str) -> Result<Value, String> {
    let as_yaml = || parse_yaml(text).map_err(|faults| faults.join("; "));
    if !text.trim_start().starts_with(['{', '[']) {
        return as_yaml();
    }
    json::parse(text).or_else(|error| as_yaml().map_err(|_| format!("not JSON: {error}")))
}

/// Writes a file, whole or not at all, and creates its folder if it is missing.
pub(super) fn write(path: &Path, text: &str, readers: Readers) -> Result<(), Failed> {
    write_whole(path, text, readers)
        .map_err(|error| invalid(path, format!("can't be written: {error}")))
}
