//! HTTP as plain data: requests, responses, headers, URLs, and which headers are secret.

mod headers;
mod host;
mod message;
mod secret;
#[cfg(feature = "embedded")]
mod trace;
mod url;

pub use headers::Headers;
pub(crate) use headers::is_hop_by_hop;
pub(crate) use host::Host;
#[cfg(feature = "runner")]
pub(crate) use message::join_target;
pub(crate) use message::split_target;
pub use message::{Direction, Failure, ParseDirectionError, Request, Response};
pub(crate) use secret::is_secret;
#[cfg(feature = "embedded")]
pub(crate) use secret::shown;
#[cfg(feature = "runner")]
pub(crate) use secret::{MASKED, is_secret_name, shown_target};
#[cfg(feature = "embedded")]
pub(crate) use trace::Trace;
#[cfg(feature = "embedded")]
pub(crate) use url::{default_port, without_default_port};
#[cfg(feature = "runner")]
pub(crate) use url::{
    escaped_target, query_pairs, same_query_without, with_ids, with_port, without_id,
};
pub(crate) use url::{path_equals, same_path, split_port, split_url, without_credentials};

/// The header that ties a request to a session on the first hop.
pub(crate) const SESSION_HEADER: &str = "x-softprobe-session-id";

/// The response header with which a runtime tells our proxy how an exchange breaks.
#[cfg(feature = "embedded")]
pub(crate) const FAILURE_HEADER: &str = "x-softprobe-failure";

/// The response header that marks a strict miss.
#[cfg(feature = "embedded")]
pub(crate) const MISS_HEADER: &str = "x-softprobe-strict-miss";
