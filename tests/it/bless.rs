//! Accepting what differs: which differences are accepted by what, and what a case file looks like afterwards.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::command::{Output, softprobe};
use crate::support::{
    Project, Run, Stub, Table, attribute, document, http, response_body, span,
};

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
        let suite = format!("policy: {{ externalHttp: strict }}\nmocks: auto\n{suite}");
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
        files.map(|file| std::fs::read_to_string(file).unwrap()).collect()
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
            assert!(report.contains("run just this case"), "r{n}: {}", failed.all());
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
            for (n, (row, (text, before))) in
                self.rows.iter().zip(self.texts().iter().zip(&before)).enumerate()
            {
                let is_done = done.contains(&row.by);
                let wanted = if is_done { "ok" } else { "FAILED" };
                assert_eq!(results[&format!("r{n}::r{n}")], wanted, "r{n}: {}", run.all());
                let mut changed = before.clone();
                for (old, new) in row.edits.iter().filter(|_| is_done) {
                    assert_eq!(changed.matches(old.as_str()).count(), 1, "r{n}: {old} in {changed}");
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
            let wanted = if row.by == By::Nothing { "FAILED" } else { "ok" };
            assert_eq!(run.results()[&format!("r{n}::r{n}")], wanted, "r{n}: {}", run.all());
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
        &[(r#"\"total\": 12"#, r#"\"total\": 36893488147419103233"#), ("[1,2]", "[1,3]"), (r#"a/\\u00e9"#, r#"\\u00fc/\\u00e9"#)],
        "",
    );
    row(
        By::Values,
        was,
        r#"{"total":12,"list":[1,2,{"a":[]}],"name":"a/é","more":{"b":null}}"#,
        "assertions: { body: { mode: exact } }",
        &[("[1,2]", r#"[1,2,{\"a\": []}]"#), (r#"u00e9\"}"#, r#"u00e9\", \"more\": {\"b\": null}}"#)],
        "",
    );
    row(By::All, was, r#"{"total":12,"list":[1],"name":"a/é"}"#, "", &[("[1,2]", "[1]")], "");
    row(By::All, was, r#"{"list":[1,2],"name":"a/é"}"#, "", &[(r#"\"total\": 12, "#, "")], "");
    row(By::All, was, r#"{"total":"12","list":[1,2],"name":"a/é"}"#, "", &[(": 12", r#": \"12\""#)], "");
    row(By::All, was, r#"{"total":null,"list":[1,2],"name":"a/é"}"#, "", &[(": 12", ": null")], "");
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
        &[(r#"{\"id\":1,\"n\":1},\"list"#, r#"{\"id\":1,\"n\":2},\"list"#), (r#"[{\"id\":1,\"n\":1}]"#, r#"[{\"id\":1,\"n\":2}]"#)],
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
    row(
        By::Nothing,
        r#"{"a":1,"a":1}"#,
        r#"{"a":2}"#,
        "assertions: { body: { mode: exact } }",
        &[],
        "$.a: a member appears twice there",
    );
    let text = |body: &str| vec![response_body(body)];
    let mut row = |by, captured: &[Value], now: Vec<u8>, suite: &str, edits: &[(&str, &str)], told| {
        rows.answer(by, captured, suite, now, edits, told);
    };
    row(By::All, &text("one\ntwo"), http(200, &[], "one\nthree"), "", &[(r"\ntwo", r"\nthree")], "");
    row(
        By::All,
        &json(r#"{"a":1}"#),
        http(200, &[("content-type", "text/html; charset=utf-8")], "<p>"),
        "",
        &[("application/json", "text/html; charset=utf-8"), (r#"{\"a\":1}"#, "<p>")],
        "",
    );
    row(
        By::All,
        &[attribute("http.response.header.content-length", "1"), response_body("a")],
        http(201, &[], "bcd"),
        "",
        &[(r#""200""#, r#""201""#), (r#"{"stringValue":"1"}"#, r#"{"stringValue":"3"}"#), (r#"{"stringValue":"a"}"#, r#"{"stringValue":"bcd"}"#)],
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
        &[attribute("http.response.header.x-a", "1"), response_body("a")],
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
    row(
        By::All,
        &[attribute("http.response.header.x-a", "1"), response_body("a")],
        http(200, &[], "a"),
        captured,
        &[(r#"{"key":"http.response.header.x-a","value":{"stringValue":"1"}},"#, "")],
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
        "mocks: [ { name: m, match: { host: a.example }, response: { body: x }, unused: fail } ]",
        &[],
        "mock `m` was never used, and the answer may be what it is because of that",
    );
    rows.check();
}
