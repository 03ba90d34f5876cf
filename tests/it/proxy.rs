//! The proxy over real sockets: its forms, correlation and forwarding.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use softprobe::control::{OnMiss, PolicyMode};
use softprobe::{
    EmbeddedRuntime, Idle, Mock, MockResponse, Mode, Policy, Predicate, Proxy, Softprobe,
    SoftprobeSession,
};

use crate::support::{Answer, LIMIT, Stub, http, read_answer, send};

struct World {
    runtime: EmbeddedRuntime,
    proxy: Proxy,
}

impl World {
    fn new() -> Self {
        let runtime = EmbeddedRuntime::new();
        let proxy = Proxy::start(&Softprobe::embedded(&runtime)).unwrap();
        Self { runtime, proxy }
    }

    /// Starts a strict session in which calls to `mock.example` are answered with its name.
    fn session(&self, name: &str) -> SoftprobeSession {
        let session = Softprobe::embedded(&self.runtime)
            .start_session(Mode::Replay)
            .unwrap();
        session.set_policy(&Policy::strict()).unwrap();
        let response = MockResponse::new(200).body(name);
        let mock = Mock::new(Predicate::outbound().host("mock.example")).name(name);
        session.mock_outbound(mock.response(response)).unwrap();
        session
    }

    fn get(&self, headers: &str) -> Answer {
        let head = "GET http://mock.example/p?q=1 HTTP/1.1\r\nhost: mock.example\r\n";
        send(self.proxy.address(), format!("{head}{headers}\r\n"))
    }
}

#[test]
fn a_call_finds_its_session_in_each_of_five_ways() {
    let world = World::new();
    let one = world.session("one");
    // Exactly one session is open.
    assert_eq!(world.get("").text(), "one");
    let two = world.session("two");
    two.issue_trace("0af7651916cd43dd8448eb211c80319c");
    let encoded = base64(&format!("{}:", two.id()));
    for headers in [
        format!("x-softprobe-session-id: {}\r\n", two.id()),
        format!(
            "tracestate: vendor=1, x-softprobe-session-id={}\r\n",
            two.id()
        ),
        format!("tracestate: vendor=1\r\ntracestate: sp={},3\r\n", two.id()),
        format!("proxy-authorization: Basic {encoded}\r\n"),
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n".to_owned(),
        // The header takes precedence over the tracestate.
        format!(
            "x-softprobe-session-id: {}\r\ntracestate: x-softprobe-session-id={}\r\n",
            two.id(),
            one.id()
        ),
    ] {
        assert_eq!(world.get(&headers).text(), "two", "{headers}");
    }
    assert_eq!(one.stats().unwrap().calls.len(), 1);
    let call = &two.stats().unwrap().calls[0];
    assert_eq!((call.path.as_str(), call.answer.name()), ("/p?q=1", "mock"));
    assert_eq!(call.rule.as_deref(), Some("two"));
}

#[test]
fn a_call_that_matches_no_session_gets_no_mock() {
    let world = World::new();
    let (one, two) = (world.session("one"), world.session("two"));
    let unknown = "tracestate: x-softprobe-session-id=sess_unknown\r\n";
    let foreign = "traceparent: 00-ffffffffffffffffffffffffffffffff-b7ad6b7169203331-01\r\n";
    for (headers, reason) in [
        ("", "it carries no session"),
        (foreign, "its `traceparent` is not one"),
        (unknown, "is not known"),
    ] {
        let answer = world.get(headers);
        assert_eq!(answer.status, 599, "{headers}");
        assert_eq!(answer.header("x-softprobe-strict-miss"), ["1"]);
        for session in [&one, &two] {
            let stats = session.stats().unwrap();
            assert!(stats.calls.is_empty());
            let last = stats.uncorrelated.last().unwrap().clone();
            assert!(last.reason.contains(reason), "{}", last.reason);
            assert_eq!(
                (last.method.as_str(), last.host.as_str()),
                ("GET", "mock.example")
            );
        }
    }
    // A call that names a closed session does not fall back to the only open one.
    two.close().unwrap();
    assert_eq!(world.get(unknown).status, 599);
}

