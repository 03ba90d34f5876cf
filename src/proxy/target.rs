//! Finds the upstream of a request, in each of the forms that clients use.

use std::net::Ipv6Addr;

use crate::base::http::{Host, Request, split_port, without_default_port};

/// The path prefix of the reverse form; the scheme and the host follow.
pub(super) const REVERSE_PREFIX: &str = "/__softprobe/";

/// The start of the answer to a client that mistakes the proxy for a server.
pub(crate) const GREETING: &str = "this is a proxy";

/// How a request names its upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As to a forward proxy: by an absolute URL, or inside a tunnel.
    Forward,
    /// By its path, below [`REVERSE_PREFIX`].
    Reverse,
}

/// Rewrites the request to name its upstream: the tunnel's scheme and host inside a `CONNECT`, the first two segments of
/// the path in the reverse form; the absolute form needs no change.
///
/// # Errors
///
/// Why a request names no upstream.
pub(super) fn of(
    request: &mut Request,
    form: Option<Form>,
    tunnel: Option<(&str, &str)>,
) -> Result<Form, String> {
    if let Some((scheme, authority)) = tunnel {
        scheme.clone_into(&mut request.scheme);
        request.host = host(scheme, authority);
        return Ok(Form::Forward);
    }
    if form == Some(Form::Reverse) {
        let rest = request.path.strip_prefix(REVERSE_PREFIX);
        let rest = rest.unwrap_or_default();
        let mut steps = rest.splitn(3, '/');
        let (scheme, authority) = (steps.next().unwrap_or(""), steps.next().unwrap_or(""));
        if !["http", "https"].contains(&scheme) || !is_authority(authority) {
            return Err(
                "the reverse form is /__softprobe/<http or https>/<host>/<path>, where the host is a name or an \
                 address with an optional port"
                    .to_owned(),
            );
        }
        let (scheme, host) = (scheme.to_owned(), host(scheme, authority));
        request.path = format!("/{}", steps.next().unwrap_or(""));
        request.host = host;
        request.scheme = scheme;
        request.headers.set("host", request.host.clone());
        return Ok(Form::Reverse);
    }
    form.ok_or_else(greeting)
}

/// Returns what a client is told that takes the proxy for a server.
pub(super) fn greeting() -> String {
    format!("{GREETING}; set HTTP_PROXY to it, or call {REVERSE_PREFIX}<scheme>/<host>/<path>")
}

/// Returns an authority as requests name it: with an address in its standard form, and without the scheme's port.
fn host(scheme: &str, authority: &str) -> String {
    let host = Host::read(authority).authority(authority);
    without_default_port(scheme, &host).to_owned()
}

/// Returns whether a text is a host with an optional port, and nothing else: no user, no escapes.
fn is_authority(text: &str) -> bool {
    let (name, _) = split_port(text);
    let inner = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    let is_address = inner.is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok());
    let is_name = |name: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        !name.is_empty() && name.chars().all(fits)
    };
    is_address || is_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reverse_form_takes_hosts_alone() {
        let of = |target: &str| {
            let mut request = Request::new("GET", target);
            of(&mut request, Some(Form::Reverse), None)
                .map(|_| (request.host.clone(), request.path))
        };
        for (target, host, path) in [
            ("/__softprobe/http/a.example/x", "a.example", "/x"),
            ("/__softprobe/https/a.example:443", "a.example", "/"),
            ("/__softprobe/http/my_service:8080/", "my_service:8080", "/"),
            ("/__softprobe/http/127.1:81/x/y", "127.0.0.1:81", "/x/y"),
            ("/__softprobe/http/[::1]:80/x", "[::1]", "/x"),
            ("/__softprobe/http/[::ffff:127.0.0.1]/x", "127.0.0.1", "/x"),
        ] {
            assert_eq!(
                of(target),
                Ok((host.to_owned(), path.to_owned())),
                "{target}"
            );
        }
        for target in [
            "/__softprobe/http/x@127.0.0.1/",
            "/__softprobe/http/x:y@127.0.0.1:80/",
            "/__softprobe/http/127%2e0.0.1/",
            "/__softprobe/http/[127.0.0.1]/",
            "/__softprobe/http/a.example:x/",
            "/__softprobe/ftp/a.example/",
            "/__softprobe/http//x",
            "/__softprobe/http",
        ] {
            assert!(of(target).is_err(), "{target}");
        }
        let mut request = Request::new("GET", "/x");
        assert_eq!(super::of(&mut request, None, None), Err(greeting()));
    }
}
