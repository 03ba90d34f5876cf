//! Who may call, how much is taken in, and where no request leads.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use serde_json::{Value, json};
use softprobe::control::PolicyMode;
use softprobe::{ControlServer, EmbeddedRuntime, Mode, Policy, Proxy, Softprobe, SoftprobeSession};

use crate::command::{Served, run_in};
use crate::server::call;
use crate::support::{
    Answer, LIMIT, Project, Stub, document, http, read_answer, response_body, send, span,
};

/// A runtime with its control API and a proxy.
struct World {
    softprobe: Softprobe,
    server: ControlServer,
    proxy: Proxy,
}

impl World {
    fn new() -> Self {
        let runtime = EmbeddedRuntime::new();
        let softprobe = Softprobe::embedded(&runtime);
        Self {
            server: ControlServer::start(&runtime).unwrap(),
            proxy: Proxy::start(&softprobe).unwrap(),
            softprobe,
        }
    }

    fn session(&self, policy: &Policy) -> SoftprobeSession {
        let session = self.softprobe.start_session(Mode::Replay).unwrap();
        session.set_policy(policy).unwrap();
        session
    }

    /// Sends a request line with a host and these headers to the proxy.
    fn ask(&self, line: &str, headers: &str) -> Answer {
        send(
            self.proxy.address(),
            format!("{line} HTTP/1.1\r\n{headers}\r\n"),
        )
    }
}

