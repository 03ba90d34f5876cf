//! Who may call a server on this machine: a web page that a developer happens to visit gets nowhere.
//!
//! Pages reach a server on loopback in two ways: by requests to its address, which carry the page's `Origin`, and by a
//! name that resolves to its address (DNS rebinding), which is then the request's `Host`.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs as _};

use hyper::HeaderMap;
use hyper::header::{HOST, HeaderName, ORIGIN};

use crate::base::http::{Host, split_url};

/// The names and the origins that may call a server besides those of this machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Callers {
    /// Names under which the server is called.
    pub(crate) hosts: Vec<String>,
    /// Origins of pages that may call it: `http://shop.example:3000`.
    pub(crate) origins: Vec<String>,
}

/// A request that a foreign web page may have made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// It calls the server by this name.
    Host(String),
    /// A page of this origin made it.
    Origin(String),
}

impl Foreign {
    /// Returns its code in the control API.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Host(_) => "forbidden_host",
            Self::Origin(_) => "forbidden_origin",
        }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(
                f,
                "the request's host is {host:?}; call this server by its address or as localhost, or allow the \
                 name with --allow-host"
            ),
            Self::Origin(origin) => write!(
                f,
                "a page of the origin {origin:?} made the request; allow it with --allow-origin if it may"
            ),
        }
    }
}

impl Callers {
    /// Checks the headers of a request.
    ///
    /// # Errors
    ///
    /// Why a foreign page may have made it.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Foreign> {
        let text = |name: HeaderName| {
            let value = headers.get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        if let Some(given) = text(HOST) {
            let host = Host::read(&given);
            let is_known = host.address().is_some() || host.is_loopback();
            if !is_known && !self.hosts.iter().any(|allowed| host.is(allowed)) {
                return Err(Foreign::Host(given));
            }
        }
        if let Some(origin) = text(ORIGIN) {
            let is_local = split_url(&origin)
                .is_some_and(|(_, authority, _)| Host::read(authority).is_loopback());
            let allowed = |allowed: &String| {
                let allowed = allowed.trim_end_matches('/');
                allowed.eq_ignore_ascii_case(&origin)
            };
            if !is_local && !self.origins.iter().any(allowed) {
                return Err(Foreign::Origin(origin));
            }
        }
        Ok(())
    }
}

/// Returns whether an address to listen on can be reached from this machine only.
pub(crate) fn is_loopback(address: &str) -> bool {
    let addresses = address.to_socket_addrs();
    addresses.is_ok_and(|mut addresses| addresses.all(|a: SocketAddr| a.ip().is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_sites_are_told_apart() {
        let callers = Callers {
            hosts: vec!["runtime.internal".to_owned()],
            origins: vec!["https://Shop.example/".to_owned()],
        };
        let check = |fields: &[(HeaderName, &str)]| {
            let fields = fields.iter().map(|(n, v)| (n.clone(), v.parse().unwrap()));
            callers.check(&fields.collect())
        };
        for host in [
            "127.0.0.1:8080",
            "localhost:8080",
            "LOCALHOST.",
            "app.localhost",
            "[::1]:80",
            "192.168.0.7:8080",
            "runtime.internal:8080",
        ] {
            assert_eq!(check(&[(HOST, host)]), Ok(()), "{host}");
        }
        for host in [
            "evil.example:8080",
            "evil.runtime.internal",
            "localhost.evil.example",
            "runtime",
        ] {
            let foreign = Err(Foreign::Host(host.to_owned()));
            assert_eq!(check(&[(HOST, host)]), foreign, "{host}");
        }
        for origin in [
            "http://localhost:3000",
            "http://127.0.0.1",
            "https://[::1]:1",
            "https://shop.example",
        ] {
            assert_eq!(check(&[(ORIGIN, origin)]), Ok(()), "{origin}");
        }
        for origin in [
            "null",
            "http://evil.example",
            "https://shop.example:8443",
            "http://localhost.evil.example",
            "file://",
        ] {
            let foreign = Err(Foreign::Origin(origin.to_owned()));
            assert_eq!(check(&[(ORIGIN, origin)]), foreign, "{origin}");
        }
        assert_eq!(check(&[]), Ok(()));
    }

    #[test]
    fn loopback_is_what_only_this_machine_reaches() {
        for (address, is) in [
            ("127.0.0.1:0", true),
            ("[::1]:0", true),
            ("localhost:0", true),
            ("0.0.0.0:0", false),
            ("[::]:0", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(address), is, "{address}");
        }
    }
}
