//! Removes secrets from case documents. The same value always becomes the same placeholder, so that
//! what matched in a capture still matches.
//!
//! A document is processed twice. The first pass finds values by their position: a header, a member
//! called `access_token`, a JSONPath given by the user. The second pass rewrites the whole document,
//! and a value that was found in one position is replaced wherever else it occurs.

mod json_text;
mod rewrite;
mod secrets;
mod text;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::decode::decoded;
use crate::base::document::{Node, Problems};
use crate::base::encoding::decode_base64;
use crate::base::http::{Headers, is_secret_name};
use crate::base::json::Query;
use crate::otlp::json::{Any, field};
pub(crate) use rewrite::rewrite;
use secrets::Secrets;

/// The user's additions to what is removed: `{"headers": […], "jsonPaths": […]}`.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// Header names, in lower case.
    headers: Vec<String>,
    /// JSONPaths into request and response bodies.
    paths: Vec<Query>,
}

impl Rules {
    /// Reads a rules document.
    ///
    /// # Errors
    ///
    /// Returns every fault with its place.
    pub(crate) fn read(document: &Value) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let rules = Self::read_object(document, &mut problems);
        problems.into_result(rules)
    }

    fn read_object(document: &Value, problems: &mut Problems) -> Option<Self> {
        let object = Node::root(document).object(&["headers", "jsonPaths"], problems)?;
        let mut rules = Self::default();
        if let Some(node) = object.get("headers") {
            let names = node.strings(problems)?;
            rules.headers = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        }
        for node in object
            .get("jsonPaths")
            .and_then(|node| node.list(problems))
            .unwrap_or_default()
        {
            let Some(text) = node.string(problems) else {
                continue;
            };
            match Query::parse(&text) {
                Ok(query) => rules.paths.push(query),
                Err(message) => problems.add(&node.place, message),
            }
        }
        Some(rules)
    }
}

/// A secret found in a document: its place and kind, but never its value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SecretFound {
    /// Where it is, such as `span 00f067aa0ba902b7, http.request.body`.
    pub place: String,
    /// What kind of secret it is, such as `e-mail address`.
    pub kind: &'static str,
}

/// What was found in a document.
#[derive(Debug, Default)]
pub(crate) struct SecretsFound {
    /// The secrets, in the order of the document.
    pub list: Vec<SecretFound>,
    /// The places of bodies that are not text.
    pub opaque: Vec<String>,
    /// The places of bodies that could not be decoded, and so may contain secrets.
    pub unread: Vec<String>,
}

/// Removes secrets from documents, and remembers those collected from each of them.
#[derive(Debug)]
pub(crate) struct Scrubber {
    rules: Rules,
    secrets: Secrets,
}

impl Scrubber {
    /// Returns a scrubber whose placeholders depend on the values and on this key; if the key is empty,
    /// on the values alone.
    pub(crate) fn new(rules: Rules, key: &[u8]) -> Self {
        Self {
            rules,
            secrets: Secrets::new(key),
        }
    }

    /// Remembers the secrets that are recognised by their position in a document.
    pub(crate) fn collect(&mut self, document: &Value) {
        let mut copy = document.clone();
        self.scrub(&mut copy);
        self.secrets.remember();
    }

    /// Returns how many secrets are replaced wherever they occur.
    pub(crate) fn known(&self) -> usize {
        self.secrets.known()
    }

    /// Replaces every secret in a document and returns what was found.
    pub(crate) fn scrub(&mut self, document: &mut Value) -> SecretsFound {
        let mut pass = Pass {
            rules: &self.rules,
            secrets: &mut self.secrets,
            place: String::new(),
            found: SecretsFound::default(),
        };
        if let Some(members) = document.as_object_mut() {
            for (name, value) in members {
                pass.place.clone_from(name);
                match name.as_str() {
                    // These describe the document itself.
                    "version" | "mode" | "createdAt" | "created_at" => {}
                    "traces" => pass.traces(value),
                    _ => pass.tree(None, value),
                }
            }
        }
        pass.found
    }
}

/// Returns the length of an attribute's text, in bytes.
fn text_length(attribute: &Value) -> Option<usize> {
    let value = field(attribute, "value")?;
    let text = field(value, "stringValue").and_then(Value::as_str);
    text.map(str::len)
}

/// One walk over a document.
struct Pass<'s> {
    rules: &'s Rules,
    secrets: &'s mut Secrets,
    place: String,
    found: SecretsFound,
}

