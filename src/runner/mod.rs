//! The runner: suites in, one libtest trial per case out.

mod args;
mod decode;
mod discover;
mod harness;
mod mocks;
mod replay;
mod world;

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use crate::hook::Hooks;
use crate::proxy::{Idle, Proxy};
use crate::runtime::EmbeddedRuntime;
use crate::session::Softprobe;
use crate::suite::{Suite, SuiteContext, is_base_url};
use args::Args;
use discover::Case;
use world::{Started, World, wait_until_listening};

pub use world::App;

/// The exit code for failures, and for everything that keeps a run from starting.
const FAILED: u8 = 101;

type StartApp = dyn FnOnce(&Proxy) -> Result<App, Box<dyn Error + Send + Sync>>;

/// Replays suites as libtest trials: the whole of a `tests/replay.rs`.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// use softprobe::{Hooks, Replay};
///
/// fn main() -> ExitCode {
///     Replay::new()
///         .suites("suites/*.suite.yaml")
///         .hooks(Hooks::new())
///         .app_url("http://127.0.0.1:3000")
///         .main()
/// }
/// ```
///
/// `Cargo.toml` needs `[[test]] name = "replay"` with `harness = false` beside it.
pub struct Replay {
    suites: Vec<String>,
    hooks: Hooks,
    app_url: Option<String>,
    start_app: Option<Box<StartApp>>,
    proxy_listen: Option<String>,
    env_file: Option<String>,
    one_at_a_time: bool,
    idle: Idle,
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
            .field("app_url", &self.app_url)
            .finish_non_exhaustive()
    }
}

impl Replay {
    /// A runner without suites.
    pub fn new() -> Self {
        Self {
            suites: Vec::new(),
            hooks: Hooks::new(),
            app_url: None,
            start_app: None,
            proxy_listen: None,
            env_file: None,
            one_at_a_time: false,
            idle: Idle::Refuse,
        }
    }

    /// Adds a suite file or a glob of them, relative to the package's root. `--suite` replaces them.
    #[must_use]
    pub fn suites(mut self, path: impl Into<String>) -> Self {
        self.suites.push(path.into());
        self
    }

    /// The hooks that the suites may name.
    #[must_use]
    pub fn hooks(mut self, hooks: Hooks) -> Self {
        self.hooks = self.hooks.merge(hooks);
        self
    }

    /// The base URL of an application that runs already. `--app-url` and `APP_URL` replace it.
    #[must_use]
    pub fn app_url(mut self, url: impl Into<String>) -> Self {
        self.app_url = Some(url.into());
        self
    }

    /// How to start the application: the closure is given the proxy, starts the application with
    /// [`Proxy::variables`], and returns its URL with a guard whose drop stops it. It is called once,
    /// and not at all for `--list`, when nothing is selected, or when a URL is given.
    #[must_use]
    pub fn app<F>(mut self, start: F) -> Self
    where
        F: FnOnce(&Proxy) -> Result<App, Box<dyn Error + Send + Sync>> + 'static,
    {
        self.start_app = Some(Box::new(start));
        self
    }

    /// Where the proxy listens, for an application that was started by hand.
    #[must_use]
    pub fn proxy_listen(mut self, address: impl Into<String>) -> Self {
        self.proxy_listen = Some(address.into());
        self
    }

    /// A file of `NAME=value` lines for the variables in suites.
    #[must_use]
    pub fn env_file(mut self, path: impl Into<String>) -> Self {
        self.env_file = Some(path.into());
        self
    }

    /// Runs one case at a time, for an application that does not pass trace headers on.
    #[must_use]
    pub fn one_at_a_time(mut self, on: bool) -> Self {
        self.one_at_a_time = on;
        self
    }

    /// What the proxy does with calls while no case runs.
    #[must_use]
    pub fn idle(mut self, idle: Idle) -> Self {
        self.idle = idle;
        self
    }

    /// Runs with the process's arguments; the exit code is for `main` to return.
    pub fn main(self) -> ExitCode {
        self.run(std::env::args_os())
    }

    /// Runs with these arguments, the program's name first.
    pub fn run(self, args: impl IntoIterator<Item = OsString>) -> ExitCode {
        crate::logging::init();
        let args: Vec<OsString> = args.into_iter().collect();
        let program = args.first().cloned().unwrap_or_default();
        let args = match Args::read(args) {
            Ok(args) => args,
            Err(error) => {
                let failed = error.use_stderr();
                let _ = error.print();
                return ExitCode::from(if failed { FAILED } else { 0 });
            }
        };
        match self.run_with(args, &program) {
            Ok(code) => ExitCode::from(code),
            Err(Refusal(lines)) => {
                for line in lines {
                    // Standard output belongs to the list and the results.
                    let _ = writeln!(std::io::stderr(), "error: {line}");
                }
                ExitCode::from(FAILED)
            }
        }
    }

