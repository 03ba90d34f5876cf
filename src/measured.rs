//! Entry points for the benchmarks; nothing else may call them.

#![allow(missing_docs, reason = "used only by this project's benchmarks")]

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use crate::base::http::{Direction, Headers, Request, Response};
use crate::compare::{Assertions, Expected, compare};
use crate::hook::Hooks;
use crate::rule::{Answer, Policy, Question, Rule, RuleState, resolve};
use crate::suite::{Draft, SuiteContext};

/// A set of rules, of which one answers a given request.
#[derive(Debug)]
pub struct Resolved {
    rules: Vec<RuleState>,
    request: Request,
}

impl Resolved {
    /// Creates `count` rules, each for its own path.
    pub fn among(count: usize) -> Self {
        let rules: Vec<_> = (0..count)
            .map(|n| {
                json!({
                    "name": format!("m{n}"),
                    "when": {"direction": "outbound", "host": "up.example", "method": "GET", "path": format!("/items/{n}?")},
                    "then": {"action": "mock", "response": {"body": "{}"}},
                })
            })
            .collect();
        let rules = Rule::read_document(&json!({"rules": rules})).unwrap_or_default();
        let rules = rules.into_iter().map(Arc::new);
        Self {
            rules: rules.map(RuleState::new).collect(),
            request: Request {
                method: "GET".to_owned(),
                scheme: "http".to_owned(),
                host: "up.example".to_owned(),
                path: "/items/0".to_owned(),
                ..Request::default()
            },
        }
    }

    /// Returns whether the request is answered.
    pub fn hit(&self) -> bool {
        self.answers(&self.request)
    }

    /// Returns whether a request that matches no rule is answered. Resolving it includes the search
    /// for the nearest rule.
    pub fn miss(&self) -> bool {
        let request = Request {
            path: "/other".to_owned(),
            ..self.request.clone()
        };
        self.answers(&request)
    }

    fn answers(&self, request: &Request) -> bool {
        let question = Question::new(request, Direction::Outbound, "s", None, &[]);
        let decision = resolve(&question, &Policy::strict(), &[], &self.rules);
        matches!(decision.answer, Answer::Mock { .. })
    }
}

/// A captured and an actual body to compare.
#[derive(Debug)]
pub struct Compared {
    expected: String,
    actual: Response,
}

impl Compared {
    pub fn new(expected: String, actual: String) -> Self {
        Self {
            expected,
            actual: Response {
                status: 200,
                headers: Headers::new(),
                body: actual.into_bytes(),
            },
        }
    }

    /// Returns the number of differences.
    pub fn differences(&self) -> usize {
        let expected = Expected {
            status: 200,
            headers: &self.actual.headers,
            body: Some(self.expected.as_bytes().into()),
        };
        compare(Some(&expected), &self.actual, &Assertions::default()).len()
    }
}

/// Reads a suite and returns the number of its entries.
pub fn load_suite(text: &str) -> usize {
    let context = SuiteContext::default();
    let Ok(draft) = Draft::parse(Path::new("s.suite.yaml"), text, &context) else {
        return 0;
    };
    let (suite, _) = draft.finish(&context, &Hooks::new());
    suite.entries.len()
}
