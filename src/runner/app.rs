//! An application under test, started for a run.

use std::any::Any;
use std::fmt;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use crate::base::http::{split_url, with_port, without_credentials};

/// How long an application may take from its start until it listens.
const SLOWEST_START: Duration = Duration::from_secs(60);

/// An application under test that the runner started.
pub struct App {
    /// The application's base URL.
    pub url: String,
    /// Dropping it stops the application.
    #[expect(dead_code, reason = "held only for its drop")]
    guard: Box<dyn Any + Send>,
}

impl App {
    /// Creates an application with this base URL; dropping the guard stops the application.
    pub fn new(url: impl Into<String>, guard: impl Any + Send) -> Self {
        Self {
            url: url.into(),
            guard: Box::new(guard),
        }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("url", &without_credentials(&self.url))
            .finish_non_exhaustive()
    }
}

/// Waits until something listens at a base URL.
///
/// # Errors
///
/// A message if the URL is not a base URL, or if nothing listens in time.
pub(super) fn wait_until_listening(url: &str) -> Result<(), String> {
    let shown = without_credentials(url);
    let Some((scheme, authority, _)) = split_url(url) else {
        return Err(format!(
            "`{shown}` is not a base URL such as `http://127.0.0.1:3000`"
        ));
    };
    let authority = with_port(scheme, authority);
    let deadline = Instant::now() + SLOWEST_START;
    loop {
        let addresses = authority
            .to_socket_addrs()
            .map_err(|e| format!("{shown}: {e}"))?;
        let mut last = "no address".to_owned();
        for address in addresses {
            match TcpStream::connect_timeout(&address, Duration::from_secs(2)) {
                Ok(_) => return Ok(()),
                Err(error) => last = error.to_string(),
            }
        }
        if Instant::now() >= deadline {
            return Err(format!(
                "nothing listens at {shown} after {} seconds: {last}",
                SLOWEST_START.as_secs()
            ));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
