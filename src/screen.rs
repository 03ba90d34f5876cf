//! Standard error, on which a line may show how a run goes on while others write.

use std::cell::Cell;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;

/// The line that is shown.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

thread_local! {
    /// Whether this thread writes beside the line already.
    static WRITES: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether the terminal knows nothing but text.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Shows a line below everything that is written by [`aside`] from now on.
pub(crate) fn show(line: &ProgressBar) {
    *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(line.clone());
}

/// Takes the line away.
pub(crate) fn take_away() {
    let line = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(line) = line {
        line.finish_and_clear();
    }
}

/// Writes to the terminal while the line is out of the way.
pub(crate) fn aside<T>(write: impl FnOnce() -> T) -> T {
    if WRITES.get() {
        return write();
    }
    let line = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match line {
        None => write(),
        Some(line) => {
            WRITES.set(true);
            let written = line.suspend(write);
            WRITES.set(false);
            written
        }
    }
}

/// Writes bytes to standard error.
pub(crate) fn write(bytes: &[u8]) {
    aside(|| {
        let _ = std::io::stderr().write_all(bytes);
    });
}

/// Writes a line to standard error.
pub(crate) fn line(text: &str) {
    write(format!("{text}\n").as_bytes());
}
