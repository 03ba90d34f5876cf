//! A small process that ends the application when this one is killed.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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

    /// Tells it which process group it keeps.
    ///
    /// # Errors
    ///
    /// That it has ended.
    pub(super) fn watch(&mut self, group: i32) -> Result<(), String> {
        self.tell(&group.to_string())
    }

    fn tell(&mut self, line: &str) -> Result<(), String> {
        let told = self
            .process
            .stdin
            .as_mut()
            .map(|stdin| writeln!(stdin, "{line}"));
        match told {
            Some(Ok(())) => Ok(()),
            _ => Err("the process that would end it is gone".to_owned()),
        }
    }
}

/// Ends a command, with everything that it started, if this process is killed; where processes can be found by their
/// environment. Dropping it ends nothing.
#[derive(Debug)]
pub(crate) struct Guard {
    #[expect(dead_code, reason = "held only for its drop")]
    keeper: Keeper,
}

impl Guard {
    /// Starts to guard a command, which has to be run after that.
    ///
    /// # Errors
    ///
    /// Why that is not possible.
    pub(crate) fn of_command(command: &mut Command) -> Result<Self, String> {
        const MARK: &str = "SOFTPROBE_COMMAND";
        let mark = format!("{:016x}", fastrand::u64(..));
        let mut keeper = Keeper::start(&format!("{MARK}={mark}"), None)?;
        command.env(MARK, mark);
        // The command is in the group of this process, which a terminal knows as its own.
        keeper.tell("")?;
        Ok(Self { keeper })
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
