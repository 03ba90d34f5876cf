//! Records an application: launches it, lets requests through to it, and writes what came of them.

use std::io::{Write as _, stderr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::ArgMatches;

use super::Run;
use super::driver::driver_command;
use super::secrets::{secret_variables, secret_words};
use super::told::{Outcome, told};
use crate::base::unless_blank;
use crate::base::visible_line;
use crate::case::Case;
use crate::cli::check_app_url;
use crate::cli::child::{Ended, exit_code, run_child};
use crate::cli::first::{Written, check_suite, first_cases, named_from, suite_name, write_suite};
use crate::cli::launched::refuse_two_commands;
use crate::cli::output::{Failed, Output, arguments, failure, invalid};
use crate::cli::recorded::cases_of;
use crate::cli::{Global, files};
use crate::disk::project_root;
use crate::launch::Guard;
use crate::proxy::{Idle, ProxyBuilder};
use crate::recorder::{Recorder, Settings, Summary};
use crate::runner::{
    Apps, Interrupts, Launch, Progress, SLOWEST_STOP, Shown, app_of, for_launched, plan_of_flags,
    signal_code, with_upstreams,
};
use crate::suite::{AppPlan, Calls, FirstCase, FirstSuite, Masked};

/// How long requests in progress may take to be over once no more are let through.
const SLOWEST_REQUESTS: Duration = Duration::from_secs(130);
/// The same after a signal.
const GRACE: Duration = Duration::from_secs(2);
/// How long calls in progress may take to end after that.
const LAST_CALLS: Duration = Duration::from_millis(200);
/// How often what is shown on a terminal is looked at.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) fn record(
    mut run: Run,
    global: &Global,
    matches: &ArgMatches,
) -> Result<Output, Failed> {
    let settings = Settings {
        concurrency: run.concurrency,
        settle: run.settle(),
        destination: run.writing.destination(run.out.clone())?,
    };
    let words = std::mem::take(&mut run.command);
    refuse_two_commands(&words, matches)?;
    let (command, url) = app_of(
        matches,
        run.launch.app_command.take(),
        words,
        run.launch.app_url.take(),
    );
    let plan = command.as_deref().map(|command| {
        plan_of_flags(
            "the application's command",
            command,
            url.as_deref(),
            &run.launch.app,
        )
    });
    let plan = plan.transpose()?.map(Arc::new);
    let running = url.filter(|_| plan.is_none());
    running.as_deref().map(check_app_url).transpose()?;
    if plan.is_none() && running.is_none() {
        return Err(arguments(
            "there is no application to record: give its command after `--`, or --app-url for one that runs and calls \
             through the proxy (softprobe env prints what it needs)",
        ));
    }
    let name = suite_name(None, run.suite.as_deref())?;
    run.suite.as_deref().map(check_suite).transpose()?;
    let interrupts = Interrupts::listen();
    let recorder = Recorder::new(settings).map_err(|(path, why)| invalid(&path, why))?;
    let mut proxy = ProxyBuilder::new(recorder.oracle())
        .recording(run.max_recorded_body)
        .idle(Idle::Forward);
    if let Some(address) = unless_blank(run.launch.proxy_listen.take()) {
        proxy = proxy.listen(address);
    }
    let authority = run.ca.authority();
    if let Some(authority) = authority.map_err(|(file, why)| invalid(&file, why))? {
        proxy = proxy.authority(authority);
    }
    let proxy = match &plan {
        Some(_) => for_launched(proxy, plan.iter()),
        None => {
            let upstreams = run.launch.app.upstreams.plan().map_err(arguments)?;
            with_upstreams(proxy, std::iter::once(&upstreams))
        }
    };
    let proxy = proxy.map_err(arguments)?.start()?;
    let mut apps = Apps::running(&project_root(), running, &interrupts);
    let shown = Shown {
        output: run.launch.app.app_output,
        urls: !global.quiet,
    };
    let launches = plan.iter().map(|plan| Launch {
        plan: Arc::clone(plan),
        suites: Vec::new(),
    });
    apps.launch(launches.collect(), &proxy, shown)?;
    let application = apps.url().unwrap_or_default().to_owned();
    let listen = run.listen.as_deref().unwrap_or("127.0.0.1:0");
    let ingress = recorder.listen(&proxy, listen, &application, apps.made_by())?;
    let url = format!("http://{}", ingress.address());
    let ended = match &run.driver {
        Some(driver) => drive(driver, &url, &recorder, global, &interrupts)?,
        None => {
            let line = format!("softprobe: recording what is sent to {url}, until interrupted");
            let _ = writeln!(stderr(), "{}", visible_line(&line));
            listen_until_interrupted(&recorder, &apps, &interrupts, global.quiet);
            None
        }
    };
    let signals = || interrupts.arrived.count();
    let waiting = Showing::new(&recorder, "waiting for what is in progress");
    recorder.close(&ingress, SLOWEST_REQUESTS, GRACE, signals);
    drop(waiting);
    ingress.stop(LAST_CALLS);
    let app_ended = apps.tell_ended();
    let (most, heeded) = match signals() > 0 {
        true => (SLOWEST_STOP, 1),
        false => (Duration::MAX, 0),
    };
    apps.stop(most, heeded);
    proxy.stop(LAST_CALLS);
    let (summary, masked) = recorder.finish();
    let suite = run.suite.as_deref().map(|file| {
        let launched = plan.as_deref();
        let written = write_first(file, name, &run.out, &summary, &masked, launched);
        (file, written.map_err(|failed| failed.messages().join("; ")))
    });
    let interrupted = interrupts
        .arrived
        .last()
        .filter(|_| run.driver.is_some())
        .map(signal_code);
    Ok(told(
        &summary,
        &Outcome {
            driver: ended,
            interrupted,
            app_ended,
            suite,
            is_launched: plan.is_some(),
        },
    ))
}