impl Pass<'_> {
    /// Records each kind that was found at the current place.
    fn note(&mut self, kinds: &[&'static str]) {
        for kind in kinds {
            let finding = SecretFound {
                place: self.place.clone(),
                kind,
            };
            if !self.found.list.contains(&finding) {
                self.found.list.push(finding);
            }
        }
    }

    /// Scrubs spans and whatever surrounds them.
    fn traces(&mut self, value: &mut Value) {
        match value {
            Value::Array(elements) => elements.iter_mut().for_each(|e| self.traces(e)),
            Value::Object(members) => {
                if let Some(id) = members.get("spanId").or_else(|| members.get("span_id")) {
                    self.place = format!("span {}", id.as_str().unwrap_or_default());
                }
                let owner = self.place.clone();
                for (name, member) in members.iter_mut() {
                    match (name.as_str(), &mut *member) {
                        ("attributes", Value::Array(attributes)) => self.attributes(attributes),
                        ("name" | "message" | "schemaUrl", Value::String(text)) => {
                            self.place = format!("{owner}, {name}");
                            self.plain_text(text);
                        }
                        (_, Value::Array(_) | Value::Object(_)) => self.traces(member),
                        // Ids, times and numbers.
                        _ => {}
                    }
                    self.place.clone_from(&owner);
                }
            }
            _ => {}
        }
    }

    fn attributes(&mut self, attributes: &mut [Value]) {
        let owner = self.place.clone();
        let encodings = body_encodings(attributes);
        let lengths: Vec<(String, usize)> = attributes
            .iter()
            .filter_map(|attribute| {
                let key = attribute["key"].as_str()?;
                let length = text_length(attribute).filter(|_| encodings.contains_key(key))?;
                Some((key.to_owned(), length))
            })
            .collect();
        let mut now_text = Vec::new();
        for attribute in attributes.iter_mut() {
            let Some(key) = attribute.get("key").and_then(Value::as_str) else {
                continue;
            };
            let key = key.to_owned();
            self.place = format!("{owner}, {key}");
            if let Some(value) = attribute.get_mut("value") {
                match encodings.get(&key) {
                    Some(encoding) if self.body(value, encoding) && encoding.is_base64 => {
                        now_text.push(format!("{key}.encoding"));
                    }
                    Some(_) => {}
                    None => self.attribute_value(&key, value),
                }
            }
        }
        let changed: Vec<(String, usize)> = lengths
            .into_iter()
            .filter_map(|(key, before)| {
                let now = attributes.iter().find(|attribute| attribute["key"] == *key);
                let now = now.and_then(text_length)?;
                let side = key.strip_suffix(".body")?;
                (now != before).then(|| (format!("{side}.header.content-length"), now))
            })
            .collect();
        for attribute in attributes {
            if now_text.iter().any(|key| attribute["key"] == **key) {
                attribute["value"] = serde_json::json!({"stringValue": "utf-8"});
            }
            // A body of another length is not one that was cut off.
            if let Some((_, length)) = changed.iter().find(|(key, _)| attribute["key"] == **key) {
                attribute["value"] = serde_json::json!({"stringValue": length.to_string()});
            }
        }
        self.place = owner;
    }

    /// Scrubs the texts of an attribute that is not a body.
    fn attribute_value(&mut self, key: &str, value: &mut Value) {
        let header = [
            "http.request.header.",
            "http.response.header.",
            "http.response.trailer.",
        ]
        .iter()
        .find_map(|prefix| key.strip_prefix(prefix));
        match value {
            Value::Array(elements) => {
                elements
                    .iter_mut()
                    .for_each(|element| self.attribute_value(key, element));
            }
            Value::Object(members) => {
                // A member of a list of keys and values has its own key.
                let own = members
                    .get("key")
                    .and_then(Value::as_str)
                    .map(str::to_owned);
                let key = own.as_deref().unwrap_or(key);
                for (name, member) in members.iter_mut() {
                    match (name.as_str(), member) {
                        ("stringValue" | "string_value", Value::String(text)) => {
                            self.attribute_text(key, header, text);
                        }
                        (_, member @ (Value::Array(_) | Value::Object(_))) => {
                            self.attribute_value(key, member);
                        }
                        _ => {}
                    }
                }
                if let Ok(Any::Bytes(bytes)) = Any::read(&*value) {
                    let mut text = String::from_utf8_lossy(&bytes).into_owned();
                    let before = text.clone();
                    self.attribute_text(key, header, &mut text);
                    if text != before {
                        *value = serde_json::json!({"stringValue": text});
                    }
                }
            }
            _ => {}
        }
    }

    fn attribute_text(&mut self, key: &str, header: Option<&str>, text: &mut String) {
        match header {
            Some(header) => self.header(header, text),
            // Softprobe's own attributes name sessions and mocks, and hold no secrets.
            None if !key.starts_with("sp.") && is_secret_name(key) => {
                let kinds = self.secrets.whole(text, "token");
                self.note(&kinds);
            }
            None => self.plain_text(text),
        }
    }

    fn header(&mut self, name: &str, value: &mut String) {
        let ours = self.rules.headers.contains(&name.to_ascii_lowercase());
        let kinds = if ours {
            self.secrets.whole(value, "header in the rules")
        } else {
            text::header(name, value, self.secrets)
        };
        self.note(&kinds);
    }

    fn plain_text(&mut self, value: &mut String) {
        let kinds = text::plain(value, self.secrets);
        self.note(&kinds);
    }

    /// Scrubs the text of a body: JSON, a form, or anything else.
    fn body_text(&mut self, text: &mut String) {
        let paths = &self.rules.paths;
        let kinds = json_text::scrub(text, paths, self.secrets)
            .unwrap_or_else(|| json_text::scrub_lines(text, paths, self.secrets));
        self.note(&kinds);
    }

    /// Scrubs a body attribute: text, or bytes that may be encoded. Returns whether bytes were
    /// replaced by text.
    fn body(&mut self, value: &mut Value, encoding: &BodyEncoding) -> bool {
        let text_name = ["stringValue", "string_value"];
        let named = text_name.iter().find(|name| value.get(**name).is_some());
        if let (Some(name), false) = (named, encoding.is_base64) {
            if let Some(Value::String(text)) = value.get_mut(*name) {
                self.body_text(text);
            }
            return false;
        }
        let bytes = match Any::read(&*value) {
            Ok(Any::Bytes(bytes)) => bytes,
            Ok(Any::Text(text)) => decode_base64(text).unwrap_or_default(),
            _ => return false,
        };
        let (plain, undecodable) = decoded(&encoding.headers, &bytes);
        if undecodable.is_some() {
            self.found.unread.push(self.place.clone());
            return false;
        }
        let Ok(mut text) = String::from_utf8(plain.into_owned()) else {
            self.found.opaque.push(self.place.clone());
            return false;
        };
        let before = text.clone();
        self.body_text(&mut text);
        if text == before {
            return false;
        }
        // Written back uncompressed: a body that is stored as text is never compressed.
        *value = serde_json::json!({"stringValue": text});
        true
    }

    /// Scrubs anything that is not a span: rules, fixtures, fields of other tools. `name` is the name
    /// of the member that has this value, or what serves as one: the `name` next to a `value`, or the
    /// last step of a JSONPath.
    fn tree(&mut self, name: Option<&str>, value: &mut Value) {
        let secret = name.is_some_and(is_secret_name);
        match value {
            Value::String(text) => {
                let kinds = match name {
                    Some("body") => return self.body_text(text),
                    _ if secret => self.secrets.whole(text, "token"),
                    _ => text::plain(text, self.secrets),
                };
                self.note(&kinds);
            }
            Value::Number(number) => {
                let mut literal = number.to_string();
                let kinds = if secret {
                    let new = self.secrets.number(&literal);
                    new.map(|new| literal = new)
                        .map_or(vec![], |()| vec!["token"])
                } else {
                    self.secrets.inside(&mut literal)
                };
                if let (false, Ok(new)) = (kinds.is_empty(), serde_json::from_str(&literal)) {
                    *value = new;
                    self.note(&kinds);
                }
            }
            Value::Array(elements) => {
                elements.iter_mut().for_each(|e| self.tree(name, e));
            }
            Value::Object(members) if name == Some("headers") => {
                let owner = self.place.clone();
                for (header, value) in members.iter_mut() {
                    self.place = format!("{owner}.{header}");
                    let values = match value {
                        Value::Array(values) => values.as_mut_slice(),
                        one => std::slice::from_mut(one),
                    };
                    for value in values {
                        if let Value::String(value) = value {
                            self.header(header, value);
                        }
                    }
                }
                self.place = owner;
            }
            Value::Object(members) => {
                let owner = self.place.clone();
                let called = members
                    .get("name")
                    .and_then(Value::as_str)
                    .map(str::to_owned);
                for (member_name, member) in members.iter_mut() {
                    self.place = format!("{owner}.{member_name}");
                    let word = match (member_name.as_str(), &called) {
                        ("value", Some(called)) => called.as_str(),
                        (path, _) if path.starts_with('$') => last_step(path),
                        (own, _) => own,
                    };
                    // Everything in a member with a secret's name is secret, whatever its structure.
                    let word = if secret { name.unwrap_or(word) } else { word };
                    self.tree(Some(word), member);
                }
                self.place = owner;
            }
            Value::Null | Value::Bool(_) => {}
        }
    }
}

