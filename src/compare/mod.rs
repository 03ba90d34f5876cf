//! What was expected against what came back.
//!
//! [`compare`] reports every difference, each at its place; a mismatch is data and never an error.

mod assertions;
mod body;
mod headers;
mod tree;

pub(crate) use body::{HIDDEN, redact};
#[cfg(feature = "cli")]
pub(crate) use headers::is_volatile;

pub(crate) use assertions::{Assertions, BodyMode, BodyRules, HeaderRules, Matcher, StatusRule};

use crate::http::{Headers, Response};

/// What the capture says should come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    /// The captured status.
    pub status: u16,
    /// The captured headers.
    pub headers: Headers,
    /// The captured body; `None` when it was not captured.
    pub body: Option<Vec<u8>>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// Where: `status`, `headers.content-type`, `$.items[0].price`, `body`.
    pub path: String,
    /// What was expected there; `None` for nothing.
    pub expected: Option<String>,
    /// What is there; `None` for nothing.
    pub actual: Option<String>,
    /// What the two values alone do not say.
    pub reason: Option<String>,
    /// A line-by-line difference of long texts.
    pub diff: Option<String>,
}

impl Mismatch {
    pub(crate) fn new(
        path: impl Into<String>,
        expected: impl Into<String>,
        actual: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            expected: Some(expected.into()),
            actual: Some(actual.into()),
            reason: None,
            diff: None,
        }
    }

    pub(crate) fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// Every difference.
    pub mismatches: Vec<Mismatch>,
    /// How many things were compared at all: a comparison of nothing proves nothing.
    pub compared: usize,
    /// What people should know about how it was done.
    pub notes: Vec<String>,
}

/// Compares an answer with the captured one under the assertions.
///
/// The answer's body must be decoded (`content-encoding`) already. What the author states beats what
/// was captured: where a given `status` excludes the captured one, the captured body counts only if
/// the author asks for it.
pub(crate) fn compare(
    captured: Option<&Expected>,
    actual: &Response,
    assertions: &Assertions,
) -> Comparison {
    let mut found = Comparison::default();
    compare_status(captured, actual, &assertions.status, &mut found);
    headers::compare(captured, actual, &assertions.headers, &mut found);
    let disowned = captured.is_some_and(|captured| !assertions.status.admits(captured.status));
    let stated = assertions.body.mode.is_some() || assertions.body.expected.is_some();
    let captured_body = captured
        .filter(|_| !disowned || stated)
        .and_then(|captured| captured.body.as_deref());
    body::compare(captured_body, &actual.body, &assertions.body, &mut found);
    found
}

fn compare_status(
    captured: Option<&Expected>,
    actual: &Response,
    rule: &StatusRule,
    found: &mut Comparison,
) {
    let expected = match (rule, captured) {
        (StatusRule::Captured, None) => return,
        (StatusRule::Captured, Some(captured)) => StatusRule::OneOf(vec![captured.status]),
        (rule, _) => rule.clone(),
    };
    found.compared += 1;
    if !expected.admits(actual.status) {
        found.mismatches.push(Mismatch::new(
            "status",
            expected.to_string(),
            actual.status.to_string(),
        ));
    }
}
