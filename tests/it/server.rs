//! `softprobe serve` as a process: token, limits, captures, metrics, OpenAPI document, shutdown.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::command::{Output, Served, address, softprobe};
use crate::support::{Answer, LIMIT, Stub, attribute, document, http, read_answer, send, span};

pub(crate) fn call(server: SocketAddr, line: &str, headers: &str, body: &str) -> Answer {
    let head = format!(
        "{line} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    send(server, head + body)
}

fn post(server: SocketAddr, path: &str, body: &Value) -> Answer {
    call(server, &format!("POST {path}"), "", &body.to_string())
}

fn get(server: SocketAddr, path: &str) -> Answer {
    call(server, &format!("GET {path}"), "", "")
}

pub(crate) fn start(server: SocketAddr, body: &Value) -> String {
    let answer = post(server, "/v1/sessions", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["sessionId"].as_str().unwrap().to_owned()
}

#[test]
fn every_endpoint_except_health_and_metrics_needs_the_token() {
    let served = Served::start_with(&[], &[("SOFTPROBE_API_TOKEN", " s3cret-token ")]);
    let server = served.address();
    assert_eq!(get(server, "/health").status, 200);
    assert_eq!(get(server, "/metrics").status, 200);
    for path in ["/v1/meta", "/v1/sessions", "/openapi.json", "/nothing"] {
        let missing = get(server, path);
        assert_eq!(missing.status, 401, "{path}");
        assert_eq!(missing.json()["error"]["code"], "missing_bearer_token");
        assert_eq!(missing.header("www-authenticate"), ["Bearer"]);
        for wrong in [
            "Bearer s3cret-tokem",
            "Bearer s3cret-token2",
            "s3cret-token",
            "Basic x",
        ] {
            let line = format!("GET {path}");
            let answer = call(server, &line, &format!("authorization: {wrong}\r\n"), "");
            assert_eq!(answer.status, 403, "{path} {wrong}");
            assert_eq!(answer.json()["error"]["code"], "invalid_bearer_token");
        }
    }
    for route in ["/v1/inject", "/v1/traces"] {
        assert_eq!(post(server, route, &json!({})).status, 401);
    }
    let lower = "authorization: bearer  s3cret-token\r\n";
    assert_eq!(call(server, "GET /v1/meta", lower, "").status, 200);
    let right = "authorization: Bearer s3cret-token\r\n";
    assert_eq!(call(server, "GET /v1/meta", right, "").status, 200);
    // The command takes the token from the environment, and no log shows it.
    let mut stats = softprobe(&["session", "start", "--runtime-url", &served.url(), "-vv"]);
    let refused = Output::of(&mut stats);
    refused.ends(1, &["requires a token"]);
    let started = Output::of(stats.env("SOFTPROBE_API_TOKEN", "s3cret-token"));
    started.ends(0, &["sess_"]);
    let stopped = served.stop();
    for text in [&refused.stderr, &started.stderr, &stopped.stderr] {
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn bodies_and_sessions_are_limited() {
    let served = Served::start(&["--max-body", "1000", "--max-sessions", "2"]);
    let server = served.address();
    let large = json!({"mode": "replay", "policy": {"note": "x".repeat(2000)}});
    let refused = post(server, "/v1/sessions", &large);
    assert_eq!(refused.status, 413, "{}", refused.text());
    assert_eq!(refused.json()["error"]["code"], "payload_too_large");
    assert_eq!(
        refused.json()["error"]["message"],
        "a body larger than 1000 bytes is refused"
    );
    // A client that is still sending gets the answer too.
    let project = crate::support::Project::new();
    let case = json!({"version": "1.0.0", "caseId": "c", "traces": [], "x": "x".repeat(8_000_000)});
    project.write("big.case.json", case.to_string());
    let args = [
        "session",
        "load-case",
        "big.case.json",
        "--session",
        "sess_x",
        "--runtime-url",
        &served.url(),
    ];
    crate::command::run_in(project.path(), &args)
        .ends(5, &["a body larger than 1000 bytes is refused"]);
    // A small body that decompresses to a large one.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&[b' '; 100_000]).unwrap();
    let gzip = gzip.finish().unwrap();
    assert!(gzip.len() < 1000);
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        gzip.len()
    );
    assert_eq!(send(server, [head.as_bytes(), &gzip].concat()).status, 413);
    let one = start(server, &json!({"mode": "replay"}));
    start(server, &json!({"mode": "replay"}));
    let third = post(server, "/v1/sessions", &json!({"mode": "replay"}));
    assert_eq!(
        (third.status, &third.json()["error"]["code"]),
        (503, &json!("too_many_sessions"))
    );
    assert_eq!(
        post(server, &format!("/v1/sessions/{one}/close"), &json!({})).status,
        200
    );
    start(server, &json!({"mode": "replay"}));
}

#[test]
fn idle_sessions_are_closed() {
    let served = Served::start(&["--idle-timeout", "1"]);
    let server = served.address();
    let session = start(server, &json!({"mode": "replay"}));
    let deadline = Instant::now() + LIMIT;
    // Listing the sessions does not count as using one.
    while get(server, "/v1/sessions").json()["sessions"] != json!([]) {
        assert!(Instant::now() < deadline, "the session was never closed");
        std::thread::yield_now();
    }
    assert_eq!(
        get(server, &format!("/v1/sessions/{session}/stats")).status,
        404
    );
    let metrics = get(server, "/metrics").text();
    assert!(
        metrics.contains("softprobe_sessions_idle_closed_total 1"),
        "{metrics}"
    );
}

/// Starts a session that captures, sends one call through the proxy, and returns the session's id.
fn captured(served: &Served, upstream: &Stub, more: &Value) -> String {
    let mut body = json!({"mode": "capture"});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let session = start(served.address(), &body);
    let call = format!(
        "GET {}/up?x=1 HTTP/1.1\r\nhost: {}\r\ntracestate: x-softprobe-session-id={session}\r\n\r\n",
        upstream.url(),
        upstream.address
    );
    assert_eq!(send(served.proxy(), call).status, 200);
    session
}

#[test]
fn a_capture_is_written_only_below_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let captures = folder.path().join("captures");
    std::fs::create_dir(&captures).unwrap();
    let upstream = Stub::json(200, &json!({"ok": true}));
    let served = Served::start(&["--captures", captures.to_str().unwrap()]);
    let server = served.address();
    let session = captured(&served, &upstream, &json!({"caseId": "mine"}));
    let close = format!("/v1/sessions/{session}/close");
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path(), captures.join("away")).unwrap();
    for out in [
        "../x.case.json",
        "%2Ftmp%2Fx.case.json",
        "a/../../x",
        "away/x.case.json",
        "a/",
    ] {
        let answer = call(server, &format!("POST {close}?out={out}"), "", "");
        assert_eq!(answer.status, 400, "{out}: {}", answer.text());
        assert!(answer.text().contains("out: `"), "{}", answer.text());
    }
    for query in ["?ouy=x", "?include=all", "?out="] {
        let answer = call(server, &format!("POST {close}{query}"), "", "");
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
    }
    assert_eq!(
        call(server, &format!("POST {close}"), "", "{\"a\":1}").status,
        400
    );
    // None of that closed the session or wrote anything.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let answer = call(server, &format!("POST {close}?out=a/b.case.json"), "", "{}");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let path = answer.json()["capturePath"].as_str().unwrap().to_owned();
    assert!(path.ends_with("captures/a/b.case.json"), "{path}");
    assert!(answer.json().get("case").is_none());
    let case: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(
        (&case["caseId"], &case["mode"]),
        (&json!("mine"), &json!("capture"))
    );
    let read = softprobe::Case::from_document(case).unwrap();
    let exchange = &read.exchanges()[0];
    assert_eq!(exchange.request.target(), "/up?x=1");
    assert_eq!(exchange.response().unwrap().text(), "{\"ok\":true}");

    // Without a folder nothing is written, and the session stays open so its case can be read.
    let served = Served::start(&[]);
    let session = captured(&served, &upstream, &json!({}));
    let path = format!("/v1/sessions/{session}");
    let answer = call(
        served.address(),
        &format!("POST {path}/close?out=x.json"),
        "",
        "",
    );
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().contains("softprobe serve --captures DIR"),
        "{}",
        answer.text()
    );
    let open = get(served.address(), &format!("{path}/case")).json();
    assert_eq!(open["caseId"], *session);
    let closed = call(
        served.address(),
        &format!("POST {path}/close?include=case"),
        "",
        "",
    )
    .json();
    assert_eq!(closed["case"]["traces"], open["traces"]);
    let replay = start(served.address(), &json!({"mode": "replay"}));
    let answer = get(served.address(), &format!("/v1/sessions/{replay}/case"));
    assert_eq!(answer.status, 400, "{}", answer.text());
}

