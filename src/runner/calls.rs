//! Checks the outbound calls in a session's stats.

use super::mocks::Watched;
use super::unjudged::Unjudged;
use crate::control::{Miss, SessionStats};
use crate::report::{CaseOutcome, Fault, Finding};
use crate::suite::Unused;

/// Records the calls in the outcome, and what is wrong with them.
///
/// # Errors
///
/// If a mock has to be used, but the runtime does not report which mocks were used.
pub(super) fn note_calls(
    stats: SessionStats,
    watched: &[Watched],
    outcome: &mut CaseOutcome,
) -> Result<(), Unjudged> {
    let SessionStats {
        injected_spans: _,
        extracted_spans: _,
        strict_misses,
        mut misses,
        calls,
        uncorrelated,
        rule_uses,
    } = stats;
    outcome.calls = calls;
    if misses.is_empty() && strict_misses > 0 {
        // Other runtimes count misses without listing them.
        misses.push(Miss {
            method: "an outbound call".to_owned(),
            count: strict_misses,
            ..Miss::default()
        });
    }
    let findings = &mut outcome.findings;
    findings.extend(misses.into_iter().map(|miss| Fault::Missed(miss).fatal()));
    findings.extend(uncorrelated.into_iter().map(|call| Finding {
        fails: call.distrusted,
        fault: Fault::Uncorrelated(call),
    }));
    let Some(uses) = rule_uses else {
        return match watched.iter().find(|rule| rule.unused == Unused::Fail) {
            None => Ok(()),
            Some(rule) => Err(Unjudged::UsesUnknown {
                mock: rule.name.clone(),
            }),
        };
    };
    let unused = watched
        .iter()
        .zip(uses)
        .filter(|(rule, uses)| *uses == 0 && rule.unused != Unused::Ignore);
    findings.extend(unused.map(|(rule, _)| Finding {
        fault: Fault::Unused(rule.name.clone()),
        fails: rule.unused == Unused::Fail,
    }));
    Ok(())
}
