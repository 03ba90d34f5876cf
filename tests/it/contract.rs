//! The control API and how calls are answered: in process, over HTTP, with `softprobe serve`, and
//! with a proxy that reaches it over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use softprobe::control::OnMiss;
use softprobe::{
    ControlServer, EmbeddedRuntime, Mock, MockResponse, Mode, Policy, Predicate, Proxy, Response,
    Softprobe, SoftprobeBuilder, SoftprobeError,
};

use crate::command::Served;
use crate::support::{Stub, document, http, response_body, send, span};

/// A way to reach a runtime, with a proxy in front of it.
struct Way {
    name: &'static str,
    softprobe: Softprobe,
    proxy: SocketAddr,
    /// The address of its control API, if any.
    server: Option<SocketAddr>,
}

/// Runs a test once for each way to reach a runtime.
fn over_all(test: impl Fn(&Way)) {
    let runtime = EmbeddedRuntime::new();
    let embedded = Softprobe::embedded(&runtime);
    let proxy = Proxy::start(&embedded).unwrap();
    test(&Way {
        name: "in process",
        softprobe: embedded,
        proxy: proxy.address(),
        server: None,
    });
    let server = ControlServer::start(&runtime).unwrap();
    test(&Way {
        name: "over HTTP",
        softprobe: at(&server.url()).build(),
        proxy: proxy.address(),
        server: Some(server.address()),
    });
    let served = Served::start(&["--refuse-idle"]);
    test(&Way {
        name: "softprobe serve",
        softprobe: at(&served.url()).build(),
        proxy: served.proxy(),
        server: Some(served.address()),
    });
    let proxy = Proxy::start(&at(&served.url()).build()).unwrap();
    test(&Way {
        name: "a proxy elsewhere",
        softprobe: at(&served.url()).build(),
        proxy: proxy.address(),
        server: Some(served.address()),
    });
}

fn at(url: &str) -> SoftprobeBuilder {
    Softprobe::builder().base_url(url)
}

/// Runs a test that needs no proxy once for each way to reach a runtime.
fn over_each(test: impl Fn(&Softprobe)) {
    over_all(|way| test(&way.softprobe));
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
    over_each(|softprobe| {
        let session = softprobe.start_session(Mode::Replay).unwrap();
        let id = session.id().to_owned();
        // 96 random bits make at least 16 characters of base64url.
        assert!(id.starts_with("sess_") && id.len() >= 21, "{id}");
        session.close().unwrap();
        refused(softprobe.attach(&id).stats(), 404, "is open");
        refused(softprobe.attach(&id).close(), 404, "is open");
    });
}

#[test]
fn dropping_a_session_closes_it_and_dropping_an_attached_one_does_not() {
    over_each(|softprobe| {
        let session = softprobe.start_session(Mode::Replay).unwrap();
        let id = session.id().to_owned();
        drop(softprobe.attach(&id));
        session.stats().unwrap();
        drop(session);
        refused(softprobe.attach(&id).stats(), 404, "is open");
    });
}

