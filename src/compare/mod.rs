//! Compares what an application sends, its answers and its own calls, with what was captured.
//!
//! [`compare`] and [`compare_requests`] report every difference with its place; a mismatch is data, never an error.
//! Every session can read and write the [rules](BodyRules) for bodies; only the runner compares.

#[cfg(feature = "runner")]
mod answer;
#[cfg(feature = "runner")]
mod assertions;
#[cfg(feature = "runner")]
mod body;
#[cfg(feature = "runner")]
mod change;
#[cfg(feature = "runner")]
mod expected;
#[cfg(feature = "runner")]
mod field;
#[cfg(feature = "runner")]
mod fields;
#[cfg(feature = "runner")]
mod fits;
#[cfg(feature = "runner")]
mod form;
#[cfg(feature = "runner")]
mod headers;
#[cfg(feature = "runner")]
mod mismatch;
#[cfg(feature = "runner")]
mod parts;
#[cfg(feature = "runner")]
mod request;
mod rules;
#[cfg(feature = "runner")]
mod text;
#[cfg(feature = "runner")]
mod tree;

pub(crate) use rules::{BodyRules, COMPARISON_FIELDS};

#[cfg(feature = "runner")]
pub(crate) use answer::{compare, compares_anything};
#[cfg(feature = "runner")]
pub(crate) use assertions::{Assertions, HeaderRules, StatusRule};
#[cfg(feature = "runner")]
pub(crate) use body::redact;
#[cfg(feature = "runner")]
pub(crate) use change::{Barrier, Change, Risk};
#[cfg(feature = "runner")]
pub(crate) use expected::{Expected, Reached};
#[cfg(feature = "runner")]
pub(crate) use fields::{BODY, BODY_COMPARISON};
#[cfg(feature = "runner")]
pub(crate) use form::as_json as form_as_json;
#[cfg(feature = "runner")]
pub(crate) use headers::is_volatile;
#[cfg(feature = "runner")]
pub(crate) use mismatch::{
    Comparison, Excerpt, MessagePlace, Mismatch, Repeated, Side, Why, quoted_name,
};
#[cfg(feature = "runner")]
pub(crate) use parts::Parts;
#[cfg(feature = "runner")]
pub(crate) use request::{CapturedRequest, RequestRules, compare_requests, compare_sent_bodies};
#[cfg(feature = "runner")]
pub(crate) use rules::{BodyMode, Matcher};
#[cfg(feature = "runner")]
pub(crate) use tree::MOST_UNORDERED;

#[cfg(test)]
#[cfg(feature = "runner")]
mod tests;
