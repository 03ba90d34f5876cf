//! Every command through the real binary: what it says, its JSON document, its exit code.

use std::time::Duration;

use serde_json::{Value, json};

use crate::command::{Output, Served, run, run_in, softprobe};
use crate::support::{Project, Stub, attribute, document, http, response_body, send, span};

#[test]
fn a_session_is_worked_on_from_the_shell() {
    let served = Served::start(&[]);
    let url = served.url();
    let project = Project::new();
    let in_session = |id: &str, args: &[&str]| {
        let mut command = softprobe(args);
        command
            .current_dir(project.path())
            .env("SOFTPROBE_RUNTIME_URL", &url)
            .env("SOFTPROBE_SESSION_ID", id);
        Output::of(&mut command)
    };
    let shell = in_session("", &["session", "start", "--shell", "--strict"]);
    let id = shell
        .stdout
        .strip_prefix("export SOFTPROBE_SESSION_ID=")
        .unwrap()
        .trim()
        .to_owned();
    assert!(id.starts_with("sess_"), "{}", shell.stdout);
    let state = in_session(&id, &["inspect", "session", "--json"]).document();
    assert_eq!(
        (&state["mode"], &state["policy"]["externalHttp"]),
        (&json!("replay"), &json!("strict"))
    );

    let inbound = span(1, "inbound", "GET shop.example/a", Some(200), &[]);
    project.write("a.case.json", document(&[inbound]).to_string());
    in_session(&id, &["session", "load-case", "a.case.json"])
        .ends(0, &["loaded test-case; the session's revision is 1"]);
    let rules = json!({"version": 1, "rules": [{"name": "greet", "when": {"host": "a.example"}, "then": {"action": "mock", "response": {"body": "hi"}}}]});
    project.write("rules.json", rules.to_string());
    let applied = in_session(&id, &["session", "rules", "apply", "rules.json", "--json"]);
    assert_eq!(applied.document()["sessionRevision"], 2);
    let call = |host: &str| {
        let head = format!("GET http://{host}/p HTTP/1.1\r\nhost: {host}\r\n\r\n");
        send(served.proxy(), head)
    };
    assert_eq!(call("a.example").text(), "hi");
    assert_eq!(call("b.example").status, 599);
    in_session(&id, &["inspect", "session"]).ends(
        0,
        &[
            "case      test-case (1 traces)",
            "rules     1",
            "misses    1",
            "a.example/p",
            "greet",
            "missed",
        ],
    );
    project.write(
        "policy.json",
        "{\"externalHttp\":\"allow\",\"defaultOnMiss\":\"mock\",\"mock\":{\"status\":204}}",
    );
    in_session(&id, &["session", "policy", "set", "policy.json"]).ends(0, &["set the policy"]);
    assert_eq!(call("b.example").status, 204);
    in_session(&id, &["session", "policy", "set", "--strict"]).ends(0, &["revision is 4"]);
    assert_eq!(call("b.example").status, 599);
    let stats = in_session(&id, &["session", "stats", "--json"]).document();
    assert_eq!(stats["stats"]["strictMisses"], 2);
    in_session(&id, &["session", "stats"]).ends(0, &["\"strictMisses\": 2"]);

    // What is wrong with a document is told with its place, before the runtime is asked.
    project.write(
        "bad.json",
        "{\"rules\":[{\"when\":{\"hots\":\"a\"},\"then\":{\"action\":\"mok\"}}]}",
    );
    let bad = in_session(&id, &["session", "rules", "apply", "bad.json"]);
    bad.ends(
        5,
        &[
            "bad.json: rules[0].when.hots: unknown field; did you mean host?",
            "rules[0].then.action: `mok`",
        ],
    );
    in_session(&id, &["session", "load-case", "bad.json"])
        .ends(5, &["bad.json: `version` is missing"]);
    in_session(&id, &["session", "load-case", "gone.json"]).ends(5, &["gone.json: can't be read"]);
    in_session(&id, &["session", "policy", "set", "bad.json", "--strict"])
        .ends(2, &["cannot be used with"]);
    in_session("../x", &["session", "stats"]).ends(2, &["`../x` is not the id of a session"]);
    let unset = Output::of(&mut softprobe(&["session", "stats"]));
    unset.ends(2, &["--session <ID>"]);

    in_session(&id, &["session", "close"]).ends(0, &["closed"]);
    let gone = in_session(&id, &["session", "close", "--json"]);
    assert_eq!(
        (gone.code, &gone.document()["error"]["code"]),
        (4, &json!("unknown_session"))
    );
    for args in [
        &["session", "stats"][..],
        &["inspect", "session"],
        &["session", "rules", "apply", "rules.json"],
    ] {
        in_session(&id, args).ends(4, &["error: the runtime answered 404", "is open"]);
    }
    let nobody = run(&[
        "session",
        "start",
        "--runtime-url",
        "http://127.0.0.1:1",
        "--json",
    ]);
    assert_eq!(
        (nobody.code, &nobody.document()["error"]["code"]),
        (3, &json!("runtime_unreachable"))
    );
    run(&["session", "start", "--case-id", "x"]).ends(2, &["--case-id goes with --mode capture"]);
    let page = Stub::start(|_| http(200, &[], "<html>"));
    run(&["session", "start", "--runtime-url", &page.url()])
        .ends(1, &["does not speak the control API"]);
}

