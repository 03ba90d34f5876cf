//! Hooks: named pure functions that a suite refers to; what they are given and what they return.

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
pub use registry::{Hook, Hooks};

/// What every hook is given beside its own subject.
#[derive(Debug, Clone, Copy)]
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
    /// Another method.
    pub method: Option<String>,
    /// Another path, perhaps with a query.
    pub path: Option<String>,
    /// Other headers, in the place of all.
    pub headers: Option<Headers>,
    /// Another body.
    pub body: Option<Vec<u8>>,
}

impl RequestChange {
    /// A change of the body alone.
    pub fn body(body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: Some(body.into()),
            ..Self::default()
        }
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
    /// Another status.
    pub status: Option<u16>,
    /// Other headers, in the place of all.
    pub headers: Option<Headers>,
    /// Another body.
    pub body: Option<Vec<u8>>,
}

impl ResponseChange {
    /// A change of the body alone.
    pub fn body(body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: Some(body.into()),
            ..Self::default()
        }
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

/// A body as an assert hook sees it: JSON where it parses, else text.
pub type BodyView = Value;

/// What an assert hook objects to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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

/// A hook that failed: it returned an error or panicked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the {kind} hook `{name}` failed: {message}")]
pub struct HookError {
    /// The hook.
    pub name: String,
    /// Its kind.
    pub kind: HookKind,
    /// What it said.
    pub message: String,
}
