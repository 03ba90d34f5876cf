//! Decides what happens to a call: finds its session and asks the runtime.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ambient::Ambient;
use super::correlate::{self, Correlation};
use super::forward::{Failed, Forwarder};
#[cfg(feature = "runner")]
use super::idle::IdleCalls;
use super::running::Running;
use super::tls::Tls;
use crate::base::http::{Direction, Failure, Headers, Host, Request, Response, SESSION_HEADER};
use crate::base::with_causes;
use crate::control::{Oracle, Ruling};
use crate::error::SoftprobeError;
use crate::net::{Callers, HyperResponse, Intake, Manner, Unread, plain, to_hyper};
use crate::rule::{Answer, Policy, Question, RuleState, STRICT_MISS_STATUS, resolve, strict_miss};

/// What the proxy does with calls while no session is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Idle {
    /// Answers them with status 599, so that nothing leaves the machine.
    #[default]
    Refuse,
    /// Forwards them, for applications that make calls while they start.
    Forward,
}

/// What all connections of a proxy share.
pub(super) struct Core {
    pub(super) oracle: Arc<dyn Oracle>,
    pub(super) idle: Idle,
    /// The rules that answer calls of no session that is open.
    pub(super) idle_rules: Vec<RuleState>,
    /// The calls of no session that these did not answer.
    #[cfg(feature = "runner")]
    pub(super) idle_calls: IdleCalls,
    pub(super) forwarder: Forwarder,
    /// Who may call it in the reverse form.
    pub(super) callers: Callers,
    /// What it takes in.
    pub(super) intake: Intake,
    /// The largest body that is recorded, in bytes.
    pub(super) largest_recorded: usize,
    /// The exchanges that are being recorded.
    pub(super) running: Arc<Running>,
    /// What hands over answers that are still arriving, for as long as this lives.
    pub(super) _cut_off: Arc<dyn Fn(&str) + Send + Sync>,
    /// How its connections are served.
    pub(super) manner: Manner,
    /// What it reads TLS with, if it does.
    pub(super) tls: Option<Tls>,
    /// The address at which it listens, if it does.
    pub(super) address: OnceLock<SocketAddr>,
    /// What tells its connections to stop, and counts them.
    pub(super) stopping: OnceLock<(CancellationToken, TaskTracker)>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Core")
    }
}

impl Core {
    /// Returns whether an address of this process is the one at which this proxy listens.
    pub(super) fn is_at(&self, own: Option<SocketAddr>) -> bool {
        own.is_some() && own.as_ref() == self.address.get()
    }

    /// Returns whether calls to a host are let pass whatever session they belong to; none is counted.
    pub(super) fn lets_pass(&self, host: &Host<'_>) -> bool {
        match self.oracle.open_sessions() {
            _ if self.oracle.blocks() => false,
            Ok(open) if open.is_empty() => self.idle == Idle::Forward,
            _ => self.oracle.lets_pass(host),
        }
    }

    /// Asks the oracle: on this thread if that takes no time, else on one that may block.
    ///
    /// # Errors
    ///
    /// The thread's end, if the question made it panic.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Oracle) -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        if !self.oracle.blocks() {
            return Ok(question(self.oracle.as_ref()));
        }
        let oracle = Arc::clone(&self.oracle);
        tokio::task::spawn_blocking(move || question(oracle.as_ref())).await
    }

    /// Runs the task of a tunnel, which its server waits for as for any connection.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        match self.stopping.get() {
            Some((_, tasks)) => drop(tasks.spawn(task)),
            None => drop(tokio::spawn(task)),
        }
    }

    /// Returns what tells a connection to stop.
    pub(super) fn stop(&self) -> CancellationToken {
        let stopping = self.stopping.get();
        stopping.map(|(stop, _)| stop.clone()).unwrap_or_default()
    }
}

/// Returns a function that lists a request that can't be parsed in every open session: it could belong to any
/// of them, and a case that passed without it would prove nothing. One inside a tunnel is listed as the `CONNECT` that the
/// tunnel began with, in the session that this belongs to.
pub(super) fn note_unread(core: &Arc<Core>, tunnel: Option<&Request>) -> Unread {
    let core = Arc::clone(core);
    let way_out = match tunnel {
        Some(_) => "; if it is not HTTP, `tunnel` lets the host's TLS pass unread",
        None => "",
    };
    let request = tunnel.cloned().unwrap_or_else(|| Request {
        method: "?".to_owned(),
        host: "an unreadable request".to_owned(),
        ..Request::default()
    });
    Arc::new(move |why| {
        let request = request.clone();
        let reason = format!("it can't be read as a request: {why}{way_out}");
        let core = Arc::clone(&core);
        Box::pin(async move { note_refused(&core, request, reason).await })
    })
}

