//! A run in words, without secrets: what all formats but those on the terminal show, and what is kept of the last run.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::causes::causes;
use super::masked;
use super::outcome::{
    Acceptance, Bodies, CapturedCall, CaseOutcome, End, FieldDifference, MissedCall,
    NearestExchange, RunOutcome, SentDifference, SentRequest, Skip, Verdict,
};
use super::text::{Detail, Palette, text};
use super::words;
use crate::base::http::shown_target;
use crate::base::with_causes;
use crate::base::{in_micros, json};
use crate::compare::Mismatch;
use crate::control::{Miss, OutboundCall, UncorrelatedCall};

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
    /// The files of the suites, from the project's root.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) suite_files: Vec<String>,
    /// The command that has run it, without what selects cases.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) command: String,
    /// The parts of the cases that were run, such as `2/5`, if not all of them were.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) shards: Vec<String>,
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
    /// The names of the cases.
    pub(crate) cases: Vec<String>,
    /// The file that tells most about it, if that was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// The line in that file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
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

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl CauseReport {
    /// Tells the reasons for which the cases of a run fail; `secrets` are shown nowhere.
    pub(crate) fn all(run: &RunOutcome, secrets: &[String]) -> Vec<Self> {
        let causes = causes(run).into_iter().map(|cause| Self {
            key: words::mask(cause.key, secrets),
            message: words::mask(cause.what, secrets),
            mend: words::mask(cause.mend, secrets),
            cases: cause.cases.iter().map(|case| case.trial.clone()).collect(),
            file: None,
            line: None,
        });
        causes.collect()
    }
}

impl RunReport {
    /// Tells a run, of which these are the reasons for failures; `secrets` are shown nowhere.
    pub(crate) fn new(run: RunOutcome, causes: Vec<CauseReport>, secrets: &[String]) -> Self {
        let RunOutcome {
            cases,
            started_us,
            took,
            broke_off,
        } = run;
        // Each outcome makes room for what is told of the next one.
        let cases = cases.into_iter();
        let cases = cases.map(|case| Box::new(CaseReport::new(&case, secrets)));
        Self {
            started_us,
            took_ms: millis(took),
            broke_off,
            suite_files: Vec::new(),
            command: String::new(),
            shards: Vec::new(),
            causes,
            cases: cases.collect(),
        }
    }

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

    /// Returns several runs as one, as if their cases had run together.
    pub(crate) fn merged(runs: Vec<Self>) -> Self {
        let mut all = Self::default();
        let mut end: Option<u64> = None;
        for run in runs {
            let Self {
                started_us,
                took_ms,
                broke_off,
                suite_files,
                command,
                shards,
                cases,
                causes,
            } = run;
            all.suite_files.extend(suite_files);
            all.shards.extend(shards);
            all.command = command;
            let ended = started_us.map(|start| start + took_ms * 1_000);
            end = end.max(ended);
            all.started_us = [all.started_us, started_us].into_iter().flatten().min();
            all.took_ms += took_ms;
            all.broke_off |= broke_off;
            all.cases.extend(cases);
            for cause in causes {
                match all.causes.iter_mut().find(|known| known.key == cause.key) {
                    // What accepts all that differs accepts what is of less risk, too.
                    Some(known) if cause.mend.contains("bless=all") || known.mend.is_empty() => {
                        known.mend = cause.mend;
                        known.cases.extend(cause.cases);
                    }
                    Some(known) => known.cases.extend(cause.cases),
                    None => all.causes.push(cause),
                }
            }
        }
        if let (Some(start), Some(end)) = (all.started_us, end) {
            all.took_ms = (end - start) / 1_000;
        }
        all.shards.sort();
        all.shards.dedup();
        all.suite_files.sort();
        all.suite_files.dedup();
        all.cases.sort_by(|a, b| a.name.cmp(&b.name));
        for cause in &mut all.causes {
            cause.cases.sort();
        }
        all.causes
            .sort_by(|a, b| (b.cases.len(), &a.key).cmp(&(a.cases.len(), &b.key)));
        all
    }

