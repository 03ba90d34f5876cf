//! A difference between two messages, as data; `report` puts it into words.

use std::fmt;

use serde_json::Value;

use super::assertions::StatusRule;
use super::change::{Barrier, Change, Risk};
use super::rules::Matcher;
use crate::base::document::Step;
use crate::base::json::TooCostly;

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Comparison {
    /// Every difference.
    pub(crate) mismatches: Vec<Mismatch>,
    /// The members that appear twice where the last one counts.
    pub(crate) repeated: Vec<Repeated>,
}

/// A member of a JSON body that has the name of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repeated {
    /// Where it is.
    pub(crate) place: MessagePlace,
    /// Whether it is in the expected body; else it is in the actual one.
    pub(crate) in_expected: bool,
}

/// A difference and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mismatch {
    /// Where it is.
    pub(crate) place: MessagePlace,
    /// What was expected there; `None` if nothing was.
    pub(crate) expected: Option<Side>,
    /// What is there; `None` if nothing is.
    pub(crate) actual: Option<Side>,
    /// An explanation, if the two sides do not make the difference clear.
    pub(crate) why: Option<Why>,
    /// A line-by-line diff, for texts of several lines.
    pub(crate) diff: Option<String>,
    /// Who may accept it, or why nobody can.
    pub(crate) accepts: Result<Risk, Barrier>,
    /// How the capture would have to change; empty if nothing makes it none, or if differences beside it tell.
    pub(crate) changes: Vec<Change>,
}

impl Mismatch {
    pub(crate) fn new(place: MessagePlace, expected: Side, actual: Side) -> Self {
        Self {
            place,
            expected: Some(expected),
            actual: Some(actual),
            why: None,
            diff: None,
            accepts: Err(Barrier::Stated),
            changes: Vec::new(),
        }
    }

    /// Returns the mismatch for something that is expected but not there.
    pub(crate) fn missing(place: MessagePlace, expected: Side) -> Self {
        Self {
            actual: None,
            ..Self::new(place, expected, Side::Hidden)
        }
    }

    /// Returns the mismatch for something that is there but not expected.
    pub(crate) fn surplus(place: MessagePlace, actual: Side) -> Self {
        Self {
            expected: None,
            ..Self::new(place, Side::Hidden, actual)
        }
    }

    pub(crate) fn because(mut self, why: Why) -> Self {
        self.why = Some(why);
        self
    }

    /// Returns the mismatch with the change of the capture that makes it none.
    pub(crate) fn accepted_by(mut self, risk: Risk, change: Change) -> Self {
        self.accepts = Ok(risk);
        self.changes.push(change);
        self
    }

    /// Returns the mismatch with the reason why nothing makes it none.
    pub(crate) fn barred_by(mut self, barrier: Barrier) -> Self {
        self.bar(barrier);
        self
    }

    /// Has nothing make the mismatch none, for this reason.
    pub(crate) fn bar(&mut self, barrier: Barrier) {
        self.accepts = Err(barrier);
        self.changes.clear();
    }
}

/// Where a difference is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MessagePlace {
    /// The status.
    Status,
    /// The header with this name.
    Header(String),
    /// The name in the query.
    Query(String),
    /// The body as a whole.
    Body,
    /// A place in a JSON body.
    Json(Vec<Step>),
    /// An expression or a place, as written in a suite or by a hook.
    Written(String),
}

/// Writes a place like `status`, `headers.content-type`, `body` or `$.items[0]['odd key']`.
impl fmt::Display for MessagePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("status"),
            Self::Header(name) => write!(f, "headers.{name}"),
            Self::Query(name) => write!(f, "query.{name}"),
            Self::Body => f.write_str("body"),
            Self::Written(text) => f.write_str(text),
            Self::Json(steps) => {
                f.write_str("$")?;
                for step in steps {
                    match step {
                        Step::Index(index) => write!(f, "[{index}]")?,
                        Step::Key(key) if is_shorthand(key) => write!(f, ".{key}")?,
                        Step::Key(key) => write!(f, "['{}']", quoted_name(key))?,
                    }
                }
                Ok(())
            }
        }
    }
}

/// Returns a name as it stands between single quotes in a JSONPath.
pub(crate) fn quoted_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '\\' | '\'' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
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
    /// One of the statuses that this rule accepts.
    StatusRule(StatusRule),
    /// The values of a header, secrets masked.
    Values(Vec<String>),
    /// A header value that contains this pattern; an empty pattern means any value.
    Pattern(String),
    /// An array with this many elements.
    Elements(usize),
    /// A value that this matcher accepts.
    Fitting(Matcher),
    /// A text to show as it is.
    Text(String),
    /// A body that must not be shown, because what is redacted can't be told apart from the rest.
    Hidden,
}

/// The beginning of a body, with the length of the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// The body's first bytes.
    pub(crate) start: Vec<u8>,
    /// How many bytes the body has.
    pub(crate) len: usize,
}

impl Excerpt {
    /// The maximum number of bytes kept.
    const MOST: usize = 4 * 1024;

    pub(crate) fn of(body: &[u8]) -> Self {
        Self {
            start: body[..body.len().min(Self::MOST)].to_vec(),
            len: body.len(),
        }
    }
}

/// An explanation of a difference that its two sides do not show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// The JSON types differ.
    Kinds {
        /// The expected type.
        expected: &'static str,
        /// The actual type.
        actual: &'static str,
    },
    /// The expected body is JSON, but the actual one is not; if it looks like JSON, with the reason.
    ActualIsNoJson(Option<String>),
    /// The actual body is JSON, but the expected one is not; if it looks like JSON, with the reason.
    ExpectedIsNoJson(Option<String>),
    /// Both bodies were compared as text. The actual one looks like JSON, but is not, for this reason.
    NeitherIsJson(String),
    /// The member appears more than once.
    Repeated {
        /// Whether that is in the expected body; else it is in the actual one.
        in_expected: bool,
    },
    /// A matcher needs JSON, but the body is not JSON.
    NoJson,
    /// A path selects nothing in the actual body.
    SelectsNothing,
    /// A path visits too many nodes of a body.
    TooCostly(TooCostly),
    /// The differing parts are masked.
    Masked,
    /// The two differ only in white space or line ends.
    WhiteSpace,
    /// The bytes differ, first at this index.
    FirstByte(usize),
    /// No remaining element of the actual array matches.
    NoElementFits,
    /// It matches no remaining element of the expected array.
    FitsNoElement,
    /// The array has more elements than this limit on comparing without regard to order.
    TooMany(usize),
    /// A hook found the difference.
    Hook {
        /// The hook's name.
        name: String,
        /// The reason that the hook gives, if any.
        reason: Option<String>,
    },
}
