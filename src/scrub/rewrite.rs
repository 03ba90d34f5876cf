//! A JSON text with some of its values changed, and every other byte as it was: numbers keep their
//! digits, objects their order, and a diff shows what was scrubbed alone.

use serde_json::Value;

/// The text of `old`, changed to be that of `new`. The text has to be JSON.
pub(crate) fn rewrite(text: &str, old: &Value, new: &Value) -> String {
    let mut walk = Walk {
        text,
        at: 0,
        out: String::with_capacity(text.len()),
        copied: 0,
    };
    walk.value(old, new);
    let Walk {
        mut out, copied, ..
    } = walk;
    out.push_str(&text[copied..]);
    out
}

struct Walk<'t> {
    text: &'t str,
    at: usize,
    out: String,
    /// As far as the text is in `out`.
    copied: usize,
}

impl Walk<'_> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while self.byte().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn value(&mut self, old: &Value, new: &Value) {
        self.space();
        let start = self.at;
        match (old, new) {
            (Value::Object(old), Value::Object(new))
                if old != new && self.byte() == Some(b'{') && old.keys().eq(new.keys()) =>
            {
                self.at += 1;
                while self.next_item(b'}') {
                    let name = self.skip_string();
                    let name: String = serde_json::from_str(name).unwrap_or_default();
                    self.space();
                    self.at += 1; // the colon
                    let none = Value::Null;
                    let (old, new) = (old.get(&name), new.get(&name));
                    self.value(old.unwrap_or(&none), new.unwrap_or(&none));
                }
            }
            (Value::Array(old), Value::Array(new))
                if old != new && self.byte() == Some(b'[') && old.len() == new.len() =>
            {
                self.at += 1;
                let mut pairs = old.iter().zip(new);
                while self.next_item(b']') {
                    match pairs.next() {
                        Some((old, new)) => self.value(old, new),
                        None => self.skip(),
                    }
                }
            }
            (old, new) => {
                self.skip();
                if old != new {
                    self.out.push_str(&self.text[self.copied..start]);
                    self.out.push_str(&new.to_string());
                    self.copied = self.at;
                }
            }
        }
    }

    /// Steps to the next item; whether there is one before the end of its list.
    fn next_item(&mut self, end: u8) -> bool {
        self.space();
        if self.byte() == Some(b',') {
            self.at += 1;
            self.space();
        }
        match self.byte() {
            Some(byte) if byte != end => true,
            _ => {
                self.at += 1;
                false
            }
        }
    }

    /// The string that starts here, quotes included; it is stepped over.
    fn skip_string(&mut self) -> &str {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.byte() {
            match byte {
                b'\\' => self.at += 2,
                b'"' => break,
                _ => self.at += 1,
            }
        }
        self.at = (self.at + 1).min(self.text.len());
        &self.text[start..self.at]
    }

    /// Steps over the value that starts here.
    fn skip(&mut self) {
        match self.byte() {
            Some(b'"') => {
                self.skip_string();
            }
            Some(open @ (b'{' | b'[')) => {
                let end = if open == b'{' { b'}' } else { b']' };
                self.at += 1;
                while self.next_item(end) {
                    self.skip();
                    self.space();
                    if self.byte() == Some(b':') {
                        self.at += 1;
                        self.space();
                        self.skip();
                    }
                }
            }
            _ => {
                while self
                    .byte()
                    .is_some_and(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
                {
                    self.at += 1;
                }
            }
        }
    }
}
