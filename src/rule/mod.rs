//! Rules: which requests they match, and how they answer them.
//!
//! Every session can build, check and write rules and policies. Only a runtime reads rules and decides what
//! answers a request ([`resolve`]).

#[cfg(feature = "embedded")]
mod answer;
mod body;
#[cfg(feature = "runner")]
mod choose;
mod document;
#[cfg(feature = "runner")]
mod fields;
#[cfg(feature = "embedded")]
mod matching;
mod message;
#[cfg(feature = "embedded")]
mod miss;
mod policy;
#[cfg(feature = "embedded")]
mod question;
#[cfg(feature = "embedded")]
mod read;
mod redaction;
#[cfg(feature = "embedded")]
mod resolve;
mod secret;
#[cfg(feature = "embedded")]
mod state;
#[cfg(feature = "embedded")]
mod template;
mod then;
#[cfg(feature = "runner")]
mod turn;
#[cfg(feature = "embedded")]
mod unmatched;
mod when;

pub(crate) use document::{Consume, Rule, rules_document};
pub use policy::{OnMiss, Policy, PolicyError, PolicyMode};
#[cfg(feature = "embedded")]
pub(crate) use redaction::Redaction;
pub(crate) use secret::mask_secret_headers;
pub(crate) use then::Then;
pub(crate) use when::When;

#[cfg(feature = "embedded")]
pub(crate) use answer::Answer;
#[cfg(feature = "embedded")]
pub(crate) use miss::{STRICT_MISS_STATUS, strict_miss};
#[cfg(feature = "embedded")]
pub(crate) use question::Question;
#[cfg(feature = "embedded")]
pub(crate) use resolve::{Decision, Layer, Nearest, resolve, shown_name};
#[cfg(feature = "embedded")]
pub(crate) use state::RuleState;
#[cfg(feature = "embedded")]
pub(crate) use then::LONGEST_DELAY;

#[cfg(feature = "runner")]
pub(crate) use choose::{tells_bodies, without_turns};
#[cfg(feature = "runner")]
pub(crate) use fields::{POLICY, RESPONSE, WHEN};
#[cfg(feature = "runner")]
pub(crate) use message::{
    NO_HEADER_NAME, NO_HEADER_VALUE, body_bytes, headers_value, is_header_name, is_header_value,
    message_value, read_body, read_headers, read_response, read_status, response_value,
};
#[cfg(feature = "runner")]
pub(crate) use read::{CONSUMES, read_consume, read_error};
#[cfg(feature = "runner")]
pub(crate) use template::{checkable, filled};
#[cfg(feature = "runner")]
pub(crate) use then::{LONGEST_DELAY_MS, read_latency};
#[cfg(feature = "runner")]
pub(crate) use turn::Turn;
#[cfg(feature = "runner")]
pub(crate) use when::WholeQuery;

#[cfg(test)]
#[cfg(feature = "runner")]
mod tests;
