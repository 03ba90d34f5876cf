//! Scripts, rules and suites for Softprobe's other command and SDKs, as their users have them.

use serde_json::{Value, json};

use crate::command::{Output, Served, run_in, softprobe};
use crate::server::{call, start};
use crate::support::{Project, Stub, attribute, document, http, response_body, send, span};

/// A project with a case, rules, a policy and suites, and a runtime.
struct Shop {
    project: Project,
    served: Served,
}

impl Shop {
    fn new() -> Self {
        let project = Project::new();
        let inbound = span(
            1,
            "inbound",
            "GET shop.example/a",
            Some(200),
            &[response_body("{}")],
        );
        let outbound = span(
            2,
            "outbound",
            "GET pay.example/b",
            Some(200),
            &[response_body("{}")],
        );
        let mut case = document(&[inbound, outbound]);
        case["caseId"] = json!("case-1");
        project.write("a.case.json", case.to_string());
        project.write("rules.json", rules().to_string());
        project.write(
            "rules.yaml",
            "rules:\n  - when: { host: a.example }\n    then: { action: passthrough }\n",
        );
        project.write("policy.yaml", "externalHttp: strict\n");
        project.write("s.suite.yaml", "name: s\ncases: a.case.json\nrequest: { url: \"${APP}\" }\nassertions: { status: 200 }\n");
        let captures = project.path().join("captures").display().to_string();
        Self {
            project,
            served: Served::start(&["--captures", &captures]),
        }
    }

    fn run(&self, line: &str) -> Output {
        let args: Vec<&str> = line.split(' ').collect();
        let mut command = softprobe(&args);
        command.current_dir(self.project.path());
        command.env("APP", "http://127.0.0.1:1");
        Output::of(command.env("SOFTPROBE_RUNTIME_URL", self.served.url()))
    }

    fn session(&self, mode: &str) -> String {
        start(self.served.address(), &json!({"mode": mode}))
    }
}

fn rules() -> Value {
    let mock = json!({"action": "mock", "response": {"status": 0, "headers": null, "body": "ok"}});
    json!({"version": 1, "rules": [
        {"id": "a", "priority": 1, "when": {"host": "a.example", "method": null}, "then": mock},
        {"name": "b", "when": {"host": "b.example"}, "then": {"action": "passthrough"}},
    ]})
}

#[test]
fn every_spelling_of_a_command_works() {
    let shop = Shop::new();
    let id = shop.session("replay");
    for line in [
        "session load-case --file a.case.json --session ID",
        "session load-case a.case.json --session ID",
        "session rules apply --file rules.json --session ID",
        "session rules apply --file rules.yaml --session ID",
        "session rules apply rules.json --session ID",
        "session policy set --file policy.yaml --session ID",
        "session policy set policy.yaml --session ID",
        "session policy set --strict --session ID",
        "session start --policy policy.yaml --case a.case.json --shell",
        "session stats --session ID",
        "replay run --session ID",
        "inspect session --session ID",
        "inspect case a.case.json",
        "validate rules rules.yaml",
        "completion bash",
        "completions bash",
        "version",
        "--version",
        "doctor --no-color",
        "suite validate s.suite.yaml",
        "session close --session ID",
    ] {
        shop.run(&line.replace("ID", &id)).ends(0, &[]);
    }
    for line in [
        "session load-case --session x",
        "session policy set --session x",
        "cases get ../x",
    ] {
        shop.run(line).ends(2, &[]);
    }
}

#[test]
fn suites_take_the_spellings_too() {
    let shop = Shop::new();
    let app = Stub::json(200, &json!({}));
    let run = |args: &str| {
        let mut command = softprobe(&args.split(' ').collect::<Vec<_>>());
        Output::of(
            command
                .current_dir(shop.project.path())
                .env("APP", app.url()),
        )
    };
    // A filter fits the trial's name or its case's path.
    for filter in ["s::a", "a.case.json"] {
        let line = format!("suite run s.suite.yaml --parallel 2 --no-color --filter {filter}");
        run(&line).ends(0, &["1 passed"]);
    }
    run("suite run s.suite.yaml --filter b.case.json").ends(5, &["no case's name matches"]);
}

