//! The control API over HTTP: a runtime that is somewhere else.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::config::AutoHeaderValue;

use crate::control::{Call, Runtime};
use crate::error::{RuntimeError, SoftprobeError};
use crate::http::{Headers, LONGEST_DELAY, MISS_HEADER, REFUSAL_HEADER, Response, is_hop_by_hop};

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

    /// The token itself.
    #[cfg(feature = "embedded")]
    pub(crate) fn secret(&self) -> &str {
        &self.0
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

/// A runtime behind HTTP. Clones share their connections.
#[derive(Debug, Clone)]
pub struct HttpRuntime {
    base: String,
    token: Option<Token>,
    agent: Agent,
    /// For what a rule may delay.
    patient: Agent,
}

impl HttpRuntime {
    /// The runtime at a base URL; nothing is sent yet. `timeout` bounds each phase of a call.
    pub(crate) fn new(base: &str, token: Option<Token>, timeout: Duration) -> Self {
        Self {
            base: base.trim().trim_end_matches('/').to_owned(),
            token,
            agent: agent(Timeouts::EachPhase(timeout)),
            patient: agent(Timeouts::LateAnswer(timeout)),
        }
    }

    /// Sends a request below the base URL: whatever answer comes back.
    fn exchange(
        &self,
        method: &str,
        path: &str,
        content: Option<(&str, Vec<u8>)>,
        agent: &Agent,
    ) -> Result<HttpAnswer, SoftprobeError> {
        let url = format!("{}{path}", self.base);
        let unreachable =
            |source: Box<dyn std::error::Error + Send + Sync>| SoftprobeError::Unreachable {
                url: url.clone(),
                source,
            };
        let failed = |error: ureq::Error| match error {
            ureq::Error::Timeout(_) => SoftprobeError::Timeout { url: url.clone() },
            other => unreachable(other.into()),
        };
        let (content_type, body) = content.unzip();
        let accept = content_type.unwrap_or("application/json");
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(&url)
            .header("accept", accept);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", token.header());
        }
        let request = request.body(body.unwrap_or_default());
        let request = request.map_err(|e| unreachable(e.into()))?;
        let mut response = agent.run(request).map_err(failed)?;
        let status = response.status().as_u16();
        let headers = headers_of(response.headers());
        let body = response
            .body_mut()
            .with_config()
            .limit(LARGEST_ANSWER)
            .read_to_vec()
            .map_err(failed)?;
        log::debug!("{method} {url} -> {status}");
        Ok(HttpAnswer {
            url,
            status,
            headers,
            body,
        })
    }

    /// Sends OTLP below the base URL; the answer is asked for in the same format, and may be as late as the
    /// longest delay of a rule.
    pub(crate) fn post(
        &self,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<HttpAnswer, SoftprobeError> {
        let content = Some((content_type, body));
        self.exchange("POST", path, content, &self.patient)
    }
}

/// What a runtime answered, before anything is made of it.
#[derive(Debug)]
pub(crate) struct HttpAnswer {
    url: String,
    pub(crate) status: u16,
    headers: Headers,
    pub(crate) body: Vec<u8>,
}

impl HttpAnswer {
    fn error(&self) -> Value {
        let body: Option<Value> = serde_json::from_slice(&self.body).ok();
        body.map_or(Value::Null, |mut body| body["error"].take())
    }

    /// Whether the body is `{"error": message}`.
    pub(crate) fn says(&self, message: &str) -> bool {
        self.error() == message
    }

    /// The code of a refusal of the runtime's own, where it says that this is one: an error that a rule
    /// sends may have any status and any body.
    pub(crate) fn refusal(&self) -> Option<String> {
        Some(self.headers.text(REFUSAL_HEADER)?.into_owned())
    }

    /// Whether this is a strict miss.
    pub(crate) fn is_miss(&self) -> bool {
        self.headers.contains(MISS_HEADER)
    }

    /// The answer as the refusal that it is.
    pub(crate) fn into_error(self) -> SoftprobeError {
        RuntimeError {
            status: self.status,
            body: String::from_utf8_lossy(&self.body).into_owned(),
            url: self.url,
        }
        .into()
    }

    /// The answer as it may go on to somebody else.
    pub(crate) fn into_response(self) -> Response {
        let Self {
            url: _,
            status,
            mut headers,
            body,
        } = self;
        headers.retain(|name| !(is_hop_by_hop(name) || ["content-length", "date"].contains(&name)));
        Response {
            status,
            headers,
            body,
        }
    }
}

impl Runtime for HttpRuntime {
    fn call(&self, call: &Call) -> Result<Value, SoftprobeError> {
        let route = call.route();
        let content = route
            .body
            .map(|body| ("application/json", body.to_string().into_bytes()));
        let answer = self.exchange(route.method, &route.path, content, &self.agent)?;
        if !(200..300).contains(&answer.status) {
            return Err(answer.into_error());
        }
        serde_json::from_slice(&answer.body).map_err(|error| SoftprobeError::Protocol {
            url: answer.url,
            message: format!("its answer is not JSON ({error})"),
        })
    }

    fn address(&self) -> &str {
        &self.base
    }
}

/// Header fields as our own type, in order.
pub(crate) fn headers_of(map: &ureq::http::HeaderMap) -> Headers {
    let fields = map.iter();
    fields
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect()
}

/// What a client waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Timeouts {
    /// Each phase of an exchange on its own: the cheap form, for many small calls.
    EachPhase(Duration),
    /// The same, but for an answer that a rule may delay.
    LateAnswer(Duration),
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
        Timeouts::EachPhase(limit) | Timeouts::LateAnswer(limit) => config
            .timeout_connect(Some(limit))
            .timeout_send_request(Some(limit))
            .timeout_send_body(Some(limit))
            .timeout_recv_response(Some(match timeouts {
                Timeouts::LateAnswer(limit) => limit + LONGEST_DELAY,
                _ => limit,
            }))
            .timeout_recv_body(Some(limit)),
        // A connection is never used twice here: one that the peer closes just then fails the request.
        Timeouts::Whole(limit) => config.timeout_global(Some(limit)).max_idle_connections(0),
    };
    config.build().new_agent()
}
