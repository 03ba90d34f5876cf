//! Runs the cases of a run with libtest-mimic, and prints their results as they end.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{self, IsTerminal, Stdout, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, ColorSetting, Completion, Failed, Trial as Mimic};

use super::ahead::ReadAhead;
use super::apps::SLOWEST_STOP;
use super::args::{Args, Bless, Color, Format};
use super::bless::{Undo, accept};
use super::discover::Trial;
use super::environment::{Environment, Started};
use super::judge::{Heard, fresh_outcome, replay};
use super::last_run::{did_not_begin, keep};
use super::observe::Observer;
use super::pace::{Pace, can_show, shares_lines};
use super::places::add_places;
use super::refusal::{Ended, Refusal};
use super::reports::{by_nextest, on_github, render_junit, tell_github};
use super::signals::{Interrupts, Outran, until_signal};
use super::unjudged::Unjudged;
use crate::base::{visible, visible_line};
use crate::control::{CallAnswer, PolicyMode};
use crate::disk::{Readers, project_root, write_whole};
use crate::net::now_us;
use crate::report::{
    Acceptance, CaseOutcome, CauseReport, Detail, End, Fault, Finding, Listed, NOTHING_SEEN,
    Palette, Printer, Rerun, RunOutcome, RunReport, Skip, Style, Verdict, accepted, late_call,
    log_lines, mask, summary, warnings,
};
use crate::screen;
use crate::suite::AppPlan;

/// How long the sessions of a run that was broken off may take to close.
const SLOWEST_CLOSE: Duration = Duration::from_millis(1500);

/// Prints the list of trials as libtest does.
pub(super) fn list(args: &Args, trials: &[Trial]) -> Result<(), Refusal> {
    let style = match args.flags.format {
        Some(Format::Junit) => {
            return Err("--list can't be combined with --format junit"
                .to_owned()
                .into());
        }
        Some(Format::Json) => Style::Json,
        Some(Format::Terse) => Style::Terse,
        Some(Format::Pretty) | None if !args.quiet => Style::Pretty,
        Some(Format::Pretty) | None => Style::Terse,
    };
    let listed: Vec<Listed<'_>> = trials
        .iter()
        .map(|trial| Listed {
            name: &trial.name,
            file: &trial.file,
            ignored: trial.ignored.as_deref(),
        })
        .collect();
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = crate::report::list(&mut out, style, &listed);
    written.map_err(|error| Refusal::from(format!("the list can't be written: {error}")))
}

/// Trials that passed, with what was heard in them, by their files.
type PassedByFile = HashMap<Arc<Path>, Vec<(Trial, Heard)>>;

/// What the trials share while they run.
struct Board {
    environment: Option<Arc<Environment>>,
    /// The outcomes, by the trial's number.
    outcomes: Mutex<Vec<Option<Box<CaseOutcome>>>>,
    /// The printer for results as they come, if any are printed.
    printer: Option<Mutex<Printer<Stdout>>>,
    /// How the run goes on, if that is shown.
    pace: Mutex<Option<Pace>>,
    /// Whether the name of a case is printed when it begins.
    prints_begin: bool,
    /// Held for writing by a case that runs beside no other.
    alone: RwLock<()>,
    /// Whether a case runs in each of the lanes for cases beside each other.
    lanes: Mutex<Vec<bool>>,
    /// The reader of cases ahead of their trials, if there is one.
    ahead: Option<ReadAhead>,
    /// Whether each trial has begun, by its number.
    begun: Vec<AtomicBool>,
    /// The numbers of the judged trials whose applications may have been launched, in the order of their ends.
    judged: Mutex<Vec<usize>>,
    /// Whether an outbound call of any case has been seen.
    any_call_seen: AtomicBool,
    /// Whether there was a case under a strict policy of which no call was seen.
    any_unseen: AtomicBool,
    interrupted: AtomicBool,
    failed: AtomicBool,
    broken: AtomicBool,
    fail_fast: bool,
    /// Whether the details of passed cases are needed at the end.
    keeps_details: bool,
    /// Whether their calls are needed.
    keeps_calls: bool,
    /// Whether a failure's summary goes to standard error, where cargo-nextest looks for it.
    summary_to_stderr: bool,
    rerun: Arc<Rerun>,
    /// Which differences are accepted.
    bless: Option<Bless>,
    /// Of the files that several trials use while differences are accepted: the trials that passed, with what was heard.
    others: Mutex<PassedByFile>,
    /// What takes back what was accepted in trials.
    undo: Mutex<HashMap<String, Undo>>,
    /// Who looks at what was heard, in place of a report.
    observer: Option<Arc<Observer>>,
    secrets: Vec<String>,
}

