//! The library's only HTTP client: it sends requests as given and reports answers as received.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
#[cfg(feature = "runner")]
use std::path::PathBuf;
#[cfg(feature = "runner")]
use std::sync::{Arc, OnceLock};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::config::{AutoHeaderValue, Config};
use ureq::http::Uri;
#[cfg(feature = "runner")]
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector as _, NextTimeout, RustlsConnector, TcpConnector};

use super::early::Sockets;
#[cfg(feature = "runner")]
use crate::base::http::escaped_target;
use crate::base::http::{Headers, Host, Response};

/// The largest body of an answer that is read, in bytes.
const LARGEST_ANSWER: u64 = 64 * 1024 * 1024;

/// The size of the buffer that must hold an answer's headers. `ureq` keeps them, and each line of a request's
/// headers, in buffers that do not grow. It allocates and zeroes these for each connection, so large ones
/// would cost every case of a run.
const LARGEST_ANSWER_HEADERS: usize = 64 * 1024;
/// The size of the buffer for sending, unless a line of the request needs more.
const SENT: usize = 8 * 1024;

/// How long the addresses found for a name are reused.
const KEPT_ADDRESSES: Duration = Duration::from_secs(1);

/// A client's time limits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Timeouts {
    /// A limit for each phase of an exchange: the cheap form, for many small calls.
    EachPhase {
        /// How long a phase may take.
        limit: Duration,
        /// How much longer the start of the answer may take.
        patience: Duration,
    },
    /// A limit for the whole exchange, for a call that must end within a promised time.
    #[cfg(feature = "runner")]
    Whole(Duration),
}

/// An HTTP client that ignores proxies in the environment, follows no redirects, turns no status into an error
/// and adds no headers of its own. Clones share their connections.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    agent: Agent,
    #[cfg(feature = "runner")]
    trust: Trust,
}

/// The reason why there is no answer.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// The answer did not arrive in time.
    Timeout,
    /// The answer's body is larger than this many bytes.
    TooLarge(u64),
    /// Anything else.
    Failed(ureq::Error),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("the request timed out"),
            Self::TooLarge(limit) => write!(f, "the answer is larger than {limit} bytes"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<ureq::Error> for ClientError {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Timeout(_) => Self::Timeout,
            ureq::Error::BodyExceedsLimit(limit) => Self::TooLarge(limit),
            other => Self::Failed(other),
        }
    }
}

/// How a client verifies servers.
#[cfg(feature = "runner")]
#[derive(Debug, Clone, Default)]
enum Trust {
    /// By the roots that the library brings along.
    #[default]
    Library,
    /// As what is under test: not at all at loopback, where nobody else has a certificate, and elsewhere by the system's roots
    /// and these.
    Application(Arc<OnceLock<TlsConfig>>, Arc<[PathBuf]>),
}

