//! The runner as a test target configures it: what to replay, and against what.

use std::collections::HashSet;
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::app::App;
use super::apps::{Apps, Shown, for_launched};
use super::args::Args;
use super::discover::Trial;
use super::environment::{Environment, Started};
use super::last_run::keep_none;
use super::observe::Observer;
use super::plan_apps::{AppInCode, AppPlans, check_base_url, plan_apps};
use super::refusal::{Ended, Refusal, RefusalKind, signal_code};
use super::select::select;
use super::share::share;
use super::signals::Interrupts;
use super::sources::Sources;
use super::upstreams::with_upstreams;
use super::{load, pool};
use crate::base::http::without_credentials;
use crate::base::{visible, with_causes};
use crate::disk::project_root;
use crate::error::SoftprobeError;
use crate::foreign::HookFiles;
use crate::hook::Hooks;
use crate::launch::wait_until_listening;
use crate::proxy::{Idle, Proxy};
use crate::report::RunReport;
use crate::rule::{Policy, Rule};
use crate::runtime::EmbeddedRuntime;
use crate::sdk::Softprobe;

/// The exit code for failures, and for everything that keeps a run from starting.
const FAILED: u8 = 101;

type StartApp = dyn FnOnce(&Proxy) -> Result<App, Box<dyn Error + Send + Sync>>;

/// Replays suites as libtest trials. This is a complete `tests/replay.rs`:
///
/// ```no_run
/// use std::process::ExitCode;
///
/// use softprobe::{Hooks, Replay};
///
/// fn main() -> ExitCode {
///     softprobe::install_logger();
///     Replay::new()
///         .suites("suites/*.suite.yaml")
///         .hooks(Hooks::new())
///         .app_url("http://127.0.0.1:3000")
///         .main()
/// }
/// ```
///
/// `Cargo.toml` also needs a `[[test]]` with `name = "replay"` and `harness = false`.
#[must_use = "a run starts with `main` or `run`"]
pub struct Replay {
    suites: Vec<String>,
    hooks: Hooks,
    app_url: Option<String>,
    app_command: Option<String>,
    start_app: Option<Box<StartApp>>,
    proxy_listen: Option<String>,
    env_file: Option<String>,
    one_at_a_time: bool,
    idle: Idle,
    observer: Option<Arc<Observer>>,
}

impl Default for Replay {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("suites", &self.suites)
            .field("app_url", &self.app_url.as_deref().map(without_credentials))
            .field("app_command", &self.app_command)
            .finish_non_exhaustive()
    }
}

impl Replay {
    /// Creates a runner without suites.
    pub fn new() -> Self {
        Self {
            suites: Vec::new(),
            hooks: Hooks::new(),
            app_url: None,
            app_command: None,
            start_app: None,
            proxy_listen: None,
            env_file: None,
            one_at_a_time: false,
            idle: Idle::Refuse,
            observer: None,
        }
    }

    /// Adds a suite file or a glob, relative to the package's root. `--suite` replaces all of them.
    pub fn suites(mut self, path: impl Into<String>) -> Self {
        self.suites.push(path.into());
        self
    }

    /// Adds hooks that the suites may name.
    pub fn hooks(mut self, hooks: Hooks) -> Self {
        self.hooks = self.hooks.merge(hooks);
        self
    }

    /// Sets the base URL of a running application. `--app-url` and `APP_URL` override it.
    pub fn app_url(mut self, url: impl Into<String>) -> Self {
        self.app_url = Some(url.into());
        self
    }

    /// Sets the command that launches the application of all suites without an `app` of their own, such as
    /// `node server.js`. It is split as a shell splits words, and run in the package's root, with a free port in `PORT`
    /// and with everything that makes its calls come to the proxy; `${PORT}` in it is the port. It is ended after the last
    /// case, with everything that it started. `--app-command` overrides it. [`app`](Self::app) is for what a command
    /// can't do, and beats it.
    pub fn app_command(mut self, command: impl Into<String>) -> Self {
        self.app_command = Some(command.into());
        self
    }

