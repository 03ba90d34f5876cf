//! What the proxy does with TLS, over real sockets.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde_json::json;
use softprobe::{
    EmbeddedRuntime, Failure, Idle, Mock, MockResponse, Mode, Policy, Predicate, Proxy,
    ProxyBuilder, Softprobe, SoftprobeSession,
};

use crate::command::{Output, Served, softprobe};
use crate::secure::{SecureStub, TestAuthority, client_config, secured, tunnel};
use crate::support::{Answer, LIMIT, Project, document, read_answer, response_body, span};

type Http2 = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

struct World {
    softprobe: Softprobe,
    proxy: Proxy,
    _runtime: EmbeddedRuntime,
}

impl World {
    fn new() -> Self {
        Self::with(|proxy| proxy)
    }

    fn with(set: impl Fn(ProxyBuilder) -> ProxyBuilder) -> Self {
        let runtime = EmbeddedRuntime::new();
        let softprobe = Softprobe::embedded(&runtime);
        let proxy = Proxy::builder(&softprobe).read_tls().idle(Idle::Forward);
        Self {
            proxy: set(proxy).start().unwrap(),
            softprobe,
            _runtime: runtime,
        }
    }

    /// Starts a session in which calls to `mock.example` are answered.
    fn session(&self, policy: &Policy) -> SoftprobeSession {
        let session = self.softprobe.start_session(Mode::Replay).unwrap();
        session.set_policy(policy).unwrap();
        let mock = Mock::new(Predicate::outbound().host("mock.example"));
        let response = MockResponse::new(200).body("mocked");
        let response = response.trailer("grpc-status", "0");
        session.mock_outbound(mock.response(response)).unwrap();
        session
    }

    fn strict(&self) -> SoftprobeSession {
        self.session(&Policy::strict())
    }

    fn trusting(&self, protocols: &[&str]) -> std::sync::Arc<rustls::ClientConfig> {
        client_config(self.proxy.authority().unwrap(), protocols)
    }

    /// Opens a tunnel, and speaks TLS in it as a client that trusts the proxy.
    fn connect(&self, authority: &str) -> StreamOwned<ClientConnection, TcpStream> {
        let name = authority.rsplit_once(':').unwrap().0;
        let stream = tunnel(self.proxy.address(), authority, "");
        secured(stream, name, &self.trusting(&[]))
    }

    /// Runs a client that speaks HTTP/2 in a tunnel.
    fn http2<T>(&self, authority: &str, client: impl AsyncFnOnce(Http2) -> T) -> T {
        let name = authority.rsplit_once(':').unwrap().0.to_owned();
        let stream = tunnel(self.proxy.address(), authority, "");
        stream.set_nonblocking(true).unwrap();
        let connector = tokio_rustls::TlsConnector::from(self.trusting(&["h2"]));
        on_threads(async {
            let stream = tokio::net::TcpStream::from_std(stream).unwrap();
            let name = ServerName::try_from(name).unwrap();
            let stream = connector.connect(name, stream).await.unwrap();
            let http2 = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
            let (sender, connection) = http2.handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            client(sender).await
        })
    }
}

/// A proxy for applications that are started by hand.
struct ByHand {
    served: Served,
    /// The certificate that they trust.
    ca: String,
    _project: Project,
}

impl ByHand {
    /// Starts one that trusts upstreams of this authority.
    fn start(upstreams: &TestAuthority, variables: &[(&str, &str)]) -> Self {
        let project = Project::new();
        let roots = project.write("up.pem", &upstreams.pem);
        let folder = project.path().join("ca");
        let (folder, roots) = (folder.to_str().unwrap(), roots.to_str().unwrap());
        let args = ["--ca", folder, "--upstream-ca", roots];
        Self {
            served: Served::start_with(&args, variables),
            ca: std::fs::read_to_string(project.path().join("ca/ca.pem")).unwrap(),
            _project: project,
        }
    }
}

fn on_threads<T>(work: impl Future<Output = T>) -> T {
    let threads = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    threads.unwrap().block_on(work)
}

fn get(stream: &mut (impl Read + Write), host: &str, more: &str) -> Answer {
    write!(stream, "GET /p HTTP/1.1\r\nhost: {host}\r\n{more}\r\n").unwrap();
    read_answer(stream, false)
}

fn request(method: &str, url: &str, kind: &str) -> hyper::Request<Full<Bytes>> {
    let request = hyper::Request::builder().method(method).uri(url);
    request
        .header("content-type", kind)
        .body(Full::default())
        .unwrap()
}

