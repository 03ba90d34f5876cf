//! The outcomes of a case and of a run, which are all that reports read.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::decode::Undecoded;
use crate::base::http::Headers;
use crate::compare::{Barrier, Excerpt, Mismatch, Repeated, Risk};
use crate::control::{CallAnswer, Miss, OutboundCall, UncorrelatedCall};

/// The outcome of a case.
#[derive(Debug, Clone)]
pub(crate) struct CaseOutcome {
    /// The trial's name, such as `checkout-nightly::declined`.
    pub(crate) trial: String,
    /// The suite's name.
    pub(crate) suite: Arc<str>,
    /// The case file's path, for display.
    pub(crate) file: PathBuf,
    /// The case's own id, if it could be read.
    pub(crate) case_id: Option<String>,
    /// How far the case got.
    pub(crate) end: End,
    /// What was found, in this order: differences, misses, uncorrelated calls, extra calls, unused mocks,
    /// differences of what was sent.
    pub(crate) findings: Vec<Finding>,
    /// What the user should know, whether the case passes or fails.
    pub(crate) notes: Vec<Note>,
    /// The request that was sent, if the case got that far.
    pub(crate) request: Option<SentRequest>,
    /// The body of the answer beside the captured one, if the case failed and both are JSON.
    pub(crate) bodies: Option<Bodies>,
    /// The outbound calls, with what answered each.
    pub(crate) calls: Vec<OutboundCall>,
    /// The outbound calls of the capture, if the case failed.
    pub(crate) captured: Vec<CapturedCall>,
    /// Whether a call of any case of the run has been seen so far.
    pub(crate) any_call_seen: bool,
    /// How the application was launched.
    pub(crate) launched: Launched,
    /// What the application wrote while the case ran, if the case is bad.
    pub(crate) written: Written,
    /// What came of the wish to accept what the case found.
    pub(crate) acceptance: Acceptance,
    /// The command that runs a case again, without the case's name.
    pub(crate) rerun: Arc<Rerun>,
    /// When the case began, if it did, in microseconds since 1970.
    pub(crate) started_us: Option<u64>,
    /// Which of the cases that run beside each other it was, from 0.
    pub(crate) lane: usize,
    /// How long the case took.
    pub(crate) took: Duration,
}

/// The expected and the actual body of an answer, with what the suite redacts replaced.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bodies {
    /// What was captured, or what the suite states.
    pub(crate) expected: Value,
    /// What was answered.
    pub(crate) actual: Value,
}

/// An outbound call of the capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CapturedCall {
    /// The call, for display.
    pub(crate) call: String,
    /// When it began, after the inbound request; `None` if that was not captured.
    pub(crate) at: Option<Duration>,
    /// How long it took; `None` if that was not captured.
    pub(crate) took: Option<Duration>,
}

/// How an application was launched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Launched {
    /// It was not.
    #[default]
    Not,
    /// By this command, with what makes its calls come to the proxy.
    By(String),
    /// Without that.
    Unintercepted,
}

/// What came of the wish to accept a case's differences.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Acceptance {
    /// There was no such wish.
    #[default]
    NotAsked,
    /// The case file has these differences now, so that they are none any more.
    Written(Vec<Finding>),
    /// The differences are kept in this file until somebody decides.
    Pending(PathBuf),
    /// They can't be accepted, for this reason.
    Refused(String),
    /// Their risk is higher than what is accepted.
    TooRisky,
}

/// The command that runs a case again, without the case's name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rerun {
    /// The command up to the name.
    pub(crate) command: String,
    /// The command for all cases.
    pub(crate) whole: String,
    /// Whether it is a test target, to which other wrappers pass variables but no flags.
    pub(crate) is_target: bool,
}

impl Rerun {
    /// Returns the command without what selects cases.
    pub(crate) fn plain(&self) -> &str {
        let command = self.command.trim_end_matches(" --filter");
        command.trim_end_matches(" --exact")
    }
}

/// Lines that the application wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// The lines, without their ends.
    pub(crate) lines: Vec<String>,
    /// Whether there were more before them.
    pub(crate) cut: bool,
}