#[test]
fn a_capture_is_saved_here_or_there() {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there");
    let served = Served::start(&["--captures", there.to_str().unwrap()]);
    let project = Project::new();
    let url = served.url();
    let start = || {
        let args = [
            "session",
            "start",
            "--mode",
            "capture",
            "--case-id",
            "mine",
            "--runtime-url",
            &url,
        ];
        run(&args).stdout.trim().to_owned()
    };
    let close = |id: &str, more: &[&str]| {
        let args = ["session", "close", "--session", id, "--runtime-url", &url];
        run_in(project.path(), &[&args[..], more].concat())
    };
    close(&start(), &["--save", "deep/here.case.json"])
        .ends(0, &["the case is in deep/here.case.json"]);
    let text = std::fs::read_to_string(project.path().join("deep/here.case.json")).unwrap();
    let case: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&case["caseId"], &case["traces"]),
        (&json!("mine"), &json!([]))
    );
    let document = close(&start(), &["--out", "x.case.json", "--json"]).document();
    assert!(
        document["capturePath"]
            .as_str()
            .unwrap()
            .ends_with("there/x.case.json")
    );
    assert!(there.join("x.case.json").is_file());
    let open = start();
    close(&open, &["--out", "../x"]).ends(5, &["out: `../x` is not a path below the folder"]);
    // A file that can't be written leaves the session open.
    project.write("file", "");
    close(&open, &["--save", "file/x.case.json"]).ends(5, &["file/x.case.json: can't be written"]);
    close(&open, &[]).ends(0, &["closed"]);
}

fn validated(args: &[&str], files: &[(&str, &str)]) -> Output {
    let project = Project::new();
    for (name, text) in files {
        project.write(name, text);
    }
    run_in(project.path(), args)
}

