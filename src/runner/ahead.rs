//! Cases read ahead of their trials, where one trial runs at a time.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::case::{Case, CaseLoadError};

/// So many cases wait to be replayed, at the most.
const WAITING: usize = 1;

type Read = (Arc<Path>, Result<Case, CaseLoadError>);

/// The cases of a run in its order, read by a thread of their own: with one trial at a time, reading would
/// otherwise add to the waiting for the application. Dropping it ends the thread.
pub(super) struct ReadAhead {
    read: Mutex<Receiver<Read>>,
}

impl ReadAhead {
    /// Starts to read these files.
    pub(super) fn start(files: Vec<Arc<Path>>) -> Self {
        let (sender, read) = sync_channel(WAITING);
        std::thread::spawn(move || {
            for file in files {
                let case = Case::from_file(&file);
                if sender.send((file, case)).is_err() {
                    return;
                }
            }
        });
        Self {
            read: Mutex::new(read),
        }
    }

    /// The case of this file; `None` where it was not read ahead.
    pub(super) fn take(&self, file: &Path) -> Option<Result<Case, CaseLoadError>> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.iter()
            .find_map(|(known, case)| (*known == *file).then_some(case))
    }
}
