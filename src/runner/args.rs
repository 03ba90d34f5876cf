//! The command line: libtest's flags as libtest has them, and ours beside them.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};

use super::refusal::Refusal;
use super::sources::Sources;
use crate::base::encoding::shell_word;
use crate::hook::Hooks;
use crate::net::address;

/// Replays captured cases against an application.
#[derive(Debug, Clone, Parser)]
#[command(
    args_override_self = true,
    disable_version_flag = true,
    about = "Replays captured cases against an application, one test a case",
    after_help = "Each flag of the runner's own has an environment variable too, since cargo-nextest passes no flags on.\n\
        RUST_TEST_THREADS sets the number of threads; SOFTPROBE_LOG=debug logs to standard error."
)]
struct HarnessArgs {
    /// Runs only the cases whose names contain one of these
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// One character a case; the same as --format terse
    #[arg(short, long, conflicts_with = "format")]
    quiet: bool,
    /// A suite file or a glob of them, in the place of those of the code; may be repeated
    #[arg(long, value_name = "PATH", env = "SOFTPROBE_SUITE")]
    suite: Vec<String>,
    /// A runtime to use in the place of the embedded one
    #[arg(long, value_name = "URL", env = "SOFTPROBE_RUNTIME_URL")]
    runtime_url: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

/// What a run is told: by libtest's arguments, or by the `softprobe` command.
#[derive(Debug, Clone)]
pub(crate) struct Args {
    /// Names, or parts of them.
    pub(crate) filters: Vec<String>,
    /// One character a case.
    pub(crate) quiet: bool,
    /// Whether standard output is somebody else's: no results are printed there.
    pub(crate) silent: bool,
    /// Whether filters that select nothing are a fault; libtest passes then.
    pub(crate) wants_cases: bool,
    /// Suites and globs of them.
    pub(crate) suite: Vec<String>,
    /// A runtime in the place of the embedded one.
    pub(crate) runtime_url: Option<String>,
    /// Everything else.
    pub(crate) flags: Flags,
    /// The command that runs one case again, but for the case's name.
    pub(crate) rerun: String,
}

/// The arguments of `softprobe suite run`.
#[cfg(feature = "cli")]
#[derive(Debug)]
pub(crate) struct CommandArgs {
    pub(crate) suite: Vec<String>,
    pub(crate) filters: Vec<String>,
    pub(crate) flags: Flags,
    pub(crate) runtime_url: Option<String>,
    pub(crate) quiet: bool,
    pub(crate) silent: bool,
}

/// The flags that every way to run has.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Flags {
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
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
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

    #[command(flatten)]
    pub(crate) suites: SuiteFlags,
    /// The base URL of an application that runs already
    #[arg(long, value_name = "URL", env = "APP_URL")]
    pub(crate) app_url: Option<String>,
    /// Where the proxy listens, for an application that was started by hand
    #[arg(long, value_name = "ADDR", env = "SOFTPROBE_PROXY_LISTEN", value_parser = address)]
    pub(crate) proxy_listen: Option<String>,
    /// Writes a JUnit report to this file
    #[arg(long, value_name = "PATH", env = "SOFTPROBE_JUNIT")]
    pub(crate) junit: Option<String>,
    /// Runs one case at a time, for an application that does not pass trace headers on
    #[arg(long, env = "SOFTPROBE_ONE_AT_A_TIME", value_parser = FalseyValueParser::new())]
    pub(crate) one_at_a_time: bool,
    /// Forwards the application's calls while no case runs, in the place of answering 599
    #[arg(long, env = "SOFTPROBE_FORWARD_IDLE", value_parser = FalseyValueParser::new())]
    pub(crate) forward_idle: bool,
}

/// What suites are loaded with.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SuiteFlags {
    /// A file of hooks in another language (.ts, .mts, .js, .mjs, .py), for every suite; may be repeated
    #[arg(
        long,
        value_name = "PATH",
        env = "SOFTPROBE_HOOKS",
        value_delimiter = ','
    )]
    pub(crate) hooks: Vec<String>,
    /// How long a call of such a hook may take, in seconds
    #[arg(long, value_name = "SECONDS", env = "SOFTPROBE_HOOK_TIMEOUT", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) hook_timeout: u64,
    /// A file of NAME=value lines for the variables in suites
    #[arg(long, value_name = "PATH", env = "SOFTPROBE_ENV_FILE")]
    pub(crate) env_file: Option<String>,
    /// Allows `only` in suites on CI
    #[arg(long, env = "SOFTPROBE_ALLOW_ONLY", value_parser = FalseyValueParser::new())]
    pub(crate) allow_only: bool,
}

impl SuiteFlags {
    /// The suites of these patterns, with the hooks that are registered in code.
    pub(crate) fn sources(&self, patterns: Vec<String>, hooks: Hooks) -> Sources {
        let Self {
            hooks: hook_files,
            hook_timeout,
            env_file,
            allow_only,
        } = self;
        Sources {
            patterns,
            env_file: unless_blank(env_file.clone()),
            hooks,
            hook_files: hook_files
                .iter()
                .cloned()
                .filter_map(|f| unless_blank(Some(f)))
                .collect(),
            hook_timeout: Duration::from_secs(*hook_timeout),
            allow_only: *allow_only,
        }
    }
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

/// What a flag or its variable says; a blank variable is an unset one.
pub(crate) fn unless_blank<T: AsRef<str>>(value: Option<T>) -> Option<T> {
    value.filter(|value| !value.as_ref().trim().is_empty())
}

impl Flags {
    /// The flags with empty variables taken for unset ones.
    fn without_blanks(mut self) -> Self {
        for option in [&mut self.app_url, &mut self.proxy_listen, &mut self.junit] {
            *option = unless_blank(option.take());
        }
        self
    }

