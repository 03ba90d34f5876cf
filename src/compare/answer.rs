//! An answer against the captured one.

use std::borrow::Cow;

use super::assertions::{Assertions, StatusRule};
use super::mismatch::{AnswerPlace, Mismatch, Side};
use super::{body, headers};
use crate::base::http::{Headers, Response};

/// What the capture says should come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected<'c> {
    /// The captured status.
    pub(crate) status: u16,
    /// The captured headers.
    pub(crate) headers: &'c Headers,
    /// The captured body; `None` when it was not captured.
    pub(crate) body: Option<Cow<'c, [u8]>>,
}

/// Compares an answer with the captured one under the assertions: every difference, each at its place.
///
/// The answer's body must be decoded (`content-encoding`) already. What the author states beats what
/// was captured: where a given `status` excludes the captured one, the captured body counts only if
/// the author asks for it.
pub(crate) fn compare(
    captured: Option<&Expected<'_>>,
    actual: &Response,
    assertions: &Assertions,
) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    compare_status(captured, actual, &assertions.status, &mut mismatches);
    let headers = captured.map(|captured| captured.headers);
    headers::compare(headers, actual, &assertions.headers, &mut mismatches);
    let captured_body = captured
        .filter(|captured| counts(captured, assertions))
        .and_then(|captured| captured.body.as_deref());
    body::compare(
        captured_body,
        &actual.body,
        &assertions.body,
        &mut mismatches,
    );
    mismatches
}

/// Whether [`compare`] would look at anything at all: a comparison of nothing proves nothing.
pub(crate) fn compares_anything(captured: Option<&Expected<'_>>, assertions: &Assertions) -> bool {
    let status = captured.is_some() || assertions.status != StatusRule::Captured;
    let headers = captured.map(|captured| captured.headers);
    let body = captured.is_some_and(|c| c.body.is_some() && counts(c, assertions));
    status
        || headers::is_any_compared(headers, &assertions.headers)
        || body::is_compared(body, &assertions.body)
}

/// Whether the captured body is what this case expects.
fn counts(captured: &Expected<'_>, assertions: &Assertions) -> bool {
    let stated = assertions.body.mode.is_some() || assertions.body.expected.is_some();
    stated || assertions.status.admits(captured.status)
}

fn compare_status(
    captured: Option<&Expected<'_>>,
    actual: &Response,
    rule: &StatusRule,
    mismatches: &mut Vec<Mismatch>,
) {
    let wanted = match (rule, captured) {
        (StatusRule::Captured, None) => return,
        (StatusRule::Captured, Some(captured)) => {
            if captured.status == actual.status {
                return;
            }
            Side::Status(captured.status)
        }
        (rule, _) if rule.admits(actual.status) => return,
        (rule, _) => Side::StatusRule(rule.clone()),
    };
    let actual = Side::Status(actual.status);
    mismatches.push(Mismatch::new(AnswerPlace::Status, wanted, actual));
}
