//! Compares bodies: as JSON if both sides are JSON, otherwise as text or bytes.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;

use serde_json::Value;

use super::change::{Barrier, Change, Risk};
use super::field::media_type;
use super::mismatch::{Comparison, Excerpt, MessagePlace, Mismatch, Repeated, Side, Why};
use super::rules::{BodyMode, BodyRules};
use super::text;
use super::tree::{self, Sides};
use crate::base::http::Headers;
use crate::base::json::{self, Document, Query, TooCostly};
use crate::base::masked::{holds_placeholder, stands_for};

/// Returns whether the body would be compared under these rules; `captured` says whether there
/// is a captured body.
pub(super) fn is_compared(captured: bool, rules: &BodyRules) -> bool {
    let mode = rules.mode.unwrap_or_default();
    let expected = captured || rules.expected.is_some();
    !rules.matches.is_empty() || (expected && mode != BodyMode::Ignore)
}

/// A body, with what its headers say of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) headers: &'b Headers,
}

pub(super) fn compare(
    captured: Option<Body<'_>>,
    actual: Body<'_>,
    rules: &BodyRules,
    found: &mut Comparison,
) {
    let first = found.mismatches.len();
    compare_with(captured, actual, rules, found);
    if rules.expected.is_some() {
        for mismatch in &mut found.mismatches[first..] {
            mismatch.bar(Barrier::Stated);
        }
    }
}

fn compare_with(
    captured: Option<Body<'_>>,
    actual: Body<'_>,
    rules: &BodyRules,
    found: &mut Comparison,
) {
    let mode = rules.mode.unwrap_or_default();
    let stated = rules.expected.as_ref();
    let stated = stated.map(|stated| match json::as_text(stated) {
        Some(text) => Cow::from(text.as_bytes()),
        None => json::show(stated).into_bytes().into(),
    });
    let expected = stated.or_else(|| captured.map(|captured| captured.bytes.into()));
    let expected = expected.filter(|_| mode != BodyMode::Ignore);
    if rules.matches.is_empty() && expected.as_deref() == Some(actual.bytes) {
        return;
    }
    let actual_json = match (mode, rules.matches.is_empty()) {
        (BodyMode::String | BodyMode::Ignore, true) => None,
        _ if is_text(captured, actual, rules) => None,
        _ => Some(json::read(actual.bytes)),
    };
    let matchable = actual_json.as_ref().and_then(|json| json.as_ref().ok());
    let matchable = matchable.map(|json| &json.value);
    check_matches(matchable, actual.bytes, rules, &mut found.mismatches);
    let Some(expected) = expected else {
        return;
    };
    let expected_json = match actual_json {
        Some(_) if mode != BodyMode::String => Some(json::read(&expected)),
        _ => None,
    };
    let why = match (expected_json, actual_json) {
        (Some(Ok(expected)), Some(Ok(actual))) if expected.is_deep || actual.is_deep => {
            return json::with_room(|| compare_json(expected, actual, rules, mode, found));
        }
        (Some(Ok(expected)), Some(Ok(actual))) => {
            return compare_json(expected, actual, rules, mode, found);
        }
        _ if *expected == *actual.bytes => return,
        _ if rules.masked.iter().any(|query| query.text() == "$")
            && is_masked_text(&expected, actual.bytes) =>
        {
            return;
        }
        (Some(Ok(_)), Some(Err(why))) => {
            let reason = looks_like_json(actual.bytes, Some(actual.headers)).then_some(why);
            Some(Why::ActualIsNoJson(reason))
        }
        (Some(Err(why)), Some(Ok(_))) => {
            let headers = captured.map(|captured| captured.headers);
            let reason = looks_like_json(&expected, headers).then_some(why);
            Some(Why::ExpectedIsNoJson(reason))
        }
        (Some(Err(_)), Some(Err(why))) if looks_like_json(actual.bytes, Some(actual.headers)) => {
            Some(Why::NeitherIsJson(why))
        }
        _ => None,
    };
    let mut mismatch = if rules.redactions.is_empty() {
        text::differing(&expected, actual.bytes)
    } else {
        Mismatch::new(MessagePlace::Body, Side::Hidden, Side::Hidden)
    };
    mismatch.why = why.or(mismatch.why);
    found.mismatches.push(match () {
        () if !rules.redactions.is_empty() => mismatch.barred_by(Barrier::Redacted),
        () if holds_placeholder(&String::from_utf8_lossy(&expected)) => {
            mismatch.barred_by(Barrier::Secret)
        }
        () => mismatch.accepted_by(Risk::High, Change::Body(actual.bytes.to_vec())),
    });
}

/// Returns whether a captured text stands for that other one.
fn is_masked_text(captured: &[u8], actual: &[u8]) -> bool {
    let texts = (std::str::from_utf8(captured), std::str::from_utf8(actual));
    matches!(texts, (Ok(captured), Ok(actual)) if stands_for(captured, actual))
}

/// Returns whether the bodies are text even if they could be read as JSON, because both say so and the suite
/// states nothing that needs JSON.
fn is_text(captured: Option<Body<'_>>, actual: Body<'_>, rules: &BodyRules) -> bool {
    let needs_json = matches!(rules.mode, Some(BodyMode::JsonSubset))
        || rules
            .expected
            .as_ref()
            .is_some_and(|expected| json::as_text(expected).is_none())
        || !rules.matches.is_empty()
        || !rules.ignore.is_empty()
        || !rules.redactions.is_empty()
        || !rules.unordered.is_empty();
    let says_so = |body: Body<'_>| says_json(body.headers) == Some(false);
    // A stated text has no headers to say that it is none.
    let is_stated = rules.expected.is_some();
    !needs_json && (is_stated || captured.is_some_and(says_so)) && says_so(actual)
}

