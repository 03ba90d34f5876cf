//! Decides which rule answers a request, or what the policy does if none does.

use std::sync::Arc;

use super::answer::Answer;
#[cfg(feature = "runner")]
use super::choose::whose_turn;
use super::document::Rule;
use super::policy::Policy;
use super::question::{Question, Undecided};
use super::state::RuleState;
use super::then::Then;
use crate::base::http::{Headers, Host, Response};
use crate::case::{Difference, Nearness};

/// Where a rule comes from, lowest layer first; on equal priority, the higher layer wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Layer {
    /// The case's embedded rules.
    Case,
    /// The session's own rules.
    Session,
}

/// An answer and its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    /// How the request is answered.
    pub answer: Answer,
    /// The layer and the index of the rule that decided; `None` if the policy did.
    pub rule: Option<(Layer, usize)>,
    /// If no rule decided, the rule that came closest, if any.
    pub nearest: Option<Nearest>,
}

/// A rule that did not match, with those of its predicates that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nearest {
    /// The rule's name, or its index if it has none: `rules[2]`.
    pub rule: String,
    /// Why it did not match.
    pub difference: Difference,
    /// Further predicates that did not hold.
    pub more: Vec<Difference>,
}

impl Nearest {
    fn undecided(rule: String, why: &Undecided) -> Self {
        let difference = Difference::new("body", "one that can be judged", why.to_string());
        Self {
            rule,
            difference,
            more: Vec::new(),
        }
    }
}

impl Policy {
    /// Returns the decision about a request of which it can't be known whether a rule matches: it is a miss if one
    /// that nothing matches would be, and otherwise an error answer that names the rule.
    fn undecided(&self, host: &Host<'_>, rule: Nearest) -> Decision {
        let answer = match self.answer(host) {
            Some(Answer::Miss) => Answer::Miss,
            _ => Answer::Error(Arc::new(Response {
                status: 500,
                headers: Headers::from_iter([("content-type", "text/plain; charset=utf-8")]),
                body: format!(
                    "softprobe: rule `{}` can't be decided: {}\n",
                    rule.rule, rule.difference.has
                )
                .into_bytes(),
                trailers: Headers::new(),
            })),
        };
        Decision {
            answer,
            rule: None,
            nearest: Some(rule),
        }
    }
}

/// Decides what answers a request. Of the rules that match, the one with the highest priority wins; on a
/// tie, the higher layer wins, then the later entry. The policy's own answer counts as a rule of priority 0
/// in the lowest layer.
pub(crate) fn resolve(
    question: &Question<'_>,
    policy: &Policy,
    case_rules: &[RuleState],
    session_rules: &[RuleState],
) -> Decision {
    let layers = [(Layer::Case, case_rules), (Layer::Session, session_rules)];
    let mut best: Option<((i64, Layer, usize), &RuleState)> = None;
    let mut failed: Option<((i64, Layer, usize), Nearest)> = None;
    for (layer, rules) in layers {
        for (n, state) in rules.iter().enumerate() {
            let key = (state.rule.priority, layer, n);
            // The cheap checks come first, because most rules are for other calls.
            if best.is_none_or(|(best, _)| key > best) && !state.is_spent() {
                if state.rule.when.matches(question) {
                    best = Some((key, state));
                } else if let Some(why) = question.take_failure()
                    && failed.as_ref().is_none_or(|(failed, _)| key > *failed)
                {
                    let rule = shown_name(&state.rule, layer, n);
                    failed = Some((key, Nearest::undecided(rule, &why)));
                }
            }
        }
    }
    let host = Host::of(question.request);
    // A rule that might have answered, if only that could be known.
    if let Some((key, failed)) = failed
        && best.is_none_or(|(best, _)| key > best)
    {
        return policy.undecided(&host, failed);
    }
    let own = policy.answer(&host);
    match best {
        Some(((priority, layer, n), state)) if priority >= 0 || own.is_none() => {
            #[cfg(feature = "runner")]
            let (n, state) = match &state.rule.turn {
                Some(turn) => {
                    let rules = match layer {
                        Layer::Case => case_rules,
                        Layer::Session => session_rules,
                    };
                    let n = whose_turn(n, turn, rules, question);
                    (n, rules.get(n).unwrap_or(state))
                }
                None => (n, state),
            };
            Decision {
                answer: answer(&state.rule.then),
                rule: Some((layer, n)),
                nearest: None,
            }
        }
        _ => Decision {
            answer: own.unwrap_or(Answer::Forward),
            rule: None,
            nearest: nearest(question, layers),
        },
    }
}

/// Returns the rule that came closest, or the first of several that are equally close. This is called only
/// if no rule answers, because it costs more than the decision.
fn nearest(question: &Question<'_>, layers: [(Layer, &[RuleState]); 2]) -> Option<Nearest> {
    let mut nearest: Option<(usize, Nearest)> = None;
    for (layer, rules) in layers {
        for (n, state) in rules.iter().enumerate() {
            let Nearness { held, first, more } = state.rule.when.nearness(question);
            if nearest.as_ref().is_some_and(|(most, _)| held <= *most) {
                continue;
            }
            let difference = match first {
                Some(difference) => difference,
                None if state.is_spent() => Difference::new("consume", "once", "already spent"),
                // It matches, but the policy's own answer outranks it.
                None => continue,
            };
            let rule = shown_name(&state.rule, layer, n);
            let found = Nearest {
                rule,
                difference,
                more,
            };
            nearest = Some((held, found));
        }
    }
    nearest.map(|(_, nearest)| nearest)
}

/// Returns a rule's name, or its index for one without a name.
pub(crate) fn shown_name(rule: &Rule, layer: Layer, index: usize) -> String {
    rule.name.clone().unwrap_or_else(|| match layer {
        Layer::Case => format!("case rules[{index}]"),
        Layer::Session => format!("rules[{index}]"),
    })
}

fn answer(then: &Then) -> Answer {
    match then {
        Then::Mock { response, latency } => Answer::Mock {
            response: Arc::clone(response),
            latency: *latency,
        },
        Then::Error(response) => Answer::Error(Arc::clone(response)),
        Then::Fault { failure, response } => Answer::Fault(*failure, Arc::clone(response)),
        Then::Passthrough | Then::CaptureOnly(_) => Answer::Forward,
    }
}
