//! `CONNECT` tunnels. Some clients open one even for plain HTTP, so the first byte decides what is inside.
//!
//! Plain HTTP is answered like any other call, and so is what is inside TLS if this proxy has an authority. What can't be
//! read passes if the session's rules and policy forward it, and is otherwise a miss.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Body as _;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use super::decide::{
    Act, Core, Handling, answer_ambient, decide, note_refused, note_unread, refuse,
};
use super::tls::{Inner, Read, Tls, Unread};
use crate::base::http::{Host, Request, Response, without_default_port};
use crate::net::{
    Http2Limits, HyperRequest, HyperResponse, Resets, connection, head_of, http2_connection,
    own_address, to_hyper,
};

/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// What a connection of HTTP/2 begins with, and no request of HTTP/1 does.
const HTTP2: &[u8] = b"PRI ";
/// How long a client may take to open its tunnel once it may.
const SLOWEST_START: Duration = Duration::from_secs(30);
/// How long a client may be silent before the server may be one that speaks first.
const FIRST_WORD: Duration = Duration::from_millis(200);
/// How long a client may be silent before that is a miss: where it is slow to begin its handshake, a miss would be wrong.
const LONGEST_SILENCE: Duration = Duration::from_secs(2);
/// The same at the ports of HTTP, where no server speaks first.
const LONGEST_SILENCE_AT_HTTP: Duration = Duration::from_secs(10);

/// What a `CONNECT` says about the requests inside it.
#[derive(Debug)]
pub(super) struct Tunnel {
    /// The scheme of the requests inside.
    pub(super) scheme: &'static str,
    pub(super) authority: String,
    /// `Proxy-Authorization`, which clients send only with the `CONNECT` itself.
    pub(super) credentials: Option<Vec<u8>>,
}

/// A function that answers a request inside a tunnel.
pub(super) type Inside =
    fn(Arc<Core>, Arc<Tunnel>, HyperRequest) -> Pin<Box<dyn Future<Output = HyperResponse> + Send>>;

type Broken = Box<dyn std::error::Error + Send + Sync>;

/// Accepts the tunnel and serves it in its own task; `nested` if it is asked for inside another one.
pub(super) async fn open(
    core: Arc<Core>,
    nested: bool,
    mut request: HyperRequest,
    inside: Inside,
) -> HyperResponse {
    if nested {
        return refuse(
            &core,
            head_of(request),
            400,
            "a CONNECT inside a tunnel is refused",
        )
        .await;
    }
    let given = request.uri().authority().map(|a| a.as_str().to_owned());
    let host = given.as_deref().map(Host::read);
    let Some((authority, Some(_))) = host.map(|host| (host.with_port(), host.port())) else {
        return refuse(&core, head_of(request), 400, "CONNECT needs host:port").await;
    };
    // The connection is upgraded only after the body has been read, and no code here reads it.
    if !request.body().is_end_stream() {
        return refuse(&core, head_of(request), 400, "CONNECT must not have a body").await;
    }
    let asked = asked(&request, &authority);
    if core.is_at(own_address(&asked).await) {
        return refuse(
            &core,
            head_of(request),
            508,
            "the tunnel leads back to this proxy",
        )
        .await;
    }
    if let Some(answer) = answer_ambient(&core, &asked) {
        return to_hyper(answer);
    }
    let credentials = request.headers().get("proxy-authorization");
    let opened = Opened {
        credentials: credentials.map(|value| value.as_bytes().to_vec()),
        resets: request.extensions_mut().remove::<Resets>(),
        core: Arc::clone(&core),
        asked,
        authority,
        inside,
    };
    core.spawn(async move {
        let authority = opened.authority.clone();
        if let Err(error) = opened.serve(request).await {
            log::debug!("tunnel to {authority} ended: {error}");
        }
    });
    to_hyper(Response {
        status: 200,
        ..Response::default()
    })
}

/// Returns a `CONNECT` as the call that it stands for.
fn asked(request: &HyperRequest, authority: &str) -> Request {
    let headers = request.headers().iter();
    Request {
        method: request.method().as_str().to_owned(),
        scheme: "https".to_owned(),
        host: without_default_port("https", authority).to_owned(),
        headers: headers
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect(),
        ..Request::default()
    }
}

/// A tunnel that a client has been granted.
struct Opened {
    core: Arc<Core>,
    /// The `CONNECT` as the call that it stands for.
    asked: Request,
    authority: String,
    credentials: Option<Vec<u8>>,
    resets: Option<Resets>,
    inside: Inside,
}

/// What is known of a tunnel.
enum Begins {
    /// The client's first byte.
    With(u8),
    /// The client has gone without a word.
    Never,
    /// Neither side has spoken; the upstream, if the call is forwarded, has been connected to.
    Silent(Option<TcpStream>),
}

impl Opened {
    async fn serve(self, mut request: HyperRequest) -> Result<(), Broken> {
        let upgraded = hyper::upgrade::on(&mut request);
        let upgraded = tokio::time::timeout(SLOWEST_START, upgraded).await??;
        let mut stream = TokioIo::new(upgraded);
        let first = match self.begin(&mut stream).await? {
            Begins::With(first) => first,
            Begins::Never => return Ok(()),
            Begins::Silent(Some(mut upstream)) => {
                copy_bidirectional(&mut stream, &mut upstream).await?;
                return Ok(());
            }
            Begins::Silent(None) => {
                let why = "its client waits for the server to speak first, which can't be answered from a capture; \
                           `policy.allowHosts` lets such a connection pass";
                note_refused(&self.core, self.asked, why.to_owned()).await;
                return Ok(());
            }
        };
        if first != TLS_HANDSHAKE {
            let mut begun = vec![first];
            while HTTP2.starts_with(&begun) && begun.len() < HTTP2.len() {
                let next = tokio::time::timeout(SLOWEST_START, stream.read_u8()).await?;
                begun.push(next?);
            }
            let is_http2 = begun == HTTP2;
            let stream = Inner::new(stream, begun, self.resets.clone());
            self.answer(stream, is_http2).await;
            return Ok(());
        }
        let stream = Inner::new(stream, vec![first], self.resets.clone());
        let core = Arc::clone(&self.core);
        match core.tls.as_ref() {
            Some(tls) if !tls.passes(&Host::of(&self.asked)) => {
                self.read(tls, stream).await;
                Ok(())
            }
            _ => self.pass(stream).await,
        }
    }