/// Returns whether the media type is one of JSON; `None` if there is none.
fn says_json(headers: &Headers) -> Option<bool> {
    media_type(headers).map(|media_type| media_type.contains("json"))
}

fn looks_like_json(body: &[u8], headers: Option<&Headers>) -> bool {
    let first = body.trim_ascii_start().first();
    headers.and_then(says_json) == Some(true) || first.is_some_and(|first| b"{[".contains(first))
}

/// Replaces the values in a JSON body that must not be printed.
///
/// # Errors
///
/// If a path can't be evaluated; the body is then replaced as a whole.
pub(crate) fn redact(body: &mut Value, redactions: &[(Query, Value)]) -> Result<(), TooCostly> {
    for (query, replacement) in redactions {
        let pointers = query.pointers(body).inspect_err(|_| *body = Value::Null)?;
        for pointer in pointers {
            // A place inside a value that was already replaced is gone, and so is its secret.
            if let Some(place) = body.pointer_mut(&pointer) {
                *place = replacement.clone();
            }
        }
    }
    Ok(())
}

fn compare_json(
    expected: Document,
    actual: Document,
    rules: &BodyRules,
    mode: BodyMode,
    found: &mut Comparison,
) {
    if let Err(why) = compare_values(expected, actual, rules, mode, found) {
        found.mismatches.push(Mismatch {
            expected: None,
            actual: None,
            ..Mismatch::new(MessagePlace::Body, Side::Hidden, Side::Hidden)
                .because(Why::TooCostly(why))
                .barred_by(Barrier::TooCostly)
        });
    }
}

fn compare_values(
    expected: Document,
    actual: Document,
    rules: &BodyRules,
    mode: BodyMode,
    found: &mut Comparison,
) -> Result<(), TooCostly> {
    let (expected_repeated, actual_repeated) = (expected.repeated, actual.repeated);
    let (mut expected, mut actual) = (expected.value, actual.value);
    redact(&mut expected, &rules.redactions)?;
    redact(&mut actual, &rules.redactions)?;
    let matches = || rules.matches.iter().map(|(query, _)| query);
    let sides = Sides {
        exact: mode == BodyMode::Exact,
        removed_expected: pointers(rules.ignore.iter(), &expected)?,
        removed_actual: pointers(rules.ignore.iter(), &actual)?,
        matched_expected: pointers(matches(), &expected)?,
        matched_actual: pointers(matches(), &actual)?,
        redacted_expected: pointers(rules.redactions.iter().map(|(query, _)| query), &expected)?,
        unordered: pointers(rules.unordered.iter(), &expected)?,
        masked: pointers(rules.masked.iter(), &expected)?,
        is_probe: Cell::new(false),
    };
    tree::compare(&expected, &actual, &sides, &mut found.mismatches);
    let bodies = [
        (expected_repeated, &expected, &sides.removed_expected, true),
        (actual_repeated, &actual, &sides.removed_actual, false),
    ];
    for (repeated, body, removed, in_expected) in bodies {
        let mut places: Vec<MessagePlace> = Vec::new();
        for pointer in repeated
            .iter()
            .filter(|pointer| !is_within(pointer, removed))
        {
            let place = tree::place_of_pointer(pointer, body);
            if !places.contains(&place) {
                places.push(place);
            }
        }
        for place in places {
            if sides.exact {
                found.mismatches.push(Mismatch {
                    expected: None,
                    actual: None,
                    ..Mismatch::new(place, Side::Hidden, Side::Hidden)
                        .because(Why::Repeated { in_expected })
                        .barred_by(Barrier::Repeated)
                });
            } else {
                found.repeated.push(Repeated { place, in_expected });
            }
        }
    }
    Ok(())
}

/// Returns whether a pointer leads to one of these places or into one.
fn is_within(pointer: &str, places: &HashSet<String>) -> bool {
    let ends = pointer.match_indices('/').map(|(at, _)| at);
    let mut ends = ends.chain([pointer.len()]);
    !places.is_empty() && ends.any(|end| places.contains(&pointer[..end]))
}

fn pointers<'q>(
    queries: impl Iterator<Item = &'q Query>,
    body: &Value,
) -> Result<HashSet<String>, TooCostly> {
    let mut pointers = HashSet::new();
    for query in queries {
        pointers.extend(query.pointers(body)?);
    }
    Ok(pointers)
}

fn check_matches(
    actual: Option<&Value>,
    bytes: &[u8],
    rules: &BodyRules,
    mismatches: &mut Vec<Mismatch>,
) {
    for (query, matcher) in &rules.matches {
        let written = MessagePlace::Written(query.text().to_owned());
        let wanted = Side::Fitting(matcher.clone());
        let Some(body) = actual else {
            let shown = match rules.redactions.is_empty() {
                true => Side::Bytes(Excerpt::of(bytes)),
                false => Side::Hidden,
            };
            mismatches.push(Mismatch::new(written, wanted, shown).because(Why::NoJson));
            continue;
        };
        let selected = match query.locate(body) {
            Ok(selected) => selected,
            Err(why) => {
                mismatches.push(Mismatch {
                    actual: None,
                    ..Mismatch::new(written, wanted, Side::Hidden).because(Why::TooCostly(why))
                });
                continue;
            }
        };
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
        // What can't be redacted is hidden as a whole.
        let hidden = redact(&mut shown, &rules.redactions).is_err();
        for pointer in misfits {
            let actual = shown.pointer(&pointer).filter(|_| !hidden).cloned();
            mismatches.push(Mismatch::new(
                tree::place_of_pointer(&pointer, body),
                wanted.clone(),
                actual.map_or(Side::Text("(redacted)".to_owned()), Side::Json),
            ));
        }
    }
}
