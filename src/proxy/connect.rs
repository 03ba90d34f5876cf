//! `CONNECT` tunnels. Some clients open one even for plain HTTP, so the first byte decides what is inside.
//!
//! Plain HTTP is answered like any other call, and so is what is inside TLS if this proxy has an authority. What can't be
//! read passes if the session's rules and policy forward it, and is otherwise a miss.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Body as _;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::decide::{
    Act, Core, Handling, answer_ambient, decide, note_refused, note_unread, owned, refuse,
};
use super::pass::Passing;
use super::tls::{Inner, Read, Tls, Unread};
use crate::base::http::{Host, Request, Response, without_default_port};
use crate::base::with_causes;
use crate::net::{
    Ended, Http2Limits, HyperRequest, HyperResponse, Resets, connection, head_of, http2_connection,
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
    // What the tunnel turns out to be is found out later, and belongs to whom it belongs now.
    let owned = owned(&core, asked.clone()).await;
    let opened = Opened {
        credentials: credentials.map(|value| value.as_bytes().to_vec()),
        resets: request.extensions_mut().remove::<Resets>(),
        core: Arc::clone(&core),
        asked,
        owned,
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
    /// The same with the session that it belongs to.
    owned: Request,
    authority: String,
    credentials: Option<Vec<u8>>,
    resets: Option<Resets>,
    inside: Inside,
}

/// How a tunnel begins.
enum Begins {
    /// With the client's first byte.
    Client(u8),
    /// With what the server says, on a connection to it.
    Server(TcpStream),
    /// Not at all: the client has gone without a word.
    Never,
    /// Neither side has spoken.
    Silent,
}

impl Opened {
    async fn serve(self, mut request: HyperRequest) -> Result<(), Broken> {
        let upgraded = hyper::upgrade::on(&mut request);
        let upgraded = tokio::time::timeout(SLOWEST_START, upgraded).await??;
        let mut stream = TokioIo::new(upgraded);
        let first = match self.begin(&mut stream).await? {
            Begins::Client(first) => first,
            Begins::Never => return Ok(()),
            Begins::Server(upstream) => return self.pass(stream, Some(upstream)).await,
            Begins::Silent => return self.pass(stream, None).await,
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
            _ => self.pass(stream, None).await,
        }
    }

    /// Waits for the client's first byte. If there is none for a while and the call is forwarded, the upstream may be one
    /// that speaks first.
    async fn begin(&self, stream: &mut TokioIo<Upgraded>) -> Result<Begins, Broken> {
        let mut first = [0_u8; 1];
        let begins = |count: usize, first: [u8; 1]| match count {
            0 => Begins::Never,
            _ => Begins::Client(first[0]),
        };
        let host = Host::read(&self.authority);
        let patience = match host.port() {
            Some("80" | "443") => LONGEST_SILENCE_AT_HTTP,
            _ => LONGEST_SILENCE,
        };
        let first_wait = match self.core.lets_pass(&host) {
            true => FIRST_WORD,
            false => patience,
        };
        if let Ok(read) = tokio::time::timeout(first_wait, stream.read(&mut first)).await {
            return Ok(begins(read?, first));
        }
        if first_wait == patience {
            return Ok(Begins::Silent);
        }
        // Nothing is decided yet: this may be a client that is slow to begin its handshake.
        let speaks = async {
            let upstream = self.core.forwarder.tunnel(&self.authority).await?;
            upstream.readable().await?;
            Ok::<_, std::io::Error>(upstream)
        };
        let mut speaks = std::pin::pin!(speaks);
        let mut is_waited_for = true;
        loop {
            tokio::select! {
                read = stream.read(&mut first) => return Ok(begins(read?, first)),
                upstream = &mut speaks, if is_waited_for => match upstream {
                    Ok(upstream) => return Ok(Begins::Server(upstream)),
                    Err(error) => {
                        is_waited_for = false;
                        log::debug!("{}: {error}", self.asked);
                    }
                },
                () = tokio::time::sleep(patience), if !is_waited_for => return Ok(Begins::Silent),
            }
        }
    }

    /// Answers the requests in a tunnel of plain HTTP.
    async fn answer(self, stream: Inner, is_http2: bool) {
        let Self {
            core,
            asked,
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
        let (unread, stop) = (note_unread(&core, Some(&asked)), core.stop());
        let manner = core.manner;
        let handle =
            Arc::new(move |request| inside(Arc::clone(&core), Arc::clone(&tunnel), request));
        match is_http2 {
            true => http2_connection(stream, handle, unread, stop, Http2Limits::default()).await,
            false => connection(stream, handle, unread, stop, manner).await,
        };
    }

    /// Answers the requests inside TLS.
    async fn read(self, tls: &Tls, stream: Inner) {
        let Self {
            core,
            asked,
            owned,
            authority,
            credentials,
            inside,
            ..
        } = self;
        let agent = owned.headers.text("user-agent").unwrap_or_default();
        let agent = agent.into_owned();
        let connected = tls.begins(&authority, &agent);
        let host = Host::read(&authority);
        let read = match tls.read(stream, host.name(), &connected).await {
            Ok(read) => read,
            Err(refused) => {
                let why = match refused {
                    Unread::Distrusted(distrust) => tls.advice(distrust, &agent),
                    Unread::Failed(why) => why,
                };
                // The session's end waits for this.
                note_refused(&core, owned, why).await;
                drop(connected);
                return;
            }
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
        let tunnel = Arc::new(Tunnel {
            scheme: "https",
            authority,
            credentials,
        });
        let handle = {
            let core = Arc::clone(&core);
            move |request| inside(Arc::clone(&core), Arc::clone(&tunnel), request)
        };
        let unread = note_unread(&core, Some(&asked));
        let manner = core.manner;
        let (handle, stop) = (Arc::new(handle), core.stop());
        let ended = match speaks_http2 {
            true => {
                http2_connection(stream, handle, unread, stop.clone(), Http2Limits::default()).await
            }
            false => connection(stream, handle, unread, stop.clone(), manner).await,
        };
        let error = match &ended {
            Ended::ByServer => return,
            Ended::InOrder => None,
            Ended::Broken(error) => Some(error),
        };
        if connected.ends() && !stop.is_cancelled() {
            let distrust = Tls::without_request(error);
            note_refused(&core, owned, tls.advice(distrust, &agent)).await;
        }
    }

    /// Passes what can't be read on, if it is forwarded.
    async fn pass(
        self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        upstream: Option<TcpStream>,
    ) -> Result<(), Broken> {
        let Self {
            core,
            asked,
            owned,
            authority,
            ..
        } = self;
        let passing = Passing::new(&core, &asked).await;
        let Handling { act, records, .. } = decide(&core, &Arc::new(owned)).await;
        if let (Act::Forward, Some(session)) = (&act, records) {
            core.oracle
                .note_unrecorded(&session, &asked, "it passes through unread");
        }
        match act {
            Act::Forward => {
                let upstream = match upstream {
                    Some(upstream) => Ok(upstream),
                    None => core.forwarder.tunnel(&authority).await,
                };
                match upstream {
                    Ok(upstream) => passing.copy(stream, upstream).await?,
                    Err(error) => log::warn!("CONNECT {authority}: {}", with_causes(&error)),
                }
            }
            // No answer can be put into a connection whose keys only the client and the upstream have.
            Act::Respond(..) | Act::Break(..) => {
                log::warn!(
                    "CONNECT {authority}: what can't be read can't be answered from a capture; closing the connection"
                );
                stream.shutdown().await?;
            }
        }
        Ok(())
    }
}
