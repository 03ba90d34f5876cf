//! What stands in captures in place of secrets.

use std::sync::LazyLock;

use regex::Regex;

/// The prefix of every placeholder for a token.
pub(crate) const TOKEN: &str = "scrubbed-";
/// The domain of every placeholder for an e-mail address.
pub(crate) const DOMAIN: &str = "@scrubbed.invalid";
/// The same, for an address in a query.
pub(crate) const ESCAPED_DOMAIN: &str = "%40scrubbed.invalid";
/// The prefix of every placeholder for digits.
pub(crate) const NINES: &str = "999999";

static PLACEHOLDER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"scrubbed-[0-9a-f]{12}|user-[0-9a-f]{12}(?:@|%40)scrubbed\.invalid|9999[ .-]?99[0-9 .-]{7,}[0-9]",
    )
    .ok()
});

/// Returns whether a text holds a placeholder.
pub(crate) fn holds_placeholder(text: &str) -> bool {
    let placeholder = PLACEHOLDER.as_ref();
    placeholder.is_some_and(|placeholder| placeholder.is_match(text))
}

/// Returns whether a captured text may be that other one before secrets were masked: it has placeholders, and what is between
/// them is there in the same order.
pub(crate) fn stands_for(captured: &str, text: &str) -> bool {
    let Some(placeholder) = PLACEHOLDER.as_ref() else {
        return false;
    };
    let parts: Vec<&str> = placeholder.split(captured).collect();
    let [first, middle @ .., last] = parts.as_slice() else {
        return false;
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    for part in middle {
        // A secret has a character at least.
        let Some(from) = rest.chars().next().map(char::len_utf8) else {
            return false;
        };
        let Some(at) = rest[from..].find(part) else {
            return false;
        };
        rest = &rest[from + at + part.len()..];
    }
    rest.len() > last.len() && rest.ends_with(last)
}

/// Returns a regular expression for the paths that a captured one stands for.
pub(crate) fn path_pattern(captured: &str) -> String {
    let Some(placeholder) = PLACEHOLDER.as_ref() else {
        return regex::escape(captured);
    };
    let parts: Vec<String> = placeholder.split(captured).map(regex::escape).collect();
    parts.join("[^/]+")
}

/// Returns whether a number, as it is written, is a placeholder.
pub(crate) fn is_masked_number(literal: &str) -> bool {
    let digits: String = literal.chars().filter(char::is_ascii_digit).collect();
    digits.starts_with(NINES) || (!digits.is_empty() && digits.chars().all(|c| c == '9'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_stand_for_any_text() {
        let token = "scrubbed-0123456789ab";
        let user = "user-0123456789ab@scrubbed.invalid";
        for (captured, text, wanted) in [
            (token.to_owned(), "secret", true),
            (token.to_owned(), "", false),
            (format!("Bearer {token}"), "Bearer x", true),
            (format!("Bearer {token}"), "Basic x", false),
            (
                format!("<p>{user}</p><p>{user}</p>"),
                "<p>a@b.c</p><p>d@e.f</p>",
                true,
            ),
            (format!("<p>{user}</p>"), "<p>a@b.c</p><p>more</p>!", false),
            (format!("{token}, {token}"), "a", false),
            ("plain".to_owned(), "other", false),
            (
                "9999 9912 3456 7897".to_owned(),
                "4111 1111 1111 1111",
                true,
            ),
        ] {
            assert_eq!(stands_for(&captured, text), wanted, "{captured}: {text}");
        }
        assert!(holds_placeholder(&format!("x={token}")) && !holds_placeholder("scrubbed-x"));
        assert!(
            is_masked_number("99999912.3") && is_masked_number("99") && !is_masked_number("12")
        );
    }
}
