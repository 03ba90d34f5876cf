//! Records exchanges as the proxy sees them, for capture sessions.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::correlate::with_trace;
use super::decide::Core;
use super::target::Form;
use crate::base::decode::stored;
use crate::base::http::{Direction, Request, Response, SESSION_HEADER, Trace};
use crate::base::with_causes;
use crate::case::{ErrorType, Recording, SpanPurpose, Without, cut_off, unusable};
use crate::net::{now_ns, plain, random_trace};

/// An exchange that is being recorded. One that is dropped before its answer is recorded as one that its client gave up.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) exchange: Arc<Exchange>,
    is_recorded: bool,
}

/// What is known of an exchange before its answer.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) core: Arc<Core>,
    session: String,
    /// Its number among those that are being recorded.
    pub(super) number: u64,
    /// The request as it is recorded.
    pub(super) request: Arc<Request>,
    direction: Direction,
    trace_id: String,
    span_id: String,
    parent_span_id: Option<String>,
    start_ns: u64,
}

/// What came of an exchange.
#[derive(Debug)]
pub(super) enum Got {
    /// A whole answer.
    Whole(Arc<Response>),
    /// The start of an answer whose client went away.
    Start(Response),
    /// The start of an answer that broke off.
    Broken(Response),
    /// An answer whose body is too large to be recorded.
    TooLarge(Response),
    /// No answer.
    Nothing(ErrorType),
}

impl Observed {
    /// Begins to record a call through the proxy.
    pub(super) fn of_call(
        core: &Arc<Core>,
        session: &str,
        request: Arc<Request>,
        form: Form,
    ) -> Self {
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
        Self::begin(Exchange {
            number: core.running.begin(session, direction == Direction::Inbound),
            core: Arc::clone(core),
            session: session.to_owned(),
            request,
            direction,
            trace_id,
            span_id: own.span_id,
            parent_span_id,
            start_ns: now_ns(),
        })
    }

    /// Begins to record a request to the application, with which a trace starts.
    #[cfg(feature = "runner")]
    pub(super) fn of_request(
        core: &Arc<Core>,
        session: &str,
        request: Arc<Request>,
        trace: &Trace,
    ) -> Self {
        Self::begin(Exchange {
            number: core.running.begin(session, true),
            core: Arc::clone(core),
            session: session.to_owned(),
            request,
            direction: Direction::Inbound,
            trace_id: trace.trace_id.clone(),
            span_id: trace.span_id.clone(),
            parent_span_id: None,
            start_ns: now_ns(),
        })
    }

    fn begin(exchange: Exchange) -> Self {
        Self {
            exchange: Arc::new(exchange),
            is_recorded: false,
        }
    }

    /// Returns the request.
    pub(super) fn request(&self) -> &Arc<Request> {
        &self.exchange.request
    }

    /// Returns whether it is a call to the application.
    pub(super) fn is_inbound(&self) -> bool {
        self.exchange.direction == Direction::Inbound
    }

    /// Records an answer and returns it. If recording fails, the application gets an error instead: a capture that lacks a
    /// call would be a case that can't be replayed.
    pub(super) async fn record(self, response: Arc<Response>) -> Arc<Response> {
        match self.save(Got::Whole(Arc::clone(&response))).await {
            Ok(Ok(())) => response,
            Ok(Err(message)) => plain(502, &message).into(),
            Err(error) => plain(502, &format!("the exchange can't be recorded: {error}")).into(),
        }
    }

    /// Records the exchange in a task of its own, whose error says why that failed.
    pub(super) fn save(mut self, got: Got) -> JoinHandle<Result<(), String>> {
        self.is_recorded = true;
        let exchange = Arc::clone(&self.exchange);
        tokio::task::spawn_blocking(move || exchange.write(&got))
    }

    /// Records the exchange on this thread, if that takes no time.
    pub(super) fn save_now(mut self, got: Got) {
        if self.exchange.core.oracle.blocks() {
            drop(self.save(got));
            return;
        }
        self.is_recorded = true;
        // Why it failed is in the log.
        let _ = self.exchange.write(&got);
    }

    /// Lets the exchange go unrecorded, for a reason.
    pub(super) fn leave(mut self, why: &str) {
        self.is_recorded = true;
        let Exchange {
            core,
            session,
            request,
            ..
        } = &*self.exchange;
        core.oracle.note_unrecorded(session, request, why);
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        if !self.is_recorded && tokio::runtime::Handle::try_current().is_ok() {
            let exchange = Arc::clone(&self.exchange);
            let given_up = Got::Nothing(ErrorType::Timeout);
            drop(tokio::task::spawn_blocking(move || {
                exchange.write(&given_up)
            }));
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.core.running.end(self.number);
    }
}

impl Exchange {
    /// Returns the largest body that is recorded, in bytes.
    pub(super) fn largest_body(&self) -> usize {
        self.core.largest_recorded
    }

    fn write(&self, got: &Got) -> Result<(), String> {
        let most = self.largest_body();
        let too_large =
            |which: &str| unusable(&format!("the {which}'s body is larger than {most} bytes"));
        let mut without = Without::default();
        let mut more = Vec::new();
        let request = match stored(&self.request.headers, &self.request.body) {
            Some((headers, body)) => Cow::Owned(Request {
                headers,
                body,
                ..Request::clone(&self.request)
            }),
            None => Cow::Borrowed(&*self.request),
        };
        if request.unread || request.body.len() > most {
            without.request_body = true;
            more.push(too_large("request"));
        }
        let response = match got {
            Got::Whole(response) => Some(&**response),
            Got::Start(response) | Got::Broken(response) | Got::TooLarge(response) => {
                Some(response)
            }
            Got::Nothing(error) => {
                more.push(error.attribute());
                None
            }
        };
        let response = response.map(|response| match stored(&response.headers, &response.body) {
            Some((headers, body)) => Cow::Owned(Response {
                headers,
                body,
                ..response.clone()
            }),
            None => Cow::Borrowed(response),
        });
        let large = response.as_ref().is_some_and(|r| r.body.len() > most);
        match got {
            Got::Start(_) => more.push(cut_off()),
            Got::Broken(_) => more.extend([cut_off(), unusable("its answer broke off")]),
            Got::TooLarge(_) => without.response_body = true,
            Got::Whole(_) | Got::Nothing(_) => {}
        }
        if large || without.response_body {
            without.response_body = true;
            // One reason is enough.
            if !without.request_body {
                more.push(too_large("response"));
            }
        }
        let recording = Recording {
            purpose: SpanPurpose::Extract,
            session: Some(&self.session),
            direction: self.direction,
            trace_id: self.trace_id.clone(),
            span_id: self.span_id.clone(),
            parent_span_id: self.parent_span_id.clone(),
            times_ns: (self.start_ns, now_ns()),
            request: &request,
            response: response.as_deref(),
            without,
            more,
        };
        self.core.oracle.record(&recording).map_err(|error| {
            let message = format!(
                "{} can't be recorded: {}",
                self.request,
                with_causes(&error)
            );
            log::error!("{message}");
            message
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
