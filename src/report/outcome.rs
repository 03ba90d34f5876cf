//! What became of a case, and of a run: all that reports read.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::base::decode::Undecoded;
use crate::base::http::Headers;
use crate::compare::{Excerpt, Mismatch};
use crate::control::{Miss, OutboundCall, UncorrelatedCall};

/// What became of a case.
#[derive(Debug, Clone)]
pub(crate) struct CaseOutcome {
    /// The trial: `checkout-nightly::declined`.
    pub(crate) trial: String,
    /// The suite's name.
    pub(crate) suite: Arc<str>,
    /// The case file, as people know it.
    pub(crate) file: PathBuf,
    /// How far it came.
    pub(crate) end: End,
    /// What was found, in the order of the contract.
    pub(crate) findings: Vec<Finding>,
    /// What people should know, pass or fail.
    pub(crate) notes: Vec<Note>,
    /// The request that was sent, once there is one.
    pub(crate) request: Option<SentRequest>,
    /// The outbound calls, with what answered each.
    pub(crate) calls: Vec<OutboundCall>,
    /// The command that runs a case again, but for the case's name.
    pub(crate) rerun: Arc<str>,
    /// How long it took.
    pub(crate) took: Duration,
}

/// How far a case came.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// It was judged: what was found decides.
    Judged,
    /// It could not be judged, and why.
    Errored(Arc<dyn Error + Send + Sync>),
    /// It was not run, and why.
    Skipped(Skip),
}

/// Why a case was not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Skip {
    /// The suite says so, with its reason.
    Suite(String),
    /// The run was interrupted.
    Interrupted,
    /// Another case failed, and the run ends with the first that does.
    AnotherFailed,
    /// The results can't be told any more.
    Broken,
}

/// Something that was found in a case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    /// What.
    pub(crate) fault: Fault,
    /// Whether it fails the case.
    pub(crate) fails: bool,
}

/// What can be wrong with a case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// The answer differs.
    Mismatch(Mismatch),
    /// Nothing answered an outbound call under a strict policy.
    Missed(Miss),
    /// An outbound call came meanwhile that fitted no session.
    Uncorrelated(UncorrelatedCall),
    /// No request used the mock of that name.
    Unused(String),
}

impl Fault {
    /// The fault as one that fails the case.
    pub(crate) fn fatal(self) -> Finding {
        Finding {
            fault: self,
            fails: true,
        }
    }
}

/// What people should know of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// Its file exceeds the size guidance.
    Size(String),
    /// The answer's body could not be decoded, and was compared as it came.
    Undecoded(Undecoded),
    /// The beginning of an answer whose status is wrong: it mostly says why.
    AnswerOfWrongStatus(String),
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The answer is the expected one.
    Passed,
    /// It is not.
    Failed,
    /// It could not be judged.
    Errored,
    /// It was not run.
    Skipped,
}

/// The request as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SentRequest {
    /// The method.
    pub(crate) method: String,
    /// The whole URL.
    pub(crate) url: String,
    /// The headers, in order.
    pub(crate) headers: Headers,
    /// The beginning of the body.
    pub(crate) body: Excerpt,
}

/// What became of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunOutcome {
    /// The cases in the order of their trials.
    pub(crate) cases: Vec<CaseOutcome>,
    /// How long the run took.
    pub(crate) took: Duration,
}

impl RunOutcome {
    /// How many cases ended so.
    pub(crate) fn count(&self, verdicts: &[Verdict]) -> usize {
        let verdict = |case: &&CaseOutcome| verdicts.contains(&case.verdict());
        self.cases.iter().filter(verdict).count()
    }
}

impl CaseOutcome {
    /// How it ended.
    pub(crate) fn verdict(&self) -> Verdict {
        match &self.end {
            End::Skipped(_) => Verdict::Skipped,
            End::Errored(_) => Verdict::Errored,
            End::Judged if self.findings.iter().any(|finding| finding.fails) => Verdict::Failed,
            End::Judged => Verdict::Passed,
        }
    }

    /// Whether it failed, or could not be judged.
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self.verdict(), Verdict::Failed | Verdict::Errored)
    }

    /// What only the report of a single case tells is let go: a run of many keeps what it counts.
    pub(crate) fn shed(&mut self) {
        self.request = None;
        self.calls = Vec::new();
    }

    pub(crate) fn mismatches(&self) -> impl Iterator<Item = &Mismatch> {
        self.findings
            .iter()
            .filter_map(|finding| match &finding.fault {
                Fault::Mismatch(mismatch) => Some(mismatch),
                _ => None,
            })
    }

    pub(crate) fn misses(&self) -> impl Iterator<Item = &Miss> {
        self.findings
            .iter()
            .filter_map(|finding| match &finding.fault {
                Fault::Missed(miss) => Some(miss),
                _ => None,
            })
    }

    /// The calls that fitted no session, each with whether it fails the case.
    pub(crate) fn uncorrelated(&self) -> impl Iterator<Item = (&UncorrelatedCall, bool)> {
        self.findings
            .iter()
            .filter_map(|finding| match &finding.fault {
                Fault::Uncorrelated(call) => Some((call, finding.fails)),
                _ => None,
            })
    }

    /// The mocks that no request used, each with whether that fails the case.
    pub(crate) fn unused(&self) -> impl Iterator<Item = (&str, bool)> {
        self.findings
            .iter()
            .filter_map(|finding| match &finding.fault {
                Fault::Unused(mock) => Some((mock.as_str(), finding.fails)),
                _ => None,
            })
    }
}
