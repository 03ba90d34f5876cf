//! The `softprobe` command.

mod diff;
mod doctor;
mod export;
mod files;
mod init;
mod inspect;
mod output;
mod scrub;
mod serve;
mod session;
mod suite;
mod validate;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::runner::unless_blank;
use crate::sdk::{HttpRuntime, Softprobe};
use crate::suite::is_base_url;
use output::{Exit, Failed, Output};

/// Where `softprobe serve` listens, and where the other commands look for a runtime.
const DEFAULT_LISTEN: &str = "127.0.0.1:8080";
/// Where the proxy listens.
const DEFAULT_PROXY: &str = "127.0.0.1:4100";

#[derive(Debug, Parser)]
#[command(
    name = "softprobe",
    version,
    about = "Turns captured HTTP traffic into tests",
    long_about = "Turns captured HTTP traffic into tests: replays captured cases against an application, with its \
        outbound calls answered from the capture, and serves the runtime and the proxy that do so.",
    after_help = "Exit codes: 0 fine, 1 failure, 2 arguments, 3 runtime unreachable, 4 session not found,\n\
        5 invalid input, 10 doctor found a fault, 20 suite failed.\n\
        SOFTPROBE_API_TOKEN is the runtime's bearer token, for serve as for the commands that call it.\n\
        SOFTPROBE_LOG=debug logs to standard error."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
struct Global {
    /// The runtime; suite run embeds one without it, the other commands look at http://127.0.0.1:8080
    #[arg(long, global = true, value_name = "URL", env = "SOFTPROBE_RUNTIME_URL")]
    runtime_url: Option<String>,
    /// Answers with one JSON document: status, exitCode, error {code, message}, and the command's fields
    #[arg(long, global = true)]
    json: bool,
    /// Says more on standard error; twice says all
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Prints nothing but errors; suite run, one character a case
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the runtime, for the SDKs of other languages and for Envoy's filter
    Serve(serve::Serve),
    /// Serves the proxy in front of a runtime that runs already
    Proxy(serve::ProxyAlone),
    /// Runs suites, and what belongs to them
    #[command(subcommand)]
    Suite(suite::SuiteCommand),
    /// Finds every error in files, each with its place
    #[command(subcommand)]
    Validate(validate::Validate),
    /// Works on one session of a runtime
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Shows a case, or a session, as a table
    #[command(subcommand)]
    Inspect(inspect::Inspect),
    /// Removes secrets from captures, in place
    Scrub(scrub::Scrub),
    /// Sends captures elsewhere
    #[command(subcommand)]
    Export(export::Export),
    /// Finds out why something does not work
    Doctor(doctor::Doctor),
    /// Prints the completions for a shell
    Completions(Completions),
}

#[derive(Debug, clap::Args)]
struct Completions {
    /// The shell
    shell: clap_complete::Shell,
}

impl Global {
    /// The runtime that a command talks to.
    fn runtime(&self) -> Result<HttpRuntime, Failed> {
        let url = self.runtime_url()?;
        let url = url.map_or_else(|| format!("http://{DEFAULT_LISTEN}"), str::to_owned);
        Ok(Softprobe::builder().base_url(url).runtime())
    }

    /// The runtime's URL, where one is given.
    fn runtime_url(&self) -> Result<Option<&str>, Failed> {
        let url = unless_blank(self.runtime_url.as_deref());
        match url {
            Some(url) if !is_base_url(url.trim()) => Err(output::arguments(format!(
                "--runtime-url: `{url}` is not a base URL such as http://{DEFAULT_LISTEN}"
            ))),
            url => Ok(url),
        }
    }
}

/// Runs the `softprobe` command with these arguments, the program's name first; the exit code is for
/// `main` to return.
pub fn run_command(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let as_json = args.iter().any(|arg| arg == "--json");
    let parsed = Cli::command()
        .try_get_matches_from(&args)
        .and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (cli, matches) = match parsed {
        Ok(parsed) => parsed,
        Err(error) if error.use_stderr() && as_json => {
            let message = error.render().to_string();
            let message = message.trim().trim_start_matches("error: ");
            return output::arguments(message).print(true, false);
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
    let answer = answered.unwrap_or_else(|failed| *failed);
    answer.print(json, quiet)
}

fn dispatch(cli: Cli, matches: &ArgMatches) -> Result<Output, Failed> {
    let Cli { global, command } = cli;
    match command {
        Command::Serve(serve) => serve.run(&global),
        Command::Proxy(proxy) => proxy.run(&global),
        Command::Suite(suite) => suite.run(&global, matches),
        Command::Validate(validate) => validate.run(),
        Command::Session(session) => session.run(&global),
        Command::Inspect(inspect) => inspect.run(&global),
        Command::Scrub(scrub) => scrub.run(),
        Command::Export(export) => export.run(),
        Command::Doctor(doctor) => doctor.run(&global),
        Command::Completions(Completions { shell }) => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "softprobe", &mut out);
            let script = String::from_utf8_lossy(&out).into_owned();
            Ok(Output::fine(script.clone()).field("script", script))
        }
    }
}
