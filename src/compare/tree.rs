//! Two JSON trees against each other, each difference at its path.

use std::collections::HashSet;

use serde_json::Value;

use super::Mismatch;
use super::body::text_diff;
use crate::json;
use crate::reader::Step;

/// Every element is held against every other: beyond this a comparison would seem to hang.
const MOST_UNORDERED: usize = 2_000;

/// How two trees compare. Places are JSON pointers.
#[derive(Debug)]
pub(super) struct Sides {
    /// Whether objects may have no more members than expected.
    pub(super) exact: bool,
    /// Places left out of the expected tree.
    pub(super) removed_expected: HashSet<String>,
    /// Places left out of the actual tree.
    pub(super) removed_actual: HashSet<String>,
    /// Arrays of the expected tree that compare as multisets.
    pub(super) unordered: HashSet<String>,
}

/// Adds every difference to `mismatches`.
pub(super) fn compare(
    expected: &Value,
    actual: &Value,
    sides: &Sides,
    mismatches: &mut Vec<Mismatch>,
) {
    let root = Spot::default();
    if !sides.removed_expected.contains("") && !sides.removed_actual.contains("") {
        visit(expected, actual, &root, &root, sides, mismatches);
    }
}

/// A place in one of the trees.
#[derive(Clone, Default)]
struct Spot {
    steps: Vec<Step>,
    pointer: String,
}

impl Spot {
    fn key(&self, key: &str) -> Self {
        let escaped = key.replace('~', "~0").replace('/', "~1");
        self.then(Step::Key(key.to_owned()), &escaped)
    }

    fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index), &index.to_string())
    }

    fn then(&self, step: Step, text: &str) -> Self {
        let mut steps = self.steps.clone();
        steps.push(step);
        Self {
            steps,
            pointer: format!("{}/{text}", self.pointer),
        }
    }

    fn path(&self) -> String {
        json_path(&self.steps)
    }
}

/// The steps as an RFC 9535 path: `$.items[0]['odd key']`.
fn json_path(steps: &[Step]) -> String {
    let mut path = "$".to_owned();
    for step in steps {
        match step {
            Step::Index(index) => path.push_str(&format!("[{index}]")),
            Step::Key(key) if is_shorthand(key) => path.push_str(&format!(".{key}")),
            Step::Key(key) => {
                let escaped = key.replace('\\', "\\\\").replace('\'', "\\'");
                path.push_str(&format!("['{}']", escaped.replace('\n', "\\n")));
            }
        }
    }
    path
}

fn is_shorthand(key: &str) -> bool {
    let mut chars = key.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
}

/// A JSON pointer into a tree as a path.
pub(super) fn path_of_pointer(pointer: &str, root: &Value) -> String {
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
    json_path(&steps)
}

fn visit(
    expected: &Value,
    actual: &Value,
    at_expected: &Spot,
    at_actual: &Spot,
    sides: &Sides,
    mismatches: &mut Vec<Mismatch>,
) {
    match (expected, actual) {
        (Value::Object(wanted), Value::Object(has)) => {
            for (key, value) in wanted {
                let (at_expected, at_actual) = (at_expected.key(key), at_actual.key(key));
                if sides.removed_expected.contains(&at_expected.pointer) {
                    continue;
                }
                match has.get(key) {
                    Some(other) if !sides.removed_actual.contains(&at_actual.pointer) => {
                        visit(value, other, &at_expected, &at_actual, sides, mismatches);
                    }
                    _ => mismatches.push(missing(&at_expected, value)),
                }
            }
            if sides.exact {
                for (key, value) in has {
                    let at_actual = at_actual.key(key);
                    let is_wanted = wanted.contains_key(key)
                        && !sides
                            .removed_expected
                            .contains(&at_expected.key(key).pointer);
                    if !is_wanted && !sides.removed_actual.contains(&at_actual.pointer) {
                        mismatches.push(surplus(&at_actual, value));
                    }
                }
            }
        }
        (Value::Array(wanted), Value::Array(has)) => {
            let kept = |values: &'_ [Value], at: &Spot, removed: &HashSet<String>| -> Vec<usize> {
                (0..values.len())
                    .filter(|&n| !removed.contains(&at.index(n).pointer))
                    .collect()
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
            if sides.unordered.contains(&at_expected.pointer) {
                arrays.as_multisets(mismatches);
            } else {
                arrays.in_order(mismatches);
            }
        }
        _ if json::scalar_equals(expected, actual) => {}
        _ => {
            let (a, b) = (json::show(expected), json::show(actual));
            let mut mismatch = Mismatch::new(at_actual.path(), a, b);
            if let (Some(a), Some(b)) = (expected.as_str(), actual.as_str()) {
                mismatch.diff = text_diff(a, b);
            }
            if json::kind(expected) != json::kind(actual) {
                mismatch.reason = Some(format!(
                    "expected {}, found {}",
                    json::kind(expected),
                    json::kind(actual)
                ));
            }
            mismatches.push(mismatch);
        }
    }
}

