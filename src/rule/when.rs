//! The predicates of a rule, and the request they are asked about.

use std::cell::OnceCell;

use regex::Regex;
use serde_json::Value;

use super::Difference;
use crate::http::{Direction, Request, host_ends_with, host_equals, path_equals, shown};
use crate::json::{self, Query};
use crate::reader::{Field, Fields, Node, Problems, Shape, names};

/// What a request must be; every given predicate must hold, none given matches everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct When {
    direction: Option<Direction>,
    service: Option<String>,
    method: Option<String>,
    host: Option<String>,
    host_suffix: Option<String>,
    not_host_suffix: Vec<String>,
    path: Option<String>,
    path_prefix: Option<String>,
    query: Vec<(String, String)>,
    headers: Vec<(String, Vec<String>)>,
    header_match: Vec<(String, Regex)>,
    body_json_path: Option<Query>,
    body_json_path_equals: Vec<(Query, Value)>,
    trace_tags: Vec<(String, Value)>,
    trace_tag_equals: Vec<(String, Value)>,
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

/// A request that wants an answer, with what is known about it.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    /// The request.
    pub request: &'a Request,
    /// Which way it crosses the application.
    pub direction: Direction,
    /// The service it belongs to, where that is known.
    pub service: Option<&'a str>,
    /// The session it belongs to.
    pub session: &'a str,
    /// The attributes of the inject span, where there is one.
    pub attributes: &'a [(String, Value)],
    body: OnceCell<Option<Value>>,
}

impl<'a> Question<'a> {
    /// A request of a session.
    pub(crate) fn new(
        request: &'a Request,
        direction: Direction,
        session: &'a str,
        service: Option<&'a str>,
        attributes: &'a [(String, Value)],
    ) -> Self {
        Self {
            request,
            direction,
            service,
            session,
            attributes,
            body: OnceCell::new(),
        }
    }

    fn body_json(&self) -> Option<&Value> {
        self.body
            .get_or_init(|| json::parse(&self.request.body))
            .as_ref()
    }

    /// An attribute of the inject span, by the vocabulary of case files.
    fn attribute(&self, name: &str) -> Option<Value> {
        let text = |text: &str| Some(Value::from(text));
        if let Some((_, value)) = self.attributes.iter().find(|(n, _)| n == name) {
            return Some(value.clone());
        }
        if let Some(header) = name.strip_prefix("http.request.header.") {
            return text(&self.request.headers.text(header)?);
        }
        match name {
            "sp.traffic.direction" => text(self.direction.name()),
            "sp.span.type" => text("inject"),
            "sp.session.id" => text(self.session),
            "sp.service.name" => text(self.service?),
            "http.request.method" => text(&self.request.method),
            "url.scheme" => text(&self.request.scheme),
            "url.host" => text(&self.request.host),
            "url.path" => text(&self.request.path),
            "url.query" => text(self.request.query.as_deref()?),
            "http.request.body" => text(&String::from_utf8_lossy(&self.request.body)),
            _ => None,
        }
    }
}