fn connected(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

#[test]
fn a_web_page_does_not_reach_the_control_api() {
    let world = World::new();
    let ask = |headers: &str| {
        let head = format!("POST /v1/sessions HTTP/1.1\r\n{headers}content-length: 17\r\n\r\n");
        send(world.server.address(), head + "{\"mode\":\"replay\"}")
    };
    for (headers, code) in [
        ("host: evil.example\r\n", "forbidden_host"),
        (
            "host: localhost\r\norigin: http://evil.example\r\n",
            "forbidden_origin",
        ),
        ("host: 127.0.0.1\r\norigin: null\r\n", "forbidden_origin"),
    ] {
        let answer = ask(headers);
        assert_eq!(answer.status, 403, "{headers}");
        assert_eq!(answer.json()["error"]["code"], code, "{headers}");
    }
    let local = "host: localhost\r\norigin: http://localhost:3000\r\n";
    assert_eq!(ask(local).status, 200);
}

#[test]
fn names_and_origins_can_be_allowed_and_the_token_is_enough() {
    let allowed = [
        "--allow-host",
        "runtime.internal",
        "--allow-origin",
        "http://shop.example",
    ];
    let served = Served::start(&allowed);
    let get = |served: &Served, headers: &str| {
        let head = format!("GET /v1/sessions HTTP/1.1\r\n{headers}\r\n");
        send(served.address(), head).status
    };
    assert_eq!(get(&served, "host: runtime.internal:1\r\n"), 200);
    assert_eq!(
        get(
            &served,
            "host: localhost\r\norigin: http://shop.example\r\n"
        ),
        200
    );
    assert_eq!(get(&served, "host: other.internal\r\n"), 403);
    let reversed = |host: &str| {
        let head = format!("GET /__softprobe/http/a.example/ HTTP/1.1\r\nhost: {host}\r\n\r\n");
        send(served.proxy(), head).status
    };
    assert_eq!(reversed("other.internal"), 403);
    assert_ne!(reversed("runtime.internal"), 403);
    let served = Served::start_with(&[], &[("SOFTPROBE_API_TOKEN", "t")]);
    assert_eq!(
        get(&served, "host: any.example\r\nauthorization: Bearer t\r\n"),
        200
    );
    assert_eq!(get(&served, "host: any.example\r\n"), 403);
}

#[test]
fn a_web_page_does_not_reach_hosts_behind_the_proxy() {
    let upstream = Stub::json(200, &json!({}));
    let world = World::new();
    let session = world.session(&Policy::strict());
    let line = format!(
        "GET {}",
        upstream.url().replace("http://", "/__softprobe/http/")
    );
    for (headers, words) in [
        ("host: evil.example\r\n", "--allow-host"),
        (
            "host: localhost\r\norigin: https://evil.example\r\n",
            "--allow-origin",
        ),
        (
            "host: localhost\r\nsec-fetch-mode: navigate\r\n",
            "a browser can't open pages",
        ),
    ] {
        let before = session.stats().unwrap().uncorrelated.len();
        let answer = world.ask(&line, headers);
        assert_eq!(answer.status, 403, "{headers}");
        assert!(answer.text().contains(words), "{}", answer.text());
        assert_eq!(session.stats().unwrap().uncorrelated.len(), before + 1);
    }
    // A page's request may come through a proxy, and a client may take this one for its proxy as well.
    let absolute = line.replace("GET /", &format!("GET {}/", world.proxy.url()));
    for headers in [
        "host: evil.example\r\n",
        "host: localhost\r\norigin: https://evil.example\r\n",
    ] {
        assert_eq!(world.ask(&absolute, headers).status, 403, "{headers}");
    }
    assert!(upstream.received().is_empty());
}

#[test]
fn a_path_of_another_host_is_no_reverse_form() {
    let (other, upstream) = (Stub::json(200, &json!({})), Stub::json(200, &json!({})));
    let world = World::new();
    let path = upstream.url().replace("http://", "/__softprobe/http/");
    let session = world.session(&Policy::default());
    let headers = format!(
        "host: localhost\r\nx-softprobe-session-id: {}\r\n",
        session.id()
    );
    let asked = |host: &str| world.ask(&format!("GET {host}{path}/x"), &headers);
    assert_eq!(asked(&other.url()).status, 200);
    assert_eq!(other.received()[0].line, format!("GET {path}/x HTTP/1.1"));
    assert!(upstream.received().is_empty());
    assert_eq!(asked(&world.proxy.url()).status, 200);
    assert_eq!(upstream.received()[0].line, "GET /x HTTP/1.1");
}

#[test]
fn no_request_leads_back_to_softprobe() {
    let world = World::new();
    let _session = world.session(&Policy::default());
    let (proxy, server) = (world.proxy.address(), world.server.address());
    let own = |host: &str| format!("{host}:{}", proxy.port());
    for host in [
        "127.0.0.1",
        "localhost",
        "127.1",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "2130706433",
    ] {
        let host = own(host);
        let reverse = format!("GET /__softprobe/http/{host}/__softprobe/http/{host}/x");
        assert_eq!(
            world.ask(&reverse, "host: localhost\r\n").status,
            508,
            "{host}"
        );
        let forward = format!("GET http://{host}/__softprobe/http/{host}/x");
        assert_eq!(
            world.ask(&forward, "host: localhost\r\n").status,
            508,
            "{host}"
        );
        let tunnel = format!("CONNECT {host}");
        assert_eq!(world.ask(&tunnel, "host: a\r\n").status, 508, "{host}");
    }
    // The control API has the same address as a page that came through the reverse form.
    let control = format!("GET /__softprobe/http/127.1:{}/v1/sessions", server.port());
    assert_eq!(world.ask(&control, "host: localhost\r\n").status, 403);
    let forward = format!("GET http://{server}/health");
    assert_eq!(world.ask(&forward, "host: a\r\n").status, 200);
    // So has a runtime elsewhere.
    let remote = Softprobe::builder()
        .base_url(world.server.url().replace("127.0.0.1", "localhost"))
        .build();
    let remote = Proxy::start(&remote).unwrap();
    let head = format!("{control} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(send(remote.address(), head).status, 403);
}

#[test]
fn a_policy_reads_a_host_as_whoever_dials_it() {
    let upstream = Stub::json(200, &json!({}));
    let port = upstream.url().rsplit(':').next().unwrap().to_owned();
    let world = World::new();
    let internal = Policy::default().internal_http(PolicyMode::Strict);
    let blocked = Policy::default().block_host("127.0.0.1");
    for policy in [internal, blocked] {
        let session = world.session(&policy);
        let id = format!("x-softprobe-session-id: {}\r\n", session.id());
        for host in [
            "127.0.0.1",
            "127.1",
            "0177.0.0.1",
            "0x7f000001",
            "2130706433",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
            "127.0.0.1.",
        ] {
            let headers = format!("host: localhost\r\n{id}");
            let forward = world.ask(&format!("GET http://{host}:{port}/x"), &headers);
            assert_eq!(forward.status, 599, "{host}");
            let reverse = world.ask(&format!("GET /__softprobe/http/{host}:{port}/x"), &headers);
            assert_eq!(reverse.status, 599, "{host}");
        }
        let user = world.ask(
            &format!("GET http://x@127.0.0.1:{port}/"),
            &format!("host: a\r\n{id}"),
        );
        assert_eq!(user.status, 599);
        let line = format!("GET /__softprobe/http/x@127.0.0.1:{port}/");
        assert_eq!(
            world.ask(&line, &format!("host: localhost\r\n{id}")).status,
            400
        );
    }
    assert!(upstream.received().is_empty());
    // What is allowed is dialled in the same form.
    let session = world.session(&Policy::strict().allow_host("127.0.0.1"));
    let headers = format!("host: a\r\nx-softprobe-session-id: {}\r\n", session.id());
    assert_eq!(
        world
            .ask(&format!("GET http://127.1:{port}/x"), &headers)
            .status,
        200
    );
    assert_eq!(
        upstream.received()[0].header("host"),
        Some(&*format!("127.0.0.1:{port}"))
    );
}

#[test]
fn a_tunnel_in_a_tunnel_and_one_without_a_port_are_refused() {
    let world = World::new();
    let session = world.session(&Policy::strict());
    let mut stream = connected(world.proxy.address());
    let connect = b"CONNECT a.example:80 HTTP/1.1\r\nhost: a.example:80\r\n\r\n";
    stream.write_all(connect).unwrap();
    assert_eq!(read_answer(&mut stream, true).status, 200);
    stream.write_all(connect).unwrap();
    assert_eq!(read_answer(&mut stream, false).status, 400);
    assert_eq!(
        world.ask("CONNECT a.example", "host: a.example\r\n").status,
        400
    );
    let listed = session.stats().unwrap().uncorrelated;
    let reasons: Vec<String> = listed.into_iter().map(|call| call.reason).collect();
    assert_eq!(
        reasons,
        [
            "a CONNECT inside a tunnel is refused",
            "CONNECT needs host:port"
        ]
    );
}

#[test]
fn a_client_that_sends_no_more_gets_its_answer() {
    let upstream = Stub::json(200, &json!({"from": "upstream"}));
    let world = World::new();
    let _session = world.session(&Policy::default());
    let forwarded = format!("GET {}/x HTTP/1.1\r\nhost: a\r\n\r\n", upstream.url());
    let control = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned();
    for (address, request) in [
        (world.proxy.address(), forwarded),
        (world.server.address(), control),
    ] {
        let mut stream = connected(address);
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_answer(&mut stream, false).status, 200, "{request}");
    }
}

#[test]
fn an_answer_is_not_lost_with_what_was_not_read() {
    let world = World::new();
    let _session = world.session(&Policy::default());
    let head = format!(
        "GET http://a.example/ HTTP/1.1\r\na: {}",
        "x".repeat(256 * 1024)
    );
    for address in [world.proxy.address(), world.server.address()] {
        let mut stream = connected(address);
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // A connection that is closed with something unread is reset.
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
}

#[test]
fn chunks_count_and_not_a_length_beside_them() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer).unwrap();
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
                       5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
        stream.write_all(answer).unwrap();
    });
    let world = World::new();
    let _session = world.session(&Policy::default());
    let answer = world.ask(&format!("GET http://{upstream}/"), "host: a\r\n");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "hello world")
    );
    serving.join().unwrap();
}

