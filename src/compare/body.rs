//! Compares bodies: as JSON if both sides are JSON, otherwise as text or bytes.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::Value;

use super::assertions::{BodyMode, BodyRules};
use super::mismatch::{AnswerPlace, Excerpt, Mismatch, Side, Why};
use super::text;
use super::tree::{self, Sides};
use crate::base::json::{self, Query};

/// Returns whether the body would be compared under these rules; `captured` says whether there
/// is a captured body.
pub(super) fn is_compared(captured: bool, rules: &BodyRules) -> bool {
    let mode = rules.mode.unwrap_or_default();
    let expected = captured || rules.expected.is_some();
    !rules.matches.is_empty() || (expected && mode != BodyMode::Ignore)
}

pub(super) fn compare(
    captured: Option<&[u8]>,
    actual: &[u8],
    rules: &BodyRules,
    mismatches: &mut Vec<Mismatch>,
) {
    let expected: Option<Cow<'_, [u8]>> = match &rules.expected {
        Some(Value::String(text)) => Some(text.as_bytes().into()),
        Some(json) => Some(json.to_string().into_bytes().into()),
        None => captured.map(Cow::Borrowed),
    };
    let mode = rules.mode.unwrap_or_default();
    let expected = expected.filter(|_| mode != BodyMode::Ignore);
    if rules.matches.is_empty() && expected.as_deref() == Some(actual) {
        return;
    }
    let actual_json = match (mode, rules.matches.is_empty()) {
        (BodyMode::String | BodyMode::Ignore, true) => None,
        _ => json::parse(actual),
    };
    check_matches(actual_json.as_ref(), actual, rules, mismatches);
    let Some(expected) = expected else {
        return;
    };
    if mode == BodyMode::String {
        if *expected != *actual {
            mismatches.push(text::differing(&expected, actual));
        }
        return;
    }
    match (json::parse(&expected), actual_json) {
        (Some(expected), Some(actual)) => compare_json(expected, actual, rules, mode, mismatches),
        (expected_json, actual_json) => {
            if *expected == *actual {
                return;
            }
            let mut mismatch = if rules.redactions.is_empty() {
                text::differing(&expected, actual)
            } else {
                Mismatch::new(AnswerPlace::Body, Side::Hidden, Side::Hidden)
            };
            match (expected_json.is_some(), actual_json.is_some()) {
                (true, false) => mismatch.why = Some(Why::ActualIsNoJson),
                (false, true) => mismatch.why = Some(Why::ExpectedIsNoJson),
                _ => {}
            }
            mismatches.push(mismatch);
        }
    }
}

/// Replaces the values in a JSON body that must not be printed.
pub(crate) fn redact(body: &mut Value, redactions: &[(Query, Value)]) {
    for (query, replacement) in redactions {
        let pointers: Vec<String> = query.locate(body).into_iter().map(|(p, _)| p).collect();
        for pointer in pointers {
            // A place inside a value that was already replaced is gone, and so is its secret.
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
    let mut removed_expected = pointers(rules.ignore.iter(), &expected);
    let mut removed_actual = pointers(rules.ignore.iter(), &actual);
    set_matched_aside(&mut expected, rules, &mut removed_expected);
    set_matched_aside(&mut actual, rules, &mut removed_actual);
    let sides = Sides {
        exact: mode == BodyMode::Exact,
        removed_expected,
        removed_actual,
        unordered: pointers(rules.unordered.iter(), &expected),
    };
    tree::compare(&expected, &actual, &sides, mismatches);
}

/// Excludes from the comparison what `body.match` judges. Members are removed; array elements are
/// made equal on both sides instead, so that the array's length is still compared.
fn set_matched_aside(body: &mut Value, rules: &BodyRules, removed: &mut HashSet<String>) {
    let queries = rules.matches.iter().map(|(query, _)| query);
    for pointer in pointers(queries, body) {
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

fn pointers<'q>(queries: impl Iterator<Item = &'q Query>, body: &Value) -> HashSet<String> {
    queries
        .flat_map(|query| query.locate(body))
        .map(|(pointer, _)| pointer)
        .collect()
}

fn check_matches(
    actual: Option<&Value>,
    bytes: &[u8],
    rules: &BodyRules,
    mismatches: &mut Vec<Mismatch>,
) {
    for (query, matcher) in &rules.matches {
        let written = AnswerPlace::Written(query.text().to_owned());
        let wanted = Side::Fitting(matcher.clone());
        let Some(body) = actual else {
            let shown = match rules.redactions.is_empty() {
                true => Side::Bytes(Excerpt::of(bytes)),
                false => Side::Hidden,
            };
            mismatches.push(Mismatch::new(written, wanted, shown).because(Why::NoJson));
            continue;
        };
        let selected = query.locate(body);
        if selected.is_empty() {
            mismatches.push(Mismatch::missing(written, wanted).because(Why::SelectsNothing));
            continue;
        }
        let misfits = selected.into_iter().filter(|(_, v)| !matcher.fits(v));
        let misfits: Vec<String> = misfits.map(|(pointer, _)| pointer).collect();
        if misfits.is_empty() {
            continue;
        }
        let mut shown = body.clone();
        redact(&mut shown, &rules.redactions);
        for pointer in misfits {
            let actual = shown.pointer(&pointer).cloned();
            mismatches.push(Mismatch::new(
                tree::place_of_pointer(&pointer, body),
                wanted.clone(),
                actual.map_or(Side::Text("(redacted)".to_owned()), Side::Json),
            ));
        }
    }
}
