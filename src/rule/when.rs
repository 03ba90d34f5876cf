//! The predicates of a rule.

use std::fmt;

use regex::Regex;
use serde_json::{Map, Value};

use super::body::BodyPredicate;
use super::secret::mask_secret_headers;
use crate::base::compile::{compile_query, compile_regex, read_patterns};
use crate::base::document::{Node, Problems};
use crate::base::http::Direction;
use crate::base::json::Query;
#[cfg(feature = "runner")]
use crate::base::masked::{holds_placeholder, path_pattern};
use crate::case::Predicate;
#[cfg(feature = "runner")]
use crate::compare::BodyRules;

/// The predicates of a rule. All that are given must hold; if none is given, every request matches.
#[derive(Clone, Default)]
pub(crate) struct When {
    /// The predicates that a lookup in a case also has.
    pub(crate) lookup: Predicate,
    pub(super) not_host_suffix: Vec<String>,
    /// A pattern for the whole path, with the text as it was given.
    pub(super) path_regex: Option<(String, Regex)>,
    pub(super) query: Vec<(String, String)>,
    /// The whole query, apart from the values of some names. On a wire, this becomes `query`.
    #[cfg(feature = "runner")]
    pub(crate) whole_query: Option<WholeQuery>,
    pub(super) headers: Vec<(String, Vec<String>)>,
    pub(super) header_match: Vec<(String, Regex)>,
    pub(super) body_json_path: Option<Query>,
    pub(super) body_json_path_equals: Vec<(Query, Value)>,
    pub(super) body: Option<BodyPredicate>,
    pub(super) trace_tags: Vec<(String, Value)>,
    pub(super) trace_tag_equals: Vec<(String, Value)>,
}

/// A query that a request must have, apart from the values of some names.
#[cfg(feature = "runner")]
#[derive(Debug, Clone)]
pub(crate) struct WholeQuery {
    pub(crate) query: String,
    pub(crate) ignore: Vec<String>,
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "When({})", self.shown())
    }
}

impl From<Predicate> for When {
    fn from(lookup: Predicate) -> Self {
        Self {
            lookup,
            ..Self::default()
        }
    }
}

pub(super) const DIRECTIONS: [(&str, Direction); 2] = [
    ("outbound", Direction::Outbound),
    ("inbound", Direction::Inbound),
];

/// The predicates of a `when`, and of a mock's `match`.
pub(super) const PREDICATES: &[&str] = &[
    "direction",
    "service",
    "method",
    "host",
    "hostSuffix",
    "notHostSuffix",
    "path",
    "pathPrefix",
    "pathRegex",
    "query",
    "headers",
    "headerMatch",
    "bodyJsonPath",
    "bodyJsonPathEquals",
    "body",
    "traceTags",
    "traceTagEquals",
];

