//! What the application sends: compared with the capture, counted, waited for, and told apart by its bodies.

use serde_json::{Value, json};
use softprobe::{EmbeddedRuntime, Mock, MockResponse, Mode, Policy, Predicate, Proxy, Softprobe};

use crate::support::{
    Project, Run, Stub, Table, attribute, document, http, relayed, response_body, span,
};

const STRICT: &str = "policy: { externalHttp: strict }";

/// Returns a captured exchange with these headers and body of the request, whose answer has this body.
fn exchange(id: u64, call: &str, headers: &[(&str, &str)], sent: &str, answer: &str) -> Value {
    let mut attributes: Vec<Value> = headers
        .iter()
        .map(|(name, value)| attribute(&format!("http.request.header.{name}"), value))
        .collect();
    attributes.push(attribute("http.request.body", sent));
    attributes.push(response_body(answer));
    span(id, "outbound", call, Some(200), &attributes)
}

fn charge(id: u64, sent: &str, answer: &str) -> Value {
    let json = [("content-type", "application/json")];
    exchange(id, "POST pay.example/charge", &json, sent, answer)
}

fn call(sent: &str) -> Value {
    json!([
        "POST pay.example/charge",
        "content-type: application/json\r\n",
        sent
    ])
}

#[test]
fn a_request_is_compared_with_the_captured_one() {
    let captured = [charge(2, "{\"amount\":4999,\"at\":1}", "paid")];
    let answers = json!(["200 paid"]);
    let mut table = Table::new();
    let mut row = |sent: &str, suite: &str, words: &[&str]| {
        let suite = format!("{STRICT}\n{suite}");
        table.relayed(&json!([call(sent)]), &captured, &suite, &answers, words);
    };
    let other = "{\"amount\":1,\"at\":2}";
    let told = [
        "2 differences in what was sent",
        "mock `auto[1] POST pay.example/charge`\n    differs from the captured request:\n    $.amount\n      \
         expected  4999\n      actual    1\n",
    ];
    let auto = "mocks: auto";
    row("{\"at\":1,\"amount\":4999.0,\"more\":0}", auto, &[]);
    row(other, auto, &told);
    row("", auto, &["body\n", "1 difference in what was sent"]);
    row(other, "mocks: auto\noutbound: { difference: warn }", &[]);
    row(other, "mocks: auto\noutbound: { difference: ignore }", &[]);
    row(
        other,
        "mocks: auto\noutbound: { body: { mode: ignore } }",
        &[],
    );
    let ignoring = "mocks: auto\noutbound: { body: { ignore: [ $.at ] } }";
    row(other, ignoring, &["1 difference in what was sent"]);
    row("{\"amount\":4999,\"at\":2}", ignoring, &[]);
    row(
        "{\"amount\":4999,\"at\":1,\"more\":0}",
        "mocks: auto\noutbound: { body: { mode: exact } }",
        &["$.more"],
    );
    row(
        "{\"amount\":5000,\"at\":1}",
        "mocks: auto\noutbound: { body: { match: { $.amount: { near: 5000, by: 1 } } } }",
        &[],
    );
    row(
        "{\"amount\":5002,\"at\":1}",
        "mocks: auto\noutbound: { body: { match: { $.amount: { near: 5000, by: 1 } } } }",
        &["$.amount", "within 1 of 5000"],
    );
    // A mock from the case warns; what it states itself counts before what is stated beside it.
    let listed = "mocks: [ { name: pay, match: { host: pay.example } } ]";
    row(other, listed, &[]);
    row(
        other,
        &format!("{listed}\noutbound: {{ difference: fail }}"),
        &["$.amount"],
    );
    let own = "mocks: [ { name: pay, match: { host: pay.example }, outbound: { difference: warn, body: { ignore: [ $.x ] } } } ]";
    row(
        other,
        &format!("{own}\noutbound: {{ difference: fail }}"),
        &[],
    );
    // An answer of the suite's own is no capture to compare with.
    let inline = "mocks: [ { match: { host: pay.example }, response: { body: paid } } ]\noutbound: { difference: fail }";
    row(other, inline, &[]);
    table.check_relayed();
}

