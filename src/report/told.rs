//! A run in words, without secrets: what all formats but those on the terminal show, and what is kept of the last run.

use std::fmt;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::outcome::{Rerun, Verdict};
use super::words;
use crate::base::json;

/// A run: `{"cases": […], "causes": […], "tookMs": 345, "brokeOff": false}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RunReport {
    /// When it began, in microseconds since 1970.
    pub(crate) started_us: Option<u64>,
    /// How long it took, in milliseconds.
    pub(crate) took_ms: u64,
    /// Whether it ended before all of its cases had.
    pub(crate) broke_off: bool,
    /// Why it did, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) broke_off_why: Option<String>,
    /// The files of the suites, from the project's root.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) suite_files: Vec<String>,
    /// The command that has run it, without what selects cases.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) command: String,
    /// The parts of the cases that were run, such as `2/5`, if not all of them were.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) shards: Vec<String>,
    /// Whether these parts were put together, to be the whole.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_merged: bool,
    /// The cases, in the order of their trials.
    #[expect(
        clippy::vec_box,
        reason = "one takes the room that an outcome has left, instead of a new piece of memory for all"
    )]
    pub(crate) cases: Vec<Box<CaseReport>>,
    /// The reasons for which cases fail, those of most cases first.
    pub(crate) causes: Vec<CauseReport>,
}

/// A reason for which cases fail.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CauseReport {
    /// What is the same for all cases that fail for it.
    pub(crate) key: String,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it; empty if what is wrong says so.
    pub(crate) mend: String,
    /// How what these cases found is accepted, if that is what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) accept: Option<AcceptReport>,
    /// The names of the cases.
    pub(crate) cases: Vec<String>,
    /// The file that tells most about it, if that was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// The line in that file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
}

/// How what some cases found is accepted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AcceptReport {
    /// The command that runs the cases again.
    #[serde(flatten)]
    pub(crate) rerun: Rerun,
    /// Whether only whoever asks for all accepts it.
    pub(crate) is_risky: bool,
}

/// A case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CaseReport {
    /// The trial's name, such as `checkout::declined`.
    pub(crate) name: String,
    /// The suite's name.
    pub(crate) suite: String,
    /// The case file's path, for display.
    pub(crate) file: String,
    /// The case's own id, if it could be read.
    pub(crate) case_id: Option<String>,
    /// How it ended.
    pub(crate) result: Verdict,
    /// When it began, in microseconds since 1970, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) started_us: Option<u64>,
    /// How long it took, in microseconds.
    pub(crate) took_us: u64,
    /// Which of the cases that ran beside each other it was, from 0.
    pub(crate) lane: usize,
    /// Whether it did not get to run, or to its end, because the run broke off.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) was_cut_off: bool,
    /// What is wrong with it, in a line; `None` if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// What is wrong with it, or why it was not run, with all that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    /// How the answer differs from the expected one.
    pub(crate) differences: Vec<DifferenceReport>,
    /// The calls that nothing answered.
    pub(crate) misses: Vec<MissReport>,
    /// The calls that belong to no session.
    pub(crate) uncorrelated: Vec<UncorrelatedReport>,
    /// The outbound calls.
    pub(crate) outbound: Vec<CallReport>,
    /// The calls that came after the case had ended.
    pub(crate) late: Vec<CallReport>,
    /// How many calls were not compared for want of room.
    pub(crate) not_compared: u64,
    /// The calls that were made more often than captured.
    pub(crate) extra: Vec<ExtraReport>,
    /// The mocks that no call used.
    pub(crate) unused: Vec<UnusedReport>,
    /// What else should be known of it.
    pub(crate) warnings: Vec<String>,
    /// Advice where no call at all came to the proxy though there are mocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) advice: Option<String>,
    /// The lines that the application wrote meanwhile, if the case failed; the first one is `…` if there were more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) application_output: Vec<String>,
    /// The command that runs it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rerun: Option<String>,
    /// The command that accepts what it found, if something can be accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) accept: Option<String>,
    /// What was accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) accepted: Vec<String>,
    /// The file that keeps its differences until somebody decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pending: Option<String>,
    /// Why nothing was accepted though that was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) not_accepted: Option<String>,
    /// The request that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<RequestReport>,
    /// The expected and the actual body, if the case failed and both are JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bodies: Option<BodiesReport>,
    /// The outbound calls of the capture, if the case failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) captured: Vec<CapturedReport>,
    /// The report as text, if the case failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) report: Option<String>,
}

/// A difference, and its place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DifferenceReport {
    /// The place, such as `$.items[0].price` or `status`.
    pub(crate) path: String,
    /// What was expected; `None` if nothing was.
    pub(crate) expected: Option<String>,
    /// What is there; `None` if nothing is.
    pub(crate) actual: Option<String>,
    /// An explanation, if the two sides do not make the difference clear.
    pub(crate) reason: Option<String>,
    /// A line-by-line diff, for texts of several lines.
    pub(crate) diff: Option<String>,
    /// Whether it fails the case.
    pub(crate) fails: bool,
}

