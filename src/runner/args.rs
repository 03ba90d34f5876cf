//! The command line: libtest's flags, with libtest's meaning, and the runner's own.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};

use super::ca::CaFlag;
use super::last_run::{failed_before, last_run};
use super::refusal::Refusal;
use super::reports::ReportFlags;
use super::shard::Shard;
use super::sources::{Sources, on_ci};
use crate::base::encoding::shell_word;
use crate::base::http::{MASKED, is_secret_name, without_credentials};
use crate::base::{unless_blank, visible_line};
use crate::hook::Hooks;
use crate::net::address;
use crate::proxy::ProxyBuilder;
use crate::report::Rerun;
use crate::screen;

/// The command line of a test target that replays suites.
#[derive(Debug, Clone, Parser)]
#[command(
    args_override_self = true,
    disable_version_flag = true,
    about = "Replay captured cases against an application, one test per case",
    after_help = "Each of the runner's own flags also has an environment variable, since cargo-nextest does not pass flags on.\n\
        RUST_TEST_THREADS sets the number of threads; SOFTPROBE_LOG=debug writes a debug log to standard error,\n\
        if the target's main calls softprobe::install_logger()."
)]
struct HarnessArgs {
    /// Run only cases whose names contain one of these
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// Print one character per case; same as --format terse
    #[arg(short, long, conflicts_with = "format")]
    quiet: bool,
    /// Suite file or glob to use instead of those given in code; may be repeated
    #[arg(long, value_name = "PATH", env = "SOFTPROBE_SUITE")]
    suite: Vec<String>,
    /// Runtime to use instead of the embedded one
    #[arg(long, value_name = "URL", env = "SOFTPROBE_RUNTIME_URL")]
    runtime_url: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

/// The settings of a run, from libtest's arguments or from the `softprobe` command.
#[derive(Debug, Clone)]
pub(crate) struct Args {
    /// Names of trials, or parts of names.
    pub(crate) filters: Vec<String>,
    /// The names of the only trials that are selected, if others are not.
    pub(crate) only: Option<HashSet<String>>,
    /// Whether to print one character per case.
    pub(crate) quiet: bool,
    /// Whether to print no results on standard output, because the caller prints there.
    pub(crate) silent: bool,
    /// Whether reports tell all there is.
    pub(crate) verbose: bool,
    /// Whether it is an error if the filters select nothing; for libtest, it is not.
    pub(crate) wants_cases: bool,
    /// Suite files and globs.
    pub(crate) suite: Vec<String>,
    /// The URL of a runtime to use instead of the embedded one.
    pub(crate) runtime_url: Option<String>,
    /// All other flags.
    pub(crate) flags: Flags,
    /// A flag on the command line that only makes sense if an application is launched.
    pub(crate) launch_flag: Option<&'static str>,
    /// The command that runs one case again, without the case's name.
    pub(crate) rerun: Rerun,
}

/// The arguments of `softprobe suite run`.
#[derive(Debug)]
pub(crate) struct CommandArgs {
    pub(crate) suite: Vec<String>,
    pub(crate) filters: Vec<String>,
    pub(crate) flags: Flags,
    /// A command that launches the application, in words.
    pub(crate) command: Vec<String>,
    pub(crate) runtime_url: Option<String>,
    pub(crate) quiet: bool,
    pub(crate) silent: bool,
    pub(crate) verbose: bool,
}

/// The flags shared by `softprobe suite run` and test targets.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Flags {
    /// Leave out cases whose names contain this; may be repeated
    #[arg(long, value_name = "FILTER", allow_hyphen_values = true)]
    pub(crate) skip: Vec<String>,
    /// Match filters against whole names
    #[arg(long)]
    pub(crate) exact: bool,
    /// List the cases without running any
    #[arg(long)]
    pub(crate) list: bool,
    /// Run only ignored cases
    #[arg(long)]
    pub(crate) ignored: bool,
    /// Run ignored cases too
    #[arg(long)]
    pub(crate) include_ignored: bool,
    /// How many cases to run at the same time
    #[arg(long, value_name = "N")]
    pub(crate) test_threads: Option<usize>,
    /// Accepted for compatibility with libtest; output is never captured
    #[arg(long, alias = "no-capture")]
    pub(crate) nocapture: bool,
    /// Show the reports of passing cases too
    #[arg(long)]
    pub(crate) show_output: bool,
    /// How to show results
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Also write one line per case to this file
    #[arg(long, value_name = "PATH")]
    pub(crate) logfile: Option<String>,
    /// When to colour the output
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) color: Color,
    /// Show how long each case took
    #[arg(long)]
    pub(crate) report_time: bool,
    /// Run the cases in random order
    #[arg(long, env = "RUST_TEST_SHUFFLE", value_parser = FalseyValueParser::new())]
    pub(crate) shuffle: bool,
    /// Run the cases in random order, with this seed
    #[arg(long, value_name = "SEED", env = "RUST_TEST_SHUFFLE_SEED")]
    pub(crate) shuffle_seed: Option<u64>,
    /// Start no more cases after the first failure
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Accepted for compatibility with libtest: unstable-options
    #[arg(short = 'Z', value_name = "FLAG")]
    pub(crate) unstable: Vec<String>,
    /// Accepted for compatibility with libtest; all cases are tests
    #[arg(long)]
    pub(crate) test: bool,
    /// Accepted for compatibility with libtest; there are no benchmarks
    #[arg(long)]
    pub(crate) bench: bool,

    #[command(flatten)]
    pub(crate) suites: SuiteFlags,
    /// Base URL of a running application; of the launched one, with a command
    #[arg(long, value_name = "URL", env = "APP_URL")]
    pub(crate) app_url: Option<String>,
    /// Launch this application for the run; the command is split as a shell splits words
    #[arg(long, value_name = "COMMAND", env = "SOFTPROBE_APP_COMMAND")]
    pub(crate) app_command: Option<String>,
    #[command(flatten)]
    pub(crate) app: AppFlags,
    /// Address at which the proxy listens, for an application started by hand
    #[arg(long, value_name = "ADDR", env = "SOFTPROBE_PROXY_LISTEN", value_parser = address)]
    pub(crate) proxy_listen: Option<String>,
    #[command(flatten)]
    pub(crate) ca: CaFlag,
    #[command(flatten)]
    pub(crate) callers: CallerFlags,
    #[command(flatten)]
    pub(crate) reports: ReportFlags,
    /// Run only what failed in the last run, or did not get to run
    #[arg(long, env = "SOFTPROBE_FAILED", value_parser = FalseyValueParser::new())]
    pub(crate) failed: bool,
    /// Run only this part of the cases, such as 2/5 for the second of five; a case belongs to one part by its name
    #[arg(long, value_name = "N/COUNT", env = "SOFTPROBE_SHARD", value_parser = shard)]
    pub(crate) shard: Option<Part>,
    /// Show no progress on a terminal
    #[arg(long, env = "SOFTPROBE_NO_PROGRESS", value_parser = FalseyValueParser::new())]
    pub(crate) no_progress: bool,
    /// Change case files so that what differs is right from now on: what was added and values of the same type, or all;
    /// `pending` keeps it for softprobe review
    #[arg(long, value_name = "WHAT", env = "SOFTPROBE_BLESS", num_args = 0..=1, require_equals = true, default_missing_value = "1", value_parser = bless)]
    pub(crate) bless: Option<Bless>,
    /// Run one case at a time, for an application that does not pass on trace headers
    #[arg(long, visible_alias = "serial", env = "SOFTPROBE_ONE_AT_A_TIME", value_parser = FalseyValueParser::new())]
    pub(crate) one_at_a_time: bool,
    /// Forward the application's calls while no case runs, instead of answering 599
    #[arg(long, env = "SOFTPROBE_FORWARD_IDLE", value_parser = FalseyValueParser::new())]
    pub(crate) forward_idle: bool,
}

