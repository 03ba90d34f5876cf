//! Changes some of the values in a JSON text and leaves every other byte as it was: numbers keep
//! their digits, objects keep their order, and a diff shows only what was scrubbed.

use std::collections::BTreeSet;

use serde_json::Value;

use super::cursor::Cursor;
use crate::base::encoding::split_mark;

/// Changes the text of `old` to represent `new`, and returns it. The text must be JSON.
pub(crate) fn rewrite(text: &str, old: &Value, new: &Value) -> String {
    let (mark, json) = split_mark(text);
    let mut cursor = Cursor::new(json);
    walk(&mut cursor, old, new);
    format!("{mark}{}", cursor.finish())
}

/// Returns the JSON pointer of a member that occurs twice in its object, if any: a parser keeps only
/// one of the two, and secrets in the other would not be found. The text must be JSON.
pub(crate) fn repeated_member(text: &str) -> Option<String> {
    let (_, json) = split_mark(text);
    repeated(&mut Cursor::new(json), "")
}

fn repeated(cursor: &mut Cursor<'_>, pointer: &str) -> Option<String> {
    match cursor.peek() {
        Some(b'{') => {
            cursor.enter();
            let mut names = BTreeSet::new();
            while cursor.next_item() {
                let name = cursor.name();
                let member = format!("{pointer}/{name}");
                if !names.insert(name) {
                    return Some(member);
                }
                if let Some(found) = repeated(cursor, &member) {
                    return Some(found);
                }
            }
        }
        Some(b'[') => {
            cursor.enter();
            let mut n = 0;
            while cursor.next_item() {
                if let Some(found) = repeated(cursor, &format!("{pointer}/{n}")) {
                    return Some(found);
                }
                n += 1;
            }
        }
        _ => drop(cursor.scalar()),
    }
    None
}

fn walk(cursor: &mut Cursor<'_>, old: &Value, new: &Value) {
    match (old, new, cursor.peek()) {
        (Value::Object(old), Value::Object(new), Some(b'{'))
            if old != new && old.keys().eq(new.keys()) =>
        {
            cursor.enter();
            while cursor.next_item() {
                let name = cursor.name();
                let none = Value::Null;
                let (old, new) = (old.get(&name), new.get(&name));
                walk(cursor, old.unwrap_or(&none), new.unwrap_or(&none));
            }
        }
        (Value::Array(old), Value::Array(new), Some(b'['))
            if old != new && old.len() == new.len() =>
        {
            cursor.enter();
            let mut pairs = old.iter().zip(new);
            while cursor.next_item() {
                match pairs.next() {
                    Some((old, new)) => walk(cursor, old, new),
                    None => drop(cursor.value()),
                }
            }
        }
        (old, new, _) => {
            let range = cursor.value();
            if old != new {
                cursor.replace(range, &new.to_string());
            }
        }
    }
}