/// A call that nothing answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct MissReport {
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) count: u64,
    /// The mock that came closest, in words.
    pub(crate) nearest: Option<String>,
    /// The captured exchange that came closest, in words.
    pub(crate) nearest_captured: Option<String>,
    /// That exchange.
    pub(crate) captured: Option<String>,
    /// The fields in which it differs.
    pub(crate) differs: Vec<FieldReport>,
}

/// A field in which a call differs from a captured one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct FieldReport {
    pub(crate) field: String,
    pub(crate) captured: Option<String>,
    pub(crate) actual: Option<String>,
}

/// A call that belongs to no session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct UncorrelatedReport {
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) reason: String,
    pub(crate) open_sessions: u64,
    pub(crate) distrusted: bool,
    pub(crate) ambient: bool,
    pub(crate) refused: bool,
}

/// An outbound call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CallReport {
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) path: String,
    /// What answered it: `mock`, `forwarded`, `missed`, ….
    pub(crate) answer: String,
    /// The rule that decided, if one did.
    pub(crate) rule: Option<String>,
    /// When it arrived, in microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) arrived_us: Option<u64>,
    /// How long its answer took, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) took_us: Option<u64>,
    /// How its request differs from the captured one.
    pub(crate) differences: Vec<DifferenceReport>,
    /// Whether that it came late fails the case.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) fails: bool,
}

/// A call that was made more often than captured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ExtraReport {
    /// The mock that answered it.
    pub(crate) name: String,
    pub(crate) made: u64,
    pub(crate) captured: u64,
    pub(crate) fails: bool,
}

/// A mock that no call used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct UnusedReport {
    pub(crate) name: String,
    pub(crate) fails: bool,
}

/// A request that was sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RequestReport {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// The expected and the actual body of an answer, as JSON: numbers keep their digits in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct BodiesReport {
    pub(crate) expected: String,
    pub(crate) actual: String,
}

/// An outbound call of the capture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CapturedReport {
    pub(crate) call: String,
    /// When it began after the inbound request, in microseconds.
    pub(crate) at_us: Option<u64>,
    /// How long it took, in microseconds.
    pub(crate) took_us: Option<u64>,
}

/// The most parts of a run.
pub(crate) const MOST_SHARDS: u32 = 10_000;

/// Why a text is no report of a run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoReport {
    /// It is not JSON of that shape.
    #[error("not a report of a run")]
    Shape(#[from] serde_json::Error),
    /// It has no cases.
    #[error(
        "not a report of a run: it has no `cases`; give a file that a run has kept, such as target/softprobe/last-run.json, or what \
         `suite run --json` has printed"
    )]
    NoCases,
}

impl RunReport {
    /// Reads what was kept of a run, or what `suite run --json` has printed.
    ///
    /// # Errors
    ///
    /// [`NoReport`] says what is wrong with the text, and where.
    pub(crate) fn read(text: &str) -> Result<Self, NoReport> {
        /// What makes a document a report.
        #[derive(Deserialize)]
        struct Known {
            cases: Option<IgnoredAny>,
        }
        let known: Known = json::from_text(text)?;
        if known.cases.is_none() {
            return Err(NoReport::NoCases);
        }
        Ok(json::from_text(text)?)
    }

    /// Returns how many cases ended with one of these verdicts.
    pub(crate) fn count(&self, verdicts: &[Verdict]) -> usize {
        let cases = self.cases.iter();
        cases.filter(|case| verdicts.contains(&case.result)).count()
    }

    /// Returns the cases that failed or could not be judged.
    pub(crate) fn bad(&self) -> impl Iterator<Item = &CaseReport> {
        let cases = self.cases.iter().map(|case| &**case);
        cases.filter(|case| case.is_bad())
    }

    /// Returns what the run has come to, in a line.
    pub(crate) fn summary(&self) -> String {
        let broke_off = if self.broke_off { "; it broke off" } else { "" };
        let passed = self.count(&[Verdict::Passed]);
        let not_run = self.count(&[Verdict::Skipped]);
        words::came_to(passed, self.bad().count(), not_run) + broke_off
    }

    /// Returns the cases by suite, in the order in which the suites come.
    pub(crate) fn by_suite(&self) -> Vec<(&str, Vec<&CaseReport>)> {
        let mut suites: Vec<(&str, Vec<&CaseReport>)> = Vec::new();
        let mut by_name: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
        for case in &self.cases {
            let at = *by_name.entry(&case.suite).or_insert(suites.len());
            if at == suites.len() {
                suites.push((&case.suite, Vec::new()));
            }
            suites[at].1.push(case);
        }
        suites
    }
}

impl CaseReport {
    /// Returns whether the case failed or could not be judged.
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self.result, Verdict::Failed | Verdict::Errored)
    }

    /// Returns whether the case has to be run again: it is bad, or did not get to run.
    pub(crate) fn is_left(&self) -> bool {
        self.is_bad() || self.was_cut_off
    }

    /// Returns the name without that of the suite.
    pub(crate) fn own_name(&self) -> &str {
        let own = self.name.strip_prefix(&self.suite);
        own.and_then(|own| own.strip_prefix("::"))
            .unwrap_or(&self.name)
    }

    /// Returns how long it took.
    pub(crate) fn took(&self) -> Duration {
        Duration::from_micros(self.took_us)
    }
}

impl fmt::Display for CallReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.method, self.host, self.path)
    }
}
