//! What became of a case, and of a run: all that reports read.

use std::path::PathBuf;
use std::time::Duration;

use crate::compare::Mismatch;
use crate::stats::{Miss, OutboundCall, UncorrelatedCall};

/// What became of a case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CaseOutcome {
    /// The trial: `checkout-nightly::declined`.
    pub trial: String,
    /// The suite's name.
    pub suite: String,
    /// The case file.
    pub file: PathBuf,
    /// How it ended.
    pub verdict: Verdict,
    /// The request that was sent, once there is one.
    pub request: Option<SentRequest>,
    /// Every difference.
    pub mismatches: Vec<Mismatch>,
    /// Outbound calls that nothing answered under a strict policy.
    pub misses: Vec<Miss>,
    /// Outbound calls that came meanwhile and fitted no session; those that are `distrusted` fail the
    /// case.
    pub uncorrelated: Vec<UncorrelatedCall>,
    /// The outbound calls, with what answered each.
    pub calls: Vec<OutboundCall>,
    /// Mocks that no request used.
    pub unused: Vec<UnusedMock>,
    /// What people should know, pass or fail.
    pub warnings: Vec<String>,
    /// The command that runs just this case again.
    pub rerun: String,
    /// How long it took.
    pub took: Duration,
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The answer is the expected one.
    Passed,
    /// It is not.
    Failed,
    /// It could not be judged, and why.
    Errored(String),
    /// It was not run, and why.
    Skipped(String),
}

/// The request as it was sent, secrets masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SentRequest {
    /// The method.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// The headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body as text, its beginning where it is long.
    pub body: String,
}

/// A mock that no request used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnusedMock {
    /// The mock.
    pub name: String,
    /// Whether that fails the case.
    pub fails: bool,
}

/// What became of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RunOutcome {
    /// The cases in the order of their trials.
    pub cases: Vec<CaseOutcome>,
    /// How long the run took.
    pub took: Duration,
}

impl CaseOutcome {
    /// What is wrong, one a line; empty for a case that passes.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut count = |n: usize, one: &str, several: &str| {
            if n > 0 {
                faults.push(format!("{n} {}", if n == 1 { one } else { several }));
            }
        };
        count(self.mismatches.len(), "difference", "differences");
        count(
            self.misses.len(),
            "outbound call missed",
            "outbound calls missed",
        );
        count(
            self.uncorrelated
                .iter()
                .filter(|call| call.distrusted)
                .count(),
            "outbound call belongs to no session",
            "outbound calls belong to no session",
        );
        let unused = self.unused.iter().filter(|mock| mock.fails).count();
        count(unused, "mock was never used", "mocks were never used");
        faults
    }

    /// What happened, in one line.
    pub(crate) fn summary(&self) -> String {
        match &self.verdict {
            Verdict::Passed => "passed".to_owned(),
            Verdict::Skipped(reason) => reason.clone(),
            Verdict::Errored(message) => message.lines().next().unwrap_or_default().to_owned(),
            Verdict::Failed => {
                let first = self
                    .mismatches
                    .first()
                    .map(|mismatch| format!("; first: {} {}", mismatch.path, mismatch.in_short()));
                self.faults().join(", ") + &first.unwrap_or_default()
            }
        }
    }
}

impl Mismatch {
    fn in_short(&self) -> String {
        let short = |text: &Option<String>| match text {
            None => "nothing".to_owned(),
            Some(text) if text.chars().count() > 60 => {
                text.chars().take(60).collect::<String>() + "…"
            }
            Some(text) => text.clone(),
        };
        match (&self.expected, &self.actual, &self.reason) {
            (None, None, Some(reason)) => reason.clone(),
            (expected, actual, _) => {
                format!("expected {}, actual {}", short(expected), short(actual))
            }
        }
        .replace('\n', " ")
    }
}