/// The flags about how an application is launched.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct AppFlags {
    /// Variable for the launched application; may be repeated
    #[arg(long, value_name = "K=V")]
    pub(crate) app_env: Vec<String>,
    /// The launched application is ready as soon as a GET of this path is answered with a status from 200 to 399
    #[arg(long, value_name = "PATH", env = "SOFTPROBE_READY")]
    pub(crate) ready: Option<String>,
    /// How the launched application's calls are made to come to the proxy: variables or none
    #[arg(long, value_name = "WAY", env = "SOFTPROBE_INTERCEPT")]
    pub(crate) intercept: Option<String>,
    /// Show what the launched application writes, line by line, on standard error
    #[arg(long, env = "SOFTPROBE_APP_OUTPUT", value_parser = FalseyValueParser::new())]
    pub(crate) app_output: bool,
    #[command(flatten)]
    pub(crate) upstreams: UpstreamFlags,
}

/// The flags about how upstreams are reached.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct UpstreamFlags {
    /// Pass the TLS of this host through unread, where the policy lets it; *.name stands for the hosts below a name; may be
    /// repeated
    #[arg(
        long,
        value_name = "HOST",
        env = "SOFTPROBE_TUNNEL",
        value_delimiter = ','
    )]
    pub(crate) tunnel: Vec<String>,
    /// File (PEM) with certificates of authorities that forwarded calls trust besides the system's; may be repeated
    #[arg(long, value_name = "FILE", env = "SOFTPROBE_UPSTREAM_CA")]
    pub(crate) upstream_ca: Vec<PathBuf>,
}

