//! What a session is for.

use std::fmt;

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Records what passes.
    Capture,
    /// Answers from what was recorded.
    #[default]
    Replay,
    /// Serves the generation of tests.
    Generate,
}

impl Mode {
    /// `capture`, `replay` or `generate`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Replay => "replay",
            Self::Generate => "generate",
        }
    }

    /// Each mode beside its name.
    pub const NAMES: [(&'static str, Self); 3] = [
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
