//! Which headers hold secrets, and how header values are displayed.

use std::borrow::Cow;

/// Returns whether a header's value is masked in all human-readable output.
pub(crate) fn is_secret(name: &str) -> bool {
    const SECRET: [&str; 5] = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
    ];
    SECRET
        .iter()
        .any(|secret| name.eq_ignore_ascii_case(secret))
}

/// Returns a header's value for display: a secret masked, any other value as text.
pub(crate) fn shown<'a>(name: &str, value: &'a [u8]) -> Cow<'a, str> {
    if is_secret(name) {
        Cow::Borrowed("[masked]")
    } else {
        String::from_utf8_lossy(value)
    }
}
