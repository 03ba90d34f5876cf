//! Finds a port for an application.

use std::net::TcpListener;

use super::processes::first_given_port;

/// The ports tried at random, unless the system gives some of them to whoever asks for none.
const FROM: u16 = 20_000;
const TO: u16 = 32_000;
/// How many of them are tried.
const TRIES: usize = 50;

/// Returns a port at which nothing listens. The system may give any port above a bound to a connection of somebody else
/// until the application has opened it, so it is one below this bound if there is any.
///
/// # Errors
///
/// That there is none.
pub(super) fn free_port() -> Result<u16, String> {
    let bound = first_given_port().unwrap_or(TO).clamp(FROM + 1, TO);
    let mut tries = (0..TRIES).map(|_| fastrand::u16(FROM..bound));
    if let Some(port) = tries.find(|port| is_free(*port)) {
        return Ok(port);
    }
    let any = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    any.map(|address| address.port())
        .map_err(|error| format!("there is no free port: {error}"))
}

/// Returns whether an application could listen at a port, whichever address it takes.
fn is_free(port: u16) -> bool {
    ["127.0.0.1", "0.0.0.0"]
        .iter()
        .all(|host| TcpListener::bind((*host, port)).is_ok())
}