/// How far a case got.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// It was judged; the findings decide.
    Judged,
    /// It could not be judged, for this reason.
    Errored(Arc<dyn Error + Send + Sync>),
    /// It was not run, for this reason.
    Skipped(Skip),
}

/// Why a case was not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Skip {
    /// The suite skips it, with this reason.
    Suite(String),
    /// The run was interrupted.
    Interrupted,
    /// Another case failed, and the run ends at the first failure.
    AnotherFailed,
    /// The results can no longer be written.
    Broken,
    /// The run did not begin, for this reason.
    NotStarted(String),
}

/// Something found in a case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    /// What was found.
    pub(crate) fault: Fault,
    /// Whether it fails the case.
    pub(crate) fails: bool,
}

/// What can be wrong with a case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// The answer differs from the expected one.
    Mismatch(Mismatch),
    /// Nothing answered an outbound call under a strict policy.
    Missed(MissedCall),
    /// While the case ran, there was an outbound call that belongs to no session.
    Uncorrelated(UncorrelatedCall),
    /// A captured call was made more often than it was captured.
    Extra(ExtraCalls),
    /// No request used the mock with this name.
    Unused(String),
    /// What the application sent in a call differs from the captured request.
    Sent(SentDifference),
    /// The application made a call after the case had ended, and it would have been a miss, or was answered or
    /// forwarded as the policy says.
    Late(OutboundCall),
    /// This many calls were answered, but there was no room to keep their requests for the comparison.
    NotCompared(u64),
}

/// A call that nothing answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MissedCall {
    /// The call, with the rule that came closest.
    pub(crate) miss: Miss,
    /// The captured exchange that comes closest, if the case has any.
    pub(crate) captured: Option<NearestExchange>,
}

/// The captured exchange that comes closest to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NearestExchange {
    /// The exchange, for display.
    pub(crate) exchange: String,
    /// Why it did not answer.
    pub(crate) why: NotAnswering,
}

/// Why a captured exchange did not answer a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotAnswering {
    /// It is another call: these fields differ.
    Differs(Vec<FieldDifference>),
    /// It is the same call, and each of its mocks has answered as often as it may.
    Spent {
        /// How often the call was captured.
        captured: usize,
    },
    /// It is the same call, and no mock replays it.
    NotMocked,
    /// It is the same call as far as method, host, path and query say.
    Alike,
}

/// A field in which a call differs from a captured one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldDifference {
    /// The field: `method`, `host`, `path`, or `query.page`.
    pub(crate) field: String,
    /// What was captured; `None` if it was not there.
    pub(crate) captured: Option<String>,
    /// What the call has; `None` if it is not there.
    pub(crate) actual: Option<String>,
}

/// A difference between a request of the application and the captured one whose answer it got.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SentDifference {
    /// The call's index in [`CaseOutcome::calls`].
    pub(crate) call: usize,
    /// The captured exchange's index among those of the case.
    pub(crate) exchange: usize,
    /// The request, for display.
    pub(crate) request: String,
    /// The difference.
    pub(crate) mismatch: Mismatch,
}

/// A captured call that the application made more often than it was captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExtraCalls {
    /// The mock that answered it.
    pub(crate) mock: String,
    /// How often it was captured.
    pub(crate) captured: u64,
    /// How often it was made.
    pub(crate) made: u64,
}

/// Why what a case found can't be accepted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Unacceptable<'o> {
    /// The case could not be judged, or was not run.
    NotJudged,
    /// Nothing fails it.
    Passed,
    /// Something other than a difference fails it. Its answer may be what it is because of that.
    Fault(&'o Fault),
    /// Nothing in the capture can change for this difference to be none.
    Barred(&'o Mismatch, Barrier),
}

fn barred(mismatch: &Mismatch) -> Result<Risk, Unacceptable<'_>> {
    let barred = |barrier| Unacceptable::Barred(mismatch, barrier);
    mismatch.accepts.map_err(barred)
}

