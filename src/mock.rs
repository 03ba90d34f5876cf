//! A mock as the author of a test builds it, and the rule it becomes.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::case::{CapturedHit, CapturedResponse, Predicate};
use crate::error::SoftprobeError;
use crate::http::{Direction, Headers, Response};
use crate::rule::response_value;

/// An answer to outbound calls: which, and with what.
///
/// ```
/// use softprobe::{Mock, MockResponse, Predicate};
///
/// let payment = Mock::new(Predicate::outbound().host_suffix("stripe.com"))
///     .name("stripe")
///     .response(MockResponse::new(200).json(&serde_json::json!({"id": "pi_test"})));
/// ```
#[derive(Debug, Clone)]
pub struct Mock {
    name: Option<String>,
    priority: i64,
    once: bool,
    when: serde_json::Map<String, Value>,
    latency: Duration,
    then: MockThen,
}

#[derive(Debug, Clone)]
enum MockThen {
    Respond(MockResponse),
    Error(MockResponse),
    Passthrough,
}

impl Mock {
    /// A mock of the calls that the predicate fits, answered with an empty 200.
    pub fn new(predicate: Predicate) -> Self {
        let direction = predicate.direction.unwrap_or(Direction::Outbound);
        let predicate = predicate.direction(direction);
        Self {
            name: None,
            priority: 0,
            once: false,
            when: predicate
                .fields()
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?.into())))
                .collect(),
            latency: Duration::ZERO,
            then: MockThen::Respond(MockResponse::new(200)),
        }
    }

    /// A mock whose `when` is a JSON object of the rule language.
    pub fn when_object(when: serde_json::Map<String, Value>) -> Self {
        let mut mock = Self::new(Predicate::outbound());
        mock.when.extend(when);
        mock
    }

    /// Its name in reports.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Wants one more predicate of the rule language, by its key: `.when("headerMatch",
    /// json!({"accept": "json"}))`.
    #[must_use]
    pub fn when(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.when.insert(key.into(), value.into());
        self
    }

    /// The highest priority wins; 0 when it is not given.
    #[must_use]
    pub fn priority(mut self, priority: i64) -> Self {
        self.priority = priority;
        self
    }

    /// Answers the first matching call only.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Waits before it answers.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Answers with this: a captured hit or response, or one built by hand.
    #[must_use]
    pub fn response(mut self, response: impl Into<MockResponse>) -> Self {
        self.then = MockThen::Respond(response.into());
        self
    }

    /// Answers with this error response.
    #[must_use]
    pub fn error(mut self, response: impl Into<MockResponse>) -> Self {
        self.then = MockThen::Error(response.into());
        self
    }

    /// Lets the calls through.
    #[must_use]
    pub fn passthrough(mut self) -> Self {
        self.then = MockThen::Passthrough;
        self
    }

    /// The rule as the control API takes it.
    pub(crate) fn into_rule(self) -> Result<Value, SoftprobeError> {
        let Self {
            name,
            priority,
            once,
            when,
            latency,
            then,
        } = self;
        let then = match then {
            MockThen::Respond(response) => {
                let mut response = response_value(&response.finish()?);
                if !latency.is_zero() {
                    let ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
                    response["latencyMs"] = ms.into();
                }
                json!({"action": "mock", "response": response})
            }
            MockThen::Error(response) => {
                json!({"action": "error", "error": response_value(&response.finish()?)})
            }
            MockThen::Passthrough => json!({"action": "passthrough"}),
        };
        let mut rule = json!({
            "priority": priority,
            "consume": if once { "once" } else { "many" },
            "when": when,
            "then": then,
        });
        if let Some(name) = name {
            rule["name"] = name.into();
        }
        Ok(rule)
    }
}

/// The response of a mock.
#[derive(Debug, Clone)]
pub struct MockResponse {
    response: Response,
    json: Option<Result<Value, Arc<serde_json::Error>>>,
}

impl MockResponse {
    /// An empty response of that status.
    pub fn new(status: u16) -> Self {
        Response {
            status,
            headers: Headers::new(),
            body: Vec::new(),
        }
        .into()
    }

    /// Adds a header behind the others.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.response.headers.push(name, value);
        self
    }

    /// The body: text or bytes, as they stand.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.response.body = body.into();
        self.json = None;
        self
    }

    /// The body: any value as JSON, with `content-type: application/json` when none is given. A value
    /// that can't be written is an error when the mock is registered.
    #[must_use]
    pub fn json(mut self, value: &impl Serialize) -> Self {
        self.json = Some(serde_json::to_value(value).map_err(Arc::new));
        self
    }

    fn finish(mut self) -> Result<Response, SoftprobeError> {
        match self.json {
            None => {}
            Some(Ok(value)) => {
                if !self.response.headers.contains("content-type") {
                    self.response
                        .headers
                        .push("content-type", "application/json");
                }
                self.response.body = value.to_string().into_bytes();
            }
            Some(Err(error)) => {
                return Err(SoftprobeError::Body(serde::ser::Error::custom(error)));
            }
        }
        Ok(self.response)
    }
}

impl From<Response> for MockResponse {
    fn from(response: Response) -> Self {
        Self {
            response,
            json: None,
        }
    }
}

impl From<&CapturedResponse> for MockResponse {
    fn from(captured: &CapturedResponse) -> Self {
        captured.replayable().into()
    }
}

impl From<CapturedResponse> for MockResponse {
    fn from(captured: CapturedResponse) -> Self {
        Self::from(&captured)
    }
}

impl From<&CapturedHit> for MockResponse {
    fn from(hit: &CapturedHit) -> Self {
        Self::from(&hit.response)
    }
}
