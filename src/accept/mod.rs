//! Changes a case file so that it says what the application does now: only what differs, and every other byte as it was.

mod attributes;
mod change;
mod exchange;
mod pending;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use thiserror::Error;

use crate::base::json::Patch;
use crate::case::{Case, CaseError};
use crate::compare::Change;
use exchange::Editor;
pub(crate) use pending::{Ignorable, Pending, Undecided};

/// Which message of an exchange changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The request that the application sent.
    Request,
    /// The answer of the application.
    Response,
}

/// A change that was accepted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Accepted {
    /// The exchange's index among those of the case.
    pub(crate) exchange: usize,
    /// The message of the exchange.
    pub(crate) part: Part,
    /// How it changes.
    pub(crate) change: Change,
}

/// Why a case can't be changed.
#[derive(Debug, Error)]
pub(crate) enum Conflict {
    /// The file's text can't be read any more.
    #[error("the file was changed meanwhile, and can't be read any more: {0}")]
    Unreadable(#[from] CaseError),
    /// Somebody else has changed it at the same place.
    #[error("the file was changed meanwhile at {0}; run it again")]
    Changed(String),
    /// An exchange that changes is gone.
    #[error("the file was changed meanwhile, and an exchange is gone; run it again")]
    Gone,
    /// Two changes of one place differ.
    #[error(
        "two calls that this exchange answers differ from each other at {0}; only one can be in the capture"
    )]
    Apart(String),
    /// The captured message is not stored in a form that can be changed.
    #[error("{0}")]
    Form(&'static str),
}

/// Returns the text of a case file with changes; `None` if it has them all already. The changes were made of the case as it was
/// `read`; the text may have changed since, but not at the same places.
///
/// # Errors
///
/// [`Conflict`] says which change can't be made.
pub(crate) fn changed(
    text: &str,
    read: &Case,
    changes: &[Accepted],
) -> Result<Option<String>, Conflict> {
    let now: Case = text.parse()?;
    let mut groups: BTreeMap<(usize, Part), Vec<&Change>> = BTreeMap::new();
    for Accepted {
        exchange,
        part,
        change,
    } in changes
    {
        let group = groups.entry((*exchange, *part)).or_default();
        change::add(group, change)?;
    }
    let mut patch = Patch::default();
    let mut changes_any = false;
    for ((index, part), group) in groups {
        let was = read.exchanges().get(index).ok_or(Conflict::Gone)?;
        let now = exchange::same(was, read, &now).ok_or(Conflict::Gone)?;
        changes_any |= Editor::new(was, now, part, &mut patch).make(&group)?;
    }
    Ok(changes_any.then(|| patch.apply(text)))
}
