//! `CONNECT` tunnels. Some clients open one even for plain HTTP, so the first byte decides what is inside.
//! Plain HTTP is answered like any other call. TLS is opaque here: it passes if the session's rules and
//! policy forward it, and is otherwise a miss.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Body as _;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use super::decide::{Act, Core, Handling, answer_ambient, decide, note_unread, refuse};
use crate::base::http::{Host, Request, Response, without_default_port};
use crate::net::{HyperRequest, HyperResponse, connection, head_of, own_address, to_hyper};

/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// How long a client may take to send its first byte, and an upstream to accept a connection.
const SLOWEST_START: Duration = Duration::from_secs(30);

/// What a `CONNECT` says about the requests inside it.
#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) authority: String,
    /// `Proxy-Authorization`, which clients send only with the `CONNECT` itself.
    pub(super) credentials: Option<Vec<u8>>,
}

/// A function that answers a request inside a tunnel.
pub(super) type Inside =
    fn(Arc<Core>, Arc<Tunnel>, HyperRequest) -> Pin<Box<dyn Future<Output = HyperResponse> + Send>>;

/// Accepts the tunnel and serves it in its own task; `nested` if it is asked for inside another one.
pub(super) async fn open(
    core: Arc<Core>,
    nested: bool,
    request: HyperRequest,
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
    let credentials = request
        .headers()
        .get("proxy-authorization")
        .map(|value| value.as_bytes().to_vec());
    tokio::spawn(async move {
        if let Err(error) = tunnel(core, authority, credentials, request, inside).await {
            log::debug!("tunnel ended: {error}");
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

async fn tunnel(
    core: Arc<Core>,
    authority: String,
    credentials: Option<Vec<u8>>,
    mut request: HyperRequest,
    inside: Inside,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let upgraded = hyper::upgrade::on(&mut request);
    let mut stream = TokioIo::new(tokio::time::timeout(SLOWEST_START, upgraded).await??);
    let mut first = [0_u8; 1];
    if tokio::time::timeout(SLOWEST_START, stream.read(&mut first)).await?? == 0 {
        return Ok(());
    }
    let (read, write) = tokio::io::split(stream);
    let mut stream = tokio::io::join(std::io::Cursor::new(first).chain(read), write);
    if first[0] != TLS_HANDSHAKE {
        let tunnel = Arc::new(Tunnel {
            authority,
            credentials,
        });
        let unread = note_unread(&core);
        let handle = move |request| inside(Arc::clone(&core), Arc::clone(&tunnel), request);
        connection(stream, Arc::new(handle), unread, None).await;
        return Ok(());
    }
    let asked = asked(&request, &authority);
    let Handling { act, records } = decide(&core, &Arc::new(asked)).await;
    if let (Act::Forward, Some(session)) = (&act, records) {
        log::warn!(
            "CONNECT {authority}: TLS passes through unread; the capture of session {session} lacks its calls"
        );
    }
    match act {
        Act::Forward => {
            let upstream = TcpStream::connect(&authority);
            let mut upstream = tokio::time::timeout(SLOWEST_START, upstream).await??;
            copy_bidirectional(&mut stream, &mut upstream).await?;
        }
        // No answer can be put into a connection whose keys only the client and the upstream have.
        Act::Respond(..) | Act::Break(..) => log::warn!(
            "CONNECT {authority}: TLS can't be answered from a capture; closing the connection"
        ),
    }
    Ok(())
}