#[test]
fn validation_tells_every_error_of_a_file_at_once() {
    let case = json!({
        "version": "2.0.0", "mode": "reply", "traces": [{"resourceSpans": [{"scopeSpans": [{"spans": [
            {"startTimeUnixNano": "x", "attributes": [
                {"key": "a", "value": {"intValue": "b"}}, {"value": {}},
                {"key": "http.request.body", "value": {"intValue": 1}},
                {"key": "http.response.status_code", "value": {"intValue": 200}},
                {"key": "http.response.body", "value": {"boolValue": true}},
            ]},
        ]}]}]}, {"resourceSpans": {}}],
        "rules": [{"when": {"pth": "/"}, "then": {"action": "replay"}}],
    });
    let output = validated(
        &["validate", "case", "*.json"],
        &[("a.case.json", &case.to_string())],
    );
    let in_span = "traces[0].resourceSpans[0].scopeSpans[0].spans[0]";
    output.ends(
        5,
        &[
            "error: a.case.json: version: `2.0.0` is not understood",
            "error: a.case.json: `caseId` is missing",
            "mode: `reply` is not one of",
            &format!("{in_span}.startTimeUnixNano: expected nanoseconds since 1970"),
            &format!("{in_span}.attributes[0].value: a: intValue is not an integer"),
            &format!("{in_span}.attributes[1]: an attribute needs a `key`"),
            &format!("{in_span}.attributes[2].value: http.request.body: a body is"),
            &format!("{in_span}.attributes[4].value: http.response.body: a body is"),
            "traces[1].resourceSpans: expected a list",
            "rules[0].when.pth: unknown field; did you mean path?",
            "rules[0].then.action: `replay` is gone",
        ],
    );
    let told = validated(
        &["validate", "case", "a.case.json", "--json"],
        &[("a.case.json", "{\n\"a\" 1}")],
    )
    .document();
    assert_eq!(told["error"]["code"], "invalid_input");
    assert_eq!(
        told["files"][0]["errors"][0],
        "line 2, column 5: not JSON: expected `:`"
    );

    let two = document_of_two_inbound();
    validated(
        &["validate", "case", "a.case.json"],
        &[("a.case.json", &two)],
    )
    .ends(5, &["2 spans could be the inbound exchange"]);
    let none = document(&[span_without_status()]).to_string();
    validated(
        &["validate", "case", "a.case.json"],
        &[("a.case.json", &none)],
    )
    .ends(
        0,
        &[
            "warning: a.case.json: there is no inbound exchange",
            "so that it can't be a mock",
            "1 file: no error",
        ],
    );
    validated(&["validate", "case", "gone*.json"], &[]).ends(5, &["gone*.json: matches no file"]);

    let rules = "{\"version\":2,\"rules\":[{\"when\":{\"bodyJsonPath\":\"x[\",\"headerMatch\":{\"a\":\"(\"}},\"then\":{\"action\":\"mock\"}}]}";
    validated(&["validate", "rules", "r.json"], &[("r.json", rules)]).ends(
        5,
        &[
            "r.json: version: expected an integer from 1 to 1, found 2",
            "r.json: rules[0].when.bodyJsonPath: `x[` is not a JSONPath",
            "r.json: rules[0].when.headerMatch.a: `(` is not a regular expression",
            "r.json: rules[0].then: `response` is missing",
        ],
    );
    validated(
        &["validate", "rules", "r.json"],
        &[("r.json", "{\"rules\":[]}")],
    )
    .ends(0, &["1 file: no error"]);

    let suite = "name: s\ncases: [ gone/*.json, { path: b.json } ]\nhooks: [ gone.py, odd.rb ]\nrequest: { transform: t.gone }\nassertions: { body: { ignore: [ items ], match: { $.a: { regex: \"(\" } } } }\n";
    for command in [&["suite", "validate"][..], &["validate", "suite"]] {
        let args = [command, &["s.yaml"]].concat();
        validated(&args, &[("s.yaml", suite)]).ends(
            5,
            &[
                "error: s.yaml:2:10: cases[0]: `gone/*.json` matches no file",
                "s.yaml:2:23: cases[1]: `b.json` is not there",
                "s.yaml:3:10: hooks[0]: `gone.py` is not there",
                "s.yaml:3:19: hooks[1]: `odd.rb` is no hook file: its name has to end in one of .py, .js",
                "s.yaml:4:12: request.transform: unknown hook `t.gone`; registered: none",
                "s.yaml:5:33: assertions.body.ignore[0]: `items` is not a JSONPath",
                "is not a regular expression",
            ],
        );
    }
    let good = "name: s\ncases: a.case.json\n";
    let inbound = document(&[span(1, "inbound", "GET a.example/", Some(200), &[])]).to_string();
    validated(
        &["suite", "validate", "s.yaml"],
        &[("s.yaml", good), ("a.case.json", &inbound)],
    )
    .ends(0, &["1 suite with 1 case: no error"]);
}

fn span_without_status() -> Value {
    span(1, "outbound", "GET a.example/b", None, &[])
}

fn document_of_two_inbound() -> String {
    let inbound = |n| span(n, "inbound", "GET a.example/b", Some(200), &[]);
    document(&[inbound(1), inbound(2)]).to_string()
}

#[test]
fn a_case_is_shown_as_a_table() {
    let project = Project::new();
    let sent = attribute("http.request.body", "12345");
    let case = document(&[
        span(
            1,
            "inbound",
            "POST shop.example/checkout",
            Some(201),
            &[sent, response_body("{\"a\":1}")],
        ),
        span(2, "outbound", "GET pay.example/v1?x=1", Some(402), &[]),
        span(3, "outbound", "GET gone.example/", None, &[]),
    ]);
    project.write("a.case.json", case.to_string());
    let shown = run_in(project.path(), &["inspect", "case", "a.case.json"]);
    shown.ends(
        0,
        &["a.case.json: case test-case", "→ the inbound exchange"],
    );
    let rows: Vec<Vec<&str>> = shown
        .stdout
        .lines()
        .filter(|line| line.contains(".example"))
        .map(|line| {
            line.split_whitespace()
                .filter(|word| *word != "│")
                .collect()
        })
        .collect();
    assert_eq!(
        rows,
        [
            [
                "→",
                "inbound",
                "POST",
                "http://shop.example/checkout",
                "201",
                "5",
                "7"
            ]
            .to_vec(),
            [
                "outbound",
                "GET",
                "http://pay.example/v1?x=1",
                "402",
                "-",
                "-"
            ]
            .to_vec(),
            ["outbound", "GET", "http://gone.example/", "-", "-", "-"].to_vec(),
        ]
    );
    let document = run_in(project.path(), &["inspect", "case", "*.json", "--json"]).document();
    let exchanges = &document["cases"][0]["exchanges"];
    assert_eq!(
        (&exchanges[0]["inbound"], &exchanges[0]["responseBytes"]),
        (&json!(true), &json!(7))
    );
    assert_eq!(
        (&exchanges[2]["status"], &exchanges[2]["url"]),
        (&Value::Null, &json!("http://gone.example/"))
    );
    project.write("b.case.json", "[]");
    run_in(project.path(), &["inspect", "case", "b.case.json"])
        .ends(5, &["b.case.json: $: a case is a JSON object"]);
}