    /// Sets how to start the application of all suites without an `app` of their own. The closure gets the proxy, starts the application with
    /// [`Proxy::variables`], and returns its URL with a guard that stops it when dropped. The closure is
    /// called at most once, and not at all for `--list`, if nothing is selected, or if a URL is
    /// given.
    pub fn app<F>(mut self, start: F) -> Self
    where
        F: FnOnce(&Proxy) -> Result<App, Box<dyn Error + Send + Sync>> + 'static,
    {
        self.start_app = Some(Box::new(start));
        self
    }

    /// Sets the address at which the proxy listens, for an application started by hand. Without this
    /// address, a proxy starts only for [`app`](Self::app), on a free port. `--proxy-listen` overrides it.
    pub fn proxy_listen(mut self, address: impl Into<String>) -> Self {
        self.proxy_listen = Some(address.into());
        self
    }

    /// Sets a file of `NAME=value` lines for the variables in suites, relative to the package's root.
    /// `--env-file` overrides it.
    pub fn env_file(mut self, path: impl Into<String>) -> Self {
        self.env_file = Some(path.into());
        self
    }

    /// Sets whether to run one case at a time, for an application that does not pass on trace headers. The
    /// default is off; `--one-at-a-time` turns it on.
    pub fn one_at_a_time(mut self, on: bool) -> Self {
        self.one_at_a_time = on;
        self
    }

    /// Sets what the proxy does with calls while no case runs. The default is [`Idle::Refuse`];
    /// `--forward-idle` overrides it.
    pub fn idle(mut self, idle: Idle) -> Self {
        self.idle = idle;
        self
    }

    /// Sets who sees what is heard of the application; warnings and summaries are not printed then.
    pub(crate) fn observed_by(mut self, observer: &Arc<Observer>) -> Self {
        self.observer = Some(Arc::clone(observer));
        self
    }

    /// Runs with the process's arguments, and returns the exit code for `main`.
    #[must_use = "return it from `main`, or failed cases pass unnoticed"]
    pub fn main(self) -> ExitCode {
        self.run(std::env::args_os())
    }

    /// Runs with these arguments, the program's name first, and returns the exit code for `main`.
    #[must_use = "return it from `main`, or failed cases pass unnoticed"]
    pub fn run(self, args: impl IntoIterator<Item = impl Into<OsString>>) -> ExitCode {
        let args = args.into_iter().map(Into::into);
        let args = match Args::read(args) {
            Ok(args) => args,
            Err(error) => {
                let failed = error.use_stderr();
                let _ = error.print();
                return ExitCode::from(if failed { FAILED } else { 0 });
            }
        };
        match self.run_with(args) {
            Ok(Ended::Passed(_)) => ExitCode::SUCCESS,
            Ok(Ended::Failed(_)) => ExitCode::from(FAILED),
            Ok(Ended::Signal(signal, _)) => ExitCode::from(signal_code(signal)),
            Err(Refusal {
                kind: RefusalKind::Signal(signal),
                ..
            }) => ExitCode::from(signal_code(signal)),
            Err(refusal) => {
                for line in refusal.lines {
                    // Standard output is for the list and the results only.
                    let _ = writeln!(std::io::stderr(), "error: {}", visible(&line));
                }
                ExitCode::from(FAILED)
            }
        }
    }

    /// Returns the trials that these settings select.
    pub(crate) fn trials(self, args: Args) -> Result<Vec<Trial>, Refusal> {
        let root = project_root();
        let loaded = load::load(&self.sources(&args), &root)?;
        select(&loaded.suites, &args, &root)
    }

