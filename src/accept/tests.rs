//! Case files with every quirk that real ones have keep every byte that is not about what differs.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Accepted, Part, changed};
use crate::base::encoding::encode_base64;
use crate::base::http::{Headers, Response};
use crate::base::json::Patch;
use crate::case::{Case, Exchange};
use crate::compare::{Assertions, BodyMode, Change, Comparison, Expected, Reached, compare};

/// How a case file is written.
#[derive(Debug, Clone)]
struct Quirks {
    is_snake: bool,
    has_base64_ids: bool,
    status_is_number: bool,
    indent: Option<&'static str>,
    is_crlf: bool,
    is_ascii: bool,
    has_mark: bool,
    body: Stored,
    body_is_pretty: bool,
    body_is_ascii: bool,
    body_has_mark: bool,
}

/// How a body is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stored {
    Text,
    Bytes,
    Base64,
}

fn quirks() -> impl Strategy<Value = Quirks> {
    let flags = proptest::array::uniform8(any::<bool>());
    let indents = prop_oneof![
        Just(None),
        Just(Some("  ")),
        Just(Some("    ")),
        Just(Some("\t")),
        Just(Some(""))
    ];
    let stored = prop_oneof![
        Just(Stored::Text),
        Just(Stored::Bytes),
        Just(Stored::Base64)
    ];
    (flags, indents, stored).prop_map(|(flags, indent, body)| Quirks {
        is_snake: flags[0],
        has_base64_ids: flags[1],
        status_is_number: flags[2],
        indent,
        is_crlf: flags[3],
        is_ascii: flags[4],
        has_mark: flags[5],
        body,
        body_is_pretty: flags[6],
        body_is_ascii: flags[7],
        body_has_mark: flags[3],
    })
}

/// Returns a text with escapes for all characters beyond ASCII, as some writers of JSON have it.
fn ascii(json: &str) -> String {
    let units = |c: char| {
        let mut units = [0; 2];
        let units = c.encode_utf16(&mut units).iter();
        units.map(|unit| format!("\\u{unit:04X}")).collect()
    };
    json.chars()
        .map(|c| {
            if c.is_ascii() {
                c.to_string()
            } else {
                units(c)
            }
        })
        .collect()
}

impl Quirks {
    fn name(&self, camel: &str) -> String {
        match self.is_snake {
            false => camel.to_owned(),
            true => camel
                .chars()
                .flat_map(|c| match c.is_ascii_uppercase() {
                    true => vec!['_', c.to_ascii_lowercase()],
                    false => vec![c],
                })
                .collect(),
        }
    }

    fn text(&self, key: &str, value: &str) -> Value {
        json!({"key": key, "value": {self.name("stringValue"): value}, "more": null})
    }

    fn body_attributes(&self, body: &Value) -> Vec<Value> {
        let mut text = match self.body_is_pretty {
            true => format!("{body:#}"),
            false => body.to_string(),
        };
        if self.body_is_ascii {
            text = ascii(&text);
        }
        if self.body_has_mark {
            text.insert(0, '\u{feff}');
        }
        let key = "http.response.body";
        let length = self.text(
            "http.response.header.content-length",
            &text.len().to_string(),
        );
        let encoded = encode_base64(text.as_bytes());
        let mut attributes = match self.body {
            Stored::Text => vec![self.text(key, &text)],
            Stored::Bytes => {
                vec![json!({"value": {self.name("bytesValue"): encoded}, "key": key})]
            }
            Stored::Base64 => vec![
                self.text("http.response.body.encoding", "base64"),
                self.text(key, &encoded),
            ],
        };
        attributes.insert(0, length);
        attributes
    }

