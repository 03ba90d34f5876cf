//! The control API on a socket.

use std::net::SocketAddr;

use crate::control::ControlError;
use crate::error::SoftprobeError;
use crate::http::{Headers, Request, Response};
use crate::serve::{HyperRequest, Server, read_request, to_hyper};

use super::{EmbeddedRuntime, routes};

/// A server for the control API of a runtime; dropping it stops it.
#[derive(Debug)]
pub struct ControlServer {
    server: Server,
}

impl ControlServer {
    /// Serves the runtime on an address; port 0 picks a free one.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Listen`] when the address can't be had.
    pub fn start(runtime: &EmbeddedRuntime, address: &str) -> Result<Self, SoftprobeError> {
        let runtime = runtime.clone();
        let server = Server::start(address, move |request: HyperRequest| {
            let runtime = runtime.clone();
            async move {
                to_hyper(match read_request(request).await {
                    Ok(request) => answer(&runtime, &request),
                    Err(refusal) => as_control_error(&refusal),
                })
            }
        })?;
        Ok(Self { server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The base URL for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}

/// A request that could not be read, as the control API says it.
fn as_control_error(refusal: &Response) -> Response {
    let code = match refusal.status {
        413 => "payload_too_large",
        _ => "invalid_request",
    };
    let message = String::from_utf8_lossy(&refusal.body);
    let error = ControlError::new(refusal.status, code, message.trim());
    respond(error.status, Headers::new(), &error.to_value())
}

fn respond(status: u16, mut headers: Headers, body: &serde_json::Value) -> Response {
    headers.push("content-type", "application/json");
    Response {
        status,
        headers,
        body: body.to_string().into_bytes(),
    }
}

fn answer(runtime: &EmbeddedRuntime, request: &Request) -> Response {
    let result = routes::route(&request.method, &request.path, &request.body)
        .and_then(|call| runtime.handle(&call));
    let mut headers = Headers::new();
    let (status, body) = match result {
        Ok(value) => (200, value),
        Err(error) => {
            if let Some(allowed) = allowed_methods(&error) {
                headers.push("allow", allowed);
            }
            (error.status, error.to_value())
        }
    };
    log::debug!("control: {} {} -> {status}", request.method, request.path);
    respond(status, headers, &body)
}

fn allowed_methods(error: &ControlError) -> Option<String> {
    if error.status != 405 {
        return None;
    }
    let (_, allowed) = error.message.rsplit_once("allowed: ")?;
    Some(allowed.to_owned())
}
