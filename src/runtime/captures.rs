//! Captures as files, below the server's folder for them.

use std::collections::VecDeque;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use crate::control::{Closing, ControlError, Mode};
use crate::disk::{Readers, write_new, write_whole};

/// The longest component of a path, in bytes: within the limit of most file systems.
const LONGEST_STEP: usize = 240;

/// The code of the refusal of a capture that can't be kept.
pub(super) const NOT_WRITTEN: &str = "capture_not_written";

/// A session that ended without being closed.
#[derive(Debug)]
pub(crate) struct EndedSession {
    /// Its id.
    pub(crate) session: String,
    /// What it had captured, if anything.
    pub(crate) capture: Option<Value>,
    /// Whether that is kept in memory.
    pub(crate) in_memory: bool,
}

/// Where the captures of sessions that are closed are kept as files; by default, nowhere.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keep {
    /// The folder below which files may be written.
    pub(crate) folder: Option<PathBuf>,
    /// The file for captures whose close names none.
    pub(crate) file: Option<PathBuf>,
}

impl Keep {
    /// Writes the capture of a session that is being closed, and returns the file, if it is to be one.
    pub(super) fn write(
        &self,
        id: &str,
        closing: &Closing,
        case: &Value,
    ) -> Result<Option<PathBuf>, ControlError> {
        let still_open = |mut error: ControlError| {
            error.message.push_str("; the session is still open");
            error
        };
        match (&closing.out, &self.folder) {
            (Some(out), Some(folder)) => {
                let path = capture_path(folder, &filled(out, id)).map_err(still_open)?;
                let written = write_whole(&path, shown(case), Readers::Owner);
                written.map_err(|error| still_open(not_written(&path, &error)))?;
                Ok(Some(path))
            }
            (Some(_), None) => Err(ControlError::invalid(
                "out: this server writes no files; start it with a folder for captures \
                 (`softprobe serve --captures DIR`), or get the case with include=case",
            )),
            // Whoever takes the case with the answer has it.
            (None, _) if closing.include_case => Ok(None),
            (None, _) => self.write_unnamed(id, case).map_err(still_open),
        }
    }

    /// Writes the capture of a session whose end names no file, and returns the file, if it is to be one.
    fn write_unnamed(&self, id: &str, case: &Value) -> Result<Option<PathBuf>, ControlError> {
        let path = match (&self.file, &self.folder) {
            (Some(file), _) => PathBuf::from(filled(&file.to_string_lossy(), id)),
            (None, Some(folder)) => folder.join(format!("{id}.case.json")),
            (None, None) => return Ok(None),
        };
        let written = write_new(numbered(&path), &shown(case), Readers::Owner);
        written
            .map(Some)
            .map_err(|error| not_written(&path, &error))
    }

    /// Writes the captures of sessions that ended without being closed, and logs where each is.
    pub(crate) fn save(&self, ended: &[EndedSession]) {
        for ended in ended {
            let session = &ended.session;
            let Some(case) = &ended.capture else {
                continue;
            };
            let otherwise = match ended.in_memory {
                true => "is only in memory, for GET /v1/captures",
                false => "is lost",
            };
            match self.write_unnamed(session, case) {
                Ok(Some(path)) => {
                    let path = path.display();
                    log::warn!("session {session}: its capture is kept in {path}");
                }
                Ok(None) => log::warn!(
                    "session {session}: its capture {otherwise}; `softprobe serve --captures DIR` keeps captures as files"
                ),
                // Why is in the log.
                Err(_) => log::error!("session {session}: its capture {otherwise}"),
            }
        }
    }
}

/// Returns a path with the session's id, its mode and the time where it names them.
fn filled(path: &str, id: &str) -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    path.replace("{sessionId}", id)
        .replace("{mode}", Mode::Capture.name())
        .replace("{ts}", &now.replace(['-', ':'], ""))
}

