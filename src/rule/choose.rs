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
    let mut group: Vec<(usize, &RuleState, &Turn)> = rules
        .iter()
        .enumerate()
        .filter_map(|(n, state)| Some((n, state, state.rule.turn.as_ref()?)))
        .filter(|(.., other)| other.call == turn.call)
        .collect();
    group.sort_unstable_by_key(|(.., turn)| turn.position);
    // With `consume: once` for all of them, none answers twice.
    let again = group
        .iter()
        .any(|(_, state, _)| state.rule.consume == Consume::Many);
    let is_fresh = |state: &RuleState| state.uses == 0;
    let (mut fresh, mut used) = ((Fit::None, None), (Fit::None, None));
    for (n, state, turn) in &group {
        if !(is_fresh(state) || again) {
            continue;
        }
        let fit = turn.fit(question);
        if is_fresh(state) && fit > fresh.0 {
            fresh = (fit, Some(*n));
        }
        // Of those that are used, the last one stays.
        if !is_fresh(state) && fit > Fit::None && fit >= used.0 {
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
    let next = || group.iter().find(|(_, state, _)| is_fresh(state));
    let next = || next().map(|(n, ..)| *n);
    by_body.or_else(next).unwrap_or(matching)
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
        let mut group: Vec<(usize, &Arc<Rule>, &Turn)> = rules
            .iter()
            .enumerate()
            .filter_map(|(n, rule)| Some((n, rule, rule.turn.as_ref()?)))
            .filter(|(.., other)| other.call == turn.call)
            .collect();
        group.sort_unstable_by_key(|(.., turn)| std::cmp::Reverse(turn.position));
        let again = group
            .iter()
            .any(|(_, rule, _)| rule.consume == Consume::Many);
        for consume in [Consume::Many, Consume::Once] {
            if consume == Consume::Many && !again {
                continue;
            }
            // Of equal ones, the first that is not spent answers, and then the last one stays.
            let ordered: Vec<_> = match consume {
                Consume::Once => group.iter().collect(),
                Consume::Many => group.iter().rev().collect(),
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
