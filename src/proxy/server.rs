//! The proxy's public type.

use std::net::SocketAddr;
#[cfg(feature = "runner")]
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

#[cfg(feature = "runner")]
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::answer;
use super::decide::{Core, Idle, note_unread};
use super::forward::Forwarder;
#[cfg(feature = "runner")]
use super::idle::{IdleCall, IdleCalls};
#[cfg(feature = "runner")]
use super::ingress::{Arrivals, ingress};
use super::running::Running;
use super::target::REVERSE_PREFIX;
use super::tls::{Authority, Tls};
use super::upstream::UpstreamSettings;
use crate::control::Oracle;
use crate::error::SoftprobeError;
use crate::net::{Callers, Intake, LARGEST_BODY, Manner, Server, is_loopback};
#[cfg(feature = "runner")]
use crate::net::{Peer, connection};
#[cfg(feature = "runner")]
use crate::rule::Rule;
use crate::rule::RuleState;
use crate::sdk::Softprobe;

/// A forward proxy for HTTP and HTTPS, with a reverse form below `/__softprobe/`; dropping it stops it.
///
/// The application under test sends its outbound calls through it. For each call, the proxy finds
/// the session and asks the runtime; it then answers with a mock, forwards the call, or answers with
/// a strict miss.
///
/// ```no_run
/// use softprobe::{EmbeddedRuntime, Mode, Proxy, Softprobe};
///
/// # fn main() -> Result<(), softprobe::SoftprobeError> {
/// let softprobe = Softprobe::embedded(&EmbeddedRuntime::new());
/// let proxy = Proxy::start(&softprobe)?;
/// let session = softprobe.start_session(Mode::Replay)?;
/// // Start the application with `proxy.variables()`, and send it requests that carry `session.id()`.
/// # drop(session); Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Proxy {
    server: Server,
    core: Arc<Core>,
}

impl Proxy {
    /// Starts a proxy on a free port of the loopback interface. It refuses calls while no session is
    /// open. Use [`builder`](Self::builder) to change either setting.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Listen`] when no port is available.
    pub fn start(softprobe: &Softprobe) -> Result<Self, SoftprobeError> {
        Self::builder(softprobe).start()
    }

    /// Returns a builder for a proxy in front of the runtime that `softprobe` uses, in this process
    /// or elsewhere.
    pub fn builder(softprobe: &Softprobe) -> ProxyBuilder {
        ProxyBuilder::new(softprobe.oracle())
    }

    /// Stops accepting connections, waits at most `limit` for the calls in progress, and stops.
    pub fn stop(self, limit: Duration) {
        self.server.stop(limit);
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Returns its URL, for a client's proxy setting: `http://127.0.0.1:4100`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Returns its URL for a client on this machine: where it listens at every address, at loopback.
    #[cfg(feature = "runner")]
    pub(crate) fn local_url(&self) -> String {
        let mut address = self.address();
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{address}")
    }

    /// Returns the calls that came while no session was open, since the last time they were asked for, and how many
    /// there was no room for.
    #[cfg(feature = "runner")]
    pub(crate) fn take_idle_calls(&self) -> (Vec<IdleCall>, u64) {
        self.core.idle_calls.take()
    }

    /// Returns the certificate, as PEM, of the authority whose certificates it presents if it reads TLS.
    pub fn authority(&self) -> Option<&str> {
        let tls = self.core.tls.as_ref()?;
        Some(tls.authority.certificate())
    }

    /// Returns the exchanges that are being recorded.
    #[cfg(feature = "runner")]
    pub(crate) fn running(&self) -> Arc<Running> {
        Arc::clone(&self.core.running)
    }

    /// Listens in front of an application, and records what is sent to it.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Listen`] when it can't listen on the address.
    #[cfg(feature = "runner")]
    pub(crate) fn ingress(
        &self,
        address: &str,
        application: &str,
        arrivals: Arc<dyn Arrivals>,
    ) -> Result<Server, SoftprobeError> {
        Ok(ingress(&self.core, address, application, arrivals)?)
    }

    /// Returns what tells when no connection may turn out to be one of a client that refuses the certificate.
    #[cfg(feature = "runner")]
    pub(crate) fn tunnels(&self) -> Tunnels {
        Tunnels(Arc::clone(&self.core))
    }

    /// Sets the programs of the application, which say what to set for clients that do not trust the authority.
    #[cfg(feature = "runner")]
    pub(crate) fn set_programs(&self, programs: Vec<String>) {
        if let Some(tls) = &self.core.tls {
            tls.set_programs(programs);
        }
    }

    /// Returns the URL of the reverse form for a host, for clients that can't use a proxy:
    /// `http://127.0.0.1:4100/__softprobe/http/payments.example`.
    pub fn reverse_url(&self, scheme: &str, host: &str) -> String {
        format!("{}{}{scheme}/{host}", self.url(), REVERSE_PREFIX)
    }

    /// Returns the environment variables that send an application's HTTP clients through this proxy.
    ///
    /// `NO_PROXY` is emptied, since an inherited value would let calls bypass the proxy.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        variables_of(&self.url())
    }
}

