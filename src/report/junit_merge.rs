//! Puts JUnit files together, whoever wrote them, such as those of the parts of a run.

use std::collections::BTreeSet;

use quick_junit::{DeserializeError, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};
use thiserror::Error;

use super::junit::{SHARD, WHOLE, broke_off, report, written};
use super::together::missing;
use super::told::RunReport;

/// A JUnit file, or several put together.
#[derive(Debug)]
pub(crate) struct JunitReport(Report);

/// Why a JUnit file can't be read.
#[derive(Debug, Error)]
pub(crate) enum JunitError {
    /// It is none.
    #[error("no JUnit file")]
    Unreadable(#[from] DeserializeError),
    /// Some of its cases were not read.
    #[error(
        "it holds {there} cases, of which {read} can be read: testsuites inside a testsuite can't be put together; have them written side by side"
    )]
    Nested { there: usize, read: usize },
    /// It counts more failures than there are.
    #[error(
        "testsuite {name:?} counts {told} failures and errors, and holds {held}: what stands in no case would be lost"
    )]
    Untold {
        name: String,
        told: usize,
        held: usize,
    },
}

/// How many cases ended in which way.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JunitCounts {
    pub(crate) passed: usize,
    /// Failed, or could not be judged.
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl JunitCounts {
    pub(crate) fn all(self) -> usize {
        self.passed + self.failed + self.skipped
    }
}

impl JunitReport {
    /// Reads the text of a JUnit file, whole: what is not read would be missing, and look green.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and at which element.
    pub(crate) fn read(xml: &str) -> Result<Self, JunitError> {
        let root = without_prolog(xml);
        // Some write a file for each testsuite, which is its root.
        let is_suite = root.starts_with("<testsuite") && !root.starts_with("<testsuites");
        let report = Self(match is_suite {
            true => Report::deserialize_from_str(&format!("<testsuites>{root}</testsuites>"))?,
            false => Report::deserialize_from_str(xml)?,
        });
        let (there, read) = (cases_in(xml), report.cases().count());
        if there != read {
            return Err(JunitError::Nested { there, read });
        }
        for suite in &report.0.test_suites {
            let told = suite.failures + suite.errors;
            let cases = suite.test_cases.iter();
            let held = cases.filter(|case| is_bad(case)).count();
            if told > held {
                let name = suite.name.as_str().to_owned();
                return Err(JunitError::Untold { name, told, held });
            }
        }
        let (told, held) = (report.0.failures + report.0.errors, report.counts().failed);
        match told > held {
            true => Err(JunitError::Untold {
                name: report.0.name.as_deref().unwrap_or_default().to_owned(),
                told,
                held,
            }),
            false => Ok(report),
        }
    }

    /// Returns the report of a run.
    pub(crate) fn of(run: &RunReport) -> Self {
        Self(report(run))
    }

    /// Returns the file's text.
    ///
    /// # Errors
    ///
    /// Returns the error if the XML can't be written.
    pub(crate) fn write(&self) -> Result<String, SerializeError> {
        written(&self.0)
    }

    /// Returns several files as one: testsuites of one name become one, and what is in it is sorted by name. The second part are the
    /// parts of the run that are missing.
    pub(crate) fn merged(files: Vec<Self>) -> (Self, Vec<String>) {
        let mut names: Vec<&str> = files
            .iter()
            .filter_map(|Self(file)| file.name.as_deref())
            .collect();
        names.dedup();
        let mut all = Report::new(match names.as_slice() {
            [name] => name,
            _ => WHOLE,
        });
        all.timestamp = files.iter().filter_map(|Self(file)| file.timestamp).min();
        let times = files.iter().filter_map(|Self(file)| file.time);
        all.time = times.reduce(|all, time| all + time);
        let mut suites: Vec<TestSuite> = Vec::new();
        for suite in files.into_iter().flat_map(|Self(file)| file.test_suites) {
            match suites.iter_mut().find(|known| known.name == suite.name) {
                Some(known) => add(known, suite),
                None => suites.push(suite),
            }
        }
        let shards = suites.iter().flat_map(|suite| &suite.properties);
        let shards = shards.filter(|property| property.name.as_str() == SHARD);
        let shards: BTreeSet<String> = shards
            .map(|shard| shard.value.as_str().to_owned())
            .collect();
        let missing = missing(&shards);
        if missing.is_empty() {
            // It is no part any more.
            for suite in &mut suites {
                suite
                    .properties
                    .retain(|property| property.name.as_str() != SHARD);
            }
            suites.retain(|suite| suite.name.as_str() != WHOLE || !suite.test_cases.is_empty());
        }
        suites.sort_by(|a, b| a.name.cmp(&b.name));
        all.add_test_suites(suites.into_iter().map(counted));
        (Self(all), missing)
    }

