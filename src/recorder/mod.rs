//! Records what an application does as cases: one for each request to it, with the calls that the request causes.

mod files;
mod gate;
mod imported;
mod names;
mod owners;
mod recording;
mod shape;
mod summary;
mod trust;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use files::Destination;
pub(crate) use imported::{Imported, Importer};
pub(crate) use recording::{Recorder, Settings};
pub(crate) use summary::{Left, Recorded, Summary};
pub(crate) use trust::Concurrency;

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned lock is safe to use: every change under it is complete before anything can panic.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
