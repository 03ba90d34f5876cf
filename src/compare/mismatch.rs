//! One difference, as data: the words for people are `report`'s.

use std::fmt;

use serde_json::Value;

use super::assertions::{Matcher, StatusRule};
use crate::base::document::Step;

/// A difference at its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mismatch {
    /// Where.
    pub(crate) place: AnswerPlace,
    /// What was expected there; `None` for nothing.
    pub(crate) expected: Option<Side>,
    /// What is there; `None` for nothing.
    pub(crate) actual: Option<Side>,
    /// What the two alone do not say.
    pub(crate) why: Option<Why>,
    /// A line-by-line difference of long texts.
    pub(crate) diff: Option<String>,
}

impl Mismatch {
    pub(crate) fn new(place: AnswerPlace, expected: Side, actual: Side) -> Self {
        Self {
            place,
            expected: Some(expected),
            actual: Some(actual),
            why: None,
            diff: None,
        }
    }

    /// Something that is expected and not there.
    pub(crate) fn missing(place: AnswerPlace, expected: Side) -> Self {
        Self {
            actual: None,
            ..Self::new(place, expected, Side::Hidden)
        }
    }

    /// Something that is there and not expected.
    pub(crate) fn surplus(place: AnswerPlace, actual: Side) -> Self {
        Self {
            expected: None,
            ..Self::new(place, Side::Hidden, actual)
        }
    }

    pub(crate) fn because(mut self, why: Why) -> Self {
        self.why = Some(why);
        self
    }
}

/// Where a difference is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AnswerPlace {
    /// The status.
    Status,
    /// The header of that name.
    Header(String),
    /// The body as a whole.
    Body,
    /// A place in a JSON body.
    Json(Vec<Step>),
    /// An expression or a place as somebody wrote it.
    Written(String),
}

/// `status`, `headers.content-type`, `body`, `$.items[0]['odd key']`.
impl fmt::Display for AnswerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("status"),
            Self::Header(name) => write!(f, "headers.{name}"),
            Self::Body => f.write_str("body"),
            Self::Written(text) => f.write_str(text),
            Self::Json(steps) => {
                f.write_str("$")?;
                for step in steps {
                    match step {
                        Step::Index(index) => write!(f, "[{index}]")?,
                        Step::Key(key) if is_shorthand(key) => write!(f, ".{key}")?,
                        Step::Key(key) => {
                            let escaped = key.replace('\\', "\\\\").replace('\'', "\\'");
                            write!(f, "['{}']", escaped.replace('\n', "\\n"))?;
                        }
                    }
                }
                Ok(())
            }
        }
    }
}

fn is_shorthand(key: &str) -> bool {
    let mut chars = key.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
}

/// What one side has at a place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Side {
    /// A JSON value.
    Json(Value),
    /// A body, or its beginning.
    Bytes(Excerpt),
    /// A status.
    Status(u16),
    /// One of the statuses that are right.
    StatusRule(StatusRule),
    /// The values of a header, secrets masked.
    Values(Vec<String>),
    /// A header value in which this is found; an empty one is any value.
    Pattern(String),
    /// An array of so many elements.
    Elements(usize),
    /// A value that fits.
    Fitting(Matcher),
    /// A text that somebody else wrote.
    Text(String),
    /// What is redacted, and can't be told from the rest.
    Hidden,
}

/// The beginning of a body, and how long it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// Its first bytes.
    pub(crate) start: Vec<u8>,
    /// How many it has.
    pub(crate) len: usize,
}

impl Excerpt {
    /// So many bytes are kept.
    const MOST: usize = 4 * 1024;

    pub(crate) fn of(body: &[u8]) -> Self {
        Self {
            start: body[..body.len().min(Self::MOST)].to_vec(),
            len: body.len(),
        }
    }
}

/// What the two sides of a difference do not say by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// They are of these JSON types.
    Kinds {
        /// What was expected.
        expected: &'static str,
        /// What is there.
        actual: &'static str,
    },
    /// The expected body is JSON and the actual one is not.
    ActualIsNoJson,
    /// The actual body is JSON and the expected one is not.
    ExpectedIsNoJson,
    /// A matcher wants JSON, and the body is none.
    NoJson,
    /// A path selects nothing in the actual body.
    SelectsNothing,
    /// Bytes differ, first at this one.
    FirstByte(usize),
    /// No element of the actual array fits, in any order.
    NoElementFits,
    /// It fits no element of the expected array.
    FitsNoElement,
    /// More elements than this are not compared in any order.
    TooMany(usize),
    /// A hook says so.
    Hook {
        /// Its name.
        name: String,
        /// The reason that it gives.
        reason: Option<String>,
    },
}
