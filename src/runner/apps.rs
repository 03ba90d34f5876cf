//! The applications of a run: which one each case is sent to, and how they are launched.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::args::{AppFlags, Args};
use super::discover::Trial;
use super::refusal::Refusal;
use super::signals::{Arrived, Interrupts};
use super::unjudged::Unjudged;
use crate::base::http::without_credentials;
use crate::base::visible_line;
use crate::launch::{
    Application, NotReady, Setting, Surroundings, Waited, listens_elsewhere, reset,
};
use crate::proxy::{IdleCall, Proxy};
use crate::suite::{AppPlan, PortText, WAYS, is_base_url, is_path, split_command};

/// How long an application may take to be gone after it broke off an answer.
const SLOWEST_END: Duration = Duration::from_millis(500);

/// The applications of a run.
#[derive(Debug, Default)]
pub(crate) struct Apps {
    /// The project's root, where an application runs unless its plan says otherwise.
    root: PathBuf,
    /// The URL of the application of all cases without one that was launched.
    running: Option<String>,
    launched: Vec<(Arc<AppPlan>, Application)>,
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
}

impl Apps {
    /// Creates the applications of a run that launches none; the one at this URL runs already.
    pub(crate) fn running(root: &Path, url: Option<String>) -> Self {
        Self {
            root: root.to_owned(),
            running: url,
            launched: Vec::new(),
        }
    }

    /// Launches applications, and waits until all of them are ready.
    pub(crate) fn launch(
        &mut self,
        plans: Vec<Arc<AppPlan>>,
        proxy: &Proxy,
        interrupts: &Interrupts,
        shown: Shown,
    ) -> Result<(), Refusal> {
        let several = plans.len() > 1;
        for (n, plan) in plans.into_iter().enumerate() {
            let shown_as = match several {
                true => format!("app {} | ", n + 1),
                false => "app | ".to_owned(),
            };
            let around = Surroundings {
                root: &self.root,
                proxy: Some(&proxy.local_url()),
                shown_as: shown.output.then_some(shown_as),
            };
            let launched = Application::launch(&plan, &around);
            let application = launched.map_err(|why| not_launched(&plan, &why))?;
            self.launched.push((plan, application));
        }
        for (plan, application) in &self.launched {
            let url = without_credentials(application.url());
            let ready = wait(application, &url, interrupts);
            let calls = proxy.take_idle_calls();
            tell_idle_calls("while the application started, it called", &calls);
            ready.map_err(|error| match error {
                NotReady::Signal(signal) => Refusal::signal(signal),
                NotReady::Failed(why) => not_launched(plan, &why),
            })?;
            if shown.urls {
                let _ = writeln!(stderr(), "softprobe: application {url}");
            }
        }
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

    /// Returns whether there is any application.
    pub(super) fn any(&self) -> bool {
        self.running.is_some() || !self.launched.is_empty()
    }

    /// Returns the application of a case.
    pub(super) fn of<'a>(&'a self, trial: &'a Trial) -> AppOfCase<'a> {
        let plan = trial.app.as_deref();
        let mut launched = self.launched.iter();
        let launched = launched.find(|(own, _)| Some(&**own) == plan);
        let launched = launched.map(|(_, application)| application);
        AppOfCase {
            url: launched.map(Application::url).or(self.running.as_deref()),
            launched,
            plan,
            root: &self.root,
        }
    }

    /// Ends what was launched, all at the same time, each in this time at the most, and by force as soon as a further signal
    /// arrives.
    pub(crate) fn stop(&self, most: Duration, arrived: &Arrived) {
        let before = arrived.count();
        let hurry = || arrived.count() > before;
        std::thread::scope(|scope| {
            for (_, application) in &self.launched {
                scope.spawn(|| application.stop(most, &hurry));
            }
        });
    }
}

impl AppOfCase<'_> {
    /// Checks that it still runs.
    ///
    /// # Errors
    ///
    /// How it ended.
    pub(super) fn still_runs(self) -> Result<(), Unjudged> {
        match self.launched.and_then(Application::ended) {
            Some(how) => Err(Unjudged::ApplicationEnded { how }),
            None => Ok(()),
        }
    }

