//! Strict reading of JSON-shaped documents: every fault is collected, with its path in the document.
//!
//! Rules, policies and suites share it, so that they all report an unknown field in the same way.

mod node;
mod place;
mod problem;
mod shape;

pub(crate) use node::did_you_mean;
pub(crate) use node::{Node, Object};
pub(crate) use place::{Place, Step, Way};
pub(crate) use problem::{Problem, Problems};
pub(crate) use shape::{Field, Fields, Shape, names};
