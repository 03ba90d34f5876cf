//! `assertions`: what is asserted about the answer.

use serde_json::Value;

use super::request::read_hook;
use crate::base::document::{Field, Fields, Node, Problems, Shape, names};
use crate::base::json::Query;
use crate::compare::{Assertions, BodyMode, BodyRules, HeaderRules, Matcher, StatusRule};
use crate::hook::{Hook, HookKind, Hooks};
use crate::rule::{compile_query, compile_regex, read_header_match};

/// What is asserted about an answer, including by hooks.
#[derive(Debug, Clone, Default)]
pub(crate) struct AssertionPlan {
    /// The assertions without a hook.
    pub rules: Assertions,
    /// The hook that judges the body, if any.
    pub body_hook: Option<Hook>,
    /// The hook that judges the headers, if any.
    pub headers_hook: Option<Hook>,
}

const HEADER_MODES: [(&str, bool); 2] = [("include", false), ("captured", true)];

const BODY_MODES: [(&str, BodyMode); 4] = [
    ("json-subset", BodyMode::JsonSubset),
    ("exact", BodyMode::Exact),
    ("string", BodyMode::String),
    ("ignore", BodyMode::Ignore),
];

const STATUS: Shape = Shape::Integer(100, 999);

const STATUS_RANGE: Fields = Fields {
    title: "statusRange",
    list: &[
        Field::new("min", STATUS, "the lowest accepted status"),
        Field::new("max", STATUS, "the highest accepted status"),
    ],
};

const HEADERS: Fields = Fields {
    title: "headerAssertions",
    list: &[
        Field::new(
            "include",
            Shape::Map(&Shape::Scalar),
            "header names, each with a regular expression to find in a value; an empty one accepts any \
             value",
        ),
        Field::new(
            "ignore",
            Shape::List(&Shape::Text),
            "names of headers that are never compared",
        ),
        Field::new(
            "mode",
            Shape::Choice(|| names(&HEADER_MODES)),
            "include (the default) checks only the headers in `include`; captured also compares every \
             captured header that is not volatile",
        ),
        Field::new("custom", Shape::Text, "the name of a headers assert hook"),
    ],
};

const REDACTION: Fields = Fields {
    title: "redaction",
    list: &[
        Field::required(
            "path",
            Shape::Text,
            "a JSONPath that selects the values to replace",
        ),
        Field::new(
            "replacement",
            Shape::Any,
            "the value to use instead; defaults to [redacted]",
        ),
    ],
};

const MATCHER: Fields = Fields {
    title: "matcher",
    list: &[
        Field::new(
            "type",
            Shape::Choice(|| Matcher::TYPES.to_vec()),
            "the JSON type that the value must have",
        ),
        Field::new(
            "regex",
            Shape::Text,
            "a regular expression to find in the value, which must be a string",
        ),
        Field::new(
            "near",
            Shape::Number,
            "the number that the value must be close to; needs `by`",
        ),
        Field::new(
            "by",
            Shape::Number,
            "the largest difference from `near` that is allowed",
        ),
    ],
};

const PATHS: Shape = Shape::List(&Shape::Text);

const BODY: Fields = Fields {
    title: "bodyAssertions",
    list: &[
        Field::new(
            "mode",
            Shape::Choice(|| names(&BODY_MODES)),
            "how bodies are compared; defaults to json-subset",
        ),
        Field::new(
            "ignore",
            PATHS,
            "JSONPaths of values to remove from both sides before comparing",
        ),
        Field::new(
            "redactions",
            Shape::List(&Shape::Object(&REDACTION)),
            "values to replace on both sides before comparing; they are never printed",
        ),
        Field::new(
            "unordered",
            PATHS,
            "JSONPaths of arrays whose order does not matter",
        ),
        Field::new(
            "match",
            Shape::Map(&Shape::Either(&[
                Shape::Choice(|| names(&WORDS)),
                Shape::Object(&MATCHER),
            ])),
            "JSONPaths, each with a matcher for every selected value, whatever was captured",
        ),
        Field::new(
            "expected",
            Shape::Any,
            "the expected body, instead of the captured one",
        ),
        Field::new("custom", Shape::Text, "the name of a body assert hook"),
    ],
};

/// The matchers that are a single word; `true` stands for `uuid`, `false` for `timestamp`.
const WORDS: [(&str, bool); 2] = [("uuid", true), ("timestamp", false)];

/// The fields of `assertions`.
pub(super) const ASSERTIONS: Fields = Fields {
    title: "assertions",
    list: &[
        Field::new(
            "status",
            Shape::Either(&[STATUS, Shape::List(&STATUS), Shape::Object(&STATUS_RANGE)]),
            "the expected status, a list of statuses, or a range; defaults to the captured status",
        ),
        Field::new(
            "headers",
            Shape::Object(&HEADERS),
            "what to assert about the headers",
        ),
        Field::new(
            "body",
            Shape::Object(&BODY),
            "what to assert about the body",
        ),
        Field::new(
            "custom-headers",
            Shape::Text,
            "the name of a headers assert hook; the same as `headers.custom`",
        ),
    ],
};