    /// Returns why there was no answer: if it ended meanwhile, that.
    pub(super) fn why_silent(self, why: Unjudged) -> Unjudged {
        let ended = self.launched.and_then(|app| app.ends_within(SLOWEST_END));
        match ended {
            Some(how) => Unjudged::ApplicationEnded { how },
            None => why,
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
        reset(way, url, setting, plan.start_limit).map_err(|why| {
            // What it made of its state may be the cause.
            self.why_silent(Unjudged::NotReset { why })
        })
    }

    /// Returns how much it has written; 0 if it was not launched.
    pub(super) fn written(self) -> u64 {
        self.launched.map_or(0, Application::written)
    }

    /// Returns the last lines of what it wrote since then.
    pub(super) fn lines_since(self, from: u64, most: usize) -> crate::launch::Lines {
        let lines = |app: &Application| app.lines(from, app.written(), most);
        self.launched.map(lines).unwrap_or_default()
    }
}

fn not_launched(plan: &AppPlan, why: &str) -> Refusal {
    let words: Vec<String> = plan.command.iter().map(PortText::written).collect();
    Refusal::from(format!(
        "the application `{}` did not start: {why}",
        words.join(" ")
    ))
}

/// Waits until an application is ready, and shows that on a terminal.
fn wait(application: &Application, url: &str, interrupts: &Interrupts) -> Result<(), NotReady> {
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
        interrupts.arrived.last()
    })
}

/// A line on a terminal that tells what is waited for.
struct Progress {
    is_shown: bool,
    seconds: Option<u64>,
}

impl Progress {
    fn new() -> Self {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let on_ci = std::env::var_os("CI").is_some_and(|ci| !ci.is_empty());
        Self {
            is_shown: stderr().is_terminal() && !is_dumb && !on_ci,
            seconds: None,
        }
    }

    fn show(&mut self, elapsed: Duration, url: &str) {
        let seconds = elapsed.as_secs();
        if !self.is_shown || seconds == 0 || self.seconds == Some(seconds) {
            return;
        }
        self.seconds = Some(seconds);
        let url = visible_line(url);
        let _ = write!(
            stderr(),
            "\r\x1b[2Ksoftprobe: waiting for the application at {url} ({seconds} s)"
        );
    }

