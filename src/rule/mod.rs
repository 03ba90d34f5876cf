//! Rules: when a request matches, and what then answers it.
//!
//! [`Rule::read_document`] reads and checks a rules document; [`resolve`] decides what answers a
//! request under a session's rules and its policy.

mod policy;
mod resolve;
pub(crate) mod when;

pub(crate) use policy::POLICY;
pub use policy::{OnMiss, Policy, PolicyMode};
pub(crate) use resolve::{
    Answer, Decision, Difference, Layer, Nearest, RuleState, STRICT_MISS_STATUS, resolve,
    strict_miss,
};
pub(crate) use when::{Question, WHEN, When};

use std::time::Duration;

use base64::Engine as _;
use serde_json::Value;

use crate::http::{Headers, LONGEST_DELAY, Response};
use crate::reader::{Field, Fields, Node, Object, Place, Problems, Shape};

/// One rule: `{"name", "priority", "consume", "when", "then"}`.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// Its name in reports; `id` is accepted for it.
    pub name: Option<String>,
    /// The highest wins; 0 when it is not given.
    pub priority: i64,
    /// How often it answers.
    pub consume: Consume,
    /// Which requests it answers.
    pub when: When,
    /// With what.
    pub then: Then,
}

/// How often a rule answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consume {
    /// Every matching request.
    #[default]
    Many,
    /// The first matching request only.
    Once,
}

/// What a rule does with a request that it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Then {
    /// Answers with a response, after a delay.
    Mock {
        /// The response.
        response: Response,
        /// How long the answer waits.
        latency: Duration,
    },
    /// Answers with an error response.
    Error(Response),
    /// Lets the request through.
    Passthrough,
    /// Lets the request through; what comes back is for the capture alone.
    CaptureOnly,
}

impl Rule {
    /// Reads `{"version": 1, "rules": […]}`.
    ///
    /// # Errors
    ///
    /// Every fault in the document, each with its place (`rules[2].when.direciton: unknown field;
    /// did you mean direction?`).
    pub(crate) fn read_document(document: &Value) -> Result<Vec<Self>, Problems> {
        let mut problems = Problems::default();
        let rules = read_document(document, &mut problems);
        problems.into_result(rules)
    }

    /// Reads a list of rules that stands at `place` in a larger document.
    ///
    /// # Errors
    ///
    /// Every fault in the list, each with its place.
    pub(crate) fn read_list(rules: &[Value], place: &Place) -> Result<Vec<Self>, Problems> {
        let mut problems = Problems::default();
        let rules = rules
            .iter()
            .enumerate()
            .filter_map(|(n, rule)| Self::read(&Node::at(rule, place.index(n)), &mut problems))
            .collect();
        problems.into_result(Some(rules))
    }

    /// Reads one rule.
    pub(crate) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let object = node.object(
            &["name", "id", "priority", "consume", "when", "then"],
            problems,
        )?;
        let name = object.get("name").or_else(|| object.get("id"));
        let name = match name {
            Some(node) => Some(node.string(problems)?),
            None => None,
        };
        let priority = match object.get("priority") {
            Some(node) => node.integer(i64::MIN, i64::MAX, problems)?,
            None => 0,
        };
        let consume = match object.get("consume") {
            Some(node) => read_consume(&node, problems)?,
            None => Consume::Many,
        };
        let when = match object.get("when") {
            Some(node) => When::read(&node, problems),
            None => Some(When::default()),
        };
        let then = object.require("then", problems)?;
        let then = read_then(&then, problems);
        Some(Self {
            name,
            priority,
            consume,
            when: when?,
            then: then?,
        })
    }
}

fn read_document(document: &Value, problems: &mut Problems) -> Option<Vec<Rule>> {
    let object = Node::root(document).object(&["version", "rules"], problems)?;
    if let Some(version) = object.get("version") {
        version.integer(1, 1, problems);
    }
    let rules = object.require("rules", problems)?.list(problems)?;
    Some(
        rules
            .iter()
            .filter_map(|node| Rule::read(node, problems))
            .collect(),
    )
}

