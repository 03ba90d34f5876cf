//! Compares a request that the application sends with the captured one.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value;

use super::assertions::HeaderRules;
use super::body::{self, Body};
use super::change::{Barrier, Change, Risk};
use super::form;
use super::headers;
use super::mismatch::{Comparison, MessagePlace, Mismatch, Side};
use super::parts::Parts;
use super::rules::{BodyMode, BodyRules};
use crate::base::decode::decoded;
use crate::base::http::{Headers, MASKED, Request, is_secret_name, query_pairs};
use crate::base::json::{self, Query};
use crate::base::masked::holds_placeholder;

/// What is compared of the requests that the application sends.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestRules {
    /// How bodies are compared.
    pub(crate) body: BodyRules,
    /// Names in the query that are not compared.
    pub(crate) query_ignore: Vec<String>,
    /// Which headers are compared.
    pub(crate) headers: HeaderRules,
}

/// A captured request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CapturedRequest<'c> {
    /// The request.
    pub(crate) request: &'c Request,
    /// Whether its body was captured; an absent one is compared with nothing.
    pub(crate) has_body: bool,
}

/// Compares a request with the captured one whose answer it got.
pub(crate) fn compare_requests(
    captured: CapturedRequest<'_>,
    actual: &Request,
    rules: &RequestRules,
) -> Comparison {
    let mut found = Comparison::default();
    let CapturedRequest { request, has_body } = captured;
    compare_queries(request, actual, &rules.query_ignore, &mut found.mismatches);
    headers::compare_sent(
        &request.headers,
        &actual.headers,
        &rules.headers,
        &mut found.mismatches,
    );
    let captured = has_body.then_some((&request.headers, request.body.as_slice()));
    compare_sent_bodies(
        captured,
        (&actual.headers, &actual.body),
        &rules.body,
        &mut found,
    );
    found
}

/// A body with its headers.
type Sent<'b> = (&'b Headers, &'b [u8]);

/// Compares the bodies of requests: decoded, and forms by their names and values.
pub(crate) fn compare_sent_bodies(
    captured: Option<Sent<'_>>,
    actual: Sent<'_>,
    rules: &BodyRules,
    found: &mut Comparison,
) {
    if rules.mode == Some(BodyMode::Ignore) && rules.matches.is_empty() {
        return;
    }
    let is_plain = rules.matches.is_empty() && rules.expected.is_none();
    if is_plain && captured.is_some_and(|(_, body)| body == actual.1) {
        return;
    }
    let plain = |(headers, body): Sent<'_>| decoded(headers, body).0.into_owned();
    let (captured_body, actual_body) = (captured.map(plain), plain(actual));
    let as_form = |headers: &Headers, body: &[u8]| match rules.mode {
        Some(BodyMode::String) => None,
        _ => form::as_json(headers, body),
    };
    if let Some(form) = as_form(actual.0, &actual_body) {
        // A stated text has no headers of its own.
        let stated = rules.expected.as_ref().and_then(json::as_text);
        let stated = stated.and_then(|text| as_form(actual.0, text.as_bytes()));
        let was = captured.zip(captured_body.as_deref());
        let was = was.and_then(|((headers, _), body)| as_form(headers, body));
        if was.is_some() || captured.is_none() {
            let rules = match stated {
                Some(stated) => Cow::Owned(BodyRules {
                    expected: Some(stated),
                    ..rules.clone()
                }),
                None => Cow::Borrowed(rules),
            };
            let was_form = was.clone();
            let was = was.map(|was| was.to_string());
            let (is, headers) = (form.to_string(), &*JSON);
            let of = |bytes| Body { bytes, headers };
            let first = found.mismatches.len();
            body::compare(
                was.as_ref().map(|was| of(was.as_bytes())),
                of(is.as_bytes()),
                &rules,
                found,
            );
            let sent = Parts::of_form(actual.0, &actual_body).unwrap_or_default();
            let kept = kept_names(&rules, [was_form, Some(form)]);
            for mismatch in &mut found.mismatches[first..] {
                by_name(mismatch, &sent, &kept);
            }
            return;
        }
    }
    let captured = captured.zip(captured_body.as_deref());
    let captured = captured.map(|((headers, _), bytes)| Body { bytes, headers });
    let actual = Body {
        bytes: &actual_body,
        headers: actual.0,
    };
    body::compare(captured, actual, rules, found);
}

