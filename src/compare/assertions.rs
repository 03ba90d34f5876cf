//! The assertions about an answer, checked and compiled.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::base::json::{self, Query};

/// Everything that is asserted without a hook.
#[derive(Debug, Clone, Default)]
pub(crate) struct Assertions {
    /// The statuses that are accepted.
    pub status: StatusRule,
    /// What is asserted about the headers.
    pub headers: HeaderRules,
    /// What is asserted about the body.
    pub body: BodyRules,
}

/// The statuses that are accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum StatusRule {
    /// The captured status only.
    #[default]
    Captured,
    /// One of these.
    OneOf(Vec<u16>),
    /// Any from the first to the second, both included, where they are given.
    Range(Option<u16>, Option<u16>),
}

impl StatusRule {
    /// Returns whether a status is accepted; `Captured` accepts every status.
    pub(crate) fn admits(&self, status: u16) -> bool {
        match self {
            Self::Captured => true,
            Self::OneOf(list) => list.contains(&status),
            Self::Range(min, max) => {
                min.is_none_or(|min| min <= status) && max.is_none_or(|max| status <= max)
            }
        }
    }
}

/// What is asserted about headers.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeaderRules {
    /// Names, each with the pattern to find in a value; an empty pattern accepts any value.
    pub include: Vec<(String, Regex)>,
    /// Names of headers that are never compared.
    pub ignore: Vec<String>,
    /// Whether every captured header that is not volatile is compared.
    pub captured: bool,
}

/// What is asserted about the body.
#[derive(Debug, Clone, Default)]
pub(crate) struct BodyRules {
    /// How bodies are compared; `None` means `json-subset`.
    pub mode: Option<BodyMode>,
    /// Paths removed from both sides.
    pub ignore: Vec<Query>,
    /// Paths replaced on both sides, with the replacements.
    pub redactions: Vec<(Query, Value)>,
    /// Paths of arrays that are compared as multisets.
    pub unordered: Vec<Query>,
    /// Paths whose actual values must match, whatever was captured.
    pub matches: Vec<(Query, Matcher)>,
    /// The expected body, if it is not the captured one.
    pub expected: Option<Value>,
}

/// How bodies are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum BodyMode {
    /// As JSON: every captured member must be present and equal; objects may have more members.
    #[default]
    JsonSubset,
    /// As JSON: both must be equal.
    Exact,
    /// As bytes: both must be equal.
    String,
    /// Not at all.
    Ignore,
}

/// What a value must look like.
#[derive(Debug, Clone)]
pub(crate) enum Matcher {
    /// A value of this JSON type: `string`, `number`, `integer`, `boolean`, `object`, `array` or
    /// `null`.
    Type(&'static str),
    /// A string in which the pattern is found.
    Regex(Regex),
    /// A UUID.
    Uuid,
    /// An RFC 3339 date and time.
    Timestamp,
    /// A number that differs from `near` by at most `by`.
    Near {
        /// The number to compare with.
        near: f64,
        /// The largest difference allowed.
        by: f64,
    },
}

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

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Type(a), Self::Type(b)) => a == b,
            (Self::Regex(a), Self::Regex(b)) => a.as_str() == b.as_str(),
            (Self::Uuid, Self::Uuid) | (Self::Timestamp, Self::Timestamp) => true,
            (Self::Near { near: a, by: c }, Self::Near { near: b, by: d }) => a == b && c == d,
            _ => false,
        }
    }
}

impl Matcher {
    /// The JSON types that a matcher can require.
    pub(crate) const TYPES: [&'static str; 7] = [
        "string", "number", "integer", "boolean", "object", "array", "null",
    ];

    /// Returns whether a value matches.
    pub(crate) fn fits(&self, value: &Value) -> bool {
        let text = || value.as_str().filter(|_| json::kind(value) == "string");
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
