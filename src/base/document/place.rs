//! Places in a document.

use std::borrow::Cow;
use std::fmt;

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// A member of an object.
    Key(String),
    /// An element of an array.
    Index(usize),
}

/// A path from a document's root to a place in it, displayed as `rules[2].when['odd key']`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Place(pub(crate) Vec<Step>);

impl Place {
    /// Returns the place of the document itself.
    pub(crate) fn root() -> Self {
        Self::default()
    }

    /// Returns the place of the member with that name.
    pub(crate) fn key(&self, name: &str) -> Self {
        self.step(Step::Key(name.to_owned()))
    }

    /// Returns the place of the element at that index, from 0.
    pub(crate) fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if is_plain(key) => {
                    write!(f, "{}{key}", if n == 0 { "" } else { "." })?;
                }
                Step::Key(key) => write!(f, "['{}']", key.escape_debug())?,
            }
        }
        Ok(())
    }
}

/// A place during a walk through a document. Each step borrows the one before, so that nothing is
/// allocated until a place has to be reported.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way<'a> {
    last: Option<(&'a Way<'a>, BorrowedStep<'a>)>,
}

#[derive(Debug, Clone, Copy)]
enum BorrowedStep<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Way<'a> {
    /// The place of the document itself.
    pub(crate) const ROOT: Way<'static> = Way { last: None };

    /// Returns the place of the member with that name.
    pub(crate) fn key(&'a self, name: &'a str) -> Self {
        Self {
            last: Some((self, BorrowedStep::Key(name))),
        }
    }

    /// Returns the place of the element at that index, from 0.
    pub(crate) fn index(&'a self, index: usize) -> Self {
        Self {
            last: Some((self, BorrowedStep::Index(index))),
        }
    }

    /// Returns the place as an owned path.
    pub(crate) fn place(&self) -> Place {
        let Some((before, step)) = self.last else {
            return Place::root();
        };
        let mut place = before.place();
        place.0.push(match step {
            BorrowedStep::Key(name) => Step::Key(name.to_owned()),
            BorrowedStep::Index(index) => Step::Index(index),
        });
        place
    }

    /// Returns the place as a JSON pointer.
    pub(crate) fn pointer(&self) -> String {
        let Some((before, step)) = self.last else {
            return String::new();
        };
        let mut pointer = before.pointer();
        pointer.push('/');
        match step {
            BorrowedStep::Key(name) => pointer.push_str(&escape_pointer(name)),
            BorrowedStep::Index(index) => pointer.push_str(&index.to_string()),
        }
        pointer
    }
}

/// Escapes a member's name for use in a JSON pointer.
fn escape_pointer(name: &str) -> Cow<'_, str> {
    match name.contains(['~', '/']) {
        true => name.replace('~', "~0").replace('/', "~1").into(),
        false => name.into(),
    }
}

/// Returns whether a key needs no quotes in a path.
fn is_plain(key: &str) -> bool {
    let mut chars = key.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_converts_to_a_place_and_a_pointer() {
        let (a, b) = (Way::ROOT.key("a/~"), Way::ROOT.key("b"));
        let element = a.index(3);
        assert_eq!(element.pointer(), "/a~1~0/3");
        assert_eq!(element.place(), Place::root().key("a/~").index(3));
        assert_eq!(b.place().to_string(), "b");
        assert_eq!(Way::ROOT.pointer(), "");
    }

    #[test]
    fn odd_keys_are_quoted() {
        assert_eq!(
            Place::root().key("a").key("odd key").index(3).to_string(),
            "a['odd key'][3]"
        );
    }
}
