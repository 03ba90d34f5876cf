//! Puts JUnit files together, whoever wrote them, such as those of the parts of a run.

use std::borrow::Cow;
use std::sync::LazyLock;

use quick_junit::{DeserializeError, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};
use regex::Regex;
use thiserror::Error;

use super::junit::{BROKEN, SHARD, THE_RUN, WHOLE, broke_off as tell_broke_off, report, written};
use super::together::{ONE_BROKE_OFF, told_missing};
use super::told::RunReport;

/// An attribute with a time of day.
static TIMESTAMP: LazyLock<Regex> =
    LazyLock::new(|| match Regex::new(r#"\stimestamp=("[^"]*"|'[^']*')"#) {
        Ok(timestamp) => timestamp,
        Err(error) => unreachable!("{error}"),
    });

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
        "it holds {there} cases, of which {read} can be read: those that stand in no testsuite, or in one inside another, can't be put together"
    )]
    Nested { there: usize, read: usize },
    /// Some of its failures stand in no case.
    #[error("it holds {0} failures and errors that stand in no case, and would be lost")]
    Stray(usize),
    /// It counts more than it holds.
    #[error("{name:?} counts {told} {what}, and holds {held}: the others would be lost")]
    Lost {
        name: String,
        what: &'static str,
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
        let xml = match is_suite {
            true => Cow::Owned(format!("<testsuites>{root}</testsuites>")),
            false => Cow::Borrowed(xml),
        };
        // Many write times of day without an offset, which the library does not take. They are nothing that anybody looks for.
        let read = Report::deserialize_from_str(&xml);
        let report = read.or_else(|why| match TIMESTAMP.replace_all(&xml, "") {
            Cow::Owned(timeless) => Report::deserialize_from_str(&timeless),
            Cow::Borrowed(_) => Err(why),
        })?;
        let cases = report
            .test_suites
            .iter()
            .flat_map(|suite| &suite.test_cases);
        let cases: Vec<&TestCase> = cases.collect();
        let (there, read) = (there(&xml), cases.len());
        if there.cases != read {
            let there = there.cases;
            return Err(JunitError::Nested { there, read });
        }
        if there.strays > 0 {
            return Err(JunitError::Stray(there.strays));
        }
        for suite in &report.test_suites {
            let cases: Vec<&TestCase> = suite.test_cases.iter().collect();
            check_counts(
                &suite.name,
                suite.tests,
                suite.failures + suite.errors,
                &cases,
            )?;
        }
        let name = report.name.as_deref().unwrap_or_default();
        check_counts(name, report.tests, report.failures + report.errors, &cases)?;
        Ok(Self(report))
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

    /// Returns several files as one: testsuites of one name become one, and what is in it is sorted by name. The second part is why it
    /// is no whole run, if it is none; the file then has an error that says so.
    pub(crate) fn merged(files: Vec<Self>) -> (Self, Option<String>) {
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
        let properties = suites.iter().flat_map(|suite| &suite.properties);
        let shards = properties
            .clone()
            .filter(|property| property.name.as_str() == SHARD);
        let shards: Vec<String> = shards
            .map(|shard| shard.value.as_str().to_owned())
            .collect();
        let broke_off = properties
            .into_iter()
            .any(|property| property.name.as_str() == BROKEN);
        let missing = told_missing(&shards);
        if missing.is_none() {
            // It is no part any more.
            for suite in &mut suites {
                suite
                    .properties
                    .retain(|property| property.name.as_str() != SHARD);
            }
            suites.retain(|suite| suite.name.as_str() != WHOLE || !suite.test_cases.is_empty());
        }
        let why = missing.or_else(|| broke_off.then(|| ONE_BROKE_OFF.to_owned()));
        if let Some(why) = &why {
            let told = tell_broke_off(why);
            match suites.iter_mut().find(|known| known.name == told.name) {
                Some(known) => {
                    // Each of the files may have said it of itself.
                    known.test_cases.retain(|case| !is_the_run(case));
                    add(known, told);
                }
                None => suites.push(told),
            }
        }
        suites.sort_by(|a, b| a.name.cmp(&b.name));
        all.add_test_suites(suites.into_iter().map(counted));
        (Self(all), why)
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

    /// Returns the cases, without what stands for the run.
    fn cases(&self) -> impl Iterator<Item = &TestCase> {
        let suites = self.0.test_suites.iter();
        let cases = suites.flat_map(|suite| &suite.test_cases);
        cases.filter(|case| !is_the_run(case))
    }
}

/// Checks that as many cases are there as are counted, and as many that failed.
fn check_counts(
    name: &str,
    tests: usize,
    bad: usize,
    cases: &[&TestCase],
) -> Result<(), JunitError> {
    let held = cases.iter().filter(|case| is_bad(case)).count();
    let counts = [
        ("cases", tests, cases.len()),
        ("failures and errors", bad, held),
    ];
    match counts.into_iter().find(|(_, told, held)| told > held) {
        None => Ok(()),
        Some((what, told, held)) => Err(JunitError::Lost {
            name: name.to_owned(),
            what,
            told,
            held,
        }),
    }
}

fn is_the_run(case: &TestCase) -> bool {
    case.name.as_str() == THE_RUN && case.classname.as_deref() == Some(WHOLE)
}

fn is_bad(case: &TestCase) -> bool {
    matches!(case.status, TestCaseStatus::NonSuccess { .. })
}

/// What stands in XML, whether it is read or not.
#[derive(Debug, Default, PartialEq, Eq)]
struct There {
    cases: usize,
    /// Failures and errors that stand in no case.
    strays: usize,
}

/// Returns what stands in XML, wherever it stands.
fn there(xml: &str) -> There {
    let mut there = There::default();
    let mut is_in_case = false;
    let mut rest = xml;
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        let hidden = [("<![CDATA[", "]]>"), ("<!--", "-->"), ("<?", "?>")];
        let hidden = hidden.iter().find(|(start, _)| rest.starts_with(start));
        if let Some((start, end)) = hidden {
            let end = rest[start.len()..].find(end);
            rest = end.map_or("", |end| &rest[start.len() + end..]);
            continue;
        }
        let tag = tag(rest);
        let is = |name: &str| {
            let after = tag.strip_prefix(name);
            after.is_some_and(|after| {
                after.starts_with(|c: char| c.is_whitespace() || c == '/' || c == '>')
            })
        };
        if is("<testcase") {
            there.cases += 1;
            is_in_case = !tag.ends_with("/>");
        } else if is("</testcase") {
            is_in_case = false;
        } else if (is("<failure") || is("<error")) && !is_in_case {
            there.strays += 1;
        }
        rest = &rest[tag.len()..];
    }
    there
}

/// Returns the tag with which a text begins.
fn tag(text: &str) -> &str {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, '>') => return &text[..=at],
            _ => {}
        }
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_file_is_counted_as_a_reader_of_xml_would() {
        for (xml, cases, strays) in [
            ("", 0, 0),
            (
                "<testcase/><testcase ></testcase><testcases/><TestCase/>",
                2,
                0,
            ),
            ("<testcase a='>' b=\"/>\"><error/></testcase>", 1, 0),
            ("<testcase/><error/>", 1, 1),
            (
                "<testcase><failure>no</failure></testcase>\n<failure m='x'/>",
                1,
                1,
            ),
            (
                "<!-- <testcase> --><system-out><![CDATA[<testcase><error>]]></system-out>",
                0,
                0,
            ),
            ("<testcase a='<", 1, 0),
            ("<![CDATA[ <testcase>", 0, 0),
            ("<", 0, 0),
        ] {
            assert_eq!(there(xml), There { cases, strays }, "{xml}");
        }
    }
}