/// How often a rule answers, by its word.
pub(crate) const CONSUMES: [(&str, Consume); 2] =
    [("many", Consume::Many), ("once", Consume::Once)];

/// The fields of a response.
pub(crate) const RESPONSE: Fields = Fields {
    title: "response",
    list: &[
        Field::new("status", Shape::Integer(100, 999), "the HTTP status"),
        Field::new(
            "headers",
            Shape::Map(&Shape::Either(&[
                Shape::Scalar,
                Shape::List(&Shape::Scalar),
                Shape::Map(&Shape::Text),
            ])),
            "name to value, or to a list of values for a repeated header",
        ),
        Field::new(
            "body",
            Shape::Any,
            "text as it stands; anything else is written as JSON",
        ),
        Field::new(
            "bodyEncoding",
            Shape::Choice(|| vec!["base64"]),
            "base64 for a body that is not text",
        ),
    ],
};

/// Reads `many` or `once`.
pub(crate) fn read_consume(node: &Node<'_>, problems: &mut Problems) -> Option<Consume> {
    node.choice(&CONSUMES, problems)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Mock,
    Error,
    Passthrough,
    CaptureOnly,
}

fn read_then(node: &Node<'_>, problems: &mut Problems) -> Option<Then> {
    let object = node.object(&["action", "response", "error"], problems)?;
    let action_node = object.require("action", problems)?;
    if action_node.value == "replay" {
        problems.add(
            &action_node.place,
            "`replay` is gone: look the response up with find_in_case and register it with \
             mock_outbound",
        );
        return None;
    }
    let action = action_node.choice(
        &[
            ("mock", Action::Mock),
            ("error", Action::Error),
            ("passthrough", Action::Passthrough),
            ("capture_only", Action::CaptureOnly),
        ],
        problems,
    )?;
    for (name, owner) in [("response", Action::Mock), ("error", Action::Error)] {
        if let Some(stray) = object.get(name)
            && action != owner
        {
            problems.add(
                &stray.place,
                format!("`{name}` does not go with this action"),
            );
        }
    }
    match action {
        Action::Mock => {
            let node = object.require("response", problems)?;
            let mut known = RESPONSE.names();
            known.push("latencyMs");
            let response = node.object(&known, problems)?;
            let latency = match response.get("latencyMs") {
                Some(node) => read_latency(&node, problems)?,
                None => Duration::ZERO,
            };
            Some(Then::Mock {
                response: read_response(&response, 200, problems)?,
                latency,
            })
        }
        Action::Error => {
            let node = object.require("error", problems)?;
            read_error(&node, problems).map(Then::Error)
        }
        Action::Passthrough => Some(Then::Passthrough),
        Action::CaptureOnly => Some(Then::CaptureOnly),
    }
}

/// Reads `{status, body, headers}` of an error rule; the status is 500 when it is not given.
pub(crate) fn read_error(node: &Node<'_>, problems: &mut Problems) -> Option<Response> {
    let object = node.fields(&RESPONSE, problems)?;
    read_response(&object, 500, problems)
}

/// The longest delay, in milliseconds.
pub(crate) const LONGEST_DELAY_MS: i64 = LONGEST_DELAY.as_millis() as i64;

/// Reads a delay in milliseconds.
pub(crate) fn read_latency(node: &Node<'_>, problems: &mut Problems) -> Option<Duration> {
    let ms = node.integer(0, LONGEST_DELAY_MS, problems)?;
    Some(Duration::from_millis(ms.unsigned_abs()))
}

