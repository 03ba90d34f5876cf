//! What a terminal shows while a run waits.

use std::io::{Write as _, stderr};
use std::time::Duration;

use super::pace::can_show;
use crate::base::visible_line;

/// How many seconds are between two lines that stay.
const BETWEEN_LINES: u64 = 5;

/// A line on a terminal that tells what is waited for.
pub(crate) struct Progress {
    is_shown: bool,
    seconds: Option<u64>,
    /// When the last line that stays was shown.
    told: Option<u64>,
}

impl Progress {
    /// Creates a line, which is shown only on a terminal, and not on CI.
    pub(crate) fn new() -> Self {
        Self {
            is_shown: can_show(),
            seconds: None,
            told: None,
        }
    }

    /// Shows how long the application at a URL has been waited for.
    pub(super) fn show(&mut self, elapsed: Duration, url: &str) {
        let seconds = elapsed.as_secs();
        if !self.is_shown || seconds == 0 || self.seconds == Some(seconds) {
            return;
        }
        self.seconds = Some(seconds);
        let url = visible_line(url);
        let _ = write!(
            stderr(),
            "\r\x1b[2Ksoftprobe: waiting for the application at {url} ({seconds} s)"
        );
    }

    /// Shows a line that stays, of what has gone on for so many seconds: the first one after a second, then one every few.
    pub(crate) fn line(&mut self, elapsed: Duration, line: impl FnOnce(u64) -> String) {
        let seconds = elapsed.as_secs();
        let is_due = self.told.map_or(1, |told| told + BETWEEN_LINES) <= seconds;
        if self.is_shown && is_due {
            self.told = Some(seconds);
            let _ = writeln!(stderr(), "softprobe: {}", visible_line(&line(seconds)));
        }
    }

    /// Takes the line away, so that another one can be written.
    pub(super) fn clear(&mut self) {
        if self.seconds.take().is_some() {
            let _ = write!(stderr(), "\r\x1b[2K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
