//! What the cases of a run share: the runtime, the proxy, the application.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::app::App;
use super::apps::{AppOfCase, Apps, tell_idle_calls};
use super::discover::Trial;
use super::signals::Interrupts;
use super::unjudged::Unjudged;
use crate::base::http::{Request, Response, SESSION_HEADER, without_credentials};
use crate::compare::Excerpt;
use crate::control::{AnsweredRequests, Mode, Oracle, OutboundCall, SessionStats};
use crate::error::SoftprobeError;
use crate::foreign::HookFiles;
use crate::net::{Client, Timeouts, random_trace};
use crate::proxy::{Proxy, Tunnels};
use crate::report::SentRequest;
use crate::rule::Policy;
use crate::sdk::{Softprobe, SoftprobeSession};
use crate::suite::request_url;

/// What the cases of a run share.
#[derive(Debug)]
pub(super) struct Environment {
    softprobe: Softprobe,
    /// Where the traces of sent requests are issued, if the proxy is in this process.
    oracle: Option<Arc<dyn Oracle>>,
    /// The tunnels of the proxy, if it is in this process.
    tunnels: Option<Tunnels>,
    apps: Apps,
    client: Client,
    sessions: Mutex<Sessions>,
    /// Notified when a session has been opened.
    opened: Condvar,
}

/// The sessions of a run.
#[derive(Debug, Default)]
struct Sessions {
    /// How many are being opened.
    opening: usize,
    /// The others, by their ids.
    known: HashMap<String, CaseSession>,
}

/// The session of a case.
#[derive(Debug)]
struct CaseSession {
    trial: String,
    /// Whether it is open, so that an interrupted run closes it.
    is_open: bool,
}

/// How long the end of a case may wait until it is known whether a client refuses the certificate.
const SLOWEST_REFUSAL: Duration = Duration::from_secs(1);

/// How long the calls that are still in progress at the end of a run may take.
const LAST_CALLS: Duration = Duration::from_millis(200);

/// What a run started; dropping this stops all of it, the application first.
#[derive(Debug)]
pub(super) struct Started {
    app: Option<App>,
    proxy: Option<Proxy>,
    /// The processes of hook files.
    hooks: HookFiles,
    pub(super) environment: Option<Arc<Environment>>,
    pub(super) interrupts: Option<Interrupts>,
}

impl Started {
    pub(super) fn new(proxy: Option<Proxy>, hooks: HookFiles) -> Self {
        Self {
            app: None,
            proxy,
            hooks,
            environment: None,
            interrupts: None,
        }
    }

    pub(super) fn keep(&mut self, app: App) {
        self.app = Some(app);
    }

    /// Ends the processes of hooks at once, since nobody waits for their results any more.
    pub(super) fn break_off(&mut self) {
        self.hooks.kill();
    }

    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    pub(super) fn has_proxy(&self) -> bool {
        self.proxy.is_some()
    }

    pub(super) fn has_app(&self) -> bool {
        self.environment.as_ref().is_some_and(|e| e.apps.any())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        drop(self.app.take());
        if let Some(environment) = &self.environment {
            environment.stop_apps(Duration::MAX, usize::MAX);
        }
        if let Some(proxy) = &self.proxy {
            let calls = proxy.take_idle_calls();
            tell_idle_calls("while no case ran, the application called", &calls);
        }
        if let Some(proxy) = self.proxy.take() {
            // Idle connections are ended in order, so that the pool of a running application notices.
            proxy.stop(LAST_CALLS);
        }
        drop(std::mem::take(&mut self.hooks));
    }
}

impl Environment {
    /// Creates the environment; `roots` are files with certificates of authorities that may have made the application's own.
    pub(super) fn new(
        softprobe: Softprobe,
        oracle: Option<Arc<dyn Oracle>>,
        tunnels: Option<Tunnels>,
        apps: Apps,
        roots: &[PathBuf],
    ) -> Self {
        Self {
            softprobe,
            oracle,
            tunnels,
            client: Client::to_application(Timeouts::Whole(Duration::from_secs(30)), roots),
            apps,
            sessions: Mutex::default(),
            opened: Condvar::new(),
        }
    }

    /// Returns whether the proxy is in this process.
    pub(super) fn has_proxy(&self) -> bool {
        self.oracle.is_some()
    }

    /// Returns the application of a case.
    pub(super) fn app<'a>(&'a self, trial: &'a Trial) -> AppOfCase<'a> {
        self.apps.of(trial)
    }

