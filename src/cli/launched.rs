//! The flags of commands that launch an application, or take one that runs, beside a proxy.

use crate::net::address;
use crate::runner::AppFlags;

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
