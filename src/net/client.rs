//! The one HTTP client: it sends what it is told and reports what it gets.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::config::{AutoHeaderValue, Config};
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::base::http::{Headers, Response};

/// An answer's body is never read beyond this.
const LARGEST_ANSWER: u64 = 64 * 1024 * 1024;

/// The library holds an answer's headers whole, and each line of a request's, in buffers that do not grow. It makes
/// and zeroes them for each connection, so that large ones cost every case of a run.
const LARGEST_ANSWER_HEADERS: usize = 64 * 1024;
/// The same for what is sent, where no line of a request needs more.
const SENT: usize = 8 * 1024;

/// How long the addresses of a name are good for.
const KEPT_ADDRESSES: Duration = Duration::from_secs(1);

/// What a client waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Timeouts {
    /// Each phase of an exchange on its own: the cheap form, for many small calls.
    EachPhase {
        /// A phase may take so long,
        limit: Duration,
        /// and the answer so much longer.
        patience: Duration,
    },
    /// The whole exchange, for the one call whose length is promised.
    Whole(Duration),
}

/// An HTTP client: no proxy from the environment, no redirects, no status turned into an error, no headers of
/// its own. Clones share their connections.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    agent: Agent,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// It did not come in time.
    Timeout,
    /// It is larger than so many bytes.
    TooLarge(u64),
    /// Anything else.
    Failed(ureq::Error),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("it took too long"),
            Self::TooLarge(limit) => write!(f, "it is larger than {limit} bytes"),
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

impl Client {
    /// A client with these limits.
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
            // Below the buffer's size, so that larger headers are told of and not taken for a lost connection.
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
            // A connection is never used twice here: one that the peer closes just then fails the request, and
            // some servers carry one request's context into the next on the same connection.
            Timeouts::Whole(limit) => config.timeout_global(Some(limit)).max_idle_connections(0),
        };
        Self {
            agent: Agent::with_parts(
                config.build(),
                DefaultConnector::default(),
                Addresses::default(),
            ),
        }
    }

    /// Sends a request, its body read whole by now, and reads the answer whole.
    pub(crate) fn send(
        &self,
        request: ureq::http::Request<Vec<u8>>,
    ) -> Result<Response, ClientError> {
        read_whole(self.agent.run(self.with_room(request))?)
    }

    /// The same, where the whole exchange may take so long.
    pub(crate) fn send_within(
        &self,
        request: ureq::http::Request<Vec<u8>>,
        limit: Duration,
    ) -> Result<Response, ClientError> {
        let request = self.agent.configure_request(self.with_room(request));
        let request = request.timeout_global(Some(limit)).build();
        read_whole(self.agent.run(request)?)
    }

    /// The request with a buffer that its longest line fits into.
    fn with_room(&self, request: ureq::http::Request<Vec<u8>>) -> ureq::http::Request<Vec<u8>> {
        // The method, the version, and what stands between.
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

fn read_whole(mut response: ureq::http::Response<ureq::Body>) -> Result<Response, ClientError> {
    let status = response.status().as_u16();
    let headers = headers_of(response.headers());
    let body = response.body_mut().with_config().limit(LARGEST_ANSWER);
    Ok(Response {
        status,
        headers,
        body: body.read_to_vec()?,
    })
}

/// Header fields as our own type, in order.
pub(crate) fn headers_of(map: &ureq::http::HeaderMap) -> Headers {
    let fields = map.iter();
    fields
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect()
}

/// Where hosts are. The library resolves a name within a limit on a thread of its own, anew for each request: an
/// address needs none of that, and a name is asked for once a second.
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

/// The address that a host with its port is, where it is no name.
fn literal(host: &str) -> Option<SocketAddr> {
    let (host, port) = host.rsplit_once(':')?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    Some(SocketAddr::new(
        bare.parse::<IpAddr>().ok()?,
        port.parse().ok()?,
    ))
}
