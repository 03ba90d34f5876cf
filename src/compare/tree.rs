//! Compares two JSON trees and reports each difference at its path.

use std::cell::Cell;
use std::collections::HashSet;

use serde_json::Value;

use super::change::{Barrier, Change, Risk};
use super::mismatch::{MessagePlace, Mismatch, Side, Why};
use super::text::{line_diff, same_but_white_space};
use crate::base::document::{Step, Way};
use crate::base::json;
use crate::base::masked::{holds_placeholder, is_masked_number, stands_for};

/// The size limit of arrays compared without regard to order: every element is compared with every
/// other, so a larger array would seem to hang.
pub(crate) const MOST_UNORDERED: usize = 2_000;

/// How two trees are compared. Places are JSON pointers.
#[derive(Debug)]
pub(super) struct Sides {
    /// Whether a member that is not expected is a difference.
    pub(super) exact: bool,
    /// Places left out of the expected tree.
    pub(super) removed_expected: HashSet<String>,
    /// Places left out of the actual tree.
    pub(super) removed_actual: HashSet<String>,
    /// Places of the expected tree whose values a matcher judges; they only have to be there.
    pub(super) matched_expected: HashSet<String>,
    /// Places of the actual tree whose values a matcher judges; they are never too many.
    pub(super) matched_actual: HashSet<String>,
    /// Places of the expected tree that are redacted.
    pub(super) redacted_expected: HashSet<String>,
    /// Arrays of the expected tree that are compared as multisets.
    pub(super) unordered: HashSet<String>,
    /// Values of the expected tree in which what stands in place of a secret stands for any text.
    pub(super) masked: HashSet<String>,
    /// Whether it only counts if there is any difference: to find out which elements are alike, all are compared with each other.
    pub(super) is_probe: Cell<bool>,
}

impl Sides {
    /// Returns whether the suite leaves out or matches something within a captured or an actual value, or redacts something within
    /// the captured one, so that a new value could not keep it.
    fn keeps_within(&self, at_expected: &str, at_actual: &str) -> bool {
        let within = |places: &HashSet<String>, at: &str| {
            let rest = |place: &String| {
                place
                    .strip_prefix(at)
                    .is_some_and(|rest| rest.starts_with('/'))
            };
            places.iter().any(rest)
        };
        [
            &self.removed_expected,
            &self.matched_expected,
            &self.redacted_expected,
        ]
        .into_iter()
        .any(|places| within(places, at_expected))
            || [&self.removed_actual, &self.matched_actual]
                .into_iter()
                .any(|places| within(places, at_actual))
    }
}

/// Bars differences that would bring something new into a capture that loses what stands in place of a secret: it may be that secret,
/// under another name.
fn bar_secrets(mismatches: &mut [Mismatch]) {
    let is_lost = |mismatch: &Mismatch| match &mismatch.expected {
        Some(Side::Json(value)) => holds_secret(value),
        _ => false,
    };
    if !mismatches.iter().any(is_lost) {
        return;
    }
    let brings = |change: &Change| matches!(change, Change::Json { to: Some(_), .. });
    for mismatch in mismatches {
        if mismatch.changes.iter().any(brings) {
            mismatch.bar(Barrier::Secret);
        }
    }
}

/// Compares two trees and adds every difference to `mismatches`.
pub(super) fn compare(
    expected: &Value,
    actual: &Value,
    sides: &Sides,
    mismatches: &mut Vec<Mismatch>,
) {
    let root = Spot::ROOT;
    if !sides.removed_expected.contains("") && !sides.removed_actual.contains("") {
        let first = mismatches.len();
        visit(expected, actual, &root, &root, sides, mismatches);
        bar_secrets(&mut mismatches[first..]);
    }
}

/// A place in one of the trees.
type Spot<'a> = Way<'a>;

fn place(at: &Spot<'_>) -> MessagePlace {
    MessagePlace::Json(at.place().0)
}

/// Returns whether a place is one of these. Usually there are none, and then no pointer is built.
fn is_among(places: &HashSet<String>, at: &Spot<'_>) -> bool {
    !places.is_empty() && places.contains(&at.pointer())
}

