//! Which of the faults of a case comes first: the one that may have brought about the others.

use super::masked;
use super::outcome::{CaseOutcome, End, Fault, SentDifference};
use crate::compare::{MessagePlace, Mismatch};

/// Returns what fails a case: of several faults, the one that may have brought about the others. A case that could not be judged
/// may have got no answer because of one.
pub(crate) fn first_fault(outcome: &CaseOutcome) -> Option<&Fault> {
    let fatal = outcome.findings.iter().filter(|finding| finding.fails);
    let faults = fatal.map(|finding| &finding.fault);
    let counts = |fault: &&Fault| match outcome.end {
        End::Judged => true,
        End::Errored(_) => matches!(fault, Fault::Missed(_) | Fault::Uncorrelated(_)),
        End::Skipped(_) => false,
    };
    faults
        .filter(counts)
        .min_by_key(|fault| (rank(fault), is_masked(fault)))
}

/// Returns whether nothing can be seen of a difference.
fn is_masked(fault: &Fault) -> bool {
    match fault {
        Fault::Mismatch(mismatch) | Fault::Sent(SentDifference { mismatch, .. }) => {
            masked::is_masked(mismatch)
        }
        _ => false,
    }
}

fn rank(fault: &Fault) -> usize {
    match fault {
        // Another case may have made it.
        Fault::Uncorrelated(call) if call.refused && call.open_sessions > 1 => 7,
        Fault::Uncorrelated(_) => 0,
        Fault::Missed(_) => 1,
        Fault::Sent(_) => 2,
        Fault::Mismatch(Mismatch {
            place: MessagePlace::Status,
            ..
        }) => 3,
        Fault::Mismatch(_) => 4,
        // What came too late was not used before.
        Fault::Late(_) => 5,
        Fault::Unused(_) => 6,
        Fault::Extra(_) => 8,
        Fault::NotCompared(_) => 9,
    }
}