/// Waits until a session lists something that the proxy could not answer, and returns the reason.
fn refused(session: &SoftprobeSession) -> String {
    let start = std::time::Instant::now();
    while start.elapsed() < LIMIT {
        if let Some(call) = session.stats().unwrap().uncorrelated.first() {
            assert!(call.refused && call.distrusted, "{call:?}");
            return format!("{} {}: {}", call.method, call.host, call.reason);
        }
        std::thread::yield_now();
    }
    panic!("nothing was listed");
}

#[test]
fn calls_are_answered_on_one_connection() {
    let world = World::new();
    let session = world.strict();
    let mut stream = world.connect("mock.example:443");
    for _ in 0..3 {
        let answer = get(&mut stream, "mock.example", "");
        assert_eq!((answer.status, answer.text().as_str()), (200, "mocked"));
        assert_eq!(answer.header("connection"), Vec::<String>::new());
    }
    // What is not mocked is a miss, with the host alone where the port is that of the scheme.
    let mut other = world.connect("other.example:443");
    assert_eq!(get(&mut other, "other.example", "").status, 599);
    let stats = session.stats().unwrap();
    assert_eq!((stats.calls.len(), stats.strict_misses), (4, 1));
    assert_eq!(stats.misses[0].host, "other.example");
    assert!(stats.uncorrelated.is_empty(), "{stats:?}");
    // A tunnel inside of it is refused, as outside.
    write!(
        stream,
        "CONNECT a.example:443 HTTP/1.1\r\nhost: a.example:443\r\n\r\n"
    )
    .unwrap();
    assert_eq!(read_answer(&mut stream, false).status, 400);
}

#[test]
fn rules_see_the_scheme_and_addresses_need_no_name() {
    let world = World::new();
    let session = world.strict();
    let address = Mock::new(Predicate::outbound().host("10.1.2.3:443"));
    session
        .mock_outbound(address.response(MockResponse::new(200).body("address")))
        .unwrap();
    let mut stream = world.connect("10.1.2.3:443");
    assert_eq!(get(&mut stream, "10.1.2.3", "").text(), "address");
    // A client that has resolved a name itself still says it, and is known by it.
    session.clear_rules().unwrap();
    let named = Mock::new(Predicate::outbound().host("named.example"));
    session
        .mock_outbound(named.response(MockResponse::new(200).body("name")))
        .unwrap();
    let stream = tunnel(world.proxy.address(), "10.1.2.3:443", "");
    let mut stream = secured(stream, "named.example", &world.trusting(&[]));
    assert_eq!(get(&mut stream, "named.example", "").text(), "name");
    // What gRPC's core sends when it has a port.
    let stream = tunnel(world.proxy.address(), "[named.example:443]:443", "");
    let mut stream = secured(stream, "named.example", &world.trusting(&[]));
    assert_eq!(get(&mut stream, "named.example", "").text(), "name");
}

