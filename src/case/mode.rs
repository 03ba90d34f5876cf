//! The mode of a session.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The mode of a session, which says what the session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(clippy::exhaustive_enums, reason = "the control API has these three")]
pub enum Mode {
    /// Records the exchanges that pass through the proxy.
    Capture,
    /// Answers outbound calls with mocks, usually from a capture; nothing is recorded.
    #[default]
    Replay,
    /// For generating tests; the runtime treats it like [`Replay`](Self::Replay).
    Generate,
}

impl Mode {
    /// Returns `capture`, `replay` or `generate`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Replay => "replay",
            Self::Generate => "generate",
        }
    }

    /// Each mode with its name.
    pub(crate) const NAMES: [(&'static str, Self); 3] = [
        ("capture", Self::Capture),
        ("replay", Self::Replay),
        ("generate", Self::Generate),
    ];
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mode {
    type Err = ParseModeError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::NAMES.into_iter().find(|(known, _)| *known == name);
        let (_, mode) = known.ok_or_else(|| ParseModeError(name.to_owned()))?;
        Ok(mode)
    }
}

/// A text that is not the name of a [`Mode`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not one of capture, replay, generate")]
pub struct ParseModeError(String);