    /// Returns a case file with an inbound exchange that has this answer.
    fn file(&self, status: u16, body: &Value) -> String {
        let number = match self.status_is_number {
            true => json!(status),
            false => json!(status.to_string()),
        };
        let mut attributes = vec![
            self.text("http.request.method", "GET"),
            self.text("url.path", "/ä"),
            json!({"key": "http.response.status_code", "value": {self.name("intValue"): number}}),
            self.text("http.response.header.content-type", "application/json"),
        ];
        attributes.extend(self.body_attributes(body));
        attributes.push(json!({"key": "unknown", "value": {self.name("doubleValue"): 1.0e300}}));
        let (trace, id) = match self.has_base64_ids {
            true => ("W47/95gDgQPSabYzgTz8YA==", "GKjqBXrASP4="),
            false => ("5B8EFFF798038103D269B633813FC60C", "18a8ea057ac048fe"),
        };
        let span = |kind: u8, attributes: &[Value]| {
            json!({
                self.name("traceId"): trace, self.name("spanId"): id, "kind": kind,
                self.name("startTimeUnixNano"): "1", "attributes": attributes, "odd \"key\"/~": [[], {}],
            })
        };
        let spans = [span(3, &attributes), span(2, &attributes)];
        let document = json!({
            "version": "1.0.0", "caseId": "ü", "comment": {"a": 1.10, "b": "x\ny"},
            "traces": [{self.name("resourceSpans"): [{self.name("scopeSpans"): [{"spans": spans}]}]}],
        });
        let mut text = match self.indent {
            None => document.to_string(),
            Some(indent) => {
                let lines = format!("{document:#}");
                let lines = lines.lines().map(|line| {
                    let rest = line.trim_start_matches(' ');
                    format!("{}{rest}", indent.repeat((line.len() - rest.len()) / 2))
                });
                let newline = if self.is_crlf { "\r\n" } else { "\n" };
                lines.collect::<Vec<_>>().join(newline) + newline
            }
        };
        if self.is_ascii {
            text = ascii(&text);
        }
        if self.has_mark {
            text.insert(0, '\u{feff}');
        }
        text
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c\"\\\\/é😀\n ]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            members(inner),
        ]
    })
}

fn members(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let members = proptest::collection::hash_map("[a-c~/é\"-]{1,2}", inner, 0..4);
    members.prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>()))
}

fn exact() -> Assertions {
    let mut rules = Assertions::default();
    rules.body.mode = Some(BodyMode::Exact);
    rules
}

fn differences(case: &Case, answer: &Response) -> Comparison {
    let inbound: &Exchange = case.inbound().unwrap().unwrap();
    let response = inbound.response().unwrap();
    let expected = Expected {
        status: response.status,
        headers: &response.headers,
        body: response.body.as_deref().map(Cow::Borrowed),
        reached: Reached::default(),
    };
    compare(Some(&expected), answer, &exact())
}

fn answer(status: u16, body: &Value) -> Response {
    let mut answer = Response::new(status);
    answer.headers = Headers::from_iter([("content-type", "application/json")]);
    answer.body = body.to_string().into_bytes();
    answer
}

/// Returns the changes that make an answer right.
fn wanted(case: &Case, answer: &Response) -> Vec<Accepted> {
    let inbound: *const Exchange = case.inbound().unwrap().unwrap();
    let exchanges = case.exchanges().iter();
    let exchange = exchanges
        .take_while(|one| !std::ptr::eq(*one, inbound))
        .count();
    let changes = differences(case, answer).mismatches.into_iter();
    let changes = changes.flat_map(|mismatch| mismatch.changes);
    let accepted = |change| Accepted {
        exchange,
        part: Part::Response,
        change,
    };
    changes.map(accepted).collect()
}

/// Returns a case file without what an answer's status and body are about, and each other byte as it was.
fn rest(text: &str) -> String {
    let case: Case = text.parse().unwrap();
    let inbound = case.inbound().unwrap().unwrap();
    let attributes = inbound.span()["attributes"].as_array().unwrap();
    let mut patch = Patch::default();
    for (n, attribute) in attributes.iter().enumerate() {
        let key = attribute["key"].as_str().unwrap();
        let ours = [
            "http.response.status_code",
            "http.response.body",
            "http.response.header.content-length",
        ];
        if ours.contains(&key) {
            patch.set(
                &format!("{}/attributes/{n}/value", inbound.pointer()),
                Value::Null,
            );
        }
    }
    patch.apply(text)
}

proptest! {
    #[test]
    fn every_other_byte_stays(quirks in quirks(), was in value(), is in value(), status in 200_u16..203) {
        let text = quirks.file(200, &was);
        let case: Case = text.parse().unwrap();
        let answer = answer(status, &is);
        let new = changed(&text, &case, &wanted(&case, &answer)).unwrap();
        let new = new.unwrap_or_else(|| text.clone());
        prop_assert_eq!(rest(&new), rest(&text));
        let read: Case = new.parse().unwrap();
        prop_assert_eq!(differences(&read, &answer).mismatches, vec![], "{}", new);
        prop_assert_eq!(read.warnings(), case.warnings());
        // What is right already changes nothing.
        let again = changed(&new, &case, &wanted(&case, &answer)).unwrap();
        prop_assert_eq!(again, None);
    }

    #[test]
    fn who_comes_second_finds_what_the_first_wrote(
        quirks in quirks(),
        a in (value(), value()),
        b in (value(), value()),
    ) {
        let body = |a: &Value, b: &Value| json!({"a": a, "b": b});
        let text = quirks.file(200, &body(&a.0, &b.0));
        let case: Case = text.parse().unwrap();
        let first = wanted(&case, &answer(200, &body(&a.1, &b.0)));
        let second = wanted(&case, &answer(200, &body(&a.0, &b.1)));
        let mut new = text.clone();
        for changes in [&first, &second] {
            new = changed(&new, &case, changes).unwrap().unwrap_or(new);
        }
        let read: Case = new.parse().unwrap();
        let both = answer(200, &body(&a.1, &b.1));
        prop_assert_eq!(differences(&read, &both).mismatches, vec![], "{}", new);
    }
}

