//! Which of several captured exchanges of one call answers it.

use std::sync::Arc;

use super::document::{Consume, Rule};
use super::question::Question;
use super::state::RuleState;
use super::turn::Turn;

/// Returns the index of the rule that answers, given one of those with a turn that match: of the exchanges of
/// that call, the first whose body equals the request's and that was not used yet, else the last used one whose body
/// does, else the first that was not used yet.
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
    let mut used = None;
    for (n, state, turn) in &group {
        if (is_fresh(state) || again) && turn.fits(question) {
            if is_fresh(state) {
                return *n;
            }
            used = Some(*n);
        }
    }
    let fresh = || group.iter().find(|(_, state, _)| is_fresh(state));
    let fresh = || fresh().map(|(n, ..)| *n);
    used.or_else(fresh).unwrap_or(matching)
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
            for (n, rule, turn) in &group {
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