/// Runs the trials and reports them.
pub(super) fn run(
    args: &Args,
    threads: usize,
    mut trials: Vec<Trial>,
    mut started: Option<Started>,
    observer: Option<Arc<Observer>>,
) -> Result<Ended, Refusal> {
    shuffle(args, &mut trials);
    let trials: Vec<Arc<Trial>> = trials.into_iter().map(Arc::new).collect();
    let threads = threads.min(trials.len()).max(1);
    let board = Board {
        observer,
        ..Board::new(args, threads, &trials, started.as_ref())
    };
    let board = Arc::new(board);
    let begun = board.print(|printer| printer.start(trials.iter().map(|t| t.name.as_str())));
    let (start, began) = (Instant::now(), now_us());
    let interrupts = started
        .as_mut()
        .and_then(|started| started.interrupts.take());
    let interrupts = interrupts.unwrap_or_else(Interrupts::listen);
    let mut outran = if begun {
        run_all(threads, &trials, args, &board, &interrupts)
    } else {
        Outran::Gone
    };
    let took = start.elapsed();
    board.end_pace();
    if !matches!(outran, Outran::Done)
        && let Some(environment) = &board.environment
    {
        let left = std::thread::scope(|scope| {
            scope.spawn(|| environment.stop_apps(SLOWEST_STOP, 1));
            environment.close_all(SLOWEST_CLOSE)
        });
        if left > 0 {
            let _ = writeln!(
                io::stderr(),
                "softprobe: {left} sessions may still be open, since the runtime did not answer"
            );
        }
    }
    if let (Outran::Done, Some(environment)) = (&outran, &board.environment) {
        board.note_ended_apps(&trials);
        environment.stop_apps(Duration::MAX, 0);
        if let Some(signal) = interrupts.arrived.last() {
            outran = Outran::Signal { signal, done: true };
        }
    }
    // Stop the application before reporting, so that its last output precedes the reports.
    if let Some(mut started) = started {
        if !matches!(outran, Outran::Done) {
            started.break_off();
        }
        drop(started);
    }
    board.note_late_calls();
    board.sum_up_accepted();
    board.warn_of_nothing_seen();
    let outcomes = std::mem::take(&mut *board.outcomes());
    let lost = outcomes.iter().filter(|outcome| outcome.is_none()).count();
    let cases = outcomes.into_iter().zip(&trials).enumerate();
    let cases = cases
        .map(|(n, (outcome, trial))| outcome.unwrap_or_else(|| Box::new(board.cut_off(n, trial))));
    let run = RunOutcome {
        cases: cases.collect(),
        started_us: began,
        took,
        broke_off: !matches!(outran, Outran::Done) || board.broken.load(Ordering::SeqCst),
    };
    let told = report(args, run, &outran, &board, &trials)?;
    if lost > 0 && matches!(outran, Outran::Done) {
        // A case without a result must never count as passed.
        return Err(format!(
            "{lost} cases ended without a result, which is a bug in softprobe; report it"
        )
        .into());
    }
    Ok(match outran {
        Outran::Signal { signal, .. } => {
            screen::line("interrupted");
            Ended::Signal(signal, told)
        }
        _ if board.broken.load(Ordering::SeqCst) || matches!(outran, Outran::Gone) => {
            return Err("the results can't be written to standard output"
                .to_owned()
                .into());
        }
        _ if told.bad().next().is_some() => Ended::Failed(told),
        _ => Ended::Passed(told),
    })
}