#[test]
fn calls_of_http2_are_answered_beside_each_other_with_trailers() {
    let world = World::new();
    let session = world.strict();
    world.http2("mock.example:443", async |http2: Http2| {
        let calls = (0..20).map(|_| {
            let mut http2 = http2.clone();
            tokio::spawn(async move {
                let call = request("POST", "https://mock.example/s/M", "application/grpc");
                let answer = http2.send_request(call).await.unwrap();
                assert_eq!(answer.status(), 200);
                let body = answer.into_body().collect().await.unwrap();
                assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
                assert_eq!(body.to_bytes(), "mocked");
            })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap();
        }
    });
    assert_eq!(session.stats().unwrap().calls.len(), 20);
}

#[test]
fn clients_that_refuse_the_certificate_are_told() {
    let world = World::new();
    let strict = world.strict();
    let other = client_config(&TestAuthority::new().pem, &[]);
    let stream = tunnel(
        world.proxy.address(),
        "a.example:443",
        "user-agent: curl/8.0\r\n",
    );
    let error = secured(stream, "a.example", &other)
        .write(b"GET")
        .unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    assert_eq!(
        refused(&strict),
        "CONNECT a.example: its client does not trust the certificate (certain: TLS alert 48, unknown CA): \
         curl reads CURL_CA_BUNDLE or SSL_CERT_FILE; if it pins certificates, list the host in `tunnel`"
    );
    strict.close().unwrap();
    // It looks at the certificate, and goes.
    let strict = world.strict();
    let mut stream = world.connect("b.example:443");
    stream.flush().unwrap();
    stream.conn.complete_io(&mut stream.sock).unwrap();
    drop(stream);
    let told = refused(&strict);
    assert!(
        told.contains("(likely: it ended the connection without a request; it may have given the call up as well): most"),
        "{told}"
    );
    strict.close().unwrap();
    // A connection too many, beside one with a request, is no refusal.
    let strict = world.strict();
    let mut unused = world.connect("mock.example:443");
    unused.conn.complete_io(&mut unused.sock).unwrap();
    let mut used = world.connect("mock.example:443");
    get(&mut used, "mock.example", "");
    unused.conn.send_close_notify();
    unused.conn.complete_io(&mut unused.sock).unwrap();
    // The proxy ends its side once it is done with the connection.
    let _ = unused.sock.read_to_end(&mut Vec::new());
    assert!(strict.stats().unwrap().uncorrelated.is_empty());
    // What can't be a handshake is told as such.
    let mut stream = tunnel(world.proxy.address(), "c.example:443", "");
    stream.write_all(b"\x16\x03\x01\x00\x05hello").unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    let told = refused(&strict);
    assert!(
        told.contains("its TLS handshake failed at the start"),
        "{told}"
    );
}

#[test]
fn limits_hold_inside_a_tunnel() {
    let world = World::new();
    let session = world.strict();
    let long = "x".repeat(70 * 1024);
    let mut stream = world.connect("mock.example:443");
    assert_eq!(
        get(&mut stream, "mock.example", &format!("a: {long}\r\n")).status,
        431
    );
    assert!(!session.stats().unwrap().uncorrelated.is_empty());
    session.close().unwrap();
    let many = |count: usize| {
        let mut call = request("GET", "https://mock.example/", "text/plain");
        for n in 0..count {
            let name = hyper::header::HeaderName::try_from(format!("h{n}")).unwrap();
            call.headers_mut().insert(name, "1".parse().unwrap());
        }
        call
    };
    for call in [many(300), {
        let mut call = many(0);
        call.headers_mut().insert("a", long.parse().unwrap());
        call
    }] {
        let session = world.strict();
        world.http2("mock.example:443", async |mut http2: Http2| {
            let answer = http2.send_request(call).await.unwrap();
            assert_eq!(answer.status(), 431);
            let told = answer.into_body().collect().await.unwrap().to_bytes();
            assert!(String::from_utf8_lossy(&told).contains("head"), "{told:?}");
            // The connection goes on.
            let answer = http2.send_request(many(0)).await.unwrap();
            assert_eq!(answer.status(), 200);
        });
        assert!(refused(&session).starts_with("GET mock.example: "));
        session.close().unwrap();
    }
}

#[test]
fn what_http2_refuses_is_listed() {
    let world = World::new();
    let session = world.strict();
    world.http2("mock.example:443", async |mut http2: Http2| {
        let mut call = request("POST", "https://mock.example/", "text/plain");
        // A length that the body does not have.
        call.headers_mut()
            .insert("content-length", "7".parse().unwrap());
        let sent = http2.send_request(call).await;
        assert!(sent.unwrap_err().to_string().contains("http2"));
        let answer = http2.send_request(request("GET", "https://mock.example/", "text/plain"));
        assert_eq!(answer.await.unwrap().status(), 200);
    });
    let told = refused(&session);
    assert!(
        told.starts_with("CONNECT mock.example: it can't be read as a request: it breaks a rule"),
        "{told}"
    );
}

#[test]
fn a_connection_that_passes_unread_is_judged_by_each_case() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = format!("mail.localhost:{}", server.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let _ = stream.write_all(b"+");
                let mut bytes = [0; 64];
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    let _ = stream.write_all(&bytes[..count]);
                }
            });
        }
    });
    let world = World::new();
    let allowed = || world.session(&Policy::strict().allow_host("mail.localhost"));
    let first = allowed();
    let mut stream = tunnel(world.proxy.address(), &authority, "");
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    let mut echoes = |word: &[u8; 2]| {
        let mut echoed = [0; 2];
        stream.write_all(word).unwrap();
        stream
            .read_exact(&mut echoed)
            .map(|()| assert_eq!(&echoed, word))
    };
    echoes(b"hi").unwrap();
    assert_eq!(first.stats().unwrap().calls.len(), 1);
    first.close().unwrap();
    // The next case has it in its report as well.
    let second = allowed();
    echoes(b"ho").unwrap();
    assert_eq!(second.stats().unwrap().calls[0].method, "CONNECT");
    second.close().unwrap();
    // One whose policy does not let it pass ends it.
    let strict = world.strict();
    assert!(echoes(b"no").is_err());
    assert_eq!(strict.stats().unwrap().strict_misses, 1);
}