    /// Adds an error that belongs to no case, such as that parts are missing: what nobody has looked at must not look green.
    pub(crate) fn add_error(&mut self, why: &str) {
        let told = broke_off(why);
        let Report { test_suites, .. } = &mut self.0;
        let known = test_suites.iter().position(|known| known.name == told.name);
        let suite = match known.map(|at| test_suites.remove(at)) {
            Some(mut known) => {
                add(&mut known, told);
                counted(known)
            }
            None => told,
        };
        self.0.errors += 1;
        self.0.tests += 1;
        self.0.test_suites.push(suite);
    }

    /// Returns how many cases ended in which way.
    pub(crate) fn counts(&self) -> JunitCounts {
        let mut counts = JunitCounts::default();
        for case in self.cases() {
            *match &case.status {
                TestCaseStatus::Success { .. } => &mut counts.passed,
                TestCaseStatus::NonSuccess { .. } => &mut counts.failed,
                TestCaseStatus::Skipped { .. } => &mut counts.skipped,
            } += 1;
        }
        counts
    }

    /// Returns the name of each case, with that of its class.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.cases().map(|case| match &case.classname {
            Some(class) => format!("{}::{}", class.as_str(), case.name.as_str()),
            None => case.name.as_str().to_owned(),
        });
        names.collect()
    }

    fn cases(&self) -> impl Iterator<Item = &TestCase> {
        self.0
            .test_suites
            .iter()
            .flat_map(|suite| &suite.test_cases)
    }
}

fn is_bad(case: &TestCase) -> bool {
    matches!(case.status, TestCaseStatus::NonSuccess { .. })
}

/// Returns how many cases stand in XML, wherever they stand.
fn cases_in(xml: &str) -> usize {
    const CASE: &str = "<testcase";
    let (mut rest, mut count) = (xml, 0);
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        let hidden = [("<![CDATA[", "]]>"), ("<!--", "-->"), ("<?", "?>")];
        let hidden = hidden.iter().find(|(start, _)| rest.starts_with(start));
        let end = match hidden {
            Some((start, end)) => rest[start.len()..].find(end).map(|at| start.len() + at),
            None => {
                let after = rest.strip_prefix(CASE);
                count += usize::from(after.is_some_and(|after| {
                    after.starts_with(|c: char| c.is_whitespace() || c == '/' || c == '>')
                }));
                Some(1)
            }
        };
        rest = &rest[end.unwrap_or(rest.len())..];
    }
    count
}

/// Returns XML without what comes before its root.
fn without_prolog(xml: &str) -> &str {
    let mut rest = xml.trim_start();
    for (start, end) in [("<?", "?>"), ("<!--", "-->"), ("<!--", "-->")] {
        let inside = rest
            .strip_prefix(start)
            .and_then(|rest| rest.split_once(end));
        rest = inside.map_or(rest, |(_, after)| after.trim_start());
    }
    rest
}

/// Adds to a testsuite what is in another one of its name. What is counted is left to [`counted`].
fn add(known: &mut TestSuite, more: TestSuite) {
    known.timestamp = [known.timestamp, more.timestamp]
        .into_iter()
        .flatten()
        .min();
    let times = [known.time, more.time].into_iter().flatten();
    known.time = times.reduce(|all, time| all + time);
    known.test_cases.extend(more.test_cases);
    let disabled = [known.disabled, more.disabled].into_iter().flatten();
    known.disabled = disabled.reduce(|all, count| all + count);
    for property in more.properties {
        if !known.properties.contains(&property) {
            known.properties.push(property);
        }
    }
    for (all, more) in [
        (&mut known.system_out, more.system_out),
        (&mut known.system_err, more.system_err),
    ] {
        let texts = [all.take(), more].into_iter().flatten();
        *all = texts.reduce(|all, more| format!("{}\n{}", all.as_str(), more.as_str()).into());
    }
    for (name, value) in more.extra {
        known.extra.entry(name).or_insert(value);
    }
}

/// Returns a testsuite with its cases sorted and counted anew.
fn counted(mut suite: TestSuite) -> TestSuite {
    let mut cases = std::mem::take(&mut suite.test_cases);
    cases.sort_by(|a, b| (&a.classname, &a.name).cmp(&(&b.classname, &b.name)));
    let TestSuite {
        tests,
        skipped,
        errors,
        failures,
        ..
    } = &mut suite;
    for count in [tests, skipped, errors, failures] {
        *count = 0;
    }
    suite.add_test_cases(cases);
    suite
}
