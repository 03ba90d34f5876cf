//! What every module shares: HTTP as data, JSON compared by value, documents with places, encodings.

mod causes;
pub(crate) mod compile;
#[cfg(feature = "embedded")]
pub(crate) mod decode;
pub(crate) mod document;
pub(crate) mod encoding;
pub(crate) mod http;
pub(crate) mod json;

pub(crate) use causes::with_causes;