#[test]
fn requests_that_are_taken_back_again_and_again_end_the_connection() {
    let world = World::new();
    let session = world.strict();
    let slow = Mock::new(Predicate::outbound().host("slow.example"));
    session
        .mock_outbound(slow.response(MockResponse::new(200)).latency(LIMIT))
        .unwrap();
    let ended = world.http2("slow.example:443", async |mut http2: Http2| {
        for _ in 0..5_000 {
            if http2.ready().await.is_err() {
                return true;
            }
            // Dropping what would wait for the answer takes the request back.
            let sent = http2.send_request(request("GET", "https://slow.example/", "a/b"));
            let _ = tokio::time::timeout(std::time::Duration::ZERO, sent).await;
            tokio::task::yield_now().await;
        }
        false
    });
    assert!(ended);
    let told = refused(&session);
    assert!(
        told.contains("1000 requests in a row were taken back"),
        "{told}"
    );
    // Others go on.
    assert_eq!(
        get(&mut world.connect("mock.example:443"), "mock.example", "").status,
        200
    );
}

#[test]
fn a_mock_that_breaks_a_call_does_so_inside_tls() {
    let world = World::new();
    let session = world.strict();
    for (host, failure) in [
        ("reset.example", Failure::Reset),
        ("empty.example", Failure::Empty),
    ] {
        let mock = Mock::new(Predicate::outbound().host(host));
        session
            .mock_outbound(mock.response(MockResponse::new(200).failure(failure)))
            .unwrap();
        let mut stream = world.connect(&format!("{host}:443"));
        write!(stream, "GET / HTTP/1.1\r\nhost: {host}\r\n\r\n").unwrap();
        let ended = stream.read(&mut [0]);
        match failure {
            Failure::Reset => assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset),
            _ => assert!(!matches!(ended, Ok(1)), "{ended:?}"),
        }
        // In HTTP/2 it is the call that breaks, and not those beside it.
        world.http2(&format!("{host}:443"), async |mut http2: Http2| {
            let broken = http2.send_request(request("GET", &format!("https://{host}/"), "a/b"));
            assert!(broken.await.unwrap_err().to_string().contains("http2"));
            assert!(http2.ready().await.is_ok());
        });
    }
}

#[test]
fn a_server_that_speaks_first_passes_where_the_policy_lets_it() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = format!("mail.localhost:{}", server.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.write_all(b"220 hello");
        }
    });
    let world = World::new();
    let greeting = || {
        let mut stream = tunnel(world.proxy.address(), &authority, "");
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    let allowed = world.session(&Policy::strict().allow_host("mail.localhost"));
    assert_eq!(greeting(), "220 hello");
    let calls = allowed.stats().unwrap().calls;
    assert_eq!(
        (calls[0].method.as_str(), calls[0].answer.name()),
        ("CONNECT", "forwarded")
    );
    allowed.close().unwrap();
    let strict = world.strict();
    assert_eq!(greeting(), "");
    let stats = strict.stats().unwrap();
    assert_eq!(
        (stats.strict_misses, stats.misses[0].host.as_str()),
        (1, authority.as_str())
    );
}

#[test]
fn listed_hosts_pass_unread() {
    let authority = TestAuthority::new();
    let upstream = SecureStub::start(&authority, "up.localhost", None);
    let host = format!("up.localhost:{}", upstream.address.port());
    let world = World::with(|proxy| proxy.tunnel("*.localhost"));
    let own = client_config(&authority.pem, &[]);
    let call = || {
        let stream = tunnel(world.proxy.address(), &host, "");
        let mut stream = secured(stream, "up.localhost", &own);
        write!(stream, "GET /x HTTP/1.1\r\nhost: {host}\r\n\r\n")
            .map(|()| read_answer(&mut stream, false))
    };
    let allowed = world.session(&Policy::strict().allow_host("up.localhost"));
    assert!(call().unwrap().text().contains("/x"));
    assert_eq!(allowed.stats().unwrap().calls[0].method, "CONNECT");
    allowed.close().unwrap();
    // A strict policy still has to let them.
    let strict = world.strict();
    assert!(call().is_err());
    assert_eq!(strict.stats().unwrap().strict_misses, 1);
    assert_eq!(upstream.calls.lock().unwrap().len(), 1);
}