#[test]
fn a_head_has_a_limit() {
    let world = World::new();
    let session = world.session(&Policy::strict());
    let ask = |headers: String| {
        world
            .ask("GET http://a.example/", &format!("host: a\r\n{headers}"))
            .status
    };
    assert_eq!(ask(format!("x: {}\r\n", "x".repeat(60_000))), 599);
    assert_eq!(ask("x: y\r\n".repeat(250)), 599);
    assert_eq!(session.stats().unwrap().uncorrelated.len(), 0);
    for headers in [
        format!("x: {}\r\n", "x".repeat(70_000)),
        "x: y\r\n".repeat(300),
    ] {
        let before = session.stats().unwrap().uncorrelated.len();
        assert_eq!(ask(headers), 431);
        assert_eq!(session.stats().unwrap().uncorrelated.len(), before + 1);
    }
}

#[test]
fn a_rule_that_cannot_be_decided_fails_by_its_name() {
    let world = World::new();
    let body = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
    let rules = json!({"version": 1, "rules": [
        {"name": "cheap", "when": {"host": "a.example"}, "then": {"action": "mock", "response": {"body": "cheap"}}},
        {"name": "costly", "when": {"host": "a.example", "bodyJsonPath": "$[?count(@..a..a..a..a..a..a) > 1]"},
         "then": {"action": "mock", "response": {"body": "costly"}}},
    ]});
    let ask = |policy: &Policy| {
        let session = world.session(policy);
        let path = format!("POST /v1/sessions/{}/rules", session.id());
        assert_eq!(
            call(world.server.address(), &path, "", &rules.to_string()).status,
            200
        );
        let request = |body: &str| {
            let id = session.id();
            let head = "POST http://a.example/ HTTP/1.1\r\nhost: a\r\nx-softprobe-session-id: ";
            let length = body.len();
            send(
                world.proxy.address(),
                format!("{head}{id}\r\ncontent-length: {length}\r\n\r\n{body}"),
            )
        };
        assert_eq!(request("{}").text(), "cheap");
        let nested = request(&format!("[{body}]"));
        (nested.status, nested.text(), session.stats().unwrap())
    };
    let (status, text, _) = ask(&Policy::default());
    assert_eq!(status, 500);
    assert!(
        text.contains("rule `costly`") && text.contains("more than 1000000 nodes"),
        "{text}"
    );
    let (status, _, stats) = ask(&Policy::strict());
    assert_eq!(status, 599);
    let miss: Value = serde_json::to_value(format!("{:?}", stats.misses[0])).unwrap();
    assert!(miss.to_string().contains("costly"), "{miss}");
}

