//! Tells which clients refuse the certificates that they are shown.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
                    "its client does not trust the certificate (likely: {what}; it may have given the call up as well)"
                )
            }
        }
    }
}

/// How many clients of names are kept.
const MOST: usize = 1_000;
/// How long after its handshake a connection may still be one whose client looks at the certificate and goes.
const SLOWEST_LOOK: Duration = Duration::from_millis(50);

/// What is known of the clients of names.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Clients {
    known: Mutex<HashMap<Key, Known>>,
    /// How many connections may still turn out to be refusals.
    undecided: Mutex<usize>,
    /// Notified when there are none.
    decided: Condvar,
}

/// A host, and what the client calls itself.
type Key = (String, String);

#[derive(Debug, Default)]
struct Known {
    /// How many connections there are.
    open: usize,
    /// How many of them may still turn out to be refusals.
    undecided: usize,
    /// How many connections have carried something.
    used: u64,
    /// How many of the open ones have, over HTTP/2.
    shared: usize,
}

/// A connection of a client to a host that begins with TLS.
#[derive(Debug)]
pub(in crate::proxy) struct Connected {
    clients: Arc<Clients>,
    key: Key,
    /// How many connections had carried something when it began.
    used_before: u64,
    /// Whether it is one of HTTP/2, which calls share.
    is_http2: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It may still turn out to be a refusal.
    Undecided,
    /// It is kept, and has carried nothing.
    Idle,
    Used,
    Ended,
}

impl Clients {
    /// Notes a connection.
    pub(super) fn begins(self: &Arc<Self>, host: &str, agent: &str) -> Connected {
        let key = (host.to_owned(), agent.to_owned());
        let mut all = lock(&self.known);
        if all.len() >= MOST && !all.contains_key(&key) {
            all.retain(|_, known| known.open > 0);
        }
        let known = all.entry(key.clone()).or_default();
        known.open += 1;
        known.undecided += 1;
        let used_before = known.used;
        drop(all);
        *lock(&self.undecided) += 1;
        Connected {
            clients: Arc::clone(self),
            key,
            used_before,
            is_http2: AtomicBool::new(false),
            state: Mutex::new(State::Undecided),
        }
    }

    /// Waits until no connection may turn out to be a refusal any more, or for this long at the most.
    #[cfg(feature = "runner")]
    pub(super) fn wait(&self, limit: Duration) {
        let undecided = lock(&self.undecided);
        let waited = self
            .decided
            .wait_timeout_while(undecided, limit, |undecided| *undecided > 0);
        drop(waited);
    }
}

impl Connected {
    /// Notes that the handshake is done: its client may still look at the certificate and go.
    pub(super) fn stands(self: &Arc<Self>, is_http2: bool) {
        self.is_http2.store(is_http2, Ordering::SeqCst);
        let own = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(SLOWEST_LOOK).await;
            own.becomes(State::Idle);
        });
    }

    /// Notes that the client has sent something, so that it trusts the certificate.
    pub(super) fn is_used(&self) {
        self.becomes(State::Used);
    }

    /// Notes the end of the connection, and returns whether it means that the client refuses the certificate: it has sent
    /// nothing over this connection, nor over another one to the host since this one began. Some clients open a connection too
    /// many and drop it unused, at once over HTTP/2, where calls share one, and from a pool later.
    pub(in crate::proxy) fn ends(&self) -> bool {
        let before = self.becomes(State::Ended);
        if !matches!(before, State::Undecided | State::Idle) {
            return false;
        }
        let mut all = lock(&self.clients.known);
        let Some(known) = all.get_mut(&self.key) else {
            return true;
        };
        // A pool that keeps a connection for later may drop it as well.
        let is_spare = match before {
            State::Idle => known.used > 0,
            _ => self.is_http2() && known.shared > 0,
        };
        // One that is only beginning tells for this one.
        !is_spare && known.used == self.used_before && known.undecided == 0
    }

    fn is_http2(&self) -> bool {
        self.is_http2.load(Ordering::SeqCst)
    }

    /// Changes the state, and returns the one before.
    fn becomes(&self, next: State) -> State {
        let mut state = lock(&self.state);
        let before = *state;
        let changes = match next {
            State::Undecided => false,
            State::Idle => before == State::Undecided,
            State::Used => matches!(before, State::Undecided | State::Idle),
            State::Ended => before != State::Ended,
        };
        if !changes {
            return before;
        }
        *state = next;
        if let Some(known) = lock(&self.clients.known).get_mut(&self.key) {
            if before == State::Undecided {
                known.undecided -= 1;
            }
            match next {
                State::Used => {
                    known.used += 1;
                    known.shared += usize::from(self.is_http2());
                }
                State::Ended => {
                    known.open -= 1;
                    known.shared -= usize::from(before == State::Used && self.is_http2());
                }
                State::Undecided | State::Idle => {}
            }
        }
        if before == State::Undecided {
            let mut undecided = lock(&self.clients.undecided);
            *undecided -= 1;
            if *undecided == 0 {
                self.clients.decided.notify_all();
            }
        }
        before
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.becomes(State::Ended);
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned lock is safe to use: every change under it is complete before anything can panic.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn only_a_client_that_sends_nothing_refuses() {
        let clients = Arc::new(Clients::default());
        // It looks at the certificate and goes.
        assert!(clients.begins("a", "").ends());
        // One connection too many, beside one that is used later.
        let (used, unused) = (clients.begins("a", ""), clients.begins("a", ""));
        assert!(!unused.ends());
        used.is_used();
        // Another client of the same host, with roots of its own, while the first one keeps its connection.
        assert!(clients.begins("a", "").ends());
        assert!(!used.ends());
        // One that is dropped since another one was used meanwhile.
        let (unused, used) = (clients.begins("a", ""), clients.begins("a", ""));
        used.is_used();
        assert!(!unused.ends());
        // Other hosts and other clients are judged by themselves.
        assert!(clients.begins("b", "").ends());
        assert!(clients.begins("a", "wget").ends());
        // Of two that go without a word, the last one tells.
        let (first, last) = (clients.begins("c", ""), clients.begins("c", ""));
        assert!(!first.ends());
        assert!(last.ends());
        // A spare one of a client whose calls share a connection.
        let (shared, spare) = (clients.begins("e", ""), clients.begins("e", ""));
        shared.is_http2.store(true, Ordering::SeqCst);
        shared.is_used();
        drop(spare);
        let spare = clients.begins("e", "");
        spare.is_http2.store(true, Ordering::SeqCst);
        assert!(!spare.ends());
        assert!(clients.begins("e", "").ends());
        drop(shared);
        let last = clients.begins("e", "");
        last.is_http2.store(true, Ordering::SeqCst);
        assert!(last.ends());
        // One that is merely kept does not speak for others.
        let kept = clients.begins("d", "");
        kept.becomes(State::Idle);
        assert!(clients.begins("d", "").ends());
        // One that was kept beside one that was used is a spare one of a pool.
        clients.begins("d", "").is_used();
        let pooled = clients.begins("d", "");
        pooled.becomes(State::Idle);
        assert!(!pooled.ends());
    }
}
