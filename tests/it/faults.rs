//! Exchanges that break: mocks that reset, end or cut off, and captured calls that got no answer.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use softprobe::{
    Case, ControlServer, EmbeddedRuntime, Failure, Mock, MockResponse, Mode, Predicate, Proxy,
    Softprobe,
};

use crate::support::{LIMIT, Project, attribute, document, relayed, response_body, span};

const STRICT: &str = "policy: { externalHttp: strict }";

/// Makes a call and reads until the connection ends; `None` if it stays open.
fn call(proxy: SocketAddr, path: &str, limit: Duration) -> Option<Result<String, ErrorKind>> {
    let mut stream = TcpStream::connect(proxy).unwrap();
    stream.set_read_timeout(Some(limit)).unwrap();
    let head = format!(
        "GET http://up.example{path} HTTP/1.1\r\nhost: up.example\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut read = Vec::new();
    match stream.read_to_end(&mut read) {
        Ok(_) => Some(Ok(String::from_utf8(read).unwrap())),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => Some(Err(error.kind())),
    }
}

/// Returns a mock for a path that fails like this.
fn failing(path: &str, failure: Failure) -> Mock {
    let response = MockResponse::new(200).header("x-a", "b").body("0123456789");
    Mock::new(Predicate::outbound().path(path)).response(response.failure(failure))
}

#[test]
fn a_mock_breaks_the_exchange_in_process_and_over_http() {
    let embedded = Softprobe::embedded(&EmbeddedRuntime::new());
    let runtime = EmbeddedRuntime::new();
    let server = ControlServer::start(&runtime).unwrap();
    let remote = Softprobe::builder().base_url(server.url()).build();
    for softprobe in [embedded, remote] {
        let proxy = Proxy::start(&softprobe).unwrap();
        let session = softprobe.start_session(Mode::Replay).unwrap();
        session
            .mock_all([
                failing("/reset", Failure::Reset),
                failing("/empty", Failure::Empty),
                failing("/timeout", Failure::Timeout),
                failing("/truncated", Failure::Truncated),
            ])
            .unwrap();
        let get = |path: &str| call(proxy.address(), path, LIMIT);
        assert_eq!(get("/reset"), Some(Err(ErrorKind::ConnectionReset)));
        assert_eq!(get("/empty"), Some(Ok(String::new())));
        let truncated = get("/truncated").unwrap().unwrap();
        assert!(truncated.starts_with("HTTP/1.1 200 OK\r\n"), "{truncated}");
        assert!(truncated.contains("content-length: 10\r\n"), "{truncated}");
        assert!(truncated.ends_with("\r\n\r\n01234"), "{truncated}");
        let silent = call(proxy.address(), "/timeout", Duration::from_millis(300));
        assert_eq!(silent, None);
        let calls = session.stats().unwrap().calls;
        let answers: Vec<&str> = calls.iter().map(|call| call.answer.name()).collect();
        assert_eq!(answers, ["fault"; 4]);
    }
}

#[test]
fn a_suite_and_a_rules_document_break_exchanges() {
    let mut project = Project::new();
    let rules = |then: Value| json!({"version": 1, "rules": [{"then": then}]}).to_string();
    for (then, words) in [
        (json!({"action": "fault", "fault": "reset"}), None),
        (
            json!({"action": "fault", "fault": "truncated", "response": {"body": "x"}}),
            None,
        ),
        (json!({"action": "fault"}), Some("`fault` is missing")),
        (
            json!({"action": "fault", "fault": "rest"}),
            Some("did you mean reset?"),
        ),
        (
            json!({"action": "fault", "fault": "truncated"}),
            Some("`response` is missing"),
        ),
        (
            json!({"action": "fault", "fault": "reset", "response": {}}),
            Some("`response` can't be used with this action"),
        ),
        (
            json!({"action": "mock", "response": {}, "fault": "reset"}),
            Some("`fault` can't be used with this action"),
        ),
    ] {
        project.write("rules.json", rules(then.clone()));
        let checked = crate::command::run_in(project.path(), &["validate", "rules", "rules.json"]);
        match words {
            None => drop(checked.ends(0, &[])),
            Some(words) => drop(checked.ends(5, &[words])),
        }
    }
    let suite = |mock: &str| format!("name: s\ncases: a.case.json\nmocks: [ {mock} ]\n");
    for (mock, words) in [
        ("{ fault: reset }", None),
        (
            "{ action: fault, fault: truncated, response: { body: x } }",
            None,
        ),
        (
            "{ fault: reset, response: {} }",
            Some("`response` can't be used with this kind of mock"),
        ),
        ("{ action: fault }", Some("`fault` is missing")),
    ] {
        project = Project::with_answer(200, "{}", &suite(mock));
        let run = project.run(&["--list"]);
        match words {
            None => drop(run.passes()),
            Some(words) => drop(run.fails(&[words])),
        }
    }
}

/// Returns a captured call that got no answer.
fn unanswered(id: u64, path: &str, kind: &str) -> Value {
    let call = format!("GET up.example{path}");
    span(
        id,
        "outbound",
        &call,
        None,
        &[attribute("error.type", kind)],
    )
}

#[test]
fn a_captured_call_without_an_answer_fails_again() {
    let spans = [
        unanswered(2, "/reset", "connection_reset"),
        unanswered(3, "/timeout", "timeout"),
        unanswered(4, "/refused", "connection_refused"),
    ];
    let case: Case = document(&spans).to_string().parse().unwrap();
    let softprobe = Softprobe::embedded(&EmbeddedRuntime::new());
    let proxy = Proxy::start(&softprobe).unwrap();
    let session = softprobe.start_session(Mode::Replay).unwrap();
    session.load_case(case).unwrap();
    for path in ["/reset", "/timeout", "/refused"] {
        let predicate = Predicate::outbound().path(path);
        let hit = session.find_in_case(&predicate).unwrap();
        session
            .mock_outbound(Mock::new(predicate).response(hit))
            .unwrap();
    }
    let get = |path: &str, limit: Duration| call(proxy.address(), path, limit);
    assert_eq!(get("/reset", LIMIT), Some(Err(ErrorKind::ConnectionReset)));
    assert_eq!(get("/timeout", Duration::from_millis(300)), None);
    let refused = get("/refused", LIMIT).unwrap().unwrap();
    assert!(refused.starts_with("HTTP/1.1 502 "), "{refused}");
    assert!(refused.contains("connection_refused"), "{refused}");
    // A suite replays it too.
    let calls = json!([["GET up.example/refused", "", ""]]);
    let answers = json!(["502 softprobe: the call got no answer: connection_refused\n"]);
    let suite = format!("{STRICT}\nmocks: auto\nunused: fail");
    relayed(&calls, &spans[2..], &suite, &answers).passes();
}

#[test]
fn a_status_counts_more_than_an_error_type() {
    let answered = span(
        2,
        "outbound",
        "GET up.example/x",
        Some(503),
        &[attribute("error.type", "503"), response_body("busy")],
    );
    let calls = json!([["GET up.example/x", "", ""]]);
    let suite = format!("{STRICT}\nmocks: auto");
    relayed(&calls, &[answered], &suite, &json!(["503 busy"])).passes();
    // Without either, there is nothing to replay.
    let neither = span(2, "outbound", "GET up.example/x", None, &[]);
    relayed(&calls, &[neither], &suite, &json!([])).fails(&["has no http.response.status_code"]);
}
