//! The exchanges that answer every case of a suite.

use std::collections::HashSet;
use std::sync::Arc;

use super::narrow::exact;
use crate::base::document::{Place, Problems};
use crate::base::http::{Direction, Request};
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
}

impl SharedMocks {
    /// Returns whether a case's own exchange is one that is shared, so that it need not be used. One that is only like an
    /// exchange of a file is the case's own.
    pub(super) fn contains(&self, exchange: &Exchange) -> bool {
        let mut listed = self.matches.iter();
        listed.any(|when| fits(when, exchange))
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

    /// Adds an exchange that these predicates found, unless an equal one is already known.
    pub(super) fn add(&mut self, found_by: &When, exchange: &Exchange, known: &mut HashSet<Call>) {
        let Ok(response) = exchange.response() else {
            return;
        };
        let Request {
            method,
            host,
            path,
            query,
            ..
        } = &exchange.request;
        let body = exchange.request_body().map(<[u8]>::to_vec);
        let target = (method.clone(), host.clone(), path.clone(), query.clone());
        if !known.insert((target, body)) {
            return;
        }
        let when = alike(found_by, exchange);
        let response = MockResponse::from(response).failure(exchange.failure());
        let mock = Mock::read(when).response(response);
        let name = format!("shared[{}] {}", self.mocks.len() + 1, exchange.request);
        self.mocks.push((name, mock));
    }
}

/// A call with its body, if that was captured.
pub(super) type Call = ((String, String, String, Option<String>), Option<Vec<u8>>);

/// Returns the predicates for this call with a body like the captured one, unless they say what the body must be:
/// what is shared answers no other call to the same place.
fn alike(when: &When, exchange: &Exchange) -> When {
    let mut alike = exact(when, exchange);
    let body = exchange.request_body().filter(|body| !body.is_empty());
    let text = body.and_then(|body| std::str::from_utf8(body).ok());
    if let Some(text) = text
        && !alike.is_about_the_body()
    {
        alike.require_body_like(text);
    }
    alike
}

/// Returns whether these predicates match a captured call.
pub(super) fn fits(when: &When, exchange: &Exchange) -> bool {
    let service = exchange.service.as_deref();
    let question = Question::new(&exchange.request, Direction::Outbound, "", service, &[]);
    when.matches(&question)
}
