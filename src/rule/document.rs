//! A rule, and the documents that hold rules.

use std::sync::Arc;

use serde_json::{Value, json};

use super::then::{Then, read_then};
use super::when::When;
use crate::base::document::{Node, Place, Problems};

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

    /// Reads `{"version": 1, "rules": […]}`.
    ///
    /// # Errors
    ///
    /// Every fault in the document, each with its place (`rules[2].when.direciton: unknown field;
    /// did you mean direction?`).
    pub(crate) fn read_document(document: &Value) -> Result<Vec<Self>, Problems> {
        let mut problems = Problems::default();
        let rules = read_document(document, &mut problems);
        problems.into_result(rules)
    }

    /// Reads a list of rules that stands at `place` in a larger document.
    ///
    /// # Errors
    ///
    /// Every fault in the list, each with its place.
    pub(crate) fn read_list(rules: &[Value], place: &Place) -> Result<Vec<Self>, Problems> {
        let mut problems = Problems::default();
        let rules = rules
            .iter()
            .enumerate()
            .filter_map(|(n, rule)| Self::read(&Node::at(rule, place.index(n)), &mut problems))
            .collect();
        problems.into_result(Some(rules))
    }

    /// Reads one rule.
    pub(crate) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let object = node.object(
            &["name", "id", "priority", "consume", "when", "then"],
            problems,
        )?;
        let name = object.get("name").or_else(|| object.get("id"));
        let name = match name {
            Some(node) => Some(node.string(problems)?),
            None => None,
        };
        let priority = match object.get("priority") {
            Some(node) => node.integer(i64::MIN, i64::MAX, problems)?,
            None => 0,
        };
        let consume = match object.get("consume") {
            Some(node) => read_consume(&node, problems)?,
            None => Consume::Many,
        };
        let when = match object.get("when") {
            Some(node) => When::read(&node, problems),
            None => Some(When::default()),
        };
        let then = object.require("then", problems)?;
        let then = read_then(&then, problems);
        Some(Self {
            name,
            priority,
            consume,
            when: when?,
            then: then?,
        })
    }
}

fn read_document(document: &Value, problems: &mut Problems) -> Option<Vec<Rule>> {
    let object = Node::root(document).object(&["version", "rules"], problems)?;
    if let Some(version) = object.get("version") {
        version.integer(1, 1, problems);
    }
    let rules = object.require("rules", problems)?.list(problems)?;
    Some(
        rules
            .iter()
            .filter_map(|node| Rule::read(node, problems))
            .collect(),
    )
}

/// How often a rule answers, by its word.
pub(crate) const CONSUMES: [(&str, Consume); 2] =
    [("many", Consume::Many), ("once", Consume::Once)];

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

/// Reads `many` or `once`.
pub(crate) fn read_consume(node: &Node<'_>, problems: &mut Problems) -> Option<Consume> {
    node.choice(&CONSUMES, problems)
}
