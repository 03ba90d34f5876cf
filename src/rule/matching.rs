//! Checks whether a request matches a `when`.

use std::ops::ControlFlow;

use serde_json::Value;

use super::body::BodyPredicate;
use super::question::{Question, Undecided};
use super::when::When;
#[cfg(feature = "runner")]
use super::when::WholeQuery;
#[cfg(feature = "runner")]
use crate::base::http::same_query_without;
use crate::base::http::{Host, Request, shown};
use crate::base::json::{self, Query};
use crate::case::{AllHold, Difference, Nearness, Tally};
use crate::compare::BodyRules;
#[cfg(feature = "runner")]
use crate::compare::{Comparison, Why, compare_sent_bodies};

impl When {
    /// Returns whether every predicate holds.
    pub(crate) fn matches(&self, question: &Question<'_>) -> bool {
        self.check(question, &mut AllHold).is_continue()
    }

    /// Returns whether every predicate holds, apart from those about the trace, which the question of a call
    /// that belongs to no session does not have.
    pub(crate) fn may_match(&self, question: &Question<'_>) -> bool {
        let untraced = Self {
            trace_tags: Vec::new(),
            trace_tag_equals: Vec::new(),
            ..self.clone()
        };
        untraced.matches(question) || question.take_failure().is_some()
    }

    /// Returns how many predicates hold, and the first that does not.
    pub(super) fn nearness(&self, question: &Question<'_>) -> Nearness {
        let mut nearness = Nearness::default();
        let _ = self.check(question, &mut nearness);
        nearness
    }

    fn check(&self, question: &Question<'_>, tally: &mut impl Tally) -> ControlFlow<()> {
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
        let request = question.request;
        lookup.check(question.subject(), tally)?;
        if !not_host_suffix.is_empty() {
            let mut suffixes = not_host_suffix.iter();
            let host = Host::of(request);
            let ends = suffixes.any(|suffix| host.ends_with(suffix));
            tally.note(!ends, || {
                let wanted = format!("none of {}", not_host_suffix.join(", "));
                Difference::new("notHostSuffix", wanted, &request.host)
            })?;
        }
        if let Some((text, regex)) = path_regex {
            tally.note(regex.is_match(&request.path), || {
                Difference::new("pathRegex", text, &request.path)
            })?;
        }
        for (name, wanted) in query {
            let query = request.query.as_deref().unwrap_or_default();
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            let holds = pairs.any(|(n, v)| n == *name && v == *wanted);
            tally.note(holds, || {
                let has = request.query.as_deref().unwrap_or("no query");
                Difference::new("query", format!("{name}={wanted}"), has)
            })?;
        }
        #[cfg(feature = "runner")]
        if let Some(WholeQuery { query, ignore }) = whole_query {
            let has = request.query.as_deref().unwrap_or_default();
            tally.note(same_query_without(ignore, query, has), || {
                Difference::new("query", query, has)
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
        let selected = |query: &Query| {
            let selected = question.body_json().map(|body| query.select(body));
            let selected = selected
                .transpose()
                .map_err(|why| question.fail(Undecided::Path(why)));
            selected.ok().flatten().unwrap_or_default()
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
        if let Some(body) = body {
            check_body(body, question, tally)?;
        }
        check_tags("traceTags", trace_tags, question, tally)?;
        check_tags("traceTagEquals", trace_tag_equals, question, tally)
    }
}

/// Shown as what the request has if a JSONPath selects nothing in its body.
const NO_NODE: &str = "no such node in the body";

fn check_body(
    predicate: &BodyPredicate,
    question: &Question<'_>,
    tally: &mut impl Tally,
) -> ControlFlow<()> {
    let BodyPredicate {
        equals,
        regex,
        form,
        like,
    } = predicate;
    let body = question.body();
    let has = || beginning(body);
    if let Some(wanted) = equals {
        let text = json::as_text(wanted);
        let holds = match text {
            Some(text) => text.as_bytes() == body,
            None => question
                .body_json()
                .is_some_and(|body| json::equals(body, wanted)),
        };
        let wanted = || match text {
            Some(text) => beginning(text.as_bytes()),
            None => json::show(wanted),
        };
        tally.note(holds, || Difference::new("body.equals", wanted(), has()))?;
    }
    if let Some(regex) = regex {
        let holds = regex.is_match(&String::from_utf8_lossy(body));
        tally.note(holds, || {
            Difference::new("body.regex", regex.as_str(), has())
        })?;
    }
    for (name, wanted) in form {
        let values = || form_urlencoded::parse(body).filter(|(known, _)| known == name);
        let holds = values().any(|(_, value)| value == *wanted);
        tally.note(holds, || {
            let values: Vec<String> = values().map(|(_, value)| value.into_owned()).collect();
            let has = match values.is_empty() {
                true => "no such field".to_owned(),
                false => values.join(", "),
            };
            Difference::new(format!("body.form.{name}"), wanted, has)
        })?;
    }
    match like {
        None => ControlFlow::Continue(()),
        Some(rules) => check_like(rules, question, tally),
    }
}

#[cfg(feature = "runner")]
fn check_like(
    rules: &BodyRules,
    question: &Question<'_>,
    tally: &mut impl Tally,
) -> ControlFlow<()> {
    let (headers, body) = (&question.request.headers, question.body_as_sent());
    let mut found = Comparison::default();
    compare_sent_bodies(None, (headers, body), rules, &mut found);
    let first = found.mismatches.first();
    if let Some(Why::TooCostly(why)) = first.and_then(|first| first.why.clone()) {
        question.fail(Undecided::Path(why));
    }
    tally.note(first.is_none(), || {
        let place = first.map(|first| first.place.to_string());
        Difference::new(
            "body.like",
            "the given body",
            format!("another value at {}", place.unwrap_or_default()),
        )
    })
}

/// Without the runner, no rule with `like` is accepted.
#[cfg(not(feature = "runner"))]
fn check_like(_: &BodyRules, _: &Question<'_>, tally: &mut impl Tally) -> ControlFlow<()> {
    tally.note(false, || Difference::new("body.like", "", ""))
}

/// Returns the beginning of a body, for display.
fn beginning(body: &[u8]) -> String {
    const MOST: usize = 200;
    let text = String::from_utf8_lossy(body);
    let mut shown: String = text.chars().take(MOST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

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

/// Returns whether an attribute equals a tag by its value or, if one of them is a string and the other is
/// not, by its text.
fn tag_equals(wanted: &Value, has: &Value) -> bool {
    let text = |value: &Value| match json::as_text(value) {
        Some(text) => text.to_owned(),
        None => json::show(value),
    };
    json::equals(wanted, has)
        || (json::as_text(wanted).is_some() != json::as_text(has).is_some()
            && text(wanted) == text(has))
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
