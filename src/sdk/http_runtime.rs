//! A remote runtime, called with the control API over HTTP.

#[cfg(feature = "embedded")]
use std::collections::HashMap;
use std::sync::Arc;
#[cfg(feature = "embedded")]
use std::sync::Mutex;
use std::time::Duration;
#[cfg(feature = "runner")]
use std::time::Instant;

use serde_json::Value;

use crate::base::http::{Response, without_credentials};
use crate::base::json;
use crate::case::Case;
#[cfg(feature = "runner")]
use crate::control::AnsweredRequests;
use crate::control::{Action, Call, Closing, Mode, Runtime, SessionStats, Token};
#[cfg(feature = "embedded")]
use crate::control::{ClosedSessions, DELAY_HEADER, OWN_DELAY, Oracle, PROTOBUF};
use crate::error::{RuntimeError, SoftprobeError};
use crate::net::{Client, ClientError, Timeouts};
#[cfg(feature = "embedded")]
use crate::rule::LONGEST_DELAY;
#[cfg(not(feature = "runner"))]
use crate::rule::rules_document;
use crate::rule::{Policy, Rule};

/// A runtime reached over HTTP. Clones share their connections.
#[derive(Debug, Clone)]
pub(crate) struct HttpRuntime {
    base: String,
    token: Option<Token>,
    client: Client,
    /// The client for calls whose answer a rule may delay.
    #[cfg(feature = "embedded")]
    pub(super) patient: Client,
    #[cfg(feature = "embedded")]
    pub(super) memory: Arc<Memory>,
}

/// What a proxy has to remember if its runtime is remote.
#[cfg(feature = "embedded")]
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The session of each trace id that this process issued: one for each case of its run.
    pub(super) traces: Mutex<HashMap<String, String>>,
    /// Whether each session captures, which never changes.
    pub(super) captures: Mutex<HashMap<String, bool>>,
    /// The policies of the sessions that were opened here.
    pub(super) policies: Mutex<HashMap<String, Policy>>,
    /// The sessions that were closed here.
    pub(super) closed: Mutex<ClosedSessions>,
    /// For each session whose rules were sent in another form, the index of the rule that each stands for.
    #[cfg(feature = "runner")]
    pub(super) owners: Mutex<HashMap<String, Vec<usize>>>,
}

impl HttpRuntime {
    /// Creates a runtime with this base URL; nothing is sent yet. `timeout` limits each phase of a call.
    pub(crate) fn new(base: &str, token: Option<Token>, timeout: Duration) -> Self {
        let client = |patience| {
            Client::new(Timeouts::EachPhase {
                limit: timeout,
                patience,
            })
        };
        Self {
            base: base.trim().trim_end_matches('/').to_owned(),
            token,
            client: client(Duration::ZERO),
            #[cfg(feature = "embedded")]
            patient: client(LONGEST_DELAY),
            #[cfg(feature = "embedded")]
            memory: Arc::default(),
        }
    }

    /// Sends a request to a path below the base URL, and returns the answer, whatever its status,
    /// with the URL for display.
    fn exchange(
        &self,
        method: &str,
        path: &str,
        content: Option<(&str, Vec<u8>)>,
        client: &Client,
    ) -> Result<(Response, String), SoftprobeError> {
        let called = format!("{}{path}", self.base);
        let url = without_credentials(&called);
        let unreachable =
            |source: Box<dyn std::error::Error + Send + Sync>| SoftprobeError::Unreachable {
                url: url.clone(),
                source,
            };
        let (content_type, body) = content.unzip();
        let accept = content_type.unwrap_or("application/json");
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(&called)
            .header("accept", accept);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        #[cfg(feature = "embedded")]
        if content_type == Some(PROTOBUF) {
            request = request.header(DELAY_HEADER, OWN_DELAY);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", token.header());
        }
        let request = request.body(body.unwrap_or_default());
        let request = request.map_err(|e| unreachable(e.into()))?;
        let response = client.send(request).map_err(|error| match error {
            ClientError::Timeout => SoftprobeError::Timeout { url: url.clone() },
            ClientError::TooLarge(_) => SoftprobeError::Protocol {
                message: error.to_string(),
                url: url.clone(),
            },
            other => unreachable(other.into()),
        })?;
        log::debug!("{method} {url} -> {}", response.status);
        Ok((response, url))
    }

