//! The predicates of a rule.

use std::ops::ControlFlow;

use regex::Regex;
use serde_json::{Map, Value};

use super::question::{Question, query_pairs};
use crate::base::document::{Field, Fields, Node, Problems, Shape, names};
use crate::base::http::{Direction, Request, host_ends_with, shown};
use crate::base::json::{self, Query};
use crate::case::{AllHold, Difference, Nearness, Predicate, Tally};

/// What a request must be; every given predicate must hold, none given matches everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct When {
    /// The predicates that a lookup in a case has as well.
    pub(crate) lookup: Predicate,
    not_host_suffix: Vec<String>,
    query: Vec<(String, String)>,
    headers: Vec<(String, Vec<String>)>,
    header_match: Vec<(String, Regex)>,
    body_json_path: Option<Query>,
    body_json_path_equals: Vec<(Query, Value)>,
    trace_tags: Vec<(String, Value)>,
    trace_tag_equals: Vec<(String, Value)>,
}

impl From<Predicate> for When {
    fn from(lookup: Predicate) -> Self {
        Self {
            lookup,
            ..Self::default()
        }
    }
}

const DIRECTIONS: [(&str, Direction); 2] = [
    ("outbound", Direction::Outbound),
    ("inbound", Direction::Inbound),
];

/// The predicates of a `when`, and of a mock's `match`.
pub(crate) const WHEN: Fields = Fields {
    title: "match",
    list: &[
        Field::new(
            "direction",
            Shape::Choice(|| names(&DIRECTIONS)),
            "which way the call crosses the application; outbound when it is not given",
        ),
        Field::new("service", Shape::Text, "the service that calls"),
        Field::new("method", Shape::Text, "the method, without regard to case"),
        Field::new(
            "host",
            Shape::Text,
            "the host, without regard to case; without a port it fits every port",
        ),
        Field::new(
            "hostSuffix",
            Shape::Text,
            "what the host ends with: stripe.com fits api.stripe.com",
        ),
        Field::new(
            "notHostSuffix",
            Shape::List(&Shape::Text),
            "what the host ends with none of",
        ),
        Field::new(
            "path",
            Shape::Text,
            "the path without its query; with a `?` in it, path and query",
        ),
        Field::new("pathPrefix", Shape::Text, "what the path starts with"),
        Field::new(
            "query",
            Shape::Map(&Shape::Scalar),
            "name to value; each is among the request's",
        ),
        Field::new(
            "headers",
            Shape::Map(&Shape::Either(&[Shape::Scalar, Shape::List(&Shape::Text)])),
            "name to value, or to values that are all among the header's",
        ),
        Field::new(
            "headerMatch",
            Shape::Map(&Shape::Scalar),
            "name to regular expression, found anywhere in a value",
        ),
        Field::new(
            "bodyJsonPath",
            Shape::Text,
            "a JSONPath that selects something in the request's body",
        ),
        Field::new(
            "bodyJsonPathEquals",
            Shape::Map(&Shape::Any),
            "JSONPath to a value that a selected node equals",
        ),
        Field::new(
            "traceTags",
            Shape::Map(&Shape::Any),
            "attribute of the inject span to its value",
        ),
        Field::new(
            "traceTagEquals",
            Shape::Map(&Shape::Any),
            "the same as traceTags",
        ),
    ],
};

