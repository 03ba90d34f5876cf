//! Finds the inbound exchange of a case.

use std::collections::{HashMap, HashSet};

use thiserror::Error;

use super::exchange::{Exchange, Kind, SpanSummary};
use crate::base::http::Direction;

/// More than one span could be the inbound exchange.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{} spans could be the inbound exchange; mark one with sp.traffic.direction = inbound:{}",
    spans.len(),
    spans.iter().map(|span| format!("\n  {span}")).collect::<String>()
)]
#[non_exhaustive]
pub struct AmbiguousInbound {
    /// The spans, in captured order.
    pub spans: Vec<SpanSummary>,
}

/// Returns the index of the inbound exchange: the one with that direction; if there is none, the one with
/// the session header, which only a first hop carries; otherwise, the ancestor of all others.
pub(super) fn find(exchanges: &[Exchange]) -> Result<Option<usize>, AmbiguousInbound> {
    let by = |keep: &dyn Fn(&Exchange) -> bool| -> Vec<usize> {
        (0..exchanges.len())
            .filter(|&n| keep(&exchanges[n]))
            .collect()
    };
    let mut found = by(&|x| x.direction == Some(Direction::Inbound));
    if found.is_empty() {
        found = by(&Exchange::has_session_header);
    }
    if found.is_empty() && exchanges.len() > 1 {
        found = by(&|x| {
            matches!(x.kind, Kind::Server | Kind::Unspecified) && is_ancestor_of_all(x, exchanges)
        });
    }
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        several => Err(AmbiguousInbound {
            spans: several.iter().map(|&n| exchanges[n].summary()).collect(),
        }),
    }
}

fn is_ancestor_of_all(candidate: &Exchange, exchanges: &[Exchange]) -> bool {
    let parents: HashMap<&str, &str> = exchanges
        .iter()
        .filter_map(|x| Some((x.span_id.as_str(), x.parent_span_id.as_deref()?)))
        .collect();
    exchanges
        .iter()
        .filter(|x| x.span_id != candidate.span_id)
        .all(|x| {
            let mut seen = HashSet::new();
            let mut at = x.span_id.as_str();
            // A damaged capture may contain a loop of parents, which must not be followed forever.
            while let Some(parent) = parents.get(at)
                && seen.insert(at)
            {
                if *parent == candidate.span_id {
                    return true;
                }
                at = parent;
            }
            false
        })
}
