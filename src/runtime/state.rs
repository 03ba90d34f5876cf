//! The sessions themselves, and what each call of the control API does to them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use serde_json::{Value, json};

use super::{Oracle, Verdict};
use crate::case::Case;
use crate::control::{Action, Call, ControlError, Mode, Runtime, SCHEMA_VERSION, SPEC_VERSION};
use crate::error::{RuntimeError, SoftprobeError};
use crate::http::Request;
use crate::reader::{Node, Place, Problems};
use crate::rule::{
    Answer, Decision, Difference, Layer, Nearest, Policy, Question, Rule, RuleState, resolve,
};

const MOST_SESSIONS: usize = 10_000;
/// Calls and misses that a session lists; the counters go on.
const MOST_LISTED: usize = 1_000;

/// A runtime inside this process. Clones share their sessions.
#[derive(Clone, Default)]
pub struct EmbeddedRuntime {
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for EmbeddedRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedRuntime")
            .field("sessions", &self.lock().sessions.len())
            .finish()
    }
}

#[derive(Default)]
struct State {
    sessions: HashMap<String, Session>,
    started: u64,
    traces: HashMap<String, String>,
}

struct Session {
    /// The order in which sessions were started.
    number: u64,
    mode: Mode,
    revision: u64,
    policy: Policy,
    policy_document: Value,
    case: Option<LoadedCase>,
    rules: Vec<RuleState>,
    rules_document: Value,
    auth_fixtures: Value,
    record: Record,
}

/// What is kept of a case: its spans answer no request.
struct LoadedCase {
    id: String,
    traces: usize,
    service: Option<String>,
    rules: Vec<RuleState>,
}

/// What has happened in a session.
#[derive(Default)]
struct Record {
    injected: u64,
    strict_misses: u64,
    misses: Vec<(Seen, u64, Option<Nearest>)>,
    calls: Vec<Value>,
    uncorrelated: Vec<Value>,
}

/// A call as stats list it.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Seen {
    method: String,
    host: String,
    path: String,
}

impl Seen {
    fn of(request: &Request) -> Self {
        Self {
            method: request.method.clone(),
            host: request.host.clone(),
            path: request.target(),
        }
    }

    fn to_value(&self) -> Value {
        let Self { method, host, path } = self;
        json!({"method": method, "host": host, "path": path})
    }
}

impl EmbeddedRuntime {
    /// A runtime without sessions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ties a trace id to a session, so that calls of that trace are the session's.
    pub fn issue_trace(&self, trace_id: &str, session: &str) {
        self.lock()
            .traces
            .insert(trace_id.to_owned(), session.to_owned());
    }

