//! The addresses at which this process listens, so that no request leads back to it.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::names::addresses;
use crate::base::http::{Host, Request, default_port};

/// How long a name may take to resolve.
const SLOWEST_NAME: Duration = Duration::from_secs(5);

static LISTENING: Mutex<Vec<SocketAddr>> = Mutex::new(Vec::new());

fn listening() -> MutexGuard<'static, Vec<SocketAddr>> {
    LISTENING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An address in the list, for as long as it lives.
#[derive(Debug)]
pub(super) struct Listening(SocketAddr);

impl Listening {
    pub(super) fn at(address: SocketAddr) -> Self {
        listening().push(address);
        Self(address)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut all = listening();
        if let Some(at) = all.iter().position(|address| *address == self.0) {
            all.swap_remove(at);
        }
    }
}

/// Returns the address of this process that a request leads to, if it leads to one.
pub(crate) async fn own_address(request: &Request) -> Option<SocketAddr> {
    let port = port_of(request)?;
    let candidates: Vec<SocketAddr> = {
        let all = listening();
        let candidates = all.iter().filter(|address| address.port() == port);
        candidates.copied().collect()
    };
    // Names are resolved only for the few requests to a port that is one of ours.
    if candidates.is_empty() {
        return None;
    }
    let addresses = addresses_of(request, port).await;
    candidates
        .into_iter()
        .find(|own| addresses.iter().any(|address| leads_to(*address, own.ip())))
}

/// Returns whether a request leads to the server at an authority, such as `runtime.internal:8080`.
pub(crate) async fn leads_to_authority(request: &Request, scheme: &str, authority: &str) -> bool {
    let server = Request::new("GET", &format!("{scheme}://{authority}/"));
    let (Some(port), Some(other)) = (port_of(request), port_of(&server)) else {
        return false;
    };
    if port != other {
        return false;
    }
    if Host::of(request)
        .name()
        .eq_ignore_ascii_case(Host::of(&server).name())
    {
        return true;
    }
    let (ours, theirs) = (
        addresses_of(request, port).await,
        addresses_of(&server, port).await,
    );
    ours.iter().any(|address| theirs.contains(address))
}

fn port_of(request: &Request) -> Option<u16> {
    let host = Host::of(request);
    let port = host.port().or_else(|| default_port(&request.scheme));
    port.and_then(|port| port.parse().ok())
}

async fn addresses_of(request: &Request, port: u16) -> Vec<IpAddr> {
    let host = Host::of(request);
    if let Some(address) = host.address() {
        return vec![address];
    }
    let resolving = addresses(host.name(), port);
    match tokio::time::timeout(SLOWEST_NAME, resolving).await {
        Ok(Ok(found)) => found
            .iter()
            .map(|address| address.ip().to_canonical())
            .collect(),
        // A name that does not resolve leads nowhere.
        _ => Vec::new(),
    }
}

/// Returns whether a connection to an address reaches a listener at `own`.
fn leads_to(address: IpAddr, own: IpAddr) -> bool {
    let is_ours = || address.is_loopback() || UdpSocket::bind((address, 0)).is_ok();
    address == own || address.is_unspecified() || (own.is_unspecified() && is_ours())
}
