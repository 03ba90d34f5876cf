//! Servers and clients that speak TLS, for tests.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use tokio_rustls::TlsAcceptor;

use crate::support::LIMIT;

/// A certificate authority of a test.
pub(crate) struct TestAuthority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl TestAuthority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// Returns a certificate for a name, and its key, as PEM.
    pub(crate) fn certificate(&self, name: &str) -> (String, String) {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// An HTTPS server that tells in JSON how it was called; calls of gRPC get a trailer.
pub(crate) struct SecureStub {
    pub(crate) address: SocketAddr,
    pub(crate) calls: Arc<Mutex<Vec<String>>>,
    _threads: tokio::runtime::Runtime,
}

impl SecureStub {
    /// Starts one with a certificate for a name; `clients` is the authority whose certificates its clients have to show.
    pub(crate) fn start(
        authority: &TestAuthority,
        name: &str,
        clients: Option<&TestAuthority>,
    ) -> Self {
        let (certificate, key) = authority.certificate(name);
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(clients) => {
                let roots = Arc::new(roots(&clients.pem));
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let mut config = config.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = threads
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&calls);
        threads.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, log) = (acceptor.clone(), Arc::clone(&log));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let service = hyper::service::service_fn(move |request| {
                        answer(Arc::clone(&log), request)
                    });
                    let stream = TokioIo::new(stream);
                    if is_http2 {
                        let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        let _ = http2.serve_connection(stream, service).await;
                    } else {
                        let http1 = hyper::server::conn::http1::Builder::new();
                        let _ = http1
                            .serve_connection(stream, service)
                            .with_upgrades()
                            .await;
                    }
                });
            }
        });
        Self {
            address,
            calls,
            _threads: threads,
        }
    }
}

type StubBody = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

async fn answer(
    log: Arc<Mutex<Vec<String>>>,
    mut request: hyper::Request<Incoming>,
) -> Result<hyper::Response<StubBody>, hyper::Error> {
    let header = |name: &str| {
        let value = request.headers().get(name);
        value
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    };
    let told = format!(
        "{:?} {} {} te={}",
        request.version(),
        request.method(),
        request.uri().path(),
        header("te")
    );
    log.lock().unwrap().push(told.clone());
    if header("upgrade") == "websocket" {
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgraded.await.unwrap());
            let mut bytes = [0; 5];
            let _ = tokio::io::AsyncReadExt::read_exact(&mut stream, &mut bytes).await;
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, &bytes).await;
        });
        let mut answer = hyper::Response::new(Full::new(Bytes::new()).boxed());
        *answer.status_mut() = hyper::StatusCode::SWITCHING_PROTOCOLS;
        let headers = answer.headers_mut();
        headers.insert("connection", HeaderValue::from_static("upgrade"));
        headers.insert("upgrade", HeaderValue::from_static("websocket"));
        return Ok(answer);
    }
    let grpc = header("content-type").starts_with("application/grpc");
    let body = Full::new(Bytes::from(told));
    let body = match grpc {
        false => body.boxed(),
        true => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            body.with_trailers(std::future::ready(Some(Ok(trailers))))
                .boxed()
        }
    };
    let mut answer = hyper::Response::new(body);
    if grpc {
        let kind = HeaderValue::from_static("application/grpc");
        answer.headers_mut().insert("content-type", kind);
    }
    Ok(answer)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(pem: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    roots
}

/// Returns what a client offers that trusts an authority.
pub(crate) fn client_config(authority: &str, protocols: &[&str]) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(authority));
    let mut config = config.with_no_client_auth();
    let protocols = protocols.iter();
    config.alpn_protocols = protocols.map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// Opens a tunnel through a proxy.
pub(crate) fn tunnel(proxy: SocketAddr, authority: &str, more: &str) -> TcpStream {
    let mut stream = TcpStream::connect(proxy).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    write!(
        stream,
        "CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n{more}\r\n"
    )
    .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    stream
}

/// Speaks TLS over a stream; `name` is what the client asks for.
pub(crate) fn secured(
    stream: TcpStream,
    name: &str,
    config: &Arc<ClientConfig>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    StreamOwned::new(connection, stream)
}

/// Makes a call of gRPC without TLS, and returns the answer's body and its status.
pub(crate) fn grpc(stream: TcpStream, url: &str) -> (Vec<u8>, String) {
    stream.set_nonblocking(true).unwrap();
    let threads = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    threads.unwrap().block_on(async {
        let stream = TokioIo::new(tokio::net::TcpStream::from_std(stream).unwrap());
        let http2 = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let (mut sender, connection) = http2.handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let call = hyper::Request::post(url).header("content-type", "application/grpc");
        let call = call.body(Full::new(Bytes::from_static(&[0; 5]))).unwrap();
        let answer = sender.send_request(call).await.unwrap();
        assert_eq!(answer.status(), 200);
        let body = answer.into_body().collect().await.unwrap();
        let status = body.trailers().unwrap()["grpc-status"]
            .to_str()
            .unwrap()
            .to_owned();
        (body.to_bytes().to_vec(), status)
    })
}
