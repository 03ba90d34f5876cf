//! What requests and cases have in common whatever their ids and values are.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use crate::base::decode::decoded;
use crate::base::http::{Direction, Headers, Request, with_ids, without_id};
use crate::base::json;
use crate::case::{Case, Exchange};

/// Returns the method and the target of a request, with ids as `{id}`.
pub(super) fn route(request: &Request) -> String {
    let mut route = format!("{} {}", request.method, with_ids(&request.path));
    if let Some(query) = &request.query {
        let fields = query.split('&').map(|field| match field.split_once('=') {
            Some((name, value)) => format!("{name}={}", without_id(value)),
            None => field.to_owned(),
        });
        route.push('?');
        route.push_str(&fields.collect::<Vec<_>>().join("&"));
    }
    route
}

/// Returns what two cases have in common that show the same: the method and the path of the request, the status of the
/// answer, the shapes of the bodies, and the same of the calls, in any order.
pub(super) fn shape(case: &Case) -> String {
    let mut lines = Vec::new();
    for exchange in case.exchanges().iter().filter(|x| x.is_candidate()) {
        let line = shape_of(exchange);
        lines.push(match exchange.direction {
            Some(Direction::Inbound) => format!("< {line}"),
            _ => format!("> {line}"),
        });
    }
    lines.sort_unstable();
    lines.join("\n")
}

fn shape_of(exchange: &Exchange) -> String {
    let Request {
        method,
        host,
        path: own_path,
        query,
        headers,
        ..
    } = &exchange.request;
    let mut shape = format!("{method} ");
    if exchange.direction == Some(Direction::Outbound) {
        shape.push_str(host);
    }
    shape.push_str(&with_ids(own_path));
    let names = query.iter().flat_map(|query| query.split('&'));
    let names: BTreeSet<&str> = names
        .map(|field| field.split_once('=').map_or(field, |(name, _)| name))
        .collect();
    // Writing to a String can't fail.
    let _ = write!(shape, " {names:?} ");
    body_shape(headers, exchange.request_body(), &mut shape);
    match (exchange.error_type(), exchange.response()) {
        (Some(error), _) => shape.push_str(error),
        (None, Ok(response)) => {
            let _ = write!(shape, " -> {} ", response.status);
            body_shape(&response.headers, response.body.as_deref(), &mut shape);
        }
        (None, Err(_)) => {}
    }
    shape
}

/// Writes the types of a body's members, or what kind of body it is otherwise.
fn body_shape(headers: &Headers, body: Option<&[u8]>, out: &mut String) {
    let Some(body) = body else {
        out.push('?');
        return;
    };
    let (body, _) = decoded(headers, body);
    match (body.is_empty(), json::read(&body)) {
        (true, _) => {}
        (false, Ok(document)) => value_shape(&document.value, out),
        (false, Err(_)) => {
            let kind = headers.text("content-type").unwrap_or_default();
            let kind = kind.split(';').next().unwrap_or_default().trim();
            out.push_str(&kind.to_ascii_lowercase());
        }
    }
}

fn value_shape(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(_) => out.push_str("boolean"),
        Value::Number(_) => out.push_str("number"),
        Value::String(_) => out.push_str("string"),
        Value::Array(elements) => {
            let shapes = elements.iter().map(|element| {
                let mut shape = String::new();
                value_shape(element, &mut shape);
                shape
            });
            let shapes: BTreeSet<String> = shapes.collect();
            out.push('[');
            out.push_str(&shapes.into_iter().collect::<Vec<_>>().join("|"));
            out.push(']');
        }
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_unstable();
            out.push('{');
            for name in names {
                let _ = write!(out, "{name:?}:");
                value_shape(&members[name], out);
                out.push(',');
            }
            out.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_in_paths_are_no_names() {
        for (given, wanted) in [
            ("/items/7", "/items/{id}"),
            ("/v1/items", "/v1/items"),
            (
                "/users/0b5f9c1e-1c1f-4c39-9d3a-6b2f5a7c1d11/cart",
                "/users/{id}/cart",
            ),
            ("/blob/deadbeef", "/blob/deadbeef"),
            ("/blob/deadbee1", "/blob/{id}"),
            (
                "/rpc/GetCustomerOrderHistory",
                "/rpc/GetCustomerOrderHistory",
            ),
            ("/s/kq83hfo2-9dkLq02mcnQ-1", "/s/{id}"),
            ("/2024-01-31", "/{id}"),
            ("/", "/"),
        ] {
            assert_eq!(with_ids(given), wanted);
        }
        let request = Request::new("GET", "/items/7?page=3&sort=name&all");
        assert_eq!(route(&request), "GET /items/{id}?page={id}&sort=name&all");
    }

    fn case(inbound: (&str, &str), calls: &[(&str, &str)]) -> Case {
        let span = |kind: u8, (target, body): (&str, &str)| {
            json!({
                "spanId": format!("{kind}{kind}b7ad6b7169203331"), "kind": kind,
                "attributes": [
                    {"key": "sp.span.type", "value": {"stringValue": "extract"}},
                    {"key": "http.request.method", "value": {"stringValue": "GET"}},
                    {"key": "url.host", "value": {"stringValue": "shop.example"}},
                    {"key": "url.path", "value": {"stringValue": target}},
                    {"key": "http.response.status_code", "value": {"intValue": "200"}},
                    {"key": "http.response.body", "value": {"stringValue": body}},
                ],
            })
        };
        let mut spans = vec![span(2, inbound)];
        spans.extend(calls.iter().map(|call| span(3, *call)));
        let trace = json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]});
        let document = json!({"version": "1.0.0", "caseId": "a", "traces": [trace]});
        Case::from_document(document).unwrap()
    }

    #[test]
    fn cases_that_differ_in_values_alone_have_one_shape() {
        let first = shape(&case(
            ("/items/1", r#"{"id": 1, "of": ["a"]}"#),
            &[("/stock/1", "1")],
        ));
        let same = shape(&case(
            ("/items/2", r#"{"of": ["b", "c"], "id": 2}"#),
            &[("/stock/2", "7")],
        ));
        assert_eq!(first, same);
        for other in [
            case(
                ("/orders/1", r#"{"id": 1, "of": ["a"]}"#),
                &[("/stock/1", "1")],
            ),
            case(
                ("/items/1", r#"{"id": "1", "of": ["a"]}"#),
                &[("/stock/1", "1")],
            ),
            case(("/items/1", r#"{"id": 1, "of": ["a"]}"#), &[]),
            case(
                ("/items/1", r#"{"id": 1, "of": ["a"]}"#),
                &[("/price/1", "1")],
            ),
            case(
                ("/items/1", r#"{"id": 1, "of": ["a"]}"#),
                &[("/stock/1", r#""1""#)],
            ),
        ] {
            assert_ne!(first, shape(&other));
        }
    }
}
