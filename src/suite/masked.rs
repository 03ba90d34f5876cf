//! What was masked in captures, so that a suite can say that these values are not compared as they stand.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::base::decode::decoded;
use crate::base::http::{Direction, Headers};
use crate::base::json;
use crate::case::{Case, Exchange};
use crate::compare::form_as_json;

/// What was masked in captures.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Masked {
    /// Places in the bodies of answers, as JSONPaths; `$` stands for a text.
    pub(crate) answers: BTreeSet<String>,
    /// Headers of answers.
    pub(crate) answer_headers: BTreeSet<String>,
    /// Places in the bodies of what the application sends.
    pub(crate) sent: BTreeSet<String>,
    /// Names in the queries of what the application sends.
    pub(crate) sent_queries: BTreeSet<String>,
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
            let (was, is) = ((&was.headers, was_body), (&is.headers, is_body));
            changed_bodies(was, is, &mut self.request_bodies);
        }
        let (Ok(was), Ok(is)) = (before.response(), after.response()) else {
            return;
        };
        self.answer_headers
            .extend(changed_headers(&was.headers, &is.headers));
        if let (Some(was_body), Some(is_body)) = (&was.body, &is.body) {
            let (was, is) = ((&was.headers, &**was_body), (&is.headers, &**is_body));
            changed_bodies(was, is, &mut self.answers);
        }
    }

    fn add_outbound(&mut self, before: &Exchange, after: &Exchange) {
        let (was, is) = (&before.request, &after.request);
        self.sent_queries
            .extend(changed_names(was.query.as_deref(), is.query.as_deref()));
        let bodies = (before.request_body(), after.request_body());
        if let (Some(was_body), Some(is_body)) = bodies {
            let (was, is) = ((&was.headers, was_body), (&is.headers, is_body));
            changed_bodies(was, is, &mut self.sent);
        }
    }
}

/// Returns the names of headers whose values differ.
fn changed_headers(was: &Headers, is: &Headers) -> Vec<String> {
    let names = is.names().into_iter();
    names
        .filter(|name| !was.all(name).eq(is.all(name)))
        .map(|name| name.to_ascii_lowercase())
        // It is that of what stands there now.
        .filter(|name| name != "content-length")
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

/// Adds the places at which bodies differ.
fn changed_bodies(was: (&Headers, &[u8]), is: (&Headers, &[u8]), places: &mut BTreeSet<String>) {
    if was.1 == is.1 {
        return;
    }
    match (read(was), read(is)) {
        (Some(was), Some(is)) => walk(&was, &is, "$", places),
        // A text has no places.
        _ => drop(places.insert("$".to_owned())),
    }
}

fn read((headers, body): (&Headers, &[u8])) -> Option<Value> {
    let (body, _) = decoded(headers, body);
    let form = form_as_json(headers, &body);
    form.or_else(|| json::read(&body).ok().map(|document| document.value))
}

fn walk(was: &Value, is: &Value, path: &str, places: &mut BTreeSet<String>) {
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
        (was, is) if was != is => drop(places.insert(path.to_owned())),
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
        assert_eq!(
            masked,
            Masked {
                answers: all(&[r#"$.of[*]["x-token"]"#]),
                answer_headers: all(&["set-cookie"]),
                sent: all(&["$.key"]),
                sent_queries: all(&["api_key"]),
                request_headers: all(&["authorization"]),
                request_queries: all(&["api_key"]),
                request_bodies: all(&["$.password"]),
                request_paths: all(&[]),
            }
        );
    }
}
