//! Records answers while they pass: whole where that takes no time, and otherwise as they arrive, such as server-sent events.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Frame, SizeHint};
use tokio::task::JoinHandle;

use super::observe::{Got, Observed};
use super::running::Arriving;
use crate::base::http::Response;
use crate::case::ErrorType;
use crate::net::{Body, Continued, HyperResponse, answer_to, headers_of};

/// How long an answer may take to arrive whole before it is passed on as it arrives.
const PATIENCE: Duration = Duration::from_millis(500);

type Broken = Box<dyn std::error::Error + Send + Sync>;

/// Records an upstream's answer and passes it on: a short one once it is recorded, another one while it arrives, with an end
/// that comes once it is recorded.
pub(super) async fn recorded(observed: Observed, answer: HyperResponse) -> HyperResponse {
    let (parts, mut body) = answer.into_parts();
    let exchange = Arc::clone(&observed.exchange);
    let largest = exchange.largest_body();
    let mut arrived = Response {
        status: parts.status.as_u16(),
        headers: headers_of(&parts.headers),
        ..Response::default()
    };
    let mut is_too_large = body.size_hint().lower() > largest as u64;
    let mut broken = None;
    let whole = async {
        while !is_too_large {
            match body.frame().await {
                None => return,
                Some(Ok(frame)) => is_too_large = !take(&mut arrived, &frame, largest),
                Some(Err(error)) => {
                    broken = Some(error);
                    return;
                }
            }
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, whole).await.is_ok();
    if in_time && !is_too_large && broken.is_none() {
        let answer = observed.record(arrived.into()).await;
        return answer_to(&exchange.request, answer);
    }
    let mut tee = Tee {
        // What has arrived passes as well.
        body: Continued::new(std::mem::take(&mut arrived.body), body),
        arriving: Arc::default(),
        largest,
        recording: None,
        ends_in: None,
        is_flushed: false,
    };
    if let Some(error) = broken {
        drop(observed.save(Got::Nothing(ErrorType::ConnectionReset)));
        tee.ends_in = Some(error);
    } else {
        let partial = Partial {
            observed,
            response: arrived,
            is_too_large,
        };
        tee.arriving = Arc::new(Arrived(Mutex::new(Some(partial))));
        let arriving = Arc::clone(&tee.arriving) as Arc<dyn Arriving>;
        exchange.core.running.arrives(exchange.number, arriving);
    }
    HyperResponse::from_parts(parts, tee.boxed())
}

/// Adds a frame to the part of an answer that has arrived, and returns whether that can still be recorded.
fn take(arrived: &mut Response, frame: &Frame<Bytes>, largest: usize) -> bool {
    if let Some(data) = frame.data_ref() {
        arrived.body.extend_from_slice(data);
    }
    if let Some(fields) = frame.trailers_ref() {
        arrived.trailers = headers_of(fields);
    }
    arrived.body.len() <= largest
}

/// An answer that arrives, until it is recorded.
#[derive(Debug, Default)]
struct Arrived(Mutex<Option<Partial>>);

/// What has arrived of an answer.
#[derive(Debug)]
struct Partial {
    observed: Observed,
    response: Response,
    /// Whether its body is too large to be recorded, and is not kept any more.
    is_too_large: bool,
}

impl Partial {
    /// Returns what is to be recorded, as what it has come to.
    fn ended(self, came_to: impl FnOnce(Response) -> Got) -> (Observed, Got) {
        let got = match self.is_too_large {
            true => Got::TooLarge(self.response),
            false => came_to(self.response),
        };
        (self.observed, got)
    }

    /// Records it, as what it has come to.
    fn save(self, came_to: impl FnOnce(Response) -> Got) -> JoinHandle<Result<(), String>> {
        let (observed, got) = self.ended(came_to);
        observed.save(got)
    }
}

impl Arrived {
    /// Adds a frame, unless the answer is recorded already.
    fn take(&self, frame: &Frame<Bytes>, largest: usize) {
        let mut arrived = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(partial) = arrived.as_mut()
            && !partial.is_too_large
            && !take(&mut partial.response, frame, largest)
        {
            partial.is_too_large = true;
            partial.response.body = Vec::new();
        }
    }

    /// Returns what has arrived, unless it is recorded already.
    fn end(&self) -> Option<Partial> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Arriving for Arrived {
    fn cut_off(&self) {
        if let Some(partial) = self.end() {
            let (observed, got) = partial.ended(Got::Start);
            observed.save_now(got);
        }
    }
}

/// The body of an answer that is recorded while it passes.
struct Tee {
    body: Continued<Body>,
    arriving: Arc<Arrived>,
    largest: usize,
    recording: Option<JoinHandle<Result<(), String>>>,
    /// Why its upstream broke off, once it has.
    ends_in: Option<Broken>,
    /// Whether what came before that has been sent.
    is_flushed: bool,
}

impl Tee {
    /// Ends with an error, once what came before has been sent: hyper sends what it has when there is nothing more for now,
    /// but not at an error.
    fn break_off(
        &mut self,
        error: Broken,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.is_flushed {
            return Poll::Ready(Some(Err(error)));
        }
        self.is_flushed = true;
        self.ends_in = Some(error);
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        // The client has gone.
        if tokio::runtime::Handle::try_current().is_ok()
            && let Some(partial) = self.arriving.end()
        {
            drop(partial.save(Got::Start));
        }
    }
}

impl hyper::body::Body for Tee {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.recording.is_none() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    self.arriving.take(&frame, self.largest);
                    return Poll::Ready(Some(Ok(frame)));
                }
                end => {
                    let error = end.and_then(Result::err).or_else(|| self.ends_in.take());
                    if let Some(error) = error {
                        if let Some(partial) = self.arriving.end() {
                            drop(partial.save(Got::Broken));
                        }
                        return self.break_off(error, context);
                    }
                    let Some(partial) = self.arriving.end() else {
                        return Poll::Ready(None);
                    };
                    let whole = |response: Response| Got::Whole(response.into());
                    self.recording = Some(partial.save(whole));
                }
            }
        }
        let Some(recording) = &mut self.recording else {
            return Poll::Ready(None);
        };
        let recorded = ready!(Pin::new(recording).poll(context));
        self.recording = None;
        // A call that can't be recorded fails.
        Poll::Ready(match recorded.map_err(|error| error.to_string()) {
            Ok(Ok(())) => None,
            Ok(Err(why)) | Err(why) => Some(Err(why.into())),
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
