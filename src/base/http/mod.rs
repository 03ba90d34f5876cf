//! HTTP as plain data: requests, responses, headers, URLs, and which headers are secret.

mod headers;
mod message;
mod secret;
mod trace;
mod url;

pub use headers::Headers;
pub(crate) use headers::is_hop_by_hop;
pub use message::{Direction, ParseDirectionError, Request, Response};
pub(crate) use message::{join_target, split_target};
pub(crate) use secret::{is_secret, shown};
pub(crate) use trace::Trace;
pub(crate) use url::{
    host_ends_with, host_equals, host_is_internal, host_within, path_equals, split_port, split_url,
};

/// The header that ties a request to a session on the first hop.
pub(crate) const SESSION_HEADER: &str = "x-softprobe-session-id";

/// The response header that marks a strict miss.
pub(crate) const MISS_HEADER: &str = "x-softprobe-strict-miss";
