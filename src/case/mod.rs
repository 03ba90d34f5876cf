//! Captured scenarios: reading case files, and finding exchanges in them.
//!
//! A [`Case`] holds one inbound [`Exchange`] and the outbound ones that it caused. It is read from a file
//! ([`Case::from_file`]), from text (`text.parse()`) or from a JSON document ([`Case::from_document`]).
//! [`Case::find`] and [`Case::find_all`] find exchanges by a [`Predicate`].
//!
//! ```
//! use softprobe::{Case, Predicate};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let case = Case::from_file("cases/checkout/happy.case.json")?;
//! let inbound = case.inbound()?.expect("an inbound exchange");
//! assert_eq!(inbound.request.path, "/checkout");
//!
//! let payment = case.find(&Predicate::outbound().host("payments.example"))?;
//! assert_eq!(payment.response.status, 200);
//! # Ok(())
//! # }
//! ```
//!
//! The repository's `docs/case-files.md` describes the format, the attributes that are read, and lookups.

mod attribute;
mod document;
mod exchange;
mod fault;
mod inbound;
mod lookup;
mod mode;
#[cfg(feature = "embedded")]
mod record;
mod source;

pub use crate::base::http::{Direction, ParseDirectionError};
pub use document::Case;
#[cfg(feature = "embedded")]
pub(crate) use document::{ScopedSpan, read_spans};
#[cfg(feature = "embedded")]
pub(crate) use exchange::no_answer;
pub use exchange::{CapturedResponse, Exchange, NoResponse, SpanSummary};
#[cfg(feature = "runner")]
pub(crate) use exchange::{STATUS_KEYS, URL_KEYS};
pub use fault::{CaseError, CaseLoadCause, CaseLoadError};
pub use inbound::AmbiguousInbound;
#[cfg(feature = "runner")]
pub(crate) use lookup::Answered;
#[cfg(feature = "embedded")]
pub(crate) use lookup::{AllHold, Difference, Nearness, Subject, Tally};
pub use lookup::{CapturedHit, CaseLookupError, Predicate};
pub use mode::{Mode, ParseModeError};
#[cfg(feature = "embedded")]
pub(crate) use record::{ErrorType, cut_off, unusable};
#[cfg(feature = "embedded")]
pub(crate) use record::{
    Recording, SpanPurpose, Without, document_of, response_attributes, text_attribute,
};
