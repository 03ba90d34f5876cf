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

/// Returns the narrowest matcher for the values that were seen at a place; `None` if they are of several types.
pub(crate) fn proposed(varying: &Varying) -> Option<Proposed> {
    let kind = json::kind(varying.values.first()?);
    if varying.values.iter().any(|value| json::kind(value) != kind) {
        return None;
    }
    let texts: Option<Vec<&str>> = varying.values.iter().map(json::as_text).collect();
    let found = match texts {
        Some(texts) => {
            let (captured, replayed) = texts.split_at(varying.captured);
            let stands = |was: &&str| replayed.iter().any(|is| stands_for(was, is));
            match captured.iter().all(stands) {
                true => {
                    return Some(Proposed {
                        value: "masked".into(),
                        what: "a secret that was masked",
                    });
                }
                false => of_texts(&texts),
            }
        }
        None if kind == "number" => of_numbers(varying),
        None => typed(kind, "another value in each run"),
    };
    // What does not even accept what was seen is none.
    Some(match found.accepts(&varying.values) {
        true => found,
        false => typed(kind, "another value in each run"),
    })
}

fn typed(kind: &str, what: &'static str) -> Proposed {
    Proposed {
        value: json!({"type": kind}),
        what,
    }
}

impl Proposed {
    /// Returns whether the matcher accepts these values.
    fn accepts(&self, values: &[Value]) -> bool {
        let text = |name: &str| self.value.get(name).and_then(Value::as_str);
        let number = |name: &str| self.value.get(name).and_then(Value::as_f64);
        let known = |kind: &str| Matcher::TYPES.into_iter().find(|known| *known == kind);
        let matcher = match (self.value.as_str(), number("near"), number("by")) {
            (Some("uuid"), ..) => Some(Matcher::Uuid),
            (Some(_), ..) => Some(Matcher::Timestamp),
            (_, Some(near), Some(by)) => Some(Matcher::Near { near, by }),
            _ => match (text("regex"), text("type")) {
                (Some(pattern), _) => regex::Regex::new(pattern).ok().map(Matcher::Regex),
                (_, kind) => kind.and_then(known).map(Matcher::Type),
            },
        };
        matcher.is_some_and(|matcher| values.iter().all(|value| matcher.fits(value)))
    }

    /// Returns what the matcher is like, whatever its numbers: values of one shape are of one kind.
    pub(crate) fn shape(&self) -> String {
        match (&self.value, self.value.get("regex").and_then(Value::as_str)) {
            (_, Some(pattern)) => {
                let mut shape = String::new();
                let mut chars = pattern.chars().peekable();
                while let Some(c) = chars.next() {
                    match c {
                        '{' if chars.peek().is_some_and(char::is_ascii_digit) => {
                            chars.by_ref().take_while(|c| *c != '}').for_each(drop);
                            shape.push('+');
                        }
                        c => shape.push(c),
                    }
                }
                shape
            }
            (Value::Object(members), None) if members.contains_key("near") => "near".to_owned(),
            (value, None) => json::show(value),
        }
    }
}

/// Returns the matcher for several places together; `None` if their values are of different kinds, which one matcher would mix.
pub(crate) fn unified<'v>(
    all: impl Iterator<Item = &'v Varying> + Clone,
) -> Option<(Varying, Proposed)> {
    let mut pooled = all.clone().next()?.clone();
    all.clone().skip(1).for_each(|one| pooled.add(one.clone()));
    let proposal = proposed(&pooled)?;
    let shape = proposal.shape();
    let by = |proposal: &Proposed| proposal.value.get("by").and_then(Value::as_f64);
    let wide = by(&proposal);
    let mut singles = all.map(proposed);
    // Bounds around several are for those whose own are about as wide.
    const WIDER: f64 = 3.0;
    let is_one = singles.all(|one| {
        one.is_some_and(|one| {
            let fits = wide
                .zip(by(&one))
                .is_none_or(|(wide, own)| wide <= WIDER * own);
            one.shape() == shape && fits
        })
    });
    is_one.then_some((pooled, proposal))
}

