//! The proxy between an application and what it depends on: it finds out which session a call
//! belongs to, asks the runtime, and answers or forwards.

mod connect;
mod correlate;
mod forward;
mod target;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::error::SoftprobeError;
use crate::http::{Headers, Request, Response};
use crate::rule::{Answer, STRICT_MISS_STATUS, strict_miss};
use crate::runtime::{EmbeddedRuntime, Oracle, Verdict};
use crate::serve::{HyperRequest, HyperResponse, Server, read_request, to_hyper};

use correlate::Correlation;

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
        let shared = Arc::new(Shared {
            oracle: Arc::new(runtime.clone()),
            idle,
            forwarder: forward::Forwarder::new(),
        });
        let server = Server::start(address, move |request| {
            answer(Arc::clone(&shared), None, request)
        })?;
        Ok(Self { server })
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
    let mut request = match read_request(request).await {
        Ok(request) => request,
        Err(refusal) => return to_hyper(refusal),
    };
    if let Err(refusal) = target::of(&mut request, absolute, tunnel.as_deref()) {
        return to_hyper(refusal);
    }
    if let Some(credentials) = tunnel.and_then(|tunnel| tunnel.credentials.clone()) {
        request.headers.set("proxy-authorization", credentials);
    }
    match decide(&shared, request.clone()).await {
        Outcome::Respond(response, latency) => {
            tokio::time::sleep(latency).await;
            to_hyper(response)
        }
        Outcome::Forward => shared.forwarder.forward(request).await,
    }
}

/// What becomes of a call.
#[derive(Debug)]
enum Outcome {
    Respond(Response, Duration),
    Forward,
}

impl Outcome {
    fn at_once(response: Response) -> Self {
        Self::Respond(response, Duration::ZERO)
    }
}

async fn decide(shared: &Arc<Shared>, request: Request) -> Outcome {
    let shared = Arc::clone(shared);
    // A remote runtime is asked over a blocking client, and a large body takes time to search.
    let decided = tokio::task::spawn_blocking(move || decide_now(&shared, &request)).await;
    decided.unwrap_or_else(|error| {
        let message = format!("the decision on this call failed: {error}");
        Outcome::at_once(crate::serve::plain(502, &message))
    })
}

fn decide_now(shared: &Shared, request: &Request) -> Outcome {
    let oracle = shared.oracle.as_ref();
    let session = match correlate::correlate(&request.headers, oracle) {
        Correlation::Session(session) => session,
        Correlation::Idle if shared.idle == Idle::Forward => return Outcome::Forward,
        Correlation::Idle => return Outcome::at_once(idle(request)),
        Correlation::None(reason) => return uncorrelated(oracle, request, &reason),
    };
    match oracle.decide(&session, request) {
        Some(verdict) => carry_out(verdict, request, &session),
        None => uncorrelated(oracle, request, &correlate::closed(&session)),
    }
}

fn uncorrelated(oracle: &dyn Oracle, request: &Request, reason: &str) -> Outcome {
    log::warn!("{request} belongs to no session: {reason}");
    if oracle.note_uncorrelated(request, reason) {
        Outcome::Forward
    } else {
        Outcome::at_once(strict_miss(request, ""))
    }
}

fn carry_out(verdict: Verdict, request: &Request, session: &str) -> Outcome {
    let Verdict {
        answer,
        rule,
        nearest,
    } = verdict;
    let by = rule.map_or(String::new(), |rule| format!(" by `{rule}`"));
    let (outcome, word) = match answer {
        Answer::Mock { response, latency } => {
            let word = format!("mock {}", response.status);
            (Outcome::Respond(response, latency), word)
        }
        Answer::Error(response) => {
            let word = format!("error {}", response.status);
            (Outcome::at_once(response), word)
        }
        Answer::Forward => (Outcome::Forward, "forwarded".to_owned()),
        Answer::Miss => {
            let near = nearest.map_or(String::new(), |near| {
                format!("; `{}` differs on {}", near.rule, near.difference.field)
            });
            let miss = Outcome::at_once(strict_miss(request, session));
            (miss, format!("missed{near}"))
        }
    };
    log::debug!("session {session}: {request} -> {word}{by}");
    outcome
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
