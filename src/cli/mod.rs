//! The `softprobe` command.

mod capture;
mod cases;
mod child;
mod diff;
mod doctor;
mod environment;
mod exec;
mod export;
mod files;
mod first;
mod import;
mod init;
mod inspect;
mod launched;
mod manual;
mod merge;
mod noise;
mod output;
mod recorded;
mod report;
mod review;
mod sample;
mod scrub;
mod serve;
mod session;
mod suite;
mod validate;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::base::http::without_credentials;
use crate::base::unless_blank;
use crate::sdk::{HttpRuntime, Softprobe};
use crate::suite::is_base_url;
use output::{Exit, Failed, Output};

/// Default address of `softprobe serve`, where the other commands look for a runtime.
const DEFAULT_LISTEN: &str = "127.0.0.1:8080";
/// Default address of the proxy.
const DEFAULT_PROXY: &str = "127.0.0.1:4100";

#[derive(Debug, Parser)]
#[command(
    name = "softprobe",
    version,
    about = "Turn captured HTTP traffic into tests",
    long_about = "Turn captured HTTP traffic into tests: replay captured cases against an application, answering its \
        outbound calls from the capture, and serve the runtime and the proxy that do so",
    after_help = "Exit codes: 0 success, 1 failure, 2 invalid arguments, 3 runtime unreachable, 4 session not found,\n\
        5 invalid input, 10 doctor found a fault, 20 suite failed.\n\
        SOFTPROBE_API_TOKEN is the runtime's bearer token, both for serve and for the commands that call a runtime.\n\
        SOFTPROBE_LOG=debug writes a debug log to standard error."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// The options that every command takes.
#[derive(Debug, clap::Args)]
struct Global {
    /// Runtime to use; without it, suite run embeds one, doctor checks none, and the other commands use http://127.0.0.1:8080
    #[arg(long, global = true, value_name = "URL", env = "SOFTPROBE_RUNTIME_URL")]
    runtime_url: Option<String>,
    /// Print one JSON document: status, exitCode, error {code, message}, and the command's own fields
    #[arg(long, global = true)]
    json: bool,
    /// Log more to standard error; repeat to log everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Print only errors; suite run prints one character per case
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Print without colours; same as --color never
    #[arg(long, global = true)]
    no_color: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a small service with captured requests to a folder, and replay them: a first run without anything of your own
    Sample(sample::Sample),
    /// Serve the runtime, for SDKs in other languages and for Envoy's filter
    Serve(serve::Serve),
    /// Serve the proxy in front of a running runtime
    Proxy(serve::ProxyAlone),
    /// Record an application: capture run
    #[command(subcommand)]
    Capture(capture::Capture),
    /// Launch an application, and record each request to it with the calls that it causes as a case; same as capture run
    Record(Box<capture::Run>),
    /// Make cases of what other tools keep of HTTP traffic
    #[command(subcommand)]
    Import(import::Import),
    /// Decide about the differences that a run with --bless=pending has kept, one at a time
    Review(review::Review),
    /// Show runs that are over, and put them together
    #[command(subcommand)]
    Report(report::Report),
    /// Run, check and create suites, and compare captures
    #[command(subcommand)]
    Suite(suite::SuiteCommand),
    /// Launch an application, and run a command against it: cargo nextest, pytest, Jest, JUnit, go test
    Exec(exec::Exec),
    /// Print what an application that is started by hand needs in its environment
    Env(environment::Env),
    /// Report every error in files, with its location
    #[command(subcommand)]
    Validate(validate::Validate),
    /// Work with one session of a runtime
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Show a case or a session as a table
    #[command(subcommand)]
    Inspect(inspect::Inspect),
    /// Remove secrets from captures, in place
    Scrub(scrub::Scrub),
    /// Send captures elsewhere
    #[command(subcommand)]
    Export(export::Export),
    /// Find out why something does not work
    Doctor(doctor::Doctor),
    /// Print the completions for a shell
    #[command(visible_alias = "completion")]
    Completions(Completions),
    /// Write the manual pages of all commands to a folder
    Man(manual::Man),
    /// Print the version; same as --version
    Version,
    /// Work with a run of a session: `replay run` is the same as `session stats`
    #[command(subcommand)]
    Replay(Replay),
    /// Get the captures of closed sessions
    #[command(subcommand)]
    Cases(cases::Cases),
}

