//! What clients and servers may do, they may do behind the proxy and towards the runner too.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use serde_json::json;
use softprobe::{EmbeddedRuntime, Mock, MockResponse, Mode, Predicate, Proxy, Softprobe};

use crate::support::{
    LIMIT, Project, Stub, Table, attribute, document, http, relayed, response_body, send, span,
};

const STRICT: &str = "policy: { externalHttp: strict }";

/// Starts a server that answers each connection with this; it ends with the process.
fn server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Reads to the end of a request's head; returns whether there was one.
fn read_head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return false,
        }
    }
    true
}

#[test]
fn an_answer_before_the_end_of_the_request_counts() {
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    // It answers once it has seen the head, and reads no more.
    let app = server(move |mut stream| {
        if read_head(&mut stream) {
            stream.write_all(&http(413, &[], "too large")).unwrap();
            let _ = released.lock().unwrap().recv_timeout(LIMIT);
        }
    });
    let project = Project::new();
    let exchanged = [
        attribute("http.request.body", &"a".repeat(12 * 1024 * 1024)),
        response_body("too large"),
    ];
    let inbound = span(1, "inbound", "POST shop.example/a", Some(413), &exchanged);
    project.write("a.case.json", document(&[inbound]).to_string());
    project.write("s.suite.yaml", "name: s\ncases: a.case.json\n");
    project
        .run(&["--app-url", &format!("http://{app}")])
        .passes();
    release.send(()).unwrap();
}

#[test]
fn an_interim_answer_does_not_count() {
    let size = 8 * 1024 * 1024;
    // It sends an interim answer before it reads the body, all of which it wants.
    let app = server(move |mut stream| {
        if !read_head(&mut stream) {
            return;
        }
        let interim = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n";
        stream.write_all(interim.as_bytes()).unwrap();
        let mut body = (&stream).take(size);
        let read = std::io::copy(&mut body, &mut std::io::sink()).unwrap_or_default();
        let answer = http(200, &[], read.to_string());
        let _ = stream.write_all(&answer);
    });
    let project = Project::new();
    let exchanged = [
        attribute("http.request.body", &"a".repeat(size as usize)),
        response_body(&size.to_string()),
    ];
    let inbound = span(1, "inbound", "POST shop.example/a", Some(200), &exchanged);
    project.write("a.case.json", document(&[inbound]).to_string());
    project.write("s.suite.yaml", "name: s\ncases: a.case.json\n");
    project
        .run(&["--app-url", &format!("http://{app}")])
        .passes();
}

#[test]
fn an_idempotent_call_is_repeated_when_its_connection_was_just_closed() {
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    // Each connection answers one request, and ends without a word at the second.
    let upstream = server(move |mut stream| {
        for n in 0..2 {
            if !read_head(&mut stream) {
                return;
            }
            seen.fetch_add(1, Ordering::SeqCst);
            if n == 0 {
                stream.write_all(&http(200, &[], "ok")).unwrap();
            }
        }
    });
    let softprobe = Softprobe::embedded(&EmbeddedRuntime::new());
    let proxy = Proxy::start(&softprobe).unwrap();
    let _session = softprobe.start_session(Mode::Replay).unwrap();
    let call = |method: &str| {
        let head = format!(
            "{method} http://{upstream}/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n"
        );
        send(proxy.address(), head).status
    };
    let statuses: Vec<u16> = (0..6).map(|_| call("GET")).collect();
    assert_eq!(statuses, [200; 6]);
    let before = requests.load(Ordering::SeqCst);
    // What is not idempotent is sent once, whatever becomes of it.
    let statuses: Vec<u16> = (0..4).map(|_| call("POST")).collect();
    assert_eq!(requests.load(Ordering::SeqCst) - before, 4, "{statuses:?}");
}

