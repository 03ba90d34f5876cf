//! The narrowest matcher for values that vary.

use serde_json::{Number, Value, json};

use super::clock::{is_date, is_time};
use super::{Moment, Place};
use crate::base::json;
use crate::base::masked::stands_for;
use crate::compare::Matcher;

const CLOCK: &str = "a time that moves with the clock";

/// A place whose value varies.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Varying {
    pub(crate) place: Place,
    /// All values that were seen there, the captured ones first.
    pub(crate) values: Vec<Value>,
    /// How many of them were captured.
    pub(crate) captured: usize,
    /// When the last one was seen.
    pub(crate) at: Option<Moment>,
}

/// A matcher for a place, and what its values are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Proposed {
    /// As it is written in a suite: a word, or an object.
    pub(crate) value: Value,
    /// What the values are, in a few words.
    pub(crate) what: &'static str,
}

/// Returns the narrowest matcher for the values that were seen at a place, all of which are of one type.
pub(crate) fn proposed(varying: &Varying) -> Proposed {
    let texts: Option<Vec<&str>> = varying.values.iter().map(json::as_text).collect();
    if let Some(texts) = texts {
        let (captured, replayed) = texts.split_at(varying.captured);
        let stands = |was: &&str| replayed.iter().any(|is| stands_for(was, is));
        return match captured.iter().all(stands) {
            true => Proposed {
                value: "masked".into(),
                what: "a secret that was masked",
            },
            false => of_texts(&texts),
        };
    }
    let is_number = |value: &Value| json::number_text(value).is_some();
    match varying.values.iter().all(is_number) {
        true => of_numbers(varying),
        false => {
            let kind = varying.values.first().map_or("null", json::kind);
            Proposed {
                value: json!({"type": kind}),
                what: "another value in each run",
            }
        }
    }
}

fn of_numbers(varying: &Varying) -> Proposed {
    let all_integers = varying.values.iter().all(json::is_integer);
    let kind = if all_integers { "integer" } else { "number" };
    let typed = |what| Proposed {
        value: json!({"type": kind}),
        what,
    };
    if varying
        .values
        .iter()
        .skip(varying.captured)
        .all(|value| is_time(value, varying.at))
    {
        return typed(CLOCK);
    }
    let numbers = varying.values.iter().filter_map(|value| {
        let number: f64 = json::number_text(value)?.parse().ok()?;
        number.is_finite().then_some(number)
    });
    let numbers: Vec<f64> = numbers.collect();
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (middle, spread) = (f64::midpoint(least, most), most - least);
    // What varies by less than a quarter is a measure; what varies by more is anything.
    if numbers.len() < varying.values.len() || spread > middle.abs() / 4.0 {
        return typed("a random number");
    }
    // Few values are seen of those that may come.
    let by = 2.0 * spread;
    let digit = match all_integers {
        true => 1.0,
        false => 10_f64.powf(by.log10().floor() - 1.0),
    };
    let near = decimal((middle / digit).round() * digit);
    let by = decimal((by / digit).ceil() * digit);
    Proposed {
        value: json!({"near": written(near), "by": written(by)}),
        what: "a number within bounds",
    }
}

/// Returns a number without the traces of its computation.
fn decimal(number: f64) -> f64 {
    format!("{number:.9e}").parse().unwrap_or(number)
}

fn written(number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.fract() == 0.0 && number.abs() < EXACT {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is a whole number that fits"
        )]
        true => Value::from(number as i64),
        false => Number::from_f64(number).map_or(Value::Null, Value::from),
    }
}

fn of_texts(texts: &[&str]) -> Proposed {
    let all = |fits: &dyn Fn(&str) -> bool| texts.iter().all(|text| fits(text));
    let fits = |matcher: Matcher| all(&|text| matcher.fits(&text.into()));
    if fits(Matcher::Uuid) {
        return Proposed {
            value: "uuid".into(),
            what: "a UUID",
        };
    }
    if fits(Matcher::Timestamp) {
        return Proposed {
            value: "timestamp".into(),
            what: CLOCK,
        };
    }
    if all(&is_ulid) {
        return Proposed {
            value: json!({"regex": "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"}),
            what: "a ULID",
        };
    }
    let tells_time = all(&is_date);
    match pattern(texts, tells_time) {
        Some(pattern) => Proposed {
            value: json!({"regex": pattern}),
            what: match tells_time {
                true => CLOCK,
                false => "a random token",
            },
        },
        None => Proposed {
            value: json!({"type": "string"}),
            what: "another text in each run",
        },
    }
}

