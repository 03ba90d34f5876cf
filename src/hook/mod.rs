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
//! fails its case, and the report shows its name and message. The repository's `docs/hooks.md`
//! describes hooks in other languages too.
//!
//! # Testing a hook
//!
//! A hook is a function, so a test calls it:
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::path::Path;
//!
//! use softprobe::hook::{HookContext, HookFailure, RequestChange};
//! use softprobe::{Case, Request};
//!
//! fn add_tenant(request: &Request, context: &HookContext<'_>) -> Result<RequestChange, HookFailure> {
//!     let tenant = context.env.get("TENANT").ok_or("TENANT is not set")?;
//!     let mut headers = request.headers.clone();
//!     headers.push("x-tenant", tenant.as_str());
//!     Ok(RequestChange::new().headers(headers))
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let file = Path::new("cases/checkout/happy.case.json");
//! let case = Case::from_file(file)?;
//! let env = BTreeMap::from([("TENANT".to_owned(), "acme".to_owned())]);
//! let request = Request::new("GET", "http://shop.example/orders?page=2");
//! let change = add_tenant(&request, &HookContext::new(&case, file, &env))?;
//! assert_eq!(change.apply(request).headers.text("x-tenant").as_deref(), Some("acme"));
//! # Ok(())
//! # }
//! ```

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

/// What every hook receives in addition to its own subject.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct HookContext<'a> {
    /// The case.
    pub case: &'a Case,
    /// The case's file.
    pub case_file: &'a Path,
    /// The environment: the process's variables override those of the env file, which override the suite's
    /// own.
    pub env: &'a BTreeMap<String, String>,
}

impl<'a> HookContext<'a> {
    /// Creates a context, for a test of a hook.
    pub fn new(case: &'a Case, case_file: &'a Path, env: &'a BTreeMap<String, String>) -> Self {
        Self {
            case,
            case_file,
            env,
        }
    }

    /// Returns the value of the case's fixture with that name, if any.
    pub fn fixture(&self, name: &str) -> Option<&'a Value> {
        let (_, value) = self.case.fixtures().iter().find(|(n, _)| n == name)?;
        Some(value)
    }
}

impl fmt::Debug for HookContext<'_> {
    /// Leaves out the values of variables, since they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookContext")
            .field("case", &self.case)
            .field("case_file", &self.case_file)
            .field("env", &self.env.keys())
            .finish()
    }
}

/// The changes that a request hook makes; whatever it does not set stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestChange {
    pub(crate) method: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) headers: Option<Headers>,
    pub(crate) body: Option<Vec<u8>>,
}

impl RequestChange {
    /// Creates a change that changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the method.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Replaces the path and the query: `/checkout?country=DE`. A path without a `?` removes the query.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Replaces all headers; those that are not in the new list are removed.
    ///
    /// The runner sets `content-length`, `traceparent`, `tracestate` and `x-softprobe-session-id` itself and
    /// ignores any values given here; it sets `host` only if the list has none.
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

    /// Returns the request with the changes made.
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
            // It described the old body; a hook that encodes the new one sets its own headers.
            request.headers.remove("content-encoding");
        }
        if let Some(headers) = headers {
            request.headers = headers;
        }
        request
    }
}

/// The mock whose response a mock response hook can change.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct MockContext<'a> {
    /// The response that is registered unless the hook changes it.
    pub captured_response: &'a Response,
    /// The span that it was captured in; `None` for a response that the suite gives inline.
    pub captured_span: Option<&'a Value>,
    /// The mock's name.
    pub mock_name: &'a str,
}

impl<'a> MockContext<'a> {
    /// Creates a context without a span, for a test of a hook.
    pub fn new(mock_name: &'a str, captured_response: &'a Response) -> Self {
        Self {
            captured_response,
            captured_span: None,
            mock_name,
        }
    }

    /// Sets the span from which the response was captured.
    #[must_use]
    pub fn captured_span(mut self, span: &'a Value) -> Self {
        self.captured_span = Some(span);
        self
    }
}

/// The changes that a mock response hook makes; whatever it does not set stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseChange {
    pub(crate) status: Option<u16>,
    pub(crate) headers: Option<Headers>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) trailers: Option<Headers>,
}

impl ResponseChange {
    /// Creates a change that changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces all header fields that follow the body, such as gRPC's `grpc-status`.
    #[must_use]
    pub fn trailers(mut self, trailers: Headers) -> Self {
        self.trailers = Some(trailers);
        self
    }

    /// Replaces the status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Replaces all headers; those that are not in the new list are removed.
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

    /// Returns the response with the changes made.
    pub fn apply(self, mut response: Response) -> Response {
        let Self {
            status,
            headers,
            body,
            trailers,
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
        if let Some(trailers) = trailers {
            response.trailers = trailers;
        }
        response
    }
}

/// A fault that an assert hook found in the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Issue {
    /// The place of the fault: `$.total`.
    pub path: String,
    /// What was expected there.
    pub expected: Option<Value>,
    /// What was found instead.
    pub actual: Option<Value>,
    /// Why it is wrong.
    pub reason: Option<String>,
}

impl Issue {
    /// Creates an issue with its place and its reason.
    pub fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            reason: Some(reason.into()),
            ..Self::default()
        }
    }

    /// Sets what was expected there.
    #[must_use]
    pub fn expected(mut self, value: impl Into<Value>) -> Self {
        self.expected = Some(value.into());
        self
    }

    /// Sets what was found instead.
    #[must_use]
    pub fn actual(mut self, value: impl Into<Value>) -> Self {
        self.actual = Some(value.into());
        self
    }
}

/// The error of a hook, which can be of any type.
pub type HookFailure = Box<dyn Error + Send + Sync>;

/// The four kinds of hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HookKind {
    /// Changes the request before it is sent.
    Request,
    /// Changes a mock's response before its rule is registered.
    MockResponse,
    /// Checks the answer's body.
    AssertBody,
    /// Checks the answer's headers.
    AssertHeaders,
}

impl HookKind {
    /// Returns its name for hooks in other languages: `mock_response`.
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

/// A hook that returned an error or panicked.
#[derive(Debug, Error)]
#[error("the {kind} hook `{name}` failed")]
pub(crate) struct HookError {
    /// The name that the hook is registered under.
    pub(crate) name: String,
    /// The kind of hook that was needed.
    pub(crate) kind: HookKind,
    /// The error that it returned, or the message of its panic.
    pub(crate) source: HookFailure,
}