impl When {
    /// Reads a `when`; expressions are compiled, so that none can fail later.
    pub(crate) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let object = node.fields(&WHEN, problems)?;
        let before = problems.0.len();
        let mut text = |name: &str| object.get(name).and_then(|node| node.string(problems));
        let mut when = Self::from(Predicate {
            direction: None,
            service: text("service"),
            host: text("host"),
            host_suffix: text("hostSuffix"),
            method: text("method"),
            path: text("path"),
            path_prefix: text("pathPrefix"),
        });
        if let Some(node) = object.get("direction") {
            when.lookup.direction = node.choice(&DIRECTIONS, problems);
        }
        if let Some(node) = object.get("notHostSuffix") {
            when.not_host_suffix = node.strings(problems).unwrap_or_default();
        }
        if let Some(node) = object.get("query") {
            when.query = node.string_map(problems).unwrap_or_default();
        }
        if let Some(node) = object.get("headers") {
            when.headers = read_wanted_headers(&node, problems);
        }
        if let Some(node) = object.get("headerMatch") {
            when.header_match = read_header_match(&node, problems);
        }
        if let Some(node) = object.get("bodyJsonPath") {
            when.body_json_path = read_query(&node, problems);
        }
        if let Some(members) = object
            .get("bodyJsonPathEquals")
            .and_then(|n| n.map(problems))
        {
            for (text, node) in members.members() {
                let query = compile_query(text, &node, problems);
                when.body_json_path_equals
                    .extend(query.map(|query| (query, node.value.clone())));
            }
        }
        when.trace_tags = read_tags(object.get("traceTags"), problems);
        when.trace_tag_equals = read_tags(object.get("traceTagEquals"), problems);
        (problems.0.len() == before).then_some(when)
    }

    /// Whether every predicate holds.
    pub(crate) fn matches(&self, question: &Question<'_>) -> bool {
        self.check(question, &mut AllHold).is_continue()
    }

    /// How many predicates hold, and the first that does not.
    pub(super) fn nearness(&self, question: &Question<'_>) -> Nearness {
        let mut nearness = Nearness::default();
        let _ = self.check(question, &mut nearness);
        nearness
    }

    fn check(&self, question: &Question<'_>, tally: &mut impl Tally) -> ControlFlow<()> {
        let Self {
            lookup,
            not_host_suffix,
            query,
            headers,
            header_match,
            body_json_path,
            body_json_path_equals,
            trace_tags,
            trace_tag_equals,
        } = self;
        let request = question.request;
        lookup.check(question.subject(), tally)?;
        if !not_host_suffix.is_empty() {
            let mut suffixes = not_host_suffix.iter();
            let ends = suffixes.any(|suffix| host_ends_with(suffix, &request.host));
            tally.note(!ends, || {
                let wanted = format!("none of {}", not_host_suffix.join(", "));
                Difference::new("notHostSuffix", wanted, &request.host)
            })?;
        }
        let pairs = match query.is_empty() {
            true => Vec::new(),
            false => query_pairs(request.query.as_deref().unwrap_or_default()),
        };
        for (name, wanted) in query {
            let holds = pairs.iter().any(|(n, v)| n == name && v == wanted);
            tally.note(holds, || {
                let has = request.query.as_deref().unwrap_or("no query");
                Difference::new("query", format!("{name}={wanted}"), has)
            })?;
        }
        for (name, wanted) in headers {
            let has = |wanted: &String| request.headers.all(name).any(|h| h == wanted.as_bytes());
            tally.note(wanted.iter().all(has), || Difference {
                field: format!("headers.{name}"),
                wanted: shown(name, wanted.join(", ").as_bytes()).into_owned(),
                has: header_text(request, name),
            })?;
        }
        for (name, pattern) in header_match {
            let fits = |has: &[u8]| pattern.is_match(&String::from_utf8_lossy(has));
            tally.note(request.headers.all(name).any(fits), || Difference {
                field: format!("headerMatch.{name}"),
                wanted: shown(name, pattern.as_str().as_bytes()).into_owned(),
                has: header_text(request, name),
            })?;
        }
        let selected = |query: &Query| match question.body_json() {
            Some(body) => query.select(body),
            None => Vec::new(),
        };
        if let Some(query) = body_json_path {
            tally.note(!selected(query).is_empty(), || {
                Difference::new("bodyJsonPath", query.text(), NO_NODE)
            })?;
        }
        for (query, wanted) in body_json_path_equals {
            let nodes = selected(query);
            let holds = nodes.iter().any(|node| json::equals(node, wanted));
            tally.note(holds, || {
                let has: Vec<String> = nodes.iter().map(|node| json::show(node)).collect();
                let field = format!("bodyJsonPathEquals.{}", query.text());
                let has = match has.is_empty() {
                    true => NO_NODE.to_owned(),
                    false => has.join(", "),
                };
                Difference::new(field, json::show(wanted), has)
            })?;
        }
        check_tags("traceTags", trace_tags, question, tally)?;
        check_tags("traceTagEquals", trace_tag_equals, question, tally)
    }
}

