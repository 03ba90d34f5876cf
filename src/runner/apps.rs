//! The applications of a run, launched and ended.

use std::io::{Write as _, stderr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::args::line;
use super::discover::Trial;
use super::progress::Progress;
use super::refusal::{Refusal, RefusalKind};
use super::signals::{Arrived, Interrupts};
use super::unjudged::Unjudged;
use super::upstreams::with_upstreams;
use crate::base::http::without_credentials;
use crate::base::{visible, visible_line};
use crate::launch::{
    Application, NotReady, SLOWEST_END, Setting, Surroundings, Waited, listens_elsewhere, made_by,
    reset,
};
use crate::net::MadeBy;
use crate::proxy::{IdleCall, Proxy, ProxyBuilder};
use crate::report::Launched;
use crate::suite::{AppPlan, Intercept, PortText};

/// How long applications may take to end after a signal, before they are killed.
pub(crate) const SLOWEST_STOP: Duration = Duration::from_secs(2);
/// How long an application that is about to end after its last answer may take to do so: a run that did not wait for it would be
/// green though the application crashed.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// The applications of a run.
#[derive(Debug)]
pub(crate) struct Apps {
    /// The project's root, where an application runs unless its plan says otherwise.
    root: PathBuf,
    /// The URL of the application of all cases without one that was launched.
    running: Option<String>,
    launched: Vec<(Launch, Application)>,
    /// The signals that have arrived.
    arrived: Arc<Arrived>,
}

/// An application to launch.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) plan: Arc<AppPlan>,
    /// The names of the suites that need it.
    pub(crate) suites: Vec<Arc<str>>,
}

impl Launch {
    /// Returns the suites for display, if there are any.
    fn for_whom(&self) -> String {
        match self.suites.as_slice() {
            [] => String::new(),
            suites => format!(" for {}", suites.join(", ")),
        }
    }

    /// Returns an error about its start.
    fn failed(&self, why: &str) -> Refusal {
        Refusal::from(format!(
            "the application `{}`{} did not start: {why}",
            command_line(&self.plan),
            self.for_whom()
        ))
    }
}

/// Returns the command of an application, for a shell.
fn command_line(plan: &AppPlan) -> String {
    line(plan.command.iter().map(PortText::written))
}

/// Returns a proxy for applications that are launched: it reads the TLS of those that are given its authority.
///
/// # Errors
///
/// The file of a plan that can't be read, and why.
pub(crate) fn for_launched<'p>(
    proxy: ProxyBuilder,
    plans: impl Iterator<Item = &'p Arc<AppPlan>> + Clone,
) -> Result<ProxyBuilder, String> {
    let mut ways = plans.clone().map(|plan| plan.intercept);
    let proxy = match ways.any(|way| way == Intercept::Variables) {
        true => proxy.read_tls(),
        false => proxy,
    };
    with_upstreams(proxy, plans.map(|plan| &plan.upstreams))
}

/// What is shown of launched applications, on standard error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    /// Whether all that they write is.
    pub(crate) output: bool,
    /// Whether their URLs are.
    pub(crate) urls: bool,
}

/// The application of a case.
#[derive(Debug, Clone, Copy)]
pub(super) struct AppOfCase<'a> {
    /// Its base URL.
    pub(super) url: Option<&'a str>,
    launched: Option<&'a Application>,
    plan: Option<&'a AppPlan>,
    root: &'a Path,
    arrived: &'a Arrived,
}

impl Apps {
    /// Creates the applications of a run that launches none; the one at this URL runs already.
    pub(crate) fn running(root: &Path, url: Option<String>, interrupts: &Interrupts) -> Self {
        Self {
            root: root.to_owned(),
            running: url,
            launched: Vec::new(),
            arrived: Arc::clone(&interrupts.arrived),
        }
    }

    /// Launches applications, and waits until all of them are ready. If one of them does not get ready, all are ended.
    pub(crate) fn launch(
        &mut self,
        launches: Vec<Launch>,
        proxy: &Proxy,
        shown: Shown,
    ) -> Result<(), Refusal> {
        let launched = self.try_to_launch(launches, proxy, shown);
        if let Err(refusal) = &launched {
            let (most, heeded) = match refusal.kind {
                RefusalKind::Signal(_) => (SLOWEST_STOP, 1),
                _ => (Duration::MAX, 0),
            };
            self.stop(most, heeded);
        }
        launched
    }