/// Where what nobody reads is written.
const UNREAD: &str = if cfg!(windows) { "NUL" } else { "/dev/null" };

fn run_all(
    threads: usize,
    trials: &[Arc<Trial>],
    args: &Args,
    board: &Arc<Board>,
    interrupts: &Interrupts,
) -> Outran {
    let mimics: Vec<Mimic> = trials
        .iter()
        .cloned()
        .enumerate()
        .map(|(n, trial)| {
            let skip = args.leaves_out(trial.ignored.is_some());
            let skip = skip.then(|| trial.ignored.clone()).flatten();
            let board = Arc::clone(board);
            Mimic::ignorable_test(trial.name.clone(), move || {
                board.run(n, &trial, skip.map(Skip::Suite))
            })
        })
        .collect();
    // The root folder of a container may be without it.
    let own = (cfg!(unix) && !Path::new(UNREAD).exists()).then(tempfile::NamedTempFile::new);
    let own = own.and_then(Result::ok);
    let unread = own.as_ref().map_or(Path::new(UNREAD), |own| own.path());
    let arguments = Arguments {
        test_threads: Some(threads),
        // libtest-mimic's own output has no times, no reports and no fixed order, so it is discarded,
        // and everything is printed here.
        logfile: Some(unread.display().to_string()),
        color: Some(ColorSetting::Never),
        ..Arguments::default()
    };
    until_signal(
        interrupts,
        // The board has the outcome of each trial.
        move || drop(libtest_mimic::run(&arguments, mimics)),
        |_| board.interrupted.store(true, Ordering::SeqCst),
    )
}

/// Writes the reports that follow the last case, and returns the run in words.
fn report(
    args: &Args,
    run: RunOutcome,
    outran: &Outran,
    board: &Board,
    trials: &[Arc<Trial>],
) -> Result<RunReport, Refusal> {
    let mut run = run;
    if matches!(outran, Outran::Done | Outran::Signal { done: true, .. }) {
        let is_printed = board.print(|printer| printer.end(&run, args.flags.show_output));
        run.broke_off |= !is_printed;
    }
    if board.observer.is_some() {
        return Ok(RunReport::default());
    }
    let root = project_root();
    let by_nextest = by_nextest();
    let on_github = on_github() && !by_nextest;
    let mut causes = CauseReport::all(&run, &board.secrets);
    if on_github {
        add_places(&mut causes, &run, trials);
    }
    let logged = args.flags.logfile.as_ref().map(|path| {
        let logged = write_whole(Path::new(path), log_lines(&run), Readers::Usual);
        logged.map_err(|error| Refusal::from(format!("{path}: can't be written: {error}")))
    });
    let mut told = RunReport::new(run, causes, &board.secrets);
    add_origin(&mut told, args, trials.iter().map(|trial| &**trial), &root);
    told.shards = args.shard().iter().map(ToString::to_string).collect();
    if on_github {
        tell_github(&told);
    }
    // A part of a run may have no case, and its whole has to know that it was run.
    if !told.cases.is_empty() || !told.shards.is_empty() {
        keep(&root, &told, args.is_partial());
    }
    let written = match by_nextest && args.flags.reports.is_any() {
        // Each case has a process of its own, and a report of the last one alone would look like one of all.
        true => {
            let line = "warning: reports of single cases are not written; after the run, `softprobe report html` makes a page of all";
            screen::line(line);
            Ok(())
        }
        false => args.flags.reports.write(&told),
    };
    let written = match (logged.transpose(), written) {
        (Ok(_), written) => written,
        (Err(logged), Ok(())) => Err(logged),
        (Err(mut logged), Err(others)) => {
            logged.lines.extend(others.lines);
            Err(logged)
        }
    };
    if args.flags.format == Some(Format::Junit) && !args.silent {
        let text = render_junit(&told)?;
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(|error| Refusal::from(format!("standard output: {error}")))?;
    }
    written.map(|()| told)
}