/// What is said of a body in which a path selects nothing.
const NO_NODE: &str = "no such node in the body";

fn check_tags(
    key: &str,
    tags: &[(String, Value)],
    question: &Question<'_>,
    tally: &mut impl Tally,
) -> ControlFlow<()> {
    for (name, wanted) in tags {
        let has = question.attribute(name);
        let holds = has.as_ref().is_some_and(|has| tag_equals(wanted, has));
        tally.note(holds, || {
            let has = has.map_or("no such attribute".to_owned(), |has| json::show(&has));
            let header = name.strip_prefix("http.request.header.").unwrap_or(name);
            let wanted = json::show(wanted);
            Difference::new(
                format!("{key}.{name}"),
                shown(header, wanted.as_bytes()),
                shown(header, has.as_bytes()),
            )
        })?;
    }
    ControlFlow::Continue(())
}

impl When {
    /// The predicates as the control API takes them.
    pub(crate) fn to_value(&self) -> Value {
        let Self {
            lookup,
            not_host_suffix,
            query,
            headers,
            header_match,
            body_json_path,
            body_json_path_equals,
            trace_tags,
            trace_tag_equals,
        } = self;
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

fn object<N: ToString>(members: impl Iterator<Item = (N, Value)>) -> Value {
    let members = members.map(|(name, value)| (name.to_string(), value));
    members.collect::<Map<_, _>>().into()
}

/// An attribute equals a tag by value, and a number or a boolean also by its text.
fn tag_equals(wanted: &Value, has: &Value) -> bool {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => json::show(other),
    };
    json::equals(wanted, has)
        || (wanted.is_string() != has.is_string() && text(wanted) == text(has))
}

fn header_text(request: &Request, name: &str) -> String {
    let values: Vec<_> = request
        .headers
        .all(name)
        .map(|value| shown(name, value).into_owned())
        .collect();
    if values.is_empty() {
        "no such header".to_owned()
    } else {
        values.join(", ")
    }
}

fn read_query(node: &Node<'_>, problems: &mut Problems) -> Option<Query> {
    compile_query(&node.string(problems)?, node, problems)
}

/// The JSONPath of that text; a problem at the node when it is none.
pub(crate) fn compile_query(text: &str, node: &Node<'_>, problems: &mut Problems) -> Option<Query> {
    Query::parse(text)
        .map_err(|message| problems.add(&node.place, message))
        .ok()
}

/// The regular expression of that text; a problem at the node when it is none.
pub(crate) fn compile_regex(text: &str, node: &Node<'_>, problems: &mut Problems) -> Option<Regex> {
    Regex::new(text)
        .map_err(|error| problems.add(&node.place, bad_regex(text, &error)))
        .ok()
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

/// Reads name → regular expression.
pub(crate) fn read_header_match(node: &Node<'_>, problems: &mut Problems) -> Vec<(String, Regex)> {
    let mut patterns = Vec::new();
    for (name, value) in node
        .map(problems)
        .iter()
        .flat_map(|object| object.members())
    {
        let Some(text) = value.scalar_text(problems) else {
            continue;
        };
        let pattern = compile_regex(&text, &value, problems);
        patterns.extend(pattern.map(|pattern| (name.to_owned(), pattern)));
    }
    patterns
}

/// The message for a regular expression that does not compile.
fn bad_regex(text: &str, error: &regex::Error) -> String {
    let error = error.to_string();
    let reason = error.lines().last().unwrap_or_default();
    let reason = reason.trim_start_matches("error: ");
    format!("`{text}` is not a regular expression: {reason}")
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