/// Refuses a call, and lists it before its client hears of it.
pub(super) async fn refuse(
    core: &Arc<Core>,
    request: Request,
    status: u16,
    why: impl Into<String>,
) -> HyperResponse {
    let why = why.into();
    let refusal = plain(status, &why);
    note_refused(core, request, why).await;
    to_hyper(refusal)
}

/// Returns a call with the session named in a header that it belongs to now, if it does: what is found out about it later
/// is that one's.
pub(super) async fn owned(core: &Arc<Core>, mut request: Request) -> Request {
    let asked = request.clone();
    let owner = core.ask(move |oracle| correlate::correlate(&asked, oracle));
    if let Ok(Ok(Correlation::Session(session))) = owner.await {
        request.headers.set(SESSION_HEADER, session);
    }
    request
}

/// Lists a call that the proxy refuses, before its client is answered, so that no verdict comes before it.
pub(super) async fn note_refused(core: &Arc<Core>, request: Request, reason: String) {
    let noted = core.ask(move |oracle| {
        let session = match correlate::correlate(&request, oracle) {
            Ok(Correlation::Session(session)) => Some(session),
            Ok(Correlation::Ambient(ambient)) => {
                note_ambient(oracle, &request, ambient);
                return;
            }
            Ok(Correlation::Idle) => {
                log::info!("{request} is refused by the proxy: {reason}");
                return;
            }
            Ok(Correlation::None(_)) | Err(_) => None,
        };
        log::warn!("{request} is refused by the proxy: {reason}");
        let noted = oracle.note_refused(session.as_deref(), &request, &reason);
        if let Err(error) = noted {
            log::error!("can't list a refused call: {}", with_causes(&error));
        }
    });
    if let Err(error) = noted.await {
        log::error!("can't list a refused call: {error}");
    }
}

/// Returns the answer to a call that was forwarded in vain, once it is listed in its session: what a case makes of it says
/// little.
pub(super) async fn failed(
    core: &Arc<Core>,
    request: Arc<Request>,
    Failed { answer, .. }: Failed,
) -> HyperResponse {
    let text = String::from_utf8_lossy(&answer.body);
    let why = text
        .strip_prefix("softprobe: ")
        .unwrap_or(&text)
        .trim()
        .to_owned();
    let noted = core.ask(move |oracle| {
        if let Ok(Correlation::Session(session)) = correlate::correlate(&request, oracle) {
            oracle.note_failed(&session, &request, &why);
        }
    });
    if let Err(error) = noted.await {
        log::error!("can't list a call that failed: {error}");
    }
    to_hyper(answer)
}

/// Lists a call that is the application's own business, and returns its answer; `None` if it is forwarded.
fn note_ambient(oracle: &dyn Oracle, request: &Request, ambient: Ambient) -> Option<Response> {
    log::info!("{request} is ambient: {}", ambient.reason());
    oracle.note_ambient(request, ambient.reason());
    ambient.answer(request)
}

/// Returns the answer to a call that is the application's own business, if it is not forwarded; `None` for any other
/// call.
pub(super) fn answer_ambient(core: &Core, request: &Request) -> Option<Response> {
    let oracle = core.oracle.as_ref();
    let ambient = correlate::ambient(request, oracle)?;
    if matches!(ambient, Ambient::TelemetryTunnel) {
        // An exporter gets a better answer to what it sends in the tunnel.
        return None;
    }
    ambient.answer(request)?;
    note_ambient(oracle, request, ambient)
}

/// How a call is handled.
#[derive(Debug)]
pub(super) struct Handling {
    pub(super) act: Act,
    /// The session that the exchange is recorded for, if any.
    pub(super) records: Option<String>,
    /// The session in which a call that is forwarded is listed, and its index there.
    pub(super) listed: Option<(String, usize)>,
}

/// What the proxy does with a call.
#[derive(Debug)]
pub(super) enum Act {
    /// Answers it, after a delay.
    Respond(Arc<Response>, Duration),
    /// Breaks the exchange.
    Break(Failure, Arc<Response>),
    /// Sends it on.
    Forward,
}

impl From<Act> for Handling {
    fn from(act: Act) -> Self {
        Self {
            act,
            records: None,
            listed: None,
        }
    }
}

impl Act {
    fn at_once(response: impl Into<Arc<Response>>) -> Self {
        Self::Respond(response.into(), Duration::ZERO)
    }
}

/// The largest body, in bytes, that takes less time to search than to hand to another thread.
const SMALL_BODY: usize = 64 * 1024;

/// Decides how a call is handled: on this thread if that takes no time, else on one that may block.
pub(super) async fn decide(core: &Arc<Core>, request: &Arc<Request>) -> Handling {
    if !core.oracle.blocks() && request.body.len() <= SMALL_BODY {
        return decide_now(core, request);
    }
    let (core, request) = (Arc::clone(core), Arc::clone(request));
    let decided = tokio::task::spawn_blocking(move || decide_now(&core, &request)).await;
    decided.unwrap_or_else(|error| {
        let message = format!("the decision on this call failed: {error}");
        Act::at_once(plain(502, &message)).into()
    })
}