#[test]
fn a_first_suite_is_written_that_validates_and_passes() {
    let project = Project::new();
    let inbound = |n: u64, path: &str| {
        span(
            n,
            "inbound",
            &format!("GET shop.example{path}"),
            Some(200),
            &[response_body("[\"200 1\",\"200 2\"]")],
        )
    };
    let out = |n: u64, call: &str, body: &str| {
        span(n, "outbound", call, Some(200), &[response_body(body)])
    };
    project.write(
        "c/one.case.json",
        document(&[
            inbound(1, "/one"),
            out(2, "GET a.example/x", "1"),
            out(3, "GET a.example/x", "2"),
            out(4, "POST \"odd${X}\".example/true", "3"),
        ])
        .to_string(),
    );
    let args = [
        "suite",
        "init",
        "c/*.case.json",
        "--name",
        "${HOME} sweet",
        "--out",
        "s/first.suite.yaml",
    ];
    run_in(project.path(), &args).ends(0, &["wrote s/first.suite.yaml; check it with"]);
    let text = std::fs::read_to_string(project.path().join("s/first.suite.yaml")).unwrap();
    for line in [
        "# A call that no mock answers fails the case",
        "  # GET a.example/x\n  - name: a.example x\n    match: { host: a.example, path: /x }\n    expect: all # it is called several",
        "name: \"$${HOME} sweet\"",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    run_in(project.path(), &["suite", "validate", "s/first.suite.yaml"])
        .ends(0, &["1 suite with 1 case"]);
    run_in(project.path(), &args).ends(
        1,
        &["s/first.suite.yaml: is there already; --force replaces it"],
    );
    run_in(project.path(), &[&args[..], &["--force"]].concat()).ends(0, &["wrote"]);
    // It passes against an application that behaves as captured.
    let calls = json!([["GET a.example/x", "", ""], ["GET a.example/x", "", ""]]);
    project
        .run_with(
            &["--suite", "s/first.suite.yaml"],
            &[("SOFTPROBE_TEST_CALLS", &calls.to_string())],
        )
        .passes();
    let printed = run_in(
        project.path(),
        &["suite", "init", "c/one.case.json", "--json"],
    )
    .document();
    assert!(printed["suite"].as_str().unwrap().contains("name: first\n"));
    // What a capture can't answer is said, and stays valid.
    project.write(
        "c/two.case.json",
        document(&[inbound(1, "/"), span_without_status()]).to_string(),
    );
    project.write(
        "c/three.case.json",
        document(&[span(9, "outbound", "GET a.example/x", Some(200), &[])]).to_string(),
    );
    run_in(
        project.path(),
        &[
            "suite",
            "init",
            "c/*.case.json",
            "--out",
            "s/all.suite.yaml",
        ],
    )
    .ends(0, &[]);
    let text = std::fs::read_to_string(project.path().join("s/all.suite.yaml")).unwrap();
    for line in [
        "this answer is made up",
        "expect: any #",
        "It has no inbound exchange",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    run_in(project.path(), &["suite", "validate", "s/all.suite.yaml"])
        .ends(0, &["1 suite with 3 cases"]);
    run_in(project.path(), &["suite", "init", "gone.json"]).ends(5, &["gone.json"]);
    run_in(
        project.path(),
        &["suite", "init", "c/one.case.json", "--name=-x"],
    )
    .ends(2, &["--name"]);
}

#[test]
fn two_sets_of_captures_are_told_apart() {
    let project = Project::new();
    let header = |value: &str| attribute("http.response.header.x-tier", value);
    let date = |value: &str| attribute("http.response.header.date", value);
    let case = |price: &str, more: &[Value]| {
        let inbound = span(
            1,
            "inbound",
            "GET shop.example/a",
            Some(200),
            &[response_body(price), date(price)],
        );
        document(&[&[inbound], more].concat()).to_string()
    };
    let pay = |status, tier: &str| {
        span(
            2,
            "outbound",
            "POST pay.example/v1",
            Some(status),
            &[header(tier)],
        )
    };
    project.write(
        "old/a.case.json",
        case(
            "{\"total\":10}",
            &[
                pay(200, "gold"),
                span(3, "outbound", "GET gone.example/", Some(200), &[]),
            ],
        ),
    );
    project.write(
        "new/a.case.json",
        case(
            "{\"total\":12,\"vat\":2}",
            &[
                pay(402, "gold"),
                span(4, "outbound", "GET new.example/", Some(200), &[]),
            ],
        ),
    );
    project.write("old/same.case.json", case("{}", &[]));
    project.write("new/same.case.json", case("{}", &[]));
    project.write("old/dropped.case.json", case("{}", &[]));
    project.write("new/fresh.case.json", case("{}", &[]));
    let args = [
        "suite",
        "diff",
        "--baseline",
        "old/*.case.json",
        "--current",
        "new/*.case.json",
    ];
    let diff = run_in(project.path(), &args);
    diff.ends(
        1,
        &[
            "a\n  ~ inbound GET shop.example/a\n      response $.total\n        was  10\n        is   12\n      response $.vat\n        was  nothing\n        is   2\n",
            "  ~ outbound POST pay.example/v1\n      response status\n        was  200\n        is   402\n",
            "  - outbound GET gone.example/\n  + outbound GET new.example/\n",
            "- case dropped\n+ case fresh\n",
            "error: 6 differences between the captures",
        ],
    );
    assert!(
        !diff.stdout.contains("same") && !diff.stdout.contains("date"),
        "{}",
        diff.stdout
    );
    let document = run_in(project.path(), &[&args[..], &["--json"]].concat()).document();
    assert_eq!(document["error"]["code"], "captures_differ");
    assert_eq!(
        document["cases"][0]["exchanges"][0]["differences"][0],
        json!({"path": "response $.total", "baseline": "10", "current": "12", "reason": null})
    );
    let same = [
        "suite",
        "diff",
        "--baseline",
        "old/a.case.json",
        "--current",
        "old/a.case.json",
    ];
    run_in(project.path(), &same).ends(0, &["nothing differs"]);
    // One case on either side is a pair whatever it is called.
    let pair = [
        "suite",
        "diff",
        "--baseline",
        "old/same.case.json",
        "--current",
        "new/fresh.case.json",
    ];
    run_in(project.path(), &pair).ends(0, &["nothing differs"]);
    run_in(
        project.path(),
        &[
            "suite",
            "diff",
            "--baseline",
            "gone*.json",
            "--current",
            "new/*.json",
        ],
    )
    .ends(5, &["gone*.json"]);
    run_in(project.path(), &["suite", "diff", "--baseline", "x"]).ends(2, &["--current"]);
}

#[test]
fn secrets_are_scrubbed_in_place() {
    let project = Project::new();
    let token = |place: &str| attribute(place, "Bearer tok-1234567890");
    let one = document(&[span(
        1,
        "inbound",
        "GET shop.example/a",
        Some(200),
        &[
            token("http.request.header.authorization"),
            attribute("http.request.header.x-tenant", "acme"),
            response_body(
                "{\"mail\":\"ada@example.com\",\"note\":\"for tok-1234567890\",\"name\":\"Ada\"}",
            ),
        ],
    )]);
    let two = document(&[span(
        1,
        "inbound",
        "GET shop.example/a",
        Some(200),
        &[response_body(
            "{\"seen\":\"tok-1234567890\",\"mail\":\"ada@example.com\"}",
        )],
    )]);
    project.write("one.case.json", one.to_string());
    project.write("two.case.json", two.to_string());
    project.write("clean.case.json", document(&[]).to_string());
    let check = run_in(project.path(), &["scrub", "*.case.json", "--check"]);
    check.ends(
        1,
        &[
            "one.case.json: span 0000000000000001, http.request.header.authorization: authorization",
            "two.case.json: span 0000000000000001, http.response.body: e-mail address",
            "value that is a secret elsewhere",
            "error: secrets stand in 2 of 3 files",
        ],
    );
    for text in ["tok-123", "ada@"] {
        assert!(!check.stdout.contains(text), "{}", check.stdout);
    }
    let read = |name: &str| std::fs::read_to_string(project.path().join(name)).unwrap();
    assert_eq!(
        read("one.case.json"),
        one.to_string(),
        "--check writes nothing"
    );
    let document = run_in(
        project.path(),
        &["scrub", "*.case.json", "--check", "--json"],
    )
    .document();
    assert_eq!(document["error"]["code"], "secrets_found");
    assert_eq!(document["files"][0]["findings"], json!([]));
    project.write(
        "rules.json",
        "{\"headers\":[\"x-tenant\"],\"jsonPaths\":[\"$.name\"]}",
    );
    run_in(
        project.path(),
        &["scrub", "*.case.json", "--rules", "rules.json"],
    )
    .ends(0, &["rewrote 2 of 3 files"]);
    let (one, two) = (read("one.case.json"), read("two.case.json"));
    for text in ["tok-123", "ada@example.com", "acme", "\\\"Ada\\\""] {
        assert!(!one.contains(text) && !two.contains(text), "{text}\n{one}");
    }
    let placeholder = one
        .split("Bearer ")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert!(two.contains(placeholder), "{placeholder} is not in {two}");
    run_in(
        project.path(),
        &["scrub", "*.case.json", "--rules", "rules.json", "--check"],
    )
    .ends(0, &["3 files: no secret"]);
    run_in(project.path(), &["validate", "case", "*.case.json"]).ends(0, &["3 files: no error"]);
    project.write("bad.json", "{\"header\":[]}");
    run_in(
        project.path(),
        &["scrub", "one.case.json", "--rules", "bad.json"],
    )
    .ends(
        5,
        &["bad.json: header: unknown field; did you mean headers?"],
    );
    project.write("no.case.json", "{}");
    run_in(project.path(), &["scrub", "*.case.json"])
        .ends(5, &["no.case.json: `version` is missing"]);
    // Another key, other placeholders.
    project.write("two.case.json", document_with("k@example.com"));
    run_in(project.path(), &["scrub", "two.case.json"]).ends(0, &[]);
    let without = read("two.case.json");
    project.write("two.case.json", document_with("k@example.com"));
    Output::of(
        softprobe(&["scrub", "two.case.json"])
            .current_dir(project.path())
            .env("SOFTPROBE_SCRUB_KEY", "key"),
    )
    .ends(0, &[]);
    assert_ne!(without, read("two.case.json"));
}

fn document_with(body: &str) -> String {
    document(&[span(
        1,
        "inbound",
        "GET shop.example/a",
        Some(200),
        &[response_body(body)],
    )])
    .to_string()
}

#[test]
fn the_doctor_sees_whether_an_application_propagates() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let listen = free.to_string();
    let app = |pass_on: &'static str| {
        Stub::start(move |request| {
            if request.line.contains("/quiet") {
                return http(200, &[], "");
            }
            let passed = match pass_on {
                "" => String::new(),
                name => format!("{name}: {}\r\n", request.header(name).unwrap()),
            };
            send(
                free,
                format!("GET http://a.example/dep HTTP/1.1\r\nhost: a.example\r\n{passed}\r\n"),
            );
            http(200, &[], "")
        })
    };
    let doctor = |app: &Stub, more: &[&str]| {
        let url = app.url();
        run(&[
            &["doctor", "--app-url", &url, "--proxy-listen", &listen][..],
            more,
        ]
        .concat())
    };
    doctor(&app("tracestate"), &["--probe", "POST /order?x=1"]).ends(
        0,
        &[
            "ok       runtime          embedded",
            "proxy port",
            "is free",
            "answered `POST /order?x=1` with 200",
            "1 of 1 calls carried tracestate (GET a.example/dep)",
        ],
    );
    doctor(&app("traceparent"), &[]).ends(
        0,
        &["unclear  propagation      1 of 1 calls carried traceparent without"],
    );
    let lost = doctor(&app(""), &["--json"]);
    assert_eq!(
        (lost.code, &lost.document()["error"]["code"]),
        (10, &json!("doctor_found_fault"))
    );
    assert_eq!(lost.document()["checks"][3]["result"], "fault");
    doctor(&app(""), &[]).ends(
        10,
        &[
            "fault    propagation      1 of 1 calls carried neither",
            "error: at fault: propagation",
        ],
    );
    doctor(&app(""), &["--probe", "GET /quiet"]).ends(
        0,
        &["unclear  propagation      no call of the application came by"],
    );
    let gone = [
        "doctor",
        "--app-url",
        "http://127.0.0.1:1",
        "--proxy-listen",
        &listen,
    ];
    run(&gone).ends(
        10,
        &["fault    application      http://127.0.0.1:1 gave no answer"],
    );
    run(&["doctor", "--app-url", "nowhere"]).ends(2, &["`nowhere` is not a base URL"]);
    run(&["doctor", "--probe", "nowhere"]).ends(2, &["--probe"]);

    let served = Served::start(&[]);
    let taken = served.proxy().to_string();
    run(&[
        "doctor",
        "--proxy-listen",
        &taken,
        "--runtime-url",
        &served.url(),
    ])
    .ends(
        10,
        &[
            "ok       runtime",
            "ok       versions         http-control-api@v1, schema 1",
            "fault    proxy port",
        ],
    );
    run(&[
        "doctor",
        "--proxy-listen",
        &listen,
        "--runtime-url",
        "http://127.0.0.1:1",
    ])
    .ends(10, &["fault    runtime          no runtime answers at"]);
    let other = Stub::json(
        200,
        &json!({"status": "ok", "specVersion": "http-control-api@v2", "schemaVersion": "1"}),
    );
    run(&[
        "doctor",
        "--proxy-listen",
        &listen,
        "--runtime-url",
        &other.url(),
    ])
    .ends(
        10,
        &["fault    versions         the runtime speaks \"http-control-api@v2\""],
    );
    let locked = Served::start_with(&[], &[("SOFTPROBE_API_TOKEN", "t")]);
    run(&[
        "doctor",
        "--proxy-listen",
        &listen,
        "--runtime-url",
        &locked.url(),
    ])
    .ends(10, &["fault    token", "wants a token"]);
}

