//! Compares headers: those that must be included, those that always count, and, if requested, all captured
//! ones.

use super::assertions::{Assertions, HeaderRules};
use super::change::{Barrier, Change, Risk};
use super::expected::{Expected, Reached};
use super::field;
use super::mismatch::{MessagePlace, Mismatch, Side, Why};
use crate::base::http::{Headers, Response, is_hop_by_hop, shown};
use crate::base::masked::holds_placeholder;

const VOLATILE: [&str; 11] = [
    "date",
    "age",
    "expires",
    "last-modified",
    "etag",
    "server",
    "via",
    "content-length",
    "x-request-id",
    "traceparent",
    "tracestate",
];

/// Returns whether any header would be compared under these rules.
pub(super) fn is_any_compared(captured: Option<&Headers>, rules: &HeaderRules) -> bool {
    let mut included = rules.include.iter();
    included.any(|(name, _)| !is_ignored(name, rules)) || compared(captured, rules).next().is_some()
}

fn is_ignored(name: &str, rules: &HeaderRules) -> bool {
    let mut ignored = rules.ignore.iter();
    ignored.any(|ignored| ignored.eq_ignore_ascii_case(name))
}

/// Returns the names of the captured headers that are compared.
fn compared<'h>(
    captured: Option<&'h Headers>,
    rules: &'h HeaderRules,
) -> impl Iterator<Item = String> + 'h {
    let captured = captured.filter(|_| rules.captured);
    let names = captured.map(Headers::names).unwrap_or_default();
    names
        .into_iter()
        .filter(|name| !is_ignored(name, rules) && !is_volatile(name))
}

pub(super) fn compare(
    captured: Option<&Expected<'_>>,
    actual: &Response,
    assertions: &Assertions,
    mismatches: &mut Vec<Mismatch>,
) {
    let rules = &assertions.headers;
    check_included(&actual.headers, rules, mismatches);
    let Some(captured) = captured else {
        return;
    };
    let (was, is) = (captured.headers, &actual.headers);
    compare_captured(was, is, rules, &captured.reached, mismatches);
    if !rules.captured {
        compare_always(captured, actual, assertions, mismatches);
    }
}

/// Compares the headers of a request that the application sends.
pub(super) fn compare_sent(
    captured: &Headers,
    actual: &Headers,
    rules: &HeaderRules,
    mismatches: &mut Vec<Mismatch>,
) {
    check_included(actual, rules, mismatches);
    compare_captured(captured, actual, rules, &Reached::default(), mismatches);
}

fn check_included(actual: &Headers, rules: &HeaderRules, mismatches: &mut Vec<Mismatch>) {
    let included = rules.include.iter();
    for (name, pattern) in included.filter(|(name, _)| !is_ignored(name, rules)) {
        let mut values = actual.all(name);
        if !values.any(|value| pattern.is_match(&String::from_utf8_lossy(value))) {
            let pattern = match pattern.as_str() {
                "" => String::new(),
                pattern => shown(name, pattern.as_bytes()).into_owned(),
            };
            mismatches.push(Mismatch {
                actual: values_of(actual, name),
                ..Mismatch::missing(MessagePlace::Header(name.clone()), Side::Pattern(pattern))
            });
        }
    }
}

fn compare_captured(
    captured: &Headers,
    actual: &Headers,
    rules: &HeaderRules,
    reached: &Reached<'_>,
    mismatches: &mut Vec<Mismatch>,
) {
    for name in compared(Some(captured), rules) {
        if !field::equal(&name, captured, actual, reached) {
            mismatches.push(differing(name, captured, actual, reached));
        }
    }
}

/// Compares the captured headers that count without being asked for: the media type, and where a redirect
/// leads. What the suite states takes precedence.
fn compare_always(
    captured: &Expected<'_>,
    actual: &Response,
    assertions: &Assertions,
    mismatches: &mut Vec<Mismatch>,
) {
    if !assertions.status.admits(captured.status) {
        return;
    }
    let rules = &assertions.headers;
    let counts = |name: &str| {
        let mut included = rules.include.iter();
        captured.headers.contains(name)
            && !is_ignored(name, rules)
            && !included.any(|(stated, _)| stated.eq_ignore_ascii_case(name))
    };
    let is_redirect = (300..400).contains(&captured.status);
    let (was, is) = (captured.headers, &actual.headers);
    if counts("content-type") && !field::same_media_type(was, is) {
        mismatches.push(differing(
            "content-type".to_owned(),
            was,
            is,
            &captured.reached,
        ));
    }
    if is_redirect && counts("location") && !field::equal("location", was, is, &captured.reached) {
        mismatches.push(differing("location".to_owned(), was, is, &captured.reached));
    }
}

fn differing(
    name: String,
    captured: &Headers,
    actual: &Headers,
    reached: &Reached<'_>,
) -> Mismatch {
    let (was, is) = (values_of(captured, &name), values_of(actual, &name));
    let risk = match is {
        None => Risk::High,
        Some(_) if name == "content-type" => Risk::High,
        Some(_) => Risk::Medium,
    };
    let is_placeholder = |value: &[u8]| holds_placeholder(&String::from_utf8_lossy(value));
    let is_masked = captured.all(&name).any(is_placeholder);
    let mismatch = Mismatch {
        // What differs is masked.
        why: (was == is).then_some(Why::Masked),
        expected: was,
        actual: is,
        ..Mismatch::new(
            MessagePlace::Header(name.clone()),
            Side::Hidden,
            Side::Hidden,
        )
    };
    if is_masked && risk != Risk::High {
        return mismatch.barred_by(Barrier::Secret);
    }
    let values = field::as_captured(&name, captured, actual, reached);
    mismatch.accepted_by(risk, Change::Header { name, values })
}

/// Returns whether a header naturally differs from one exchange to the next; `name` is in lower case.
pub(crate) fn is_volatile(name: &str) -> bool {
    VOLATILE.contains(&name)
        || is_hop_by_hop(name)
        || name.starts_with("x-envoy-")
        || name.starts_with("x-softprobe-")
}

/// Returns the values of a header for display, secrets masked; `None` if the header is absent.
fn values_of(headers: &Headers, name: &str) -> Option<Side> {
    let values = headers.all(name).map(|value| match name {
        "set-cookie" => field::masked_cookie(value),
        _ => shown(name, value).into_owned(),
    });
    let values: Vec<String> = values.collect();
    (!values.is_empty()).then_some(Side::Values(values))
}
