//! Files and folders: globs, paths for display, and files that are written whole.

#[cfg(feature = "runner")]
mod glob;
#[cfg(feature = "runner")]
mod lock;
#[cfg(feature = "runner")]
mod path;
mod write;

#[cfg(feature = "runner")]
pub(crate) use glob::{Found, Glob, PENDING, files, looked_in};
#[cfg(feature = "runner")]
pub(crate) use lock::lock;
#[cfg(feature = "runner")]
pub(crate) use path::{project_root, relative};
pub(crate) use write::{Readers, write_new, write_whole};
#[cfg(feature = "runner")]
pub(crate) use write::{make_private, remove, write_whole_by};