impl When {
    /// Reads a `when`; expressions are compiled, so that none can fail later.
    pub(crate) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let object = node.fields(&WHEN, problems)?;
        let before = problems.0.len();
        let mut text = |name: &str| object.get(name).and_then(|node| node.string(problems));
        let mut when = Self {
            service: text("service"),
            method: text("method"),
            host: text("host"),
            host_suffix: text("hostSuffix"),
            path: text("path"),
            path_prefix: text("pathPrefix"),
            ..Self::default()
        };
        if let Some(node) = object.get("direction") {
            when.direction = node.choice(&DIRECTIONS, problems);
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

    /// How many predicates hold, and the first that does not.
    pub(super) fn check(&self, question: &Question<'_>) -> (usize, Option<Difference>) {
        let mut tally = Tally::default();
        self.check_address(question, &mut tally);
        self.check_content(question, &mut tally);
        (tally.held, tally.first)
    }

    fn check_address(&self, question: &Question<'_>, tally: &mut Tally) {
        let request = question.request;
        if let Some(wanted) = self.direction {
            let has = question.direction;
            tally.note(wanted == has, "direction", wanted.name(), has.name());
        }
        if let Some(wanted) = &self.service {
            let has = question.service.unwrap_or_default();
            tally.note(wanted == has, "service", wanted, has);
        }
        if let Some(wanted) = &self.host {
            let holds = host_equals(wanted, &request.host);
            tally.note(holds, "host", wanted, &request.host);
        }
        if let Some(wanted) = &self.host_suffix {
            let holds = host_ends_with(wanted, &request.host);
            tally.note(holds, "hostSuffix", wanted, &request.host);
        }
        if !self.not_host_suffix.is_empty() {
            let holds = !self
                .not_host_suffix
                .iter()
                .any(|suffix| host_ends_with(suffix, &request.host));
            let wanted = format!("none of {}", self.not_host_suffix.join(", "));
            tally.note(holds, "notHostSuffix", &wanted, &request.host);
        }
        if let Some(wanted) = &self.method {
            let holds = wanted.eq_ignore_ascii_case(&request.method);
            tally.note(holds, "method", wanted, &request.method);
        }
        if let Some(wanted) = &self.path {
            let holds = path_equals(wanted, &request.path, request.query.as_deref());
            tally.note(holds, "path", wanted, &request.target());
        }
        if let Some(wanted) = &self.path_prefix {
            let holds = request.path.starts_with(wanted.as_str());
            tally.note(holds, "pathPrefix", wanted, &request.path);
        }
    }

    fn check_content(&self, question: &Question<'_>, tally: &mut Tally) {
        let request = question.request;
        for (name, wanted) in &self.query {
            let pairs = query_pairs(request.query.as_deref().unwrap_or_default());
            let holds = pairs.iter().any(|(n, v)| n == name && v == wanted);
            let has = request.query.as_deref().unwrap_or("no query");
            tally.note(holds, "query", &format!("{name}={wanted}"), has);
        }
        for (name, wanted) in &self.headers {
            let holds = wanted.iter().all(|wanted| {
                request
                    .headers
                    .all(name)
                    .any(|has| has == wanted.as_bytes())
            });
            let wanted = shown(name, wanted.join(", ").as_bytes()).into_owned();
            tally.note(
                holds,
                &format!("headers.{name}"),
                &wanted,
                &header_text(request, name),
            );
        }
        for (name, pattern) in &self.header_match {
            let holds = request
                .headers
                .all(name)
                .any(|has| pattern.is_match(&String::from_utf8_lossy(has)));
            let field = format!("headerMatch.{name}");
            let wanted = shown(name, pattern.as_str().as_bytes());
            tally.note(holds, &field, &wanted, &header_text(request, name));
        }
        if let Some(query) = &self.body_json_path {
            let holds = question
                .body_json()
                .is_some_and(|body| !query.select(body).is_empty());
            tally.note(
                holds,
                "bodyJsonPath",
                query.text(),
                "no such node in the body",
            );
        }
        for (query, wanted) in &self.body_json_path_equals {
            let selected = question
                .body_json()
                .map(|body| query.select(body))
                .unwrap_or_default();
            let holds = selected.iter().any(|node| json::equals(node, wanted));
            let has = match selected.as_slice() {
                [] => "no such node in the body".to_owned(),
                nodes => nodes
                    .iter()
                    .map(|n| json::show(n))
                    .collect::<Vec<_>>()
                    .join(", "),
            };
            let field = format!("bodyJsonPathEquals.{}", query.text());
            tally.note(holds, &field, &json::show(wanted), &has);
        }
        for (key, tags) in [
            ("traceTags", &self.trace_tags),
            ("traceTagEquals", &self.trace_tag_equals),
        ] {
            for (name, wanted) in tags {
                let has = question.attribute(name);
                let holds = has.as_ref().is_some_and(|has| tag_equals(wanted, has));
                let has = has.map_or("no such attribute".to_owned(), |has| json::show(&has));
                let header = name.strip_prefix("http.request.header.").unwrap_or(name);
                let wanted = json::show(wanted);
                tally.note(
                    holds,
                    &format!("{key}.{name}"),
                    &shown(header, wanted.as_bytes()),
                    &shown(header, has.as_bytes()),
                );
            }
        }
    }
}

#[derive(Default)]
struct Tally {
    held: usize,
    first: Option<Difference>,
}

impl Tally {
    fn note(&mut self, holds: bool, field: &str, wanted: &str, has: &str) {
        if holds {
            self.held += 1;
        } else if self.first.is_none() {
            self.first = Some(Difference {
                field: field.to_owned(),
                wanted: wanted.to_owned(),
                has: has.to_owned(),
            });
        }
    }
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

/// Names and values of a query, `%XX` and `+` decoded.
fn query_pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced)
        .decode_utf8_lossy()
        .into_owned()
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

impl When {
    /// Whether every predicate holds.
    pub(crate) fn matches(&self, question: &Question<'_>) -> bool {
        self.check(question).1.is_none()
    }
}