    /// Closes every session that is open, and says how many there were.
    pub fn close_all(&self) -> usize {
        let mut state = self.lock();
        let open = state.sessions.len();
        state.sessions.clear();
        open
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change under this lock is complete before anything in it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries a call out.
    ///
    /// # Errors
    ///
    /// As the contract's table of errors has them.
    pub fn handle(&self, call: &Call) -> Result<Value, ControlError> {
        match call {
            Call::Health => Ok(json!({
                "status": "ok",
                "specVersion": SPEC_VERSION,
                "schemaVersion": SCHEMA_VERSION,
            })),
            Call::Meta => Ok(json!({
                "runtimeVersion": env!("CARGO_PKG_VERSION"),
                "specVersion": SPEC_VERSION,
                "schemaVersion": SCHEMA_VERSION,
            })),
            Call::Start { body } => self.start(body),
            Call::Sessions => Ok(self.list()),
            Call::Session { id, action } => self.act(id, action),
        }
    }

    fn start(&self, body: &Value) -> Result<Value, ControlError> {
        let mut problems = Problems::default();
        let start = read_start(body, &mut problems);
        let (mode, policy, policy_document) = problems.into_result(start).map_err(invalid)?;
        let id = new_session_id()?;
        let mut state = self.lock();
        if state.sessions.len() >= MOST_SESSIONS {
            return Err(ControlError::new(
                503,
                "too_many_sessions",
                format!("{MOST_SESSIONS} sessions are open; close some"),
            ));
        }
        state.started += 1;
        let session = Session {
            number: state.started,
            mode,
            revision: 0,
            policy,
            policy_document,
            case: None,
            rules: Vec::new(),
            rules_document: json!({"version": 1, "rules": []}),
            auth_fixtures: Value::Null,
            record: Record::default(),
        };
        state.sessions.insert(id.clone(), session);
        Ok(json!({"sessionId": id, "sessionRevision": 0}))
    }

    fn list(&self) -> Value {
        let state = self.lock();
        let sessions: BTreeMap<u64, Value> = state
            .sessions
            .iter()
            .map(|(id, session)| (session.number, session.head(id)))
            .collect();
        json!({"sessions": sessions.into_values().collect::<Vec<_>>()})
    }

    fn act(&self, id: &str, action: &Action) -> Result<Value, ControlError> {
        // Documents are read before the lock is taken: a large one must not hold up a proxy.
        let change = Change::read(action)?;
        let mut state = self.lock();
        let unknown = || ControlError::unknown_session(id);
        let session = state.sessions.get_mut(id).ok_or_else(unknown)?;
        match (change, action) {
            (Some(change), _) => {
                session.apply(change);
                session.revision += 1;
                Ok(json!({"sessionId": id, "sessionRevision": session.revision}))
            }
            (None, Action::Close) => {
                state.sessions.remove(id);
                Ok(json!({"sessionId": id, "closed": true}))
            }
            (None, Action::State) => Ok(session.state(id)),
            (None, Action::Case) => Err(ControlError::invalid(
                "only a capture session has a case, and this one captures nothing",
            )),
            (None, _) => Ok(session.stats(id)),
        }
    }
}

impl Runtime for EmbeddedRuntime {
    fn call(&self, call: &Call) -> Result<Value, SoftprobeError> {
        self.handle(call).map_err(|error| {
            RuntimeError {
                status: error.status,
                body: error.to_value().to_string(),
                url: format!("embedded:{}", call.route().path),
            }
            .into()
        })
    }

    fn address(&self) -> &str {
        "embedded"
    }
}

impl Oracle for EmbeddedRuntime {
    fn open_sessions(&self) -> Vec<String> {
        let state = self.lock();
        let mut open: Vec<_> = state.sessions.iter().collect();
        open.sort_by_key(|(_, session)| session.number);
        open.into_iter().map(|(id, _)| id.clone()).collect()
    }

    fn session_of_trace(&self, trace_id: &str) -> Option<String> {
        self.lock().traces.get(trace_id).cloned()
    }

    fn decide(&self, id: &str, request: &Request) -> Option<Verdict> {
        // Decision and counting are one step under the lock: that makes `consume: once` atomic.
        let mut state = self.lock();
        Some(state.sessions.get_mut(id)?.decide(id, request))
    }

