//! Prints results in libtest's formats as cases end.

use std::io::{self, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style as Paint};
use serde_json::{Value, json};

use super::causes::{causes, shown};
use super::outcome::{CaseOutcome, End, RunOutcome, Verdict};
use super::text::{Detail, Palette, text};
use super::words;
use crate::base::visible;

/// How many reasons for failures are told in short.
const MOST_CAUSES: usize = 20;

/// One of libtest's formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// One line per case.
    Pretty,
    /// One character per case.
    Terse,
    /// One JSON object per event.
    Json,
}

/// Prints the results while cases end, and the summary after the last one.
#[derive(Debug)]
pub(crate) struct Printer<W> {
    out: W,
    style: Style,
    palette: Palette,
    detail: Detail,
    /// Names are padded to this many characters.
    width: usize,
    /// Whether each case's time is shown.
    times: bool,
    /// Whether lines that GitHub would take for commands are made none.
    on_github: bool,
    secrets: Vec<String>,
}

impl<W: Write> Printer<W> {
    pub(crate) fn new(
        out: W,
        style: Style,
        palette: Palette,
        times: bool,
        secrets: Vec<String>,
    ) -> Self {
        Self {
            out,
            style,
            palette,
            detail: Detail::Usual,
            width: 0,
            times,
            on_github: false,
            secrets,
        }
    }

    /// Sets whether GitHub reads what is printed.
    pub(crate) fn on_github(mut self, on: bool) -> Self {
        self.on_github = on;
        self
    }

    /// Sets how much the reports tell.
    pub(crate) fn detail(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }

