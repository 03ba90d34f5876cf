//! The flags of commands that launch an application, or take one that runs, beside a proxy.

use clap::ArgMatches;

use super::output::{Failed, arguments};
use crate::net::address;
use crate::runner::{AppFlags, is_flagged};

#[derive(Debug, clap::Args)]
pub(super) struct LaunchFlags {
    /// Launch this application; the command is split as a shell splits words
    #[arg(long, value_name = "COMMAND", env = "SOFTPROBE_APP_COMMAND")]
    pub(super) app_command: Option<String>,
    /// Base URL of a running application; of the launched one, with its command
    #[arg(long, value_name = "URL", env = "APP_URL")]
    pub(super) app_url: Option<String>,
    #[command(flatten)]
    pub(super) app: AppFlags,
    /// Address at which the proxy listens; a free port by default
    #[arg(long, value_name = "ADDR", env = "SOFTPROBE_PROXY_LISTEN", value_parser = address)]
    pub(super) proxy_listen: Option<String>,
}

/// Refuses a command that launches the application in two places.
pub(super) fn refuse_two_commands(command: &[String], own: &ArgMatches) -> Result<(), Failed> {
    if !command.is_empty() && is_flagged(own, "app_command") {
        return Err(arguments(
            "the application's command stands after `--` and in --app-command; keep one of them",
        ));
    }
    Ok(())
}