/// Two arrays, with the indexes of what was not removed.
struct Arrays<'a> {
    wanted: &'a [Value],
    has: &'a [Value],
    wanted_kept: Vec<usize>,
    has_kept: Vec<usize>,
    at_expected: &'a Spot,
    at_actual: &'a Spot,
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
            mismatches.push(Mismatch::new(
                self.at_actual.path(),
                elements(wanted),
                elements(has),
            ));
        }
    }

    fn in_order(&self, mismatches: &mut Vec<Mismatch>) {
        self.length(mismatches);
        for (&w, &h) in self.wanted_kept.iter().zip(&self.has_kept) {
            self.pair(w, h, mismatches);
        }
        for &w in self.wanted_kept.iter().skip(self.has_kept.len()) {
            mismatches.push(missing(&self.at_expected.index(w), &self.wanted[w]));
        }
        for &h in self.has_kept.iter().skip(self.wanted_kept.len()) {
            mismatches.push(surplus(&self.at_actual.index(h), &self.has[h]));
        }
    }

    /// Each expected element takes another actual one that fits it. Under the subset rule one actual
    /// element can fit several expected ones, so that takers make room for each other.
    fn as_multisets(&self, mismatches: &mut Vec<Mismatch>) {
        self.length(mismatches);
        let (wanted, has) = (self.wanted_kept.len(), self.has_kept.len());
        if wanted.max(has) > MOST_UNORDERED {
            mismatches.push(
                Mismatch::new(self.at_actual.path(), elements(wanted), elements(has)).because(format!(
                    "more than {MOST_UNORDERED} elements are not compared in any order; compare \
                     them in order, or ignore the array"
                )),
            );
            return;
        }
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
        let mut taken_by: Vec<Option<usize>> = vec![None; self.has_kept.len()];
        for n in 0..self.wanted_kept.len() {
            let mut seen = vec![false; self.has_kept.len()];
            if !take(n, &fits, &mut seen, &mut taken_by) {
                let w = self.wanted_kept[n];
                mismatches.push(
                    missing(&self.at_expected.index(w), &self.wanted[w])
                        .because("no element of the actual array fits, in any order"),
                );
            }
        }
        for (n, &h) in self.has_kept.iter().enumerate() {
            if taken_by[n].is_none() {
                mismatches.push(
                    surplus(&self.at_actual.index(h), &self.has[h])
                        .because("it fits no element of the expected array"),
                );
            }
        }
    }
}

/// Finds an element for `n`, moving earlier takers where they have another choice.
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

fn elements(count: usize) -> String {
    format!("{count} element{}", if count == 1 { "" } else { "s" })
}

fn missing(at: &Spot, value: &Value) -> Mismatch {
    Mismatch {
        path: at.path(),
        expected: Some(json::show(value)),
        actual: None,
        reason: None,
        diff: None,
    }
}

fn surplus(at: &Spot, value: &Value) -> Mismatch {
    Mismatch {
        path: at.path(),
        expected: None,
        actual: Some(json::show(value)),
        reason: None,
        diff: None,
    }
}
