//! One session: what it was given, what it decides, and what has happened in it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use super::capture::{Capture, Captured};
use super::change::{Change, LoadedCase, Start, invalid};
use super::redact::redact;
use crate::base::document::Place;
use crate::base::encoding::encode_base64;
use crate::base::http::{Direction, Host, Request};
use crate::base::in_micros;
use crate::case::{Difference, ScopedSpan, document_of, read_spans};
use crate::control::{
    AnsweredRequest, AnsweredRequests, ControlError, MOST_LISTED, Miss, Mode, NearestRule,
    OutboundCall, Ruling, SessionStats, UncorrelatedCall, UnheldPredicate, listed_path,
};
use crate::net::now_us;
use crate::rule::{
    Answer, Decision, Layer, Nearest, Policy, Question, Rule, RuleState, Then, resolve, shown_name,
};

/// An open session.
pub(super) struct OpenSession {
    id: String,
    /// When it was last used.
    pub(super) used: Instant,
    /// Whether somebody waits for its rules to be used.
    pub(super) is_awaited: bool,
    mode: Mode,
    revision: u64,
    policy: Policy,
    /// The policy as it was posted, if it arrived over a wire.
    policy_document: Option<Value>,
    case: Option<LoadedCase>,
    rules: Vec<RuleState>,
    /// The rules as they were posted, if they arrived over a wire.
    rules_document: Option<Value>,
    auth_fixtures: Value,
    /// What has happened so far; how often each rule was used is kept in `rules`.
    stats: SessionStats,
    /// The calls of no session; they go into the stats when these are read.
    uncorrelated: Vec<Uncorrelated>,
    /// Set when it closes, so that a caller that looked it up just before finds it closed.
    closed: bool,
    capture: Capture,
    case_id: Option<String>,
    /// The requests that `rules` have answered, unless it captures.
    answered: AnsweredRequests,
}

/// A request for which a proxy asks for an answer.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) request: &'a Arc<Request>,
    pub(super) direction: Direction,
    /// The service that makes the call; if not given, that of the session's case.
    pub(super) service: Option<&'a str>,
    /// The attributes of the inject span.
    pub(super) attributes: &'a [(String, Value)],
}

/// A call of no session as one session sees it. The sessions share the call, since each lists it.
struct Uncorrelated {
    call: Arc<UncorrelatedCall>,
    distrusted: bool,
}

impl OpenSession {
    pub(super) fn new(id: String, start: Start) -> Self {
        let Start {
            mode,
            policy,
            policy_document,
            case_id,
        } = start;
        Self {
            id,
            used: Instant::now(),
            is_awaited: false,
            mode,
            revision: 0,
            policy,
            policy_document,
            case: None,
            rules: Vec::new(),
            rules_document: None,
            auth_fixtures: Value::Null,
            stats: SessionStats::default(),
            uncorrelated: Vec::new(),
            closed: false,
            capture: Capture::default(),
            case_id,
            answered: AnsweredRequests::default(),
        }
    }

    /// Makes a change and returns the new revision.
    ///
    /// # Errors
    ///
    /// 400 if a rule needs a fixture that the session does not have.
    pub(super) fn apply(&mut self, change: Change) -> Result<u64, ControlError> {
        match change {
            Change::Case(mut case) => {
                let fixture = |name: &str| fixture(&self.auth_fixtures, &case.fixtures, name);
                let rules = case.rules.iter().map(|state| &state.rule);
                case.rules = expanded(rules, &fixture)?;
                self.case = Some(case);
            }
            Change::Rules(rules, document) => {
                let own = self.case.as_ref().map(|case| case.fixtures.as_slice());
                let own = own.unwrap_or_default();
                let fixture = |name: &str| fixture(&self.auth_fixtures, own, name);
                self.rules = expanded(rules.iter(), &fixture)?;
                self.answered = AnsweredRequests::default();
                self.rules_document = document;
            }
            Change::Policy(policy, document) => {
                self.policy = policy;
                self.policy_document = document;
            }
            Change::AuthFixtures(fixtures) => self.auth_fixtures = fixtures,
        }
        self.revision += 1;
        Ok(self.revision)
    }

