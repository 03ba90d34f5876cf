//! Tells what varies among equal replays from what differs from the capture: the narrowest setting for the former, and the
//! latter by its name.

mod clock;
mod leaf;
mod order;
mod walk;

use std::fmt;

use serde_json::Value;

use crate::compare::quoted_name;

pub(crate) use leaf::{Varying, proposed, unified};
pub(crate) use walk::compare_bodies;

/// When something was captured or replayed, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Moment(pub(crate) f64);

/// A body, and when it was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent<'b> {
    /// The body; `None` if it is no JSON.
    pub(crate) body: Option<&'b Value>,
    /// When; `None` if that is not known.
    pub(crate) at: Option<Moment>,
}

/// What was found in the replays of a message.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Noise {
    /// The places whose values vary.
    pub(crate) varying: Vec<Varying>,
    /// The lists whose order varies.
    pub(crate) orders: Vec<Place>,
    /// What varies in a way that no setting accepts without hiding more.
    pub(crate) structures: Vec<(Place, Structure)>,
    /// What differs from the capture in the same way in every replay.
    pub(crate) differences: Vec<Difference>,
}

/// What differs from the capture in the same way in every replay.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Difference {
    pub(crate) place: Place,
    /// What was captured; `None` if nothing was.
    pub(crate) captured: Option<Value>,
    /// What is there; `None` if nothing is.
    pub(crate) now: Option<Value>,
}

/// What varies, if it is not a value or an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Structure {
    /// It is there in so many of the replays.
    Presence(usize),
    /// Its type.
    Type,
    /// How many elements it has.
    Length,
    /// The order of its elements, and so much in them that they can't be told apart.
    Order,
}

/// A place in a body.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct Place(pub(crate) Vec<Step>);

/// A step to a place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Step {
    /// A member.
    Name(String),
    /// An element.
    Index(usize),
    /// Any element.
    Any,
}

impl Place {
    /// Returns the place as a JSON pointer, if it is a single one.
    fn pointer(&self) -> String {
        let steps = self.0.iter().map(|step| match step {
            Step::Name(name) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => format!("/{index}"),
            Step::Any => "/*".to_owned(),
        });
        steps.collect()
    }

    fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

/// Writes the place as a JSONPath.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for step in &self.0 {
            match step {
                Step::Any => f.write_str("[*]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Name(name) => {
                    let is_plain = !name.starts_with(|c: char| c.is_ascii_digit())
                        && !name.is_empty()
                        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                    match is_plain {
                        true => write!(f, ".{name}")?,
                        false => write!(f, "['{}']", quoted_name(name))?,
                    }
                }
            }
        }
        Ok(())
    }
}
