//! `suite init`: writes a first suite for captures, or adds captures to one.

use std::path::{Path, PathBuf};

use super::files;
use super::first::{Written, first_cases, suite_name, write_suite};
use super::output::{Exit, Failed, Output};
use crate::disk::Readers;
use crate::suite::{Calls, FirstSuite};

#[derive(Debug, clap::Args)]
pub(super) struct Init {
    /// Capture files or globs
    #[arg(value_name = "CASE", required = true)]
    cases: Vec<String>,
    /// Name of the suite, the first part of every trial's name; by default the output file's name, or `first`
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Write the suite to this file instead of standard output; to one that stands, the cases are added that it lacks
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

impl Init {
    pub(super) fn run(self) -> Result<Output, Failed> {
        let name = suite_name(self.name, self.out.as_deref())?;
        let cases = files::read_cases(&self.cases)?;
        let ambiguous = cases.iter().filter_map(|(path, case)| {
            let why = case.inbound().err()?;
            Some(format!("{}: {why}", path.display()))
        });
        let ambiguous: Vec<String> = ambiguous.collect();
        if !ambiguous.is_empty() {
            let answer = Output::all_failed(Exit::InvalidInput, "invalid_input", ambiguous);
            return Err(Failed::from(answer));
        }
        let folder = self
            .out
            .as_deref()
            .and_then(Path::parent)
            .unwrap_or(Path::new(""));
        let suite = FirstSuite {
            name,
            cases: first_cases(folder, &cases),
            calls: Calls::of(cases.iter().map(|(_, case)| case)),
            ..FirstSuite::default()
        };
        let Some(out) = self.out else {
            let suite = suite.write();
            return Ok(Output::fine(suite.clone()).field("suite", suite));
        };
        let shown = out.display().to_string();
        let done = if self.force {
            files::write(&out, &suite.write(), Readers::Usual)?;
            format!("wrote {shown}")
        } else {
            match write_suite(&out, &suite)? {
                Written::New => format!("wrote {shown}"),
                Written::Extended => format!("added to {shown}"),
                Written::Unchanged => format!("{shown} has these cases already"),
            }
        };
        let written = files::read_text(&out)?;
        let text = format!("{done}; check it with: softprobe suite validate {shown}\n");
        Ok(Output::fine(text)
            .field("path", shown)
            .field("suite", written))
    }
}
