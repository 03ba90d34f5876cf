//! A mock as the author of a test builds it, and the rule it becomes.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::base::document::{Node, Place, Problems};
use crate::base::http::{Direction, Headers, Response};
use crate::case::{CapturedHit, CapturedResponse, Predicate};
use crate::error::SoftprobeError;
use crate::rule::{Consume, Rule, Then, When};

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
    when: Wanted,
    latency: Duration,
    then: MockThen,
}

/// The predicates: by their keys until the mock is registered, or read by somebody already.
#[derive(Debug, Clone)]
enum Wanted {
    Keys(Map<String, Value>),
    Read(Box<When>),
}

#[derive(Debug, Clone)]
enum MockThen {
    Respond(MockResponse),
    Error(MockResponse),
    Passthrough,
    CaptureOnly,
}

impl Mock {
    /// A mock of the calls that the predicate fits, answered with an empty 200.
    pub fn new(predicate: Predicate) -> Self {
        let direction = predicate.direction.unwrap_or(Direction::Outbound);
        Self::read(predicate.direction(direction).into())
    }

    /// A mock of the calls that fit a `when` that has been read.
    pub(crate) fn read(when: When) -> Self {
        Self {
            name: None,
            priority: 0,
            once: false,
            when: Wanted::Read(Box::new(when)),
            latency: Duration::ZERO,
            then: MockThen::Respond(MockResponse::new(200)),
        }
    }

    /// A mock whose `when` is a JSON object of the rule language.
    pub fn when_object(when: Map<String, Value>) -> Self {
        let outbound = Self::new(Predicate::outbound());
        let add = |mock: Self, (key, value)| mock.when(key, value);
        when.into_iter().fold(outbound, add)
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
        let mut keys = match self.when {
            Wanted::Keys(keys) => keys,
            Wanted::Read(when) => match when.to_value() {
                Value::Object(keys) => keys,
                _ => Map::new(),
            },
        };
        keys.insert(key.into(), value.into());
        self.when = Wanted::Keys(keys);
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

    /// Lets the calls through, and says that what comes back is for the capture alone.
    #[must_use]
    pub fn capture_only(mut self) -> Self {
        self.then = MockThen::CaptureOnly;
        self
    }

    /// The rule that it is at `place` of a rules document; `None` where something is wrong with it, which
    /// `problems` then says.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Serialize`] for a body that can't be written as JSON.
    pub(crate) fn into_rule(
        self,
        place: &Place,
        problems: &mut Problems,
    ) -> Result<Option<Rule>, SoftprobeError> {
        let Self {
            name,
            priority,
            once,
            when,
            latency,
            then,
        } = self;
        let when = match when {
            Wanted::Read(when) => Some(*when),
            Wanted::Keys(keys) => When::read(&Node::at(&keys.into(), place.key("when")), problems),
        };
        let then = match then {
            MockThen::Respond(response) => Then::Mock {
                response: Arc::new(response.finish()?),
                latency,
            },
            MockThen::Error(response) => Then::Error(Arc::new(response.finish()?)),
            MockThen::Passthrough => Then::Passthrough,
            MockThen::CaptureOnly => Then::CaptureOnly,
        };
        let Some(when) = when else {
            return Ok(None);
        };
        let rule = Rule {
            name,
            priority,
            consume: if once { Consume::Once } else { Consume::Many },
            when,
            then,
        };
        rule.check(place, problems);
        Ok(Some(rule))
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
                return Err(SoftprobeError::Serialize {
                    what: "the mock's body",
                    source: serde::ser::Error::custom(error),
                });
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