    /// Returns this run with the failures of another one that it did not look at.
    pub(crate) fn with_failures_of(&self, other: &Self) -> Self {
        let known: BTreeSet<&str> = self.cases.iter().map(|case| case.name.as_str()).collect();
        let is_left = |case: &CaseReport| {
            (case.is_bad() || case.was_cut_off) && !known.contains(case.name.as_str())
        };
        let left: Vec<Box<CaseReport>> = other
            .cases
            .iter()
            .filter(|case| is_left(case))
            .cloned()
            .collect();
        let names: BTreeSet<&str> = left.iter().map(|case| case.name.as_str()).collect();
        let causes = other.causes.iter().filter_map(|cause| {
            let cases = cause
                .cases
                .iter()
                .filter(|name| names.contains(name.as_str()));
            let cases: Vec<String> = cases.cloned().collect();
            (!cases.is_empty()).then(|| CauseReport {
                cases,
                ..cause.clone()
            })
        });
        let other = Self {
            causes: causes.collect(),
            cases: left,
            suite_files: other.suite_files.clone(),
            ..Self::default()
        };
        let mut all = Self::merged(vec![self.clone(), other]);
        all.took_ms = self.took_ms;
        all.command.clone_from(&self.command);
        all
    }

    /// Returns the parts that are missing, of a run of which there are some.
    pub(crate) fn missing_shards(&self) -> Vec<String> {
        let parts = self.shards.iter().filter_map(|shard| shard.split_once('/'));
        let counts: BTreeSet<&str> = parts.map(|(_, count)| count).collect();
        let known: BTreeSet<&str> = self.shards.iter().map(String::as_str).collect();
        let all = counts.into_iter().flat_map(|count| {
            let last: u32 = count.parse().unwrap_or_default();
            (1..=last.min(MOST_SHARDS)).map(move |number| format!("{number}/{count}"))
        });
        all.filter(|part| !known.contains(part.as_str())).collect()
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
    /// Tells a case; `secrets` are shown nowhere.
    pub(crate) fn new(outcome: &CaseOutcome, secrets: &[String]) -> Self {
        let mut told = match outcome.is_bad() {
            // Bodies may be nested deeply.
            true => json::with_room(|| tell(outcome)),
            false => tell(outcome),
        };
        told.mask_names();
        if secrets.iter().any(|secret| !secret.is_empty()) {
            told.mask(secrets);
        }
        told
    }

    /// Returns whether the case failed or could not be judged.
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self.result, Verdict::Failed | Verdict::Errored)
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

    /// Masks secrets wherever they stand, even where nobody expects them.
    fn mask(&mut self, secrets: &[String]) {
        let result = self.result;
        let mut value = match serde_json::to_value(&*self) {
            Ok(value) => value,
            // Texts, numbers and lists of them can be written.
            Err(error) => unreachable!("{error}"),
        };
        mask_all(&mut value, secrets);
        // A word that everybody knows is no secret.
        value["result"] = serde_json::to_value(result).unwrap_or_default();
        match serde_json::from_value(value) {
            Ok(masked) => *self = masked,
            Err(error) => unreachable!("{error}"),
        }
    }

    /// Masks what stands under the names of secrets in texts that nobody has looked into before.
    fn mask_names(&mut self) {
        let mask = |text: &mut String| {
            if let std::borrow::Cow::Owned(masked) = masked::text(text) {
                *text = masked;
            }
        };
        let lists = [
            &mut self.warnings,
            &mut self.application_output,
            &mut self.accepted,
        ];
        lists.into_iter().flatten().for_each(mask);
        let texts = [
            &mut self.error,
            &mut self.message,
            &mut self.report,
            &mut self.not_accepted,
        ];
        texts.into_iter().flatten().for_each(mask);
        let sent = self
            .outbound
            .iter_mut()
            .flat_map(|call| &mut call.differences);
        for difference in self.differences.iter_mut().chain(sent) {
            let DifferenceReport {
                expected,
                actual,
                reason,
                diff,
                ..
            } = difference;
            [expected, actual, reason, diff]
                .into_iter()
                .flatten()
                .for_each(mask);
        }
        for miss in &mut self.misses {
            let told = [
                &mut miss.nearest,
                &mut miss.nearest_captured,
                &mut miss.captured,
            ];
            told.into_iter().flatten().for_each(mask);
            mask(&mut miss.path);
            for field in &mut miss.differs {
                let sides = [&mut field.captured, &mut field.actual];
                sides.into_iter().flatten().for_each(mask);
            }
        }
        let names = self.unused.iter_mut().map(|unused| &mut unused.name);
        names
            .chain(self.extra.iter_mut().map(|extra| &mut extra.name))
            .for_each(mask);
        self.captured
            .iter_mut()
            .for_each(|captured| mask(&mut captured.call));
        for call in self.outbound.iter_mut().chain(&mut self.late) {
            mask(&mut call.path);
            call.rule.iter_mut().for_each(mask);
        }
    }
}