#[test]
fn a_request_that_cannot_be_read_is_listed_before_its_answer() {
    let world = World::new();
    let (one, two) = (world.session("one"), world.session("two"));
    for odd in [
        "GET http://mock.example/a b HTTP/1.1\r\nhost: mock.example\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let before = one.stats().unwrap().uncorrelated.len();
        assert_eq!(send(world.proxy.address(), odd).status, 400);
        for session in [&one, &two] {
            let listed = session.stats().unwrap().uncorrelated;
            assert_eq!(listed.len(), before + 1, "{odd}");
            let last = listed.last().unwrap();
            assert!(
                last.distrusted && last.reason.contains("can't be read"),
                "{last:?}"
            );
        }
    }
    // Behind answers of the session's own on one connection, too.
    let mut stream = TcpStream::connect(world.proxy.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let good = format!(
        "GET http://mock.example/ HTTP/1.1\r\nhost: localhost\r\nx-softprobe-session-id: {}\r\n\r\n",
        one.id()
    );
    for _ in 0..2 {
        stream.write_all(good.as_bytes()).unwrap();
        assert_eq!(read_answer(&mut stream, false).text(), "one");
    }
    stream
        .write_all(b"GET http://mock.example/a b HTTP/1.1\r\n\r\n")
        .unwrap();
    assert_eq!(read_answer(&mut stream, false).status, 400);
    assert_eq!(two.stats().unwrap().uncorrelated.len(), 3);
}

#[test]
fn a_call_that_the_proxy_refuses_is_listed_in_its_session() {
    let world = World::new();
    let (own, other) = (world.session("own"), world.session("other"));
    let id = format!("tracestate: x-softprobe-session-id={}\r\n", own.id());
    let cut = "POST http://pay.example/v1 HTTP/1.1\r\nhost: pay.example\r\ncontent-length: 100\r\n";
    let large = format!(
        "GET http://pay.example/ HTTP/1.1\r\nx: {}\r\n",
        "x".repeat(70_000)
    );
    let large = large.as_str();
    for (head, body, status) in [
        (
            "POST /v1/charges HTTP/1.1\r\nhost: pay.example\r\ncontent-length: 2\r\n",
            "{}",
            403,
        ),
        (
            "POST /v1/charges HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n",
            "{}",
            400,
        ),
        (
            "POST /__softprobe/pay.example/v1 HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n",
            "{}",
            400,
        ),
        (large, "", 431),
        (cut, "{}", 400),
    ] {
        let before = own.stats().unwrap().uncorrelated.len();
        let mut stream = TcpStream::connect(world.proxy.address()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        write!(stream, "{head}{id}\r\n{body}").unwrap();
        if head == cut {
            stream.shutdown(std::net::Shutdown::Write).unwrap();
        }
        assert_eq!(read_answer(&mut stream, false).status, status, "{head}");
        let listed = own.stats().unwrap().uncorrelated;
        assert_eq!(listed.len(), before + 1, "{head}");
        assert!(listed[before].distrusted, "{head}");
    }
    // It is no concern of a session that it does not name.
    assert!(other.stats().unwrap().uncorrelated.is_empty());
    // One that names none concerns all.
    let answer = send(
        world.proxy.address(),
        "GET /v1 HTTP/1.1\r\nhost: pay.example\r\n\r\n",
    );
    assert_eq!(answer.status, 403);
    assert!(
        answer.text().contains("this is a proxy"),
        "{}",
        answer.text()
    );
    assert_eq!(other.stats().unwrap().uncorrelated.len(), 1);
}

#[test]
fn an_uncorrelated_call_is_blocked_if_any_session_is_strict() {
    let world = World::new();
    let upstream = Stub::json(200, &json!({"from": "upstream"}));
    let request = format!(
        "GET {}/x HTTP/1.1\r\nhost: localhost\r\n\r\n",
        upstream.url()
    );
    let softprobe = Softprobe::embedded(&world.runtime);
    let open = || softprobe.start_session(Mode::Replay).unwrap();
    let (one, two) = (open(), open());
    assert_eq!(
        send(world.proxy.address(), &request).json()["from"],
        "upstream"
    );
    let strict = world.session("strict");
    assert_eq!(send(world.proxy.address(), &request).status, 599);
    assert_eq!(upstream.received().len(), 1);
    assert!(strict.stats().unwrap().uncorrelated[0].distrusted);
    drop((one, two));
}

#[test]
fn an_uncorrelated_call_that_every_policy_allows_is_nobodys_concern() {
    let world = World::new();
    let upstream = Stub::json(200, &json!({"from": "upstream"}));
    let request = format!(
        "GET {}/x HTTP/1.1\r\nhost: localhost\r\n\r\n",
        upstream.url()
    );
    let softprobe = Softprobe::embedded(&world.runtime);
    let allowing = Policy::strict().allow_host("127.0.0.1");
    let open = || {
        softprobe
            .start_session_with_policy(Mode::Replay, &allowing)
            .unwrap()
    };
    let (one, two) = (open(), open());
    assert_eq!(send(world.proxy.address(), &request).status, 200);
    for session in [&one, &two] {
        let listed = session.stats().unwrap().uncorrelated;
        assert_eq!((listed.len(), listed[0].distrusted), (1, false));
    }
    // A rule of one of them is about such calls: it may have been meant for it.
    let mock = Mock::new(Predicate::outbound().host("127.0.0.1").path("/x"));
    one.mock_outbound(mock).unwrap();
    assert_eq!(send(world.proxy.address(), &request).status, 599);
    assert!(two.stats().unwrap().uncorrelated[1].distrusted);
}

#[test]
fn an_uncorrelated_call_is_blocked_if_every_policy_would_block_it() {
    let upstream = Stub::json(200, &json!({}));
    for policy in [
        Policy::default().on_miss(OnMiss::Error),
        Policy::default().internal_http(PolicyMode::Strict),
        Policy::default().block_host("127.0.0.1"),
    ] {
        let world = World::new();
        let softprobe = Softprobe::embedded(&world.runtime);
        let open = || {
            softprobe
                .start_session_with_policy(Mode::Replay, &policy)
                .unwrap()
        };
        let (one, two) = (open(), open());
        let request = format!(
            "GET {}/x HTTP/1.1\r\nhost: localhost\r\n\r\n",
            upstream.url()
        );
        assert_eq!(
            send(world.proxy.address(), request).status,
            599,
            "{policy:?}"
        );
        for session in [one, two] {
            assert!(session.stats().unwrap().uncorrelated[0].distrusted);
        }
    }
    assert!(upstream.received().is_empty());
}

#[test]
fn nothing_leaves_the_machine_while_no_session_is_open() {
    let world = World::new();
    let upstream = Stub::json(200, &json!({}));
    let request = format!(
        "GET {}/x HTTP/1.1\r\nhost: localhost\r\n\r\n",
        upstream.url()
    );
    let answer = send(world.proxy.address(), &request);
    assert_eq!(answer.status, 599);
    assert!(
        answer.text().contains("no session is open"),
        "{}",
        answer.text()
    );
    assert!(upstream.received().is_empty());
    let forwarding = Proxy::builder(&Softprobe::embedded(&world.runtime))
        .idle(Idle::Forward)
        .start()
        .unwrap();
    assert_eq!(send(forwarding.address(), &request).status, 200);
}

#[test]
fn a_strict_miss_describes_the_request_and_is_counted() {
    let world = World::new();
    let session = world.session("one");
    let ask = || {
        let request = "POST http://other.example/a/b?c=d HTTP/1.1\r\nhost: other.example\r\ncontent-length: 2\r\n\r\nhi";
        send(world.proxy.address(), request)
    };
    let (first, second) = (ask(), ask());
    assert_eq!(first.status, 599);
    assert_eq!(first.header("content-type"), ["application/json"]);
    let body = first.json();
    assert_eq!(body["error"], "strict policy blocked unmatched outbound");
    assert_eq!(body["sessionId"], session.id());
    let request =
        json!({"method": "POST", "host": "other.example", "path": "/a/b", "query": "c=d"});
    assert_eq!(body["request"], request);
    assert_eq!(
        body["requestFingerprint"],
        second.json()["requestFingerprint"]
    );
    let stats = session.stats().unwrap();
    assert_eq!((stats.strict_misses, stats.misses[0].count), (2, 2));
    let nearest = stats.misses[0].nearest.clone().unwrap();
    assert_eq!(
        (nearest.rule.as_str(), nearest.field.as_str()),
        ("one", "host")
    );
}

#[test]
fn the_reverse_form_names_scheme_and_host_in_its_path() {
    let world = World::new();
    let _session = world.session("reversed");
    let url = world.proxy.reverse_url("https", "mock.example");
    let path = url.strip_prefix(&world.proxy.url()).unwrap();
    let get = |path: &str| {
        send(
            world.proxy.address(),
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        )
    };
    assert_eq!(get(&format!("{path}/v1/x?y=1")).text(), "reversed");
    assert_eq!(get("/__softprobe/ftp/a/").status, 400);
    let plain = get("/v1/x");
    assert_eq!(plain.status, 400);
    assert!(plain.text().contains("HTTP_PROXY"), "{}", plain.text());
}

#[test]
fn plain_http_inside_a_tunnel_is_answered_and_tls_is_a_miss() {
    let world = World::new();
    let session = world.session("tunnelled");
    let _other = world.session("other");
    let connect = |authority: &str| {
        let mut stream = TcpStream::connect(world.proxy.address()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let user = base64(&format!("{}:", session.id()));
        let head = format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n");
        write!(stream, "{head}proxy-authorization: Basic {user}\r\n\r\n").unwrap();
        assert_eq!(read_answer(&mut stream, true).status, 200);
        stream
    };
    let mut stream = connect("mock.example:80");
    // The session named in the CONNECT applies to each request inside the tunnel.
    for _ in 0..2 {
        write!(stream, "GET /p HTTP/1.1\r\nhost: mock.example\r\n\r\n").unwrap();
        assert_eq!(read_answer(&mut stream, false).text(), "tunnelled");
    }
    // An answer without a body is no refusal of the proxy's own.
    session.clear_rules().unwrap();
    let gone = Mock::new(Predicate::outbound()).response(MockResponse::new(404));
    session.mock_outbound(gone).unwrap();
    write!(stream, "GET /p HTTP/1.1\r\nhost: mock.example\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut stream, false).status, 404);
    assert!(session.stats().unwrap().uncorrelated.is_empty());
    // A request that can't be parsed is listed, inside a tunnel as well.
    write!(stream, "no request\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut stream, false).status, 400);
    let listed = session.stats().unwrap().uncorrelated;
    assert!(
        listed.len() == 1 && listed[0].reason.contains("can't be read"),
        "{listed:?}"
    );
    let mut stream = connect("mock.example:443");
    stream.write_all(&[0x16, 3, 1, 0, 1, 0]).unwrap();
    let mut rest = Vec::new();
    // Closed or reset: either way nothing comes back.
    let _ = std::io::Read::read_to_end(&mut stream, &mut rest);
    assert!(rest.is_empty());
    let stats = session.stats().unwrap();
    assert_eq!(stats.strict_misses, 1);
    assert_eq!(stats.misses[0].method, "CONNECT");
    assert_eq!(stats.misses[0].nearest.as_ref().unwrap().field, "scheme");
}

#[test]
fn a_stream_passes_while_it_is_captured() {
    let (next, more) = std::sync::mpsc::channel::<&str>();
    let more = std::sync::Mutex::new(more);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let events = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                std::io::Read::read_exact(&mut stream, &mut byte).unwrap();
                asked.push(byte[0]);
            }
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            // An empty text ends the answer, and a client that has gone does.
            while let Ok(event) = more.lock().unwrap().recv_timeout(LIMIT) {
                if event.is_empty() || stream.write_all(event.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    let world = World::new();
    let softprobe = Softprobe::embedded(&world.runtime);
    let read = |stream: &mut TcpStream, until: &str| {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(until) {
            let mut byte = [0];
            std::io::Read::read_exact(stream, &mut byte).unwrap();
            seen.push(byte[0]);
        }
    };
    let listen = || {
        let mut stream = TcpStream::connect(world.proxy.address()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        write!(stream, "GET http://{events}/ HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        next.send("data: 1\n\n").unwrap();
        // It comes before the stream ends.
        read(&mut stream, "data: 1\n\n");
        stream
    };
    let session = softprobe.start_session(Mode::Capture).unwrap();
    let mut stream = listen();
    next.send("data: 2\n\n").unwrap();
    next.send("").unwrap();
    // Its end comes once it is captured.
    read(&mut stream, "\r\n0\r\n\r\n");
    let captured = session.close_with_case().unwrap().to_string();
    assert!(
        captured.contains("data: 1\\n\\ndata: 2\\n\\n"),
        "{captured}"
    );
    assert!(!captured.contains("sp.response.cut_off"), "{captured}");

    let session = softprobe.start_session(Mode::Capture).unwrap();
    drop(listen());
    let start = std::time::Instant::now();
    let captured = loop {
        // A client that has gone is noticed when there is something for it.
        let _ = next.send("data: 3\n\n");
        let captured = session.captured_case().unwrap().to_string();
        if captured.contains("data: 1") || start.elapsed() > LIMIT {
            break captured;
        }
        std::thread::yield_now();
    };
    assert!(captured.contains("sp.response.cut_off"), "{captured}");
    let case: softprobe::Case = captured.parse().unwrap();
    let warnings = case.warnings().join(" ");
    assert!(
        warnings.contains("the body of the response is cut off: its client went away"),
        "{warnings}"
    );
}

#[test]
fn a_connect_with_a_body_is_refused_and_listed() {
    let world = World::new();
    for framing in ["content-length: 2", "transfer-encoding: chunked"] {
        let session = world.session("open");
        let head = format!("CONNECT a.example:80 HTTP/1.1\r\nhost: a.example:80\r\n{framing}");
        let answer = send(world.proxy.address(), format!("{head}\r\n\r\n2\r\nhi"));
        assert_eq!(answer.status, 400, "{framing}");
        assert!(answer.text().contains("must not have a body"), "{framing}");
        let listed = || session.stats().unwrap().uncorrelated.first().cloned();
        assert!(listed().unwrap().reason.contains("must not have a body"));
    }
}

#[test]
fn forwarding_drops_hop_by_hop_headers_and_returns_the_whole_answer() {
    let world = World::new();
    let body = vec![0xA7_u8; 3 * 1024 * 1024];
    let sent = body.clone();
    let upstream = Stub::start(move |_| {
        http(
            201,
            &[
                ("set-cookie", "a=1"),
                ("set-cookie", "b=2"),
                ("keep-alive", "timeout=5"),
                ("x-odd", "\u{e9}"),
            ],
            &sent,
        )
    });
    let session = Softprobe::embedded(&world.runtime)
        .start_session(Mode::Replay)
        .unwrap();
    let head = format!(
        "POST {}/up?x=1 HTTP/1.1\r\nhost: {}\r\n",
        upstream.url(),
        upstream.address
    );
    let headers = format!(
        "x-softprobe-session-id: {}\r\ntracestate: a=b\r\nconnection: keep-alive, x-hop\r\nx-hop: 1\r\n\
         proxy-connection: keep-alive\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n",
        session.id()
    );
    let answer = send(
        world.proxy.address(),
        format!("{head}{headers}3\r\nabc\r\n0\r\n\r\n"),
    );
    assert_eq!((answer.status, &answer.body), (201, &body));
    assert_eq!(answer.header("set-cookie"), ["a=1", "b=2"]);
    assert!(answer.header("keep-alive").is_empty());
    let received = &upstream.received()[0];
    assert_eq!(received.line, "POST /up?x=1 HTTP/1.1");
    assert_eq!(received.body, b"abc");
    assert_eq!(received.header("tracestate"), Some("a=b"));
    for name in ["x-softprobe-session-id", "x-hop", "te", "proxy-connection"] {
        assert_eq!(received.header(name), None, "{name}");
    }
    assert_eq!(session.stats().unwrap().calls[0].answer.name(), "forwarded");
    let dead = send(
        world.proxy.address(),
        "GET http://127.0.0.1:1/ HTTP/1.1\r\nhost: localhost\r\n\r\n",
    );
    assert_eq!(dead.status, 502);
}

#[test]
fn answers_to_head_and_with_bodiless_statuses_have_no_body() {
    let world = World::new();
    let session = world.session("body");
    let head = send(
        world.proxy.address(),
        "HEAD http://mock.example/ HTTP/1.1\r\nhost: mock.example\r\n\r\n",
    );
    assert_eq!((head.status, head.body.len()), (200, 0));
    for status in [204, 304] {
        session.clear_rules().unwrap();
        let response = MockResponse::new(status).body("dropped");
        session
            .mock_outbound(Mock::new(Predicate::outbound()).response(response))
            .unwrap();
        // Two requests on one connection: a body would be read as the start of the second answer.
        let mut stream = TcpStream::connect(world.proxy.address()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        for _ in 0..2 {
            write!(
                stream,
                "GET http://mock.example/ HTTP/1.1\r\nhost: mock.example\r\n\r\n"
            )
            .unwrap();
            assert_eq!(read_answer(&mut stream, false).status, status);
        }
    }
}

#[test]
fn expect_is_answered_before_the_body_is_sent() {
    let world = World::new();
    let _session = world.session("expected");
    let mut stream = TcpStream::connect(world.proxy.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let head = "POST http://mock.example/ HTTP/1.1\r\nhost: mock.example\r\n";
    write!(
        stream,
        "{head}expect: 100-continue\r\ncontent-length: 3\r\n\r\n"
    )
    .unwrap();
    assert_eq!(read_answer(&mut stream, true).status, 100);
    write!(stream, "abc").unwrap();
    assert_eq!(read_answer(&mut stream, false).text(), "expected");
}

#[test]
fn latency_delays_a_mock_and_errors_keep_their_status() {
    let world = World::new();
    let session = world.session("x");
    session.clear_rules().unwrap();
    // An answer delayed by ten minutes has not arrived when its client gives up.
    let slow = Mock::new(Predicate::outbound()).latency(Duration::from_secs(600));
    session
        .mock_outbound(slow.response(MockResponse::new(200).body("slow")))
        .unwrap();
    let mut stream = TcpStream::connect(world.proxy.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    write!(
        stream,
        "GET http://mock.example/ HTTP/1.1\r\nhost: mock.example\r\n\r\n"
    )
    .unwrap();
    assert!(std::io::Read::read(&mut stream, &mut [0]).is_err());
    session.clear_rules().unwrap();
    let soon = Mock::new(Predicate::outbound()).latency(Duration::from_millis(1));
    session
        .mock_outbound(soon.response(MockResponse::new(200).body("soon")))
        .unwrap();
    assert_eq!(world.get("").text(), "soon");
    session.clear_rules().unwrap();
    let error = MockResponse::new(503)
        .header("retry-after", "9")
        .body("busy");
    session
        .mock_outbound(Mock::new(Predicate::outbound()).error(error))
        .unwrap();
    let answer = world.get("");
    assert_eq!((answer.status, answer.text().as_str()), (503, "busy"));
    assert_eq!(answer.header("retry-after"), ["9"]);
}

#[test]
fn an_answer_to_head_keeps_its_length() {
    let world = World::new();
    let session = world.session("x");
    session.clear_rules().unwrap();
    let length = MockResponse::new(200).header("content-length", "1048576");
    session
        .mock_outbound(Mock::new(Predicate::outbound()).response(length))
        .unwrap();
    let ask = |method: &str| {
        let head = format!(
            "{method} http://mock.example/big HTTP/1.1\r\nhost: mock.example\r\ntracestate: x-softprobe-session-id={}\r\n\r\n",
            session.id()
        );
        send(world.proxy.address(), head)
    };
    assert_eq!(ask("HEAD").header("content-length"), ["1048576"]);
    // Of any other answer it is the length of the body.
    assert_eq!(ask("GET").header("content-length"), ["0"]);
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn a_bare_question_mark_is_captured_as_received() {
    let world = World::new();
    let upstream = Stub::start(|request| http(200, &[], request.line.clone()));
    let session = Softprobe::embedded(&world.runtime)
        .start_session(Mode::Capture)
        .unwrap();
    let call = format!(
        "GET {}/p? HTTP/1.1\r\nhost: localhost\r\n\r\n",
        upstream.url()
    );
    assert_eq!(send(world.proxy.address(), call).text(), "GET /p? HTTP/1.1");
    let case = session.captured_case().unwrap();
    assert!(case.to_string().contains("\"/p?\""), "{case}");
}

#[test]
fn the_span_of_a_delayed_answer_includes_its_delay() {
    let world = World::new();
    let session = Softprobe::embedded(&world.runtime)
        .start_session(Mode::Capture)
        .unwrap();
    let delay = Duration::from_millis(30);
    let late = Mock::new(Predicate::outbound()).latency(delay);
    session
        .mock_outbound(late.response(MockResponse::new(200).body("late")))
        .unwrap();
    let call = "GET http://mock.example/ HTTP/1.1\r\nhost: mock.example\r\n\r\n";
    assert_eq!(send(world.proxy.address(), call).text(), "late");
    let case = session.captured_case().unwrap();
    let span = &case["traces"][0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    let at = |field: &str| span[field].as_str().unwrap().parse::<u128>().unwrap();
    let took = at("endTimeUnixNano") - at("startTimeUnixNano");
    assert!(took >= delay.as_nanos(), "{span}");
}
