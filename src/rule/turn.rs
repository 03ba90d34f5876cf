//! The captured exchange that a rule replays, where a call has several of them.

use std::sync::Arc;

use super::body::BodyPredicate;
use super::question::Question;
use crate::case::{Case, Exchange};
use crate::compare::{Comparison, RequestRules, compare_sent_bodies};

/// The place of a rule among those that replay the exchanges of one call. All of them match the same requests;
/// the request's body decides which one answers.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    /// The same number for all exchanges of the call.
    pub(crate) call: usize,
    /// The exchange's position among those of the call, in captured order.
    pub(crate) position: usize,
    /// The case.
    pub(crate) case: Arc<Case>,
    /// The exchange's index in the case.
    pub(crate) exchange: usize,
    /// How the requests are compared.
    pub(crate) rules: Arc<RequestRules>,
}

impl Turn {
    fn captured(&self) -> Option<&Exchange> {
        self.case.exchanges().get(self.exchange)
    }

    /// Returns whether the body of a request equals the captured one; a body that was not captured equals none.
    pub(super) fn fits(&self, question: &Question<'_>) -> bool {
        let Some(exchange) = self.captured() else {
            return false;
        };
        let Some(body) = exchange.request_body() else {
            return false;
        };
        let mut found = Comparison::default();
        let request = question.request;
        compare_sent_bodies(
            Some((&exchange.request.headers, body)),
            (&request.headers, &request.body),
            &self.rules.body,
            &mut found,
        );
        found.mismatches.is_empty()
    }

    /// Returns the predicate for bodies that equal the captured one; `None` if that can't be said in a predicate.
    pub(super) fn predicate(&self) -> Option<BodyPredicate> {
        let body = std::str::from_utf8(self.captured()?.request_body()?).ok()?;
        Some(BodyPredicate::like(body, &self.rules.body))
    }
}
