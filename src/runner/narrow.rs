//! Predicates for exactly one captured call.

use crate::case::Exchange;
use crate::rule::{When, WholeQuery};

/// Returns the predicates for exactly this call; a path that ends in a bare `?` only matches a request
/// without a query.
pub(super) fn exact(when: &When, exchange: &Exchange) -> When {
    narrowed(when, exchange, &[])
}

/// Returns the predicates as [`exact`] does, without the values of some names in the query.
pub(super) fn narrowed(when: &When, exchange: &Exchange, ignore: &[String]) -> When {
    let request = &exchange.request;
    let query = request.query.as_deref().unwrap_or_default();
    let mut narrowed = when.clone();
    let lookup = &mut narrowed.lookup;
    if ignore.is_empty() {
        lookup.path = Some(format!("{}?{query}", request.path));
    } else {
        lookup.path = Some(request.path.clone());
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
