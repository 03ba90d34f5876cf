//! Streams to clients.

use tokio::net::TcpStream;
use tokio_util::io::InspectReader;

/// A stream to a client.
pub(crate) trait Peer {
    /// Makes the end of the stream a reset, where there is such a thing.
    fn reset(&self) {}
}

impl Peer for TcpStream {
    fn reset(&self) {
        if let Err(error) = self.set_zero_linger() {
            log::debug!("a connection can't be reset: {error}");
        }
    }
}

impl Peer for tokio::io::DuplexStream {}

impl<S: Peer, F> Peer for InspectReader<S, F> {
    fn reset(&self) {
        self.get_ref().reset();
    }
}
