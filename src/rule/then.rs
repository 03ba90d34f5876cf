//! `then`: what a rule does with a request that it matches.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::message::{check_response, response_value};
use super::redaction::Redaction;
use crate::base::document::{Node, Place, Problems};
use crate::base::http::{Failure, Response};

/// The longest time by which a rule may delay its answer.
pub(crate) const LONGEST_DELAY: Duration = Duration::from_secs(600);

/// What a rule does with a request that it matches.
#[derive(Debug, Clone)]
pub(crate) enum Then {
    /// Answers with a response, after a delay.
    Mock {
        /// The response.
        response: Arc<Response>,
        /// How long the answer is delayed.
        latency: Duration,
    },
    /// Answers with an error response.
    Error(Arc<Response>),
    /// Breaks the exchange.
    Fault {
        /// How it breaks.
        failure: Failure,
        /// The response whose body breaks off, if that is how.
        response: Arc<Response>,
    },
    /// Forwards the request.
    Passthrough,
    /// Forwards the request, as `Passthrough` does; the response is meant only for the capture, which lacks what is
    /// named here.
    CaptureOnly(Arc<Redaction>),
}

impl Then {
    /// Returns the member `then` as the control API expects it.
    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Mock { response, latency } => {
                let mut response = response_value(response);
                if !latency.is_zero() {
                    let ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
                    response["latencyMs"] = ms.into();
                }
                json!({"action": "mock", "response": response})
            }
            Self::Error(response) => {
                json!({"action": "error", "error": response_value(response)})
            }
            Self::Fault { failure, response } => {
                let mut fault = json!({"action": "fault", "fault": failure.name()});
                if *failure == Failure::Truncated {
                    fault["response"] = response_value(response);
                }
                fault
            }
            Self::Passthrough => json!({"action": "passthrough"}),
            Self::CaptureOnly(redaction) => {
                let mut then = json!({"action": "capture_only"});
                if !redaction.is_empty() {
                    then["captureOnly"] = redaction.to_value();
                }
                then
            }
        }
    }

    /// Checks a value that was not read from JSON, and adds whatever reading it would have rejected
    /// to `problems`.
    pub(super) fn check(&self, place: &Place, problems: &mut Problems) {
        match self {
            Self::Mock { response, latency } => {
                let place = place.key("response");
                check_response(response, &place, problems);
                if *latency > LONGEST_DELAY {
                    let ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
                    read_latency(&Node::at(&ms.into(), place.key("latencyMs")), problems);
                }
            }
            Self::Error(response) => check_response(response, &place.key("error"), problems),
            Self::Fault { response, failure } => {
                if *failure == Failure::Truncated {
                    check_response(response, &place.key("response"), problems);
                }
            }
            Self::Passthrough | Self::CaptureOnly(_) => {}
        }
    }
}

/// The longest delay, in milliseconds.
pub(crate) const LONGEST_DELAY_MS: i64 = LONGEST_DELAY.as_millis() as i64;

/// Reads a delay in milliseconds.
pub(crate) fn read_latency(node: &Node<'_>, problems: &mut Problems) -> Option<Duration> {
    let ms = node.integer(0, LONGEST_DELAY_MS, problems)?;
    Some(Duration::from_millis(ms.unsigned_abs()))
}
