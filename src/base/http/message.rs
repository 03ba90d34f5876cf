//! Requests and responses as plain data.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::headers::Headers;
use super::secret::shown_target;
use super::url::split_url;

/// The direction in which a message crosses the boundary of the application under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no third direction")]
pub enum Direction {
    /// Into the application.
    Inbound,
    /// Out of the application, to something it depends on.
    Outbound,
}

impl Direction {
    /// Returns `inbound` or `outbound`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Direction {
    type Err = ParseDirectionError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "inbound" => Ok(Self::Inbound),
            "outbound" => Ok(Self::Outbound),
            other => Err(ParseDirectionError(other.to_owned())),
        }
    }
}

/// A text that is not the name of a [`Direction`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a direction; expected `inbound` or `outbound`")]
pub struct ParseDirectionError(String);

/// An HTTP request that an application under test sends or receives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Request {
    /// The method, as sent: `POST`.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// The host, with a port if one was given: `api.stripe.com`.
    pub host: String,
    /// The path without its query: `/v1/payment_intents`.
    pub path: String,
    /// The query without its `?`, if any.
    pub query: Option<String>,
    /// The header fields.
    pub headers: Headers,
    /// The body; empty if there is none.
    pub body: Vec<u8>,
    /// Whether the body is too large to be held, and is not in `body`.
    pub(crate) unread: bool,
}

impl Request {
    /// Creates a request without headers or a body. `url` is absolute
    /// (`http://shop.example/orders?page=2`); any other text is read as a path with a query.
    pub fn new(method: impl Into<String>, url: &str) -> Self {
        let (scheme, host, target) = split_url(url).unwrap_or(("http", "", url));
        let (path, query) = split_target(target);
        Self {
            method: method.into(),
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            path: if path.is_empty() { "/" } else { path }.to_owned(),
            query: query.map(str::to_owned),
            ..Self::default()
        }
    }

    /// Returns whether it is a call of gRPC.
    #[cfg(feature = "embedded")]
    pub(crate) fn is_grpc(&self) -> bool {
        let kind = self.headers.text("content-type").unwrap_or_default();
        kind.trim_start()
            .to_ascii_lowercase()
            .starts_with("application/grpc")
    }

    /// Returns the path with its query, as in a request line.
    pub fn target(&self) -> String {
        join_target(&self.path, self.query.as_deref())
    }
}

/// Writes a request like `GET shop.example/orders?page=2`; secrets in its query are masked.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.target();
        write!(f, "{} {}{}", self.method, self.host, shown_target(&target))
    }
}

/// An HTTP response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    /// The body; empty if there is none.
    pub body: Vec<u8>,
    /// The header fields that follow the body, which gRPC ends its answers with.
    pub trailers: Headers,
}

impl Response {
    /// Creates a response with that status, no headers and an empty body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }
}

/// How an exchange breaks instead of ending with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// The connection is reset.
    Reset,
    /// The connection ends without an answer.
    Empty,
    /// There is no answer until the client gives up.
    Timeout,
    /// The answer's body breaks off.
    Truncated,
}

impl Failure {
    /// All failures with their names.
    pub(crate) const NAMES: [(&'static str, Self); 4] = [
        ("reset", Self::Reset),
        ("empty", Self::Empty),
        ("timeout", Self::Timeout),
        ("truncated", Self::Truncated),
    ];

    /// Returns `reset`, `empty`, `timeout` or `truncated`.
    pub fn name(self) -> &'static str {
        let mut names = Self::NAMES.into_iter();
        let found = names.find(|(_, failure)| *failure == self);
        found.map_or("reset", |(name, _)| name)
    }
}

/// Joins a path and a query into a request target.
pub(crate) fn join_target(path: &str, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// Splits a request target into path and query.
pub(crate) fn split_target(target: &str) -> (&str, Option<&str>) {
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}
