//! How bodies are compared: the rules, as suites and rules give them.

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::base::compile::{compile_query, compile_regex};
use crate::base::document::{Node, Object, Problems};
use crate::base::json::Query;

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
    /// Paths at which what stands in place of a secret in the captured value stands for any text.
    pub masked: Vec<Query>,
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
}

pub(super) const BODY_MODES: [(&str, BodyMode); 4] = [
    ("json-subset", BodyMode::JsonSubset),
    ("exact", BodyMode::Exact),
    ("string", BodyMode::String),
    ("ignore", BodyMode::Ignore),
];

/// The fields that say how bodies are compared, wherever that is said.
pub(crate) const COMPARISON_FIELDS: [&str; 4] = ["mode", "ignore", "unordered", "match"];

/// The fields of an element of `redactions`.
pub(super) const REDACTION_FIELDS: &[&str] = &["path", "replacement"];

/// The fields of a matcher.
pub(super) const MATCHER_FIELDS: &[&str] = &["type", "regex", "near", "by"];

/// The matchers that are a single word.
pub(super) const WORDS: [(&str, Word); 3] = [
    ("uuid", Word::Uuid),
    ("timestamp", Word::Timestamp),
    ("masked", Word::Masked),
];

/// A matcher that is a single word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Uuid,
    Timestamp,
    /// The captured value, with what stands in place of secrets in it for any text.
    Masked,
}

impl BodyRules {
    /// Reads the rules from the fields of `assertions.body` that the object has.
    pub(crate) fn read(object: &Object<'_>, problems: &mut Problems) -> Self {
        let mut rules = Self::default();
        if let Some(mode) = object.get("mode") {
            rules.mode = mode.choice(&BODY_MODES, problems);
        }
        if let Some(ignore) = object.get("ignore") {
            rules.ignore = read_queries(&ignore, problems);
        }
        if let Some(unordered) = object.get("unordered") {
            rules.unordered = read_queries(&unordered, problems);
        }
        if let Some(redactions) = object.get("redactions") {
            rules.redactions = read_redactions(&redactions, problems);
        }
        if let Some(matches) = object.get("match") {
            read_matches(&matches, &mut rules, problems);
        }
        rules.expected = object.get("expected").map(|node| node.value.clone());
        let without_effect: &[&str] = match rules.mode {
            Some(BodyMode::String) => &["ignore", "redactions", "unordered", "match"],
            Some(BodyMode::Ignore) => &["ignore", "unordered", "expected"],
            _ => &[],
        };
        for name in without_effect {
            if let Some(node) = object.get(name) {
                problems.add(
                    &node.place,
                    format!("`{name}` has no effect with this `mode`"),
                );
            }
        }
        rules
    }

    /// Returns the rules as they are read, without redactions and what is expected.
    pub(crate) fn to_value(&self) -> Map<String, Value> {
        let Self {
            mode,
            ignore,
            redactions: _,
            unordered,
            matches,
            masked,
            expected: _,
        } = self;
        let mut value = Map::new();
        let mode = mode.and_then(|mode| BODY_MODES.iter().find(|(_, known)| *known == mode));
        if let Some((name, _)) = mode {
            value.insert("mode".to_owned(), (*name).into());
        }
        for (name, queries) in [("ignore", ignore), ("unordered", unordered)] {
            if !queries.is_empty() {
                let queries: Vec<&str> = queries.iter().map(Query::text).collect();
                value.insert(name.to_owned(), queries.into());
            }
        }
        if !(matches.is_empty() && masked.is_empty()) {
            let matches = matches.iter();
            let matches =
                matches.map(|(query, matcher)| (query.text().to_owned(), matcher.to_value()));
            let masked = masked.iter();
            let matches =
                matches.chain(masked.map(|query| (query.text().to_owned(), "masked".into())));
            value.insert("match".to_owned(), matches.collect::<Map<_, _>>().into());
        }
        value
    }
}

impl Matcher {
    /// Returns the matcher as it is read.
    fn to_value(&self) -> Value {
        match self {
            Self::Type(kind) => json!({"type": kind}),
            Self::Regex(pattern) => json!({"regex": pattern.as_str()}),
            Self::Uuid => "uuid".into(),
            Self::Timestamp => "timestamp".into(),
            Self::Near { near, by } => json!({"near": near, "by": by}),
        }
    }
}

fn read_queries(node: &Node<'_>, problems: &mut Problems) -> Vec<Query> {
    let nodes = node.list(problems).unwrap_or_default();
    nodes
        .iter()
        .filter_map(|node| compile_query(&node.string(problems)?, node, problems))
        .collect()
}

fn read_redactions(node: &Node<'_>, problems: &mut Problems) -> Vec<(Query, Value)> {
    let nodes = node.list(problems).unwrap_or_default();
    nodes
        .iter()
        .filter_map(|node| {
            let object = node.object(REDACTION_FIELDS, problems)?;
            let path = object.require("path", problems)?;
            let query = compile_query(&path.string(problems)?, &path, problems)?;
            let replacement = object.get("replacement").map(|node| node.value.clone());
            Some((query, replacement.unwrap_or_else(|| "[redacted]".into())))
        })
        .collect()
}

fn read_matches(node: &Node<'_>, rules: &mut BodyRules, problems: &mut Problems) {
    for (path, node) in node.map(problems).iter().flat_map(|o| o.members()) {
        let query = compile_query(path, &node, problems);
        let word = match node.value {
            Value::String(_) => match node.choice(&WORDS, problems) {
                Some(word) => Some(word),
                None => continue,
            },
            _ => None,
        };
        let matcher = match word {
            Some(Word::Masked) => {
                rules.masked.extend(query);
                continue;
            }
            Some(Word::Uuid) => Some(Matcher::Uuid),
            Some(Word::Timestamp) => Some(Matcher::Timestamp),
            None => read_matcher(&node, problems),
        };
        rules.matches.extend(query.zip(matcher));
    }
}

fn read_matcher(node: &Node<'_>, problems: &mut Problems) -> Option<Matcher> {
    let object = node.object(MATCHER_FIELDS, problems)?;
    let (kind, regex, near) = (object.get("type"), object.get("regex"), object.get("near"));
    if [&kind, &regex, &near]
        .iter()
        .filter(|n| n.is_some())
        .count()
        != 1
    {
        return node.wrong("exactly one of `type`, `regex` and `near`", problems);
    }
    if let (Some(by), None) = (object.get("by"), &near) {
        problems.add(&by.place, "`by` can only be used with `near`");
    }
    if let Some(kind) = kind {
        let kinds = Matcher::TYPES.map(|kind| (kind, kind));
        return Some(Matcher::Type(kind.choice(&kinds, problems)?));
    }
    if let Some(node) = regex {
        let text = node.string(problems)?;
        return compile_regex(&text, &node, problems).map(Matcher::Regex);
    }
    let by = object.require("by", problems)?;
    Some(Matcher::Near {
        near: near?.number(problems)?,
        by: by.number(problems)?,
    })
}
