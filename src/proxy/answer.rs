//! Answers requests to the proxy.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use hyper::StatusCode;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::adapt::{Client, acceptable};
use super::connect::{self, Tunnel};
use super::decide::{Act, Core, Handling, decide, failed, refuse};
use super::forward::Failed;
use super::observe::{Got, Observed, is_first_hop, traced};
use super::pass::Passing;
use super::stream::recorded;
use super::target::{self, Form, REVERSE_PREFIX};
use crate::base::decode::{LARGEST, is_too_large};
use crate::base::http::{Failure, Request, split_url};
use crate::case::{ErrorType, no_answer};
use crate::net::{
    Body, Held, HyperRequest, HyperResponse, Taken, answer_to, breaking, delay, head_of,
    leads_to_authority, own_address, plain, to_hyper,
};

/// Why a call is not in a capture that goes on as a WebSocket.
pub(super) const WEBSOCKET: &str = "it goes on as a WebSocket, which is not recorded";

/// Answers one request; `tunnel` is set if it arrived inside a `CONNECT`.
pub(super) async fn answer(
    core: Arc<Core>,
    tunnel: Option<Arc<Tunnel>>,
    mut request: HyperRequest,
) -> HyperResponse {
    if request.method() == hyper::Method::CONNECT {
        return connect::open(core, tunnel.is_some(), request, answer_inside).await;
    }
    let upgrade = wants_websocket(&request).then(|| hyper::upgrade::on(&mut request));
    let form = match &tunnel {
        Some(_) => Some(Form::Forward),
        None => form_of(&core, &request).await,
    };
    // A web page can only make requests of these forms.
    if form != Some(Form::Forward) {
        let refusal = core.callers.check(request.headers()).map_err(|why| {
            // A client that takes the proxy for a server needs another word than a page.
            match form {
                Some(_) => why.to_string(),
                None => target::greeting(),
            }
        });
        if let Err(why) = refusal.and_then(|()| no_navigation(&request)) {
            return refuse(&core, head_of(request), 403, why).await;
        }
    }
    // The room for the body is given back when the answer is ready.
    // A runtime elsewhere is asked with the whole body.
    let read = match core.oracle.blocks() {
        false => core.intake.take(request).await,
        true => {
            let read = core.intake.read(request).await;
            read.map(|(request, held)| Taken::Whole(request, held))
        }
    };
    let (mut request, _held, left) = match read {
        Ok(Taken::Whole(request, held)) => (request, held, None),
        Ok(Taken::Left(request, body)) => (request, Held::default(), Some(body)),
        Err((why, request)) => {
            return refuse(&core, request, why.status(), why.to_string()).await;
        }
    };
    if request.headers.contains("content-encoding") {
        let (whole, bomb) = unpacked(request).await;
        if bomb {
            let why = format!("its body decodes to more than {LARGEST} bytes");
            return refuse(&core, whole, 413, why).await;
        }
        request = whole;
    }
    let named = tunnel.as_deref();
    let named = named.map(|tunnel| (tunnel.scheme, tunnel.authority.as_str()));
    let form = match target::of(&mut request, form, named) {
        Ok(form) => form,
        Err(why) => return refuse(&core, request, 400, why).await,
    };
    if let Some((status, why)) = loops(&core, &request, form).await {
        return refuse(&core, request, status, why).await;
    }
    if let Some(credentials) = tunnel.and_then(|tunnel| tunnel.credentials.clone()) {
        request.headers.set("proxy-authorization", credentials);
    }
    let client = Client::of(&request, form);
    let request = Arc::new(request);
    let answer = match (upgrade, left) {
        (Some(upgrade), None) => switch(core, request, upgrade, form).await,
        (_, None) => respond(core, request, form).await,
        (_, Some(body)) => pass(core, request, body, form).await,
    };
    client.adapt(answer)
}

