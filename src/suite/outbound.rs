//! `outbound`: what the application may send to others.

use crate::base::document::{Field, Fields, Node, Problems, Shape, names};

/// What happens if the application makes more calls than were captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extra {
    /// The case fails.
    Fail,
    /// A warning is reported.
    Warn,
    /// Nothing.
    Ignore,
    /// The case fails if the calls' method is not safe (RFC 9110, 9.2.1); otherwise, a warning is reported.
    Unsafe,
}

impl Extra {
    /// Returns whether further calls with this method fail the case; `None` if they are not reported at all.
    pub(crate) fn fails(self, method: &str) -> Option<bool> {
        const SAFE: [&str; 4] = ["GET", "HEAD", "OPTIONS", "TRACE"];
        match self {
            Self::Fail => Some(true),
            Self::Warn => Some(false),
            Self::Ignore => None,
            Self::Unsafe => Some(!SAFE.iter().any(|safe| safe.eq_ignore_ascii_case(method))),
        }
    }
}

const EXTRAS: [(&str, Extra); 4] = [
    ("unsafe", Extra::Unsafe),
    ("fail", Extra::Fail),
    ("warn", Extra::Warn),
    ("ignore", Extra::Ignore),
];

/// The fields of `outbound`.
const OUTBOUND: Fields = Fields {
    title: "outbound",
    list: &[Field::new(
        "extra",
        Shape::Choice(|| names(&EXTRAS)),
        "what happens if the application makes a captured call more often than it was captured: a failure (fail), \
         a warning (warn), nothing (ignore), or a failure unless the method is safe, like GET, and then a \
         warning (unsafe); defaults to unsafe for `mocks: auto`, and to warn for other mocks from the case",
    )],
};

/// The field `outbound`, in a mock or next to `mocks`.
pub(super) const OUTBOUND_FIELD: Field = Field::new(
    "outbound",
    Shape::Either(&[Shape::Object(&OUTBOUND), Shape::Null]),
    "what the application may send to others",
);

/// Reads `outbound`.
pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Extra> {
    if node.value.is_null() {
        return None;
    }
    let object = node.fields(&OUTBOUND, problems)?;
    object.get("extra")?.choice(&EXTRAS, problems)
}
