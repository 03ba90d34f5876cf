//! What an application writes: kept in a file that has a bound and no name, so that nobody else reads it and nothing is
//! left of it, and read back by the place in it.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read as _};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::base::visible;
use crate::screen;

/// How many bytes of each of the two files are kept. What is older than both is gone.
const LARGEST_FILE: u64 = 32 * 1024 * 1024;
/// The longest part of a line that is looked at and shown, in bytes.
const LONGEST_LINE: usize = 16 * 1024;
/// How often the pipe is read in one go: more than it can hold, so that whoever drains it has read all that was written before,
/// and does not wait for an application that never stops writing.
const MOST_READS: usize = 128;
/// How many bytes are read back at the most, to show lines.
const MOST_READ: u64 = 64 * 1024;

/// What an application has written so far.
#[derive(Debug)]
pub(super) struct Output {
    pipe: PipeReader,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// The file that is being written, and where it begins in all of the output.
    file: (File, u64),
    /// The file before it, and where it began.
    before: Option<(File, u64)>,
    /// How much has been written in all.
    written: u64,
    /// The last line, which has not ended yet.
    line: Vec<u8>,
    /// The text whose line is waited for, until it has come.
    wanted: Option<String>,
    /// What each line is shown with on standard error, if it is shown.
    shown_as: Option<String>,
    ended: bool,
}

/// Lines of an application's output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    /// The lines, without their ends.
    pub(crate) lines: Vec<String>,
    /// Whether there were more before them.
    pub(crate) cut: bool,
}

impl Output {
    /// Starts to keep an output. Returns it with the end that the application writes to.
    ///
    /// # Errors
    ///
    /// Why the file or the pipe can't be made.
    pub(super) fn start(
        wanted: Option<&str>,
        shown_as: Option<String>,
    ) -> io::Result<(Arc<Self>, PipeWriter)> {
        let (pipe, writer) = io::pipe()?;
        // Whoever needs what has been written up to now must not wait for more.
        rustix::io::ioctl_fionbio(&pipe, true)?;
        let kept = Kept {
            file: (tempfile::tempfile()?, 0),
            before: None,
            written: 0,
            line: Vec::new(),
            wanted: wanted.map(str::to_owned),
            shown_as,
            ended: false,
        };
        let output = Arc::new(Self {
            pipe,
            kept: Mutex::new(kept),
        });
        let own = Arc::clone(&output);
        std::thread::spawn(move || own.keep());
        Ok((output, writer))
    }

    /// Keeps what comes until the last writer is gone.
    fn keep(&self) {
        loop {
            let mut waits = [PollFd::new(&self.pipe, PollFlags::IN)];
            match poll(&mut waits, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            if self.drained().ended {
                return;
            }
        }
    }

    /// Returns how much has been written, everything included that the application has written before this call.
    pub(super) fn written(&self) -> u64 {
        self.drained().written
    }

    /// Returns whether the line that is waited for has come.
    pub(super) fn has_wanted(&self) -> bool {
        self.drained().wanted.is_none()
    }

    /// Returns the output with all that the pipe holds.
    fn drained(&self) -> MutexGuard<'_, Kept> {
        // Every change is whole before anything can panic.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = [0; 16 * 1024];
        for _ in 0..MOST_READS {
            if kept.ended {
                break;
            }
            match (&self.pipe).read(&mut buffer) {
                Ok(0) => kept.end(),
                Ok(length) => kept.add(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => kept.end(),
            }
        }
        kept
    }

    /// Returns the last lines of what was written since a place in the output; since 0, of all.
    pub(super) fn lines_since(&self, from: u64, most: usize) -> Lines {
        let kept = self.drained();
        let to = kept.written;
        let start = from.max(to.saturating_sub(MOST_READ));
        let text = kept.read(start, to);
        drop(kept);
        let text = String::from_utf8_lossy(&text);
        let mut lines: Vec<&str> = text.lines().collect();
        if start > from && !lines.is_empty() {
            // The first one has lost its beginning.
            lines.remove(0);
        }
        let excess = lines.len().saturating_sub(most);
        let shown = lines[excess..].iter();
        Lines {
            lines: shown.map(|line| without_colours(cut(line))).collect(),
            cut: excess > 0 || start > from,
        }
    }
}

fn cut(line: &str) -> &str {
    let mut end = line.len().min(LONGEST_LINE);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

/// Returns a line without the sequences that colour it on a terminal.
fn without_colours(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !(c.is_ascii_digit() || c == ';' || c == ':'));
        match end.filter(|end| part[*end..].starts_with('m')) {
            Some(end) => out.push_str(&part[end + 1..]),
            None => {
                out.push_str("\u{1b}[");
                out.push_str(part);
            }
        }
    }
    out
}

