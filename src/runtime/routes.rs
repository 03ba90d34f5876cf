//! Finds the call of the HTTP API that a request makes.

use std::fmt;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::base::document::{Node, Problems};
use crate::base::http::Request;
use crate::base::json;
use crate::control::{Action, Call, Closing, ControlError};

/// The operation that a request asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Operation {
    /// A call of the control API.
    Control(Call),
    /// `POST /v1/inject`
    Inject,
    /// `POST /v1/traces`
    Traces,
    /// `GET /metrics`
    Metrics,
    /// `GET /openapi.json`
    OpenApi,
}

/// The reason why a request is refused.
#[derive(Debug)]
pub(super) enum Refused {
    /// An error of the control API.
    Control(ControlError),
    /// The route does not allow the method that was used.
    Method { used: String, allowed: &'static str },
}

impl From<ControlError> for Refused {
    fn from(error: ControlError) -> Self {
        Self::Control(error)
    }
}

/// Returns the operation, or an error if there is no such route, it does not allow the method, or the body is
/// not JSON.
pub(super) fn route(request: &Request) -> Result<Operation, Refused> {
    let method = request.method.as_str();
    let path = request.path.as_str();
    let path = path.strip_suffix('/').unwrap_or(path);
    let steps: Vec<&str> = path.split('/').skip(1).collect();
    let get = |operation| allow("GET", method).map(|()| operation);
    let post = |operation| allow("POST", method).map(|()| operation);
    match steps.as_slice() {
        ["health"] => get(Operation::Control(Call::Health)),
        ["metrics"] => get(Operation::Metrics),
        ["openapi.json"] => get(Operation::OpenApi),
        ["v1", "meta"] => get(Operation::Control(Call::Meta)),
        ["v1", "inject"] => post(Operation::Inject),
        ["v1", "traces"] => post(Operation::Traces),
        ["v1", "captures", id] => {
            let id = percent_decode_str(id).decode_utf8_lossy();
            get(Operation::Control(Call::Capture {
                id: id.into_owned(),
            }))
        }
        ["v1", "sessions"] => match method {
            "GET" => Ok(Operation::Control(Call::Sessions)),
            _ => {
                allow("GET, POST", method)?;
                let body = exact_json(&request.body)?;
                Ok(Operation::Control(Call::Start { body }))
            }
        },
        ["v1", "sessions", id, rest @ ..] => {
            let action = action(method, rest, request)?;
            let action = action.ok_or_else(|| not_found(path))?;
            let id = percent_decode_str(id).decode_utf8_lossy();
            Ok(Operation::Control(Call::on(&id, action)))
        }
        _ => Err(not_found(path).into()),
    }
}

/// Returns the session that a path is about, if it is about one.
pub(super) fn session_of(path: &str) -> Option<String> {
    let id = path.strip_prefix("/v1/sessions/")?.split('/').next()?;
    Some(percent_decode_str(id).decode_utf8_lossy().into_owned())
}

/// Returns the action on a session; `None` if there is no such route.
fn action(method: &str, rest: &[&str], request: &Request) -> Result<Option<Action>, Refused> {
    let take: fn(Value) -> Action = match rest {
        ["load-case"] => {
            allow("POST", method)?;
            return Ok(Some(Action::LoadCase(read_json(&request.body, case_json)?)));
        }
        ["rules"] => Action::SetRules,
        ["policy"] => Action::SetPolicy,
        ["fixtures", "auth"] => Action::SetAuthFixtures,
        ["close"] => {
            allow("POST", method)?;
            return Ok(Some(Action::Close(closing(request)?)));
        }
        ["stats"] => return allow("GET", method).map(|()| Some(Action::Stats)),
        ["requests"] => return allow("GET", method).map(|()| Some(Action::Requests)),
        ["state"] => return allow("GET", method).map(|()| Some(Action::State)),
        ["case"] => return allow("GET", method).map(|()| Some(Action::Case)),
        _ => return Ok(None),
    };
    allow("POST", method)?;
    Ok(Some(take(exact_json(&request.body)?)))
}

/// Reads the options of a close call. Unknown parameters are refused, because a misspelt `out` would
/// lose the capture.
fn closing(request: &Request) -> Result<Closing, ControlError> {
    if !is_blank(&request.body) {
        let mut problems = Problems::default();
        Node::root(&exact_json(&request.body)?).object(&[], &mut problems);
        if !problems.is_empty() {
            return Err(ControlError::invalid(problems.to_string()));
        }
    }
    let mut closing = Closing::default();
    let query = request.query.as_deref().unwrap_or_default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match (&*name, &*value) {
            ("out", path) if !path.is_empty() => closing.out = Some(value.into_owned()),
            ("include", "case") => closing.include_case = true,
            _ => {
                return Err(ControlError::invalid(format!(
                    "the query `{name}={value}` is not supported; use out=<path> or include=case"
                )));
            }
        }
    }
    Ok(closing)
}

fn allow(allowed: &'static str, method: &str) -> Result<(), Refused> {
    if allowed.split(", ").any(|one| one == method) {
        return Ok(());
    }
    Err(Refused::Method {
        used: method.to_owned(),
        allowed,
    })
}

fn not_found(path: &str) -> ControlError {
    ControlError::new(
        404,
        "not_found",
        format!("there is no route {path}; GET /openapi.json lists all routes"),
    )
}

fn is_blank(body: &[u8]) -> bool {
    body.iter().all(u8::is_ascii_whitespace)
}

fn exact_json(body: &[u8]) -> Result<Value, ControlError> {
    read_json(body, json::parse)
}

/// Parses a case. Its bodies are text and its numbers are OTLP's, but its rules may have numbers that no type holds.
fn case_json(text: &str) -> Result<Value, serde_json::Error> {
    let mut case: Value = serde_json::from_str(text)?;
    if case.get("rules").is_some()
        && let Some(mut exact) = json::parse_inexact(text)
    {
        case["rules"] = exact["rules"].take();
    }
    Ok(case)
}

fn read_json(
    body: &[u8],
    parse: impl Fn(&str) -> Result<Value, serde_json::Error>,
) -> Result<Value, ControlError> {
    if is_blank(body) {
        return Err(ControlError::invalid("the request needs a JSON body"));
    }
    let why =
        |why: &dyn fmt::Display| ControlError::invalid(format!("the body is not JSON: {why}"));
    let text = std::str::from_utf8(body).map_err(|_| why(&"it is not UTF-8"))?;
    parse(text).map_err(|error| why(&error))
}
