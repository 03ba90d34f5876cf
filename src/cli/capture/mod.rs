//! `capture run` and `record`: record what an application does as cases.

mod driver;
mod one_session;
mod recording;
mod secrets;
mod told;

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;

use super::Global;
use super::launched::LaunchFlags;
use super::output::{Failed, Output, arguments};
use super::recorded::WritingFlags;
use crate::net::address;
use crate::recorder::Concurrency;
use crate::runner::CaFlag;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Capture {
    /// Launch an application, and record each request to it with the calls that it causes as a case; same as record
    Run(Box<Run>),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
From no captures to a green replay:\n\
  $ softprobe capture run --out cases --suite suites/first.suite.yaml --driver 'npm run smoke' -- node server.js\n\
  $ softprobe suite run suites/first.suite.yaml\n\n\
The driver is run by a shell, with the address of what records in APP_URL. Without --driver, what anybody sends to the\n\
address that is told is recorded, until the command is interrupted.\n\n\
With --out FILE.case.json and --driver, one capture session of the runtime is the whole recording: the driver gets its id as\n\
SOFTPROBE_SESSION_ID, and the application is not launched.")]
pub(super) struct Run {
    /// Folder for the cases, one file each; or the file for the capture of one session of the runtime, if it ends in .case.json
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write a suite for the cases, or add them to one that stands
    #[arg(long, value_name = "FILE")]
    suite: Option<PathBuf>,
    /// Command that sends requests to APP_URL, run by a shell; the recording ends with it
    #[arg(long, value_name = "COMMAND")]
    driver: Option<String>,
    /// Address at which to record what is sent there: until interrupted, unless there is a driver; a free port of 127.0.0.1 by
    /// default
    #[arg(long, value_name = "ADDR", value_parser = address)]
    listen: Option<String>,
    /// How many requests the application gets at the same time: auto (one, until its calls have shown that they carry the
    /// trace headers on), serial or parallel
    #[arg(long, value_name = "HOW", default_value = "auto")]
    concurrency: Concurrency,
    /// How long after its answer calls belong to a request, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 500)]
    settle: u64,
    /// Largest body that is recorded, in bytes; a larger one passes, and its case can't be replayed
    #[arg(long, value_name = "BYTES", default_value_t = 16 * 1024 * 1024, value_parser = recorded_body)]
    max_recorded_body: usize,
    #[command(flatten)]
    writing: WritingFlags,
    #[command(flatten)]
    launch: LaunchFlags,
    #[command(flatten)]
    ca: CaFlag,
    /// Command that launches the application; ${PORT} in it is the port that it is given as PORT
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

fn recorded_body(text: &str) -> Result<usize, String> {
    const MOST: usize = 64 * 1024 * 1024;
    match text.parse() {
        Ok(bytes) if (1..=MOST).contains(&bytes) => Ok(bytes),
        _ => Err(format!("expected a number of bytes from 1 to {MOST}")),
    }
}

impl Capture {
    pub(super) fn run(self, global: &Global, matches: &ArgMatches) -> Result<Output, Failed> {
        let Self::Run(run) = self;
        let own = matches.subcommand_matches("capture");
        let own = own.and_then(|capture| capture.subcommand_matches("run"));
        run.run(global, own.unwrap_or(matches))
    }
}

impl Run {
    pub(super) fn run(self, global: &Global, matches: &ArgMatches) -> Result<Output, Failed> {
        let one_file = self.out.to_string_lossy().ends_with(".case.json");
        if one_file && !self.out.is_dir() {
            return one_session::capture(&self, global);
        }
        if global.runtime_url()?.is_some() {
            return Err(arguments(
                "capture run has a runtime of its own; leave out --runtime-url and SOFTPROBE_RUNTIME_URL, or give \
                 --out FILE.case.json for one session of that runtime",
            ));
        }
        recording::record(self, global, matches)
    }

    fn settle(&self) -> Duration {
        Duration::from_millis(self.settle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_a_size_that_can_be_held() {
        assert_eq!(recorded_body("1000"), Ok(1000));
        for refused in ["0", "", "x", "67108865"] {
            assert!(recorded_body(refused).is_err(), "{refused}");
        }
    }
}
