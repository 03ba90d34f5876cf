//! Streams to clients.

#[cfg(feature = "runner")]
use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio_util::io::InspectReader;

/// Says whether somebody has made the connection from an address; `None` where that can't be found out.
#[cfg(feature = "runner")]
pub(crate) type MadeBy = std::sync::Arc<dyn Fn(SocketAddr) -> Option<bool> + Send + Sync>;

/// A stream to a client.
pub(crate) trait Peer {
    /// Makes the end of the stream a reset, where there is such a thing.
    fn reset(&self) {}

    /// Returns the address of its other end, if that is known.
    #[cfg(feature = "runner")]
    fn address(&self) -> Option<SocketAddr> {
        None
    }
}

impl Peer for TcpStream {
    fn reset(&self) {
        if let Err(error) = self.set_zero_linger() {
            log::debug!("a connection can't be reset: {error}");
        }
    }

    #[cfg(feature = "runner")]
    fn address(&self) -> Option<SocketAddr> {
        self.peer_addr().ok()
    }
}

impl Peer for tokio::io::DuplexStream {}

impl<S: Peer, F> Peer for InspectReader<S, F> {
    fn reset(&self) {
        self.get_ref().reset();
    }
}
