//! Streams to clients.

use tokio::net::TcpStream;

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

impl<R, W> Peer for tokio::io::Join<R, W> {}

impl Peer for tokio::io::DuplexStream {}