/// Writes the reports of a run that did not begin: no case of it ran.
pub(super) fn report_none(args: &Args, trials: &[Trial], refusal: &Refusal) {
    let why = refusal.lines.first().map_or("", String::as_str);
    let rerun = Arc::new(args.rerun.clone());
    let cases = trials.iter().map(|trial| {
        Box::new(CaseOutcome {
            end: End::Skipped(Skip::NotStarted(why.to_owned())),
            ..fresh_outcome(trial, &rerun)
        })
    });
    let run = RunOutcome {
        cases: cases.collect(),
        started_us: now_us(),
        took: Duration::ZERO,
        broke_off: true,
    };
    let root = project_root();
    let mut told = RunReport::new(run, Vec::new(), &secrets());
    told.broke_off_why = Some(did_not_begin(refusal));
    add_origin(&mut told, args, trials.iter(), &root);
    if !trials.is_empty() {
        keep(&root, &told, args.is_partial());
    }
    if by_nextest() {
        return;
    }
    let written = args.flags.reports.write(&told);
    for line in written.err().into_iter().flat_map(|refusal| refusal.lines) {
        screen::line(&visible_line(&format!("error: {line}")));
    }
}

/// Returns what is shown nowhere, as it stands in the environment.
fn secrets() -> Vec<String> {
    let token = std::env::var("SOFTPROBE_API_TOKEN").unwrap_or_default();
    vec![token.trim().to_owned()]
}

/// Adds to what is told of a run by which command it was run, and the files of its suites, from the project's root.
fn add_origin<'t>(
    told: &mut RunReport,
    args: &Args,
    trials: impl Iterator<Item = &'t Trial>,
    root: &Path,
) {
    args.rerun.plain().clone_into(&mut told.command);
    let files: BTreeSet<&Path> = trials.map(|trial| &*trial.suite_file).collect();
    let files = files.into_iter().map(|file| {
        let below = file.strip_prefix(root).unwrap_or(file);
        below.display().to_string()
    });
    told.suite_files = files.collect();
}

impl Board {
    fn new(args: &Args, threads: usize, trials: &[Arc<Trial>], started: Option<&Started>) -> Self {
        let style = match (args.flags.format, args.quiet) {
            (Some(Format::Junit), _) => None,
            (Some(Format::Json), _) => Some(Style::Json),
            (Some(Format::Pretty), _) | (None, false) => Some(Style::Pretty),
            (Some(Format::Terse), _) | (None, true) => Some(Style::Terse),
        };
        let style = style.filter(|_| !args.silent);
        let coloured =
            colours(args, &io::stdout()) && style.is_some_and(|style| style != Style::Json);
        let secrets = secrets();
        let palette = if coloured {
            Palette::coloured()
        } else {
            Palette::default()
        };
        let times = args.flags.report_time;
        let detail = match args.verbose {
            true => Detail::All,
            false => Detail::Usual,
        };
        let printer = |style| {
            Printer::new(io::stdout(), style, palette, times, secrets.clone())
                .detail(detail)
                .on_github(on_github())
        };
        let printer = style.map(printer);
        let ends_no_line = style == Some(Style::Terse);
        let shows_pace = can_show() && !args.flags.no_progress && !shares_lines(ends_no_line);
        let pace = (started.is_some() && shows_pace)
            .then(|| Pace::show(trials.len(), colours(args, &io::stderr())));
        Self {
            environment: started.and_then(|started| started.environment.clone()),
            outcomes: Mutex::new(trials.iter().map(|_| None).collect()),
            printer: printer.map(Mutex::new),
            prints_begin: threads == 1 && !(pace.is_some() && shares_lines(true)),
            pace: Mutex::new(pace),
            alone: RwLock::default(),
            lanes: Mutex::default(),
            // A single case leaves nothing to read ahead; cargo-nextest runs each case in its own process.
            ahead: (threads == 1 && trials.len() > 1 && started.is_some())
                .then(|| read_ahead(args, trials)),
            begun: trials.iter().map(|_| AtomicBool::new(false)).collect(),
            judged: Mutex::default(),
            any_call_seen: AtomicBool::new(false),
            any_unseen: AtomicBool::new(false),
            interrupted: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            fail_fast: args.flags.fail_fast,
            keeps_details: args.silent || args.flags.show_output,
            keeps_calls: args.flags.reports.trace.is_some(),
            summary_to_stderr: args.flags.exact || by_nextest(),
            rerun: Arc::new(args.rerun.clone()),
            bless: args.blesses().ok().flatten(),
            others: Mutex::new(shared_files(args, trials)),
            undo: Mutex::default(),
            observer: None,
            secrets,
        }
    }

