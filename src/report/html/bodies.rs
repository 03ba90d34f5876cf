//! Two bodies side by side, with what is the same in both folded.

use std::ops::Range;

use maud::{Markup, html};
use serde_json::Value;

use super::cut::{Cut, shown};
use crate::base::document::Step;
use crate::base::json;
use crate::compare::MessagePlace;
use crate::report::told::{BodiesReport, DifferenceReport};

/// Larger arrays are shown in order, whatever it means: to pair their elements takes time.
const MOST_PAIRED: usize = 1_000;

/// A row: a member or an element on both sides.
enum Row<'v> {
    /// It is the same on both sides.
    Same(&'v Value),
    /// Both sides have members or elements, which differ somewhere.
    Inside(&'v Value, &'v Value),
    /// The sides differ.
    Other(Option<&'v Value>, Option<&'v Value>),
}

/// The differences that are told, and their places.
struct Told<'d> {
    places: Vec<&'d str>,
    differences: &'d [DifferenceReport],
}

/// Returns the bodies side by side; nothing if they are too large for the page.
pub(super) fn side_by_side(
    bodies: &BodiesReport,
    differences: &[DifferenceReport],
    cut: &Cut,
) -> Markup {
    let BodiesReport { expected, actual } = bodies;
    let size = expected.len() + actual.len();
    let (Ok(expected), Ok(actual)) = (
        json::read(expected.as_bytes()),
        json::read(actual.as_bytes()),
    ) else {
        return html! {};
    };
    let (expected, actual) = (&expected.value, &actual.value);
    let places: Vec<&str> = differences.iter().map(|one| one.path.as_str()).collect();
    let is_inside = |place: &&str| place.starts_with('$');
    if !places.iter().any(is_inside) || json::equals(expected, actual) {
        return html! {};
    }
    if size > cut.body {
        return html! { p.warn { "The bodies side by side are not shown: they have " (size) " bytes." } };
    }
    let mut steps = Vec::new();
    html! {
        details.same open {
            summary { "The bodies side by side, expected and actual; what is the same is folded" }
            div.sides.mono {
                (inside(expected, actual, &mut steps, &Told { places, differences }, cut))
            }
        }
    }
}

fn inside(
    expected: &Value,
    actual: &Value,
    steps: &mut Vec<Step>,
    told: &Told<'_>,
    cut: &Cut,
) -> Markup {
    let rows = rows(expected, actual, !is_unordered(steps, told.differences));
    let mut parts: Vec<Markup> = Vec::new();
    let mut at = 0;
    while at < rows.len() {
        let run = same_run(&rows, at);
        if !run.is_empty() {
            at = run.end;
            parts.push(folded(&rows[run], cut));
            continue;
        }
        let (step, row) = &rows[at];
        at += 1;
        steps.push(step.clone());
        parts.push(one(step, row, steps, told, cut));
        steps.pop();
    }
    html! { @for part in parts { (part) } }
}

