//! What reports don't show: the values that stand under the names of secrets.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

use crate::base::document::Step;
use crate::base::http::{MASKED, is_secret, is_secret_name};
use crate::compare::{MessagePlace, Mismatch, Side};

/// Returns whether nothing that stands at a place is shown.
pub(super) fn hides(place: &MessagePlace) -> bool {
    match place {
        MessagePlace::Json(steps) => steps
            .iter()
            .any(|step| matches!(step, Step::Key(key) if is_secret_name(key))),
        MessagePlace::Written(text) => text
            .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
            .any(is_secret_name),
        // The values of secret headers and parameters are masked where they are compared.
        MessagePlace::Status
        | MessagePlace::Header(_)
        | MessagePlace::Query(_)
        | MessagePlace::Body => false,
    }
}

/// Returns one side of a difference at a place, without what stands under the names of secrets.
pub(super) fn side<'s>(place: &MessagePlace, side: &'s Side) -> Cow<'s, Side> {
    match side {
        // How many there are is no secret.
        Side::Elements(_) | Side::Status(_) | Side::StatusRule(_) => Cow::Borrowed(side),
        _ if hides(place) => Cow::Owned(Side::Text(MASKED.to_owned())),
        Side::Json(found) => {
            let mut found = found.clone();
            mask(&mut found);
            Cow::Owned(Side::Json(found))
        }
        Side::Values(values) => {
            let values = values.iter().map(|value| text(value).into_owned());
            Cow::Owned(Side::Values(values.collect()))
        }
        Side::Text(shown) => Cow::Owned(Side::Text(text(shown).into_owned())),
        // The beginning of a body is masked where it is shown.
        Side::Bytes(_) | Side::Pattern(_) | Side::Fitting(_) | Side::Hidden => Cow::Borrowed(side),
    }
}

/// Returns whether neither side of a difference is shown.
pub(super) fn is_masked(mismatch: &Mismatch) -> bool {
    let is_hidden = |given: &Option<Side>| {
        let shown = given.as_ref().map(|given| side(&mismatch.place, given));
        match shown.as_deref() {
            Some(Side::Text(text)) => text == MASKED,
            Some(Side::Values(values)) => values.iter().all(|value| value == MASKED),
            _ => false,
        }
    };
    is_hidden(&mismatch.expected) && is_hidden(&mismatch.actual)
}

/// Masks the members of a value that have the names of secrets, and what its texts hold of them.
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
        // A number with many digits is a marked text, in which nothing is masked.
        Value::String(shown) => {
            if let Cow::Owned(masked) = text(shown) {
                *shown = masked;
            }
        }
        _ => {}
    }
}

