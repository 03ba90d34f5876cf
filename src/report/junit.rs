//! JUnit XML, for CI.

use std::collections::HashMap;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::outcome::{CaseOutcome, RunOutcome, Verdict};
use super::text::{Detail, Palette, text};
use super::words::{mask, note, summary};

/// Returns the run as JUnit XML, with a testsuite per suite. Bodies may contain any bytes.
///
/// # Errors
///
/// Returns the error if the XML can't be written.
pub(crate) fn junit(
    run: &RunOutcome,
    secrets: &[String],
) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("softprobe");
    report.set_time(run.took);
    let mut suites: Vec<(&str, Vec<&CaseOutcome>)> = Vec::new();
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    for outcome in &run.cases {
        let at = *by_name.entry(&outcome.suite).or_insert(suites.len());
        if at == suites.len() {
            suites.push((&outcome.suite, Vec::new()));
        }
        suites[at].1.push(outcome);
    }
    for (name, cases) in suites {
        let mut suite = TestSuite::new(name);
        suite.set_time(cases.iter().map(|case| case.took).sum());
        suite.add_test_cases(cases.into_iter().map(|case| test_case(case, secrets)));
        report.add_test_suite(suite);
    }
    if run.broke_off && report.errors == 0 {
        // Without one, a report of the cases that had ended would look green.
        report.errors = 1;
    }
    report.to_string()
}

fn test_case(outcome: &CaseOutcome, secrets: &[String]) -> TestCase {
    let verdict = outcome.verdict();
    let mut status = match verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Errored => TestCaseStatus::non_success(NonSuccessKind::Error),
        Verdict::Skipped => TestCaseStatus::skipped(),
    };
    if verdict != Verdict::Passed {
        status.set_message(shown(summary(outcome), secrets));
    }
    if outcome.is_bad() {
        status.set_description(shown(
            text(outcome, Palette::default(), Detail::Usual),
            secrets,
        ));
    }
    let name = outcome
        .trial
        .strip_prefix(&format!("{}::", outcome.suite))
        .unwrap_or(&outcome.trial);
    let mut case = TestCase::new(name, status);
    case.set_classname(&*outcome.suite);
    case.set_time(outcome.took);
    case.extra
        .insert("file".into(), outcome.file.display().to_string().into());
    if verdict == Verdict::Passed && !outcome.notes.is_empty() {
        let notes: Vec<String> = outcome.notes.iter().map(note).collect();
        case.set_system_err(shown(notes.join("\n"), secrets));
    }
    case
}

/// Returns the text without secrets, and with the two characters escaped that XML forbids and the writer
/// leaves in.
fn shown(text: String, secrets: &[String]) -> String {
    mask(text, secrets)
        .replace('\u{fffe}', "\\u{fffe}")
        .replace('\u{ffff}', "\\u{ffff}")
}
