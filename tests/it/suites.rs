//! Every field of a suite changes a verdict or an error.

use serde_json::{Value, json};
use softprobe::hook::{Issue, RequestChange, ResponseChange};
use softprobe::{Headers, Hooks};

use crate::support::{
    Project, Run, Stub, Table, attribute, document, http, relayed, response_body, span,
};

/// Returns the hooks that the suites in these tests name.
pub(crate) fn hooks() -> Hooks {
    Hooks::new()
        .request("t.request", |request, context| {
            assert!(context.case_file.ends_with("a.case.json"));
            let body = format!("{}+{}", request.path, context.env["WORD"]);
            let fixture = context.fixture("tenant").cloned().unwrap_or_default();
            Ok(RequestChange::new()
                .path("/changed?by=hook")
                .headers(Headers::from_iter([("x-fixture", fixture.to_string())]))
                .body(body))
        })
        .mock_response("t.response", |mock, _| {
            let captured = String::from_utf8_lossy(&mock.captured_response.body).into_owned();
            let from = if mock.captured_span.is_some() {
                "case"
            } else {
                "inline"
            };
            let body = format!("{captured}/{}/{from}", mock.mock_name);
            Ok(ResponseChange::new().status(203).body(body))
        })
        .assert_body("t.seen", |actual, _, _| {
            Ok(vec![crate::numbers::seen(actual)])
        })
        .assert_body("t.body", |actual, captured, _| {
            let issue = Issue::new("$.n", "too small")
                .expected(2)
                .actual(actual["n"].clone());
            Ok(if captured["n"] == 1 {
                vec![issue]
            } else {
                vec![]
            })
        })
        .assert_headers("t.headers", |actual, _, _| {
            Ok(if actual.contains("x-bad") {
                vec![Issue::new("headers.x-bad", "it is bad")]
            } else {
                vec![]
            })
        })
}

/// Runs a table of one [`Table::judged`] row.
fn judged(captured: (u16, &str), suite: &str, actual: (u16, &[(&str, &str)], &str)) -> Run {
    let mut table = Table::new();
    table.judged(captured, suite, actual, &[]);
    table.run()
}

impl Table {
    /// Adds a row that compares a captured answer under a suite with the application's actual one.
    fn judged(
        &mut self,
        captured: (u16, &str),
        suite: &str,
        actual: (u16, &[(&str, &str)], &str),
        words: &[&str],
    ) {
        let call = format!("GET shop.example{}", self.path());
        let inbound = span(
            1,
            "inbound",
            &call,
            Some(captured.0),
            &[response_body(captured.1)],
        );
        let answer = http(actual.0, actual.1, actual.2);
        self.row(&[inbound], suite, answer, words);
    }

    /// Adds two rows under one suite: the good answer passes, the bad one fails with these words.
    fn tells_apart(&mut self, captured: &str, suite: &str, good: &str, bad: &str, words: &[&str]) {
        self.judged((200, captured), suite, (200, &[], good), &[]);
        self.judged((200, captured), suite, (200, &[], bad), words);
    }
}

#[test]
fn body_modes_compare_as_documented() {
    let mut table = Table::new();
    let subset = "";
    table.tells_apart(
        "{\"a\":1}",
        subset,
        "{\"b\":2,\"a\":1.0}",
        "{\"a\":2}",
        &["$.a\n    expected  1\n    actual    2"],
    );
    table.tells_apart("[1,2]", subset, "[1,2]", "[2,1]", &["$[0]", "$[1]"]);
    table.tells_apart(
        "[1]",
        subset,
        "[1]",
        "[1,2]",
        &["expected  1 element\n    actual    2 elements", "$[1]"],
    );
    table.tells_apart(
        "{\"a\":null}",
        subset,
        "{\"a\":null}",
        "{}",
        &["$.a\n    expected  null\n    actual    nothing"],
    );
    table.tells_apart(
        "{\"id\":9007199254740993}",
        subset,
        "{\"id\":9007199254740993}",
        "{\"id\":9007199254740992}",
        &["$.id"],
    );
    table.tells_apart(
        "plain",
        subset,
        "plain",
        "other",
        &["body\n    expected  plain\n    actual    other"],
    );
    table.tells_apart("a\nb\nc", subset, "a\nb\nc", "a\nx\nc", &["-b", "+x"]);
    table.tells_apart(
        "{\"odd key\":{\"x\":1}}",
        subset,
        "{\"odd key\":{\"x\":1}}",
        "{\"odd key\":{\"x\":2}}",
        &["$['odd key'].x"],
    );
    table.tells_apart(
        "{}",
        subset,
        "{}",
        "<html>",
        &["the expected body is JSON, but the actual one is not"],
    );
    let exact = "assertions: { body: { mode: exact } }";
    table.tells_apart(
        "{\"a\":1}",
        exact,
        "{ \"a\": 1 }",
        "{\"a\":1,\"b\":2}",
        &["$.b\n    expected  nothing\n    actual    2"],
    );
    let string = "assertions: { body: { mode: string } }";
    table.tells_apart("{\"a\":1}", string, "{\"a\":1}", "{ \"a\": 1 }", &["body"]);
    table.judged(
        (200, "{}"),
        "assertions: { body: { mode: ignore } }",
        (200, &[], "x"),
        &[],
    );
    table.check();
}

#[test]
fn every_body_rule_has_its_effect() {
    let mut table = Table::new();
    let ignore = "assertions: { body: { ignore: [ \"$..at\" ] } }";
    table.tells_apart(
        "{\"at\":1,\"n\":1}",
        ignore,
        "{\"at\":2,\"n\":1}",
        "{\"at\":2,\"n\":2}",
        &["$.n"],
    );
    let redact = "assertions: { body: { redactions: [ { path: $.pan, replacement: xxxx } ] } }";
    table.tells_apart(
        "{\"pan\":\"4111\",\"n\":1}",
        redact,
        "{\"pan\":\"4222\",\"n\":1}",
        "{\"n\":2}",
        &["$.n", "$.pan\n    expected  \"xxxx\""],
    );
    let hidden = judged((200, "{\"pan\":\"4111\"}"), redact, (200, &[], "pan=4222"));
    assert!(!hidden.fails(&["not shown"]).all().contains("4222"));
    let unordered = "assertions: { body: { unordered: [ $.list ] } }";
    table.tells_apart(
        "{\"list\":[{\"a\":1},{\"a\":1,\"b\":2}]}",
        unordered,
        "{\"list\":[{\"a\":1,\"b\":2},{\"a\":1}]}",
        "{\"list\":[{\"a\":1},{\"a\":1}]}",
        &["$.list[1]", "no remaining element"],
    );
    let expected = "assertions: { body: { expected: { n: 2 } } }";
    table.tells_apart(
        "{\"n\":1}",
        expected,
        "{\"n\":2}",
        "{\"n\":1}",
        &["$.n\n    expected  2"],
    );
    for (matcher, good, bad) in [
        ("uuid", "\"67e55044-10b1-426f-9247-bb680e5fe0c8\"", "\"x\""),
        ("timestamp", "\"2026-04-20T10:00:00Z\"", "\"today\""),
        ("{ type: string }", "\"x\"", "1"),
        ("{ regex: ^a }", "\"ab\"", "\"b\""),
        ("{ near: 9.5, by: 0.01 }", "9.505", "9.6"),
    ] {
        let suite = format!("assertions: {{ body: {{ match: {{ $.v: {matcher} }} }} }}");
        let body = |v: &str| format!("{{\"v\":{v}}}");
        table.tells_apart(&body("0"), &suite, &body(good), &body(bad), &["$.v"]);
        table.judged((200, "{}"), &suite, (200, &[], "{}"), &["selects nothing"]);
    }
    let hook = "assertions: { body: { mode: ignore, custom: t.body } }";
    table.judged((200, "{\"n\":0}"), hook, (200, &[], "{}"), &[]);
    table.judged(
        (200, "{\"n\":1}"),
        hook,
        (200, &[], "{\"n\":1}"),
        &["$.n\n    expected  2\n    actual    1\n    hook `t.body`: too small"],
    );
    table.check();
}

