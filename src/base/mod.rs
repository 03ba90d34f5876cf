//! What every room shares: HTTP as data, JSON by value, documents with places, encodings.

#[cfg(feature = "runner")]
pub(crate) mod decode;
pub(crate) mod document;
pub(crate) mod encoding;
pub(crate) mod http;
pub(crate) mod json;