    /// Ours among the flags that were given on the command line, as words for the line that runs a case
    /// again.
    fn given(&self, matches: &ArgMatches) -> Vec<String> {
        let mut given = Vec::new();
        for (id, flag, value) in [
            ("app_url", "--app-url", &self.app_url),
            ("proxy_listen", "--proxy-listen", &self.proxy_listen),
            ("env_file", "--env-file", &self.suites.env_file),
        ] {
            if is_flagged(matches, id) {
                given.extend(value.iter().flat_map(|v| [flag.to_owned(), v.clone()]));
            }
        }
        if is_flagged(matches, "hook_timeout") {
            given.extend([
                "--hook-timeout".to_owned(),
                self.suites.hook_timeout.to_string(),
            ]);
        }
        for (id, flag) in [
            ("one_at_a_time", "--one-at-a-time"),
            ("forward_idle", "--forward-idle"),
            ("allow_only", "--allow-only"),
        ] {
            if is_flagged(matches, id) {
                given.push(flag.to_owned());
            }
        }
        if is_flagged(matches, "hooks") {
            let hooks = self.suites.hooks.iter();
            given.extend(hooks.flat_map(|v| ["--hooks".to_owned(), v.clone()]));
        }
        given
    }
}

fn is_flagged(matches: &ArgMatches, id: &str) -> bool {
    matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// Words as a line for a shell.
fn line(words: impl IntoIterator<Item = String>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| shell_word(&word)).collect();
    words.join(" ")
}

impl Args {
    /// Reads libtest's arguments, the program's name first.
    pub(crate) fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let args: Vec<OsString> = args.into_iter().collect();
        let target = args.first().map(target_name).unwrap_or_default();
        let matches = HarnessArgs::command().try_get_matches_from(args)?;
        let HarnessArgs {
            filters,
            quiet,
            suite,
            runtime_url,
            flags,
        } = HarnessArgs::from_arg_matches(&matches)?;
        let flags = flags.without_blanks();
        let suite: Vec<String> = suite.iter().flat_map(|list| split_list(list)).collect();
        let mut words = Vec::new();
        if is_flagged(&matches, "suite") {
            words.extend(suite.iter().flat_map(|s| ["--suite".to_owned(), s.clone()]));
        }
        if is_flagged(&matches, "runtime_url") {
            words.push("--runtime-url".to_owned());
            words.extend(runtime_url.clone());
        }
        words.extend(flags.given(&matches));
        words.push("--exact".to_owned());
        Ok(Self {
            filters,
            quiet,
            silent: false,
            wants_cases: false,
            suite,
            runtime_url: unless_blank(runtime_url),
            rerun: format!("cargo test --test {target} -- {}", line(words)),
            flags,
        })
    }

    /// What `softprobe suite run` was told; `matches` are those of that subcommand.
    #[cfg(feature = "cli")]
    pub(crate) fn of_command(told: CommandArgs, matches: &ArgMatches) -> Self {
        let CommandArgs {
            suite,
            filters,
            flags,
            runtime_url,
            quiet,
            silent,
        } = told;
        let flags = flags.without_blanks();
        let mut words: Vec<String> = ["softprobe", "suite", "run"].map(str::to_owned).into();
        words.extend(suite.iter().cloned());
        if is_flagged(matches, "runtime_url") {
            words.push("--runtime-url".to_owned());
            words.extend(runtime_url.clone());
        }
        words.extend(flags.given(matches));
        words.extend(["--exact", "--filter"].map(str::to_owned));
        Self {
            filters,
            quiet: quiet && flags.format.is_none(),
            silent,
            wants_cases: true,
            rerun: line(words),
            suite,
            runtime_url,
            flags,
        }
    }

    /// Whether a trial is registered as ignored and will not run.
    pub(crate) fn leaves_out(&self, ignored: bool) -> bool {
        ignored && !self.flags.ignored && !self.flags.include_ignored
    }

    /// Whether a trial's name is asked for.
    pub(crate) fn selects(&self, name: &str) -> bool {
        let fits = |filter: &String| {
            if self.flags.exact {
                name == filter
            } else {
                name.contains(filter.as_str())
            }
        };
        (self.filters.is_empty() || self.filters.iter().any(fits))
            && !self.flags.skip.iter().any(fits)
    }

    /// How many cases run at the same time.
    ///
    /// # Errors
    ///
    /// A message for 0 and for what is no number.
    pub(crate) fn threads(&self) -> Result<usize, Refusal> {
        if self.flags.one_at_a_time {
            return Ok(1);
        }
        let (name, threads) = match self.flags.test_threads {
            Some(threads) => ("--test-threads", Some(threads)),
            None => match std::env::var("RUST_TEST_THREADS") {
                Err(_) => return Ok(default_threads()),
                Ok(text) => ("RUST_TEST_THREADS", text.trim().parse().ok()),
            },
        };
        match threads {
            Some(threads) if threads > 0 => Ok(threads),
            _ => Err(Refusal::arguments(format!(
                "{name} must be a number of at least 1"
            ))),
        }
    }
}

/// How many cases run at the same time where nobody says so. A case mostly waits for the application, so that there are
/// more than cores; an application is a single process all the same, and is not to be overrun.
fn default_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (4 * cores).clamp(8, 32)
}

/// The name of the test target whose program this is: without the hash that cargo gives it.
fn target_name(program: &OsString) -> String {
    let stem = Path::new(program).file_stem().unwrap_or_default();
    let stem = stem.to_string_lossy();
    match stem.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            name.to_owned()
        }
        _ => stem.into_owned(),
    }
}