#[test]
fn every_status_and_header_rule_has_its_effect() {
    let mut table = Table::new();
    let mut status = |rule: &str, captured: u16, actual: u16, words: &[&str]| {
        table.judged((captured, "{}"), rule, (actual, &[], "{}"), words);
    };
    status(
        "",
        200,
        201,
        &["status\n    expected  200\n    actual    201"],
    );
    status("assertions: { status: 201 }", 200, 201, &[]);
    status("assertions: { status: \"${GONE:-201}\" }", 200, 201, &[]);
    let either = "assertions: { status: [200, 202] }";
    status(either, 200, 202, &[]);
    status(either, 200, 201, &["200 or 202"]);
    let range = "assertions: { status: { min: 200, max: 299 } }";
    status(range, 200, 299, &[]);
    status(range, 200, 300, &["200 to 299"]);

    let mut headers = |rule: &str, actual: &[(&str, &str)], words: &[&str]| {
        let call = format!("GET shop.example{}", table.path());
        let captured = [
            attribute("http.response.header.x-kept", "1"),
            attribute("http.response.header.date", "then"),
        ];
        let inbound = span(1, "inbound", &call, Some(200), &captured);
        let suite = format!("assertions: {{ {rule} }}");
        table.row(&[inbound], &suite, http(200, actual, ""), words);
    };
    headers("", &[], &[]);
    let include = "headers: { include: { x-a: ^b, x-any: \"\" } }";
    headers(include, &[("x-a", "c"), ("x-a", "b1"), ("x-any", "")], &[]);
    headers(
        include,
        &[("x-a", "ab")],
        &["headers.x-a", "/^b/", "headers.x-any", "any value"],
    );
    let captured = "headers: { mode: captured }";
    headers(captured, &[("x-kept", "1"), ("date", "now")], &[]);
    headers(
        captured,
        &[("x-kept", "2")],
        &["headers.x-kept\n    expected  1\n    actual    2"],
    );
    let ignored = "headers: { mode: captured, ignore: [ X-Kept ] }";
    headers(ignored, &[("x-kept", "2")], &[]);
    for key in [
        "headers: { custom: t.headers }",
        "custom-headers: t.headers",
    ] {
        headers(key, &[("x-bad", "1")], &["hook `t.headers`: it is bad"]);
    }
    let ignored = "headers: { custom: t.headers, ignore: [ x-bad ] }";
    headers(ignored, &[("x-bad", "1")], &[]);
    table.check();
}

#[test]
fn what_counts_without_being_asked_for_is_compared() {
    let captured = |fields: &[(&str, &str)]| {
        let fields = fields
            .iter()
            .map(|(name, value)| attribute(&format!("http.response.header.{name}"), value));
        fields
            .chain([response_body("{\"role\":\"user\"}")])
            .collect::<Vec<Value>>()
    };
    let body = "{\"role\":\"user\"}";
    let json = ("content-type", "application/json");
    let mut table = Table::new();
    let mut row = |fields: &[(&str, &str)],
                   suite: &str,
                   answer: (u16, &[(&str, &str)], &str),
                   words: &[&str]| {
        let call = format!("GET shop.example{}", table.path());
        let inbound = span(1, "inbound", &call, Some(answer.0), &captured(fields));
        let answer = http(answer.0, answer.1, answer.2);
        table.row(&[inbound], suite, answer, words);
    };
    row(
        &[json],
        "",
        (
            200,
            &[("content-type", "application/json;charset=utf-8")],
            body,
        ),
        &[],
    );
    let html = [("content-type", "text/html")];
    row(
        &[json],
        "",
        (200, &html, body),
        &["headers.content-type", "text/html"],
    );
    let home = ("location", "http://shop.example/home");
    row(&[home], "", (302, &[("location", "/home")], body), &[]);
    row(
        &[home],
        "",
        (302, &[("location", "/evil")], body),
        &["headers.location", "/evil"],
    );
    let elsewhere = [("location", "http://evil.example/home")];
    row(&[home], "", (302, &elsewhere, body), &["headers.location"]);
    let mode = "assertions: { headers: { mode: captured } }";
    let user = ("set-cookie", "role=user; Path=/");
    row(
        &[user],
        mode,
        (200, &[("set-cookie", "role=user; path=/")], body),
        &[],
    );
    let masked = &[
        "headers.set-cookie",
        "role=[masked]; Path=/",
        "what differs is masked",
    ];
    row(
        &[user],
        mode,
        (200, &[("set-cookie", "role=admin; Path=/")], body),
        masked,
    );
    let twice = "{\"role\":\"admin\",\"role\":\"user\"}";
    let exact = "assertions: { body: { mode: exact } }";
    row(
        &[],
        exact,
        (200, &[], twice),
        &["$.role", "more than once in the actual body"],
    );
    table.check();
    let run = judged((200, body), "", (200, &[], twice));
    let warning = "$.role appears more than once in the actual body; the last one was compared";
    assert!(run.passes().all().contains(warning), "{}", run.all());
}

#[test]
fn explicit_assertions_override_the_capture() {
    let mut table = Table::new();
    let stated = "assertions: { status: 404 }";
    table.judged((200, "{\"a\":1}"), stated, (404, &[], "gone"), &[]);
    let body = "assertions: { status: 404, body: { mode: exact } }";
    table.judged((200, "{\"a\":1}"), body, (404, &[], "gone"), &["body"]);
    table.check();
}

#[test]
fn a_case_that_would_compare_nothing_fails() {
    let app = Stub::json(200, &json!({}));
    let project = |spans: &[Value], rest: &str| {
        let project = Project::new();
        project.write("a.case.json", document(spans).to_string());
        project.write(
            "s.suite.yaml",
            format!("name: s\ncases: a.case.json\n{rest}"),
        );
        project
    };
    let outbound = span(1, "outbound", "GET a.example/", Some(200), &[]);
    project(std::slice::from_ref(&outbound), "")
        .against(&app, &[])
        .fails(&["no inbound exchange"]);
    let inbound = span(2, "inbound", "GET shop.example/a", None, &[]);
    project(std::slice::from_ref(&inbound), "")
        .against(&app, &[])
        .fails(&["nothing would be compared"]);
    let empty = "assertions: { body: { mode: ignore } }";
    project(std::slice::from_ref(&inbound), empty)
        .against(&app, &[])
        .fails(&["nothing would be compared"]);
    project(&[inbound], "assertions: { status: 200 }")
        .against(&app, &[])
        .passes();
    for inline in ["source: inline, path: /x", "path: /x"] {
        let inline = format!("request: {{ {inline} }}\nassertions: {{ status: 200 }}");
        let outbound = std::slice::from_ref(&outbound);
        project(outbound, &inline).against(&app, &[]).passes();
    }
}

