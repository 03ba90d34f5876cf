//! OTLP JSON as it is met: both spellings of field names, numbers as text, ids in hex or base64.

use serde_json::Value;

use crate::base::encoding::{decode_base64, encode_base64, hex};

/// A field by its `camelCase` or `snake_case` name; `null` counts as absent.
pub(crate) fn field<'a>(value: &'a Value, camel: &str) -> Option<&'a Value> {
    let found = value.get(camel).or_else(|| value.get(snake(camel)));
    found.filter(|v| !v.is_null())
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

/// An attribute's value, `AnyValue`.
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
    pub(crate) fn read(value: &'a Value) -> Result<Self, String> {
        let Some(object) = value.as_object() else {
            return Err("expected an OTLP value such as {\"stringValue\": …}".to_owned());
        };
        if let Some(v) = field(value, "stringValue") {
            let text = v.as_str().ok_or("stringValue is not a string")?;
            return Ok(Self::Text(text));
        }
        if let Some(v) = field(value, "intValue") {
            return integer(v)
                .map(Self::Int)
                .ok_or_else(|| "intValue is not an integer".to_owned());
        }
        if let Some(v) = field(value, "doubleValue") {
            let number = v.as_f64().or_else(|| v.as_str()?.parse().ok());
            return number
                .map(Self::Double)
                .ok_or_else(|| "doubleValue is not a number".to_owned());
        }
        if let Some(v) = field(value, "boolValue") {
            let flag = v.as_bool().ok_or("boolValue is not true or false")?;
            return Ok(Self::Bool(flag));
        }
        if let Some(v) = field(value, "bytesValue") {
            let bytes = v.as_str().and_then(decode_base64);
            return bytes
                .map(Self::Bytes)
                .ok_or_else(|| "bytesValue is not base64".to_owned());
        }
        if let Some(v) = field(value, "arrayValue") {
            let values = field(v, "values").and_then(Value::as_array);
            let values = values.map(Vec::as_slice).unwrap_or_default();
            return values
                .iter()
                .map(Self::read)
                .collect::<Result<_, _>>()
                .map(Self::List);
        }
        if let Some(v) = field(value, "kvlistValue") {
            let values = field(v, "values").and_then(Value::as_array);
            let values = values.map(Vec::as_slice).unwrap_or_default();
            return values
                .iter()
                .map(|member| {
                    let key = member
                        .get("key")
                        .and_then(Value::as_str)
                        .unwrap_or_default();
                    let value = field(member, "value").map_or(Ok(Self::None), Self::read);
                    Ok((key, value?))
                })
                .collect::<Result<_, _>>()
                .map(Self::Map);
        }
        if object.values().all(Value::is_null) {
            return Ok(Self::None);
        }
        Err(format!(
            "unknown kind of OTLP value: {}",
            object.keys().cloned().collect::<Vec<_>>().join(", ")
        ))
    }

    /// The value as text, where it has one form.
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

    /// The value as plain JSON; bytes are base64.
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

    /// The value as bytes, where it has one form.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Some(bytes.clone()),
            other => other.text().map(String::into_bytes),
        }
    }
}

/// A 64-bit integer that is a number or its text.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_str()?.trim().parse().ok())
}

/// A 64-bit integer without sign that is a number or its text.
pub(crate) fn unsigned(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| value.as_str()?.trim().parse().ok())
}

/// A trace or span id of `len` bytes as lower-case hex, whether it was written in hex or base64.
pub(crate) fn id(value: Option<&Value>, len: usize) -> Option<String> {
    let text = value?.as_str()?;
    if text.is_empty() {
        return None;
    }
    if text.len() == 2 * len && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Some(text.to_ascii_lowercase());
    }
    match decode_base64(text) {
        Some(bytes) if bytes.len() == len => Some(hex(&bytes)),
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