    /// Runs the trial with this number, and returns how it ended in libtest-mimic's terms.
    fn run(&self, n: usize, trial: &Trial, skip: Option<Skip>) -> Result<Completion, Failed> {
        if self.prints_begin {
            self.print(|printer| printer.begin(&trial.name));
        }
        let mut outcome = match (skip.or_else(|| self.stopped()), &self.environment) {
            (None, Some(environment)) => {
                self.begun[n].store(true, Ordering::SeqCst);
                let lane = self.take_lane();
                self.pace(|pace| pace.begin(n, &trial.name));
                let outcome = self.replay(trial, environment);
                self.lanes()[lane] = false;
                CaseOutcome { lane, ..outcome }
            }
            (skip, _) => CaseOutcome {
                end: End::Skipped(skip.unwrap_or(Skip::Interrupted)),
                ..fresh_outcome(trial, &self.rerun)
            },
        };
        let seen = !outcome.calls.is_empty() || outcome.uncorrelated().next().is_some();
        if seen {
            self.any_call_seen.store(true, Ordering::SeqCst);
        }
        outcome.any_call_seen = self.any_call_seen.load(Ordering::SeqCst);
        if self.interrupted.load(Ordering::SeqCst) && matches!(outcome.end, End::Errored(_)) {
            // What is wrong with a case whose session was closed and whose application was ended is their end.
            outcome.end = End::Errored(Arc::new(Unjudged::CutOff));
        }
        let judged = matches!(outcome.end, End::Judged);
        if judged && trial.app.is_some() {
            let mut all = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(n);
        }
        if judged && !seen && trial.plan.policy.external_http == PolicyMode::Strict {
            self.any_unseen.store(true, Ordering::SeqCst);
        }
        self.pace(|pace| pace.end(n, outcome.is_bad()));
        self.print(|printer| match self.prints_begin {
            true => printer.result(&outcome),
            false => printer.whole(&outcome),
        });
        let verdict = outcome.verdict();
        self.tell_accepted(&outcome);
        match verdict {
            Verdict::Passed => {
                self.warn(&outcome);
                if !self.keeps_details {
                    outcome.shed(self.keeps_calls);
                }
            }
            Verdict::Failed | Verdict::Errored => self.tell_failure(&outcome),
            Verdict::Skipped => {}
        }
        if let Some(place) = self.outcomes().get_mut(n) {
            *place = Some(Box::new(outcome));
        }
        match verdict {
            Verdict::Passed => Ok(Completion::Completed),
            Verdict::Skipped => Ok(Completion::ignored()),
            Verdict::Failed | Verdict::Errored => Err(Failed::without_message()),
        }
    }

    fn pace(&self, note: impl FnOnce(&Pace)) {
        if let Some(pace) = &*self.pace.lock().unwrap_or_else(PoisonError::into_inner) {
            note(pace);
        }
    }