impl Client {
    /// Creates a client with these limits.
    pub(crate) fn new(timeouts: Timeouts) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(AutoHeaderValue::None)
            .accept(AutoHeaderValue::None)
            .accept_encoding(AutoHeaderValue::None)
            .allow_non_standard_methods(true)
            .input_buffer_size(LARGEST_ANSWER_HEADERS)
            .output_buffer_size(SENT)
            // Below the buffer's size, so that larger headers are reported as such, not as a lost connection.
            .max_response_header_size(LARGEST_ANSWER_HEADERS - 1024)
            .max_idle_connections_per_host(16)
            .max_idle_age(Duration::from_secs(2));
        let config = match timeouts {
            Timeouts::EachPhase { limit, patience } => config
                .timeout_connect(Some(limit))
                .timeout_send_request(Some(limit))
                .timeout_send_body(Some(limit))
                .timeout_recv_response(Some(limit + patience))
                .timeout_recv_body(Some(limit)),
            // Connections are not reused here: a request would fail if the peer closed its connection at that
            // moment, and some servers carry one request's context into the next on the same connection.
            #[cfg(feature = "runner")]
            Timeouts::Whole(limit) => config.timeout_global(Some(limit)).max_idle_connections(0),
        };
        Self {
            agent: Agent::with_parts(
                config.build(),
                ().chain(Sockets)
                    .chain(TcpConnector::default())
                    .chain(RustlsConnector::default()),
                Addresses::default(),
            ),
            #[cfg(feature = "runner")]
            trust: Trust::default(),
        }
    }

    /// Creates a client for the application under test, which may have a certificate of its own; `roots` are files with those
    /// of authorities that are trusted besides the system's.
    #[cfg(feature = "runner")]
    pub(crate) fn to_application(timeouts: Timeouts, roots: &[PathBuf]) -> Self {
        Self {
            trust: Trust::Application(Arc::default(), roots.into()),
            ..Self::new(timeouts)
        }
    }

    /// Returns the request with how its server is verified.
    #[cfg(feature = "runner")]
    fn with_trust(&self, request: ureq::http::Request<Vec<u8>>) -> ureq::http::Request<Vec<u8>> {
        let (Trust::Application(known, roots), Some("https")) =
            (&self.trust, request.uri().scheme_str())
        else {
            return request;
        };
        let host = request.uri().host().unwrap_or_default();
        let tls = match Host::read(host).is_loopback() {
            true => TlsConfig::builder().disable_verification(true).build(),
            false => known.get_or_init(|| verifying(roots)).clone(),
        };
        self.agent
            .configure_request(request)
            .tls_config(tls)
            .build()
    }

    /// Sends a request and reads the whole answer.
    pub(crate) fn send(
        &self,
        request: ureq::http::Request<Vec<u8>>,
    ) -> Result<Response, ClientError> {
        self.run(self.prepared(request))
    }

    /// Sends a request to a URL, with a limit for the whole exchange, and returns the whole answer or why there is none.
    #[cfg(feature = "runner")]
    pub(crate) fn exchange(
        &self,
        method: &str,
        headers: &Headers,
        body: Vec<u8>,
        url: &str,
        limit: Duration,
    ) -> Result<Response, String> {
        let mut builder = ureq::http::Request::builder()
            .method(method)
            .uri(&*escaped_target(url));
        for (name, value) in headers.iter() {
            builder = builder.header(name, value);
        }
        let request = builder.body(body).map_err(|error| error.to_string())?;
        let request = self.agent.configure_request(self.prepared(request));
        let answer = self.run(request.timeout_global(Some(limit)).build());
        answer.map_err(|error| match error {
            ClientError::Timeout => format!("it took longer than {} ms", limit.as_millis()),
            other => other.to_string(),
        })
    }

    /// Sends a request. One without a body gets a `content-length` only if its method is one for which servers
    /// expect a body (RFC 9110, 8.6).
    fn run(&self, mut request: ureq::http::Request<Vec<u8>>) -> Result<Response, ClientError> {
        if !request.body().is_empty() {
            return read_whole(self.agent.run(request)?);
        }
        if ["POST", "PUT", "PATCH"].contains(&request.method().as_str()) {
            let none = ureq::http::HeaderValue::from_static("0");
            request.headers_mut().insert("content-length", none);
        }
        read_whole(self.agent.run(request.map(drop))?)
    }

    fn prepared(&self, request: ureq::http::Request<Vec<u8>>) -> ureq::http::Request<Vec<u8>> {
        #[cfg(feature = "runner")]
        let request = self.with_trust(request);
        self.with_room(request)
    }

    /// Returns the request with a buffer that its longest line fits into.
    fn with_room(&self, request: ureq::http::Request<Vec<u8>>) -> ureq::http::Request<Vec<u8>> {
        // The method, the version and the separators.
        const BESIDE: usize = 256;
        let values = request.headers().iter();
        let lines = values.map(|(name, value)| name.as_str().len() + value.len());
        let path = request.uri().path_and_query();
        let path = path.map_or(0, |path| path.as_str().len());
        let longest = lines.max().unwrap_or_default().max(path) + BESIDE;
        if longest <= SENT {
            return request;
        }
        let request = self.agent.configure_request(request);
        request.output_buffer_size(longest).build()
    }
}