#[test]
fn request_fields_change_what_is_sent() {
    let sent = |request: &str| {
        let inbound = span(
            1,
            "inbound",
            "POST shop.example/a?x=1&y=2",
            Some(200),
            &[
                attribute("http.request.header.x-one", "1"),
                attribute("http.request.header.x-two", "2"),
                attribute("http.request.header.host", "shop.example"),
                attribute("http.request.header.traceparent", "old"),
                attribute("http.request.body", "captured"),
            ],
        );
        let mut case = document(&[inbound]);
        case["fixtures"] = json!([{"name": "tenant", "value": 7}]);
        let project = Project::new();
        project.write("a.case.json", case.to_string());
        project.write(
            "s.suite.yaml",
            format!("name: s\ncases: a.case.json\nenv: {{ WORD: w }}\nrequest: {request}\nassertions: {{ status: 200 }}"),
        );
        let app = Stub::json(200, &json!({}));
        project.against(&app, &[]).passes();
        app.received()[0].clone()
    };
    let plain = sent("{}");
    assert_eq!(plain.line, "POST /a?x=1&y=2 HTTP/1.1");
    assert_eq!(plain.body, b"captured");
    assert_eq!(plain.header("x-one"), Some("1"));
    assert!(plain.header("host").unwrap().starts_with("127.0.0.1"));
    let session = plain.header("x-softprobe-session-id").unwrap();
    assert_eq!(
        plain.header("tracestate"),
        Some(format!("x-softprobe-session-id={session}").as_str())
    );
    let trace = plain.header("traceparent").unwrap();
    assert!(trace.len() == 55 && trace.starts_with("00-"), "{trace}");
    for name in ["user-agent", "accept", "accept-encoding"] {
        assert_eq!(plain.header(name), None, "{name}");
    }

    let changed = sent(
        "{ source: case.ingress, method: PUT, path: /b?y=2&x=1, query: { x: null, z: a b }, headers: { x-one: null, X-Two: 3, x-new: [ a, b ] }, body: { k: 1 } }",
    );
    assert_eq!(changed.line, "PUT /b?y=2&z=a%20b HTTP/1.1");
    assert_eq!(changed.body, b"{\"k\":1}");
    assert_eq!(changed.header("x-one"), None);
    assert_eq!(changed.header("x-two"), Some("3"));
    assert_eq!(
        changed
            .headers
            .iter()
            .filter(|(name, _)| name == "x-new")
            .count(),
        2
    );
    assert_eq!(changed.header("content-type"), Some("application/json"));
    // A path alone says which request is meant; nothing of the captured one goes with it.
    let inline = sent("{ path: /hello }");
    assert_eq!(
        (inline.line.as_str(), inline.body.as_slice()),
        ("GET /hello HTTP/1.1", &b""[..])
    );
    assert_eq!(inline.header("x-one"), None);
    let object =
        sent("{ source: { method: DELETE, path: /o?q=1, body: text }, headers: { x-h: \"1\" } }");
    assert_eq!(
        (object.line.as_str(), object.body.as_slice()),
        ("DELETE /o?q=1 HTTP/1.1", &b"text"[..])
    );
    assert_eq!(object.header("x-h"), Some("1"));
    let hooked = sent("{ transform: t.request }");
    assert_eq!(hooked.line, "POST /changed?by=hook HTTP/1.1");
    assert_eq!(hooked.body, b"/a+w");
    assert_eq!(
        (hooked.header("x-fixture"), hooked.header("x-one")),
        (Some("7"), None)
    );
}

#[test]
fn large_headers_are_sent_and_read() {
    let large = "x".repeat(60_000);
    let exchanged = [
        attribute("http.request.header.cookie", &large),
        attribute("http.response.header.x-large", &large),
        response_body("{}"),
    ];
    let suite = "assertions: { headers: { mode: captured } }";
    let mut table = Table::new();
    for (value, words) in [
        (&large, &[][..]),
        // A header larger than any that servers send is an error, and the error says so.
        (&"x".repeat(70_000), &["gave no whole answer", "header"]),
    ] {
        let call = format!("GET shop.example{}", table.path());
        let inbound = span(1, "inbound", &call, Some(200), &exchanged);
        let answer = http(200, &[("x-large", value)], "{}");
        table.row(&[inbound], suite, answer, words);
    }
    table.check();
}

#[test]
fn the_application_is_named_by_the_suite_a_flag_or_a_variable() {
    let app = Stub::json(200, &json!({}));
    let suite = |request: &str| format!("name: s\ncases: a.case.json\n{request}");
    let project = Project::with_answer(200, "{}", &suite(""));
    project
        .run(&[])
        .fails(&["there is no application", "--app-url"]);
    project.run_with(&[], &[("APP_URL", &app.url())]).passes();
    project
        .run(&["--app-url", "localhost:80"])
        .fails(&["is not a base URL"]);
    let own = Project::with_answer(
        200,
        "{}",
        &suite(&format!("request: {{ url: \"{}\" }}", app.url())),
    );
    own.run(&["--app-url", "http://127.0.0.1:1"]).passes();
    project
        .run(&["--app-url", "http://127.0.0.1:1"])
        .fails(&["gave no whole answer to http://127.0.0.1:1/a"]);
    // A listener that accepts and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let slow = Project::with_answer(200, "{}", &suite("request: { timeoutMs: 100 }"));
    slow.run(&["--app-url", &url])
        .fails(&["it took longer than 100 ms"]);
}

const STRICT: &str = "policy: { externalHttp: strict }";

#[test]
fn every_predicate_of_a_match_has_its_effect() {
    let headers = "x-a: one\r\nx-a: two\r\n";
    let call = json!([[
        "POST api.example:80/v1/pay?a=1&b=x%20y",
        headers,
        "{\"k\":{\"n\":1.0}}"
    ]]);
    let mut table = Table::new();
    for (holds, fails) in [
        ("direction: outbound", "direction: inbound"),
        ("service: shop", "service: other"),
        ("method: post", "method: GET"),
        ("host: API.example", "host: api.exampl"),
        ("hostSuffix: example", "hostSuffix: example.org"),
        ("notHostSuffix: [ org ]", "notHostSuffix: [ org, example ]"),
        ("path: /v1/pay", "path: /v1"),
        ("path: \"/v1/p%61y?b=x+y&a=1\"", "path: \"/v1/p?\""),
        ("pathPrefix: /v1", "pathPrefix: /v2"),
        ("query: { b: x y, a: 1 }", "query: { a: 2 }"),
        ("headers: { X-A: two }", "headers: { x-a: [ two, three ] }"),
        ("headers: { x-a: [ two, one ] }", "headers: { x-a: on }"),
        ("headerMatch: { x-a: ^t }", "headerMatch: { x-a: ^$ }"),
        ("bodyJsonPath: $.k.n", "bodyJsonPath: $.k.m"),
        (
            "bodyJsonPathEquals: { $.k.n: 1 }",
            "bodyJsonPathEquals: { $.k.n: 2 }",
        ),
        (
            "traceTags: { http.request.method: POST }",
            "traceTags: { http.request.method: GET }",
        ),
        (
            "traceTagEquals: { url.path: /v1/pay }",
            "traceTagEquals: { gone: 1 }",
        ),
    ] {
        let suite = |matched: &str| {
            format!(
                "{STRICT}\nmocks: [ {{ name: m, match: {{ {matched} }}, response: {{ body: yes! }} }} ]"
            )
        };
        let answers = json!(["200 yes!"]);
        table.relayed(&call, &[], &suite(holds), &answers, &[]);
        let field = fails.split(':').next().unwrap();
        let words = [
            "1 outbound call missed",
            &format!("nearest rule `m` differs on {field}"),
        ];
        table.relayed(&call, &[], &suite(fails), &answers, &words);
    }
    table.check_relayed();
}

