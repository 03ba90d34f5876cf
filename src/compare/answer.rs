//! Compares an answer with the captured one.

use super::assertions::{Assertions, StatusRule};
use super::body::Body;
use super::change::{Change, Risk};
use super::expected::Expected;
use super::mismatch::{Comparison, MessagePlace, Mismatch, Side};
use super::{body, field, headers};
use crate::base::http::Response;

/// Compares an answer with the captured one under the assertions, and returns every difference with
/// its place.
///
/// The `content-encoding` of the answer's body must already be decoded. What the suite states takes
/// precedence over what was captured: if a given `status` excludes the captured one, the captured
/// body is compared only if `body.mode` or `body.expected` is given.
pub(crate) fn compare(
    captured: Option<&Expected<'_>>,
    actual: &Response,
    assertions: &Assertions,
) -> Comparison {
    let mut found = Comparison::default();
    let mismatches = &mut found.mismatches;
    compare_status(captured, actual, &assertions.status, mismatches);
    headers::compare(captured, actual, assertions, mismatches);
    let captured_body = captured
        .filter(|captured| counts(captured, assertions))
        .and_then(|captured| {
            let headers = captured.headers;
            let bytes = captured.body.as_deref()?;
            Some(Body { bytes, headers })
        });
    let actual = Body {
        bytes: &actual.body,
        headers: &actual.headers,
    };
    body::compare(captured_body, actual, &assertions.body, &mut found);
    found
}

/// Returns whether [`compare`] would compare anything at all; if not, any answer would pass.
pub(crate) fn compares_anything(captured: Option<&Expected<'_>>, assertions: &Assertions) -> bool {
    let status = captured.is_some() || assertions.status != StatusRule::Captured;
    let headers = captured.map(|captured| captured.headers);
    let body = captured.is_some_and(|c| c.body.is_some() && counts(c, assertions));
    status
        || headers::is_any_compared(headers, &assertions.headers)
        || body::is_compared(body, &assertions.body)
}

/// Returns whether the captured body is to be compared.
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
    let differing =
        |wanted| Mismatch::new(MessagePlace::Status, wanted, Side::Status(actual.status));
    match (rule, captured) {
        (StatusRule::Captured, None) => {}
        (StatusRule::Captured, Some(captured)) if captured.status == actual.status => {}
        (StatusRule::Captured, Some(captured)) => {
            let mismatch = differing(Side::Status(captured.status));
            let mismatch = mismatch.accepted_by(Risk::High, Change::Status(actual.status));
            mismatches.push(with_new_headers(mismatch, captured, actual));
        }
        (rule, _) if rule.admits(actual.status) => {}
        (rule, _) => mismatches.push(differing(Side::StatusRule(rule.clone()))),
    }
}

/// Returns a mismatch of the status with the headers that an answer of the new one has and the captured one lacks, of those that
/// are compared without being asked for: a redirect without its target would be any redirect.
fn with_new_headers(mismatch: Mismatch, captured: &Expected<'_>, actual: &Response) -> Mismatch {
    let is_redirect = (300..400).contains(&actual.status);
    let names = ["content-type", "location"].into_iter();
    let names = names.filter(|name| *name != "location" || is_redirect);
    // Where a captured answer was no redirect, its target was compared with nothing.
    let was_redirect = (300..400).contains(&captured.status);
    let counted =
        |name: &str| captured.headers.contains(name) && (name != "location" || was_redirect);
    let new = names.filter(|name| !counted(name) && actual.headers.contains(name));
    new.fold(mismatch, |mismatch, name| {
        let values = field::as_captured(name, captured.headers, &actual.headers, &captured.reached);
        let name = name.to_owned();
        mismatch.accepted_by(Risk::High, Change::Header { name, values })
    })
}