#[test]
fn what_traffic_holds_is_shown_escaped() {
    let served = Served::start(&["-v"]);
    let id = crate::server::start(
        served.address(),
        &json!({"mode": "replay", "policy": {"externalHttp": "strict"}}),
    );
    let odd = "\u{1b}]0;owned\u{7}x";
    let head = format!(
        "GET http://a.example/p HTTP/1.1\r\nhost: a\r\nx-softprobe-session-id: {id}\r\nproxy-authorization: {odd}\r\n\r\n"
    );
    let _ = send(served.proxy(), head);
    let stopped = served.stop();
    assert!(!stopped.stderr.contains('\u{1b}'), "{:?}", stopped.stderr);

    let project = Project::new();
    let path = "GET shop.example/\u{1b}[2Jx";
    let inbound = span(
        1,
        "inbound",
        path,
        Some(200),
        &[response_body("\u{1b}[31mred\u{9b}\n[ERROR] forged")],
    );
    project.write(
        "a.case.json",
        document(std::slice::from_ref(&inbound)).to_string(),
    );
    let other = span(1, "inbound", path, Some(200), &[response_body("other")]);
    project.write("b.case.json", document(&[other]).to_string());
    project.write("s.suite.yaml", "name: \"s\\e[2J\"\ncases: a.case.json\n");
    let app = Stub::start(|_| http(200, &[], "\u{1b}[0mother"));
    for args in [
        &["inspect", "case", "a.case.json"][..],
        &[
            "suite",
            "diff",
            "--baseline",
            "a.case.json",
            "--current",
            "b.case.json",
        ],
        &[
            "suite",
            "run",
            "s.suite.yaml",
            "--app-url",
            &app.url(),
            "--proxy-listen",
            "127.0.0.1:0",
        ],
    ] {
        let run = run_in(project.path(), args);
        let all = run.stdout + &run.stderr;
        assert!(all.contains("u{1b}"), "{args:?}: {all}");
        let odd = |c: char| c.is_control() && c != '\n';
        assert!(!all.contains(odd), "{args:?}: {all:?}");
    }
}

