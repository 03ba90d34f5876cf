//! Tells which clients refuse the certificates that they are shown.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::{AlertDescription, Error};

/// How sure it is that a client has refused a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Distrust {
    /// It said so, by this alert.
    Certain(AlertDescription),
    /// It ended the connection in this way instead of making a request.
    Likely(&'static str),
}

impl Distrust {
    /// Returns what the end of a handshake or of a connection without a request says; `None` if it says something else.
    pub(super) fn of(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut causes = std::iter::successors(Some(error), |error| error.source());
        causes.find_map(|cause| {
            if let Some(error) = cause.downcast_ref::<io::Error>() {
                // An error inside such an error is not among its causes.
                let inner = error
                    .get_ref()
                    .and_then(|inner| inner.downcast_ref::<Error>());
                return match inner {
                    Some(inner) => Self::of_tls(inner),
                    None => Self::of_end(error.kind()),
                };
            }
            cause.downcast_ref::<Error>().and_then(Self::of_tls)
        })
    }

    fn of_tls(error: &Error) -> Option<Self> {
        match error {
            Error::AlertReceived(
                alert @ (AlertDescription::BadCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA),
            ) => Some(Self::Certain(*alert)),
            _ => None,
        }
    }

    fn of_end(kind: io::ErrorKind) -> Option<Self> {
        match kind {
            io::ErrorKind::UnexpectedEof => Some(Self::Likely(
                "it ended the connection during the TLS handshake",
            )),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Some(Self::Likely(
                "it reset the connection during the TLS handshake",
            )),
            _ => None,
        }
    }
}

/// Says what was seen, and how sure that makes it.
impl std::fmt::Display for Distrust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Certain(alert) => {
                let name = match alert {
                    AlertDescription::BadCertificate => "bad certificate",
                    AlertDescription::CertificateUnknown => "certificate unknown",
                    _ => "unknown CA",
                };
                let number = u8::from(*alert);
                write!(
                    f,
                    "its client does not trust the certificate (certain: TLS alert {number}, {name})"
                )
            }
            Self::Likely(what) => {
                write!(
                    f,
                    "its client does not trust the certificate (likely: {what})"
                )
            }
        }
    }
}

/// How many clients of names are kept.
const MOST: usize = 1_000;

/// What is known of the clients of names.
#[derive(Debug, Default)]
pub(super) struct Clients(Mutex<HashMap<(String, String), Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Whether any connection of it has carried a request.
    asked: bool,
    /// How many connections are open past the handshake.
    open: usize,
}

/// A connection of a client to a name, past the handshake.
#[derive(Debug)]
pub(in crate::proxy) struct Connected {
    clients: Arc<Clients>,
    /// The name, and what the client calls itself.
    key: (String, String),
    has_asked: AtomicBool,
    has_ended: AtomicBool,
}

impl Clients {
    /// Notes a connection.
    pub(super) fn connected(self: &Arc<Self>, name: &str, agent: &str) -> Connected {
        let key = (name.to_owned(), agent.to_owned());
        let mut all = self.lock();
        if all.len() >= MOST && !all.contains_key(&key) {
            all.retain(|_, known| known.open > 0);
        }
        all.entry(key.clone()).or_default().open += 1;
        drop(all);
        Connected {
            clients: Arc::clone(self),
            key,
            has_asked: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connected {
    /// Notes that the connection carries a request.
    pub(in crate::proxy) fn asks(&self) {
        if self.has_asked.swap(true, Ordering::SeqCst) {
            return;
        }
        if let Some(known) = self.clients.lock().get_mut(&self.key) {
            known.asked = true;
        }
    }

    /// Notes the end of the connection, and returns whether it means that the client refuses the certificate: it has ended
    /// every connection to this name without a request. Some clients open a connection too many and drop it unused.
    pub(in crate::proxy) fn ends(&self) -> bool {
        if self.has_ended.swap(true, Ordering::SeqCst) {
            return false;
        }
        let mut all = self.clients.lock();
        let Some(known) = all.get_mut(&self.key) else {
            return false;
        };
        known.open = known.open.saturating_sub(1);
        !known.asked && known.open == 0
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.ends();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_that_refuses_a_certificate_does_is_told_from_other_ends() {
        let alert = |alert| io::Error::other(Error::AlertReceived(alert));
        for (error, wanted) in [
            (
                alert(AlertDescription::UnknownCA),
                Some("(certain: TLS alert 48, unknown CA)"),
            ),
            (
                alert(AlertDescription::BadCertificate),
                Some("(certain: TLS alert 42, bad certificate)"),
            ),
            (
                alert(AlertDescription::CertificateUnknown),
                Some("(certain: TLS alert 46, certificate unknown)"),
            ),
            (alert(AlertDescription::ProtocolVersion), None),
            (
                io::ErrorKind::UnexpectedEof.into(),
                Some("(likely: it ended the connection during"),
            ),
            (
                io::ErrorKind::ConnectionReset.into(),
                Some("(likely: it reset the connection during"),
            ),
            (io::ErrorKind::TimedOut.into(), None),
        ] {
            let told = Distrust::of(&error).map(|distrust| distrust.to_string());
            assert_eq!(told.is_some(), wanted.is_some(), "{error}");
            assert!(
                told.unwrap_or_default()
                    .contains(wanted.unwrap_or_default()),
                "{error}"
            );
        }
    }

    #[test]
    fn only_a_client_that_never_asks_refuses() {
        let clients = Arc::new(Clients::default());
        // It looks at the certificate and goes.
        assert!(clients.connected("a", "").ends());
        // One connection too many, beside one that is used later.
        let (used, unused) = (clients.connected("a", ""), clients.connected("a", ""));
        assert!(!unused.ends());
        used.asks();
        assert!(!used.ends());
        assert!(!clients.connected("a", "").ends());
        // Other names and other clients are judged by themselves.
        assert!(clients.connected("b", "").ends());
        assert!(clients.connected("a", "wget").ends());
        // Of two that go without a request, the last one tells.
        let (first, last) = (clients.connected("c", ""), clients.connected("c", ""));
        assert!(!first.ends());
        assert!(last.ends());
    }
}