    /// Waits for the client's first byte. If there is none for a while and the call is forwarded, the upstream may be one
    /// that speaks first.
    async fn begin(
        &self,
        stream: &mut TokioIo<hyper::upgrade::Upgraded>,
    ) -> Result<Begins, Broken> {
        let mut first = [0_u8; 1];
        let begins = |count: usize, first: [u8; 1]| match count {
            0 => Begins::Never,
            _ => Begins::With(first[0]),
        };
        let host = Host::read(&self.authority);
        let at_http = matches!(host.port(), Some("80" | "443"));
        let patience = match at_http {
            true => LONGEST_SILENCE_AT_HTTP,
            false => FIRST_WORD,
        };
        if let Ok(read) = tokio::time::timeout(patience, stream.read(&mut first)).await {
            return Ok(begins(read?, first));
        }
        let Handling { act, .. } = decide(&self.core, &Arc::new(self.asked.clone())).await;
        if !matches!(act, Act::Forward) {
            let patience = LONGEST_SILENCE.saturating_sub(patience);
            let read = tokio::time::timeout(patience, stream.read(&mut first)).await;
            return match read {
                Ok(read) => Ok(begins(read?, first)),
                Err(_) => Ok(Begins::Silent(None)),
            };
        }
        let upstream = self.core.forwarder.tunnel(&self.authority).await?;
        tokio::select! {
            read = stream.read(&mut first) => Ok(begins(read?, first)),
            ready = upstream.readable() => {
                ready?;
                Ok(Begins::Silent(Some(upstream)))
            }
        }
    }

    /// Answers the requests in a tunnel of plain HTTP.
    async fn answer(self, stream: Inner, is_http2: bool) {
        let Self {
            core,
            authority,
            credentials,
            inside,
            ..
        } = self;
        let tunnel = Arc::new(Tunnel {
            scheme: "http",
            authority,
            credentials,
        });
        let (unread, stop) = (note_unread(&core), core.stop());
        let handle =
            Arc::new(move |request| inside(Arc::clone(&core), Arc::clone(&tunnel), request));
        match is_http2 {
            true => http2_connection(stream, handle, unread, stop, Http2Limits::default()).await,
            false => connection(stream, handle, unread, stop).await,
        };
    }

    /// Answers the requests inside TLS.
    async fn read(self, tls: &Tls, stream: Inner) {
        let Self {
            core,
            asked,
            authority,
            credentials,
            inside,
            ..
        } = self;
        let agent = asked
            .headers
            .text("user-agent")
            .unwrap_or_default()
            .into_owned();
        let host = Host::read(&authority);
        let read = match tls.read(stream, host.name()).await {
            Ok(read) => read,
            Err(Unread::Distrusted(distrust)) => {
                let why = tls.advice(distrust, &agent);
                return note_refused(&core, asked, why).await;
            }
            Err(Unread::Failed(why)) => return note_refused(&core, asked, why).await,
        };
        let Read {
            stream,
            name,
            speaks_http2,
        } = read;
        // A client that has resolved the name itself asks for an address.
        let authority = match (host.address(), Host::read(&name).address(), host.port()) {
            (Some(_), None, Some(port)) => format!("{name}:{port}"),
            _ => authority.clone(),
        };
        let connected = Arc::new(tls.connected(&name, &agent));
        let tunnel = Arc::new(Tunnel {
            scheme: "https",
            authority,
            credentials,
        });
        let handle = {
            let (core, connected) = (Arc::clone(&core), Arc::clone(&connected));
            move |request| {
                connected.asks();
                inside(Arc::clone(&core), Arc::clone(&tunnel), request)
            }
        };
        let (handle, unread, stop) = (Arc::new(handle), note_unread(&core), core.stop());
        let broken = match speaks_http2 {
            true => {
                http2_connection(stream, handle, unread, stop.clone(), Http2Limits::default()).await
            }
            false => connection(stream, handle, unread, stop.clone()).await,
        };
        if connected.ends() && !stop.is_cancelled() {
            let distrust = Tls::without_request(broken.as_ref());
            note_refused(&core, asked, tls.advice(distrust, &agent)).await;
        }
    }

    /// Passes what can't be read on, if it is forwarded.
    async fn pass(self, mut stream: Inner) -> Result<(), Broken> {
        let Self {
            core,
            asked,
            authority,
            ..
        } = self;
        let Handling { act, records } = decide(&core, &Arc::new(asked)).await;
        if let (Act::Forward, Some(session)) = (&act, records) {
            log::warn!(
                "CONNECT {authority}: TLS passes through unread; the capture of session {session} lacks its calls"
            );
        }
        match act {
            Act::Forward => {
                let mut upstream = core.forwarder.tunnel(&authority).await?;
                copy_bidirectional(&mut stream, &mut upstream).await?;
            }
            // No answer can be put into a connection whose keys only the client and the upstream have.
            Act::Respond(..) | Act::Break(..) => {
                log::warn!(
                    "CONNECT {authority}: TLS can't be answered from a capture; closing the connection"
                );
                stream.shutdown().await?;
            }
        }
        Ok(())
    }
}
