//! Resolves names.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

use super::client::localhost;

/// Returns the addresses of a name.
///
/// # Errors
///
/// Why the name can't be resolved.
pub(crate) async fn addresses(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Some(loopback) = localhost(name, port) {
        return Ok(loopback.into());
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
