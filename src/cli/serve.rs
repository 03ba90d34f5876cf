//! `serve` and `proxy`: the runtime and the proxy until a signal.

use std::io::Write as _;
use std::net::ToSocketAddrs as _;
use std::path::PathBuf;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::answer::{Answer, Failed, failure};
use super::{DEFAULT_LISTEN, DEFAULT_PROXY, Global};
use crate::control::{Call, Runtime as _};
use crate::proxy::{Idle, Proxy};
use crate::runtime::{ControlServer, EmbeddedRuntime, ServerOptions};

/// How long requests that run may take to end.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Stops at SIGINT and SIGTERM: requests that run may end, and every session is closed.\n\
    With SOFTPROBE_API_TOKEN every call but GET /health needs that bearer token."
)]
pub(super) struct Serve {
    /// Where the runtime listens; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_LISTEN)]
    listen: String,
    /// Serves the proxy as well
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = DEFAULT_PROXY)]
    proxy: Option<String>,
    #[command(flatten)]
    idle: IdleFlag,
    /// The folder below which `close?out=` may write captures; none writes no files
    #[arg(long, value_name = "DIR")]
    captures: Option<PathBuf>,
    /// The largest body of a request, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 64 * 1024 * 1024)]
    max_body: usize,
    /// How many sessions may be open at one time
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    max_sessions: usize,
    /// Closes a session that nobody used for so many seconds; 0 closes none
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    idle_timeout: u64,
    /// The token that calls need
    #[arg(long, hide = true, env = "SOFTPROBE_API_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ProxyAlone {
    /// Where the proxy listens; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_PROXY)]
    listen: String,
    #[command(flatten)]
    idle: IdleFlag,
}

#[derive(Debug, clap::Args)]
struct IdleFlag {
    /// Answers calls with status 599 while no session is open, in the place of forwarding them
    #[arg(long)]
    refuse_idle: bool,
}

impl IdleFlag {
    fn idle(&self) -> Idle {
        if self.refuse_idle {
            Idle::Refuse
        } else {
            Idle::Forward
        }
    }
}

impl Serve {
    pub(super) fn run(self, global: &Global) -> Result<Answer, Failed> {
        let signals = signals()?;
        let token = self.token.unwrap_or_default();
        if token.trim().is_empty() && !is_loopback(&self.listen) {
            warn(&format!(
                "{} is reached from other machines, and no token is wanted; set SOFTPROBE_API_TOKEN",
                self.listen
            ));
        }
        if let Some(address) = &self.proxy {
            warn_of_open_proxy(address);
        }
        let mut options = ServerOptions::default()
            .token(&token)
            .largest_body(self.max_body);
        if let Some(folder) = self.captures {
            options = options.captures(folder);
        }
        if self.idle_timeout > 0 {
            options = options.close_idle_after(Duration::from_secs(self.idle_timeout));
        }
        let runtime = EmbeddedRuntime::with_most_sessions(self.max_sessions);
        let server = ControlServer::start_with(&runtime, &self.listen, options)?;
        let idle = self.idle.idle();
        let proxy = self
            .proxy
            .map(|address| Proxy::start(&runtime, &address, idle));
        let proxy = proxy.transpose()?;
        let mut ready = Answer::fine(format!("the runtime listens at {}\n", server.url()))
            .field("runtimeUrl", server.url());
        if let Some(proxy) = &proxy {
            ready = ready
                .text(format!(
                    "the runtime listens at {}\nthe proxy listens at {}\n",
                    server.url(),
                    proxy.url()
                ))
                .field("proxyUrl", proxy.url());
        }
        ready.print(global.json, global.quiet);
        wait(signals);
        if let Some(proxy) = proxy {
            proxy.stop(GRACE);
        }
        server.stop(GRACE);
        log::info!("stopped; {} sessions were open", runtime.close_all());
        Ok(Answer::silent())
    }
}

impl ProxyAlone {
    pub(super) fn run(self, global: &Global) -> Result<Answer, Failed> {
        let signals = signals()?;
        let runtime = global.runtime();
        runtime.call(&Call::Health)?;
        warn_of_open_proxy(&self.listen);
        let proxy = Proxy::start_remote(&runtime, &self.listen, self.idle.idle())?;
        let address = runtime.address();
        Answer::fine(format!(
            "the proxy listens at {}, in front of {address}\n",
            proxy.url()
        ))
        .field("proxyUrl", proxy.url())
        .field("runtimeUrl", address)
        .print(global.json, global.quiet);
        wait(signals);
        proxy.stop(GRACE);
        Ok(Answer::silent())
    }
}

/// Taken before anything listens: a signal that comes early is not lost.
fn signals() -> Result<Signals, Failed> {
    Signals::new([SIGINT, SIGTERM])
        .map_err(|error| failure("failure", format!("signals can't be taken: {error}")))
}

fn wait(mut signals: Signals) {
    let _ = signals.forever().next();
}

fn warn(message: &str) {
    let _ = writeln!(std::io::stderr(), "warning: {message}");
}

fn warn_of_open_proxy(address: &str) {
    if !is_loopback(address) {
        warn(&format!(
            "{address} is reached from other machines, and the proxy forwards for whoever asks; \
             --refuse-idle keeps it from that while no session is open"
        ));
    }
}

/// Whether an address is reached from this machine alone.
fn is_loopback(address: &str) -> bool {
    let addresses = address.to_socket_addrs();
    addresses.is_ok_and(|mut addresses| addresses.all(|a| a.ip().is_loopback()))
}
