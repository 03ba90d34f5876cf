//! What may appear at a place in a document: one table for the reader and for the schema made from it.

use super::node::{Node, Object, unknown_field};
use super::problem::Problems;

/// The kind of value that may appear at a place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// Any value.
    Any,
    /// `null`.
    Null,
    /// A string.
    Text,
    /// A string, a number or a boolean, read as text.
    Scalar,
    /// `true` or `false`.
    Flag,
    /// A number.
    Number,
    /// An integer in this range, both ends included.
    Integer(i64, i64),
    /// One of these words.
    Choice(fn() -> Vec<&'static str>),
    /// A list of values of this shape.
    List(&'static Shape),
    /// An object with members of any name, all of this shape.
    Map(&'static Shape),
    /// An object with these fields.
    Object(&'static Fields),
    /// A value of any of these shapes.
    Either(&'static [Shape]),
}

/// The fields of an object.
#[derive(Debug)]
pub(crate) struct Fields {
    /// The object's name in the schema.
    pub(crate) title: &'static str,
    /// The fields, in the order in which the schema and messages list them.
    pub(crate) list: &'static [Field],
}

/// A field of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// Whether it must be present.
    pub(crate) required: bool,
    /// The description that an editor shows.
    pub(crate) doc: &'static str,
}

impl Field {
    /// Creates an optional field.
    pub(crate) const fn new(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self {
            name,
            shape,
            required: false,
            doc,
        }
    }

    /// Creates a required field.
    pub(crate) const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self {
            name,
            shape,
            required: true,
            doc,
        }
    }
}

/// Returns the names in a table of choices.
pub(crate) fn names<T>(choices: &[(&'static str, T)]) -> Vec<&'static str> {
    choices.iter().map(|(name, _)| *name).collect()
}

impl Fields {
    /// Returns the names of the fields.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.list.iter().map(|field| field.name).collect()
    }
}

impl<'a> Node<'a> {
    /// Returns the members if this is an object; unknown members and missing required ones are problems.
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
