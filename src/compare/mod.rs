//! Compares the actual answer with the expected one.
//!
//! [`compare`] reports every difference with its place; a mismatch is data, never an error.

mod answer;
mod assertions;
mod body;
mod expected;
mod field;
mod headers;
mod mismatch;
mod text;
mod tree;

pub(crate) use answer::{compare, compares_anything};
pub(crate) use assertions::{Assertions, BodyMode, BodyRules, HeaderRules, Matcher, StatusRule};
pub(crate) use body::redact;
pub(crate) use expected::{Expected, Reached};
pub(crate) use headers::is_volatile;
pub(crate) use mismatch::{AnswerPlace, Comparison, Excerpt, Mismatch, Repeated, Side, Why};

#[cfg(test)]
mod tests;
