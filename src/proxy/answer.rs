//! Answers requests to the proxy.

use std::pin::Pin;
use std::sync::Arc;

use super::adapt::{Client, acceptable};
use super::connect::{self, Tunnel};
use super::decide::{Act, Core, Handling, decide, note_refused};
use super::observe::{Observed, is_first_hop, traced};
use super::target::{self, Form};
use crate::base::http::{Failure, Request};
use crate::net::{
    HyperRequest, HyperResponse, LARGEST_BODY, answer_to, breaking, delay, plain, read_request,
    to_hyper,
};

/// Answers one request; `tunnel` is set if it arrived inside a `CONNECT`.
pub(super) async fn answer(
    core: Arc<Core>,
    tunnel: Option<Arc<Tunnel>>,
    request: HyperRequest,
) -> HyperResponse {
    if request.method() == hyper::Method::CONNECT {
        return connect::open(core, request, answer_inside).await;
    }
    let absolute = request.uri().scheme().is_some();
    let mut request = match read_request(request, LARGEST_BODY).await {
        Ok(request) => request,
        Err((why, request)) => {
            let refusal = plain(why.status(), &why.to_string());
            note_refused(&core, request, why.to_string()).await;
            return to_hyper(refusal);
        }
    };
    let authority = tunnel.as_deref().map(|tunnel| tunnel.authority.as_str());
    let form = match target::of(&mut request, absolute, authority) {
        Ok(form) => form,
        Err(refusal) => {
            let reason = String::from_utf8_lossy(&refusal.body).into_owned();
            note_refused(&core, request, reason).await;
            return to_hyper(refusal);
        }
    };
    if let Some(credentials) = tunnel.and_then(|tunnel| tunnel.credentials.clone()) {
        request.headers.set("proxy-authorization", credentials);
    }
    let client = Client::of(&request, form);
    client.adapt(respond(core, Arc::new(request), form).await)
}

/// Decides about a call and carries the decision out.
async fn respond(core: Arc<Core>, request: Arc<Request>, form: Form) -> HyperResponse {
    let Handling { act, records } = decide(&core, &request).await;
    match (act, records) {
        (Act::Respond(response, latency), records) => {
            let response = acceptable(&request, response);
            // A captured exchange starts when its request arrives, not when its delay is over.
            let asked = Arc::clone(&request);
            let recording = records.map(|session| (session, Observed::new(request, form)));
            delay(latency).await;
            match recording {
                None => answer_to(&asked, response),
                Some((session, observed)) => {
                    answer_to(&asked, observed.record(core, session, response).await)
                }
            }
        }
        (Act::Break(failure, response), _) => {
            let has_body = request.method != "HEAD" && ![204, 304].contains(&response.status);
            match failure {
                // There is no body to break off.
                Failure::Truncated if !has_body => breaking(Failure::Reset, response),
                failure => breaking(failure, response),
            }
        }
        (Act::Forward, None) => {
            let inbound = is_first_hop(&request, form);
            let request = traced(request, form);
            let answer = core.forwarder.forward(&request, inbound).await;
            answer.unwrap_or_else(to_hyper)
        }
        (Act::Forward, Some(session)) => {
            let asked = Arc::clone(&request);
            let observed = Observed::new(request, form);
            // The proxy's own errors are not answers from the upstream, and are not recorded.
            match core
                .forwarder
                .forward_whole(&observed.request, observed.is_inbound())
                .await
            {
                Ok(response) => answer_to(
                    &asked,
                    observed.record(core, session, response.into()).await,
                ),
                Err(own) => to_hyper(own),
            }
        }
    }
}

/// Answers a request inside a tunnel; boxed, since it may itself be a `CONNECT`.
fn answer_inside(
    core: Arc<Core>,
    tunnel: Arc<Tunnel>,
    request: HyperRequest,
) -> Pin<Box<dyn Future<Output = HyperResponse> + Send>> {
    Box::pin(answer(core, Some(tunnel), request))
}