/// Decides about a call whose body was left unread, and passes the body on if the call is forwarded.
async fn pass(core: Arc<Core>, request: Arc<Request>, body: Body, form: Form) -> HyperResponse {
    let Handling { act, records, .. } = decide(&core, &request).await;
    match act {
        Act::Forward => {
            let inbound = is_first_hop(&request, form);
            let Some(session) = records else {
                let request = traced(request, form);
                return match core.forwarder.pass(&request, body, inbound).await {
                    Ok(answer) => answer,
                    Err(own) => failed(&core, request, own).await,
                };
            };
            let observed = Observed::of_call(&core, &session, request, form);
            let answer = core.forwarder.pass(observed.request(), body, inbound).await;
            record(observed, answer).await
        }
        Act::Respond(response, latency) => {
            delay(latency).await;
            answer_to(&request, acceptable(&request, response))
        }
        Act::Break(failure, response) => breaking(failure, response),
    }
}

/// Records what came of a call that was forwarded, and passes it on.
async fn record(observed: Observed, answer: Result<HyperResponse, Failed>) -> HyperResponse {
    let own = match answer {
        Ok(answer) => return recorded(observed, answer).await,
        Err(own) => own,
    };
    // The proxy's own errors are not answers from the upstream.
    let (kind, exchange) = (own.kind, Arc::clone(&observed.exchange));
    if let Ok(Err(why)) = observed.save(Got::Nothing(kind)).await {
        return to_hyper(plain(502, &why));
    }
    drop(failed(&exchange.core, Arc::clone(&exchange.request), own).await);
    let told = Arc::new(no_answer(kind.name()));
    match kind {
        ErrorType::ConnectionReset => breaking(Failure::Reset, told),
        _ => to_hyper(told),
    }
}

/// Returns whether a request asks to go on as a WebSocket. An offer of another protocol, such as Java's of HTTP/2, is passed
/// over, as a server may.
pub(super) fn wants_websocket(request: &HyperRequest) -> bool {
    let headers = request.headers();
    let has = |name: &str, wanted: &str| {
        headers.get_all(name).iter().any(|value| {
            let value = value.to_str().unwrap_or_default().to_ascii_lowercase();
            value.split(',').any(|option| option.trim() == wanted)
        })
    };
    has("connection", "upgrade")
        && has("upgrade", "websocket")
        && request.version() == hyper::Version::HTTP_11
}

/// Decides about a call that asks for a WebSocket. If it is forwarded and the upstream agrees, what follows passes unread.
async fn switch(
    core: Arc<Core>,
    request: Arc<Request>,
    upgrade: OnUpgrade,
    form: Form,
) -> HyperResponse {
    let passing = Passing::new(&core, &request).await;
    let handling = decide(&core, &request).await;
    if !matches!(handling.act, Act::Forward) {
        return carry_out(core, request, form, handling).await;
    }
    let records = handling.records;
    let inbound = is_first_hop(&request, form);
    let observed =
        records.map(|session| Observed::of_call(&core, &session, Arc::clone(&request), form));
    let sent = match &observed {
        Some(observed) => Arc::clone(observed.request()),
        None => traced(Arc::clone(&request), form),
    };
    let answer = core.forwarder.switch(&sent, inbound).await;
    let is_switched = |answer: &HyperResponse| answer.status() == StatusCode::SWITCHING_PROTOCOLS;
    let mut answer = match (answer, observed) {
        (Ok(answer), observed) if is_switched(&answer) => {
            if let Some(observed) = observed {
                observed.leave(WEBSOCKET);
            }
            answer
        }
        (answer, Some(observed)) => return record(observed, answer).await,
        (Ok(answer), None) => return answer,
        (Err(own), None) => return failed(&core, request, own).await,
    };
    let upstream = hyper::upgrade::on(&mut answer);
    core.spawn(async move {
        let (Ok(client), Ok(upstream)) = tokio::join!(upgrade, upstream) else {
            return;
        };
        let (client, upstream) = (TokioIo::new(client), TokioIo::new(upstream));
        if let Err(error) = passing.copy(client, upstream).await {
            log::debug!("{request}: its WebSocket ended: {error}");
        }
    });
    answer
}

