//! What the author of a test holds: [`Softprobe`] opens sessions, [`SoftprobeSession`] works on one.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::case::{CapturedHit, Case, Predicate};
use crate::client::{HttpRuntime, Token};
use crate::control::{Action, Call, Closing, Mode, Runtime};
use crate::error::{CaseLoadError, SoftprobeError};
use crate::json::mask_secret_headers;
use crate::mock::Mock;
use crate::rule::Policy;
use crate::stats::SessionStats;

const DEFAULT_BASE_URL: &str = "https://runtime.softprobe.dev";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// A runtime to open sessions in.
///
/// ```no_run
/// use softprobe::{Mode, Mock, Predicate, Softprobe};
///
/// # fn main() -> Result<(), softprobe::SoftprobeError> {
/// let softprobe = Softprobe::new();
/// softprobe.with_session(Mode::Replay, |session| {
///     session.load_case_from_file("cases/checkout.case.json")?;
///     let stripe = Predicate::outbound().host_suffix("stripe.com");
///     let hit = session.find_in_case(&stripe)?;
///     session.mock_outbound(Mock::new(stripe).response(&hit))
/// })
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Softprobe {
    runtime: Arc<dyn Runtime>,
}

impl Default for Softprobe {
    fn default() -> Self {
        Self::new()
    }
}

impl Softprobe {
    /// The runtime that `SOFTPROBE_RUNTIME_URL` names, else `https://runtime.softprobe.dev`, with the
    /// token of `SOFTPROBE_API_TOKEN` and a timeout of five seconds.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A runtime whose address, timeout or token is given in code.
    pub fn builder() -> SoftprobeBuilder {
        SoftprobeBuilder::default()
    }

    /// Any runtime: the embedded one, or one of your own making.
    pub fn with_runtime(runtime: Arc<dyn Runtime>) -> Self {
        crate::logging::init();
        Self { runtime }
    }

    /// Opens a session.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Unreachable`] when no runtime answers, [`SoftprobeError::Runtime`] when it
    /// refuses.
    pub fn start_session(&self, mode: Mode) -> Result<SoftprobeSession, SoftprobeError> {
        self.start(mode, &Call::start(mode))
    }

    /// Opens a session that is under this policy from its first moment.
    ///
    /// # Errors
    ///
    /// As [`start_session`](Self::start_session).
    pub fn start_session_under(
        &self,
        mode: Mode,
        policy: &Policy,
    ) -> Result<SoftprobeSession, SoftprobeError> {
        self.start(mode, &Call::start_under(mode, &policy.to_value()))
    }

    fn start(&self, mode: Mode, call: &Call) -> Result<SoftprobeSession, SoftprobeError> {
        let answer = self.runtime.call(call)?;
        let id = answer.get("sessionId").and_then(Value::as_str);
        let id = id.ok_or_else(|| SoftprobeError::Protocol {
            url: self.runtime.address().to_owned(),
            message: "the new session has no sessionId".to_owned(),
        })?;
        log::debug!("session {id}: started in mode {mode}");
        Ok(SoftprobeSession::new(id, &self.runtime))
    }

    /// The session of that id, without a call; it is not closed when it is dropped, since somebody
    /// else opened it.
    pub fn attach(&self, id: &str) -> SoftprobeSession {
        let mut session = SoftprobeSession::new(id, &self.runtime);
        session.closes_on_drop = false;
        session
    }

    /// Opens a session for a closure and closes it behind, whatever the closure returned.
    ///
    /// # Errors
    ///
    /// The closure's error; else what opening or closing failed with.
    pub fn with_session<T, E: From<SoftprobeError>>(
        &self,
        mode: Mode,
        work: impl FnOnce(&SoftprobeSession) -> Result<T, E>,
    ) -> Result<T, E> {
        let session = self.start_session(mode)?;
        // On an error, dropping the session closes it, and the closure's error is the one to tell.
        let value = work(&session)?;
        session.close()?;
        Ok(value)
    }
}

/// How [`Softprobe`] reaches its runtime.
#[derive(Debug, Clone, Default)]
pub struct SoftprobeBuilder {
    base_url: Option<String>,
    timeout: Option<Duration>,
    token: Option<Token>,
}

impl SoftprobeBuilder {
    /// The runtime's base URL, without `/v1`.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// How long each phase of a call may take; five seconds when it is not given.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The bearer token.
    #[must_use]
    pub fn api_token(mut self, token: &str) -> Self {
        self.token = Token::new(token);
        self
    }

    /// The finished value; nothing is sent yet.
    pub fn build(self) -> Softprobe {
        Softprobe::with_runtime(Arc::new(self.runtime()))
    }

