//! Changes a few places of a JSON text and leaves every other byte as it was: white space, escapes, digits and order.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use serde_json::Value;

use super::cursor::Cursor;
use super::deep::with_room;
use super::exact::show;
use crate::base::encoding::split_mark;

/// Changes to a JSON text, each at a place that a JSON pointer gives. All of them are about the text as it was: that an
/// element is removed moves no other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patch {
    here: Option<Here>,
    /// By the name or index that a step of a pointer has.
    below: HashMap<String, Patch>,
    /// Its number among those below the same list or object, in the order in which they were given.
    number: usize,
}

/// What becomes of a value.
#[derive(Debug, Clone)]
enum Here {
    Value(Value),
    /// Some parts of a string change, given by where they are in the text that it stands for.
    Inside(Vec<Splice>),
    Removed,
}

/// A part of a text, in bytes, and what is to stand in its place.
pub(crate) type Splice = (Range<usize>, String);

impl Patch {
    /// Sets the value at a pointer. A member or an element that is not there is added, elements by their indices.
    pub(crate) fn set(&mut self, pointer: &str, value: Value) {
        self.node(pointer).here = Some(Here::Value(value));
    }

    /// Removes the member or element at a pointer.
    pub(crate) fn remove(&mut self, pointer: &str) {
        self.node(pointer).here = Some(Here::Removed);
    }

    /// Changes parts of the string at a pointer, given by where they are in the text that it stands for.
    pub(crate) fn inside(&mut self, pointer: &str, splices: Vec<Splice>) {
        self.node(pointer).here = Some(Here::Inside(splices));
    }

    fn node(&mut self, pointer: &str) -> &mut Self {
        pointer.split('/').skip(1).fold(self, |node, step| {
            let step = step.replace("~1", "/").replace("~0", "~");
            let number = node.below.len();
            let new = || Self {
                number,
                ..Self::default()
            };
            node.below.entry(step).or_insert_with(new)
        })
    }

    /// Returns what changes in a text, which has to be JSON.
    pub(crate) fn splices(&self, text: &str) -> Vec<Splice> {
        let (mark, json) = split_mark(text);
        let mut writer = Writer {
            json,
            style: Style::of(json),
            splices: Vec::new(),
        };
        with_room(|| {
            let mut cursor = Cursor::new(json);
            cursor.peek();
            let range = cursor.value();
            writer.walk(self, range);
        });
        let moved = |(range, new): Splice| (range.start + mark.len()..range.end + mark.len(), new);
        writer.splices.into_iter().map(moved).collect()
    }

    /// Changes a text, which has to be JSON.
    pub(crate) fn apply(&self, text: &str) -> String {
        splice(text, self.splices(text))
    }
}

/// Returns where in a text, which has to be JSON, the value at a pointer starts; `None` if there is none.
pub(crate) fn start_of(text: &str, pointer: &str) -> Option<usize> {
    let there = serde_json::from_str::<Value>(split_mark(text).1).ok()?;
    there.pointer(pointer)?;
    let mut patch = Patch::default();
    patch.set(pointer, Value::Null);
    let splices = patch.splices(text);
    splices.first().map(|(range, _)| range.start)
}

/// Returns a text with other parts, none of which overlap.
pub(crate) fn splice(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (range, new) in splices {
        out.push_str(&text[copied..range.start]);
        out.push_str(&new);
        copied = range.end;
    }
    out + &text[copied..]
}

/// Returns the one part in which two texts differ.
pub(crate) fn difference(old: &str, new: &str) -> Vec<Splice> {
    if old == new {
        return Vec::new();
    }
    let same = |a: &mut dyn Iterator<Item = char>, b: &mut dyn Iterator<Item = char>| {
        let pairs = a.zip(b).take_while(|(a, b)| a == b);
        pairs.map(|(c, _)| c.len_utf8()).sum::<usize>()
    };
    let start = same(&mut old.chars(), &mut new.chars());
    let (old, new) = (&old[start..], &new[start..]);
    let end = same(&mut old.chars().rev(), &mut new.chars().rev());
    let part = start..start + old.len() - end;
    vec![(part, new[..new.len() - end].to_owned())]
}

/// How a text is written, for what is added to it.
struct Style {
    /// Between a name and its value.
    colon: String,
    /// After the comma between two items on one line.
    gap: &'static str,
    /// What a level is indented by, if each item stands on a line of its own.
    unit: Option<String>,
    newline: &'static str,
    /// Whether characters beyond ASCII are written as escapes.
    is_ascii: bool,
}

