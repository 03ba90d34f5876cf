//! What the cases of a run share: the runtime, the proxy, the application.

use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::Agent;

use super::args::quoted;
use super::discover::Case as Trial;
use super::replay::Unjudged;
use crate::client::{Timeouts, agent, headers_of};
use crate::control::Mode;
use crate::error::SoftprobeError;
use crate::hookfile::HookFiles;
use crate::http::{Request, Response, SESSION_HEADER, shown, split_port, split_url};
use crate::outcome::{CaseOutcome, SentRequest, Verdict};
use crate::proxy::{Proxy, random_ids};
use crate::rule::Policy;
use crate::runtime::Oracle;
use crate::session::{Softprobe, SoftprobeSession};
use crate::suite::{Plan, request_url};

/// A larger answer of the application is refused.
const LARGEST_ANSWER: u64 = 64 * 1024 * 1024;
/// How long an application that was started may take until it listens.
const SLOWEST_START: Duration = Duration::from_secs(60);

/// An application under test that the runner started.
pub struct App {
    /// Its base URL.
    pub url: String,
    guard: Box<dyn Any + Send>,
}

impl App {
    /// An application at a base URL; dropping the guard stops it.
    pub fn new(url: impl Into<String>, guard: impl Any + Send) -> Self {
        Self {
            url: url.into(),
            guard: Box::new(guard),
        }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// What the cases of a run share.
#[derive(Debug)]
pub(super) struct World {
    pub(super) softprobe: Softprobe,
    /// Where the traces of sent requests are issued, for a proxy of this process.
    oracle: Option<Arc<dyn Oracle>>,
    pub(super) app: Option<String>,
    /// The command that runs a case again, but for its name.
    pub(super) rerun: String,
    pub(super) agent: Agent,
    /// The sessions that are open, for an interrupted run.
    open: Mutex<HashSet<String>>,
}

/// What a run started; dropping it stops all of it, the application first.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) app: Option<App>,
    pub(super) proxy: Option<Proxy>,
    /// The processes of hook files.
    pub(super) hooks: HookFiles,
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(App { url: _, guard }) = self.app.take() {
            drop(guard);
        }
        drop(self.proxy.take());
        drop(std::mem::take(&mut self.hooks));
    }
}

impl World {
    pub(super) fn new(
        softprobe: Softprobe,
        oracle: Option<Arc<dyn Oracle>>,
        app: Option<String>,
        rerun: String,
    ) -> Self {
        Self {
            softprobe,
            oracle,
            app,
            rerun,
            agent: agent(Timeouts::Whole(Duration::from_secs(30))),
            open: Mutex::default(),
        }
    }

    /// A trial's outcome before anything is known.
    pub(super) fn outcome(&self, trial: &Trial) -> CaseOutcome {
        CaseOutcome {
            trial: trial.trial.clone(),
            suite: trial.suite.clone(),
            file: trial.file.clone(),
            verdict: Verdict::Passed,
            request: None,
            mismatches: Vec::new(),
            misses: Vec::new(),
            uncorrelated: Vec::new(),
            calls: Vec::new(),
            unused: Vec::new(),
            warnings: Vec::new(),
            rerun: format!("{} {}", self.rerun, quoted(&trial.trial)),
            took: Duration::ZERO,
        }
    }

    pub(super) fn app_url<'p>(&'p self, plan: &'p Plan) -> Result<&'p str, Unjudged> {
        let url = plan.request.url.as_deref().or(self.app.as_deref());
        url.ok_or_else(|| {
            Unjudged(
                "there is no application to send the request to; give --app-url, APP_URL, or \
                 `request: {url: …}`"
                    .to_owned(),
            )
        })
    }

    /// Opens a session under its policy: between two calls it would let everything pass.
    pub(super) fn open_session(&self, policy: &Policy) -> Result<SoftprobeSession, SoftprobeError> {
        let session = self.softprobe.start_session_under(Mode::Replay, policy)?;
        self.open().insert(session.id().to_owned());
        Ok(session)
    }

    pub(super) fn close(&self, session: SoftprobeSession) -> Result<(), SoftprobeError> {
        self.open().remove(session.id());
        session.close()
    }

