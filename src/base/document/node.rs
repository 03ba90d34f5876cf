//! Values at their places in a document, read strictly.

use serde_json::{Map, Value};

use super::place::Place;
use super::problem::Problems;
use crate::base::json;

/// A value at its place. A reading function that returns `None` has added the reason to `problems`.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    /// The value.
    pub(crate) value: &'a Value,
    /// Its place in the document.
    pub(crate) place: Place,
    /// Whether a string that reads as a number or a boolean counts as one, as in suites after `${VAR}`.
    lenient: bool,
}

impl<'a> Node<'a> {
    /// Creates a node for the root of a document.
    pub(crate) fn root(value: &'a Value) -> Self {
        Self::at(value, Place::root())
    }

    /// Creates a node for a value inside a larger document.
    pub(crate) fn at(value: &'a Value, place: Place) -> Self {
        Self {
            value,
            place,
            lenient: false,
        }
    }

    /// Returns the members if this is an object; each member that is not `known` is a problem.
    pub(crate) fn object(&self, known: &[&str], problems: &mut Problems) -> Option<Object<'a>> {
        let object = self.map(problems)?;
        for key in object.members.keys() {
            if !known.contains(&key.as_str()) {
                problems.add(&self.place.key(key), unknown_field(key, known));
            }
        }
        Some(object)
    }

    /// Returns the members if this is an object, whatever their names.
    pub(crate) fn map(&self, problems: &mut Problems) -> Option<Object<'a>> {
        match self.value {
            Value::Object(members) => Some(Object {
                members,
                place: self.place.clone(),
                lenient: self.lenient,
            }),
            _ => self.wrong("an object", problems),
        }
    }

    /// Returns the elements if this is a list.
    pub(crate) fn list(&self, problems: &mut Problems) -> Option<Vec<Node<'a>>> {
        match self.value {
            Value::Array(elements) => Some(
                elements
                    .iter()
                    .enumerate()
                    .map(|(n, value)| Node {
                        value,
                        place: self.place.index(n),
                        lenient: self.lenient,
                    })
                    .collect(),
            ),
            _ => self.wrong("a list", problems),
        }
    }

    /// Returns the text if this is a string.
    pub(crate) fn string(&self, problems: &mut Problems) -> Option<String> {
        match json::as_text(self.value) {
            Some(text) => Some(text.to_owned()),
            None => self.wrong("a string", problems),
        }
    }

    /// Returns the texts if this is a list of strings.
    pub(crate) fn strings(&self, problems: &mut Problems) -> Option<Vec<String>> {
        let nodes = self.list(problems)?;
        let texts: Vec<_> = nodes.iter().filter_map(|n| n.string(problems)).collect();
        (texts.len() == nodes.len()).then_some(texts)
    }

    /// Returns names and texts, in order, if this is an object of strings; numbers and booleans count as
    /// text, and any other value is a problem.
    pub(crate) fn string_map(&self, problems: &mut Problems) -> Option<Vec<(String, String)>> {
        let object = self.map(problems)?;
        Some(
            object
                .members()
                .filter_map(|(name, node)| Some((name.to_owned(), node.scalar_text(problems)?)))
                .collect(),
        )
    }

    /// Returns the text of a string, a number as it was written, or a boolean.
    pub(crate) fn scalar_text(&self, problems: &mut Problems) -> Option<String> {
        if let Some(number) = json::number_as_written(self.value) {
            return Some(number.into_owned());
        }
        match self.value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => self.wrong("a string", problems),
        }
    }

    /// Returns the number if this is an integer from `min` to `max`.
    pub(crate) fn integer(&self, min: i64, max: i64, problems: &mut Problems) -> Option<i64> {
        let number = match self.value {
            Value::Number(number) => number.as_i64(),
            value if json::as_text(value).is_none() => {
                json::number_text(value).and_then(|digits| digits.parse().ok())
            }
            Value::String(text) if self.lenient => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if (min..=max).contains(&number) => Some(number),
            _ if max == i64::MAX && min == i64::MIN => self.wrong("an integer", problems),
            _ if max == i64::MAX => self.wrong(&format!("an integer of at least {min}"), problems),
            _ => self.wrong(&format!("an integer from {min} to {max}"), problems),
        }
    }

    /// Returns the value paired with this name in `choices`, if this is one of the names.
    pub(crate) fn choice<T: Copy>(
        &self,
        choices: &[(&str, T)],
        problems: &mut Problems,
    ) -> Option<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let Some(text) = json::as_text(self.value) else {
            return self.wrong(&format!("one of {}", names.join(", ")), problems);
        };
        let found = choices.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            problems.add(
                &self.place,
                format!(
                    "`{text}` is not one of {}{}",
                    names.join(", "),
                    did_you_mean(text, names.iter().copied())
                ),
            );
        }
        found.map(|(_, choice)| *choice)
    }

    /// Adds the problem that something else was expected here.
    pub(crate) fn wrong<T>(&self, wanted: &str, problems: &mut Problems) -> Option<T> {
        problems.add(
            &self.place,
            format!("expected {wanted}, found {}", describe(self.value)),
        );
        None
    }

    /// Returns the number if this is a finite number.
    pub(crate) fn number(&self, problems: &mut Problems) -> Option<f64> {
        let number = match self.value {
            Value::Number(number) => number.as_f64(),
            value if json::as_text(value).is_none() => {
                json::number_text(value).and_then(|digits| digits.parse().ok())
            }
            Value::String(text) if self.lenient => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if number.is_finite() => Some(number),
            _ => self.wrong("a number", problems),
        }
    }
}

