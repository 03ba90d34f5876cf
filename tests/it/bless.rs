//! Accepting what differs: which differences are accepted by what, and what a case file looks like afterwards.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::command::{Output, softprobe};
use crate::languages::is_there;
use crate::support::{
    Project, Run, Stub, Table, attribute, document, http, output, response_body, span,
};
use crate::terminal::Terminal;

/// By which level a row is accepted.
#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    Values,
    All,
    Nothing,
}

/// A row of a table: by what it is accepted, what its file has afterwards in place of what, and what is told if it can't be.
struct Row {
    by: By,
    edits: Vec<(String, String)>,
    told: &'static str,
}

/// Rows, each a case with a suite of its own.
struct Rows {
    table: Table,
    rows: Vec<Row>,
    /// Whether the application relays calls.
    relays: bool,
}

impl Rows {
    fn new(relays: bool) -> Self {
        Self {
            table: Table::new(),
            rows: Vec::new(),
            relays,
        }
    }

    fn expect(&mut self, by: By, edits: &[(&str, &str)], told: &'static str) {
        let edits = edits.iter();
        let edits = edits.map(|(old, new)| ((*old).to_owned(), (*new).to_owned()));
        self.rows.push(Row {
            by,
            edits: edits.collect(),
            told,
        });
    }

    /// Adds a row about an answer: what was captured of it, and what it is now.
    fn answer(
        &mut self,
        by: By,
        captured: &[Value],
        suite: &str,
        now: Vec<u8>,
        edits: &[(&str, &str)],
        told: &'static str,
    ) {
        let call = format!("GET shop.example{}", self.table.path());
        let inbound = span(1, "inbound", &call, Some(200), captured);
        self.table.row(&[inbound], suite, now, &["-"]);
        self.expect(by, edits, told);
    }

    /// Adds a row about a call: the captured one, and the one that the application makes.
    fn call(
        &mut self,
        by: By,
        captured: Value,
        suite: &str,
        now: &Value,
        edits: &[(&str, &str)],
        told: &'static str,
    ) {
        let mocks = if suite.contains("mocks:") {
            ""
        } else {
            "mocks: auto\n"
        };
        let suite = format!("policy: {{ externalHttp: strict }}\n{mocks}{suite}");
        let answers = json!(["200 ok"]);
        let table = &mut self.table;
        table.relayed(&json!([now]), &[captured], &suite, &answers, &["-"]);
        self.expect(by, edits, told);
    }

    fn file(&self, n: usize) -> PathBuf {
        self.table.folder().join(format!("r{n}.case.json"))
    }

    fn texts(&self) -> Vec<String> {
        let files = (0..self.rows.len()).map(|n| self.file(n));
        files
            .map(|file| std::fs::read_to_string(file).unwrap())
            .collect()
    }

    fn run(&self, args: &[&str]) -> Run {
        match self.relays {
            true => self.table.run_relayed_with(args),
            false => self.table.run_with(args),
        }
    }

    /// Returns the report of a row.
    fn report(run: &Run, n: usize) -> &str {
        let heading = format!("---- r{n}::r{n} ----\n");
        let after = run.stdout.split_once(&heading).map(|(_, after)| after);
        after
            .and_then(|after| after.split("\n---- ").next())
            .unwrap_or_default()
    }

    /// Accepts by each level in turn, and checks what becomes of each row.
    #[track_caller]
    fn check(&self) {
        let before = self.texts();
        let failed = self.run(&[]);
        for (n, row) in self.rows.iter().enumerate() {
            let report = Self::report(&failed, n);
            assert!(
                report.contains("run just this case"),
                "r{n}: {}",
                failed.all()
            );
            let command = match row.by {
                By::Values => "  SOFTPROBE_BLESS=1 cargo test",
                By::All => "  SOFTPROBE_BLESS=all cargo test",
                By::Nothing => "\n",
            };
            assert!(report.contains(command), "r{n}: {report}");
            let is_told = report.contains("SOFTPROBE_BLESS");
            assert_eq!(is_told, row.by != By::Nothing, "r{n}: {report}");
        }
        for (level, done) in [
            ("--bless", &[By::Values][..]),
            ("--bless=all", &[By::Values, By::All]),
        ] {
            let run = self.run(&[level]);
            let results = run.results();
            for (n, (row, (text, before))) in self
                .rows
                .iter()
                .zip(self.texts().iter().zip(&before))
                .enumerate()
            {
                let is_done = done.contains(&row.by);
                let wanted = if is_done { "ok" } else { "FAILED" };
                assert_eq!(
                    results[&format!("r{n}::r{n}")],
                    wanted,
                    "r{n}: {}",
                    run.all()
                );
                let mut changed = before.clone();
                for (old, new) in row.edits.iter().filter(|_| is_done) {
                    assert_eq!(
                        changed.matches(old.as_str()).count(),
                        1,
                        "r{n}: {old} in {changed}"
                    );
                    changed = changed.replace(old.as_str(), new);
                }
                assert_eq!(*text, changed, "r{n}");
                if !is_done {
                    let report = Self::report(&run, n);
                    let told = match row.by {
                        By::All => "--bless=all accepts that too",
                        _ => row.told,
                    };
                    assert!(report.contains("not accepted\n"), "r{n}: {report}");
                    assert!(report.contains(told), "r{n}: {told:?} is not in\n{report}");
                }
            }
        }
        // It stays so.
        let run = self.run(&[]);
        for (n, row) in self.rows.iter().enumerate() {
            let wanted = if row.by == By::Nothing {
                "FAILED"
            } else {
                "ok"
            };
            assert_eq!(
                run.results()[&format!("r{n}::r{n}")],
                wanted,
                "r{n}: {}",
                run.all()
            );
        }
    }
}

fn json_answer(body: &str) -> Vec<u8> {
    http(200, &[("content-type", "application/json")], body)
}