impl Kept {
    fn add(&mut self, bytes: &[u8]) {
        if self.written - self.file.1 >= LARGEST_FILE {
            self.begin_file();
        }
        // A full disk loses output and nothing else.
        let _ = self.file.0.write_all_at(bytes, self.written - self.file.1);
        self.written += bytes.len() as u64;
        if self.wanted.is_none() && self.shown_as.is_none() {
            return;
        }
        let mut parts = bytes.split(|byte| *byte == b'\n');
        let last = parts.next_back().unwrap_or_default();
        for part in parts {
            self.add_to_line(part);
            self.end_line();
        }
        self.add_to_line(last);
    }

    fn add_to_line(&mut self, part: &[u8]) {
        let room = LONGEST_LINE.saturating_sub(self.line.len());
        self.line.extend(&part[..part.len().min(room)]);
        // A prompt is no line, but what waits for its text should not wait for more.
        self.look();
    }

    fn look(&mut self) {
        let Some(wanted) = &self.wanted else { return };
        if String::from_utf8_lossy(&self.line).contains(wanted.as_str()) {
            self.wanted = None;
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if let Some(name) = &self.shown_as {
            let line = String::from_utf8_lossy(&line);
            let line = without_colours(line.trim_end_matches('\r'));
            let line = visible(&line);
            screen::line(&format!("{name}{line}"));
        }
    }

    fn end(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
        self.ended = true;
    }

    /// Goes on in a new file, and forgets the one before the last.
    fn begin_file(&mut self) {
        if let Ok(file) = tempfile::tempfile() {
            let old = std::mem::replace(&mut self.file, (file, self.written));
            self.before = Some(old);
        }
    }

    fn read(&self, from: u64, to: u64) -> Vec<u8> {
        let mut text = Vec::new();
        let mut parts: Vec<(&File, u64, u64)> = Vec::new();
        if let Some((file, start)) = &self.before {
            parts.push((file, *start, self.file.1));
        }
        parts.push((&self.file.0, self.file.1, self.written));
        for (file, start, end) in parts {
            let (from, to) = (from.max(start), to.min(end));
            let mut part = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or_default()];
            if file
                .read_exact_at(&mut part, from.saturating_sub(start))
                .is_ok()
            {
                text.extend(part);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_was_written_before_is_there() {
        let (output, mut writer) = Output::start(None, None).unwrap();
        writer.write_all(b"one\ntwo\n").unwrap();
        let middle = output.written();
        writer.write_all(b"three\r\nfo").unwrap();
        let end = output.written();
        assert_eq!((middle, end), (8, 17));
        assert_eq!(output.lines_since(middle, 9).lines, ["three", "fo"]);
        let last = output.lines_since(0, 2);
        assert_eq!(last.lines, ["three", "fo"]);
        assert!(last.cut);
    }

    #[test]
    fn colours_are_left_out() {
        for (line, wanted) in [
            ("\u{1b}[32minfo\u{1b}[39m: up", "info: up"),
            ("\u{1b}[1;38:5:9mred\u{1b}[m", "red"),
            ("\u{1b}[2Jgone \u{1b}[", "\u{1b}[2Jgone \u{1b}["),
            ("[32m", "[32m"),
        ] {
            assert_eq!(without_colours(line), wanted);
        }
    }

    #[test]
    fn a_text_is_found_however_it_comes() {
        let (output, mut writer) = Output::start(Some("listening on"), None).unwrap();
        writer.write_all(b"x\nnow listening").unwrap();
        assert!(!output.has_wanted());
        writer.write_all(b" on 80").unwrap();
        assert!(output.has_wanted());
    }

    #[test]
    fn what_is_kept_has_a_bound_and_is_the_newest() {
        let (output, mut writer) = Output::start(None, None).unwrap();
        let line = [b"0123456789".repeat(99), b"\n".to_vec()].concat();
        let mut sent = 0;
        while sent < 3 * LARGEST_FILE {
            writer.write_all(&line).unwrap();
            sent += line.len() as u64;
        }
        writer.write_all(b"the end\n").unwrap();
        assert_eq!(output.written(), sent + 8);
        let last = output.lines_since(0, 2);
        assert_eq!(last.lines[1], "the end");
        assert!(last.cut);
        let kept = output.drained();
        let (old, _) = kept.before.as_ref().unwrap();
        for file in [&kept.file.0, old] {
            let length = file.metadata().unwrap().len();
            assert!(length <= LARGEST_FILE + 64 * 1024, "{length}");
        }
    }
}
