//! An application that was launched.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::group::Group;
use super::interception::Interception;
use super::keeper::Keeper;
use super::output::{Lines, Output};
use super::port::free_port;
use super::{processes, ready};
use crate::base::encoding::shell_word;
use crate::base::http::{split_port, split_url};
use crate::net::{Client, Timeouts};
use crate::suite::{AppPlan, Intercept, PORT, PortText, Ready, StopSignal};

/// The variable by which the processes of an application are found.
const MARK: &str = "SOFTPROBE_APP";
/// How many of the last lines of an application that does not start are shown.
const SHOWN_LINES: usize = 40;
/// How long killed processes may take to be gone.
const SLOWEST_KILL: Duration = Duration::from_secs(1);
/// How long one answer about its health may take.
const SLOWEST_HEALTH: Duration = Duration::from_secs(2);
/// How long to wait before looking again whether it is ready: at first, and at the most.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// When a port at which it listens by mistake is looked for, and how often.
const LOOKS_ELSEWHERE: Duration = Duration::from_secs(2);

/// What surrounds an application.
#[derive(Debug)]
pub(crate) struct Surroundings<'s> {
    /// The project's root.
    pub(crate) root: &'s Path,
    /// The URL of the proxy that its calls should come to.
    pub(crate) proxy: Option<&'s str>,
    /// What each line of its output is shown with on standard error, if it is shown.
    pub(crate) shown_as: Option<String>,
}

/// Where an application's commands run.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(super) folder: PathBuf,
    pub(super) variables: Vec<(OsString, OsString)>,
    pub(super) port: u16,
}

impl Setting {
    /// Returns where the commands of an application run that was not launched.
    pub(crate) fn beside(plan: &AppPlan, url: &str, root: &Path) -> Self {
        let port = split_url(url).and_then(|(_, authority, _)| split_port(authority).1);
        let port = port.and_then(|port| port.parse().ok()).unwrap_or_default();
        Self {
            folder: plan.folder.clone().unwrap_or_else(|| root.to_owned()),
            variables: variables(plan, port),
            port,
        }
    }

    /// Returns the application's port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns a command with these words, that runs there.
    pub(super) fn command(&self, words: &[PortText]) -> Command {
        let mut words = words.iter().map(|word| word.at(self.port));
        let mut program = PathBuf::from(words.next().unwrap_or_default());
        if program.components().count() > 1 {
            // The system might look for a relative path in the folder of this process.
            program = self.folder.join(program);
        }
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if is_cargos(&name.to_string_lossy()) {
                command.env_remove(name);
            }
        }
        command
            .args(words)
            .current_dir(&self.folder)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .process_group(0);
        command
    }
}

/// Returns whether a variable tells a program which package cargo runs it for. Inherited by another cargo, such as that of
/// `cargo run`, it would make build scripts run anew, again and again.
fn is_cargos(name: &str) -> bool {
    const PACKAGE: [&str; 5] = [
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_CRATE_NAME",
        "CARGO_BIN_NAME",
        "CARGO_PRIMARY_PACKAGE",
    ];
    name.starts_with("CARGO_PKG_") || PACKAGE.contains(&name)
}

/// Returns the variables of a plan, and its port.
fn variables(plan: &AppPlan, port: u16) -> Vec<(OsString, OsString)> {
    let own = plan.env.iter();
    let own = own.map(|(name, value)| (name.into(), value.at(port).into()));
    let given = [(OsString::from(PORT), OsString::from(port.to_string()))];
    given.into_iter().chain(own).collect()
}

/// An application that was launched; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Application {
    plan: AppPlan,
    url: String,
    setting: Setting,
    group: Arc<Group>,
    leader: Arc<Leader>,
    output: Arc<Output>,
    stopped: AtomicBool,
    /// What ends it if this process is killed, and the folder of the files that it was given.
    kept: Mutex<Option<(Keeper, tempfile::TempDir)>>,
}

/// The first process of an application.
#[derive(Debug, Default)]
struct Leader {
    /// How it ended, once it has.
    status: Mutex<Option<ExitStatus>>,
    ended: Condvar,
}

