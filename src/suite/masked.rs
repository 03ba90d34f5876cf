//! What was masked in captures, so that a suite can say that these values are not compared as they stand.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::base::decode::decoded;
use crate::base::http::{Direction, Headers};
use crate::base::json::{self, Query};
use crate::case::{Case, Exchange};
use crate::compare::form_as_json;

/// What was masked in captures.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Masked {
    /// Places in the bodies of answers, as JSONPaths, with the types of the values.
    pub(crate) answers: BTreeMap<String, &'static str>,
    /// Headers of answers.
    pub(crate) answer_headers: BTreeSet<String>,
    /// The requests whose answers have a masked text that is no JSON, for display.
    pub(crate) answer_texts: BTreeSet<String>,
    /// Places in the bodies of what the application sends.
    pub(crate) sent: BTreeMap<String, &'static str>,
    /// Names in the queries of what the application sends.
    pub(crate) sent_queries: BTreeSet<String>,
    /// Calls whose path or whose text that is no JSON was masked, for display.
    pub(crate) sent_texts: BTreeSet<String>,
    /// Headers of the requests to the application.
    pub(crate) request_headers: BTreeSet<String>,
    /// Names in the queries of the requests to the application.
    pub(crate) request_queries: BTreeSet<String>,
    /// Places in the bodies of the requests to the application.
    pub(crate) request_bodies: BTreeSet<String>,
    /// The paths of requests to the application.
    pub(crate) request_paths: BTreeSet<String>,
}

impl Masked {
    /// Adds what differs between a case as it was recorded and as it is stored.
    pub(crate) fn add(&mut self, before: &Case, after: &Case) {
        let service = after.inbound().ok().flatten();
        let service = service.map(|inbound| inbound.span_id.clone());
        for (before, after) in before.exchanges().iter().zip(after.exchanges()) {
            let is_inbound = service.as_ref() == Some(&after.span_id)
                || after.direction == Some(Direction::Inbound);
            match is_inbound {
                true => self.add_inbound(before, after),
                false => self.add_outbound(before, after),
            }
        }
    }

    /// Returns the places that every answer has, and those that everything has which the application sends.
    pub(crate) fn everywhere<'c>(
        &self,
        cases: impl Iterator<Item = &'c Case>,
    ) -> (BTreeSet<String>, BTreeSet<String>) {
        let mut answers = InAll::of(&self.answers);
        let mut sent = InAll::of(&self.sent);
        for case in cases {
            if let Ok(Some(inbound)) = case.inbound() {
                let response = inbound.response().ok();
                let body = response.and_then(|response| response.body.as_deref());
                let headers = response.map(|response| &response.headers);
                answers.see(headers.zip(body));
            }
            for call in case.outbound() {
                let body = call.request_body();
                sent.see(body.map(|body| (&call.request.headers, body)));
            }
        }
        (answers.places(), sent.places())
    }

    fn add_inbound(&mut self, before: &Exchange, after: &Exchange) {
        let (was, is) = (&before.request, &after.request);
        self.request_headers
            .extend(changed_headers(&was.headers, &is.headers));
        self.request_queries
            .extend(changed_names(was.query.as_deref(), is.query.as_deref()));
        if was.path != is.path {
            self.request_paths.insert(is.path.clone());
        }
        let bodies = (before.request_body(), after.request_body());
        if let (Some(was_body), Some(is_body)) = bodies {
            let mut places = BTreeMap::new();
            if changed_bodies(
                (&was.headers, was_body),
                (&is.headers, is_body),
                &mut places,
            ) {
                self.request_bodies.extend(places.into_keys());
            } else {
                self.request_bodies.insert("$".to_owned());
            }
        }
        let (Ok(was), Ok(is)) = (before.response(), after.response()) else {
            return;
        };
        self.answer_headers
            .extend(changed_headers(&was.headers, &is.headers));
        if let (Some(was_body), Some(is_body)) = (&was.body, &is.body)
            && !changed_bodies(
                (&was.headers, was_body),
                (&is.headers, is_body),
                &mut self.answers,
            )
        {
            self.answer_texts.insert(shown(after));
        }
    }

    fn add_outbound(&mut self, before: &Exchange, after: &Exchange) {
        let (was, is) = (&before.request, &after.request);
        self.sent_queries
            .extend(changed_names(was.query.as_deref(), is.query.as_deref()));
        if was.path != is.path {
            self.sent_texts.insert(shown(after));
        }
        let bodies = (before.request_body(), after.request_body());
        if let (Some(was_body), Some(is_body)) = bodies
            && !changed_bodies(
                (&was.headers, was_body),
                (&is.headers, is_body),
                &mut self.sent,
            )
        {
            self.sent_texts.insert(shown(after));
        }
    }
}

/// Places that all bodies have so far.
struct InAll(Vec<Query>);

impl InAll {
    fn of(places: &BTreeMap<String, &'static str>) -> Self {
        let queries = places.keys().map(|place| Query::parse(place));
        Self(queries.filter_map(Result::ok).collect())
    }

    fn see(&mut self, body: Option<(&Headers, &[u8])>) {
        let tree = body.and_then(read);
        let has = |query: &Query| match &tree {
            Some(tree) => query.pointers(tree).is_ok_and(|found| !found.is_empty()),
            None => false,
        };
        self.0.retain(has);
    }

    fn places(self) -> BTreeSet<String> {
        let places = self.0.into_iter();
        places.map(|query| query.text().to_owned()).collect()
    }
}