impl Style {
    fn of(json: &str) -> Self {
        let first = json.trim_start();
        let inner = first.strip_prefix(['{', '[']).unwrap_or_default();
        let space = &inner[..inner.len() - inner.trim_start().len()];
        let unit = space.rsplit_once('\n').map(|(_, unit)| unit.to_owned());
        let (colon, gap) = separators(json);
        Self {
            // A line for each item has a blank behind each colon, unless it is seen to have none.
            colon: colon.unwrap_or(if unit.is_some() { ": " } else { ":" }.to_owned()),
            gap: match gap {
                true => " ",
                false => "",
            },
            unit,
            newline: match space.contains("\r\n") {
                true => "\r\n",
                false => "\n",
            },
            is_ascii: json.is_ascii() && holds_escape(json),
        }
    }

    /// Returns a value as text, as it stands at a line with this indentation.
    fn show(&self, value: &Value, indent: &str) -> String {
        let inner = self.unit.as_ref().map(|unit| format!("{indent}{unit}"));
        let items: Vec<String> = match value {
            Value::Array(elements) if !elements.is_empty() => {
                let at = inner.as_deref().unwrap_or_default();
                elements
                    .iter()
                    .map(|element| self.show(element, at))
                    .collect()
            }
            Value::Object(members) if !members.is_empty() => {
                let at = inner.as_deref().unwrap_or_default();
                let members = members.iter();
                members
                    .map(|(name, value)| self.member(name, value, at))
                    .collect()
            }
            other => return self.escaped(show(other)),
        };
        let (open, close) = match value {
            Value::Array(_) => ('[', ']'),
            _ => ('{', '}'),
        };
        match inner {
            None => format!("{open}{}{close}", items.join(&format!(",{}", self.gap))),
            Some(inner) => {
                let newline = self.newline;
                let items = items.join(&format!(",{newline}{inner}"));
                format!("{open}{newline}{inner}{items}{newline}{indent}{close}")
            }
        }
    }

    fn member(&self, name: &str, value: &Value, indent: &str) -> String {
        let name = self.escaped(show(&Value::from(name)));
        format!("{name}{}{}", self.colon, self.show(value, indent))
    }

    fn escaped(&self, json: String) -> String {
        match self.is_ascii {
            true => as_ascii(&json),
            false => json,
        }
    }
}

/// Returns what stands between the first name and its value, if there is one, and whether a blank stands after a comma.
fn separators(json: &str) -> (Option<String>, bool) {
    let bytes = json.as_bytes();
    let blank = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|byte| **byte == b' ')
            .count()
    };
    let (mut quoted, mut escaped) = (false, false);
    let (mut colon, mut gap) = (None, None);
    let mut end_of_text = 0;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => {
                quoted = !quoted;
                end_of_text = at + 1;
            }
            b':' if !quoted && colon.is_none() => {
                let text = &json[end_of_text..at + 1 + blank(at + 1)];
                colon = Some(text.to_owned());
            }
            b',' if !quoted && gap.is_none() => gap = Some(blank(at + 1) > 0),
            _ => {}
        }
        if let (Some(_), Some(gap)) = (&colon, gap) {
            return (colon, gap);
        }
    }
    let blank_after_colon = colon.as_ref().is_some_and(|colon| colon.ends_with(' '));
    (colon, gap.unwrap_or(blank_after_colon))
}

/// Returns whether a text has an escape of a character beyond ASCII.
fn holds_escape(json: &str) -> bool {
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (escape, after) = rest[at + 1..].split_at(1);
        let code = after.get(..4).filter(|_| escape == "u");
        let code = code.and_then(|code| u32::from_str_radix(code, 16).ok());
        if code.is_some_and(|code| code > 0x7f) {
            return true;
        }
        rest = after;
    }
    false
}

/// Returns a JSON text with escapes for all characters beyond ASCII.
fn as_ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units).iter();
            out.extend(units.map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}

/// A member or element, and where its value is.
struct Item {
    /// The name of a member; the index of an element, as text.
    step: String,
    /// The whole item.
    whole: Range<usize>,
    value: Range<usize>,
}

struct Writer<'t> {
    json: &'t str,
    style: Style,
    splices: Vec<Splice>,
}

