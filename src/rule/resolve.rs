//! Which rule answers a request, or what the policy says when none does.

use std::hash::Hasher as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Consume, Policy, Question, Rule, Then};
use crate::http::{Headers, MISS_HEADER, Request, Response};

/// The status of a strict miss.
pub(crate) const STRICT_MISS_STATUS: u16 = 599;

/// Where a rule comes from; the later wins on equal priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    /// The case's embedded rules.
    Case,
    /// The session's own rules.
    Session,
}

/// A rule with what has become of it in a session.
#[derive(Debug, Clone)]
pub(crate) struct RuleState {
    /// The rule.
    pub rule: Rule,
    /// How many requests it has answered.
    pub uses: u64,
}

impl RuleState {
    /// A rule that has answered nothing.
    pub(crate) fn new(rule: Rule) -> Self {
        Self { rule, uses: 0 }
    }

    /// Whether it has answered all it may.
    pub(crate) fn is_spent(&self) -> bool {
        self.rule.consume == Consume::Once && self.uses > 0
    }
}

/// What a request gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// This response, after the delay.
    Mock {
        /// The response.
        response: Response,
        /// How long the answer waits.
        latency: Duration,
    },
    /// This error response.
    Error(Response),
    /// What its own target answers.
    Forward,
    /// A strict miss.
    Miss,
}

impl Answer {
    /// Its name in stats: `mock`, `error`, `forwarded` or `missed`.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Mock { .. } => "mock",
            Self::Error(_) => "error",
            Self::Forward => "forwarded",
            Self::Miss => "missed",
        }
    }
}

/// An answer with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    /// What the request gets.
    pub answer: Answer,
    /// The rule that decided; `None` when the policy did.
    pub rule: Option<(Layer, usize)>,
    /// For a miss or a request that merely passes: the rule that came closest.
    pub nearest: Option<Nearest>,
}

/// A rule that did not match, and the first of its predicates that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nearest {
    /// The rule's name, or its index.
    pub rule: String,
    /// Why it did not match.
    pub difference: Difference,
}

/// A predicate that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The predicate: `host`, `headers.accept`.
    pub field: String,
    /// What the rule wants.
    pub wanted: String,
    /// What the request has.
    pub has: String,
}

impl Nearest {
    /// `{"rule", "field", "wanted", "has"}`, as stats list it.
    pub(crate) fn to_value(&self) -> Value {
        let Self {
            rule,
            difference: Difference { field, wanted, has },
        } = self;
        json!({"rule": rule, "field": field, "wanted": wanted, "has": has})
    }
}

/// Decides what answers the question: among the rules that match, the highest priority, then the
/// higher layer, then the later entry; the policy's own word has priority 0 and the lowest layer.
pub(crate) fn resolve(
    question: &Question<'_>,
    policy: &Policy,
    case_rules: &[RuleState],
    session_rules: &[RuleState],
) -> Decision {
    let mut best: Option<(i64, Layer, usize)> = None;
    let mut nearest: Option<(usize, Nearest)> = None;
    for (layer, rules) in [(Layer::Case, case_rules), (Layer::Session, session_rules)] {
        for (n, state) in rules.iter().enumerate() {
            let (held, difference) = state.rule.when.check(question);
            let difference = match difference {
                None if !state.is_spent() => {
                    let key = (state.rule.priority, layer, n);
                    if best.is_none_or(|best| key > best) {
                        best = Some(key);
                    }
                    continue;
                }
                None => Difference {
                    field: "consume".to_owned(),
                    wanted: "once".to_owned(),
                    has: "already spent".to_owned(),
                },
                Some(difference) => difference,
            };
            if nearest.as_ref().is_none_or(|(most, _)| held > *most) {
                let rule = state.rule.name.clone();
                let rule = rule.unwrap_or_else(|| format!("rules[{n}]"));
                nearest = Some((held, Nearest { rule, difference }));
            }
        }
    }
    let nearest = nearest.map(|(_, nearest)| nearest);
    let own = policy.answer(&question.request.host);
    match best {
        Some((priority, layer, n)) if priority >= 0 || own.is_none() => {
            let rules = match layer {
                Layer::Case => case_rules,
                Layer::Session => session_rules,
            };
            Decision {
                answer: answer(&rules[n].rule.then),
                rule: Some((layer, n)),
                nearest: None,
            }
        }
        _ => Decision {
            answer: own.unwrap_or(Answer::Forward),
            rule: None,
            nearest,
        },
    }
}

fn answer(then: &Then) -> Answer {
    match then {
        Then::Mock { response, latency } => Answer::Mock {
            response: response.clone(),
            latency: *latency,
        },
        Then::Error(response) => Answer::Error(response.clone()),
        Then::Passthrough | Then::CaptureOnly => Answer::Forward,
    }
}

/// A hash of method, host, path and body that is the same in every run.
fn fingerprint(request: &Request) -> String {
    let mut hasher = fnv::FnvHasher::default();
    for part in [
        request.method.as_bytes(),
        request.host.as_bytes(),
        request.path.as_bytes(),
        &request.body,
    ] {
        hasher.write(&part.len().to_le_bytes());
        hasher.write(part);
    }
    format!("{:016x}", hasher.finish())
}

/// The answer to a strict miss; `session` is empty for a request that belongs to none.
pub(crate) fn strict_miss(request: &Request, session: &str) -> Response {
    let body = json!({
        "error": "strict policy blocked unmatched outbound",
        "sessionId": session,
        "requestFingerprint": fingerprint(request),
        "request": {
            "method": request.method,
            "host": request.host,
            "path": request.path,
            "query": request.query.clone().unwrap_or_default(),
        },
    });
    Response {
        status: STRICT_MISS_STATUS,
        headers: Headers::from_iter([(MISS_HEADER, "1"), ("content-type", "application/json")]),
        body: body.to_string().into_bytes(),
    }
}