    /// Marks the session as used just now and returns whether it is open.
    pub(super) fn is_open(&mut self) -> bool {
        self.used = Instant::now();
        !self.closed
    }

    /// Returns whether it has been closed.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Closes it; later calls on it have no effect.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn decide(&mut self, asked: &Asked<'_>) -> Ruling {
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
        if let Some((Layer::Session, rule)) = decision.rule
            && self.mode != Mode::Capture
        {
            self.answered.add(AnsweredRequest {
                rule,
                call: self.stats.calls.len(),
                request: Arc::clone(request),
            });
        }
        let rule = decision.rule.map(|(layer, n)| {
            let state = match layer {
                Layer::Case => &mut case_rules[n],
                Layer::Session => &mut self.rules[n],
            };
            state.uses += 1;
            shown_name(&state.rule, layer, n)
        });
        let call = self.stats.calls.len();
        note(&mut self.stats, request, &decision.answer, rule.clone());
        if decision.answer == Answer::Miss {
            note_miss(&mut self.stats, request, decision.nearest.as_ref());
        }
        Ruling {
            answer: decision.answer,
            rule,
            nearest: decision.nearest,
            call: (call < self.stats.calls.len()).then_some(call),
            records: self.mode == Mode::Capture,
        }
    }

    /// Notes how long it took until a listed call had its answer.
    pub(super) fn note_took(&mut self, call: usize, took: Duration) {
        if let Some(call) = self.stats.calls.get_mut(call) {
            call.took_us = Some(in_micros(took));
        }
    }

    /// Counts a recorded exchange; a capture session also keeps it.
    pub(super) fn extract(&mut self, mut span: Captured) -> Result<(), ControlError> {
        if self.mode == Mode::Capture {
            self.redact(&mut span.span)?;
            self.capture.add(&self.id, span)?;
        }
        self.stats.extracted_spans += 1;
        Ok(())
    }

    /// Leaves out of a span what the rule for its exchange names.
    fn redact(&self, span: &mut Value) -> Result<(), ControlError> {
        let case_rules = match &self.case {
            Some(case) => case.rules.as_slice(),
            None => &[],
        };
        let redacts = |state: &RuleState| match &state.rule.then {
            Then::CaptureOnly(redaction) => !redaction.is_empty(),
            _ => false,
        };
        if !case_rules.iter().chain(&self.rules).any(redacts) {
            return Ok(());
        }
        let spans = read_spans(document_of(span.clone()));
        let spans = spans.map_err(|error| ControlError::invalid(error.to_string()))?;
        let Some(ScopedSpan { exchange, .. }) = spans.first() else {
            return Ok(());
        };
        let direction = exchange.direction.unwrap_or(Direction::Outbound);
        let service = exchange.service.as_deref();
        let question = Question::new(&exchange.request, direction, &self.id, service, &[]);
        let rule = resolve(&question, &self.policy, case_rules, &self.rules).rule;
        let state = rule.and_then(|(layer, n)| match layer {
            Layer::Case => case_rules.get(n),
            Layer::Session => self.rules.get(n),
        });
        if let Some(Then::CaptureOnly(redaction)) = state.map(|state| &state.rule.then) {
            redact(span, exchange, redaction);
        }
        Ok(())
    }

    /// Returns whether an uncorrelated call is no concern of this session: its policy lets it pass, and no rule
    /// is about it.
    pub(super) fn is_indifferent_to(&self, request: &Request) -> bool {
        self.policy.lets_pass(&Host::of(request)) && !self.has_rule_for(request)
    }

    /// Returns whether a rule may be about this call.
    pub(super) fn has_rule_for(&self, request: &Request) -> bool {
        let service = self.case.as_ref().and_then(|case| case.service.as_deref());
        let question = Question::new(request, Direction::Outbound, &self.id, service, &[]);
        let case_rules = self.case.iter().flat_map(|case| &case.rules);
        let mut rules = case_rules.chain(&self.rules);
        rules.any(|state| state.rule.when.may_match(&question))
    }

    /// Lists a call that belongs to no session, and returns whether this session's verdict can't be trusted
    /// because of it. A harmless one is listed, and no more.
    pub(super) fn note_uncorrelated(
        &mut self,
        request: &Request,
        call: &Arc<UncorrelatedCall>,
        harmless: bool,
    ) -> bool {
        let distrusted = !harmless && self.policy.distrusts_uncorrelated(&Host::of(request));
        push_limited(&mut self.uncorrelated, || Uncorrelated {
            call: Arc::clone(call),
            distrusted,
        });
        distrusted
    }

    /// Lists a call that is the application's own business.
    pub(super) fn note_ambient(&mut self, call: &Arc<UncorrelatedCall>) {
        push_limited(&mut self.uncorrelated, || Uncorrelated {
            call: Arc::clone(call),
            distrusted: false,
        });
    }

    /// Returns the session's policy.
    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns the requests that its rules have answered.
    #[cfg(feature = "runner")]
    pub(super) fn answered(&self) -> &AnsweredRequests {
        &self.answered
    }

    /// Returns how often each of its rules has been used.
    #[cfg(feature = "runner")]
    pub(super) fn uses(&self) -> Vec<u64> {
        self.rules.iter().map(|state| state.uses).collect()
    }

    /// Returns the case that a capture session has recorded so far.
    pub(super) fn captured(&self) -> Result<Value, ControlError> {
        if self.mode != Mode::Capture {
            return Err(ControlError::invalid(format!(
                "only a capture session records a case, and `{}` was started in {} mode",
                self.id, self.mode
            )));
        }
        let case_id = self.case_id.as_deref().unwrap_or(&self.id);
        Ok(self.capture.case(case_id, SystemTime::now()))
    }

    /// Returns the case as [`captured`](Self::captured) does, to a client, who has it from then on.
    pub(super) fn hand_over(&mut self) -> Result<Value, ControlError> {
        let case = self.captured()?;
        self.capture.note_taken();
        Ok(case)
    }

    /// Returns whether a client has got everything that was recorded.
    pub(super) fn is_handed_over(&self) -> bool {
        self.capture.is_taken()
    }

    /// Returns the recorded case as [`captured`](Self::captured) does; `None` if nothing has been recorded.
    pub(super) fn recorded(&self) -> Option<Value> {
        let has_some = self.mode == Mode::Capture && !self.capture.is_empty();
        has_some.then(|| self.captured().ok()).flatten()
    }

    pub(super) fn head(&self) -> Value {
        json!({
            "sessionId": self.id,
            "mode": self.mode.name(),
            "sessionRevision": self.revision,
        })
    }

    pub(super) fn stats(&self) -> SessionStats {
        let uncorrelated = self.uncorrelated.iter().map(|listed| UncorrelatedCall {
            distrusted: listed.distrusted,
            ..UncorrelatedCall::clone(&listed.call)
        });
        SessionStats {
            uncorrelated: uncorrelated.collect(),
            rule_uses: Some(self.rules.iter().map(|state| state.uses).collect()),
            ..self.stats.clone()
        }
    }

    pub(super) fn stats_value(&self) -> Value {
        let mut stats = self.head();
        // Only numbers, texts and lists of them: this can't fail.
        stats["stats"] = serde_json::to_value(self.stats()).unwrap_or_default();
        stats
    }

    /// Returns the requests that its rules have answered, as JSON: header values and bodies in base64, since neither
    /// need be text.
    pub(super) fn requests_value(&self) -> Value {
        let requests = self.answered.list.iter().map(|answered| {
            let AnsweredRequest {
                rule,
                call,
                request,
            } = answered;
            let Request {
                method,
                scheme,
                host,
                path,
                query,
                headers,
                body,
                unread: _,
            } = &**request;
            let headers = headers.iter();
            let headers = headers.map(|(name, value)| json!([name, encode_base64(value)]));
            let headers: Vec<Value> = headers.collect();
            json!({
                "rule": rule,
                "call": call,
                "request": {
                    "method": method, "scheme": scheme, "host": host, "path": path, "query": query,
                    "headers": headers, "body": encode_base64(body),
                },
            })
        });
        let requests: Vec<Value> = requests.collect();
        json!({"sessionId": self.id, "requests": requests, "dropped": self.answered.dropped})
    }

    pub(super) fn state(&self) -> Value {
        let mut state = self.stats_value();
        let policy = self.policy_document.clone();
        let policy = policy.or_else(|| {
            let is_set = self.policy != Policy::default();
            is_set.then(|| self.policy.to_value())
        });
        let rules = self.rules_document.clone();
        let rules = rules.or_else(|| {
            let rules = self.rules.iter().map(|state| state.rule.to_value());
            let is_set = !self.rules.is_empty();
            is_set.then(|| json!({"version": 1, "rules": rules.collect::<Vec<_>>()}))
        });
        for (name, document) in [("policy", policy), ("rules", rules)] {
            if let Some(document) = document {
                state[name] = document;
            }
        }
        state["authFixtures"] = fixture_names(&self.auth_fixtures);
        state["caseSummary"] = match &self.case {
            Some(case) => json!({"caseId": case.id, "traceCount": case.traces}),
            None => Value::Null,
        };
        state
    }
}