impl AssertionPlan {
    pub(crate) fn read(node: &Node<'_>, hooks: &Hooks, problems: &mut Problems) -> Option<Self> {
        let object = node.fields(&ASSERTIONS, problems)?;
        let before = problems.0.len();
        let mut plan = Self::default();
        if let Some(status) = object.get("status") {
            plan.rules.status = read_status(&status, problems).unwrap_or_default();
        }
        if let Some(headers) = object.get("headers") {
            plan.read_headers(&headers, hooks, problems);
        }
        if let Some(custom) = object.get("custom-headers") {
            if plan.headers_hook.is_some() {
                problems.add(
                    &custom.place,
                    "`headers.custom` already sets this hook; keep one of them",
                );
            }
            plan.headers_hook = read_hook(&custom, HookKind::AssertHeaders, hooks, problems);
        }
        if let Some(body) = object.get("body") {
            plan.read_body(&body, hooks, problems);
        }
        (problems.0.len() == before).then_some(plan)
    }

    fn read_headers(&mut self, node: &Node<'_>, hooks: &Hooks, problems: &mut Problems) {
        let Some(object) = node.fields(&HEADERS, problems) else {
            return;
        };
        let mut rules = HeaderRules::default();
        if let Some(include) = object.get("include") {
            rules.include = read_header_match(&include, problems);
        }
        if let Some(ignore) = object.get("ignore") {
            rules.ignore = ignore.strings(problems).unwrap_or_default();
        }
        if let Some(mode) = object.get("mode") {
            rules.captured = mode.choice(&HEADER_MODES, problems).unwrap_or_default();
        }
        if let Some(custom) = object.get("custom") {
            self.headers_hook = read_hook(&custom, HookKind::AssertHeaders, hooks, problems);
        }
        self.rules.headers = rules;
    }

    fn read_body(&mut self, node: &Node<'_>, hooks: &Hooks, problems: &mut Problems) {
        let Some(object) = node.fields(&BODY, problems) else {
            return;
        };
        let mut rules = BodyRules::default();
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
            rules.matches = read_matches(&matches, problems);
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
        if let Some(custom) = object.get("custom") {
            self.body_hook = read_hook(&custom, HookKind::AssertBody, hooks, problems);
        }
        self.rules.body = rules;
    }
}

fn read_status(node: &Node<'_>, problems: &mut Problems) -> Option<StatusRule> {
    match node.value {
        Value::Array(_) => {
            let nodes = node.list(problems)?;
            if nodes.is_empty() {
                return node.wrong("at least one status", problems);
            }
            let list: Vec<u16> = nodes.iter().filter_map(|n| n.status(problems)).collect();
            Some(StatusRule::OneOf(list))
        }
        Value::Object(_) => {
            let object = node.fields(&STATUS_RANGE, problems)?;
            let mut bound = |name| match object.get(name) {
                Some(node) => node.status(problems).map(Some),
                None => Some(None),
            };
            let (min, max) = (bound("min"), bound("max"));
            let (min, max) = (min?, max?);
            if min.is_none() && max.is_none() {
                return node.wrong("`min`, `max` or both", problems);
            }
            if min.zip(max).is_some_and(|(min, max)| min > max) {
                return node.wrong("a `min` no greater than `max`", problems);
            }
            Some(StatusRule::Range(min, max))
        }
        _ => Some(StatusRule::OneOf(vec![node.status(problems)?])),
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
            let object = node.fields(&REDACTION, problems)?;
            let path = object.get("path")?;
            let query = compile_query(&path.string(problems)?, &path, problems)?;
            let replacement = object.get("replacement").map(|node| node.value.clone());
            Some((query, replacement.unwrap_or_else(|| "[redacted]".into())))
        })
        .collect()
}

fn read_matches(node: &Node<'_>, problems: &mut Problems) -> Vec<(Query, Matcher)> {
    let mut matches = Vec::new();
    for (path, node) in node.map(problems).iter().flat_map(|o| o.members()) {
        let query = compile_query(path, &node, problems);
        let matcher = read_matcher(&node, problems);
        matches.extend(query.zip(matcher));
    }
    matches
}

fn read_matcher(node: &Node<'_>, problems: &mut Problems) -> Option<Matcher> {
    if let Value::String(_) = node.value {
        return Some(match node.choice(&WORDS, problems)? {
            true => Matcher::Uuid,
            false => Matcher::Timestamp,
        });
    }
    let object = node.fields(&MATCHER, problems)?;
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