#[test]
fn completions_help_and_arguments() {
    for (shell, word) in [
        ("bash", "_softprobe()"),
        ("zsh", "#compdef softprobe"),
        ("fish", "complete -c softprobe"),
    ] {
        run(&["completions", shell]).ends(0, &[word, "load-case"]);
    }
    run(&["completions", "sh"]).ends(2, &["invalid value 'sh'"]);
    run(&["--version"]).ends(0, &["softprobe 0."]);
    run(&[]).ends(2, &["Usage: softprobe"]);
    let wrong = run(&["session", "strat", "--json"]);
    assert_eq!(
        (wrong.code, &wrong.document()["error"]["code"]),
        (2, &json!("invalid_arguments"))
    );
    run(&["session", "strat"]).ends(2, &["unrecognized subcommand 'strat'", "start"]);
    for command in [
        "serve",
        "proxy",
        "suite run",
        "suite validate",
        "suite schema",
        "suite init",
        "suite diff",
        "validate case",
        "validate rules",
        "validate suite",
        "session start",
        "session load-case",
        "session rules apply",
        "session policy set",
        "session stats",
        "session close",
        "inspect case",
        "inspect session",
        "scrub",
        "export otlp",
        "doctor",
        "completions",
    ] {
        let args: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = run(&args);
        help.ends(0, &[&format!("Usage: softprobe {command}"), "--json"]);
        assert!(
            help.stdout.lines().next().unwrap().len() > 10,
            "{}",
            help.stdout
        );
    }
    run(&["--help"]).ends(0, &["10 doctor found a fault, 20 suite failed"]);
}

