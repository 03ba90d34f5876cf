//! Connects to upstreams: directly or through the proxy that this process itself was given, and over TLS.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::http::HeaderValue;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::base::http::{Host, Request};
use crate::net::{Names, own_address};

/// How long an upstream may take to accept a connection.
const SLOWEST_CONNECT: Duration = Duration::from_secs(10);
/// How long an upstream may take until a TLS connection stands.
const SLOWEST_HANDSHAKE: Duration = Duration::from_secs(10);

type Failed = Box<dyn std::error::Error + Send + Sync>;
type Connecting<S> = Pin<Box<dyn Future<Output = Result<S, Failed>> + Send>>;

/// What is known of upstreams besides what the system knows.
#[derive(Debug, Default)]
pub(crate) struct UpstreamSettings {
    /// Certificates of authorities that are trusted besides the system's.
    pub(crate) roots: Vec<CertificateDer<'static>>,
    /// What is shown to hosts that ask for a certificate.
    pub(crate) identities: Vec<Identity>,
}

/// A certificate for this process, to be shown to a host.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The host, and the hosts below it.
    pub(crate) host: String,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// The protocols that are offered to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offer {
    Http2,
    Http1,
}

/// The TLS configurations for upstreams, made when they are first needed.
#[derive(Debug)]
pub(super) struct UpstreamTls {
    settings: UpstreamSettings,
    roots: OnceLock<RootCertStore>,
    /// Those without an identity of ours, by what is offered.
    plain: [OnceLock<Arc<ClientConfig>>; 2],
}

impl UpstreamTls {
    pub(super) fn new(settings: UpstreamSettings) -> Self {
        Self {
            settings,
            roots: OnceLock::new(),
            plain: Default::default(),
        }
    }

    /// Returns the system's roots and the others.
    fn roots(&self) -> &RootCertStore {
        self.roots.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            let system = rustls_native_certs::load_native_certs();
            for error in &system.errors {
                log::warn!("some of the system's root certificates can't be read: {error}");
            }
            roots.add_parsable_certificates(system.certs);
            roots.add_parsable_certificates(self.settings.roots.iter().cloned());
            roots
        })
    }

    /// Returns the configuration for a host. Reads files the first time.
    fn config(&self, host: &str, offer: Offer) -> Result<Arc<ClientConfig>, Failed> {
        let host = Host::read(host);
        let mut identities = self.settings.identities.iter();
        if let Some(identity) = identities.find(|identity| host.is_within(&identity.host)) {
            return self.build(Some(identity), offer).map(Arc::new);
        }
        let plain = &self.plain[usize::from(offer == Offer::Http1)];
        if let Some(known) = plain.get() {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(self.build(None, offer)?);
        Ok(Arc::clone(plain.get_or_init(|| made)))
    }

    fn build(&self, identity: Option<&Identity>, offer: Offer) -> Result<ClientConfig, Failed> {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.roots().clone());
        let config = match identity {
            None => config.with_no_client_auth(),
            Some(Identity { host, chain, key }) => config
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(|error| format!("the certificate for {host} can't be used: {error}"))?,
        };
        Ok(offering(config, offer))
    }
}

fn offering(mut config: ClientConfig, offer: Offer) -> ClientConfig {
    config.alpn_protocols = match offer {
        Offer::Http2 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Offer::Http1 => vec![b"http/1.1".to_vec()],
    };
    config
}

/// Connects to upstreams.
#[derive(Debug, Clone)]
pub(super) struct Upstreams {
    reach: Reach,
    tls: Arc<UpstreamTls>,
    offer: Offer,
}

impl Upstreams {
    pub(super) fn new(tls: Arc<UpstreamTls>) -> Self {
        Self {
            reach: Reach::new(Some(Matcher::from_env())),
            tls,
            offer: Offer::Http2,
        }
    }

    /// Returns the same for connections that can become something else than HTTP, which those of HTTP/2 can't.
    pub(super) fn for_upgrades(&self) -> Self {
        Self {
            offer: Offer::Http1,
            ..self.clone()
        }
    }

    /// Returns the same for what a proxy on the way does not read.
    pub(super) fn by_tunnel(&self) -> Self {
        let mut own = self.clone();
        own.reach.by_tunnel = true;
        own
    }

    /// Returns what to tell the proxy on the way to an upstream that is called without TLS, if there is such a proxy.
    pub(super) fn credentials(&self, uri: &Uri) -> Option<HeaderValue> {
        match uri.scheme_str() {
            Some("http") => self.reach.proxy(uri)?.basic_auth().cloned(),
            _ => None,
        }
    }

    /// Opens a connection to `host:port` for bytes of any kind.
    ///
    /// # Errors
    ///
    /// Why it can't be opened.
    pub(super) async fn connect(&self, authority: &str) -> io::Result<TcpStream> {
        // With this scheme, a proxy on the way is asked for a tunnel.
        let uri = format!("https://{authority}/").parse::<Uri>();
        let uri = uri.map_err(io::Error::other)?;
        let limit = SLOWEST_CONNECT + SLOWEST_HANDSHAKE;
        let reached = tokio::time::timeout(limit, self.reach.clone().call(uri)).await;
        let reached = reached
            .map_err(|_| io::Error::other(format!("no connection within {} s", limit.as_secs())))?;
        Ok(reached.map_err(io::Error::other)?.stream.into_inner())
    }
}