fn decide_now(core: &Core, request: &Arc<Request>) -> Handling {
    try_to_decide(core, request).unwrap_or_else(|error| {
        let message = format!("{request}: {}", with_causes(&error));
        log::error!("{message}");
        Act::at_once(plain(502, &message)).into()
    })
}

fn try_to_decide(core: &Core, request: &Arc<Request>) -> Result<Handling, SoftprobeError> {
    let oracle = core.oracle.as_ref();
    let misfit = match correlate::correlate(request, oracle)? {
        Correlation::Session(session) => {
            // A session that is only being set up has no rules yet, not even those of what is shared.
            if !core.idle_rules.is_empty()
                && !oracle.expects(&session, request)
                && let Some(act) = shared_answer(core, request)
            {
                return Ok(act.into());
            }
            let ruling = match oracle.decide(&session, request)? {
                // What is shared answers late calls too.
                None => match shared_answer(core, request) {
                    Some(act) => return Ok(act.into()),
                    None => oracle.decide_late(&session, request),
                },
                ruling => ruling,
            };
            match ruling {
                Some(ruling) => return Ok(carry_out(ruling, request, session)),
                None => correlate::unknown(&session, oracle)?,
            }
        }
        Correlation::Ambient(ambient) => {
            if let Some(act) = shared_answer(core, request) {
                return Ok(act.into());
            }
            let answer = note_ambient(oracle, request, ambient);
            let answer = answer.filter(|_| oracle.owner_of_others().is_none());
            return Ok(answer.map_or(Act::Forward, Act::at_once).into());
        }
        Correlation::Idle => None,
        Correlation::None(reason) => Some(reason),
    };
    if let Some(owner) = oracle.owner_of_others() {
        if let Some(reason) = misfit {
            oracle.note_uncorrelated(request, &reason)?;
        }
        return Ok(Handling {
            act: Act::Forward,
            records: Some(owner),
            listed: None,
        });
    }
    let passes = match misfit {
        Some(reason) => {
            log::warn!("{request} belongs to no session: {reason}");
            oracle.note_uncorrelated(request, &reason)?
        }
        None => return Ok(decide_idle(core, request).into()),
    };
    let act = match passes {
        true => Act::Forward,
        false => Act::at_once(strict_miss(request, "")),
    };
    Ok(act.into())
}

fn carry_out(ruling: Ruling, request: &Request, session: String) -> Handling {
    let Ruling {
        answer,
        rule,
        nearest,
        call,
        records,
    } = ruling;
    if log::log_enabled!(log::Level::Debug) {
        let by = rule.map_or(String::new(), |rule| format!(" by `{rule}`"));
        let near = nearest.map_or(String::new(), |near| {
            format!("; `{}` differs on {}", near.rule, near.difference.field)
        });
        let word = answer.word();
        log::debug!("session {session}: {request} -> {word}{by}{near}");
    }
    let records = (records && answer != Answer::Miss).then(|| session.clone());
    let forwards = answer == Answer::Forward;
    let listed = call
        .filter(|_| forwards)
        .map(|call| (session.clone(), call));
    let act = match answer {
        Answer::Mock { response, latency } => Act::Respond(response, latency),
        Answer::Error(response) => Act::at_once(response),
        Answer::Fault(failure, response) => Act::Break(failure, response),
        Answer::Forward => Act::Forward,
        Answer::Miss => Act::at_once(strict_miss(request, &session)),
    };
    Handling {
        act,
        records,
        listed,
    }
}

/// Returns the answer of the exchanges that are shared by all cases, if one is for this call.
fn shared_answer(core: &Core, request: &Request) -> Option<Act> {
    let question = Question::new(request, Direction::Outbound, "", None, &[]);
    let decision = resolve(&question, &Policy::default(), &[], &core.idle_rules);
    match decision.answer {
        Answer::Mock { response, latency } => Some(Act::Respond(response, latency)),
        Answer::Fault(failure, response) => Some(Act::Break(failure, response)),
        _ => None,
    }
}

/// Decides about a call while no session is open.
fn decide_idle(core: &Core, request: &Request) -> Act {
    if let Some(act) = shared_answer(core, request) {
        return act;
    }
    #[cfg(feature = "runner")]
    core.idle_calls.note(request, core.idle == Idle::Forward);
    match core.idle {
        Idle::Refuse => Act::at_once(idle(request)),
        Idle::Forward => Act::Forward,
    }
}

/// Returns the answer to a call while no session is open.
fn idle(request: &Request) -> Response {
    let body = serde_json::json!({
        "error": "no session is open; nothing is forwarded until one is",
        "request": {"method": request.method, "host": request.host, "path": request.path},
    });
    Response {
        status: STRICT_MISS_STATUS,
        headers: Headers::from_iter([("content-type", "application/json")]),
        body: body.to_string().into_bytes(),
        trailers: Headers::new(),
    }
}
