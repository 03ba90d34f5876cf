//! One session: what it was given, what it decides, and what has happened in it.

use std::time::{Instant, SystemTime};

use serde_json::{Value, json};

use super::Verdict;
use super::capture::Capture;
use super::change::{Change, LoadedCase, Start};
use crate::case::ScopedSpan;
use crate::control::{ControlError, Mode};
use crate::http::{Direction, Request};
use crate::rule::{
    Answer, Decision, Difference, Layer, Nearest, Policy, Question, RuleState, resolve,
};

/// Calls and misses that a session lists; the counters go on.
const MOST_LISTED: usize = 1_000;

pub(super) struct Session {
    id: String,
    /// The order in which sessions were started.
    pub(super) number: u64,
    /// When it was last asked or told anything.
    pub(super) used: Instant,
    mode: Mode,
    revision: u64,
    policy: Policy,
    policy_document: Value,
    case: Option<LoadedCase>,
    rules: Vec<RuleState>,
    rules_document: Value,
    auth_fixtures: Value,
    record: Record,
    capture: Capture,
    case_id: Option<String>,
}

/// A request that wants an answer, as a proxy puts it.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) request: &'a Request,
    pub(super) direction: Direction,
    /// The service that asks; that of the session's case where it is not given.
    pub(super) service: Option<&'a str>,
    /// The attributes of the inject span.
    pub(super) attributes: &'a [(String, Value)],
}

/// What has happened in a session.
#[derive(Default)]
struct Record {
    injected: u64,
    extracted: u64,
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

impl Session {
    pub(super) fn new(id: String, number: u64, start: Start) -> Self {
        let Start {
            mode,
            policy,
            policy_document,
            case_id,
        } = start;
        Self {
            id,
            number,
            used: Instant::now(),
            mode,
            revision: 0,
            policy,
            policy_document,
            case: None,
            rules: Vec::new(),
            rules_document: json!({"version": 1, "rules": []}),
            auth_fixtures: Value::Null,
            record: Record::default(),
            capture: Capture::default(),
            case_id,
        }
    }

    /// Makes a change; the answer has the new revision.
    pub(super) fn apply(&mut self, change: Change) -> Value {
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
        self.revision += 1;
        json!({"sessionId": self.id, "sessionRevision": self.revision})
    }

    pub(super) fn decide(&mut self, asked: &Asked<'_>) -> Verdict {
        let no_rules = &mut Vec::new();
        let (case_service, case_rules) = match &mut self.case {
            Some(case) => (case.service.as_deref(), &mut case.rules),
            None => (None, no_rules),
        };
        let request = asked.request;
        let service = asked.service.or(case_service);
        let question = Question::new(
            request,
            asked.direction,
            &self.id,
            service,
            asked.attributes,
        );
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
            records: self.mode == Mode::Capture,
        }
    }

    /// Takes a recorded exchange: kept by a capture session, counted by any other.
    pub(super) fn extract(&mut self, span: ScopedSpan) -> Result<(), ControlError> {
        if self.mode == Mode::Capture {
            self.capture.add(&self.id, span)?;
        }
        self.record.extracted += 1;
        Ok(())
    }

    /// Lists a call that fits no session, and says whether this session would let it pass.
    pub(super) fn note_uncorrelated(
        &mut self,
        request: &Request,
        reason: &str,
        open: usize,
    ) -> bool {
        let distrusts = self.policy.distrusts_uncorrelated(&request.host);
        let mut call = Seen::of(request).to_value();
        call["reason"] = reason.into();
        call["openSessions"] = open.into();
        call["distrusted"] = distrusts.into();
        push_limited(&mut self.record.uncorrelated, call);
        !distrusts
    }

    /// The case that a capture session has recorded so far.
    pub(super) fn captured(&self) -> Result<Value, ControlError> {
        if self.mode != Mode::Capture {
            return Err(ControlError::invalid(format!(
                "only a capture session has a case, and `{}` was started to {}",
                self.id, self.mode
            )));
        }
        let case_id = self.case_id.as_deref().unwrap_or(&self.id);
        Ok(self.capture.case(case_id, SystemTime::now()))
    }

    /// The same; `None` where it has recorded nothing.
    pub(super) fn recorded(&self) -> Option<Value> {
        self.captured().ok().filter(|_| !self.capture.is_empty())
    }

    pub(super) fn head(&self) -> Value {
        json!({
            "sessionId": self.id,
            "mode": self.mode.name(),
            "sessionRevision": self.revision,
        })
    }

    pub(super) fn stats(&self) -> Value {
        let Record {
            injected,
            extracted,
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
        let mut stats = self.head();
        stats["stats"] = json!({
            "injectedSpans": injected,
            "extractedSpans": extracted,
            "strictMisses": strict_misses,
            "misses": misses.collect::<Vec<_>>(),
            "calls": calls,
            "uncorrelated": uncorrelated,
            "ruleUses": self.rules.iter().map(|state| state.uses).collect::<Vec<_>>(),
        });
        stats
    }

    pub(super) fn state(&self) -> Value {
        let mut state = self.stats();
        state["policy"] = self.policy_document.clone();
        state["rules"] = self.rules_document["rules"].clone();
        state["authFixtures"] = fixture_names(&self.auth_fixtures);
        state["caseSummary"] = match &self.case {
            Some(case) => json!({"caseId": case.id, "traceCount": case.traces}),
            None => Value::Null,
        };
        state
    }
}

/// What auth fixtures there are, and not what they say: they are secrets.
fn fixture_names(fixtures: &Value) -> Value {
    let count = |name: &str| fixtures[name].as_array().map_or(0, Vec::len);
    let metadata = fixtures["metadata"].as_object();
    let metadata: Vec<&String> = metadata.into_iter().flat_map(|m| m.keys()).collect();
    let named = fixtures["fixtures"].as_array();
    let named: Vec<&Value> = named.into_iter().flatten().map(|f| &f["name"]).collect();
    json!({
        "tokens": count("tokens"), "cookies": count("cookies"), "metadata": metadata, "names": named,
    })
}

impl Record {
    fn note(&mut self, request: &Request, answer: &Answer, rule: Option<&str>) {
        if matches!(answer, Answer::Mock { .. } | Answer::Error(_)) {
            self.injected += 1;
        }
        let mut call = Seen::of(request).to_value();
        call["answer"] = answer.word().into();
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