#[test]
fn a_capture_says_what_it_could_not_see() {
    let served = Served::start(&[]);
    let session = start(served.address(), &json!({"mode": "capture"}));
    let upstream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = upstream.local_addr().unwrap();
    let mut stream = TcpStream::connect(served.proxy()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let head = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut stream, true).status, 200);
    stream.write_all(&[0x16]).unwrap();
    // The connection passes, and the log says that its contents went unseen.
    upstream.accept().unwrap();
    let stopped = served.stop();
    let warning = format!(
        "CONNECT {target}: it passes through unread; the capture of session {session} lacks"
    );
    assert!(stopped.stderr.contains(&warning), "{}", stopped.stderr);
}

#[test]
fn metrics_count_what_happens() {
    let upstream = Stub::json(200, &json!({}));
    let served = Served::start(&[]);
    captured(&served, &upstream, &json!({}));
    let strict = start(
        served.address(),
        &json!({"mode": "replay", "policy": {"externalHttp": "strict"}}),
    );
    let missed = format!(
        "GET http://a.example/ HTTP/1.1\r\nhost: a.example\r\nx-softprobe-session-id: {strict}\r\n\r\n"
    );
    assert_eq!(send(served.proxy(), missed).status, 599);
    get(served.address(), "/v1/nothing");
    let unread = call(served.address(), "POST /v1/inject", "", "no span");
    assert_eq!(unread.status, 400);
    let gone = "GET http://a.example/ HTTP/1.1\r\nhost: a\r\nx-softprobe-session-id: gone\r\n\r\n";
    send(served.proxy(), gone);
    let metrics = get(served.address(), "/metrics");
    assert!(metrics.header("content-type")[0].starts_with("text/plain; version=0.0.4"));
    for line in [
        "# TYPE softprobe_sessions_open gauge",
        "softprobe_sessions_open 2",
        "softprobe_sessions_total 2",
        "softprobe_inject_requests_total{result=\"hit\"} 0",
        "softprobe_inject_requests_total{result=\"miss\"} 2",
        "softprobe_inject_requests_total{result=\"error\"} 2",
        "softprobe_inject_latency_seconds_count 2",
        "softprobe_outbound_calls_total{answer=\"forwarded\"} 1",
        "softprobe_outbound_calls_total{answer=\"missed\"} 1",
        "softprobe_extract_spans_total 1",
        "softprobe_http_requests_total{status=\"404\"} 1",
    ] {
        assert!(
            metrics.text().contains(line),
            "{line} is not in\n{}",
            metrics.text()
        );
    }
}