/// Each command line with the fields of its JSON document, by their JSON pointers, and the values that are known.
#[test]
fn every_field_of_a_json_answer_is_there() {
    let shop = Shop::new();
    let id = shop.session("replay");
    let rows: [(&str, &[(&str, Value)]); 12] = [
        (
            "doctor",
            &[
                ("/status", json!("ok")),
                ("/cliVersion", json!(env!("CARGO_PKG_VERSION"))),
                ("/runtimeVersion", Value::Null),
                ("/specVersion", json!("http-control-api@v1")),
                ("/schemaVersion", json!("1")),
                ("/checks/0/name", json!("runtime")),
                ("/checks/0/status", json!("ok")),
                ("/checks/0/details/message", Value::Null),
            ],
        ),
        (
            "session start",
            &[
                ("/sessionId", Value::Null),
                ("/sessionRevision", json!(0)),
                ("/mode", json!("replay")),
                ("/specVersion", json!("http-control-api@v1")),
                ("/schemaVersion", json!("1")),
            ],
        ),
        (
            "session start --case a.case.json",
            &[("/sessionRevision", json!(1))],
        ),
        (
            "session load-case --file a.case.json --session ID",
            &[
                ("/sessionId", json!("ID")),
                ("/sessionRevision", json!(1)),
                ("/caseId", json!("case-1")),
                ("/traceCount", json!(1)),
            ],
        ),
        (
            "session rules apply --file rules.json --session ID",
            &[
                ("/sessionId", json!("ID")),
                ("/sessionRevision", json!(2)),
                ("/ruleCount", json!(2)),
            ],
        ),
        (
            "session stats --session ID",
            &[
                ("/sessionId", json!("ID")),
                ("/sessionRevision", json!(2)),
                ("/mode", json!("replay")),
                ("/stats/injectedSpans", json!(0)),
                ("/hits", json!(0)),
                ("/misses", json!(0)),
            ],
        ),
        (
            "replay run --session ID",
            &[("/hits", json!(0)), ("/misses", json!(0))],
        ),
        (
            "inspect session --session ID",
            &[
                ("/rules/version", json!(1)),
                ("/rules/rules/0/id", json!("a")),
                ("/caseSummary/caseId", json!("case-1")),
            ],
        ),
        (
            "inspect case a.case.json",
            &[
                ("/caseId", json!("case-1")),
                ("/version", json!("1.0.0")),
                ("/traceCount", json!(1)),
                ("/spanSummary/1/direction", json!("outbound")),
                ("/spanSummary/1/method", json!("GET")),
                ("/spanSummary/1/host", json!("pay.example")),
                ("/spanSummary/1/path", json!("/b")),
                ("/spanSummary/1/status", json!(200)),
                ("/cases/0/caseId", json!("case-1")),
            ],
        ),
        (
            "validate case a.case.json",
            &[
                ("/path", json!("a.case.json")),
                ("/valid", json!(true)),
                ("/errors", json!([])),
            ],
        ),
        (
            "suite validate s.suite.yaml",
            &[("/suite", json!("s.suite.yaml")), ("/errors", json!([]))],
        ),
        (
            "session close --session ID",
            &[
                ("/sessionId", json!("ID")),
                ("/closed", json!(true)),
                ("/stats/injectedSpans", json!(0)),
                ("/stats/extractedSpans", json!(0)),
                ("/stats/strictMisses", json!(0)),
            ],
        ),
    ];
    for (line, fields) in rows {
        let line = line.replace("ID", &id);
        let told = shop.run(&format!("{line} --json")).document();
        assert_eq!(told["exitCode"], 0, "{line}: {told}");
        for (pointer, value) in fields {
            let has = told.pointer(pointer);
            let has = has.unwrap_or_else(|| panic!("{line}: {pointer} is not in {told:#}"));
            let wanted = match value.as_str() {
                Some("ID") => json!(id),
                _ => value.clone(),
            };
            assert!(
                wanted.is_null() || *has == wanted,
                "{line}: {pointer}: {has}"
            );
        }
    }
}