#[test]
fn errors_show_no_secret() {
    let served = Served::start(&[]);
    let id = crate::server::start(served.address(), &json!({"mode": "replay"}));
    let post = |step: &str, body: Value| {
        let path = format!("POST /v1/sessions/{id}/{step}");
        let answer = call(served.address(), &path, "", &body.to_string());
        assert_eq!(answer.status, 400);
        answer.text()
    };
    let then = json!({"action": "passthrough"});
    for text in [
        post("fixtures/auth", json!({"tokens": "s3cret"})),
        post(
            "fixtures/auth",
            json!({"metadata": "s3cret", "cookies": ["s3cret"], "fixtures": ["s3cret"]}),
        ),
        post(
            "rules",
            json!({"rules": [{"when": {"headerMatch": {"authorization": "Bearer (s3cret"}}, "then": then}]}),
        ),
    ] {
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn a_body_that_decodes_to_too_much_is_refused() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let block = vec![0_u8; 1024 * 1024];
    for _ in 0..65 {
        encoder.write_all(&block).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let world = World::new();
    let session = world.session(&Policy::strict());
    let mut request = format!(
        "POST http://a.example/ HTTP/1.1\r\nhost: a\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        bomb.len()
    )
    .into_bytes();
    request.extend(bomb);
    assert_eq!(send(world.proxy.address(), request).status, 413);
    let listed = session.stats().unwrap().uncorrelated;
    assert_eq!(
        listed[0].reason,
        "its body decodes to more than 67108864 bytes"
    );
}

#[test]
fn an_upload_that_is_too_large_to_be_held_passes_through() {
    const LENGTH: usize = 65 * 1024 * 1024;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = listener.local_addr().unwrap();
    // Counts the bytes of one body, without keeping them.
    let counting = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let (mut head, mut buffer) = (Vec::new(), vec![0; 1024 * 1024]);
        let mut body = loop {
            let count = stream.read(&mut buffer).unwrap();
            head.extend_from_slice(&buffer[..count]);
            if let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break head.len() - end - 4;
            }
        };
        while body < LENGTH {
            body += stream.read(&mut buffer).unwrap();
        }
        stream.write_all(&http(200, &[], "taken")).unwrap();
        (String::from_utf8_lossy(&head).to_ascii_lowercase(), body)
    });
    let world = World::new();
    let upload = |session: &SoftprobeSession| {
        let mut stream = connected(world.proxy.address());
        let head = format!(
            "POST http://{upstream}/ HTTP/1.1\r\nhost: a\r\nx-softprobe-session-id: {}\r\ncontent-length: {LENGTH}\r\n\r\n",
            session.id()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let block = vec![b'x'; 1024 * 1024];
        for _ in 0..LENGTH / block.len() {
            // A client may be answered before it has sent everything.
            if stream.write_all(&block).is_err() {
                break;
            }
        }
        read_answer(&mut stream, false)
    };
    let session = world.session(&Policy::default());
    let rules = |session: &SoftprobeSession, rule: Value| {
        let path = format!("POST /v1/sessions/{}/rules", session.id());
        let body = json!({"rules": [rule]}).to_string();
        assert_eq!(call(world.server.address(), &path, "", &body).status, 200);
    };
    assert_eq!(upload(&session).text(), "taken");
    let (head, body) = counting.join().unwrap();
    assert!(
        head.contains(&format!("content-length: {LENGTH}")),
        "{head}"
    );
    assert_eq!(body, LENGTH);
    // A rule that has to look into it can't be decided; one that does not answers.
    let mock = json!({"action": "mock", "response": {"body": "mocked"}});
    rules(
        &session,
        json!({"name": "looks", "when": {"body": {"regex": "y"}}, "then": mock}),
    );
    let undecided = upload(&session);
    assert_eq!(undecided.status, 500);
    assert!(
        undecided.text().contains("`looks` can't be decided"),
        "{}",
        undecided.text()
    );
    rules(&session, json!({"when": {"method": "POST"}, "then": mock}));
    assert_eq!(upload(&session).text(), "mocked");
    let strict = world.session(&Policy::strict());
    assert_eq!(upload(&strict).status, 599);
    assert_eq!(strict.stats().unwrap().strict_misses, 1);
}