    /// The runtime alone, for a [proxy](crate::Proxy::start_remote) in front of it.
    pub fn runtime(self) -> HttpRuntime {
        let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
        let base = self
            .base_url
            .or_else(|| variable("SOFTPROBE_RUNTIME_URL"))
            .unwrap_or_else(|| DEFAULT_BASE_URL.to_owned());
        let token = self
            .token
            .or_else(|| Token::new(&variable("SOFTPROBE_API_TOKEN")?));
        let timeout = self.timeout.unwrap_or(DEFAULT_TIMEOUT);
        HttpRuntime::new(&base, token, timeout)
    }
}

/// One session of a runtime. It may be shared between threads; dropping it closes it.
#[derive(Debug)]
pub struct SoftprobeSession {
    id: String,
    runtime: Arc<dyn Runtime>,
    closes_on_drop: bool,
    local: Mutex<Local>,
}

/// What the session keeps on this side.
#[derive(Debug, Default)]
struct Local {
    case: Option<Arc<Case>>,
    /// The whole list of rules: the wire replaces, so that merging is done here.
    rules: Vec<Value>,
}

impl SoftprobeSession {
    fn new(id: &str, runtime: &Arc<dyn Runtime>) -> Self {
        Self {
            id: id.to_owned(),
            runtime: Arc::clone(runtime),
            closes_on_drop: true,
            local: Mutex::default(),
        }
    }

    /// The session's id: what the application's request carries as `x-softprobe-session-id`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Reads a case file and loads it into the session.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::CaseLoad`] names the file and the place in it.
    pub fn load_case_from_file(&self, path: impl AsRef<Path>) -> Result<(), SoftprobeError> {
        self.load(Arc::new(read_case(path.as_ref())?))
    }

    /// Loads a case document into the session.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::CaseLoad`] names the place in the document.
    pub fn load_case(&self, document: Value) -> Result<(), SoftprobeError> {
        let case = Case::from_document(document)
            .map_err(|e| CaseLoadError::content(Path::new("<document>"), e))?;
        self.load(Arc::new(case))
    }

    /// Loads a case that has been read already.
    ///
    /// # Errors
    ///
    /// What the runtime refuses.
    pub fn load(&self, case: Arc<Case>) -> Result<(), SoftprobeError> {
        let mut local = self.local();
        self.call(Action::LoadCase(case.document().clone()))?;
        log::debug!("session {}: loaded case {}", self.id, case.id);
        local.case = Some(case);
        Ok(())
    }

    /// The one captured exchange that the predicate fits.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::CaseLookup`] when none or several fit: its `matches` are those spans.
    pub fn find_in_case(&self, predicate: &Predicate) -> Result<CapturedHit, SoftprobeError> {
        Ok(self.case()?.find(predicate)?)
    }

    /// Every captured exchange that the predicate fits, in captured order, perhaps none.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::CaseLookup`] when one of them has no status.
    pub fn find_all_in_case(
        &self,
        predicate: &Predicate,
    ) -> Result<Vec<CapturedHit>, SoftprobeError> {
        Ok(self.case()?.find_all(predicate)?)
    }

    /// Adds a mock to those of the session.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Runtime`] with status 400 when the rule does not fit; the session's other
    /// mocks stay as they were.
    pub fn mock_outbound(&self, mock: Mock) -> Result<(), SoftprobeError> {
        self.mock_all(vec![mock])
    }

    /// Adds several mocks in one call, in order: on a tie the later one answers.
    ///
    /// # Errors
    ///
    /// As [`mock_outbound`](Self::mock_outbound).
    pub fn mock_all(&self, mocks: Vec<Mock>) -> Result<(), SoftprobeError> {
        let mut local = self.local();
        let mut rules = local.rules.clone();
        for mock in mocks {
            let rule = mock.into_rule()?;
            log::debug!(
                "session {}: mock {} when {}",
                self.id,
                rule["name"],
                masked_when(&rule["when"])
            );
            rules.push(rule);
        }
        self.send_rules(&rules)?;
        local.rules = rules;
        Ok(())
    }

    /// Removes every mock of the session.
    ///
    /// # Errors
    ///
    /// What the runtime refuses.
    pub fn clear_rules(&self) -> Result<(), SoftprobeError> {
        let mut local = self.local();
        self.send_rules(&[])?;
        local.rules.clear();
        Ok(())
    }

    /// Replaces the session's policy.
    ///
    /// # Errors
    ///
    /// What the runtime refuses.
    pub fn set_policy(&self, policy: &Policy) -> Result<(), SoftprobeError> {
        self.call(Action::SetPolicy(policy.to_value())).map(drop)
    }

    /// Replaces the session's auth fixtures: `{"tokens", "cookies", "metadata"}` or
    /// `{"fixtures": [{"name", "value"}]}`.
    ///
    /// # Errors
    ///
    /// What the runtime refuses.
    pub fn set_auth_fixtures(&self, fixtures: &impl Serialize) -> Result<(), SoftprobeError> {
        let fixtures = serde_json::to_value(fixtures).map_err(SoftprobeError::Body)?;
        self.call(Action::SetAuthFixtures(fixtures)).map(drop)
    }