#[test]
fn the_scoped_form_closes_its_session_whatever_its_closure_returns() {
    over_each(|softprobe| {
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
fn mocks_are_merged_locally_and_replaced_on_the_wire() {
    over_each(|softprobe| {
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
fn an_invalid_rule_is_refused_and_the_others_remain() {
    over_each(|softprobe| {
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
    over_each(|softprobe| {
        let session = softprobe.start_session(Mode::Replay).unwrap();
        let stripe = Predicate::outbound().host_suffix("stripe.com");
        assert!(matches!(
            session.find_in_case(&stripe),
            Err(SoftprobeError::NoCase)
        ));
        session.load_case_from_document(payment_case()).unwrap();
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
fn an_attached_handle_knows_only_what_it_was_given() {
    over_each(|softprobe| {
        let owner = softprobe.start_session(Mode::Replay).unwrap();
        owner.load_case_from_document(payment_case()).unwrap();
        let mock = |name: &str| Mock::new(Predicate::outbound().host("a.example")).name(name);
        owner.mock_outbound(mock("one")).unwrap();
        let attached = softprobe.attach(owner.id());
        let lookup = attached.find_in_case(&Predicate::outbound());
        assert!(matches!(lookup, Err(SoftprobeError::NoCase)), "{lookup:?}");
        attached.mock_outbound(mock("two")).unwrap();
        let rules = owner.stats().unwrap().rule_uses;
        assert_eq!(rules.map(|rules| rules.len()), Some(1));
    });
}

#[test]
fn policies_and_auth_fixtures_are_checked() {
    over_each(|softprobe| {
        let session = softprobe.start_session(Mode::Replay).unwrap();
        session.set_policy(&Policy::strict()).unwrap();
        // A list entry that can't be a host would silently let through, or block, nothing.
        let url = Policy::strict().allow_host("https://login.example");
        refused(
            session.set_policy(&url),
            400,
            "allowHosts[0]: `https://login.example` is not a host",
        );
        let wildcard = Policy::default().block_host("*.example");
        refused(
            softprobe.start_session_with_policy(Mode::Replay, &wildcard),
            400,
            "policy.blockHosts[0]: `*.example` is not a host",
        );
        let response = Policy::default().on_miss(OnMiss::Mock(Response::new(42).into()));
        refused(session.set_policy(&response), 400, "mock.status");
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
fn a_session_is_under_its_policy_from_the_start() {
    over_all(|way| {
        let session = way
            .softprobe
            .start_session_with_policy(Mode::Replay, &Policy::strict())
            .unwrap();
        let call = "GET http://a.example/ HTTP/1.1\r\nhost: a.example\r\n\r\n";
        let answer = send(way.proxy, call);
        assert_eq!(answer.status, 599, "{}", way.name);
        assert_eq!(answer.header("x-softprobe-strict-miss"), ["1"]);
        assert_eq!(answer.json()["sessionId"], session.id());
        assert_eq!(session.stats().unwrap().strict_misses, 1);
    });
}

#[test]
fn binary_bodies_and_headers_survive_the_wire() {
    over_all(|way| {
        let session = way.softprobe.start_session(Mode::Replay).unwrap();
        let response = MockResponse::new(200)
            .header("x-bytes", vec![0xE9, b'a'])
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .body(vec![0xff, 0x00, 0x80]);
        session
            .mock_outbound(Mock::new(Predicate::outbound()).response(response))
            .unwrap();
        let answer = send(
            way.proxy,
            "GET http://a.example/ HTTP/1.1\r\nhost: a.example\r\n\r\n",
        );
        assert_eq!(answer.body, [0xff, 0x00, 0x80], "{}", way.name);
        assert_eq!(answer.header("set-cookie"), ["a=1", "b=2"]);
        assert!(answer.head.windows(2).any(|pair| pair == [0xE9, b'a']));
    });
}

#[test]
fn errors_keep_their_own_status_headers_and_body() {
    over_all(|way| {
        let session = way.softprobe.start_session(Mode::Replay).unwrap();
        // These include the statuses that a proxy could misread, 200 for a mock and 404 for no
        // match, and the body is that of a refusal.
        for status in [200, 400, 404, 418, 503] {
            session.clear_rules().unwrap();
            let body = json!({"error": {"code": "unknown_session", "message": "no"}});
            let error = MockResponse::new(status).header("x-own", "1").json(&body);
            let mock = Mock::new(Predicate::outbound()).error(error);
            session.mock_outbound(mock).unwrap();
            let answer = send(
                way.proxy,
                "GET http://a.example/ HTTP/1.1\r\nhost: a.example\r\n\r\n",
            );
            assert_eq!(answer.status, status, "{}", way.name);
            assert_eq!(
                (answer.header("x-own"), answer.json()),
                (vec!["1".to_owned()], body)
            );
        }
    });
}

#[test]
fn the_server_answers_as_documented() {
    over_all(|way| {
        if let Some(server) = way.server {
            answers_as_its_table_says(&way.softprobe, server);
        }
    });
}

fn answers_as_its_table_says(softprobe: &Softprobe, server: SocketAddr) {
    let session = softprobe.start_session(Mode::Replay).unwrap();
    let call = |request: &str, body: &str| {
        let request = request.replace("{id}", session.id());
        let head = format!(
            "{request} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        send(server, head + body)
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
    over_all(|way| {
        let session = Arc::new(way.softprobe.start_session(Mode::Replay).unwrap());
        session.set_policy(&Policy::strict()).unwrap();
        session
            .mock_outbound(
                Mock::new(Predicate::outbound())
                    .once()
                    .response(MockResponse::new(200)),
            )
            .unwrap();
        let address = way.proxy;
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
        let wanted = [200, 599, 599, 599, 599, 599, 599, 599];
        assert_eq!(statuses, wanted, "{}", way.name);
        let stats = session.stats().unwrap();
        assert_eq!((stats.injected_spans, stats.strict_misses), (1, 7));
        let nearest = stats.misses[0].nearest.clone().unwrap();
        assert_eq!(
            (nearest.field.as_str(), nearest.has.as_str()),
            ("consume", "already spent")
        );
    });
}

#[test]
fn an_exchange_whose_session_closes_midway_is_refused() {
    over_all(|way| {
        let capture = way.softprobe.start_session(Mode::Capture).unwrap();
        let id = capture.id().to_owned();
        let open = std::sync::Mutex::new(Some(capture));
        let upstream = Stub::start(move |_| {
            let session = open.lock().unwrap().take();
            session.unwrap().close().unwrap();
            http(200, &[], "{}")
        });
        let call = format!(
            "GET {}/p HTTP/1.1\r\nhost: localhost\r\ntracestate: x-softprobe-session-id={id}\r\n\r\n",
            upstream.url()
        );
        assert_eq!(send(way.proxy, call).status, 502, "{}", way.name);
    });
}

#[test]
fn a_call_that_matches_no_session_is_listed_in_every_session() {
    over_all(|way| {
        let strict = || {
            way.softprobe
                .start_session_with_policy(Mode::Replay, &Policy::strict())
                .unwrap()
        };
        let (one, two) = (strict(), strict());
        let unknown = "tracestate: x-softprobe-session-id=sess_unknown\r\n";
        for (headers, reason) in [("", "carries no session"), (unknown, "is not known")] {
            let call =
                format!("GET http://a.example/p HTTP/1.1\r\nhost: a.example\r\n{headers}\r\n");
            assert_eq!(send(way.proxy, call).status, 599, "{}", way.name);
            for session in [&one, &two] {
                let stats = session.stats().unwrap();
                let last = stats.uncorrelated.last().unwrap();
                assert!(
                    last.reason.contains(reason),
                    "{}: {}",
                    way.name,
                    last.reason
                );
                assert!(last.distrusted && last.open_sessions == 2);
                assert!(stats.calls.is_empty());
            }
        }
        // With no session open, nothing is forwarded: this proxy refuses calls.
        drop((one, two));
        let call = "GET http://a.example/p HTTP/1.1\r\nhost: a.example\r\n\r\n";
        assert!(
            send(way.proxy, call).text().contains("no session is open"),
            "{}",
            way.name
        );
    });
}

#[test]
fn a_delay_in_a_rule_works_behind_a_remote_proxy() {
    let served = Served::start(&[]);
    // The proxy's timeout does not cut short an answer that a rule delays.
    let remote = at(&served.url())
        .timeout(std::time::Duration::from_secs(2))
        .build();
    let proxy = Proxy::start(&remote).unwrap();
    let session = at(&served.url())
        .build()
        .start_session(Mode::Replay)
        .unwrap();
    let late = Mock::new(Predicate::outbound())
        .latency(std::time::Duration::from_secs(3))
        .response(MockResponse::new(200).body("late"));
    session.mock_outbound(late).unwrap();
    let call = "GET http://a.example/ HTTP/1.1\r\nhost: a.example\r\n\r\n";
    assert_eq!(send(proxy.address(), call).text(), "late");
}

#[test]
fn a_slow_runtime_is_not_reported_as_unreachable() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let slow = crate::support::Stub::start(move |_| {
        let _ = released.lock().unwrap().recv_timeout(crate::support::LIMIT);
        crate::support::http(200, &[], "{}")
    });
    let softprobe = at(&slow.url())
        .timeout(std::time::Duration::from_millis(50))
        .build();
    let error = softprobe.start_session(Mode::Replay).unwrap_err();
    assert!(matches!(error, SoftprobeError::Timeout { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("gave no answer to http://127.0.0.1:"),
        "{error}"
    );
    release.send(()).unwrap();
}