impl Fault {
    /// Returns the fault as a finding that fails the case.
    pub(crate) fn fatal(self) -> Finding {
        Finding {
            fault: self,
            fails: true,
        }
    }
}

/// Something that the user should know about a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// The case file exceeds the size guidance; the text says how.
    Size(String),
    /// The answer's body could not be decoded, and was compared as received.
    Undecoded(Undecoded),
    /// A member of a body appears more than once, and the last one was compared.
    Repeated(Repeated),
    /// The beginning of the body of an answer with the wrong status, which usually says why.
    AnswerOfWrongStatus(String),
    /// A member of the body of a call appears more than once, and the last one was compared.
    RepeatedInCall {
        /// The call.
        call: String,
        /// The member.
        repeated: Repeated,
    },
    /// The body of the exchange that this mock replays was not captured, so it sends none.
    MockWithoutBody(String),
    /// The runtime does not report the requests of calls, so they were not compared.
    CallsNotCompared,
    /// The runtime can't choose among several exchanges of one call by the request's body.
    TurnsInOrder,
    /// A call, for display, was captured over HTTPS and made without.
    WithoutTls(String),
    /// What was accepted holds something that looks like a secret.
    AcceptedSecret {
        /// Where it is, such as `$.access_token`.
        place: String,
        /// What it looks like.
        kind: &'static str,
    },
    /// A connection to this host passed unread, with whatever was called over it.
    PassedUnread(String),
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// It was judged, and no finding fails it.
    Passed,
    /// It was judged, and at least one finding fails it.
    Failed,
    /// It could not be judged.
    Errored,
    /// It was not run.
    #[default]
    #[serde(rename = "ignored")]
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

/// The outcome of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunOutcome {
    /// The cases, in the order of their trials; each by itself, so that its room is free once it is told.
    #[expect(
        clippy::vec_box,
        reason = "the room of one is free as soon as it is told, for what is told of the next one"
    )]
    pub(crate) cases: Vec<Box<CaseOutcome>>,
    /// When the run began, in microseconds since 1970.
    pub(crate) started_us: Option<u64>,
    /// How long the run took.
    pub(crate) took: Duration,
    /// Whether it ended before all of its cases had.
    pub(crate) broke_off: bool,
}

impl RunOutcome {
    /// Returns how many cases ended with one of these verdicts.
    pub(crate) fn count(&self, verdicts: &[Verdict]) -> usize {
        let cases = self.cases.iter().map(|case| case.verdict());
        cases.filter(|verdict| verdicts.contains(verdict)).count()
    }
}

impl CaseOutcome {
    /// Returns how the case ended.
    pub(crate) fn verdict(&self) -> Verdict {
        match &self.end {
            End::Skipped(_) => Verdict::Skipped,
            End::Errored(_) => Verdict::Errored,
            End::Judged if self.findings.iter().any(|finding| finding.fails) => Verdict::Failed,
            End::Judged => Verdict::Passed,
        }
    }

