//! OTLP traces: JSON in the dialects found in practice, and protobuf.
//!
//! Inside the library a trace document is always JSON, a [`serde_json::Value`]; protobuf is only an
//! encoding at the edge.

pub(crate) mod json;

#[cfg(feature = "embedded")]
mod decode;
#[cfg(feature = "embedded")]
mod encode;
#[cfg(feature = "runner")]
mod export;
#[cfg(feature = "embedded")]
mod message;

#[cfg(feature = "embedded")]
mod size;

#[cfg(feature = "embedded")]
pub(crate) use decode::decode;
#[cfg(feature = "embedded")]
pub(crate) use encode::encode;
#[cfg(feature = "runner")]
pub(crate) use export::rejected_spans;
#[cfg(feature = "embedded")]
pub(crate) use size::{check_json, check_protobuf};
