//! Entry points for the benchmarks and the fuzz targets. They are not part of the interface, and change
//! without notice.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    reason = "used only by this project's benchmarks and fuzz targets"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::base::document::Way;
use crate::base::http::{Direction, Headers, Request, Response};
use crate::base::json::Tree;
use crate::compare::{Assertions, BodyMode, Expected, Reached, compare};
use crate::hook::Hooks;
use crate::otlp;
use crate::proxy::{Connections, ProxyBuilder};
use crate::rule::{Answer, Policy, Question, Rule, RuleState, resolve};
use crate::scrub::{Rules, Scrubber, rewrite};
use crate::sdk::Softprobe;
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
    assertions: Assertions,
}

impl Compared {
    pub fn new(expected: String, actual: String) -> Self {
        Self {
            expected,
            assertions: Assertions::default(),
            actual: Response {
                status: 200,
                headers: Headers::new(),
                body: actual.into_bytes(),
                trailers: Headers::new(),
            },
        }
    }

    /// Compares under `body.mode: exact`.
    #[must_use]
    pub fn exactly(mut self) -> Self {
        self.assertions.body.mode = Some(BodyMode::Exact);
        self
    }

    /// Returns the number of differences.
    pub fn differences(&self) -> usize {
        let expected = Expected {
            status: 200,
            headers: &self.actual.headers,
            body: Some(self.expected.as_bytes().into()),
            reached: Reached::default(),
        };
        compare(Some(&expected), &self.actual, &self.assertions)
            .mismatches
            .len()
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

/// Decodes protobuf to the JSON of a trace document.
pub fn decode_otlp(bytes: &[u8]) -> Option<Value> {
    otlp::decode(bytes).ok()
}

/// Encodes the JSON of a trace document as protobuf.
pub fn encode_otlp(document: &Value) -> Result<Vec<u8>, String> {
    otlp::encode(document).map_err(|problem| problem.to_string())
}

/// Scrubs the text of a case file as `softprobe scrub` does, and returns it with the number of secrets
/// that were replaced; `None` for
/// a text that the command refuses: not JSON, or with a repeated member.
pub fn scrub(text: &str) -> Option<(String, usize)> {
    let old: Value = serde_json::from_str(text).ok()?;
    let mut repeated = false;
    Tree::parse(text)
        .ok()?
        .repeated(&Way::ROOT, &mut |_| repeated = true);
    if repeated {
        return None;
    }
    let mut scrubber = Scrubber::new(Rules::default(), b"key");
    scrubber.collect(&old);
    let mut new = old.clone();
    let found = scrubber.scrub(&mut new);
    Some((rewrite(text, &old, &new), found.list.len()))
}

/// A proxy that is reached through memory.
#[derive(Debug)]
pub struct ProxyInMemory {
    threads: tokio::runtime::Runtime,
    connections: Connections,
}

impl ProxyInMemory {
    pub fn new(softprobe: &Softprobe) -> std::io::Result<Self> {
        Ok(Self {
            threads: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            connections: ProxyBuilder::new(softprobe.oracle()).connections(),
        })
    }

    /// Sends these bytes and nothing more, and returns the answer; `None` if the proxy has not ended the
    /// connection after `limit`.
    pub fn answer(&self, bytes: &[u8], limit: Duration) -> Option<Vec<u8>> {
        self.threads.block_on(async {
            let (mut client, server) = tokio::io::duplex(64 * 1024);
            let talk = async {
                // The proxy may refuse before it has read everything.
                let _ = client.write_all(bytes).await;
                let _ = client.shutdown().await;
                let mut answer = Vec::new();
                let _ = client.read_to_end(&mut answer).await;
                answer
            };
            let both = async { tokio::join!(self.connections.serve(server), talk).1 };
            tokio::time::timeout(limit, both).await.ok()
        })
    }
}
