//! `suite noise`: what varies among equal replays, and the narrowest settings that accept it.

mod gather;
mod settings;
mod told;
mod write;

use clap::ArgMatches;

use super::Global;
use super::launched::refuse_two_commands;
use super::output::{Exit, Failed, Output, arguments};
use crate::runner::{Args, CommandArgs, Flags, ReportFlags, find, is_flagged};
use gather::gather;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
  $ softprobe suite noise suites/first.suite.yaml -- node server.js\n\
replays each case several times against the application as it is, and prints what to write into the suite: a matcher for each\n\
place whose value can't be the same twice, and the lists whose order means nothing.\n\
The exit code is 1 if something varies or differs that no setting accepts.")]
pub(in crate::cli) struct Noise {
    /// Suite files or globs
    #[arg(value_name = "SUITE", required = true)]
    suites: Vec<String>,
    /// Replay only cases whose names or files contain this; may be repeated
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
    /// How often to replay each case
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..=100))]
    runs: u16,
    /// Write the settings into the suites; comments and layout stay
    #[arg(long)]
    write: bool,
    #[command(flatten)]
    flags: Box<Flags>,
    /// Command that launches the application for each run; ${PORT} in it is the port that it is given as PORT
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Noise {
    pub(in crate::cli) fn run(
        self,
        global: &Global,
        matches: &ArgMatches,
    ) -> Result<Output, Failed> {
        let Self {
            suites,
            filter,
            runs,
            write,
            flags,
            command,
        } = self;
        let own = matches.subcommand_matches("suite");
        let own = own.and_then(|suite| suite.subcommand_matches("noise"));
        let own = own.unwrap_or(matches);
        let senseless = [
            ("list", "--list"),
            ("format", "--format"),
            ("junit", "--junit"),
            ("html", "--html"),
            ("markdown", "--markdown"),
            ("trace", "--trace"),
            ("logfile", "--logfile"),
            ("bless", "--bless"),
            ("fail_fast", "--fail-fast"),
        ];
        let given = senseless.iter().find(|(id, _)| is_flagged(own, id));
        if let Some((_, flag)) = given {
            return Err(arguments(format!("{flag} says nothing for suite noise")));
        }
        refuse_two_commands(&command, own)?;
        let mut flags = *flags;
        (flags.reports, flags.bless) = (ReportFlags::default(), None);
        let given = CommandArgs {
            suite: suites,
            filters: filter,
            flags,
            command,
            runtime_url: global.runtime_url()?.map(str::to_owned),
            quiet: global.quiet,
            silent: true,
            verbose: global.verbose > 0,
        };
        let args = Args::of_command(given, own);
        let found = find(&args, usize::from(runs))?;
        let report = gather(&found);
        let mut text = told::text(&report, usize::from(runs));
        let mut faults = Vec::new();
        if write {
            let written = write::write(&report);
            text.push_str(&written.text);
            faults = written.faults;
        }
        let answer = match (report.is_clean(), faults.is_empty()) {
            (true, true) => Output::fine(text),
            (_, false) => Output::all_failed(Exit::Failure, "failure", faults).text(text),
            (false, true) => Output::incomplete(
                text,
                "noise_left",
                "something varies or differs that no setting accepts",
            ),
        };
        let answer = answer.fields(&told::document(&report));
        match answer.code() {
            0 => Ok(answer),
            _ => Err(Failed::from(answer)),
        }
    }
}
