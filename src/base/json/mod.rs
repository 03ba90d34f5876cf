//! JSON compared by value, with exact numbers, and JSONPath expressions that are safe to evaluate.

#[cfg(feature = "embedded")]
mod number;
mod query;
mod tree;

#[cfg(feature = "runner")]
pub(crate) use number::{Document, is_integer, kind, number_text, read, scalar_equals};
#[cfg(feature = "embedded")]
pub(crate) use number::{equals, parse, show};
pub(crate) use query::Query;
pub(crate) use tree::{Json, Tree};