/// The flags about who may call what listens on this machine.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct CallerFlags {
    /// Listen where other machines can call without a token
    #[arg(long, env = "SOFTPROBE_ALLOW_UNAUTHENTICATED", value_parser = FalseyValueParser::new())]
    pub(crate) allow_unauthenticated: bool,
    /// Take requests that call this machine by a name besides localhost; may be repeated
    #[arg(
        long,
        value_name = "NAME",
        env = "SOFTPROBE_ALLOW_HOST",
        value_delimiter = ','
    )]
    pub(crate) allow_host: Vec<String>,
    /// Take requests of web pages of an origin on another machine; may be repeated
    #[arg(
        long,
        value_name = "ORIGIN",
        env = "SOFTPROBE_ALLOW_ORIGIN",
        value_delimiter = ','
    )]
    pub(crate) allow_origin: Vec<String>,
}

impl CallerFlags {
    /// Applies the flags to a proxy.
    pub(crate) fn proxy(&self, mut proxy: ProxyBuilder) -> ProxyBuilder {
        for name in &self.allow_host {
            proxy = proxy.allow_host(name);
        }
        for origin in &self.allow_origin {
            proxy = proxy.allow_origin(origin);
        }
        match self.allow_unauthenticated {
            true => proxy.allow_unauthenticated(),
            false => proxy,
        }
    }
}

/// The flags for loading suites.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SuiteFlags {
    /// File of hooks in another language (.ts, .mts, .js, .mjs, .py), for every suite; may be repeated
    #[arg(
        long,
        value_name = "PATH",
        env = "SOFTPROBE_HOOKS",
        value_delimiter = ','
    )]
    pub(crate) hooks: Vec<String>,
    /// How long a call to a hook in a hook file may take, in seconds
    #[arg(long, value_name = "SECONDS", env = "SOFTPROBE_HOOK_TIMEOUT", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) hook_timeout: u64,
    /// File of NAME=value lines for the variables in suites
    #[arg(long, value_name = "PATH", env = "SOFTPROBE_ENV_FILE")]
    pub(crate) env_file: Option<String>,
    /// Allow `only` in suites on CI
    #[arg(long, env = "SOFTPROBE_ALLOW_ONLY", value_parser = FalseyValueParser::new())]
    pub(crate) allow_only: bool,
}

impl SuiteFlags {
    /// Returns the sources of the suites that match these patterns, with the hooks registered in code.
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
    /// One line per case
    Pretty,
    /// One character per case
    Terse,
    /// One JSON object per event
    Json,
    /// One JUnit report
    Junit,
}

