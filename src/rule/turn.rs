//! The captured exchange that a rule replays, where a call has several of them.

use std::sync::Arc;

use super::body::BodyPredicate;
use super::question::Question;
use crate::case::{Case, Exchange};
use crate::compare::{BodyMode, BodyRules, Comparison, RequestRules, compare_sent_bodies};

/// How well the body of a request fits a captured one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// Not at all.
    None,
    /// As the rules for bodies say, but it has more than was captured.
    Like,
    /// It is equal.
    Equal,
}

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

    /// Returns how well the body of a request fits the captured one; a body that was not captured fits none.
    pub(super) fn fit(&self, question: &Question<'_>) -> Fit {
        let rules = &self.rules.body;
        let is_subset = matches!(rules.mode, None | Some(BodyMode::JsonSubset));
        if !self.has_like(question, rules) {
            return Fit::None;
        }
        let exactly = BodyRules {
            mode: Some(BodyMode::Exact),
            ..rules.clone()
        };
        match !is_subset || self.has_like(question, &exactly) {
            true => Fit::Equal,
            false => Fit::Like,
        }
    }

    fn has_like(&self, question: &Question<'_>, rules: &BodyRules) -> bool {
        let captured = self.captured();
        let Some((exchange, body)) = captured.and_then(|x| Some((x, x.request_body()?))) else {
            return false;
        };
        let mut found = Comparison::default();
        let request = question.request;
        compare_sent_bodies(
            Some((&exchange.request.headers, body)),
            (&request.headers, &request.body),
            rules,
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
