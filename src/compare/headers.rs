//! Headers: what must be included, and the captured ones where they are compared at all.

use super::{Comparison, Expected, HeaderRules, Mismatch};
use crate::http::{Headers, Response, is_hop_by_hop, shown};

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

pub(super) fn compare(
    captured: Option<&Expected>,
    actual: &Response,
    rules: &HeaderRules,
    found: &mut Comparison,
) {
    let ignored = |name: &str| rules.ignore.iter().any(|i| i.eq_ignore_ascii_case(name));
    for (name, pattern) in rules.include.iter().filter(|(name, _)| !ignored(name)) {
        found.compared += 1;
        let mut values = actual.headers.all(name);
        if !values.any(|value| pattern.is_match(&String::from_utf8_lossy(value))) {
            let expected = match pattern.as_str() {
                "" => "any value".to_owned(),
                pattern => format!("a value that matches /{}/", shown(name, pattern.as_bytes())),
            };
            found.mismatches.push(Mismatch {
                path: format!("headers.{name}"),
                expected: Some(expected),
                actual: text(&actual.headers, name),
                reason: None,
                diff: None,
            });
        }
    }
    let Some(captured) = captured.filter(|_| rules.captured) else {
        return;
    };
    for name in captured.headers.names() {
        if ignored(&name) || is_volatile(&name) {
            continue;
        }
        found.compared += 1;
        if !captured.headers.all(&name).eq(actual.headers.all(&name)) {
            found.mismatches.push(Mismatch {
                path: format!("headers.{name}"),
                expected: text(&captured.headers, &name),
                actual: text(&actual.headers, &name),
                reason: None,
                diff: None,
            });
        }
    }
}

/// Whether a header, name in lower case, differs from one exchange to the next by its nature.
pub(crate) fn is_volatile(name: &str) -> bool {
    VOLATILE.contains(&name)
        || is_hop_by_hop(name)
        || name.starts_with("x-envoy-")
        || name.starts_with("x-softprobe-")
}

/// The values as people may read them; `None` for an absent header.
fn text(headers: &Headers, name: &str) -> Option<String> {
    let values: Vec<_> = headers.all(name).map(|value| shown(name, value)).collect();
    (!values.is_empty()).then(|| values.join(" | "))
}
