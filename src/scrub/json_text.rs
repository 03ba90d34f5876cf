//! JSON bodies, rewritten in place: what is no secret keeps its bytes, digits and order.

use std::collections::HashSet;

use serde_json::Value;

use super::secrets::{Secrets, is_secret_name};
use super::text;
use crate::json::Query;

/// What a value is that the user's rules select.
const BY_RULE: &str = "JSONPath of the rules";

/// Replaces the secrets of a JSON text; `None` for a text that is not a JSON object or list.
pub(super) fn scrub(
    text: &mut String,
    paths: &[Query],
    secrets: &mut Secrets,
) -> Option<Vec<&'static str>> {
    let tree: Value = serde_json::from_str(text).ok()?;
    if !(tree.is_object() || tree.is_array()) {
        return None;
    }
    let selected = paths.iter().flat_map(|query| query.locate(&tree));
    let selected = selected.map(|(pointer, _)| pointer).collect();
    let mut walk = Walk {
        bytes: text.as_bytes(),
        text: text.as_str(),
        at: 0,
        out: String::with_capacity(text.len()),
        copied: 0,
        selected,
        kinds: Vec::new(),
        secrets,
    };
    walk.value("", None, None);
    let Walk {
        mut out,
        copied,
        mut kinds,
        ..
    } = walk;
    out.push_str(&text[copied..]);
    *text = out;
    kinds.sort_unstable();
    kinds.dedup();
    Some(kinds)
}

/// The same for a text of one JSON object a line; `None` for anything else.
pub(super) fn scrub_lines(
    text: &mut String,
    paths: &[Query],
    secrets: &mut Secrets,
) -> Option<Vec<&'static str>> {
    let mut kinds = Vec::new();
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    for line in lines.iter_mut().filter(|line| !line.trim().is_empty()) {
        kinds.extend(scrub(line, paths, secrets)?);
    }
    *text = lines.join("\n");
    Some(kinds)
}

/// A walk over a text that is known to be JSON.
struct Walk<'t> {
    bytes: &'t [u8],
    text: &'t str,
    at: usize,
    out: String,
    /// As far as the text is in `out`.
    copied: usize,
    /// JSON pointers that the rules select.
    selected: HashSet<String>,
    kinds: Vec<&'static str>,
    secrets: &'t mut Secrets,
}

impl Walk<'_> {
    fn space(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    /// A value at a JSON pointer; `secret` is what makes everything below it one.
    fn value(&mut self, pointer: &str, name: Option<&str>, secret: Option<&'static str>) {
        self.space();
        let secret = match self.selected.contains(pointer) {
            true => Some(BY_RULE),
            false => secret.or_else(|| name.filter(|n| is_secret_name(n)).map(|_| "token")),
        };
        match self.bytes.get(self.at) {
            Some(b'{') => self.members(pointer, secret),
            Some(b'[') => self.elements(pointer, name, secret),
            Some(b'"') => self.string(secret),
            _ => self.literal(secret),
        }
    }

    fn members(&mut self, pointer: &str, secret: Option<&'static str>) {
        self.at += 1;
        loop {
            self.space();
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let token = self.string_token();
                    let name: String = serde_json::from_str(&self.text[token]).unwrap_or_default();
                    self.space();
                    self.at += 1; // the colon
                    let escaped = name.replace('~', "~0").replace('/', "~1");
                    self.value(&format!("{pointer}/{escaped}"), Some(&name), secret);
                }
                Some(b',') => self.at += 1,
                _ => {
                    self.at += 1;
                    return;
                }
            }
        }
    }

    fn elements(&mut self, pointer: &str, name: Option<&str>, secret: Option<&'static str>) {
        self.at += 1;
        let mut n = 0;
        loop {
            self.space();
            match self.bytes.get(self.at) {
                None | Some(b']') => {
                    self.at += 1;
                    return;
                }
                Some(b',') => self.at += 1,
                _ => {
                    self.value(&format!("{pointer}/{n}"), name, secret);
                    n += 1;
                }
            }
        }
    }

    /// The bytes of the string that starts here, quotes included.
    fn string_token(&mut self) -> std::ops::Range<usize> {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'\\' => self.at += 2,
                b'"' => break,
                _ => self.at += 1,
            }
        }
        self.at = (self.at + 1).min(self.bytes.len());
        start..self.at
    }

    fn string(&mut self, secret: Option<&'static str>) {
        let token = self.string_token();
        let value: String = serde_json::from_str(&self.text[token.clone()]).unwrap_or_default();
        let mut new = value.clone();
        let kinds = match secret {
            Some(kind) => self.secrets.whole(&mut new, kind),
            // JSON inside JSON.
            None => scrub(&mut new, &[], self.secrets)
                .unwrap_or_else(|| text::plain(&mut new, self.secrets)),
        };
        if new != value {
            self.replace(token, &Value::from(new).to_string());
        }
        self.kinds.extend(kinds);
    }

    /// A number, `true`, `false` or `null`.
    fn literal(&mut self, secret: Option<&'static str>) {
        let start = self.at;
        while self
            .bytes
            .get(self.at)
            .is_some_and(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b))
        {
            self.at += 1;
        }
        let literal = &self.text[start..self.at];
        let new = match secret {
            // A flag that the user's rules select becomes nothing: it has no other shape.
            Some(kind) if kind == BY_RULE && ["true", "false"].contains(&literal) => {
                Some(("null".to_owned(), kind))
            }
            Some(kind) => self.secrets.number(literal).map(|new| (new, kind)),
            None => {
                let mut new = literal.to_owned();
                let kinds = self.secrets.inside(&mut new);
                kinds.first().map(|kind| (new, *kind))
            }
        };
        if let Some((new, kind)) = new {
            let range = start..self.at;
            self.replace(range, &new);
            self.kinds.push(kind);
        }
    }

    fn replace(&mut self, token: std::ops::Range<usize>, new: &str) {
        self.out.push_str(&self.text[self.copied..token.start]);
        self.out.push_str(new);
        self.copied = token.end;
    }
}
