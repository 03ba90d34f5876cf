//! Finds a port for an application.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

use super::processes::first_given_port;

/// The ports tried at random, unless the system gives some of them to whoever asks for none.
const FROM: u16 = 20_000;
const TO: u16 = 32_000;
/// How many of them are tried.
const TRIES: usize = 50;

/// How many ports there have to be below the bound for a choice among them.
const ENOUGH: u16 = 2_000;

/// Returns a port at which nothing listens, and another one each time. The system may give any port above a bound to a
/// connection of somebody else until the application has opened it, so it is one below this bound if there are enough.
///
/// # Errors
///
/// That there is none.
pub(super) fn free_port() -> Result<u16, String> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let bound = first_given_port().filter(|bound| *bound >= FROM + ENOUGH);
    let bound = bound.unwrap_or(TO).min(TO);
    let mut tries = (0..TRIES).map(|_| fastrand::u16(FROM..bound));
    let found = tries.find(|port| !given.contains(port) && is_free(*port));
    let port = match found {
        Some(port) => port,
        None => TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .map_err(|error| format!("there is no free port: {error}"))?
            .port(),
    };
    given.insert(port);
    Ok(port)
}

/// Returns whether an application could listen at a port, whichever address it takes.
fn is_free(port: u16) -> bool {
    ["127.0.0.1", "0.0.0.0"]
        .iter()
        .all(|host| TcpListener::bind((*host, port)).is_ok())
}
