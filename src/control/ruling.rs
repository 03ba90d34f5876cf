//! What a runtime decides about a call.

use crate::rule::{Answer, Nearest};

/// The decision about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ruling {
    /// How the call is answered.
    pub answer: Answer,
    /// The rule that decided, if one did and the runtime names it.
    pub rule: Option<String>,
    /// For a miss, the rule that came closest, if the runtime names it.
    pub nearest: Option<Nearest>,
    /// The call's index in [`SessionStats::calls`](super::SessionStats::calls), if it is listed there by this process.
    pub call: Option<usize>,
    /// Whether the exchange must be recorded for the session.
    pub records: bool,
}
