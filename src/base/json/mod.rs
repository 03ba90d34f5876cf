//! JSON compared by value, with exact numbers, and JSONPath expressions that are safe to evaluate.

mod number;
mod query;
mod tree;

pub(crate) use number::{equals, is_integer, kind, number_text, parse, scalar_equals, show};
pub(crate) use query::Query;
pub(crate) use tree::{Json, Tree};
