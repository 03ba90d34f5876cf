//! Finds the upstream of a request, in each of the forms that clients use.

use crate::base::http::{Request, Response, split_url, without_default_port};
use crate::net::plain;

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

/// Rewrites the request to name its upstream: the tunnel's host inside a `CONNECT`, the first two segments of
/// the path in the reverse form; the absolute form needs no change.
///
/// # Errors
///
/// The answer to a request that names no upstream.
pub(super) fn of(
    request: &mut Request,
    absolute: bool,
    tunnel: Option<&str>,
) -> Result<Form, Response> {
    if let Some(authority) = tunnel {
        request.host = without_default_port("http", authority).to_owned();
        return Ok(Form::Forward);
    }
    if let Some(rest) = request.path.strip_prefix(REVERSE_PREFIX) {
        let mut steps = rest.splitn(3, '/');
        let (scheme, host) = (steps.next().unwrap_or(""), steps.next().unwrap_or(""));
        if !["http", "https"].contains(&scheme)
            || split_url(&format!("{scheme}://{host}")).is_none()
        {
            return Err(plain(
                400,
                "the reverse form is /__softprobe/<http or https>/<host>/<path>",
            ));
        }
        let (scheme, host) = (scheme.to_owned(), host.to_owned());
        request.path = format!("/{}", steps.next().unwrap_or(""));
        request.host = without_default_port(&scheme, &host).to_owned();
        request.scheme = scheme;
        request.headers.set("host", request.host.clone());
        return Ok(Form::Reverse);
    }
    if absolute {
        return Ok(Form::Forward);
    }
    Err(plain(
        400,
        &format!(
            "{GREETING}; set HTTP_PROXY to it, or call {REVERSE_PREFIX}<scheme>/<host>/<path>"
        ),
    ))
}