#[test]
fn a_warning_tells_what_differs() {
    let captured = [charge(2, "{\"amount\":4999}", "paid")];
    let suite = format!("{STRICT}\nmocks: auto\noutbound: {{ difference: warn }}");
    let calls = json!([call("{\"amount\":1}")]);
    let run = relayed(&calls, &captured, &suite, &json!(["200 paid"]));
    run.passes();
    let line = "warning: r0::r0: POST pay.example/charge: $.amount expected 4999, actual 1";
    assert!(run.stderr.contains(line), "{}", run.all());
}

#[test]
fn forms_are_compared_by_their_names_and_values() {
    let form = ("content-type", "application/x-www-form-urlencoded");
    let parts = |boundary: &str| format!("multipart/form-data; boundary={boundary}");
    let multipart = |boundary: &str, amount: &str| {
        format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"amount\"\r\n\r\n{amount}\r\n--{boundary}--\r\n"
        )
    };
    let pay = "POST pay.example/charge";
    let mut table = Table::new();
    let mut row = |captured: (&str, &str), sent: (&str, &str), words: &[&str]| {
        let captured = exchange(2, pay, &[("content-type", captured.0)], captured.1, "paid");
        let calls = json!([[pay, format!("content-type: {}\r\n", sent.0), sent.1]]);
        let suite = format!("{STRICT}\nmocks: auto");
        table.relayed(&calls, &[captured], &suite, &json!(["200 paid"]), words);
    };
    row(
        (form.1, "amount=4999&to=a+b"),
        (form.1, "to=a%20b&amount=4999"),
        &[],
    );
    row(
        (form.1, "amount=4999&to=a+b"),
        (form.1, "to=c&amount=4999"),
        &["$.to\n      expected  \"a b\"\n      actual    \"c\""],
    );
    row(
        (form.1, "a=1&a=2"),
        (form.1, "a=2&a=1"),
        &["$.a[0]", "$.a[1]"],
    );
    let captured = (&*parts("x"), &*multipart("x", "4999"));
    row(
        captured,
        (&parts("other"), &multipart("other", "4999")),
        &[],
    );
    row(
        captured,
        (&parts("other"), &multipart("other", "1")),
        &["$.amount\n      expected  \"4999\"\n      actual    \"1\""],
    );
    // A form that is no form any more is another body.
    row(
        (form.1, "a=1"),
        ("application/json", "{\"a\":\"1\"}"),
        &["body\n"],
    );
    table.check_relayed();
}

#[test]
fn queries_and_headers_are_compared_as_the_suite_says() {
    let captured = |query: &str| {
        let headers = [("x-version", "2"), ("accept", "a, b")];
        exchange(
            2,
            &format!("GET api.example/items{query}"),
            &headers,
            "",
            "ok",
        )
    };
    let mut table = Table::new();
    let mut row = |query: &str, headers: &str, suite: &str, words: &[&str]| {
        let calls = json!([[format!("GET api.example/items{query}"), headers, ""]]);
        let suite = format!("{STRICT}\n{suite}");
        let captured = [captured("?page=1&t=9")];
        table.relayed(&calls, &captured, &suite, &json!(["200 ok"]), words);
    };
    let ignoring = "mocks: auto\noutbound: { query: { ignore: [ t ] } }";
    row("?t=9&page=1", "", "mocks: auto", &[]);
    row(
        "?page=1&t=8",
        "",
        "mocks: auto",
        &["1 outbound call missed"],
    );
    row("?page=1&t=8", "", ignoring, &[]);
    row("?page=1", "", ignoring, &[]);
    row("?page=2&t=9", "", ignoring, &["1 outbound call missed"]);
    let listed = "mocks: [ { match: { path: /items } } ]\noutbound: { difference: fail }";
    row(
        "?page=2&page=3",
        "",
        listed,
        &[
            "query.page\n      expected  1\n      actual    2 | 3",
            "query.t\n      expected  9\n      actual    nothing",
        ],
    );
    let headers = "mocks: auto\noutbound: { headers: { mode: captured, ignore: [ accept ] } }";
    row("?page=1&t=9", "x-version: 2\r\n", headers, &[]);
    row(
        "?page=1&t=9",
        "x-version: 3\r\n",
        headers,
        &["headers.x-version"],
    );
    row("?page=1&t=9", "", headers, &["headers.x-version"]);
    let include = "mocks: auto\noutbound: { headers: { include: { x-version: \"^3\" } } }";
    row("?page=1&t=9", "x-version: 3\r\n", include, &[]);
    row(
        "?page=1&t=9",
        "x-version: 2\r\n",
        include,
        &["headers.x-version"],
    );
    table.check_relayed();
}