/// Returns the request of an exchange for display.
fn shown(exchange: &Exchange) -> String {
    let request = &exchange.request;
    format!("{} {}{}", request.method, request.host, request.path)
}

/// Returns the names of headers whose values differ.
fn changed_headers(was: &Headers, is: &Headers) -> Vec<String> {
    let names = is.names().into_iter();
    names
        .filter(|name| !was.all(name).eq(is.all(name)))
        .map(|name| name.to_ascii_lowercase())
        .collect()
}

/// Returns the names of a query whose values differ.
fn changed_names(was: Option<&str>, is: Option<&str>) -> Vec<String> {
    let pairs = |query: Option<&str>| -> Vec<(String, String)> {
        form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .into_owned()
            .collect()
    };
    let (was, is) = (pairs(was), pairs(is));
    let changed = was.iter().zip(&is).filter(|(was, is)| was != is);
    changed.map(|(_, (name, _))| name.clone()).collect()
}

/// Adds the places at which bodies differ, with the types of the values; returns whether that tells all of it, which it does
/// not if the bodies have no places.
fn changed_bodies(
    was: (&Headers, &[u8]),
    is: (&Headers, &[u8]),
    places: &mut BTreeMap<String, &'static str>,
) -> bool {
    if was.1 == is.1 {
        return true;
    }
    match (read(was), read(is)) {
        (Some(was), Some(is)) => {
            walk(&was, &is, "$", places);
            true
        }
        _ => false,
    }
}

fn read((headers, body): (&Headers, &[u8])) -> Option<Value> {
    let (body, _) = decoded(headers, body);
    let form = form_as_json(headers, &body);
    let tree = form.or_else(|| json::read(&body).ok().map(|document| document.value));
    // A text alone has no place in which it differs.
    tree.filter(|tree| tree.is_object() || tree.is_array())
}

fn walk(was: &Value, is: &Value, path: &str, places: &mut BTreeMap<String, &'static str>) {
    match (was, is) {
        (Value::Object(was), Value::Object(is)) => {
            for (name, value) in is {
                if let Some(before) = was.get(name) {
                    walk(before, value, &format!("{path}{}", step(name)), places);
                }
            }
        }
        (Value::Array(was), Value::Array(is)) => {
            for (was, is) in was.iter().zip(is) {
                walk(was, is, &format!("{path}[*]"), places);
            }
        }
        (was, is) if was != is => {
            let kind = match is {
                Value::Number(_) => "number",
                Value::Bool(_) => "boolean",
                _ => "string",
            };
            places.insert(path.to_owned(), kind);
        }
        _ => {}
    }
}

/// Returns the step of a JSONPath to a member.
fn step(name: &str) -> String {
    let mut chars = name.chars();
    let begins = chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    match begins && chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        true => format!(".{name}"),
        false => {
            let quoted = Value::from(name).to_string();
            format!("[{quoted}]")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn case(token: &str) -> Case {
        let attribute =
            |key: &str, value: String| json!({"key": key, "value": {"stringValue": value}});
        let span = |id: &str, kind: u8, target: &str, sent: String, got: String| {
            json!({"spanId": id, "kind": kind, "attributes": [
                attribute("sp.span.type", "extract".to_owned()),
                attribute("http.request.method", "POST".to_owned()),
                attribute("url.host", "shop.example".to_owned()),
                attribute("url.path", target.to_owned()),
                attribute("url.query", format!("page=1&api_key={token}")),
                attribute("http.request.header.authorization", format!("Bearer {token}")),
                attribute("http.request.header.accept", "*/*".to_owned()),
                attribute("http.request.body", sent),
                attribute("http.response.status_code", "200".to_owned()),
                attribute("http.response.header.set-cookie", format!("s={token}")),
                attribute("http.response.body", got),
            ]})
        };
        let spans = [
            span(
                "aaaaaaaaaaaaaaaa",
                2,
                "/login",
                json!({"password": token}).to_string(),
                json!({"of": [{"x-token": token, "id": 1}, {"x-token": token}]}).to_string(),
            ),
            span(
                "bbbbbbbbbbbbbbbb",
                3,
                &format!("/hooks/{token}"),
                json!({"key": token, "n": 1}).to_string(),
                "{}".to_owned(),
            ),
        ];
        let trace = json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]});
        let document = json!({"version": "1.0.0", "caseId": "a", "traces": [trace]});
        Case::from_document(document).unwrap()
    }

    #[test]
    fn each_masked_place_is_found() {
        let mut masked = Masked::default();
        masked.add(&case("secret"), &case("secret"));
        assert_eq!(masked, Masked::default());
        masked.add(&case("secret"), &case("masked"));
        let all = |words: &[&str]| -> BTreeSet<String> {
            words.iter().map(|word| (*word).to_owned()).collect()
        };
        let typed = |place: &str| BTreeMap::from([(place.to_owned(), "string")]);
        assert_eq!(
            masked,
            Masked {
                answers: typed(r#"$.of[*]["x-token"]"#),
                answer_headers: all(&["set-cookie"]),
                answer_texts: all(&[]),
                sent: typed("$.key"),
                sent_queries: all(&["api_key"]),
                sent_texts: all(&["POST shop.example/hooks/masked"]),
                request_headers: all(&["authorization"]),
                request_queries: all(&["api_key"]),
                request_bodies: all(&["$.password"]),
                request_paths: all(&[]),
            }
        );
    }
}
