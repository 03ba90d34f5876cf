//! Changes of one message of an exchange, made in the span that it was captured in.

use std::borrow::Cow;

use serde_json::Value;

use super::attributes::Written;
use super::change::place;
use super::{Conflict, Part};
use crate::base::decode::decoded;
use crate::base::encoding::encode_base64;
use crate::base::http::Headers;
use crate::base::json::{self, Patch, Splice, difference, splice};
use crate::case::{Case, Exchange, STATUS_KEYS, URL_KEYS};
use crate::compare::{Change, Parts};
use crate::otlp::json::Any;

/// Returns the exchange of a case that is the same as one of the case as it was before.
pub(super) fn same<'n>(was: &Exchange, read: &Case, now: &'n Case) -> Option<&'n Exchange> {
    let is_same = |one: &&Exchange| (&one.trace_id, &one.span_id) == (&was.trace_id, &was.span_id);
    // Spans of careless captures share their ids.
    let before = read.exchanges().iter().filter(is_same);
    let number = before.take_while(|one| !std::ptr::eq(*one, was)).count();
    now.exchanges().iter().filter(is_same).nth(number)
}

/// What is written of a message.
struct Message<'e> {
    headers: &'e Headers,
    /// The body as it is stored; `None` if it was not captured.
    body: Option<&'e [u8]>,
    /// Whether the body was captured as bytes, to which its codings still apply.
    is_bytes: bool,
}

impl<'e> Message<'e> {
    fn of(exchange: &'e Exchange, part: Part) -> Self {
        match (part, exchange.captured_response()) {
            (Part::Request, _) => Self {
                headers: &exchange.request.headers,
                body: exchange.request_body(),
                is_bytes: exchange.request_body_is_bytes(),
            },
            (Part::Response, Ok(Some(response))) => Self {
                headers: &response.headers,
                body: response.body.as_deref(),
                is_bytes: response.body_is_bytes,
            },
            (Part::Response, _) => Self {
                headers: &exchange.request.headers,
                body: None,
                is_bytes: false,
            },
        }
    }

    /// Returns the body without its codings.
    fn plain(&self) -> Option<Cow<'e, [u8]>> {
        let body = self.body?;
        Some(match self.is_bytes {
            true => decoded(self.headers, body).0,
            false => body.into(),
        })
    }
}

/// Makes changes of one message.
pub(super) struct Editor<'e, 'p> {
    part: Part,
    was: (&'e Exchange, Message<'e>),
    now: (&'e Exchange, Message<'e>),
    attributes: Written<'e>,
    patch: &'p mut Patch,
}

impl<'e, 'p> Editor<'e, 'p> {
    pub(super) fn new(
        was: &'e Exchange,
        now: &'e Exchange,
        part: Part,
        patch: &'p mut Patch,
    ) -> Self {
        Self {
            part,
            was: (was, Message::of(was, part)),
            now: (now, Message::of(now, part)),
            attributes: Written::of(now.span(), now.pointer()),
            patch,
        }
    }

