//! Outcomes into libtest's formats, through libtest-mimic; what it lacks is done around it.

use std::io::{IsTerminal as _, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use libtest_mimic::{
    Arguments, ColorSetting, Completion, Conclusion, Failed, FormatSetting, Trial,
};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::args::{Args, Color, Format};
use super::discover::Case;
use super::replay::replay;
use super::world::{Started, World};
use super::{Ended, Refusal};
use crate::disk::write_whole;
use crate::outcome::{CaseOutcome, RunOutcome, Verdict};
use crate::report::{NO_CALL, Palette, junit, mask, text};

/// How long cases that run may take to end after an interrupt.
const GRACE: Duration = Duration::from_secs(2);

/// Whether a case is registered as ignored and will not run.
pub(super) fn is_ignored(args: &Args, case: &Case) -> bool {
    case.ignored.is_some() && !args.flags.ignored && !args.flags.include_ignored
}

/// Prints the list of cases as libtest does.
pub(super) fn list(args: &Args, cases: &[Case]) -> Result<(), Refusal> {
    let mut out = std::io::stdout().lock();
    let written = match args.flags.format {
        Some(Format::Json) => list_json(&mut out, cases),
        Some(Format::Junit) => {
            return Err("--list has no junit format".to_owned().into());
        }
        format => {
            let pretty = format != Some(Format::Terse) && !args.quiet;
            list_text(&mut out, cases, pretty)
        }
    };
    written.map_err(|error| Refusal::from(format!("the list can't be written: {error}")))
}

fn list_text(out: &mut impl Write, cases: &[Case], pretty: bool) -> std::io::Result<()> {
    for case in cases {
        writeln!(out, "{}: test", case.trial)?;
    }
    if pretty {
        let plural = if cases.len() == 1 { "" } else { "s" };
        writeln!(out, "\n{} test{plural}, 0 benchmarks", cases.len())?;
    }
    out.flush()
}

fn list_json(out: &mut impl Write, cases: &[Case]) -> std::io::Result<()> {
    use serde_json::json;
    writeln!(out, "{}", json!({"type": "suite", "event": "discovery"}))?;
    for case in cases {
        let event = json!({
            "type": "test",
            "event": "discovered",
            "name": case.trial,
            "ignore": case.ignored.is_some(),
            "ignore_message": case.ignored.clone().unwrap_or_default(),
            "source_path": case.file.display().to_string(),
        });
        writeln!(out, "{event}")?;
    }
    let ignored = cases.iter().filter(|case| case.ignored.is_some()).count();
    let total = cases.len();
    let event = json!({
        "type": "suite", "event": "completed", "tests": total, "benchmarks": 0,
        "total": total, "ignored": ignored,
    });
    writeln!(out, "{event}")?;
    out.flush()
}

/// What the trials share while they run.
struct Shared {
    world: Arc<World>,
    outcomes: Mutex<Vec<CaseOutcome>>,
    /// Why no further case starts.
    interrupted: AtomicBool,
    failed: AtomicBool,
    fail_fast: bool,
    palette: Palette,
    /// Whether a failure's summary goes to standard error, where cargo-nextest looks for it.
    summary_to_stderr: bool,
    secrets: Vec<String>,
}

/// Runs the cases and reports them; the exit code.
pub(super) fn run(
    args: &Args,
    threads: Option<usize>,
    mut cases: Vec<Case>,
    world: Arc<World>,
    started: Option<Started>,
) -> Result<Ended, Refusal> {
    shuffle(args, &mut cases);
    let order: Vec<String> = cases.iter().map(|case| case.trial.clone()).collect();
    let format = match (args.flags.format, args.quiet) {
        (Some(format), _) => format,
        (None, true) => Format::Terse,
        (None, false) => Format::Pretty,
    };
    let coloured = uses_colour(args) && matches!(format, Format::Pretty | Format::Terse);
    let token = std::env::var("SOFTPROBE_API_TOKEN").unwrap_or_default();
    let shared = Arc::new(Shared {
        world,
        outcomes: Mutex::default(),
        interrupted: AtomicBool::new(false),
        failed: AtomicBool::new(false),
        fail_fast: args.flags.fail_fast,
        palette: if coloured {
            Palette::coloured()
        } else {
            Palette::default()
        },
        summary_to_stderr: args.flags.exact || std::env::var_os("NEXTEST").is_some(),
        secrets: vec![token.trim().to_owned()],
    });
    let trials = cases
        .into_iter()
        .map(|case| trial(args, case, Arc::clone(&shared)))
        .collect();

    // libtest-mimic can't add to its own lines: where something has to, it writes to a file first.
    let held_back =
        args.silent || args.flags.report_time || args.flags.show_output || format == Format::Junit;
    let held = held_back.then(tempfile::NamedTempFile::new).transpose();
    let held = held.map_err(|error| Refusal::from(format!("no temporary file: {error}")))?;
    let arguments = Arguments {
        test_threads: threads,
        logfile: held.as_ref().map(|file| file.path().display().to_string()),
        color: Some(if coloured {
            ColorSetting::Always
        } else {
            ColorSetting::Never
        }),
        format: Some(match format {
            Format::Pretty | Format::Junit => FormatSetting::Pretty,
            Format::Terse => FormatSetting::Terse,
            Format::Json => FormatSetting::Json,
        }),
        ..Arguments::default()
    };
    let start = Instant::now();
    let ended = run_until_signal(arguments, trials, &shared);
    if !matches!(ended, Outran::Done(_)) {
        shared.world.close_all();
    }
    // The application goes before the reports: what it still has to say belongs before them.
    drop(started);

    let run = RunOutcome {
        cases: in_order(shared.outcomes(), &order),
        took: start.elapsed(),
    };
    if let Some(file) = held.filter(|_| !args.silent) {
        let text = std::fs::read_to_string(file.path()).unwrap_or_default();
        print(&match format {
            Format::Junit => render_junit(&run, &shared.secrets)?,
            _ => with_additions(&text, args, format, &run, &shared),
        })?;
    }
    if let Some(path) = &args.flags.junit {
        write(path, &render_junit(&run, &shared.secrets)?)?;
    }
    if let Some(path) = &args.flags.logfile {
        write(path, &log_lines(&run))?;
    }
    Ok(match ended {
        Outran::Broken => {
            return Err("the results can't be written to standard output"
                .to_owned()
                .into());
        }
        Outran::Signal(signal) => {
            let _ = writeln!(std::io::stderr(), "interrupted; open sessions are closed");
            Ended::Signal(signal)
        }
        Outran::Done(conclusion) if conclusion.has_failed() => Ended::Failed(run),
        Outran::Done(_) => Ended::Passed(run),
    })
}

fn print(text: &str) -> Result<(), Refusal> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Refusal::from(format!("standard output: {error}")))
}