    /// Closes what an interrupted run left open.
    pub(super) fn close_all(&self) {
        let open: Vec<String> = self.open().drain().collect();
        for id in open {
            // A session whose case ended by itself is closed already.
            let _ = self.softprobe.attach(&id).close();
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request of a session to the application: what was sent, and the answer or why there is
    /// none.
    pub(super) fn send(
        &self,
        session: &SoftprobeSession,
        base: &str,
        mut request: Request,
        timeout: Duration,
    ) -> (SentRequest, Result<Response, String>) {
        let url = request_url(base, &request);
        // A hook may have set any of these; they are the runner's.
        for name in [
            SESSION_HEADER,
            "traceparent",
            "tracestate",
            "content-length",
            "host",
        ] {
            request.headers.remove(name);
        }
        let (trace_id, span_id) = random_ids();
        if let Some(oracle) = &self.oracle {
            oracle.issue_trace(&trace_id, session.id());
        }
        let headers = &mut request.headers;
        headers.push(SESSION_HEADER, session.id());
        headers.push("traceparent", format!("00-{trace_id}-{span_id}-01"));
        headers.push("tracestate", format!("{SESSION_HEADER}={}", session.id()));
        let sent = describe(&request, &url);
        let answer = self
            .exchange(request, &url, timeout)
            .map_err(|why| format!("the application gave no answer to {url}: {why}"));
        (sent, answer)
    }

    fn exchange(&self, request: Request, url: &str, timeout: Duration) -> Result<Response, String> {
        let mut builder = ureq::http::Request::builder()
            .method(request.method.as_str())
            .uri(url);
        for (name, value) in request.headers.iter() {
            builder = builder.header(name, value);
        }
        let http = builder.body(request.body).map_err(|e| e.to_string())?;
        let http = self
            .agent
            .configure_request(http)
            .timeout_global(Some(timeout))
            .build();
        let explain = |error: ureq::Error| match error {
            ureq::Error::Timeout(_) => format!("it took longer than {} ms", timeout.as_millis()),
            ureq::Error::BodyExceedsLimit(limit) => format!("it is larger than {limit} bytes"),
            other => other.to_string(),
        };
        let mut response = self.agent.run(http).map_err(explain)?;
        let status = response.status().as_u16();
        let headers = headers_of(response.headers());
        let body = response
            .body_mut()
            .with_config()
            .limit(LARGEST_ANSWER)
            .read_to_vec()
            .map_err(explain)?;
        Ok(Response {
            status,
            headers,
            body,
        })
    }
}

fn describe(request: &Request, url: &str) -> SentRequest {
    const MOST: usize = 2_000;
    let body = match std::str::from_utf8(&request.body) {
        Ok(text) => text.chars().take(MOST).collect(),
        Err(_) => format!("({} bytes that are not text)", request.body.len()),
    };
    SentRequest {
        method: request.method.clone(),
        url: url.to_owned(),
        headers: request
            .headers
            .iter()
            .map(|(name, value)| (name.to_owned(), shown(name, value).into_owned()))
            .collect(),
        body,
    }
}

/// Waits until something listens at a base URL.
///
/// # Errors
///
/// A message when nothing does in time.
pub(super) fn wait_until_listening(url: &str) -> Result<(), String> {
    let Some((scheme, authority, _)) = split_url(url) else {
        return Err(format!(
            "`{url}` is not a base URL such as `http://127.0.0.1:3000`"
        ));
    };
    let authority = match split_port(authority) {
        (host, None) => format!("{host}:{}", if scheme == "https" { 443 } else { 80 }),
        _ => authority.to_owned(),
    };
    let deadline = Instant::now() + SLOWEST_START;
    loop {
        let addresses = authority
            .to_socket_addrs()
            .map_err(|e| format!("{url}: {e}"))?;
        let mut last = "no address".to_owned();
        for address in addresses {
            match TcpStream::connect_timeout(&address, Duration::from_secs(2)) {
                Ok(_) => return Ok(()),
                Err(error) => last = error.to_string(),
            }
        }
        if Instant::now() >= deadline {
            return Err(format!(
                "nothing listens at {url} after {} seconds: {last}",
                SLOWEST_START.as_secs()
            ));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