/// The tunnels of a proxy.
#[cfg(feature = "runner")]
#[derive(Debug, Clone)]
pub(crate) struct Tunnels(Arc<Core>);

#[cfg(feature = "runner")]
impl Tunnels {
    /// Waits until no connection may turn out to be one of a client that refuses the certificate, or for this long at the
    /// most: a verdict must not come before that is known.
    pub(crate) fn wait(&self, limit: Duration) {
        if let Some(tls) = &self.0.tls {
            tls.wait(limit);
        }
    }
}

/// Returns the environment variables that send an application's HTTP clients through the proxy at a URL.
pub(crate) fn variables_of(url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("HTTP_PROXY", url.to_owned()),
        ("http_proxy", url.to_owned()),
        ("HTTPS_PROXY", url.to_owned()),
        ("https_proxy", url.to_owned()),
        ("grpc_proxy", url.to_owned()),
        ("NO_PROXY", String::new()),
        ("no_proxy", String::new()),
        // Node's own clients read the others only when this is set.
        ("NODE_USE_ENV_PROXY", "1".to_owned()),
    ]
}

/// Configures a [`Proxy`] before it starts.
#[derive(Debug)]
#[must_use = "the proxy does not listen until `start` is called"]
pub struct ProxyBuilder {
    oracle: Arc<dyn Oracle>,
    address: String,
    idle: Idle,
    idle_rules: Vec<RuleState>,
    callers: Callers,
    unauthenticated: bool,
    upstreams: UpstreamSettings,
    /// The authority whose certificates are presented, if TLS is read, and the hosts whose TLS is not.
    authority: Option<Arc<Authority>>,
    reads_tls: bool,
    tunnels: Vec<String>,
    largest_recorded: usize,
    manner: Manner,
}

impl ProxyBuilder {
    /// Creates a builder for a proxy that asks this oracle about each call.
    pub(crate) fn new(oracle: Arc<dyn Oracle>) -> Self {
        Self {
            oracle,
            address: "127.0.0.1:0".to_owned(),
            idle: Idle::default(),
            idle_rules: Vec::new(),
            callers: Callers::default(),
            unauthenticated: false,
            upstreams: UpstreamSettings::default(),
            authority: None,
            reads_tls: false,
            tunnels: Vec::new(),
            largest_recorded: LARGEST_BODY,
            manner: Manner::default(),
        }
    }