#[test]
fn a_target_may_have_characters_that_a_url_escapes() {
    let captured = |id: u64, target: &str| {
        let call = format!("GET up.example{target}");
        span(id, "outbound", &call, Some(200), &[response_body("ok")])
    };
    let targets = ["/x?q=\"<a>\"", "/<y>", "/`z^"];
    let captured: Vec<_> = targets
        .iter()
        .zip(2..)
        .map(|(target, id)| captured(id, target))
        .collect();
    let calls: Vec<_> = targets
        .iter()
        .map(|target| json!([format!("GET up.example{target}"), "", ""]))
        .collect();
    let suite = format!("{STRICT}\nmocks: auto\nunused: fail");
    let answers = json!(["200 ok", "200 ok", "200 ok"]);
    relayed(&json!(calls), &captured, &suite, &answers).passes();
}

#[test]
fn a_captured_target_with_such_characters_is_sent() {
    let app = Stub::json(200, &json!({}));
    let project = Project::new();
    let inbound = span(
        1,
        "inbound",
        "GET shop.example/<a>?q=\"b c\"",
        Some(200),
        &[response_body("{}")],
    );
    project.write("a.case.json", document(&[inbound]).to_string());
    project.write("s.suite.yaml", "name: s\ncases: a.case.json\n");
    project.against(&app, &[]).passes();
    assert_eq!(
        app.received()[0].line,
        "GET /%3Ca%3E?q=%22b%20c%22 HTTP/1.1"
    );
}

#[test]
fn a_call_may_have_many_headers() {
    let captured = [span(
        2,
        "outbound",
        "GET up.example/x",
        Some(200),
        &[response_body("ok")],
    )];
    let headers: String = (0..200).map(|n| format!("x-{n}: {n}\r\n")).collect();
    let calls = json!([["GET up.example/x", headers, ""]]);
    let suite = format!("{STRICT}\nmocks: auto");
    relayed(&calls, &captured, &suite, &json!(["200 ok"])).passes();
}

/// Starts a proxy with a session whose policy lets everything pass.
fn proxied() -> (Proxy, softprobe::SoftprobeSession) {
    let softprobe = Softprobe::embedded(&EmbeddedRuntime::new());
    let proxy = Proxy::start(&softprobe).unwrap();
    let session = softprobe.start_session(Mode::Replay).unwrap();
    (proxy, session)
}

#[test]
fn redirects_stay_in_the_reverse_form() {
    let upstream = Stub::start(|_| {
        let headers = [
            ("location", "/login?next=1"),
            ("content-location", "http://other.example/x"),
            ("refresh", "3; url=/later"),
        ];
        http(302, &headers, "")
    });
    let host = upstream.url().replace("http://", "");
    let (proxy, session) = proxied();
    let get = |target: &str| {
        send(
            proxy.address(),
            format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        )
    };
    let answer = get(&format!("/__softprobe/http/{host}/a"));
    assert_eq!(
        answer.header("location"),
        [format!("/__softprobe/http/{host}/login?next=1")]
    );
    assert_eq!(
        answer.header("content-location"),
        ["/__softprobe/http/other.example/x"]
    );
    assert_eq!(
        answer.header("refresh"),
        [format!("3; url=/__softprobe/http/{host}/later")]
    );
    // A client that uses the proxy as one needs no such thing.
    let answer = get(&format!("http://{host}/a"));
    assert_eq!(answer.header("location"), ["/login?next=1"]);
    // A mock's answer is the server's own.
    let moved = MockResponse::new(301).header("location", "https://pay.example/new");
    let mock = Mock::new(Predicate::outbound().host("pay.example")).response(moved);
    session.mock_outbound(mock).unwrap();
    let answer = get("/__softprobe/https/pay.example/old");
    assert_eq!(
        answer.header("location"),
        ["/__softprobe/https/pay.example/new"]
    );
}

#[test]
fn java_clients_are_told_how_long_a_connection_lives() {
    let (proxy, session) = proxied();
    let mock = Mock::new(Predicate::outbound()).response(MockResponse::new(204));
    session.mock_outbound(mock).unwrap();
    let kept = |agent: &str| {
        let head = format!(
            "PUT http://a.example/x HTTP/1.1\r\nhost: a.example\r\nuser-agent: {agent}\r\ncontent-length: 0\r\n\r\n"
        );
        let answer = send(proxy.address(), head);
        (answer.header("connection"), answer.header("keep-alive"))
    };
    for agent in [
        "Java/17.0.2",
        "Java-http-client/21",
        "Apache-HttpClient/4.5.13 (Java/11.0.1)",
    ] {
        let told = (vec!["keep-alive".to_owned()], vec!["timeout=1".to_owned()]);
        assert_eq!(kept(agent), told, "{agent}");
    }
    assert_eq!(kept("node (JavaScript)"), (vec![], vec![]));
}