    fn note_uncorrelated(&self, request: &Request, reason: &str) -> bool {
        let mut state = self.lock();
        let open = state.sessions.len();
        let mut passes = false;
        for session in state.sessions.values_mut() {
            let distrusts = session.policy.distrusts_uncorrelated(&request.host);
            passes |= !distrusts;
            let mut call = Seen::of(request).to_value();
            call["reason"] = reason.into();
            call["openSessions"] = open.into();
            call["distrusted"] = distrusts.into();
            push_limited(&mut session.record.uncorrelated, call);
        }
        passes
    }
}

impl Session {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Case(case) => self.case = Some(case),
            Change::Rules(rules, document) => {
                self.rules = rules.into_iter().map(RuleState::new).collect();
                self.rules_document = document;
            }
            Change::Policy(policy, document) => {
                self.policy = policy;
                self.policy_document = document;
            }
            Change::AuthFixtures(fixtures) => self.auth_fixtures = fixtures,
        }
    }

    fn decide(&mut self, id: &str, request: &Request) -> Verdict {
        let no_rules = &mut Vec::new();
        let (service, case_rules) = match &mut self.case {
            Some(case) => (case.service.as_deref(), &mut case.rules),
            None => (None, no_rules),
        };
        let question = Question::outbound(request, id, service, &[]);
        let mut decision = resolve(&question, &self.policy, case_rules, &self.rules);
        if request.method == "CONNECT" && decision.answer != Answer::Forward {
            decision = unanswerable(decision, case_rules, &self.rules);
        }
        let rule = decision.rule.map(|(layer, n)| {
            let state = match layer {
                Layer::Case => &mut case_rules[n],
                Layer::Session => &mut self.rules[n],
            };
            state.uses += 1;
            state.rule.name.clone().unwrap_or_else(|| match layer {
                Layer::Case => format!("case rules[{n}]"),
                Layer::Session => format!("rules[{n}]"),
            })
        });
        self.record.note(request, &decision.answer, rule.as_deref());
        if decision.answer == Answer::Miss {
            self.record.miss(request, decision.nearest.clone());
        }
        Verdict {
            answer: decision.answer,
            rule,
            nearest: decision.nearest,
        }
    }

    fn head(&self, id: &str) -> Value {
        json!({
            "sessionId": id,
            "mode": self.mode.name(),
            "sessionRevision": self.revision,
        })
    }

    fn stats(&self, id: &str) -> Value {
        let Record {
            injected,
            strict_misses,
            misses,
            calls,
            uncorrelated,
        } = &self.record;
        let misses = misses.iter().map(|(seen, count, nearest)| {
            let mut miss = seen.to_value();
            miss["count"] = (*count).into();
            if let Some(nearest) = nearest {
                miss["nearest"] = nearest.to_value();
            }
            miss
        });
        let mut stats = self.head(id);
        stats["stats"] = json!({
            "injectedSpans": injected,
            "extractedSpans": 0,
            "strictMisses": strict_misses,
            "misses": misses.collect::<Vec<_>>(),
            "calls": calls,
            "uncorrelated": uncorrelated,
            "ruleUses": self.rules.iter().map(|state| state.uses).collect::<Vec<_>>(),
        });
        stats
    }

    fn state(&self, id: &str) -> Value {
        let mut state = self.stats(id);
        state["policy"] = self.policy_document.clone();
        state["rules"] = self.rules_document["rules"].clone();
        state["caseSummary"] = match &self.case {
            Some(case) => json!({"caseId": case.id, "traceCount": case.traces}),
            None => Value::Null,
        };
        state
    }
}

impl Record {
    fn note(&mut self, request: &Request, answer: &Answer, rule: Option<&str>) {
        let word = match answer {
            Answer::Mock { .. } => "mock",
            Answer::Error(_) => "error",
            Answer::Forward => "forwarded",
            Answer::Miss => "missed",
        };
        if matches!(answer, Answer::Mock { .. } | Answer::Error(_)) {
            self.injected += 1;
        }
        let mut call = Seen::of(request).to_value();
        call["answer"] = word.into();
        if let Some(rule) = rule {
            call["rule"] = rule.into();
        }
        push_limited(&mut self.calls, call);
    }

    fn miss(&mut self, request: &Request, nearest: Option<Nearest>) {
        self.strict_misses += 1;
        let seen = Seen::of(request);
        if let Some((_, count, _)) = self.misses.iter_mut().find(|(known, ..)| *known == seen) {
            *count += 1;
        } else if self.misses.len() < MOST_LISTED {
            self.misses.push((seen, 1, nearest));
        }
    }
}

/// TLS inside a `CONNECT` can't be answered from a capture, so that a mock of its host is a miss.
fn unanswerable(decision: Decision, case: &[RuleState], session: &[RuleState]) -> Decision {
    let nearest = decision.rule.map(|(layer, n)| {
        let rules = match layer {
            Layer::Case => case,
            Layer::Session => session,
        };
        Nearest {
            rule: rules[n].rule.name.clone().unwrap_or_default(),
            difference: Difference {
                field: "scheme".to_owned(),
                wanted: "http".to_owned(),
                has: "https, which this proxy can't look into; call the host by http".to_owned(),
            },
        }
    });
    Decision {
        answer: Answer::Miss,
        rule: None,
        nearest: nearest.or(decision.nearest),
    }
}

