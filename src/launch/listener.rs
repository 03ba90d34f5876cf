//! A process that listens where an application should.

/// A process that listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listener {
    pub(super) process: i32,
    /// The name of its program.
    pub(super) program: String,
    /// When it began, as the system counts it.
    pub(super) began: u64,
    /// Whether a run has launched it.
    pub(super) is_launched: bool,
}
