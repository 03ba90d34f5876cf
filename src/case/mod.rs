//! A captured scenario: one inbound exchange and the outbound ones it caused.
//!
//! [`Case::parse`] reads a case file (OTLP JSON in both of its dialects) into exchanges;
//! [`Case::find`] and [`Case::find_all`] look captured exchanges up.

mod attribute;
mod document;
mod exchange;
mod fault;
mod inbound;
mod lookup;
#[cfg(feature = "embedded")]
mod record;
mod source;

pub use document::Case;
#[cfg(feature = "embedded")]
pub(crate) use document::{ScopedSpan, read_spans};
pub use exchange::{CapturedResponse, Exchange, NoResponse, SpanSummary};
pub use fault::{CaseError, CaseLoadCause, CaseLoadError};
pub use inbound::AmbiguousInbound;
#[cfg(feature = "runner")]
pub(crate) use lookup::Answered;
#[cfg(feature = "embedded")]
pub(crate) use lookup::{AllHold, Difference, Nearness, Subject, Tally};
pub use lookup::{CapturedHit, CaseLookupError, Predicate};
#[cfg(feature = "embedded")]
pub(crate) use record::{Recording, SpanPurpose, document_of, response_attributes, text_attribute};
