//! The documents that change a session: read and checked before anything is changed.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::base::document::{Node, Place, Problems};
use crate::case::Case;
use crate::control::{Action, ControlError, Mode};
use crate::rule::{Policy, Rule, RuleState};

/// A document that has been read and checked, ready to be stored.
pub(super) enum Change {
    Case(LoadedCase),
    /// The rules, with their document if they arrived over a wire.
    Rules(Vec<Arc<Rule>>, Option<Value>),
    /// The policy, with its document if it arrived over a wire.
    Policy(Policy, Option<Value>),
    AuthFixtures(Value),
}

/// What is kept of a loaded case. Its spans are dropped: they answer no request.
pub(super) struct LoadedCase {
    pub(super) id: String,
    pub(super) traces: usize,
    pub(super) service: Option<String>,
    pub(super) rules: Vec<RuleState>,
    pub(super) fixtures: Vec<(String, Value)>,
}

/// The settings that a session is started with.
pub(super) struct Start {
    pub(super) mode: Mode,
    pub(super) policy: Policy,
    /// The policy as it was posted, if it arrived over a wire.
    pub(super) policy_document: Option<Value>,
    /// The id of the case that a capture session records.
    pub(super) case_id: Option<String>,
}

impl Change {
    /// Reads the change that an action makes; returns `None` if it makes none.
    pub(super) fn read(action: &Action) -> Result<Option<Self>, ControlError> {
        Ok(Some(match action {
            Action::LoadCase(document) => {
                let case = Case::from_document(document.clone());
                let case = case.map_err(|error| ControlError::invalid(error.to_string()))?;
                Self::case(&case)?
            }
            Action::SetRules(document) => {
                let rules = Rule::read_document(document).map_err(invalid)?;
                let rules = rules.into_iter().map(Arc::new).collect();
                let listed = match document.get("rules") {
                    Some(_) => document.clone(),
                    // A single rule.
                    None => json!({"version": 1, "rules": [document]}),
                };
                Self::Rules(rules, Some(listed))
            }
            Action::SetPolicy(document) => {
                let policy = Policy::from_value(document).map_err(invalid)?;
                Self::Policy(policy, Some(document.clone()))
            }
            Action::SetAuthFixtures(document) => Self::auth_fixtures(document)?,
            Action::Stats | Action::Requests | Action::State | Action::Case | Action::Close(_) => {
                return Ok(None);
            }
        }))
    }

    /// Returns the change that loads a case.
    pub(super) fn case(case: &Case) -> Result<Self, ControlError> {
        let rules =
            Rule::read_list(&case.exact_rules(), &Place::root().key("rules")).map_err(invalid)?;
        let rules = rules.into_iter().map(Arc::new);
        Ok(Self::Case(LoadedCase {
            id: case.id().to_owned(),
            traces: case.trace_count(),
            service: case.service().map(str::to_owned),
            rules: rules.map(RuleState::new).collect(),
            fixtures: case.fixtures().to_vec(),
        }))
    }

    /// Returns the change that sets auth fixtures.
    pub(super) fn auth_fixtures(document: &Value) -> Result<Self, ControlError> {
        check_auth_fixtures(document)?;
        Ok(Self::AuthFixtures(document.clone()))
    }
}

impl Start {
    pub(super) fn read(body: &Value) -> Result<Self, ControlError> {
        let mut problems = Problems::default();
        let start = Self::read_body(body, &mut problems);
        problems.into_result(start).map_err(invalid)
    }

    fn read_body(body: &Value, problems: &mut Problems) -> Option<Self> {
        let object = Node::root(body).object(&["mode", "policy", "caseId"], problems)?;
        let mode = object.require("mode", problems);
        let mode = mode.and_then(|node| node.choice(&Mode::NAMES, problems));
        let policy = object.given("policy");
        let case_id = object.given("caseId");
        Some(Self {
            policy: match &policy {
                None => Policy::default(),
                Some(node) => Policy::read(node, false, problems)?,
            },
            policy_document: policy.map(|node| node.value.clone()),
            case_id: match case_id {
                None => None,
                Some(node) => Some(node.string(problems)?),
            },
            mode: mode?,
        })
    }
}

fn check_auth_fixtures(document: &Value) -> Result<(), ControlError> {
    let mut problems = Problems::default();
    let known = ["tokens", "cookies", "metadata", "fixtures"];
    if let Some(object) = Node::root(document).object(&known, &mut problems) {
        for name in ["tokens", "cookies"] {
            if let Some(node) = object.given(name) {
                node.list(&mut problems);
            }
        }
        if let Some(node) = object.given("metadata") {
            node.map(&mut problems);
        }
        let fixtures = object.given("fixtures").and_then(|n| n.list(&mut problems));
        let mut names = HashSet::new();
        for node in fixtures.unwrap_or_default() {
            let Some(fixture) = node.object(&["name", "value"], &mut problems) else {
                continue;
            };
            fixture.require("value", &mut problems);
            let name = fixture.require("name", &mut problems);
            let name = name.and_then(|name| name.string(&mut problems));
            if let Some(name) = name
                && !names.insert(name.clone())
            {
                problems.add(&node.place, format!("`{name}` is defined twice"));
            }
        }
    }
    // Every value here may be a secret.
    let checked = problems.into_result(Some(()));
    checked.map_err(|problems| invalid(problems.without_values()))
}

pub(super) fn invalid(fault: impl fmt::Display) -> ControlError {
    ControlError::invalid(fault.to_string())
}