/// When to colour the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Which differences of cases are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bless {
    /// None.
    Nothing,
    /// Those of low and medium risk.
    Values,
    /// All that a case file can have.
    All,
    /// None yet: they are kept for a person to decide.
    Pending,
}

fn bless(text: &str) -> Result<Bless, String> {
    match text {
        "" | "0" | "false" | "no" | "off" => Ok(Bless::Nothing),
        "1" | "true" | "yes" | "on" => Ok(Bless::Values),
        "all" => Ok(Bless::All),
        "pending" => Ok(Bless::Pending),
        _ => Err(
            "expected nothing, `all` or `pending` (in the variable, `1` for nothing)".to_owned(),
        ),
    }
}

/// The part of the cases that is run, if not all of them are: a blank variable counts as unset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part(pub(super) Option<Shard>);

fn shard(text: &str) -> Result<Part, String> {
    match text.trim().is_empty() {
        true => Ok(Part(None)),
        false => text.parse().map(|shard| Part(Some(shard))),
    }
}

/// Splits a list at its commas, except for those inside a glob's braces.
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

impl Flags {
    /// Returns the flags, with blank variables treated as unset.
    fn without_blanks(mut self) -> Self {
        for option in [
            &mut self.app_url,
            &mut self.app_command,
            &mut self.app.ready,
            &mut self.app.intercept,
            &mut self.proxy_listen,
        ] {
            *option = unless_blank(option.take());
        }
        self.reports = self.reports.without_blanks();
        self
    }

    /// Returns the flags that select cases, as words for a command that runs the same ones again.
    fn selecting(&self) -> impl Iterator<Item = String> {
        let skip = self.skip.iter();
        let skip = skip.flat_map(|filter| ["--skip".to_owned(), filter.clone()]);
        let shard = self.shard.and_then(|part| part.0).into_iter();
        let shard = shard.flat_map(|shard| ["--shard".to_owned(), shard.to_string()]);
        let exact = self.exact.then(|| "--exact".to_owned());
        let ignored = self.ignored.then(|| "--ignored".to_owned());
        let all = self.include_ignored.then(|| "--include-ignored".to_owned());
        let switches = [exact, ignored, all].into_iter().flatten();
        let words: Vec<String> = skip.chain(shard).chain(switches).collect();
        words.into_iter()
    }

