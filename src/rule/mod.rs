//! Rules: when a request matches, and what then answers it.
//!
//! [`Rule::read_document`] reads and checks a rules document; [`resolve`] decides what answers a
//! request under a session's rules and its policy.

mod answer;
mod document;
mod message;
mod miss;
mod policy;
mod question;
mod resolve;
mod secret;
mod then;
mod when;

pub(crate) use answer::Answer;
pub(crate) use document::{Consume, Rule, rules_document};
pub(crate) use message::{headers_value, message_value, response_value};
pub(crate) use miss::{STRICT_MISS_STATUS, strict_miss};
pub use policy::{OnMiss, Policy, PolicyError, PolicyMode};
pub(crate) use question::Question;
pub(crate) use resolve::{Decision, Layer, Nearest, RuleState, resolve};
pub(crate) use secret::mask_secret_headers;
pub(crate) use then::{LONGEST_DELAY, Then};
pub(crate) use when::When;

#[cfg(feature = "runner")]
pub(crate) use document::{CONSUMES, read_consume};
#[cfg(feature = "runner")]
pub(crate) use message::{
    NO_HEADER_NAME, NO_HEADER_VALUE, RESPONSE, body_bytes, is_header_name, is_header_value,
    read_body, read_headers, read_response,
};
#[cfg(feature = "runner")]
pub(crate) use policy::POLICY;
#[cfg(feature = "runner")]
pub(crate) use then::{LONGEST_DELAY_MS, read_error, read_latency};
#[cfg(feature = "runner")]
pub(crate) use when::{WHEN, compile_query, compile_regex, read_header_match};

#[cfg(test)]
mod tests;