    /// Sets the address to listen on: host and port, where port 0 picks a free one. The default is
    /// `127.0.0.1:0`.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.address = address.into();
        self
    }

    /// Sets what happens to calls while no session is open. The default is [`Idle::Refuse`].
    pub fn idle(mut self, idle: Idle) -> Self {
        self.idle = idle;
        self
    }

    /// Lets requests in the reverse form in that call the proxy by this name, such as `proxy.internal`. Without it, those
    /// whose `Host` is a name other than `localhost` are refused, since a web page may have made them.
    pub fn allow_host(mut self, name: impl Into<String>) -> Self {
        self.callers.hosts.push(name.into());
        self
    }

    /// Lets requests in the reverse form in that pages of this origin make, such as `http://shop.example:3000`.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.callers.origins.push(origin.into());
        self
    }

    /// Allows an address that other machines reach. Without it, the proxy does not start there, since it forwards
    /// requests for any client.
    pub fn allow_unauthenticated(mut self) -> Self {
        self.unauthenticated = true;
        self
    }

    /// Sets rules that answer calls while no session is open, whatever happens to the others.
    #[cfg(feature = "runner")]
    pub(crate) fn idle_rules(mut self, rules: Vec<Arc<Rule>>) -> Self {
        self.idle_rules = rules.into_iter().map(RuleState::new).collect();
        self
    }

    /// Reads TLS inside tunnels, with certificates of an authority that lives as long as the proxy and that the application
    /// has to trust: [`Proxy::authority`] is its certificate. Without it, TLS passes unread where the policy lets it, and is
    /// otherwise a miss.
    pub fn read_tls(self) -> Self {
        Self {
            reads_tls: true,
            ..self
        }
    }

    /// Reads TLS as [`read_tls`](Self::read_tls) does, with an authority that exists already.
    #[cfg(feature = "runner")]
    pub(crate) fn authority(mut self, authority: Arc<Authority>) -> Self {
        self.authority = Some(authority);
        self
    }

    /// Lets the TLS of a host pass unread, or with `*.name` of all hosts below a name. A strict policy still has to allow the
    /// host.
    pub fn tunnel(mut self, host: impl Into<String>) -> Self {
        self.tunnels.push(host.into());
        self
    }

    /// Sets what is known of upstreams besides what the system knows.
    #[cfg(feature = "runner")]
    pub(crate) fn upstreams(mut self, upstreams: UpstreamSettings) -> Self {
        self.upstreams = upstreams;
        self
    }

    /// Records bodies of at most this many bytes. A client that ends its side of a connection is taken to have given up, so
    /// that a call which nobody waits for any more is known as one.
    #[cfg(feature = "runner")]
    pub(crate) fn recording(mut self, largest_body: usize) -> Self {
        self.largest_recorded = largest_body;
        self.manner.half_close = false;
        self
    }

    /// Starts the proxy.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Listen`] when it can't listen on the address, and [`SoftprobeError::Exposed`] when other machines
    /// reach it.
    pub fn start(self) -> Result<Proxy, SoftprobeError> {
        let address = self.address.clone();
        if !self.unauthenticated && !is_loopback(&address) {
            return Err(SoftprobeError::Exposed {
                address,
                way_out: "the proxy forwards requests for any client; allow that with --allow-unauthenticated",
            });
        }
        let mut builder = self;
        if builder.reads_tls && builder.authority.is_none() {
            let authority = Authority::of_run().map_err(SoftprobeError::Authority)?;
            builder.authority = Some(Arc::new(authority));
        }
        let Connections { core } = builder.connections();
        let (shared, unread) = (Arc::clone(&core), note_unread(&core, None));
        let manner = core.manner;
        let handle = move |request| answer(Arc::clone(&core), None, request);
        let server = Server::start_noting(&address, handle, unread, manner)?;
        // A client can't know a free port's number before this.
        let _ = shared.address.set(server.address());
        let _ = shared.stopping.set(server.stopping());
        Ok(Proxy {
            server,
            core: shared,
        })
    }

    /// Returns what serves connections, without a listener.
    pub(crate) fn connections(self) -> Connections {
        let Self {
            oracle,
            address: _,
            idle,
            idle_rules,
            callers,
            unauthenticated: _,
            upstreams,
            authority,
            reads_tls: _,
            tunnels,
            largest_recorded,
            manner,
        } = self;
        let forwarder = Forwarder::new(upstreams);
        let running = Arc::<Running>::default();
        let own = Arc::clone(&running);
        let cut_off: Arc<dyn Fn(&str) + Send + Sync> =
            Arc::new(move |session| own.cut_off(session));
        oracle.before_capture(Arc::downgrade(&cut_off));
        Connections {
            core: Arc::new(Core {
                oracle,
                idle,
                idle_rules,
                #[cfg(feature = "runner")]
                idle_calls: IdleCalls::default(),
                forwarder,
                callers,
                intake: Intake::of_bodies(largest_recorded.min(LARGEST_BODY)),
                largest_recorded,
                running,
                _cut_off: cut_off,
                manner,
                tls: authority.map(|authority| Tls::new(authority, tunnels)),
                stopping: OnceLock::new(),
                address: OnceLock::new(),
            }),
        }
    }
}

/// A proxy without a listener.
#[derive(Debug)]
pub(crate) struct Connections {
    core: Arc<Core>,
}

impl Connections {
    /// Serves one client over a stream of any kind, until either side ends it.
    #[cfg(feature = "runner")]
    pub(crate) async fn serve<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Peer + Unpin + Send + 'static,
    {
        let core = Arc::clone(&self.core);
        let unread = note_unread(&core, None);
        let handle = move |request| answer(Arc::clone(&core), None, request);
        let stop = self.core.stop();
        connection(stream, Arc::new(handle), unread, stop, self.core.manner).await;
    }
}
