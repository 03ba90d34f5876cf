//! Answers requests to the HTTP API: checks the token, reads the body, finds the route and makes the call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::OPENAPI;
use super::captures::internal;
use super::options::Options;
use super::otlp::{inject, traces};
use super::routes::{Operation, Refused, route, session_of};
use super::state::EmbeddedRuntime;
use crate::base::http::{Headers, Request, Response};
use crate::base::json;
use crate::control::{Action, Call, ControlError, REFUSAL_HEADER, Token};
use crate::net::{HyperRequest, Unreadable, delay, gunzip};

/// The largest body, in bytes, that takes less time to process than to hand to another thread.
const SMALL_BODY: usize = 32 * 1024;

/// What all requests share: the runtime and the server's options.
pub(super) struct Desk {
    runtime: EmbeddedRuntime,
    options: Options,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Desk")
    }
}

impl Desk {
    pub(super) fn new(runtime: EmbeddedRuntime, options: Options) -> Self {
        Self { runtime, options }
    }

    pub(super) async fn serve(self: Arc<Self>, request: HyperRequest) -> Arc<Response> {
        let shown = format!("{} {}", request.method(), request.uri().path());
        let requests = self.runtime.metrics.requests.clone();
        let (response, latency) = self
            .answer(request)
            .await
            .unwrap_or_else(|error| (refusal(&error).into(), Duration::ZERO));
        let status = response.status.to_string();
        requests.with_label_values(&[status.as_str()]).inc();
        log::debug!("control: {shown} -> {status}");
        delay(latency).await;
        response
    }

    async fn answer(
        self: Arc<Self>,
        request: HyperRequest,
    ) -> Result<(Arc<Response>, Duration), Refused> {
        let token = self.options.token.as_ref();
        let given = request.headers().get("authorization");
        let allowed = check_token(token, given.map(|value| value.as_bytes()));
        // No page knows the token.
        if token.is_none() || allowed.is_err() {
            let callers = &self.options.callers;
            callers
                .check(request.headers())
                .map_err(|foreign| ControlError::new(403, foreign.code(), foreign.to_string()))?;
        }
        if !["/health", "/metrics"].contains(&request.uri().path()) {
            allowed?;
        }
        let (request, _held) = self
            .options
            .intake
            .read(request)
            .await
            .map_err(|(refused, _)| unread(&refused))?;
        if is_quick(&request) {
            return self.answer_now(request);
        }
        let answered = tokio::task::spawn_blocking(move || self.answer_now(request)).await;
        answered.unwrap_or_else(|error| Err(internal(&format!("the call failed: {error}")).into()))
    }

    fn answer_now(&self, mut request: Request) -> Result<(Arc<Response>, Duration), Refused> {
        let now = |response: Response| Ok((response.into(), Duration::ZERO));
        match route(&request).map_err(|refused| self.unless_unknown(&request, refused))? {
            Operation::Control(call) => now(json(200, &self.control(&call)?)),
            Operation::Inject => {
                let injected = self
                    .unpack(&mut request)
                    .and_then(|()| inject(&self.runtime, &request.headers, &request.body));
                let injected = injected.inspect_err(|_| self.runtime.metrics.note_refused())?;
                Ok((injected.response, injected.latency))
            }
            Operation::Traces => {
                self.unpack(&mut request)?;
                now(traces(&self.runtime, &request.headers, &request.body)?)
            }
            Operation::Metrics => {
                let version = "text/plain; version=0.0.4; charset=utf-8";
                now(text(version, self.runtime.metrics.text()))
            }
            Operation::OpenApi => now(text("application/json", OPENAPI.to_owned())),
        }
    }

    /// Returns why a call is refused: an unknown session is told first, whatever its body is.
    fn unless_unknown(&self, request: &Request, refused: Refused) -> Refused {
        match (&refused, session_of(&request.path)) {
            (Refused::Control(error), Some(id)) if error.status == 400 => {
                let known = self.runtime.handle(&Call::on(&id, Action::Stats));
                known.err().map_or(refused, Refused::Control)
            }
            _ => refused,
        }
    }

    fn unpack(&self, request: &mut Request) -> Result<(), ControlError> {
        let coding = request.headers.text("content-encoding").unwrap_or_default();
        match coding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(()),
            "gzip" => {
                let unpacked = gunzip(&request.body, self.options.intake.largest_body);
                request.body = unpacked.map_err(|refused| unread(&refused))?;
                Ok(())
            }
            other => Err(ControlError::invalid(format!(
                "content-encoding: `{other}` is not supported; send gzip or none"
            ))),
        }
    }

    /// Carries out a call. A capture is saved before its session is closed.
    fn control(&self, call: &Call) -> Result<Value, ControlError> {
        match call {
            Call::Session {
                id,
                action: Action::Close(closing),
            } => self.runtime.close_keeping(id, closing, &self.options.keep),
            call => self.runtime.handle(call),
        }
    }
}

/// Returns whether a call takes less time to answer than to hand to another thread: its body is small and not
/// compressed, and it neither builds a capture's document nor writes a file, as a close may.
fn is_quick(request: &Request) -> bool {
    let path = request.path.trim_end_matches('/');
    request.body.len() <= SMALL_BODY
        && request.headers.text("content-encoding").is_none()
        && !(path.ends_with("/case")
            || path.ends_with("/close")
            || path.starts_with("/v1/captures/"))
}

fn check_token(token: Option<&Token>, given: Option<&[u8]>) -> Result<(), ControlError> {
    let Some(token) = token else {
        return Ok(());
    };
    let Some(given) = given else {
        return Err(ControlError::new(
            401,
            "missing_bearer_token",
            "this runtime requires a token; set SOFTPROBE_API_TOKEN",
        ));
    };
    let given = String::from_utf8_lossy(given);
    let (scheme, given) = given.split_once(' ').unwrap_or((&given, ""));
    let same = given.trim().as_bytes().ct_eq(token.secret().as_bytes());
    if scheme.eq_ignore_ascii_case("bearer") && bool::from(same) {
        return Ok(());
    }
    Err(ControlError::new(
        403,
        "invalid_bearer_token",
        "the token does not match this runtime's; correct SOFTPROBE_API_TOKEN",
    ))
}

/// Converts the reason why a request can't be read to an error of the control API.
fn unread(unreadable: &Unreadable) -> ControlError {
    let code = match unreadable {
        Unreadable::TooLarge(_) => "payload_too_large",
        Unreadable::NoRoom => "overloaded",
        _ => "invalid_request",
    };
    ControlError::new(unreadable.status(), code, unreadable.to_string())
}

fn refusal(refused: &Refused) -> Response {
    let error = match refused {
        Refused::Control(error) => error,
        Refused::Method { used, allowed } => &ControlError::new(
            405,
            "method_not_allowed",
            format!("{used} is not allowed here; allowed: {allowed}"),
        ),
    };
    let mut response = json(error.status, &error.to_value());
    response.headers.push(REFUSAL_HEADER, error.code);
    if error.status == 401 {
        response.headers.push("www-authenticate", "Bearer");
    }
    if let Refused::Method { allowed, .. } = refused {
        response.headers.push("allow", *allowed);
    }
    response
}

fn json(status: u16, body: &Value) -> Response {
    Response {
        status,
        ..text("application/json", json::show(body))
    }
}

fn text(content_type: &str, body: String) -> Response {
    Response {
        status: 200,
        headers: Headers::from_iter([("content-type", content_type)]),
        body: body.into_bytes(),
        trailers: Headers::new(),
    }
}
