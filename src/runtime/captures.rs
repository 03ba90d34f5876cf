//! Captures as files, below the server's folder for them.

use std::io;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::state::EndedSession;
use crate::control::ControlError;
use crate::disk::{Readers, write_whole};

/// The longest component of a path, in bytes: within the limit of most file systems.
const LONGEST_STEP: usize = 240;

/// Returns the file that `out` names: always below the folder, even if links lead elsewhere.
pub(super) fn capture_path(folder: &Path, out: &str) -> Result<PathBuf, ControlError> {
    let refused = |why: &str| ControlError::invalid(format!("out: `{out}` {why}"));
    let failed = |error: io::Error| not_written(&format!("out: `{out}`"), &error);
    let relative = Path::new(out);
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let odd = out.contains(|c: char| c.is_control() || c == '\u{fffd}');
    let long = relative.iter().any(|step| step.len() > LONGEST_STEP);
    if odd || long {
        return Err(refused("is not a valid file name"));
    }
    if !relative.components().all(plain) || out.ends_with('/') {
        return Err(refused(
            "is not a path below the folder for captures; give a relative one without `..`",
        ));
    }
    let path = folder.join(relative);
    let parent = path.parent().unwrap_or(folder);
    std::fs::create_dir_all(folder).map_err(failed)?;
    let root = folder.canonicalize().map_err(failed)?;
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

pub(super) fn write_case(path: &Path, case: &Value) -> Result<(), ControlError> {
    let written = write_whole(path, &format!("{case:#}\n"), Readers::Owner);
    written.map_err(|error| not_written(&path.display().to_string(), &error))
}

/// Returns the refusal of a capture that can't be written.
fn not_written(path: &str, error: &io::Error) -> ControlError {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let status = match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => 507,
        _ => 400,
    };
    let message = format!("{path}: can't be written: {error}");
    log::error!("{message}");
    ControlError::new(status, "capture_not_written", message)
}

/// Saves the captures of sessions that ended without being closed: writes each below the folder, or logs its
/// loss.
pub(crate) fn keep_captures(folder: Option<&Path>, ended: &[EndedSession]) {
    for EndedSession { session, capture } in ended {
        let Some(case) = capture else {
            continue;
        };
        let Some(folder) = folder else {
            log::warn!(
                "session {session}: its capture is lost; `softprobe serve --captures DIR` would have kept it"
            );
            continue;
        };
        match write_case(&folder.join(format!("{session}.case.json")), case) {
            Ok(()) => log::warn!(
                "session {session}: its capture is kept in {}",
                folder.join(format!("{session}.case.json")).display()
            ),
            Err(error) => log::error!("session {session}: its capture is lost: {error}"),
        }
    }
}

/// Logs an internal error and returns it.
pub(super) fn internal(message: &str) -> ControlError {
    log::error!("{message}");
    ControlError::new(500, "internal_error", message)
}
