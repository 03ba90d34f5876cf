//! An exchange as the proxy saw it, for a session that captures.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Shared;
use super::correlate::{parse_traceparent, with_trace};
use super::target::Form;
use crate::case::{Recording, SpanPurpose};
use crate::http::{Direction, Request, Response, SESSION_HEADER};
use crate::otlp::json::hex;
use crate::serve::plain;

/// A request with what ties it to a trace.
#[derive(Debug)]
pub(super) struct Observed {
    /// As it is sent on.
    pub(super) request: Request,
    direction: Direction,
    trace_id: String,
    span_id: String,
    parent_span_id: Option<String>,
    start_ns: u64,
}

impl Observed {
    pub(super) fn new(mut request: Request, form: Form) -> Self {
        let (trace_id, span_id) = random_ids();
        let named = parse_traceparent(&request.headers);
        // Whoever calls the application through the proxy is its first hop: a header names the session,
        // which later hops carry in `tracestate`. What the application sends by itself stays as it is.
        let direction = if form == Form::Reverse && request.headers.contains(SESSION_HEADER) {
            with_trace(&mut request.headers, &trace_id, &span_id);
            Direction::Inbound
        } else {
            Direction::Outbound
        };
        let (trace_id, parent_span_id) = match named {
            Some((trace_id, parent)) => (trace_id, Some(parent)),
            None => (trace_id, None),
        };
        Self {
            request,
            direction,
            trace_id,
            span_id,
            parent_span_id,
            start_ns: now_ns(),
        }
    }

    /// Tells the session of the exchange, and returns the response. Where that fails the application
    /// is told so: a capture that lacks a call would be a case that can't be replayed.
    pub(super) async fn record(
        self,
        shared: Arc<Shared>,
        session: String,
        response: Response,
    ) -> Response {
        let task = tokio::task::spawn_blocking(move || {
            let recording = Recording {
                purpose: SpanPurpose::Extract,
                session: Some(&session),
                direction: self.direction,
                trace_id: self.trace_id,
                span_id: self.span_id,
                parent_span_id: self.parent_span_id,
                times_ns: (self.start_ns, now_ns()),
                request: &self.request,
                response: Some(&response),
                more: Vec::new(),
            };
            match shared.oracle.record(&recording.document()) {
                Ok(()) => response,
                Err(error) => {
                    let message = format!("{} can't be recorded: {error}", self.request);
                    log::error!("{message}");
                    plain(502, &message)
                }
            }
        });
        task.await
            .unwrap_or_else(|error| plain(502, &format!("the exchange can't be recorded: {error}")))
    }
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

/// A fresh trace id and span id, hex. They need to be distinct, not secret: where the machine has no
/// randomness the clock gives them.
pub(crate) fn random_ids() -> (String, String) {
    let mut bytes = [0_u8; 24];
    if getrandom::fill(&mut bytes).is_err() {
        for (byte, source) in bytes.iter_mut().zip(now_ns().to_le_bytes().iter().cycle()) {
            *byte = *source;
        }
    }
    (hex(&bytes[..16]), hex(&bytes[16..]))
}
