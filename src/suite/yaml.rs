//! Reads YAML as a JSON tree, and finds the line and column of any place in it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    Deserialize as _, DeserializeSeed, Deserializer, EnumAccess, Error as _, IgnoredAny, MapAccess,
    SeqAccess, Visitor,
};
use serde_json::{Map, Number, Value};

use super::unquoted::shielded;
use crate::base::document::{MOST_TOLD, Place, Problem, Problems, Step};
use crate::base::encoding::split_mark;
use crate::base::json;

/// The maximum size of a suite file, in bytes.
const LARGEST_FILE: usize = 1024 * 1024;

/// Parses the text; rejects duplicate keys and aliases that expand without bound.
///
/// # Errors
///
/// Returns every fault as `line:column: place: message`.
pub(crate) fn parse(text: &str) -> Result<Value, Vec<String>> {
    parse_with_text(text).map(|(value, _)| value)
}

/// Parses the text as [`parse`] does, and returns it in the form in which places are found in it. An expression
/// `${…}` may stand where its braces are no YAML.
///
/// # Errors
///
/// As for [`parse`].
pub(super) fn parse_with_text(text: &str) -> Result<(Value, Cow<'_, str>), Vec<String>> {
    let failed = match parse_plain(text) {
        Ok(value) => return Ok((value, text.into())),
        Err(failed) => failed,
    };
    let Some(shielded) = shielded(text) else {
        return Err(failed);
    };
    // If there are other faults, they are told as they are found without the expressions.
    let restored = |line: String| shielded.restored_message(line);
    let mut value = parse_plain(&shielded.text)
        .map_err(|lines| lines.into_iter().map(restored).collect::<Vec<_>>())?;
    shielded.restore(&mut value);
    Ok((value, shielded.text.into()))
}

fn parse_plain(text: &str) -> Result<Value, Vec<String>> {
    if text.len() > LARGEST_FILE {
        return Err(vec![format!(
            "1:1: the suite is {} bytes long; at most {LARGEST_FILE} bytes are accepted",
            text.len()
        )]);
    }
    let (_, text) = split_mark(text);
    let parsed = parse_yaml(text).map_err(|error| vec![describe_error(&error)])?;
    let mut problems = Problems::default();
    let value = to_json(&parsed, &Place::root(), &mut problems);
    if problems.is_empty() {
        Ok(value)
    } else {
        Err(describe(text, &problems))
    }
}

fn parse_yaml(text: &str) -> Result<serde_yaml::Value, serde_yaml::Error> {
    let parser = || serde_yaml::Deserializer::from_str(text);
    let mut parsed = Read.deserialize(parser())?;
    if has_numbers(&parsed) {
        parsed = Keep(&parsed).deserialize(parser())?;
    }
    parsed.apply_merge()?;
    Ok(parsed)
}

/// Returns the problems of a text as `line:column: place: message`, in the order of the text. Of many, the first ones that
/// were found are told and the others counted, because each place is searched for.
pub(super) fn describe(text: &str, problems: &Problems) -> Vec<String> {
    let mut located: Vec<(usize, usize, &Problem)> = problems
        .0
        .iter()
        .take(MOST_TOLD)
        .map(|problem| {
            let (line, column) = locate_in(text, &problem.place);
            (line, column, problem)
        })
        .collect();
    located.sort_by_key(|(line, column, _)| (*line, *column));
    let mut lines: Vec<String> = located
        .into_iter()
        .map(|(line, column, problem)| format!("{line}:{column}: {problem}"))
        .collect();
    let more = problems.0.len() - lines.len();
    if more > 0 {
        lines.push(format!("1:1: and {more} more faults"));
    }
    lines
}

/// Returns the line and column, from 1, of the value at a place in a text, if there is one.
pub(super) fn locate_value(text: &str, place: &Place) -> Option<(usize, usize)> {
    let steps = place.0.as_slice();
    fail_at(
        text,
        Walk {
            steps,
            to_value: true,
        },
    )
}

