//! Reads TLS inside tunnels, with certificates of an authority that the application trusts.

mod authority;
mod clients;
mod streams;
mod trust;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::server::Acceptor;
use tokio_rustls::LazyConfigAcceptor;

pub(crate) use self::authority::Authority;
#[cfg(feature = "runner")]
pub(crate) use self::authority::AuthorityFiles;
use self::clients::what_to_set;
pub(super) use self::streams::Inner;
use self::streams::{Spoken, spoken};
use self::trust::{Clients, Connected, Distrust};
use crate::base::http::Host;

/// How long a handshake may take.
const SLOWEST_HANDSHAKE: Duration = Duration::from_secs(10);

/// What a proxy that reads TLS needs for it.
#[derive(Debug)]
pub(super) struct Tls {
    pub(super) authority: Arc<Authority>,
    /// Hosts whose TLS is passed through unread.
    unread: Vec<String>,
    clients: Arc<Clients>,
    /// The programs of the application, which say what to set if a client does not.
    programs: Mutex<Vec<String>>,
}

/// A connection whose TLS is read.
pub(super) struct Read {
    pub(super) stream: Spoken,
    /// The name that the client asked for.
    pub(super) name: String,
    pub(super) speaks_http2: bool,
}

/// Why a connection can't be read.
#[derive(Debug)]
pub(super) enum Unread {
    /// The client refuses the certificate.
    Distrusted(Distrust),
    /// Anything else, in words.
    Failed(String),
}

impl Tls {
    pub(super) fn new(authority: Arc<Authority>, unread: Vec<String>) -> Self {
        Self {
            authority,
            unread,
            clients: Arc::default(),
            programs: Mutex::default(),
        }
    }

    /// Returns whether a host's TLS is passed through unread: one that is listed, or that is below one listed as `*.name`.
    pub(super) fn passes(&self, host: &Host<'_>) -> bool {
        self.unread
            .iter()
            .any(|entry| match entry.strip_prefix("*.") {
                Some(parent) => host.is_within(parent) && !host.is(parent),
                None => host.is(entry),
            })
    }

    /// Sets the programs of the application.
    #[cfg(feature = "runner")]
    pub(super) fn set_programs(&self, programs: Vec<String>) {
        *self.programs.lock().unwrap_or_else(PoisonError::into_inner) = programs;
    }

    /// Presents a certificate to a client; `host` is what it asked the proxy for.
    ///
    /// # Errors
    ///
    /// Why its requests can't be read.
    pub(super) async fn read(
        &self,
        stream: Inner,
        host: &str,
        connected: &Arc<Connected>,
    ) -> Result<Read, Unread> {
        let accepting = self.accept(stream, host, connected);
        match tokio::time::timeout(SLOWEST_HANDSHAKE, accepting).await {
            Ok(read) => read,
            Err(_) => Err(Unread::Failed(format!(
                "its TLS handshake took longer than {} s",
                SLOWEST_HANDSHAKE.as_secs()
            ))),
        }
    }

    async fn accept(
        &self,
        stream: Inner,
        host: &str,
        connected: &Arc<Connected>,
    ) -> Result<Read, Unread> {
        let failed = |error: io::Error| match Distrust::of(&error) {
            Some(distrust) => Unread::Distrusted(distrust),
            None => Unread::Failed(format!("its TLS handshake failed: {error}")),
        };
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await;
        // A client that goes before it has seen a certificate does not refuse it.
        let start = start.map_err(|error| {
            Unread::Failed(format!("its TLS handshake failed at the start: {error}"))
        })?;
        let name = start.client_hello().server_name().map(str::to_owned);
        let name = name.unwrap_or_else(|| host.to_owned());
        let config = self.authority.presented(&name);
        let config = config.map_err(|why| {
            Unread::Failed(format!("there can't be a certificate for {name}: {why}"))
        })?;
        let stream = start.into_stream(config).await.map_err(failed)?;
        let protocol = stream.get_ref().1.alpn_protocol();
        let speaks_http2 = protocol == Some(b"h2");
        connected.stands(speaks_http2);
        let stream = spoken(stream, Arc::clone(connected));
        Ok(Read {
            stream,
            name,
            speaks_http2,
        })
    }

    /// Notes that a connection of a client to a host begins.
    pub(super) fn begins(&self, host: &str, agent: &str) -> Arc<Connected> {
        Arc::new(self.clients.begins(host, agent))
    }

    /// Waits until no connection may turn out to be one of a client that refuses the certificate, or for this long at the most.
    #[cfg(feature = "runner")]
    pub(super) fn wait(&self, limit: Duration) {
        self.clients.wait(limit);
    }

    /// Returns what the end of a connection without a request means.
    pub(super) fn without_request(error: Option<&hyper::Error>) -> Distrust {
        let told = error.and_then(|error| Distrust::of(error));
        match told {
            Some(certain @ Distrust::Certain(_)) => certain,
            _ => Distrust::Likely("it ended the connection without a request"),
        }
    }

    /// Returns what to tell of a client that refuses the certificate.
    pub(super) fn advice(&self, distrust: Distrust, agent: &str) -> String {
        let programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        let what = what_to_set(agent, &programs);
        format!("{distrust}: {what}; if it pins certificates, list the host in `tunnel`")
    }
}
