//! A cursor that walks over a text known to be JSON and copies it, except for what is replaced.

use std::ops::Range;

/// A position in a JSON text, and the output so far.
pub(crate) struct Cursor<'t> {
    text: &'t str,
    at: usize,
    out: String,
    /// How much of the text has been copied to `out`, or replaced.
    copied: usize,
}

impl<'t> Cursor<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            out: String::with_capacity(text.len()),
            copied: 0,
        }
    }

    /// Returns how far the cursor has come, in bytes.
    #[cfg(feature = "runner")]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Returns the text with the replacements.
    pub(crate) fn finish(mut self) -> String {
        self.out.push_str(&self.text[self.copied..]);
        self.out
    }

    /// Returns the first byte of what comes next, after any whitespace.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Steps into the list or object that starts here.
    pub(crate) fn enter(&mut self) {
        self.at += 1;
    }

    /// Steps to the next item of a list or object and returns whether there is one; if not, steps
    /// past the end.
    pub(crate) fn next_item(&mut self) -> bool {
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

    /// Returns the name of the member that starts here, and steps to its value.
    pub(crate) fn name(&mut self) -> String {
        let token = self.scalar();
        if self.peek() == Some(b':') {
            self.at += 1;
        }
        serde_json::from_str(&self.text[token]).unwrap_or_default()
    }

    /// Steps over the string or literal that starts here and returns its range.
    pub(crate) fn scalar(&mut self) -> Range<usize> {
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

    /// Steps over the value that starts here, of any kind, and returns its range.
    pub(crate) fn value(&mut self) -> Range<usize> {
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

    /// Returns the text of a range.
    pub(crate) fn text(&self, range: Range<usize>) -> &'t str {
        &self.text[range]
    }

    /// Replaces a range that the cursor has passed.
    pub(crate) fn replace(&mut self, range: Range<usize>, new: &str) {
        self.out.push_str(&self.text[self.copied..range.start]);
        self.out.push_str(new);
        self.copied = range.end;
    }
}
