//! A request that wants an answer, with what is known about it.

use std::cell::OnceCell;

use serde_json::Value;

use crate::base::http::{Direction, Request};
use crate::base::json;
use crate::case::Subject;

/// A request that wants an answer, with what is known about it.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    /// The request.
    pub request: &'a Request,
    /// Which way it crosses the application.
    pub direction: Direction,
    /// The service it belongs to, where that is known.
    pub service: Option<&'a str>,
    /// The session it belongs to.
    pub session: &'a str,
    /// The attributes of the inject span, where there is one.
    pub attributes: &'a [(String, Value)],
    body: OnceCell<Option<Value>>,
}

impl<'a> Question<'a> {
    /// A request of a session.
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
        }
    }

    /// The question as a predicate's subject.
    pub(super) fn subject(&self) -> Subject<'a> {
        Subject {
            request: self.request,
            direction: Some(self.direction),
            service: self.service,
        }
    }

    pub(super) fn body_json(&self) -> Option<&Value> {
        self.body
            .get_or_init(|| json::parse(&self.request.body))
            .as_ref()
    }

    /// An attribute of the inject span, by the vocabulary of case files.
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
            "http.request.body" => text(&String::from_utf8_lossy(&self.request.body)),
            _ => None,
        }
    }
}
