//! The HTTP API on a socket: token, limits, captures written to files.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::otlp::{inject, traces};
use super::routes::{Operation, Refused, route};
use super::state::Ended;
use super::{EmbeddedRuntime, OPENAPI};
use crate::client::Token;
use crate::control::{Action, Call, Closing, ControlError};
use crate::disk::write_whole;
use crate::error::SoftprobeError;
use crate::http::{Headers, REFUSAL_HEADER, Request, Response};
use crate::serve::{HyperRequest, LARGEST_BODY, Server, gunzip, read_request, to_hyper};

/// How often sessions are looked at for being idle, at the most.
const SWEEP: Duration = Duration::from_secs(30);

/// A step of a path is no longer than this on most file systems.
const LONGEST_STEP: usize = 240;

/// How a [`ControlServer`] behaves; the default has no token, writes no files and closes no session.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    token: Option<Token>,
    largest_body: usize,
    captures: Option<PathBuf>,
    idle: Option<Duration>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            token: None,
            largest_body: LARGEST_BODY,
            captures: None,
            idle: None,
        }
    }
}

impl ServerOptions {
    /// Every call but `GET /health` needs this bearer token; an empty one is none.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.token = Token::new(token);
        self
    }

    /// A larger body, in bytes, is refused with 413, also one that unpacks to more; 64 MiB when it is not
    /// given.
    #[must_use]
    pub fn largest_body(mut self, bytes: usize) -> Self {
        self.largest_body = bytes;
        self
    }

    /// The folder below which `close?out=` may write captures.
    #[must_use]
    pub fn captures(mut self, folder: impl Into<PathBuf>) -> Self {
        self.captures = Some(folder.into());
        self
    }

    /// Closes a session that nobody used for that long.
    #[must_use]
    pub fn close_idle_after(mut self, limit: Duration) -> Self {
        self.idle = Some(limit);
        self
    }
}

/// A server for the HTTP API of a runtime; dropping it stops it.
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
        Self::start_with(runtime, address, ServerOptions::default())
    }

    /// Serves the runtime with a token, limits, or a folder for captures.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_with(
        runtime: &EmbeddedRuntime,
        address: &str,
        options: ServerOptions,
    ) -> Result<Self, SoftprobeError> {
        let (idle, folder) = (options.idle, options.captures.clone());
        let desk = Arc::new(Desk {
            runtime: runtime.clone(),
            options,
        });
        let server = Server::start(address, move |request: HyperRequest| {
            let desk = Arc::clone(&desk);
            async move { to_hyper(desk.serve(request).await) }
        })?;
        if let Some(limit) = idle {
            server.spawn(close_idle(runtime.clone(), limit, folder));
        }
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

    /// Takes no further connection, lets requests that run end within the limit, and stops.
    pub fn stop(self, limit: Duration) {
        self.server.stop(limit);
    }
}

async fn close_idle(runtime: EmbeddedRuntime, limit: Duration, folder: Option<PathBuf>) {
    let mut ticks = tokio::time::interval((limit / 4).clamp(Duration::from_millis(10), SWEEP));
    loop {
        ticks.tick().await;
        let ended = runtime.end_idle(limit);
        for Ended { session, .. } in &ended {
            log::info!("session {session}: closed, since nobody used it for {limit:?}");
        }
        keep_captures(folder.as_deref(), &ended);
    }
}

/// What every request is answered from.
struct Desk {
    runtime: EmbeddedRuntime,
    options: ServerOptions,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Desk")
    }
}

impl Desk {
    async fn serve(self: Arc<Self>, request: HyperRequest) -> Response {
        let shown = format!("{} {}", request.method(), request.uri().path());
        let requests = self.runtime.metrics.requests.clone();
        let (response, latency) = self
            .answer(request)
            .await
            .unwrap_or_else(|error| (refusal(&error), Duration::ZERO));
        let status = response.status.to_string();
        requests.with_label_values(&[status.as_str()]).inc();
        log::debug!("control: {shown} -> {status}");
        tokio::time::sleep(latency).await;
        response
    }

    async fn answer(
        self: Arc<Self>,
        request: HyperRequest,
    ) -> Result<(Response, Duration), Refused> {
        if request.uri().path() != "/health" {
            let given = request.headers().get("authorization");
            check_token(
                self.options.token.as_ref(),
                given.map(|value| value.as_bytes()),
            )?;
        }
        let limit = self.options.largest_body;
        let request = read_request(request, limit)
            .await
            .map_err(|refused| unread(&refused))?;
        // A large document takes time to read, and a file to write: not on a thread of the connections.
        let answered = tokio::task::spawn_blocking(move || self.answer_now(request)).await;
        answered.unwrap_or_else(|error| Err(internal(&format!("the call failed: {error}")).into()))
    }