    fn side(&self) -> &'static str {
        match self.part {
            Part::Request => "http.request",
            Part::Response => "http.response",
        }
    }

    /// Makes changes, and returns whether anything changes.
    pub(super) fn make(mut self, changes: &[&Change]) -> Result<bool, Conflict> {
        let mut changes_any = false;
        let mut json = Vec::new();
        let mut query = Vec::new();
        for change in changes {
            let is_made = match change {
                Change::Status(status) => self.status(*status, change)?,
                Change::Header { name, values } => self.header(name, values, change)?,
                Change::Query { name, parts } => {
                    query.push((name.as_str(), parts.as_slice()));
                    false
                }
                Change::Form { .. } | Change::Json { .. } => {
                    json.push(*change);
                    false
                }
                Change::Body(body) => self.body(body, change)?,
            };
            changes_any |= is_made;
        }
        changes_any |= self.query(&query)?;
        changes_any |= match json.first() {
            None => false,
            Some(Change::Form { .. }) => self.form(&json)?,
            Some(_) => self.json(&json)?,
        };
        Ok(changes_any)
    }

    /// Returns whether a value has to be written: it is the one that was read, and not the new one already.
    fn is_due<T: PartialEq + ?Sized>(
        &self,
        was: &T,
        now: &T,
        new: &T,
        change: &Change,
    ) -> Result<bool, Conflict> {
        match () {
            () if now == new => Ok(false),
            () if now == was => Ok(true),
            () => Err(Conflict::Changed(place(change))),
        }
    }

    fn status(&mut self, status: u16, change: &Change) -> Result<bool, Conflict> {
        let of = |exchange: &Exchange| {
            let response = exchange.captured_response().ok().flatten();
            response.map(|response| response.status)
        };
        let (was, now) = (of(self.was.0), of(self.now.0));
        if !self.is_due(&was, &now, &Some(status), change)? {
            return Ok(false);
        }
        let keys = STATUS_KEYS.iter();
        let mut found = keys.filter_map(|key| self.attributes.find(key));
        let index = found.find(|index| self.attributes.value(*index) != Some(Any::None));
        let index = index.ok_or(Conflict::Form("the capture has no status to change"))?;
        let text = status.to_string();
        self.attributes.set_text(index, &text, self.patch);
        Ok(true)
    }

    fn header(
        &mut self,
        name: &str,
        values: &[Vec<u8>],
        change: &Change,
    ) -> Result<bool, Conflict> {
        let of = |message: &Message<'_>| -> Vec<Vec<u8>> {
            message.headers.all(name).map(<[u8]>::to_vec).collect()
        };
        let (was, now) = (of(&self.was.1), of(&self.now.1));
        if !self.is_due(was.as_slice(), now.as_slice(), values, change)? {
            return Ok(false);
        }
        self.set_header(name, values);
        Ok(true)
    }

    fn set_header(&mut self, name: &str, values: &[Vec<u8>]) {
        let prefix = format!("{}.header.", self.side());
        let own = self.attributes.header(&prefix, name);
        if own.is_empty() && !values.is_empty() {
            let key = format!("{prefix}{name}");
            return self.attributes.add(&key, values, self.patch);
        }
        for (n, index) in own.into_iter().enumerate() {
            match n == 0 && !values.is_empty() {
                true => self.attributes.set_values(index, values, self.patch),
                false => self.attributes.remove(index, self.patch),
            }
        }
    }

    fn query(&mut self, parts: &[(&str, &[Vec<u8>])]) -> Result<bool, Conflict> {
        let new = |query: &str| {
            let mut query = query.as_bytes().to_vec();
            for (name, parts) in parts {
                query = Parts::of_pairs(&query).with(name, parts);
            }
            String::from_utf8_lossy(&query).into_owned()
        };
        let of = |exchange: &Exchange| exchange.request.query.clone().unwrap_or_default();
        let now = of(self.now.0);
        let new = new(&now);
        let Some((name, _)) = parts.first().filter(|_| new != now) else {
            return Ok(false);
        };
        if of(self.was.0) != now {
            return Err(Conflict::Changed(format!("`{name}` in the query")));
        }
        let found = URL_KEYS.iter().filter_map(|key| {
            let index = self.attributes.find(key)?;
            Some((*key, index, self.attributes.text(index)?))
        });
        let found: Vec<(&str, usize, String)> = found.collect();
        let holds =
            |(key, _, text): &(&str, usize, String)| *key == "url.query" || text.contains('?');
        let mut is_made = false;
        // Where no attribute has a query yet, the first one gets it.
        let has_none = !found.iter().any(holds);
        for (n, one) in found.iter().enumerate() {
            let (key, index, text) = one;
            let changed = match *key {
                "url.query" => new.clone(),
                _ if holds(one) || (has_none && n == 0) => with_query(text, &new),
                _ => continue,
            };
            is_made = true;
            self.attributes.set_text(*index, &changed, self.patch);
        }
        match is_made {
            true => Ok(true),
            false => Err(Conflict::Form("the capture has no query to change")),
        }
    }

    fn json(&mut self, changes: &[&Change]) -> Result<bool, Conflict> {
        let unreadable = || Conflict::Form("the captured body is no JSON any more; run it again");
        fn read<'e>(message: &Message<'e>) -> Option<(Cow<'e, [u8]>, Value)> {
            let body = message.plain()?;
            let read = json::read(&body).ok()?.value;
            Some((body, read))
        }
        let (body, now) = read(&self.now.1).ok_or_else(unreadable)?;
        let text = std::str::from_utf8(&body).map_err(|_| unreadable())?;
        let changes = changes.iter().filter_map(|change| match change {
            Change::Json { at, to } => Some((at, to)),
            _ => None,
        });
        let mut due: Vec<_> = changes.collect();
        if self.was.1.body != self.now.1.body {
            let (body, was) = read(&self.was.1).ok_or_else(unreadable)?;
            let all = String::from_utf8_lossy(&body);
            let all = json::read(patch_of(&due).apply(&all).as_bytes());
            if all.is_ok_and(|all| all.value == now) {
                return Ok(false);
            }
            due.retain(|(at, to)| now.pointer(at) != to.as_ref());
            let moved = due
                .iter()
                .find(|(at, _)| was.pointer(at) != now.pointer(at));
            if let Some((at, _)) = moved {
                return Err(Conflict::Changed(format!("`{at}` in the body")));
            }
        }
        if !due.is_empty() {
            self.set_text_body(text, patch_of(&due).splices(text));
        }
        Ok(!due.is_empty())
    }

    fn form(&mut self, changes: &[&Change]) -> Result<bool, Conflict> {
        let unreadable = || Conflict::Form("the captured body is no form any more; run it again");
        let (was, now) = (self.was.1.plain(), self.now.1.plain());
        let (was, now) = (was.ok_or_else(unreadable)?, now.ok_or_else(unreadable)?);
        let mut body = now.to_vec();
        for change in changes {
            let Change::Form { name, parts } = change else {
                continue;
            };
            let with = |body: &[u8]| {
                let form = Parts::of_form(self.now.1.headers, body);
                form.map(|form| form.with(name, parts))
            };
            let new = with(&body).ok_or_else(unreadable)?;
            let named = |body| {
                let form = Parts::of_form(self.now.1.headers, body);
                form.map(|form| form.named(name))
            };
            let seen = [named(&was), named(&now)];
            if seen[0] != seen[1] && seen[1].as_ref() != Some(parts) {
                return Err(Conflict::Changed(place(change)));
            }
            body = new;
        }
        if body == *now {
            return Ok(false);
        }
        self.set_body(&now, &body);
        Ok(true)
    }

    fn body(&mut self, new: &[u8], change: &Change) -> Result<bool, Conflict> {
        let (was, now) = (self.was.1.plain(), self.now.1.plain());
        if !self.is_due(&was, &now, &Some(new.into()), change)? {
            return Ok(false);
        }
        self.set_body(&now.unwrap_or_default(), new);
        Ok(true)
    }

    fn set_body(&mut self, old: &[u8], new: &[u8]) {
        match (std::str::from_utf8(old), std::str::from_utf8(new)) {
            (Ok(old), Ok(new)) => self.set_text_body(old, difference(old, new)),
            _ => self.store(new),
        }
    }

    /// Changes parts of a body that is text.
    fn set_text_body(&mut self, old: &str, parts: Vec<Splice>) {
        let new = splice(old, parts.clone());
        if self.now.1.is_bytes {
            return self.store(new.as_bytes());
        }
        if let Some(index) = self.attributes.find(&format!("{}.body", self.side())) {
            self.attributes.set_parts(index, parts, self.patch);
            self.note_length(new.len());
        }
    }

    /// Stores a body in the form in which the old one is, but without codings.
    fn store(&mut self, new: &[u8]) {
        let key = format!("{}.body", self.side());
        let Some(index) = self.attributes.find(&key) else {
            return;
        };
        let encoding = self.attributes.find(&format!("{key}.encoding"));
        let encoding = encoding.and_then(|index| self.attributes.text(index));
        match encoding.as_deref() {
            Some("base64") => {
                let text = encode_base64(new);
                self.attributes.set_text(index, &text, self.patch);
            }
            _ => self.attributes.set_bytes(index, new, self.patch),
        }
        if self.now.1.is_bytes {
            self.set_header("content-encoding", &[]);
        }
        self.note_length(new.len());
    }

    /// Has the header for the length tell the new one, if it told the old one or if a body would now seem to be cut off.
    fn note_length(&mut self, new: usize) {
        let old = self.now.1.body.map_or(0, <[u8]>::len);
        let told = self.now.1.headers.text("content-length");
        let told: Option<usize> = told.and_then(|told| told.trim().parse().ok());
        if told.is_some_and(|told| told != new && (told == old || (new < told && told < old))) {
            self.set_header("content-length", &[new.to_string().into_bytes()]);
        }
    }
}

/// Returns changes of a JSON body, each with its place and the new value.
fn patch_of(changes: &[(&String, &Option<Value>)]) -> Patch {
    let mut patch = Patch::default();
    for (at, to) in changes {
        match to {
            Some(value) => patch.set(at, value.clone()),
            None => patch.remove(at),
        }
    }
    patch
}

/// Returns a URL or a target with another query.
fn with_query(text: &str, new: &str) -> String {
    let (main, fragment) = match text.find('#') {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let before = main.split_once('?').map_or(main, |(before, _)| before);
    match new {
        "" => format!("{before}{fragment}"),
        new => format!("{before}?{new}{fragment}"),
    }
}
