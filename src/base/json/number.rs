//! JSON compared by value, with exact numbers.

use serde_json::{Number, Value};

/// The prefix of a string that holds the digits of a number. A number that neither an integer nor a
/// double represents exactly is kept as such a string, so that two large ids that differ only in a late
/// digit never compare equal.
const EXACT: &str = "\u{F8FF}number:";

/// Parses JSON text, keeping every number exact; returns `None` if it is not JSON.
pub(crate) fn parse(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    match keep_exact_numbers(text) {
        None => serde_json::from_str(text).ok(),
        Some(rewritten) => serde_json::from_str(&rewritten).ok(),
    }
}

/// Returns the text with every number that would be rounded turned into a prefixed string; `None` if there
/// is no such number.
fn keep_exact_numbers(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let start = at;
                while at < bytes.len()
                    && matches!(bytes[at], b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
                {
                    at += 1;
                }
                let literal = &text[start..at];
                if !survives(literal) {
                    out.push_str(&text[copied..start]);
                    out.push_str(&format!("\"{EXACT}{literal}\""));
                    copied = at;
                }
            }
            _ => at += 1,
        }
    }
    (copied > 0).then(|| out + &text[copied..])
}

fn survives(literal: &str) -> bool {
    if literal.len() <= 15 && !literal.contains(['e', 'E']) {
        return true;
    }
    match serde_json::from_str::<Number>(literal) {
        Ok(number) => Decimal::of(&number.to_string()) == Decimal::of(literal),
        // Either not a number at all, which the parser will report, or one beyond a double's range.
        Err(_) => Decimal::of(literal).is_none() || !is_json_number(literal),
    }
}

fn is_json_number(literal: &str) -> bool {
    let digits = literal.strip_prefix('-').unwrap_or(literal);
    let leading_zero =
        digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
    !leading_zero && digits.starts_with(|c: char| c.is_ascii_digit())
}

/// A decimal number in canonical form: sign, digits without zeros at either end, and power of ten.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn of(literal: &str) -> Option<Self> {
        let (mantissa, exponent) = match literal.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (literal, 0),
        };
        let negative = mantissa.starts_with('-');
        let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        let significant = all.trim_start_matches('0');
        let digits = significant.trim_end_matches('0');
        if digits.is_empty() {
            return Some(Self {
                negative: false,
                digits: String::new(),
                exponent: 0,
            });
        }
        let dropped = i64::try_from(significant.len() - digits.len()).ok()?;
        Some(Self {
            negative,
            digits: digits.to_owned(),
            exponent: exponent.checked_add(dropped)?,
        })
    }
}

/// Returns the digits of a number, in whichever form it is kept; `None` for any other value.
pub(crate) fn number_text(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => text.strip_prefix(EXACT).map(str::to_owned),
        _ => None,
    }
}

/// Returns whether a value is a number without a fraction, however it is written.
#[cfg(feature = "runner")]
pub(crate) fn is_integer(value: &Value) -> bool {
    let decimal = number_text(value).and_then(|text| Decimal::of(&text));
    decimal.is_some_and(|decimal| decimal.exponent >= 0)
}

/// Returns whether two scalars are equal: numbers by value (`1` equals `1.0`), everything else exactly.
pub(crate) fn scalar_equals(a: &Value, b: &Value) -> bool {
    if a == b {
        return true;
    }
    match (number_text(a), number_text(b)) {
        (Some(a), Some(b)) => match (Decimal::of(&a), Decimal::of(&b)) {
            (Some(a), Some(b)) => a == b,
            _ => a == b,
        },
        _ => false,
    }
}

/// Returns whether two values are equal, comparing numbers by value at every depth.
pub(crate) fn equals(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, value)| b.get(key).is_some_and(|other| equals(value, other)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equals(a, b))
        }
        _ => scalar_equals(a, b),
    }
}

/// Returns the value as JSON text, with exact numbers as plain digits.
pub(crate) fn show(value: &Value) -> String {
    let text = value.to_string();
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
        out.push_str(&rest[..end]);
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    out + rest
}

/// Returns the JSON name of a value's type.
#[cfg(feature = "runner")]
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        _ if number_text(value).is_some() => "number",
        _ => "string",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn same(a: &str, b: &str) -> bool {
        let (a, b) = (parse(a.as_bytes()).unwrap(), parse(b.as_bytes()).unwrap());
        equals(&a, &b)
    }

    #[test]
    fn numbers_compare_by_value() {
        assert!(same("1", "1.0"));
        assert!(same("[100]", "[1e2]"));
        assert!(same("0", "-0.0"));
        assert!(!same("1", "2"));
        assert!(!same("1", "\"1\""));
    }

    #[test]
    fn large_integers_compare_exactly() {
        assert!(!same("9007199254740992", "9007199254740993"));
        assert!(!same("9007199254740993", "9007199254740992.0"));
        assert!(!same(
            "123456789012345678901234567890",
            "123456789012345678901234567891"
        ));
        assert!(same(
            "{\"a\": 123456789012345678901234567890}",
            "{\"a\": 123456789012345678901234567890.0}"
        ));
        assert!(!same("1e400", "1e401"));
    }

    #[test]
    fn exact_numbers_are_shown_in_full_and_stay_numbers() {
        let value = parse(b"{\"a\": [123456789012345678901234567890, \"x\"]}").unwrap();
        assert_eq!(
            show(&value),
            "{\"a\":[123456789012345678901234567890,\"x\"]}"
        );
        #[cfg(feature = "runner")]
        assert_eq!(kind(&value["a"][0]), "number");
    }

    #[test]
    fn invalid_json_is_not_parsed() {
        for text in [
            "",
            "{",
            "01234567890123456789",
            "-",
            "1.2.3.4.5.6.7.8.9.0.1",
        ] {
            assert!(parse(text.as_bytes()).is_none(), "{text}");
        }
        assert!(parse(&[0xff]).is_none());
        assert_eq!(
            parse(b"\"a\\\"12345678901234567890123\""),
            Some(json!("a\"12345678901234567890123"))
        );
    }
}
