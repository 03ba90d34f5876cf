//! A recording: from the requests that arrive to the cases that are written.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::files::{Destination, Files, shown};
use super::gate::{Gate, Maker};
use super::lock;
use super::owners::Owners;
use super::shape::route;
use super::summary::Summary;
use super::trust::Concurrency;
use crate::base::http::Request;
use crate::base::with_causes;
use crate::control::{Mode, Oracle, Runtime as _};
use crate::error::SoftprobeError;
use crate::net::{MadeBy, Server, random_trace};
use crate::proxy::{Admitted, Arrivals, Proxy, Running, names_session};
use crate::runtime::EmbeddedRuntime;
use crate::suite::Masked;

/// How long calls whose request is over may take to be answered: as long as any upstream may.
const SLOWEST_CALLS: Duration = Duration::from_secs(65);

/// How long an answer that goes on may hold up other requests.
const LONGEST_STREAM: Duration = Duration::from_secs(5);
/// How long a request may wait without a word about it.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How a recording is made.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) concurrency: Concurrency,
    /// How long after its answer calls belong to a request.
    pub(crate) settle: Duration,
    pub(crate) destination: Destination,
}

/// A recording.
#[derive(Debug, Clone)]
pub(crate) struct Recorder(Arc<Shared>);

struct Shared {
    runtime: EmbeddedRuntime,
    gate: Arc<Gate>,
    owners: Arc<Owners>,
    /// The session that records what belongs to no request.
    others: String,
    settle: Duration,
    /// Cancelled when nothing is waited for any more.
    hurry: CancellationToken,
    files: Mutex<Files>,
    running: Mutex<Option<Arc<Running>>>,
    /// The requests of the sessions whose cases are not written yet, for display.
    requests: Mutex<BTreeMap<String, String>>,
    made_by: Mutex<Option<MadeBy>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

/// Waits on this thread for what a server's own threads do, for as long as `goes_on` says.
fn wait(
    server: &Server,
    work: impl Future<Output = ()> + Send + 'static,
    mut goes_on: impl FnMut() -> bool,
) {
    /// How often that is asked.
    const PAUSE: Duration = Duration::from_millis(50);
    let (tell, told) = mpsc::channel();
    server.spawn(async move {
        work.await;
        let _ = tell.send(());
    });
    while told.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) && goes_on() {}
}

impl Recorder {
    /// Creates a recording.
    ///
    /// # Errors
    ///
    /// The file or folder that can't be used, and why.
    pub(crate) fn new(settings: Settings) -> Result<Self, (PathBuf, String)> {
        let Settings {
            concurrency,
            settle,
            destination,
        } = settings;
        let folder = destination.folder.clone();
        let files = Files::new(destination)?;
        let runtime = EmbeddedRuntime::new();
        let others = runtime.start(Mode::Capture, None);
        let others = others.map_err(|error| (folder, with_causes(&error)))?;
        let gate = Arc::new(Gate::new(concurrency));
        let owners = Owners::new(runtime.oracle(), Arc::clone(&gate), others.clone());
        let shared = Arc::new(Shared {
            runtime,
            gate,
            owners: Arc::new(owners),
            others,
            settle,
            hurry: CancellationToken::new(),
            files: Mutex::new(files),
            running: Mutex::default(),
            requests: Mutex::default(),
            made_by: Mutex::default(),
        });
        let weak = Arc::downgrade(&shared);
        shared.owners.when_answered(Arc::new(move |session: &str| {
            if let Some(shared) = weak.upgrade() {
                shared.answered(session);
            }
        }));
        Ok(Self(shared))
    }

    /// Returns what the proxy asks about each call.
    pub(crate) fn oracle(&self) -> Arc<dyn Oracle> {
        Arc::clone(&self.0.owners) as Arc<dyn Oracle>
    }

