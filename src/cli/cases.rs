//! `cases`: the captures of sessions that are closed.

use std::path::PathBuf;

use super::output::{Failed, Output};
use super::session::checked_id;
use super::{Global, files};
use crate::control::Call;
use crate::disk::Readers;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Cases {
    /// Get the case that a closed session has captured, as long as its runtime keeps it
    Get {
        /// Id of the session
        id: String,
        /// Write the case to this file instead of standard output
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

impl Cases {
    pub(super) fn run(self, global: &Global) -> Result<Output, Failed> {
        let Self::Get { id, out } = self;
        checked_id(&id)?;
        let case = global.runtime()?.call(&Call::Capture { id })?;
        let text = format!("{case:#}\n");
        match out {
            None => Ok(Output::fine(text).field("case", case)),
            Some(path) => {
                files::write(&path, &text, Readers::Owner)?;
                let shown = path.display().to_string();
                Ok(Output::fine(format!("wrote {shown}\n")).field("capturePath", shown))
            }
        }
    }
}
