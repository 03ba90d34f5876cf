//! Opens TCP connections to upstreams: directly, or through the proxy that this process itself was given.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::base::http::{Host, Request};
use crate::net::{Names, own_address};

/// How long an upstream may take to accept a connection.
pub(super) const SLOWEST_CONNECT: Duration = Duration::from_secs(10);

pub(super) type Failed = Box<dyn std::error::Error + Send + Sync>;
pub(super) type Connecting<S> = Pin<Box<dyn Future<Output = Result<S, Failed>> + Send>>;

/// Opens TCP connections, through a proxy if there is one for the upstream.
#[derive(Debug, Clone)]
pub(super) struct Reach {
    direct: HttpConnector<Names>,
    /// Whether a proxy is asked for a tunnel even where there is no TLS.
    pub(super) by_tunnel: bool,
    proxies: Option<Arc<Matcher>>,
}

impl Reach {
    pub(super) fn new(proxies: Option<Matcher>) -> Self {
        let mut direct = HttpConnector::new_with_resolver(Names);
        direct.set_connect_timeout(Some(SLOWEST_CONNECT));
        direct.set_nodelay(true);
        direct.enforce_http(false);
        Self {
            direct,
            by_tunnel: false,
            proxies: proxies.map(Arc::new),
        }
    }

    /// Returns the proxy on the way to an upstream; to this machine's own there is none.
    pub(super) fn proxy(&self, uri: &Uri) -> Option<Intercept> {
        match Host::read(uri.host().unwrap_or_default()).is_loopback() {
            true => None,
            false => self.proxies.as_ref()?.intercept(uri),
        }
    }
}

impl Service<Uri> for Reach {
    type Response = Reached;
    type Error = Failed;
    type Future = Connecting<Reached>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let mut direct = self.direct.clone();
        let (proxy, by_tunnel) = (self.proxy(&uri), self.by_tunnel);
        Box::pin(async move {
            let Some(proxy) = not_ours(proxy).await else {
                return Ok(Reached {
                    stream: direct.call(uri).await?,
                    by_proxy: false,
                });
            };
            let at = proxy.uri().clone();
            let shown = at
                .authority()
                .map(|at| at.host().to_owned())
                .unwrap_or_default();
            if at.scheme_str() != Some("http") {
                let scheme = at.scheme_str().unwrap_or_default();
                return Err(format!(
                    "the proxy {shown} that the environment names for {} is one of {scheme}, which is not supported; name one \
                     of http, or list the host in NO_PROXY",
                    uri.host().unwrap_or_default()
                )
                .into());
            }
            if uri.scheme_str() == Some("http") && !by_tunnel {
                let stream = direct.call(at).await?;
                return Ok(Reached {
                    stream,
                    by_proxy: true,
                });
            }
            let mut tunnel = Tunnel::new(at, direct);
            if let Some(credentials) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(credentials.clone());
            }
            let stream = tunnel.call(uri).await;
            let stream =
                stream.map_err(|error| format!("the proxy {shown} opens no tunnel: {error}"))?;
            Ok(Reached {
                stream,
                by_proxy: false,
            })
        })
    }
}

/// Returns a proxy unless it is the one of this process: an environment that is prepared for an application leads there.
async fn not_ours(proxy: Option<Intercept>) -> Option<Intercept> {
    let proxy = proxy?;
    let own = own_address(&Request::new("GET", &proxy.uri().to_string())).await;
    own.is_none().then_some(proxy)
}

/// A connection on which requests are written in the form that who is at its other end expects.
#[derive(Debug)]
pub(in crate::proxy) struct Reached {
    stream: TokioIo<TcpStream>,
    /// Whether a proxy reads the requests.
    by_proxy: bool,
}

impl Reached {
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream.into_inner()
    }
}

impl Connection for Reached {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.by_proxy)
    }
}

impl Read for Reached {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Reached {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}
