//! Files that commands are given: found by path or glob, read as text or JSON.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::answer::{Failed, invalid};
use crate::case::Case;
use crate::disk::write_whole;
use crate::error::CaseLoadError;
use crate::runner;
use crate::session::read_case;

/// The files that paths and globs mean, sorted, each once.
pub(super) fn find(patterns: &[String]) -> Result<Vec<PathBuf>, Failed> {
    let here = Path::new("");
    let mut files = Vec::new();
    for pattern in patterns {
        let found = runner::files(pattern, &[here]);
        let found = found.map_err(|why| invalid(Path::new(pattern), unquoted(pattern, &why)))?;
        files.extend(found.files);
    }
    files.sort();
    files.dedup();
    Ok(files)
}

/// The message without the path that stands before it anyway.
fn unquoted<'m>(pattern: &str, message: &'m str) -> &'m str {
    let bare = message.strip_prefix(&format!("`{pattern}` "));
    let bare = bare.unwrap_or(message);
    bare.trim_end_matches("; looked in ")
}

/// A file's text; `-` is standard input.
pub(super) fn read_text(path: &Path) -> Result<String, Failed> {
    let read = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    read.map_err(|error| invalid(path, format!("can't be read: {error}")))
}

/// A file's JSON; `-` is standard input.
pub(super) fn read_json(path: &Path) -> Result<Value, Failed> {
    let text = read_text(path)?;
    serde_json::from_str(&text).map_err(|error| invalid(path, format!("not JSON: {error}")))
}

/// A case file, read and understood.
pub(super) fn read_case_file(path: &Path) -> Result<Case, Failed> {
    read_case(path).map_err(|CaseLoadError { path, source }| invalid(&path, source))
}

/// Writes a file, whole or not at all, its folder made where it is missing.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failed> {
    write_whole(path, text).map_err(|error| invalid(path, format!("can't be written: {error}")))
}
