//! A JSON text with some of its values changed, and every other byte as it was: numbers keep their
//! digits, objects their order, and a diff shows what was scrubbed alone.

use serde_json::Value;

use super::cursor::Cursor;

/// The text of `old`, changed to be that of `new`. The text has to be JSON.
pub(crate) fn rewrite(text: &str, old: &Value, new: &Value) -> String {
    let mut cursor = Cursor::new(text);
    walk(&mut cursor, old, new);
    cursor.finish()
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