/// A project whose suite has three cases, of which `bad` fails, and the application for it.
fn three() -> (Project, Stub) {
    let project = Project::new();
    for name in ["bad", "one", "two"] {
        let body = response_body(&format!("{{\"is\":\"{name}\"}}"));
        let inbound = span(
            1,
            "inbound",
            &format!("GET shop.example/{name}"),
            Some(200),
            &[body],
        );
        project.write(
            &format!("c/{name}.case.json"),
            document(&[inbound]).to_string(),
        );
    }
    project.write("s.suite.yaml", "name: s\ncases: ${WHERE:-c}/*.case.json\n");
    let app = Stub::start(|request| {
        let name = request.line.split(['/', ' ']).nth(2).unwrap();
        let name = if name == "bad" { "wrong" } else { name };
        http(200, &[], json!({"is": name}).to_string())
    });
    (project, app)
}

#[test]
fn suites_run_from_the_command() {
    let (project, app) = three();
    let url = app.url();
    let suite_run = |more: &[&str]| {
        run_in(
            project.path(),
            &[
                &["suite", "run", "s.suite.yaml", "--app-url", &url][..],
                more,
            ]
            .concat(),
        )
    };
    suite_run(&["--filter", "one", "--filter", "two"]).ends(
        0,
        &[
            "running 2 tests",
            "test result: ok. 2 passed",
            "softprobe: runtime embedded",
        ],
    );
    suite_run(&["--skip", "bad", "--parallel", "1"]).ends(0, &["2 passed"]);
    suite_run(&["--exact", "--filter", "s::one"]).ends(0, &["1 passed"]);
    suite_run(&["--exact", "--filter", "s::none"])
        .ends(5, &["no case is called s::none; 3 cases are known"]);
    suite_run(&["--parallel", "0"]).ends(1, &["must be a number of at least 1"]);
    let failed = suite_run(&[]);
    failed.ends(
        20,
        &[
            "test s::bad ... FAILED",
            "$.is\n    expected  \"bad\"\n    actual    \"wrong\"",
            &format!("softprobe suite run s.suite.yaml --app-url {url} --exact --filter s::bad"),
            "error: 1 of 3 cases failed",
        ],
    );
    suite_run(&["--list"]).ends(0, &["s::bad: test", "3 tests, 0 benchmarks"]);
    suite_run(&["--list", "--json"]).ends(2, &["--list --format json"]);
    suite_run(&["--format", "json", "--filter", "one"])
        .ends(0, &["\"event\": \"ok\"", "\"passed\": 1"]);
    suite_run(&["--fail-fast", "--parallel", "1"]).ends(20, &["not run: another case failed"]);
    let quiet = suite_run(&["-q", "--filter", "one"]);
    assert!(
        quiet.ends(0, &[]).stdout.contains("\n.\n") || quiet.stdout.contains('.'),
        "{}",
        quiet.stdout
    );
    suite_run(&["--junit", "out/junit.xml"]).ends(20, &[]);
    let xml = std::fs::read_to_string(project.path().join("out/junit.xml")).unwrap();
    assert!(
        xml.contains("<testcase name=\"bad\" classname=\"s\""),
        "{xml}"
    );
    project.write("where.env", "WHERE=nowhere\n");
    suite_run(&["--env-file", "where.env"]).ends(5, &["`nowhere/*.case.json` matches no file"]);

    let json = suite_run(&["--json"]);
    let document = json.document();
    assert_eq!(
        (json.code, &document["error"]["code"]),
        (20, &json!("suite_failed"))
    );
    assert_eq!(
        (&document["passed"], &document["failed"]),
        (&json!(2), &json!(1))
    );
    let bad = &document["cases"][0];
    assert_eq!(
        (&bad["name"], &bad["result"]),
        (&json!("s::bad"), &json!("failed"))
    );
    assert_eq!(bad["differences"][0]["actual"], "\"wrong\"");
    assert!(
        bad["rerun"]
            .as_str()
            .unwrap()
            .ends_with("--exact --filter s::bad")
    );
    assert_eq!(
        suite_run(&["--json", "--filter", "one"]).document()["cases"][0]["result"],
        "passed"
    );

    project.write("bad.suite.yaml", "name: s\ncases: 7\nhoks: []\n");
    let refused = run_in(
        project.path(),
        &["suite", "run", "bad.suite.yaml", "--json"],
    );
    assert_eq!(
        (refused.code, &refused.document()["error"]["code"]),
        (5, &json!("invalid_input"))
    );
    assert_eq!(refused.document()["errors"].as_array().unwrap().len(), 2);
    run_in(project.path(), &["suite", "run"]).ends(2, &["<SUITE>..."]);
    run_in(project.path(), &["suite", "run", "gone.yaml"]).ends(5, &["`gone.yaml` is not there"]);
    run_in(
        project.path(),
        &[
            "suite",
            "run",
            "s.suite.yaml",
            "--app-url",
            &url,
            "--runtime-url",
            "http://127.0.0.1:1",
        ],
    )
    .ends(3, &["no runtime answers at"]);
    run_in(project.path(), &["suite", "run", "s.suite.yaml"])
        .ends(20, &["there is no application to send the request to"]);
    run_in(
        project.path(),
        &["suite", "run", "s.suite.yaml", "--app-url", "x"],
    )
    .ends(5, &["`x` is not a base URL"]);
}

