//! What every module shares: HTTP as data, JSON compared by value, documents with places, encodings.

#[cfg(feature = "runner")]
mod blank;
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
#[cfg(feature = "embedded")]
mod micros;
#[cfg(feature = "runner")]
mod visible;

#[cfg(feature = "runner")]
pub(crate) use blank::unless_blank;
pub(crate) use causes::with_causes;
#[cfg(feature = "embedded")]
pub(crate) use micros::in_micros;
#[cfg(feature = "runner")]
pub(crate) use visible::{visible, visible_line};
