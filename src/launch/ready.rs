//! When an application is ready.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use crate::base::http::{split_url, with_port, without_credentials};

/// How long an application that a caller starts itself may take from its start until it listens.
const SLOWEST_START: Duration = Duration::from_secs(60);
/// How long a connection may take to be accepted.
const SLOWEST_ACCEPT: Duration = Duration::from_secs(2);
/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(20);

/// Tries whether something listens at a base URL.
///
/// # Errors
///
/// Why nothing does.
pub(super) fn listens(url: &str) -> Result<(), String> {
    let mut last = "it has no address".to_owned();
    for address in addresses(url)? {
        match TcpStream::connect_timeout(&address, SLOWEST_ACCEPT) {
            Ok(_) => return Ok(()),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

/// Returns the addresses of a base URL.
///
/// # Errors
///
/// Why there are none.
pub(super) fn addresses(url: &str) -> Result<Vec<SocketAddr>, String> {
    let shown = without_credentials(url);
    let Some((scheme, authority, _)) = split_url(url) else {
        return Err(format!(
            "`{shown}` is not a base URL such as `http://127.0.0.1:3000`"
        ));
    };
    let addresses = with_port(scheme, authority).to_socket_addrs();
    let addresses = addresses.map_err(|e| format!("{shown}: {e}"))?;
    Ok(addresses.collect())
}

/// Waits until something listens at a base URL.
///
/// # Errors
///
/// A message if the URL is not a base URL, or if nothing listens in time.
pub(crate) fn wait_until_listening(url: &str) -> Result<(), String> {
    let deadline = Instant::now() + SLOWEST_START;
    loop {
        let Err(why) = listens(url) else {
            return Ok(());
        };
        if split_url(url).is_none() {
            return Err(why);
        }
        if Instant::now() >= deadline {
            return Err(format!(
                "nothing listens at {} after {} seconds: {why}",
                without_credentials(url),
                SLOWEST_START.as_secs()
            ));
        }
        std::thread::sleep(PAUSE);
    }
}
