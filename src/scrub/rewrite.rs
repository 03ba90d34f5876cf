//! Changes some of the values in a JSON text and leaves every other byte as it was: numbers keep
//! their digits, objects keep their order, and a diff shows only what was scrubbed.

use serde_json::Value;

use crate::base::encoding::split_mark;
use crate::base::json::Cursor;

/// Changes the text of `old` to represent `new`, and returns it. The text must be JSON.
pub(crate) fn rewrite(text: &str, old: &Value, new: &Value) -> String {
    let (mark, json) = split_mark(text);
    let mut cursor = Cursor::new(json);
    walk(&mut cursor, old, new);
    format!("{mark}{}", cursor.finish())
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
