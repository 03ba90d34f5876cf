//! `${NAME:-default}` where YAML would read its braces as its own: `{ hostSuffix: ${HOST:-stripe.com} }`.
//!
//! Each expression is replaced by a word of the same length before the text is parsed, so that places stay those of the
//! file, and put back into the values afterwards.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Begins a word; its number follows in two characters.
const BEGIN: char = '\u{E000}';
/// Fills a word up to the length of its expression.
const FILL: char = '\u{E001}';
/// The character for the digit 0 of a number.
const ZERO: u32 = 0xE100;
/// How many digits there are.
const BASE: usize = 0x800;

/// A text without expressions, and what stood in their places.
#[derive(Debug)]
pub(super) struct Shielded {
    pub(super) text: String,
    expressions: Vec<String>,
}

/// Returns the text with a word for each expression; `None` if there is none, or the text has such words anyway.
pub(super) fn shielded(text: &str) -> Option<Shielded> {
    if text.contains([BEGIN, FILL]) {
        return None;
    }
    let mut shielded = Shielded {
        text: String::with_capacity(text.len()),
        expressions: Vec::new(),
    };
    let mut rest = text;
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    while let Some(start) = rest.find("${") {
        let end = end_of(&rest[start..]).filter(|_| shielded.expressions.len() < BASE * BASE);
        let literal = rest[..start].ends_with('$');
        let (before, after) = rest.split_at(start);
        shielded.text.push_str(before);
        let (expression, after) = match end.filter(|_| !literal) {
            Some(end) => after.split_at(end),
            // A literal `$${`, or what is never closed.
            None => {
                shielded.text.push_str("${");
                rest = &after[2..];
                continue;
            }
        };
        // Equal expressions are equal words, so that a name that appears twice is still found.
        let number = *numbers.entry(expression).or_insert_with(|| {
            shielded.expressions.push(expression.to_owned());
            shielded.expressions.len() - 1
        });
        shielded.text.push_str(&word(number, expression));
        rest = after;
    }
    shielded.text.push_str(rest);
    (!shielded.expressions.is_empty()).then_some(shielded)
}

/// Returns the length of the expression at the start of a text, which has to end in its line and has no quotes and
/// escapes, which a text in quotes would read.
fn end_of(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (n, c) in text.char_indices() {
        match c {
            '\n' | '\\' | '"' | '\'' => return None,
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    // A word has room for its number.
                    return Some(n + 1).filter(|end| *end >= 4);
                }
            }
            _ => {}
        }
    }
    None
}

/// Returns whether words have such a character.
fn is_of_word(c: char) -> bool {
    let digit = u32::from(c).checked_sub(ZERO);
    let is_digit = digit.is_some_and(|digit| usize::try_from(digit).is_ok_and(|d| d < BASE));
    is_digit || [BEGIN, FILL].contains(&c)
}

fn word(number: usize, expression: &str) -> String {
    let digit = |digit: usize| {
        let code = u32::try_from(digit).ok().map(|digit| ZERO + digit);
        code.and_then(char::from_u32).unwrap_or(FILL)
    };
    let head = [BEGIN, digit(number / BASE), digit(number % BASE)];
    let fill = expression.chars().count() - head.len();
    head.into_iter()
        .chain(std::iter::repeat_n(FILL, fill))
        .collect()
}

impl Shielded {
    /// Puts the expressions back into every text of a value.
    pub(super) fn restore(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(restored) = self.restored(text) {
                    *text = restored;
                }
            }
            Value::Array(elements) => elements
                .iter_mut()
                .for_each(|element| self.restore(element)),
            Value::Object(members) => {
                let all = std::mem::take(members).into_iter();
                *members = all
                    .map(|(name, mut member)| {
                        self.restore(&mut member);
                        (self.restored(&name).unwrap_or(name), member)
                    })
                    .collect::<Map<_, _>>();
            }
            _ => {}
        }
    }

    /// Returns a message with its expressions, which may show the words' characters as escapes.
    pub(super) fn restored_message(&self, message: String) -> String {
        let mut plain = String::with_capacity(message.len());
        let mut rest = message.as_str();
        while let Some(start) = rest.find("\\u{") {
            let (before, escape) = rest.split_at(start);
            plain.push_str(before);
            let end = escape.find('}').map_or(escape.len(), |end| end + 1);
            let (escape, after) = escape.split_at(end);
            let code = escape
                .strip_prefix("\\u{")
                .and_then(|e| e.strip_suffix('}'));
            let code = code.and_then(|code| u32::from_str_radix(code, 16).ok());
            match code.and_then(char::from_u32).filter(|c| is_of_word(*c)) {
                Some(c) => plain.push(c),
                None => plain.push_str(escape),
            }
            rest = after;
        }
        plain.push_str(rest);
        self.restored(&plain).unwrap_or(plain)
    }

    /// Returns a text with its expressions; `None` if it has none.
    pub(super) fn restored(&self, text: &str) -> Option<String> {
        if !text.contains(BEGIN) {
            return None;
        }
        let mut out = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != BEGIN {
                out.push(c);
                continue;
            }
            let mut digit = || {
                let code = u32::from(chars.next()?);
                usize::try_from(code.checked_sub(ZERO)?).ok()
            };
            let number = digit().and_then(|high| Some(high * BASE + digit()?));
            let Some(expression) = number.and_then(|number| self.expressions.get(number)) else {
                continue;
            };
            out.push_str(expression);
            let fill = expression.chars().count() - 3;
            chars.by_ref().take(fill).for_each(drop);
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_come_back_and_places_stay() {
        let text =
            "a: { b: ${X:-y}z, c: [ ${A}, ${B:-${C:-d}} ] } # ${E}\nlit: $${no\nodd: \"${a\\n}\"\n";
        let shielded = shielded(text).unwrap();
        let lengths = |text: &str| {
            text.lines()
                .map(|line| line.chars().count())
                .collect::<Vec<_>>()
        };
        assert_eq!(lengths(&shielded.text), lengths(text));
        assert!(!shielded.text.contains("${X") && shielded.text.contains("$${no"));
        assert!(shielded.text.contains("${a\\n}"));
        assert_eq!(shielded.restored(&shielded.text).as_deref(), Some(text));
        let mut value = json!({"k": [shielded.text, 1]});
        shielded.restore(&mut value);
        assert_eq!(value, json!({"k": [text, 1]}));
    }

    #[test]
    fn equal_expressions_are_equal_words() {
        let shielded = shielded("${A}: 1, ${B}: 2, ${A}: 3").unwrap();
        let words: Vec<_> = shielded
            .text
            .split(", ")
            .map(|w| &w[..w.len() - 3])
            .collect();
        assert_eq!(words[0], words[2]);
        assert_ne!(words[0], words[1]);
        let told = format!("key {:?} \\u{{1f}}", words[1]);
        assert_eq!(shielded.restored_message(told), "key \"${B}\" \\u{1f}");
    }

    #[test]
    fn a_text_without_expressions_is_left_alone() {
        for text in [
            "a: 1",
            "$${a}",
            "${never",
            "${}",
            "\u{E000}${a}",
            "'${A:-it''s}'",
        ] {
            assert!(shielded(text).is_none(), "{text}");
        }
    }
}
