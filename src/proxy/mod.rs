//! The proxy between an application and what it depends on: it finds out which session a call
//! belongs to, asks the runtime, and answers or forwards.

mod connect;
mod correlate;
mod forward;
mod observe;
mod remote;
mod target;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::client::HttpRuntime;
use crate::error::SoftprobeError;
use crate::http::{Headers, Request, Response};
use crate::rule::{Answer, STRICT_MISS_STATUS, strict_miss};
use crate::runtime::{EmbeddedRuntime, Oracle, Verdict};
use crate::serve::{
    HyperRequest, HyperResponse, LARGEST_BODY, Server, Unread, plain, read_request, to_hyper,
};

use correlate::Correlation;
use observe::Observed;
pub(crate) use observe::random_ids;
pub(crate) use remote::RemoteOracle;
#[cfg(feature = "cli")]
pub(crate) use target::GREETING;

/// A forward proxy for plain HTTP, with a reverse form below `/__softprobe/`; dropping it stops it.
///
/// ```no_run
/// use softprobe::{EmbeddedRuntime, Idle, Mode, Proxy, Softprobe};
///
/// # fn main() -> Result<(), softprobe::SoftprobeError> {
/// let runtime = EmbeddedRuntime::new();
/// let proxy = Proxy::start(&runtime, "127.0.0.1:0", Idle::Refuse)?;
/// let session = Softprobe::embedded(&runtime).start_session(Mode::Replay)?;
/// // Start the application with `proxy.variables()`, send it requests that carry `session.id()`.
/// # drop(session); Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Proxy {
    server: Server,
}

/// What the proxy does with calls while no session is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Idle {
    /// Answers them with status 599, so that nothing leaves the machine.
    #[default]
    Refuse,
    /// Forwards them, for applications that call out while they start.
    Forward,
}

impl Proxy {
    /// Starts a proxy on an address, port 0 for a free one, in front of a runtime.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Listen`] when the address can't be had.
    pub fn start(
        runtime: &EmbeddedRuntime,
        address: &str,
        idle: Idle,
    ) -> Result<Self, SoftprobeError> {
        Self::serve(Arc::new(runtime.clone()), address, idle)
    }

    /// Starts a proxy in front of a runtime elsewhere, which it asks by OTLP.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_remote(
        runtime: &HttpRuntime,
        address: &str,
        idle: Idle,
    ) -> Result<Self, SoftprobeError> {
        Self::serve(Arc::new(RemoteOracle::new(runtime.clone())), address, idle)
    }

    /// Starts a proxy in front of whatever answers its questions.
    pub(crate) fn serve(
        oracle: Arc<dyn Oracle>,
        address: &str,
        idle: Idle,
    ) -> Result<Self, SoftprobeError> {
        let shared = Arc::new(Shared {
            oracle,
            idle,
            forwarder: forward::Forwarder::new(),
        });
        let unread = note_unread(&shared);
        let handle = move |request| answer(Arc::clone(&shared), None, request);
        let server = Server::start_noting(address, handle, unread)?;
        Ok(Self { server })
    }

    /// Takes no further connection, lets calls that run end within the limit, and stops.
    pub fn stop(self, limit: Duration) {
        self.server.stop(limit);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its URL, for a client's proxy setting.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The URL below which the reverse form of a host answers, for clients that can't use a proxy:
    /// `http://127.0.0.1:4100/__softprobe/http/payments.example`.
    pub fn reverse_url(&self, scheme: &str, host: &str) -> String {
        format!("{}{}{scheme}/{host}", self.url(), target::REVERSE_PREFIX)
    }

    /// The environment that points an application's HTTP clients here. `NO_PROXY` is emptied, since an
    /// inherited value would let calls slip past.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let url = self.url();
        vec![
            ("HTTP_PROXY", url.clone()),
            ("http_proxy", url.clone()),
            ("HTTPS_PROXY", url.clone()),
            ("https_proxy", url),
            ("NO_PROXY", String::new()),
            ("no_proxy", String::new()),
            // Node's own clients look at the others only when they are told to.
            ("NODE_USE_ENV_PROXY", "1".to_owned()),
        ]
    }
}

/// What every connection of a proxy shares.
#[derive(Debug)]
struct Shared {
    oracle: Arc<dyn Oracle>,
    idle: Idle,
    forwarder: forward::Forwarder,
}

/// Lists a request that can't be read in every session that is open: nobody knows whose it is, and a case
/// that passes without it would prove nothing.
fn note_unread(shared: &Arc<Shared>) -> Unread {
    let oracle = Arc::clone(&shared.oracle);
    Arc::new(move |why| {
        let reason = format!("it can't be read as a request: {why}");
        let request = Request {
            method: "?".to_owned(),
            host: "an unreadable request".to_owned(),
            ..Request::default()
        };
        let oracle = Arc::clone(&oracle);
        tokio::task::spawn_blocking(move || {
            log::warn!("a request to the proxy belongs to no session: {reason}");
            if let Err(error) = oracle.note_uncorrelated(&request, &reason) {
                log::error!("an unreadable request can't be noted: {error}");
            }
        });
    })
}

