//! What every module shares: HTTP as data, JSON compared by value, documents with places, encodings.

mod causes;
pub(crate) mod compile;
#[cfg(feature = "embedded")]
pub(crate) mod decode;
pub(crate) mod document;
pub(crate) mod encoding;
pub(crate) mod http;
pub(crate) mod json;
#[cfg(feature = "runner")]
pub(crate) mod masked;
#[cfg(feature = "runner")]
mod visible;

pub(crate) use causes::with_causes;
#[cfg(feature = "runner")]
pub(crate) use visible::{visible, visible_line};
