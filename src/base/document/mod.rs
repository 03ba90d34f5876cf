//! Strict reading of JSON-shaped documents: every fault is collected with the path of its place.
//!
//! Rules, policies and suites share it, so that an unknown field reads the same in all of them.

mod node;
mod place;
mod problem;
mod shape;

pub(crate) use node::did_you_mean;
pub(crate) use node::{Node, Object};
pub(crate) use place::{Place, Step, Way};
pub(crate) use problem::{Problem, Problems};
pub(crate) use shape::{Field, Fields, Shape, names};