#[test]
fn calls_that_http_counts_as_equal_get_the_captured_answer() {
    let up = |id: u64, call: &str, body: &str| {
        span(id, "outbound", call, Some(200), &[response_body(body)])
    };
    let auto = &format!("{STRICT}\nmocks: auto");
    let mut table = Table::new();
    for (captured, call) in [
        ("GET api.example/s?a=1&b=2", "GET api.example/s?b=2&a=1"),
        ("GET api.example/~a%2Fb", "GET api.example/%7ea%2fb"),
        ("GET api.example/s", "GET API.example./s"),
    ] {
        let calls = json!([[call, "", ""]]);
        table.relayed(
            &calls,
            &[up(2, captured, "x")],
            auto,
            &json!(["200 x"]),
            &[],
        );
    }
    for (captured, call, field) in [
        (
            "GET api.example/s?a=1&a=2",
            "GET api.example/s?a=2&a=1",
            "query",
        ),
        ("GET api.example/a%2Fb", "GET api.example/a/b", "path"),
        ("GET api.example:8080/s", "GET api.example/s", "host"),
    ] {
        let calls = json!([[call, "", ""]]);
        let words = ["1 outbound call missed", &format!("differs on {field}")];
        table.relayed(&calls, &[up(2, captured, "x")], auto, &json!([]), &words);
    }
    // Two services of one host.
    let calls = json!([
        ["GET svc.example/s", "", ""],
        ["GET svc.example:8080/s", "", ""],
        ["GET svc.example:80/s", "", ""]
    ]);
    let both = [
        up(2, "GET svc.example/s", "front"),
        up(3, "GET svc.example:8080/s", "admin"),
    ];
    let answers = json!(["200 front", "200 admin", "200 front"]);
    table.relayed(&calls, &both, auto, &answers, &[]);
    // A blocked host is blocked under each of its names.
    let blocked = "policy: { blockHosts: [ pay.example ] }";
    let calls = json!([["GET pay.example./s", "", ""]]);
    table.relayed(
        &calls,
        &[],
        blocked,
        &json!([]),
        &["1 outbound call missed"],
    );
    table.check_relayed();
}

#[test]
fn calls_made_more_often_than_captured_fail_or_warn() {
    let up = |id: u64, method: &str| {
        let call = format!("{method} pay.example/charge");
        span(id, "outbound", &call, Some(200), &[response_body("ok")])
    };
    let calls = |method: &str, times: usize| {
        let call = json!([format!("{method} pay.example/charge"), "", ""]);
        Value::Array(vec![call; times])
    };
    let answers = |times: usize| Value::Array(vec![json!("200 ok"); times]);
    let fails = &[
        "1 outbound call made too often",
        "answered twice, captured once",
        "outbound: {extra: warn}",
    ][..];
    let listed = "mocks: [ { name: pay } ]";
    let mut table = Table::new();
    for (method, suite, words) in [
        // A charge that is made twice is not what was captured, even if both get the captured answer.
        ("POST", "mocks: auto", fails),
        ("DELETE", "mocks: auto", fails),
        ("GET", "mocks: auto", &[]),
        ("GET", "mocks: auto\noutbound: { extra: fail }", fails),
        ("POST", "mocks: auto\noutbound: { extra: warn }", &[]),
        ("POST", "mocks: auto\noutbound: { extra: ignore }", &[]),
        ("POST", listed, &[]),
        (
            "POST",
            "mocks: [ { name: pay, outbound: { extra: unsafe } } ]",
            fails,
        ),
        (
            "POST",
            "mocks: [ { name: pay, outbound: { extra: ignore } } ]\noutbound: { extra: fail }",
            &[],
        ),
        (
            "POST",
            "mocks: [ { name: pay, response: { body: ok } } ]\noutbound: { extra: fail }",
            &[],
        ),
    ] {
        let suite = format!("{STRICT}\n{suite}");
        table.relayed(
            &calls(method, 2),
            &[up(2, method)],
            &suite,
            &answers(2),
            words,
        );
        // As often as captured is right under every setting.
        table.relayed(
            &calls(method, 1),
            &[up(2, method)],
            &suite,
            &answers(1),
            &[],
        );
    }
    let auto = format!("{STRICT}\nmocks: auto");
    let twice = [up(2, "POST"), up(3, "POST")];
    table.relayed(&calls("POST", 2), &twice, &auto, &answers(2), &[]);
    let more = &["auto[2] POST", "answered 3 times, captured twice"];
    table.relayed(&calls("POST", 3), &twice, &auto, &answers(3), more);
    table.check_relayed();
    let warning = "mock `pay` answered twice, captured once";
    for (suite, told) in [
        (listed, true),
        (
            "mocks: [ { name: pay, outbound: { extra: ignore } } ]",
            false,
        ),
    ] {
        let suite = format!("{STRICT}\n{suite}");
        let run = relayed(&calls("POST", 2), &[up(2, "POST")], &suite, &answers(2));
        assert_eq!(run.passes().all().contains(warning), told, "{}", run.all());
    }
}

#[test]
fn every_field_of_a_mock_has_its_effect() {
    let call = |path: &str| json!([format!("GET up.example{path}"), "", ""]);
    let one = json!([call("/x")]);
    let captured = [span(
        2,
        "outbound",
        "GET up.example/x",
        Some(200),
        &[response_body("captured")],
    )];
    let mut table = Table::new();
    let mut run = |calls: &Value, mocks: &str, answers: Value, words: &[&str]| {
        let suite = format!("{STRICT}\nmocks: {mocks}");
        table.relayed(calls, &captured, &suite, &answers, words);
    };
    for (mocks, answer) in [
        ("[ {} ]", "200 captured"),
        (
            "[ { source: inline, response: { status: 418, body: { a: 1 } } } ]",
            "418 {\"a\":1}",
        ),
        ("[ { hook: t.response } ]", "203 captured/mock-1/case"),
        (
            "[ { name: n, hook: t.response, response: { body: b } } ]",
            "203 b/n/inline",
        ),
        ("[ { error: { status: 503, body: busy } } ]", "503 busy"),
        (
            "[ { priority: 1, response: { body: a } }, { response: { body: b } } ]",
            "200 a",
        ),
        (
            "[ { response: { body: a } }, { response: { body: b } } ]",
            "200 b",
        ),
        ("[ { action: mock, source: case } ]", "200 captured"),
        ("[ { action: error, error: { status: 500 } } ]", "500 "),
    ] {
        run(&one, mocks, json!([answer]), &[]);
    }
    let twice = json!([call("/x"), call("/x")]);
    let once = "[ { response: { body: a } }, { consume: once, response: { body: b } } ]";
    run(&twice, once, json!(["200 b", "200 a"]), &[]);
    // Passing through reaches a closed port on this machine, whatever mocks of lower rank say.
    let dead = json!([["GET 127.0.0.1:1/x", "", ""]]);
    for action in ["passthrough", "capture_only"] {
        let through = format!(
            "[ {{ response: {{}} }}, {{ name: p, action: {action}, match: {{ path: /x }} }} ]"
        );
        run(&dead, &through, json!(["200 "]), &["forwarded `p`", "502"]);
    }
    let slow =
        format!("{STRICT}\nrequest: {{ timeoutMs: 300 }}\nmocks: [ {{ latencyMs: 600000 }} ]");
    let late = &["it took longer than 300 ms"];
    table.relayed(&one, &captured, &slow, &json!([]), late);
    table.check_relayed();
    let slowest = format!("{STRICT}\nmocks: [ {{ latencyMs: 600001 }} ]");
    relayed(&one, &captured, &slowest, &json!([])).fails(&["from 0 to 600000"]);
}