#[test]
fn calls_that_differ_in_their_bodies_get_their_own_answers() {
    let captured = [
        charge(2, "{\"k\":1}", "one"),
        charge(3, "{\"k\":2}", "two"),
        charge(4, "{\"k\":2}", "two again"),
    ];
    let mut table = Table::new();
    let mut row = |sent: &[&str], answers: &[&str], suite: &str, words: &[&str]| {
        let calls: Vec<Value> = sent.iter().map(|sent| call(sent)).collect();
        let suite = format!("{STRICT}\n{suite}");
        table.relayed(&json!(calls), &captured, &suite, &json!(answers), words);
    };
    let (one, two, other) = ("{\"k\":1}", "{\"k\":2}", "{\"k\":3}");
    let auto = "mocks: auto";
    row(
        &[two, one, two],
        &["200 two", "200 one", "200 two again"],
        auto,
        &[],
    );
    // A second call with a spent body gets the same answer again, and is one too many.
    row(
        &[one, one, two, two],
        &["200 one", "200 one", "200 two", "200 two again"],
        auto,
        &[
            "1 outbound call made too often",
            "`auto[1] POST pay.example/charge` answered twice, captured once",
        ],
    );
    row(
        &[two, two, two, one],
        &["200 two", "200 two again", "200 two again", "200 one"],
        auto,
        &["answered 3 times, captured twice"],
    );
    // A body that fits none gets the first answer that is left, and differs.
    row(
        &[one, other, two],
        &["200 one", "200 two", "200 two again"],
        auto,
        &[
            "1 difference in what was sent",
            "$.k\n      expected  2\n      actual    3",
        ],
    );
    let once = "mocks: [ { expect: all, consume: once } ]";
    row(
        &[one, one, two],
        &["200 one", "200 two", "200 two again"],
        once,
        &[],
    );
    row(
        &[two, one, two, two],
        &[],
        once,
        &["1 outbound call missed"],
    );
    table.check_relayed();
}

#[test]
fn an_equal_body_is_preferred_to_one_with_less() {
    // As a subset, the first captured body fits both requests.
    let captured = [
        charge(2, "{\"k\":1}", "one"),
        charge(3, "{\"k\":1,\"m\":2}", "both"),
    ];
    let (less, more) = ("{\"k\":1}", "{\"m\":2,\"k\":1}");
    let mut table = Table::new();
    let mut row = |sent: &[&str], answers: &[&str], words: &[&str]| {
        let calls: Vec<Value> = sent.iter().map(|sent| call(sent)).collect();
        let suite = format!("{STRICT}\nmocks: auto");
        table.relayed(&json!(calls), &captured, &suite, &json!(answers), words);
    };
    row(&[more, less], &["200 both", "200 one"], &[]);
    row(&[less, more], &["200 one", "200 both"], &[]);
    row(
        &[more, more],
        &["200 both", "200 both"],
        &["answered twice, captured once"],
    );
    table.check_relayed();
}

#[test]
fn a_remote_runtime_compares_and_chooses_too() {
    let served = crate::command::Served::start(&["--refuse-idle"]);
    let captured = [charge(2, "{\"k\":1}", "one"), charge(3, "{\"k\":2}", "two")];
    let run = |sent: [&str; 2], answers: [&str; 2]| {
        let calls = json!([call(sent[0]), call(sent[1])]);
        let app = crate::support::relay(served.proxy(), &calls);
        let project = Project::new();
        let inbound = [response_body(&json!(answers).to_string())];
        let inbound = span(1, "inbound", "GET shop.example/a", Some(200), &inbound);
        let spans = [inbound, captured[0].clone(), captured[1].clone()];
        project.write("a.case.json", document(&spans).to_string());
        project.write(
            "s.suite.yaml",
            format!("name: s\ncases: a.case.json\n{STRICT}\nmocks: auto\n"),
        );
        project.against(&app, &["--runtime-url", &served.url()])
    };
    let (one, two) = ("{\"k\":1}", "{\"k\":2}");
    run([two, one], ["200 two", "200 one"]).passes();
    run([two, "{\"k\":9}"], ["200 two", "200 one"]).fails(&[
        "1 difference in what was sent",
        "$.k\n      expected  1\n      actual    9",
    ]);
    run([two, two], ["200 two", "200 two"]).fails(&["answered twice, captured once"]);
}