/// Runs the driver, and returns its exit code.
fn drive(
    driver: &str,
    url: &str,
    recorder: &Recorder,
    global: &Global,
    interrupts: &Interrupts,
) -> Result<Option<u8>, Failed> {
    let mut child = driver_command(driver, global)?;
    child.env("APP_URL", url);
    for name in ["NO_PROXY", "no_proxy"] {
        // What records is on this machine.
        let inherited = std::env::var(name).unwrap_or_default();
        let own = "localhost,127.0.0.1,::1";
        let hosts = match inherited.trim() {
            "" => own.to_owned(),
            hosts => format!("{hosts},{own}"),
        };
        child.env(name, hosts);
    }
    let guard = Guard::of_command(&mut child).map_err(|why| failure("failure", why))?;
    let showing = Showing::new(recorder, "recording");
    let ended = run_child(&mut child, interrupts)?;
    drop(showing);
    drop(guard);
    Ok(match ended {
        Ended::Exited(status) => Some(exit_code(status)),
        Ended::Signal(_) => None,
    })
}

/// Waits for a signal or the end of the application, and tells of each case.
fn listen_until_interrupted(
    recorder: &Recorder,
    apps: &Apps,
    interrupts: &Interrupts,
    quiet: bool,
) {
    let mut known = 0;
    while interrupts.arrived.count() == 0 && !apps.has_ended() {
        for recorded in recorder.recorded_since(known) {
            known += 1;
            let line = format!(
                "softprobe: {} -> {}, in {}",
                recorded.request,
                recorded.status,
                recorded.file.display()
            );
            if !quiet {
                let _ = writeln!(stderr(), "{}", visible_line(&line));
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// Shows on a terminal how a recording goes on, for as long as this lives.
struct Showing {
    is_over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Showing {
    fn new(recorder: &Recorder, what: &'static str) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let (own, recorder) = (Arc::clone(&is_over), recorder.clone());
        let thread = std::thread::spawn(move || {
            let (mut progress, start) = (Progress::new(), Instant::now());
            while !own.load(Ordering::SeqCst) {
                // Whole lines, since the driver writes there as well.
                progress.line(start.elapsed(), |seconds| {
                    let (recorded, running) = recorder.counts();
                    format!("{what}: {recorded} recorded, {running} in progress ({seconds} s)")
                });
                std::thread::park_timeout(PAUSE);
            }
        });
        Self {
            is_over,
            thread: Some(thread),
        }
    }
}

impl Drop for Showing {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// Writes the suite for what was recorded; returns `None` if there is nothing for one.
fn write_first(
    file: &Path,
    name: String,
    out: &Path,
    summary: &Summary,
    masked: &Masked,
    plan: Option<&AppPlan>,
) -> Result<Option<Written>, Failed> {
    if summary.recorded.is_empty() {
        return Ok(None);
    }
    let folder = file.parent().unwrap_or(Path::new(""));
    let cases = cases_of(summary)?;
    let app = plan.map(|plan| {
        let mut plan = plan.clone();
        // These are relative to the suite's file.
        for file in &mut plan.upstreams.roots {
            *file = named_from(folder, file).into();
        }
        plan
    });
    let shared = summary.shared.iter();
    let suite = FirstSuite {
        name,
        cases: match file.exists() {
            // One after the other, an application's state is what it was.
            false if !summary.has_unnamed => as_glob(folder, out, &cases),
            _ => first_cases(folder, &cases),
        },
        app: app.as_ref(),
        folder: named_from(folder, &project_root()),
        hidden_words: app.as_ref().map(secret_words).unwrap_or_default(),
        hidden: app.as_ref().map(secret_variables).unwrap_or_default(),
        serial: summary
            .has_unnamed
            .then_some("some of the application's calls do not carry the trace headers on"),
        shared: shared
            .map(|(_, shared)| named_from(folder, shared))
            .collect(),
        masked: masked.clone(),
        host: summary.host.clone(),
        calls: Calls::of(cases.iter().map(|(_, case)| case)),
    };
    write_suite(file, &suite).map(Some)
}

/// Returns the elements of `cases`: one glob if the folder holds nothing else.
fn as_glob(folder: &Path, out: &Path, cases: &[(PathBuf, Case)]) -> Vec<FirstCase> {
    let all = first_cases(folder, cases);
    let glob = named_from(folder, &out.join("*.case.json"));
    let there = files::find(&[out.join("*.case.json").to_string_lossy().into_owned()]);
    let is_all = there.is_ok_and(|there| there.len() == cases.len());
    match is_all && cases.len() > 1 && all.iter().all(|case| case.skip.is_none()) {
        true => vec![FirstCase::new(glob)],
        false => all,
    }
}
