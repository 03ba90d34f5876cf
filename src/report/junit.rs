//! JUnit XML, for CI.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::outcome::Verdict;
use super::told::{CaseReport, RunReport};

/// Why there is an error where no case had one.
const BROKE_OFF: &str = "the run broke off before all of its cases had ended";

/// Returns the run as JUnit XML, with a testsuite per suite. Bodies may contain any bytes.
///
/// # Errors
///
/// Returns the error if the XML can't be written.
pub(crate) fn junit(run: &RunReport) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("softprobe");
    report.set_time(std::time::Duration::from_millis(run.took_ms));
    for (name, cases) in run.by_suite() {
        let mut suite = TestSuite::new(shown(name));
        suite.set_time(cases.iter().map(|case| case.took()).sum());
        // The library counts these as `disabled`, which consumers don't read.
        let skipped = cases.iter().filter(|case| case.result == Verdict::Skipped);
        let skipped = skipped.count().to_string();
        suite.extra.insert("skipped".into(), skipped.into());
        suite.add_test_cases(cases.into_iter().map(test_case));
        report.add_test_suite(suite);
    }
    if run.broke_off && report.errors == 0 {
        // Without one, a report of the cases that had ended would look green, to who counts elements too.
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        let why = run.broke_off_why.as_deref().unwrap_or(BROKE_OFF);
        status.set_message(shown(why));
        let mut suite = TestSuite::new("softprobe");
        suite.set_time(std::time::Duration::ZERO);
        suite.extra.insert("skipped".into(), "0".into());
        let mut case = TestCase::new("the run", status);
        case.set_classname("softprobe");
        case.set_time(std::time::Duration::ZERO);
        suite.add_test_case(case);
        report.add_test_suite(suite);
    }
    let xml = report.to_string()?;
    Ok(xml.trim_end().to_owned() + "\n")
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