/// Calls each operation of the OpenAPI document and checks the answers against it.
#[test]
fn the_openapi_document_knows_every_predicate() {
    let served = Served::start(&[]);
    let api = get(served.address(), "/openapi.json").json();
    let schema: Value =
        serde_json::from_str(&crate::command::run(&["suite", "schema"]).stdout).unwrap();
    let names = |value: &Value| -> Vec<String> {
        value["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    let rule = &api["components"]["schemas"]["Rule"]["properties"];
    assert_eq!(names(&rule["when"]), names(&schema["definitions"]["match"]));
}

#[test]
fn the_server_conforms_to_its_openapi_document() {
    let served = Served::start(&["--max-body", "100000"]);
    let server = served.address();
    let api = get(server, "/openapi.json").json();
    let validate = |schema: &Value, value: &Value, what: &str| {
        let schema = json!({
            "allOf": [schema], "components": api["components"].clone(),
        });
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(value)
            .map(|e| e.to_string())
            .collect();
        assert!(errors.is_empty(), "{what}: {errors:?}\n{value:#}");
    };
    let case = document(&[
        span(1, "inbound", "GET shop.example/a", Some(200), &[]),
        span(2, "outbound", "GET a.example/b", Some(200), &[]),
    ]);
    let inject = document(&[span(1, "outbound", "GET a.example/b", None, &[])]);
    let bodies = |path: &str, session: &str| match path.rsplit('/').next().unwrap() {
        "sessions" => json!({"mode": "capture", "policy": {"externalHttp": "strict"}}),
        "load-case" => case.clone(),
        "rules" => {
            json!({"version": 1, "rules": [{"name": "r", "when": {"host": "a.example"}, "then": {"action": "mock", "response": {"status": 200, "latencyMs": 0}}}]})
        }
        "policy" => json!({"externalHttp": "strict", "extra": 1}),
        "auth" => json!({"tokens": ["t"], "fixtures": [{"name": "n", "value": 1}]}),
        "inject" => {
            let span = &inject["traces"][0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
            let mut attributes = span["attributes"].as_array().unwrap().clone();
            attributes[1] = attribute("sp.span.type", "inject");
            attributes.push(attribute("sp.session.id", session));
            json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": attributes}]}]}]})
        }
        "traces" => {
            let mut traces = case["traces"][0].clone();
            let spans = &mut traces["resourceSpans"][0]["scopeSpans"][0]["spans"];
            for span in spans.as_array_mut().unwrap() {
                let attributes = span["attributes"].as_array_mut().unwrap();
                attributes.push(attribute("sp.session.id", session));
            }
            traces
        }
        _ => json!({}),
    };
    let paths = api["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap();
        methods
            .iter()
            .map(move |(method, operation)| (path, method, operation))
    });
    let json_type = "content-type: application/json\r\n";
    for (path, method, operation) in operations {
        let session = start(server, &json!({"mode": "capture"}));
        let rules = bodies("/rules", &session);
        assert_eq!(
            post(server, &format!("/v1/sessions/{session}/rules"), &rules).status,
            200
        );
        let concrete = path.replace("{id}", &session);
        let line = format!("{} {concrete}", method.to_uppercase());
        let what = format!("{method} {path}");
        let body = bodies(path, &session);
        if let Some(wanted) = operation["requestBody"]["content"]["application/json"].get("schema")
        {
            validate(wanted, &body, &format!("{what} request"));
        }
        let sent = if method == "get" {
            String::new()
        } else {
            body.to_string()
        };
        if path == "/v1/captures/{id}" {
            // Something was captured before the session was closed.
            let spans = bodies("/v1/traces", &session).to_string();
            assert_eq!(
                call(server, "POST /v1/traces", json_type, &spans).status,
                204
            );
            post(server, &format!("/v1/sessions/{session}/close"), &json!({}));
        }
        // Every documented status that this server can be made to return.
        let mut answers = vec![call(server, &line, json_type, &sent)];
        if method == "post" {
            answers.push(call(server, &line, json_type, "{\"unknown\":"));
            answers.push(call(server, &line, json_type, &"x".repeat(200_000)));
        }
        let gone = path.replace("{id}", "sess_gone");
        answers.push(call(
            server,
            &format!("{} {gone}", method.to_uppercase()),
            json_type,
            &sent,
        ));
        if path == "/v1/inject" {
            answers.push(call(
                server,
                &line,
                json_type,
                &bodies(path, "sess_gone").to_string(),
            ));
            post(
                server,
                &format!("/v1/sessions/{session}/rules"),
                &json!({"rules": []}),
            );
            answers.push(call(server, &line, json_type, &sent));
            let policy = format!("/v1/sessions/{session}/policy");
            post(server, &policy, &json!({"externalHttp": "strict"}));
            answers.push(call(server, &line, json_type, &sent));
            assert_eq!(answers.last().unwrap().status, 599);
        }
        for answer in &answers {
            let responses = &operation["responses"];
            let told = &responses[answer.status.to_string()];
            assert!(
                told.is_object(),
                "{what}: {} is not documented: {}",
                answer.status,
                answer.text()
            );
            let content_type = answer
                .header("content-type")
                .first()
                .cloned()
                .unwrap_or_default();
            let media = content_type.split(';').next().unwrap();
            match told.get("content") {
                None => assert!(answer.body.is_empty(), "{what}"),
                Some(content) => {
                    let schema = content.get(media);
                    let schema =
                        schema.unwrap_or_else(|| panic!("{what}: {media} is not documented"));
                    if media == "application/json" {
                        validate(&schema["schema"], &answer.json(), &what);
                    }
                }
            }
        }
        assert!(
            (200..300).contains(&answers[0].status),
            "{what}: {}",
            answers[0].text()
        );
        // An undocumented method is not allowed, and the answer lists those that are.
        let refused = call(server, &format!("DELETE {concrete}"), "", "");
        assert_eq!(refused.status, 405, "{what}");
        let mut allowed: Vec<String> = paths[path]
            .as_object()
            .unwrap()
            .keys()
            .map(|m| m.to_uppercase())
            .collect();
        allowed.sort();
        assert_eq!(refused.header("allow"), [allowed.join(", ")], "{what}");
        call(
            server,
            &format!("POST /v1/sessions/{session}/close"),
            "",
            "",
        );
    }
}

#[test]
fn a_server_stops_gracefully() {
    for signal in ["-INT", "-TERM"] {
        let (asked, is_asked) = std::sync::mpsc::channel();
        let asked = std::sync::Mutex::new(asked);
        let (release, released) = std::sync::mpsc::channel::<()>();
        let released = std::sync::Mutex::new(released);
        let upstream = Stub::start(move |_| {
            asked.lock().unwrap().send(()).unwrap();
            let _ = released.lock().unwrap().recv_timeout(LIMIT);
            http(200, &[], "late")
        });
        let mut served = Served::start(&[]);
        start(served.address(), &json!({"mode": "replay"}));
        let mut stream = TcpStream::connect(served.proxy()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let head = format!(
            "GET {}/ HTTP/1.1\r\nhost: localhost\r\n\r\n",
            upstream.url()
        );
        stream.write_all(head.as_bytes()).unwrap();
        is_asked.recv_timeout(LIMIT).unwrap();
        served.signal(signal);
        // No further connection is accepted; the running request still gets its answer.
        let deadline = Instant::now() + LIMIT;
        while TcpStream::connect_timeout(&served.proxy(), Duration::from_secs(1)).is_ok() {
            assert!(
                Instant::now() < deadline,
                "the proxy still accepts connections"
            );
            std::thread::yield_now();
        }
        release.send(()).unwrap();
        assert_eq!(read_answer(&mut stream, false).text(), "late");
        let ended = served.wait();
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (0, ""),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn serve_says_where_it_listens_and_what_it_takes_to_be_reached_from_elsewhere() {
    let refused = |args: &[&str], env: &[(&str, &str)], words: &str| {
        let mut command = softprobe(&[&["serve"], args].concat());
        let output = Output::of(command.envs(env.iter().copied()));
        output.ends(1, &["can be reached from other machines", words]);
    };
    let token = [("SOFTPROBE_API_TOKEN", "t")];
    let proxy = "the proxy forwards requests for any client";
    refused(&["--listen", "0.0.0.0:0"], &[], "SOFTPROBE_API_TOKEN");
    let both = ["--listen", "0.0.0.0:0", "--proxy", "0.0.0.0:0"];
    refused(&both, &token, proxy);
    let loopback = ["--listen", "127.0.0.1:0", "--proxy", "[::]:0"];
    refused(&loopback, &[], proxy);
    let served = Served::of(softprobe(&["serve", "--listen", "0.0.0.0:0"]).envs(token));
    assert!(served.url().starts_with("http://0.0.0.0:"));
    let allowed = [("SOFTPROBE_ALLOW_UNAUTHENTICATED", "1")];
    let served = Served::of(softprobe(&[&["serve"][..], &both].concat()).envs(allowed));
    assert!(served.url().starts_with("http://0.0.0.0:"));

    let served = Served::start(&[]);
    let taken = served.address().to_string();
    let refused = crate::command::run(&["serve", "--listen", &taken, "--json"]);
    assert_eq!(refused.document()["error"]["code"], "listen_failed");
    let message = refused.document()["error"]["message"].to_string();
    assert!(message.contains("in use"), "{message}");
    assert!(served.stop().stderr.is_empty());
}

#[test]
fn a_standalone_proxy_serves_a_remote_runtime() {
    let served = Served::start(&[]);
    let upstream = Stub::json(200, &json!({"from": "upstream"}));
    let args = [
        "proxy",
        "--listen",
        "127.0.0.1:0",
        "--runtime-url",
        &served.url(),
    ];
    let proxy = Served::of(&mut softprobe(&args));
    assert_eq!(proxy.said["runtimeUrl"], served.url());
    let listens = address(proxy.said["proxyUrl"].as_str().unwrap());
    let get = |more: &str| {
        let head = format!(
            "GET {}/a HTTP/1.1\r\nhost: {}\r\n",
            upstream.url(),
            upstream.address
        );
        send(listens, format!("{head}{more}\r\n"))
    };
    // No session is open: a standalone proxy forwards.
    assert_eq!(get("").json()["from"], "upstream");
    let session = start(served.address(), &json!({"mode": "capture"}));
    assert_eq!(get("").json()["from"], "upstream");
    let case = self::get(served.address(), &format!("/v1/sessions/{session}/case")).json();
    assert_eq!(
        softprobe::Case::from_document(case)
            .unwrap()
            .exchanges()
            .len(),
        1
    );
    let rules =
        json!({"rules": [{"then": {"action": "mock", "response": {"body": {"from": "mock"}}}}]});
    post(
        served.address(),
        &format!("/v1/sessions/{session}/rules"),
        &rules,
    );
    assert_eq!(get("").json()["from"], "mock");
    // When the runtime is gone, the application gets an error, and nothing is forwarded.
    drop(served);
    let answer = get(&format!("x-softprobe-session-id: {session}\r\n"));
    assert_eq!(answer.status, 502);
    assert!(
        answer.text().contains("no runtime answers at"),
        "{}",
        answer.text()
    );
    assert_eq!(upstream.received().len(), 2);
    assert_eq!(proxy.stop().code, 0);
    let gone = crate::command::run(&[
        "proxy",
        "--listen",
        "127.0.0.1:0",
        "--runtime-url",
        "http://127.0.0.1:1",
    ]);
    gone.ends(3, &["no runtime answers at http://127.0.0.1:1"]);
}

#[test]
fn a_capture_that_ends_on_its_own_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let captures = folder.path().join("made/here");
    let upstream = Stub::json(200, &json!({}));
    let more = [
        "--captures",
        captures.to_str().unwrap(),
        "--idle-timeout",
        "1",
    ];
    let served = Served::start(&more);
    let idle = captured(&served, &upstream, &json!({}));
    let path = |session: &str| captures.join(format!("{session}.case.json"));
    let deadline = Instant::now() + LIMIT;
    while !path(&idle).is_file() {
        assert!(Instant::now() < deadline, "the capture was never written");
        std::thread::yield_now();
    }
    // A session that captured nothing leaves no file.
    start(served.address(), &json!({"mode": "capture"}));
    let open = captured(&served, &upstream, &json!({}));
    let stopped = served.stop();
    assert_eq!(stopped.code, 0);
    for session in [&idle, &open] {
        let text = std::fs::read_to_string(path(session)).unwrap();
        assert_eq!(
            text.parse::<softprobe::Case>().unwrap().exchanges().len(),
            1
        );
        assert!(
            stopped
                .stderr
                .contains(&format!("session {session}: its capture is kept in "))
        );
    }
    assert_eq!(std::fs::read_dir(&captures).unwrap().count(), 2);
    let served = Served::start(&[]);
    let lost = captured(&served, &upstream, &json!({}));
    let stderr = served.stop().stderr;
    assert!(
        stderr.contains(&format!("session {lost}: its capture is lost")),
        "{stderr}"
    );
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("x");
    crate::command::run(&["serve", "--captures", below.to_str().unwrap()])
        .ends(5, &["file/x: can't be created"]);
}

#[test]
fn a_capture_that_cannot_be_written_leaves_its_session_open() {
    let folder = tempfile::tempdir().unwrap();
    let captures = folder.path().join("captures");
    let upstream = Stub::json(200, &json!({"ok": true}));
    let served = Served::start(&["--captures", captures.to_str().unwrap()]);
    let session = captured(&served, &upstream, &json!({}));
    // A file is in the folder's place.
    std::fs::remove_dir(&captures).unwrap();
    std::fs::write(&captures, "").unwrap();
    let close = format!("POST /v1/sessions/{session}/close?out=a.case.json");
    let refused = call(served.address(), &close, "", "");
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert_eq!(refused.json()["error"]["code"], "capture_not_written");
    assert!(
        refused.text().contains("the session is still open"),
        "{}",
        refused.text()
    );
    std::fs::remove_file(&captures).unwrap();
    assert_eq!(call(served.address(), &close, "", "").status, 200);
    let file = captures.join("a.case.json");
    assert!(std::fs::read_to_string(&file).unwrap().contains("url.path"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "only the owner may read a capture");
    }
}

#[test]
fn every_signal_keeps_what_was_captured() {
    for (signal, twice) in [
        ("-INT", false),
        ("-TERM", false),
        ("-HUP", false),
        ("-QUIT", false),
        ("-TERM", true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let upstream = Stub::json(200, &json!({}));
        let captures = folder.path().display().to_string();
        let mut served = Served::start(&["--captures", &captures]);
        let session = start(served.address(), &json!({"mode": "capture"}));
        let head = format!("GET {}/x HTTP/1.1\r\nhost: a\r\n\r\n", upstream.url());
        assert_eq!(send(served.proxy(), head).status, 200);
        served.signal(signal);
        if twice {
            served.signal(signal);
        }
        let ended = served.wait();
        assert!([0, 143].contains(&ended.code), "{signal}: {}", ended.stderr);
        let kept = folder.path().join(format!("{session}.case.json"));
        let text = std::fs::read_to_string(kept).unwrap();
        assert!(text.contains("url.path"), "{signal}: {text}");
    }
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    let served = Served::start(&[]);
    let session = start(served.address(), &json!({"mode": "replay"}));
    let rules =
        json!({"rules": [{"then": {"action": "mock", "response": {"latencyMs": 600_000}}}]});
    post(
        served.address(),
        &format!("/v1/sessions/{session}/rules"),
        &rules,
    );
    let mut stream = TcpStream::connect(served.proxy()).unwrap();
    stream
        .write_all(b"GET http://a.example/ HTTP/1.1\r\nhost: a.example\r\n\r\n")
        .unwrap();
    let stats = format!("/v1/sessions/{session}/stats");
    while get(served.address(), &stats).json()["stats"]["injectedSpans"] != 1 {
        std::thread::yield_now();
    }
    served.signal("-TERM");
    while TcpStream::connect_timeout(&served.proxy(), Duration::from_secs(1)).is_ok() {
        std::thread::yield_now();
    }
    let mut served = served;
    served.signal("-TERM");
    assert_eq!(served.wait().code, 143);
}

#[test]
fn the_first_hop_of_a_capture_is_its_inbound_exchange() {
    let served = Served::start(&[]);
    let app = Stub::start(|request| {
        let passed = |name: &str| request.header(name).unwrap_or("none").to_owned();
        let body = json!([
            passed("tracestate"),
            passed("traceparent"),
            passed("x-softprobe-session-id")
        ]);
        http(200, &[], body.to_string())
    });
    let session = start(served.address(), &json!({"mode": "capture"}));
    let call = format!(
        "GET /__softprobe/http/{}/order HTTP/1.1\r\nhost: localhost\r\ntracestate: a=b\r\nx-softprobe-session-id: {session}\r\n\r\n",
        app.address
    );
    let answer = send(served.proxy(), call).json();
    assert_eq!(answer[0], format!("x-softprobe-session-id={session},a=b"));
    assert!(answer[1].as_str().unwrap().starts_with("00-"), "{answer}");
    assert_eq!(answer[2], "none");
    let case = get(served.address(), &format!("/v1/sessions/{session}/case")).json();
    let case = softprobe::Case::from_document(case).unwrap();
    let inbound = case.inbound().unwrap().unwrap();
    assert_eq!(
        (inbound.request.path.as_str(), case.outbound().count()),
        ("/order", 0)
    );
    // The proxy recorded the same trace that it started.
    assert!(answer[1].as_str().unwrap().contains(&inbound.trace_id));
}