#[test]
fn what_is_forwarded_verifies_its_upstream() {
    let authority = TestAuthority::new();
    let clients = TestAuthority::new();
    let upstream = SecureStub::start(&authority, "up.localhost", None);
    let bank = SecureStub::start(&authority, "bank.localhost", Some(&clients));
    let project = Project::new();
    project.write("up.pem", &authority.pem);
    project.write("none.pem", "nothing");
    let (folder, roots) = (project.path().join("ca"), project.path().join("up.pem"));
    let (folder, roots) = (folder.to_str().unwrap(), roots.to_str().unwrap());
    let ca = || std::fs::read_to_string(project.path().join("ca/ca.pem")).unwrap();
    let call = |served: &Served, host: &str, stub: &SecureStub, protocols: &[&str]| {
        let host = format!("{host}:{}", stub.address.port());
        let stream = tunnel(served.proxy(), &host, "");
        let name = host.split(':').next().unwrap();
        let mut stream = secured(stream, name, &client_config(&ca(), protocols));
        get(&mut stream, &host, "content-type: application/grpc\r\n")
    };
    let served = Served::start(&["--ca", folder]);
    let answer = call(&served, "up.localhost", &upstream, &[]);
    assert_eq!(answer.status, 502);
    assert!(
        answer.text().contains("UnknownIssuer; `upstreamCa`"),
        "{}",
        answer.text()
    );
    drop(served);
    // The authority is the same the next time, and its key is its owner's alone.
    let before = ca();
    let served = Served::start(&["--ca", folder, "--upstream-ca", roots]);
    assert_eq!(before, ca());
    let key = std::fs::metadata(project.path().join("ca/ca-key.pem")).unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&key.permissions()) & 0o777,
        0o600
    );
    let answer = call(&served, "up.localhost", &upstream, &["http/1.1"]);
    assert_eq!(answer.text(), "HTTP/2.0 GET /p te=trailers");
    // A name for which the certificate is not is not verified away.
    let answer = call(&served, "other.localhost", &upstream, &[]);
    assert!(answer.text().contains("not valid for"), "{}", answer.text());
    // A host that asks for a certificate gets none without `upstreamCert`.
    assert_eq!(call(&served, "bank.localhost", &bank, &[]).status, 502);
    let fails = |code: i32, args: &[&str], words: &str| {
        let mut command = softprobe(
            &[
                &["serve", "--listen", "127.0.0.1:0", "--proxy", "127.0.0.1:0"],
                args,
            ]
            .concat(),
        );
        Output::of(command.current_dir(project.path())).ends(code, &[words]);
    };
    fails(
        2,
        &["--upstream-ca", "none.pem"],
        "none.pem: it holds no certificate",
    );
    fails(
        2,
        &["--upstream-ca", "missing.pem"],
        "missing.pem: No such file",
    );
    fails(
        2,
        &["--tunnel", "https://a"],
        "--tunnel: `https://a` is not a host",
    );
    std::fs::write(project.path().join("ca/ca.pem"), &authority.pem).unwrap();
    fails(
        5,
        &["--ca", "ca"],
        "its certificate and its key do not belong together; remove ca.pem",
    );
}

#[test]
fn env_has_an_application_trust_the_authority_of_a_folder() {
    let project = Project::new();
    let own = TestAuthority::new().pem;
    let file = project.write("own.pem", &own);
    let env = || {
        let mut env = softprobe(&["env", "--dotenv", "--ca", "ca", "--files", "files"]);
        Output::of(env.current_dir(project.path()).env("SSL_CERT_FILE", &file))
    };
    let printed = env();
    printed.ends(
        0,
        &[
            "SSL_CERT_FILE=",
            "NODE_EXTRA_CA_CERTS=",
            "-Djavax.net.ssl.trustStore=",
        ],
    );
    let named = printed
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("SSL_CERT_FILE="));
    let ca = std::fs::read_to_string(project.path().join("ca/ca.pem")).unwrap();
    assert_eq!(
        std::fs::read_to_string(named.unwrap()).unwrap(),
        format!("{own}{ca}")
    );
    assert_eq!(printed.stdout, env().stdout);
}