/// Returns the line and column, from 1, of a place in a text, or of the innermost place around it
/// that exists.
pub(super) fn locate_in(text: &str, place: &Place) -> (usize, usize) {
    let mut steps = place.0.as_slice();
    loop {
        if let Some(found) = locate(text, steps) {
            return found;
        }
        match steps.split_last() {
            Some((_, rest)) => steps = rest,
            None => return (1, 1),
        }
    }
}

fn describe_error(error: &serde_yaml::Error) -> String {
    let (line, column) = error
        .location()
        .map_or((1, 1), |at| (at.line(), at.column()));
    let text = error.to_string();
    // The parser puts the position at the end of its message; here it comes first.
    let message = text.split(" at line ").next().unwrap_or(&text);
    format!("{line}:{column}: {message}")
}

fn to_json(value: &serde_yaml::Value, place: &Place, problems: &mut Problems) -> Value {
    match value {
        serde_yaml::Value::Null => Value::Null,
        serde_yaml::Value::Bool(flag) => Value::Bool(*flag),
        serde_yaml::Value::Number(number) => json_number(number).map_or_else(
            || {
                problems.add(place, "infinity and NaN are not supported");
                Value::Null
            },
            Value::Number,
        ),
        serde_yaml::Value::String(text) => Value::String(text.clone()),
        serde_yaml::Value::Sequence(values) => values
            .iter()
            .enumerate()
            .map(|(n, value)| to_json(value, &place.index(n), problems))
            .collect(),
        serde_yaml::Value::Mapping(mapping) => {
            let mut members = Map::new();
            for (key, value) in mapping {
                let name = match key {
                    serde_yaml::Value::String(name) => name.clone(),
                    serde_yaml::Value::Number(number) => number.to_string(),
                    serde_yaml::Value::Bool(flag) => flag.to_string(),
                    _ => {
                        problems.add(place, "a key must be a string");
                        continue;
                    }
                };
                let value = to_json(value, &place.key(&name), problems);
                members.insert(name, value);
            }
            Value::Object(members)
        }
        serde_yaml::Value::Tagged(tagged) => {
            problems.add(place, format!("the tag {} is not supported", tagged.tag));
            Value::Null
        }
    }
}

/// Returns a finite number, perhaps rounded.
fn json_number(number: &serde_yaml::Number) -> Option<Number> {
    let integer = number.as_i64().map(Number::from);
    let integer = integer.or_else(|| number.as_u64().map(Number::from));
    integer.or_else(|| Number::from_f64(number.as_f64()?))
}

/// Returns whether a value is a number or a boolean.
fn is_scalar(value: &serde_yaml::Value) -> bool {
    value.is_number() || value.is_bool()
}

fn has_numbers(value: &serde_yaml::Value) -> bool {
    match value {
        serde_yaml::Value::Number(_) => true,
        serde_yaml::Value::Sequence(values) => values.iter().any(has_numbers),
        serde_yaml::Value::Mapping(mapping) => {
            mapping.values().any(has_numbers) || mapping.keys().any(is_scalar)
        }
        _ => false,
    }
}

/// Reads a value as the parser's own type does, which refuses integers beyond 64 bits. They are rounded here.
struct Read;

impl<'de> DeserializeSeed<'de> for Read {
    type Value = serde_yaml::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Read {
    type Value = serde_yaml::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(number.into())
    }

    #[allow(clippy::cast_precision_loss, reason = "`Keep` has the digits")]
    fn visit_i128<E>(self, number: i128) -> Result<Self::Value, E> {
        Ok((number as f64).into())
    }