#[test]
fn an_encoded_mock_is_decoded_for_a_client_that_did_not_ask_for_it() {
    let (proxy, session) = proxied();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"plain text").unwrap();
    let encoded = encoder.finish().unwrap();
    let gzip = MockResponse::new(200)
        .header("content-encoding", "gzip")
        .body(encoded.clone());
    session
        .mock_outbound(Mock::new(Predicate::outbound()).response(gzip))
        .unwrap();
    let get = |accepted: &str| {
        send(
            proxy.address(),
            format!("GET http://a.example/x HTTP/1.1\r\nhost: a\r\n{accepted}\r\n"),
        )
    };
    for accepted in [
        "",
        "accept-encoding: identity\r\n",
        "accept-encoding: br, gzip;q=0\r\n",
    ] {
        let answer = get(accepted);
        assert_eq!(answer.body, b"plain text", "{accepted}");
        assert!(answer.header("content-encoding").is_empty());
    }
    for accepted in [
        "accept-encoding: gzip\r\n",
        "accept-encoding: br;q=1, *\r\n",
    ] {
        let answer = get(accepted);
        assert_eq!(
            (answer.body.clone(), answer.header("content-encoding")),
            (encoded.clone(), vec!["gzip".to_owned()])
        );
    }
}

#[test]
fn inbound_requests_through_the_proxy_have_connections_of_their_own() {
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&connections);
    let app = server(move |mut stream| {
        seen.fetch_add(1, Ordering::SeqCst);
        while read_head(&mut stream) {
            stream.write_all(&http(200, &[], "ok")).unwrap();
        }
    });
    let (proxy, session) = proxied();
    let call = |headers: &str| {
        send(
            proxy.address(),
            format!("GET /__softprobe/http/{app}/a HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n"),
        )
    };
    let named = format!("x-softprobe-session-id: {}\r\n", session.id());
    for _ in 0..3 {
        assert_eq!(call(&named).status, 200);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[test]
fn a_strict_run_that_saw_no_call_says_so() {
    let suite = format!("name: s\ncases: a.case.json\n{STRICT}\n");
    let project = Project::with_answer(200, "{}", &suite);
    let app = Stub::json(200, &json!({}));
    let told = "no outbound call reached the proxy in this run";
    let run = project.against(&app, &[]);
    run.passes();
    assert!(run.stderr.contains(told), "{}", run.all());
    // Any call at all shows that calls arrive.
    let captured = [span(
        2,
        "outbound",
        "GET up.example/x",
        Some(200),
        &[response_body("ok")],
    )];
    let calls = json!([["GET up.example/x", "", ""]]);
    let run = relayed(
        &calls,
        &captured,
        &format!("{STRICT}\nmocks: auto"),
        &json!(["200 ok"]),
    );
    run.passes();
    assert!(!run.stderr.contains(told), "{}", run.all());
}

#[test]
fn a_case_whose_call_did_not_come_is_not_told_of_the_proxy_when_other_calls_came() {
    let captured = [span(
        2,
        "outbound",
        "GET up.example/x",
        Some(200),
        &[response_body("ok")],
    )];
    let suite = format!("{STRICT}\nmocks: auto\noutbound: {{ settleMs: 0 }}");
    let advice = "check that the application's HTTP_PROXY points to it";
    let mut table = Table::new();
    let calls = json!([["GET up.example/x", "", ""]]);
    table.relayed(&calls, &captured, &suite, &json!(["200 ok"]), &[]);
    table.relayed(&json!([]), &captured, &suite, &json!([]), &[]);
    let run = table.run_relayed_with(&["--test-threads", "1"]);
    run.passes();
    assert!(run.stderr.contains("was never used"), "{}", run.all());
    assert!(!run.stderr.contains(advice), "{}", run.all());
    let run = relayed(&json!([]), &captured, &suite, &json!([]));
    assert!(run.stderr.contains(advice), "{}", run.all());
}