/// Returns the place that a JSON pointer into a tree leads to.
pub(super) fn place_of_pointer(pointer: &str, root: &Value) -> MessagePlace {
    let mut steps = Vec::new();
    let mut at = Some(root);
    for token in pointer.split('/').skip(1) {
        let key = token.replace("~1", "/").replace("~0", "~");
        let (step, next) = match (at, key.parse::<usize>()) {
            (Some(Value::Array(elements)), Ok(index)) => (Step::Index(index), elements.get(index)),
            (Some(Value::Object(members)), _) => (Step::Key(key.clone()), members.get(&key)),
            _ => (Step::Key(key), None),
        };
        steps.push(step);
        at = next;
    }
    MessagePlace::Json(steps)
}

fn visit(
    expected: &Value,
    actual: &Value,
    at_expected: &Spot<'_>,
    at_actual: &Spot<'_>,
    sides: &Sides,
    mismatches: &mut Vec<Mismatch>,
) {
    if sides.is_probe.get() && !mismatches.is_empty() {
        return;
    }
    if is_among(&sides.matched_expected, at_expected) || is_among(&sides.matched_actual, at_actual)
    {
        return;
    }
    match (expected, actual) {
        (Value::Object(wanted), Value::Object(has)) => {
            let mut gone = Vec::new();
            for (key, value) in wanted {
                let (at_expected, at_actual) = (at_expected.key(key), at_actual.key(key));
                if is_among(&sides.removed_expected, &at_expected) {
                    continue;
                }
                match has.get(key) {
                    Some(other) if !is_among(&sides.removed_actual, &at_actual) => {
                        visit(value, other, &at_expected, &at_actual, sides, mismatches);
                    }
                    _ if sides.is_probe.get() => return mismatches.push(probe()),
                    // The suite wants it there.
                    _ if is_among(&sides.matched_expected, &at_expected) => {
                        mismatches.push(missing(&at_expected, value).barred_by(Barrier::Stated))
                    }
                    _ => {
                        gone.push(mismatches.len());
                        mismatches.push(missing(&at_expected, value));
                    }
                }
            }
            if !(sides.exact || gone.is_empty()) {
                // What stands there instead would otherwise be compared with nothing.
                let is_new = |key: &str| {
                    let at_actual = at_actual.key(key);
                    !wanted.contains_key(key)
                        && !is_among(&sides.removed_actual, &at_actual)
                        && !is_among(&sides.matched_actual, &at_actual)
                };
                let new = has.iter().filter(|(key, _)| is_new(key));
                let new: Vec<Change> = new
                    .map(|(key, value)| Change::Json {
                        at: at_expected.key(key).pointer(),
                        to: Some(value.clone()),
                    })
                    .collect();
                // With each of those that are gone: who accepts one of them takes what stands there now.
                for n in gone {
                    mismatches[n].changes.extend(new.iter().cloned());
                }
            }
            if sides.exact {
                for (key, value) in has {
                    let at_actual = at_actual.key(key);
                    let is_wanted = wanted.contains_key(key)
                        && !is_among(&sides.removed_expected, &at_expected.key(key));
                    let may_stay = is_among(&sides.removed_actual, &at_actual)
                        || (!wanted.contains_key(key)
                            && is_among(&sides.matched_actual, &at_actual));
                    if !is_wanted && !may_stay {
                        if sides.is_probe.get() {
                            return mismatches.push(probe());
                        }
                        let at = at_expected.key(key).pointer();
                        mismatches.push(surplus(&at_actual, at, value));
                    }
                }
            }
        }
        (Value::Array(wanted), Value::Array(has)) => {
            let kept = |values: &'_ [Value], at: &Spot<'_>, removed: &HashSet<String>| {
                let all = 0..values.len();
                all.filter(|&n| !is_among(removed, &at.index(n)))
                    .collect::<Vec<usize>>()
            };
            let arrays = Arrays {
                wanted,
                has,
                wanted_kept: kept(wanted, at_expected, &sides.removed_expected),
                has_kept: kept(has, at_actual, &sides.removed_actual),
                at_expected,
                at_actual,
                sides,
            };
            if is_among(&sides.unordered, at_expected) {
                arrays.as_multisets(mismatches);
            } else {
                arrays.in_order(mismatches);
            }
        }
        _ if json::scalar_equals(expected, actual) => {}
        _ if is_among(&sides.masked, at_expected) && is_masked(expected, actual) => {}
        _ if sides.is_probe.get() => mismatches.push(probe()),
        _ => {
            let (a, b) = (expected.clone(), actual.clone());
            let mut mismatch = Mismatch::new(place(at_actual), Side::Json(a), Side::Json(b));
            if let (Some(a), Some(b)) = (json::as_text(expected), json::as_text(actual)) {
                if same_but_white_space(a, b) {
                    mismatch.why = Some(Why::WhiteSpace);
                } else {
                    mismatch.diff = line_diff(a, b);
                }
            }
            let is_secret = is_among(&sides.masked, at_expected) || holds_secret(expected);
            let change = Change::Json {
                at: at_expected.pointer(),
                to: Some(actual.clone()),
            };
            let (expected, actual) = (json::kind(expected), json::kind(actual));
            let mut risk = Risk::Medium;
            if expected != actual {
                mismatch.why = Some(Why::Kinds { expected, actual });
                risk = Risk::High;
            }
            let is_kept = sides.keeps_within(&at_expected.pointer(), &at_actual.pointer());
            mismatches.push(match (is_secret, is_kept) {
                (true, _) => mismatch.barred_by(Barrier::Secret),
                (false, true) => mismatch.barred_by(Barrier::Kept),
                (false, false) => mismatch.accepted_by(risk, change),
            });
        }
    }
}

