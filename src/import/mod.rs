//! Reads what other tools keep of HTTP traffic.

mod curl;
mod har;
mod message;
mod postman;

use crate::base::http::{Request, Response};

pub(crate) use curl::read as read_curl;
pub(crate) use har::read as read_har;
pub(crate) use postman::{Variables, read as read_postman, read_environment};

/// What a file holds in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// A request that a server got.
    Exchange(Box<Entry>),
    /// What no server got, or what is no request alone: what it is, and why it is left out.
    Other(String, &'static str),
}

/// A request, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it stands in the file.
    pub(crate) place: String,
    pub(crate) request: Request,
    /// The answer, or why there is none.
    pub(crate) answer: Result<Response, String>,
    /// When it began and ended, in nanoseconds since 1970; 0 if that is not known.
    pub(crate) times_ns: (u64, u64),
    /// Why the request can't be sent again as it was.
    pub(crate) unusable_request: Option<String>,
    /// Why the answer can't be compared.
    pub(crate) unusable_answer: Option<String>,
    /// What to know of it.
    pub(crate) note: Option<&'static str>,
}