    /// Listens in front of the application at a URL, whose calls come to this proxy. `made_by` says whether the application
    /// itself, or the proxy for it, has made a connection; `None` where that can't be found out.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Listen`] when it can't listen on the address.
    pub(crate) fn listen(
        &self,
        proxy: &Proxy,
        address: &str,
        application: &str,
        made_by: MadeBy,
    ) -> Result<Server, SoftprobeError> {
        *lock(&self.0.running) = Some(proxy.running());
        *lock(&self.0.made_by) = Some(made_by);
        proxy.ingress(
            address,
            application,
            Arc::clone(&self.0) as Arc<dyn Arrivals>,
        )
    }

    /// Returns how many cases were recorded, and how many requests run.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (
            self.0.owners.summary().recorded.len(),
            self.0.gate.running(),
        )
    }

    /// Returns the cases that were recorded from this one on, for display.
    pub(crate) fn recorded_since(&self, from: usize) -> Vec<super::summary::Recorded> {
        let summary = self.0.owners.summary();
        summary.recorded.get(from..).unwrap_or_default().to_vec()
    }

    /// Waits until the requests that run or wait are over, and lets no more of them through. It takes `limit` at the most. Once
    /// a signal has arrived, neither calls that come after their answers nor the ends of answers are waited for, and requests
    /// without an answer have `grace`; once two have, nothing is waited for.
    pub(crate) fn close(
        &self,
        server: &Server,
        limit: Duration,
        grace: Duration,
        signals: impl Fn() -> usize,
    ) {
        let mut deadline = Instant::now() + limit;
        let mut is_hurried = false;
        let gate = Arc::clone(&self.0.gate);
        wait(server, async move { gate.idle().await }, || {
            if !is_hurried && signals() > 0 {
                is_hurried = true;
                self.hurry(server);
                deadline = deadline.min(Instant::now() + grace);
            }
            Instant::now() < deadline
        });
        self.0.gate.close();
        // What was answered is written.
        let gate = Arc::clone(&self.0.gate);
        let deadline = Instant::now() + limit;
        wait(server, async move { gate.settled().await }, || {
            signals() < 2 && Instant::now() < deadline
        });
    }

    fn hurry(&self, server: &Server) {
        self.0.hurry.cancel();
        let running = lock(&self.0.running).clone();
        // Where the answers are recorded, tasks are begun.
        server.spawn(async move {
            if let Some(running) = running {
                running.cut_off_all();
            }
        });
    }

    /// Ends the recording, and returns what came of it and what was masked.
    pub(crate) fn finish(&self) -> (Summary, Masked) {
        self.0.finish()
    }
}

impl Shared {
    /// Waits for the calls that still come, and writes the case. Called where the answer was recorded.
    fn answered(self: Arc<Self>, session: &str) {
        self.gate.answered(session);
        let session = session.to_owned();
        // What is cut off when the recording has ended already is not written.
        let Ok(threads) = tokio::runtime::Handle::try_current() else {
            return;
        };
        threads.spawn(async move {
            let hurried = tokio::time::timeout(self.settle, self.hurry.cancelled());
            let mut limit = SLOWEST_CALLS;
            if hurried.await.is_ok() {
                limit = Duration::ZERO;
            }
            let running = lock(&self.running).clone();
            if let Some(running) = running {
                tokio::select! {
                    _ = running.settled(&session, limit) => {}
                    () = self.hurry.cancelled() => {}
                }
            }
            // What comes from now on belongs to it no more.
            self.gate.leave(&session);
            let own = Arc::clone(&self);
            let written = session.clone();
            let written = tokio::task::spawn_blocking(move || own.write(&written));
            if let Err(error) = written.await {
                log::error!("session {session}: {error}");
            }
            self.gate.written();
        });
    }

    fn write(&self, session: &str) {
        let document = self.runtime.close_with_case(session);
        let document = document.map_err(|error| with_causes(&error));
        let mut files = lock(&self.files);
        let mut came = Summary::default();
        let written = match document {
            Ok(document) => files.write(session, document, &mut came),
            Err(why) => Err(("a request".to_owned(), why)),
        };
        // Under the lock, so that nothing is written that the summary does not tell.
        let mut summary = self.owners.summary();
        summary.recorded.append(&mut came.recorded);
        summary.alike += came.alike;
        summary.host = summary.host.take().or(came.host);
        if let Err((what, why)) = written {
            log::warn!("{what}: {why}");
            summary.lose(what, why);
        }
        drop(summary);
        drop(files);
        lock(&self.requests).remove(session);
    }

