//! The command line: libtest's flags as libtest has them, and ours beside them.

use std::ffi::OsString;

use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};

/// Replays captured cases against an application.
#[derive(Debug, Clone, Parser)]
#[command(
    args_override_self = true,
    disable_version_flag = true,
    about = "Replays captured cases against an application, one test a case",
    after_help = "Each flag of the runner's own has an environment variable too, since cargo-nextest passes no flags on.\n\
        RUST_TEST_THREADS sets the number of threads; SOFTPROBE_LOG=debug logs to standard error."
)]
pub(crate) struct Args {
    /// Runs only the cases whose names contain one of these
    #[arg(value_name = "FILTER")]
    pub(crate) filters: Vec<String>,
    /// Leaves out the cases whose names contain this; may be repeated
    #[arg(long, value_name = "FILTER", allow_hyphen_values = true)]
    pub(crate) skip: Vec<String>,
    /// Filters are whole names
    #[arg(long)]
    pub(crate) exact: bool,
    /// Lists the cases and runs none
    #[arg(long)]
    pub(crate) list: bool,
    /// Runs only ignored cases
    #[arg(long)]
    pub(crate) ignored: bool,
    /// Runs ignored cases too
    #[arg(long)]
    pub(crate) include_ignored: bool,
    /// How many cases run at the same time
    #[arg(long, value_name = "N")]
    pub(crate) test_threads: Option<usize>,
    /// Accepted for libtest's sake: output is never captured
    #[arg(long, alias = "no-capture")]
    pub(crate) nocapture: bool,
    /// Shows the reports of passing cases too
    #[arg(long)]
    pub(crate) show_output: bool,
    /// How results are shown
    #[arg(long, value_enum, conflicts_with = "quiet")]
    pub(crate) format: Option<Format>,
    /// One character a case; the same as --format terse
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Writes a line a case to this file as well
    #[arg(long, value_name = "PATH")]
    pub(crate) logfile: Option<String>,
    /// When to colour the output
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) color: Color,
    /// Shows how long each case took
    #[arg(long)]
    pub(crate) report_time: bool,
    /// Runs the cases in random order
    #[arg(long, env = "RUST_TEST_SHUFFLE", value_parser = FalseyValueParser::new())]
    pub(crate) shuffle: bool,
    /// Runs the cases in the order that this seed gives
    #[arg(long, value_name = "SEED", env = "RUST_TEST_SHUFFLE_SEED")]
    pub(crate) shuffle_seed: Option<u64>,
    /// Starts no case after the first that fails
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Accepted for libtest's sake: unstable-options
    #[arg(short = 'Z', value_name = "FLAG")]
    pub(crate) unstable: Vec<String>,
    /// Accepted for libtest's sake: cases are tests
    #[arg(long)]
    pub(crate) test: bool,
    /// Accepted for libtest's sake: there are no benchmarks
    #[arg(long)]
    pub(crate) bench: bool,

    /// A suite file or a glob of them, in the place of those of the code; may be repeated
    #[arg(long, value_name = "PATH", env = "SOFTPROBE_SUITE")]
    pub(crate) suite: Vec<String>,
    /// The base URL of an application that runs already
    #[arg(long, value_name = "URL", env = "APP_URL")]
    pub(crate) app_url: Option<String>,
    /// A runtime to use in the place of the embedded one
    #[arg(long, value_name = "URL", env = "SOFTPROBE_RUNTIME_URL")]
    pub(crate) runtime_url: Option<String>,
    /// Where the proxy listens, for an application that was started by hand
    #[arg(long, value_name = "ADDR", env = "SOFTPROBE_PROXY_LISTEN")]
    pub(crate) proxy_listen: Option<String>,
    /// A file of NAME=value lines for the variables in suites
    #[arg(long, value_name = "PATH", env = "SOFTPROBE_ENV_FILE")]
    pub(crate) env_file: Option<String>,
    /// Writes a JUnit report to this file
    #[arg(long, value_name = "PATH", env = "SOFTPROBE_JUNIT")]
    pub(crate) junit: Option<String>,
    /// Allows `only` in suites on CI
    #[arg(long, env = "SOFTPROBE_ALLOW_ONLY", value_parser = FalseyValueParser::new())]
    pub(crate) allow_only: bool,
    /// Runs one case at a time, for an application that does not pass trace headers on
    #[arg(long, env = "SOFTPROBE_ONE_AT_A_TIME", value_parser = FalseyValueParser::new())]
    pub(crate) one_at_a_time: bool,
    /// Forwards the application's calls while no case runs, in the place of answering 599
    #[arg(long, env = "SOFTPROBE_FORWARD_IDLE", value_parser = FalseyValueParser::new())]
    pub(crate) forward_idle: bool,

    /// Our flags as they were given, for the line that runs a case again
    #[arg(skip)]
    pub(crate) given: Vec<String>,
}

/// How results are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line a case
    Pretty,
    /// A character a case
    Terse,
    /// A JSON object an event
    Json,
    /// One JUnit report
    Junit,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The parts of a list at its commas, those inside a glob's braces left alone.
fn split_list(list: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let parts = list.split(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts
        .filter(|part| !part.trim().is_empty())
        .map(str::to_owned)
        .collect()
}

impl Args {
    /// Reads the arguments, the program's name first.
    pub(crate) fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches_from(args)?;
        let mut args = Self::from_arg_matches(&matches)?;
        for option in [
            &mut args.app_url,
            &mut args.runtime_url,
            &mut args.proxy_listen,
            &mut args.env_file,
            &mut args.junit,
        ] {
            // An empty variable is an unset one.
            if option.as_deref().is_some_and(|text| text.trim().is_empty()) {
                *option = None;
            }
        }
        args.suite = args
            .suite
            .iter()
            .flat_map(|list| split_list(list))
            .collect();
        let flagged = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
        let mut given = Vec::new();
        if flagged("suite") {
            given.extend(args.suite.iter().map(|suite| ("--suite", suite.clone())));
        }
        for (id, flag, value) in [
            ("app_url", "--app-url", &args.app_url),
            ("runtime_url", "--runtime-url", &args.runtime_url),
            ("proxy_listen", "--proxy-listen", &args.proxy_listen),
            ("env_file", "--env-file", &args.env_file),
        ] {
            if flagged(id) {
                given.extend(value.clone().map(|value| (flag, value)));
            }
        }
        args.given = given
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value])
            .collect();
        Ok(args)
    }

    /// Whether a trial's name is asked for.
    pub(crate) fn selects(&self, name: &str) -> bool {
        let fits = |filter: &String| {
            if self.exact {
                name == filter
            } else {
                name.contains(filter.as_str())
            }
        };
        (self.filters.is_empty() || self.filters.iter().any(fits)) && !self.skip.iter().any(fits)
    }

    /// How many cases run at the same time; `None` leaves it to the machine.
    ///
    /// # Errors
    ///
    /// A message for 0 and for what is no number.
    pub(crate) fn threads(&self) -> Result<Option<usize>, String> {
        if self.one_at_a_time {
            return Ok(Some(1));
        }
        let (name, threads) = match self.test_threads {
            Some(threads) => ("--test-threads", Some(threads)),
            None => match std::env::var("RUST_TEST_THREADS") {
                Err(_) => return Ok(None),
                Ok(text) => ("RUST_TEST_THREADS", text.trim().parse().ok()),
            },
        };
        match threads {
            Some(threads) if threads > 0 => Ok(Some(threads)),
            _ => Err(format!("{name} must be a number of at least 1")),
        }
    }
}
