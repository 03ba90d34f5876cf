//! Where a request at the proxy wants to go, in each of the forms that clients use.

use crate::base::http::{Request, Response, split_url};
use crate::net::{plain, without_default_port};

/// What stands before scheme and host in the reverse form.
pub(super) const REVERSE_PREFIX: &str = "/__softprobe/";

/// What a proxy says to whoever takes it for a server.
pub(crate) const GREETING: &str = "this is a proxy";

/// How a request names its upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As to a forward proxy: an absolute URL, or inside a tunnel.
    Forward,
    /// By its path, below [`REVERSE_PREFIX`].
    Reverse,
}

/// Rewrites the request to name its upstream: as it stands for the absolute form, the tunnel's host
/// inside a `CONNECT`, the path's first two steps for the reverse form.
///
/// # Errors
///
/// The answer for a request that names none.
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
