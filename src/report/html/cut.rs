//! How much of a run a page shows, so that it stays small enough to be opened and sent.

use crate::base::visible;

/// How much is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cut {
    /// The characters of a value.
    pub(super) value: usize,
    /// The bytes of a body beside another one.
    pub(super) body: usize,
    /// The rows of a table.
    pub(super) rows: usize,
    /// The lines that an application wrote.
    pub(super) output_lines: usize,
    /// The failures with all that belongs to them; the others have a line each.
    pub(super) failures: usize,
    /// The lines for cases of each status.
    pub(super) lines: usize,
}

/// The lines for cases of each status, before failures are cut.
const MOST_LINES: usize = 10_000;

impl Cut {
    /// As much as anybody reads.
    pub(super) const LEAST: Self = Self {
        value: 16_000,
        body: 64_000,
        rows: 500,
        output_lines: 100,
        failures: usize::MAX,
        lines: usize::MAX,
    };

    /// Returns what shows less, if a page of this many bytes with so many failures is too large; `None` if nothing more can be
    /// left out.
    pub(super) fn more(&self, bytes: usize, failures: usize) -> Option<Self> {
        let next = match self.value {
            16_000 => Self {
                value: 2_000,
                body: 8_000,
                rows: 100,
                output_lines: 40,
                ..self.clone()
            },
            2_000 => Self {
                value: 300,
                body: 1_500,
                rows: 30,
                output_lines: 15,
                ..self.clone()
            },
            _ if self.lines > MOST_LINES => Self {
                lines: MOST_LINES,
                ..self.clone()
            },
            _ if self.failures > 0 => {
                let shown = self.failures.min(failures);
                // Some of it is for lines.
                let fits = shown * (super::MOST_BYTES / 1_024) / (bytes / 1_024) * 3 / 4;
                Self {
                    failures: fits,
                    ..self.clone()
                }
            }
            _ if self.lines > 100 => Self {
                lines: self.lines / 2,
                ..self.clone()
            },
            _ => return None,
        };
        Some(next)
    }

    /// Returns whether anything is left out that nobody would miss at a glance.
    pub(super) fn is_any(&self) -> bool {
        *self != Self::LEAST
    }

    /// Returns what is left out, in words.
    pub(super) fn told(&self) -> String {
        let mut told = format!("values are cut after {} characters", self.value);
        match self.failures {
            usize::MAX if self.lines == usize::MAX => {}
            0 | usize::MAX => told.push_str(&format!(", and lists end after {} lines", self.lines)),
            some => told.push_str(&format!(
                ", {some} failures are shown whole, and lists end after {} lines",
                self.lines
            )),
        }
        told
    }
}

/// Returns a text as it is shown: what has no picture of its own is escaped, and the rest of a long one is only counted.
pub(super) fn shown(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => visible(text).into_owned(),
        Some((end, _)) => format!(
            "{}… ({} more bytes are not shown)",
            visible(&text[..end]),
            text.len() - end
        ),
    }
}
