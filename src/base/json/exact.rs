//! Numbers that no type of `serde_json` holds, kept as text with a mark.

use std::borrow::Cow;

use serde_json::Value;

/// The prefix of a string that holds the digits of a number. A number that neither an integer nor a
/// double represents exactly is kept as such a string, so that two large ids that differ only in a late
/// digit never compare equal. The digits are JSON; a number that was not written as JSON (`0x10`) has its spelling
/// after them, behind [`SPELLED`].
pub(super) const EXACT: &str = "\u{F8FF}number:";

/// What stands between the digits of a number and its spelling.
const SPELLED: char = '\u{F8FF}';

/// What stands, in front of four hex digits and a `;`, for an escape of half a surrogate pair, which is JSON but
/// no text.
pub(super) const SURROGATE: &str = "\u{F8FF}surrogate:";

/// Returns a number that keeps these digits, which have to be JSON, and this spelling if that is another.
#[cfg(feature = "runner")]
pub(crate) fn exact(digits: &str, spelling: &str) -> Value {
    match digits == spelling {
        true => format!("{EXACT}{digits}").into(),
        false => format!("{EXACT}{digits}{SPELLED}{spelling}").into(),
    }
}

/// Returns the digits of a number and its spelling, if it is kept as text.
fn marked(value: &Value) -> Option<(&str, &str)> {
    let text = value.as_str()?.strip_prefix(EXACT)?;
    Some(text.split_once(SPELLED).unwrap_or((text, text)))
}

/// Returns the digits of a number as JSON, in whichever form it is kept; `None` for any other value.
pub(crate) fn number_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Number(number) => Some(number.to_string().into()),
        value => marked(value).map(|(digits, _)| digits.into()),
    }
}

/// Returns a number as it was written; `None` for any other value.
pub(crate) fn number_as_written(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Number(number) => Some(number.to_string().into()),
        value => marked(value).map(|(_, spelling)| spelling.into()),
    }
}

/// Returns the text if the value is a string, and not a number that is kept as one.
pub(crate) fn as_text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.starts_with(EXACT))
}

/// Returns the value as JSON text, with exact numbers as plain digits, and escapes of half a surrogate pair as
/// they were written.
pub(crate) fn show(value: &Value) -> String {
    let mut text = value.to_string();
    if text.contains(SURROGATE) {
        let mut parts = text.split(SURROGATE);
        let first = parts.next().unwrap_or_default().to_owned();
        let rest = parts.map(|part| match part.split_once(';') {
            Some((unit, after)) => format!("\\u{unit}{after}"),
            None => part.to_owned(),
        });
        text = first + &rest.collect::<String>();
    }
    if !text.contains(EXACT) {
        return text;
    }
    let mut out = String::new();
    let mut rest = text.as_str();
    let marker = format!("\"{EXACT}");
    while let Some(start) = rest.find(&marker) {
        out.push_str(&rest[..start]);
        rest = &rest[start + marker.len()..];
        let end = rest.find('"').unwrap_or(rest.len());
        let digits = &rest[..end];
        out.push_str(digits.split(SPELLED).next().unwrap_or_default());
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    out + rest
}

/// Returns the value without marks, for code that does not know them: a number that no type holds becomes a string
/// of its digits, and half a surrogate pair U+FFFD.
#[cfg(feature = "runner")]
pub(crate) fn unmarked(value: &Value) -> Cow<'_, Value> {
    match value.to_string().contains('\u{F8FF}') {
        true => Cow::Owned(without_marks(value)),
        false => Cow::Borrowed(value),
    }
}

#[cfg(feature = "runner")]
fn without_marks(value: &Value) -> Value {
    match value {
        Value::Array(elements) => elements.iter().map(without_marks).collect(),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(name, member)| (plain_text(name), without_marks(member)));
            members.collect::<serde_json::Map<_, _>>().into()
        }
        Value::String(text) => match marked(value) {
            Some((digits, _)) => digits.into(),
            None => plain_text(text).into(),
        },
        other => other.clone(),
    }
}

#[cfg(feature = "runner")]
fn plain_text(text: &str) -> String {
    let mut parts = text.split(SURROGATE);
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.map(|part| match part.split_once(';') {
        Some((_, after)) => format!("\u{FFFD}{after}"),
        None => part.to_owned(),
    });
    first + &rest.collect::<String>()
}

#[cfg(test)]
#[cfg(feature = "runner")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_keeps_its_digits_and_its_spelling() {
        let (decimal, hex) = (exact("1.10", "1.10"), exact("16", "0x10"));
        let written = |value: &Value| number_as_written(value).unwrap().into_owned();
        assert_eq!(written(&decimal), "1.10");
        assert_eq!(written(&hex), "0x10");
        assert_eq!(number_text(&hex).unwrap(), "16");
        assert_eq!(as_text(&hex), None);
        assert_eq!(as_text(&json!("16")), Some("16"));
        assert_eq!(show(&json!([decimal, hex, "x"])), "[1.10,16,\"x\"]");
    }

    #[test]
    fn code_that_knows_no_marks_sees_digits() {
        let value = json!({"a": exact("36893488147419103233", "36893488147419103233"), "b": 1});
        assert_eq!(
            *unmarked(&value),
            json!({"a": "36893488147419103233", "b": 1})
        );
        let half = format!("{SURROGATE}d800;x");
        assert_eq!(*unmarked(&json!([half])), json!(["\u{FFFD}x"]));
    }
}
