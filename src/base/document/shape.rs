//! What may stand at a place of a document: one table for the reader and for the schema made from it.

use super::node::{Node, Object, unknown_field};
use super::problem::Problems;

/// What may stand at a place.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Anything.
    Any,
    /// Nothing.
    Null,
    /// A string.
    Text,
    /// A string, a number or a boolean, taken as its text.
    Scalar,
    /// `true` or `false`.
    Flag,
    /// A number.
    Number,
    /// An integer from the first to the second.
    Integer(i64, i64),
    /// One of these words.
    Choice(fn() -> Vec<&'static str>),
    /// A list of these.
    List(&'static Shape),
    /// An object of any names with these values.
    Map(&'static Shape),
    /// An object of these fields.
    Object(&'static Fields),
    /// Any of these.
    Either(&'static [Shape]),
}

/// The fields of an object.
#[derive(Debug)]
pub(crate) struct Fields {
    /// What the object is called in the schema.
    pub(crate) title: &'static str,
    /// The fields, in the order in which they are told.
    pub(crate) list: &'static [Field],
}

/// A field of an object.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// Whether it has to be there.
    pub(crate) required: bool,
    /// What an editor shows.
    pub(crate) doc: &'static str,
}

impl Field {
    /// A field that may be left out.
    pub(crate) const fn new(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self {
            name,
            shape,
            required: false,
            doc,
        }
    }

    /// A field that has to be there.
    pub(crate) const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self {
            name,
            shape,
            required: true,
            doc,
        }
    }
}

/// The names of a table of choices.
pub(crate) fn names<T>(choices: &[(&'static str, T)]) -> Vec<&'static str> {
    choices.iter().map(|(name, _)| *name).collect()
}

impl Fields {
    /// The names of the fields.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.list.iter().map(|field| field.name).collect()
    }
}

impl<'a> Node<'a> {
    /// The members, when this is an object of these fields and has all that are required.
    pub(crate) fn fields(&self, fields: &Fields, problems: &mut Problems) -> Option<Object<'a>> {
        let object = self.map(problems)?;
        let names = fields.names();
        for (key, node) in object.members() {
            if !names.contains(&key) {
                problems.add(&node.place, unknown_field(key, &names));
            }
        }
        for field in fields.list.iter().filter(|field| field.required) {
            object.require(field.name, problems);
        }
        Some(object)
    }
}