    /// Returns those of the runner's own flags that were given on the command line, as words for the
    /// command that runs a case again.
    fn given(&self, matches: &ArgMatches) -> Vec<String> {
        let mut given = Vec::new();
        for (id, flag, value) in [
            ("app_url", "--app-url", &self.app_url),
            ("app_command", "--app-command", &self.app_command),
            ("ready", "--ready", &self.app.ready),
            ("intercept", "--intercept", &self.app.intercept),
            ("proxy_listen", "--proxy-listen", &self.proxy_listen),
            ("env_file", "--env-file", &self.suites.env_file),
        ] {
            if is_flagged(matches, id) {
                // What is printed has no password in it.
                let shown = value.as_deref().map(without_credentials);
                given.extend(shown.into_iter().flat_map(|v| [flag.to_owned(), v]));
            }
        }
        if is_flagged(matches, "hook_timeout") {
            given.extend([
                "--hook-timeout".to_owned(),
                self.suites.hook_timeout.to_string(),
            ]);
        }
        for variable in &self.app.app_env {
            let shown = match variable.split_once('=') {
                Some((name, _)) if is_secret_name(name) => format!("{name}={MASKED}"),
                _ => variable.clone(),
            };
            given.extend(["--app-env".to_owned(), shown]);
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

pub(crate) fn is_flagged(matches: &ArgMatches, id: &str) -> bool {
    matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// Returns the command and the URL of the application, of those given on the command line and in the environment: a command
/// on the command line launches it, whatever `APP_URL` says; without one, a URL is that of an application that runs.
pub(crate) fn app_of(
    matches: &ArgMatches,
    command: Option<String>,
    words: Vec<String>,
    url: Option<String>,
) -> (Option<String>, Option<String>) {
    let has_words = !words.is_empty();
    let command = if has_words {
        Some(line(words))
    } else {
        unless_blank(command)
    };
    let url = unless_blank(url);
    let is_given =
        matches.try_contains_id("app_command").is_ok() && is_flagged(matches, "app_command");
    match has_words || is_given {
        true => (command, url.filter(|_| is_flagged(matches, "app_url"))),
        false => (command.filter(|_| url.is_none()), url),
    }
}

/// Returns a flag on the command line that says how an application is launched.
fn launch_flag(matches: &ArgMatches) -> Option<&'static str> {
    let flags = [
        ("app_env", "--app-env"),
        ("ready", "--ready"),
        ("intercept", "--intercept"),
        ("app_output", "--app-output"),
        ("tunnel", "--tunnel"),
    ];
    let mut given = flags.into_iter().filter(|(id, _)| is_flagged(matches, id));
    given.next().map(|(_, flag)| flag)
}

/// Joins words into a line for a shell.
pub(crate) fn line(words: impl IntoIterator<Item = String>) -> String {
    let words = words.into_iter();
    let words: Vec<String> = words.map(|word| shell_word(&word).into_owned()).collect();
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
        let mut flags = flags.without_blanks();
        let url = flags.app_url.take();
        (flags.app_command, flags.app_url) =
            app_of(&matches, flags.app_command.take(), Vec::new(), url);
        let suite: Vec<String> = suite.iter().flat_map(|list| split_list(list)).collect();
        let mut words = Vec::new();
        if is_flagged(&matches, "suite") {
            words.extend(suite.iter().flat_map(|s| ["--suite".to_owned(), s.clone()]));
        }
        if is_flagged(&matches, "runtime_url") {
            words.push("--runtime-url".to_owned());
            words.extend(runtime_url.as_deref().map(without_credentials));
        }
        words.extend(flags.given(&matches));
        let selecting = flags.selecting().chain(filters.iter().cloned());
        let whole = line(words.iter().cloned().chain(selecting));
        let whole = format!("cargo test --test {target} -- {whole}");
        words.push("--exact".to_owned());
        Ok(Self {
            filters,
            only: None,
            quiet,
            silent: false,
            verbose: false,
            wants_cases: false,
            suite,
            runtime_url: unless_blank(runtime_url),
            launch_flag: launch_flag(&matches),
            rerun: Rerun {
                command: format!("cargo test --test {target} -- {}", line(words)),
                whole: whole.trim_end().trim_end_matches(" --").to_owned(),
                is_target: true,
            },
            flags,
        })
    }

    /// Reads the arguments of `softprobe suite run`; `matches` are those of that subcommand.
    pub(crate) fn of_command(args: CommandArgs, matches: &ArgMatches) -> Self {
        let CommandArgs {
            suite,
            filters,
            mut flags,
            command,
            runtime_url,
            quiet,
            silent,
            verbose,
        } = args;
        let is_given = !command.is_empty();
        let url = flags.app_url.take();
        (flags.app_command, flags.app_url) =
            app_of(matches, flags.app_command.take(), command, url);
        let flags = flags.without_blanks();
        let mut words: Vec<String> = ["softprobe", "suite", "run"].map(str::to_owned).into();
        words.extend(suite.iter().cloned());
        if is_flagged(matches, "runtime_url") {
            words.push("--runtime-url".to_owned());
            words.extend(runtime_url.as_deref().map(without_credentials));
        }
        words.extend(flags.given(matches));
        if let (true, Some(command)) = (is_given, &flags.app_command) {
            words.extend(["--app-command".to_owned(), command.clone()]);
        }
        let filtered = filters.iter();
        let filtered = filtered.flat_map(|filter| ["--filter".to_owned(), filter.clone()]);
        let whole = line(
            words
                .iter()
                .cloned()
                .chain(flags.selecting())
                .chain(filtered),
        );
        words.extend(["--exact", "--filter"].map(str::to_owned));
        Self {
            filters,
            only: None,
            quiet: quiet && flags.format.is_none(),
            silent,
            verbose,
            wants_cases: true,
            launch_flag: launch_flag(matches),
            rerun: Rerun {
                command: line(words),
                whole,
                is_target: false,
            },
            suite,
            runtime_url,
            flags,
        }
    }

    /// Has only those trials be selected that failed in the last run, or did not get to run; of its suites, if none are given.
    ///
    /// # Errors
    ///
    /// If no run was kept, or what was kept can't be read.
    pub(crate) fn only_failed(&mut self, root: &Path) -> Result<(), Refusal> {
        let last = last_run(root)?;
        let left = last.cases.iter().filter(|case| case.is_left());
        let mut left: HashSet<String> = left.map(|case| case.name.clone()).collect();
        left.extend(failed_before(root));
        if left.is_empty() {
            screen::line("softprobe: no case failed in the last run, so none is run again");
        }
        if self.suite.is_empty() && self.wants_cases {
            // The commands that are printed name them, too.
            let given = "softprobe suite run";
            let named = format!("{given} {}", line(last.suite_files.iter().cloned()));
            for command in [&mut self.rerun.command, &mut self.rerun.whole] {
                *command = command.replacen(given, &named, 1);
            }
            self.suite = last.suite_files;
        }
        if !last.command.is_empty() && last.command != self.rerun.plain() {
            screen::line(&format!(
                "softprobe: what failed was run by `{}`; give its flags again where they matter",
                visible_line(&last.command)
            ));
        }
        self.only = Some(left);
        Ok(())
    }

    /// Returns which differences are accepted, if any.
    ///
    /// # Errors
    ///
    /// Where nobody is there to look at what was accepted.
    pub(crate) fn blesses(&self) -> Result<Option<Bless>, Refusal> {
        let bless = self.flags.bless.filter(|bless| *bless != Bless::Nothing);
        if bless.is_some() && on_ci() {
            return Err(Refusal::arguments(
                "--bless is refused where the variable CI is set: what a case file is to say is for a person to decide; run it on \
                 your machine, and commit the files"
                    .to_owned(),
            ));
        }
        Ok(bless)
    }

    /// Returns whether only some of the cases are looked at.
    pub(super) fn is_partial(&self) -> bool {
        let flags = &self.flags;
        self.only.is_some()
            || !self.filters.is_empty()
            || !flags.skip.is_empty()
            || flags.ignored
            || self.shard().is_some()
    }

    /// Returns the arguments for all cases of the suites.
    pub(crate) fn without_filters(&self) -> Self {
        let mut all = self.clone();
        all.filters.clear();
        all.flags.skip.clear();
        (all.flags.exact, all.flags.ignored) = (false, false);
        all
    }

    /// Returns whether a trial will not run because it is ignored.
    pub(crate) fn leaves_out(&self, ignored: bool) -> bool {
        ignored && !self.flags.ignored && !self.flags.include_ignored
    }

    /// Returns the part of the cases that is run, if not all of them are.
    pub(super) fn shard(&self) -> Option<Shard> {
        self.flags.shard.and_then(|part| part.0)
    }

    /// Returns whether the filters select a trial by its name; for the command, its file counts too.
    pub(crate) fn selects(&self, name: &str, file: &Path) -> bool {
        let fits = |filter: &String| {
            if self.flags.exact {
                return name == filter;
            }
            name.contains(filter.as_str())
                || (self.wants_cases && file.to_string_lossy().contains(filter.as_str()))
        };
        (self.filters.is_empty() || self.filters.iter().any(fits))
            && !self.flags.skip.iter().any(fits)
    }

    /// Returns how many cases to run at the same time.
    ///
    /// # Errors
    ///
    /// A message for 0 and for anything that is not a number.
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

/// Returns how many cases to run at the same time by default. A case mostly waits for the application,
/// so more cases run than there are cores; the number is limited because the application is a
/// single process, which must not be overloaded.
fn default_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (4 * cores).clamp(8, 32)
}

/// Returns the name of the test target that a program was built from, without the hash that cargo adds.
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
