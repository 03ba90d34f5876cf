//! What a capture session has recorded, and the case made from it.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::case::{Recording, ScopedSpan};
use crate::control::ControlError;

/// The most spans that a session records.
const MOST_SPANS: usize = 10_000;
/// The most bytes that a session records.
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// A recorded span with its resource and scope, which other spans may share.
#[derive(Debug, Clone)]
pub(super) struct Captured {
    /// The span's `resource`; `null` if it has none.
    pub(super) resource: Arc<Value>,
    /// The span's `scope`; `null` if it has none.
    pub(super) scope: Arc<Value>,
    pub(super) start_ns: u64,
    pub(super) span: Value,
}

impl From<ScopedSpan> for Captured {
    fn from(scoped: ScopedSpan) -> Self {
        let ScopedSpan {
            resource,
            scope,
            exchange,
        } = scoped;
        Self {
            resource,
            scope,
            start_ns: exchange.start_ns,
            span: exchange.span().clone(),
        }
    }
}

impl From<&Recording<'_>> for Captured {
    fn from(recording: &Recording<'_>) -> Self {
        Self {
            resource: Arc::default(),
            scope: Arc::new(Recording::scope()),
            start_ns: recording.times_ns.0,
            span: recording.span(),
        }
    }
}

/// The spans of a capture session, in the order they arrived.
#[derive(Debug, Default)]
pub(super) struct Capture {
    spans: Vec<Captured>,
    bytes: usize,
    /// How many of the spans a client has got.
    taken: usize,
}

impl Capture {
    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Returns whether a client has got all of it.
    pub(super) fn is_taken(&self) -> bool {
        self.taken == self.spans.len()
    }

    pub(super) fn note_taken(&mut self) {
        self.taken = self.spans.len();
    }

    /// Adds a span.
    ///
    /// # Errors
    ///
    /// 413 if the session has already recorded as much as it may.
    pub(super) fn add(&mut self, id: &str, span: Captured) -> Result<(), ControlError> {
        let mut size = span.span.to_string().len();
        let last = self.spans.last();
        if !last.is_some_and(|last| Arc::ptr_eq(&last.resource, &span.resource)) {
            size += span.resource.to_string().len() + span.scope.to_string().len();
        }
        if self.spans.len() >= MOST_SPANS || self.bytes + size > MOST_BYTES {
            return Err(ControlError::new(
                413,
                "payload_too_large",
                format!(
                    "session `{id}` has recorded {} spans ({} bytes), and at most {MOST_SPANS} spans \
                     ({MOST_BYTES} bytes) are kept; close it",
                    self.spans.len(),
                    self.bytes
                ),
            ));
        }
        self.bytes += size;
        self.spans.push(span);
        Ok(())
    }

    /// Returns the case document: the spans in the order of their start times, with consecutive spans of the
    /// same resource and scope grouped.
    pub(super) fn case(&self, case_id: &str, now: SystemTime) -> Value {
        let mut spans: Vec<&Captured> = self.spans.iter().collect();
        spans.sort_by_key(|span| span.start_ns);
        let mut groups: Vec<(&Value, &Value, Vec<&Value>)> = Vec::new();
        for span in spans {
            match groups.last_mut() {
                Some((resource, scope, members))
                    if **resource == *span.resource && **scope == *span.scope =>
                {
                    members.push(&span.span);
                }
                _ => groups.push((&span.resource, &span.scope, vec![&span.span])),
            }
        }
        let resource_spans: Vec<Value> = groups
            .into_iter()
            .map(|(resource, scope, spans)| {
                let mut scope_spans = json!({"spans": spans});
                if !scope.is_null() {
                    scope_spans["scope"] = scope.clone();
                }
                let mut resource_spans = json!({});
                if !resource.is_null() {
                    resource_spans["resource"] = resource.clone();
                }
                resource_spans["scopeSpans"] = json!([scope_spans]);
                resource_spans
            })
            .collect();
        let traces = match resource_spans.is_empty() {
            true => json!([]),
            false => json!([{"resourceSpans": resource_spans}]),
        };
        json!({
            "version": "1.0.0",
            "caseId": case_id,
            "mode": "capture",
            "createdAt": humantime::format_rfc3339_seconds(now).to_string(),
            "traces": traces,
        })
    }
}