fn is_ulid(text: &str) -> bool {
    let is_digit =
        |byte: u8| byte.is_ascii_digit() || (byte.is_ascii_uppercase() && !b"ILOU".contains(&byte));
    text.len() == 26 && text.bytes().all(is_digit) && text.starts_with(|c| ('0'..='7').contains(&c))
}

/// Returns a pattern for tokens: what varies in each of the parts between separators. `None` for words and free texts.
fn pattern(texts: &[&str], tells_time: bool) -> Option<String> {
    let is_separator = |c: char| !c.is_ascii_alphanumeric();
    let separators =
        |text: &str| -> Vec<char> { text.chars().filter(|c| is_separator(*c)).collect() };
    let first = separators(texts.first()?);
    let columns: Option<Vec<String>> = match texts.iter().all(|text| separators(text) == first) {
        false => None,
        true => {
            let parts: Vec<Vec<&str>> = texts
                .iter()
                .map(|text| text.split(is_separator).collect())
                .collect();
            let columns = (0..=first.len()).map(|n| {
                let parts: Vec<&str> = parts.iter().map(|parts| parts[n]).collect();
                column(&parts, tells_time)
            });
            columns.collect()
        }
    };
    let body = match columns {
        Some(columns) => {
            let mut columns = columns.into_iter();
            let start = columns.next()?;
            let rest = first.iter().zip(columns);
            rest.fold(start, |out, (separator, column)| {
                out + &escaped(&separator.to_string()) + &column
            })
        }
        // Base64 has the separators among its digits.
        None => {
            let is_one_of = |extra: &str| {
                let fits = |text: &&str| {
                    text.chars()
                        .all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
                };
                texts.iter().all(fits)
            };
            let digits = match () {
                () if is_one_of("-_") => "A-Za-z0-9_-",
                () if is_one_of("+/=") => "A-Za-z0-9+/=",
                () => return None,
            };
            let is_token = holds_digits(texts) && texts.iter().all(|text| !text.is_empty());
            is_token.then(|| format!("[{digits}]{}", count(texts)))?
        }
    };
    Some(format!("^{body}$"))
}

/// Returns a text as it stands in a pattern.
fn escaped(text: &str) -> String {
    // A dash means something between brackets alone.
    regex::escape(text).replace("\\-", "-")
}

/// Returns a pattern for one of the parts of tokens; of times, what did not move yet will.
fn column(parts: &[&str], tells_time: bool) -> Option<String> {
    let first = parts.first()?;
    let all = |fits: fn(char) -> bool| parts.iter().all(|part| part.chars().all(fits));
    let is_digits = all(|c| c.is_ascii_digit()) && !first.is_empty();
    if parts.iter().all(|part| part == first) && !(tells_time && is_digits) {
        return Some(escaped(first));
    }
    if parts.iter().any(|part| part.is_empty()) || !holds_digits(parts) {
        return None;
    }
    let is_long = parts.iter().all(|part| part.len() >= 6);
    let digits = match () {
        () if is_digits => "0-9",
        () if is_long && all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)) => "0-9a-f",
        () if is_long && all(|c| c.is_ascii_digit() || ('A'..='F').contains(&c)) => "0-9A-F",
        () if all(|c| c.is_ascii_digit() || c.is_ascii_lowercase()) => "0-9a-z",
        () if all(|c| c.is_ascii_digit() || c.is_ascii_uppercase()) => "0-9A-Z",
        // Tokens of both cases are often base64, whose other digits may not have been seen.
        () => "0-9A-Za-z_-",
    };
    Some(format!("[{digits}]{}", count(parts)))
}