    #[allow(clippy::cast_precision_loss, reason = "`Keep` has the digits")]
    fn visit_u128<E>(self, number: u128) -> Result<Self::Value, E> {
        Ok((number as f64).into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.into())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(serde_yaml::Value::Null)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(serde_yaml::Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(Self)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut mapping = serde_yaml::Mapping::new();
        while let Some(key) = members.next_key_seed(Self)? {
            if mapping.contains_key(&key) {
                let name = key.as_str().map(str::to_owned);
                let name = name.map_or_else(|| format!("{key:?}"), |name| format!("{name:?}"));
                return Err(A::Error::custom(format!("duplicate entry with key {name}")));
            }
            mapping.insert(key, members.next_value_seed(Self)?);
        }
        Ok(mapping.into())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Self::Value, A::Error> {
        let (tag, _) = tagged.variant::<String>()?;
        let tag = tag.trim_start_matches('!');
        Err(A::Error::custom(format!("the tag !{tag} is not supported")))
    }
}

/// Reads the text again beside the value that was read from it, and keeps the numbers as they are written: the
/// parser's own numbers are rounded to doubles, and have lost their spelling.
struct Keep<'v>(&'v serde_yaml::Value);

impl<'de> DeserializeSeed<'de> for Keep<'_> {
    type Value = serde_yaml::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.0 {
            serde_yaml::Value::Number(number) => {
                let written = String::deserialize(deserializer)?;
                Ok(as_written(number, &written).unwrap_or_else(|| self.0.clone()))
            }
            serde_yaml::Value::Sequence(_) => deserializer.deserialize_seq(self),
            serde_yaml::Value::Mapping(_) => deserializer.deserialize_map(self),
            other => {
                IgnoredAny::deserialize(deserializer)?;
                Ok(other.clone())
            }
        }
    }
}

impl<'de> Visitor<'de> for Keep<'_> {
    type Value = serde_yaml::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was read before")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        for value in self.0.as_sequence().into_iter().flatten() {
            kept.extend(elements.next_element_seed(Keep(value))?);
        }
        Ok(kept.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut kept = serde_yaml::Mapping::new();
        for (key, value) in self.0.as_mapping().into_iter().flatten() {
            // A name is text, however it reads: `1.10` is not `1.1`.
            let key = match is_scalar(key) {
                true => members.next_key::<String>()?.map(serde_yaml::Value::from),
                false => members.next_key::<IgnoredAny>()?.map(|_| key.clone()),
            };
            if let Some(key) = key {
                kept.insert(key, members.next_value_seed(Keep(value))?);
            }
        }
        Ok(kept.into())
    }
}

/// Returns a number that keeps its digits and its spelling; `None` if it has both anyway, or is not finite.
fn as_written(number: &serde_yaml::Number, written: &str) -> Option<serde_yaml::Value> {
    let rounded = json_number(number)?.to_string();
    if rounded == written {
        return None;
    }
    let digits = match json::is_number(written) {
        true => written,
        false => &rounded,
    };
    let kept = json::exact(digits, written);
    Some(kept.as_str().unwrap_or_default().into())
}

/// Parses the text again, walks to the place and fails there on purpose: the parser gives positions
/// with its errors, but not with its values.
fn locate(text: &str, steps: &[Step]) -> Option<(usize, usize)> {
    let to_value = false;
    fail_at(text, Walk { steps, to_value })
}

fn fail_at(text: &str, walk: Walk<'_>) -> Option<(usize, usize)> {
    let (_, text) = split_mark(text);
    let found = walk.deserialize(serde_yaml::Deserializer::from_str(text));
    let error = found.err()?;
    if !error.to_string().contains(HERE) {
        return None;
    }
    let at = error.location()?;
    Some((at.line(), at.column()))
}

const HERE: &str = "softprobe: here it is";

#[derive(Clone, Copy)]
struct Walk<'s> {
    steps: &'s [Step],
    /// Whether it ends at the value of a member, and not at its name.
    to_value: bool,
}