/// Returns a path, and then the same with a number, from 2 on.
fn numbered(path: &Path) -> impl Iterator<Item = PathBuf> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let end = name.find(".case.json").or_else(|| name.rfind('.'));
    let (stem, ending) = name.split_at(end.unwrap_or(name.len()));
    let (stem, ending) = (stem.to_owned(), ending.to_owned());
    let numbered = (2..).map(move |n| path.with_file_name(format!("{stem}-{n}{ending}")));
    std::iter::once(path.to_owned()).chain(numbered)
}

fn shown(case: &Value) -> String {
    format!("{case:#}\n")
}

/// The cases of the capture sessions that were closed last.
#[derive(Debug, Default)]
pub(super) struct Captures {
    /// Each with its session's id, the oldest first, as JSON.
    cases: VecDeque<(String, Arc<str>)>,
    bytes: usize,
}

impl Captures {
    const MOST: usize = 100;
    /// How many bytes of JSON they may have together.
    pub(super) const MOST_BYTES: usize = 64 * 1024 * 1024;

    /// Adds a case, and forgets the oldest ones if there are too many. One that is too large alone is not added; returns
    /// whether it was.
    pub(super) fn add(&mut self, id: &str, text: Arc<str>) -> bool {
        if text.len() > Self::MOST_BYTES {
            return false;
        }
        self.bytes += text.len();
        self.cases.push_back((id.to_owned(), text));
        while self.cases.len() > Self::MOST || self.bytes > Self::MOST_BYTES {
            let Some((_, oldest)) = self.cases.pop_front() else {
                break;
            };
            self.bytes -= oldest.len();
        }
        true
    }

    /// Returns the case of a session, as JSON.
    pub(super) fn get(&self, id: &str) -> Option<Arc<str>> {
        let (_, text) = self.cases.iter().rev().find(|(known, _)| known == id)?;
        Some(Arc::clone(text))
    }
}

/// Returns the file that `out` names: always below the folder, even if links lead elsewhere.
fn capture_path(folder: &Path, out: &str) -> Result<PathBuf, ControlError> {
    let refused = |why: &str| ControlError::invalid(format!("out: `{out}` {why}"));
    let given = Path::new(out);
    let failed = |error: io::Error| not_written(given, &error);
    std::fs::create_dir_all(folder).map_err(failed)?;
    let root = folder.canonicalize().map_err(failed)?;
    let below = given
        .strip_prefix(folder)
        .or_else(|_| given.strip_prefix(&root));
    let relative = match given.is_absolute() {
        true => below.unwrap_or(given),
        false => given,
    };
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let odd = out.contains(|c: char| c.is_control() || c == '\u{fffd}');
    let long = relative.iter().any(|step| step.len() > LONGEST_STEP);
    if odd || long {
        return Err(refused("is not a valid file name"));
    }
    if !relative.components().all(plain) || out.ends_with('/') {
        return Err(refused(
            "is not a path below the folder for captures; give one without `..`",
        ));
    }
    let path = folder.join(relative);
    let parent = path.parent().unwrap_or(folder);
    // Before anything is created: the part of the path that already exists must not lead out of the folder.
    let there = parent.ancestors().find(|p| p.exists()).unwrap_or(folder);
    if !there.canonicalize().map_err(failed)?.starts_with(&root) {
        return Err(refused("leads out of the folder for captures"));
    }
    std::fs::create_dir_all(parent).map_err(failed)?;
    if path.is_symlink() || path.is_dir() {
        return Err(refused("is a link or a folder"));
    }
    Ok(path)
}

/// Returns the refusal of a capture that can't be written.
fn not_written(path: &Path, error: &io::Error) -> ControlError {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let status = match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => 507,
        _ => 400,
    };
    let message = format!("{}: can't be written: {error}", path.display());
    log::error!("{message}");
    ControlError::new(status, NOT_WRITTEN, message)
}

/// Logs an internal error and returns it.
pub(super) fn internal(message: &str) -> ControlError {
    log::error!("{message}");
    ControlError::new(500, "internal_error", message)
}