/// Answers one request; `tunnel` is set for one that came inside a `CONNECT`.
async fn answer(
    shared: Arc<Shared>,
    tunnel: Option<Arc<connect::Tunnel>>,
    request: HyperRequest,
) -> HyperResponse {
    if request.method() == hyper::Method::CONNECT {
        return connect::open(shared, request);
    }
    let absolute = request.uri().scheme().is_some();
    let mut request = match read_request(request, LARGEST_BODY).await {
        Ok(request) => request,
        Err(refusal) => return to_hyper(refusal),
    };
    let form = match target::of(&mut request, absolute, tunnel.as_deref()) {
        Ok(form) => form,
        Err(refusal) => return to_hyper(refusal),
    };
    if let Some(credentials) = tunnel.and_then(|tunnel| tunnel.credentials.clone()) {
        request.headers.set("proxy-authorization", credentials);
    }
    let Outcome { act, records } = decide(&shared, request.clone()).await;
    let observed = Observed::new(request, form);
    match (act, records) {
        (Act::Respond(response, latency), records) => {
            tokio::time::sleep(latency).await;
            match records {
                Some(session) => to_hyper(observed.record(shared, session, response).await),
                None => to_hyper(response),
            }
        }
        (Act::Forward, None) => {
            let answer = shared.forwarder.forward(&observed.request).await;
            answer.unwrap_or_else(to_hyper)
        }
        (Act::Forward, Some(session)) => {
            // What the proxy says of itself is no answer of the upstream, and not recorded.
            match shared.forwarder.forward_whole(&observed.request).await {
                Ok(response) => to_hyper(observed.record(shared, session, response).await),
                Err(own) => to_hyper(own),
            }
        }
    }
}

/// What becomes of a call.
#[derive(Debug)]
struct Outcome {
    act: Act,
    /// The session that wants the exchange recorded.
    records: Option<String>,
}

#[derive(Debug)]
enum Act {
    Respond(Response, Duration),
    Forward,
}

impl From<Act> for Outcome {
    fn from(act: Act) -> Self {
        Self { act, records: None }
    }
}

impl Act {
    fn at_once(response: Response) -> Self {
        Self::Respond(response, Duration::ZERO)
    }
}

async fn decide(shared: &Arc<Shared>, request: Request) -> Outcome {
    let shared = Arc::clone(shared);
    // A remote runtime is asked over a blocking client, and a large body takes time to search.
    let decided = tokio::task::spawn_blocking(move || {
        decide_now(&shared, &request).unwrap_or_else(|error| {
            log::error!("{request}: {error}");
            Act::at_once(plain(502, &format!("{request}: {error}"))).into()
        })
    });
    decided.await.unwrap_or_else(|error| {
        let message = format!("the decision on this call failed: {error}");
        Act::at_once(plain(502, &message)).into()
    })
}

fn decide_now(shared: &Shared, request: &Request) -> Result<Outcome, SoftprobeError> {
    let oracle = shared.oracle.as_ref();
    let misfit = match correlate::correlate(&request.headers, oracle)? {
        Correlation::Session(session) => match oracle.decide(&session, request)? {
            Some(verdict) => return Ok(carry_out(verdict, request, session)),
            None => correlate::closed(&session, oracle)?,
        },
        Correlation::Idle => None,
        Correlation::None(reason) => Some(reason),
    };
    let passes = match misfit {
        Some(reason) => {
            log::warn!("{request} belongs to no session: {reason}");
            oracle.note_uncorrelated(request, &reason)?
        }
        None if shared.idle == Idle::Refuse => {
            return Ok(Act::at_once(idle(request)).into());
        }
        None => true,
    };
    let act = match passes {
        true => Act::Forward,
        false => Act::at_once(strict_miss(request, "")),
    };
    Ok(act.into())
}

fn carry_out(verdict: Verdict, request: &Request, session: String) -> Outcome {
    let Verdict {
        answer,
        rule,
        nearest,
        records,
    } = verdict;
    let by = rule.map_or(String::new(), |rule| format!(" by `{rule}`"));
    let near = nearest.map_or(String::new(), |near| {
        format!("; `{}` differs on {}", near.rule, near.difference.field)
    });
    let word = answer.word();
    log::debug!("session {session}: {request} -> {word}{by}{near}");
    let records = (records && answer != Answer::Miss).then(|| session.clone());
    let act = match answer {
        Answer::Mock { response, latency } => Act::Respond(response, latency),
        Answer::Error(response) => Act::at_once(response),
        Answer::Forward => Act::Forward,
        Answer::Miss => Act::at_once(strict_miss(request, &session)),
    };
    Outcome { act, records }
}

/// The answer while no session is open.
fn idle(request: &Request) -> Response {
    let body = serde_json::json!({
        "error": "no session is open, and nothing is forwarded before one is",
        "request": {"method": request.method, "host": request.host, "path": request.path},
    });
    Response {
        status: STRICT_MISS_STATUS,
        headers: Headers::from_iter([("content-type", "application/json")]),
        body: body.to_string().into_bytes(),
    }
}
