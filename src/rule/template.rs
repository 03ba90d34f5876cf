//! Rules with `expand: true`: `${fixtures.name}` in them stands for a fixture of the session.

use std::sync::Arc;

use serde_json::Value;

use super::document::Rule;
use crate::base::document::{Node, Place, Problems};
use crate::base::json;

/// The start of what stands for a fixture.
const OPEN: &str = "${fixtures.";

impl Rule {
    /// Returns the rule with the session's fixtures in their places; the same rule if it is no template.
    ///
    /// # Errors
    ///
    /// The place of each fixture that is not known, and what is wrong with the rule that results.
    pub(crate) fn expanded(
        self: &Arc<Self>,
        place: &Place,
        fixture: &dyn Fn(&str) -> Option<Value>,
    ) -> Result<Arc<Self>, Problems> {
        let Some(template) = &self.template else {
            return Ok(Arc::clone(self));
        };
        let mut problems = Problems::default();
        let value = filled(template, place, fixture, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let rule = Self::read_filled(&Node::at(&value, place.clone()), &mut problems);
        problems.into_result(rule).map(Arc::new)
    }
}

/// Returns a rule, or a mock of a suite, as it can be checked before the fixtures are known.
pub(crate) fn checkable(template: &Value) -> Value {
    let any = |_: &str| Some(Value::from("fixture"));
    filled(template, &Place::root(), &any, &mut Problems::default())
}

/// Returns the value with fixtures in their places; an unknown one is a problem at its place.
pub(crate) fn filled(
    value: &Value,
    place: &Place,
    fixture: &dyn Fn(&str) -> Option<Value>,
    problems: &mut Problems,
) -> Value {
    match value {
        Value::String(text) => fill(text, place, fixture, problems).into(),
        Value::Array(elements) => elements
            .iter()
            .enumerate()
            .map(|(n, element)| filled(element, &place.index(n), fixture, problems))
            .collect(),
        Value::Object(members) => {
            let members = members.iter().map(|(name, member)| {
                let member = filled(member, &place.key(name), fixture, problems);
                (name.clone(), member)
            });
            members.collect::<serde_json::Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

fn fill(
    text: &str,
    place: &Place,
    fixture: &dyn Fn(&str) -> Option<Value>,
    problems: &mut Problems,
) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once(OPEN) {
        out.push_str(before);
        let Some((name, after)) = inside.split_once('}') else {
            problems.add(place, format!("`{OPEN}` is never closed"));
            return out;
        };
        match fixture(name) {
            Some(value) => match json::as_text(&value) {
                Some(text) => out.push_str(text),
                None => out.push_str(&json::show(&value)),
            },
            None => problems.add(
                place,
                format!("the session has no fixture `{name}`; set its fixtures, or load a case that has it, before its rules"),
            ),
        }
        rest = after;
    }
    out + rest
}