impl Writer<'_> {
    fn set(&mut self, range: Range<usize>, value: &Value) {
        let new = self.style.show(value, self.indent(range.start));
        self.splices.push((range, new));
    }

    fn walk(&mut self, patch: &Patch, range: Range<usize>) {
        match &patch.here {
            Some(Here::Value(value)) => return self.set(range, value),
            Some(Here::Inside(splices)) => {
                let is_ascii = self.style.is_ascii;
                let inside = within_string(&self.json[range.clone()], splices, is_ascii);
                let moved = |(at, new): Splice| (range.start + at.start..range.start + at.end, new);
                return self.splices.extend(inside.into_iter().map(moved));
            }
            // The list or object that it stands in removes it.
            Some(Here::Removed) => return,
            None => {}
        }
        if patch.below.is_empty() {
            return;
        }
        let is_object = self.json[range.start..].starts_with('{');
        let items = items(self.json, &range, is_object);
        // Of members with one name, the last one counts.
        let numbered = items.iter().enumerate();
        let known: HashMap<&str, usize> = numbered.map(|(n, item)| (&*item.step, n)).collect();
        let (mut removed, mut missing) = (vec![false; items.len()], Vec::new());
        for (step, below) in &patch.below {
            match (known.get(&**step), &below.here) {
                (Some(n), Some(Here::Removed)) => removed[*n] = true,
                (Some(n), _) => self.walk(below, items[*n].value.clone()),
                (None, Some(Here::Value(value))) => missing.push((below.number, &**step, value)),
                (None, _) => {}
            }
        }
        missing.sort_unstable_by_key(|(number, step, _)| match is_object {
            true => *number,
            false => step.parse().unwrap_or(usize::MAX),
        });
        let indent = match items.first() {
            Some(first) => self.indent(first.whole.start).to_owned(),
            None => {
                let unit = self.style.unit.as_deref().unwrap_or_default();
                format!("{}{unit}", self.indent(range.start))
            }
        };
        let new: Vec<String> = match is_object {
            true => missing
                .into_iter()
                .map(|(_, name, value)| self.style.member(name, value, &indent))
                .collect(),
            false => missing
                .into_iter()
                .map(|(_, _, value)| self.style.show(value, &indent))
                .collect(),
        };
        self.change_items(&range, &items, &removed, &new, &indent);
    }

    /// Removes items of a list or an object, and adds others at its end.
    fn change_items(
        &mut self,
        range: &Range<usize>,
        items: &[Item],
        removed: &[bool],
        new: &[String],
        indent: &str,
    ) {
        let inner = range.start + 1..range.end - 1;
        let Some(kept) = removed.iter().position(|removed| !removed) else {
            // Nothing stays.
            if !items.is_empty() || !new.is_empty() {
                let all = match (new, &self.style.unit) {
                    ([], _) => String::new(),
                    (new, None) => new.join(&format!(",{}", self.style.gap)),
                    (new, Some(_)) => {
                        let newline = self.style.newline;
                        let outer = self.indent(range.start);
                        let all = new.join(&format!(",{newline}{indent}"));
                        format!("{newline}{indent}{all}{newline}{outer}")
                    }
                };
                self.splices.push((inner, all));
            }
            return;
        };
        for (n, item) in items.iter().enumerate().filter(|(n, _)| removed[*n]) {
            let range = match n < kept {
                // With all up to the next one.
                true => item.whole.start..items[n + 1].whole.start,
                false => items[n - 1].whole.end..item.whole.end,
            };
            self.splices.push((range, String::new()));
        }
        let (Some(last), false) = (items.last(), new.is_empty()) else {
            return;
        };
        let before = match items {
            [.., one, last] => self.json[one.whole.end..last.whole.start].to_owned(),
            _ => {
                let space = &self.json[inner.start..last.whole.start];
                match space.contains('\n') {
                    true => format!(",{space}"),
                    false => format!(",{}", self.style.gap),
                }
            }
        };
        let added: String = new.iter().map(|item| format!("{before}{item}")).collect();
        self.splices.push((last.whole.end..last.whole.end, added));
    }

    /// Returns the indentation of the line at a place.
    fn indent(&self, at: usize) -> &str {
        let before = &self.json[..at];
        let line = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = &self.json[line..];
        &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
    }
}

/// Returns the items of the list or object at a place.
fn items(json: &str, range: &Range<usize>, is_object: bool) -> Vec<Item> {
    let mut cursor = Cursor::new(&json[range.clone()]);
    let mut items = Vec::new();
    cursor.enter();
    while cursor.next_item() {
        let start = range.start + cursor.at();
        let step = match is_object {
            true => cursor.name(),
            false => items.len().to_string(),
        };
        cursor.peek();
        let value = cursor.value();
        let value = range.start + value.start..range.start + value.end;
        items.push(Item {
            step,
            whole: start..value.end,
            value,
        });
    }
    items
}

