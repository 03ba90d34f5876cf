//! Changes of one message: which go together.

use super::Conflict;
use crate::compare::Change;

/// Adds a change to those of the same message, unless it is there.
///
/// # Errors
///
/// If another one changes the same place in another way.
pub(super) fn add<'c>(group: &mut Vec<&'c Change>, new: &'c Change) -> Result<(), Conflict> {
    for known in group.iter() {
        if *known == new {
            return Ok(());
        }
        if is_same_place(known, new) {
            return Err(Conflict::Apart(place(new)));
        }
    }
    group.push(new);
    Ok(())
}

fn is_same_place(known: &Change, new: &Change) -> bool {
    match (known, new) {
        (Change::Status(_), Change::Status(_)) | (Change::Body(_), Change::Body(_)) => true,
        (Change::Header { name: a, .. }, Change::Header { name: b, .. })
        | (Change::Query { name: a, .. }, Change::Query { name: b, .. })
        | (Change::Form { name: a, .. }, Change::Form { name: b, .. }) => a == b,
        (Change::Json { at: a, .. }, Change::Json { at: b, .. }) => a == b,
        (Change::Body(_), Change::Json { .. } | Change::Form { .. })
        | (Change::Json { .. } | Change::Form { .. }, Change::Body(_)) => true,
        _ => false,
    }
}

/// Returns the place of a change, for display.
pub(super) fn place(change: &Change) -> String {
    match change {
        Change::Status(_) => "the status".to_owned(),
        Change::Header { name, .. } => format!("the header `{name}`"),
        Change::Query { name, .. } => format!("`{name}` in the query"),
        Change::Form { name, .. } => format!("`{name}` in the form"),
        Change::Json { at, .. } => format!("`{at}` in the body"),
        Change::Body(_) => "the body".to_owned(),
    }
}
