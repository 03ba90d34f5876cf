//! Records what an application does as cases: one for each request to it, with the calls that the request causes.

mod files;
mod gate;
mod names;
mod owners;
mod recording;
mod shape;
mod summary;
mod trust;

pub(crate) use files::Destination;
pub(crate) use recording::{Recorder, Settings};
pub(crate) use summary::{Left, Recorded, Summary};
pub(crate) use trust::Concurrency;