    fn run_with(mut self, mut args: Args, program: &OsString) -> Result<u8, Refusal> {
        args.one_at_a_time |= self.one_at_a_time;
        let threads = args.threads()?;
        let root = project_root();
        let cases = self.select(&args, &root)?;
        if args.list {
            return harness::list(&args, &cases).map(|()| 0);
        }
        let runs = cases.iter().any(|case| !harness::is_ignored(&args, case));
        if !runs {
            let world = World::new(
                Softprobe::embedded(&EmbeddedRuntime::new()),
                None,
                None,
                String::new(),
            );
            return harness::run(&args, threads, cases, Arc::new(world), None);
        }
        let (world, started) = self.start(&args, program)?;
        if started.proxy.is_none() && args.runtime_url.is_none() {
            refuse_without_proxy(&cases)?;
        }
        harness::run(&args, threads, cases, Arc::new(world), Some(started))
    }

    /// The cases that the arguments ask for.
    fn select(&self, args: &Args, root: &Path) -> Result<Vec<Case>, Refusal> {
        let suites = self.load_suites(args, root)?;
        if let (true, [name], []) = (args.exact, args.filters.as_slice(), args.skip.as_slice()) {
            let mut found = suites
                .iter()
                .filter_map(|suite| discover::case_by_name(suite, root, name));
            if let Some(case) = found.next() {
                return Ok(if args.ignored && case.ignored.is_none() {
                    Vec::new()
                } else {
                    vec![case]
                });
            }
        }
        let (mut cases, mut faults) = (Vec::new(), Vec::new());
        for suite in &suites {
            match discover::cases(suite, root) {
                Ok(found) => cases.extend(found),
                Err(lines) => faults.extend(lines),
            }
        }
        faults.extend(same_names(&cases));
        if !faults.is_empty() {
            return Err(Refusal(faults));
        }
        let known = cases.len();
        cases.retain(|case| args.selects(&case.trial));
        if args.exact && cases.is_empty() && !args.filters.is_empty() {
            return Err(Refusal(vec![format!(
                "no case is called {}; {known} cases are known, --list shows them",
                args.filters.join(" or ")
            )]));
        }
        if args.ignored {
            cases.retain(|case| case.ignored.is_some());
        }
        Ok(cases)
    }

    fn load_suites(&self, args: &Args, root: &Path) -> Result<Vec<Suite>, Refusal> {
        let patterns = if args.suite.is_empty() {
            &self.suites
        } else {
            &args.suite
        };
        if patterns.is_empty() {
            return Err(Refusal(vec![
                "there is no suite to run; name one with --suite, SOFTPROBE_SUITE or \
                 Replay::suites"
                    .to_owned(),
            ]));
        }
        let env_file = args.env_file.as_ref().or(self.env_file.as_ref());
        let on_ci = std::env::var("CI").is_ok_and(|ci| !["", "0", "false"].contains(&ci.as_str()));
        let process: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let context = SuiteContext {
            env: environment(&process, env_file.map(|file| root.join(file)).as_deref())?,
            process,
            hooks: self.hooks.clone(),
            forbid_only: on_ci && !args.allow_only,
        };
        let (mut suites, mut faults) = (Vec::new(), Vec::new());
        let mut seen: Vec<PathBuf> = Vec::new();
        for pattern in patterns {
            let found = match discover::files(pattern, &[root]) {
                Ok(found) => found.files,
                Err(message) => {
                    faults.push(format!("suite {message}"));
                    continue;
                }
            };
            for file in found {
                if seen.contains(&file) {
                    continue;
                }
                seen.push(file.clone());
                match load_suite(&file, &context) {
                    Ok(suite) => suites.push(suite),
                    Err(lines) => faults.extend(lines),
                }
            }
        }
        if faults.is_empty() {
            Ok(suites)
        } else {
            Err(Refusal(faults))
        }
    }

