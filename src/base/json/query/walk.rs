//! Evaluates a JSONPath within a limit.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::HashSet;

use serde_json::Value;

use super::super::exact::{as_text, number_text};
use super::super::number::{order, scalar_equals};
use super::syntax::{Comparison, Condition, Operand, Path, Segment, Selector, pattern};

/// How many nodes an evaluation may visit.
pub(super) const MOST_NODES: u64 = 1_000_000;

/// How many bytes of text cost as much as a node.
const BYTES_A_NODE: u64 = 64;

/// Why a walk ends before it has seen everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It visits too many nodes.
    TooCostly,
    /// What was looked for is found.
    Found,
}

/// A step from a node to one of its children.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'v> {
    Key(&'v str),
    Index(usize),
}

/// An evaluation of a path over a document.
pub(super) struct Walk<'v> {
    root: &'v Value,
    left: Cell<u64>,
    /// The nodes that a rest of the outermost path was followed from, by its length: a node that is selected
    /// several times counts once, or the result could be larger than the document many times over.
    followed: RefCell<HashSet<(usize, *const Value)>>,
}

/// Called for each node that is found, with the steps that lead to it.
type Found<'f, 'v> = &'f mut dyn FnMut(&[Step<'v>], &'v Value) -> Result<(), Stop>;

impl<'v> Walk<'v> {
    pub(super) fn new(root: &'v Value) -> Self {
        Self {
            root,
            left: Cell::new(MOST_NODES),
            followed: RefCell::default(),
        }
    }

    /// Calls `found` for each node that a path selects, once for each.
    pub(super) fn all(&self, path: &Path, found: Found<'_, 'v>) -> Result<(), Stop> {
        let once = path.may_select_twice();
        self.follow(&path.segments, self.root, &mut Vec::new(), once, found)
    }

    fn spend(&self, nodes: u64) -> Result<(), Stop> {
        let left = self.left.get().checked_sub(nodes).ok_or(Stop::TooCostly)?;
        self.left.set(left);
        Ok(())
    }

    /// Follows the segments from a node; `once` if no node is to be found twice.
    fn follow(
        &self,
        segments: &[Segment],
        node: &'v Value,
        at: &mut Vec<Step<'v>>,
        once: bool,
        found: Found<'_, 'v>,
    ) -> Result<(), Stop> {
        self.spend(1)?;
        if once {
            let is_new = self
                .followed
                .borrow_mut()
                .insert((segments.len(), std::ptr::from_ref(node)));
            if !is_new {
                return Ok(());
            }
        }
        let Some((first, rest)) = segments.split_first() else {
            return found(at, node);
        };
        let selectors = match first {
            Segment::Children(selectors) => {
                return selectors
                    .iter()
                    .try_for_each(|selector| self.select(selector, rest, node, at, once, found));
            }
            Segment::Descendants(selectors) => selectors,
        };
        // Not a recursion, since a document may be deep.
        let depth = at.len();
        let mut open = vec![children(node)];
        for selector in selectors {
            self.select(selector, rest, node, at, once, found)?;
        }
        while let Some(deeper) = open.len().checked_sub(1) {
            at.truncate(depth + deeper);
            let Some((step, child)) = open[deeper].next() else {
                open.pop();
                continue;
            };
            self.spend(1)?;
            if !(child.is_array() || child.is_object()) {
                continue;
            }
            at.push(step);
            for selector in selectors {
                self.select(selector, rest, child, at, once, found)?;
            }
            open.push(children(child));
        }
        at.truncate(depth);
        Ok(())
    }

    /// Follows the segments from each child that a selector selects.
    fn select(
        &self,
        selector: &Selector,
        rest: &[Segment],
        node: &'v Value,
        at: &mut Vec<Step<'v>>,
        once: bool,
        found: Found<'_, 'v>,
    ) -> Result<(), Stop> {
        let mut go = |step: Step<'v>, child: &'v Value| {
            at.push(step);
            let followed = self.follow(rest, child, at, once, found);
            at.pop();
            followed
        };
        match (selector, node) {
            (Selector::Name(name), Value::Object(members)) => match members.get_key_value(name) {
                Some((name, member)) => go(Step::Key(name), member),
                None => self.spend(1),
            },
            (Selector::Index(index), Value::Array(elements)) => {
                let index = position(*index, elements.len());
                match index.and_then(|n| Some((n, elements.get(n)?))) {
                    Some((n, element)) => go(Step::Index(n), element),
                    None => self.spend(1),
                }
            }
            (Selector::Slice { start, end, step }, Value::Array(elements)) => {
                slice(*start, *end, *step, elements.len())
                    .try_for_each(|n| go(Step::Index(n), &elements[n]))
            }
            (Selector::Wildcard, node) => {
                children(node).try_for_each(|(step, child)| go(step, child))
            }
            (Selector::Filter(condition), node) => children(node).try_for_each(|(step, child)| {
                self.spend(1)?;
                match self.holds(condition, child)? {
                    true => go(step, child),
                    false => Ok(()),
                }
            }),
            _ => self.spend(1),
        }
    }