    /// Lets others through beside a request whose answer goes on without an end in sight.
    fn watch(self: &Arc<Self>, session: &str, shown: &str) {
        let (own, session, shown) = (Arc::downgrade(self), session.to_owned(), shown.to_owned());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LONGEST_STREAM).await;
                let Some(own) = own.upgrade().filter(|own| own.gate.is_open(&session)) else {
                    return;
                };
                let running = lock(&own.running).clone();
                if !running.is_some_and(|running| running.is_streaming(&session)) {
                    continue;
                }
                if own.gate.streams(&session) {
                    let note = format!(
                        "{shown}: its answer went on, so that other requests were let through beside it"
                    );
                    own.owners.summary().note(note);
                }
                return;
            }
        });
    }

    fn finish(&self) -> (Summary, Masked) {
        let mut files = lock(&self.files);
        files.close();
        let mut summary = std::mem::take(&mut *self.owners.summary());
        files.move_out(&self.owners.misplaced(), &mut summary);
        for (session, request) in std::mem::take(&mut *lock(&self.requests)) {
            // It is closed, whatever it has.
            let _ = self.runtime.close_with_case(&session);
            let why = "the recording ended before its answer";
            summary.lose(request, why.to_owned());
        }
        let (count, dropped) = self.owners.outside();
        summary.shared_dropped = dropped;
        if count > 0 {
            let document = self.runtime.close_with_case(&self.others);
            let document = document.map_err(|error| with_causes(&error));
            match document.and_then(|document| files.write_others(document)) {
                Ok(file) => summary.shared = Some((count, file)),
                Err(why) => summary.lose("the calls that belong to no request".to_owned(), why),
            }
        }
        files.finish(&mut summary);
        summary.has_unnamed = self.gate.has_unnamed();
        (summary, std::mem::take(&mut files.masked))
    }

    async fn let_through(
        self: Arc<Self>,
        request: Arc<Request>,
        client: Option<SocketAddr>,
    ) -> Result<Admitted, String> {
        const OVER: &str = "the recording is over";
        let session = self.runtime.start(Mode::Capture, None);
        let session = session.map_err(|error| with_causes(&error))?;
        let trace = random_trace();
        self.runtime.issue_trace(&trace.trace_id, &session);
        let route = route(&request);
        let shown = shown(&request);
        lock(&self.requests).insert(session.clone(), shown.clone());
        let named = names_session(&request.headers, &self.runtime);
        let arrived = Instant::now();
        if let Some(cause) = named.filter(|named| self.gate.is_open(named)) {
            self.gate.enter_nested(&session, &route, &cause);
        } else {
            let made_by = lock(&self.made_by).clone();
            let made_by = move || match (made_by, client) {
                (Some(made_by), Some(client)) => match made_by(client) {
                    Some(true) => Maker::Application,
                    Some(false) => Maker::Other,
                    None => Maker::Unknown,
                },
                _ => Maker::Unknown,
            };
            if !self.gate.enter(&session, &route, made_by).await {
                let _ = self.runtime.close_with_case(&session);
                lock(&self.requests).remove(&session);
                self.owners.summary().lose(shown, OVER.to_owned());
                return Err(OVER.to_owned());
            }
        }
        let waited = arrived.elapsed();
        if waited >= LONGEST_WAIT {
            let note = format!(
                "{shown} waited {} s for those before it: requests go one at a time until calls have shown that they carry \
                 the trace headers on; --concurrency parallel lets all through",
                waited.as_secs()
            );
            self.owners.summary().note(note);
        }
        self.watch(&session, &shown);
        Ok(Admitted { session, trace })
    }
}

impl Arrivals for Shared {
    fn admit(
        self: Arc<Self>,
        request: Arc<Request>,
        client: Option<SocketAddr>,
    ) -> Pin<Box<dyn Future<Output = Result<Admitted, String>> + Send>> {
        Box::pin(self.let_through(request, client))
    }
}