/// `name=value`, as in queries, forms, fragments and logs.
static PAIR: LazyLock<Regex> = LazyLock::new(|| {
    known(r#"([A-Za-z0-9_.\-\[\]%]+)=((?i:(?:bearer|basic|digest)\s+)?[^&\s"'`<>;,#]+)"#)
});
/// `name: value`, as headers and the maps of other languages stand in logs.
static FIELD: LazyLock<Regex> = LazyLock::new(|| {
    known(r#"('?)\b([A-Za-z][A-Za-z0-9_\-]*)('?:[ \t]+'?)([^\s'"`,{\[][^\r\n'"`,]*)"#)
});
/// The user and the password of a URL.
static USER: LazyLock<Regex> =
    LazyLock::new(|| known(r#"([A-Za-z][A-Za-z0-9+.\-]*://)[^\s/?#"'@]+@"#));
/// A member of JSON that stands in a string of JSON.
static QUOTED: LazyLock<Regex> =
    LazyLock::new(|| known(r#"\\"([^"\\]+)\\"(\s*:\s*)(\\"(?:[^"\\]|\\[^"])*\\"|[^\\,}\]\s"]+)"#));
/// A part of a multipart body.
static PART: LazyLock<Regex> = LazyLock::new(|| {
    known(r#"(?s)(name="([^"]+)"[^\r\n]*(?:\r?\n[^\r\n]+)*\r?\n\r?\n)(.*?)(\r?\n--|\z)"#)
});

/// Compiles one of the patterns above, all of which are valid.
fn known(pattern: &str) -> Regex {
    // No fallback: without its pattern, a secret would be shown.
    Regex::new(pattern).unwrap_or_else(|error| unreachable!("{error}"))
}

/// Returns a text without what stands under the names of secrets in JSON, forms, queries and URLs, wherever in it these are.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    let mut shown = Cow::Borrowed(text);
    let mut apply = |pattern: &Regex, with: &dyn Fn(&Captures<'_>) -> String| {
        if let Cow::Owned(masked) = pattern.replace_all(&shown, with) {
            shown = Cow::Owned(masked);
        }
    };
    if text.contains("://") {
        apply(&USER, &|found| format!("{}{MASKED}@", &found[1]));
    }
    if text.contains("name=\"") {
        apply(&PART, &|found| match is_secret_name(&found[2]) {
            true => format!("{}{MASKED}{}", &found[1], &found[4]),
            false => found[0].to_owned(),
        });
    }
    if text.contains(": ") {
        apply(&FIELD, &field);
    }
    if text.contains('=') {
        apply(&PAIR, &pair);
    }
    if text.contains("\\\"") {
        apply(&QUOTED, &|found| match is_secret_name(&found[1]) {
            true => format!("\\\"{}\\\"{}\\\"{MASKED}\\\"", &found[1], &found[2]),
            false => found[0].to_owned(),
        });
    }
    match shown {
        Cow::Borrowed(text) => json_text(text),
        Cow::Owned(masked) => Cow::Owned(json_text(&masked).into_owned()),
    }
}

/// Returns whether a body has a part with the name of a secret.
pub(super) fn has_secret_part(text: &str) -> bool {
    let mut names = text.split("name=\"").skip(1);
    names.any(|rest| rest.split('"').next().is_some_and(is_secret_name))
}

/// Returns a field with its value, or without it if it is a secret.
fn field(found: &Captures<'_>) -> String {
    let name = &found[2];
    // A sentence may say "let it pass: add an entry": a word alone is taken for a field if it can be nothing else.
    let is_field = !found[1].is_empty()
        || name.contains(['-', '_'])
        || ["authorization", "cookie"].contains(&name.to_ascii_lowercase().as_str());
    match is_field && is_secret(name) {
        true => format!("{}{name}{}{MASKED}", &found[1], &found[3]),
        false => found[0].to_owned(),
    }
}

/// Returns a name with its value, without a secret that it is or holds.
fn pair(found: &Captures<'_>) -> String {
    let decoded = |text: &str| {
        let text = percent_encoding::percent_decode_str(text);
        text.decode_utf8_lossy().into_owned()
    };
    let (name, value) = (&found[1], &found[2]);
    if value.starts_with(MASKED) {
        return found[0].to_owned();
    }
    let inner = decoded(value);
    let holds = || inner.contains(['=', '@']) && matches!(text(&inner), Cow::Owned(_));
    match is_secret_name(&decoded(name)) || (inner != value && holds()) {
        true => format!("{name}={MASKED}"),
        false => found[0].to_owned(),
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
        let name: Option<String> = serde_json::from_str(&text[start..end]).ok();
        let after = text[end..].trim_start();
        let Some(value) = after.strip_prefix(':').map(str::trim_start) else {
            continue;
        };
        if !name.as_deref().is_some_and(is_secret_name)
            || value.is_empty()
            || value.starts_with("null")
        {
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

/// Returns where the string ends that starts at this quotation mark: after its last one, or with its line.
fn end_of_string(text: &str, start: usize) -> usize {
    let mut is_escaped = false;
    for (n, byte) in text.bytes().enumerate().skip(start + 1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return n + 1,
            b'\n' => return n,
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
            b',' | b'\n' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    // What is cut off ends with its line, so that it hides nothing that follows.
    text[start..]
        .find('\n')
        .map_or(text.len(), |end| start + end)
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
            ("a = b & password=x", "a = b & password=[masked]"),
            ("authorization=Bearer abc.def x", "authorization=[masked] x"),
            (
                "< Authorization: Bearer abc.def\nHost: a",
                "< Authorization: [masked]\nHost: a",
            ),
            (
                "{'Authorization': 'Basic eHg='}",
                "{'Authorization': '[masked]'}",
            ),
            ("x-api-key: sk_1, path: /a", "x-api-key: [masked], path: /a"),
            ("cookie: a=b; c=d\r\nx: y", "cookie: [masked]\r\nx: y"),
            (
                "or let it pass: add an entry",
                "or let it pass: add an entry",
            ),
            (
                "$.token: [masked] -> [masked]",
                "$.token: [masked] -> [masked]",
            ),
            ("user=a&password=x\n", "user=a&password=[masked]\n"),
            (
                "card[number]=1&card%5Bcvc%5D=2",
                "card[number]=1&card%5Bcvc%5D=[masked]",
            ),
            (
                "https://u:p@h/cb?code=1&access_token=t#id_token=u",
                "https://[masked]@h/cb?code=1&access_token=[masked]#id_token=[masked]",
            ),
            (
                "/t?cb=https%3A%2F%2Fu%3Ap%40h%2F&page=2%20",
                "/t?cb=[masked]&page=2%20",
            ),
            (
                r#"prefix {"pass\u0077ord":"x"}"#,
                r#"prefix {"pass\u0077ord":"[masked]"}"#,
            ),
            (
                r#"{"payload":"{\"password\":\"a b\",\"n\":1}"}"#,
                r#"{"payload":"{\"password\":\"[masked]\",\"n\":1}"}"#,
            ),
            (
                "--b\r\ncontent-disposition: form-data; name=\"password\"\r\n\r\nx y\r\n--b--",
                "--b\r\ncontent-disposition: form-data; name=\"password\"\r\n\r\n[masked]\r\n--b--",
            ),
            (
                "{\"token\": \"cut o\nfollows \"it\"",
                "{\"token\": \"[masked]\"\nfollows \"it\"",
            ),
            (
                "{\"token\": {\"a\": 1\nfollows",
                "{\"token\": \"[masked]\"\nfollows",
            ),
            (
                "{\"ü\": \"ü\", \"secret\": -1.5}",
                "{\"ü\": \"ü\", \"secret\": \"[masked]\"}",
            ),
        ] {
            assert_eq!(super::text(text), shown);
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
