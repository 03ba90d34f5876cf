//! JSON compared by value, with exact numbers.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::deep::from_text;
#[cfg(feature = "runner")]
use super::deep::told;
use super::exact::{EXACT, SURROGATE, number_text};
#[cfg(feature = "runner")]
use super::tree::{Json, Tree};
#[cfg(feature = "runner")]
use crate::base::document::Way;

/// Parses JSON text, keeping every number exact.
pub(crate) fn parse(text: &str) -> Result<Value, serde_json::Error> {
    from_text(&readable(text))
}

/// Returns the value of JSON text as [`parse`] does, or `None` if every number of the text is exact anyway.
pub(crate) fn parse_inexact(text: &str) -> Option<Value> {
    match readable(text) {
        Cow::Borrowed(_) => None,
        Cow::Owned(text) => from_text(&text).ok(),
    }
}

/// A JSON text that was read.
#[cfg(feature = "runner")]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    /// Its value; of the members of one name, the last counts.
    pub(crate) value: Value,
    /// The JSON pointers of members that have the name of an earlier one.
    pub(crate) repeated: Vec<String>,
    /// Whether it has to be walked in [`with_room`](super::with_room).
    pub(crate) is_deep: bool,
}

/// Parses JSON text as [`parse`] does.
///
/// # Errors
///
/// Why it is not JSON.
#[cfg(feature = "runner")]
pub(crate) fn read(bytes: &[u8]) -> Result<Document, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = readable(text);
    let (tree, is_deep): (Tree<'_>, bool) = told(&text).map_err(|error| error.to_string())?;
    let mut repeated = Vec::new();
    tree.repeated(&Way::ROOT, &mut |way| repeated.push(way.pointer()));
    Ok(Document {
        value: Json::copied(&tree),
        repeated,
        is_deep,
    })
}

/// Returns the text in a form that a parser reads without loss: without a byte order mark, and with every
/// number that would be rounded and every half of a surrogate pair turned into marked text.
fn readable(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    if bytes[at] != b'\\' {
                        at += 1;
                        continue;
                    }
                    let (length, lone) = escape(&bytes[at..]);
                    if let Some(unit) = lone {
                        out.push_str(&text[copied..at]);
                        out.push_str(&format!("{SURROGATE}{unit:04x};"));
                        copied = at + length;
                    }
                    at += length;
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
    match copied {
        0 => text.into(),
        _ => (out + &text[copied..]).into(),
    }
}

/// Returns the length of the escape at the start of `bytes`, a whole surrogate pair counting as one, and its
/// code unit if that is half a pair.
fn escape(bytes: &[u8]) -> (usize, Option<u16>) {
    let unit = |at: usize| {
        let digits = bytes.get(at..)?.strip_prefix(b"\\u")?.get(..4)?;
        let digits = std::str::from_utf8(digits).ok()?;
        let is_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
        u16::from_str_radix(digits, 16).ok().filter(|_| is_hex)
    };
    match (unit(0), unit(6)) {
        (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (12, None),
        (Some(half @ 0xD800..=0xDFFF), _) => (6, Some(half)),
        _ => (2, None),
    }
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

/// Returns whether a text is a number in JSON.
#[cfg(feature = "runner")]
pub(crate) fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let exponent = exponent.map(|exponent| exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
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

/// Returns how two numbers compare by value; `None` if one is not a number.
pub(super) fn order(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Decimal::of(a)?, Decimal::of(b)?);
    let sign = |number: &Decimal| match (number.digits.is_empty(), number.negative) {
        (true, _) => 0,
        (false, true) => -1,
        (false, false) => 1,
    };
    // The place of the first digit decides, and then the digits, which have no zeros at their ends.
    let size = |number: &Decimal| {
        let length = i64::try_from(number.digits.len()).unwrap_or(i64::MAX);
        number.exponent.saturating_add(length)
    };
    let by_size = || {
        let sizes = size(&a).cmp(&size(&b));
        sizes.then_with(|| a.digits.cmp(&b.digits))
    };
    Some(match (sign(&a), sign(&b)) {
        (-1, -1) => by_size().reverse(),
        (1, 1) => by_size(),
        (a, b) => a.cmp(&b),
    })
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
    use super::super::exact::show;
    use super::*;
    use serde_json::json;

    fn same(a: &str, b: &str) -> bool {
        let (a, b) = (parse(a).unwrap(), parse(b).unwrap());
        equals(&a, &b)
    }

    #[test]
    fn numbers_are_ordered_by_value() {
        let ascending = [
            "-1e400",
            "-12.5",
            "-12",
            "-1.2e-3",
            "0",
            "1e-400",
            "0.12",
            "0.123",
            "1",
            "9",
            "10",
            "11.0001",
            "99",
            "100",
            "12345678901234567890123",
            "12345678901234567890124",
            "1e400",
        ];
        for (n, a) in ascending.iter().enumerate() {
            for (m, b) in ascending.iter().enumerate() {
                assert_eq!(order(a, b), Some(n.cmp(&m)), "{a} {b}");
            }
        }
        assert_eq!(order("1.0", "1"), Some(Ordering::Equal));
        assert_eq!(order("-0", "0"), Some(Ordering::Equal));
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
    #[cfg(feature = "runner")]
    fn numbers_in_json_have_one_form() {
        for text in ["0", "-1.50", "1e400", "12E+3", "0.1e-7"] {
            assert!(is_number(text), "{text}");
        }
        for text in [
            "", "-", "01", "+1", ".5", "1.", "1e", "0x10", "1_0", "1e+", "--1",
        ] {
            assert!(!is_number(text), "{text}");
        }
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
        let value = parse("{\"a\": [123456789012345678901234567890, \"x\"]}").unwrap();
        assert_eq!(
            show(&value),
            "{\"a\":[123456789012345678901234567890,\"x\"]}"
        );
        #[cfg(feature = "runner")]
        assert_eq!(kind(&value["a"][0]), "number");
    }

    #[test]
    fn halves_of_surrogate_pairs_compare_and_are_shown_as_written() {
        assert!(same(r#""\uD800x""#, r#""\ud800x""#));
        assert!(!same(r#""\ud800""#, r#""\ud801""#));
        assert!(!same(r#""\\ud800""#, r#""\ud800""#));
        assert!(same(r#""\ud83d\ude00""#, "\"\u{1F600}\""));
        let value = parse(r#"{"a\udc00": "\ud800\ud800\ud83d\ude00"}"#).unwrap();
        assert_eq!(show(&value), "{\"a\\udc00\":\"\\ud800\\ud800\u{1F600}\"}");
        for broken in [r#""\ud8""#, r#""\u"#, r#""\ud80g""#, r#""\"#] {
            assert!(parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_read_over() {
        assert!(same("\u{FEFF}[1]", "[1]"));
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
            assert!(parse(text).is_err(), "{text}");
        }
        #[cfg(feature = "runner")]
        assert_eq!(read(&[0xff]).unwrap_err(), "it is not UTF-8");
        #[cfg(feature = "runner")]
        for (text, why) in [
            ("{", "EOF while parsing an object at line 1 column 1"),
            (
                &"[".repeat(200),
                "EOF while parsing a list at line 1 column 200",
            ),
            (&"[".repeat(1200), "it is nested more than 1000 levels deep"),
        ] {
            assert_eq!(read(text.as_bytes()).unwrap_err(), why);
        }
        assert_eq!(
            parse("\"a\\\"12345678901234567890123\"").unwrap(),
            json!("a\"12345678901234567890123")
        );
    }
}