    /// Runs with these settings.
    pub(crate) fn run_with(self, mut args: Args) -> Result<Ended, Refusal> {
        args.flags.one_at_a_time |= self.one_at_a_time;
        let threads = args.threads()?;
        args.blesses()?;
        let root = project_root();
        let prepared = self.prepare(&mut args, &root).inspect_err(|refusal| {
            if self.observer.is_none() && !args.flags.list {
                pool::report_none(&args, &[], refusal);
            }
        });
        let (loaded, mut trials) = prepared?;
        if args.flags.list {
            return pool::list(&args, &trials).map(|()| Ended::Passed(RunReport::default()));
        }
        let runs = trials
            .iter()
            .any(|trial| !args.leaves_out(trial.ignored.is_some()));
        if !runs {
            return pool::run(&args, threads, trials, None, None);
        }
        share(&loaded.suites, &mut trials, &root)?;
        let observer = self.observer.clone();
        let begun = self.start(&args, loaded.hooks, &mut trials, &root);
        let begun = begun.and_then(|started| {
            let has_proxy = started.has_proxy() || args.runtime_url.is_some();
            match !has_proxy && started.has_app() {
                true => refuse_without_proxy(&trials).map(|()| started),
                false => Ok(started),
            }
        });
        match begun {
            Ok(started) => pool::run(&args, threads, trials, Some(started), observer),
            Err(refusal) => {
                // Reports of the run before must not be taken for those of this one.
                if observer.is_none() {
                    pool::report_none(&args, &trials, &refusal);
                }
                Err(refusal)
            }
        }
    }

    /// Loads the suites and selects the trials.
    fn prepare(&self, args: &mut Args, root: &Path) -> Result<(load::Loaded, Vec<Trial>), Refusal> {
        if args.flags.failed {
            args.only_failed(root)?;
        }
        let loaded = load::load(&self.sources(args), root);
        let loaded = loaded.inspect_err(|refusal| {
            if self.observer.is_none() && !args.flags.list {
                keep_none(root, refusal);
            }
        })?;
        let trials = select(&loaded.suites, args, root)?;
        Ok((loaded, trials))
    }

    /// Returns what suites are loaded from; arguments take precedence over code.
    fn sources(&self, args: &Args) -> Sources {
        let patterns = if args.suite.is_empty() {
            &self.suites
        } else {
            &args.suite
        };
        let mut sources = args
            .flags
            .suites
            .sources(patterns.clone(), self.hooks.clone());
        sources.env_file = sources.env_file.or_else(|| self.env_file.clone());
        sources
    }

    /// Starts what the cases need: the runtime, the proxy, the applications.
    fn start(
        mut self,
        args: &Args,
        hooks: HookFiles,
        trials: &mut [Trial],
        root: &Path,
    ) -> Result<Started, Refusal> {
        let flags = &args.flags;
        let code = AppInCode {
            command: self.app_command.take(),
            url: self.app_url.take(),
            starts: self.start_app.is_some(),
        };
        let chosen = trials.iter_mut();
        let chosen = chosen.filter(|trial| !args.leaves_out(trial.ignored.is_some()));
        let AppPlans {
            launches,
            url,
            starts,
        } = plan_apps(args, &code, chosen)?;
        let softprobe = connect(args)?;
        let listen = flags
            .proxy_listen
            .clone()
            .or_else(|| self.proxy_listen.take());
        let is_launched = !launches.is_empty();
        let is_ours = starts || is_launched;
        let idle = if flags.forward_idle {
            Idle::Forward
        } else {
            self.idle
        };
        let listen = listen.or_else(|| is_ours.then(|| "127.0.0.1:0".to_owned()));
        let plans = launches.iter().map(|launch| &launch.plan);
        let upstreams = flags.app.upstreams.plan().map_err(Refusal::arguments)?;
        let roots = plans.clone().flat_map(|plan| &plan.upstreams.roots);
        let roots: Vec<PathBuf> = roots.chain(&upstreams.roots).cloned().collect();
        let authority = flags.ca.authority();
        let authority = authority.map_err(|(file, why)| format!("{}: {why}", file.display()))?;
        let proxy = listen.map(|address| {
            let proxy = Proxy::builder(&softprobe).listen(address).idle(idle);
            let proxy = flags.callers.proxy(proxy);
            let proxy = for_launched(proxy.idle_rules(shared_rules(trials)), plans)?;
            let proxy = match is_launched {
                // The plans have what the flags say.
                true => proxy,
                false => with_upstreams(proxy, std::iter::once(&upstreams))?,
            };
            let proxy = match &authority {
                Some(authority) => proxy.authority(Arc::clone(authority)),
                None => proxy,
            };
            proxy.start().map_err(|error| with_causes(&error))
        });
        let mut started = Started::new(proxy.transpose()?, hooks);
        if let (Some(proxy), false, false) = (started.proxy(), is_ours, args.quiet) {
            // The user has to point the application here, and the port may have been given as 0.
            let _ = writeln!(
                std::io::stderr(),
                "softprobe: the proxy listens at {}",
                proxy.url()
            );
        }
        let url = match (started.proxy(), self.start_app.take()) {
            (Some(proxy), Some(start)) if starts => {
                let app = started_app(start, proxy)?;
                let url = app.url.clone();
                started.keep(app);
                Some(url)
            }
            _ => url,
        };
        let interrupts = Interrupts::listen();
        let mut apps = Apps::running(root, url, &interrupts);
        if let Some(proxy) = started.proxy() {
            let shown = Shown {
                output: flags.app.app_output,
                urls: !(args.silent || args.quiet),
            };
            apps.launch(launches, proxy, shown)?;
        }
        let tunnels = started.proxy().map(Proxy::tunnels);
        let oracle = started.has_proxy().then(|| softprobe.oracle());
        started.environment = Some(Arc::new(Environment::new(
            softprobe, oracle, tunnels, apps, &roots,
        )));
        started.interrupts = Some(interrupts);
        Ok(started)
    }
}