/// Other names of commands on sessions.
#[derive(Debug, Subcommand)]
enum Replay {
    /// Print what has happened in the session; same as session stats
    Run {
        #[command(flatten)]
        id: session::Id,
    },
}

#[derive(Debug, clap::Args)]
struct Completions {
    /// Shell to print completions for
    shell: clap_complete::Shell,
}

impl Global {
    /// Returns the runtime that a command talks to.
    fn runtime(&self) -> Result<HttpRuntime, Failed> {
        let url = self.runtime_url()?;
        let url = url.map_or_else(|| format!("http://{DEFAULT_LISTEN}"), str::to_owned);
        Ok(Softprobe::builder().base_url(url).runtime())
    }

    /// Returns the runtime's URL, if one was given.
    fn runtime_url(&self) -> Result<Option<&str>, Failed> {
        let url = unless_blank(self.runtime_url.as_deref());
        match url {
            Some(url) if !is_base_url(url.trim()) => Err(output::arguments(format!(
                "--runtime-url: `{}` is not a base URL such as http://{DEFAULT_LISTEN}",
                without_credentials(url)
            ))),
            url => Ok(url),
        }
    }
}

/// Checks the URL of an application that runs.
fn check_app_url(url: &str) -> Result<(), Failed> {
    match is_base_url(url) {
        true => Ok(()),
        false => Err(output::arguments(format!(
            "--app-url: `{}` is not a base URL such as http://127.0.0.1:3000",
            without_credentials(url)
        ))),
    }
}

/// Runs the `softprobe` command with these arguments, the program's name first, and returns the exit
/// code for `main`.
#[must_use = "return it from `main`, or failures pass unnoticed"]
pub fn run_command(args: impl IntoIterator<Item = impl Into<OsString>>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let as_json = args.iter().any(|arg| arg == "--json");
    let parsed = Cli::command()
        .try_get_matches_from(&args)
        .and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) if error.use_stderr() && as_json => {
            let message = error.render().to_string();
            let message = message.trim().trim_start_matches("error: ");
            return output::arguments(message).into_output().print(true, false);
        }
        Err(error) => {
            let failed = error.use_stderr();
            let _ = error.print();
            let exit = if failed { Exit::Arguments } else { Exit::Fine };
            return ExitCode::from(exit.code());
        }
    };
    crate::logging::install_logger_at(cli.global.verbose);
    let Global { json, quiet, .. } = cli.global;
    let answered = dispatch(cli, &matches);
    let answer = answered.unwrap_or_else(Failed::into_output);
    answer.print(json, quiet)
}

fn dispatch(cli: Cli, matches: &ArgMatches) -> Result<Output, Failed> {
    let Cli { global, command } = cli;
    match command {
        Command::Sample(sample) => sample.run(&global),
        Command::Serve(serve) => serve.run(&global),
        Command::Proxy(proxy) => proxy.run(&global),
        Command::Capture(capture) => capture.run(&global, matches),
        Command::Record(run) => {
            let own = matches.subcommand_matches("record").unwrap_or(matches);
            run.run(&global, own)
        }
        Command::Import(import) => import.run(),
        Command::Review(review) => review.run(global.json),
        Command::Report(report) => report.run(),
        Command::Suite(suite) => suite.run(&global, matches),
        Command::Exec(exec) => exec.run(&global, matches),
        Command::Env(env) => env.run(),
        Command::Validate(validate) => validate.run(),
        Command::Session(session) => session.run(&global),
        Command::Inspect(inspect) => inspect.run(&global),
        Command::Scrub(scrub) => scrub.run(),
        Command::Export(export) => export.run(),
        Command::Doctor(doctor) => doctor.run(&global, matches),
        Command::Man(man) => man.run(),
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            Ok(Output::fine(format!("softprobe {version}\n")).field("cliVersion", version))
        }
        Command::Replay(Replay::Run { id }) => session::stats(&global, &id),
        Command::Cases(cases) => cases.run(&global),
        Command::Completions(Completions { shell }) => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "softprobe", &mut out);
            let script = String::from_utf8_lossy(&out).into_owned();
            Ok(Output::fine(script.clone()).field("script", script))
        }
    }
}