#[test]
fn a_run_tells_each_case_in_the_known_fields() {
    let shop = Shop::new();
    shop.project.write("t.suite.yaml", "name: t\ncases: [ { path: a.case.json, name: bad }, { path: a.case.json, name: off, skip: true } ]\nrequest: { url: \"${APP}\" }\nassertions: { status: 201 }\n");
    let app = Stub::json(200, &json!({}));
    let run = |line: &str| {
        let mut command = softprobe(&line.split(' ').collect::<Vec<_>>());
        Output::of(
            command
                .current_dir(shop.project.path())
                .env("APP", app.url()),
        )
        .document()
    };
    let told = run("suite run s.suite.yaml --json");
    assert_eq!(
        (
            &told["suite"],
            &told["total"],
            &told["passed"],
            &told["failed"]
        ),
        (&json!("s"), &json!(1), &json!(1), &json!(0))
    );
    let case = &told["cases"][0];
    assert_eq!(
        (
            &case["caseId"],
            &case["path"],
            &case["displayName"],
            &case["status"]
        ),
        (
            &json!("case-1"),
            &json!("a.case.json"),
            &json!("a"),
            &json!("passed")
        )
    );
    assert!(
        case["durationMs"].is_u64() && case["error"].is_null(),
        "{case}"
    );
    let told = run("suite run s.suite.yaml t.suite.yaml --json");
    assert_eq!(
        (&told["status"], &told["total"], told.get("suite")),
        (&json!("fail"), &json!(3), None)
    );
    let suite = &told["suites"][1];
    assert_eq!(
        (
            &suite["suite"],
            &suite["total"],
            &suite["passed"],
            &suite["failed"]
        ),
        (&json!("t"), &json!(2), &json!(0), &json!(1))
    );
    let words: Vec<&Value> = suite["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| &case["status"])
        .collect();
    assert_eq!(words, ["failed", "skipped"]);
    assert!(
        suite["cases"][0]["error"]
            .as_str()
            .unwrap()
            .contains("status"),
        "{suite}"
    );
}

#[test]
fn errors_and_differences_have_the_known_fields() {
    let shop = Shop::new();
    shop.project.write(
        "bad.json",
        json!({"rules": [{"when": {"hots": "x"}, "then": {"action": "passthrough"}}]}).to_string(),
    );
    let told = shop.run("validate rules bad.json --json").document();
    assert_eq!(
        (&told["status"], &told["exitCode"], &told["valid"]),
        (&json!("fail"), &json!(5), &json!(false))
    );
    assert_eq!(told["errors"][0]["place"], "rules[0].when.hots");
    assert!(
        told["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("did you mean host?"),
        "{told}"
    );
    for (line, code) in [
        ("session stats --session sess_gone", 4),
        ("session start --mode odd", 2),
        ("suite validate nowhere.yaml", 5),
        ("session start --runtime-url http://127.0.0.1:1", 3),
    ] {
        let told = shop.run(&format!("{line} --json")).document();
        assert_eq!(
            (&told["status"], &told["exitCode"]),
            (&json!("fail"), &json!(code)),
            "{line}"
        );
        assert!(
            told["error"]["code"].is_string() && told["error"]["message"].is_string(),
            "{told}"
        );
    }
    let other = document(&[
        span(
            1,
            "inbound",
            "GET shop.example/a",
            Some(200),
            &[response_body("{}")],
        ),
        span(
            2,
            "outbound",
            "GET pay.example/c",
            Some(200),
            &[response_body("{}")],
        ),
    ]);
    shop.project.write("b.case.json", other.to_string());
    let told = shop
        .run("suite diff --baseline a.case.json --current b.case.json --json")
        .document();
    assert_eq!(
        (&told["added"], &told["removed"]),
        (&json!(["GET pay.example/c"]), &json!(["GET pay.example/b"]))
    );
    // So are the calls of whole cases.
    for (folder, file) in [("old", "a"), ("old", "x"), ("new", "b"), ("new", "x")] {
        let from = shop.project.path().join(match file {
            "x" => "a.case.json".to_owned(),
            file => format!("{file}.case.json"),
        });
        let text = std::fs::read_to_string(from).unwrap();
        shop.project
            .write(&format!("{folder}/{file}.case.json"), text);
    }
    let told = shop
        .run("suite diff --baseline old/*.json --current new/*.json --json")
        .document();
    assert_eq!(
        (
            &told["added"],
            &told["removed"],
            &told["cases"][0]["change"]
        ),
        (
            &json!(["GET pay.example/c"]),
            &json!(["GET pay.example/b"]),
            &json!("removed")
        )
    );
}

#[test]
fn a_runtime_of_another_release_is_a_drift() {
    let shop = Shop::new();
    let other = Stub::json(
        200,
        &json!({"status": "ok", "specVersion": "http-control-api@v9", "schemaVersion": "1"}),
    );
    let args = ["doctor", "--runtime-url", &other.url(), "--json"];
    let output = run_in(shop.project.path(), &args);
    let told: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        (output.code, &told["status"], &told["specVersion"]),
        (10, &json!("drift"), &json!("http-control-api@v9"))
    );
}

#[test]
fn an_export_counts_what_it_sent() {
    let shop = Shop::new();
    let collector = Stub::json(200, &json!({}));
    let line = format!(
        "export otlp --case *.case.json --endpoint {}/v1/traces --json",
        collector.url()
    );
    let told = shop.run(&line).document();
    assert_eq!((&told["sent"], &told["failed"]), (&json!(1), &json!(0)));
    assert!(collector.received()[0].line.starts_with("POST /v1/traces "));
    // A runtime does not take the spans of sessions that it does not know, and says so.
    let mut case: Value = serde_json::from_str(
        &std::fs::read_to_string(shop.project.path().join("a.case.json")).unwrap(),
    )
    .unwrap();
    let spans = &mut case["traces"][0]["resourceSpans"][0]["scopeSpans"][0]["spans"];
    for span in spans.as_array_mut().unwrap() {
        span["attributes"]
            .as_array_mut()
            .unwrap()
            .push(attribute("sp.session.id", "sess_gone"));
    }
    shop.project.write("a.case.json", case.to_string());
    let line = format!(
        "export otlp --case a.case.json --endpoint {} --json",
        shop.served.url()
    );
    let told = shop.run(&line).document();
    assert_eq!(
        (&told["status"], &told["sent"], &told["failed"]),
        (&json!("fail"), &json!(0), &json!(1))
    );
}

/// Records a call in a capture session.
fn captured(shop: &Shop, upstream: &Stub) -> String {
    let id = shop.session("capture");
    let head = format!(
        "GET {}/x HTTP/1.1\r\nhost: a\r\ntracestate: x-softprobe-session-id={id}\r\n\r\n",
        upstream.url()
    );
    assert_eq!(send(shop.served.proxy(), head).status, 200);
    id
}

#[test]
fn a_close_without_a_file_keeps_what_was_captured() {
    let upstream = Stub::json(200, &json!({"a": 1}));
    let shop = Shop::new();
    let server = shop.served.address();
    let close = |id: &str, query: &str| {
        call(
            server,
            &format!("POST /v1/sessions/{id}/close{query}"),
            "",
            "{}",
        )
        .json()
    };
    let id = captured(&shop, &upstream);
    let path = close(&id, "")["capturePath"].as_str().unwrap().to_owned();
    assert!(
        path.ends_with(&format!("captures/{id}.case.json")),
        "{path}"
    );
    let kept: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(kept["caseId"], json!(id));
    let got = call(server, &format!("GET /v1/captures/{id}"), "", "");
    assert_eq!(got.json(), kept);
    let printed = shop.run(&format!("cases get {id}"));
    assert_eq!(
        serde_json::from_str::<Value>(&printed.stdout).unwrap(),
        kept
    );
    // What is named is filled in, and an absolute path may lie below the folder.
    let id = captured(&shop, &upstream);
    let named = close(&id, "?out=%7Bmode%7D-%7BsessionId%7D.case.json");
    assert!(
        named["capturePath"]
            .as_str()
            .unwrap()
            .ends_with(&format!("captures/capture-{id}.case.json")),
        "{named}"
    );
    let id = captured(&shop, &upstream);
    let folder = std::path::Path::new(&path)
        .parent()
        .unwrap()
        .canonicalize()
        .unwrap();
    let absolute = close(&id, &format!("?out={}/there.case.json", folder.display()));
    assert!(
        absolute["capturePath"]
            .as_str()
            .unwrap()
            .ends_with("/there.case.json"),
        "{absolute}"
    );
    // A session that captured nothing writes nothing, and one that is open or unknown has no capture yet.
    let id = shop.session("capture");
    let unknown = |id: &str| {
        let answer = call(server, &format!("GET /v1/captures/{id}"), "", "");
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (404, &json!("unknown_session"))
        );
        answer.text()
    };
    assert!(unknown(&id).contains("is still open"));
    assert_eq!(close(&id, "").get("capturePath"), None);
    unknown(&id);
    unknown("sess_gone");
}

