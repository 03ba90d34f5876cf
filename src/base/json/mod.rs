//! JSON compared by value, with exact numbers, and JSONPath expressions that are safe to evaluate.

#[cfg(feature = "embedded")]
mod number;
mod query;
mod tree;

#[cfg(feature = "embedded")]
pub(crate) use number::{equals, parse, show};
#[cfg(feature = "runner")]
pub(crate) use number::{is_integer, kind, number_text, scalar_equals};
pub(crate) use query::Query;
pub(crate) use tree::{Json, Tree};
