//! A request that needs an answer, with what is known about it.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::fmt;

use serde_json::Value;

use crate::base::decode::decoded;
use crate::base::http::{Direction, Request};
use crate::base::json::{self, TooCostly};
use crate::case::Subject;

/// A request that needs an answer, with what is known about it.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    /// The request.
    pub request: &'a Request,
    /// The direction in which it crosses the boundary of the application.
    pub direction: Direction,
    /// The service it belongs to, if known.
    pub service: Option<&'a str>,
    /// The session it belongs to.
    pub session: &'a str,
    /// The attributes of the inject span; empty if there is no such span.
    pub attributes: &'a [(String, Value)],
    body: OnceCell<Cow<'a, [u8]>>,
    body_json: OnceCell<Option<Value>>,
    failure: RefCell<Option<Undecided>>,
}

/// Why it can't be known whether a predicate holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Undecided {
    /// Its path visits too many nodes.
    Path(TooCostly),
    /// The body is too large to be held.
    Body,
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(why) => why.fmt(f),
            Self::Body => f.write_str("the request's body is too large to be looked into"),
        }
    }
}

impl<'a> Question<'a> {
    /// Creates the question about a request that belongs to a session.
    pub(crate) fn new(
        request: &'a Request,
        direction: Direction,
        session: &'a str,
        service: Option<&'a str>,
        attributes: &'a [(String, Value)],
    ) -> Self {
        Self {
            request,
            direction,
            service,
            session,
            attributes,
            body: OnceCell::new(),
            body_json: OnceCell::new(),
            failure: RefCell::new(None),
        }
    }

    /// Notes that a predicate can't be decided about this request.
    pub(super) fn fail(&self, why: Undecided) {
        self.failure.replace(Some(why));
    }

    /// Returns why a predicate could not be decided since the last time this was asked, if there was one.
    pub(super) fn take_failure(&self) -> Option<Undecided> {
        self.failure.take()
    }

    /// Returns the question as the subject of a predicate.
    pub(super) fn subject(&self) -> Subject<'a> {
        Subject {
            request: self.request,
            direction: Some(self.direction),
            service: self.service,
        }
    }

    /// Returns the request's body without its content codings.
    /// Notes that a body which is not there would decide.
    fn note_unread(&self) {
        if self.request.unread {
            self.fail(Undecided::Body);
        }
    }

    pub(super) fn body(&self) -> &[u8] {
        self.note_unread();
        self.body
            .get_or_init(|| decoded(&self.request.headers, &self.request.body).0)
    }

    pub(super) fn body_json(&self) -> Option<&Value> {
        self.note_unread();
        self.body_json
            .get_or_init(|| {
                let text = std::str::from_utf8(self.body()).ok()?;
                json::parse(text).ok()
            })
            .as_ref()
    }

    pub(super) fn body_as_sent(&self) -> &'a [u8] {
        self.note_unread();
        &self.request.body
    }

    /// Returns an attribute of the inject span. If the span lacks it, the value is taken from the
    /// request, by the attribute names that case files use.
    pub(super) fn attribute(&self, name: &str) -> Option<Value> {
        let text = |text: &str| Some(Value::from(text));
        if let Some((_, value)) = self.attributes.iter().find(|(n, _)| n == name) {
            return Some(value.clone());
        }
        if let Some(header) = name.strip_prefix("http.request.header.") {
            return text(&self.request.headers.text(header)?);
        }
        match name {
            "sp.traffic.direction" => text(self.direction.name()),
            "sp.span.type" => text("inject"),
            "sp.session.id" => text(self.session),
            "sp.service.name" => text(self.service?),
            "http.request.method" => text(&self.request.method),
            "url.scheme" => text(&self.request.scheme),
            "url.host" => text(&self.request.host),
            "url.path" => text(&self.request.path),
            "url.query" => text(self.request.query.as_deref()?),
            "http.request.body" => text(&String::from_utf8_lossy(self.body_as_sent())),
            _ => None,
        }
    }
}