impl Service<Uri> for Upstreams {
    type Response = MaybeHttpsStream<Reached>;
    type Error = Failed;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { reach, tls, offer } = self.clone();
        Box::pin(async move {
            if uri.scheme_str() != Some("https") {
                return Ok(MaybeHttpsStream::Http(reach.clone().call(uri).await?));
            }
            let host = uri.host().unwrap_or_default().to_owned();
            let config = tokio::task::spawn_blocking(move || tls.config(&host, offer)).await??;
            secure(reach, config, uri).await
        })
    }
}

/// Connects over TLS.
async fn secure(
    reach: Reach,
    config: Arc<ClientConfig>,
    uri: Uri,
) -> Result<MaybeHttpsStream<Reached>, Failed> {
    let connecting = HttpsConnector::from((reach, config)).call(uri);
    let limit = SLOWEST_CONNECT + SLOWEST_HANDSHAKE;
    match tokio::time::timeout(limit, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(format!("no connection within {} s", limit.as_secs()).into()),
    }
}

/// Connects to the application itself, never through a proxy. At loopback its certificate is not verified: nobody else has
/// one for that.
#[derive(Debug, Clone)]
pub(super) struct Applications {
    reach: Reach,
    tls: Arc<UpstreamTls>,
}

impl Applications {
    pub(super) fn new(tls: Arc<UpstreamTls>) -> Self {
        Self {
            reach: Reach::new(None),
            tls,
        }
    }
}

impl Service<Uri> for Applications {
    type Response = MaybeHttpsStream<Reached>;
    type Error = Failed;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { reach, tls } = self.clone();
        Box::pin(async move {
            if uri.scheme_str() != Some("https") {
                return Ok(MaybeHttpsStream::Http(reach.clone().call(uri).await?));
            }
            let host = uri.host().unwrap_or_default().to_owned();
            let config = match Host::read(&host).is_loopback() {
                true => Arc::new(trusting()?),
                false => {
                    let config = move || tls.config(&host, Offer::Http1);
                    tokio::task::spawn_blocking(config).await??
                }
            };
            secure(reach, config, uri).await
        })
    }
}

fn trusting() -> Result<ClientConfig, Failed> {
    let provider = default_provider();
    let verifier = Trusting(provider.signature_verification_algorithms);
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(offering(config, Offer::Http1))
}

/// Takes any certificate.
#[derive(Debug)]
struct Trusting(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Opens TCP connections, through a proxy if there is one for the upstream.
#[derive(Debug, Clone)]
struct Reach {
    direct: HttpConnector<Names>,
    /// Whether a proxy is asked for a tunnel even where there is no TLS.
    by_tunnel: bool,
    proxies: Option<Arc<Matcher>>,
}

impl Reach {
    fn new(proxies: Option<Matcher>) -> Self {
        let mut direct = HttpConnector::new_with_resolver(Names);
        direct.set_connect_timeout(Some(SLOWEST_CONNECT));
        direct.set_nodelay(true);
        direct.enforce_http(false);
        Self {
            direct,
            by_tunnel: false,
            proxies: proxies.map(Arc::new),
        }
    }

    /// Returns the proxy on the way to an upstream; to this machine's own there is none.
    fn proxy(&self, uri: &Uri) -> Option<Intercept> {
        match Host::read(uri.host().unwrap_or_default()).is_loopback() {
            true => None,
            false => self.proxies.as_ref()?.intercept(uri),
        }
    }
}

impl Service<Uri> for Reach {
    type Response = Reached;
    type Error = Failed;
    type Future = Connecting<Reached>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let mut direct = self.direct.clone();
        let (proxy, by_tunnel) = (self.proxy(&uri), self.by_tunnel);
        Box::pin(async move {
            let Some(proxy) = not_ours(proxy).await else {
                return Ok(Reached {
                    stream: direct.call(uri).await?,
                    by_proxy: false,
                });
            };
            let at = proxy.uri().clone();
            let shown = at
                .authority()
                .map(|at| at.host().to_owned())
                .unwrap_or_default();
            if at.scheme_str() != Some("http") {
                let scheme = at.scheme_str().unwrap_or_default();
                return Err(format!(
                    "the proxy {shown} that the environment names for {} is one of {scheme}, which is not supported; name one \
                     of http, or list the host in NO_PROXY",
                    uri.host().unwrap_or_default()
                )
                .into());
            }
            if uri.scheme_str() == Some("http") && !by_tunnel {
                let stream = direct.call(at).await?;
                return Ok(Reached {
                    stream,
                    by_proxy: true,
                });
            }
            let mut tunnel = Tunnel::new(at, direct);
            if let Some(credentials) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(credentials.clone());
            }
            let stream = tunnel.call(uri).await;
            let stream =
                stream.map_err(|error| format!("the proxy {shown} opens no tunnel: {error}"))?;
            Ok(Reached {
                stream,
                by_proxy: false,
            })
        })
    }
}

/// Returns a proxy unless it is the one of this process: an environment that is prepared for an application leads there.
async fn not_ours(proxy: Option<Intercept>) -> Option<Intercept> {
    let proxy = proxy?;
    let own = own_address(&Request::new("GET", &proxy.uri().to_string())).await;
    own.is_none().then_some(proxy)
}

/// A connection on which requests are written in the form that who is at its other end expects.
#[derive(Debug)]
pub(super) struct Reached {
    stream: TokioIo<TcpStream>,
    /// Whether a proxy reads the requests.
    by_proxy: bool,
}

impl Connection for Reached {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.by_proxy)
    }
}

impl Read for Reached {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Reached {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}
