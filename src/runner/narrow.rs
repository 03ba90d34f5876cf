//! Predicates for exactly one captured call.

use crate::base::masked::holds_placeholder;
use crate::case::Exchange;
use crate::rule::{When, WholeQuery};

/// Returns the predicates for exactly this call; a path that ends in a bare `?` only matches a request
/// without a query. What stands in place of a secret in the query is never what is sent, so these names may have any value.
pub(super) fn exact(when: &When, exchange: &Exchange) -> When {
    let query = exchange.request.query.as_deref().unwrap_or_default();
    let pairs = form_urlencoded::parse(query.as_bytes());
    let masked = pairs.filter(|(_, value)| holds_placeholder(value));
    let masked: Vec<String> = masked.map(|(name, _)| name.into_owned()).collect();
    narrowed(when, exchange, &masked)
}

/// Returns the predicates as [`exact`] does, without the values of some names in the query.
pub(super) fn narrowed(when: &When, exchange: &Exchange, ignore: &[String]) -> When {
    let request = &exchange.request;
    let query = request.query.as_deref().unwrap_or_default();
    let mut narrowed = when.clone();
    let is_masked = holds_placeholder(&request.path);
    if is_masked {
        narrowed.require_path_like(&request.path);
    }
    let lookup = &mut narrowed.lookup;
    if ignore.is_empty() && !is_masked {
        lookup.path = Some(format!("{}?{query}", request.path));
    } else {
        lookup.path = (!is_masked).then(|| request.path.clone());
        narrowed.whole_query = Some(WholeQuery {
            query: query.to_owned(),
            ignore: ignore.to_vec(),
        });
    }
    let lookup = &mut narrowed.lookup;
    if !request.method.is_empty() {
        lookup.method = Some(request.method.clone());
    }
    if !request.host.is_empty() {
        lookup.host = Some(request.host.clone());
    }
    narrowed
}
