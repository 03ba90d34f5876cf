//! A rule, and the document that lists rules.

use std::sync::Arc;

use serde_json::{Value, json};

use super::then::Then;
#[cfg(feature = "runner")]
use super::turn::Turn;
use super::when::When;
use crate::base::document::{Place, Problems};

/// One rule: `{"name", "priority", "consume", "when", "then"}`.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// The name in reports; the field `id` is accepted instead.
    pub name: Option<String>,
    /// The priority: the highest wins; the default is 0.
    pub priority: i64,
    /// How many matching requests it answers.
    pub consume: Consume,
    /// Which requests it matches.
    pub when: When,
    /// What it does with them.
    pub then: Then,
    /// The rule as it was given, if fixtures have to be put into it. Until then, its other fields only stand for them.
    #[cfg(feature = "embedded")]
    pub template: Option<Arc<Value>>,
    /// Its place among the rules that replay the exchanges of one call.
    #[cfg(feature = "runner")]
    pub turn: Option<Turn>,
}

/// How many matching requests a rule answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Consume {
    /// All of them.
    #[default]
    Many,
    /// Only the first.
    Once,
}

impl Rule {
    /// Returns the rule as the control API expects it.
    pub(crate) fn to_value(&self) -> Value {
        let Self {
            name,
            priority,
            consume,
            when,
            then,
            #[cfg(feature = "embedded")]
            template,
            #[cfg(feature = "runner")]
                turn: _,
        } = self;
        #[cfg(feature = "embedded")]
        if let Some(template) = template {
            return Value::clone(template);
        }
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

    /// Checks a rule that was not read from JSON, and adds whatever reading it would have rejected to
    /// `problems`.
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

/// Returns `{"version": 1, "rules": […]}`, as the control API expects it.
pub(crate) fn rules_document(rules: &[Arc<Rule>]) -> Value {
    let rules: Vec<Value> = rules.iter().map(|rule| rule.to_value()).collect();
    json!({"version": 1, "rules": rules})
}
