//! Listens in front of an application, and records what is sent to it.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;

use super::answer::{WEBSOCKET, wants_websocket};
use super::decide::{Core, note_unread, refuse};
use super::forward::Failed;
use super::observe::{Got, Observed};
use super::stream::recorded;
use crate::base::http::{Failure, Request, SESSION_HEADER, Trace, split_url};
use crate::case::ErrorType;
use crate::net::{
    Body, ClientAddress, HyperRequest, HyperResponse, ListenError, Manner, Server, Taken, breaking,
    plain, to_hyper,
};

/// How long the application may take to answer a request whose client has gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// What lets requests through to an application.
pub(crate) trait Arrivals: fmt::Debug + Send + Sync {
    /// Waits until a request may go on.
    ///
    /// # Errors
    ///
    /// Why it may not.
    fn admit(
        self: Arc<Self>,
        request: Arc<Request>,
        client: Option<SocketAddr>,
    ) -> Pin<Box<dyn Future<Output = Result<Admitted, String>> + Send>>;
}

/// A request that may go on.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// The session that records it with the calls that it causes.
    pub(crate) session: String,
    /// Its trace.
    pub(crate) trace: Trace,
}

/// An application and what is in front of it.
#[derive(Debug)]
struct Front {
    core: Arc<Core>,
    scheme: String,
    authority: String,
    /// What its paths begin with.
    base: String,
    arrivals: Arc<dyn Arrivals>,
}

/// Listens in front of the application at a URL.
pub(super) fn ingress(
    core: &Arc<Core>,
    address: &str,
    application: &str,
    arrivals: Arc<dyn Arrivals>,
) -> Result<Server, ListenError> {
    let (scheme, authority, base) = split_url(application).unwrap_or(("http", application, ""));
    let front = Arc::new(Front {
        core: Arc::clone(core),
        scheme: scheme.to_ascii_lowercase(),
        authority: authority.to_owned(),
        base: base.trim_end_matches('/').to_owned(),
        arrivals,
    });
    let handle = move |request| {
        let gone = CancellationToken::new();
        let guard = gone.clone().drop_guard();
        // A client that goes away does not end the exchange: what the application does is recorded all the same.
        let answer = tokio::spawn(Arc::clone(&front).answer(request, gone));
        async move {
            let answer = answer.await;
            drop(guard.disarm());
            answer.unwrap_or_else(|error| {
                to_hyper(plain(502, &format!("the recording failed: {error}")))
            })
        }
    };
    let manner = Manner {
        half_close: false,
        tells_client: true,
    };
    Server::start_noting(address, handle, note_unread(core, None), manner)
}

/// Waits until an answer is not waited for any more: its client has gone, and then it has had some time.
async fn given_up(gone: CancellationToken) {
    gone.cancelled().await;
    tokio::time::sleep(PATIENCE).await;
}

impl Front {
    async fn answer(
        self: Arc<Self>,
        mut request: HyperRequest,
        gone: CancellationToken,
    ) -> HyperResponse {
        let client = request.extensions().get::<ClientAddress>().copied();
        let upgrade = wants_websocket(&request).then(|| hyper::upgrade::on(&mut request));
        let (request, _held, body) = match self.core.intake.take(request).await {
            Ok(Taken::Whole(request, held)) => (request, Some(held), None),
            Ok(Taken::Left(request, body)) => (request, None, Some(body)),
            Err((why, request)) => {
                let (status, why) = (why.status(), why.to_string());
                return refuse(&self.core, request, status, why).await;
            }
        };
        if let Some(upgrade) = upgrade {
            return self.switch(&request, upgrade).await;
        }
        let request = Arc::new(request);
        let client = client.map(|ClientAddress(client)| client);
        let arrivals = Arc::clone(&self.arrivals);
        let admitted = match arrivals.admit(Arc::clone(&request), client).await {
            Ok(admitted) => admitted,
            Err(why) => return to_hyper(plain(503, &why)),
        };
        let observed = Observed::of_request(
            &self.core,
            &admitted.session,
            Arc::clone(&request),
            &admitted.trace,
        );
        let answer = tokio::select! {
            answer = self.deliver(&request, &admitted, body) => answer,
            () = given_up(gone) => Err(Failed {
                kind: ErrorType::Timeout,
                answer: plain(504, "the client has gone"),
            }),
        };
        match answer {
            Ok(answer) => recorded(observed, answer).await,
            Err(Failed { kind, answer }) => {
                // Why that failed is in the log.
                let _ = observed.save(Got::Nothing(kind)).await;
                match kind {
                    ErrorType::ConnectionReset => breaking(Failure::Reset, answer.into()),
                    _ => to_hyper(answer),
                }
            }
        }
    }

    async fn deliver(
        &self,
        request: &Request,
        admitted: &Admitted,
        body: Option<Body>,
    ) -> Result<HyperResponse, Failed> {
        let Admitted { session, trace } = admitted;
        let headers = [
            (SESSION_HEADER, session.clone()),
            ("traceparent", trace.to_string()),
            ("tracestate", format!("{SESSION_HEADER}={session}")),
        ];
        let sent = self.to_application(request);
        let named = request.headers.text("host");
        let host = named.map_or_else(|| request.host.clone(), Cow::into_owned);
        self.core
            .forwarder
            .deliver(&sent, &host, &headers, body)
            .await
    }

    /// Returns a request as the application gets it.
    fn to_application(&self, request: &Request) -> Request {
        Request {
            scheme: self.scheme.clone(),
            host: self.authority.clone(),
            path: format!("{}{}", self.base, request.path),
            ..request.clone()
        }
    }

    /// Passes a request for a WebSocket on, and what follows, unrecorded.
    async fn switch(&self, request: &Request, upgrade: OnUpgrade) -> HyperResponse {
        let sent = self.to_application(request);
        let mut answer = match self.core.forwarder.switch(&sent, true).await {
            Ok(answer) => answer,
            Err(Failed { answer, .. }) => return to_hyper(answer),
        };
        self.core.oracle.note_unrecorded("", request, WEBSOCKET);
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return answer;
        }
        let upstream = hyper::upgrade::on(&mut answer);
        let stop = self.core.stop();
        self.core.spawn(async move {
            let (Ok(client), Ok(upstream)) = tokio::join!(upgrade, upstream) else {
                return;
            };
            let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
            let copy = tokio::io::copy_bidirectional(&mut client, &mut upstream);
            tokio::select! {
                copied = copy => drop(copied),
                () = stop.cancelled() => {}
            }
        });
        answer
    }
}