/// What only suites hold.
#[cfg(feature = "runner")]
impl Node<'_> {
    /// Makes text that reads as a number or a boolean count as one.
    pub(crate) fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Returns the HTTP status: 100 to 599, or 600 to 999, which some servers send.
    pub(crate) fn status(&self, problems: &mut Problems) -> Option<u16> {
        let status = self.integer(100, 999, problems)?;
        u16::try_from(status).ok()
    }

    /// Returns the flag if this is a boolean.
    pub(crate) fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        match self.value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if self.lenient && text == "true" => Some(true),
            Value::String(text) if self.lenient && text == "false" => Some(false),
            _ => self.wrong("true or false", problems),
        }
    }
}

/// The members of an object at its place.
#[derive(Debug, Clone)]
pub(crate) struct Object<'a> {
    members: &'a Map<String, Value>,
    /// The object's place in the document.
    pub(crate) place: Place,
    lenient: bool,
}

impl<'a> Object<'a> {
    /// Returns the member with that name, if any.
    pub(crate) fn get(&self, name: &str) -> Option<Node<'a>> {
        self.members.get(name).map(|value| self.node(name, value))
    }

    /// Returns the member with that name, if any; one that is `null` is none.
    pub(crate) fn given(&self, name: &str) -> Option<Node<'a>> {
        self.get(name).filter(|node| !node.value.is_null())
    }

    /// Returns the member with that name; a missing one is a problem.
    pub(crate) fn require(&self, name: &str, problems: &mut Problems) -> Option<Node<'a>> {
        let node = self.get(name);
        if node.is_none() {
            problems.add(&self.place, format!("`{name}` is missing"));
        }
        node
    }

    /// Returns all members in order.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&'a str, Node<'a>)> + '_ {
        self.members
            .iter()
            .map(|(name, value)| (name.as_str(), self.node(name, value)))
    }

    fn node(&self, name: &str, value: &'a Value) -> Node<'a> {
        Node {
            value,
            place: self.place.key(name),
            lenient: self.lenient,
        }
    }
}

pub(super) fn unknown_field(key: &str, known: &[&str]) -> String {
    let nearest = did_you_mean(key, known.iter().copied());
    if known.is_empty() {
        "unknown field; no fields are allowed here".to_owned()
    } else if nearest.is_empty() {
        format!("unknown field; known fields: {}", known.join(", "))
    } else {
        format!("unknown field{nearest}")
    }
}

/// Returns `; did you mean X?` for the nearest candidate, or an empty string if none is near.
pub(crate) fn did_you_mean<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> String {
    candidates
        .map(|candidate| {
            let distance =
                strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count() / 3)
        .min()
        .map_or(String::new(), |(_, candidate)| {
            format!("; did you mean {candidate}?")
        })
}

fn describe(value: &Value) -> String {
    if let Some(number) = json::number_as_written(value) {
        return number.into_owned();
    }
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => format!("{flag}"),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.chars().count() <= 40 => format!("the string `{text}`"),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_unknown_field_is_reported_with_the_nearest_known_one() {
        let document = json!({"direciton": "outbound", "zzzzzz": 1});
        let mut problems = Problems::default();
        Node::at(&document, Place::root().key("rules").index(2).key("when"))
            .object(&["direction", "host"], &mut problems);
        assert_eq!(
            problems.to_string(),
            "rules[2].when.direciton: unknown field; did you mean direction?; \
             rules[2].when.zzzzzz: unknown field; known fields: direction, host"
        );
    }

    #[test]
    #[cfg(feature = "runner")]
    fn text_counts_as_a_number_only_in_a_lenient_document() {
        let value = json!("12");
        let mut problems = Problems::default();
        assert_eq!(Node::root(&value).integer(0, 99, &mut problems), None);
        assert_eq!(problems.0.len(), 1);
        let lenient = Node::root(&value).lenient();
        assert_eq!(lenient.integer(0, 99, &mut problems), Some(12));
    }
}
