//! Finds the captured exchange that comes closest to a call that nothing answered.

use std::collections::BTreeSet;
use std::ptr;

use super::mocks::Watched;
use crate::base::http::{
    Host, MASKED, is_secret_name, query_pairs, same_path, split_target, with_ids, without_id,
};
use crate::case::{Case, Exchange};
use crate::control::Miss;
use crate::report::{FieldDifference, MissedCall, NearestExchange, NotAnswering};

/// Returns a miss with the captured exchange that comes closest; `uses` says how often each rule was used, if that is known.
pub(super) fn with_nearest(
    miss: Miss,
    case: &Case,
    watched: &[Watched<'_>],
    uses: Option<&[u64]>,
) -> MissedCall {
    let fields = |exchange| fields_that_differ(&miss, exchange);
    let compared = case.outbound().map(|exchange| (exchange, fields(exchange)));
    let nearest = compared.min_by_key(|(_, fields)| distance(fields));
    let captured = nearest.map(|(exchange, fields)| NearestExchange {
        exchange: exchange.request.to_string(),
        why: match fields.is_empty() {
            false => NotAnswering::Differs(fields),
            true => why_alike(&miss, case, watched, uses),
        },
    });
    MissedCall { miss, captured }
}

/// Returns how far a call with these differences is from a captured one: another host is another service.
fn distance(fields: &[FieldDifference]) -> usize {
    let weight = |field: &FieldDifference| match field.field.as_str() {
        "host" => 1_000,
        "path" => {
            let sides = [&field.captured, &field.actual].map(|side| side.as_deref());
            let [captured, actual] = sides.map(Option::unwrap_or_default);
            between_paths(captured, actual)
        }
        "method" => 10,
        _ => 1,
    };
    fields.iter().map(weight).sum()
}

/// Returns how far two paths are from each other: less than a method's difference if only ids differ.
fn between_paths(a: &str, b: &str) -> usize {
    if with_ids(a) == with_ids(b) {
        return 5;
    }
    let (mut a, mut b) = (a.split('/'), b.split('/'));
    let mut differing = 0;
    loop {
        match (a.next(), b.next()) {
            (None, None) => return 20 * differing.min(10),
            (a, b) if a.map(without_id) == b.map(without_id) => {}
            _ => differing += 1,
        }
    }
}

/// Returns why captured exchanges of the same call did not answer.
fn why_alike(
    miss: &Miss,
    case: &Case,
    watched: &[Watched<'_>],
    uses: Option<&[u64]>,
) -> NotAnswering {
    let same: Vec<&Exchange> = case
        .outbound()
        .filter(|exchange| fields_that_differ(miss, exchange).is_empty())
        .collect();
    let replays = |rule: &Watched<'_>| {
        let replayed = rule.replays.as_ref().map(|replays| replays.exchange);
        replayed.is_some_and(|replayed| same.iter().any(|one| ptr::eq(*one, replayed)))
    };
    let rules: Vec<usize> = (0..watched.len())
        .filter(|n| replays(&watched[*n]))
        .collect();
    let is_used = |n: &usize| {
        let used = uses.is_some_and(|uses| uses.get(*n).is_some_and(|uses| *uses > 0));
        used && watched[*n].once
    };
    match () {
        () if rules.is_empty() => NotAnswering::NotMocked,
        () if rules.iter().all(is_used) => NotAnswering::Spent {
            captured: same.len(),
        },
        () => NotAnswering::Alike,
    }
}

fn fields_that_differ(miss: &Miss, exchange: &Exchange) -> Vec<FieldDifference> {
    let request = &exchange.request;
    let differing = |field: &str, captured: &str, actual: &str| FieldDifference {
        field: field.to_owned(),
        captured: Some(captured.to_owned()),
        actual: Some(actual.to_owned()),
    };
    let mut fields = Vec::new();
    if !miss.method.eq_ignore_ascii_case(&request.method) {
        fields.push(differing("method", &request.method, &miss.method));
    }
    if !Host::of(request).is(&miss.host) {
        fields.push(differing("host", &request.host, &miss.host));
    }
    let (path, query) = split_target(&miss.path);
    if !same_path(path, &request.path) {
        fields.push(differing("path", &request.path, path));
    }
    let was = query_pairs(request.query.as_deref().unwrap_or_default());
    let is = query_pairs(query.unwrap_or_default());
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let names = names
        .into_iter()
        .filter(|name| was.get(*name) != is.get(*name));
    fields.extend(names.map(|name| {
        let shown = |values: &Vec<String>| match is_secret_name(name) {
            true => MASKED.to_owned(),
            false => values.join(", "),
        };
        FieldDifference {
            field: format!("query.{name}"),
            captured: was.get(name).map(shown),
            actual: is.get(name).map(shown),
        }
    }));
    fields
}
