//! The command that sends requests to what records.

use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};

use crate::cli::Global;
use crate::cli::child::SETTINGS;
use crate::cli::output::{Failed, failure};

/// Returns the driver as a command, run by a shell. With --json, standard output is left to the document.
pub(super) fn driver_command(driver: &str, global: &Global) -> Result<Command, Failed> {
    let mut command = Command::new("sh");
    command.args(["-c", driver]);
    for name in SETTINGS {
        command.env_remove(name);
    }
    if global.json {
        let stderr = std::io::stderr().as_fd().try_clone_to_owned();
        command.stdout(Stdio::from(
            stderr.map_err(|error| failure("failure", error))?,
        ));
    }
    Ok(command)
}
