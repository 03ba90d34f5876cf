//! Leaves out of a recorded span what a rule's `captureOnly` names.

use serde_json::{Value, json};

use crate::base::decode::decoded;
use crate::base::http::Headers;
use crate::base::json;
use crate::case::Exchange;
use crate::rule::Redaction;

const REDACTED: &str = "[redacted]";

/// Redacts a span, whose exchange this is.
pub(super) fn redact(span: &mut Value, exchange: &Exchange, redaction: &Redaction) {
    let Some(attributes) = span["attributes"].as_array_mut() else {
        return;
    };
    for attribute in attributes.iter_mut() {
        let key = attribute["key"].as_str().unwrap_or_default();
        let name = ["http.request.header.", "http.response.header."]
            .iter()
            .find_map(|prefix| key.strip_prefix(prefix));
        let is_named = |name: &str| {
            let mut headers = redaction.headers.iter();
            headers.any(|header| header.eq_ignore_ascii_case(name))
        };
        if name.is_some_and(is_named) {
            attribute["value"] = json!({"stringValue": REDACTED});
        }
    }
    let response = exchange.captured_response().ok().flatten();
    let response =
        response.and_then(|response| Some((&response.headers, response.body.as_deref()?)));
    let request = exchange.request_body();
    let request = request.map(|body| (&exchange.request.headers, body));
    for (which, message) in [("request", request), ("response", response)] {
        let Some(body) =
            message.and_then(|(headers, body)| redacted_body(headers, body, redaction))
        else {
            continue;
        };
        // The new body is plain text, whatever the recorded one was.
        let body_key = format!("http.{which}.body");
        let gone = [
            format!("http.{which}.body.encoding"),
            format!("http.{which}.header.content-encoding"),
        ];
        attributes.retain(|attribute| !gone.iter().any(|key| attribute["key"] == **key));
        for attribute in attributes.iter_mut() {
            if attribute["key"] == *body_key {
                attribute["value"] = json!({"stringValue": body});
            }
        }
    }
}

/// Returns a body without what is named; `None` if nothing in it is.
fn redacted_body(headers: &Headers, body: &[u8], redaction: &Redaction) -> Option<String> {
    let body = decoded(headers, body).0;
    let mut value = json::parse(std::str::from_utf8(&body).ok()?).ok()?;
    let mut pointers = Vec::new();
    for path in &redaction.paths {
        match path.pointers(&value) {
            Ok(found) => pointers.extend(found),
            Err(why) => {
                log::warn!("captureOnly: {why}; the whole body is left out");
                return Some(REDACTED.to_owned());
            }
        }
    }
    for pointer in &pointers {
        // A place inside one that was already replaced is gone.
        if let Some(place) = value.pointer_mut(pointer) {
            *place = REDACTED.into();
        }
    }
    (!pointers.is_empty()).then(|| json::show(&value))
}
