//! Hooks: named functions that change what a replay sends, or check what comes back.
//!
//! A suite refers to a hook by name; [`Hooks`] registers Rust functions under such names. A *request* hook
//! changes the captured request before it is sent, a *mock response* hook changes the answer of a mock, and
//! two kinds of *assert* hook check the application's answer and return an [`Issue`] for each fault.
//!
//! ```
//! use softprobe::hook::{Hooks, Issue, RequestChange};
//!
//! let hooks = Hooks::new()
//!     .request("orders.unmask_card", |request, context| {
//!         let card = context.env.get("TEST_CARD").ok_or("TEST_CARD is not set")?;
//!         let body = String::from_utf8(request.body.clone())?;
//!         Ok(RequestChange::new().body(body.replace("**** 4242", card)))
//!     })
//!     .assert_body("orders.has_total", |actual, _captured, _context| {
//!         Ok(match actual.get("total") {
//!             Some(_) => vec![],
//!             None => vec![Issue::new("$.total", "every order has a total")],
//!         })
//!     });
//! assert_eq!(hooks.names(), ["orders.has_total", "orders.unmask_card"]);
//! ```
//!
//! [`Replay::hooks`](crate::Replay::hooks) makes them known to a run. A hook that returns an error or panics
//! fails its case with a [`HookError`]. The repository's `docs/hooks.md` describes hooks in other languages
//! too.

mod foreign;
mod registry;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::Path;

use serde_json::Value;
use thiserror::Error;

use crate::base::http::{Headers, Request, Response};
use crate::case::Case;

pub(crate) use foreign::ForeignFunction;
pub(crate) use registry::Hook;
pub use registry::Hooks;

/// What every hook is given beside its own subject.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct HookContext<'a> {
    /// The case, read only.
    pub case: &'a Case,
    /// Its file.
    pub case_file: &'a Path,
    /// The suite's environment: the process's, the env file's and the suite's own, merged.
    pub env: &'a BTreeMap<String, String>,
}

impl HookContext<'_> {
    /// The case's fixture of that name.
    pub fn fixture(&self, name: &str) -> Option<&Value> {
        let (_, value) = self.case.fixtures.iter().find(|(n, _)| n == name)?;
        Some(value)
    }
}

/// What a request hook changes; what it leaves out stays as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestChange {
    pub(crate) method: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) headers: Option<Headers>,
    pub(crate) body: Option<Vec<u8>>,
}

impl RequestChange {
    /// A change of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the method.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Replaces the path and the query: `/checkout?country=DE`.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Replaces all headers.
    #[must_use]
    pub fn headers(mut self, headers: Headers) -> Self {
        self.headers = Some(headers);
        self
    }

    /// Replaces the body, and removes the `content-encoding` that described the old one.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The request with the change made.
    pub fn apply(self, mut request: Request) -> Request {
        let Self {
            method,
            path,
            headers,
            body,
        } = self;
        if let Some(method) = method {
            request.method = method;
        }
        if let Some(target) = path {
            let (path, query) = crate::base::http::split_target(&target);
            request.path = path.to_owned();
            request.query = query.map(str::to_owned);
        }
        if let Some(body) = body {
            request.body = body;
            // What described the old body; a hook that encodes the new one says so in its headers.
            request.headers.remove("content-encoding");
        }
        if let Some(headers) = headers {
            request.headers = headers;
        }
        request
    }
}

/// What a mock response hook is about.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct MockContext<'a> {
    /// The response as it would be registered.
    pub captured_response: &'a Response,
    /// The span it was captured in; `None` for a response that the suite gives inline.
    pub captured_span: Option<&'a Value>,
    /// The mock's name.
    pub mock_name: &'a str,
}

/// What a mock response hook changes; what it leaves out stays as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseChange {
    pub(crate) status: Option<u16>,
    pub(crate) headers: Option<Headers>,
    pub(crate) body: Option<Vec<u8>>,
}

impl ResponseChange {
    /// A change of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Replaces all headers.
    #[must_use]
    pub fn headers(mut self, headers: Headers) -> Self {
        self.headers = Some(headers);
        self
    }

    /// Replaces the body, and removes the `content-encoding` that described the old one.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The response with the change made.
    pub fn apply(self, mut response: Response) -> Response {
        let Self {
            status,
            headers,
            body,
        } = self;
        if let Some(status) = status {
            response.status = status;
        }
        if let Some(body) = body {
            response.body = body;
            response.headers.remove("content-encoding");
        }
        if let Some(headers) = headers {
            response.headers = headers;
        }
        response
    }
}

/// What an assert hook objects to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Issue {
    /// Where: `$.total`.
    pub path: String,
    /// What was expected there.
    pub expected: Option<Value>,
    /// What is there.
    pub actual: Option<Value>,
    /// Why that is wrong.
    pub reason: Option<String>,
}

impl Issue {
    /// An objection with its reason.
    pub fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            reason: Some(reason.into()),
            ..Self::default()
        }
    }

    /// Says what was expected.
    #[must_use]
    pub fn expected(mut self, value: impl Into<Value>) -> Self {
        self.expected = Some(value.into());
        self
    }

    /// Says what is there.
    #[must_use]
    pub fn actual(mut self, value: impl Into<Value>) -> Self {
        self.actual = Some(value.into());
        self
    }
}

/// Why a hook gave up; any error fits.
pub type HookFailure = Box<dyn Error + Send + Sync>;

/// The four kinds of hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HookKind {
    /// Changes the request before it is sent.
    Request,
    /// Changes a mock's response before its rule is registered.
    MockResponse,
    /// Judges the answer's body.
    AssertBody,
    /// Judges the answer's headers.
    AssertHeaders,
}

impl HookKind {
    /// Its name on the wire to another language: `mock_response`.
    pub(crate) fn wire_name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::MockResponse => "mock_response",
            Self::AssertBody => "assert_body",
            Self::AssertHeaders => "assert_headers",
        }
    }
}

impl fmt::Display for HookKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::MockResponse => "mock response",
            Self::AssertBody => "body assert",
            Self::AssertHeaders => "headers assert",
        })
    }
}

/// A hook that returned an error or panicked; its source is that error.
#[derive(Debug, Error)]
#[error("the {kind} hook `{name}` failed")]
#[non_exhaustive]
pub struct HookError {
    /// The name it is registered under.
    pub name: String,
    /// Its kind.
    pub kind: HookKind,
    /// What it returned, or the message of its panic.
    pub source: HookFailure,
}
