//! Whether a value is what a matcher requires.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::rules::Matcher;
use crate::base::json;

/// Compiles one of this file's patterns, all of which are valid.
fn known(pattern: &str) -> Option<Regex> {
    Regex::new(pattern).ok()
}

static UUID: LazyLock<Option<Regex>> =
    LazyLock::new(|| known("(?i)^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"));

static TIMESTAMP: LazyLock<Option<Regex>> = LazyLock::new(|| {
    known(
        r"(?i)^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[t ]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(z|[+-]([01]\d|2[0-3]):[0-5]\d)$",
    )
});

impl Matcher {
    /// Returns whether a value matches.
    pub(crate) fn fits(&self, value: &Value) -> bool {
        let text = || json::as_text(value);
        let found = |pattern: &Option<Regex>| {
            let pattern = pattern.as_ref();
            text().is_some_and(|text| pattern.is_some_and(|pattern| pattern.is_match(text)))
        };
        match self {
            Self::Type("integer") => json::is_integer(value),
            Self::Type(kind) => json::kind(value) == *kind,
            Self::Regex(pattern) => text().is_some_and(|text| pattern.is_match(text)),
            Self::Uuid => found(&UUID),
            Self::Timestamp => found(&TIMESTAMP),
            Self::Near { near, by } => json::number_text(value)
                .and_then(|text| text.parse::<f64>().ok())
                .is_some_and(|number| {
                    (number - near).abs() <= by.abs() + f64::EPSILON * near.abs()
                }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn matchers_accept_what_they_name() {
        let near = Matcher::Near {
            near: 9.5,
            by: 0.01,
        };
        for (matcher, good, bad) in [
            (Matcher::Type("string"), json!("a"), json!(1)),
            (Matcher::Type("integer"), json!(10), json!(1.5)),
            (Matcher::Type("integer"), json!(0), json!("0")),
            (Matcher::Type("null"), json!(null), json!(0)),
            (
                Matcher::Regex(Regex::new("^a").unwrap()),
                json!("ab"),
                json!("ba"),
            ),
            (
                Matcher::Uuid,
                json!("67e55044-10b1-426f-9247-bb680e5fe0c8"),
                json!("67e55044"),
            ),
            (
                Matcher::Timestamp,
                json!("2026-04-20T10:00:00Z"),
                json!("2026-13-20T10:00:00Z"),
            ),
            (
                Matcher::Timestamp,
                json!("2026-04-20T10:00:00.5+02:00"),
                json!("10:00"),
            ),
            (near.clone(), json!(9.51), json!(9.52)),
            (near, json!(9.49), json!("9.5")),
        ] {
            assert!(matcher.fits(&good), "{matcher:?}: {good}");
            assert!(!matcher.fits(&bad), "{matcher:?}: {bad}");
        }
    }
}
