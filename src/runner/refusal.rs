//! Why a run does not start, and how a run ends.

use crate::report::RunReport;

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// No case failed.
    Passed(RunReport),
    /// A case failed.
    Failed(RunReport),
    /// This signal interrupted the run.
    Signal(i32, RunReport),
}

/// Returns the exit code for a signal, as shells define it.
pub(crate) fn signal_code(signal: i32) -> u8 {
    128_u8.saturating_add(u8::try_from(signal).unwrap_or(0))
}

/// Why a run does not start, with one line per fault.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What is wrong.
    pub(crate) lines: Vec<String>,
    /// What kind of fault it is.
    pub(crate) kind: RefusalKind,
}

/// What keeps a run from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    /// An invalid input: a suite, a file, a name.
    Invalid,
    /// Flags that are missing, invalid, or can't be combined.
    Arguments,
    /// No runtime answered.
    Unreachable,
    /// A signal arrived before the first case.
    Signal(i32),
    /// Anything else.
    Failure,
}

impl Refusal {
    /// Creates a refusal of invalid input.
    pub(crate) fn invalid(lines: Vec<String>) -> Self {
        Self {
            lines,
            kind: RefusalKind::Invalid,
        }
    }

    /// Creates a refusal of any other kind.
    pub(crate) fn failures(lines: Vec<String>) -> Self {
        Self {
            lines,
            kind: RefusalKind::Failure,
        }
    }

    /// Creates a refusal because of a signal.
    pub(crate) fn signal(signal: i32) -> Self {
        Self {
            lines: vec![format!(
                "interrupted by signal {signal} before the first case"
            )],
            kind: RefusalKind::Signal(signal),
        }
    }

    /// Creates a refusal of the flags.
    pub(crate) fn arguments(line: String) -> Self {
        Self {
            lines: vec![line],
            kind: RefusalKind::Arguments,
        }
    }
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self::failures(vec![message])
    }
}
