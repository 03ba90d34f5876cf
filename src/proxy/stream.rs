//! Records answers that arrive over time, such as server-sent events, while they pass.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Frame, SizeHint};
use tokio::task::JoinHandle;

use super::decide::Core;
use super::observe::Observed;
use crate::base::http::Response;
use crate::net::{Body, HyperResponse, LARGEST_BODY, answer_to, headers_of, plain, to_hyper};

/// How long an answer may take to arrive whole before it is passed on as it arrives.
const PATIENCE: Duration = Duration::from_millis(500);

/// Adds a frame to the part of an answer that has arrived.
///
/// # Errors
///
/// That it is too large to be recorded.
fn take(arrived: &mut Response, frame: &Frame<Bytes>) -> Result<(), String> {
    if let Some(data) = frame.data_ref() {
        arrived.body.extend_from_slice(data);
    }
    if let Some(fields) = frame.trailers_ref() {
        arrived.trailers = headers_of(fields);
    }
    match arrived.body.len() > LARGEST_BODY {
        true => Err(format!("its body is larger than {LARGEST_BODY} bytes")),
        false => Ok(()),
    }
}

/// Records an upstream's answer and passes it on: a short one once it is recorded, another one while it arrives, with an end
/// that comes once it is recorded.
pub(super) async fn recorded(
    core: Arc<Core>,
    session: String,
    observed: Observed,
    answer: HyperResponse,
) -> HyperResponse {
    let (parts, mut body) = answer.into_parts();
    let mut arrived = Response {
        status: parts.status.as_u16(),
        headers: headers_of(&parts.headers),
        ..Response::default()
    };
    let request = Arc::clone(&observed.request);
    let whole = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| error.to_string())?;
            take(&mut arrived, &frame)?;
        }
        Ok::<(), String>(())
    };
    match tokio::time::timeout(PATIENCE, whole).await {
        Ok(Ok(())) => {
            let response = observed.record(core, session, arrived.into());
            answer_to(&request, response.await)
        }
        Ok(Err(why)) => to_hyper(plain(502, &format!("{request} can't be recorded: {why}"))),
        Err(_) => {
            let passed = Bytes::copy_from_slice(&arrived.body);
            let tee = Tee {
                body,
                passed: (!passed.is_empty()).then_some(passed),
                arrived,
                recorder: Some((core, session, observed)),
                recording: None,
            };
            HyperResponse::from_parts(parts, tee.boxed())
        }
    }
}

/// The body of an answer that is recorded while it passes.
struct Tee {
    body: Body,
    /// What arrived before.
    passed: Option<Bytes>,
    arrived: Response,
    /// What records it, until it does.
    recorder: Option<(Arc<Core>, String, Observed)>,
    recording: Option<JoinHandle<Result<(), String>>>,
}

impl Tee {
    /// Records what has arrived, unless that is done.
    fn record(&mut self, is_cut_off: bool) -> Option<JoinHandle<Result<(), String>>> {
        let (core, session, observed) = self.recorder.take()?;
        let response = std::mem::take(&mut self.arrived);
        Some(observed.save(core, session, response.into(), is_cut_off))
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        // The client has gone, or the upstream has broken off.
        if tokio::runtime::Handle::try_current().is_ok() {
            drop(self.record(true));
        }
    }
}

impl hyper::body::Body for Tee {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(passed) = self.passed.take() {
            return Poll::Ready(Some(Ok(Frame::data(passed))));
        }
        if self.recording.is_none() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    let taken = take(&mut self.arrived, &frame);
                    if let Err(why) = &taken {
                        log::error!("an answer can't be recorded: {why}");
                        self.recorder = None;
                    }
                    return Poll::Ready(Some(taken.map(|()| frame).map_err(Into::into)));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.recording = self.record(false),
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
        let mut hint = self.body.size_hint();
        let passed = self.passed.as_ref().map_or(0, Bytes::len) as u64;
        match hint.exact() {
            Some(exact) => hint = SizeHint::with_exact(exact + passed),
            None => hint.set_lower(hint.lower() + passed),
        }
        hint
    }
}