fn push_limited(list: &mut Vec<Value>, value: Value) {
    if list.len() < MOST_LISTED {
        list.push(value);
    }
}

/// A document that has been read and checked, ready to be stored.
enum Change {
    Case(LoadedCase),
    Rules(Vec<Rule>, Value),
    Policy(Policy, Value),
    AuthFixtures(Value),
}

impl Change {
    fn read(action: &Action) -> Result<Option<Self>, ControlError> {
        Ok(Some(match action {
            Action::LoadCase(document) => Self::Case(read_case(document)?),
            Action::SetRules(document) => {
                let rules = Rule::read_document(document).map_err(invalid)?;
                Self::Rules(rules, document.clone())
            }
            Action::SetPolicy(document) => {
                let policy = Policy::from_value(document).map_err(invalid)?;
                Self::Policy(policy, document.clone())
            }
            Action::SetAuthFixtures(document) => {
                check_auth_fixtures(document)?;
                Self::AuthFixtures(document.clone())
            }
            Action::Stats | Action::State | Action::Case | Action::Close => return Ok(None),
        }))
    }
}

fn read_case(document: &Value) -> Result<LoadedCase, ControlError> {
    let case = Case::from_document(document.clone())
        .map_err(|error| ControlError::invalid(error.to_string()))?;
    let rules = Rule::read_list(&case.rules, &Place::root().key("rules")).map_err(invalid)?;
    Ok(LoadedCase {
        id: case.id.clone(),
        traces: document["traces"].as_array().map_or(0, Vec::len),
        service: case.service().map(str::to_owned),
        rules: rules.into_iter().map(RuleState::new).collect(),
    })
}

fn read_start(body: &Value, problems: &mut Problems) -> Option<(Mode, Policy, Value)> {
    let object = Node::root(body).object(&["mode", "policy"], problems)?;
    let mode = object
        .require("mode", problems)?
        .choice(&Mode::NAMES, problems)?;
    match object.get("policy") {
        None => Some((mode, Policy::default(), json!({}))),
        Some(node) => Some((
            mode,
            Policy::read(&node, false, problems)?,
            node.value.clone(),
        )),
    }
}

fn check_auth_fixtures(document: &Value) -> Result<(), ControlError> {
    let mut problems = Problems::default();
    let known = ["tokens", "cookies", "metadata", "fixtures"];
    if let Some(object) = Node::root(document).object(&known, &mut problems) {
        for name in ["tokens", "cookies"] {
            if let Some(node) = object.get(name) {
                node.list(&mut problems);
            }
        }
        if let Some(node) = object.get("metadata") {
            node.map(&mut problems);
        }
        let fixtures = object.get("fixtures").and_then(|n| n.list(&mut problems));
        let mut names = HashSet::new();
        for node in fixtures.unwrap_or_default() {
            let Some(fixture) = node.object(&["name", "value"], &mut problems) else {
                continue;
            };
            fixture.require("value", &mut problems);
            let name = fixture.require("name", &mut problems);
            let name = name.and_then(|name| name.string(&mut problems));
            if let Some(name) = name
                && !names.insert(name.clone())
            {
                problems.add(&node.place, format!("`{name}` stands here twice"));
            }
        }
    }
    problems.into_result(Some(())).map_err(invalid)
}

fn invalid(problems: Problems) -> ControlError {
    ControlError::invalid(problems.to_string())
}

fn new_session_id() -> Result<String, ControlError> {
    let mut bytes = [0_u8; 15];
    getrandom::fill(&mut bytes).map_err(|error| {
        ControlError::new(
            500,
            "internal_error",
            format!("no random numbers to be had: {error}"),
        )
    })?;
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    Ok(format!("sess_{text}"))
}
