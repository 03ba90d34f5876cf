//! Bodies: as JSON where both sides are, else as text, else as bytes.

use std::collections::HashSet;

use serde_json::Value;
use similar::TextDiff;

use super::tree::{self, Sides};
use super::{BodyMode, BodyRules, Comparison, Mismatch};
use crate::json::{self, Query};

/// A redacted place can't be found in text, and must not be printed.
pub(crate) const HIDDEN: &str = "(not shown: body.redactions is set, and this is not JSON)";

pub(super) fn compare(
    captured: Option<&[u8]>,
    actual: &[u8],
    rules: &BodyRules,
    found: &mut Comparison,
) {
    let expected: Option<Vec<u8>> = match &rules.expected {
        Some(Value::String(text)) => Some(text.clone().into_bytes()),
        Some(json) => Some(json.to_string().into_bytes()),
        None => captured.map(<[u8]>::to_vec),
    };
    let actual_json = json::parse(actual);
    check_matches(actual_json.as_ref(), actual, rules, found);
    let mode = rules.mode.unwrap_or_default();
    let Some(expected) = expected.filter(|_| mode != BodyMode::Ignore) else {
        return;
    };
    found.compared += 1;
    if mode == BodyMode::String {
        if expected != actual {
            found.mismatches.push(differing_text(&expected, actual));
        }
        return;
    }
    match (json::parse(&expected), actual_json) {
        (Some(expected), Some(actual)) => {
            compare_json(expected, actual, rules, mode, &mut found.mismatches);
        }
        (parsed, actual_parsed) => {
            if expected == actual {
                return;
            }
            let mut mismatch = if rules.redactions.is_empty() {
                differing_text(&expected, actual)
            } else {
                Mismatch::new("body", HIDDEN, HIDDEN)
            };
            mismatch.reason = match (parsed.is_some(), actual_parsed.is_some()) {
                (true, false) => {
                    Some("the expected body is JSON, the actual one is not".to_owned())
                }
                (false, true) => {
                    Some("the actual body is JSON, the expected one is not".to_owned())
                }
                _ => mismatch.reason,
            };
            found.mismatches.push(mismatch);
        }
    }
}

/// A JSON body with what must not be printed replaced.
pub(crate) fn redact(body: &mut Value, redactions: &[(Query, Value)]) {
    for (query, replacement) in redactions {
        let pointers: Vec<String> = query.locate(body).into_iter().map(|(p, _)| p).collect();
        for pointer in pointers {
            // A place inside one that was replaced before is gone, and with it the secret.
            if let Some(place) = body.pointer_mut(&pointer) {
                *place = replacement.clone();
            }
        }
    }
}

fn compare_json(
    mut expected: Value,
    mut actual: Value,
    rules: &BodyRules,
    mode: BodyMode,
    mismatches: &mut Vec<Mismatch>,
) {
    redact(&mut expected, &rules.redactions);
    redact(&mut actual, &rules.redactions);
    let ignored: Vec<&Query> = rules.ignore.iter().collect();
    let mut removed_expected = pointers(&ignored, &expected);
    let mut removed_actual = pointers(&ignored, &actual);
    set_matched_aside(&mut expected, rules, &mut removed_expected);
    set_matched_aside(&mut actual, rules, &mut removed_actual);
    let sides = Sides {
        exact: mode == BodyMode::Exact,
        removed_expected,
        removed_actual,
        unordered: pointers(&rules.unordered.iter().collect::<Vec<_>>(), &expected),
    };
    tree::compare(&expected, &actual, &sides, mismatches);
}

/// Takes what `body.match` judges out of the comparison: members are removed; elements become equal
/// on both sides, since an array's length is still to be compared.
fn set_matched_aside(body: &mut Value, rules: &BodyRules, removed: &mut HashSet<String>) {
    let queries: Vec<&Query> = rules.matches.iter().map(|(query, _)| query).collect();
    for pointer in pointers(&queries, body) {
        let parent = pointer.rsplit_once('/').map(|(parent, _)| parent);
        if parent
            .and_then(|parent| body.pointer(parent))
            .is_some_and(Value::is_array)
        {
            if let Some(element) = body.pointer_mut(&pointer) {
                *element = Value::Null;
            }
        } else {
            removed.insert(pointer);
        }
    }
}

fn pointers(queries: &[&Query], body: &Value) -> HashSet<String> {
    queries
        .iter()
        .flat_map(|query| query.locate(body))
        .map(|(pointer, _)| pointer)
        .collect()
}

fn check_matches(actual: Option<&Value>, bytes: &[u8], rules: &BodyRules, found: &mut Comparison) {
    for (query, matcher) in &rules.matches {
        found.compared += 1;
        let Some(body) = actual else {
            let shown = if rules.redactions.is_empty() {
                excerpt(bytes)
            } else {
                HIDDEN.to_owned()
            };
            let mismatch = Mismatch::new(query.text(), matcher.to_string(), shown);
            found
                .mismatches
                .push(mismatch.because("the actual body is not JSON"));
            continue;
        };
        let selected = query.locate(body);
        if selected.is_empty() {
            found.mismatches.push(Mismatch {
                path: query.text().to_owned(),
                expected: Some(matcher.to_string()),
                actual: None,
                reason: Some("the path selects nothing in the actual body".to_owned()),
                diff: None,
            });
        }
        let mut shown = body.clone();
        redact(&mut shown, &rules.redactions);
        for (pointer, value) in selected {
            if !matcher.fits(value) {
                let actual = shown
                    .pointer(&pointer)
                    .map_or("gone".to_owned(), json::show);
                let path = tree::path_of_pointer(&pointer, body);
                found
                    .mismatches
                    .push(Mismatch::new(path, matcher.to_string(), actual));
            }
        }
    }
}

/// How two texts, or two runs of bytes, differ.
fn differing_text(expected: &[u8], actual: &[u8]) -> Mismatch {
    let mut mismatch = Mismatch::new("body", excerpt(expected), excerpt(actual));
    match (std::str::from_utf8(expected), std::str::from_utf8(actual)) {
        (Ok(expected), Ok(actual)) => mismatch.diff = text_diff(expected, actual),
        _ => {
            let same = expected
                .iter()
                .zip(actual)
                .take_while(|(a, b)| a == b)
                .count();
            mismatch.reason = Some(format!("the first difference is at byte {same}"));
        }
    }
    mismatch
}

/// The differing lines with a little around them, where there are lines to speak of.
pub(super) fn text_diff(expected: &str, actual: &str) -> Option<String> {
    const LARGEST: usize = 256 * 1024;
    let lines = expected.lines().count().max(actual.lines().count());
    if lines < 2 || expected.len().max(actual.len()) > LARGEST {
        return None;
    }
    let diff = TextDiff::from_lines(expected, actual);
    Some(
        diff.unified_diff()
            .context_radius(2)
            .missing_newline_hint(false)
            .to_string(),
    )
}

/// The beginning of a body, as people can read it.
fn excerpt(body: &[u8]) -> String {
    const MOST: usize = 400;
    match std::str::from_utf8(body) {
        Ok("") => "an empty body".to_owned(),
        Ok(text) if text.chars().count() <= MOST => text.to_owned(),
        Ok(text) => {
            let start: String = text.chars().take(MOST).collect();
            format!("{start}… ({} bytes)", body.len())
        }
        Err(_) => {
            let start: Vec<String> = body.iter().take(32).map(|b| format!("{b:02x}")).collect();
            let more = if body.len() > 32 { " …" } else { "" };
            format!("{} bytes: {}{more}", body.len(), start.join(" "))
        }
    }
}