#[test]
fn a_capture_goes_where_the_variable_says_and_overwrites_nothing() {
    let upstream = Stub::json(200, &json!({}));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("{mode}.case.json").display().to_string();
    let served = Served::start_with(
        &[],
        &[
            ("SOFTPROBE_CAPTURE_CASE_PATH", &file),
            ("SOFTPROBE_LISTEN_ADDR", "127.0.0.1:1"),
        ],
    );
    let shop = Shop {
        served,
        ..Shop::new()
    };
    for name in [
        "capture.case.json",
        "capture-2.case.json",
        "capture-3.case.json",
    ] {
        let id = captured(&shop, &upstream);
        let closed = call(
            shop.served.address(),
            &format!("POST /v1/sessions/{id}/close"),
            "",
            "",
        )
        .json();
        assert_eq!(
            closed["capturePath"],
            json!(folder.path().join(name)),
            "{name}"
        );
    }
    // Closes at the same time write to files of their own.
    let all: Vec<_> = (0..16).map(|_| captured(&shop, &upstream)).collect();
    let paths = std::thread::scope(|scope| {
        let closes = all.iter().map(|id| {
            let close = format!("POST /v1/sessions/{id}/close");
            let server = shop.served.address();
            scope.spawn(move || call(server, &close, "", "").json()["capturePath"].to_string())
        });
        let closes: Vec<_> = closes.collect();
        let paths = closes.into_iter().map(|close| close.join().unwrap());
        paths.collect::<std::collections::BTreeSet<_>>()
    });
    assert_eq!(paths.len(), 16);
    // So do sessions that end because they are idle, or with the server.
    let open = captured(&shop, &upstream);
    let stopped = shop.served.stop();
    let kept = format!("session {open}: its capture is kept in ");
    assert!(stopped.stderr.contains(&kept), "{}", stopped.stderr);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 20);
}