/// Returns the rows from here on that are the same on both sides.
fn same_run(rows: &[(Step, Row<'_>)], from: usize) -> Range<usize> {
    let same = rows[from..].iter();
    let same = same.take_while(|(_, row)| matches!(row, Row::Same(_)));
    from..from + same.count()
}

fn folded(rows: &[(Step, Row<'_>)], cut: &Cut) -> Markup {
    let names: Vec<String> = rows.iter().map(|(step, _)| label(step)).collect();
    let text = rows.iter().map(|(step, row)| match row {
        Row::Same(value) => format!("{}: {}", label(step), json::show(value)),
        Row::Inside(..) | Row::Other(..) => String::new(),
    });
    let text: Vec<String> = text.collect();
    let count = rows.len();
    html! {
        details.same {
            summary { (count) " unchanged: " (shown(&names.join(", "), 100)) }
            pre { (shown(&text.join("\n"), cut.value)) }
        }
    }
}

fn one(step: &Step, row: &Row<'_>, steps: &mut Vec<Step>, told: &Told<'_>, cut: &Cut) -> Markup {
    match row {
        Row::Same(_) => html! {},
        Row::Inside(expected, actual) => html! {
            div { (label(step)) ":" }
            div.in { (inside(expected, actual, steps, told, cut)) }
        },
        Row::Other(expected, actual) => {
            let side = |value: Option<&Value>| match value {
                Some(value) => shown(
                    &format!("{}: {}", label(step), json::show(value)),
                    cut.value,
                ),
                None => "–".to_owned(),
            };
            let counts = is_told(steps, &told.places);
            html! {
                div class=(if counts { "row bad" } else { "row let" }) {
                    span.was { span.unseen { "expected: " } (side(*expected)) }
                    span.is { span.unseen { "actual: " } (side(*actual)) @if !counts { " (let be)" } }
                }
            }
        }
    }
}

/// Returns whether a difference at this place, around it or inside it is told: others the suite lets be.
fn is_told(steps: &[Step], places: &[&str]) -> bool {
    let place = MessagePlace::Json(steps.to_vec()).to_string();
    let is_within = |outer: &str, inner: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    places
        .iter()
        .any(|told| is_within(told, &place) || is_within(&place, told))
}

fn rows<'v>(expected: &'v Value, actual: &'v Value, is_by_order: bool) -> Vec<(Step, Row<'v>)> {
    match (expected, actual) {
        (Value::Object(was), Value::Object(is)) => {
            let old = was
                .iter()
                .map(|(name, value)| (name, row(Some(value), is.get(name))));
            let new = is.iter().filter(|(name, _)| !was.contains_key(*name));
            let new = new.map(|(name, value)| (name, row(None, Some(value))));
            let rows = old.chain(new);
            rows.map(|(name, row)| (Step::Key(name.clone()), row))
                .collect()
        }
        (Value::Array(was), Value::Array(is))
            if !is_by_order && was.len().max(is.len()) <= MOST_PAIRED =>
        {
            elements(was, is)
        }
        (Value::Array(was), Value::Array(is)) => {
            let count = was.len().max(is.len());
            let rows = (0..count).map(|n| (Step::Index(n), row(was.get(n), is.get(n))));
            rows.collect()
        }
        _ => Vec::new(),
    }
}

/// Returns the elements of arrays whose order means nothing: what is equal stands together, and the rest by itself.
fn elements<'v>(expected: &'v [Value], actual: &'v [Value]) -> Vec<(Step, Row<'v>)> {
    let mut left: Vec<Option<&Value>> = actual.iter().map(Some).collect();
    let mut rows = Vec::new();
    for (n, was) in expected.iter().enumerate() {
        let same = left
            .iter_mut()
            .find(|is| is.is_some_and(|is| json::equals(was, is)));
        let row = match same.and_then(Option::take) {
            Some(_) => Row::Same(was),
            None => Row::Other(Some(was), None),
        };
        rows.push((Step::Index(n), row));
    }
    let new = left.into_iter().enumerate();
    let new = new.filter_map(|(n, is)| Some((Step::Index(n), Row::Other(None, Some(is?)))));
    rows.extend(new);
    rows
}

/// Returns whether an array was compared without regard to order: then elements of it are told that are on one side alone.
fn is_unordered(steps: &[Step], differences: &[DifferenceReport]) -> bool {
    let place = MessagePlace::Json(steps.to_vec()).to_string();
    let is_element = |path: &str| {
        let index = path
            .strip_prefix(&place)
            .and_then(|rest| rest.strip_prefix('['));
        let index = index.and_then(|rest| rest.strip_suffix(']'));
        index.is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let one_sided = differences.iter().filter(|one| is_element(&one.path));
    let (mut gone, mut new) = (false, false);
    for one in one_sided {
        gone |= one.actual.is_none();
        new |= one.expected.is_none();
    }
    gone && new
}

fn row<'v>(expected: Option<&'v Value>, actual: Option<&'v Value>) -> Row<'v> {
    match (expected, actual) {
        (Some(was), Some(is)) if json::equals(was, is) => Row::Same(was),
        (Some(was @ Value::Object(_)), Some(is @ Value::Object(_)))
        | (Some(was @ Value::Array(_)), Some(is @ Value::Array(_))) => Row::Inside(was, is),
        (was, is) => Row::Other(was, is),
    }
}

fn label(step: &Step) -> String {
    match step {
        Step::Key(name) => json::show(&name.as_str().into()),
        Step::Index(index) => format!("[{index}]"),
    }
}

/// Returns a line-by-line diff in two columns.
pub(super) fn lines(diff: &str, cut: &Cut) -> Markup {
    let mut pairs: Vec<(Option<&str>, Option<&str>)> = Vec::new();
    let mut open = 0;
    for line in diff.lines().take(cut.rows * 4) {
        match line.as_bytes().first() {
            Some(b'-') => {
                pairs.push((Some(line), None));
                open += 1;
            }
            // An added line stands beside the first removed one that has none.
            Some(b'+') if open > 0 => {
                let at = pairs.len() - open;
                pairs[at].1 = Some(line);
                open -= 1;
            }
            Some(b'+') => pairs.push((None, Some(line))),
            _ => {
                open = 0;
                pairs.push((Some(line), Some(line)));
            }
        }
    }
    let line = |line: Option<&str>, sign: char, class: &str| {
        let text = line.unwrap_or_default();
        let class = if text.starts_with(sign) {
            format!("line {class}")
        } else {
            "line".to_owned()
        };
        html! { span class=(class) { (shown(text, cut.value)) } }
    };
    html! {
        div.sides.mono {
            @for (was, is) in &pairs {
                div.row { (line(*was, '-', "was")) (line(*is, '+', "is")) }
            }
        }
        @if diff.lines().count() > cut.rows * 4 { p.warn { "and more lines" } }
    }
}
