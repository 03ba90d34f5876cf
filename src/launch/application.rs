//! An application that was launched.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::group::{Group, new_mark};
use super::interception::Interception;
use super::keeper::Keeper;
use super::leader::{Ended, Leader};
use super::output::{Lines, Output};
use super::port::free_port;
use super::setting::{Setting, variables};
use super::{processes, ready};
use crate::base::encoding::shell_word;
use crate::base::http::without_credentials;
use crate::suite::{AppPlan, Intercept, PortText, Ready, StopSignal};

/// How long an application may take to be gone after it broke off an answer.
pub(crate) const SLOWEST_END: Duration = Duration::from_millis(500);
/// How many of the last lines of an application that does not start are shown.
const SHOWN_LINES: usize = 40;

/// What surrounds an application.
#[derive(Debug)]
pub(crate) struct Surroundings<'s> {
    /// The project's root.
    pub(crate) root: &'s Path,
    /// The URL of the proxy that its calls should come to.
    pub(crate) proxy: Option<&'s str>,
    /// The certificate, as PEM, of the authority that it should trust.
    pub(crate) authority: Option<&'s str>,
    /// What each line of its output is shown with on standard error, if it is shown.
    pub(crate) shown_as: Option<String>,
}

/// An application that was launched; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Application {
    pub(super) plan: AppPlan,
    pub(super) url: String,
    pub(super) setting: Setting,
    group: Arc<Group>,
    pub(super) leader: Arc<Leader>,
    pub(super) output: Arc<Output>,
    /// When its first process began, as the system counts it.
    pub(super) began: Option<u64>,
    stopped: AtomicBool,
    /// What ends it if this process is killed, and the folder of the files that it was given.
    kept: Mutex<Option<(Keeper, tempfile::TempDir)>>,
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
                "something listens at {} already; stop it, or choose another `port`",
                without_credentials(&url)
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
            let interception = Interception::new(proxy, around.authority, folder.path());
            let interception = interception.map_err(&writable)?;
            let variables = interception.variables(&setting.variables, &setting.folder);
            given = variables.map_err(&writable)?;
        }
        let (name, mark) = new_mark("SOFTPROBE_APP");
        setting.variables.push((name.into(), "1".into()));
        let wanted = match &plan.ready {
            Ready::Line(text) => Some(text.as_str()),
            Ready::Listens | Ready::Path(_) => None,
        };
        let output = Output::start(wanted, around.shown_as.clone());
        let (output, writer) = output.map_err(&writable)?;
        let mut keeper = Keeper::start(&mark, Some(folder.path()))?;
        let mut command = setting.command(&plan.command);
        command
            .envs(given)
            .stdout(writer.try_clone().map_err(&writable)?)
            .stderr(writer);
        let child = command.spawn().map_err(|error| not_started(plan, &error))?;
        let began = i32::try_from(child.id()).ok().and_then(processes::began);
        // What holds the write end of the pipe now would keep the output from ending.
        drop(command);
        let group = Group::of(child.id(), mark).ok_or("it has no process id")?;
        let application = Self {
            plan: plan.clone(),
            url,
            setting,
            leader: Leader::watch(child, group.clone()),
            output,
            began,
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

    /// Returns the last lines of what it wrote since a place.
    pub(crate) fn lines_since(&self, from: u64, most: usize) -> Lines {
        self.output.lines_since(from, most)
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

    /// Returns everything that it started.
    pub(super) fn group(&self) -> Arc<Group> {
        Arc::clone(&self.group)
    }

    /// Returns its processes, where they can be listed.
    pub(super) fn processes(&self) -> Vec<i32> {
        let members = self.group.members().into_iter();
        members.map(|member| member.as_raw_pid()).collect()
    }

    /// Returns whether something listens at its URL.
    pub(crate) fn listens(&self) -> bool {
        self.tries_to_listen().is_ok()
    }

    /// Checks whether something listens at its URL.
    pub(super) fn tries_to_listen(&self) -> Result<(), String> {
        ready::listens(&self.url).map_err(|why| {
            let url = without_credentials(&self.url);
            format!("nothing listens at {url}: {why}")
        })
    }

    /// Returns how it ended; `None` as long as it runs. An application that went into the background runs.
    pub(super) fn how_ended(&self) -> Option<Ended> {
        let ended = self.leader.ended()?;
        (!ended.is_success() || !self.group.lives()).then_some(ended)
    }

    /// Returns how it ended, for display; `None` as long as it runs.
    pub(crate) fn ended(&self) -> Option<String> {
        self.how_ended().map(|ended| ended.to_string())
    }

    /// Returns how it ended, if it does so within a time.
    pub(crate) fn ends_within(&self, limit: Duration) -> Option<String> {
        let start = Instant::now();
        loop {
            let ended = self.ended();
            let left = limit.saturating_sub(start.elapsed());
            if ended.is_some() || left.is_zero() {
                return ended;
            }
            self.pause(left);
        }
    }

    /// Waits for as long as this, or until its first process ends if that runs.
    pub(super) fn pause(&self, limit: Duration) {
        /// How long to wait before looking again at an application in the background.
        const PAUSE: Duration = Duration::from_millis(20);
        match self.leader.ended() {
            None => self.leader.wait(limit),
            Some(_) => std::thread::sleep(limit.min(PAUSE)),
        }
    }

    /// Returns the last lines that it wrote, as the end of a message.
    pub(crate) fn last_words(&self) -> String {
        let Lines { lines, cut } = self.output.lines_since(0, SHOWN_LINES);
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
        let signal = match self.plan.stop_signal {
            StopSignal::Term => Signal::TERM,
            StopSignal::Int => Signal::INT,
            StopSignal::Hup => Signal::HUP,
            StopSignal::Quit => Signal::QUIT,
            StopSignal::Kill => Signal::KILL,
        };
        let has_ended = self.group.end(signal, self.plan.grace.min(most), hurry);
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