    fn holds(&self, condition: &Condition, node: &'v Value) -> Result<bool, Stop> {
        match condition {
            Condition::Any(conditions) => {
                for condition in conditions {
                    if self.holds(condition, node)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Condition::All(conditions) => {
                for condition in conditions {
                    if !self.holds(condition, node)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Condition::Not(condition) => Ok(!self.holds(condition, node)?),
            Condition::Exists(path) => Ok(self.first(path, node)?.is_some()),
            Condition::Compare(left, operator, right) => {
                let (left, right) = (self.value(left, node)?, self.value(right, node)?);
                self.compare(left.as_deref(), *operator, right.as_deref())
            }
            Condition::Matches {
                text,
                pattern: given,
                compiled,
                whole,
            } => {
                let (text, given) = (self.value(text, node)?, self.value(given, node)?);
                let text = text.as_deref().and_then(as_text);
                let given = given.as_deref().and_then(as_text);
                let (Some(text), Some(given)) = (text, given) else {
                    return Ok(false);
                };
                self.spend_text(text)?;
                Ok(match compiled {
                    Some(pattern) => pattern.as_ref().is_some_and(|p| p.is_match(text)),
                    None => {
                        // A pattern from the document costs its compilation.
                        self.spend(100)?;
                        self.spend_text(given)?;
                        pattern(given, *whole).is_some_and(|p| p.is_match(text))
                    }
                })
            }
        }
    }

    fn spend_text(&self, text: &str) -> Result<(), Stop> {
        self.spend_bytes(text.len())
    }

    pub(super) fn spend_bytes(&self, bytes: usize) -> Result<(), Stop> {
        self.spend(bytes as u64 / BYTES_A_NODE)
    }

    /// Calls `found` for each node that a filter's path selects, as often as it is selected.
    fn each(
        &self,
        path: &Path,
        node: &'v Value,
        mut found: impl FnMut(&'v Value) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let start = if path.from_root { self.root } else { node };
        let found = &mut |_: &[Step<'v>], node| found(node);
        self.follow(&path.segments, start, &mut Vec::new(), false, found)
    }

    fn first(&self, path: &Path, node: &'v Value) -> Result<Option<&'v Value>, Stop> {
        let mut first = None;
        let followed = self.each(path, node, |node| {
            first = Some(node);
            Err(Stop::Found)
        });
        match followed {
            Ok(()) | Err(Stop::Found) => Ok(first),
            Err(stop) => Err(stop),
        }
    }

    /// Returns the value of an operand, if it has one.
    fn value<'o>(
        &self,
        operand: &'o Operand,
        node: &'v Value,
    ) -> Result<Option<Cow<'o, Value>>, Stop>
    where
        'v: 'o,
    {
        let number = |count: usize| Some(Cow::Owned(count.into()));
        Ok(match operand {
            Operand::Literal(value) => Some(Cow::Borrowed(value)),
            Operand::Node(path) => self.first(path, node)?.map(Cow::Borrowed),
            Operand::Length(of) => match self.value(of, node)?.as_deref() {
                Some(Value::Array(elements)) => number(elements.len()),
                Some(Value::Object(members)) => number(members.len()),
                Some(value) => match as_text(value) {
                    Some(text) => {
                        self.spend_text(text)?;
                        number(text.chars().count())
                    }
                    None => None,
                },
                None => None,
            },
            Operand::Count(path) => {
                let mut count = 0;
                self.each(path, node, |_| {
                    count += 1;
                    Ok(())
                })?;
                number(count)
            }
            Operand::Value(path) => {
                let (mut count, mut only) = (0, None);
                self.each(path, node, |node| {
                    count += 1;
                    only = Some(node);
                    Ok(())
                })?;
                only.filter(|_| count == 1).map(Cow::Borrowed)
            }
        })
    }

    fn compare(
        &self,
        left: Option<&Value>,
        operator: Comparison,
        right: Option<&Value>,
    ) -> Result<bool, Stop> {
        let less = |a: Option<&Value>, b: Option<&Value>| -> Result<bool, Stop> {
            let (Some(a), Some(b)) = (a, b) else {
                return Ok(false);
            };
            if let (Some(a), Some(b)) = (as_text(a), as_text(b)) {
                self.spend_text(a)?;
                return Ok(a < b);
            }
            Ok(match (number_text(a), number_text(b)) {
                (Some(a), Some(b)) => order(&a, &b) == Some(Ordering::Less),
                _ => false,
            })
        };
        let equal = || match (left, right) {
            (Some(left), Some(right)) => self.equal(left, right),
            (left, right) => Ok(left.is_none() && right.is_none()),
        };
        Ok(match operator {
            Comparison::Equal => equal()?,
            Comparison::NotEqual => !equal()?,
            Comparison::Less => less(left, right)?,
            Comparison::Greater => less(right, left)?,
            Comparison::LessOrEqual => less(left, right)? || equal()?,
            Comparison::GreaterOrEqual => less(right, left)? || equal()?,
        })
    }

    /// Returns whether two values are equal, numbers by value. Not a recursion, since a document may be deep.
    fn equal(&self, left: &Value, right: &Value) -> Result<bool, Stop> {
        let mut open = vec![(left, right)];
        while let Some((left, right)) = open.pop() {
            self.spend(1)?;
            match (left, right) {
                (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
                    open.extend(left.iter().zip(right));
                }
                (Value::Object(left), Value::Object(right)) if left.len() == right.len() => {
                    for (name, member) in left {
                        match right.get(name) {
                            Some(other) => open.push((member, other)),
                            None => return Ok(false),
                        }
                    }
                }
                (Value::Array(_) | Value::Object(_), _)
                | (_, Value::Array(_) | Value::Object(_)) => {
                    return Ok(false);
                }
                (left, right) => {
                    if let Some(text) = as_text(left) {
                        self.spend_text(text)?;
                    }
                    if !scalar_equals(left, right) {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }
}

/// Returns the children of a node with the steps that lead to them.
fn children<'v>(node: &'v Value) -> Box<dyn Iterator<Item = (Step<'v>, &'v Value)> + 'v> {
    match node {
        Value::Array(elements) => {
            let elements = elements.iter().enumerate();
            Box::new(elements.map(|(n, element)| (Step::Index(n), element)))
        }
        Value::Object(members) => Box::new(
            members
                .iter()
                .map(|(name, member)| (Step::Key(name), member)),
        ),
        _ => Box::new(std::iter::empty()),
    }
}

/// Returns the position that an index stands for, which counts from the end if it is negative.
fn position(index: i64, length: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?),
    }
}

/// Returns the positions that a slice selects (RFC 9535, 2.3.4.2.2).
fn slice(
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
    length: usize,
) -> impl Iterator<Item = usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let normal = |bound: i64| {
        if bound >= 0 {
            bound
        } else {
            length.saturating_add(bound)
        }
    };
    let (first, last) = match step {
        0 => (0, 0),
        1.. => (
            normal(start.unwrap_or(0)).clamp(0, length),
            normal(end.unwrap_or(length)).clamp(0, length),
        ),
        _ => (
            normal(start.unwrap_or(length - 1)).clamp(-1, length - 1),
            end.map_or(-1, normal).clamp(-1, length - 1),
        ),
    };
    let mut at = first;
    std::iter::from_fn(move || {
        let is_within = match step {
            0 => false,
            1.. => at < last,
            _ => at > last,
        };
        let position = usize::try_from(at).ok().filter(|_| is_within)?;
        at = at.saturating_add(step);
        Some(position)
    })
}

/// Returns the JSON pointer (RFC 6901) that the steps make.
pub(super) fn pointer(steps: &[Step<'_>]) -> String {
    let mut pointer = String::new();
    for step in steps {
        pointer.push('/');
        match step {
            Step::Index(n) => pointer.push_str(&n.to_string()),
            Step::Key(name) => pointer.push_str(&name.replace('~', "~0").replace('/', "~1")),
        }
    }
    pointer
}