/// How long an application has been waited for.
#[derive(Debug)]
pub(crate) struct Waited {
    pub(crate) elapsed: Duration,
    /// Where it listens, if that is not where it is expected.
    pub(crate) elsewhere: Vec<SocketAddr>,
}

/// Why an application is not ready.
#[derive(Debug)]
pub(crate) enum NotReady {
    /// What happened.
    Failed(String),
    /// A signal arrived.
    Signal(i32),
}

impl Application {
    /// Launches an application.
    ///
    /// # Errors
    ///
    /// Why it can't be launched.
    pub(crate) fn launch(plan: &AppPlan, around: &Surroundings<'_>) -> Result<Self, String> {
        let port = match plan.fixed_port() {
            Some(port) => port,
            None => free_port()?,
        };
        let url = plan.url(port);
        if ready::listens(&url).is_ok() {
            return Err(format!(
                "something listens at {url} already; stop it, or choose another `port`"
            ));
        }
        let (folder, writable) = private_folder()?;
        let mut setting = Setting::beside(plan, &url, around.root);
        setting.port = port;
        setting.variables = variables(plan, port);
        if !setting.folder.is_dir() {
            return Err(format!(
                "its folder {} does not exist",
                setting.folder.display()
            ));
        }
        let mut given = Vec::new();
        if let (Some(proxy), Intercept::Variables) = (around.proxy, plan.intercept) {
            let interception = Interception::new(proxy, folder.path()).map_err(&writable)?;
            given = interception.variables(&setting.variables);
        }
        let mark = format!("{:016x}", fastrand::u64(..));
        let variable = format!("{MARK}={mark}");
        setting.variables.push((MARK.into(), mark.into()));
        let wanted = match &plan.ready {
            Ready::Line(text) => Some(text.as_str()),
            Ready::Listens | Ready::Path(_) => None,
        };
        let output = Output::start(wanted, around.shown_as.clone());
        let (output, writer) = output.map_err(&writable)?;
        let mut keeper = Keeper::start(&variable, Some(folder.path()))?;
        let mut command = setting.command(&plan.command);
        command
            .envs(given)
            .stdout(writer.try_clone().map_err(&writable)?)
            .stderr(writer);
        let child = command.spawn().map_err(|error| not_started(plan, &error))?;
        // What holds the write end of the pipe now would keep the output from ending.
        drop(command);
        let group = Group::of(child.id(), variable).ok_or("it has no process id")?;
        let application = Self {
            plan: plan.clone(),
            url,
            setting,
            leader: Leader::watch(child, group.clone()),
            output,
            stopped: AtomicBool::new(false),
            kept: Mutex::new(None),
            group,
        };
        keeper.watch(application.group.id())?;
        application.keep(Some((keeper, folder)));
        Ok(application)
    }

    /// Returns its base URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns where its commands run.
    pub(crate) fn setting(&self) -> &Setting {
        &self.setting
    }

    /// Returns how much it has written; what it wrote before this call is included.
    pub(crate) fn written(&self) -> u64 {
        self.output.written()
    }

    /// Returns what it wrote between two places.
    pub(crate) fn lines(&self, from: u64, to: u64, most: usize) -> Lines {
        self.output.lines(from, to, most)
    }

    /// Returns the names of its programs: of those that run, where that can be found out, and of its command.
    pub(crate) fn programs(&self) -> Vec<String> {
        let command = self.plan.command.first().map(PortText::written);
        let command = command.unwrap_or_default();
        let name = Path::new(&command).file_name().unwrap_or_default();
        let mut names = processes::programs(&self.processes());
        names.push(name.to_string_lossy().into_owned());
        names
    }

    /// Returns its processes, where they can be listed.
    fn processes(&self) -> Vec<i32> {
        let members = self.group.members().into_iter();
        members.map(|member| member.as_raw_pid()).collect()
    }

    /// Returns whether something listens at its URL.
    pub(crate) fn listens(&self) -> bool {
        ready::listens(&self.url).is_ok()
    }

