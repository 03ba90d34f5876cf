//! Where an application's commands run.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::leader::keep_statuses;
use crate::base::http::{split_port, split_url};
use crate::suite::{AppPlan, PORT, PortText};

/// Where an application's commands run.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(super) folder: PathBuf,
    pub(super) variables: Vec<(OsString, OsString)>,
    pub(super) port: u16,
    /// Files with certificates of authorities that may have made the application's own.
    pub(super) roots: Vec<PathBuf>,
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
            roots: plan.upstreams.roots.clone(),
        }
    }

    /// Returns the application's port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns a command with these words, that runs there.
    pub(super) fn command(&self, words: &[PortText]) -> Command {
        keep_statuses();
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
pub(super) fn variables(plan: &AppPlan, port: u16) -> Vec<(OsString, OsString)> {
    let own = plan.env.iter();
    let own = own.map(|(name, value)| (name.into(), value.at(port).into()));
    let given = [(OsString::from(PORT), OsString::from(port.to_string()))];
    given.into_iter().chain(own).collect()
}