#[test]
fn what_another_has_changed_at_the_same_place_is_not_lost() {
    let quirks = Quirks {
        is_snake: false,
        has_base64_ids: false,
        status_is_number: false,
        indent: Some("  "),
        is_crlf: false,
        is_ascii: false,
        has_mark: false,
        body: Stored::Text,
        body_is_pretty: false,
        body_is_ascii: false,
        body_has_mark: false,
    };
    let text = quirks.file(200, &json!({"a": 1, "l": [1]}));
    let case: Case = text.parse().unwrap();
    let other = |status, body| quirks.file(status, &body);
    for (now, told) in [
        (
            other(200, json!({"a": 2, "l": [1]})),
            Some("at `/a` in the body"),
        ),
        (
            other(200, json!({"a": 1, "l": [1, 4]})),
            Some("at `/l/1` in the body"),
        ),
        (other(202, json!({"a": 1, "l": [1]})), Some("at the status")),
        (other(200, json!({"a": 3, "l": [1], "b": 1})), None),
        (
            text.replace("18a8ea057ac048fe", "18a8ea057ac048ff"),
            Some("an exchange is gone"),
        ),
        ("{".to_owned(), Some("can't be read any more")),
    ] {
        let changes = wanted(&case, &answer(201, &json!({"a": 3, "l": [1, 2]})));
        let found = changed(&now, &case, &changes).map_err(|why| why.to_string());
        match told {
            Some(told) => assert!(
                found.as_ref().is_err_and(|why| why.contains(told)),
                "{found:?}"
            ),
            None => assert!(found.is_ok_and(|new| new.is_some())),
        }
    }
    let apart = [1, 2].map(|value| Accepted {
        exchange: 0,
        part: Part::Request,
        change: Change::Json {
            at: "/a".to_owned(),
            to: Some(value.into()),
        },
    });
    let found = changed(&text, &case, &apart).map_err(|why| why.to_string());
    assert!(found.is_err_and(|why| why.contains("two calls that this exchange answers")));
}

#[test]
fn a_body_becomes_bytes_and_loses_its_coding_if_it_has_to() {
    // gzip of `{"a":1}`.
    let gzip = "H4sIAAAAAAACA6tWSlSyMqwFAK+sG1YHAAAA";
    let text = format!(
        "{{\"version\":\"1.0.0\",\"caseId\":\"c\",\"traces\":[{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{{\"kind\":2,\
         \"attributes\":[{{\"key\":\"http.response.status_code\",\"value\":{{\"intValue\":200}}}},\
         {{\"key\":\"http.response.header.content-encoding\",\"value\":{{\"stringValue\":\"gzip\"}}}},\
         {{\"key\":\"http.response.body\",\"value\":{{\"bytesValue\":\"{gzip}\"}}}}]}}]}}]}}]}}]}}"
    );
    let case: Case = text.parse().unwrap();
    let change = |change| {
        [Accepted {
            exchange: 0,
            part: Part::Response,
            change,
        }]
    };
    let json = Change::Json {
        at: "/a".to_owned(),
        to: Some(2.into()),
    };
    let new = changed(&text, &case, &change(json)).unwrap().unwrap();
    assert_eq!(
        new,
        text.replace(gzip, "eyJhIjoyfQ==").replace(
            "{\"key\":\"http.response.header.content-encoding\",\"value\":{\"stringValue\":\"gzip\"}},",
            ""
        )
    );
    let plain = text.replace(
        &format!("{{\"bytesValue\":\"{gzip}\"}}"),
        "{\"string_value\":\"a\"}",
    );
    let plain = plain.replace("gzip", "identity");
    let case: Case = plain.parse().unwrap();
    let new = changed(&plain, &case, &change(Change::Body(vec![0xff]))).unwrap();
    assert_eq!(
        new.unwrap(),
        plain.replace("{\"string_value\":\"a\"}", "{\"bytes_value\":\"/w==\"}")
    );
}