fn write(path: &str, text: &str) -> Result<(), Refusal> {
    write_whole(Path::new(path), text)
        .map_err(|error| Refusal::from(format!("{path}: can't be written: {error}")))
}

fn render_junit(run: &RunOutcome, secrets: &[String]) -> Result<String, Refusal> {
    let xml = junit(run, secrets);
    let xml = xml.map_err(|e| Refusal::from(format!("the JUnit report can't be written: {e}")))?;
    Ok(xml.trim_end().to_owned() + "\n")
}

/// What was there first.
enum Outran {
    Done(Conclusion),
    Signal(i32),
    /// The results could not be told.
    Broken,
}

/// Runs the trials on a thread of their own, so that this one can act on a signal at once.
fn run_until_signal(arguments: Arguments, trials: Vec<Trial>, shared: &Arc<Shared>) -> Outran {
    let (sender, receiver) = mpsc::channel();
    let signals = Signals::new([SIGINT, SIGTERM]);
    let handle = signals.as_ref().ok().map(Signals::handle);
    if let Ok(mut signals) = signals {
        let sender = sender.clone();
        std::thread::spawn(move || {
            for signal in signals.forever() {
                if sender.send(Outran::Signal(signal)).is_err() {
                    return;
                }
            }
        });
    }
    std::thread::spawn(move || {
        // It panics where its output can't be written.
        let ran = catch_unwind(AssertUnwindSafe(|| libtest_mimic::run(&arguments, trials)));
        let _ = sender.send(ran.map_or(Outran::Broken, Outran::Done));
    });
    let ended = match receiver.recv() {
        Ok(Outran::Signal(signal)) => {
            shared.interrupted.store(true, Ordering::SeqCst);
            // Cases that run may end by themselves; a second signal ends the wait.
            let _ = receiver.recv_timeout(GRACE);
            Outran::Signal(signal)
        }
        Ok(done) => done,
        // The thread of the trials is gone without a word: nothing can be said to have passed.
        Err(_) => Outran::Broken,
    };
    if let Some(handle) = handle {
        handle.close();
    }
    ended
}

