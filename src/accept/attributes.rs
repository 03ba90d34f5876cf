//! The attributes of a span as they are written, and changes of them.

use std::cell::Cell;

use serde_json::{Value, json};

use crate::base::encoding::encode_base64;
use crate::base::json::{Patch, Splice, difference};
use crate::otlp::json::{Any, spelt_field};

/// The attributes of a span, and where they stand in the document.
pub(super) struct Written<'d> {
    list: &'d [Value],
    /// The list's place, as a JSON pointer.
    at: String,
    /// How many were added.
    added: Cell<usize>,
}

impl<'d> Written<'d> {
    /// Finds the attributes of a span, which is at a place in the document.
    pub(super) fn of(span: &'d Value, at: &str) -> Self {
        let list = span.get("attributes").and_then(Value::as_array);
        Self {
            list: list.map(Vec::as_slice).unwrap_or_default(),
            at: format!("{at}/attributes"),
            added: Cell::new(0),
        }
    }

    fn key(&self, index: usize) -> Option<&'d str> {
        self.list.get(index)?.get("key")?.as_str()
    }

    /// Returns the first attribute with this key, as the reader of cases does.
    pub(super) fn find(&self, key: &str) -> Option<usize> {
        (0..self.list.len()).find(|n| self.key(*n) == Some(key))
    }

    /// Returns the attributes of the header with this name, in lower case.
    pub(super) fn header(&self, prefix: &str, name: &str) -> Vec<usize> {
        let is_own = |n: &usize| {
            let own = self.key(*n).and_then(|key| key.strip_prefix(prefix));
            own.is_some_and(|own| {
                // As the reader has it: where both spellings stand, they are two headers.
                let dashed = own.replace('_', "-");
                let stands = dashed != own && self.find(&format!("{prefix}{dashed}")).is_some();
                let own = if stands { own } else { &dashed };
                own.eq_ignore_ascii_case(name)
            })
        };
        (0..self.list.len()).filter(is_own).collect()
    }

    /// Returns an attribute's value as text; for a list, its first element.
    pub(super) fn text(&self, index: usize) -> Option<String> {
        match self.value(index)? {
            Any::List(values) => values.first().and_then(Any::text),
            value => value.text(),
        }
    }

    /// Adds an attribute, spelt as the others are.
    pub(super) fn add(&self, key: &str, values: &[Vec<u8>], patch: &mut Patch) {
        let like = self.list.iter().filter_map(|one| one.get("value"));
        let like = like
            .into_iter()
            .find(|value| spelt_field(*value, "stringValue").is_some());
        let value = match values {
            [one] => written(one, like),
            several => list_of(several, like),
        };
        let added = self.added.replace(self.added.get() + 1);
        let place = format!("{}/{}", self.at, self.list.len() + added);
        patch.set(&place, json!({"key": key, "value": value}));
    }

    pub(super) fn value(&self, index: usize) -> Option<Any<'d>> {
        Any::read(self.list.get(index)?.get("value")?).ok()
    }

    fn place(&self, index: usize) -> String {
        format!("{}/{index}/value", self.at)
    }

    /// Removes an attribute.
    pub(super) fn remove(&self, index: usize, patch: &mut Patch) {
        patch.remove(&format!("{}/{index}", self.at));
    }

    /// Gives an attribute this text, in the form in which it is written: text, a number, or a number as text.
    pub(super) fn set_text(&self, index: usize, text: &str, patch: &mut Patch) {
        let place = self.place(index);
        let value = self.list.get(index).and_then(|one| one.get("value"));
        set_text(value, &place, text, patch);
    }

    /// Changes parts of an attribute's text.
    pub(super) fn set_parts(&self, index: usize, parts: Vec<Splice>, patch: &mut Patch) {
        let value = self.list.get(index).and_then(|one| one.get("value"));
        if let Some((name, _)) = value.and_then(|value| spelt_field(value, "stringValue")) {
            patch.inside(&format!("{}/{name}", self.place(index)), parts);
        }
    }

    /// Gives an attribute these bytes, as text if they are.
    pub(super) fn set_bytes(&self, index: usize, bytes: &[u8], patch: &mut Patch) {
        let value = self.list.get(index).and_then(|one| one.get("value"));
        let place = self.place(index);
        match value.and_then(|value| spelt_field(value, "bytesValue")) {
            Some((name, old)) => {
                let (old, new) = (old.as_str().unwrap_or_default(), encode_base64(bytes));
                patch.inside(&format!("{place}/{name}"), difference(old, &new));
            }
            None => match std::str::from_utf8(bytes) {
                Ok(text) => set_text(value, &place, text, patch),
                Err(_) => patch.set(&place, written(bytes, value)),
            },
        }
    }

    /// Gives an attribute several values.
    pub(super) fn set_values(&self, index: usize, values: &[Vec<u8>], patch: &mut Patch) {
        let value = self.list.get(index).and_then(|one| one.get("value"));
        let place = self.place(index);
        if let Some((list, old)) = value.and_then(|value| spelt_field(value, "arrayValue"))
            && let Some(old) = old.get("values").and_then(Value::as_array)
            && old.len() == values.len()
        {
            for (n, (old, new)) in old.iter().zip(values).enumerate() {
                let is_same = Any::read(old).ok().and_then(|old| old.bytes());
                if is_same.as_deref() != Some(new) {
                    let place = format!("{place}/{list}/values/{n}");
                    match std::str::from_utf8(new) {
                        Ok(text) => set_text(Some(old), &place, text, patch),
                        Err(_) => patch.set(&place, written(new, Some(old))),
                    }
                }
            }
            return;
        }
        match values {
            [one] => self.set_bytes(index, one, patch),
            several => patch.set(&place, list_of(several, value)),
        }
    }
}

/// Returns a value of OTLP for these bytes, with names spelt as in another value.
fn written(bytes: &[u8], like: Option<&Value>) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!({spelling("stringValue", like): text}),
        Err(_) => json!({spelling("bytesValue", like): encode_base64(bytes)}),
    }
}

/// Returns a list of OTLP for these values, with names spelt as in another value.
fn list_of(values: &[Vec<u8>], like: Option<&Value>) -> Value {
    let values = values.iter().map(|one| written(one, like));
    json!({spelling("arrayValue", like): {"values": values.collect::<Value>()}})
}

/// Returns the name of a kind of value, spelt as in another value.
fn spelling(camel: &str, like: Option<&Value>) -> String {
    let names = like.and_then(Value::as_object);
    let is_snake = names.is_some_and(|names| names.keys().any(|name| name.contains('_')));
    match (is_snake, camel) {
        (true, "stringValue") => "string_value",
        (true, "bytesValue") => "bytes_value",
        (true, "arrayValue") => "array_value",
        _ => camel,
    }
    .to_owned()
}

fn set_text(value: Option<&Value>, place: &str, text: &str, patch: &mut Patch) {
    let field = |name| value.and_then(|value| spelt_field(value, name));
    if let Some((name, Value::String(old))) = field("stringValue") {
        return patch.inside(&format!("{place}/{name}"), difference(old, text));
    }
    let number = text.parse::<i64>().ok();
    // `08` is no number that is written as it was.
    let number = number.filter(|number| number.to_string() == text);
    if let (Some((name, old)), Some(number)) = (field("intValue"), number) {
        let new = match old {
            Value::Number(_) => Value::from(number),
            _ => Value::from(text),
        };
        return patch.set(&format!("{place}/{name}"), new);
    }
    patch.set(place, json!({spelling("stringValue", value): text}));
}
