//! Puts outcomes into words, without secrets.

use std::time::Duration;

use serde_json::Value;

use super::causes::causes;
use super::masked;
use super::outcome::{
    Acceptance, Bodies, CapturedCall, CaseOutcome, End, FieldDifference, MissedCall,
    NearestExchange, NotAnswering, RunOutcome, SentDifference, SentRequest, Skip, Verdict,
};
use super::sides;
use super::text::{Detail, Palette, text};
use super::told::{
    BodiesReport, CallReport, CapturedReport, CaseReport, CauseReport, DifferenceReport,
    ExtraReport, FieldReport, MissReport, RequestReport, RunReport, UncorrelatedReport,
    UnusedReport,
};
use super::words;
use crate::base::http::shown_target;
use crate::base::with_causes;
use crate::base::{in_micros, json};
use crate::compare::Mismatch;
use crate::control::{Miss, OutboundCall, UncorrelatedCall};

impl CauseReport {
    /// Tells the reasons for which the cases of a run fail; `secrets` are shown nowhere.
    pub(crate) fn all(run: &RunOutcome, secrets: &[String]) -> Vec<Self> {
        let causes = causes(run).into_iter().map(|cause| Self {
            key: words::mask(cause.key, secrets),
            message: words::mask(cause.what, secrets),
            mend: words::mask(cause.mend, secrets),
            accept: cause.accept.map(|mut accept| {
                for command in [&mut accept.rerun.command, &mut accept.rerun.whole] {
                    *command = words::mask(std::mem::take(command), secrets);
                }
                accept
            }),
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
            broke_off_why: None,
            suite_files: Vec::new(),
            command: String::new(),
            shards: Vec::new(),
            is_merged: false,
            causes,
            cases: cases.collect(),
        }
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

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
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
    let [expected, actual] = sides::sides(mismatch);
    DifferenceReport {
        path: place.to_string(),
        expected,
        actual,
        reason: sides::reason_of(mismatch),
        diff: sides::diff(mismatch).map(|diff| diff.into_owned()),
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
    let NotAnswering::Differs(fields) = &nearest.why else {
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
