//! A JSON text with some of its values changed, and every other byte as it was: numbers keep their
//! digits, objects their order, and a diff shows what was scrubbed alone.

use std::collections::BTreeSet;

use serde_json::Value;

use super::cursor::Cursor;
use crate::base::encoding::split_mark;

/// The text of `old`, changed to be that of `new`. The text has to be JSON.
pub(crate) fn rewrite(text: &str, old: &Value, new: &Value) -> String {
    let (mark, json) = split_mark(text);
    let mut cursor = Cursor::new(json);
    walk(&mut cursor, old, new);
    format!("{mark}{}", cursor.finish())
}

/// The JSON pointer of a member that its object holds twice: a reader keeps but one of them, and what the
/// other holds would stay. The text has to be JSON.
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
