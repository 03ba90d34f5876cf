//! The SDK's errors, one test per row of the reference's catalogue, and its logging.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;
use softprobe::hook::HookContext;
use softprobe::{
    Case, ControlServer, Direction, EmbeddedRuntime, Headers, Mock, MockResponse, Mode,
    ModuleSession, Predicate, Proxy, Request, Softprobe, SoftprobeError,
};

use crate::support::{LIMIT, Project, Stub, attribute, document, span};

fn embedded() -> Softprobe {
    Softprobe::embedded(&EmbeddedRuntime::new())
}

#[test]
fn an_unreachable_runtime_says_where_and_why() {
    let softprobe = Softprobe::builder().base_url("http://127.0.0.1:1").build();
    let error = softprobe.start_session(Mode::Replay).unwrap_err();
    let SoftprobeError::Unreachable { url, source, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(url, "http://127.0.0.1:1/v1/sessions");
    // The cause is the source's to say, and only the source's.
    let cause = source.to_string();
    assert!(cause.contains("refused"), "{cause}");
    assert!(!error.to_string().contains(&cause), "{error}");
    assert!(error.to_string().contains("start one"), "{error}");
}

#[test]
fn another_server_is_not_mistaken_for_a_runtime() {
    let stub = Stub::start(|_| crate::support::http(200, &[], "<html>"));
    let softprobe = Softprobe::builder().base_url(stub.url()).build();
    let error = softprobe.start_session(Mode::Replay).unwrap_err();
    assert!(
        error.to_string().contains("does not speak the control API"),
        "{error}"
    );
}

#[test]
fn a_refusal_has_status_body_and_url() {
    let stub = Stub::json(
        500,
        &json!({"error": {"code": "internal_error", "message": "broken"}}),
    );
    let softprobe = Softprobe::builder().base_url(stub.url()).build();
    let SoftprobeError::Runtime(error) = softprobe.start_session(Mode::Replay).unwrap_err() else {
        panic!();
    };
    assert_eq!(
        (error.status, error.url.clone()),
        (500, format!("{}/v1/sessions", stub.url()))
    );
    assert!(error.body().contains("internal_error"));
    assert_eq!(error.code.as_deref(), Some("internal_error"));
}

#[test]
fn an_unknown_session_is_a_404() {
    let error = embedded().attach("sess_gone").stats().unwrap_err();
    assert_eq!(error.status(), Some(404));
    assert!(error.is_unknown_session());
}

#[test]
fn attaching_does_not_call_the_runtime() {
    let softprobe = Softprobe::builder().base_url("http://127.0.0.1:1").build();
    assert_eq!(softprobe.attach("sess_there").id(), "sess_there");
}

#[test]
fn an_invalid_rule_is_a_400() {
    let session = embedded().start_session(Mode::Replay).unwrap();
    let mock = Mock::new(Predicate::outbound()).when("nope", 1);
    assert_eq!(session.mock_outbound(mock).unwrap_err().status(), Some(400));
}

#[test]
fn a_lookup_lists_what_it_matched() {
    let session = embedded().start_session(Mode::Replay).unwrap();
    let spans = [
        span(1, "outbound", "GET a.example/x", Some(200), &[]),
        span(2, "outbound", "GET a.example/y", Some(200), &[]),
    ];
    session.load_case_from_document(document(&spans)).unwrap();
    let find = |predicate| match session.find_in_case(&predicate).unwrap_err() {
        SoftprobeError::CaseLookup(error) => error,
        other => panic!("{other:?}"),
    };
    let several = find(Predicate::outbound().host("a.example"));
    let ids: Vec<&str> = several
        .matches
        .iter()
        .map(|span| span.span_id.as_str())
        .collect();
    assert_eq!(ids, ["0000000000000001", "0000000000000002"]);
    assert_eq!(several.matches[1].path, "/y");
    let none = find(Predicate::outbound().host("a.example").path("/z"));
    assert!(none.matches.is_empty());
    let text = none.to_string();
    assert!(
        text.contains("span 0000000000000001: GET a.example/x -> 200: path is `/x`"),
        "{text}"
    );
    assert_eq!(
        session
            .find_all_in_case(&Predicate::outbound())
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn a_case_that_does_not_load_names_its_file_and_place() {
    let project = Project::new();
    let session = embedded().start_session(Mode::Replay).unwrap();
    for (text, message) in [
        ("{\n  oops", "line 2, column 3: not JSON"),
        (
            "{\"version\": \"1.0.0\", \"caseId\": \"x\"}",
            "`traces` is missing",
        ),
        (
            "{\"version\": \"2.0.0\", \"caseId\": \"x\", \"traces\": []}",
            "major version 1",
        ),
        (
            "{\"version\": \"1.0.0\", \"caseId\": \"x\", \"traces\": [{\"resourceSpans\": 1}]}",
            "traces[0].resourceSpans: expected a list",
        ),
    ] {
        let file = project.write("bad.case.json", text);
        let SoftprobeError::CaseLoad(error) = session.load_case_from_file(&file).unwrap_err()
        else {
            panic!();
        };
        assert_eq!(error.path, file);
        assert!(error.to_string().contains(message), "{error}");
    }
    let gone = session
        .load_case_from_file(project.path().join("gone"))
        .unwrap_err();
    assert!(gone.to_string().contains("can't be read"), "{gone}");
}

#[test]
fn a_token_is_sent_and_never_shown() {
    let stub = Stub::json(200, &json!({"sessionId": "sess_1", "closed": true}));
    let softprobe = Softprobe::builder()
        .base_url(stub.url())
        .api_token(" s3cret ")
        .build();
    assert!(!format!("{softprobe:?}").contains("s3cret"));
    softprobe
        .start_session(Mode::Replay)
        .unwrap()
        .close()
        .unwrap();
    let received = stub.received();
    assert_eq!(received[0].header("authorization"), Some("Bearer s3cret"));
    assert_eq!(received[1].line, "POST /v1/sessions/sess_1/close HTTP/1.1");
}

#[test]
fn a_module_shares_one_session_and_closes_it() {
    static SESSION: ModuleSession = ModuleSession::new(|| embedded().start_session(Mode::Replay));
    let (first, second) = (SESSION.get().unwrap(), SESSION.get().unwrap());
    assert_eq!(first.id(), second.id());
    let id = first.id().to_owned();
    drop((first, second));
    assert_ne!(SESSION.get().unwrap().id(), id);
}

#[test]
fn debug_logging_shows_decisions_and_no_secrets() {
    let project = Project::with_answer(
        200,
        "{}",
        "name: s\ncases: a.case.json\nmocks:\n  - name: m\n    match: { headers: { authorization: hidden-value } }\n    response: {}\nrequest: { headers: { cookie: hidden-value } }\n",
    );
    let app = Stub::json(200, &json!({}));
    let args = ["--app-url", &app.url(), "--proxy-listen", "127.0.0.1:0"];
    let run = project.run_with(&args, &[("SOFTPROBE_LOG", "trace")]);
    run.passes();
    assert!(run.stderr.contains("mock \"m\""), "{}", run.stderr);
    assert!(
        run.stderr.contains("started in mode replay"),
        "{}",
        run.stderr
    );
    assert!(!run.all().contains("hidden-value"), "{}", run.all());
    assert!(!run.stderr.contains("ureq"), "{}", run.stderr);
}

#[test]
fn debug_output_shows_no_captured_text_and_no_secrets() {
    let body = attribute("http.request.body", "hunter2");
    let spans = [span(1, "outbound", "POST a.example/x", Some(200), &[body])];
    let session = embedded().start_session(Mode::Replay).unwrap();
    session.load_case_from_document(document(&spans)).unwrap();
    let mock = Mock::new(Predicate::outbound())
        .when("headers", json!({"authorization": "Bearer hunter2"}))
        .response(MockResponse::new(200).header("set-cookie", "id=hunter2"));
    let shown = format!("{mock:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    session.mock_outbound(mock).unwrap();
    let case = Case::from_document(document(&spans)).unwrap();
    let env = BTreeMap::from([("TOKEN".to_owned(), "hunter2".to_owned())]);
    let context = HookContext::new(&case, Path::new("a.case.json"), &env);
    let shown = format!("{session:?} {context:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("TOKEN"), "{shown}");
}

#[test]
fn servers_stop_inside_an_async_runtime() {
    let threads = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    threads.block_on(async {
        let runtime = EmbeddedRuntime::new();
        let proxy = Proxy::start(&Softprobe::embedded(&runtime)).unwrap();
        let server = ControlServer::start(&runtime).unwrap();
        proxy.stop(LIMIT);
        server.stop(LIMIT);
    });
}

#[test]
fn a_hit_that_was_found_is_a_mocks_response() {
    let session = embedded().start_session(Mode::Replay).unwrap();
    let spans = [span(1, "outbound", "GET a.example/x", Some(200), &[])];
    session.load_case_from_document(document(&spans)).unwrap();
    let all = session.find_all_in_case(&Predicate::outbound()).unwrap();
    let mocks = all
        .into_iter()
        .map(|hit| Mock::new(Predicate::outbound()).response(hit));
    session.mock_all(mocks).unwrap();
}

#[test]
fn headers_compare_without_regard_to_the_case_of_names() {
    let headers = Headers::from_iter([("Accept", "a"), ("x-b", "b")]);
    assert_eq!(headers, Headers::from_iter([("accept", "a"), ("X-B", "b")]));
    assert_ne!(headers, Headers::from_iter([("x-b", "b"), ("accept", "a")]));
    assert_ne!(headers, Headers::from_iter([("accept", "A"), ("x-b", "b")]));
    let value = {
        let name = String::from("ACCEPT");
        headers.get(&name)
    };
    assert_eq!(value, Some(&b"a"[..]));
}

#[test]
fn a_url_becomes_a_request() {
    let request = Request::new("GET", "https://shop.example:8443/orders?page=2");
    assert_eq!(
        (&*request.scheme, &*request.host, &*request.path),
        ("https", "shop.example:8443", "/orders")
    );
    assert_eq!(request.target(), "/orders?page=2");
    assert_eq!(Request::new("GET", "http://a.example").target(), "/");
    assert_eq!(Request::new("GET", "/x").target(), "/x");
}

#[test]
fn names_become_values_and_other_text_is_refused() {
    for name in ["capture", "replay", "generate"] {
        assert_eq!(name.parse::<Mode>().unwrap().to_string(), name);
    }
    let error = "Replay".parse::<Mode>().unwrap_err().to_string();
    assert!(
        error.contains("one of capture, replay, generate"),
        "{error}"
    );
    for name in ["inbound", "outbound"] {
        assert_eq!(name.parse::<Direction>().unwrap().to_string(), name);
    }
    let error = "in".parse::<Direction>().unwrap_err().to_string();
    assert!(
        error.contains("expected `inbound` or `outbound`"),
        "{error}"
    );
}

#[test]
fn a_capture_lacks_what_its_rule_names() {
    let upstream = Stub::start(|_| {
        let headers = [("content-type", "application/json"), ("x-trace", "t-1")];
        crate::support::http(200, &headers, "{\"token\":\"s3cret\",\"id\":7}")
    });
    let host = upstream.url().replace("http://", "");
    let served = crate::command::Served::start(&[]);
    let start = |mode: &str| {
        let body = json!({"mode": mode}).to_string();
        let answer = crate::server::call(served.address(), "POST /v1/sessions", "", &body).json();
        answer["sessionId"].as_str().unwrap().to_owned()
    };
    let id = start("capture");
    let on = |step: &str, body: &str| {
        crate::server::call(
            served.address(),
            &format!("POST /v1/sessions/{id}/{step}"),
            "",
            body,
        )
    };
    let rules = json!({"rules": [{
        "when": {"path": "/secret"},
        "then": {"action": "capture_only", "captureOnly": {
            "redactHeaders": ["X-Trace", "x-key"], "redactJsonPaths": ["$.token", "$.pass"],
        }},
    }]});
    assert_eq!(on("rules", &rules.to_string()).status, 200);
    for path in ["/secret", "/plain"] {
        let body = "{\"pass\":\"s3cret\"}";
        let head = format!(
            "POST http://{host}{path} HTTP/1.1\r\nhost: {host}\r\nx-softprobe-session-id: {id}\r\nx-key: s3cret\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let answer = crate::support::send(served.proxy(), head + body);
        // The application gets the whole answer.
        assert_eq!(answer.text(), "{\"token\":\"s3cret\",\"id\":7}");
    }
    let case = crate::server::call(
        served.address(),
        &format!("GET /v1/sessions/{id}/case"),
        "",
        "",
    )
    .text();
    assert_eq!(case.matches("s3cret").count(), 3, "{case}");
    assert_eq!(case.matches("[redacted]").count(), 4, "{case}");
    assert!(
        case.contains("{\\\"token\\\":\\\"[redacted]\\\",\\\"id\\\":7}"),
        "{case}"
    );
    let wrong = json!({"rules": [{"then": {"action": "mock", "response": {}, "captureOnly": {}}}]});
    let refused = on("rules", &wrong.to_string());
    assert!(
        refused
            .text()
            .contains("`captureOnly` can't be used with this action"),
        "{}",
        refused.text()
    );
    on("close", "{}");
}

#[test]
fn a_rule_may_have_fixtures_of_its_session_in_it() {
    let served = crate::command::Served::start(&["--refuse-idle"]);
    let call = |line: &str, body: &str| crate::server::call(served.address(), line, "", body);
    let start = json!({"mode": "replay", "policy": {"externalHttp": "strict"}}).to_string();
    let id = call("POST /v1/sessions", &start).json()["sessionId"]
        .as_str()
        .unwrap()
        .to_owned();
    let on = |step: &str, body: &serde_json::Value| {
        call(&format!("POST /v1/sessions/{id}/{step}"), &body.to_string())
    };
    let rule = |expand: bool| {
        json!({"rules": [{
            "expand": expand,
            "when": {"headerMatch": {"authorization": "^Bearer ${fixtures.token}$"}},
            "then": {"action": "mock", "response": {
                "headers": {"x-user": "${fixtures.user}"},
                "body": {"for": "${fixtures.user}", "limits": ["${fixtures.limit}"]},
            }},
        }]})
    };
    // A fixture that is not known is an error when the rule is set.
    let refused = on("rules", &rule(true));
    assert_eq!(refused.status, 400);
    let text = refused.text();
    assert!(
        text.contains(
            "rules[0].when.headerMatch.authorization: the session has no fixture `token`"
        ),
        "{text}"
    );
    let fixtures = json!({"fixtures": [
        {"name": "token", "value": "abc"}, {"name": "user", "value": "ada"}, {"name": "limit", "value": 7},
    ]});
    assert_eq!(on("fixtures/auth", &fixtures).status, 200);
    assert_eq!(on("rules", &rule(true)).status, 200);
    let get = |token: &str| {
        let head = format!(
            "GET http://a.example/ HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        crate::support::send(served.proxy(), head)
    };
    let answer = get("abc");
    assert_eq!(answer.json(), json!({"for": "ada", "limits": ["7"]}));
    assert_eq!(answer.header("x-user"), ["ada"]);
    assert_eq!(get("other").status, 599);
    // Without `expand`, every text is literal, and this one is no regular expression.
    let refused = on("rules", &rule(false));
    assert!(
        refused.text().contains("is not a regular expression"),
        "{}",
        refused.text()
    );
    let odd = json!({"rules": [{"expand": "yes", "then": {"action": "passthrough"}}]});
    assert!(
        on("rules", &odd)
            .text()
            .contains("rules[0].expand: expected true or false")
    );
    on("close", &json!({}));
}

#[test]
fn a_suites_mock_may_have_fixtures_of_its_case_in_it() {
    let call = json!([["GET up.example/x", "x-token: abc\r\n", ""]]);
    let exchanged = |answers: &serde_json::Value| {
        [
            attribute("http.request.body", &call.to_string()),
            crate::support::response_body(&answers.to_string()),
        ]
    };
    let project = |mock: &str, answers: serde_json::Value| {
        let project = Project::new();
        let inbound = span(
            1,
            "inbound",
            "POST shop.example/a",
            Some(200),
            &exchanged(&answers),
        );
        let mut case = document(&[inbound]);
        case["fixtures"] =
            json!([{"name": "token", "value": "abc"}, {"name": "user", "value": {"id": 7}}]);
        project.write("a.case.json", case.to_string());
        project.write(
            "s.suite.yaml",
            format!("name: s\ncases: a.case.json\npolicy: {{ externalHttp: strict }}\nunused: fail\nenv: {{ HOST: up.example }}\nmocks:\n  - {mock}\n"),
        );
        project.run_with(&[], &[("SOFTPROBE_TEST_CALLS", "[]")])
    };
    let matched = "match: { host: \"${HOST}\", headers: { x-token: \"${fixtures.token}\" } }";
    let mock =
        format!("{{ expand: true, {matched}, response: {{ body: \"for ${{fixtures.user}}\" }} }}");
    project(&mock, json!(["200 for {\"id\":7}"])).passes();
    let unknown = mock.replace("fixtures.user", "fixtures.gone");
    project(&unknown, json!([]))
        .fails(&["mock `mock-1`: response.body: the session has no fixture `gone`"]);
    // Elsewhere, it is a variable with an odd name; and a captured response can't have fixtures in it.
    let literal = mock.replace("expand: true, ", "");
    project(&literal, json!([])).fails(&["`${fixtures.token}` is not `${NAME}`"]);
    project("{ expand: true, match: { host: a } }", json!([]))
        .fails(&["mocks[0].expand: `expand` is for mocks with their own"]);
}
