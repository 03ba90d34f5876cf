//! The control API, over both runtimes: in process and over HTTP.

use std::sync::Arc;

use serde_json::{Value, json};
use softprobe::{
    ControlServer, EmbeddedRuntime, Mock, MockResponse, Mode, Policy, Predicate, Softprobe,
    SoftprobeError,
};

use crate::support::{document, response_body, send, span};

/// Runs a test over each way to reach a runtime.
fn over_both(test: impl Fn(&Softprobe)) {
    let runtime = EmbeddedRuntime::new();
    test(&Softprobe::embedded(&runtime));
    let server = ControlServer::start(&runtime, "127.0.0.1:0").unwrap();
    test(&Softprobe::builder().base_url(server.url()).build());
}

fn payment_case() -> Value {
    let body = response_body("{\"id\":\"pi_1\"}");
    document(&[
        span(1, "inbound", "POST shop.example/checkout", Some(200), &[]),
        span(
            2,
            "outbound",
            "POST api.stripe.com/v1/payment_intents",
            Some(200),
            &[body],
        ),
    ])
}

#[track_caller]
fn refused(result: Result<impl std::fmt::Debug, SoftprobeError>, status: u16, text: &str) {
    match result {
        Err(SoftprobeError::Runtime(error)) => {
            assert_eq!(error.status, status, "{error}");
            assert!(error.to_string().contains(text), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_opens_and_closes_once() {
    over_both(|softprobe| {
        let session = softprobe.start_session(Mode::Replay).unwrap();
        let id = session.id().to_owned();
        // 96 random bits are 16 characters of base64url at least.
        assert!(id.starts_with("sess_") && id.len() >= 21, "{id}");
        session.close().unwrap();
        refused(softprobe.attach(&id).stats(), 404, "is open");
        refused(softprobe.attach(&id).close(), 404, "is open");
    });
}

#[test]
fn dropping_a_session_closes_it_and_dropping_an_attached_one_does_not() {
    over_both(|softprobe| {
        let session = softprobe.start_session(Mode::Replay).unwrap();
        let id = session.id().to_owned();
        drop(softprobe.attach(&id));
        session.stats().unwrap();
        drop(session);
        refused(softprobe.attach(&id).stats(), 404, "is open");
    });
}

#[test]
fn the_scoped_form_closes_whatever_its_closure_returns() {
    over_both(|softprobe| {
        let mut ids = Vec::new();
        let kept: Result<u8, SoftprobeError> = softprobe.with_session(Mode::Replay, |session| {
            ids.push(session.id().to_owned());
            Ok(7)
        });
        assert_eq!(kept.unwrap(), 7);
        let failed: Result<(), SoftprobeError> = softprobe.with_session(Mode::Replay, |session| {
            ids.push(session.id().to_owned());
            Err(SoftprobeError::NoCase)
        });
        assert!(matches!(failed, Err(SoftprobeError::NoCase)));
        for id in ids {
            refused(softprobe.attach(&id).stats(), 404, "is open");
        }
    });
}

#[test]
fn mocks_are_merged_here_and_replaced_on_the_wire() {
    over_both(|softprobe| {
        let session = softprobe.start_session(Mode::Replay).unwrap();
        let mock = |host: &str| Mock::new(Predicate::outbound().host(host)).name(host);
        session.mock_outbound(mock("a.example")).unwrap();
        session.mock_outbound(mock("b.example")).unwrap();
        assert_eq!(session.stats().unwrap().rule_uses, Some(vec![0, 0]));
        session.clear_rules().unwrap();
        assert_eq!(session.stats().unwrap().rule_uses, Some(vec![]));
        session.mock_outbound(mock("c.example")).unwrap();
        assert_eq!(session.stats().unwrap().rule_uses, Some(vec![0]));
    });
}

#[test]
fn a_rule_that_does_not_fit_is_refused_and_leaves_the_others() {
    over_both(|softprobe| {
        let session = softprobe.start_session(Mode::Replay).unwrap();
        let good = || Mock::new(Predicate::outbound().host("a.example"));
        session.mock_outbound(good()).unwrap();
        let bad = good().when("direciton", "outbound");
        refused(
            session.mock_outbound(bad),
            400,
            "rules[1].when.direciton: unknown field; did you mean direction?",
        );
        for (key, value, message) in [
            (
                "headerMatch",
                json!({"a": "("}),
                "rules[1].when.headerMatch.a: `(` is not a regular",
            ),
            (
                "bodyJsonPath",
                json!("x["),
                "rules[1].when.bodyJsonPath: `x[` is not a JSONPath",
            ),
            (
                "notHostSuffix",
                json!("a"),
                "rules[1].when.notHostSuffix: expected a list",
            ),
            (
                "query",
                json!([]),
                "rules[1].when.query: expected an object",
            ),
        ] {
            refused(session.mock_outbound(good().when(key, value)), 400, message);
        }
        session.mock_outbound(good()).unwrap();
        assert_eq!(session.stats().unwrap().rule_uses, Some(vec![0, 0]));
    });
}

#[test]
fn a_case_is_looked_up_and_its_answer_becomes_a_mock() {
    over_both(|softprobe| {
        let session = softprobe.start_session(Mode::Replay).unwrap();
        let stripe = Predicate::outbound().host_suffix("stripe.com");
        assert!(matches!(
            session.find_in_case(&stripe),
            Err(SoftprobeError::NoCase)
        ));
        session.load_case(payment_case()).unwrap();
        let hit = session.find_in_case(&stripe).unwrap();
        assert_eq!(
            (hit.response.status, hit.response.text().as_str()),
            (200, "{\"id\":\"pi_1\"}")
        );
        session
            .mock_outbound(Mock::new(stripe).response(&hit))
            .unwrap();
    });
}

#[test]
fn policies_and_auth_fixtures_are_checked() {
    over_both(|softprobe| {
        let session = softprobe.start_session(Mode::Replay).unwrap();
        session.set_policy(&Policy::strict()).unwrap();
        session
            .set_auth_fixtures(&json!({"tokens": ["t"], "cookies": [], "metadata": {}}))
            .unwrap();
        session
            .set_auth_fixtures(&json!({"fixtures": [{"name": "a", "value": 1}]}))
            .unwrap();
        refused(
            session.set_auth_fixtures(&json!({"tokens": "t"})),
            400,
            "tokens: expected a list",
        );
        refused(
            session.set_auth_fixtures(&json!({"tokenz": []})),
            400,
            "did you mean tokens?",
        );
        refused(
            session.set_auth_fixtures(&json!({"fixtures": [{"name": "a"}]})),
            400,
            "fixtures[0]: `value` is missing",
        );
    });
}

#[test]
fn a_session_is_under_its_policy_from_its_first_moment() {
    let runtime = EmbeddedRuntime::new();
    let server = ControlServer::start(&runtime, "127.0.0.1:0").unwrap();
    let proxy = softprobe::Proxy::start(&runtime, "127.0.0.1:0", softprobe::Idle::Refuse).unwrap();
    for softprobe in [
        Softprobe::embedded(&runtime),
        Softprobe::builder().base_url(server.url()).build(),
    ] {
        let session = softprobe
            .start_session_under(Mode::Replay, &Policy::strict())
            .unwrap();
        let call = "GET http://a.example/ HTTP/1.1\r\nhost: a.example\r\n\r\n";
        assert_eq!(send(proxy.address(), call).status, 599);
        assert_eq!(session.stats().unwrap().strict_misses, 1);
    }
}

#[test]
fn binary_bodies_and_headers_survive_the_wire() {
    let runtime = EmbeddedRuntime::new();
    let server = ControlServer::start(&runtime, "127.0.0.1:0").unwrap();
    let remote = Softprobe::builder().base_url(server.url()).build();
    let proxy = softprobe::Proxy::start(&runtime, "127.0.0.1:0", softprobe::Idle::Refuse).unwrap();
    let session = remote.start_session(Mode::Replay).unwrap();
    let response = MockResponse::new(200)
        .header("x-bytes", vec![0xE9, b'a'])
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2")
        .body(vec![0xff, 0x00, 0x80]);
    session
        .mock_outbound(Mock::new(Predicate::outbound()).response(response))
        .unwrap();
    let answer = send(
        proxy.address(),
        "GET http://a.example/ HTTP/1.1\r\nhost: a.example\r\n\r\n",
    );
    assert_eq!(answer.body, [0xff, 0x00, 0x80]);
    assert_eq!(answer.header("set-cookie"), ["a=1", "b=2"]);
    assert!(answer.head.windows(2).any(|pair| pair == [0xE9, b'a']));
}

#[test]
fn the_server_answers_as_its_table_says() {
    let runtime = EmbeddedRuntime::new();
    let server = ControlServer::start(&runtime, "127.0.0.1:0").unwrap();
    let session = Softprobe::embedded(&runtime)
        .start_session(Mode::Replay)
        .unwrap();
    let call = |request: &str, body: &str| {
        let request = request.replace("{id}", session.id());
        let head = format!(
            "{request} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        send(server.address(), head + body)
    };
    assert_eq!(
        call("GET /health", "").json()["specVersion"],
        "http-control-api@v1"
    );
    assert_eq!(call("GET /v1/meta", "").json()["schemaVersion"], "1");
    let listed = call("GET /v1/sessions", "").json();
    assert_eq!(listed["sessions"][0]["sessionId"], session.id());
    let policy = call(
        "POST /v1/sessions/{id}/policy",
        "{\"externalHttp\":\"strict\",\"new\":1}",
    );
    assert_eq!(policy.json()["sessionRevision"], 1);
    let state = call("GET /v1/sessions/{id}/state", "").json();
    assert_eq!(state["policy"], json!({"externalHttp": "strict", "new": 1}));
    assert_eq!(state["caseSummary"], Value::Null);
    for (request, body, status, code) in [
        ("GET /v1/nothing", "", 404, "not_found"),
        ("GET /v1/sessions/nope/stats", "", 404, "unknown_session"),
        ("POST /v1/sessions", "", 400, "invalid_request"),
        ("POST /v1/sessions", "{", 400, "invalid_request"),
        (
            "POST /v1/sessions",
            "{\"mode\":\"reply\"}",
            400,
            "invalid_request",
        ),
        (
            "POST /v1/sessions/{id}/load-case",
            "{\"version\":\"1.0.0\"}",
            400,
            "invalid_request",
        ),
        (
            "POST /v1/sessions/{id}/rules",
            "{\"rules\":[{\"then\":{\"action\":\"replay\"}}]}",
            400,
            "invalid_request",
        ),
        ("GET /v1/sessions/{id}/rules", "", 405, "method_not_allowed"),
        ("DELETE /v1/sessions", "", 405, "method_not_allowed"),
    ] {
        let answer = call(request, body);
        assert_eq!(answer.status, status, "{request}: {}", answer.text());
        assert_eq!(answer.json()["error"]["code"], code, "{request}");
        assert_eq!(
            answer.header("allow").is_empty(),
            status != 405,
            "{request}"
        );
    }
    let wrong = call("POST /v1/sessions", "{\"mode\":\"reply\"}").json();
    let message = wrong["error"]["message"].as_str().unwrap();
    assert!(message.contains("did you mean replay?"), "{message}");
}

#[test]
fn once_is_spent_exactly_once_under_concurrency() {
    let runtime = EmbeddedRuntime::new();
    let proxy = softprobe::Proxy::start(&runtime, "127.0.0.1:0", softprobe::Idle::Refuse).unwrap();
    let session = Arc::new(
        Softprobe::embedded(&runtime)
            .start_session(Mode::Replay)
            .unwrap(),
    );
    session.set_policy(&Policy::strict()).unwrap();
    session
        .mock_outbound(
            Mock::new(Predicate::outbound())
                .once()
                .response(MockResponse::new(200)),
        )
        .unwrap();
    let address = proxy.address();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(move || {
                send(
                    address,
                    "GET http://a.example/ HTTP/1.1\r\nhost: a.example\r\n\r\n",
                )
                .status
            })
        })
        .collect();
    let mut statuses: Vec<u16> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 599, 599, 599, 599, 599, 599, 599]);
    let stats = session.stats().unwrap();
    assert_eq!((stats.injected_spans, stats.strict_misses), (1, 7));
    let nearest = stats.misses[0].nearest.clone().unwrap();
    assert_eq!(
        (nearest.field.as_str(), nearest.has.as_str()),
        ("consume", "already spent")
    );
}