/// Returns a request, and whether its body decodes to more than is taken in.
async fn unpacked(request: Request) -> (Request, bool) {
    let checked = tokio::task::spawn_blocking(move || {
        let bomb = is_too_large(&request.headers, &request.body);
        (request, bomb)
    });
    match checked.await {
        Ok(checked) => checked,
        // A decoder that panics has read nothing to judge by.
        Err(_) => (Request::default(), true),
    }
}

/// Returns how a request outside a tunnel names its upstream, if it does.
async fn form_of(core: &Core, request: &HyperRequest) -> Option<Form> {
    let uri = request.uri();
    let is_absolute = uri.scheme().is_some();
    if uri.path().starts_with(REVERSE_PREFIX) {
        // A client that calls everything through its proxy calls the proxy itself in the absolute form.
        let is_here = match is_absolute {
            true => core.is_at(own_address(&Request::new("GET", &uri.to_string())).await),
            false => true,
        };
        if is_here {
            return Some(Form::Reverse);
        }
    }
    is_absolute.then_some(Form::Forward)
}

/// Checks that a request is not made by a browser that would show its answer as a page. All pages that it got in this
/// form would have one origin, and could read each other.
fn no_navigation(request: &HyperRequest) -> Result<(), String> {
    let mode = request.headers().get("sec-fetch-mode");
    match mode.is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"navigate")) {
        true => {
            Err("a browser can't open pages in this form; set the proxy in its settings".to_owned())
        }
        false => Ok(()),
    }
}

/// Returns the status and the reason if a request leads back to this proxy, or to the control API without need.
async fn loops(core: &Core, request: &Request, form: Form) -> Option<(u16, String)> {
    let own = own_address(request).await;
    if core.is_at(own) {
        return Some((508, format!("{request} leads back to this proxy")));
    }
    if form != Form::Reverse {
        return None;
    }
    let runtime = core.oracle.url();
    let runtime = runtime.as_deref().and_then(split_url);
    let leads_to_runtime = match runtime {
        Some((scheme, authority, _)) => leads_to_authority(request, scheme, authority).await,
        None => false,
    };
    (own.is_some() || leads_to_runtime).then(|| {
        let why = "leads to softprobe itself, which is not called through its proxy";
        (403, format!("{request} {why}"))
    })
}

/// Decides about a call and carries the decision out.
async fn respond(core: Arc<Core>, request: Arc<Request>, form: Form) -> HyperResponse {
    let handling = decide(&core, &request).await;
    carry_out(core, request, form, handling).await
}

async fn carry_out(
    core: Arc<Core>,
    request: Arc<Request>,
    form: Form,
    Handling {
        act,
        records,
        listed,
    }: Handling,
) -> HyperResponse {
    match (act, records) {
        (Act::Respond(response, latency), records) => {
            let response = acceptable(&request, response);
            // A captured exchange starts when its request arrives, not when its delay is over.
            let asked = Arc::clone(&request);
            let recording =
                records.map(|session| Observed::of_call(&core, &session, request, form));
            delay(latency).await;
            match recording {
                None => answer_to(&asked, response),
                Some(observed) => answer_to(&asked, observed.record(response).await),
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
            let start = Instant::now();
            let answer = core.forwarder.forward(&request, inbound).await;
            if let Some((session, call)) = listed {
                core.oracle.note_took(&session, call, start.elapsed());
            }
            match answer {
                Ok(answer) => answer,
                Err(own) => failed(&core, request, own).await,
            }
        }
        (Act::Forward, Some(session)) => {
            let observed = Observed::of_call(&core, &session, request, form);
            let inbound = observed.is_inbound();
            let answer = core.forwarder.forward(observed.request(), inbound).await;
            record(observed, answer).await
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