/// Returns how servers are verified by the system's roots and those in these files.
#[cfg(feature = "runner")]
fn verifying(files: &[PathBuf]) -> TlsConfig {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = super::roots::system_roots();
    for file in files {
        // A file that can't be read is refused before anything is sent.
        let all = CertificateDer::pem_file_iter(file).into_iter().flatten();
        roots.extend(all.filter_map(Result::ok));
    }
    let roots = roots.iter();
    let roots = roots.map(|root| Certificate::from_der(root).to_owned());
    TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots.collect())))
        .build()
}

fn read_whole(mut response: ureq::http::Response<ureq::Body>) -> Result<Response, ClientError> {
    let status = response.status().as_u16();
    let headers = headers_of(response.headers());
    let body = response.body_mut().with_config().limit(LARGEST_ANSWER);
    Ok(Response {
        status,
        headers,
        body: body.read_to_vec()?,
        trailers: Headers::new(),
    })
}

/// Converts header fields to our own type, in order.
pub(crate) fn headers_of(map: &ureq::http::HeaderMap) -> Headers {
    let fields = map.iter();
    fields
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect()
}

/// A resolver that keeps what it finds. To enforce a time limit, `ureq` resolves names on a separate thread,
/// again for each request: a literal address needs none of that, and a name is looked up at most once a second.
#[derive(Debug, Default)]
struct Addresses {
    names: DefaultResolver,
    known: Mutex<HashMap<String, (Instant, Vec<SocketAddr>)>>,
}

impl Resolver for Addresses {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return self.names.resolve(uri, config, timeout);
        };
        let Some(host) = DefaultResolver::host_and_port(scheme, authority) else {
            return self.names.resolve(uri, config, timeout);
        };
        if let Some(address) = literal(&host) {
            return Ok(self.resolved(&[address]));
        }
        if let Some((name, port)) = host.rsplit_once(':')
            && let Ok(port) = port.parse()
            && let Some(addresses) = localhost(name, port)
        {
            return Ok(self.resolved(&addresses));
        }
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, addresses)) = lock().get(&host)
            && at.elapsed() < KEPT_ADDRESSES
        {
            return Ok(self.resolved(addresses));
        }
        let found = self.names.resolve(uri, config, timeout)?;
        let mut known = lock();
        known.retain(|_, (at, _)| at.elapsed() < KEPT_ADDRESSES);
        known.insert(host, (Instant::now(), found.to_vec()));
        Ok(found)
    }
}

impl Addresses {
    fn resolved(&self, addresses: &[SocketAddr]) -> ResolvedSocketAddrs {
        let mut resolved = self.empty();
        for address in addresses {
            resolved.push(*address);
        }
        resolved
    }
}

/// Returns the addresses of a name that is `localhost` or below it; `None` for any other, and for an address. They are
/// loopback, whatever the system's resolver says (RFC 6761, 6.3): with such a name, even clients that call loopback directly
/// use a proxy.
pub(super) fn localhost(name: &str, port: u16) -> Option<[SocketAddr; 2]> {
    let host = Host::read(name);
    let ips = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        Ipv6Addr::LOCALHOST.into(),
    ];
    let is_name = host.address().is_none() && host.is_loopback();
    is_name.then(|| ips.map(|ip| SocketAddr::new(ip, port)))
}

/// Returns the address that a host and port spell out; `None` if the host is a name.
fn literal(host: &str) -> Option<SocketAddr> {
    let (host, port) = host.rsplit_once(':')?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    Some(SocketAddr::new(
        bare.parse::<IpAddr>().ok()?,
        port.parse().ok()?,
    ))
}