    /// Sends OTLP to a path below the base URL and requests the answer in the same format. The time limit
    /// allows for the longest delay that a rule may add.
    #[cfg(feature = "embedded")]
    pub(super) fn post(
        &self,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<(Response, String), SoftprobeError> {
        let content = Some((content_type, body));
        self.exchange("POST", path, content, &self.patient)
    }

    /// Makes a call of the control API and returns the JSON of its answer.
    ///
    /// # Errors
    ///
    /// As for the calls of [`Runtime`]; [`SoftprobeError::Protocol`] when the answer is not JSON.
    pub(crate) fn call(&self, call: &Call) -> Result<Value, SoftprobeError> {
        let route = call.route();
        let content = route
            .body
            .map(|body| ("application/json", json::show(body).into_bytes()));
        let (answer, url) = self.exchange(route.method, &route.path, content, &self.client)?;
        if !(200..300).contains(&answer.status) {
            return Err(RuntimeError::read(answer.status, &answer.body, url).into());
        }
        serde_json::from_slice(&answer.body).map_err(|error| SoftprobeError::Protocol {
            url,
            message: format!("its answer is not JSON ({error})"),
        })
    }

    pub(super) fn on(&self, session: &str, action: Action) -> Result<Value, SoftprobeError> {
        self.call(&Call::on(session, action))
    }

    /// Returns the error for an answer that does not follow the control API.
    pub(super) fn protocol(&self, path: &str, message: impl Into<String>) -> SoftprobeError {
        SoftprobeError::Protocol {
            url: without_credentials(&format!("{}{path}", self.base)),
            message: message.into(),
        }
    }

    /// Checks that a runtime answers and accepts the token.
    ///
    /// # Errors
    ///
    /// The reason why it does not.
    #[cfg(feature = "runner")]
    pub(crate) fn check(&self) -> Result<(), SoftprobeError> {
        let health = self.call(&Call::Health)?;
        if health["status"] != "ok" {
            return Err(self.protocol("", "its /health does not report the status `ok`"));
        }
        self.call(&Call::Meta).map(drop)
    }
}

impl Runtime for HttpRuntime {
    fn start(&self, mode: Mode, policy: Option<&Policy>) -> Result<String, SoftprobeError> {
        let answer = self.call(&Call::start(mode, policy))?;
        let id = answer.get("sessionId").and_then(Value::as_str);
        let id = id.ok_or_else(|| self.protocol("", "the new session has no sessionId"))?;
        #[cfg(feature = "embedded")]
        self.remember(id, policy.cloned().unwrap_or_default());
        Ok(id.to_owned())
    }

    fn load_case(&self, session: &str, case: &Arc<Case>) -> Result<(), SoftprobeError> {
        let document = case.document().clone();
        self.on(session, Action::LoadCase(document)).map(drop)
    }

    #[cfg(not(feature = "runner"))]
    fn set_rules(&self, session: &str, rules: &[Arc<Rule>]) -> Result<bool, SoftprobeError> {
        let document = rules_document(rules);
        let set = self.on(session, Action::SetRules(document));
        set.map(|_| true)
    }

    #[cfg(feature = "runner")]
    fn set_rules(&self, session: &str, rules: &[Arc<Rule>]) -> Result<bool, SoftprobeError> {
        self.set_rules_in_turn(session, rules)
    }

    fn set_policy(&self, session: &str, policy: &Policy) -> Result<(), SoftprobeError> {
        self.on(session, Action::SetPolicy(policy.to_value()))?;
        #[cfg(feature = "embedded")]
        self.remember(session, policy.clone());
        Ok(())
    }

    fn set_auth_fixtures(&self, session: &str, fixtures: &Value) -> Result<(), SoftprobeError> {
        let fixtures = fixtures.clone();
        self.on(session, Action::SetAuthFixtures(fixtures))
            .map(drop)
    }

    fn stats(&self, session: &str) -> Result<SessionStats, SoftprobeError> {
        let answer = self.on(session, Action::Stats)?;
        let stats = answer.get("stats").cloned().unwrap_or_default();
        let stats: SessionStats = serde_json::from_value(stats)
            .map_err(|error| self.protocol("", format!("its stats can't be read ({error})")))?;
        #[cfg(feature = "runner")]
        let stats = self.stats_in_turn(session, stats);
        Ok(stats)
    }

    #[cfg(feature = "runner")]
    fn answered(&self, session: &str) -> Result<Option<AnsweredRequests>, SoftprobeError> {
        self.answered_in_turn(session)
    }

    #[cfg(feature = "runner")]
    fn wait_for_uses(
        &self,
        session: &str,
        patience: &dyn Fn(&[u64]) -> Duration,
    ) -> Result<(), SoftprobeError> {
        const PAUSE: Duration = Duration::from_millis(20);
        let start = Instant::now();
        // A runtime that reports no uses can't be waited for.
        while let Some(uses) = self.stats(session)?.rule_uses {
            let left = patience(&uses).saturating_sub(start.elapsed());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(PAUSE));
        }
        Ok(())
    }

    fn captured_case(&self, session: &str) -> Result<Value, SoftprobeError> {
        self.on(session, Action::Case)
    }

    fn close(&self, session: &str) -> Result<(), SoftprobeError> {
        self.on(session, Action::Close(Closing::default()))?;
        #[cfg(feature = "embedded")]
        self.forget(session);
        Ok(())
    }

    fn close_with_case(&self, session: &str) -> Result<Value, SoftprobeError> {
        let closing = Closing {
            include_case: true,
            ..Closing::default()
        };
        let mut answer = self.on(session, Action::Close(closing))?;
        #[cfg(feature = "embedded")]
        self.forget(session);
        match answer.get_mut("case").map(Value::take) {
            Some(case) => Ok(case),
            None => Err(self.protocol("", "the closed session has no case")),
        }
    }

    #[cfg(feature = "embedded")]
    fn oracle(&self) -> Arc<dyn Oracle> {
        Arc::new(self.clone())
    }

    fn address(&self) -> &str {
        &self.base
    }
}
