//! How a capture would have to change for a difference to be none, and who may decide that.

use serde_json::Value;
use thiserror::Error;

/// How much a difference may break for those who use what the application sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Risk {
    /// Something was added.
    Low,
    /// A value is another one of the same type.
    Medium,
    /// Something is gone, or is of another kind.
    High,
}

/// Why no change of a capture makes a difference none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Barrier {
    /// What is expected stands in the suite.
    #[error("what is expected there stands in the suite; change it there")]
    Stated,
    /// A hook found the difference.
    #[error("a hook decides there; change the hook")]
    Hook,
    /// The captured text holds what stands in place of a secret, which the new one would bring back.
    #[error(
        "the capture has a placeholder of a secret there; record the case again, or `ignore` the place"
    )]
    Secret,
    /// What is redacted can't be told apart from the rest.
    #[error("the suite redacts parts of a body that is no JSON; record the case again")]
    Redacted,
    /// The suite leaves out, redacts or matches a part of what a form has under one name.
    #[error(
        "the suite leaves out or matches a part of that name in the form; record the case again"
    )]
    PartOfName,
    /// The suite leaves out, redacts or matches something within what would be replaced.
    #[error(
        "the suite leaves out, redacts or matches something within that, which would be lost; record the case again"
    )]
    Kept,
    /// A member appears twice.
    #[error("a member appears twice there; record the case again")]
    Repeated,
    /// A path can't be evaluated.
    #[error("a path of the suite can't be evaluated there; change the path")]
    TooCostly,
}

/// A change of a captured message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// It has this status.
    Status(u16),
    /// The header with this name, in lower case, has these values; none if it is gone.
    Header {
        /// The name.
        name: String,
        /// The values.
        values: Vec<Vec<u8>>,
    },
    /// The name in the query stands for these parts of it; none if it is gone.
    Query {
        /// The name.
        name: String,
        /// The parts as they were sent, such as `a=1`.
        parts: Vec<Vec<u8>>,
    },
    /// The JSON body has another value at a place.
    Json {
        /// The place in the captured body, as a JSON pointer; behind the last element of a list, for a new one.
        at: String,
        /// The new value; `None` if there is none.
        to: Option<Value>,
    },
    /// The name in the form stands for these parts of it; none if it is gone.
    Form {
        /// The name.
        name: String,
        /// The parts as they were sent, without what delimits them.
        parts: Vec<Vec<u8>>,
    },
    /// It has this body, decoded.
    Body(Vec<u8>),
}