impl When {
    /// Reads a `when` and compiles its expressions, so that none can fail later.
    pub(crate) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let object = node.object(PREDICATES, problems)?;
        let before = problems.0.len();
        let mut text = |name: &str| object.given(name).and_then(|node| node.string(problems));
        let mut when = Self::from(Predicate {
            direction: None,
            service: text("service"),
            host: text("host"),
            host_suffix: text("hostSuffix"),
            method: text("method"),
            path: text("path"),
            path_prefix: text("pathPrefix"),
        });
        if let Some(node) = object.given("direction") {
            when.lookup.direction = node.choice(&DIRECTIONS, problems);
        }
        if let Some(node) = object.given("notHostSuffix") {
            when.not_host_suffix = node.strings(problems).unwrap_or_default();
        }
        if let Some(node) = object.given("pathRegex")
            && let Some(text) = node.string(problems)
        {
            // Checked as it stands, so that no unbalanced parenthesis escapes the group.
            let checked = compile_regex(&text, &node, problems);
            let whole = checked.map(|_| Regex::new(&format!("^(?:{text})$")));
            match whole {
                Some(Ok(regex)) => when.path_regex = Some((text, regex)),
                Some(Err(_)) => problems.add(
                    &node.place,
                    format!("`{text}` can't be matched with a whole path; leave out the comment at its end"),
                ),
                None => {}
            }
        }
        if let Some(node) = object.given("query") {
            when.query = node.string_map(problems).unwrap_or_default();
        }
        if let Some(node) = object.given("headers") {
            when.headers = read_wanted_headers(&node, problems);
        }
        if let Some(node) = object.given("headerMatch") {
            when.header_match = read_patterns(&node, problems);
        }
        if let Some(node) = object.given("bodyJsonPath") {
            when.body_json_path = read_query(&node, problems);
        }
        if let Some(members) = object
            .given("bodyJsonPathEquals")
            .and_then(|n| n.map(problems))
        {
            for (text, node) in members.members() {
                let query = compile_query(text, &node, problems);
                when.body_json_path_equals
                    .extend(query.map(|query| (query, node.value.clone())));
            }
        }
        if let Some(node) = object.given("body") {
            when.body = BodyPredicate::read(&node, problems);
        }
        when.trace_tags = read_tags(object.given("traceTags"), problems);
        when.trace_tag_equals = read_tags(object.given("traceTagEquals"), problems);
        (problems.0.len() == before).then_some(when)
    }

    /// Returns whether a predicate is about the request's body.
    #[cfg(feature = "runner")]
    pub(crate) fn is_about_the_body(&self) -> bool {
        self.body.is_some()
            || self.body_json_path.is_some()
            || !self.body_json_path_equals.is_empty()
    }

    /// Requires a body like this one.
    #[cfg(feature = "runner")]
    pub(crate) fn require_body_like(&mut self, text: &str) {
        // What stands in place of a secret is never what is sent.
        let masked = ["$", "$..*"].into_iter();
        let masked = masked.filter_map(|path| Query::parse(path).ok());
        let rules = BodyRules {
            masked: match holds_placeholder(text) {
                true => masked.collect(),
                false => Vec::new(),
            },
            ..BodyRules::default()
        };
        self.body = Some(BodyPredicate::like(text, &rules));
    }

    /// Requires a path like this one, in which something stands in place of a secret.
    #[cfg(feature = "runner")]
    pub(crate) fn require_path_like(&mut self, captured: &str) {
        let text = format!("^{}$", path_pattern(captured));
        self.lookup.path = None;
        self.path_regex = Regex::new(&text).ok().map(|regex| (text, regex));
    }

    /// Returns the predicates for the log, with secrets masked.
    pub(crate) fn shown(&self) -> Value {
        let mut when = self.to_value();
        mask_secret_headers(&mut when);
        when
    }

    /// Returns the predicates as the control API expects them.
    pub(crate) fn to_value(&self) -> Value {
        let Self {
            lookup,
            not_host_suffix,
            path_regex,
            query,
            #[cfg(feature = "runner")]
            whole_query,
            headers,
            header_match,
            body_json_path,
            body_json_path_equals,
            body,
            trace_tags,
            trace_tag_equals,
        } = self;
        #[cfg(feature = "runner")]
        let query = &[
            &query[..],
            &whole_query
                .iter()
                .flat_map(WholeQuery::pairs)
                .collect::<Vec<_>>(),
        ]
        .concat();
        let mut when = Map::new();
        let mut put = |key: &str, value: Value, given: bool| {
            if given {
                when.insert(key.to_owned(), value);
            }
        };
        for (key, value) in lookup.fields() {
            put(key, value.into(), value.is_some());
        }
        put(
            "notHostSuffix",
            not_host_suffix.clone().into(),
            !not_host_suffix.is_empty(),
        );
        let regex = path_regex.as_ref().map(|(text, _)| text.as_str());
        put("pathRegex", regex.into(), regex.is_some());
        let texts = query
            .iter()
            .map(|(name, value)| (name, value.as_str().into()));
        put("query", object(texts), !query.is_empty());
        let values = headers
            .iter()
            .map(|(name, values)| match values.as_slice() {
                [one] => (name, one.as_str().into()),
                several => (name, several.to_vec().into()),
            });
        put("headers", object(values), !headers.is_empty());
        let patterns = header_match
            .iter()
            .map(|(name, p)| (name, p.as_str().into()));
        put("headerMatch", object(patterns), !header_match.is_empty());
        let path = body_json_path.as_ref().map(Query::text);
        put("bodyJsonPath", path.into(), path.is_some());
        let equals = body_json_path_equals
            .iter()
            .map(|(q, v)| (q.text(), v.clone()));
        put(
            "bodyJsonPathEquals",
            object(equals),
            !body_json_path_equals.is_empty(),
        );
        let body = body.as_ref().map(BodyPredicate::to_value);
        put("body", body.clone().into(), body.is_some());
        for (key, tags) in [
            ("traceTags", trace_tags),
            ("traceTagEquals", trace_tag_equals),
        ] {
            let values = tags.iter().map(|(name, value)| (name, value.clone()));
            put(key, object(values), !tags.is_empty());
        }
        when.into()
    }
}

#[cfg(feature = "runner")]
impl WholeQuery {
    /// Returns the names and values that count.
    fn pairs(&self) -> impl Iterator<Item = (String, String)> + '_ {
        form_urlencoded::parse(self.query.as_bytes())
            .filter(|(name, _)| !self.ignore.iter().any(|ignored| ignored == name))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
    }
}

fn object<N: ToString>(members: impl Iterator<Item = (N, Value)>) -> Value {
    let members = members.map(|(name, value)| (name.to_string(), value));
    members.collect::<Map<_, _>>().into()
}

fn read_query(node: &Node<'_>, problems: &mut Problems) -> Option<Query> {
    compile_query(&node.string(problems)?, node, problems)
}

fn read_wanted_headers(node: &Node<'_>, problems: &mut Problems) -> Vec<(String, Vec<String>)> {
    let mut headers = Vec::new();
    for (name, value) in node
        .map(problems)
        .iter()
        .flat_map(|object| object.members())
    {
        let values = match value.value {
            Value::Array(_) => value.strings(problems),
            _ => value.scalar_text(problems).map(|text| vec![text]),
        };
        headers.extend(values.map(|values| (name.to_owned(), values)));
    }
    headers
}

fn read_tags(node: Option<Node<'_>>, problems: &mut Problems) -> Vec<(String, Value)> {
    let Some(object) = node.and_then(|node| node.map(problems)) else {
        return Vec::new();
    };
    object
        .members()
        .map(|(name, node)| (name.to_owned(), node.value.clone()))
        .collect()
}