    fn answer_now(&self, mut request: Request) -> Result<(Response, Duration), Refused> {
        let now = |response| Ok((response, Duration::ZERO));
        match route(&request)? {
            Operation::Control(call) => now(json(200, &self.control(&call)?)),
            Operation::Inject => {
                self.unpack(&mut request)?;
                let injected = inject(&self.runtime, &request.headers, &request.body)?;
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

    fn unpack(&self, request: &mut Request) -> Result<(), ControlError> {
        let coding = request.headers.text("content-encoding").unwrap_or_default();
        match coding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(()),
            "gzip" => {
                let unpacked = gunzip(&request.body, self.options.largest_body);
                request.body = unpacked.map_err(|refused| unread(&refused))?;
                Ok(())
            }
            other => Err(ControlError::invalid(format!(
                "content-encoding: `{other}` is not understood; send gzip or none"
            ))),
        }
    }

    /// Carries a call out; a capture that is to be written is written before its session is gone.
    fn control(&self, call: &Call) -> Result<Value, ControlError> {
        let Call::Session {
            id,
            action:
                Action::Close(Closing {
                    out: Some(out),
                    include_case,
                }),
        } = call
        else {
            return self.runtime.handle(call);
        };
        let Some(folder) = &self.options.captures else {
            // Whether the session is there at all comes first.
            self.runtime.handle(&Call::on(id, Action::Stats))?;
            return Err(ControlError::invalid(
                "out: this server writes no files; start it with a folder for captures \
                 (`softprobe serve --captures DIR`), or ask for the case with include=case",
            ));
        };
        let path = capture_path(folder, out)?;
        let case = self.runtime.handle(&Call::on(id, Action::Case))?;
        write_case(&path, &case).map_err(|mut error| {
            error.message.push_str("; the session is still open");
            error
        })?;
        let closing = Closing {
            out: None,
            include_case: true,
        };
        let mut answer = self.runtime.handle(&Call::on(id, Action::Close(closing)))?;
        // A span that came between the two is not lost.
        if answer["case"]["traces"] != case["traces"] {
            write_case(&path, &answer["case"])?;
        }
        if let (false, Some(answer)) = (include_case, answer.as_object_mut()) {
            answer.shift_remove("case");
        }
        answer["capturePath"] = path.display().to_string().into();
        Ok(answer)
    }
}

/// The file that `out` means: always below the folder, also where links lead elsewhere.
fn capture_path(folder: &Path, out: &str) -> Result<PathBuf, ControlError> {
    let refused = |why: &str| ControlError::invalid(format!("out: `{out}` {why}"));
    let failed = |error: std::io::Error| internal(&format!("out: `{out}`: {error}"));
    let relative = Path::new(out);
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let odd = out.contains(|c: char| c.is_control() || c == '\u{fffd}');
    let long = relative.iter().any(|step| step.len() > LONGEST_STEP);
    if odd || long {
        return Err(refused("is no name for a file"));
    }
    if !relative.components().all(plain) || out.ends_with('/') {
        return Err(refused(
            "is not a path below the folder for captures; give a relative one without `..`",
        ));
    }
    let path = folder.join(relative);
    let parent = path.parent().unwrap_or(folder);
    std::fs::create_dir_all(folder).map_err(failed)?;
    let root = folder.canonicalize().map_err(failed)?;
    // The part that is there already must not lead out, before anything is made below it.
    let there = parent.ancestors().find(|p| p.exists()).unwrap_or(folder);
    if !there.canonicalize().map_err(failed)?.starts_with(&root) {
        return Err(refused("leads out of the folder for captures"));
    }
    std::fs::create_dir_all(parent).map_err(failed)?;
    if path.is_symlink() || path.is_dir() {
        return Err(refused("is a link or a folder"));
    }
    Ok(path)
}

fn write_case(path: &Path, case: &Value) -> Result<(), ControlError> {
    let written = write_whole(path, &format!("{case:#}\n"));
    written.map_err(|error| internal(&format!("{}: can't be written: {error}", path.display())))
}

/// Looks after the captures of sessions that ended without being closed: each is written below the
/// folder, or its loss is told.
pub(crate) fn keep_captures(folder: Option<&Path>, ended: &[Ended]) {
    for Ended { session, capture } in ended {
        let Some(case) = capture else {
            continue;
        };
        let Some(folder) = folder else {
            log::warn!(
                "session {session}: its capture is lost; `softprobe serve --captures DIR` would keep it"
            );
            continue;
        };
        match write_case(&folder.join(format!("{session}.case.json")), case) {
            Ok(()) => log::warn!(
                "session {session}: its capture is kept in {}",
                folder.join(format!("{session}.case.json")).display()
            ),
            Err(error) => log::error!("session {session}: its capture is lost: {error}"),
        }
    }
}

fn check_token(token: Option<&Token>, given: Option<&[u8]>) -> Result<(), ControlError> {
    let Some(token) = token else {
        return Ok(());
    };
    let Some(given) = given else {
        return Err(ControlError::new(
            401,
            "missing_bearer_token",
            "this runtime wants a token; set SOFTPROBE_API_TOKEN",
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
        "this is not the runtime's token; correct SOFTPROBE_API_TOKEN",
    ))
}

/// A request that could not be read, as the control API says it.
fn unread(refused: &Response) -> ControlError {
    let code = match refused.status {
        413 => "payload_too_large",
        _ => "invalid_request",
    };
    let message = String::from_utf8_lossy(&refused.body);
    let message = message.trim().trim_start_matches("softprobe: ");
    ControlError::new(refused.status, code, message)
}

fn internal(message: &str) -> ControlError {
    log::error!("{message}");
    ControlError::new(500, "internal_error", message)
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
        ..text("application/json", body.to_string())
    }
}

fn text(content_type: &str, body: String) -> Response {
    Response {
        status: 200,
        headers: Headers::from_iter([("content-type", content_type)]),
        body: body.into_bytes(),
    }
}