#[test]
fn expect_says_how_many_captured_exchanges_a_mock_takes() {
    let up = |id: u64, path: &str, body: &str| {
        span(
            id,
            "outbound",
            &format!("GET up.example{path}"),
            Some(200),
            &[response_body(body)],
        )
    };
    let two = [up(2, "/x", "first"), up(3, "/x", "second")];
    let calls = json!([
        ["GET up.example/x", "", ""],
        ["GET up.example/x", "", ""],
        ["GET up.example/x", "", ""]
    ]);
    let mut table = Table::new();
    let mut run = |captured: &[Value], mocks: &str, answers: &Value, words: &[&str]| {
        let suite = format!("{STRICT}\nmocks: {mocks}");
        table.relayed(&calls, captured, &suite, answers, words);
    };
    let none = &json!([]);
    let no_match = &["mock `mock-1`: no captured exchange matches"];
    run(&[], "[ {} ]", none, no_match);
    let several = &["2 captured exchanges match", "span 0000000000000002"];
    run(&two, "[ {} ]", none, several);
    run(&two, "[ { expect: optional } ]", none, several);
    let missed = &["outbound call missed", "there are no rules at all"];
    run(&[], "[ { expect: optional } ]", none, missed);
    run(&[], "[ { expect: all } ]", none, no_match);
    run(&[], "[ { expect: any } ]", none, missed);
    let sequence = json!(["200 first", "200 second", "200 second"]);
    for mocks in ["[ { expect: all } ]", "[ { expect: any } ]", "auto"] {
        run(&two, mocks, &sequence, &[]);
    }
    table.check_relayed();
    // An entry next to `auto` takes over the exchanges that it matches.
    let beside =
        "{ auto: true, rules: [ { name: mine, match: { path: /x }, response: { body: mine } } ] }";
    let suite = format!("{STRICT}\nmocks: {beside}");
    let mine = json!(["200 mine", "200 mine", "200 mine"]);
    let run = relayed(&calls, &two, &suite, &mine);
    assert!(!run.passes().stderr.contains("auto["), "{}", run.all());
}

#[test]
fn a_captured_query_is_part_of_the_call() {
    let up = |id: u64, path: &str, body: &str| {
        span(
            id,
            "outbound",
            &format!("GET up.example{path}"),
            Some(200),
            &[response_body(body)],
        )
    };
    let captured = [up(2, "/x", "bare"), up(3, "/x?a=1", "with")];
    let calls = json!([
        ["GET up.example/x?a=1", "", ""],
        ["GET up.example/x", "", ""]
    ]);
    let suite = format!("{STRICT}\nmocks: auto");
    let mut table = Table::new();
    let both = json!(["200 with", "200 bare"]);
    table.relayed(&calls, &captured, &suite, &both, &[]);
    let other = json!([["GET up.example/x?a=2", "", ""]]);
    table.relayed(
        &other,
        &captured,
        &suite,
        &json!([]),
        &["GET up.example/x?a=2"],
    );
    table.check_relayed();
}

#[test]
fn unused_mocks_warn_fail_or_are_ignored() {
    let run = |rest: &str| {
        let suite = format!("mocks: [ {{ name: spare, response: {{}} {rest} }} ]");
        judged((200, "{}"), &suite, (200, &[], "{}"))
    };
    assert!(
        run("")
            .passes()
            .stderr
            .contains("mock `spare` was never used")
    );
    assert!(!run(", unused: ignore").passes().stderr.contains("spare"));
    run(", unused: fail").fails(&["1 mock was never used"]);
    let beside = "unused: fail\nmocks: [ { name: spare, response: {} } ]";
    judged((200, "{}"), beside, (200, &[], "{}")).fails(&["1 mock was never used"]);
}

#[test]
fn every_field_of_a_policy_has_its_effect() {
    let mut table = Table::new();
    let mut run = |host: &str, policy: &str, answer: &str, words: &[&str]| {
        let calls = json!([[format!("GET {host}/x"), "", ""]]);
        let suite = format!(
            "policy: {{ {policy} }}\nassertions: {{ status: 200, body: {{ match: {{ \"$[0]\": {{ regex: \"^{answer}\" }} }}, mode: ignore }} }}"
        );
        table.relayed(&calls, &[], &suite, &json!([]), words);
    };
    // A closed port on this machine represents every host that the policy allows.
    let here = "127.0.0.1:1";
    run(here, "externalHttp: allow", "502", &[]);
    run(
        here,
        "externalHttp: strict",
        "599",
        &["outbound call missed"],
    );
    run(
        here,
        "externalHttp: strict, internalHttp: allow",
        "502",
        &[],
    );
    run(
        here,
        "externalHttp: allow, internalHttp: strict",
        "599",
        &["outbound call missed"],
    );
    run(
        here,
        "externalHttp: strict, allowHosts: [ 127.0.0.1 ]",
        "502",
        &[],
    );
    run(
        here,
        "externalHttp: strict, externalAllowlist: [ \"127.0.0.1:1\" ]",
        "502",
        &[],
    );
    run(
        here,
        "externalHttp: strict, externalAllowlist: [ \"127.0.0.1:2\" ]",
        "599",
        &["missed"],
    );
    run(
        here,
        "externalHttp: allow, allowHosts: [ 127.0.0.1 ], blockHosts: [ 127.0.0.1 ]",
        "599",
        &["missed"],
    );
    run(
        "a.example",
        "defaultOnMiss: error",
        "599",
        &["outbound call missed"],
    );
    run(
        "a.example",
        "defaultOnMiss: mock, mock: { status: 218, body: m }",
        "218 m",
        &[],
    );
    table.check_relayed();
}

#[test]
fn rules_in_a_case_rank_between_the_policy_and_the_mocks() {
    let inbound = span(
        1,
        "inbound",
        "GET shop.example/a",
        Some(200),
        &[response_body("[\"200 case\"]")],
    );
    let mut case = document(&[inbound]);
    case["rules"] = json!([
        {"when": {"host": "up.example"}, "then": {"action": "mock", "response": {"body": "case"}}}
    ]);
    let run = |case: &Value, mocks: &str| {
        let project = Project::new();
        project.write("a.case.json", case.to_string());
        project.write(
            "s.suite.yaml",
            format!("name: s\ncases: a.case.json\n{STRICT}\n{mocks}"),
        );
        let calls = json!([["GET up.example/x", "", ""]]).to_string();
        project.run_with(&[], &[("SOFTPROBE_TEST_CALLS", &calls)])
    };
    run(&case, "").passes();
    run(&case, "mocks: [ { response: { body: mine } } ]").fails(&["\"200 mine\""]);
    run(
        &case,
        "mocks: [ { priority: -1, response: { body: mine } } ]",
    )
    .passes();
    case["rules"][0]["priority"] = (-1).into();
    run(&case, "").fails(&["outbound call missed"]);
    case["rules"][0]["wen"] = json!({});
    run(&case, "").fails(&["rules[0].wen: unknown field; did you mean when?"]);
}

