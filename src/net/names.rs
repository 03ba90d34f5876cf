//! Resolves names.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

use crate::base::http::Host;

/// Returns the addresses of a name. Those below `localhost` are loopback, whatever the system's resolver says (RFC 6761,
/// 6.3): with such a name, even clients that call loopback directly use a proxy.
///
/// # Errors
///
/// Why the name can't be resolved.
pub(crate) async fn addresses(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let host = Host::read(name);
    if host.address().is_none() && host.is_loopback() {
        let loopback = [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            Ipv6Addr::LOCALHOST.into(),
        ];
        return Ok(loopback.map(|ip| SocketAddr::new(ip, port)).into());
    }
    Ok(tokio::net::lookup_host((name, port)).await?.collect())
}

/// Resolves names for a client.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Names;

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move { Ok(addresses(name.as_str(), 0).await?.into_iter()) })
    }
}
