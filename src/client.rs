//! The control API over HTTP: a runtime that is somewhere else.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::config::AutoHeaderValue;

use crate::control::{Call, Runtime};
use crate::error::{RuntimeError, SoftprobeError};

/// An answer of the control API is never larger than this.
const LARGEST_ANSWER: u64 = 64 * 1024 * 1024;

/// A bearer token that never shows itself.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    /// The token, trimmed; `None` when nothing is left.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[masked]")
    }
}

/// A runtime behind HTTP.
#[derive(Debug)]
pub struct HttpRuntime {
    base: String,
    token: Option<Token>,
    agent: Agent,
}

impl HttpRuntime {
    /// The runtime at a base URL; nothing is sent yet. `timeout` bounds each phase of a call.
    pub(crate) fn new(base: &str, token: Option<Token>, timeout: Duration) -> Self {
        Self {
            base: base.trim().trim_end_matches('/').to_owned(),
            token,
            agent: agent(Timeouts::EachPhase(timeout)),
        }
    }

    /// Sends a request below the base URL: status and body of whatever answer comes back.
    fn exchange(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, String, String), SoftprobeError> {
        let url = format!("{}{path}", self.base);
        let unreachable =
            |source: Box<dyn std::error::Error + Send + Sync>| SoftprobeError::Unreachable {
                url: url.clone(),
                source,
            };
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(&url)
            .header("accept", "application/json");
        if let Some(token) = &self.token {
            request = request.header("authorization", token.header());
        }
        let response = match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(body.to_string().into_bytes())
                .map_err(|e| unreachable(e.into()))
                .and_then(|r| self.agent.run(r).map_err(|e| unreachable(e.into()))),
            None => request
                .body(Vec::new())
                .map_err(|e| unreachable(e.into()))
                .and_then(|r| self.agent.run(r).map_err(|e| unreachable(e.into()))),
        };
        let mut response = response?;
        let status = response.status().as_u16();
        let text = response
            .body_mut()
            .with_config()
            .limit(LARGEST_ANSWER)
            .read_to_string()
            .map_err(|e| unreachable(e.into()))?;
        log::debug!("{method} {url} -> {status}");
        Ok((status, text, url))
    }
}

impl Runtime for HttpRuntime {
    fn call(&self, call: &Call) -> Result<Value, SoftprobeError> {
        let route = call.route();
        let (status, body, url) = self.exchange(route.method, &route.path, route.body)?;
        if !(200..300).contains(&status) {
            return Err(RuntimeError { status, body, url }.into());
        }
        serde_json::from_str(&body).map_err(|error| SoftprobeError::Protocol {
            url,
            message: format!("its answer is not JSON ({error})"),
        })
    }

    fn address(&self) -> &str {
        &self.base
    }
}

/// What a client waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Timeouts {
    /// Each phase of an exchange on its own: the cheap form, for many small calls.
    EachPhase(Duration),
    /// The whole exchange, for the one call whose length is promised.
    Whole(Duration),
}

/// An HTTP client that sends what it is told and reports what it gets: no proxy from the environment,
/// no redirects, no status turned into an error, no headers of its own.
pub(crate) fn agent(timeouts: Timeouts) -> Agent {
    let config = Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(AutoHeaderValue::None)
        .accept(AutoHeaderValue::None)
        .accept_encoding(AutoHeaderValue::None)
        .allow_non_standard_methods(true)
        .max_response_header_size(256 * 1024)
        .max_idle_connections_per_host(16)
        .max_idle_age(Duration::from_secs(2));
    let config = match timeouts {
        Timeouts::EachPhase(limit) => config
            .timeout_connect(Some(limit))
            .timeout_send_request(Some(limit))
            .timeout_send_body(Some(limit))
            .timeout_recv_response(Some(limit))
            .timeout_recv_body(Some(limit)),
        // A connection is never used twice here: one that the peer closes just then fails the request.
        Timeouts::Whole(limit) => config.timeout_global(Some(limit)).max_idle_connections(0),
    };
    config.build().new_agent()
}
