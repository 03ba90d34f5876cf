//! `assertions`: what is asserted about the answer.

use serde_json::Value;

use super::request::read_hook;
use crate::base::compile::read_patterns;
use crate::base::document::{Field, Fields, Node, Object, Problems, Shape, names};
use crate::compare::{Assertions, BODY, BodyRules, HeaderRules, StatusRule};
use crate::hook::{Hook, HookKind, Hooks};

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

const STATUS: Shape = Shape::Integer(100, 999);

const STATUS_RANGE: Fields = Fields {
    title: "statusRange",
    list: &[
        Field::new("min", STATUS, "the lowest accepted status"),
        Field::new("max", STATUS, "the highest accepted status"),
    ],
};

/// The fields that say which headers are compared.
pub(super) const HEADERS: Fields = Fields {
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
        if let Some(custom) = object.get("custom") {
            self.headers_hook = read_hook(&custom, HookKind::AssertHeaders, hooks, problems);
        }
        self.rules.headers = read_header_rules(&object, problems);
    }

    fn read_body(&mut self, node: &Node<'_>, hooks: &Hooks, problems: &mut Problems) {
        let Some(object) = node.fields(&BODY, problems) else {
            return;
        };
        self.rules.body = BodyRules::read(&object, problems);
        if let Some(custom) = object.get("custom") {
            self.body_hook = read_hook(&custom, HookKind::AssertBody, hooks, problems);
        }
    }
}

/// Reads which headers are compared.
pub(super) fn read_header_rules(object: &Object<'_>, problems: &mut Problems) -> HeaderRules {
    let mut rules = HeaderRules::default();
    if let Some(include) = object.get("include") {
        rules.include = read_patterns(&include, problems);
    }
    if let Some(ignore) = object.get("ignore") {
        rules.ignore = ignore.strings(problems).unwrap_or_default();
    }
    if let Some(mode) = object.get("mode") {
        rules.captured = mode.choice(&HEADER_MODES, problems).unwrap_or_default();
    }
    rules
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