#[test]
fn a_runtime_that_does_not_know_bodies_is_told() {
    // A runtime of another kind: it refuses the predicate, and reports no requests.
    let runtime = Stub::start(|request| {
        let line = request.line.clone();
        let text = String::from_utf8_lossy(&request.body).into_owned();
        let answer = match line.as_str() {
            line if line.starts_with("GET /health") => json!({"status": "ok"}),
            line if line.starts_with("POST /v1/sessions ") => json!({"sessionId": "sess_1"}),
            line if line.contains("/stats") => json!({"stats": {"strictMisses": 0}}),
            line if line.contains("/rules") && text.contains("\"like\"") => {
                let error = json!({"error": {"code": "invalid_request", "message": "when.body"}});
                return http(
                    400,
                    &[("content-type", "application/json")],
                    error.to_string(),
                );
            }
            line if line.contains("/requests") => {
                let error = json!({"error": {"code": "not_found", "message": "no such route"}});
                return http(
                    404,
                    &[("content-type", "application/json")],
                    error.to_string(),
                );
            }
            _ => json!({}),
        };
        http(
            200,
            &[("content-type", "application/json")],
            answer.to_string(),
        )
    });
    let app = Stub::json(200, &json!([]));
    let run = |suite: &str| {
        let project = Project::new();
        let inbound = span(
            1,
            "inbound",
            "GET shop.example/a",
            Some(200),
            &[response_body("[]")],
        );
        let spans = [
            inbound,
            charge(2, "{\"k\":1}", "one"),
            charge(3, "{\"k\":2}", "two"),
        ];
        project.write("a.case.json", document(&spans).to_string());
        project.write(
            "s.suite.yaml",
            format!("name: s\ncases: a.case.json\n{suite}\n"),
        );
        project.against(&app, &["--runtime-url", &runtime.url()])
    };
    let passed = run("mocks: auto");
    passed.passes();
    for told in [
        "got the captured answers in order",
        "were not compared with the capture",
    ] {
        assert!(passed.stderr.contains(told), "{}", passed.all());
    }
    run("mocks: auto\noutbound: { difference: fail }")
        .fails(&["`outbound.difference`, but this runtime does not report"]);
    run("mocks: auto\noutbound: { difference: ignore }").passes();
}

#[test]
fn a_call_after_the_answer_is_waited_for() {
    let captured = [exchange(2, "POST mail.example/send", &[], "hi", "sent")];
    let later = json!([["later POST mail.example/send", "", "hi"]]);
    let suite = format!("{STRICT}\nmocks: auto\nunused: fail\noutbound: {{ settleMs: 60000 }}");
    relayed(&later, &captured, &suite, &json!([])).passes();
    let changed = json!([["later POST mail.example/send", "", "ho"]]);
    relayed(&changed, &captured, &suite, &json!([])).fails(&["1 difference in what was sent"]);
    // Without a wait, a call that never comes is told at once.
    let suite = format!("{STRICT}\nmocks: auto\nunused: fail\noutbound: {{ settleMs: 0 }}");
    relayed(&json!([]), &captured, &suite, &json!([])).fails(&["1 mock was never used"]);
}

/// Runs two cases, one at a time; the first makes a call only when the second has arrived.
fn late(captured: &[Value], policies: [&str; 2], host: &str, args: &[&str]) -> (Project, Run) {
    let project = Project::new();
    let calls = json!([[format!("next POST {host}/sent"), "", "{}"]]);
    for (name, calls, more) in [("a", calls, captured), ("b", json!([]), &[])] {
        let exchanged = [
            attribute("http.request.body", &calls.to_string()),
            response_body("[]"),
        ];
        let inbound = format!("POST shop.example/{name}");
        let mut spans = vec![span(1, "inbound", &inbound, Some(200), &exchanged)];
        spans.extend(more.iter().cloned());
        project.write(&format!("{name}.case.json"), document(&spans).to_string());
    }
    let [a, b] = policies;
    project.write(
        "s.suite.yaml",
        format!(
            "name: s\nmocks: auto\noutbound: {{ settleMs: 0 }}\ncases:\n  \
             - {{ path: a.case.json, overrides: {{ policy: {{ {a} }} }} }}\n  \
             - {{ path: b.case.json, overrides: {{ policy: {{ {b} }} }} }}\n"
        ),
    );
    let args = [&["--test-threads", "1"], args].concat();
    let run = project.run_with(&args, &[("SOFTPROBE_TEST_CALLS", "[]")]);
    (project, run)
}