/// Returns what changes in a string of JSON, quotes included, if parts of the text that it stands for do.
fn within_string(literal: &str, splices: &[Splice], is_ascii: bool) -> Vec<Splice> {
    let mut wanted: Vec<usize> = splices
        .iter()
        .flat_map(|(range, _)| [range.start, range.end])
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    // Where each of these stands in the literal.
    let mut found: BTreeMap<usize, usize> = BTreeMap::new();
    let mut wanted = wanted.into_iter().peekable();
    let (mut at, mut decoded) = (1, 0);
    while let Some(place) = wanted.peek() {
        if *place <= decoded {
            found.insert(*place, at);
            wanted.next();
            continue;
        }
        let (length, stands_for) = unit(&literal[at..]);
        at += length;
        decoded += stands_for;
        if length == 0 {
            break;
        }
    }
    let end = literal.len() - 1;
    let place = |decoded: &usize| found.get(decoded).copied().unwrap_or(end).min(end);
    let literal_of = |new: &String| {
        let json = Value::from(new.as_str()).to_string();
        let json = match is_ascii {
            true => as_ascii(&json),
            false => json,
        };
        json[1..json.len() - 1].to_owned()
    };
    let changed = splices
        .iter()
        .map(|(range, new)| (place(&range.start)..place(&range.end), literal_of(new)));
    changed.collect()
}

