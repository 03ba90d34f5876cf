//! The exchanges that answer every case of a suite.

use std::collections::HashSet;
use std::sync::Arc;

use super::narrow::exact;
use crate::base::document::{Place, Problems};
use crate::base::http::Direction;
use crate::case::Exchange;
use crate::rule::{Question, Rule, When};
use crate::sdk::{Mock, MockResponse};

/// The exchanges that answer every case, as mocks.
#[derive(Debug, Default)]
pub(crate) struct SharedMocks {
    /// The mocks with their names, the first to answer last.
    pub(super) mocks: Vec<(String, Mock)>,
    /// The predicates of the exchanges that are shared by the suite's cases.
    pub(super) matches: Vec<Arc<When>>,
    /// The calls of the exchanges that come from files.
    pub(super) from_files: Vec<When>,
}

impl SharedMocks {
    /// Returns whether a case's own exchange is one that is shared, so that it need not be used.
    pub(super) fn contains(&self, exchange: &Exchange) -> bool {
        let mut listed = self.matches.iter().map(|when| &**when);
        listed.any(|when| fits(when, exchange))
            || self.from_files.iter().any(|when| fits(when, exchange))
    }

    /// Returns the mocks as rules, for a proxy to answer from while no session is open.
    pub(super) fn rules(&self) -> Vec<Arc<Rule>> {
        let mut problems = Problems::default();
        let rules = self.mocks.iter().filter_map(|(name, mock)| {
            let mock = mock.clone().name(name);
            mock.into_rule(&Place::root(), &mut problems).ok().flatten()
        });
        rules.map(Arc::new).collect()
    }

    /// Adds an exchange, unless its call is already known.
    pub(super) fn add(&mut self, exchange: &Exchange, known: &mut HashSet<String>) {
        let Ok(response) = exchange.response() else {
            return;
        };
        if !known.insert(exchange.request.to_string()) {
            return;
        }
        let when = exact(&When::default(), exchange);
        let mock =
            Mock::read(when).response(MockResponse::from(response).failure(exchange.failure()));
        let name = format!("shared[{}] {}", self.mocks.len() + 1, exchange.request);
        self.mocks.push((name, mock));
    }
}

/// Returns whether these predicates match a captured call.
pub(super) fn fits(when: &When, exchange: &Exchange) -> bool {
    let service = exchange.service.as_deref();
    let question = Question::new(&exchange.request, Direction::Outbound, "", service, &[]);
    when.matches(&question)
}