fn of_numbers(varying: &Varying) -> Proposed {
    let all_integers = varying.values.iter().all(json::is_integer);
    let kind = if all_integers { "integer" } else { "number" };
    let typed = |what| typed(kind, what);
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
    let decimal = |number: f64| match all_integers {
        true => number,
        false => decimal(number),
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
    if tells_time && texts.iter().all(|text| text.contains(", ")) {
        const DAYS: &str = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
        const MONTHS: &str = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
        return Some(format!(
            "^{DAYS}, [0-9]{{1,2}} {MONTHS} [0-9]{{4}} [0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}} (GMT|UTC|[+-][0-9]{{4}})$"
        ));
    }
    let all = |c: char| !c.is_ascii_alphanumeric();
    // Base64 has some separators among its digits.
    let hard = |c: char| all(c) && !SOFT.contains(c);
    let body = by_columns(texts, &all, tells_time).or_else(|| by_columns(texts, &hard, false))?;
    Some(format!("^{body}$"))
}

/// The separators that are digits of base64 as well.
const SOFT: &str = "-_+/=";

/// Returns a pattern for texts with the same separators.
fn by_columns(
    texts: &[&str],
    is_separator: &dyn Fn(char) -> bool,
    tells_time: bool,
) -> Option<String> {
    let separators =
        |text: &str| -> Vec<char> { text.chars().filter(|c| is_separator(*c)).collect() };
    let first = separators(texts.first()?);
    if texts.iter().any(|text| separators(text) != first) {
        return None;
    }
    let parts: Vec<Vec<&str>> = texts
        .iter()
        .map(|text| text.split(is_separator).collect())
        .collect();
    let column_at = |n: usize| -> Vec<&str> { parts.iter().map(|parts| parts[n]).collect() };
    let columns: Vec<Vec<&str>> = (0..=first.len()).map(column_at).collect();
    let tells_time = tells_time || seems_a_time(&columns);
    let mut columns = columns.iter().map(|parts| column(parts, tells_time));
    let mut out = columns.next()??;
    for (separator, column) in first.iter().zip(columns) {
        out.push_str(&escaped(&separator.to_string()));
        out.push_str(&column?);
    }
    Some(out)
}

/// Returns whether parts of texts are like those of a date: a year, a month and a day, and what varies is one of them or less than
/// sixty.
fn seems_a_time(columns: &[Vec<&str>]) -> bool {
    let all = |parts: &Vec<&str>, len: usize, range: std::ops::RangeInclusive<u32>| {
        parts.iter().all(|part| {
            let number = part.parse().ok().filter(|_| part.len() == len);
            number.is_some_and(|number| range.contains(&number))
        })
    };
    let years = columns
        .iter()
        .filter(|parts| all(parts, 4, 1970..=2100))
        .count();
    let days = columns.iter().filter(|parts| all(parts, 2, 1..=31)).count();
    let months = columns.iter().filter(|parts| all(parts, 2, 1..=12)).count();
    let is_part = |parts: &Vec<&str>| all(parts, 4, 1970..=2100) || all(parts, 2, 0..=59);
    let mut varying = columns
        .iter()
        .filter(|parts| parts.iter().any(|part| *part != parts[0]));
    years == 1 && days >= 2 && months >= 1 && varying.all(is_part)
}

/// Returns a text as it stands in a pattern.
fn escaped(text: &str) -> String {
    // A dash means something between brackets alone.
    regex::escape(text).replace("\\-", "-")
}

/// Returns a pattern for one of the parts of tokens; of times, what did not move yet will.
fn column(parts: &[&str], tells_time: bool) -> Option<String> {
    let first = *parts.first()?;
    let all = |fits: &dyn Fn(char) -> bool| parts.iter().all(|part| part.chars().all(fits));
    let is_digits = all(&|c| c.is_ascii_digit()) && !first.is_empty();
    if parts.iter().all(|part| *part == first) && !(tells_time && is_digits) {
        return Some(escaped(first));
    }
    // What a token begins with, such as `sk_live_`.
    let prefix = common_prefix(parts);
    let parts: Vec<&str> = parts.iter().map(|part| &part[prefix.len()..]).collect();
    let parts = parts.as_slice();
    let all = |fits: &dyn Fn(char) -> bool| parts.iter().all(|part| part.chars().all(fits));
    if parts.iter().any(|part| part.is_empty()) || !holds_digits(parts) {
        return None;
    }
    if !all(&|c| c.is_ascii_alphanumeric() || SOFT.contains(c)) {
        return None;
    }
    let is_long = parts.iter().all(|part| part.len() >= 6);
    let digits = match () {
        () if is_digits => "0-9",
        () if is_long && all(&|c| c.is_ascii_digit() || ('a'..='f').contains(&c)) => "0-9a-f",
        () if is_long && all(&|c| c.is_ascii_digit() || ('A'..='F').contains(&c)) => "0-9A-F",
        () if all(&|c| c.is_ascii_digit() || c.is_ascii_lowercase()) => "0-9a-z",
        () if all(&|c| c.is_ascii_digit() || c.is_ascii_uppercase()) => "0-9A-Z",
        // Tokens of both cases are often base64, whose other digits may not have been seen.
        () if all(&|c| c != '=') => "0-9A-Za-z+/_-",
        () => "0-9A-Za-z+/=_-",
    };
    // A number has as many digits as it needs, unless it is filled up with zeros.
    let is_filled = tells_time
        || parts
            .iter()
            .any(|part| part.len() > 1 && part.starts_with('0'));
    let count = match is_digits && !is_filled {
        true => "+".to_owned(),
        false => count(parts),
    };
    Some(format!("{}[{digits}]{count}", escaped(prefix)))
}

/// Returns what all texts begin with, up to a separator.
fn common_prefix<'t>(texts: &[&'t str]) -> &'t str {
    let Some((first, others)) = texts.split_first() else {
        return "";
    };
    let same = |text: &&str| {
        let pairs = first.chars().zip(text.chars());
        pairs
            .take_while(|(a, b)| a == b)
            .map(|(c, _)| c.len_utf8())
            .sum::<usize>()
    };
    let common = &first[..others.iter().map(same).min().unwrap_or_default()];
    let end = common.rfind(['-', '_', '+', '/']).map_or(0, |at| at + 1);
    &common[..end]
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
        let found = proposed(&varying).unwrap();
        assert_eq!((&found.value, found.what), (wanted, what), "{values:?}");
    }

    #[test]
    fn values_of_two_kinds_have_no_matcher_together() {
        let varying = |values: Value| Varying {
            place: Place::default(),
            values: values.as_array().unwrap().clone(),
            captured: 1,
            at: None,
        };
        let uuid = varying(json!([
            "67e55044-10b1-426f-9247-bb680e5fe0c8",
            "67e55044-10b1-426f-9247-bb680e5fe0c9"
        ]));
        let (token, other) = (
            varying(json!(["ord_1", "ord_22"])),
            varying(json!(["inv_1", "inv_2"])),
        );
        let (number, mixed) = (varying(json!([1, 900])), varying(json!([1, "a"])));
        let one = |all: &[&Varying]| unified(all.iter().copied()).map(|(_, one)| one.value);
        assert_eq!(one(&[&uuid, &uuid]), Some(json!("uuid")));
        assert_eq!(
            one(&[&token, &token]),
            Some(json!({"regex": "^ord_[0-9]+$"}))
        );
        let (low, high) = (
            varying(json!([100.1, 100.9])),
            varying(json!([120.1, 120.9])),
        );
        for all in [
            [&low, &high],
            [&uuid, &number],
            [&token, &other],
            [&uuid, &token],
            [&mixed, &mixed],
        ] {
            assert_eq!(one(&all), None, "{all:?}");
        }
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
                regex("^[0-9A-Za-z+/_-]{6}$"),
                token,
            ),
            (
                json!(["QUJD+1==", "RE/FRw=="]),
                regex("^[0-9A-Za-z+/=_-]{8}$"),
                token,
            ),
            (
                json!(["sk_live_aB-1_x9", "sk_live_Cd-Ef_88"]),
                regex("^sk_live_[0-9A-Za-z+/_-]+$"),
                token,
            ),
            (
                json!(["Bearer eyJh.eyJ1.aB-9", "Bearer eyJh.eyJ2.c_D8"]),
                regex("^Bearer eyJh\\.[0-9A-Za-z+/_-]{4}\\.[0-9A-Za-z+/_-]{4}$"),
                token,
            ),
            (json!(["ord-94", "ord-95"]), regex("^ord-[0-9]+$"), token),
            (
                json!(["ord-094", "ord-095"]),
                regex("^ord-[0-9]{3}$"),
                token,
            ),
            (
                json!(["created 11/30/2026 15:30:35", "created 11/30/2026 15:30:36"]),
                regex("^created [0-9]{2}/[0-9]{2}/[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}$"),
                token,
            ),
            (
                json!([123_456_789_012_u64, 123_456_789_020_u64]),
                json!({"near": 123_456_789_016_u64, "by": 16}),
                "a number within bounds",
            ),
            (
                json!(["SHOP-42-07-2026-8831", "SHOP-42-07-2026-1207"]),
                regex("^SHOP-42-07-2026-[0-9]+$"),
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