/// Starts an application by a closure, waits until it listens, and returns its URL.
fn started_app(start: Box<StartApp>, proxy: &Proxy) -> Result<App, Refusal> {
    let app = start(proxy)
        .map_err(|error| format!("the application can't be started: {}", with_causes(&*error)))?;
    wait_until_listening(&app.url).map_err(|e| format!("the application did not start: {e}"))?;
    check_base_url(&app.url)?;
    Ok(app)
}

/// Returns the runtime in which sessions are opened.
fn connect(args: &Args) -> Result<Softprobe, Refusal> {
    let address = args.runtime_url.as_deref().unwrap_or("embedded");
    if !(args.silent || args.quiet) {
        let address = without_credentials(address);
        let _ = writeln!(std::io::stderr(), "softprobe: runtime {address}");
    }
    let Some(url) = &args.runtime_url else {
        return Ok(Softprobe::embedded(&EmbeddedRuntime::new()));
    };
    let runtime = Softprobe::builder().base_url(url).runtime();
    // Check once, up front: without a runtime, every case would report the same error.
    runtime.check().map_err(|error| Refusal {
        kind: match error {
            SoftprobeError::Unreachable { .. } | SoftprobeError::Timeout { .. } => {
                RefusalKind::Unreachable
            }
            _ => RefusalKind::Failure,
        },
        lines: vec![with_causes(&error)],
    })?;
    Ok(Softprobe::with_runtime(Arc::new(runtime)))
}

/// Returns the rules of all exchanges that the trials' suites share.
fn shared_rules(trials: &[Trial]) -> Vec<Arc<Rule>> {
    let mut known = HashSet::new();
    let shared = trials.iter().map(|trial| &trial.shared);
    let shared = shared.filter(|shared| known.insert(Arc::as_ptr(shared)));
    shared.flat_map(|shared| shared.rules()).collect()
}

/// Refuses mocks and policies that no call can reach: a case with them could pass and prove nothing.
fn refuse_without_proxy(trials: &[Trial]) -> Result<(), Refusal> {
    let needs =
        |trial: &&Trial| !trial.plan.mocks.is_empty() || trial.plan.policy != Policy::default();
    let Some(trial) = trials.iter().find(needs) else {
        return Ok(());
    };
    Err(Refusal::arguments(format!(
        "{} has mocks or a policy, but the application's calls do not go through a softprobe proxy; give \
         --proxy-listen ADDR, and start the application with HTTP_PROXY=http://ADDR",
        trial.name
    )))
}
