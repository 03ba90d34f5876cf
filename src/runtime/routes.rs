//! Which call of the control API a request is.

use serde_json::Value;

use crate::control::{Action, Call, ControlError};

/// The call, or the error for a route that is not there, a method it does not take, or a body that
/// is not JSON.
pub(super) fn route(method: &str, path: &str, body: &[u8]) -> Result<Call, ControlError> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let steps: Vec<&str> = path.split('/').skip(1).collect();
    let (allowed, call): (&str, fn(Value) -> Action) = match steps.as_slice() {
        ["health"] => return allow("GET", method).map(|()| Call::Health),
        ["v1", "meta"] => return allow("GET", method).map(|()| Call::Meta),
        ["v1", "sessions"] => {
            return match method {
                "GET" => Ok(Call::Sessions),
                _ => {
                    allow("GET, POST", method)?;
                    Ok(Call::Start { body: json(body)? })
                }
            };
        }
        ["v1", "sessions", _, rest @ ..] => match rest {
            ["load-case"] => ("POST", Action::LoadCase),
            ["rules"] => ("POST", Action::SetRules),
            ["policy"] => ("POST", Action::SetPolicy),
            ["fixtures", "auth"] => ("POST", Action::SetAuthFixtures),
            ["close"] => ("POST", |_| Action::Close),
            ["stats"] => ("GET", |_| Action::Stats),
            ["state"] => ("GET", |_| Action::State),
            ["case"] => ("GET", |_| Action::Case),
            _ => return Err(not_found(path)),
        },
        _ => return Err(not_found(path)),
    };
    allow(allowed, method)?;
    let takes_body = allowed == "POST" && steps.last() != Some(&"close");
    let body = if takes_body { json(body)? } else { Value::Null };
    Ok(Call::on(steps[2], call(body)))
}

fn allow(allowed: &'static str, method: &str) -> Result<(), ControlError> {
    if allowed.split(", ").any(|one| one == method) {
        Ok(())
    } else {
        // The message ends with the methods: the server takes its Allow header from here.
        Err(ControlError::new(
            405,
            "method_not_allowed",
            format!("{method} is not allowed here; allowed: {allowed}"),
        ))
    }
}

fn not_found(path: &str) -> ControlError {
    ControlError::new(404, "not_found", format!("there is no route {path}"))
}

fn json(body: &[u8]) -> Result<Value, ControlError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(ControlError::invalid("the request needs a JSON body"));
    }
    serde_json::from_slice(body)
        .map_err(|error| ControlError::invalid(format!("the body is not JSON: {error}")))
}
