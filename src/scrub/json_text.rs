//! Scrubs JSON bodies in place: whatever is not a secret keeps its bytes, digits and order.

use std::collections::HashSet;

use serde_json::Value;

use super::secrets::Secrets;
use super::text;
use crate::base::encoding::split_mark;
use crate::base::http::is_secret_name;
use crate::base::json::Cursor;
use crate::base::json::Query;
use crate::otlp::json::field;

/// The kind reported for a value that the user's rules select.
const BY_RULE: &str = "JSONPath in the rules";

/// Replaces the secrets in a JSON text and returns their kinds; `None` if the text is not a JSON
/// object or list.
pub(super) fn scrub(
    text: &mut String,
    paths: &[Query],
    secrets: &mut Secrets,
) -> Option<Vec<&'static str>> {
    let (mark, json) = split_mark(text);
    let tree: Value = serde_json::from_str(json).ok()?;
    if !(tree.is_object() || tree.is_array()) {
        return None;
    }
    let mut selected = HashSet::new();
    for query in paths {
        match query.pointers(&tree) {
            Ok(found) => selected.extend(found),
            // What a rule can't decide about is not left readable.
            Err(_) => drop(selected.insert(String::new())),
        }
    }
    let mut walk = Walk {
        cursor: Cursor::new(json),
        tree: &tree,
        selected,
        kinds: Vec::new(),
        secrets,
    };
    walk.value("", None, None);
    let Walk {
        cursor, mut kinds, ..
    } = walk;
    *text = format!("{mark}{}", cursor.finish());
    kinds.sort_unstable();
    kinds.dedup();
    Some(kinds)
}

/// Replaces the secrets in a text that has lines of JSON, such as server-sent events. The lines
/// between those are treated as one text, since a secret may span several lines.
pub(super) fn scrub_lines(
    text: &mut String,
    paths: &[Query],
    secrets: &mut Secrets,
) -> Vec<&'static str> {
    const EVENT: &str = "data:";
    let (mut kinds, mut out, mut between) = (Vec::new(), String::new(), String::new());
    for line in text.split_inclusive('\n') {
        let json = line.strip_prefix(EVENT).unwrap_or(line);
        let (before, mut json) = (&line[..line.len() - json.len()], json.to_owned());
        match scrub(&mut json, paths, secrets) {
            None => between.push_str(line),
            Some(found) => {
                kinds.extend(text::plain(&mut between, secrets));
                kinds.extend(found);
                out.extend([between.as_str(), before, json.as_str()]);
                between.clear();
            }
        }
    }
    kinds.extend(text::plain(&mut between, secrets));
    *text = out + &between;
    kinds
}

/// A walk over a JSON text that replaces its secrets.
struct Walk<'t> {
    cursor: Cursor<'t>,
    /// The same text, parsed.
    tree: &'t Value,
    /// JSON pointers to the values that the rules select.
    selected: HashSet<String>,
    kinds: Vec<&'static str>,
    secrets: &'t mut Secrets,
}

impl Walk<'_> {
    /// Scrubs the value at a JSON pointer; `secret` is the kind if everything in the value is secret.
    fn value(&mut self, pointer: &str, name: Option<&str>, secret: Option<&'static str>) {
        let secret = match self.selected.contains(pointer) {
            true => Some(BY_RULE),
            false => secret.or_else(|| name.filter(|n| is_secret_name(n)).map(|_| "token")),
        };
        match self.cursor.peek() {
            Some(b'{') => {
                self.cursor.enter();
                // `{"name": "Authorization", "value": …}`
                let object = self.tree.pointer(pointer);
                let called = object
                    .and_then(|object| field(object, "name").or_else(|| field(object, "key")))
                    .and_then(Value::as_str);
                while self.cursor.next_item() {
                    let name = self.cursor.name();
                    let escaped = name.replace('~', "~0").replace('/', "~1");
                    let word = match name.as_str() {
                        "value" => called.unwrap_or("value"),
                        own => own,
                    };
                    self.value(&format!("{pointer}/{escaped}"), Some(word), secret);
                }
            }
            Some(b'[') => {
                self.cursor.enter();
                let mut n = 0;
                while self.cursor.next_item() {
                    self.value(&format!("{pointer}/{n}"), name, secret);
                    n += 1;
                }
            }
            Some(b'"') => self.string(secret),
            _ => self.literal(secret),
        }
    }

    fn string(&mut self, secret: Option<&'static str>) {
        let token = self.cursor.scalar();
        let value: String =
            serde_json::from_str(self.cursor.text(token.clone())).unwrap_or_default();
        let mut new = value.clone();
        let kinds = match secret {
            Some(kind) => self.secrets.whole(&mut new, kind),
            // JSON inside JSON.
            None => scrub(&mut new, &[], self.secrets)
                .unwrap_or_else(|| text::plain(&mut new, self.secrets)),
        };
        if new != value {
            self.cursor.replace(token, &Value::from(new).to_string());
        }
        self.kinds.extend(kinds);
    }

    /// Scrubs a number, `true`, `false` or `null`.
    fn literal(&mut self, secret: Option<&'static str>) {
        let token = self.cursor.scalar();
        let literal = self.cursor.text(token.clone());
        let new = match secret {
            // A boolean that the user's rules select becomes `null`: there is no placeholder for one.
            Some(kind) if kind == BY_RULE && ["true", "false"].contains(&literal) => {
                Some(("null".to_owned(), kind))
            }
            Some(kind) => self.secrets.number(literal).map(|new| (new, kind)),
            // A decimal number is not a card number.
            None if literal.contains('.') => None,
            None => {
                let mut new = literal.to_owned();
                let kinds = self.secrets.inside(&mut new);
                kinds.first().map(|kind| (new, *kind))
            }
        };
        if let Some((new, kind)) = new {
            self.cursor.replace(token, &new);
            self.kinds.push(kind);
        }
    }
}