fn trial(args: &Args, case: Case, shared: Arc<Shared>) -> Trial {
    let skipped = is_ignored(args, &case)
        .then(|| case.ignored.clone())
        .flatten();
    Trial::ignorable_test(case.trial.clone(), move || {
        let skip = skipped.or_else(|| shared.stopped());
        let mut outcome = match &skip {
            None => replay_caught(&case, &shared.world),
            Some(_) => shared.world.outcome(&case),
        };
        if let Some(reason) = &skip {
            outcome.verdict = Verdict::Skipped(reason.clone());
        }
        outcome.file = super::relative(&outcome.file);
        shared.conclude(outcome)
    })
}

/// Replays a case; a panic of ours is an outcome as well, or no report would have the case.
fn replay_caught(case: &Case, world: &World) -> CaseOutcome {
    let replayed = catch_unwind(AssertUnwindSafe(|| replay(case, world)));
    replayed.unwrap_or_else(|_| {
        let mut outcome = world.outcome(case);
        outcome.verdict = Verdict::Errored(
            "the runner panicked, which is a fault of softprobe; the panic stands above".to_owned(),
        );
        outcome
    })
}

impl Shared {
    /// Why no further case starts, when none does.
    fn stopped(&self) -> Option<String> {
        if self.interrupted.load(Ordering::SeqCst) {
            return Some("not run: interrupted".to_owned());
        }
        let stopped = self.fail_fast && self.failed.load(Ordering::SeqCst);
        stopped.then(|| "not run: another case failed".to_owned())
    }

    fn outcomes(&self) -> Vec<CaseOutcome> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<CaseOutcome>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn conclude(&self, outcome: CaseOutcome) -> Result<Completion, Failed> {
        let result = match &outcome.verdict {
            Verdict::Passed => {
                self.warn(&outcome);
                Ok(Completion::Completed)
            }
            Verdict::Skipped(reason) => Ok(Completion::ignored_with(reason)),
            Verdict::Failed | Verdict::Errored(_) => {
                self.failed.store(true, Ordering::SeqCst);
                if self.summary_to_stderr {
                    let summary = mask(outcome.summary(), &self.secrets);
                    let _ = writeln!(std::io::stderr(), "Error: {summary}");
                }
                Err(mask(text(&outcome, self.palette), &self.secrets).into())
            }
        };
        self.lock().push(outcome);
        result
    }

