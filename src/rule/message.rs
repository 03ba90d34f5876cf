//! The JSON form of headers, bodies and responses in rules, policies and hooks.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use crate::base::document::{Node, Object, Place, Problems};
use crate::base::encoding::{decode_strict_base64, encode_base64};
use crate::base::http::{Headers, Response};
use crate::base::json;

/// The fields of a response.
pub(super) const RESPONSE_FIELDS: &[&str] =
    &["status", "headers", "body", "bodyEncoding", "trailers"];

/// The statuses that an answer may have: with a lower one, the client would wait for another answer.
const STATUSES: RangeInclusive<u16> = 200..=999;

/// Reads the status of an answer.
pub(crate) fn read_status(node: &Node<'_>, problems: &mut Problems) -> Option<u16> {
    let (first, last) = STATUSES.into_inner();
    let status = node.integer(first.into(), last.into(), problems)?;
    u16::try_from(status).ok()
}

/// Reads a response from the fields `status`, `headers`, `body`, `bodyEncoding` and `trailers`.
pub(crate) fn read_response(
    object: &Object<'_>,
    default_status: u16,
    problems: &mut Problems,
) -> Option<Response> {
    let status = match object.given("status") {
        // Clients of other runtimes send it if none was set.
        Some(node) if node.value == 0 => default_status,
        Some(node) => read_status(&node, problems)?,
        None => default_status,
    };
    let mut headers = match object.given("headers") {
        Some(node) => read_headers(&node, problems)?,
        None => Headers::new(),
    };
    let trailers = match object.given("trailers") {
        Some(node) => read_headers(&node, problems)?,
        None => Headers::new(),
    };
    let before = problems.0.len();
    let body = read_body(object, &mut headers, problems).unwrap_or_default();
    (problems.0.len() == before).then_some(Response {
        status,
        headers,
        body,
        trailers,
    })
}

/// Reads the fields `body` and `bodyEncoding`, and returns the body's bytes; `None` if there is no body.
pub(crate) fn read_body(
    object: &Object<'_>,
    headers: &mut Headers,
    problems: &mut Problems,
) -> Option<Vec<u8>> {
    let encoding = object.given("bodyEncoding");
    if let Some(encoding) = &encoding {
        encoding.choice(&[("base64", ())], problems)?;
    }
    let body = object.get("body")?;
    match encoding {
        Some(_) => decode_base64(&body, problems),
        None => Some(body_bytes(body.value, headers)),
    }
}

/// Returns the bytes of a body: a string as it is, `null` as nothing, any other value as JSON, with a
/// content type added to the headers if they have none.
pub(crate) fn body_bytes(value: &Value, headers: &mut Headers) -> Vec<u8> {
    match (value, json::as_text(value)) {
        (Value::Null, _) => Vec::new(),
        (_, Some(text)) => text.as_bytes().to_vec(),
        (value, None) => {
            if !headers.contains("content-type") {
                headers.push("content-type", "application/json");
            }
            json::show(value).into_bytes()
        }
    }
}

/// Reads an object of header names, each with a value, or with a list of values for a repeated header.
pub(crate) fn read_headers(node: &Node<'_>, problems: &mut Problems) -> Option<Headers> {
    let mut headers = Headers::new();
    let before = problems.0.len();
    for (name, value) in node.map(problems)?.members() {
        // HTTP/2's own fields, which captures by Envoy have and other clients copy into their rules.
        if name.starts_with(':') {
            continue;
        }
        if !is_header_name(name) {
            problems.add(&value.place, NO_HEADER_NAME);
            continue;
        }
        let values = match value.value {
            Value::Array(_) => value.list(problems)?,
            _ => vec![value],
        };
        for value in values {
            if let Some(bytes) = read_header_value(&value, problems) {
                headers.push(name, bytes);
            }
        }
    }
    (problems.0.len() == before).then_some(headers)
}

/// Returns the bytes of a base64 string.
fn decode_base64(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<u8>> {
    decode_strict_base64(&node.string(problems)?)
        .map_err(|error| problems.add(&node.place, format!("not base64: {error}")))
        .ok()
}

/// Reads a header value: text, or `{"base64": …}` for bytes that are not UTF-8.
fn read_header_value(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<u8>> {
    let bytes = match node.value {
        Value::Object(_) => {
            let object = node.object(&["base64"], problems)?;
            decode_base64(&object.require("base64", problems)?, problems)?
        }
        _ => node.scalar_text(problems)?.into_bytes(),
    };
    if !is_header_value(&bytes) {
        problems.add(&node.place, NO_HEADER_VALUE);
        return None;
    }
    Some(bytes)
}

/// The problem with a text that can't be a header name.
pub(crate) const NO_HEADER_NAME: &str = "not a header name";
/// The problem with a text that can't be a header value.
pub(crate) const NO_HEADER_VALUE: &str = "a header value must not contain line breaks or NUL";

/// Returns whether this can be the value of a header.
pub(crate) fn is_header_value(value: &[u8]) -> bool {
    !value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0))
}

/// Returns whether this can be the name of a header.
pub(crate) fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Returns a response as `{"status", "headers", "body"}`, with `bodyEncoding: base64` if the body is not
/// text, and with `trailers` if it has any. [`Rule::read_document`] reads this form.
pub(crate) fn response_value(response: &Response) -> Value {
    let Response {
        status,
        headers,
        body,
        trailers,
    } = response;
    let mut value = message_value(headers, body);
    value["status"] = (*status).into();
    if !trailers.is_empty() {
        value["trailers"] = headers_value(trailers);
    }
    value
}

/// Returns headers and body as `{"headers", "body"}`, with `bodyEncoding: base64` if the body is not text.
pub(crate) fn message_value(headers: &Headers, body: &[u8]) -> Value {
    let mut value = json!({"headers": headers_value(headers)});
    match std::str::from_utf8(body) {
        Ok(text) => value["body"] = text.into(),
        Err(_) => {
            value["body"] = encode_base64(body).into();
            value["bodyEncoding"] = "base64".into();
        }
    }
    value
}

/// Returns headers as an object of names, each with a value, or with a list of values for a repeated header;
/// a value that is not text is written as `{"base64"}`. [`read_headers`] reads this form.
pub(crate) fn headers_value(headers: &Headers) -> Value {
    let members = headers.names().into_iter().map(|name| {
        let values = headers
            .all(&name)
            .map(|value| match std::str::from_utf8(value) {
                Ok(text) => Value::from(text),
                Err(_) => json!({"base64": encode_base64(value)}),
            });
        let mut values: Vec<Value> = values.collect();
        let value = if values.len() == 1 {
            values.remove(0)
        } else {
            Value::Array(values)
        };
        (name, value)
    });
    members.collect::<serde_json::Map<_, _>>().into()
}

/// Checks a response that was not read from JSON, and adds whatever reading it would have rejected to
/// `problems`.
pub(crate) fn check_response(response: &Response, place: &Place, problems: &mut Problems) {
    let Response {
        status,
        headers,
        body: _,
        trailers,
    } = response;
    if !STATUSES.contains(status) {
        read_status(&Node::at(&(*status).into(), place.key("status")), problems);
    }
    let headers = headers.iter().map(|field| ("headers", field));
    let trailers = trailers.iter().map(|field| ("trailers", field));
    for (list, (name, value)) in headers.chain(trailers) {
        let at = || place.key(list).key(name);
        if !is_header_name(name) {
            problems.add(&at(), NO_HEADER_NAME);
        }
        if !is_header_value(value) {
            problems.add(&at(), NO_HEADER_VALUE);
        }
    }
}
