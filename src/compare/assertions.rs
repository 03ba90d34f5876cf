//! The assertions about an answer, checked and compiled.

use regex::Regex;

use super::rules::BodyRules;

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