    /// Shows no more how the run goes on.
    fn end_pace(&self) {
        drop(
            self.pace
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }

    /// Takes the first lane in which no case runs.
    fn take_lane(&self) -> usize {
        let mut lanes = self.lanes();
        let free = lanes.iter().position(|is_taken| !is_taken);
        let lane = free.unwrap_or(lanes.len());
        match lanes.get_mut(lane) {
            Some(is_taken) => *is_taken = true,
            None => lanes.push(true),
        }
        lane
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<bool>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replays a case. A panic in the runner becomes an outcome too, because otherwise no report would
    /// list the case.
    fn replay(&self, trial: &Trial, environment: &Environment) -> CaseOutcome {
        let (_alone, _beside);
        match trial.serial {
            true => _alone = self.alone.write().unwrap_or_else(PoisonError::into_inner),
            false => _beside = self.alone.read().unwrap_or_else(PoisonError::into_inner),
        }
        let replayed = catch_unwind(AssertUnwindSafe(|| {
            let (mut outcome, heard) = replay(trial, self.ahead.as_ref(), environment, &self.rerun);
            match (&heard, self.bless) {
                (Some(heard), Some(bless)) => {
                    let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
                    let others = others.get(&trial.file).map_or(&[][..], Vec::as_slice);
                    let undo = accept(bless, trial, heard, others, &mut outcome);
                    let mut all = self.undo.lock().unwrap_or_else(PoisonError::into_inner);
                    all.extend(undo.map(|undo| (trial.name.clone(), undo)));
                }
                // Who looks on tells what varies by it.
                _ if self.observer.is_some() => {}
                _ => outcome.forget_changes(),
            }
            match (&self.observer, heard) {
                (Some(observer), heard) => observer.see(trial, &outcome, heard),
                (None, Some(heard))
                    if self.bless.is_some() && outcome.verdict() == Verdict::Passed =>
                {
                    let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(others) = others.get_mut(&trial.file) {
                        others.push((trial.clone(), heard));
                    }
                }
                _ => {}
            }
            outcome
        }));
        replayed.unwrap_or_else(|_| CaseOutcome {
            end: End::Errored(Arc::new(Unjudged::Panicked)),
            ..fresh_outcome(trial, &self.rerun)
        })
    }

    /// Returns why no more cases may start, or `None` if they may.
    fn stopped(&self) -> Option<Skip> {
        if self.interrupted.load(Ordering::SeqCst) {
            return Some(Skip::Interrupted);
        }
        if self.broken.load(Ordering::SeqCst) {
            return Some(Skip::Broken);
        }
        let stopped = self.fail_fast && self.failed.load(Ordering::SeqCst);
        stopped.then_some(Skip::AnotherFailed)
    }

    /// Prints with the printer, if there is one, and returns whether that succeeded.
    fn print(&self, what: impl FnOnce(&mut Printer<Stdout>) -> io::Result<()>) -> bool {
        let Some(printer) = &self.printer else {
            return true;
        };
        let mut printer = printer.lock().unwrap_or_else(PoisonError::into_inner);
        let printed = screen::aside(|| what(&mut printer));
        if printed.is_err() {
            self.broken.store(true, Ordering::SeqCst);
        }
        printed.is_ok()
    }

    /// Returns the outcome of a case that has none because the run broke off.
    fn cut_off(&self, n: usize, trial: &Trial) -> CaseOutcome {
        let end = match self.begun[n].load(Ordering::SeqCst) {
            true => End::Errored(Arc::new(Unjudged::CutOff)),
            false => End::Skipped(Skip::Interrupted),
        };
        CaseOutcome {
            end,
            ..fresh_outcome(trial, &self.rerun)
        }
    }

    fn outcomes(&self) -> MutexGuard<'_, Vec<Option<Box<CaseOutcome>>>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Warns if a strict policy held nothing: a run that is green though its calls go past the proxy proves less than
    /// it seems to.
    fn warn_of_nothing_seen(&self) {
        let unused = |outcome: &CaseOutcome| outcome.unused().next().is_some();
        let told = self.outcomes().iter().flatten().any(|one| unused(one));
        let seen = self.any_call_seen.load(Ordering::SeqCst);
        let proxied = self.environment.as_ref().is_some_and(|e| e.has_proxy());
        if proxied && self.any_unseen.load(Ordering::SeqCst) && !seen && !told {
            screen::line(&format!("warning: {NOTHING_SEEN}"));
        }
    }

    /// Tells how much was accepted, and how to look at it.
    fn sum_up_accepted(&self) {
        let (mut changes, mut cases, mut pending) = (0, 0, 0);
        for outcome in self.outcomes().iter().flatten() {
            match &outcome.acceptance {
                Acceptance::Written(findings) => {
                    changes += accepted(findings).len();
                    cases += 1;
                }
                Acceptance::Pending(_) => pending += 1,
                Acceptance::NotAsked | Acceptance::Refused(_) | Acceptance::TooRisky => {}
            }
        }
        let counted = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        if cases > 0 {
            let (changes, cases) = (counted(changes, "change"), counted(cases, "case"));
            let _ = writeln!(
                io::stderr(),
                "softprobe: accepted {changes} in {cases}; `git diff` shows them, `git checkout` takes them back"
            );
        }
        if pending > 0 {
            let _ = writeln!(
                io::stderr(),
                "softprobe: {} to decide about: softprobe review",
                counted(pending, "case")
            );
        }
    }

    /// Adds the calls that came after their cases had ended to those cases: a case that passed fails if nothing would
    /// have answered the call.
    fn note_late_calls(&self) {
        let late = self.environment.as_ref().map(|e| e.late_calls());
        for (trial, call) in late.into_iter().flatten() {
            self.any_call_seen.store(true, Ordering::SeqCst);
            let mut outcomes = self.outcomes();
            let mut known = outcomes.iter_mut().flatten();
            let Some(outcome) = known.find(|outcome| outcome.trial == trial) else {
                continue;
            };
            let fails = call.answer == CallAnswer::Missed;
            let was_bad = outcome.is_bad();
            if !fails {
                let line = mask(late_call(&call), &self.secrets);
                screen::line(&format!("warning: {trial}: {}", visible_line(&line)));
            }
            outcome.findings.push(Finding {
                fault: Fault::Late(call),
                fails,
            });
            if fails {
                self.take_back(outcome);
            }
            let outcome = (fails && !was_bad).then(|| outcome.clone());
            drop(outcomes);
            if let Some(outcome) = outcome {
                self.tell_failure(&outcome);
            }
        }
    }

    /// Takes back what was accepted in a case whose answer may be what it is because of something that came to light later.
    fn take_back(&self, outcome: &mut CaseOutcome) {
        let mut undo = self.undo.lock().unwrap_or_else(PoisonError::into_inner);
        let Acceptance::Written(findings) = &mut outcome.acceptance else {
            return;
        };
        outcome.findings.append(findings);
        let why = match undo.remove(&outcome.trial).map(|undo| undo.take_back()) {
            None | Some(Ok(())) => {
                "it was taken back: a call came after the case had ended, and nothing answered it"
                    .to_owned()
            }
            Some(Err(why)) => format!(
                "a call came after the case had ended, and nothing answered it; the case file can't be taken back: {why}"
            ),
        };
        let told = format!("not accepted: {}: {why}", outcome.trial);
        screen::line(&visible_line(&told));
        outcome.acceptance = Acceptance::Refused(why);
    }

    /// Fails the last case of each application that has ended by itself since that case was judged.
    fn note_ended_apps(&self, trials: &[Arc<Trial>]) {
        let Some(environment) = &self.environment else {
            return;
        };
        let judged =
            std::mem::take(&mut *self.judged.lock().unwrap_or_else(PoisonError::into_inner));
        let mut known: HashSet<*const AppPlan> = HashSet::new();
        for n in judged.into_iter().rev() {
            let trial = &trials[n];
            let Some(plan) = trial
                .app
                .as_ref()
                .filter(|plan| known.insert(Arc::as_ptr(plan)))
            else {
                continue;
            };
            let Some(how) = environment.app(trial).ended_by_itself() else {
                continue;
            };
            let mut outcomes = self.outcomes();
            let ended = |outcome: &CaseOutcome| {
                let error = match &outcome.end {
                    End::Errored(error) => error.downcast_ref::<Unjudged>(),
                    End::Judged | End::Skipped(_) => None,
                };
                matches!(
                    error,
                    Some(Unjudged::ApplicationEnded { running: true, .. })
                )
            };
            // A case in which it ended has told of it; one that came after its end was not the cause.
            let told = outcomes.iter().zip(trials).any(|(outcome, other)| {
                let is_own = other
                    .app
                    .as_ref()
                    .is_some_and(|other| Arc::ptr_eq(other, plan));
                is_own && outcome.as_deref().is_some_and(ended)
            });
            if told {
                continue;
            }
            if let Some(outcome) = outcomes[n].as_mut() {
                outcome.end =
                    End::Errored(Arc::new(Unjudged::ApplicationEnded { how, running: true }));
                let outcome = outcome.clone();
                drop(outcomes);
                self.tell_failure(&outcome);
            }
        }
    }

    fn tell_failure(&self, outcome: &CaseOutcome) {
        self.failed.store(true, Ordering::SeqCst);
        if self.summary_to_stderr && self.observer.is_none() {
            let summary = mask(summary(outcome), &self.secrets);
            screen::line(&format!("Error: {}", visible(&summary)));
        }
    }

    /// Tells what was accepted in a case, and where.
    fn tell_accepted(&self, outcome: &CaseOutcome) {
        let Acceptance::Written(findings) = &outcome.acceptance else {
            return;
        };
        let told = format!("accepted: {}: {}", outcome.trial, outcome.file.display());
        screen::line(&visible_line(&told));
        for line in accepted(findings) {
            let line = mask(format!("  {line}"), &self.secrets);
            screen::line(&visible_line(&line));
        }
    }

    /// Prints the warnings of a passing case.
    fn warn(&self, outcome: &CaseOutcome) {
        if self.observer.is_some() {
            return;
        }
        for line in warnings(outcome) {
            let line = mask(format!("warning: {}: {line}", outcome.trial), &self.secrets);
            screen::line(&visible_line(&line));
        }
    }
}

/// Returns the files that several trials use, if differences are accepted.
fn shared_files(args: &Args, trials: &[Arc<Trial>]) -> PassedByFile {
    let mut counts: HashMap<&Arc<Path>, usize> = HashMap::new();
    if args.blesses().ok().flatten().is_some() {
        trials
            .iter()
            .for_each(|trial| *counts.entry(&trial.file).or_default() += 1);
    }
    let shared = counts.into_iter().filter(|(_, count)| *count > 1);
    shared
        .map(|(file, _)| (Arc::clone(file), Vec::new()))
        .collect()
}

/// Starts reading the cases of the trials that will run, ahead of those trials.
fn read_ahead(args: &Args, trials: &[Arc<Trial>]) -> ReadAhead {
    let run = trials
        .iter()
        .filter(|trial| !args.leaves_out(trial.ignored.is_some()));
    ReadAhead::start(run.map(|trial| Arc::clone(&trial.file)).collect())
}

/// Returns whether what is written there has colours: as `--color` says, else as the usual variables do, else on a terminal.
fn colours(args: &Args, out: &impl IsTerminal) -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_forced =
        std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
    match args.flags.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if is_set("NO_COLOR") => false,
        Color::Auto if is_forced => true,
        Color::Auto => out.is_terminal() && !screen::is_dumb(),
    }
}

/// Shuffles the trials by a seed; the same seed gives the same order.
fn shuffle(args: &Args, trials: &mut [Trial]) {
    if !args.flags.shuffle && args.flags.shuffle_seed.is_none() {
        return;
    }
    let seed = args.flags.shuffle_seed.unwrap_or_else(|| fastrand::u64(..));
    let _ = writeln!(std::io::stderr(), "shuffle seed: {seed}");
    fastrand::Rng::with_seed(seed).shuffle(trials);
}