#[test]
fn a_blank_variable_is_one_that_is_not_set() {
    let blank = [("SOFTPROBE_CAPTURE_CASE_PATH", "")];
    let upstream = Stub::json(200, &json!({"a": 1}));
    let shop = Shop {
        served: Served::start_with(&[], &blank),
        ..Shop::new()
    };
    let id = captured(&shop, &upstream);
    let close = format!("POST /v1/sessions/{id}/close");
    let closed = call(shop.served.address(), &close, "", "").json();
    assert_eq!(closed.get("capturePath"), None, "{closed}");
}

#[test]
fn without_a_place_for_files_captures_stay_in_memory() {
    let upstream = Stub::json(200, &json!({}));
    let shop = Shop {
        served: Served::start(&[]),
        ..Shop::new()
    };
    let server = shop.served.address();
    let ids: Vec<String> = (0..102).map(|_| captured(&shop, &upstream)).collect();
    for id in &ids {
        let closed = call(server, &format!("POST /v1/sessions/{id}/close"), "", "").json();
        assert_eq!(closed, json!({"sessionId": id, "closed": true}));
    }
    let status = |id: &str| call(server, &format!("GET /v1/captures/{id}"), "", "").status;
    assert_eq!(
        (
            status(&ids[0]),
            status(&ids[1]),
            status(&ids[2]),
            status(&ids[101])
        ),
        (404, 404, 200, 200)
    );
    let stopped = shop.served.stop();
    assert!(
        stopped.stderr.contains("its capture is only in memory"),
        "{}",
        stopped.stderr
    );
}

