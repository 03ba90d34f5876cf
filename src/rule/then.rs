//! `then`: what a rule does with a request that it matches.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::message::{RESPONSE, check_response, read_response, response_value};
use crate::base::document::{Node, Place, Problems};
use crate::base::http::Response;

/// No rule delays its answer for longer.
pub(crate) const LONGEST_DELAY: Duration = Duration::from_secs(600);

/// What a rule does with a request that it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Then {
    /// Answers with a response, after a delay.
    Mock {
        /// The response.
        response: Arc<Response>,
        /// How long the answer waits.
        latency: Duration,
    },
    /// Answers with an error response.
    Error(Arc<Response>),
    /// Lets the request through.
    Passthrough,
    /// Lets the request through; what comes back is for the capture alone.
    CaptureOnly,
}

impl Then {
    /// The member `then` as the control API takes it.
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
            Self::Passthrough => json!({"action": "passthrough"}),
            Self::CaptureOnly => json!({"action": "capture_only"}),
        }
    }

    /// Adds what is wrong with one that was not read from JSON.
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
            Self::Passthrough | Self::CaptureOnly => {}
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ActionWord {
    Mock,
    Error,
    Passthrough,
    CaptureOnly,
}

pub(super) fn read_then(node: &Node<'_>, problems: &mut Problems) -> Option<Then> {
    let object = node.object(&["action", "response", "error"], problems)?;
    let action_node = object.require("action", problems)?;
    if action_node.value == "replay" {
        problems.add(
            &action_node.place,
            "`replay` is gone: look the response up with find_in_case and register it with \
             mock_outbound",
        );
        return None;
    }
    let action = action_node.choice(
        &[
            ("mock", ActionWord::Mock),
            ("error", ActionWord::Error),
            ("passthrough", ActionWord::Passthrough),
            ("capture_only", ActionWord::CaptureOnly),
        ],
        problems,
    )?;
    for (name, owner) in [("response", ActionWord::Mock), ("error", ActionWord::Error)] {
        if let Some(stray) = object.get(name)
            && action != owner
        {
            problems.add(
                &stray.place,
                format!("`{name}` does not go with this action"),
            );
        }
    }
    match action {
        ActionWord::Mock => {
            let node = object.require("response", problems)?;
            let mut known = RESPONSE.names();
            known.push("latencyMs");
            let response = node.object(&known, problems)?;
            let latency = match response.get("latencyMs") {
                Some(node) => read_latency(&node, problems)?,
                None => Duration::ZERO,
            };
            Some(Then::Mock {
                response: Arc::new(read_response(&response, 200, problems)?),
                latency,
            })
        }
        ActionWord::Error => {
            let node = object.require("error", problems)?;
            read_error(&node, problems).map(|error| Then::Error(Arc::new(error)))
        }
        ActionWord::Passthrough => Some(Then::Passthrough),
        ActionWord::CaptureOnly => Some(Then::CaptureOnly),
    }
}

/// Reads `{status, body, headers}` of an error rule; the status is 500 when it is not given.
pub(crate) fn read_error(node: &Node<'_>, problems: &mut Problems) -> Option<Response> {
    let object = node.fields(&RESPONSE, problems)?;
    read_response(&object, 500, problems)
}

/// The longest delay, in milliseconds.
pub(crate) const LONGEST_DELAY_MS: i64 = LONGEST_DELAY.as_millis() as i64;

/// Reads a delay in milliseconds.
pub(crate) fn read_latency(node: &Node<'_>, problems: &mut Problems) -> Option<Duration> {
    let ms = node.integer(0, LONGEST_DELAY_MS, problems)?;
    Some(Duration::from_millis(ms.unsigned_abs()))
}
