//! Why a run does not start, and how one ends.

use crate::report::RunOutcome;

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// No case failed.
    Passed(RunOutcome),
    /// A case failed.
    Failed(RunOutcome),
    /// It was interrupted by this signal.
    Signal(i32),
}

/// The exit code for a signal, as shells have it.
pub(crate) fn signal_code(signal: i32) -> u8 {
    128_u8.saturating_add(u8::try_from(signal).unwrap_or(0))
}

/// Why a run does not start, one line a fault.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What is wrong.
    pub(crate) lines: Vec<String>,
    /// What kind of thing that is.
    pub(crate) kind: RefusalKind,
}

/// What keeps a run from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    /// What was given: a suite, a file, a name.
    Invalid,
    /// Flags that are missing, or do not go together.
    Arguments,
    /// No runtime answers.
    Unreachable,
    /// Anything else.
    Failure,
}

impl Refusal {
    /// What was given is wrong.
    pub(crate) fn invalid(lines: Vec<String>) -> Self {
        Self {
            lines,
            kind: RefusalKind::Invalid,
        }
    }

    /// The flags are wrong.
    pub(crate) fn arguments(line: String) -> Self {
        Self {
            lines: vec![line],
            kind: RefusalKind::Arguments,
        }
    }
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self {
            lines: vec![message],
            kind: RefusalKind::Failure,
        }
    }
}
