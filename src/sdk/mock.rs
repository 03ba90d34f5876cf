//! Mocks as a test builds them, and the rules they become.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::base::document::{Node, Place, Problems};
use crate::base::http::{Direction, Failure, Response};
use crate::base::json;
use crate::case::{CapturedHit, CapturedResponse, Predicate};
use crate::error::SoftprobeError;
#[cfg(feature = "runner")]
use crate::rule::Turn;
use crate::rule::{Consume, Rule, Then, When, mask_secret_headers};

/// A mock: which outbound calls it answers, and with what.
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
    #[cfg(feature = "runner")]
    turn: Option<Turn>,
}

/// The predicates: by key, to be read when the mock is registered, or already read.
#[derive(Clone)]
enum Wanted {
    Keys(Map<String, Value>),
    Read(Box<When>),
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys(keys) => {
                let mut shown = keys.clone().into();
                mask_secret_headers(&mut shown);
                write!(f, "{shown}")
            }
            Self::Read(when) => when.fmt(f),
        }
    }
}

#[derive(Debug, Clone)]
enum MockThen {
    Respond(MockResponse),
    Error(MockResponse),
    Passthrough,
    CaptureOnly,
}

impl Mock {
    /// Creates a mock that answers the calls that the predicate matches with an empty 200 response. A
    /// predicate without a direction matches outbound calls.
    pub fn new(predicate: Predicate) -> Self {
        let direction = predicate.direction.unwrap_or(Direction::Outbound);
        Self::read(predicate.direction(direction).into())
    }

    /// Creates a mock that answers the calls that match these predicates with an empty 200 response.
    pub(crate) fn read(when: When) -> Self {
        Self {
            name: None,
            priority: 0,
            once: false,
            when: Wanted::Read(Box::new(when)),
            latency: Duration::ZERO,
            then: MockThen::Respond(MockResponse::new(200)),
            #[cfg(feature = "runner")]
            turn: None,
        }
    }

    /// Sets the mock's place among those that replay the exchanges of one call.
    #[cfg(feature = "runner")]
    pub(crate) fn turn(mut self, turn: Option<Turn>) -> Self {
        self.turn = turn;
        self
    }

    /// Sets the name that reports show.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds a predicate of the rule language, by its key: `.when("headerMatch", json!({"accept": "json"}))`.
    ///
    /// An invalid predicate is an error when the mock is registered.
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

    /// Sets the priority: the highest wins or, on a tie, the later mock. The default is 0. A mock with a
    /// priority below 0 yields to a policy that would block or answer the call.
    #[must_use]
    pub fn priority(mut self, priority: i64) -> Self {
        self.priority = priority;
        self
    }

    /// Answers only the first matching call. By default, every matching call is answered.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Returns whether it answers only the first matching call.
    #[cfg(feature = "runner")]
    pub(crate) fn is_once(&self) -> bool {
        self.once
    }

    /// Delays the response by this time, at most ten minutes. Error responses and forwarded calls are not
    /// delayed.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Answers with this response: a captured hit or response, or one built by hand.
    #[must_use]
    pub fn response(mut self, response: impl Into<MockResponse>) -> Self {
        self.then = MockThen::Respond(response.into());
        self
    }

    /// Answers with this error response, which is reported as an error, not as a mock.
    #[must_use]
    pub fn error(mut self, response: impl Into<MockResponse>) -> Self {
        self.then = MockThen::Error(response.into());
        self
    }

    /// Forwards the calls instead of answering them.
    #[must_use]
    pub fn passthrough(mut self) -> Self {
        self.then = MockThen::Passthrough;
        self
    }

    /// Forwards the calls, as [`passthrough`](Self::passthrough) does; the responses are meant only for the
    /// capture.
    #[must_use]
    pub fn capture_only(mut self) -> Self {
        self.then = MockThen::CaptureOnly;
        self
    }

    /// Returns the mock as the rule at `place` in a document of rules. If the predicates are invalid, returns
    /// `None`; whatever is wrong is added to `problems`.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Serialize`] when the body can't be written as JSON.
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
            #[cfg(feature = "runner")]
            turn,
        } = self;
        let when = match when {
            Wanted::Read(when) => Some(*when),
            Wanted::Keys(keys) => When::read(&Node::at(&keys.into(), place.key("when")), problems),
        };
        let then = match then {
            MockThen::Respond(response) => match (response.failure, response.finish()?) {
                (Some(failure), response) => Then::Fault {
                    failure,
                    response: Arc::new(response),
                },
                (None, response) => Then::Mock {
                    response: Arc::new(response),
                    latency,
                },
            },
            MockThen::Error(response) => Then::Error(Arc::new(response.finish()?)),
            MockThen::Passthrough => Then::Passthrough,
            MockThen::CaptureOnly => Then::CaptureOnly(Arc::default()),
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
            #[cfg(feature = "embedded")]
            template: None,
            #[cfg(feature = "runner")]
            turn,
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
    failure: Option<Failure>,
}

impl MockResponse {
    /// Creates a response with this status, no headers and an empty body.
    pub fn new(status: u16) -> Self {
        Response::new(status).into()
    }

    /// Appends a header field that follows the body, such as gRPC's `grpc-status`.
    #[must_use]
    pub fn trailer(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.response.trailers.push(name, value);
        self
    }

    /// Appends a header, even if there already is one with that name.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.response.headers.push(name, value);
        self
    }

    /// Sets the body to this text or these bytes.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.response.body = body.into();
        self.json = None;
        self
    }

    /// Sets the body to this value as JSON, with `content-type: application/json` unless a content type is
    /// given. A value that can't be written as JSON is an error when the mock is registered.
    #[must_use]
    pub fn json(mut self, value: &impl Serialize) -> Self {
        self.json = Some(serde_json::to_value(value).map_err(Arc::new));
        self
    }

    /// Breaks the exchange instead of answering it; only [`Failure::Truncated`] sends part of the response.
    #[must_use]
    pub fn failure(mut self, failure: impl Into<Option<Failure>>) -> Self {
        self.failure = failure.into();
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
                self.response.body = json::show(&value).into_bytes();
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
            failure: None,
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
        Self::from(&hit.response).failure(hit.exchange.failure())
    }
}

impl From<CapturedHit> for MockResponse {
    fn from(hit: CapturedHit) -> Self {
        Self::from(&hit)
    }
}
