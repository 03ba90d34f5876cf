//! Strict reading of JSON-shaped documents: every fault is collected, with its path in the document.
//!
//! Rules, policies and suites share it, so that they all report an unknown field in the same way.

mod node;
mod place;
mod problem;
#[cfg(feature = "runner")]
mod shape;

#[cfg(feature = "runner")]
pub(crate) use node::did_you_mean;
pub(crate) use node::{Node, Object};
#[cfg(feature = "runner")]
pub(crate) use place::Step;
pub(crate) use place::{Place, Way};
pub(crate) use problem::MOST_TOLD;
#[cfg(feature = "embedded")]
pub(crate) use problem::Problem;
pub(crate) use problem::Problems;
#[cfg(feature = "runner")]
pub(crate) use shape::{Field, Fields, Shape, names};
