//! Which headers hold secrets, and how they are shown.

use std::borrow::Cow;

/// Whether a header's value is masked in everything that people read.
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

/// A header's value as people may read it: secrets masked, other bytes as text.
pub(crate) fn shown<'a>(name: &str, value: &'a [u8]) -> Cow<'a, str> {
    if is_secret(name) {
        Cow::Borrowed("[masked]")
    } else {
        String::from_utf8_lossy(value)
    }
}