/// Returns whether a captured value stands for that other one, before secrets were masked.
fn is_masked(captured: &Value, actual: &Value) -> bool {
    if let (Some(captured), Some(actual)) = (json::as_text(captured), json::as_text(actual)) {
        return stands_for(captured, actual);
    }
    let captured = json::number_text(captured);
    let is_masked = captured.is_some_and(|literal| is_masked_number(&literal));
    is_masked && json::number_text(actual).is_some()
}

/// Two arrays, with the indexes of the elements that were not removed.
struct Arrays<'a> {
    wanted: &'a [Value],
    has: &'a [Value],
    wanted_kept: Vec<usize>,
    has_kept: Vec<usize>,
    at_expected: &'a Spot<'a>,
    at_actual: &'a Spot<'a>,
    sides: &'a Sides,
}

impl Arrays<'_> {
    fn pair(&self, w: usize, h: usize, mismatches: &mut Vec<Mismatch>) {
        visit(
            &self.wanted[w],
            &self.has[h],
            &self.at_expected.index(w),
            &self.at_actual.index(h),
            self.sides,
            mismatches,
        );
    }

    fn length(&self, mismatches: &mut Vec<Mismatch>) {
        let (wanted, has) = (self.wanted_kept.len(), self.has_kept.len());
        if wanted != has {
            mismatches.push(Mismatch {
                // What is added or gone is told beside it.
                accepts: Ok(Risk::Low),
                ..Mismatch::new(
                    place(self.at_actual),
                    Side::Elements(wanted),
                    Side::Elements(has),
                )
            });
        }
    }

    /// Returns the mismatches for elements that are not expected.
    fn surplus(&self, elements: &[usize], is_unordered: bool) -> Vec<Mismatch> {
        // New elements of a list of secrets are secrets.
        let is_secret = !elements.is_empty() && self.wanted.iter().any(holds_secret);
        // In place of which captured element one stands can't be told.
        let is_kept = is_unordered && {
            let (expected, actual) = (self.at_expected.pointer(), self.at_actual.pointer());
            self.sides.keeps_within(&expected, &actual)
        };
        let elements = elements.iter().enumerate();
        let surplus = elements.map(|(n, h)| {
            let at = self.at_expected.index(self.wanted.len() + n).pointer();
            let mismatch = surplus(&self.at_actual.index(*h), at, &self.has[*h]);
            match (is_secret, is_kept) {
                (true, _) => mismatch.barred_by(Barrier::Secret),
                (false, true) => mismatch.barred_by(Barrier::Kept),
                (false, false) => mismatch,
            }
        });
        surplus.collect()
    }

    fn in_order(&self, mismatches: &mut Vec<Mismatch>) {
        if self.sides.is_probe.get() && self.wanted_kept.len() != self.has_kept.len() {
            return mismatches.push(probe());
        }
        self.length(mismatches);
        for (&w, &h) in self.wanted_kept.iter().zip(&self.has_kept) {
            self.pair(w, h, mismatches);
        }
        for &w in self.wanted_kept.iter().skip(self.has_kept.len()) {
            mismatches.push(missing(&self.at_expected.index(w), &self.wanted[w]));
        }
        let surplus = self.has_kept.get(self.wanted_kept.len()..);
        mismatches.extend(self.surplus(surplus.unwrap_or_default(), false));
    }

    /// Pairs each expected element with a different actual one that matches it. Under the subset rule
    /// one actual element can match several expected ones, so earlier pairs are changed if necessary.
    fn as_multisets(&self, mismatches: &mut Vec<Mismatch>) {
        self.length(mismatches);
        let (wanted, has) = (self.wanted_kept.len(), self.has_kept.len());
        if wanted.max(has) > MOST_UNORDERED {
            let place = place(self.at_actual);
            let change = Change::Json {
                at: self.at_expected.pointer(),
                to: Some(Value::from(self.has)),
            };
            let mismatch = Mismatch::new(place, Side::Elements(wanted), Side::Elements(has))
                .because(Why::TooMany(MOST_UNORDERED));
            mismatches.push(match self.wanted.iter().any(holds_secret) {
                true => mismatch.barred_by(Barrier::Secret),
                false => mismatch.accepted_by(Risk::High, change),
            });
            return;
        }
        let is_probe = self.sides.is_probe.replace(true);
        let fits: Vec<Vec<usize>> = self
            .wanted_kept
            .iter()
            .map(|&w| {
                (0..self.has_kept.len())
                    .filter(|&n| {
                        let mut differences = Vec::new();
                        self.pair(w, self.has_kept[n], &mut differences);
                        differences.is_empty()
                    })
                    .collect()
            })
            .collect();
        self.sides.is_probe.set(is_probe);
        let mut taken_by: Vec<Option<usize>> = vec![None; self.has_kept.len()];
        for n in 0..self.wanted_kept.len() {
            let mut seen = vec![false; self.has_kept.len()];
            if !take(n, &fits, &mut seen, &mut taken_by) {
                let w = self.wanted_kept[n];
                mismatches.push(
                    missing(&self.at_expected.index(w), &self.wanted[w])
                        .because(Why::NoElementFits),
                );
            }
        }
        let free = self.has_kept.iter().zip(&taken_by);
        let free = free.filter(|(_, taken)| taken.is_none()).map(|(h, _)| *h);
        let surplus = self.surplus(&free.collect::<Vec<_>>(), true);
        mismatches.extend(
            surplus
                .into_iter()
                .map(|one| one.because(Why::FitsNoElement)),
        );
    }
}

