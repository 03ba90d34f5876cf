//! JUnit XML, for CI.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Palette, mask, text};
use crate::outcome::{CaseOutcome, RunOutcome, Verdict};

/// The run as JUnit XML: a testsuite per suite, whatever bytes the bodies hold.
///
/// # Errors
///
/// What writing the XML failed with.
pub(crate) fn junit(
    run: &RunOutcome,
    secrets: &[String],
) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("softprobe");
    report.set_time(run.took);
    let mut suites: Vec<&str> = Vec::new();
    for outcome in &run.cases {
        if !suites.contains(&outcome.suite.as_str()) {
            suites.push(&outcome.suite);
        }
    }
    for name in suites {
        let mut suite = TestSuite::new(name);
        let cases: Vec<&CaseOutcome> = run.cases.iter().filter(|c| c.suite == name).collect();
        suite.set_time(cases.iter().map(|case| case.took).sum());
        suite.add_test_cases(cases.into_iter().map(|case| test_case(case, secrets)));
        report.add_test_suite(suite);
    }
    report.to_string()
}

fn test_case(outcome: &CaseOutcome, secrets: &[String]) -> TestCase {
    let mut status = match &outcome.verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Errored(_) => TestCaseStatus::non_success(NonSuccessKind::Error),
        Verdict::Skipped(_) => TestCaseStatus::skipped(),
    };
    if outcome.verdict != Verdict::Passed {
        status.set_message(mask(outcome.summary(), secrets));
    }
    if let Verdict::Failed | Verdict::Errored(_) = outcome.verdict {
        status.set_description(mask(text(outcome, Palette::default()), secrets));
    }
    let name = outcome
        .trial
        .strip_prefix(&format!("{}::", outcome.suite))
        .unwrap_or(&outcome.trial);
    let mut case = TestCase::new(name, status);
    case.set_classname(outcome.suite.clone());
    case.set_time(outcome.took);
    case.extra
        .insert("file".into(), outcome.file.display().to_string().into());
    if outcome.verdict == Verdict::Passed && !outcome.warnings.is_empty() {
        case.set_system_err(mask(outcome.warnings.join("\n"), secrets));
    }
    case
}
