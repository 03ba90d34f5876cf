//! What came of a recording.

use std::path::PathBuf;

/// What came of a recording.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// The cases that were written, in that order.
    pub(crate) recorded: Vec<Recorded>,
    /// What was not recorded, with the reason.
    pub(crate) left: Vec<Left>,
    /// How many exchanges were left out since one that stands is like them.
    pub(crate) alike: usize,
    /// How many exchanges that belong to no request were recorded, and their file.
    pub(crate) shared: Option<(usize, PathBuf)>,
    /// How many of these exchanges are more than are kept.
    pub(crate) shared_dropped: usize,
    /// What to know of what was recorded.
    pub(crate) notes: Vec<String>,
    /// Whether a call of the application has named no session since the first request came.
    pub(crate) has_unnamed: bool,
    /// The host by which the application was called, if its answers hold it.
    pub(crate) host: Option<String>,
}

/// A case that was written.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) file: PathBuf,
    /// The request, for display: `GET /items/7`.
    pub(crate) request: String,
    pub(crate) status: u16,
    /// How many calls it caused.
    pub(crate) calls: usize,
    /// Why it can't be replayed, if it can't.
    pub(crate) unusable: Option<String>,
}

/// What was not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    /// The request or the call, for display.
    pub(crate) what: String,
    pub(crate) why: String,
    /// How many times.
    pub(crate) count: usize,
    /// Whether cases lack it that should have it.
    pub(crate) is_lost: bool,
}

impl Summary {
    /// Adds something that was not recorded though it should be, or counts it.
    pub(super) fn lose(&mut self, what: String, why: String) {
        self.leave(what, why, true);
    }

    /// Adds what to know, once.
    pub(super) fn note(&mut self, note: String) {
        /// How many notes are told.
        const MOST: usize = 50;
        if self.notes.len() < MOST && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Adds something that was not recorded, or counts it.
    pub(super) fn leave(&mut self, what: String, why: String, is_lost: bool) {
        let mut known = self.left.iter_mut();
        match known.find(|left| left.what == what && left.why == why) {
            Some(left) => left.count += 1,
            None => self.left.push(Left {
                what,
                why,
                count: 1,
                is_lost,
            }),
        }
    }
}
