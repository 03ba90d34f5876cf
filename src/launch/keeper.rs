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
    /// Starts it, before there is an application.
    ///
    /// # Errors
    ///
    /// Why it does not start.
    pub(super) fn start(mark: &str, folder: &Path) -> Result<Self, String> {
        let process = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "softprobe-keeper", mark])
            .arg(folder)
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
        let told = self
            .process
            .stdin
            .as_mut()
            .map(|stdin| writeln!(stdin, "{group}"));
        match told {
            Some(Ok(())) => Ok(()),
            _ => Err("the process that would end it is gone".to_owned()),
        }
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