#[test]
fn overrides_replace_whole_fields_and_mocks_merge_by_name() {
    let inbound = span(
        1,
        "inbound",
        "GET shop.example/a",
        Some(200),
        &[response_body("[\"200 b\",\"200 c\",\"200 d\"]")],
    );
    let project = Project::new();
    project.write("a.case.json", document(&[inbound]).to_string());
    let mock = |host: &str, body: &str| {
        format!(
            "{{ name: {host}, match: {{ host: {host}.example }}, response: {{ body: {body} }} }}"
        )
    };
    project.write(
        "s.suite.yaml",
        format!(
            "name: s\ncases:\n  - path: a.case.json\n    overrides:\n      mocks: [ {}, {} ]\n      assertions: {{ status: 200 }}\n      policy: {{ externalHttp: strict }}\ndefaults:\n  assertions: {{ status: 500 }}\n  mocks: [ {}, {} ]\n",
            mock("one", "b"), mock("three", "d"), mock("one", "a"), mock("two", "c")
        ),
    );
    let calls = json!([
        ["GET one.example/", "", ""],
        ["GET two.example/", "", ""],
        ["GET three.example/", "", ""]
    ]);
    project
        .run_with(&[], &[("SOFTPROBE_TEST_CALLS", &calls.to_string())])
        .passes();
}

