//! OTLP JSON as found in practice: both spellings of field names, numbers as text, ids in hex or base64.

use std::borrow::Cow;

use serde_json::Number;
#[cfg(feature = "embedded")]
use serde_json::Value;

use crate::base::encoding::decode_base64;
#[cfg(feature = "embedded")]
use crate::base::encoding::encode_base64;
use crate::base::json::Json;

/// Returns a field by its `camelCase` or `snake_case` name; `null` counts as absent.
pub(crate) fn field<'a, J: Json<'a>>(value: J, camel: &str) -> Option<J> {
    spelt_field(value, camel).map(|(_, field)| field)
}

/// Returns a field as [`field`] does, with its name as spelt in the document.
pub(crate) fn spelt_field<'a, 'n, J: Json<'a>>(
    value: J,
    camel: &'n str,
) -> Option<(Cow<'n, str>, J)> {
    let found = match value.member(camel) {
        Some(field) => (Cow::Borrowed(camel), field),
        None if camel.bytes().any(|b| b.is_ascii_uppercase()) => {
            let snake = snake(camel);
            let field = value.member(&snake)?;
            (snake.into(), field)
        }
        None => return None,
    };
    (!found.1.is_nothing()).then_some(found)
}

fn snake(camel: &str) -> String {
    let mut name = String::with_capacity(camel.len() + 4);
    for c in camel.chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// An attribute's value, OTLP's `AnyValue`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Any<'a> {
    Text(&'a str),
    Int(i64),
    Double(f64),
    Bool(bool),
    Bytes(Vec<u8>),
    List(Vec<Any<'a>>),
    Map(Vec<(&'a str, Any<'a>)>),
    None,
}

impl<'a> Any<'a> {
    /// Reads an `AnyValue`; the error says what is wrong with it.
    pub(crate) fn read<J: Json<'a>>(value: J) -> Result<Self, String> {
        if !value.is_members() {
            return Err("expected an OTLP value such as {\"stringValue\": …}".to_owned());
        }
        if let Some(v) = field(value, "stringValue") {
            let text = v.text().ok_or("stringValue is not a string")?;
            return Ok(Self::Text(text));
        }
        if let Some(v) = field(value, "intValue") {
            return integer(v)
                .map(Self::Int)
                .ok_or_else(|| "intValue is not an integer".to_owned());
        }
        if let Some(v) = field(value, "doubleValue") {
            let number = v.number().and_then(Number::as_f64);
            let number = number.or_else(|| v.text()?.parse().ok());
            return number
                .map(Self::Double)
                .ok_or_else(|| "doubleValue is not a number".to_owned());
        }
        if let Some(v) = field(value, "boolValue") {
            let flag = v.flag().ok_or("boolValue is not true or false")?;
            return Ok(Self::Bool(flag));
        }
        if let Some(v) = field(value, "bytesValue") {
            let bytes = v.text().and_then(decode_base64);
            return bytes
                .map(Self::Bytes)
                .ok_or_else(|| "bytesValue is not base64".to_owned());
        }
        let values = |v: J| field(v, "values").and_then(Json::elements);
        if let Some(v) = field(value, "arrayValue") {
            let values = values(v).into_iter().flatten();
            return values
                .map(Self::read)
                .collect::<Result<_, _>>()
                .map(Self::List);
        }
        if let Some(v) = field(value, "kvlistValue") {
            let members = values(v).into_iter().flatten().map(|member| {
                let key = member
                    .member("key")
                    .and_then(Json::text)
                    .unwrap_or_default();
                let value = field(member, "value").map_or(Ok(Self::None), Self::read);
                Ok::<_, String>((key, value?))
            });
            return members.collect::<Result<_, _>>().map(Self::Map);
        }
        let mut names = value.names().unwrap_or_default();
        names.retain(|name| {
            value
                .member(name)
                .is_some_and(|member| !member.is_nothing())
        });
        if names.is_empty() {
            return Ok(Self::None);
        }
        let all = value.names().unwrap_or_default();
        Err(format!("unknown kind of OTLP value: {}", all.join(", ")))
    }

    /// Returns the value as text; `None` for lists, maps, absent values and bytes that are not UTF-8.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some((*text).to_owned()),
            Self::Int(number) => Some(number.to_string()),
            Self::Double(number) => Some(number.to_string()),
            Self::Bool(flag) => Some(flag.to_string()),
            Self::Bytes(bytes) => String::from_utf8(bytes.clone()).ok(),
            Self::List(_) | Self::Map(_) | Self::None => None,
        }
    }

    /// Returns the value as plain JSON, with bytes as base64.
    #[cfg(feature = "embedded")]
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => (*text).into(),
            Self::Int(number) => (*number).into(),
            Self::Double(number) => (*number).into(),
            Self::Bool(flag) => (*flag).into(),
            Self::Bytes(bytes) => encode_base64(bytes).into(),
            Self::List(values) => values.iter().map(Self::to_json).collect(),
            Self::Map(members) => members
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Self::None => Value::Null,
        }
    }

    /// Returns the value as bytes; `None` for lists, maps and absent values.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Some(bytes.clone()),
            other => other.text().map(String::into_bytes),
        }
    }
}

/// Reads a 64-bit integer, written as a number or as text.
pub(crate) fn integer<'a>(value: impl Json<'a>) -> Option<i64> {
    let number = value.number().and_then(Number::as_i64);
    number.or_else(|| value.text()?.trim().parse().ok())
}

/// Reads an unsigned 64-bit integer, written as a number or as text.
pub(crate) fn unsigned<'a>(value: impl Json<'a>) -> Option<u64> {
    let number = value.number().and_then(Number::as_u64);
    number.or_else(|| value.text()?.trim().parse().ok())
}

/// Returns a trace or span id of `len` bytes, written in hex or base64, as lower-case hex; any other text is
/// returned unchanged.
pub(crate) fn id<'a>(value: Option<impl Json<'a>>, len: usize) -> Option<String> {
    let text = value?.text()?;
    if text.is_empty() {
        return None;
    }
    if text.len() == 2 * len && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some(text.to_ascii_lowercase());
    }
    match decode_base64(text) {
        Some(bytes) if bytes.len() == len => Some(hex::encode(&bytes)),
        _ => Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_read_the_same_in_hex_and_base64() {
        let hex = json!("18A8EA057AC048FE");
        let base64 = json!("GKjqBXrASP4=");
        assert_eq!(id(Some(&hex), 8).as_deref(), Some("18a8ea057ac048fe"));
        assert_eq!(id(Some(&base64), 8).as_deref(), Some("18a8ea057ac048fe"));
        assert_eq!(id(Some(&json!("")), 8), None);
    }

    #[test]
    fn both_spellings_and_numbers_as_text_are_read() {
        assert_eq!(Any::read(&json!({"intValue": "200"})), Ok(Any::Int(200)));
        assert_eq!(Any::read(&json!({"int_value": 200})), Ok(Any::Int(200)));
        assert_eq!(
            Any::read(&json!({"bytesValue": "_w"})),
            Ok(Any::Bytes(vec![0xff]))
        );
        assert!(Any::read(&json!({"intValue": "x"})).is_err());
        assert!(Any::read(&json!("x")).is_err());
    }
}
