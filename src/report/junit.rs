//! JUnit XML, for CI.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::outcome::Verdict;
use super::told::{CaseReport, RunReport};

/// The name of the whole, and of the testsuite that holds what is no case.
pub(super) const WHOLE: &str = "softprobe";
/// The property of a testsuite that tells of which part of a run it is, such as 2/5.
pub(super) const SHARD: &str = "softprobe.shard";
/// The property of a testsuite that tells that the run broke off.
pub(super) const BROKEN: &str = "softprobe.broke-off";
/// The name of what stands for the run, where it broke off.
pub(super) const THE_RUN: &str = "the run";
/// Why there is an error where no case had one.
const BROKE_OFF: &str = "the run broke off before all of its cases had ended";

/// Returns the run as JUnit XML, with a testsuite per suite. Bodies may contain any bytes.
///
/// # Errors
///
/// Returns the error if the XML can't be written.
pub(crate) fn junit(run: &RunReport) -> Result<String, quick_junit::SerializeError> {
    written(&report(run))
}

/// Returns a report as a file's text.
pub(super) fn written(report: &Report) -> Result<String, quick_junit::SerializeError> {
    let xml = report.to_string()?;
    Ok(xml.trim_end().to_owned() + "\n")
}

/// Returns the run as a report.
pub(super) fn report(run: &RunReport) -> Report {
    let mut report = Report::new(WHOLE);
    report.set_time(Duration::from_millis(run.took_ms));
    for (name, cases) in run.by_suite() {
        let mut suite = TestSuite::new(shown(name));
        suite.set_time(cases.iter().map(|case| case.took()).sum());
        suite.add_test_cases(cases.into_iter().map(test_case));
        report.add_test_suite(suite);
    }
    if run.broke_off && report.errors == 0 {
        let why = run.broke_off_why.as_deref().unwrap_or(BROKE_OFF);
        report.add_test_suite(broke_off(why));
    }
    // Whoever puts the parts of a run together learns of one that had no case, too.
    if let ([_, ..], []) = (run.shards.as_slice(), report.test_suites.as_slice()) {
        report.add_test_suite(of_no_case());
    }
    for suite in &mut report.test_suites {
        suite.add_properties(run.shards.iter().map(|shard| (SHARD, shard.as_str())));
        if run.broke_off {
            suite.add_property((BROKEN, "true"));
        }
    }
    report
}

/// Returns a testsuite with an error that belongs to no case. Without one, a report of the cases that had ended would look green, to who
/// counts elements too.
pub(super) fn broke_off(why: &str) -> TestSuite {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_message(shown(why));
    let mut case = TestCase::new(THE_RUN, status);
    case.set_classname(WHOLE);
    case.set_time(Duration::ZERO);
    let mut suite = of_no_case();
    suite.add_test_case(case);
    suite
}

fn of_no_case() -> TestSuite {
    let mut suite = TestSuite::new(WHOLE);
    suite.set_time(Duration::ZERO);
    suite
}

fn test_case(told: &CaseReport) -> TestCase {
    let mut status = match told.result {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Errored => TestCaseStatus::non_success(NonSuccessKind::Error),
        Verdict::Skipped => TestCaseStatus::skipped(),
    };
    let message = told.error.as_ref().or(told.message.as_ref());
    if let Some(message) = message.filter(|_| told.result != Verdict::Passed) {
        status.set_message(shown(message));
    }
    if let Some(report) = &told.report {
        status.set_description(shown(report));
    }
    let mut case = TestCase::new(shown(told.own_name()), status);
    case.set_classname(shown(&told.suite));
    case.set_time(told.took());
    case.extra.insert("file".into(), shown(&told.file).into());
    if told.result == Verdict::Passed && !told.warnings.is_empty() {
        case.set_system_err(shown(&told.warnings.join("\n")));
    }
    case
}

/// Returns the text with the two characters escaped that XML forbids and the writer leaves in.
fn shown(text: &str) -> String {
    text.replace('\u{fffe}', "\\u{fffe}")
        .replace('\u{ffff}', "\\u{ffff}")
}