    fn try_to_launch(
        &mut self,
        launches: Vec<Launch>,
        proxy: &Proxy,
        shown: Shown,
    ) -> Result<(), Refusal> {
        let several = launches.len() > 1;
        for launch in launches {
            let name = match launch.suites.first() {
                Some(suite) if several => suite,
                _ => "app",
            };
            let around = Surroundings {
                root: &self.root,
                proxy: Some(&proxy.local_url()),
                authority: proxy.authority(),
                shown_as: shown.output.then(|| format!("{name} | ")),
            };
            let launched = Application::launch(&launch.plan, &around);
            let application = launched.map_err(|why| launch.failed(&why))?;
            self.launched.push((launch, application));
        }
        for (launch, application) in &self.launched {
            let url = without_credentials(application.url());
            let ready = wait(application, &url, &self.arrived);
            let calls = proxy.take_idle_calls();
            tell_idle_calls("while the application started, it called", &calls);
            ready.map_err(|error| match error {
                NotReady::Signal(signal) => Refusal::signal(signal),
                NotReady::Failed(why) => launch.failed(&why),
            })?;
            if shown.urls {
                let whose = if several {
                    launch.for_whom()
                } else {
                    String::new()
                };
                let line = format!("softprobe: application {url}{whose}");
                let _ = writeln!(stderr(), "{}", visible_line(&line));
            }
        }
        // Only now are they what their commands end in.
        let programs = self
            .launched
            .iter()
            .flat_map(|(_, application)| application.programs());
        proxy.set_programs(programs.collect());
        Ok(())
    }

    /// Returns the URL of the only application, if there is one.
    pub(crate) fn url(&self) -> Option<&str> {
        let launched = self
            .launched
            .first()
            .map(|(_, application)| application.url());
        launched.or(self.running.as_deref())
    }

    /// Returns what says whether the only application has made a connection.
    pub(crate) fn made_by(&self) -> MadeBy {
        let launched = self.launched.first();
        let launched = launched.map(|(_, application)| application);
        made_by(launched, self.url().unwrap_or_default())
    }

    /// Returns whether one that was launched has ended.
    pub(crate) fn has_ended(&self) -> bool {
        let mut launched = self.launched.iter();
        launched.any(|(_, application)| application.ended().is_some())
    }

    /// Returns whether there is any application.
    pub(super) fn any(&self) -> bool {
        self.running.is_some() || !self.launched.is_empty()
    }

    /// Returns the application of a case.
    pub(super) fn of<'a>(&'a self, trial: &'a Trial) -> AppOfCase<'a> {
        let plan = trial.app.as_ref();
        let mut launched = self.launched.iter();
        let is_own =
            |(own, _): &&(Launch, _)| plan.is_some_and(|plan| Arc::ptr_eq(&own.plan, plan));
        let launched = launched.find(is_own);
        let launched = launched.map(|(_, application)| application);
        AppOfCase {
            url: launched.map(Application::url).or(self.running.as_deref()),
            launched,
            plan: trial.app.as_deref(),
            root: &self.root,
            arrived: &self.arrived,
        }
    }

    /// Tells of applications that have ended by themselves, with their last lines, and returns whether there are any.
    pub(crate) fn tell_ended(&self) -> bool {
        let mut any = false;
        for (launch, application) in &self.launched {
            if let Some(how) = application.ends_within(LAST_WORDS) {
                any = true;
                let command = command_line(&launch.plan);
                let words = application.last_words();
                let text = format!(
                    "softprobe: the application `{command}` ended meanwhile ({how}){words}"
                );
                let _ = writeln!(stderr(), "{}", visible(&text));
            }
        }
        any
    }

    /// Ends what was launched, all at the same time, each in this time at the most, and by force as soon as more than
    /// `heeded` signals have arrived. What had to be killed though it had all the time that its plan allows is told.
    pub(crate) fn stop(&self, most: Duration, heeded: usize) {
        let hurry = || self.arrived.count() > heeded;
        std::thread::scope(|scope| {
            for (launch, application) in &self.launched {
                scope.spawn(|| {
                    let has_ended = application.stop(most, &hurry);
                    let Launch { plan, .. } = launch;
                    if !has_ended && most >= plan.grace && !hurry() {
                        let line = format!(
                            "warning: the application `{}` did not end within {} ms, and was killed; `app: {{stop: {{signal: …, \
                             graceMs: …}}}}` says how it ends",
                            command_line(plan),
                            plan.grace.as_millis()
                        );
                        let _ = writeln!(stderr(), "{}", visible_line(&line));
                    }
                });
            }
        });
    }
}

