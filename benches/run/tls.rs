//! Measures mocked calls over TLS: with a new connection each, with one that is resumed, and with one that is kept.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use softprobe::{Mock, MockResponse, Mode, Predicate, Softprobe};

const HOST: &str = "mocked.example";

/// A proxy in a process of its own, whose processor time is known.
struct Served {
    child: Child,
    runtime: String,
    proxy: SocketAddr,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    fn start(command: &Path, folder: &Path) -> Self {
        let mut command = Command::new(command);
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--proxy",
            "127.0.0.1:0",
            "--ca",
        ]);
        let mut child = command
            .arg(folder)
            .arg("--json")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut text = String::new();
        while !text.ends_with("\n}\n") {
            text += &(lines.next().unwrap().unwrap() + "\n");
        }
        let said: Value = serde_json::from_str(&text).unwrap();
        let proxy = said["proxyUrl"].as_str().unwrap();
        Self {
            child,
            runtime: said["runtimeUrl"].as_str().unwrap().to_owned(),
            proxy: proxy.strip_prefix("http://").unwrap().parse().unwrap(),
        }
    }

    /// Returns the processor time that it has used, in steps of a hundredth of a second.
    fn used(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let mut fields = fields
            .split(' ')
            .skip(11)
            .map(|field| field.parse::<u64>().unwrap());
        Duration::from_millis((fields.next().unwrap() + fields.next().unwrap()) * 10)
    }
}

/// Measures each kind of connection with this many calls.
pub(super) fn measure(command: &Path, calls: usize) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(command, folder.path());
    let softprobe = Softprobe::builder().base_url(&served.runtime).build();
    let session = softprobe.start_session(Mode::Replay).unwrap();
    let answer = MockResponse::new(200).body(super::STOCK);
    let mock = Mock::new(Predicate::outbound().host(HOST)).response(answer);
    session.mock_outbound(mock).unwrap();
    let pem = std::fs::read(folder.path().join("ca.pem")).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&pem).unwrap())
        .unwrap();
    let client = |protocol: &str, resumes: bool| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap();
        let mut config = config
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        if !resumes {
            config.resumption = Resumption::disabled();
        }
        Arc::new(config)
    };
    let threads = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    println!();
    let mut measured = json!({});
    for (name, protocol, resumes, keeps) in [
        ("HTTP/1.1, new connection", "http/1.1", false, false),
        ("HTTP/1.1, resumed", "http/1.1", true, false),
        ("HTTP/1.1, kept alive", "http/1.1", false, true),
        ("HTTP/2, new connection", "h2", false, false),
        ("HTTP/2, resumed", "h2", true, false),
        ("HTTP/2, kept alive", "h2", false, true),
    ] {
        let config = client(protocol, resumes);
        let before = served.used();
        let mut times = match protocol {
            "h2" => threads.block_on(http2(&served, &config, keeps, calls)),
            _ => http1(&served, &config, keeps, calls),
        };
        let used = (served.used() - before).as_secs_f64() * 1e6 / calls as f64;
        times.sort_unstable();
        let at = |part: f64| times[(times.len() as f64 * part) as usize].as_secs_f64() * 1e6;
        let (p50, p99) = (at(0.5), at(0.99));
        println!(
            "a mocked call over TLS, {name}: p50 {p50:.0} µs, p99 {p99:.0} µs, processor time of the proxy {used:.0} µs"
        );
        measured[name] = json!({
            "p50Microseconds": p50, "p99Microseconds": p99, "proxyCpuMicroseconds": used,
        });
    }
    measured
}

/// Opens a tunnel.
fn tunnel(served: &Served) -> TcpStream {
    let mut stream = super::connect(served.proxy);
    write!(
        stream,
        "CONNECT {HOST}:443 HTTP/1.1\r\nhost: {HOST}:443\r\n\r\n"
    )
    .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    stream
}

fn http1(served: &Served, config: &Arc<ClientConfig>, keeps: bool, calls: usize) -> Vec<Duration> {
    let connect = || {
        let name = ServerName::try_from(HOST).unwrap();
        let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
        StreamOwned::new(connection, tunnel(served))
    };
    let mut kept = keeps.then(connect);
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let start = Instant::now();
        let mut fresh;
        let stream = match &mut kept {
            Some(kept) => kept,
            None => {
                fresh = connect();
                &mut fresh
            }
        };
        write!(stream, "GET /items/1 HTTP/1.1\r\nhost: {HOST}\r\n\r\n").unwrap();
        super::receive(stream);
        times.push(start.elapsed());
    }
    times
}

async fn http2(
    served: &Served,
    config: &Arc<ClientConfig>,
    keeps: bool,
    calls: usize,
) -> Vec<Duration> {
    let connect = async || {
        let stream = tunnel(served);
        stream.set_nonblocking(true).unwrap();
        let stream = tokio::net::TcpStream::from_std(stream).unwrap();
        let name = ServerName::try_from(HOST).unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
        let stream = TokioIo::new(connector.connect(name, stream).await.unwrap());
        let http2 = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let (sender, connection) = http2.handshake::<_, Full<Bytes>>(stream).await.unwrap();
        tokio::spawn(connection);
        sender
    };
    let mut kept = match keeps {
        true => Some(connect().await),
        false => None,
    };
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let start = Instant::now();
        let mut fresh;
        let sender = match &mut kept {
            Some(kept) => kept,
            None => {
                fresh = connect().await;
                &mut fresh
            }
        };
        let call = hyper::Request::get(format!("https://{HOST}/items/1"));
        let answer = sender
            .send_request(call.body(Full::default()).unwrap())
            .await
            .unwrap();
        answer.into_body().collect().await.unwrap();
        times.push(start.elapsed());
    }
    times
}