/// Returns the rules with fixtures in their places.
fn expanded<'r>(
    rules: impl Iterator<Item = &'r Arc<Rule>>,
    fixture: &dyn Fn(&str) -> Option<Value>,
) -> Result<Vec<RuleState>, ControlError> {
    let place = Place::root().key("rules");
    let rules = rules.enumerate().map(|(n, rule)| {
        let rule = rule.expanded(&place.index(n), fixture).map_err(invalid)?;
        Ok(RuleState::new(rule))
    });
    rules.collect()
}

/// Returns the fixture with this name: the session's own, else the case's.
fn fixture(session: &Value, case: &[(String, Value)], name: &str) -> Option<Value> {
    let named = session["fixtures"].as_array();
    let named = named.and_then(|list| list.iter().find(|fixture| fixture["name"] == name));
    let own = named.map(|fixture| &fixture["value"]);
    let own = own.or_else(|| session["metadata"].get(name));
    let own = own.or_else(|| Some(&case.iter().find(|(known, _)| known == name)?.1));
    own.cloned()
}

/// Returns which auth fixtures there are, without their values, which are secret.
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

/// Lists a call, and counts it if it was answered with a mock.
fn note(stats: &mut SessionStats, request: &Request, answer: &Answer, rule: Option<String>) {
    if matches!(answer, Answer::Mock { .. }) {
        stats.injected_spans += 1;
    }
    push_limited(&mut stats.calls, || {
        OutboundCall::new(request, answer, rule, now_us())
    });
}

