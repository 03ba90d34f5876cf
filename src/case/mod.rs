//! A captured scenario: one inbound exchange and the outbound ones it caused.
//!
//! [`Case::parse`] reads a case file (OTLP JSON in both of its dialects) into exchanges;
//! [`Case::find`] and [`Case::find_all`] look captured exchanges up.

mod document;
mod exchange;
mod inbound;
mod lookup;
#[cfg(feature = "embedded")]
mod record;

pub use document::CaseError;
#[cfg(feature = "embedded")]
pub(crate) use document::{ScopedSpan, read_spans};
pub use exchange::{CapturedResponse, Exchange, SpanSummary, replayable_request};
pub use inbound::AmbiguousInbound;
#[cfg(feature = "embedded")]
pub(crate) use record::{Recording, SpanPurpose, document_of, response_attributes, text_attribute};

pub use lookup::{CapturedHit, CaseLookupError, Predicate};

use serde_json::Value;

use crate::http::Direction;
use crate::reader::split_mark;

/// A case file, read and understood.
#[derive(Debug, Clone)]
pub struct Case {
    /// The stable id, `caseId`.
    pub id: String,
    /// The grouping the capture was given, if any.
    pub suite: Option<String>,
    /// `capture`, `replay` or `generate`, if it says.
    pub mode: Option<String>,
    /// When it was captured, RFC 3339, if it says.
    pub created_at: Option<String>,
    /// The embedded rules as they stand in the file; the runtime reads them when the case is loaded.
    pub rules: Vec<Value>,
    /// `fixtures` that are `{name, value}` pairs, in order.
    pub fixtures: Vec<(String, Value)>,
    /// What exceeds the size guidance: for people, never a failure.
    pub warnings: Vec<String>,
    document: Value,
    exchanges: Vec<Exchange>,
    inbound: Result<Option<usize>, AmbiguousInbound>,
}

impl Case {
    /// Reads a case file's text.
    ///
    /// # Errors
    ///
    /// [`CaseError`] names the place in the document: the line of a syntax error, the missing field,
    /// the path of a value of the wrong shape.
    pub fn parse(text: &str) -> Result<Self, CaseError> {
        let (_, json) = split_mark(text);
        Self::from_document(serde_json::from_str(json)?)
    }

    /// Reads a case from its parsed JSON document.
    ///
    /// # Errors
    ///
    /// As [`Case::parse`], without the syntax errors.
    pub fn from_document(document: Value) -> Result<Self, CaseError> {
        document::read(document)
    }

    /// The document as it was read, unknown fields included.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Every span of the case, in captured order (start time, then document order).
    pub fn exchanges(&self) -> &[Exchange] {
        &self.exchanges
    }

    /// The inbound exchange; `None` when the case has none.
    ///
    /// # Errors
    ///
    /// [`AmbiguousInbound`] lists the spans when more than one could be it.
    pub fn inbound(&self) -> Result<Option<&Exchange>, AmbiguousInbound> {
        let found = self.inbound.clone()?;
        Ok(found.and_then(|n| self.exchanges.get(n)))
    }

    /// The service that was captured: that of the inbound exchange.
    pub fn service(&self) -> Option<&str> {
        self.inbound().ok().flatten()?.service.as_deref()
    }

    /// The outbound exchanges that a lookup can find, in captured order.
    pub fn outbound(&self) -> impl Iterator<Item = &Exchange> {
        self.exchanges
            .iter()
            .filter(|x| x.is_candidate() && x.direction == Some(Direction::Outbound))
    }
}