#[test]
fn a_late_call_belongs_to_its_own_case_alone() {
    let (strict, allow) = ("externalHttp: strict", "externalHttp: allow");
    let upstream = Stub::json(200, &json!("live"));
    let live = upstream.url().replace("http://", "");
    // Nothing answers it: its own case fails, though it had passed, and the one that runs does not.
    for policies in [[strict, strict], [strict, allow]] {
        let (project, run) = late(&[], policies, &live, &["--junit", "j.xml"]);
        run.fails(&[
            "test s::a ... ok",
            "test s::b ... ok",
            "---- s::a ----",
            "1 outbound call missed after the case had ended",
            "test result: FAILED. 1 passed; 1 failed",
        ]);
        assert!(!run.all().contains("---- s::b ----"), "{}", run.all());
        let junit = std::fs::read_to_string(project.path().join("j.xml")).unwrap();
        assert!(
            junit.contains("tests=\"2\" skipped=\"0\" failures=\"1\""),
            "{junit}"
        );
        assert!(upstream.received().is_empty());
    }
    // Its own policy lets it pass, whatever the policy of the case that runs.
    let (_, run) = late(&[], [allow, strict], &live, &[]);
    run.passes();
    assert_eq!(upstream.received().len(), 1);
    let told = format!(
        "warning: s::a: POST {live}/sent came after the case had ended (by the policy: forwarded)"
    );
    assert!(run.stderr.contains(&told), "{}", run.all());
}

