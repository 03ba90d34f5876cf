//! `suite`: runs, checks and creates suites, and compares captures.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::launched::refuse_two_commands;
use super::output::{Exit, Failed, Output, arguments, interrupted};
use super::{Cli, Command, Global, diff, files, init, noise, validate};
use crate::disk::Readers;
use crate::report::{RunReport, run_value};
use crate::runner::{Args, Color, CommandArgs, Ended, Flags, Replay};
use crate::suite::schema;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

#[derive(Debug, clap::Subcommand)]
pub(super) enum SuiteCommand {
    /// Replay the cases of suites, one test per case
    Run(Box<Run>),
    /// Report every error in suites, with its location
    Validate(validate::Suites),
    /// Print the JSON Schema of suites, for editors
    Schema {
        /// Write the schema to this file instead of standard output
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Write a first suite for captures, with a mock for each host and path that was called
    Init(init::Init),
    /// Replay cases several times, and say what varies among the runs and which settings accept it
    Noise(Box<noise::Noise>),
    /// Show the exchanges added, removed and changed between two sets of captures
    Diff(diff::Diff),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Launch the application for the run:\n\
  $ softprobe suite run suites/first.suite.yaml -- node server.js\n\
Or start it yourself, point it at the proxy, and give its URL:\n\
  $ (eval \"$(softprobe env)\"; node server.js)\n\
  $ softprobe suite run suites/first.suite.yaml --app-url http://127.0.0.1:3000 --proxy-listen 127.0.0.1:4100")]
pub(super) struct Run {
    /// Suite files or globs
    #[arg(value_name = "SUITE", required_unless_present = "failed")]
    suites: Vec<String>,
    /// Run only cases whose names or files contain this; may be repeated
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
    /// How many cases to run at the same time; same as --test-threads
    #[arg(long, value_name = "N", conflicts_with = "test_threads", value_parser = parallel)]
    parallel: Option<usize>,
    #[command(flatten)]
    flags: Flags,
    /// Command that launches the application for the run; ${PORT} in it is the port that it is given as PORT
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Parses a number of cases, at least 1.
fn parallel(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "expected a number of at least 1".to_owned())
}

impl SuiteCommand {
    pub(super) fn run(self, global: &Global, matches: &ArgMatches) -> Result<Output, Failed> {
        match self {
            Self::Run(run) => run.run(global, matches),
            Self::Validate(suites) => suites.run(),
            Self::Schema { out } => {
                let schema = schema();
                let text = format!("{schema:#}\n");
                match out {
                    None => Ok(Output::fine(text).field("schema", schema)),
                    Some(path) => {
                        files::write(&path, &text, Readers::Usual)?;
                        let shown = path.display().to_string();
                        Ok(Output::fine(format!("wrote {shown}\n")).field("path", shown))
                    }
                }
            }
            Self::Init(init) => init.run(),
            Self::Noise(noise) => noise.run(global, matches),
            Self::Diff(diff) => diff.run(),
        }
    }
}

/// Runs a suite as `suite run SUITE` does.
pub(super) fn run_suite(suite: &Path, global: &Global) -> Result<Output, Failed> {
    let words = ["softprobe", "suite", "run"].map(OsStr::new).into_iter();
    let parsed = Cli::command().try_get_matches_from(words.chain([suite.as_os_str()]));
    let matches = parsed.map_err(arguments)?;
    match Cli::from_arg_matches(&matches).map_err(arguments)?.command {
        Command::Suite(suite) => suite.run(global, &matches),
        _ => unreachable!("the words above are `suite run`"),
    }
}

impl Run {
    fn run(self, global: &Global, matches: &ArgMatches) -> Result<Output, Failed> {
        let Self {
            suites,
            filter,
            parallel,
            mut flags,
            command,
        } = self;
        if global.json && flags.list {
            return Err(arguments(
                "--list can't be combined with --json; for a machine-readable list, use --list --format json without --json",
            ));
        }
        flags.test_threads = parallel.or(flags.test_threads);
        if global.no_color {
            flags.color = Color::Never;
        }
        let own = matches.subcommand_matches("suite");
        let own = own.and_then(|suite| suite.subcommand_matches("run"));
        let own = own.unwrap_or(matches);
        refuse_two_commands(&command, own)?;
        let given = CommandArgs {
            suite: suites,
            filters: filter,
            flags,
            command,
            runtime_url: global.runtime_url()?.map(str::to_owned),
            quiet: global.quiet,
            silent: global.json,
            verbose: global.verbose > 0,
        };
        let args = Args::of_command(given, own);
        match Replay::new().run_with(args)? {
            Ended::Passed(run) => Ok(with_results(global, Output::fine(""), &run)),
            Ended::Failed(run) => {
                let failed = run.bad().count();
                let message = format!("{failed} of {} cases failed", run.cases.len());
                let answer = Output::failed(Exit::SuiteFailed, "suite_failed", message);
                Err(Failed::from(with_results(global, answer, &run)))
            }
            Ended::Signal(signal, run) => {
                let answer = interrupted(signal).into_output();
                Err(Failed::from(with_results(global, answer, &run)))
            }
        }
    }
}

/// Adds the results to the JSON document; without `--json`, they have been printed line by line.
fn with_results(global: &Global, answer: Output, run: &RunReport) -> Output {
    match global.json {
        true => answer.fields(&run_value(run)),
        false => answer,
    }
}
