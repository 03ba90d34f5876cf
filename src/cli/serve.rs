//! `serve` and `proxy`: serve the runtime and the proxy until a signal.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use signal_hook::iterator::Signals;

use super::output::{Failed, Output, arguments, failure, invalid};
use super::{DEFAULT_LISTEN, DEFAULT_PROXY, Global};
use crate::control::Runtime as _;
use crate::net::{MOST_HELD, address};
use crate::proxy::{Idle, Proxy, ProxyBuilder};
use crate::runner::{
    CaFlag, CallerFlags, UpstreamFlags, ending_signals, signal_code, with_upstreams,
};
use crate::runtime::{ControlServer, EmbeddedRuntime, Keep};
use crate::sdk::Softprobe;

/// How long requests in progress may take to finish after a signal.
const GRACE: Duration = Duration::from_secs(4);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Stops on SIGINT, SIGTERM, SIGHUP or SIGQUIT: requests in progress have four seconds to finish, then every session is\n\
    closed; after a second signal they have none. A capture that is still open then, or was idle for too long, is kept as one that is closed.\n\
    With SOFTPROBE_API_TOKEN set, every call except GET /health needs that bearer token."
)]
pub(super) struct Serve {
    /// Address at which the runtime listens; port 0 picks a free one
    #[arg(long, value_name = "ADDR", env = "SOFTPROBE_LISTEN_ADDR", default_value = DEFAULT_LISTEN, value_parser = listen_address)]
    listen: String,
    /// Serve the proxy as well, at this address or 127.0.0.1:4100
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = DEFAULT_PROXY, value_parser = address)]
    proxy: Option<String>,
    #[command(flatten)]
    idle: IdleFlag,
    #[command(flatten)]
    tls: TlsFlags,
    #[command(flatten)]
    callers: CallerFlags,
    /// Folder in which captures are kept, and below which `close?out=` may write them; without it, the newest stay in memory
    #[arg(long, value_name = "DIR")]
    captures: Option<PathBuf>,
    /// File for the captures of sessions that are closed without `out`; {sessionId}, {mode} and {ts} in it are filled in
    #[arg(long, value_name = "FILE", env = "SOFTPROBE_CAPTURE_CASE_PATH", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    capture_file: Option<PathBuf>,
    /// Largest request body, in bytes; at most 512 MiB
    #[arg(long, value_name = "BYTES", default_value_t = 64 * 1024 * 1024, value_parser = body_size)]
    max_body: usize,
    /// How many sessions may be open at the same time
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    max_sessions: usize,
    /// Close sessions that have been unused for this many seconds; 0 closes none
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    idle_timeout: u64,
    /// Bearer token that calls need
    #[arg(long, hide = true, env = "SOFTPROBE_API_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ProxyAlone {
    /// Address at which the proxy listens; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_PROXY, value_parser = address)]
    listen: String,
    #[command(flatten)]
    idle: IdleFlag,
    #[command(flatten)]
    tls: TlsFlags,
    #[command(flatten)]
    callers: CallerFlags,
}

#[derive(Debug, clap::Args)]
struct TlsFlags {
    #[command(flatten)]
    ca: CaFlag,
    #[command(flatten)]
    upstreams: UpstreamFlags,
}

impl TlsFlags {
    /// Returns whether any was given, other than by a variable that may be there for other commands.
    fn is_given(&self) -> bool {
        const VARIABLES: [&str; 3] = ["SOFTPROBE_CA", "SOFTPROBE_TUNNEL", "SOFTPROBE_UPSTREAM_CA"];
        if VARIABLES
            .iter()
            .any(|name| std::env::var_os(name).is_some())
        {
            return false;
        }
        let Self {
            ca,
            upstreams:
                UpstreamFlags {
                    tunnel,
                    upstream_ca,
                },
        } = self;
        ca.ca.is_some() || !tunnel.is_empty() || !upstream_ca.is_empty()
    }

    fn proxy(&self, proxy: ProxyBuilder) -> Result<ProxyBuilder, Failed> {
        let plan = self.upstreams.plan().map_err(arguments)?;
        let proxy = with_upstreams(proxy, std::iter::once(&plan)).map_err(arguments)?;
        let authority = self.ca.authority();
        Ok(
            match authority.map_err(|(file, why)| invalid(&file, why))? {
                Some(authority) => proxy.authority(authority),
                None => proxy,
            },
        )
    }
}

