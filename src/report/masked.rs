//! What reports don't show: the values that stand under the names of secrets.

use std::borrow::Cow;

use serde_json::Value;

use crate::base::document::Step;
use crate::base::http::{MASKED, is_secret_name, shown_target};
use crate::compare::{MessagePlace, Side};

/// Returns one side of a difference at a place, without what stands under the names of secrets.
pub(super) fn side<'s>(place: &MessagePlace, side: &'s Side) -> Cow<'s, Side> {
    let is_hidden = match place {
        MessagePlace::Json(steps) => steps
            .iter()
            .any(|step| matches!(step, Step::Key(key) if is_secret_name(key))),
        MessagePlace::Written(text) => text
            .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
            .any(is_secret_name),
        // What headers and queries hold is masked where they are compared.
        MessagePlace::Status
        | MessagePlace::Header(_)
        | MessagePlace::Query(_)
        | MessagePlace::Body => false,
    };
    match side {
        // How many there are is no secret.
        Side::Elements(_) | Side::Status(_) | Side::StatusRule(_) => Cow::Borrowed(side),
        _ if is_hidden => Cow::Owned(Side::Text(MASKED.to_owned())),
        Side::Json(found) if names_secret(found) => {
            let mut found = found.clone();
            mask(&mut found);
            Cow::Owned(Side::Json(found))
        }
        _ => Cow::Borrowed(side),
    }
}

/// Returns whether a value has a member with the name of a secret.
fn names_secret(value: &Value) -> bool {
    match value {
        Value::Array(elements) => elements.iter().any(names_secret),
        Value::Object(members) => members
            .iter()
            .any(|(name, value)| is_secret_name(name) || names_secret(value)),
        _ => false,
    }
}

/// Masks the members of a value that have the names of secrets.
pub(super) fn mask(value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(mask),
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                match is_secret_name(name) && !value.is_null() {
                    true => *value = MASKED.into(),
                    false => mask(value),
                }
            }
        }
        _ => {}
    }
}

/// Returns a body, or its beginning, without what stands under the names of secrets in JSON or a form.
pub(super) fn body(text: &str) -> Cow<'_, str> {
    let start = text.trim_start();
    if start.starts_with(['{', '[']) {
        return json_text(text);
    }
    let is_form = text.contains('=') && !text.contains(char::is_whitespace);
    if !is_form {
        return text.into();
    }
    let target = format!("?{text}");
    match shown_target(&target) {
        Cow::Borrowed(_) => text.into(),
        Cow::Owned(masked) => masked[1..].to_owned().into(),
    }
}

/// Masks in the text of JSON, which may end anywhere.
fn json_text(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = text[at..].find('"') {
        let start = at + found;
        let end = end_of_string(text, start);
        at = end;
        let name = text.get(start + 1..end.saturating_sub(1));
        let after = text[end..].trim_start();
        let Some(value) = after.strip_prefix(':').map(str::trim_start) else {
            continue;
        };
        if !name.is_some_and(is_secret_name) || value.is_empty() || value.starts_with("null") {
            continue;
        }
        let from = text.len() - value.len();
        out.push_str(&text[copied..from]);
        out.push_str("\"[masked]\"");
        at = end_of_value(text, from);
        copied = at;
    }
    match copied {
        0 => text.into(),
        _ => (out + &text[copied..]).into(),
    }
}

/// Returns where the string ends that starts at this quotation mark: after its last one, or with the text.
fn end_of_string(text: &str, start: usize) -> usize {
    let mut is_escaped = false;
    for (n, byte) in text.bytes().enumerate().skip(start + 1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return n + 1,
            _ => {}
        }
    }
    text.len()
}

/// Returns where the value ends that starts here.
fn end_of_value(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, start);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = end_of_string(text, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return if depth == 1 { at + 1 } else { at },
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_shown_without_secrets() {
        for (text, shown) in [
            (r#"{"a": 1}"#, r#"{"a": 1}"#),
            (
                r#"{"password" : "a\"b", "n": 1}"#,
                r#"{"password" : "[masked]", "n": 1}"#,
            ),
            (
                r#"[{"api_key":["x", "y]"],"z":{"pin":12}}]"#,
                r#"[{"api_key":"[masked]","z":{"pin":"[masked]"}}]"#,
            ),
            (r#"{"token":null}"#, r#"{"token":null}"#),
            (r#"{"token":"cut o"#, r#"{"token":"[masked]""#),
            (r#"{"token":"#, r#"{"token":"#),
            (r#"{"a":"token"}"#, r#"{"a":"token"}"#),
            ("user=ada&password=x", "user=ada&password=[masked]"),
            ("a = b & password=x", "a = b & password=x"),
            (
                "{\"ü\": \"ü\", \"secret\": -1.5}",
                "{\"ü\": \"ü\", \"secret\": \"[masked]\"}",
            ),
        ] {
            assert_eq!(body(text), shown);
        }
    }

    #[test]
    fn sides_are_shown_without_secrets() {
        let json = |value: Value| Side::Json(value);
        let key = |name: &str| Step::Key(name.to_owned());
        let at = |names: &[&str]| MessagePlace::Json(names.iter().map(|name| key(name)).collect());
        for (place, given, wanted) in [
            (at(&["a"]), json(1.into()), "Json(Number(1))"),
            (at(&["a", "token"]), json(1.into()), "Text(\"[masked]\")"),
            (
                MessagePlace::Written("$.user.password".to_owned()),
                json("x".into()),
                "Text(\"[masked]\")",
            ),
            (
                at(&["a"]),
                json(serde_json::json!({"pin": 1, "l": [{"otp": 2}]})),
                "Json(Object {\"pin\": String(\"[masked]\"), \"l\": Array [Object {\"otp\": String(\"[masked]\")}]})",
            ),
            (at(&["tokens", "secret"]), Side::Elements(2), "Elements(2)"),
        ] {
            assert_eq!(format!("{:?}", side(&place, &given)), wanted);
        }
    }
}
