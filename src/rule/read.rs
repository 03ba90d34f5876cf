//! Reads rules: a document, a list, or a single rule.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::document::{Consume, Rule};
use super::message::{RESPONSE_FIELDS, read_response};
use super::redaction::Redaction;
use super::template::checkable;
use super::then::{Then, read_latency};
use super::when::When;
use crate::base::document::{Node, Place, Problems};
use crate::base::http::{Failure, Response};

impl Rule {
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

    /// Reads a list of rules that is at `place` in a larger document.
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
        if node.value.get("expand") == Some(&Value::Bool(true)) {
            let checkable = checkable(node.value);
            let rule = Self::read_filled(&Node::at(&checkable, node.place.clone()), problems)?;
            return Some(Self {
                template: Some(Arc::new(node.value.clone())),
                ..rule
            });
        }
        Self::read_filled(node, problems)
    }

    /// Reads a rule in which every fixture is in its place.
    pub(super) fn read_filled(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let object = node.object(
            &[
                "name", "id", "priority", "consume", "expand", "when", "then",
            ],
            problems,
        )?;
        if let Some(node) = object.given("expand")
            && !node.value.is_boolean()
        {
            return node.wrong("true or false", problems);
        }
        let name = object.given("name").or_else(|| object.given("id"));
        let name = match name {
            Some(node) => Some(node.string(problems)?),
            None => None,
        };
        let priority = match object.given("priority") {
            Some(node) => node.integer(i64::MIN, i64::MAX, problems)?,
            None => 0,
        };
        let consume = match object.given("consume") {
            Some(node) => read_consume(&node, problems)?,
            None => Consume::Many,
        };
        let when = match object.given("when") {
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
            template: None,
            #[cfg(feature = "runner")]
            turn: None,
        })
    }
}

fn read_document(document: &Value, problems: &mut Problems) -> Option<Vec<Rule>> {
    let is_single =
        |document: &Value| document.get("then").is_some() && document.get("rules").is_none();
    if is_single(document) {
        return Some(vec![Rule::read(&Node::root(document), problems)?]);
    }
    let object = Node::root(document).object(&["version", "rules"], problems)?;
    if let Some(version) = object.given("version") {
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

/// The values of `consume`, by name.
pub(crate) const CONSUMES: [(&str, Consume); 2] =
    [("many", Consume::Many), ("once", Consume::Once)];

/// Reads `consume`: `many` or `once`.
pub(crate) fn read_consume(node: &Node<'_>, problems: &mut Problems) -> Option<Consume> {
    node.choice(&CONSUMES, problems)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ActionWord {
    Mock,
    Error,
    Fault,
    Passthrough,
    CaptureOnly,
}

/// Reads a `then`.
fn read_then(node: &Node<'_>, problems: &mut Problems) -> Option<Then> {
    let object = node.object(
        &["action", "response", "error", "fault", "captureOnly"],
        problems,
    )?;
    let action_node = object.require("action", problems)?;
    if action_node.value == "replay" {
        problems.add(
            &action_node.place,
            "`replay` is no longer supported; look the response up with find_in_case and register \
             it with mock_outbound",
        );
        return None;
    }
    let action = action_node.choice(
        &[
            ("mock", ActionWord::Mock),
            ("error", ActionWord::Error),
            ("fault", ActionWord::Fault),
            ("passthrough", ActionWord::Passthrough),
            ("capture_only", ActionWord::CaptureOnly),
        ],
        problems,
    )?;
    let failure = match object.given("fault") {
        Some(node) if action == ActionWord::Fault => Some(node.choice(&Failure::NAMES, problems)?),
        _ => None,
    };
    let fits = |name: &str| match name {
        "response" => action == ActionWord::Mock || failure == Some(Failure::Truncated),
        "error" => action == ActionWord::Error,
        "captureOnly" => action == ActionWord::CaptureOnly,
        _ => action == ActionWord::Fault,
    };
    for name in ["response", "error", "fault", "captureOnly"] {
        if let Some(stray) = object.given(name)
            && !fits(name)
        {
            problems.add(
                &stray.place,
                format!("`{name}` can't be used with this action"),
            );
        }
    }
    match action {
        ActionWord::Mock => {
            let node = object.require("response", problems)?;
            let known = [RESPONSE_FIELDS, &["latencyMs"]].concat();
            let response = node.object(&known, problems)?;
            let latency = match response.given("latencyMs") {
                Some(node) => read_latency(&node, problems)?,
                None => Duration::ZERO,
            };
            Some(Then::Mock {
                response: Arc::new(read_response(&response, 200, problems)?),
                latency,
            })
        }
        ActionWord::Error => {
            let node = object.require("error", problems)?;
            read_error(&node, problems).map(|error| Then::Error(Arc::new(error)))
        }
        ActionWord::Fault => {
            object.require("fault", problems)?;
            let failure = failure?;
            let response = match failure {
                Failure::Truncated => {
                    let response = object.require("response", problems)?;
                    let response = response.object(RESPONSE_FIELDS, problems)?;
                    read_response(&response, 200, problems)?
                }
                _ => Response::default(),
            };
            let response = Arc::new(response);
            Some(Then::Fault { failure, response })
        }
        ActionWord::Passthrough => Some(Then::Passthrough),
        ActionWord::CaptureOnly => {
            let redaction = match object.given("captureOnly") {
                Some(node) => Redaction::read(&node, problems)?,
                None => Redaction::default(),
            };
            Some(Then::CaptureOnly(Arc::new(redaction)))
        }
    }
}

/// Reads the `{status, headers, body}` of an error rule; the status defaults to 500.
pub(crate) fn read_error(node: &Node<'_>, problems: &mut Problems) -> Option<Response> {
    let object = node.object(RESPONSE_FIELDS, problems)?;
    read_response(&object, 500, problems)
}