/// Counts and lists a miss; equal misses share one entry.
fn note_miss(stats: &mut SessionStats, request: &Request, nearest: Option<&Nearest>) {
    stats.strict_misses += 1;
    let path = listed_path(request);
    let known = stats.misses.iter_mut().find(|known| {
        known.method == request.method && known.host == request.host && known.path == path
    });
    match known {
        Some(known) => known.count += 1,
        None => push_limited(&mut stats.misses, || Miss {
            method: request.method.clone(),
            host: request.host.clone(),
            path,
            count: 1,
            nearest: nearest.map(nearest_rule),
        }),
    }
}

fn nearest_rule(nearest: &Nearest) -> NearestRule {
    let Nearest {
        rule,
        difference: Difference { field, wanted, has },
        more,
    } = nearest.clone();
    let more = more.into_iter().map(|difference| {
        let Difference { field, wanted, has } = difference;
        UnheldPredicate { field, wanted, has }
    });
    NearestRule {
        rule,
        field,
        wanted,
        has,
        more: more.collect(),
    }
}

/// Turns a decision to answer a `CONNECT` into a miss: the TLS inside can't be answered from a capture.
fn unanswerable(decision: Decision, case: &[RuleState], session: &[RuleState]) -> Decision {
    let nearest = decision.rule.map(|(layer, n)| {
        let rules = match layer {
            Layer::Case => case,
            Layer::Session => session,
        };
        Nearest {
            rule: shown_name(&rules[n].rule, layer, n),
            difference: Difference::new(
                "scheme",
                "http",
                "https, which this proxy can't read; call the host over http",
            ),
            more: Vec::new(),
        }
    });
    Decision {
        answer: Answer::Miss,
        rule: None,
        nearest: nearest.or(decision.nearest),
    }
}

fn push_limited<T>(list: &mut Vec<T>, item: impl FnOnce() -> T) {
    if list.len() < MOST_LISTED {
        list.push(item());
    }
}