/// Reads the fields `status`, `headers` and `body`.
pub(crate) fn read_response(
    object: &Object<'_>,
    default_status: u16,
    problems: &mut Problems,
) -> Option<Response> {
    let status = match object.get("status") {
        Some(node) => node.status(problems)?,
        None => default_status,
    };
    let mut headers = match object.get("headers") {
        Some(node) => read_headers(&node, problems)?,
        None => Headers::new(),
    };
    let before = problems.0.len();
    let body = read_body(object, &mut headers, problems).unwrap_or_default();
    (problems.0.len() == before).then_some(Response {
        status,
        headers,
        body,
    })
}

/// The bytes of the fields `body` and `bodyEncoding`; `None` where there is no body.
pub(crate) fn read_body(
    object: &Object<'_>,
    headers: &mut Headers,
    problems: &mut Problems,
) -> Option<Vec<u8>> {
    let encoding = object.get("bodyEncoding").filter(|n| !n.value.is_null());
    if let Some(encoding) = &encoding {
        encoding.choice(&[("base64", ())], problems)?;
    }
    let body = object.get("body")?;
    match encoding {
        Some(_) => decode_base64(&body, problems),
        None => Some(body_bytes(body.value, headers)),
    }
}

/// The bytes of a body: text as it stands, any other JSON serialized, with a content type when the
/// headers have none.
pub(crate) fn body_bytes(value: &Value, headers: &mut Headers) -> Vec<u8> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        json => {
            if !headers.contains("content-type") {
                headers.push("content-type", "application/json");
            }
            json.to_string().into_bytes()
        }
    }
}

/// Reads name → text, or name → list of texts for a repeated header.
pub(crate) fn read_headers(node: &Node<'_>, problems: &mut Problems) -> Option<Headers> {
    let mut headers = Headers::new();
    let before = problems.0.len();
    for (name, value) in node.map(problems)?.members() {
        if !is_header_name(name) {
            problems.add(&value.place, "not a header name");
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

fn encode_base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The bytes of a base64 string.
fn decode_base64(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD
        .decode(node.string(problems)?)
        .map_err(|error| problems.add(&node.place, format!("not base64: {error}")))
        .ok()
}

/// Text, or `{"base64": …}` for a value that is not UTF-8.
fn read_header_value(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<u8>> {
    let bytes = match node.value {
        Value::Object(_) => {
            let object = node.object(&["base64"], problems)?;
            decode_base64(&object.require("base64", problems)?, problems)?
        }
        _ => node.scalar_text(problems)?.into_bytes(),
    };
    if bytes.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
        problems.add(&node.place, "a header value has no line breaks and no NUL");
        return None;
    }
    Some(bytes)
}

/// Whether this can name a header field.
pub(crate) fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// A response as `{"status", "headers", "body"}`, with `bodyEncoding: base64` for bytes that are not
/// text: what [`Rule::read_document`] reads.
pub(crate) fn response_value(response: &Response) -> Value {
    let Response {
        status,
        headers,
        body,
    } = response;
    let mut value = message_value(headers, body);
    value["status"] = (*status).into();
    value
}

/// Headers and body as `{"headers", "body"}`, perhaps with `bodyEncoding`.
pub(crate) fn message_value(headers: &Headers, body: &[u8]) -> Value {
    let mut value = serde_json::json!({"headers": headers_value(headers)});
    match std::str::from_utf8(body) {
        Ok(text) => value["body"] = text.into(),
        Err(_) => {
            value["body"] = encode_base64(body).into();
            value["bodyEncoding"] = "base64".into();
        }
    }
    value
}

/// Headers as name → text, or → list of texts for a repeated one, with `{"base64"}` for what is no text:
/// what [`read_headers`] reads.
pub(crate) fn headers_value(headers: &Headers) -> Value {
    let members = headers.names().into_iter().map(|name| {
        let values = headers
            .all(&name)
            .map(|value| match std::str::from_utf8(value) {
                Ok(text) => Value::from(text),
                Err(_) => serde_json::json!({"base64": encode_base64(value)}),
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