#[test]
fn a_runtime_that_keeps_no_captures_is_not_trusted_with_one() {
    let shop = Shop::new();
    let other = Stub::start(|request| match request.line.contains("/stats") {
        true => http(
            200,
            &[],
            json!({"mode": "capture", "stats": {"extractedSpans": 3}}).to_string(),
        ),
        false => http(
            404,
            &[],
            json!({"error": {"code": "not_found", "message": "no such route"}}).to_string(),
        ),
    });
    let args = [
        "session",
        "close",
        "--session",
        "sess_1",
        "--runtime-url",
        &other.url(),
    ];
    run_in(shop.project.path(), &args).ends(2, &["this runtime does not keep them", "--save FILE"]);
}

#[test]
fn an_unknown_session_is_told_before_what_is_wrong_with_the_body() {
    let shop = Shop::new();
    for (step, body) in [
        ("rules", "{"),
        ("policy", "[1]"),
        ("load-case", ""),
        ("fixtures/auth", "{\"tokens\": 1}"),
        ("close", "{\"a\": 1}"),
    ] {
        let answer = call(
            shop.served.address(),
            &format!("POST /v1/sessions/sess_gone/{step}"),
            "",
            body,
        );
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (404, &json!("unknown_session")),
            "{step}"
        );
    }
    let id = shop.session("replay");
    let answer = call(
        shop.served.address(),
        &format!("POST /v1/sessions/{id}/rules"),
        "",
        "{",
    );
    assert_eq!(answer.status, 400);
}

#[test]
fn rules_as_other_clients_send_them_are_taken() {
    let shop = Shop::new();
    let id = shop.session("replay");
    let server = shop.served.address();
    let set = |body: &Value| {
        call(
            server,
            &format!("POST /v1/sessions/{id}/rules"),
            "",
            &body.to_string(),
        )
    };
    assert_eq!(set(&rules()).status, 200);
    // A capture by Envoy, copied into a rule.
    let envoy = json!({":status": "201", "content-type": "text/plain"});
    let rule = json!({"when": {"host": "a.example"}, "then": {"action": "mock", "response": {"status": 201, "headers": envoy, "body": "e"}}});
    assert_eq!(set(&json!({"version": 1, "rules": [rule]})).status, 200);
    let head = format!(
        "GET http://a.example/ HTTP/1.1\r\nhost: a\r\nx-softprobe-session-id: {id}\r\n\r\n"
    );
    let answer = send(shop.served.proxy(), head);
    assert_eq!(
        (
            answer.status,
            answer.text().as_str(),
            answer.header("content-type")
        ),
        (201, "e", vec!["text/plain".to_owned()])
    );
    let stats = call(server, &format!("GET /v1/sessions/{id}/stats"), "", "").json();
    assert_eq!(stats["stats"]["injectedSpans"], 1);
    // An answer by an error rule is no injected span.
    set(
        &json!({"rules": [{"then": {"action": "error", "error": {"status": 503, "headers": null}}}]}),
    );
    let head = format!(
        "GET http://a.example/ HTTP/1.1\r\nhost: a\r\nx-softprobe-session-id: {id}\r\n\r\n"
    );
    assert_eq!(send(shop.served.proxy(), head).status, 503);
    let stats = call(server, &format!("GET /v1/sessions/{id}/stats"), "", "").json();
    assert_eq!(stats["stats"]["injectedSpans"], 1);
    let state = call(server, &format!("GET /v1/sessions/{id}/state"), "", "").json();
    assert_eq!(
        (state["rules"]["rules"].is_array(), state.get("policy")),
        (true, None)
    );
    let single = json!({"then": {"action": "error", "error": {"status": 502}}});
    assert_eq!(set(&single).status, 200);
    let state = call(server, &format!("GET /v1/sessions/{id}/state"), "", "").json();
    assert_eq!(state["rules"], json!({"version": 1, "rules": [single]}));
    // Embedded in a case, such a rule does not keep it from loading.
    let case = json!({"version": "1.0.0", "caseId": "c", "traces": [], "rules": [{"then": {"action": "mock", "response": {"headers": envoy}}}]});
    assert_eq!(
        call(
            server,
            &format!("POST /v1/sessions/{id}/load-case"),
            "",
            &case.to_string()
        )
        .status,
        200
    );
}

