//! Text from traffic, files and the environment, made safe for a terminal and a log.

use std::borrow::Cow;

/// Returns a text whose control characters are shown as escapes, apart from line ends and tabs: on a terminal, they could
/// hide, forge or overwrite what is printed.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_odd(c) && !matches!(c, '\n' | '\t'))
}

/// Returns a text as one line, with its line ends and tabs shown as escapes too.
pub(crate) fn visible_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_odd)
}

/// Returns whether a character has no picture of its own but changes others: a control character, a mark that turns the
/// direction of writing, or a separator of lines.
fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_escaped(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown() {
        let text = "a\u{1b}[2J\tb\r\nc\u{7}\u{9b}\u{202e}ü";
        assert_eq!(visible(text), "a\\u{1b}[2J\tb\\r\nc\\u{7}\\u{9b}\\u{202e}ü");
        assert_eq!(
            visible_line(text),
            "a\\u{1b}[2J\\tb\\r\\nc\\u{7}\\u{9b}\\u{202e}ü"
        );
        assert!(matches!(visible("plain\n\tü"), Cow::Borrowed(_)));
    }
}
