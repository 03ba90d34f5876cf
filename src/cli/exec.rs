//! `exec`: runs a command, such as a test runner, with a runtime, a proxy and an application around it.

use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use clap::ArgMatches;
use clap::builder::FalseyValueParser;

use super::child::{Ended, SETTINGS, exit_code, run_child};
use super::launched::LaunchFlags;
use super::output::{Exit, Failed, Output, arguments, failure};
use super::{Global, check_app_url};
use crate::base::http::{split_port, split_url};
use crate::base::unless_blank;
use crate::base::visible_line;
use crate::control::CallAnswer;
use crate::disk::project_root;
use crate::launch::{Guard, trust_variables};
use crate::proxy::{Idle, Proxy, variables_of};
use crate::report::late_call;
use crate::runner::{
    Apps, CallerFlags, Interrupts, Launch, SLOWEST_STOP, Shown, app_of, for_launched,
    plan_of_flags, signal_code, tell_idle_calls,
};
use crate::runtime::{ControlServer, EmbeddedRuntime};
use crate::sdk::Softprobe;

/// How long calls in progress may take to end after the command has.
const LAST_CALLS: Duration = Duration::from_millis(200);

/// Returns the hosts that the command reaches without the proxy: the runtime and the application are there.
fn own_hosts(app: Option<&str>) -> String {
    const LOOPBACK: &str = "localhost,127.0.0.1,::1";
    let authority = app
        .and_then(|url| split_url(url))
        .map(|(_, authority, _)| authority);
    let host = authority.map(|authority| split_port(authority).0);
    match host.filter(|host| !LOOPBACK.split(',').any(|own| own == *host)) {
        Some(host) => format!("{LOOPBACK},{host}"),
        None => LOOPBACK.to_owned(),
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The command gets SOFTPROBE_RUNTIME_URL, APP_URL and the proxy variables, and passes its exit code on; 20 if it was 0 and\n\
the application ended meanwhile, or made a call after its session was closed that nothing answered under a strict policy.\n\n\
  $ softprobe exec --app-command 'node server.js' -- cargo nextest run --test replay\n\
  $ softprobe exec --app-command 'node server.js' -- pytest")]
pub(super) struct Exec {
    #[command(flatten)]
    launch: LaunchFlags,
    #[command(flatten)]
    callers: CallerFlags,
    /// Forward the application's calls while no session is open, instead of answering 599
    #[arg(long, env = "SOFTPROBE_FORWARD_IDLE", value_parser = FalseyValueParser::new())]
    forward_idle: bool,
    /// Command to run
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Exec {
    pub(super) fn run(self, global: &Global, matches: &ArgMatches) -> Result<Output, Failed> {
        let Self {
            launch:
                LaunchFlags {
                    app_command,
                    app_url,
                    app,
                    proxy_listen,
                },
            callers,
            forward_idle,
            command,
        } = self;
        if global.runtime_url()?.is_some() {
            return Err(arguments(
                "exec runs a runtime of its own; leave out --runtime-url and SOFTPROBE_RUNTIME_URL",
            ));
        }
        let own = matches.subcommand_matches("exec").unwrap_or(matches);
        let (app_command, app_url) = app_of(own, app_command, Vec::new(), app_url);
        let plan = app_command
            .as_deref()
            .map(|command| plan_of_flags("--app-command", command, app_url.as_deref(), &app));
        let plan = plan.transpose()?;
        let running = app_url.filter(|_| plan.is_none());
        running.as_deref().map(check_app_url).transpose()?;

        let interrupts = Interrupts::listen();
        let runtime = EmbeddedRuntime::new();
        let softprobe = Softprobe::embedded(&runtime);
        let token = std::env::var("SOFTPROBE_API_TOKEN").unwrap_or_default();
        let server = ControlServer::builder(&runtime)
            .listen("127.0.0.1:0")
            .api_token(&token)
            .start()?;
        let mut proxy = Proxy::builder(&softprobe);
        if let Some(address) = unless_blank(proxy_listen) {
            proxy = proxy.listen(address);
        }
        if forward_idle {
            proxy = proxy.idle(Idle::Forward);
        }
        let plan = plan.map(Arc::new);
        let proxy = for_launched(callers.proxy(proxy), plan.iter());
        let proxy = proxy.map_err(arguments)?.start()?;
        let mut apps = Apps::running(&project_root(), running, &interrupts);
        let shown = Shown {
            output: app.app_output,
            urls: !global.quiet,
        };
        let launches = plan.into_iter().map(|plan| Launch {
            plan,
            suites: Vec::new(),
        });
        apps.launch(launches.collect(), &proxy, shown)?;

        let mut child = Command::new(&command[0]);
        child.args(&command[1..]);
        for name in SETTINGS {
            child.env_remove(name);
        }
        child.envs(variables_of(&proxy.local_url()));
        let files = tempfile::tempdir();
        let files = files.map_err(|error| failure("failure", error))?;
        if let Some(authority) = proxy.authority() {
            let trusted = trust_variables(authority, files.path());
            child.envs(trusted.map_err(|error| failure("failure", error))?);
        }
        let hosts = own_hosts(apps.url());
        child.env("NO_PROXY", &hosts).env("no_proxy", &hosts);
        child.env("SOFTPROBE_RUNTIME_URL", server.url());
        if let Some(url) = apps.url() {
            child.env("APP_URL", url);
        }
        let guard = Guard::of_command(&mut child).map_err(|why| failure("failure", why))?;
        let status = run_child(&mut child, &interrupts)?;
        let ended = apps.tell_ended();
        let (most, heeded) = match status {
            Ended::Signal(_) => (SLOWEST_STOP, 1),
            Ended::Exited(_) => (Duration::MAX, 0),
        };
        std::thread::scope(|scope| {
            scope.spawn(|| drop(guard));
            apps.stop(most, heeded);
        });
        let status = match interrupts.arrived.last() {
            Some(signal) => Ended::Signal(signal),
            None => status,
        };
        let calls = proxy.take_idle_calls();
        let who = "while no session was open, the application or the command called";
        tell_idle_calls(who, &calls);
        proxy.stop(LAST_CALLS);
        server.stop(LAST_CALLS);
        let missed = tell_late_calls(&softprobe);
        drop(runtime.end_all());
        match status {
            Ended::Signal(signal) => Ok(Output::of_command(signal_code(signal))),
            Ended::Exited(status) => match exit_code(status) {
                0 if ended => {
                    let message = "the application ended before the command did";
                    Err(Failed::from(Output::failed(
                        Exit::SuiteFailed,
                        "application_ended",
                        message,
                    )))
                }
                0 if missed > 0 => {
                    let message = format!("{missed} calls of closed sessions were missed");
                    Err(Failed::from(Output::failed(
                        Exit::SuiteFailed,
                        "late_miss",
                        message,
                    )))
                }
                code => Ok(Output::of_command(code)),
            },
        }
    }
}

/// Tells of calls that came after their sessions were closed, and returns how many of them were missed.
fn tell_late_calls(softprobe: &Softprobe) -> usize {
    let late = softprobe.oracle().take_late();
    for late in &late {
        let call = late_call(&late.call);
        let line = format!(
            "softprobe: after session {} was closed: {call}",
            late.session
        );
        let _ = writeln!(std::io::stderr(), "{}", visible_line(&line));
    }
    let missed = late
        .iter()
        .filter(|late| late.call.answer == CallAnswer::Missed);
    missed.count()
}