#[test]
fn a_run_reads_the_tls_of_an_application_that_runs_already() {
    let project = Project::new();
    Output::of(softprobe(&["env", "--ca", "ca", "--files", "files"]).current_dir(project.path()))
        .ends(0, &["softprobe: made an authority in ca"]);
    let ca = std::fs::read_to_string(project.path().join("ca/ca.pem")).unwrap();
    let proxy = std::net::SocketAddr::from(([127, 0, 0, 1], crate::support::free_port()));
    let app = crate::support::Stub::start(move |request| {
        let stream = tunnel(proxy, "stock.example:443", "");
        let mut stream = secured(stream, "stock.example", &client_config(&ca, &[]));
        let traced = format!("tracestate: {}\r\n", request.header("tracestate").unwrap());
        let answer = get(&mut stream, "stock.example", &traced);
        crate::support::http(answer.status, &[], answer.text())
    });
    let case = document(&[
        span(
            1,
            "inbound",
            "GET shop.example/x",
            Some(200),
            &[response_body("three")],
        ),
        span(
            2,
            "outbound",
            "GET stock.example/p",
            Some(200),
            &[response_body("three")],
        ),
    ]);
    project.write("a.case.json", case.to_string());
    let suite = "name: s\ncases: a.case.json\nmocks: auto\nunused: fail\npolicy: { externalHttp: strict }\n";
    project.write("s.suite.yaml", suite);
    let listen = proxy.to_string();
    let run = |more: &[&str]| {
        let mut run = softprobe(&["suite", "run", "s.suite.yaml", "--proxy-listen", &listen]);
        run.args(["--app-url", &app.url()]).args(more);
        Output::of(run.current_dir(project.path()))
    };
    run(&["--ca", "ca"]).ends(0, &["1 passed"]);
    let unread = run(&[]);
    unread.ends(
        20,
        &["CONNECT stock.example\n    what is inside was not read: have softprobe launch"],
    );
}

#[test]
fn a_forwarded_call_that_fails_is_told() {
    let upstream = SecureStub::start(&TestAuthority::new(), "up.localhost", None);
    let host = format!("up.localhost:{}", upstream.address.port());
    let world = World::new();
    let session = world.session(&Policy::strict().allow_host("up.localhost"));
    assert_eq!(get(&mut world.connect(&host), &host, "").status, 502);
    let stats = session.stats().unwrap();
    let [told] = stats.uncorrelated.as_slice() else {
        panic!("{stats:?}");
    };
    assert!(told.refused && !told.distrusted, "{told:?}");
    assert!(
        told.reason.contains("UnknownIssuer; `upstreamCa`"),
        "{told:?}"
    );
    assert_eq!((stats.calls.len(), stats.strict_misses), (1, 0));
}

