//! Connects to upstreams: directly or through the proxy that this process itself was given, and over TLS.

mod reach;

use std::io;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::http::HeaderValue;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::proxy::matcher::Matcher;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tower_service::Service;

use self::reach::{Connecting, Failed, Reach, Reached, SLOWEST_CONNECT};
use crate::base::http::Host;
use crate::net::system_roots;

/// How long an upstream may take until a TLS connection stands.
const SLOWEST_HANDSHAKE: Duration = Duration::from_secs(10);

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
            roots.add_parsable_certificates(system_roots());
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
    /// Whether a certificate at loopback is not verified.
    trusts_loopback: bool,
}

impl Upstreams {
    pub(super) fn new(tls: Arc<UpstreamTls>) -> Self {
        Self {
            reach: Reach::new(Some(Matcher::from_env())),
            tls,
            offer: Offer::Http2,
            trusts_loopback: false,
        }
    }

    /// Returns what connects to the application itself, never through a proxy. At loopback its certificate is not verified:
    /// nobody else has one for that.
    pub(super) fn to_applications(tls: Arc<UpstreamTls>) -> Self {
        Self {
            reach: Reach::new(None),
            tls,
            offer: Offer::Http1,
            trusts_loopback: true,
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
        let reached = in_time(self.reach.clone().call(uri)).await;
        Ok(reached.map_err(io::Error::other)?.into_stream())
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
        let Self {
            mut reach,
            tls,
            offer,
            trusts_loopback,
        } = self.clone();
        Box::pin(async move {
            if uri.scheme_str() != Some("https") {
                return Ok(MaybeHttpsStream::Http(reach.call(uri).await?));
            }
            let host = uri.host().unwrap_or_default().to_owned();
            let config = match trusts_loopback && Host::read(&host).is_loopback() {
                true => Arc::new(trusting(offer)?),
                false => tokio::task::spawn_blocking(move || tls.config(&host, offer)).await??,
            };
            in_time(HttpsConnector::from((reach, config)).call(uri)).await
        })
    }
}

/// Waits until a connection stands.
async fn in_time<S>(connecting: impl Future<Output = Result<S, Failed>>) -> Result<S, Failed> {
    let limit = SLOWEST_CONNECT + SLOWEST_HANDSHAKE;
    match tokio::time::timeout(limit, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(format!("no connection within {} s", limit.as_secs()).into()),
    }
}

/// Returns a configuration that takes any certificate.
fn trusting(offer: Offer) -> Result<ClientConfig, Failed> {
    let provider = default_provider();
    let verifier = Trusting(provider.signature_verification_algorithms);
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(offering(config, offer))
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
