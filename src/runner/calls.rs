//! Checks the outbound calls in a session's stats.

use super::mocks::Watched;
use super::unjudged::Unjudged;
use crate::control::{Miss, SessionStats};
use crate::report::{CaseOutcome, ExtraCalls, Fault, Finding};
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
        let stated = |rule: &&Watched| {
            let replays = rule.replays.as_ref().filter(|replays| replays.is_stated);
            replays.and_then(|replays| replays.extra.fails(&replays.method)) == Some(true)
        };
        let fails = watched.iter().find(|rule| rule.unused == Unused::Fail);
        let (rule, setting) = match (fails, watched.iter().find(stated)) {
            (Some(rule), _) => (rule, "unused: fail"),
            (None, Some(rule)) => (rule, "outbound.extra"),
            (None, None) => return Ok(()),
        };
        return Err(Unjudged::UsesUnknown {
            mock: rule.name.clone(),
            setting,
        });
    };
    findings.extend(watched.iter().zip(&uses).filter_map(extra));
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

/// Returns the finding about a call that was made more often than it was captured.
fn extra((rule, uses): (&Watched, &u64)) -> Option<Finding> {
    let replays = rule.replays.as_ref()?;
    // The last rule of a sequence answers the last captured call and all that follow.
    let more = uses.checked_sub(1).filter(|more| *more > 0)?;
    Some(Finding {
        fails: replays.extra.fails(&replays.method)?,
        fault: Fault::Extra(ExtraCalls {
            mock: rule.name.clone(),
            captured: replays.captured,
            made: replays.captured + more,
        }),
    })
}