/// Returns the first step of a JSON pointer.
fn first_step(pointer: &str) -> Option<String> {
    let step = pointer.split('/').nth(1)?;
    Some(step.replace("~1", "/").replace("~0", "~"))
}

/// Returns the names of forms of which the suite leaves out, redacts or matches something; `None` stands for all.
fn kept_names(rules: &BodyRules, forms: [Option<Value>; 2]) -> BTreeSet<Option<String>> {
    let redactions = rules.redactions.iter().map(|(query, _)| query);
    let matches = rules.matches.iter().map(|(query, _)| query);
    let all = rules.ignore.iter().chain(redactions).chain(matches);
    let all: Vec<&Query> = all.chain(&rules.masked).collect();
    let mut names = BTreeSet::new();
    for form in forms.iter().flatten() {
        let pointers = all
            .iter()
            .flat_map(|query| query.pointers(form).unwrap_or_default());
        names.extend(pointers.map(|pointer| first_step(&pointer)));
    }
    names
}

/// Has a mismatch of the JSON that stands for a form change the form, by its names. A name is sent as a whole, so nothing of it
/// could keep what was captured.
fn by_name(mismatch: &mut Mismatch, sent: &Parts<'_>, kept: &BTreeSet<Option<String>>) {
    let changes = std::mem::take(&mut mismatch.changes);
    let names = changes.iter().filter_map(|change| match change {
        Change::Json { at, to: _ } => first_step(at),
        _ => None,
    });
    let names: BTreeSet<String> = names.collect();
    if names
        .iter()
        .any(|name| kept.contains(&None) || kept.contains(&Some(name.clone())))
    {
        return mismatch.bar(Barrier::PartOfName);
    }
    mismatch.changes = names
        .into_iter()
        .map(|name| Change::Form {
            parts: sent.named(&name),
            name,
        })
        .collect();
}

/// The headers of a form that was turned into JSON.
static JSON: LazyLock<Headers> =
    LazyLock::new(|| Headers::from_iter([("content-type", "application/json")]));

/// Compares the names and values of two queries; the order of different names means nothing.
fn compare_queries(
    captured: &Request,
    actual: &Request,
    ignore: &[String],
    mismatches: &mut Vec<Mismatch>,
) {
    if captured.query == actual.query {
        return;
    }
    let (was, is) = (pairs(captured, ignore), pairs(actual, ignore));
    let sent = Parts::of_pairs(actual.query.as_deref().unwrap_or_default().as_bytes());
    let mut names: Vec<&String> = was.keys().chain(is.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let is_masked = |values: &Vec<String>| values.iter().any(|value| holds_placeholder(value));
    // What comes where a placeholder goes may be the secret, under another name.
    let loses_secret = was
        .iter()
        .any(|(name, values)| is_masked(values) && is.get(name) != Some(values));
    for name in names {
        let (was, is) = (was.get(name), is.get(name));
        if was != is {
            let side =
                |values: Option<&Vec<String>>| values.cloned().map(|values| shown(name, values));
            let mismatch = Mismatch {
                expected: side(was),
                actual: side(is),
                ..Mismatch::new(
                    MessagePlace::Query(name.clone()),
                    Side::Hidden,
                    Side::Hidden,
                )
            };
            mismatches.push(match loses_secret && is.is_some() {
                true => mismatch.barred_by(Barrier::Secret),
                false => mismatch.accepted_by(
                    Risk::High,
                    Change::Query {
                        name: name.clone(),
                        parts: sent.named(name),
                    },
                ),
            });
        }
    }
}

fn shown(name: &str, values: Vec<String>) -> Side {
    match is_secret_name(name) {
        true => Side::Values(vec![MASKED.to_owned(); values.len()]),
        false => Side::Values(values),
    }
}

fn pairs(request: &Request, ignore: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut pairs = query_pairs(request.query.as_deref().unwrap_or_default());
    pairs.retain(|name, _| !ignore.contains(name));
    pairs
}