#[test]
fn variables_may_stand_in_braces_without_quotes() {
    let shop = Shop::new();
    shop.project.write(
        "u.suite.yaml",
        "name: u\ncases: a.case.json\nrequest: { url: ${APP}, path: ${P:-/a} }\nmocks: [ { name: m, match: { hostSuffix: ${PAY_HOST:-pay.example} }, unused: ignore } ]\n\
         assertions: { status: 200, body: { mode: ignore } }\n",
    );
    let app = Stub::json(200, &json!({}));
    let mut command = softprobe(&[
        "suite",
        "run",
        "u.suite.yaml",
        "--proxy-listen",
        "127.0.0.1:0",
    ]);
    Output::of(
        command
            .current_dir(shop.project.path())
            .env("APP", app.url()),
    )
    .ends(0, &["1 passed"]);
    assert!(app.received()[0].line.starts_with("GET /a "));
    // Places stay those of the file.
    shop.project.write(
        "u.suite.yaml",
        "name: u\ncases: a.case.json\nrequest: { url: ${APP:-http://a}, pth: ${P:-/a} }\n",
    );
    let output = run_in(shop.project.path(), &["suite", "validate", "u.suite.yaml"]);
    output.ends(
        5,
        &[
            "u.suite.yaml:3:",
            "request.pth: unknown field; did you mean path?",
        ],
    );
    shop.project.write(
        "u.suite.yaml",
        "name: u\ncases: a.case.json\nrequest: { url: ${NOWHERE} }\n",
    );
    let output = run_in(shop.project.path(), &["suite", "validate", "u.suite.yaml"]);
    output.ends(
        5,
        &["u.suite.yaml:3:12: request.url: the variable `NOWHERE` is not set"],
    );
}

#[test]
fn numbers_in_the_rules_of_a_case_keep_their_digits_over_a_wire() {
    const BIG: &str = "12345678901234567890123.10";
    let shop = Shop::new();
    let id = shop.session("replay");
    let case = format!(
        "{{\"version\": \"1.0.0\", \"caseId\": \"c\", \"traces\": [], \"rules\": [{{\"when\": {{\"bodyJsonPathEquals\": {{\"$.id\": {BIG}}}}}, \
         \"then\": {{\"action\": \"mock\", \"response\": {{\"body\": {{\"id\": {BIG}}}}}}}}}]}}"
    );
    let loaded = call(
        shop.served.address(),
        &format!("POST /v1/sessions/{id}/load-case"),
        "",
        &case,
    );
    assert_eq!(loaded.status, 200, "{}", loaded.text());
    let body = format!("{{\"id\": {BIG}}}");
    let head = format!(
        "POST http://a.example/ HTTP/1.1\r\nhost: a\r\nx-softprobe-session-id: {id}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(
        send(shop.served.proxy(), head).text(),
        format!("{{\"id\":{BIG}}}")
    );
}
