//! Which of several captured exchanges of one call answers it.

use std::sync::Arc;

use super::document::{Consume, Rule};
use super::question::Question;
use super::state::RuleState;
use super::turn::{Fit, Turn};

/// Returns the index of the rule that answers, given one of those with a turn that match: of the exchanges of
/// that call, the first whose body fits the request's best and that was not used yet, unless a used one fits better;
/// then the last of these; and if none fits, the first that was not used yet.
pub(super) fn whose_turn(
    matching: usize,
    turn: &Turn,
    rules: &[RuleState],
    question: &Question<'_>,
) -> usize {
    let group = exchanges_of(turn.call, rules.iter().map(|state| &*state.rule));
    let again = answers_again(&group);
    let is_fresh = |n: usize| rules[n].uses == 0;
    let (mut fresh, mut used) = ((Fit::None, None), (Fit::None, None));
    for (n, _, turn) in &group {
        if !(is_fresh(*n) || again) {
            continue;
        }
        let fit = turn.fit(question);
        if is_fresh(*n) && fit > fresh.0 {
            fresh = (fit, Some(*n));
        }
        // Of those that are used, the last one stays.
        if !is_fresh(*n) && fit > Fit::None && fit >= used.0 {
            used = (fit, Some(*n));
        }
        if fresh.0 == Fit::Equal {
            break;
        }
    }
    // An equal body decides, even if its exchange is used.
    let by_body = match used.0 > fresh.0 {
        true => used.1,
        false => fresh.1,
    };
    let next = || group.iter().map(|(n, ..)| *n).find(|n| is_fresh(*n));
    by_body.or_else(next).unwrap_or(matching)
}

/// Returns the rules that replay the exchanges of a call, with their indexes, in captured order.
fn exchanges_of<'r>(
    call: usize,
    rules: impl Iterator<Item = &'r Rule>,
) -> Vec<(usize, &'r Rule, &'r Turn)> {
    let turns = rules.enumerate();
    let turns = turns.filter_map(|(n, rule)| Some((n, rule, rule.turn.as_ref()?)));
    let mut group: Vec<_> = turns.filter(|(.., turn)| turn.call == call).collect();
    group.sort_unstable_by_key(|(.., turn)| turn.position);
    group
}

/// Returns whether an exchange of a call answers more than once; with `consume: once` for all, none does.
fn answers_again(group: &[(usize, &Rule, &Turn)]) -> bool {
    let mut rules = group.iter().map(|(_, rule, _)| rule);
    rules.any(|rule| rule.consume == Consume::Many)
}

/// Returns whether the bodies of all exchanges of calls that have several can be told in a predicate.
pub(crate) fn tells_bodies(rules: &[Arc<Rule>]) -> bool {
    let mut turns = rules.iter().filter_map(|rule| rule.turn.as_ref());
    turns.all(|turn| turn.predicate().is_some())
}

/// Returns the rules for a runtime that does not know turns, each with the index of the rule that it stands for. A
/// call with several exchanges gets further rules, which tell them apart by their bodies.
pub(crate) fn without_turns(rules: &[Arc<Rule>]) -> Vec<(usize, Arc<Rule>)> {
    let mut out = Vec::new();
    for (n, rule) in rules.iter().enumerate() {
        out.push((n, Arc::clone(rule)));
        // Later rules win, so those for the bodies follow the last one of the call, which is for its first exchange.
        let Some(turn) = rule.turn.as_ref().filter(|turn| turn.position == 0) else {
            continue;
        };
        let group = exchanges_of(turn.call, rules.iter().map(|rule| &**rule));
        let again = answers_again(&group);
        for consume in [Consume::Many, Consume::Once] {
            if consume == Consume::Many && !again {
                continue;
            }
            // Of equal ones, the first that is not spent answers, and then the last one stays.
            let ordered: Vec<_> = match consume {
                Consume::Once => group.iter().rev().collect(),
                Consume::Many => group.iter().collect(),
            };
            for (n, rule, turn) in ordered {
                let Some(body) = turn.predicate() else {
                    continue;
                };
                let mut rule = Rule::clone(rule);
                rule.when.body = Some(body);
                rule.consume = consume;
                rule.turn = None;
                out.push((*n, Arc::new(rule)));
            }
        }
    }
    out
}
