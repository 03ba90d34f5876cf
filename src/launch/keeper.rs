//! A small process that ends the application when this one is killed.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::group::{Group, new_mark};
use super::leader::keep_statuses;

/// What the process does: a shell script, since a copy of this program might do more than that.
const SCRIPT: &str = include_str!("keeper.sh");

/// How long it may take to end after its work is done.
const SLOWEST_END: Duration = Duration::from_secs(1);

/// The process that ends the application if nobody else does.
#[derive(Debug)]
pub(super) struct Keeper {
    process: Child,
}

impl Keeper {
    /// Starts it, before there is an application, which has this mark in its environment; it removes the folder too.
    ///
    /// # Errors
    ///
    /// Why it does not start.
    pub(super) fn start(mark: &str, folder: Option<&Path>) -> Result<Self, String> {
        let process = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "softprobe-keeper", mark])
            .arg(folder.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            // What ends this process's group must not end it.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("/bin/sh can't be started: {error}"))?;
        Ok(Self { process })
    }

    /// Tells it which process group it keeps, if it is one of its own.
    ///
    /// # Errors
    ///
    /// That it has ended.
    pub(super) fn watch(&mut self, group: Option<i32>) -> Result<(), String> {
        let group = group.map_or(String::new(), |group| group.to_string());
        let stdin = self.process.stdin.as_mut();
        match stdin.map(|stdin| writeln!(stdin, "{group}")) {
            Some(Ok(())) => Ok(()),
            _ => Err("the process that would end it is gone".to_owned()),
        }
    }
}

/// What a command started, where processes can be found by their environment. The command is in the process group of this
/// process, which a terminal knows as its own; dropping this ends what is left of it, and so does the end of this process,
/// however it ends.
#[derive(Debug)]
pub(crate) struct Guard {
    group: Group,
    #[expect(dead_code, reason = "held only for its drop")]
    keeper: Keeper,
}

/// How long what a command left behind may take to end.
const SLOWEST_STRAY: Duration = Duration::from_secs(1);

impl Guard {
    /// Starts to guard a command, which has to be run after that.
    ///
    /// # Errors
    ///
    /// Why that is not possible.
    pub(crate) fn of_command(command: &mut Command) -> Result<Self, String> {
        keep_statuses();
        let (name, mark) = new_mark("SOFTPROBE_COMMAND");
        let mut keeper = Keeper::start(&mark, None)?;
        keeper.watch(None)?;
        command.env(name, "1");
        Ok(Self {
            group: Group::marked(mark),
            keeper,
        })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.group.end(Signal::TERM, SLOWEST_STRAY, &|| false);
    }
}

impl Drop for Keeper {
    /// Tells it that the application has ended.
    fn drop(&mut self) {
        if let Some(mut stdin) = self.process.stdin.take() {
            // Without a group, the first line is the one that it expects.
            let _ = stdin.write_all(b"done\ndone\n");
        }
        let deadline = Instant::now() + SLOWEST_END;
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
