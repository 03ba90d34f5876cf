//! A rule in a session.

use std::sync::Arc;

use super::document::{Consume, Rule};

/// A rule, and how often it has been used in a session.
#[derive(Debug, Clone)]
pub(crate) struct RuleState {
    /// The rule.
    pub rule: Arc<Rule>,
    /// How many requests it has answered or let pass.
    pub uses: u64,
}

impl RuleState {
    /// Creates the state of a rule that has not been used.
    pub(crate) fn new(rule: Arc<Rule>) -> Self {
        Self { rule, uses: 0 }
    }

    /// Returns whether it has been used as often as it may be.
    pub(crate) fn is_spent(&self) -> bool {
        self.rule.consume == Consume::Once && self.uses > 0
    }
}
