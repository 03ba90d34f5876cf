//! Records exchanges as the proxy sees them, for capture sessions.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::correlate::with_trace;
use super::decide::Core;
use super::target::Form;
use crate::base::http::{Direction, Request, Response, SESSION_HEADER, Trace};
use crate::base::with_causes;
use crate::case::{Recording, SpanPurpose, cut_off};
use crate::net::{now_ns, plain, random_trace};

/// A request with the ids that tie it to a trace.
#[derive(Debug)]
pub(super) struct Observed {
    /// The request as it is sent on.
    pub(super) request: Arc<Request>,
    direction: Direction,
    trace_id: String,
    span_id: String,
    parent_span_id: Option<String>,
    start_ns: u64,
}

impl Observed {
    pub(super) fn new(request: Arc<Request>, form: Form) -> Self {
        let own = random_trace();
        let named = Trace::of(&request.headers);
        let (direction, request) = match is_first_hop(&request, form) {
            true => (Direction::Inbound, with_own_trace(request, &own)),
            false => (Direction::Outbound, request),
        };
        let (trace_id, parent_span_id) = match named {
            Some(named) => (named.trace_id, Some(named.span_id)),
            None => (own.trace_id, None),
        };
        Self {
            request,
            direction,
            trace_id,
            span_id: own.span_id,
            parent_span_id,
            start_ns: now_ns(),
        }
    }

    /// Returns whether it is a call to the application.
    pub(super) fn is_inbound(&self) -> bool {
        self.direction == Direction::Inbound
    }

    /// Records the exchange in the session and returns the response. If recording fails, the application gets
    /// an error instead: a capture that lacks a call would be a case that can't be replayed.
    pub(super) async fn record(
        self,
        core: Arc<Core>,
        session: String,
        response: Arc<Response>,
    ) -> Arc<Response> {
        match self.save(core, session, Arc::clone(&response), false).await {
            Ok(Ok(())) => response,
            Ok(Err(message)) => plain(502, &message).into(),
            Err(error) => plain(502, &format!("the exchange can't be recorded: {error}")).into(),
        }
    }

    /// Records the exchange in the session, in a task of its own, whose error says why that failed.
    pub(super) fn save(
        self,
        core: Arc<Core>,
        session: String,
        response: Arc<Response>,
        is_cut_off: bool,
    ) -> JoinHandle<Result<(), String>> {
        tokio::task::spawn_blocking(move || {
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
                more: is_cut_off.then(cut_off).into_iter().collect(),
            };
            core.oracle.record(&recording).map_err(|error| {
                let message = format!(
                    "{} can't be recorded: {}",
                    self.request,
                    with_causes(&error)
                );
                log::error!("{message}");
                message
            })
        })
    }
}

/// Returns whether a request is a first hop: a call to the application in the reverse form, with the session named
/// in a header. Later hops carry the session in `tracestate`; the application's own calls are not changed.
pub(super) fn is_first_hop(request: &Request, form: Form) -> bool {
    form == Form::Reverse && request.headers.contains(SESSION_HEADER)
}

/// Returns the request as it is sent on; a first hop gets the headers that the application is to pass on.
pub(super) fn traced(request: Arc<Request>, form: Form) -> Arc<Request> {
    match is_first_hop(&request, form) {
        true => with_own_trace(request, &random_trace()),
        false => request,
    }
}

fn with_own_trace(request: Arc<Request>, own: &Trace) -> Arc<Request> {
    let mut request = Arc::unwrap_or_clone(request);
    with_trace(&mut request.headers, own);
    Arc::new(request)
}
