//! A walk over a text that is known to be JSON, which copies it but for what is replaced.

use std::ops::Range;

/// Where the walk is, and what has been copied.
pub(super) struct Cursor<'t> {
    text: &'t str,
    at: usize,
    out: String,
    /// As far as the text is in `out`.
    copied: usize,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            out: String::with_capacity(text.len()),
            copied: 0,
        }
    }

    /// The text with what was replaced.
    pub(super) fn finish(mut self) -> String {
        self.out.push_str(&self.text[self.copied..]);
        self.out
    }

    /// The first byte of what comes next, behind any space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Steps into the list or the object that starts here.
    pub(super) fn enter(&mut self) {
        self.at += 1;
    }

    /// Steps to the next item of a list or an object; whether there is one before its end.
    pub(super) fn next_item(&mut self) -> bool {
        if self.peek() == Some(b',') {
            self.at += 1;
        }
        match self.peek() {
            None => false,
            Some(b']' | b'}') => {
                self.at += 1;
                false
            }
            Some(_) => true,
        }
    }

    /// The name of the member that starts here; the walk is at its value then.
    pub(super) fn name(&mut self) -> String {
        let token = self.scalar();
        if self.peek() == Some(b':') {
            self.at += 1;
        }
        serde_json::from_str(&self.text[token]).unwrap_or_default()
    }

    /// Where the string or the literal stands that starts here; it is stepped over.
    pub(super) fn scalar(&mut self) -> Range<usize> {
        let is_string = self.peek() == Some(b'"');
        let start = self.at;
        let bytes = self.text.as_bytes();
        if is_string {
            self.at += 1;
            while let Some(byte) = bytes.get(self.at) {
                match byte {
                    b'\\' => self.at += 2,
                    b'"' => break,
                    _ => self.at += 1,
                }
            }
            self.at = (self.at + 1).min(bytes.len());
        } else {
            let is_part = |b: &u8| b.is_ascii_alphanumeric() || b"+-.".contains(b);
            while bytes.get(self.at).is_some_and(is_part) {
                self.at += 1;
            }
        }
        start..self.at
    }

    /// Where the value stands that starts here, whatever it is; it is stepped over.
    pub(super) fn value(&mut self) -> Range<usize> {
        let is_object = match self.peek() {
            Some(b'{') => true,
            Some(b'[') => false,
            _ => return self.scalar(),
        };
        let start = self.at;
        self.enter();
        while self.next_item() {
            if is_object {
                self.name();
            }
            self.value();
        }
        start..self.at
    }

    /// The text of a range.
    pub(super) fn text(&self, range: Range<usize>) -> &'t str {
        &self.text[range]
    }

    /// Puts something in the place of a range that the walk has passed.
    pub(super) fn replace(&mut self, range: Range<usize>, new: &str) {
        self.out.push_str(&self.text[self.copied..range.start]);
        self.out.push_str(new);
        self.copied = range.end;
    }
}