/// Masks the secrets in each string by itself.
fn mask_all(value: &mut Value, secrets: &[String]) {
    match value {
        Value::String(text) => *text = words::without(std::mem::take(text), secrets),
        Value::Array(elements) => elements.iter_mut().for_each(|e| mask_all(e, secrets)),
        Value::Object(members) => members.values_mut().for_each(|m| mask_all(m, secrets)),
        _ => {}
    }
}

fn tell(outcome: &CaseOutcome) -> CaseReport {
    let CaseOutcome {
        trial,
        suite,
        file,
        case_id,
        end,
        findings: _,
        notes,
        request,
        bodies,
        calls,
        captured,
        any_call_seen,
        launched,
        written,
        acceptance,
        rerun: _,
        started_us,
        lane,
        took,
    } = outcome;
    let result = outcome.verdict();
    let is_bad = outcome.is_bad();
    let mut told = CaseReport {
        name: trial.clone(),
        suite: suite.to_string(),
        file: file.display().to_string(),
        case_id: case_id.clone(),
        result,
        started_us: *started_us,
        took_us: in_micros(*took),
        lane: *lane,
        was_cut_off: matches!(
            end,
            End::Skipped(
                Skip::Interrupted | Skip::AnotherFailed | Skip::Broken | Skip::NotStarted(_)
            )
        ),
        outbound: calls
            .iter()
            .enumerate()
            .map(|(n, call)| call_report(call, outcome.sent().filter(|(sent, _)| sent.call == n)))
            .collect(),
        request: request.as_ref().map(request_report),
        ..CaseReport::default()
    };
    let is_asked = *acceptance != Acceptance::NotAsked;
    if !is_asked && outcome.findings.is_empty() && notes.is_empty() && result == Verdict::Passed {
        return told;
    }
    told.differences = outcome.mismatches().map(difference_report).collect();
    told.misses = outcome.misses().map(miss_report).collect();
    told.uncorrelated = outcome
        .uncorrelated()
        .map(|(call, _)| uncorrelated_report(call))
        .collect();
    told.late = outcome
        .late()
        .map(|(call, fails)| CallReport {
            fails,
            ..call_report(call, std::iter::empty())
        })
        .collect();
    told.not_compared = outcome.not_compared().unwrap_or_default();
    let extra = outcome.extra().map(|(calls, fails)| ExtraReport {
        name: shown_target(&calls.mock).into_owned(),
        made: calls.made,
        captured: calls.captured,
        fails,
    });
    told.extra = extra.collect();
    let unused = outcome.unused().map(|(name, fails)| UnusedReport {
        name: shown_target(name).into_owned(),
        fails,
    });
    told.unused = unused.collect();
    told.advice = (!told.unused.is_empty() && !any_call_seen).then(|| words::no_call(launched));
    told.warnings = notes.iter().map(words::note).collect();
    told.error = is_bad.then(|| words::summary(outcome));
    told.message = match end {
        // The summary has only the first line of the message.
        End::Errored(error) => Some(with_causes(&**error)),
        _ => (result != Verdict::Passed).then(|| words::summary(outcome)),
    };
    if is_bad {
        let cut = written.cut.then(|| "…".to_owned());
        told.application_output = cut.into_iter().chain(written.lines.clone()).collect();
        told.rerun = Some(words::rerun(outcome));
    }
    match acceptance {
        Acceptance::NotAsked => {}
        Acceptance::Written(findings) => told.accepted = words::accepted(findings),
        Acceptance::Pending(file) => told.pending = Some(file.display().to_string()),
        Acceptance::Refused(_) | Acceptance::TooRisky => {
            told.not_accepted = words::not_accepted(acceptance).map(str::to_owned);
        }
    }
    told.accept = words::accept(outcome).map(|(_, command)| command);
    if is_bad {
        told.bodies = bodies.as_ref().map(bodies_report);
        told.captured = captured.iter().map(captured_report).collect();
        told.report = Some(text(outcome, Palette::default(), Detail::Usual));
    }
    told
}