/// Returns the last name in a JSONPath.
fn last_step(path: &str) -> &str {
    let names = path.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
    names.rev().find(|name| !name.is_empty()).unwrap_or(path)
}

/// How a body attribute is encoded.
struct BodyEncoding {
    /// Whether its text is base64, according to `<key>.encoding`.
    is_base64: bool,
    /// The `content-encoding` header of the same message, if any.
    headers: Headers,
}

/// Returns how the request and response bodies are encoded, by attribute key.
fn body_encodings(attributes: &[Value]) -> BTreeMap<String, BodyEncoding> {
    let text_of = |wanted: &str| {
        let found = attributes.iter().find(|a| a["key"] == wanted)?;
        Any::read(field(found, "value")?).ok()?.text()
    };
    let mut encodings = BTreeMap::new();
    for side in ["request", "response"] {
        let key = format!("http.{side}.body");
        let coding = text_of(&format!("http.{side}.header.content-encoding"));
        let headers = coding.map(|coding| ("content-encoding", coding));
        let encoding = BodyEncoding {
            is_base64: text_of(&format!("{key}.encoding")).as_deref() == Some("base64"),
            headers: headers.into_iter().collect(),
        };
        encodings.insert(key, encoding);
    }
    encodings
}

#[cfg(test)]
mod tests;
