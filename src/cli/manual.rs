//! `man`: the manual pages of the command, made of what `--help` says.

use std::path::PathBuf;

use clap::CommandFactory as _;

use super::Cli;
use super::output::{Failed, Output, invalid};

#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// Folder for the pages, such as ~/.local/share/man/man1; it is created if it is missing
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

impl Man {
    pub(super) fn run(self) -> Result<Output, Failed> {
        let Self { folder } = self;
        let written = std::fs::create_dir_all(&folder)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), &folder));
        written.map_err(|error| invalid(&folder, format!("can't be written: {error}")))?;
        let shown = folder.display().to_string();
        let text = format!("wrote softprobe.1 and a page for each command to {shown}\n");
        Ok(Output::fine(text).field("path", shown))
    }
}
