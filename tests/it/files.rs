//! The commands that work on files: validate, inspect case, suite init, suite diff, scrub.

use serde_json::{Value, json};

use crate::command::{Output, run_in, softprobe};
use crate::support::{Project, attribute, document, response_body, span};

fn validated(args: &[&str], files: &[(&str, &str)]) -> Output {
    let project = Project::new();
    for (name, text) in files {
        project.write(name, text);
    }
    run_in(project.path(), args)
}

#[test]
fn validation_reports_every_error_in_a_file_at_once() {
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
            "error: a.case.json: version: `2.0.0` is not supported",
            "error: a.case.json: `caseId` is missing",
            "mode: `reply` is not one of",
            &format!("{in_span}.startTimeUnixNano: expected nanoseconds since 1970"),
            &format!("{in_span}.attributes[0].value: a: intValue is not an integer"),
            &format!("{in_span}.attributes[1]: an attribute needs a `key`"),
            &format!("{in_span}.attributes[2].value: http.request.body: a body must be"),
            &format!("{in_span}.attributes[4].value: http.response.body: a body must be"),
            "traces[1].resourceSpans: expected a list",
            "rules[0].when.pth: unknown field; did you mean path?",
            "rules[0].then.action: `replay` is no longer supported",
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
        json!({"place": "line 2, column 5", "message": "not JSON: expected `:`"})
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
            "so it can't be a mock",
            "1 file: no errors",
        ],
    );
    validated(&["validate", "case", "gone*.json"], &[]).ends(5, &["`gone*.json` matches no file"]);

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
    let yaml = "version: 1\nrules:\n  - { name: a, when: { host: a.example }, then: { action: passthrough } }\n";
    validated(&["validate", "rules", "r.yaml"], &[("r.yaml", yaml)]).ends(0, &[]);
    let flow =
        "{ version: 1, rules: [ { when: { host: a.example }, then: { action: passthrough } } ] }\n";
    validated(&["validate", "rules", "r.yaml"], &[("r.yaml", flow)]).ends(0, &[]);
    let neither = [("r.yaml", "{ version: 1, rules: [ }")];
    validated(&["validate", "rules", "r.yaml"], &neither)
        .ends(5, &["r.yaml: not JSON: key must be a string"]);
    let wrong = yaml.replace("host", "hots");
    validated(&["validate", "rules", "r.yaml"], &[("r.yaml", &wrong)]).ends(
        5,
        &["r.yaml: rules[0].when.hots: unknown field; did you mean host?"],
    );
    let broken = [("r.yaml", "rules: [")];
    validated(&["validate", "rules", "r.yaml"], &broken)
        .ends(5, &["r.yaml: 2:1: did not find expected node"]);
    validated(
        &["validate", "rules", "r.json"],
        &[("r.json", "{\"rules\":[]}")],
    )
    .ends(0, &["1 file: no errors"]);

    let suite = "name: s\ncases: [ gone/*.json, { path: b.json } ]\nhooks: [ gone.py, odd.rb ]\nrequest: { transform: t.gone }\nassertions: { body: { ignore: [ items ], match: { $.a: { regex: \"(\" } } } }\n";
    for command in [&["suite", "validate"][..], &["validate", "suite"]] {
        let args = [command, &["s.yaml"]].concat();
        validated(&args, &[("s.yaml", suite)]).ends(
            5,
            &[
                "error: s.yaml:2:10: cases[0]: `gone/*.json` matches no file",
                "s.yaml:2:23: cases[1]: `b.json` does not exist",
                "s.yaml:3:10: hooks[0]: `gone.py` does not exist",
                "s.yaml:3:19: hooks[1]: `odd.rb` is not a hook file; its name has to end in one of .py, .js",
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
    .ends(0, &["1 suite with 1 case file: no errors"]);
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
        .ends(5, &["b.case.json: $: a case must be a JSON object"]);
}

#[test]
fn suite_init_writes_a_suite_that_validates_and_passes() {
    let project = Project::new();
    let inbound = |n: u64, path: &str| {
        span(
            n,
            "inbound",
            &format!("GET shop.example{path}"),
            Some(200),
            &[response_body("[\"200 1\",\"200 2\",\"200 3\"]")],
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
            out(4, "POST odd.example/yes:no", "3"),
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
        "# A call that no captured exchange answers fails the case",
        "cases:\n  - ../c/one.case.json\n",
        "unused: fail\noutbound:\n  difference: fail\nmocks: auto\n",
        "name: \"$${HOME} sweet\"",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    run_in(project.path(), &["suite", "validate", "s/first.suite.yaml"])
        .ends(0, &["1 suite with 1 case file"]);
    // A suite that stands is not written again.
    project.write("s/first.suite.yaml", format!("{text}# mine\n"));
    run_in(project.path(), &args).ends(0, &["s/first.suite.yaml has these cases already"]);
    let edited = std::fs::read_to_string(project.path().join("s/first.suite.yaml")).unwrap();
    assert_eq!(edited, format!("{text}# mine\n"));
    run_in(project.path(), &[&args[..], &["--force"]].concat()).ends(0, &["wrote"]);
    // It passes against an application that behaves as captured, and fails against one that makes
    // fewer calls.
    let passes = |calls: &Value, code: i32| {
        let calls = calls.to_string();
        let args = ["--suite", "s/first.suite.yaml"];
        let run = project.run_with(&args, &[("SOFTPROBE_TEST_CALLS", &calls)]);
        assert_eq!(run.code, code, "{}", run.all());
    };
    let x = json!(["GET a.example/x", "", ""]);
    let odd = json!(["POST odd.example/yes:no", "", ""]);
    passes(&json!([x, x, odd]), 0);
    passes(&json!([x, x]), 101);
    let printed = run_in(
        project.path(),
        &["suite", "init", "c/one.case.json", "--json"],
    )
    .document();
    assert!(printed["suite"].as_str().unwrap().contains("name: first\n"));
    // The suite notes what a capture can't answer, and is still valid.
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
        "these answers are made up",
        "This case has no inbound exchange",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    run_in(project.path(), &["suite", "validate", "s/all.suite.yaml"])
        .ends(0, &["1 suite with 3 case files"]);
    // What an application fetches once and keeps is offered to be shared.
    let token = span(2, "outbound", "POST auth.example/token", Some(200), &[]);
    project.write(
        "k/first.case.json",
        document(&[inbound(1, "/"), token]).to_string(),
    );
    project.write(
        "k/second.case.json",
        document(&[inbound(1, "/")]).to_string(),
    );
    let shown = run_in(project.path(), &["suite", "init", "k/*.case.json"]).stdout;
    let offer = "#     shared:\n#       - { host: auth.example, path: /token }\n";
    assert!(shown.contains(offer), "{shown}");
    run_in(project.path(), &["suite", "init", "gone.json"]).ends(5, &["gone.json"]);
    run_in(
        project.path(),
        &["suite", "init", "c/one.case.json", "--name=-x"],
    )
    .ends(2, &["--name"]);
}

#[test]
fn two_sets_of_captures_are_compared() {
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
            "a\n  ~ inbound GET /a\n      response $.total\n        was  10\n        is   12\n      response $.vat\n        was  nothing\n        is   2\n",
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
    // If each side has one case, the two are compared whatever their names.
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
            "value that is secret elsewhere",
            "error: found secrets in 2 of 3 files",
        ],
    );
    for text in ["tok-123", "ada@"] {
        assert!(!check.stdout.contains(text), "{}", check.stdout);
    }
    let read = |name: &str| std::fs::read_to_string(project.path().join(name)).unwrap();
    assert_eq!(
        read("one.case.json"),
        one.to_string(),
        "--check must not write anything"
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
    .ends(0, &["3 files: no secrets"]);
    run_in(project.path(), &["validate", "case", "*.case.json"]).ends(0, &["3 files: no errors"]);
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
    // A different key makes different placeholders.
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
fn a_generated_suite_matches_what_lookups_find() {
    let project = Project::new();
    let out = |n, call: &str, status| span(n, "outbound", call, status, &[]);
    let spans = [
        span(1, "inbound", "GET shop.example/a", Some(200), &[]),
        out(2, "GET half.example/x", Some(200)),
        out(3, "GET half.example/x", None),
        out(4, "GET port.example/y", Some(200)),
        out(5, "GET port.example:8080/y", Some(200)),
        out(6, "GET odd.example/a\nevil: x", Some(200)),
    ];
    project.write("a.case.json", document(&spans).to_string());
    run_in(
        project.path(),
        &[
            "suite",
            "init",
            "a.case.json",
            "-o",
            "deep/down/all.suite.yaml",
        ],
    )
    .ends(0, &[]);
    let text = std::fs::read_to_string(project.path().join("deep/down/all.suite.yaml")).unwrap();
    for line in [
        "name: all\n",
        "  - ../../a.case.json\n",
        "    - { name: made up 1, match: { method: GET, host: half.example, path: /x }, response: { status: 200 } }",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    // The suite finds its case from any folder.
    let suite = project.path().join("deep/down/all.suite.yaml");
    crate::command::run(&["suite", "validate", suite.to_str().unwrap()])
        .ends(0, &["1 suite with 1 case file"]);
}

#[test]
fn suites_are_validated_with_their_cases() {
    let suite = "name: s\ncases: [ a.case.json, b.case.json, c.case.json ]\n";
    let odd = json!({
        "version": "1.0.0", "caseId": "c", "createdAt": "yesterday",
        "traces": [{"resourceSpans": [{"scopeSpans": [{"spans": [{"spanId": "zz", "kind": "SPAN_KIND_FOO"}]}]}]}],
    });
    let files = [
        ("s.yaml", suite),
        ("a.case.json", "{"),
        ("b.case.json", "{}"),
        ("c.case.json", &odd.to_string()),
    ];
    validated(&["suite", "validate", "s.yaml"], &files).ends(
        5,
        &[
            "error: a.case.json: line 1, column 1: not JSON",
            "error: b.case.json: `version` is missing",
            "warning: c.case.json: there is no inbound exchange",
            "warning: c.case.json: traces[0].resourceSpans[0].scopeSpans[0].spans[0].spanId: expected 8 bytes",
            "warning: c.case.json: createdAt: `yesterday` is not an RFC 3339 time",
        ],
    );
    validated(&["inspect", "case", "*.case.json"], &files).ends(
        5,
        &[
            "error: a.case.json: line 1",
            "error: b.case.json: `version`",
        ],
    );
    validated(&["validate", "case", "x"], &[("x/a.case.json", "{}")]).ends(
        5,
        &["`x` is a folder; name a file, or a glob such as `x/**/*.case.json`"],
    );
}

#[test]
fn captures_without_a_status_can_still_differ() {
    let project = Project::new();
    let with = |scheme: &str, body: &str| {
        let more = [attribute("url.scheme", scheme), response_body(body)];
        document(&[span(1, "outbound", "GET a.example/", None, &more)]).to_string()
    };
    project.write("old.case.json", with("http", "one"));
    project.write("new.case.json", with("https", "two"));
    let args = [
        "suite",
        "diff",
        "--baseline",
        "old.case.json",
        "--current",
        "new.case.json",
    ];
    run_in(project.path(), &args).ends(
        1,
        &[
            "request scheme\n        was  http\n        is   https",
            "neither has a status",
        ],
    );
}

#[test]
fn scrubbing_touches_nothing_else() {
    let project = Project::new();
    let text = "{\n  \"version\": \"1.0.0\", \"caseId\": \"c\",\n\t\"traces\": [],  \"big\": 12345678901234567890123, \"f\": 1.10,\n  \"fixtures\": [{\"name\": \"auth_token\", \"value\": \"tok-1\"}]\n}\n";
    let path = project.write("real.case.json", text);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&path, project.path().join("link.case.json")).unwrap();
        run_in(project.path(), &["scrub", "link.case.json"]).ends(0, &["rewrote 1 of 1 file"]);
        assert!(project.path().join("link.case.json").is_symlink());
    }
    #[cfg(not(unix))]
    run_in(project.path(), &["scrub", "real.case.json"]).ends(0, &["rewrote 1 of 1 file"]);
    let clean = std::fs::read_to_string(&path).unwrap();
    let placeholder = clean
        .split("\"value\": \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert!(placeholder.starts_with("scrubbed-"), "{clean}");
    assert_eq!(clean.replace(placeholder, "tok-1"), text);
    let marked = format!("\u{feff}{text}");
    let path = project.write("marked.case.json", &marked);
    run_in(project.path(), &["scrub", "marked.case.json"]).ends(0, &["rewrote 1 of 1 file"]);
    let clean = std::fs::read_to_string(&path).unwrap();
    assert_eq!(clean.replace(placeholder, "tok-1"), marked);
    // A JSON reader keeps only one of two members with the same name.
    let twice = text.replace("\"f\": 1.10", "\"f\": \"a@b.example\", \"f\": 1");
    let path = project.write("twice.case.json", &twice);
    run_in(project.path(), &["scrub", "twice.case.json"])
        .ends(5, &["twice.case.json: f: appears twice"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), twice);
    // A body that can't be read may hold anything.
    let zstd = document(&[span(
        1,
        "inbound",
        "GET a.example/",
        Some(200),
        &[
            attribute("http.response.header.content-encoding", "zstd"),
            json!({"key": "http.response.body", "value": {"bytesValue": "KLUv/SAA"}}),
        ],
    )]);
    project.write("zstd.case.json", zstd.to_string());
    for more in [&[][..], &["--check"]] {
        let args = [&["scrub", "zstd.case.json"][..], more].concat();
        run_in(project.path(), &args).ends(
            1,
            &[
                "its encoding is not known",
                "1 encoded body could not be read",
            ],
        );
    }
}

#[test]
fn only_is_refused_on_ci_unless_it_is_allowed() {
    let project = Project::new();
    let inbound = span(1, "inbound", "GET a.example/", Some(200), &[]);
    project.write("a.case.json", document(&[inbound]).to_string());
    project.write(
        "s.yaml",
        "name: s\ncases: [ { path: a.case.json, only: true } ]\n",
    );
    let validate = |env: &[(&str, &str)], more: &[&str]| {
        let args = [&["suite", "validate", "s.yaml"][..], more].concat();
        let mut command = softprobe(&args);
        Output::of(
            command
                .current_dir(project.path())
                .envs(env.iter().copied()),
        )
    };
    validate(&[], &[]).ends(0, &[]);
    validate(&[("CI", "1")], &[]).ends(5, &["`only` would ignore the other cases on CI"]);
    validate(&[("CI", "1")], &["--allow-only"]).ends(0, &[]);
    validate(&[("CI", "1"), ("SOFTPROBE_ALLOW_ONLY", "1")], &[]).ends(0, &[]);
}

#[test]
fn of_many_errors_in_a_case_fifty_are_told() {
    let spans: Vec<Value> = (0..3000)
        .map(|n| json!({"traceId": "x", "spanId": n, "attributes": n}))
        .collect();
    let case = document(&spans).to_string();
    let output = validated(
        &["validate", "case", "a.case.json"],
        &[("a.case.json", &case)],
    );
    output.ends(5, &["more errors"]);
    assert!(output.stderr.lines().count() <= 52, "{}", output.stderr);
    let project = Project::new();
    project.write("a.case.json", case);
    project.write("s.suite.yaml", "name: s\ncases: a.case.json\n");
    let run = run_in(
        project.path(),
        &[
            "suite",
            "run",
            "s.suite.yaml",
            "--app-url",
            "http://127.0.0.1:1",
        ],
    );
    assert!(
        run.stdout.len() < 20_000 && run.stdout.contains(" more"),
        "{}",
        run.stdout
    );
}