impl<'s> Walk<'s> {
    fn on(self, steps: &'s [Step]) -> Self {
        Self { steps, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Walk<'_> {
    fn scalar<E: serde::de::Error>(self) -> Result<(), E> {
        if self.steps.is_empty() {
            Err(E::custom(HERE))
        } else {
            Ok(())
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        self.scalar()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.scalar()
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<(), E> {
        self.scalar()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.steps.split_first() else {
            return Err(A::Error::custom(HERE));
        };
        let mut n = 0;
        loop {
            let read = if *first == Step::Index(n) {
                elements.next_element_seed(self.on(rest))?
            } else {
                elements.next_element::<IgnoredAny>()?.map(drop)
            };
            if read.is_none() {
                return Ok(());
            }
            n += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.steps.split_first() else {
            return Err(A::Error::custom(HERE));
        };
        let Step::Key(wanted) = first else {
            return Ok(());
        };
        let key = Key {
            wanted,
            is_target: rest.is_empty() && !self.to_value,
        };
        while let Some(is_wanted) = members.next_key_seed(key)? {
            if is_wanted {
                members.next_value_seed(self.on(rest))?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// Looks for a key, and fails at it on purpose if it is the last step to the place.
#[derive(Clone, Copy)]
struct Key<'s> {
    wanted: &'s str,
    is_target: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<bool, E> {
        if key == self.wanted && self.is_target {
            return Err(E::custom(HERE));
        }
        Ok(key == self.wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name: a\nmocks:\n  - name: x\n    hook: y\n  - { name: z, match: {} }\n";

    fn position(place: &Place) -> (usize, usize) {
        locate_in(TEXT, place)
    }

    #[test]
    fn places_have_lines_and_columns() {
        let mocks = Place::root().key("mocks");
        assert_eq!(position(&mocks), (2, 1));
        assert_eq!(position(&mocks.index(0).key("hook")), (4, 5));
        assert_eq!(position(&mocks.index(1).key("match")), (5, 16));
        assert_eq!(position(&mocks.index(1)), (5, 5));
        // A missing value is reported at the place that should contain it.
        assert_eq!(position(&mocks.index(0).key("gone")), (3, 5));
    }

    #[test]
    fn numbers_keep_their_digits_and_their_spelling() {
        let text = "- 1236546565217899832645\n- 0.12345678901234567891\n- 1.10\n- 0x10\n- +5\n- 7\n- &a 2.50\n- *a\n- {b: -1.0}\n- \"1.10\"\n";
        let value = parse(text).unwrap();
        assert_eq!(
            json::show(&value),
            "[1236546565217899832645,0.12345678901234567891,1.10,16,5,7,2.50,2.50,{\"b\":-1.0},\"1.10\"]"
        );
        let written = |n: usize| json::number_as_written(&value[n]).unwrap().into_owned();
        assert_eq!([written(2), written(3), written(4)], ["1.10", "0x10", "+5"]);
        assert!(parse("a: .inf").unwrap_err()[0].contains("infinity"));
        // A name is text.
        let names =
            parse("{1.10: a, 0x10: {007: b}, 12345678901234567890123: c, True: d}").unwrap();
        assert_eq!(
            json::show(&names),
            "{\"1.10\":\"a\",\"0x10\":{\"007\":\"b\"},\"12345678901234567890123\":\"c\",\"True\":\"d\"}"
        );
        let place = Place::root().key("0x10").key("007");
        assert_eq!(locate_in("a: 1\n0x10:\n  007: b\n", &place), (3, 3));
    }

    #[test]
    fn duplicate_keys_and_bombs_are_refused() {
        let why = |text: &str| parse(text).err().unwrap().join("\n");
        assert!(why("a: 1\nb: 2\na: 3\n").contains("duplicate"));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let line: Vec<String> = (0..9).map(|_| format!("*a{}", n - 1)).collect();
            bomb.push_str(&format!("a{n}: &a{n} [{}]\n", line.join(", ")));
        }
        assert!(why(&bomb).contains("repetition limit"), "{}", why(&bomb));
        assert!(why("a: !ruby x\n").contains("tag"));
        assert!(why("a: [1\n").starts_with("2:1: ") || why("a: [1\n").contains(": "));
    }
}