#[test]
fn a_run_with_a_runtime_elsewhere_may_have_its_own_proxy() {
    let served = Served::start(&[]);
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let project = Project::with_answer(
        200,
        "[\"200 mocked\"]",
        "name: s\ncases: a.case.json\npolicy: { externalHttp: strict }\nmocks: [ { response: { body: mocked } } ]\n",
    );
    // It passes nothing on but the trace's parent, which the process of the proxy issued.
    let app = Stub::start(move |request| {
        let parent = request.header("traceparent").unwrap();
        let call = format!(
            "GET http://a.example/ HTTP/1.1\r\nhost: a.example\r\ntraceparent: {parent}\r\n\r\n"
        );
        let answer = send(free, call);
        http(
            200,
            &[],
            json!([format!("{} {}", answer.status, answer.text())]).to_string(),
        )
    });
    let (url, listen) = (app.url(), free.to_string());
    let args = [
        "suite",
        "run",
        "s.suite.yaml",
        "--app-url",
        &url,
        "--proxy-listen",
        &listen,
        "--runtime-url",
        &served.url(),
    ];
    run_in(project.path(), &args).ends(0, &["test s::a ... ok", "the proxy listens at"]);
    let sessions = run(&["session", "start", "--runtime-url", &served.url(), "--json"]).document();
    assert_eq!(sessions["sessionRevision"], 0);
}

#[test]
fn an_interrupted_run_closes_its_sessions() {
    let served = Served::start(&[]);
    let project = Project::with_answer(200, "{}", "name: s\ncases: a.case.json\n");
    let (asked, is_asked) = std::sync::mpsc::channel();
    let asked = std::sync::Mutex::new(asked);
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let app = Stub::start(move |_| {
        asked.lock().unwrap().send(()).unwrap();
        let _ = released
            .lock()
            .unwrap()
            .recv_timeout(Duration::from_secs(60));
        http(200, &[], "{}")
    });
    let (app_url, url) = (app.url(), served.url());
    let mut command = softprobe(&[
        "suite",
        "run",
        "s.suite.yaml",
        "--app-url",
        &app_url,
        "--runtime-url",
        &url,
        "--json",
    ]);
    let child = command
        .current_dir(project.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    is_asked.recv_timeout(crate::support::LIMIT).unwrap();
    let pid = child.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&document["error"]["code"], &document["exitCode"]),
        (&json!("interrupted"), &json!(130))
    );
    let listed = crate::server::call(served.address(), "GET /v1/sessions", "", "").json();
    assert_eq!(listed["sessions"], json!([]));
    release.send(()).unwrap();
}