    fn clear(&mut self) {
        if self.seconds.take().is_some() {
            let _ = write!(stderr(), "\r\x1b[2K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// How many calls outside of cases are told of by name.
const TOLD_CALLS: usize = 10;

/// Tells of calls that the application made while no case ran.
pub(crate) fn tell_idle_calls(when: &str, calls: &[IdleCall]) {
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
    if calls.len() > TOLD_CALLS {
        let more = calls.len() - TOLD_CALLS;
        let _ = writeln!(stderr(), "warning: {when} {more} others besides");
    }
}

/// What code says about the application, if no flag does.
#[derive(Debug, Default)]
pub(super) struct AppInCode {
    /// A command that launches it.
    pub(super) command: Option<String>,
    /// The URL of one that runs already.
    pub(super) url: Option<String>,
    /// Whether a closure starts it.
    pub(super) starts: bool,
}

/// How the applications of a run come to be.
#[derive(Debug, Default)]
pub(super) struct AppPlans {
    /// Those to launch, each once.
    pub(super) launches: Vec<Arc<AppPlan>>,
    /// The URL of the application of the other cases.
    pub(super) url: Option<String>,
    /// Whether a closure starts the application of the other cases.
    pub(super) starts: bool,
}

/// Decides how the application of each of these trials is reached, and gives the trials that share one the same plan.
pub(super) fn plan_apps<'t>(
    args: &Args,
    code: &AppInCode,
    trials: impl Iterator<Item = &'t mut Trial>,
) -> Result<AppPlans, Refusal> {
    let flags = &args.flags;
    let command = |flag: &str, text: &Option<String>| {
        let command = text.as_deref().map(split_command).transpose();
        command.map_err(|why| Refusal::arguments(format!("{flag}: {why}")))
    };
    let given = command("--app-command", &flags.app_command)?;
    let in_code = command("Replay::app_command", &code.command)?;
    let running = flags.app_url.clone().filter(|_| given.is_none());
    let mut plans = AppPlans::default();
    let (mut needs_other, mut not_launched) = (false, None);
    for trial in trials {
        let own = trial.app.as_deref();
        let plan = match (&running, &given, own, &in_code) {
            (Some(_), ..) => {
                not_launched = not_launched.or(own.map(|_| Arc::clone(&trial.suite)));
                needs_other = true;
                continue;
            }
            (None, Some(command), own, _) => {
                let mut plan = own
                    .cloned()
                    .unwrap_or_else(|| AppPlan::of_command(Vec::new()));
                plan.command.clone_from(command);
                plan.url = match &flags.app_url {
                    Some(url) => Some(PortText::new(url)),
                    None => plan.url,
                };
                plan
            }
            (None, None, Some(own), _) => own.clone(),
            (None, None, None, Some(command)) if !code.starts => {
                AppPlan::of_command(command.clone())
            }
            _ => {
                needs_other = true;
                continue;
            }
        };
        let plan = with_flags(plan, &flags.app)?;
        let known = plans.launches.iter().find(|known| ***known == plan);
        let plan = known.cloned().unwrap_or_else(|| {
            let plan = Arc::new(plan);
            plans.launches.push(Arc::clone(&plan));
            plan
        });
        trial.app = Some(plan);
    }
    if let Some(suite) = not_launched
        && !args.silent
    {
        let _ = writeln!(
            stderr(),
            "softprobe: the `app` of {suite} is not launched, since --app-url or APP_URL names one that runs"
        );
    }
    if let (true, Some(flag)) = (plans.launches.is_empty(), args.launch_flag) {
        return Err(Refusal::arguments(format!(
            "{flag} is for an application that is launched, and none is: give its command after `--`, with --app-command, or \
             as `app` in the suite"
        )));
    }
    if let Some(url) = running.as_ref().or(code.url.as_ref())
        && !is_base_url(url)
    {
        return Err(Refusal::arguments(format!(
            "the application's URL `{}` is not a base URL such as `http://127.0.0.1:3000`",
            without_credentials(url)
        )));
    }
    plans.starts = needs_other && running.is_none() && code.starts;
    plans.url = running.or_else(|| code.url.clone().filter(|_| !plans.starts));
    Ok(plans)
}

/// Returns the plan of an application that flags alone describe.
pub(crate) fn plan_of_flags(
    flag: &str,
    command: &str,
    url: Option<&str>,
    flags: &AppFlags,
) -> Result<AppPlan, Refusal> {
    let command = split_command(command);
    let command = command.map_err(|why| Refusal::arguments(format!("{flag}: {why}")))?;
    let mut plan = AppPlan::of_command(command);
    plan.url = url.map(PortText::new);
    with_flags(plan, flags)
}

/// Returns a plan with what the flags say besides.
fn with_flags(mut plan: AppPlan, flags: &AppFlags) -> Result<AppPlan, Refusal> {
    let AppFlags {
        app_env,
        ready,
        intercept,
        app_output: _,
    } = flags;
    for variable in app_env {
        let Some((name, value)) = variable
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
        else {
            return Err(Refusal::arguments(
                "--app-env: expected NAME=value".to_owned(),
            ));
        };
        plan.env.retain(|(known, _)| known != name);
        plan.env.push((name.to_owned(), PortText::new(value)));
    }
    if let Some(path) = ready {
        if !is_path(path) {
            return Err(Refusal::arguments(format!(
                "--ready: `{path}` is not a path such as /health"
            )));
        }
        plan.ready = crate::suite::Ready::Path(path.clone());
    }
    if let Some(way) = intercept {
        let known = WAYS.iter().find(|(name, _)| name == way);
        let Some((_, way)) = known else {
            let names = WAYS.map(|(name, _)| name).join(", ");
            return Err(Refusal::arguments(format!(
                "--intercept: `{way}` is not one of {names}"
            )));
        };
        plan.intercept = *way;
    }
    if let Some(url) = &plan.url
        && !is_base_url(&url.at(1))
    {
        return Err(Refusal::arguments(format!(
            "the application's URL `{}` is not a base URL such as `http://127.0.0.1:${{PORT}}`",
            without_credentials(&url.written())
        )));
    }
    Ok(plan)
}