#[derive(Debug, clap::Args)]
struct IdleFlag {
    /// Answer calls with status 599 instead of forwarding them while no session is open
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
    pub(super) fn run(self, global: &Global) -> Result<Output, Failed> {
        if self.proxy.is_none() && self.tls.is_given() {
            return Err(arguments(
                "--ca, --tunnel and --upstream-ca are for the proxy, which is served with --proxy",
            ));
        }
        let signals = signals()?;
        let token = self.token.unwrap_or_default();
        let runtime = EmbeddedRuntime::with_most_sessions(self.max_sessions);
        let mut server = ControlServer::builder(&runtime)
            .listen(self.listen)
            .api_token(&token)
            .largest_body(self.max_body);
        for name in &self.callers.allow_host {
            server = server.allow_host(name);
        }
        for origin in &self.callers.allow_origin {
            server = server.allow_origin(origin);
        }
        if self.callers.allow_unauthenticated {
            server = server.allow_unauthenticated();
        }
        let keep = Keep {
            folder: self.captures,
            file: self
                .capture_file
                .filter(|file| !file.as_os_str().is_empty()),
        };
        if let Some(file) = &keep.file {
            server = server.capture_file(file);
        }
        if let Some(folder) = &keep.folder {
            std::fs::create_dir_all(folder)
                .map_err(|error| invalid(folder, format!("can't be created: {error}")))?;
            server = server.captures(folder);
        }
        if self.idle_timeout > 0 {
            server = server.close_idle_after(Duration::from_secs(self.idle_timeout));
        }
        let server = server.start()?;
        let idle = self.idle.idle();
        let proxy = self.proxy.map(|address| {
            let proxy = Proxy::builder(&Softprobe::embedded(&runtime));
            let proxy = self.tls.proxy(self.callers.proxy(proxy))?;
            let started = proxy.listen(address).idle(idle).start();
            started.map_err(Failed::from)
        });
        let proxy = proxy.transpose()?;
        let mut ready = Output::fine(format!("the runtime listens at {}\n", server.url()))
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
        let sessions = OpenSessions {
            runtime,
            keep,
            closing: Arc::default(),
        };
        let own = sessions.clone();
        wait(signals, move || own.close());
        let deadline = Instant::now() + GRACE;
        if let Some(proxy) = proxy {
            proxy.stop(GRACE);
        }
        // The server gets the time that the proxy left, and always at least a little.
        let left = deadline.saturating_duration_since(Instant::now());
        server.stop(left.max(Duration::from_millis(500)));
        sessions.close();
        Ok(Output::silent())
    }
}

impl ProxyAlone {
    pub(super) fn run(self, global: &Global) -> Result<Output, Failed> {
        let signals = signals()?;
        let runtime = global.runtime()?;
        runtime.check()?;
        let proxy = self.callers.proxy(ProxyBuilder::new(runtime.oracle()));
        let proxy = self.tls.proxy(proxy)?;
        let proxy = proxy.listen(self.listen).idle(self.idle.idle()).start()?;
        let address = runtime.address();
        Output::fine(format!(
            "the proxy listens at {}, in front of {address}\n",
            proxy.url()
        ))
        .field("proxyUrl", proxy.url())
        .field("runtimeUrl", address)
        .print(global.json, global.quiet);
        wait(signals, || {});
        proxy.stop(GRACE);
        Ok(Output::silent())
    }
}

/// Reads the address to listen on; a blank variable is one that is not set.
fn listen_address(text: &str) -> Result<String, String> {
    let text = text.trim();
    address(if text.is_empty() {
        DEFAULT_LISTEN
    } else {
        text
    })
}

fn body_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if (1..=MOST_HELD).contains(&bytes) => Ok(bytes),
        _ => Err(format!("expected a number of bytes from 1 to {MOST_HELD}")),
    }
}

/// Registers for the signals that end the process, before anything listens, so that an early one is not lost.
fn signals() -> Result<Signals, Failed> {
    Signals::new(ending_signals())
        .map_err(|error| failure("failure", format!("can't handle signals: {error}")))
}

/// Waits for a signal. A second one ends the process, after what `last` does.
fn wait(mut signals: Signals, last: impl FnOnce() + Send + 'static) {
    let _ = signals.forever().next();
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            last();
            std::process::exit(signal_code(signal).into());
        }
    });
}

/// The sessions that are still open when the server ends.
#[derive(Clone)]
struct OpenSessions {
    runtime: EmbeddedRuntime,
    keep: Keep,
    /// Held while they are closed, by whoever of two does it first.
    closing: Arc<Mutex<()>>,
}

impl OpenSessions {
    /// Closes them, and saves their captures.
    fn close(&self) {
        let _one = self.closing.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = self.runtime.end_all();
        log::info!("stopped; {} sessions were open", ended.len());
        self.keep.save(&ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_address_is_the_usual_one() {
        assert_eq!(listen_address(" ").as_deref(), Ok(DEFAULT_LISTEN));
        assert_eq!(listen_address("127.0.0.1:1").as_deref(), Ok("127.0.0.1:1"));
        assert!(listen_address("nowhere").is_err());
    }

    #[test]
    fn a_body_has_a_size_that_there_is_room_for() {
        assert_eq!(body_size("1000"), Ok(1000));
        for refused in ["0", "", "x", "536870913"] {
            assert!(body_size(refused).is_err(), "{refused}");
        }
    }
}
