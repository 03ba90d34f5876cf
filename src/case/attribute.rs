//! A span's attributes, looked up by the names that case files use.

use super::fault::Faults;
use crate::base::document::Way;
use crate::base::encoding::decode_base64;
use crate::base::http::Headers;
use crate::base::json::Json;
use crate::otlp::json::{Any, field, spelt_field};

/// An attribute with its index in its owner's list.
#[derive(Debug, Clone)]
struct Attribute<'a> {
    key: &'a str,
    value: Any<'a>,
    index: usize,
}

/// The attributes of a span or a resource.
#[derive(Debug, Clone, Default)]
pub(super) struct Attributes<'a>(Vec<Attribute<'a>>);

impl<'a> Attributes<'a> {
    /// Reads the member `attributes` of a span or a resource.
    pub(super) fn read<J: Json<'a>>(owner: J, way: &Way<'_>, faults: &mut Faults) -> Self {
        let mut attributes = Vec::new();
        each_child(
            owner,
            "attributes",
            way,
            faults,
            |attribute, way, index, faults| {
                let Some(key) = attribute.member("key").and_then(Json::text) else {
                    faults.add(way, "an attribute needs a `key`");
                    return;
                };
                match field(attribute, "value").map_or(Ok(Any::None), Any::read) {
                    Ok(value) => attributes.push(Attribute { key, value, index }),
                    Err(why) => faults.add(&way.key("value"), format!("{key}: {why}")),
                }
            },
        );
        Self(attributes)
    }

    /// Returns the number of attributes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the keys and values of the attributes whose value is text.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(|attribute| match attribute.value {
            Any::Text(text) => Some((attribute.key, text)),
            _ => None,
        })
    }

    /// Returns whether any attribute's key starts with this prefix.
    pub(super) fn has_prefix(&self, prefix: &str) -> bool {
        self.0.iter().any(|a| a.key.starts_with(prefix))
    }

    /// Returns whether there is an attribute with this prefix and name.
    fn has(&self, prefix: &str, name: &str) -> bool {
        let mut attributes = self.0.iter();
        attributes.any(|a| a.key.strip_prefix(prefix) == Some(name))
    }

    fn find(&self, key: &str) -> Option<&Attribute<'a>> {
        self.0.iter().find(|a| a.key == key)
    }

    /// Returns an attribute's value as text; for a list, its first element.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        match &self.find(key)?.value {
            Any::List(values) => values.first().and_then(Any::text),
            other => other.text(),
        }
    }

    /// Returns the first value of these keys that is a text and is not empty.
    pub(super) fn first(&self, keys: &[&str]) -> Option<String> {
        keys.iter()
            .find_map(|key| self.text(key).filter(|text| !text.is_empty()))
    }

    /// Returns the headers, which are the attributes whose keys start with this prefix, without
    /// pseudo-headers.
    pub(super) fn headers(&self, prefix: &str) -> Headers {
        let mut headers = Headers::new();
        for attribute in &self.0 {
            let Some(name) = attribute.key.strip_prefix(prefix) else {
                continue;
            };
            if name.starts_with(':') || name.is_empty() {
                continue;
            }
            // Older instrumentations write `_` for `-`.
            let dashed = name.contains('_').then(|| name.replace('_', "-"));
            let dashed = dashed.filter(|dashed| !self.has(prefix, dashed));
            let name = dashed.as_deref().unwrap_or(name);
            match &attribute.value {
                Any::List(values) => {
                    for value in values.iter().filter_map(Any::bytes) {
                        headers.push(name, value);
                    }
                }
                value => {
                    if let Some(value) = value.bytes() {
                        headers.push(name, value);
                    }
                }
            }
        }
        headers
    }

    /// Returns the body, and whether it was captured as bytes; `way` is the place of the attributes' owner.
    pub(super) fn body(
        &self,
        key: &str,
        way: &Way<'_>,
        faults: &mut Faults,
    ) -> (Option<Vec<u8>>, bool) {
        let Some(Attribute { value, index, .. }) = self.find(key) else {
            return (None, false);
        };
        let mut wrong = |message: String| {
            faults.add(&way.key("attributes").index(*index).key("value"), message);
        };
        match value {
            Any::Bytes(bytes) => (Some(bytes.clone()), true),
            Any::Text(text) => match self.text(&format!("{key}.encoding")).as_deref() {
                Some("base64") => {
                    let bytes = decode_base64(text);
                    if bytes.is_none() {
                        wrong(format!(
                            "{key}: not base64, although {key}.encoding is `base64`"
                        ));
                    }
                    (bytes, true)
                }
                _ => (Some(text.as_bytes().to_vec()), false),
            },
            Any::None => (None, false),
            _ => {
                wrong(format!(
                    "{key}: a body must be a stringValue or a bytesValue"
                ));
                (None, false)
            }
        }
    }
}

/// Calls `take` with each element of the list in this member, its place and its index.
pub(super) fn each_child<'a, J: Json<'a>>(
    owner: J,
    name: &str,
    way: &Way<'_>,
    faults: &mut Faults,
    mut take: impl FnMut(J, &Way<'_>, usize, &mut Faults),
) {
    if !owner.is_members() {
        faults.add(way, "expected an object");
        return;
    }
    // Pointers need the name as it is spelt in the document.
    let Some((spelt, value)) = spelt_field(owner, name) else {
        note_lost(owner, name, way, faults);
        return;
    };
    let way = way.key(&spelt);
    for (n, child) in list(value, &way, faults).enumerate() {
        take(child, &way.index(n), n, faults);
    }
}

/// A level of a trace document whose children have another name would lose its spans without a word.
fn note_lost<'a, J: Json<'a>>(owner: J, name: &str, way: &Way<'_>, faults: &mut Faults) {
    // What else stands on these levels, and holds no spans.
    const OTHERS: [&str; 3] = ["resource", "scope", "instrumentationLibrary"];
    let levels = ["resourceSpans", "scopeSpans", "spans"];
    if !levels.contains(&name) {
        return;
    }
    let holds = |other: &&str| {
        let member = owner.member(other);
        !OTHERS.contains(other)
            && member.is_some_and(|member| member.elements().is_some() || member.is_members())
    };
    let names = owner.names().unwrap_or_default();
    if let Some(other) = names.iter().find(|other| holds(other)) {
        faults.add(
            way,
            format!("`{name}` is missing, and what is in `{other}` is not read; rename it, or export OTLP"),
        );
    }
}

/// Returns the elements of a list; any other value is a fault.
pub(super) fn list<'a, J: Json<'a>>(
    value: J,
    way: &Way<'_>,
    faults: &mut Faults,
) -> impl Iterator<Item = J> + use<'a, J> {
    let elements = value.elements();
    if elements.is_none() {
        faults.add(way, "expected a list");
    }
    elements.into_iter().flatten()
}
