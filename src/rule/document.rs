//! A rule, and the documents that hold rules.

use std::sync::Arc;

use serde_json::{Value, json};

use super::then::Then;
use super::when::When;
use crate::base::document::{Place, Problems};

/// One rule: `{"name", "priority", "consume", "when", "then"}`.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// Its name in reports; `id` is accepted for it.
    pub name: Option<String>,
    /// The highest wins; 0 when it is not given.
    pub priority: i64,
    /// How often it answers.
    pub consume: Consume,
    /// Which requests it answers.
    pub when: When,
    /// With what.
    pub then: Then,
}

/// How often a rule answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Consume {
    /// Every matching request.
    #[default]
    Many,
    /// The first matching request only.
    Once,
}

impl Rule {
    /// The rule as the control API takes it.
    pub(crate) fn to_value(&self) -> Value {
        let Self {
            name,
            priority,
            consume,
            when,
            then,
        } = self;
        let mut rule = json!({
            "priority": priority,
            "consume": consume.name(),
            "when": when.to_value(),
            "then": then.to_value(),
        });
        if let Some(name) = name {
            rule["name"] = name.as_str().into();
        }
        rule
    }

    /// Adds what is wrong with one that was not read from JSON, as reading it would have.
    pub(crate) fn check(&self, place: &Place, problems: &mut Problems) {
        self.then.check(&place.key("then"), problems);
    }
}

impl Consume {
    fn name(self) -> &'static str {
        match self {
            Self::Many => "many",
            Self::Once => "once",
        }
    }
}

/// `{"version": 1, "rules": […]}`, as the control API takes it.
pub(crate) fn rules_document(rules: &[Arc<Rule>]) -> Value {
    let rules: Vec<Value> = rules.iter().map(|rule| rule.to_value()).collect();
    json!({"version": 1, "rules": rules})
}