/// Finds an actual element for the expected element `n`, reassigning earlier ones that have another
/// choice.
fn take(n: usize, fits: &[Vec<usize>], seen: &mut [bool], taken_by: &mut [Option<usize>]) -> bool {
    for &h in &fits[n] {
        if seen[h] {
            continue;
        }
        seen[h] = true;
        let free = match taken_by[h] {
            None => true,
            Some(other) => take(other, fits, seen, taken_by),
        };
        if free {
            taken_by[h] = Some(n);
            return true;
        }
    }
    false
}

/// Returns a difference of which only that there is one counts.
fn probe() -> Mismatch {
    Mismatch::new(MessagePlace::Body, Side::Hidden, Side::Hidden)
}

/// Returns whether a captured value holds what stands in place of a secret.
fn holds_secret(value: &Value) -> bool {
    match value {
        Value::Array(elements) => elements.iter().any(holds_secret),
        Value::Object(members) => members.values().any(holds_secret),
        scalar => match json::number_text(scalar) {
            Some(number) => holds_placeholder(&number),
            None => scalar.as_str().is_some_and(holds_placeholder),
        },
    }
}

fn missing(at: &Spot, value: &Value) -> Mismatch {
    let change = Change::Json {
        at: at.pointer(),
        to: None,
    };
    Mismatch::missing(place(at), Side::Json(value.clone())).accepted_by(Risk::High, change)
}

/// Returns the mismatch for what is not expected; `in_expected` is where it would stand in the expected tree.
fn surplus(at: &Spot, in_expected: String, value: &Value) -> Mismatch {
    let change = Change::Json {
        at: in_expected,
        to: Some(value.clone()),
    };
    Mismatch::surplus(place(at), Side::Json(value.clone())).accepted_by(Risk::Low, change)
}