    /// Ends the applications that were launched, each in this time at the most, and by force as soon as more than `heeded`
    /// signals have arrived.
    pub(super) fn stop_apps(&self, most: Duration, heeded: usize) {
        self.apps.stop(most, heeded);
    }

    /// Opens a session and sets its policy in one call: between two calls, it would let everything pass.
    pub(super) fn open_session(
        &self,
        policy: &Policy,
        trial: &str,
    ) -> Result<SoftprobeSession, SoftprobeError> {
        self.sessions().opening += 1;
        let session = self
            .softprobe
            .start_session_with_policy(Mode::Replay, policy);
        let mut sessions = self.sessions();
        sessions.opening -= 1;
        if let Ok(session) = &session {
            let of = CaseSession {
                trial: trial.to_owned(),
                is_open: true,
            };
            sessions.known.insert(session.id().to_owned(), of);
        }
        self.opened.notify_all();
        session
    }

    /// Returns the calls that came after the sessions of their cases were closed, each with the name of its trial.
    pub(super) fn late_calls(&self) -> Vec<(String, OutboundCall)> {
        let late = self.oracle.iter().flat_map(|oracle| oracle.take_late());
        let sessions = self.sessions();
        let named = late.filter_map(|late| {
            let session = sessions.known.get(&late.session)?;
            Some((session.trial.clone(), late.call))
        });
        named.collect()
    }

    /// Closes a session, and returns what has happened in it.
    pub(super) fn finish(
        &self,
        session: SoftprobeSession,
    ) -> Result<(SessionStats, Option<AnsweredRequests>), SoftprobeError> {
        if let Some(tunnels) = &self.tunnels {
            tunnels.wait(SLOWEST_REFUSAL);
        }
        let id = session.id().to_owned();
        let finished = session.finish();
        if let Some(known) = self.sessions().known.get_mut(&id) {
            known.is_open = false;
        }
        finished
    }

    /// Closes the sessions that a run which was broken off left open, all at the same time, and those that are only being
    /// opened; waits at most `limit`, since the runtime may be frozen. Returns how many it could not close.
    pub(super) fn close_all(&self, limit: Duration) -> usize {
        let deadline = Instant::now() + limit;
        let left = || deadline.saturating_duration_since(Instant::now());
        let mut sessions = self.sessions();
        while sessions.opening > 0 && !left().is_zero() {
            let waited = self.opened.wait_timeout(sessions, left());
            sessions = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let opening = sessions.opening;
        let open = sessions.known.iter().filter(|(_, session)| session.is_open);
        let open: Vec<String> = open.map(|(id, _)| id.clone()).collect();
        drop(sessions);
        let (closed, are_closed) = mpsc::channel();
        for id in &open {
            let (session, closed) = (self.softprobe.attach(id), closed.clone());
            std::thread::spawn(move || {
                // A session whose case ended by itself is already closed.
                let _ = session.close();
                let _ = closed.send(());
            });
        }
        let in_time = open
            .iter()
            .take_while(|_| are_closed.recv_timeout(left()).is_ok());
        open.len() - in_time.count() + opening
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        // A poisoned lock is safe to use: every change under it is complete before anything can panic.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a session's request to the application, and returns what was sent, and the answer or why
    /// there is none.
    pub(super) fn send(
        &self,
        session: &SoftprobeSession,
        base: &str,
        mut request: Request,
        timeout: Duration,
    ) -> (SentRequest, Result<Response, Unjudged>) {
        let url = request_url(base, &request);
        // A hook may have set any of these headers, but only the runner's own values may be sent.
        for name in [
            SESSION_HEADER,
            "traceparent",
            "tracestate",
            "content-length",
        ] {
            request.headers.remove(name);
        }
        let trace = random_trace();
        if let Some(oracle) = &self.oracle {
            oracle.issue_trace(&trace.trace_id, session.id());
        }
        let headers = &mut request.headers;
        headers.push(SESSION_HEADER, session.id());
        headers.push("traceparent", trace.to_string());
        headers.push("tracestate", format!("{SESSION_HEADER}={}", session.id()));
        let body = Excerpt::of(&request.body);
        let answer = self.client.exchange(
            &request.method,
            &request.headers,
            request.body,
            &url,
            timeout,
        );
        let sent = SentRequest {
            method: request.method,
            url: without_credentials(&url),
            headers: request.headers,
            body,
        };
        let answer = answer.map_err(|why| Unjudged::NoAnswer {
            url: sent.url.clone(),
            why,
        });
        (sent, answer)
    }
}