fn request_report(request: &SentRequest) -> RequestReport {
    let SentRequest {
        method,
        url,
        headers,
        body,
    } = request;
    let headers = words::headers(headers);
    RequestReport {
        method: method.clone(),
        url: words::url(url),
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.into_owned()))
            .collect(),
        body: words::sent_body(body),
    }
}

fn bodies_report(bodies: &Bodies) -> BodiesReport {
    let Bodies { expected, actual } = bodies;
    let masked = |body: &Value| {
        let mut body = body.clone();
        masked::mask(&mut body);
        json::show(&body)
    };
    BodiesReport {
        expected: masked(expected),
        actual: masked(actual),
    }
}

fn captured_report(captured: &CapturedCall) -> CapturedReport {
    let CapturedCall { call, at, took } = captured;
    CapturedReport {
        call: call.clone(),
        at_us: at.map(in_micros),
        took_us: took.map(in_micros),
    }
}

fn difference_report(mismatch: &Mismatch) -> DifferenceReport {
    let Mismatch {
        place,
        expected: _,
        actual: _,
        why: _,
        diff: _,
        accepts: _,
        changes: _,
    } = mismatch;
    let [expected, actual] = words::sides(mismatch);
    DifferenceReport {
        path: place.to_string(),
        expected,
        actual,
        reason: words::reason_of(mismatch),
        diff: words::diff(mismatch).map(|diff| diff.into_owned()),
        fails: true,
    }
}

fn miss_report(missed: &MissedCall) -> MissReport {
    let MissedCall { miss, captured } = missed;
    let Miss {
        method,
        host,
        path,
        count,
        nearest,
    } = miss;
    MissReport {
        method: method.clone(),
        host: host.clone(),
        path: shown_target(path).into_owned(),
        count: *count,
        nearest: nearest.as_ref().map(words::nearest),
        nearest_captured: captured.as_ref().map(words::nearest_exchange),
        captured: captured.as_ref().map(|near| near.exchange.clone()),
        differs: captured.as_ref().map(field_reports).unwrap_or_default(),
    }
}

fn field_reports(nearest: &NearestExchange) -> Vec<FieldReport> {
    let super::outcome::NotAnswering::Differs(fields) = &nearest.why else {
        return Vec::new();
    };
    let fields = fields.iter().map(|field| {
        let FieldDifference {
            field,
            captured,
            actual,
        } = field;
        FieldReport {
            field: field.clone(),
            captured: captured.clone(),
            actual: actual.clone(),
        }
    });
    fields.collect()
}

fn uncorrelated_report(call: &UncorrelatedCall) -> UncorrelatedReport {
    let UncorrelatedCall {
        method,
        host,
        path,
        reason,
        open_sessions,
        distrusted,
        ambient,
        refused,
    } = call;
    UncorrelatedReport {
        method: method.clone(),
        host: host.clone(),
        path: shown_target(path).into_owned(),
        reason: reason.clone(),
        open_sessions: *open_sessions,
        distrusted: *distrusted,
        ambient: *ambient,
        refused: *refused,
    }
}

fn call_report<'d>(
    call: &OutboundCall,
    sent: impl Iterator<Item = (&'d SentDifference, bool)>,
) -> CallReport {
    let OutboundCall {
        method,
        host,
        path,
        answer,
        rule,
        arrived_us,
        took_us,
    } = call;
    let differences = sent.map(|(sent, fails)| DifferenceReport {
        fails,
        ..difference_report(&sent.mismatch)
    });
    CallReport {
        method: method.clone(),
        host: host.clone(),
        path: shown_target(path).into_owned(),
        answer: answer.name().to_owned(),
        rule: rule.as_deref().map(|rule| shown_target(rule).into_owned()),
        arrived_us: *arrived_us,
        took_us: *took_us,
        differences: differences.collect(),
        fails: false,
    }
}

impl fmt::Display for CallReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.method, self.host, self.path)
    }
}