    /// Returns whether the case failed or could not be judged.
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self.verdict(), Verdict::Failed | Verdict::Errored)
    }

    /// Drops the changes of the capture that nobody wants.
    pub(crate) fn forget_changes(&mut self) {
        for finding in &mut self.findings {
            match &mut finding.fault {
                Fault::Mismatch(mismatch) => mismatch.changes = Vec::new(),
                Fault::Sent(sent) => sent.mismatch.changes = Vec::new(),
                _ => {}
            }
        }
    }

    /// Drops what only the report of this case shows, so that a run of many cases keeps only what it
    /// counts, and its calls if they are wanted.
    pub(crate) fn shed(&mut self, keeps_calls: bool) {
        self.case_id = None;
        self.request = None;
        if !keeps_calls {
            self.calls = Vec::new();
        }
        self.written = Written::default();
        self.launched = Launched::Not;
    }

    /// Returns how much those risk who accept what fails the case: the highest risk of its differences.
    ///
    /// # Errors
    ///
    /// Why it can't be accepted: nothing fails the case, or something does that no change of the capture can make right.
    pub(crate) fn risk(&self) -> Result<Risk, Unacceptable<'_>> {
        if !matches!(self.end, End::Judged) {
            return Err(Unacceptable::NotJudged);
        }
        // What only warns may have caused the answer all the same.
        let bars = |finding: &&Finding| match &finding.fault {
            Fault::Mismatch(_) | Fault::Sent(_) | Fault::Extra(_) => finding.fails,
            Fault::Uncorrelated(call) => finding.fails || call.refused || !call.ambient,
            Fault::Late(call) => finding.fails || call.answer == CallAnswer::Missed,
            Fault::Missed(_) | Fault::Unused(_) | Fault::NotCompared(_) => true,
        };
        if !self.findings.iter().any(|finding| finding.fails) {
            return Err(Unacceptable::Passed);
        }
        let risks = self
            .findings
            .iter()
            .filter(bars)
            .map(|finding| match &finding.fault {
                Fault::Mismatch(mismatch) => barred(mismatch),
                Fault::Sent(sent) => barred(&sent.mismatch).map(|_| Risk::High),
                other => Err(Unacceptable::Fault(other)),
            });
        let risks = risks.collect::<Result<Vec<Risk>, _>>()?;
        risks.into_iter().max().ok_or(Unacceptable::Passed)
    }

    /// Returns what `pick` takes from the findings, each with whether it fails the case.
    fn found<'a, T>(
        &'a self,
        pick: impl Fn(&'a Fault) -> Option<T> + 'a,
    ) -> impl Iterator<Item = (T, bool)> + 'a
    where
        T: 'a,
    {
        let findings = self.findings.iter();
        findings.filter_map(move |finding| Some((pick(&finding.fault)?, finding.fails)))
    }

    pub(crate) fn mismatches(&self) -> impl Iterator<Item = &Mismatch> {
        let found = self.found(|fault| match fault {
            Fault::Mismatch(mismatch) => Some(mismatch),
            _ => None,
        });
        found.map(|(mismatch, _)| mismatch)
    }

    pub(crate) fn misses(&self) -> impl Iterator<Item = &MissedCall> {
        let found = self.found(|fault| match fault {
            Fault::Missed(missed) => Some(missed),
            _ => None,
        });
        found.map(|(missed, _)| missed)
    }

    /// Returns the calls that belong to no session, each with whether it fails the case.
    pub(crate) fn uncorrelated(&self) -> impl Iterator<Item = (&UncorrelatedCall, bool)> {
        self.found(|fault| match fault {
            Fault::Uncorrelated(call) => Some(call),
            _ => None,
        })
    }

    /// Returns the calls that were made more often than captured, each with whether that fails the case.
    pub(crate) fn extra(&self) -> impl Iterator<Item = (&ExtraCalls, bool)> {
        self.found(|fault| match fault {
            Fault::Extra(calls) => Some(calls),
            _ => None,
        })
    }

    /// Returns the differences of what was sent, each with whether it fails the case.
    pub(crate) fn sent(&self) -> impl Iterator<Item = (&SentDifference, bool)> {
        self.found(|fault| match fault {
            Fault::Sent(difference) => Some(difference),
            _ => None,
        })
    }

    /// Returns the calls that came after the case had ended, each with whether it fails the case.
    pub(crate) fn late(&self) -> impl Iterator<Item = (&OutboundCall, bool)> {
        self.found(|fault| match fault {
            Fault::Late(call) => Some(call),
            _ => None,
        })
    }

    /// Returns how many calls were not compared for want of room.
    pub(crate) fn not_compared(&self) -> Option<u64> {
        let mut found = self.findings.iter();
        found.find_map(|finding| match finding.fault {
            Fault::NotCompared(count) => Some(count),
            _ => None,
        })
    }

    /// Returns the mocks that no request used, each with whether that fails the case.
    pub(crate) fn unused(&self) -> impl Iterator<Item = (&str, bool)> {
        self.found(|fault| match fault {
            Fault::Unused(mock) => Some(mock.as_str()),
            _ => None,
        })
    }
}