    /// What has happened in the session.
    ///
    /// # Errors
    ///
    /// What the runtime refuses.
    pub fn stats(&self) -> Result<SessionStats, SoftprobeError> {
        let answer = self.call(Action::Stats)?;
        let stats = answer.get("stats").cloned().unwrap_or_default();
        serde_json::from_value(stats).map_err(|error| SoftprobeError::Protocol {
            url: self.runtime.address().to_owned(),
            message: format!("its stats can't be read ({error})"),
        })
    }

    /// Closes the session; a second close, and any call behind it, is a 404.
    ///
    /// # Errors
    ///
    /// What the runtime refuses.
    pub fn close(mut self) -> Result<(), SoftprobeError> {
        self.closes_on_drop = false;
        let closed = self.call(Action::Close(Closing::default())).map(drop);
        log::debug!("session {}: closed", self.id);
        closed
    }

    /// The case that a capture session has recorded so far, as a document for a case file.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Runtime`] with status 400 when the session captures nothing.
    pub fn captured_case(&self) -> Result<Value, SoftprobeError> {
        self.call(Action::Case)
    }

    /// Closes a capture session and returns the case that it recorded.
    ///
    /// # Errors
    ///
    /// What the runtime refuses; [`SoftprobeError::Protocol`] when its answer has no case.
    pub fn close_with_case(mut self) -> Result<Value, SoftprobeError> {
        let closing = Closing {
            include_case: true,
            ..Closing::default()
        };
        let mut answer = self.call(Action::Close(closing))?;
        self.closes_on_drop = false;
        log::debug!("session {}: closed", self.id);
        match answer.get_mut("case").map(Value::take) {
            Some(case) => Ok(case),
            None => Err(SoftprobeError::Protocol {
                url: self.runtime.address().to_owned(),
                message: "the closed session has no case".to_owned(),
            }),
        }
    }

    fn send_rules(&self, rules: &[Value]) -> Result<(), SoftprobeError> {
        let document = json!({"version": 1, "rules": rules});
        self.call(Action::SetRules(document)).map(drop)
    }

    fn call(&self, action: Action) -> Result<Value, SoftprobeError> {
        self.runtime.call(&Call::on(&self.id, action))
    }

    fn case(&self) -> Result<Arc<Case>, SoftprobeError> {
        self.local().case.clone().ok_or(SoftprobeError::NoCase)
    }

    fn local(&self) -> MutexGuard<'_, Local> {
        // A panic elsewhere leaves nothing half-done here: state changes after its call succeeded.
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SoftprobeSession {
    fn drop(&mut self) {
        if !self.closes_on_drop {
            return;
        }
        match self.call(Action::Close(Closing::default())) {
            Ok(_) => log::debug!("session {}: closed", self.id),
            Err(error) if error.is_unknown_session() => {}
            Err(error) => log::warn!("session {}: can't be closed: {error}", self.id),
        }
    }
}

/// The predicates of a rule as a log may show them.
fn masked_when(when: &Value) -> Value {
    let mut when = when.clone();
    mask_secret_headers(&mut when);
    when
}

/// Reads a case file.
///
/// # Errors
///
/// [`CaseLoadError`] names the file and the place in it.
pub fn read_case(path: &Path) -> Result<Case, CaseLoadError> {
    let text = std::fs::read_to_string(path).map_err(|e| CaseLoadError::io(path, e))?;
    Case::parse(&text).map_err(|e| CaseLoadError::content(path, e))
}

/// One session for the tests of a module, as a `static`.
///
/// The first test that asks opens it; tests that run at the same time share it; the last one that
/// lets go closes it. A test that comes later still gets a fresh one from the same function, so that
/// no session is ever left open.
///
/// ```no_run
/// use softprobe::{Mode, ModuleSession, Softprobe};
///
/// static SESSION: ModuleSession = ModuleSession::new(|| {
///     let session = Softprobe::new().start_session(Mode::Replay)?;
///     session.load_case_from_file("cases/checkout.case.json")?;
///     Ok(session)
/// });
///
/// #[test]
/// fn checkout_pays() {
///     let session = SESSION.get().unwrap();
///     assert!(session.id().starts_with("sess_"));
/// }
/// ```
#[derive(Debug)]
pub struct ModuleSession {
    open: fn() -> Result<SoftprobeSession, SoftprobeError>,
    current: Mutex<Weak<SoftprobeSession>>,
}

impl ModuleSession {
    /// A session that `open` opens when it is first wanted.
    pub const fn new(open: fn() -> Result<SoftprobeSession, SoftprobeError>) -> Self {
        Self {
            open,
            current: Mutex::new(Weak::new()),
        }
    }

    /// The session, for as long as the caller holds it.
    ///
    /// # Errors
    ///
    /// What opening it failed with.
    pub fn get(&self) -> Result<Arc<SoftprobeSession>, SoftprobeError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = current.upgrade() {
            return Ok(session);
        }
        let session = Arc::new((self.open)()?);
        *current = Arc::downgrade(&session);
        Ok(session)
    }
}
