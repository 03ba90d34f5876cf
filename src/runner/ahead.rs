//! Reads cases ahead of their trials when one trial runs at a time.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::case::{Case, CaseLoadError};

/// How many cases that have been read may wait for their replay.
const WAITING: usize = 1;

type Read = (Arc<Path>, Result<Case, CaseLoadError>);

/// The cases of a run, in order, read by a separate thread: with one trial at a time, reading would
/// otherwise add to the time spent waiting for the application. Dropping this ends the thread.
pub(super) struct ReadAhead {
    read: Mutex<Receiver<Read>>,
}

impl ReadAhead {
    /// Starts reading these files.
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

    /// Returns the case of this file, or `None` if it was not read ahead.
    pub(super) fn take(&self, file: &Path) -> Option<Result<Case, CaseLoadError>> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.iter()
            .find_map(|(known, case)| (*known == *file).then_some(case))
    }
}