/// Returns whether texts hold digits or both cases of letters, as words don't.
fn holds_digits(texts: &[&str]) -> bool {
    let any = |fits: fn(char) -> bool| texts.iter().any(|text| text.chars().any(fits));
    let is_mixed = |text: &&str| {
        let inner = text.get(1..).unwrap_or_default();
        inner.chars().any(|c| c.is_ascii_uppercase())
            && text.chars().any(|c| c.is_ascii_lowercase())
    };
    any(|c| c.is_ascii_digit()) || texts.iter().all(is_mixed)
}

/// Returns how many characters texts have, as a pattern has it.
fn count(texts: &[&str]) -> String {
    let lengths = texts.iter().map(|text| text.len());
    match (lengths.clone().min(), lengths.max()) {
        (Some(least), Some(most)) if least == most => format!("{{{least}}}"),
        _ => "+".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[Value], wanted: &Value, what: &str) {
        let varying = Varying {
            place: Place::default(),
            values: values.to_vec(),
            captured: 1,
            at: Some(Moment(1_776_679_200.0)),
        };
        let found = proposed(&varying);
        assert_eq!((&found.value, found.what), (wanted, what), "{values:?}");
    }

    #[test]
    fn a_matcher_is_as_narrow_as_what_was_seen() {
        let regex = |pattern: &str| json!({"regex": pattern});
        let (token, text) = ("a random token", "another text in each run");
        for (values, wanted, what) in [
            (
                json!([
                    "67e55044-10b1-426f-9247-bb680e5fe0c8",
                    "67e55044-10b1-426f-9247-bb680e5fe0c9"
                ]),
                json!("uuid"),
                "a UUID",
            ),
            (
                json!(["01ARZ3NDEKTSV4RRFFQ69G5FAV", "01BX5ZZKBKACTAV9WEVGEMMVRZ"]),
                regex("^[0-7][0-9A-HJKMNP-TV-Z]{25}$"),
                "a ULID",
            ),
            (
                json!(["2026-04-20T10:00:00Z", "2026-04-20T10:00:01.5+02:00"]),
                json!("timestamp"),
                CLOCK,
            ),
            (
                json!(["2026-04-20 10:00:00", "2026-04-20 10:00:01"]),
                regex("^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"),
                CLOCK,
            ),
            (
                json!(["ord_1a2b3c4d", "ord_99887766"]),
                regex("^ord_[0-9a-f]{8}$"),
                token,
            ),
            (
                json!(["A-17/2026", "A-4711/2026"]),
                regex("^A-[0-9]+/2026$"),
                token,
            ),
            (json!(["a.1z", "a.2y"]), regex("^a\\.[0-9a-z]{2}$"), token),
            (
                json!(["aB-1_x", "Cd-Ef_"]),
                regex("^[A-Za-z0-9_-]{6}$"),
                token,
            ),
            (
                json!(["QUJD+1==", "RE/FRw=="]),
                regex("^[A-Za-z0-9+/=]{8}$"),
                token,
            ),
            (json!(["tea", "coffee"]), json!({"type": "string"}), text),
            (json!(["Hello 1!", "Bye"]), json!({"type": "string"}), text),
            (json!(["", "x1"]), json!({"type": "string"}), text),
            (
                json!([true, false]),
                json!({"type": "boolean"}),
                "another value in each run",
            ),
            (
                json!([1, 900]),
                json!({"type": "integer"}),
                "a random number",
            ),
            (
                json!([1.5, 900]),
                json!({"type": "number"}),
                "a random number",
            ),
            (
                json!([1_776_000_000, 1_776_679_200]),
                json!({"type": "integer"}),
                CLOCK,
            ),
            (
                json!([1_776_000_000_000.5, 1_776_679_200_001.5]),
                json!({"type": "number"}),
                CLOCK,
            ),
            (
                json!([100, 104]),
                json!({"near": 102, "by": 8}),
                "a number within bounds",
            ),
            (
                json!([20.5, 20.61]),
                json!({"near": 20.56, "by": 0.22}),
                "a number within bounds",
            ),
            (
                json!(["user-0123456789ab@scrubbed.invalid", "a@b.example"]),
                json!("masked"),
                "a secret that was masked",
            ),
        ] {
            check(values.as_array().unwrap(), &wanted, what);
        }
    }
}
