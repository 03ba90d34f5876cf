//! `mocks.shared`: exchanges that answer every case of a suite.

use std::sync::Arc;

use crate::base::document::{Field, Fields, Node, Place, Problems, Shape};
use crate::base::http::Direction;
use crate::rule::{WHEN, When};

/// An element of `mocks.shared`: which exchanges answer every case that has none of its own.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    /// Where they come from.
    pub(crate) source: SharedSource,
    /// The element's place in the suite.
    pub(crate) place: Place,
}

/// Where shared exchanges come from.
#[derive(Debug, Clone)]
pub(crate) enum SharedSource {
    /// The suite's cases: every exchange that these predicates match.
    Cases(Arc<When>),
    /// This case file: all of its outbound exchanges.
    File(String),
}

const FROM: Fields = Fields {
    title: "sharedFile",
    list: &[Field::required(
        "from",
        Shape::Text,
        "a case file whose outbound exchanges are shared, looked up in the suite file's folder, then in the project's \
         root",
    )],
};

/// The field `shared`.
pub(super) const SHARED: Field = Field::new(
    "shared",
    Shape::List(&Shape::Either(&[
        Shape::Object(&FROM),
        Shape::Object(&WHEN),
    ])),
    "which exchanges of any case of the suite, or of a file, answer every case that has none of its own, and calls \
     while no case runs; as often as they are made",
);

/// Reads the list.
pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Arc<[Shared]> {
    let nodes = node.list(problems).unwrap_or_default();
    let read = |node: Node<'_>| {
        let source = match node.value.get("from") {
            Some(_) => {
                let from = node.fields(&FROM, problems)?.get("from")?;
                SharedSource::File(from.string(problems)?)
            }
            None => SharedSource::Cases(Arc::new(read_match(Some(node.clone()), problems)?)),
        };
        Some(Shared {
            source,
            place: node.place,
        })
    };
    nodes.into_iter().filter_map(read).collect()
}

/// Reads a `match`; without a direction, it is about outbound calls.
pub(super) fn read_match(node: Option<Node<'_>>, problems: &mut Problems) -> Option<When> {
    let mut when = match node {
        Some(node) => When::read(&node, problems)?,
        None => When::default(),
    };
    when.lookup.direction.get_or_insert(Direction::Outbound);
    Some(when)
}