    /// Prints the header before the first case; `names` are the names of all cases.
    pub(crate) fn start<'n>(&mut self, names: impl Iterator<Item = &'n str>) -> io::Result<()> {
        let mut count = 0_usize;
        for name in names {
            count += 1;
            let width = name.chars().count();
            // Formatting supports no greater width; longer names are not padded.
            self.width = self.width.max(width.min(usize::from(u16::MAX)));
        }
        if self.style == Style::Json {
            let event = json!({"type": "suite", "event": "started", "test_count": count});
            return self.out.write_all(event_line(&event).as_bytes());
        }
        let plural = if count == 1 { "" } else { "s" };
        writeln!(self.out, "\nrunning {count} test{plural}")
    }

    /// Prints the name of a case that is about to run, for when cases run one at a time.
    pub(crate) fn begin(&mut self, name: &str) -> io::Result<()> {
        let line = self.name_line(name);
        self.out.write_all(line.as_bytes())?;
        self.out.flush()
    }

    /// Prints the result of a case whose name was printed when it began.
    pub(crate) fn result(&mut self, outcome: &CaseOutcome) -> io::Result<()> {
        let line = self.result_line(outcome);
        self.out.write_all(line.as_bytes())?;
        match self.style {
            Style::Terse => self.out.flush(),
            // A complete line is written without a flush.
            Style::Pretty | Style::Json => Ok(()),
        }
    }

    /// Prints the name and result of a case for which nothing has been printed yet.
    pub(crate) fn whole(&mut self, outcome: &CaseOutcome) -> io::Result<()> {
        let line = self.name_line(&outcome.trial) + &self.result_line(outcome);
        self.out.write_all(line.as_bytes())?;
        match self.style {
            Style::Terse => self.out.flush(),
            Style::Pretty | Style::Json => Ok(()),
        }
    }

    fn name_line(&self, name: &str) -> String {
        match self.style {
            Style::Pretty => format!("test {name:<width$} ... ", width = self.width),
            Style::Terse => String::new(),
            Style::Json => event_line(&json!({"type": "test", "event": "started", "name": name})),
        }
    }

    fn result_line(&self, outcome: &CaseOutcome) -> String {
        match self.style {
            Style::Pretty => self.pretty_result(outcome) + "\n",
            Style::Terse => {
                let (paint, character) = match outcome.verdict() {
                    Verdict::Passed => (AnsiColor::Green, '.'),
                    Verdict::Failed | Verdict::Errored => (AnsiColor::Red, 'F'),
                    Verdict::Skipped => (AnsiColor::Yellow, 'i'),
                };
                let paint = self.paint(paint);
                format!("{paint}{character}{paint:#}")
            }
            Style::Json => event_line(&self.event(outcome)),
        }
    }

    /// Prints what comes after the last case; with `reports_passed`, also the reports of cases that
    /// passed.
    pub(crate) fn end(&mut self, run: &RunOutcome, reports_passed: bool) -> io::Result<()> {
        let passed = run.count(&[Verdict::Passed]);
        let failed = run.count(&[Verdict::Failed, Verdict::Errored]);
        let ignored = run.count(&[Verdict::Skipped]);
        let seconds = run.took.as_secs_f64();
        if self.style == Style::Json {
            let is_late = |case: &CaseOutcome| case.late().any(|(_, fails)| fails);
            for outcome in run.cases.iter().filter(|case| is_late(case)) {
                self.out
                    .write_all(event_line(&self.event(outcome)).as_bytes())?;
            }
            let event = json!({
                "type": "suite", "event": if failed > 0 || run.broke_off { "failed" } else { "ok" },
                "passed": passed, "failed": failed, "ignored": ignored, "measured": 0,
                "filtered_out": 0, "exec_time": seconds,
            });
            self.out.write_all(event_line(&event).as_bytes())?;
            return self.out.flush();
        }
        if failed > 0 {
            self.failures(run)?;
        }
        if reports_passed {
            writeln!(self.out, "\nsuccesses:\n")?;
            let passed = |case: &CaseOutcome| case.verdict() == Verdict::Passed;
            for outcome in run.cases.iter().filter(|case| passed(case)) {
                self.report(outcome)?;
            }
        }
        let (colour, word) = match failed {
            0 if !run.broke_off => (AnsiColor::Green, "ok"),
            _ => (AnsiColor::Red, "FAILED"),
        };
        let paint = self.paint(colour);
        writeln!(
            self.out,
            "\ntest result: {paint}{word}{paint:#}. {passed} passed; {failed} failed; {ignored} ignored; \
             0 measured; 0 filtered out; finished in {seconds:.2}s\n"
        )?;
        self.out.flush()
    }

    fn failures(&mut self, run: &RunOutcome) -> io::Result<()> {
        writeln!(self.out, "\nfailures:\n")?;
        let bad = || run.cases.iter().filter(|case| case.is_bad());
        self.causes(run)?;
        for outcome in bad() {
            self.report(outcome)?;
        }
        writeln!(self.out, "\nfailures:")?;
        for outcome in bad() {
            writeln!(self.out, "    {}", outcome.trial)?;
        }
        Ok(())
    }

    /// Prints the reasons for which cases fail, if several fail for one, or many fail.
    fn causes(&mut self, run: &RunOutcome) -> io::Result<()> {
        let causes = causes(run);
        /// So few are seen at a glance.
        const FEW: usize = 3;
        if causes.len() <= FEW && causes.iter().all(|cause| cause.cases.len() < 2) {
            return Ok(());
        }
        writeln!(self.out, "why they fail, in short:")?;
        for cause in causes.iter().take(MOST_CAUSES) {
            let text = shown(cause);
            write!(
                self.out,
                "{}",
                words::mask(visible(&text).into_owned(), &self.secrets)
            )?;
        }
        if let Some(more) = causes
            .len()
            .checked_sub(MOST_CAUSES)
            .filter(|more| *more > 0)
        {
            writeln!(self.out, "  and {more} more")?;
        }
        writeln!(self.out)
    }

    fn report(&mut self, outcome: &CaseOutcome) -> io::Result<()> {
        let report = words::mask(text(outcome, self.palette, self.detail), &self.secrets);
        let report = match self.on_github {
            true => without_commands(&report),
            false => report,
        };
        writeln!(self.out, "---- {} ----\n{report}", outcome.trial)
    }

    fn pretty_result(&self, outcome: &CaseOutcome) -> String {
        let (colour, word) = match &outcome.end {
            End::Skipped(why) => {
                let why = words::mask(words::skip(why), &self.secrets);
                (AnsiColor::Yellow, format!("ignored ({why})"))
            }
            _ if outcome.is_bad() => (AnsiColor::Red, "FAILED".to_owned()),
            _ => (AnsiColor::Green, "ok".to_owned()),
        };
        let paint = self.paint(colour);
        let mut result = format!("{paint}{word}{paint:#}");
        if self.times && outcome.verdict() != Verdict::Skipped {
            result.push_str(&format!(" <{:.3}s>", outcome.took.as_secs_f64()));
        }
        result
    }

    fn event(&self, outcome: &CaseOutcome) -> Value {
        let mut event = json!({"type": "test", "name": outcome.trial});
        event["event"] = match outcome.verdict() {
            Verdict::Passed => "ok",
            Verdict::Failed | Verdict::Errored => "failed",
            Verdict::Skipped => "ignored",
        }
        .into();
        if outcome.is_bad() {
            let report = text(outcome, Palette::default(), self.detail);
            event["stdout"] = words::mask(report, &self.secrets).into();
        }
        if self.times && outcome.verdict() != Verdict::Skipped {
            event["exec_time"] = outcome.took.as_secs_f64().into();
        }
        event
    }

    fn paint(&self, colour: AnsiColor) -> Paint {
        match self.palette.is_plain() {
            true => Paint::new(),
            false => colour.on_default(),
        }
    }
}