    /// Returns how it ended; `None` as long as it runs. An application that went into the background runs.
    pub(crate) fn ended(&self) -> Option<String> {
        let status = self.leader.status()?;
        if status.success() && self.group.lives() {
            return None;
        }
        Some(status.to_string())
    }

    /// Returns how it ended, if it does so within a time.
    pub(crate) fn ends_within(&self, limit: Duration) -> Option<String> {
        self.leader.wait(limit);
        self.ended()
    }

    /// Waits until it is ready. `watch` is told again and again how long that takes, and returns a signal that ends the wait.
    ///
    /// # Errors
    ///
    /// Why it is not ready, with the last lines that it wrote.
    pub(crate) fn wait_until_ready(
        &self,
        watch: &mut dyn FnMut(&Waited) -> Option<i32>,
    ) -> Result<(), NotReady> {
        let start = Instant::now();
        let mut waited = Waited {
            elapsed: Duration::ZERO,
            elsewhere: Vec::new(),
        };
        let mut looks = LOOKS_ELSEWHERE;
        let mut pause = SHORTEST_PAUSE;
        loop {
            // What has ended can't become ready: another process may listen there.
            if let Some(how) = self.ended() {
                return Err(NotReady::Failed(self.never_ready(&how)));
            }
            let Err(why) = self.is_ready() else {
                return Ok(());
            };
            waited.elapsed = start.elapsed();
            if waited.elapsed >= looks {
                waited.elsewhere = self.elsewhere();
                looks += LOOKS_ELSEWHERE;
            }
            if waited.elapsed >= self.plan.start_limit {
                return Err(NotReady::Failed(self.too_late(&why)));
            }
            if let Some(signal) = watch(&waited) {
                return Err(NotReady::Signal(signal));
            }
            self.leader.wait(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Checks whether it is ready.
    fn is_ready(&self) -> Result<(), String> {
        match &self.plan.ready {
            Ready::Listens => {}
            Ready::Line(text) if self.output.has_wanted() => {
                log::debug!("the application wrote `{text}`");
            }
            Ready::Line(text) => return Err(format!("it wrote no line with `{text}`")),
            Ready::Path(path) => {
                let url = format!("{}{path}", self.url.trim_end_matches('/'));
                let request = ureq::http::Request::get(&url).body(Vec::new());
                let request = request.map_err(|error| format!("{url}: {error}"))?;
                let answer = Client::new(Timeouts::Whole(SLOWEST_HEALTH)).send(request);
                return match answer {
                    Ok(answer) if (200..400).contains(&answer.status) => Ok(()),
                    Ok(answer) => Err(format!("GET {path} was answered with {}", answer.status)),
                    Err(error) => Err(format!("GET {path}: {error}")),
                };
            }
        }
        ready::listens(&self.url).map_err(|why| format!("nothing listens at {}: {why}", self.url))
    }

    /// Returns where it listens, if that is only where it is not expected.
    fn elsewhere(&self) -> Vec<SocketAddr> {
        if self.listens() {
            return Vec::new();
        }
        processes::listeners(&self.processes())
    }

    fn never_ready(&self, how: &str) -> String {
        let hint = match how.ends_with(": 0") {
            true => "; it has to keep running, and its standard input is empty",
            false => "",
        };
        format!(
            "it ended before it was ready ({how}{hint}){}",
            self.last_words()
        )
    }

    fn too_late(&self, why: &str) -> String {
        let elsewhere = self.elsewhere();
        let elsewhere = match elsewhere.as_slice() {
            [] => String::new(),
            found => format!("; {}", listens_elsewhere(found, self.setting.port)),
        };
        format!(
            "it was not ready within {} ms (`startTimeoutMs`): {why}{elsewhere}{}",
            self.plan.start_limit.as_millis(),
            self.last_words()
        )
    }

    /// Returns the last lines that it wrote, as the end of a message.
    pub(crate) fn last_words(&self) -> String {
        let Lines { lines, cut } = self.output.last_lines(SHOWN_LINES);
        match lines.is_empty() {
            true => "; it wrote nothing".to_owned(),
            false => {
                let last = if cut {
                    "the end of what it wrote"
                } else {
                    "it wrote"
                };
                format!("; {last}:\n    {}", lines.join("\n    "))
            }
        }
    }

    /// Ends it with everything that it started: by its signal, and by force if that takes longer than it may. Returns
    /// whether the signal was enough. It is not waited for any longer once `hurry` says so.
    pub(crate) fn stop(&self, most: Duration, hurry: &dyn Fn() -> bool) -> bool {
        if self.stopped.swap(true, Ordering::SeqCst) {
            return true;
        }
        self.group.signal(match self.plan.stop_signal {
            StopSignal::Term => Signal::TERM,
            StopSignal::Int => Signal::INT,
            StopSignal::Hup => Signal::HUP,
            StopSignal::Quit => Signal::QUIT,
            StopSignal::Kill => Signal::KILL,
        });
        let has_ended = self.group.wait(self.plan.grace.min(most), hurry);
        if !has_ended {
            self.group.signal(Signal::KILL);
            self.group.wait(SLOWEST_KILL, &|| false);
        }
        self.keep(None);
        has_ended
    }

    fn keep(&self, kept: Option<(Keeper, tempfile::TempDir)>) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.stop(Duration::MAX, &|| false);
    }
}

impl Leader {
    /// Waits for a process in a thread of its own.
    fn watch(mut child: Child, group: Arc<Group>) -> Arc<Self> {
        let leader = Arc::new(Self::default());
        let own = Arc::clone(&leader);
        std::thread::spawn(move || {
            let status = child.wait();
            group.leader_ended();
            let mut known = own.status.lock().unwrap_or_else(PoisonError::into_inner);
            *known = Some(status.unwrap_or_default());
            own.ended.notify_all();
        });
        leader
    }

    fn status(&self) -> Option<ExitStatus> {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it has ended, for as long as this.
    fn wait(&self, limit: Duration) {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .ended
            .wait_timeout_while(status, limit, |status| status.is_none());
        drop(waited);
    }
}

/// Returns a sentence about an application that listens elsewhere than at its port.
pub(crate) fn listens_elsewhere(found: &[SocketAddr], port: u16) -> String {
    let shown: Vec<String> = found.iter().map(SocketAddr::to_string).collect();
    let shown = shown.join(" and ");
    match found.iter().find(|address| address.port() == port) {
        Some(address) => {
            let mut url = *address;
            url.set_port(0);
            let host = url.to_string();
            let host = host.trim_end_matches(":0");
            format!("it listens at {shown} alone: say `url: http://{host}:${{PORT}}` in `app`")
        }
        None => format!(
            "it listens at {shown}, but its port is {port}: have it read PORT, give it `${{PORT}}` in its command or in `env`, or say \
             `port: {}` in `app`",
            found.first().map(SocketAddr::port).unwrap_or_default()
        ),
    }
}

/// Makes a folder that its owner alone may read, and returns it with what makes an error of it a message.
fn private_folder() -> Result<(tempfile::TempDir, impl Fn(io::Error) -> String), String> {
    let folder = tempfile::Builder::new().prefix("softprobe-").tempdir();
    let folder = folder.map_err(|error| format!("no temporary folder can be made: {error}"))?;
    let shown = folder.path().display().to_string();
    Ok((folder, move |error| format!("{shown}: {error}")))
}

fn not_started(plan: &AppPlan, error: &io::Error) -> String {
    let program = plan.command.first().map(PortText::written);
    let program = program.unwrap_or_default();
    if error.kind() != io::ErrorKind::NotFound {
        return format!("{program}: {error}");
    }
    let hint = if program.contains(char::is_whitespace) {
        "; its words belong apart from each other, and what a shell has to read belongs to one: sh -c '…'"
    } else if program.contains('=') {
        "; variables are given by `env` or --app-env"
    } else {
        ""
    };
    let shown = shell_word(&program);
    match program.contains('/') {
        true => format!("there is no program {shown}; a path is relative to `cwd`{hint}"),
        false => format!("there is no program {shown} on PATH{hint}"),
    }
}
