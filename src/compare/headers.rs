//! Compares headers: those that must be included and, if requested, the captured ones.

use super::assertions::HeaderRules;
use super::mismatch::{AnswerPlace, Mismatch, Side};
use crate::base::http::{Headers, Response, is_hop_by_hop, shown};

const VOLATILE: [&str; 12] = [
    "date",
    "age",
    "expires",
    "last-modified",
    "etag",
    "server",
    "via",
    "set-cookie",
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
    captured: Option<&Headers>,
    actual: &Response,
    rules: &HeaderRules,
    mismatches: &mut Vec<Mismatch>,
) {
    let included = rules.include.iter();
    for (name, pattern) in included.filter(|(name, _)| !is_ignored(name, rules)) {
        let mut values = actual.headers.all(name);
        if !values.any(|value| pattern.is_match(&String::from_utf8_lossy(value))) {
            let pattern = match pattern.as_str() {
                "" => String::new(),
                pattern => shown(name, pattern.as_bytes()).into_owned(),
            };
            mismatches.push(Mismatch {
                actual: values_of(&actual.headers, name),
                ..Mismatch::missing(AnswerPlace::Header(name.clone()), Side::Pattern(pattern))
            });
        }
    }
    let Some(captured) = captured else {
        return;
    };
    for name in compared(Some(captured), rules) {
        if !captured.all(&name).eq(actual.headers.all(&name)) {
            mismatches.push(Mismatch {
                expected: values_of(captured, &name),
                actual: values_of(&actual.headers, &name),
                place: AnswerPlace::Header(name),
                why: None,
                diff: None,
            });
        }
    }
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
    let values = headers
        .all(name)
        .map(|value| shown(name, value).into_owned());
    let values: Vec<String> = values.collect();
    (!values.is_empty()).then_some(Side::Values(values))
}