#[test]
fn a_proxy_of_the_environment_is_used_but_for_this_machine() {
    let authority = TestAuthority::new();
    let upstream = SecureStub::start(&authority, "up.example", None);
    // A company's proxy, which knows where the host is and wants to know who asks.
    let company = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = company.local_addr().unwrap();
    let to = upstream.address;
    let (asked, heads) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in company.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let is_tunnel = head.starts_with("CONNECT");
            asked.send(head).unwrap();
            if !is_tunnel {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nplain");
                continue;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let mut upstream = TcpStream::connect(to).unwrap();
            let (mut from, mut into) = (stream.try_clone().unwrap(), upstream.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut into));
            std::thread::spawn(move || std::io::copy(&mut upstream, &mut stream));
        }
    });
    let url = format!("http://user:pass@{at}");
    let variables = [("HTTPS_PROXY", url.as_str()), ("http_proxy", &url)];
    let ByHand { served, ca, .. } = &ByHand::start(&authority, &variables);
    let stream = tunnel(served.proxy(), "up.example:443", "");
    let mut stream = secured(stream, "up.example", &client_config(ca, &[]));
    let answer = get(&mut stream, "up.example", "");
    assert!(answer.text().contains("GET /p"), "{}", answer.text());
    let head = heads.recv_timeout(LIMIT).unwrap();
    assert!(
        head.starts_with("CONNECT up.example:443 HTTP/1.1\r\n"),
        "{head}"
    );
    let credentials = "basic dxnlcjpwyxnz";
    assert!(head.to_ascii_lowercase().contains(credentials), "{head}");
    let mut plain = TcpStream::connect(served.proxy()).unwrap();
    write!(
        plain,
        "GET http://up.example/x HTTP/1.1\r\nhost: up.example\r\n\r\n"
    )
    .unwrap();
    assert_eq!(read_answer(&mut plain, false).text(), "plain");
    let head = heads.recv_timeout(LIMIT).unwrap();
    assert!(
        head.starts_with("GET http://up.example/x HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.to_ascii_lowercase().contains(credentials), "{head}");
    // This machine's own servers are not behind it.
    let own = crate::support::Stub::json(200, &json!("own"));
    let own = own.url().replace("127.0.0.1", "own.localhost");
    write!(plain, "GET {own}/ HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut plain, false).text(), "\"own\"");
    assert!(heads.try_recv().is_err());
}

#[test]
fn a_websocket_passes_where_the_policy_lets_it() {
    let authority = TestAuthority::new();
    let upstream = SecureStub::start(&authority, "up.localhost", None);
    let host = format!("up.localhost:{}", upstream.address.port());
    let ByHand { served, ca, .. } = &ByHand::start(&authority, &[]);
    let switch = || {
        let stream = tunnel(served.proxy(), &host, "");
        let mut stream = secured(stream, "up.localhost", &client_config(ca, &[]));
        let head = "GET /ws HTTP/1.1\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n";
        write!(stream, "{head}host: {host}\r\n\r\n").unwrap();
        (read_answer(&mut stream, true), stream)
    };
    let (answer, mut stream) = switch();
    assert_eq!(
        (answer.status, answer.header("upgrade")),
        (101, vec!["websocket".to_owned()])
    );
    stream.write_all(b"hello").unwrap();
    let mut echoed = [0; 5];
    stream.read_exact(&mut echoed).unwrap();
    assert_eq!(&echoed, b"hello");
    let softprobe = Softprobe::builder().base_url(served.url()).build();
    let session = softprobe.start_session(Mode::Replay).unwrap();
    session.set_policy(&Policy::strict()).unwrap();
    assert_eq!(switch().0.status, 599);
    assert_eq!(session.stats().unwrap().strict_misses, 1);
    session.close().unwrap();
}

#[test]
fn calls_over_tls_are_captured_with_their_trailers() {
    let authority = TestAuthority::new();
    let upstream = SecureStub::start(&authority, "up.localhost", None);
    let host = format!("up.localhost:{}", upstream.address.port());
    let ByHand { served, ca, .. } = &ByHand::start(&authority, &[]);
    let softprobe = Softprobe::builder().base_url(served.url()).build();
    let session = softprobe.start_session(Mode::Capture).unwrap();
    let stream = tunnel(served.proxy(), &host, "");
    let mut stream = secured(stream, "up.localhost", &client_config(ca, &[]));
    get(&mut stream, &host, "content-type: application/grpc\r\n");
    let text = session.captured_case().unwrap().to_string();
    for wanted in [
        r#"{"key":"url.scheme","value":{"stringValue":"https"}}"#,
        r#"{"key":"http.response.trailer.grpc-status","value":{"stringValue":"0"}}"#,
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

#[test]
fn an_application_may_serve_https_itself() {
    let authority = TestAuthority::new();
    let app = SecureStub::start(&authority, "app.example", None);
    let project = Project::new();
    let case = document(&[span(
        1,
        "inbound",
        "GET shop.example/p",
        Some(200),
        &[response_body("HTTP/1.1 GET /p te=")],
    )]);
    project.write("a.case.json", case.to_string());
    project.write("s.suite.yaml", "name: s\ncases: a.case.json\n");
    let run = |url: &str, more: &[&str]| {
        let mut command = softprobe(&["suite", "run", "s.suite.yaml", "--app-url", url]);
        Output::of(command.args(more).current_dir(project.path()))
    };
    // At loopback nobody else has a certificate for it.
    let port = app.address.port();
    run(&format!("https://127.0.0.1:{port}"), &[]).ends(0, &["1 passed"]);
    // What is captured of gRPC can't be sent to it yet.
    let mut grpc = case.to_string();
    grpc = grpc.replace("\"attributes\":[", "\"attributes\":[{\"key\":\"http.request.header.content-type\",\"value\":{\"stringValue\":\"application/grpc\"}},");
    project.write("a.case.json", grpc);
    run(&format!("https://127.0.0.1:{port}"), &[])
        .ends(20, &["it is a call of gRPC (HTTP/2), which can't be sent"]);
}