#[test]
fn every_error_in_a_suite_is_reported_at_once_with_its_place() {
    let suite = "\
name: s
version: 2
cases: a.case.json
hoks: []
env: { A: [] }
hooks: [ hooks/checkout.ts ]
request: { transform: t.body, timeoutMs: x, path: a, url: nowhere }
policy: { externalHttp: strikt, extra: 1 }
mocks:
  - { name: a, match: { hostSufix: x, headerMatch: { b: \"(\" } } }
  - { name: b, hook: t.gone, response: {} }
  - { name: c, source: case, response: {} }
  - { name: b, response: {} }
assertions:
  status: 99
  body: { ignore: [ items ], mode: string, match: { $.a: uid } }
defaults: { mocks: [] }
";
    let project = Project::with_answer(200, "{}", suite);
    let run = project.run(&[]);
    run.fails(&[
        "error: s.suite.yaml:2:1: version: expected an integer from 1 to 1, found 2",
        "s.suite.yaml:4:1: hoks: unknown field; did you mean hooks?",
        "s.suite.yaml:5:8: env.A: expected a string, found a list",
        "s.suite.yaml:6:10: hooks[0]: `hooks/checkout.ts` does not exist; looked in ",
        "s.suite.yaml:7:12: request.transform: `t.body` is a body assert hook, but a request hook is needed here",
        "request.timeoutMs: expected an integer",
        "request.path: a path must start with `/`",
        "request.url: `nowhere` is not a base URL",
        "s.suite.yaml:8:11: policy.externalHttp: `strikt` is not one of allow, strict; did you mean strict?",
        "policy.extra: unknown field",
        "s.suite.yaml:10:25: mocks[0].match.hostSufix: unknown field; did you mean hostSuffix?",
        "mocks[0].match.headerMatch.b: `(` is not a regular expression",
        "s.suite.yaml:11:16: mocks[1].hook: unknown hook `t.gone`; did you mean t.body?; registered: `t.body` (body assert)",
        "mocks[2].response: `response` can't be used with",
        "assertions.status: expected an integer from 100 to 999",
        "assertions.body.ignore[0]: `items` is not a JSONPath",
        "assertions.body.ignore: `ignore` has no effect with this `mode`",
        "assertions.body.match['$.a']: `uid` is not one of uuid, timestamp, masked; did you mean uuid?",
        "defaults.mocks: `mocks` is also set at the top level",
    ]);
    assert!(run.stdout.is_empty(), "{}", run.stdout);
    // The errors of all suites are reported at once as well; cases are looked for only when every
    // suite can be read.
    let texts = [
        ("name: s\nname: t\ncases: a.case.json", "duplicate"),
        ("cases: a.case.json", "1:1: `name` is missing"),
        ("name: s", "`cases` is missing"),
        (
            "name: s\ncases: []",
            "2:1: cases: a suite needs at least one case",
        ),
        (
            "name: s\ncases: \"${NOWHERE}\"",
            "2:1: cases: the variable `NOWHERE` is not set",
        ),
        (
            "name: s\ncases: [ { path: a.case.json, nam: x } ]",
            "did you mean name?",
        ),
    ];
    let files = [
        (
            "name: s\ncases: b/*.json",
            "2:1: cases: `b/*.json` matches no file",
        ),
        (
            "name: s\ncases: [ { path: gone } ]",
            "2:10: cases[0]: `gone` does not exist",
        ),
        ("name: s\ncases: \"a[\"", "is not a valid glob"),
    ];
    for suites in [&texts[..], &files] {
        let project = Project::new();
        project.write("a.case.json", document(&[]).to_string());
        for (n, (suite, _)) in suites.iter().enumerate() {
            project.write(&format!("{n}.suite.yaml"), suite);
        }
        let run = project.run(&[]);
        run.fails(&[]);
        for (n, (_, message)) in suites.iter().enumerate() {
            let file = format!("error: {n}.suite.yaml:");
            let mut told = run.stderr.lines().filter(|line| line.starts_with(&file));
            assert!(
                told.any(|line| line.contains(message)),
                "{message}: {}",
                run.stderr
            );
        }
    }
}

#[test]
fn cases_are_found_named_and_ignored_as_the_suite_says() {
    let project = Project::new();
    let case = document(&[span(1, "inbound", "GET shop.example/a", Some(200), &[])]).to_string();
    for file in [
        "c/b.case.json",
        "c/a.case.json",
        "c/deep/x.case.json",
        "c/.hidden.case.json",
        "d/a.case.json",
        "c/note.txt",
    ] {
        project.write(file, &case);
    }
    let list = |cases: &str, args: &[&str]| {
        project.write("s.suite.yaml", format!("name: \"s\\tn\"\ncases:\n{cases}"));
        let mut all = vec!["--list", "--format", "terse"];
        all.extend(args);
        let run = project.run(&all);
        run.passes();
        run.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        list("  c/*.case.json", &[]),
        ["s_n::a: test", "s_n::b: test"]
    );
    assert_eq!(
        list("  - c/**/*.json\n  - c/a.case.json", &[]),
        ["s_n::a: test", "s_n::b: test", "s_n::deep/x: test"]
    );
    assert_eq!(
        list("  - \"{c,d}/a.case.json\"", &[]),
        ["s_n::c/a: test", "s_n::d/a: test"]
    );
    assert_eq!(
        list("  - c/a.case.json\n  - d/a.case.json", &[]),
        ["s_n::c/a: test", "s_n::d/a: test"]
    );
    let named = "  - { path: c/*.case.json, name: smoke }\n  - { path: c/a.case.json, name: again, skip: too slow }";
    assert_eq!(
        list(named, &[]),
        [
            "s_n::smoke/a: test",
            "s_n::smoke/b: test",
            "s_n::again: test"
        ]
    );
    assert_eq!(list(named, &["--ignored"]), ["s_n::again: test"]);
    let only = "  - { path: c/a.case.json, only: true }\n  - c/b.case.json";
    assert_eq!(list(only, &["--ignored"]), ["s_n::b: test"]);
    project.run_with(&["--list"], &[("CI", "true")]).fails(&[
        "s.suite.yaml:3:28: cases[0].only: `only` would ignore",
        "--allow-only",
    ]);
    project
        .run_with(
            &["--list"],
            &[("CI", "true"), ("SOFTPROBE_ALLOW_ONLY", "1")],
        )
        .passes();
    project.run_with(&["--list"], &[("CI", "false")]).passes();
    let twice = "  - { path: c/a.case.json, name: x }\n  - { path: c/b.case.json, name: x }";
    project.write("s.suite.yaml", format!("name: s\ncases:\n{twice}"));
    project
        .run(&["--list"])
        .fails(&["two cases are called `x`"]);
    // A suite is listed without opening its cases.
    project.write("bad.case.json", "{");
    assert_eq!(list("  bad.case.json", &[]), ["s_n::bad: test"]);
    project
        .run(&["--app-url", "http://127.0.0.1:1"])
        .fails(&["line 1, column 1: not JSON"]);
}

#[test]
fn variables_come_from_the_process_the_env_file_and_the_suite() {
    let suite = "name: s\nenv: { A: suite, B: suite, C: \"${B:-unset}\" }\ncases: [ { path: a.case.json, name: \"${A}-${B}-${C}-${D:-none}-$${x}\" } ]";
    let project = Project::with_answer(200, "{}", suite);
    project.write("vars", "# comment\nB=file\nexport D='from file'\n");
    let run = project.run_with(&["--list", "--env-file", "vars"], &[("A", "process")]);
    assert!(
        run.passes()
            .stdout
            .contains("s::process-file-unset-from file-${x}: test"),
        "{}",
        run.all()
    );
    project
        .run(&["--env-file", "gone"])
        .fails(&["gone: can't be read"]);
    // A line that is no pair is named by its number, since it may hold a secret.
    project.write("bad", "A=1\ncorrect horse battery\n");
    let run = project.run(&["--env-file", "bad"]);
    run.fails(&["bad:2: not a `NAME=value` line"]);
    assert!(!run.all().contains("horse"));
}

#[test]
fn captured_requests_are_sent_as_http_1_has_them() {
    let sent = |method: &str, fields: &[(&str, &str)], request: &str| {
        let fields = fields.iter();
        let fields: Vec<Value> = fields
            .map(|(name, value)| attribute(&format!("http.request.header.{name}"), value))
            .collect();
        let call = format!("{method} shop.example/a");
        let inbound = span(1, "inbound", &call, Some(200), &fields);
        let project = Project::new();
        project.write("a.case.json", document(&[inbound]).to_string());
        let suite = format!("name: s\ncases: a.case.json\n{request}");
        project.write("s.suite.yaml", suite);
        let app = Stub::json(200, &json!({}));
        project.against(&app, &[]).passes();
        app.received()[0].clone()
    };
    // Servers expect a body of these methods only.
    for (method, length) in [
        ("GET", None),
        ("DELETE", None),
        ("POST", Some("0")),
        ("PUT", Some("0")),
        ("PATCH", Some("0")),
    ] {
        let request = sent(method, &[], "");
        assert_eq!(request.header("content-length"), length, "{method}");
        assert_eq!(request.header("transfer-encoding"), None, "{method}");
    }
    let cookies = [("cookie", "lang=en"), ("cookie", "sid=u1")];
    let cookies = sent("GET", &cookies, "").headers;
    let cookies: Vec<_> = cookies.iter().filter(|(n, _)| n == "cookie").collect();
    assert_eq!(
        cookies,
        [&("cookie".to_owned(), "lang=en; sid=u1".to_owned())]
    );
    let host = "request: { headers: { Host: acme.shop.example } }";
    let hosts = sent("GET", &[("host", "shop.example")], host).headers;
    let hosts: Vec<_> = hosts.iter().filter(|(name, _)| name == "host").collect();
    assert_eq!(
        hosts,
        [&("host".to_owned(), "acme.shop.example".to_owned())]
    );
    for (captured, wanted) in [
        ("gzip, lzma;q=0.5, br, zstd", Some("gzip, br, zstd")),
        ("gzip;q=1.0", Some("gzip;q=1.0")),
        ("lzma", None),
    ] {
        let request = sent("GET", &[("accept-encoding", captured)], "");
        assert_eq!(request.header("accept-encoding"), wanted);
    }
}

#[test]
fn an_exchange_that_switched_protocols_is_not_replayed() {
    let upgrade = |protocol| attribute("http.request.header.upgrade", protocol);
    let socket = span(
        1,
        "inbound",
        "GET shop.example/w",
        Some(101),
        &[upgrade("websocket")],
    );
    let app = Stub::json(200, &json!({}));
    let run = |inbound: &Value| {
        let project = Project::new();
        project.write(
            "a.case.json",
            document(std::slice::from_ref(inbound)).to_string(),
        );
        project.write("s.suite.yaml", "name: s\ncases: a.case.json");
        project.against(&app, &[])
    };
    run(&socket).fails(&[
        "switched to another protocol (upgrade: websocket)",
        "leave the case out",
    ]);
    // An offer that the server passed over.
    run(&span(
        1,
        "inbound",
        "GET shop.example/w",
        Some(200),
        &[upgrade("h2c")],
    ))
    .passes();
    assert_eq!(app.received().len(), 1);
}

#[test]
fn the_password_of_a_base_url_is_sent_and_never_shown() {
    let app = Stub::json(200, &json!({"a": 1}));
    let url = app.url().replace("http://", "http://joe:hunter2@");
    let project = Project::with_answer(200, "{}", "name: s\ncases: a.case.json");
    project.run(&["--app-url", &url]).passes();
    let sent = app.received()[0].clone();
    assert_eq!(sent.header("authorization"), Some("Basic am9lOmh1bnRlcjI="));
    let failing = Project::with_answer(201, "{}", "name: s\ncases: a.case.json");
    for url in [
        url.as_str(),
        "http://joe:hunter2@127.0.0.1:1",
        "ftp://joe:hunter2@h",
    ] {
        let run = failing.run(&["--app-url", url, "--junit", "report.xml"]);
        assert!(!run.all().contains("hunter2"), "{}", run.all());
        assert!(run.all().contains("//[masked]@"), "{}", run.all());
        if let Ok(report) = std::fs::read_to_string(failing.path().join("report.xml")) {
            assert!(!report.contains("hunter2"), "{report}");
        }
    }
}

#[test]
fn a_captured_path_cannot_redirect_the_request() {
    let elsewhere = Stub::json(200, &json!({}));
    let app = Stub::json(200, &json!({}));
    let path = format!("GET shop.example/@{}/x", elsewhere.address);
    let mut inbound = span(1, "inbound", &path, Some(200), &[]);
    inbound["attributes"][4] = attribute("url.path", &format!("@{}/x", elsewhere.address));
    let project = Project::new();
    project.write("a.case.json", document(&[inbound]).to_string());
    project.write("s.suite.yaml", "name: s\ncases: a.case.json");
    project.against(&app, &[]).passes();
    assert!(elsewhere.received().is_empty());
    assert!(app.received()[0].line.starts_with("GET /@127.0.0.1:"));
}

#[test]
fn a_value_ignored_or_matched_on_only_one_side_counts_as_missing() {
    let mut table = Table::new();
    let ignore = "assertions: { body: { ignore: [ \"$[?@ == null]\" ] } }";
    table.tells_apart(
        "{\"a\":5}",
        ignore,
        "{\"a\":5,\"b\":null}",
        "{\"a\":null}",
        &["$.a\n    expected  5\n    actual    nothing"],
    );
    let exact = "assertions: { body: { mode: exact, ignore: [ \"$[?@ == null]\" ] } }";
    table.tells_apart(
        "{\"a\":null}",
        exact,
        "{}",
        "{\"a\":5}",
        &["$.a\n    expected  nothing\n    actual    5"],
    );
    let elements = "assertions: { body: { match: { \"$.tags[*]\": { type: string } } } }";
    table.tells_apart(
        "{\"tags\":[\"x\",\"y\"]}",
        elements,
        "{\"tags\":[\"p\",\"q\"]}",
        "{\"tags\":[\"x\"]}",
        &["expected  2 elements"],
    );
    table.check();
}

#[test]
fn a_damaged_response_is_not_mistaken_for_a_missing_one() {
    let inbound = span(
        1,
        "inbound",
        "GET shop.example/a",
        None,
        &[response_body("{}")],
    );
    let project = Project::new();
    project.write("a.case.json", document(&[inbound]).to_string());
    project.write(
        "s.suite.yaml",
        "name: s\ncases: a.case.json\nassertions: { status: 200 }",
    );
    let app = Stub::json(200, &json!({}));
    project
        .against(&app, &[])
        .fails(&["has no http.response.status_code"]);
}

#[test]
fn mocks_that_no_call_can_reach_are_refused() {
    for suite in ["mocks: [ { response: {} } ]", STRICT] {
        let project =
            Project::with_answer(200, "{}", &format!("name: s\ncases: a.case.json\n{suite}"));
        let app = Stub::json(200, &json!({}));
        project
            .run(&["--app-url", &app.url()])
            .fails(&["s::a has mocks or a policy", "--proxy-listen ADDR"]);
        assert!(app.received().is_empty());
    }
}

#[test]
fn default_ports_may_be_omitted() {
    let captured = [span(
        2,
        "outbound",
        "GET up.example:80/x",
        Some(200),
        &[response_body("up")],
    )];
    let calls = json!([["GET up.example/x", "", ""]]);
    let suite = format!("{STRICT}\nmocks: auto");
    relayed(&calls, &captured, &suite, &json!(["200 up"])).passes();
    let blocked =
        "policy: { blockHosts: [ \"up.example:80\" ] }\nassertions: { body: { mode: ignore } }";
    relayed(&calls, &[], blocked, &json!([])).fails(&["1 outbound call missed"]);
}

#[test]
fn a_replaced_body_is_no_longer_encoded() {
    let gzip = attribute("http.request.header.content-encoding", "gzip");
    let bytes = json!({"key": "http.request.body", "value": {"bytesValue": "H4sIAAAAAAAA/w=="}});
    let inbound = span(
        1,
        "inbound",
        "POST shop.example/a",
        Some(200),
        &[gzip, bytes],
    );
    let sent = |request: &str| {
        let project = Project::new();
        project.write(
            "a.case.json",
            document(std::slice::from_ref(&inbound)).to_string(),
        );
        project.write(
            "s.suite.yaml",
            format!("name: s\ncases: a.case.json\n{request}"),
        );
        let app = Stub::json(200, &json!({}));
        project.against(&app, &[]).passes();
        app.received()[0].clone()
    };
    assert_eq!(sent("").header("content-encoding"), Some("gzip"));
    assert_eq!(
        sent("request: { body: plain }").header("content-encoding"),
        None
    );
}

#[test]
fn auto_omits_only_what_another_entry_answers() {
    let body = |text: &str| attribute("http.request.body", text);
    let captured = [
        span(
            2,
            "outbound",
            "POST up.example/x",
            Some(200),
            &[body("{\"k\":1}"), response_body("one")],
        ),
        span(
            3,
            "outbound",
            "POST up.example/x",
            Some(200),
            &[body("{\"k\":2}"), response_body("two")],
        ),
    ];
    let mocks = "{ auto: true, rules: [ { match: { bodyJsonPathEquals: { $.k: 1 } }, response: { body: mine } } ] }";
    let calls = json!([
        ["POST up.example/x", "", "{\"k\":2}"],
        ["POST up.example/x", "", "{\"k\":1}"]
    ]);
    let suite = format!("{STRICT}\nmocks: {mocks}");
    relayed(&calls, &captured, &suite, &json!(["200 two", "200 mine"])).passes();
    // A spent entry falls back to the exchange that it stands before.
    let once = "{ auto: true, rules: [ { consume: once, match: { path: /x }, response: { body: mine } } ] }";
    let suite = format!("{STRICT}\nunused: fail\nmocks: {once}");
    let calls_of = |n: usize| Value::Array(vec![json!(["POST up.example/x", "", "{\"k\":1}"]); n]);
    let answers = json!(["200 mine", "200 one"]);
    relayed(&calls_of(2), &captured[..1], &suite, &answers).passes();
    relayed(&calls_of(1), &captured[..1], &suite, &json!(["200 mine"])).passes();
    // `auto: false` in an override turns it off again.
    let inbound = span(1, "inbound", "GET shop.example/a", Some(200), &[]);
    let project = Project::new();
    project.write(
        "a.case.json",
        document(&[inbound, captured[0].clone()]).to_string(),
    );
    let overrides = "{ mocks: { auto: false, rules: [] } }";
    project.write(
        "s.suite.yaml",
        format!("name: s\ncases: [ {{ path: a.case.json, overrides: {overrides} }} ]\nmocks: auto\n{STRICT}\n"),
    );
    let run = project.run_with(&[], &[("SOFTPROBE_TEST_CALLS", &calls.to_string())]);
    run.fails(&["there are no rules at all"]);
}

#[test]
fn secrets_in_patterns_are_masked_too() {
    let matched = "headerMatch: { authorization: ^Bearer-hidden-value$ }, traceTags: { http.request.header.cookie: hidden-value }";
    let suite = format!("{STRICT}\nmocks: [ {{ match: {{ {matched} }}, response: {{}} }} ]");
    let run = relayed(
        &json!([["GET up.example/x", "", ""]]),
        &[],
        &suite,
        &json!([]),
    );
    assert!(
        !run.fails(&["headerMatch.authorization"])
            .all()
            .contains("hidden-value"),
        "{}",
        run.all()
    );
    let include = "assertions: { headers: { include: { set-cookie: hidden-value } } }";
    let run = judged((200, "{}"), include, (200, &[], "{}"));
    assert!(
        !run.fails(&["headers.set-cookie"])
            .all()
            .contains("hidden-value"),
        "{}",
        run.all()
    );
}
