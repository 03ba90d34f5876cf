//! JSON compared by value, with exact numbers, and JSONPath expressions that are safe to evaluate.

#[cfg(feature = "runner")]
mod cursor;
mod deep;
mod exact;
#[cfg(feature = "embedded")]
mod number;
#[cfg(feature = "runner")]
mod patch;
mod query;
mod tree;

#[cfg(feature = "runner")]
pub(crate) use cursor::Cursor;
#[cfg(feature = "embedded")]
pub(crate) use deep::outside_texts;
#[cfg(feature = "runner")]
pub(crate) use deep::{from_text, with_room};
pub(crate) use exact::{as_text, number_as_written, number_text, show};
#[cfg(feature = "runner")]
pub(crate) use exact::{exact, unmarked};
#[cfg(feature = "runner")]
pub(crate) use number::{Document, is_integer, is_number, kind, read, scalar_equals};
#[cfg(feature = "embedded")]
pub(crate) use number::{equals, parse, parse_inexact};
#[cfg(feature = "runner")]
pub(crate) use patch::{Patch, Splice, difference, splice, start_of};
pub(crate) use query::Query;
#[cfg(feature = "embedded")]
pub(crate) use query::TooCostly;
pub(crate) use tree::{Json, Tree};