    /// What a passing case has to say.
    fn warn(&self, outcome: &CaseOutcome) {
        let mut lines: Vec<String> = outcome.warnings.clone();
        for mock in &outcome.unused {
            lines.push(format!("mock `{}` was never used", mock.name));
        }
        if !outcome.unused.is_empty() && outcome.calls.is_empty() && outcome.uncorrelated.is_empty()
        {
            lines.push(NO_CALL.to_owned());
        }
        for call in &outcome.uncorrelated {
            lines.push(format!(
                "{} {}{} belongs to no session: {}",
                call.method, call.host, call.path, call.reason
            ));
        }
        for line in lines {
            let line = mask(format!("warning: {}: {line}", outcome.trial), &self.secrets);
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }
}

fn in_order(mut outcomes: Vec<CaseOutcome>, order: &[String]) -> Vec<CaseOutcome> {
    outcomes.sort_by_key(|outcome| order.iter().position(|name| *name == outcome.trial));
    outcomes
}

fn uses_colour(args: &Args) -> bool {
    match args.flags.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    }
}

/// The lines of `--logfile`, as libtest writes them.
fn log_lines(run: &RunOutcome) -> String {
    let line = |outcome: &CaseOutcome| {
        let word = match outcome.verdict {
            Verdict::Passed => "ok",
            Verdict::Failed | Verdict::Errored(_) => "failed",
            Verdict::Skipped(_) => "ignored",
        };
        format!("{word} {}\n", outcome.trial)
    };
    run.cases.iter().map(line).collect()
}

/// The output of libtest-mimic with times on the lines of the cases, and with the reports of those
/// that passed before the result.
fn with_additions(
    printed: &str,
    args: &Args,
    format: Format,
    run: &RunOutcome,
    shared: &Shared,
) -> String {
    let mut out = String::new();
    for line in printed.split_inclusive('\n') {
        if args.flags.show_output && format != Format::Json && line.starts_with("test result: ") {
            out.push_str(&successes(run, shared));
        }
        match timed(line, format, run).filter(|_| args.flags.report_time) {
            Some(line) => out.push_str(&line),
            None => out.push_str(line),
        }
    }
    out
}

fn successes(run: &RunOutcome, shared: &Shared) -> String {
    let mut out = String::from("successes:\n\n");
    for outcome in run
        .cases
        .iter()
        .filter(|case| case.verdict == Verdict::Passed)
    {
        let report = mask(text(outcome, shared.palette), &shared.secrets);
        out.push_str(&format!("---- {} ----\n{report}\n", outcome.trial));
    }
    out
}

/// The line of a case with its time, where it is one.
fn timed(line: &str, format: Format, run: &RunOutcome) -> Option<String> {
    let ran = |case: &&CaseOutcome| !matches!(case.verdict, Verdict::Skipped(_));
    if format == Format::Json {
        let mut event: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_result = event["type"] == "test" && event["event"] != "started";
        let name = event["name"].as_str().filter(|_| is_result)?.to_owned();
        let case = run
            .cases
            .iter()
            .filter(ran)
            .find(|case| case.trial == name)?;
        event["exec_time"] = case.took.as_secs_f64().into();
        return Some(format!("{event}\n"));
    }
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let case = run
        .cases
        .iter()
        .filter(ran)
        .find(|case| case.trial == name.trim_end())?;
    let result = result.trim_end();
    Some(format!(
        "test {name} ... {result} <{:.3}s>\n",
        case.took.as_secs_f64()
    ))
}

/// Puts the cases into the order of a seed; the same seed gives the same order.
fn shuffle(args: &Args, cases: &mut [Case]) {
    if !args.flags.shuffle && args.flags.shuffle_seed.is_none() {
        return;
    }
    let seed = args.flags.shuffle_seed.unwrap_or_else(|| {
        let mut bytes = [0; 8];
        // Without randomness the order is that of seed 0, and the seed is printed all the same.
        let _ = getrandom::fill(&mut bytes);
        u64::from_le_bytes(bytes)
    });
    let _ = writeln!(std::io::stderr(), "shuffle seed: {seed}");
    let mut state = seed;
    for n in (1..cases.len()).rev() {
        // SplitMix64: enough to mix an order, and the same on every machine.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let other = usize::try_from(z % (n as u64 + 1)).unwrap_or(0);
        cases.swap(n, other);
    }
}