    /// Starts what the cases need: the runtime, the proxy, the application.
    fn start(&mut self, args: &Args, program: &OsString) -> Result<(World, Started), Refusal> {
        let embedded = args.runtime_url.is_none().then(EmbeddedRuntime::new);
        let softprobe = match (&embedded, &args.runtime_url) {
            (Some(runtime), _) => Softprobe::embedded(runtime),
            (None, url) => Softprobe::builder()
                .base_url(url.clone().unwrap_or_default())
                .build(),
        };
        let address = args.runtime_url.as_deref().unwrap_or("embedded");
        let _ = writeln!(std::io::stderr(), "softprobe: runtime {address}");
        let app_url = args.app_url.clone().or_else(|| self.app_url.take());
        let listen = args
            .proxy_listen
            .clone()
            .or_else(|| self.proxy_listen.take());
        let starts = app_url.is_none() && self.start_app.is_some();
        let idle = if args.forward_idle {
            Idle::Forward
        } else {
            self.idle
        };
        let proxy = match (&embedded, listen) {
            (Some(runtime), Some(address)) => Some(Proxy::start(runtime, &address, idle)),
            (Some(runtime), None) if starts => Some(Proxy::start(runtime, "127.0.0.1:0", idle)),
            (None, Some(_)) => {
                return Err(Refusal(vec![
                    "--proxy-listen goes with the embedded runtime; a runtime of its own has its \
                     own proxy"
                        .to_owned(),
                ]));
            }
            (None, None) if starts => {
                return Err(Refusal(vec![
                    "an application that the runner starts goes with the embedded runtime; with \
                     --runtime-url, start it behind that runtime's proxy and give --app-url"
                        .to_owned(),
                ]));
            }
            _ => None,
        };
        let mut started = Started {
            app: None,
            proxy: proxy
                .transpose()
                .map_err(|e| Refusal(vec![e.to_string()]))?,
        };
        if let (Some(proxy), false) = (&started.proxy, starts) {
            // The application is somebody else's to point here, and the port may be 0.
            let _ = writeln!(
                std::io::stderr(),
                "softprobe: the proxy listens at {}",
                proxy.url()
            );
        }
        let app = match (app_url, &started.proxy, self.start_app.take()) {
            (Some(url), ..) => Some(url),
            (None, Some(proxy), Some(start)) => {
                let app = start(proxy)
                    .map_err(|e| Refusal(vec![format!("the application can't be started: {e}")]))?;
                wait_until_listening(&app.url)
                    .map_err(|e| Refusal(vec![format!("the application did not start: {e}")]))?;
                let url = app.url.clone();
                started.app = Some(app);
                Some(url)
            }
            _ => None,
        };
        if let Some(url) = &app
            && !is_base_url(url)
        {
            return Err(Refusal(vec![format!(
                "the application's URL `{url}` is not a base URL such as `http://127.0.0.1:3000`"
            )]));
        }
        let rerun = rerun_command(program, &args.given);
        Ok((World::new(softprobe, embedded, app, rerun), started))
    }
}

/// Why a run does not start, one line a fault.
#[derive(Debug)]
struct Refusal(Vec<String>);

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self(vec![message])
    }
}

fn load_suite(file: &Path, context: &SuiteContext) -> Result<Suite, Vec<String>> {
    let shown = relative(file);
    let text = std::fs::read_to_string(file)
        .map_err(|error| vec![format!("{}: can't be read: {error}", shown.display())])?;
    let mut suite = Suite::parse(&shown, &text, context).map_err(|error| error.lines)?;
    suite.file = file.to_owned();
    Ok(suite)
}

/// The path as people know it: below the working directory where it is.
fn relative(path: &Path) -> PathBuf {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let whole = path.canonicalize();
    match (here, &whole) {
        (Ok(here), Ok(whole)) => whole.strip_prefix(&here).unwrap_or(path).to_owned(),
        _ => path.to_owned(),
    }
}

/// Mocks and policies that no call can reach would let a case pass that proves nothing.
fn refuse_without_proxy(cases: &[Case]) -> Result<(), Refusal> {
    let needs = |case: &&Case| {
        !case.plan.mocks.is_empty() || case.plan.policy != crate::rule::Policy::default()
    };
    let Some(case) = cases.iter().find(needs) else {
        return Ok(());
    };
    Err(Refusal(vec![format!(
        "{} has mocks or a policy, and the application's calls do not come by here; give \
         --proxy-listen ADDR, and start the application with HTTP_PROXY=http://ADDR",
        case.trial
    )]))
}

/// Two suites may not have a trial of the same name.
fn same_names(cases: &[Case]) -> Vec<String> {
    let mut by_name: HashMap<&str, &Case> = HashMap::new();
    let mut faults = Vec::new();
    for case in cases {
        if let Some(other) = by_name.insert(&case.trial, case) {
            faults.push(format!(
                "two cases are called {}: {} and {}; give the suites different names",
                case.trial,
                other.file.display(),
                case.file.display()
            ));
        }
    }
    faults
}

/// The package's root while it runs: a compiled-in one would break an archive of the tests.
fn project_root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .or_else(|| std::env::current_dir().ok())
        .unwrap_or_default()
}

/// The process's environment over the env file's.
fn environment(
    process: &BTreeMap<String, String>,
    file: Option<&Path>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let mut env = process.clone();
    let Some(file) = file else {
        return Ok(env);
    };
    let refuse =
        |error: dotenvy::Error| Refusal(vec![format!("{}: {error}", relative(file).display())]);
    for pair in dotenvy::from_path_iter(file).map_err(refuse)? {
        let (name, value) = pair.map_err(refuse)?;
        env.entry(name).or_insert(value);
    }
    Ok(env)
}

/// `cargo test --test replay --` with the flags of this run.
fn rerun_command(program: &OsString, given: &[String]) -> String {
    let stem = Path::new(program).file_stem().unwrap_or_default();
    let stem = stem.to_string_lossy();
    let target = match stem.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            name
        }
        _ => &stem,
    };
    let mut command = format!("cargo test --test {target} --");
    for word in given {
        command.push(' ');
        command.push_str(&world::quoted(word));
    }
    command
}
