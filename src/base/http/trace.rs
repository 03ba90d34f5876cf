//! The `traceparent` header, which says which trace a call belongs to.

use std::fmt;

use super::headers::Headers;

/// The ids of a trace and of the span that makes a call, in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
}

impl Trace {
    /// Reads the `traceparent` header; returns `None` if it is missing or malformed.
    pub(crate) fn of(headers: &Headers) -> Option<Self> {
        let value = headers.text("traceparent")?.trim().to_ascii_lowercase();
        let mut parts = value.split('-').skip(1);
        let (trace_id, span_id) = (parts.next()?, parts.next()?);
        let is_hex =
            |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_hexdigit());
        (is_hex(trace_id, 32) && is_hex(span_id, 16)).then(|| Self {
            trace_id: trace_id.to_owned(),
            span_id: span_id.to_owned(),
        })
    }
}

/// Formats a trace as the value of `traceparent`.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace_id, span_id } = self;
        write!(f, "00-{trace_id}-{span_id}-01")
    }
}