impl AppOfCase<'_> {
    /// Checks that it still runs, before a case or in a running one.
    ///
    /// # Errors
    ///
    /// How it ended.
    pub(super) fn still_runs(self, running: bool) -> Result<(), Unjudged> {
        match self.launched.and_then(Application::ended) {
            Some(how) => Err(Unjudged::ApplicationEnded { how, running }),
            None => Ok(()),
        }
    }

    /// Returns how it ended by itself, if it has, or is about to after its last answer.
    pub(super) fn ended_by_itself(self) -> Option<String> {
        self.launched?.ends_within(LAST_WORDS)
    }

    /// Returns why there was no answer: if it ended meanwhile, that.
    pub(super) fn why_silent(self, why: Unjudged) -> Unjudged {
        let Some(application) = self.launched else {
            return why;
        };
        match (application.ends_within(SLOWEST_END), why) {
            (Some(how), _) => Unjudged::ApplicationEnded { how, running: true },
            (None, Unjudged::NoAnswer { url, why }) if !application.listens() => {
                Unjudged::NoAnswer {
                    url,
                    why: format!("{why}; nothing listens there any more"),
                }
            }
            (None, why) => why,
        }
    }

    /// Brings it back to its first state, if its plan says how.
    ///
    /// # Errors
    ///
    /// Why that failed.
    pub(super) fn reset(self) -> Result<(), Unjudged> {
        let Some((plan, way)) = self
            .plan
            .and_then(|plan| Some((plan, plan.reset.as_ref()?)))
        else {
            return Ok(());
        };
        let url = self.url.ok_or(Unjudged::NoApplication)?;
        let beside;
        let setting = match self.launched {
            Some(application) => application.setting(),
            None => {
                beside = Setting::beside(plan, url, self.root);
                &beside
            }
        };
        let is_interrupted = || self.arrived.count() > 0;
        reset(way, url, setting, plan.start_limit, &is_interrupted).map_err(|why| {
            // What it made of its state may be the cause.
            self.why_silent(Unjudged::NotReset { why })
        })
    }

    /// Returns how it was launched, for reports.
    pub(super) fn launched_as(self) -> Launched {
        match (self.launched, self.plan) {
            (Some(_), Some(plan)) if plan.intercept == Intercept::None => Launched::Unintercepted,
            (Some(_), Some(plan)) => Launched::By(command_line(plan)),
            _ => Launched::Not,
        }
    }

    /// Returns how much it has written; 0 if it was not launched.
    pub(super) fn written(self) -> u64 {
        self.launched.map_or(0, Application::written)
    }

    /// Returns the last lines of what it wrote since then.
    pub(super) fn lines_since(self, from: u64, most: usize) -> crate::launch::Lines {
        let lines = |app: &Application| app.lines_since(from, most);
        self.launched.map(lines).unwrap_or_default()
    }
}

/// Waits until an application is ready, and shows that on a terminal.
fn wait(application: &Application, url: &str, arrived: &Arrived) -> Result<(), NotReady> {
    let mut shown = Progress::new();
    let mut told = false;
    application.wait_until_ready(&mut |waited: &Waited| {
        let port = application.setting().port();
        if let (false, [_, ..]) = (told, waited.elsewhere.as_slice()) {
            told = true;
            shown.clear();
            let hint = listens_elsewhere(&waited.elsewhere, port);
            let _ = writeln!(stderr(), "warning: the application is not ready: {hint}");
        }
        shown.show(waited.elapsed, url);
        arrived.last()
    })
}

/// How many calls outside of cases are told of by name.
const TOLD_CALLS: usize = 10;

/// Tells of calls that the application made while no case ran.
pub(crate) fn tell_idle_calls(when: &str, (calls, others): &(Vec<IdleCall>, u64)) {
    for call in calls.iter().take(TOLD_CALLS) {
        let times = match call.count {
            1 => String::new(),
            n => format!(" {n} times"),
        };
        let way_out = match call.is_forwarded {
            true => "it was forwarded",
            false => {
                "it was answered with 599, since no case runs: answer it from a capture by `mocks: {shared: …}`, or allow it \
                 with --forward-idle"
            }
        };
        let line = format!("warning: {when} {}{times}: {way_out}", call.call);
        let _ = writeln!(stderr(), "{}", visible_line(&line));
    }
    let more = calls.len().saturating_sub(TOLD_CALLS) as u64 + others;
    if more > 0 {
        let _ = writeln!(stderr(), "warning: {when} {more} others besides");
    }
}
