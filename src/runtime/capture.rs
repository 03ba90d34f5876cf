//! What a capture session has recorded, and the case that it becomes.

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::case::Exchange;
use crate::control::ControlError;
use crate::otlp::json::field;

/// A session records no more spans than this,
const MOST_SPANS: usize = 10_000;
/// and no more bytes.
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// A span with what it stood under.
#[derive(Debug, Clone)]
pub(super) struct RecordedSpan {
    start_ns: u64,
    resource: Value,
    scope: Value,
    span: Value,
}

/// The spans of a capture session, in the order they came.
#[derive(Debug, Default)]
pub(super) struct Capture {
    spans: Vec<RecordedSpan>,
    bytes: usize,
}

/// The spans of a trace document in document order, each beside its exchange.
pub(super) fn spans_of(
    document: &Value,
    exchanges: Vec<Exchange>,
) -> Vec<(Exchange, RecordedSpan)> {
    let list = |owner: &Value, name: &str| -> Vec<Value> {
        let list = field(owner, name).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let part = |owner: &Value, name: &str| field(owner, name).cloned().unwrap_or_default();
    let mut spans = Vec::new();
    for resource in list(document, "resourceSpans") {
        for scope in list(&resource, "scopeSpans") {
            for span in list(&scope, "spans") {
                spans.push(RecordedSpan {
                    start_ns: 0,
                    resource: part(&resource, "resource"),
                    scope: part(&scope, "scope"),
                    span,
                });
            }
        }
    }
    exchanges
        .into_iter()
        .zip(spans)
        .map(|(exchange, mut span)| {
            span.start_ns = exchange.start_ns;
            (exchange, span)
        })
        .collect()
}

impl Capture {
    /// Adds a span.
    ///
    /// # Errors
    ///
    /// 413 when the session has recorded all that it may.
    pub(super) fn add(&mut self, id: &str, span: RecordedSpan) -> Result<(), ControlError> {
        let size = span.span.to_string().len();
        if self.spans.len() >= MOST_SPANS || self.bytes + size > MOST_BYTES {
            return Err(ControlError::new(
                413,
                "payload_too_large",
                format!(
                    "session `{id}` has recorded {} spans of {} bytes, and no more than \
                     {MOST_SPANS} of {MOST_BYTES} are kept; close it",
                    self.spans.len(),
                    self.bytes
                ),
            ));
        }
        self.bytes += size;
        self.spans.push(span);
        Ok(())
    }

    /// The case document: the spans in the order of their start times, those of one resource and
    /// scope together.
    pub(super) fn case(&self, case_id: &str, now: SystemTime) -> Value {
        let mut spans: Vec<&RecordedSpan> = self.spans.iter().collect();
        spans.sort_by_key(|span| span.start_ns);
        let mut groups: Vec<(&Value, &Value, Vec<&Value>)> = Vec::new();
        for span in spans {
            match groups.last_mut() {
                Some((resource, scope, members))
                    if **resource == span.resource && **scope == span.scope =>
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