#[test]
fn an_exporter_fails_no_case() {
    let otlp = "content-type: application/x-protobuf\r\n";
    let mut table = Table::new();
    // The relay sends the session along, and with a session such a call is like any other.
    let call = json!([["POST otel.example:4318/v1/traces", otlp, "x"]]);
    table.relayed(&call, &[], STRICT, &json!([]), &["1 outbound call missed"]);
    table.check_relayed();
    // Without one, it belongs to none of the cases that run.
    let softprobe = Softprobe::embedded(&EmbeddedRuntime::new());
    let proxy = Proxy::start(&softprobe).unwrap();
    let policy = Policy::strict().ambient_host("licence.example");
    let open = || {
        softprobe
            .start_session_with_policy(Mode::Replay, &policy)
            .unwrap()
    };
    let sessions = [open(), open()];
    for (call, kind, status, body) in [
        (
            "POST http://otel.example:4318/v1/traces",
            "application/x-protobuf",
            200,
            "",
        ),
        (
            "POST http://otel.example:4318/v1/logs",
            "application/json",
            200,
            "{}",
        ),
        (
            "GET http://169.254.169.254/latest/meta-data/",
            "text/plain",
            404,
            "softprobe: there is no metadata service here",
        ),
        (
            "GET http://licence.example/check",
            "text/plain",
            503,
            "softprobe: a strict policy lets no ambient call pass",
        ),
    ] {
        let head = format!(
            "{call} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: 0\r\n\r\n"
        );
        let answer = crate::support::send(proxy.address(), head);
        assert_eq!(
            (answer.status, answer.text().trim()),
            (status, body),
            "{call}"
        );
        for session in &sessions {
            let stats = session.stats().unwrap();
            let last = stats.uncorrelated.last().unwrap();
            assert!(last.ambient && !last.distrusted, "{last:?}");
            assert_eq!(stats.strict_misses, 0);
        }
    }
    // An exporter over gRPC asks for a tunnel, and is answered in it.
    let stream = crate::secure::tunnel(proxy.address(), "otel.example:4317", "");
    let (body, trailers) = crate::secure::grpc(
        stream,
        "http://otel.example:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    );
    assert_eq!((body.as_slice(), trailers.as_str()), (&[0; 5][..], "0"));
    assert!(sessions.iter().all(|s| {
        s.stats()
            .unwrap()
            .uncorrelated
            .iter()
            .all(|call| call.ambient)
    }));
}

#[test]
fn a_mock_of_the_only_open_case_answers_what_is_ambient_otherwise() {
    let softprobe = Softprobe::embedded(&EmbeddedRuntime::new());
    let proxy = Proxy::start(&softprobe).unwrap();
    let session = softprobe.start_session(Mode::Replay).unwrap();
    let metadata =
        "GET http://169.254.169.254/latest/meta-data/ HTTP/1.1\r\nhost: localhost\r\n\r\n";
    assert_eq!(crate::support::send(proxy.address(), metadata).status, 404);
    let when = Predicate::outbound().host("169.254.169.254");
    let mock = Mock::new(when).response(MockResponse::new(200).body("i-1"));
    session.mock_outbound(mock).unwrap();
    let answer = crate::support::send(proxy.address(), metadata);
    assert_eq!((answer.status, answer.text().as_str()), (200, "i-1"));
    assert_eq!(session.stats().unwrap().uncorrelated.len(), 1);
}

#[test]
fn secrets_in_a_query_are_in_no_report() {
    let pay = |x: u8| format!("GET pay.example/a?token=tok-5b1c&x={x}");
    let project = Project::new();
    let captured = exchange(2, &pay(1), &[], "", "a");
    let calls = json!([[pay(2), "", ""]]);
    let case = calling("a", &calls, &json!(["200 a"]), &[captured]);
    project.write("a.case.json", case);
    let suite = format!("name: s\ncases: a.case.json\n{STRICT}\nmocks: auto\nunused: fail\n");
    project.write("s.suite.yaml", suite);
    let calls = [("SOFTPROBE_TEST_CALLS", "[]")];
    let run = project.run_with(&["--junit", "out.xml"], &calls);
    run.fails(&["1 outbound call missed", "unused mocks"]);
    let junit = std::fs::read_to_string(project.path().join("out.xml")).unwrap();
    for report in [run.all(), junit] {
        // The body that the application got belongs to the captured request, and is shown.
        let told = |line: &&str| {
            let starts = ["GET pay.example", "nearest rule", "auto[1]"];
            starts.iter().any(|start| line.trim().starts_with(start))
        };
        let lines: Vec<_> = report.lines().filter(told).collect();
        assert!(lines.len() >= 3, "{report}");
        assert!(
            !lines.iter().any(|line| line.contains("tok-5b1c")),
            "{report}"
        );
    }
}

/// Returns the spans of a case whose application makes these calls and gets these answers.
fn calling(name: &str, calls: &Value, answers: &Value, captured: &[Value]) -> String {
    let exchanged = [
        attribute("http.request.body", &calls.to_string()),
        response_body(&answers.to_string()),
    ];
    let inbound = format!("POST shop.example/{name}");
    let mut spans = vec![span(1, "inbound", &inbound, Some(200), &exchanged)];
    spans.extend(captured.iter().cloned());
    document(&spans).to_string()
}

#[test]
fn shared_exchanges_answer_every_case_that_has_none_of_its_own() {
    let token = |id: u64, answer: &str| exchange(id, "POST auth.example/token", &[], "", answer);
    let calls = json!([
        ["POST auth.example/token", "", ""],
        ["GET flags.example/", "", ""]
    ]);
    let flags = exchange(3, "GET flags.example/", &[], "", "flags");
    let project = Project::new();
    let own = json!(["200 own", "200 flags"]);
    let first = json!(["200 first", "200 flags"]);
    // The first case by path is the one whose token the others get; it fetches none itself, and need not.
    project.write(
        "a.case.json",
        calling("a", &json!([]), &json!([]), &[token(2, "first")]),
    );
    project.write(
        "b.case.json",
        calling("b", &calls, &own, &[token(2, "own")]),
    );
    project.write("c.case.json", calling("c", &calls, &first, &[]));
    project.write("d.case.json", calling("d", &calls, &first, &[]));
    project.write("flags.json", document(&[flags]).to_string());
    let suite = |shared: &str| {
        let mocks = format!("mocks: {{ auto: true, shared: {shared} }}");
        format!("name: s\ncases: \"*.case.json\"\nunused: fail\n{STRICT}\n{mocks}\n")
    };
    let shared = "[ { path: /token }, { from: flags.json } ]";
    project.write("s.suite.yaml", suite(shared));
    let calls = [("SOFTPROBE_TEST_CALLS", "[]")];
    let run = project.run_with(&[], &calls);
    run.passes();
    assert_eq!(run.results().len(), 4);
    // They also answer a case that is replayed alone.
    project.run_with(&["--exact", "s::d"], &calls).passes();
    // Without them, the token and the flags are missing.
    project.write("s.suite.yaml", suite("[]"));
    project
        .run_with(&["--exact", "s::d"], &calls)
        .fails(&["2 outbound calls missed"]);
    // What fits nothing is told, and a file that is none is an error of the suite.
    project.write("s.suite.yaml", suite("[ { path: /nothing } ]"));
    let run = project.run_with(&["--exact", "s::a"], &calls);
    let told = "s.suite.yaml:5:32: mocks.shared[0]: no exchange of any case fits";
    assert!(run.stderr.contains(told), "{}", run.all());
    project.write("s.suite.yaml", suite("[ { from: none.json } ]"));
    project
        .run_with(&[], &calls)
        .fails(&["s.suite.yaml:5:32: mocks.shared[0]: `none.json` does not exist"]);
}

#[test]
fn shared_exchanges_answer_only_bodies_like_theirs() {
    let project = Project::new();
    let shared = [charge(2, "{\"k\":1}", "one"), charge(3, "{\"k\":2}", "two")];
    project.write("shared.json", document(&shared).to_string());
    let calls = json!([call("{\"k\":2}"), call("{\"k\":1}")]);
    let answers = json!(["200 two", "200 one"]);
    project.write("a.case.json", calling("a", &calls, &answers, &[]));
    let calls = json!([call("{\"k\":3}")]);
    project.write(
        "b.case.json",
        calling("b", &calls, &json!(["200 one"]), &[]),
    );
    let mocks = "mocks: { auto: true, shared: [ { from: shared.json } ] }";
    project.write(
        "s.suite.yaml",
        format!("name: s\ncases: \"*.case.json\"\n{STRICT}\n{mocks}\n"),
    );
    let run = project.run_with(&[], &[("SOFTPROBE_TEST_CALLS", "[]")]);
    run.fails(&["1 outbound call missed"]);
    let results = run.results();
    assert_eq!((&*results["s::a"], &*results["s::b"]), ("ok", "FAILED"));
}

#[test]
fn shared_exchanges_answer_while_no_case_runs() {
    let project = Project::new();
    let started = exchange(2, "GET flags.example/", &[], "", "flags");
    project.write("flags.json", document(&[started]).to_string());
    let answers = json!(["200 flags", "599"]);
    project.write("a.case.json", calling("a", &json!([]), &answers, &[]));
    project.write(
        "s.suite.yaml",
        "name: s\ncases: a.case.json\nmocks: { auto: true, shared: [ { from: flags.json } ] }\n",
    );
    // The application makes its calls when it starts, and answers with what they got.
    let calls = json!(["GET flags.example/", "GET other.example/"]);
    project
        .run_with(&[], &[("SOFTPROBE_TEST_STARTUP", &calls.to_string())])
        .passes();
}

#[test]
fn a_serial_suite_runs_beside_no_other_case() {
    let project = Project::new();
    let captured = [exchange(2, "GET up.example/x", &[], "", "mock")];
    // The relay passes on a session that is unknown, so that only the rule of the only open session helps.
    let unknown = "traceparent: 00-ffffffffffffffffffffffffffffffff-b7ad6b7169203331-01\r\n";
    let calls = json!([["untraced GET up.example/x", unknown, ""]]);
    let names: Vec<String> = (0..8).map(|n| format!("c{n}")).collect();
    for name in &names {
        let case = calling(name, &calls, &json!(["200 mock"]), &captured);
        project.write(&format!("{name}.case.json"), case);
    }
    let suite = format!("name: s\ncases: \"*.case.json\"\nmocks: auto\n{STRICT}\n");
    project.write("s.suite.yaml", format!("{suite}concurrency: serial\n"));
    let env = [("SOFTPROBE_TEST_CALLS", "[]")];
    project.run_with(&["--test-threads", "8"], &env).passes();
    project.write("s.suite.yaml", format!("{suite}concurrency: parallel\n"));
    project
        .run_with(&[], &env)
        .fails(&["concurrency: `parallel` is not one of serial"]);
    project.write("s.suite.yaml", suite);
    project
        .run_with(&["--test-threads", "8", "--serial"], &env)
        .passes();
}