/// Returns how long the first character or escape of a string is, and how long what it stands for, in bytes.
fn unit(literal: &str) -> (usize, usize) {
    let mut chars = literal.chars();
    match (chars.next(), chars.next()) {
        (Some('\\'), Some('u')) => {
            let code = |at: usize| u32::from_str_radix(literal.get(at..at + 4)?, 16).ok();
            match code(2) {
                Some(0xd800..=0xdbff) if literal[6..].starts_with("\\u") => (12, 4),
                Some(code) => (6, char::from_u32(code).map_or(3, char::len_utf8)),
                None => (6, 3),
            }
        }
        (Some('\\'), Some(_)) => (2, 1),
        (Some('"') | None, _) => (0, 0),
        (Some(c), _) => (c.len_utf8(), c.len_utf8()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &str, change: impl FnOnce(&mut Patch), wanted: &str) {
        let mut patch = Patch::default();
        change(&mut patch);
        assert_eq!(patch.apply(text), wanted);
    }

    #[test]
    fn values_change_alone() {
        let text = "\u{feff} { \"a\" :1.10,\t\"b\":[ 1e3 , \"\\u00e9\\/\" ],\r\n\"a/b\": {\"~\": null } }\n";
        check(
            text,
            |patch| {
                patch.set("/b/1", json!("é\n"));
                patch.set("/a~1b/~0", json!([1, {"x": 2}]));
            },
            &text
                .replace("\"\\u00e9\\/\"", "\"\\u00e9\\n\"")
                .replace("null", "[1,{\"x\" :2}]"),
        );
        check(
            "\"x\"",
            |patch| patch.set("", json!({"a": []})),
            "{\"a\":[]}",
        );
    }

    #[test]
    fn members_and_elements_are_added_as_the_others_are_written() {
        let add = |patch: &mut Patch| {
            patch.set("/new", json!({"a": [1]}));
            patch.set("/also", json!(true));
            patch.set("/list/2", json!(3));
        };
        for (text, wanted) in [
            (
                r#"{"list":[1,2]}"#,
                r#"{"list":[1,2,3],"new":{"a":[1]},"also":true}"#,
            ),
            (
                r#"{ "x": 0, "list": [ 1 ] }"#,
                r#"{ "x": 0, "list": [ 1, 3 ], "new": {"a": [1]}, "also": true }"#,
            ),
            (
                "{\n  \"list\": []\n}\n",
                "{\n  \"list\": [\n    3\n  ],\n  \"new\": {\n    \"a\": [\n      1\n    ]\n  },\n  \"also\": true\n}\n",
            ),
            (
                "{\r\n\t\"list\": [\r\n\t\t1\r\n\t]\r\n}",
                "{\r\n\t\"list\": [\r\n\t\t1,\r\n\t\t3\r\n\t],\r\n\t\"new\": {\r\n\t\t\"a\": [\r\n\t\t\t1\r\n\t\t]\r\n\t},\r\n\t\"also\": true\r\n}",
            ),
        ] {
            check(text, add, wanted);
        }
        check("{}", |patch| patch.set("/a", json!(1)), r#"{"a":1}"#);
        check("[ ]", |patch| patch.set("/0", json!(1)), "[1]");
    }

    #[test]
    fn members_and_elements_are_removed_with_a_comma() {
        let text = r#"{"a": 1, "b": [1, 2,3], "c": 4}"#;
        for (removed, wanted) in [
            (&["/a"][..], r#"{"b": [1, 2,3], "c": 4}"#),
            (&["/c"], r#"{"a": 1, "b": [1, 2,3]}"#),
            (&["/b", "/c"], r#"{"a": 1}"#),
            (&["/a", "/b"], r#"{"c": 4}"#),
            (&["/a", "/b", "/c"], "{}"),
            (&["/b/0", "/b/2", "/none"], r#"{"a": 1, "b": [2], "c": 4}"#),
            (&["/b/0", "/b/1", "/b/2"], r#"{"a": 1, "b": [], "c": 4}"#),
        ] {
            let remove = |patch: &mut Patch| {
                for pointer in removed {
                    patch.remove(pointer);
                }
            };
            check(text, remove, wanted);
        }
        let last = |patch: &mut Patch| {
            patch.remove("/2");
            patch.set("/3", json!(4));
        };
        check("[1, 2, 3]", last, "[1, 2, 4]");
        let all = |patch: &mut Patch| {
            patch.remove("/0");
            patch.set("/1", json!(4));
        };
        check("[\n 1\n]", all, "[\n 4\n]");
    }

    #[test]
    fn of_members_with_one_name_the_last_one_changes() {
        let change = |patch: &mut Patch| patch.set("/a", json!(3));
        check(r#"{"a":1,"a":2}"#, change, r#"{"a":1,"a":3}"#);
    }

    #[test]
    fn parts_of_a_string_change_among_its_escapes() {
        let text = r#"{"body": "\u007b\"a\":\u00e9\ud83d\ude00\/x\n"}"#;
        // `{"a":é😀/x` and a line end.
        let splices = vec![(5..7, "\"ü\"".to_owned()), (12..13, String::new())];
        check(
            text,
            |patch| patch.inside("/body", splices),
            r#"{"body": "\u007b\"a\":\"\u00fc\"\ud83d\ude00\/\n"}"#,
        );
    }

    /// A JSON value of a few levels.
    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z\"\\\\/é😀\n]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::hash_map("[a-c~/é-]{0,2}", inner, 0..4)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    /// Turns one value into another by as few changes as a person would make.
    fn changes(was: &Value, is: &Value, at: &str, patch: &mut Patch) {
        let below = |name: &str| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        match (was, is) {
            (Value::Object(was), Value::Object(is)) => {
                for (name, value) in is {
                    match was.get(name) {
                        Some(old) => changes(old, value, &below(name), patch),
                        None => patch.set(&below(name), value.clone()),
                    }
                }
                for name in was.keys().filter(|name| !is.contains_key(*name)) {
                    patch.remove(&below(name));
                }
            }
            (Value::Array(was), Value::Array(is)) => {
                for (n, pair) in was.iter().zip(is).enumerate() {
                    changes(pair.0, pair.1, &below(&n.to_string()), patch);
                }
                for n in is.len()..was.len() {
                    patch.remove(&below(&n.to_string()));
                }
                for (n, new) in is.iter().enumerate().skip(was.len()) {
                    patch.set(&below(&n.to_string()), new.clone());
                }
            }
            (was, is) if was != is => patch.set(at, is.clone()),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn a_patched_text_says_what_it_should(was in value(), is in value(), pretty: bool, ascii: bool) {
            let text = if pretty { format!("{was:#}") } else { was.to_string() };
            let text = if ascii { as_ascii(&text) } else { text };
            let mut patch = Patch::default();
            changes(&was, &is, "", &mut patch);
            let new = patch.apply(&text);
            let read: Value = serde_json::from_str(&new).unwrap();
            prop_assert_eq!(&read, &is, "{} -> {}", text, new);
            // Within a string, as a body stands in a case file.
            let outer = Value::from(text.as_str()).to_string();
            let outer = if ascii { as_ascii(&outer) } else { outer };
            let mut whole = Patch::default();
            whole.inside("", patch.splices(&text));
            let read: String = serde_json::from_str(&whole.apply(&outer)).unwrap();
            prop_assert_eq!(read, new);
        }

        #[test]
        fn what_does_not_change_keeps_its_bytes(value in value(), pretty: bool) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let mut patch = Patch::default();
            changes(&value, &value, "", &mut patch);
            prop_assert_eq!(patch.apply(&text), text);
        }
    }
}