#[test]
fn differences_of_answers_are_accepted_by_their_risk() {
    let json = |body: &str| {
        vec![
            attribute("http.response.header.content-type", "application/json"),
            response_body(body),
        ]
    };
    let mut rows = Rows::new(false);
    let mut row = |by, was: &str, now: &str, suite: &str, edits: &[(&str, &str)], told| {
        rows.answer(by, &json(was), suite, json_answer(now), edits, told);
    };
    let was = r#"{"total": 12, "list": [1,2], "name":"a/\u00e9"}"#;
    row(
        By::Values,
        was,
        r#"{"list":[1,3],"total":36893488147419103233,"name":"ü/é"}"#,
        "",
        &[
            (r#"\"total\": 12"#, r#"\"total\": 36893488147419103233"#),
            ("[1,2]", "[1,3]"),
            (r#"a/\\u00e9"#, r#"\\u00fc/\\u00e9"#),
        ],
        "",
    );
    row(
        By::Values,
        was,
        r#"{"total":12,"list":[1,2,{"a":[]}],"name":"a/é","more":{"b":null}}"#,
        "assertions: { body: { mode: exact } }",
        &[
            ("[1,2]", r#"[1,2,{\"a\": []}]"#),
            (r#"u00e9\"}"#, r#"u00e9\", \"more\": {\"b\": null}}"#),
        ],
        "",
    );
    row(
        By::All,
        was,
        r#"{"total":12,"list":[1],"name":"a/é"}"#,
        "",
        &[("[1,2]", "[1]")],
        "",
    );
    row(
        By::All,
        was,
        r#"{"list":[1,2],"name":"a/é"}"#,
        "",
        &[(r#"\"total\": 12, "#, "")],
        "",
    );
    row(
        By::All,
        was,
        r#"{"total":"12","list":[1,2],"name":"a/é"}"#,
        "",
        &[(": 12", r#": \"12\""#)],
        "",
    );
    row(
        By::All,
        was,
        r#"{"total":null,"list":[1,2],"name":"a/é"}"#,
        "",
        &[(": 12", ": null")],
        "",
    );
    // What stands there instead is compared from then on too.
    row(
        By::All,
        r#"{"price":5,"a":1}"#,
        r#"{"cost":6,"a":1,"more":[2]}"#,
        "",
        &[(
            r#"{\"price\":5,\"a\":1}"#,
            r#"{\"a\":1,\"cost\":6,\"more\":[2]}"#,
        )],
        "",
    );
    row(
        By::Nothing,
        r#"{"l":[{"id":1},{"id":2}]}"#,
        r#"{"l":[{"id":1},{"x":2}]}"#,
        "assertions: { body: { match: { \"$.l[*].id\": { type: integer } } } }",
        &[],
        "$.l[1].id: what is expected there stands in the suite",
    );
    // What was changed in a list whose order means nothing is gone, and another one is new.
    row(
        By::All,
        r#"[{"id":1},{"id":2}]"#,
        r#"[{"id":3},{"id":1}]"#,
        "assertions: { body: { unordered: [ $ ] } }",
        &[(r#"{\"id\":1},{\"id\":2}"#, r#"{\"id\":1},{\"id\":3}"#)],
        "",
    );
    // What is not compared keeps what it had.
    let kept = "assertions: { body: { ignore: [ $.a.id, \"$.list[*].id\" ], redactions: [ { path: $.key } ], match: { $.at: { type: string } } } }";
    row(
        By::Values,
        r#"{"a":{"id":1,"n":1},"list":[{"id":1,"n":1}],"key":"k1","at":"t1"}"#,
        r#"{"a":{"id":2,"n":2},"list":[{"id":2,"n":2}],"key":"k2","at":"t2"}"#,
        kept,
        &[
            (
                r#"{\"id\":1,\"n\":1},\"list"#,
                r#"{\"id\":1,\"n\":2},\"list"#,
            ),
            (r#"[{\"id\":1,\"n\":1}]"#, r#"[{\"id\":1,\"n\":2}]"#),
        ],
        "",
    );
    // What is redacted is never written.
    row(
        By::All,
        r#"{"a":1,"key":"k1"}"#,
        r#"{"a":{"key":"k2"},"key":"k2"}"#,
        "assertions: { body: { redactions: [ { path: $..key } ] } }",
        &[(r#"\"a\":1"#, r#"\"a\":{\"key\":\"[redacted]\"}"#)],
        "",
    );
    row(
        By::Nothing,
        was,
        r#"{"total":13,"list":[1,2],"name":"a/é"}"#,
        "assertions: { body: { expected: { total: 12 } } }",
        &[],
        "$.total: what is expected there stands in the suite",
    );
    row(
        By::Nothing,
        was,
        r#"{"total":13,"list":[1,3],"name":"a/é"}"#,
        "assertions: { body: { match: { $.total: { near: 12, by: 0.5 } } } }",
        &[],
        "$.total: what is expected there stands in the suite",
    );
    row(
        By::Nothing,
        r#"{"mail":"user-0123456789ab@scrubbed.invalid"}"#,
        r#"{"mail":"a@b.example"}"#,
        "",
        &[],
        "$.mail: the capture has a placeholder of a secret there",
    );
    for (was, now, suite) in [
        (
            r#"{"card":9999998444699010}"#,
            r#"{"card":4111111111111111}"#,
            "",
        ),
        (
            r#"{"user":{"mail":"user-0123456789ab@scrubbed.invalid"}}"#,
            r#"{"user":"a@b.example"}"#,
            "",
        ),
        (
            r#"{"mail":"user-0123456789ab@scrubbed.invalid"}"#,
            r#"{"email":"a@b.example"}"#,
            "",
        ),
        (
            r#"[{"mail":"user-0123456789ab@scrubbed.invalid"}]"#,
            r#"[{"mail":"a@b.example"}]"#,
            "assertions: { body: { unordered: [ $ ] } }",
        ),
        (
            r#"{"mail":"user-0123456789ab@scrubbed.invalid"}"#,
            "mail=a@b.example",
            "",
        ),
        (
            r#"{"token":"scrubbed-0123456789ab","k":1}"#,
            r#"{"accessToken":"s3cret","k":1}"#,
            "assertions: { body: { mode: exact } }",
        ),
        (
            r#"{"auth":{"token":"scrubbed-0123456789ab"},"s":{"x":1}}"#,
            r#"{"auth":{},"s":{"token":"s3cret"}}"#,
            "",
        ),
    ] {
        row(
            By::Nothing,
            was,
            now,
            suite,
            &[],
            "the capture has a placeholder of a secret there",
        );
    }
    for (was, now, suite) in [
        (
            r#"[{"id":1,"pw":"a","v":1}]"#,
            r#"[{"id":1,"pw":"b","v":2}]"#,
            "unordered: [ $ ], ignore: [ \"$[*].pw\" ]",
        ),
        (
            r#"[{"id":1,"pw":"a","v":1}]"#,
            r#"[{"id":1,"pw":"b","v":2}]"#,
            "unordered: [ $ ], redactions: [ { path: \"$[*].pw\" } ]",
        ),
        (r#"{"o":[1]}"#, r#"{"o":{"pw":"b"}}"#, "ignore: [ $.o.pw ]"),
    ] {
        row(
            By::Nothing,
            was,
            now,
            &format!("assertions: {{ body: {{ {suite} }} }}"),
            &[],
            "the suite leaves out, redacts or matches something within that",
        );
    }
    row(
        By::Nothing,
        r#"{"a":1,"a":1}"#,
        r#"{"a":2}"#,
        "assertions: { body: { mode: exact } }",
        &[],
        "$.a: a member appears twice there",
    );
    let text = |body: &str| vec![response_body(body)];
    let mut row =
        |by, captured: &[Value], now: Vec<u8>, suite: &str, edits: &[(&str, &str)], told| {
            rows.answer(by, captured, suite, now, edits, told);
        };
    row(
        By::All,
        &text("one\ntwo"),
        http(200, &[], "one\nthree"),
        "",
        &[(r"\ntwo", r"\nthree")],
        "",
    );
    row(
        By::All,
        &json(r#"{"a":1}"#),
        http(200, &[("content-type", "text/html; charset=utf-8")], "<p>"),
        "",
        &[
            ("application/json", "text/html; charset=utf-8"),
            (r#"{\"a\":1}"#, "<p>"),
        ],
        "",
    );
    row(
        By::All,
        &[
            attribute("http.response.header.content-length", "1"),
            response_body("a"),
        ],
        http(201, &[], "bcd"),
        "",
        &[
            (r#""200""#, r#""201""#),
            (r#"{"stringValue":"1"}"#, r#"{"stringValue":"3"}"#),
            (r#"{"stringValue":"a"}"#, r#"{"stringValue":"bcd"}"#),
        ],
        "",
    );
    row(
        By::All,
        &text(""),
        http(
            302,
            &[("location", "/one"), ("content-type", "text/plain")],
            "",
        ),
        "",
        &[
            (r#""200""#, r#""302""#),
            (
                r#"{"key":"http.response.body","value":{"stringValue":""}}"#,
                r#"{"key":"http.response.body","value":{"stringValue":""}},{"key":"http.response.header.content-type","value":{"stringValue":"text/plain"}},{"key":"http.response.header.location","value":{"stringValue":"/one"}}"#,
            ),
        ],
        "",
    );
    // A target that counted for nothing counts now.
    row(
        By::All,
        &[
            attribute("http.response.header.location", "/old"),
            response_body(""),
        ],
        http(302, &[("location", "/new")], ""),
        "",
        &[(r#""200""#, r#""302""#), ("/old", "/new")],
        "",
    );
    row(
        By::Nothing,
        &text("a"),
        http(201, &[], "a"),
        "assertions: { status: 200 }",
        &[],
        "status: what is expected there stands in the suite",
    );
    let captured = "assertions: { headers: { mode: captured } }";
    row(
        By::Values,
        &[
            attribute("http.response.header.x-a", "1"),
            response_body("a"),
        ],
        http(200, &[("x-a", "2")], "a"),
        captured,
        &[(r#"{"stringValue":"1"}"#, r#"{"stringValue":"2"}"#)],
        "",
    );
    row(
        By::Values,
        &[
            json!({"key": "http.response.header.x-a", "value": {"arrayValue": {"values": [{"stringValue": "1"}, {"stringValue": "2"}]}}}),
            response_body("a"),
        ],
        http(200, &[("x-a", "1"), ("x-a", "3")], "a"),
        captured,
        &[(r#"{"stringValue":"2"}"#, r#"{"stringValue":"3"}"#)],
        "",
    );
    // Where both spellings stand, they are two headers.
    row(
        By::Values,
        &[
            attribute("http.response.header.x_a", "5"),
            attribute("http.response.header.x-a", "1"),
            response_body("a"),
        ],
        http(200, &[("x-a", "2"), ("x_a", "5")], "a"),
        captured,
        &[(r#"{"stringValue":"1"}"#, r#"{"stringValue":"2"}"#)],
        "",
    );
    row(
        By::Values,
        &[
            json!({"key": "http.response.header.x-a", "value": {"intValue": 7}}),
            response_body("a"),
        ],
        http(200, &[("x-a", "08")], "a"),
        captured,
        &[(r#"{"intValue":7}"#, r#"{"stringValue":"08"}"#)],
        "",
    );
    row(
        By::All,
        &[
            attribute("http.response.header.x-a", "1"),
            response_body("a"),
        ],
        http(200, &[], "a"),
        captured,
        &[(
            r#"{"key":"http.response.header.x-a","value":{"stringValue":"1"}},"#,
            "",
        )],
        "",
    );
    row(
        By::Nothing,
        &text("a"),
        http(200, &[], "a"),
        "assertions: { headers: { include: { x-a: \"1\" } } }",
        &[],
        "headers.x-a: what is expected there stands in the suite",
    );
    row(
        By::Nothing,
        &text("a"),
        http(200, &[], "b"),
        "mocks: [ { name: m, match: { host: a.example }, response: { body: x } } ]",
        &[],
        "mock `m` was never used, and the answer may be what it is because of that",
    );
    rows.check();
}

#[test]
fn differences_of_calls_are_of_high_risk() {
    let exchange = |call: &str, headers: &[(&str, &str)], sent: &str| {
        let headers = headers.iter();
        let mut more: Vec<Value> = headers
            .map(|(name, value)| attribute(&format!("http.request.header.{name}"), value))
            .collect();
        more.push(attribute("http.request.body", sent));
        more.push(response_body("ok"));
        span(2, "outbound", call, Some(200), &more)
    };
    let mut rows = Rows::new(true);
    let post = "POST pay.example/charge";
    let json = [
        ("content-type", "application/json"),
        ("content-length", "26"),
    ];
    let head = "content-type: application/json\r\n";
    rows.call(
        By::All,
        exchange(post, &json, r#"{"amount": 4999, "at": 1} "#),
        "outbound: { body: { ignore: [ $.at ] } }",
        &json!([post, head, r#"{"at":2,"amount":1}"#]),
        &[
            (r#"\"amount\": 4999"#, r#"\"amount\": 1"#),
            (r#"{"stringValue":"26"}"#, r#"{"stringValue":"23"}"#),
        ],
        "",
    );
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let form_head = "content-type: application/x-www-form-urlencoded\r\n";
    rows.call(
        By::All,
        exchange(post, &form, "a=%31&id=7&b=x+y&b=z&c=3"),
        "outbound: { body: { mode: exact, ignore: [ $.id ] } }",
        &json!([post, form_head, "id=8&a=2&b=x%20y&b=w&d=4"]),
        &[("a=%31&id=7&b=x+y&b=z&c=3", "a=2&id=7&b=x%20y&b=w&d=4")],
        "",
    );
    // A name is sent as a whole, with what is not to be written.
    for (was, now, suite) in [
        (
            "a=1&a=2",
            "a=5&a=s3cret",
            "redactions: [ { path: \"$.a[1]\" } ]",
        ),
        (
            "a=1",
            "a=1&token=s3cret",
            "mode: exact, redactions: [ { path: $.token } ]",
        ),
        ("a=1&a=2", "a=5&a=6", "ignore: [ \"$.a[1]\" ]"),
        (
            "a=1&a=2",
            "a=5&a=6",
            "match: { \"$.a[1]\": { type: string } }",
        ),
    ] {
        rows.call(
            By::Nothing,
            exchange(post, &form, was),
            &format!("outbound: {{ body: {{ {suite} }} }}"),
            &json!([post, form_head, now]),
            &[],
            "the suite leaves out or matches a part of that name in the form",
        );
    }
    let part = |name: &str, text: &str| {
        format!("content-disposition: form-data; name={name}\r\n\r\n{text}\r\n")
    };
    let multipart = |boundary: &str, parts: &[String]| {
        let parts = parts.iter().map(|part| format!("--{boundary}\r\n{part}"));
        format!("{}--{boundary}--\r\n", parts.collect::<String>())
    };
    rows.call(
        By::All,
        exchange(
            post,
            &[("content-type", "multipart/form-data; boundary=x")],
            &multipart("x", &[part("a", "1"), part("id", "7")]),
        ),
        "outbound: { body: { ignore: [ $.id ] } }",
        &json!([
            post,
            "content-type: multipart/form-data; boundary=other\r\n",
            multipart("other", &[part("a", "2"), part("id", "8")])
        ]),
        &[(r"\r\n\r\n1\r\n--x", r"\r\n\r\n2\r\n--x")],
        "",
    );
    rows.call(
        By::All,
        exchange(post, &[], "one"),
        "",
        &json!([post, "", "two"]),
        &[(r#""stringValue":"one""#, r#""stringValue":"two""#)],
        "",
    );
    rows.call(
        By::All,
        exchange(post, &[("x-tenant", "a")], ""),
        "outbound: { headers: { mode: captured } }",
        &json!([post, "x-tenant: b\r\n", ""]),
        &[(r#"{"stringValue":"a"}"#, r#"{"stringValue":"b"}"#)],
        "",
    );
    rows.call(
        By::Nothing,
        exchange(post, &json, r#"{"amount":4999}"#),
        "outbound: { body: { match: { $.amount: { near: 5000, by: 1 } } } }",
        &json!([post, head, r#"{"amount":1}"#]),
        &[],
        "$.amount: what is expected there stands in the suite",
    );
    rows.call(
        By::Nothing,
        exchange(post, &json, r#"{"amount":4999}"#),
        "",
        &json!(["POST pay.example/refund", head, r#"{"amount":1}"#]),
        &[],
        "nothing answered POST pay.example/refund, and the answer may be what it is because of that",
    );
    rows.check();
}

#[test]
fn a_query_is_accepted_by_its_names() {
    let call = "GET stock.example/items";
    let more = [
        attribute("url.full", "http://stock.example/items?a=%31&b=2&c=3#f"),
        attribute("url.query", "a=%31&b=2&c=3"),
        response_body("ok"),
    ];
    let mut rows = Rows::new(true);
    rows.call(
        By::All,
        span(2, "outbound", call, Some(200), &more),
        "mocks: [ { name: stock, match: { host: stock.example, path: /items } } ]\noutbound: { difference: fail, query: { ignore: [ c ] } }",
        &json!(["GET stock.example/items?c=9&b=x%2Fy&a=1&d", "", ""]),
        &[("items?a=%31&b=2&c=3#f", "items?a=%31&b=x%2Fy&c=3&d#f"), (r#""a=%31&b=2&c=3""#, r#""a=%31&b=x%2Fy&c=3&d""#)],
        "",
    );
    rows.check();
}

#[test]
fn a_redirect_is_accepted_as_it_would_have_been_captured() {
    let inbound = |location: &str| {
        let more = [
            attribute("url.scheme", "https"),
            attribute("http.response.header.location", location),
        ];
        span(1, "inbound", "GET shop.example/a", Some(302), &more)
    };
    let project = Project::new();
    project.write("s.suite.yaml", "name: s\ncases: \"*.case.json\"\n");
    let captured = [
        "/old",
        "https://shop.example/old",
        "https://else.example/old",
    ];
    for (n, location) in captured.iter().enumerate() {
        let text = document(&[inbound(location)]).to_string();
        project.write(&format!("c{n}.case.json"), text);
    }
    let app = Stub::start(|request| {
        let host = request.header("host").unwrap();
        http(302, &[("location", &format!("http://{host}/new?a=1"))], "")
    });
    project.against(&app, &["--bless"]).passes();
    let own = "https://shop.example/new?a=1";
    for (n, location) in ["/new?a=1", own, own].iter().enumerate() {
        let text = std::fs::read_to_string(project.path().join(format!("c{n}.case.json")));
        assert_eq!(text.unwrap(), document(&[inbound(location)]).to_string());
    }
    project.against(&app, &[]).passes();
}

const SUITE: &str = "name: s\ncases: a.case.json\n";

#[test]
fn accepting_is_refused_on_ci_and_told_elsewhere() {
    let project = Project::with_answer(200, "{\"a\":1,\"b\":1}", SUITE);
    let app = Stub::json(200, &json!({"a": 2, "b": 2}));
    let file = project.path().join("a.case.json");
    let before = std::fs::read(&file).unwrap();
    let run = |args: &[&str], env: &[(&str, &str)]| {
        let mut command = softprobe(&["suite", "run", "s.suite.yaml", "--app-url", &app.url()]);
        command.args(args).envs(env.iter().copied());
        Output::of(command.current_dir(project.path()))
    };
    let accept = format!(
        "if this is right now, accept it\n  softprobe suite run s.suite.yaml --app-url {} --exact --filter s::a --bless\n",
        app.url()
    );
    run(&[], &[]).ends(20, &[&accept]);
    for (args, env) in [
        (&["--bless"][..], &[("CI", "true")][..]),
        (&["--bless=pending"], &[("CI", "1")]),
        (&[], &[("CI", "true"), ("SOFTPROBE_BLESS", "all")]),
    ] {
        run(args, env).ends(2, &["--bless is refused where the variable CI is set"]);
    }
    run(&["--bless=some"], &[]).ends(2, &["expected nothing, `all` or `pending`"]);
    run(&[], &[("SOFTPROBE_BLESS", "0"), ("CI", "true")]).ends(20, &[&accept]);
    assert_eq!(std::fs::read(&file).unwrap(), before);
    let told = run(&["--bless"], &[("CI", "false")]);
    told.ends(
        0,
        &[
            "accepted: s::a: a.case.json\n  $.a: 1 -> 2\n  $.b: 1 -> 2\n",
            "softprobe: accepted 2 changes in 1 case; `git diff` shows them",
        ],
    );
    let left = std::fs::read_dir(project.path()).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name());
    let mut left: Vec<_> = left.collect();
    left.sort();
    assert_eq!(left, [".softprobe", "a.case.json", "s.suite.yaml"]);
    let again = run(&["--bless"], &[]);
    again.ends(0, &["1 passed"]);
    assert!(!again.stderr.contains("accepted"), "{}", again.stderr);
}

#[test]
fn a_large_file_keeps_every_other_byte() {
    let large = "x\u{e9}\n\"".repeat(1_000_000);
    let project = Project::new();
    project.write("s.suite.yaml", "name: s\ncases: \"*.case.json\"\n");
    let snake = |text: String| {
        let text = text.replace("stringValue", "string_value");
        let text = text
            .replace("intValue", "int_value")
            .replace("spanId", "span_id");
        text.replace("resourceSpans", "resource_spans")
            .replace("scopeSpans", "scope_spans")
    };
    let write = |n: u8, body: &str| {
        let inbound = span(
            1,
            "inbound",
            "GET shop.example/a",
            Some(200),
            &[response_body(body)],
        );
        let other = [
            attribute("http.request.body", &large),
            response_body(&large),
        ];
        let other = span(2, "outbound", "POST pay.example/a", Some(200), &other);
        let text = format!("{:#}", document(&[other.clone(), inbound, other]));
        match n {
            0 => text,
            _ => snake(text),
        }
    };
    for n in 0..2 {
        project.write(
            &format!("c{n}.case.json"),
            write(n, r#"{"a": 1, "b": [1]}"#),
        );
    }
    let app = Stub::json(200, &json!({"b": [1, 2], "a": 2}));
    let run = project.against(&app, &["--bless"]);
    run.passes();
    for n in 0..2 {
        let text = std::fs::read_to_string(project.path().join(format!("c{n}.case.json")));
        let text = text.unwrap();
        assert!(text.len() > 5_000_000);
        assert!(text == write(n, r#"{"a": 2, "b": [1, 2]}"#), "c{n}");
    }
}

/// Returns a project of eight suites for one case, each about another member of its answer, and the application whose every
/// member is new.
fn eight() -> (Project, Stub) {
    let body = |value: u32| -> Value {
        let members = (0..8).map(|n| (format!("m{n}"), value.into()));
        members.collect::<Map<_, _>>().into()
    };
    let project = Project::with_answer(200, &body(1).to_string(), "");
    std::fs::remove_file(project.path().join("s.suite.yaml")).unwrap();
    for n in 0..8 {
        let others = (0..8).filter(|other| *other != n);
        let others: Vec<String> = others.map(|other| format!("$.m{other}")).collect();
        let suite = format!(
            "name: s{n}\ncases: a.case.json\nassertions: {{ body: {{ ignore: [ {} ] }} }}\n",
            others.join(", ")
        );
        project.write(&format!("s{n}.suite.yaml"), suite);
    }
    (project, Stub::json(200, &body(2)))
}

#[track_caller]
fn has_all(project: &Project) {
    let text = std::fs::read_to_string(project.path().join("a.case.json")).unwrap();
    for n in 0..8 {
        assert!(text.contains(&format!(r#"\"m{n}\":2"#)), "{text}");
    }
}

#[test]
fn processes_that_accept_at_once_lose_nothing() {
    for _ in 0..3 {
        let (project, app) = eight();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let (project, app) = (&project, &app);
                scope.spawn(move || {
                    let suite = format!("s{n}.suite.yaml");
                    project
                        .against(app, &["--suite", &suite, "--bless"])
                        .passes();
                });
            }
        });
        has_all(&project);
    }
    // So do the threads of one process.
    let (project, app) = eight();
    project.against(&app, &["--bless"]).passes();
    has_all(&project);
}

#[test]
fn nextest_accepts_with_the_variable() {
    if !is_there(&["cargo", "nextest", "--version"]) {
        return;
    }
    let (project, app) = eight();
    let mut nextest = Command::new("cargo");
    nextest.args([
        "nextest",
        "run",
        "--locked",
        "--test",
        "replay",
        "--test-threads",
        "8",
    ]);
    crate::support::without_cargo(&mut nextest);
    crate::support::without_settings(&mut nextest);
    nextest.env("SOFTPROBE_SUITE", project.path().join("*.suite.yaml"));
    nextest
        .env("APP_URL", app.url())
        .env("SOFTPROBE_BLESS", "1");
    let ran = output(&mut nextest);
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(told.contains("8 tests run: 8 passed"), "{told}");
    has_all(&project);
}

#[test]
fn a_file_that_can_not_be_written_is_told() {
    let project = Project::with_answer(200, "{\"a\":1}", SUITE);
    let app = Stub::json(200, &json!({"a": 2}));
    let file = project.path().join("a.case.json");
    let held = std::fs::File::open(&file).unwrap();
    let held = nix::fcntl::Flock::lock(held, nix::fcntl::FlockArg::LockSharedNonblock).unwrap();
    let run = project.against(&app, &["--bless"]);
    run.fails(&[
        "not accepted",
        "another process has locked it for ten seconds",
    ]);
    drop(held);
    // A file that was replaced meanwhile is no reason to write to the one that was there before.
    let link = project.path().join("l.case.json");
    std::os::unix::fs::symlink("a.case.json", &link).unwrap();
    project.write("s.suite.yaml", "name: s\ncases: l.case.json\n");
    project.against(&app, &["--bless"]).passes();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .contains(r#"{\"a\":2}"#)
    );
}

/// Runs a command on a terminal at which somebody types, and returns its exit code and what is seen there.
fn on_terminal(command: &mut Command, typed: &str) -> (i32, String) {
    let mut terminal = Terminal::start(command, 200);
    // What ends the input of a terminal.
    terminal.types(&format!("{typed}\u{4}"));
    let (code, _, seen) = terminal.ends();
    (code, seen)
}

#[test]
fn pending_differences_are_decided_one_at_a_time() {
    let body = r#"{"total": 12, "at": 1, "list": [1,2,3], "name": "a"}"#;
    let project = Project::with_answer(200, body, SUITE);
    let app = Stub::json(
        200,
        &json!({"total": 13, "at": 2, "list": [1], "name": "b", "x": 0}),
    );
    let before = std::fs::read_to_string(project.path().join("a.case.json")).unwrap();
    let run = |args: &[&str]| {
        let mut command = softprobe(&["suite", "run", "s.suite.yaml", "--app-url", &app.url()]);
        Output::of(command.args(args).current_dir(project.path()))
    };
    let text = |file: &str| std::fs::read_to_string(project.path().join(file)).unwrap();
    let review =
        |typed: &str| on_terminal(softprobe(&["review"]).current_dir(project.path()), typed);
    let (code, seen) = review("");
    assert_eq!(
        (code, seen.contains("nothing waits for a decision")),
        (0, true),
        "{seen}"
    );
    for _ in 0..2 {
        run(&["--bless=pending"]).ends(
            20,
            &[
                "look at what differs, and decide\n  softprobe review a.pending.json",
                "softprobe: 1 case to decide about: softprobe review",
            ],
        );
    }
    assert_eq!(text("a.case.json"), before);
    // It is no case, whatever the glob.
    project.write("all.suite.yaml", "name: all\ncases: \"*.json\"\n");
    Output::of(softprobe(&["suite", "validate", "all.suite.yaml"]).current_dir(project.path()))
        .ends(0, &["1 suite with 1 case file"]);

    let (code, seen) = review("what\na\ni\ns\nr\nq\n");
    assert_eq!(code, 0, "{seen}");
    for told in [
        "a.case.json (s::a): 1 of 5, medium risk\n  $.total\n    captured  12\n    now       13\n",
        "a.case.json (s::a): 3 of 5, high risk\n  $.list[1]\n    captured  2\n    now       nothing\n",
        "1 accepted, 1 rejected, 1 ignored from now on, 2 left",
    ] {
        assert!(seen.contains(told), "{told:?} is not in\n{seen}");
    }
    assert_eq!(
        text("a.case.json"),
        before.replace(r#"\"total\": 12"#, r#"\"total\": 13"#)
    );
    assert_eq!(
        text("s.suite.yaml"),
        format!("{SUITE}assertions: {{ body: {{ ignore: [ \"$.at\" ] }} }}\n")
    );
    let left = text("a.pending.json");
    assert!(
        left.contains("$.list[1]") && left.contains("$.name") && !left.contains("$.total"),
        "{left}"
    );

    // An element that was removed moves the others.
    run(&["--bless=pending"]).ends(20, &[]);
    let (code, seen) = review("a\n");
    assert_eq!(code, 0, "{seen}");
    assert!(
        seen.contains("1 more are about elements of a list that moved"),
        "{seen}"
    );
    assert!(
        seen.contains("1 accepted, 0 rejected, 0 ignored from now on, 1 left"),
        "{seen}"
    );
    assert!(text("a.case.json").contains(r#"\"list\": [1,3]"#));
    run(&["--bless=pending"]).ends(20, &[]);
    let (code, seen) = review("a\na\n");
    assert_eq!(code, 0, "{seen}");
    assert!(!project.path().join("a.pending.json").exists());
    run(&[]).ends(0, &["1 passed"]);

    // What is out of date is not carried out.
    project.write("a.case.json", &before);
    run(&["--bless=pending"]).ends(20, &[]);
    project.write("a.case.json", format!("{before}\n"));
    let (code, seen) = review("a\n");
    assert_eq!(code, 1, "{seen}");
    assert!(seen.contains("the case was changed since"), "{seen}");
    assert_eq!(text("a.case.json"), format!("{before}\n"));
    // What passes leaves nothing to decide.
    run(&["--bless=pending"]).ends(20, &[]);
    run(&["--bless=all"]).ends(0, &[]);
    run(&["--bless=pending"]).ends(0, &[]);
    assert!(!project.path().join("a.pending.json").exists());
    Output::of(softprobe(&["review"]).current_dir(project.path()))
        .ends(2, &["review asks a person, so it needs a terminal"]);
}

#[test]
fn a_secret_that_was_accepted_is_told() {
    let project = Project::with_answer(200, r#"{"a":1,"list":[]}"#, SUITE);
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlMTIz";
    let app = Stub::json(200, &json!({"a": 1, "list": [{"access_token": token}]}));
    let run = project.against(&app, &["--bless"]);
    run.passes();
    let told = "warning: s::a: $.list[0]: what was accepted there looks like a secret (token); `softprobe scrub`";
    assert!(run.stderr.contains(told), "{}", run.stderr);
    assert!(
        !project
            .against(&app, &["--bless"])
            .stderr
            .contains("secret")
    );
}

/// Returns a case whose application makes these calls, with captured ones for them.
fn relayed_case(calls: &Value, captured: &[Value], answers: &Value) -> String {
    let more = [
        attribute("http.request.body", &calls.to_string()),
        response_body(&answers.to_string()),
    ];
    let inbound = span(1, "inbound", "POST shop.example/", Some(200), &more);
    document(&[vec![inbound], captured.to_vec()].concat()).to_string()
}

#[test]
fn an_answer_that_something_else_may_have_caused_is_not_accepted() {
    let stock = || {
        let more = [response_body("ok")];
        span(2, "outbound", "GET stock.example/i", Some(200), &more)
    };
    // Each would be accepted if what warns did not count.
    for (calls, captured, suite, told) in [
        (
            json!([]),
            vec![stock()],
            "mocks: auto",
            "was never used, and the answer may be",
        ),
        (
            json!([["GET 127.0.0.1:9/j", "", ""]]),
            vec![],
            "mocks: auto",
            "GET 127.0.0.1:9/j could not be answered, and the answer may be",
        ),
        (
            // It is made when the request of the other case arrives.
            json!([["next GET stock.example/late", "", ""]]),
            vec![],
            "policy: { externalHttp: strict }\nmocks: auto",
            "a call came after the case had ended, and nothing answered it",
        ),
    ] {
        let project = Project::new();
        let case = relayed_case(&calls, &captured, &json!(["old"]));
        project.write("a.case.json", &case);
        project.write("b.case.json", relayed_case(&json!([]), &[], &json!([])));
        project.write(
            "s.suite.yaml",
            format!("name: s\ncases: [ a.case.json, b.case.json ]\n{suite}\n"),
        );
        let args = ["--bless=all", "--test-threads", "1"];
        let run = project.run_with(&args, &[("SOFTPROBE_TEST_CALLS", "[]")]);
        assert_ne!(run.code, 0, "{}", run.all());
        assert!(
            run.all().contains(told),
            "{told:?} is not in\n{}",
            run.all()
        );
        let now = std::fs::read_to_string(project.path().join("a.case.json")).unwrap();
        assert_eq!(now, case, "{}", run.all());
    }
}

#[test]
fn what_another_exchange_would_answer_is_not_accepted() {
    let charge = |id: u64, body: &str, answer: &str| {
        let more = [
            attribute("http.request.header.content-type", "application/json"),
            attribute("http.request.body", body),
            response_body(answer),
        ];
        span(id, "outbound", "POST pay.example/c", Some(200), &more)
    };
    let call = |body: &str| {
        json!([
            "POST pay.example/c",
            "content-type: application/json\r\n",
            body
        ])
    };
    let calls = json!([call(r#"{"id":2,"v":1}"#), call(r#"{"v":1}"#)]);
    let captured = [
        charge(2, r#"{"id":1}"#, "one"),
        charge(3, r#"{"id":2}"#, "two"),
    ];
    let project = Project::new();
    let case = relayed_case(&calls, &captured, &json!(["200 two", "200 one"]));
    project.write("a.case.json", &case);
    let suite = format!("{SUITE}policy: {{ externalHttp: strict }}\nmocks: auto\n");
    project.write("s.suite.yaml", suite);
    let run = |args: &[&str]| project.run_with(args, &[("SOFTPROBE_TEST_CALLS", "[]")]);
    let blessed = run(&["--bless=all"]);
    if blessed.code == 0 {
        // What was accepted is answered in the same way the next time.
        run(&[]).passes();
    } else {
        let told = "another captured exchange would answer one of the calls";
        assert!(blessed.all().contains(told), "{}", blessed.all());
        let now = std::fs::read_to_string(project.path().join("a.case.json")).unwrap();
        assert_eq!(now, case);
    }
}

#[test]
fn elements_that_several_find_are_accepted_once() {
    // Each suite sees the same new element, and a member of its own.
    let body = |list: Value, value: u32| -> Value {
        let members = (0..8).map(|n| (format!("m{n}"), value.into()));
        let mut body: Map<String, Value> = members.collect();
        body.insert("l".to_owned(), list);
        body.into()
    };
    let (project, _) = eight();
    let inbound = [response_body(&body(json!([1]), 1).to_string())];
    let inbound = span(1, "inbound", "GET shop.example/a", Some(200), &inbound);
    project.write("a.case.json", document(&[inbound]).to_string());
    let app = Stub::json(200, &body(json!([1, 7]), 2));
    project
        .against(&app, &["--bless", "--test-threads", "8"])
        .passes();
    has_all(&project);
    let text = std::fs::read_to_string(project.path().join("a.case.json")).unwrap();
    assert!(text.contains(r#"\"l\":[1,7]"#), "{text}");

    // Two trials, and decisions in two goes.
    let project = Project::with_answer(200, "[1]", SUITE);
    project.write("t.suite.yaml", SUITE.replace("name: s", "name: t"));
    let app = Stub::json(200, &json!([1, 2, 3]));
    let pend = || {
        let mut command = softprobe(&[
            "suite",
            "run",
            "*.suite.yaml",
            "--bless=pending",
            "--app-url",
            &app.url(),
        ]);
        Output::of(command.current_dir(project.path())).ends(20, &[]);
    };
    let review =
        |typed: &str| on_terminal(softprobe(&["review"]).current_dir(project.path()), typed).1;
    let text = || std::fs::read_to_string(project.path().join("a.case.json")).unwrap();
    pend();
    let seen = review("s\na\ns\na\n");
    assert!(seen.contains("elements of a list that moved"), "{seen}");
    assert!(text().contains(r#""stringValue":"[1,3]""#), "{}", text());
    pend();
    review("a\na\na\na\n");
    pend_is_over(&project);
    assert!(text().contains(r#""stringValue":"[1,2,3]""#), "{}", text());
    project.against(&app, &[]).passes();
}

#[track_caller]
fn pend_is_over(project: &Project) {
    assert!(!project.path().join("a.pending.json").exists());
}

#[test]
fn a_place_is_ignored_where_that_has_an_effect() {
    let names = r#"{"a\tb'c\\":1}"#;
    let project = Project::with_answer(200, names, SUITE);
    let app = Stub::json(200, &json!({"a\tb'c\\": 2}));
    let review =
        |typed: &str| on_terminal(softprobe(&["review"]).current_dir(project.path()), typed);
    project.against(&app, &["--bless=pending"]).fails(&[]);
    let (code, seen) = review("i\n");
    assert_eq!(code, 0, "{seen}");
    project.against(&app, &[]).passes();

    // A mock's own settings count there.
    let project = Project::new();
    let more = [
        attribute("http.request.header.content-type", "application/json"),
        attribute("http.request.body", r#"{"a":1}"#),
        response_body("ok"),
    ];
    let call = span(2, "outbound", "POST pay.example/c", Some(200), &more);
    let calls = json!([[
        "POST pay.example/c",
        "content-type: application/json\r\n",
        r#"{"a":2}"#
    ]]);
    project.write(
        "a.case.json",
        relayed_case(&calls, &[call], &json!(["200 ok"])),
    );
    let suite = format!(
        "{SUITE}mocks: [ {{ name: pay, match: {{ host: pay.example }}, outbound: {{ difference: fail, body: {{ mode: exact }} }} }} ]\n"
    );
    project.write("s.suite.yaml", &suite);
    project
        .run_with(&["--bless=pending"], &[("SOFTPROBE_TEST_CALLS", "[]")])
        .fails(&[]);
    let (code, seen) = on_terminal(softprobe(&["review"]).current_dir(project.path()), "i\n");
    assert_eq!(code, 1, "{seen}");
    assert!(
        seen.contains("a mock has an `outbound.body` of its own"),
        "{seen}"
    );
    let now = std::fs::read_to_string(project.path().join("s.suite.yaml")).unwrap();
    assert_eq!(now, suite);
    let mut ci = softprobe(&["review"]);
    Output::of(ci.env("CI", "true").current_dir(project.path()))
        .ends(2, &["review is refused where the variable CI is set"]);
}

#[test]
fn what_another_suite_holds_the_case_to_is_not_changed() {
    let project = Project::with_answer(200, r#"{"v":1}"#, SUITE);
    project.write(
        "t.suite.yaml",
        "name: t\ncases: a.case.json\nrequest: { path: /b }\n",
    );
    let app = Stub::start(|request| {
        let value = if request.line.contains("/b") { 2 } else { 1 };
        json_answer(&json!({"v": value}).to_string())
    });
    let before = std::fs::read_to_string(project.path().join("a.case.json")).unwrap();
    let run = project.against(&app, &["--bless", "--test-threads", "1"]);
    run.fails(&[
        "s::a uses the file too and passes with it as it is, and would not with it changed",
    ]);
    let now = std::fs::read_to_string(project.path().join("a.case.json")).unwrap();
    assert_eq!(now, before);
}

#[test]
fn a_review_takes_what_stands_beside_something_gone_and_warns_of_secrets() {
    let project = Project::with_answer(200, r#"{"a":1,"b":2,"k":1}"#, SUITE);
    let app = Stub::json(200, &json!({"password": "hunter2hunter2", "k": 1}));
    project.against(&app, &["--bless=pending"]).fails(&[]);
    let (code, seen) = on_terminal(softprobe(&["review"]).current_dir(project.path()), "i\na\n");
    assert_eq!(code, 0, "{seen}");
    assert!(
        seen.contains("what was accepted there looks like a secret"),
        "{seen}"
    );
    let now = std::fs::read_to_string(project.path().join("a.case.json")).unwrap();
    assert!(
        now.contains(r#"{\"a\":1,\"k\":1,\"password\":\"hunter2hunter2\"}"#),
        "{now}"
    );
    let other = Stub::json(200, &json!({"password": "other", "k": 1}));
    project.against(&other, &[]).fails(&["$.password"]);
}