/// Returns a text in which nothing is a command to GitHub: what an application or a body says must not be carried out.
fn without_commands(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.replace("##[", "# #[");
        let start = line.len() - line.trim_start().len();
        match line[start..].starts_with("::") {
            true => format!("{}| {}\n", &line[..start], &line[start..]),
            false => line + "\n",
        }
    });
    lines.collect()
}

/// Returns an event as a line of JSON, with spaces where libtest puts them.
fn event_line(event: &Value) -> String {
    let members = event.as_object().into_iter().flatten();
    let members: Vec<String> = members
        .map(|(name, value)| format!("{}: {value}", Value::from(name.as_str())))
        .collect();
    format!("{{ {} }}\n", members.join(", "))
}

/// Returns the lines of `--logfile`, as libtest writes them.
pub(crate) fn log_lines(run: &RunOutcome) -> String {
    let line = |outcome: &CaseOutcome| {
        let word = match outcome.verdict() {
            Verdict::Passed => "ok",
            Verdict::Failed | Verdict::Errored => "failed",
            Verdict::Skipped => "ignored",
        };
        format!("{word} {}\n", outcome.trial)
    };
    let mut lines: String = run.cases.iter().map(|case| line(case)).collect();
    if run.broke_off {
        // Without it, a log of the cases that had ended would look green.
        lines.push_str("failed (the run broke off before all of its cases had ended)\n");
    }
    lines
}

/// A trial in a list.
#[derive(Debug)]
pub(crate) struct Listed<'a> {
    pub(crate) name: &'a str,
    pub(crate) file: &'a Path,
    /// Why it is ignored, if it is.
    pub(crate) ignored: Option<&'a str>,
}

/// Prints the list of trials as libtest does.
pub(crate) fn list(out: &mut impl Write, style: Style, trials: &[Listed<'_>]) -> io::Result<()> {
    if style == Style::Json {
        return list_json(out, trials);
    }
    for trial in trials {
        writeln!(out, "{}: test", trial.name)?;
    }
    if style == Style::Pretty {
        let plural = if trials.len() == 1 { "" } else { "s" };
        writeln!(out, "\n{} test{plural}, 0 benchmarks", trials.len())?;
    }
    out.flush()
}

fn list_json(out: &mut impl Write, trials: &[Listed<'_>]) -> io::Result<()> {
    writeln!(out, "{}", json!({"type": "suite", "event": "discovery"}))?;
    for trial in trials {
        let event = json!({
            "type": "test",
            "event": "discovered",
            "name": trial.name,
            "ignore": trial.ignored.is_some(),
            "ignore_message": trial.ignored.unwrap_or_default(),
            "source_path": trial.file.display().to_string(),
        });
        writeln!(out, "{event}")?;
    }
    let ignored = trials
        .iter()
        .filter(|trial| trial.ignored.is_some())
        .count();
    let total = trials.len();
    let event = json!({
        "type": "suite", "event": "completed", "tests": total, "benchmarks": 0,
        "total": total, "ignored": ignored,
    });
    writeln!(out, "{event}")?;
    out.flush()
}
