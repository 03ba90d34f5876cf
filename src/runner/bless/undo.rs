//! Takes back what was accepted, if something turns up afterwards that speaks against it.

use std::path::Path;
use std::sync::Arc;

use crate::base::json::difference;
use crate::disk::{Readers, lock, write_whole};
use crate::runner::discover::Trial;

/// What was changed in a case file.
#[derive(Debug)]
pub(in crate::runner) struct Undo {
    file: Arc<Path>,
    /// Where the part begins that was changed, in bytes.
    start: usize,
    before: String,
    after: String,
    /// The length of the file after the change.
    len: usize,
}

impl Undo {
    pub(super) fn new(trial: &Trial, before: &str, after: &str) -> Self {
        let (part, new) = difference(before, after).pop().unwrap_or_default();
        Self {
            file: Arc::clone(&trial.file),
            start: part.start,
            before: before[part].to_owned(),
            after: new,
            len: after.len(),
        }
    }

    /// Has the file say what it said before.
    ///
    /// # Errors
    ///
    /// Why it can't: it was changed since, for example.
    pub(in crate::runner) fn take_back(&self) -> Result<(), String> {
        let failed = |error: std::io::Error| error.to_string();
        let _lock = lock(&self.file).map_err(failed)?;
        let text = std::fs::read_to_string(&self.file).map_err(failed)?;
        let end = self.start + self.after.len();
        if text.len() != self.len || text.get(self.start..end) != Some(&self.after) {
            return Err("it was changed since".to_owned());
        }
        let text = format!("{}{}{}", &text[..self.start], self.before, &text[end..]);
        write_whole(&self.file, text, Readers::Owner).map_err(failed)
    }
}
