//! Numbers keep their digits and their spelling, wherever they are written.

use serde_json::{Value, json};
use softprobe::{EmbeddedRuntime, Mode, Proxy, Softprobe};

use crate::command::run_in;
use crate::support::{Project, Stub, Table, attribute, document, http, response_body, send, span};

/// A wei amount, and a decimal with more digits than a double has.
const BIG: &str = "1236546565217899832645";
const LONG: &str = "0.12345678901234567891";

/// An application that answers with what it was sent.
fn echo() -> Stub {
    Stub::start(|request| {
        let headers = [
            ("content-type", "application/json"),
            ("x-version", request.header("x-version").unwrap_or("none")),
        ];
        http(200, &headers, &request.body)
    })
}

/// Returns a project whose case is a request with this body and an answer with that one.
fn project(sent: &str, answer: &str, suite: &str) -> Project {
    let project = Project::new();
    let exchanged = [attribute("http.request.body", sent), response_body(answer)];
    let inbound = span(1, "inbound", "POST shop.example/a", Some(200), &exchanged);
    project.write("a.case.json", document(&[inbound]).to_string());
    project.write(
        "s.suite.yaml",
        format!("name: s\ncases: a.case.json\n{suite}\n"),
    );
    project
}

#[test]
fn a_suites_numbers_keep_their_digits() {
    let app = echo();
    for number in [BIG, LONG, "1.10", "-7e2"] {
        let body = format!("{{\"id\":{number}}}");
        let given = format!("request: {{ body: {{ id: {number} }} }}");
        project("{\"id\":1}", &body, &given)
            .against(&app, &[])
            .passes();
        assert_eq!(app.received().last().unwrap().body, body.as_bytes());
        let expected = format!("assertions: {{ body: {{ expected: {{ id: {number} }} }} }}");
        project(&body, "{\"id\":1}", &expected)
            .against(&app, &[])
            .passes();
    }
    let near = format!("{}6", &BIG[..BIG.len() - 1]);
    let expected = format!("assertions: {{ body: {{ expected: {{ id: {near} }} }} }}");
    project(&format!("{{\"id\":{BIG}}}"), "{\"id\":1}", &expected)
        .against(&app, &[])
        .fails(&[&format!("expected  {near}\n    actual    {BIG}")]);
}

#[test]
fn a_number_that_is_text_keeps_its_spelling() {
    let app = echo();
    for spelling in ["1.10", "0x10", "1e3", "+5"] {
        let suite = format!(
            "request: {{ headers: {{ x-version: {spelling} }} }}\nassertions: {{ headers: {{ include: {{ x-version: \"^{}$\" }} }} }}",
            spelling.replace('+', "[+]").replace('.', "[.]")
        );
        project("{}", "{}", &suite).against(&app, &[]).passes();
    }
    project("{}", "{}", "request: { method: 1.10 }")
        .against(&app, &[])
        .fails(&["request.method: expected a string, found 1.10"]);
    project("{}", "{}", "request: { timeoutMs: 0x10 }")
        .run(&["--list"])
        .passes();
}

#[test]
fn a_mocks_numbers_keep_their_digits() {
    let captured = |id: u64, body: &str| {
        span(
            id,
            "outbound",
            "POST up.example/x",
            Some(200),
            &[attribute("http.request.body", body)],
        )
    };
    let mut table = Table::new();
    let mut row = |mocks: &str, sent: &str, answer: &str, words: &[&str]| {
        let suite = format!("policy: {{ externalHttp: strict }}\nmocks: {mocks}");
        let calls = json!([["POST up.example/x", "", sent]]);
        table.relayed(&calls, &[captured(2, "")], &suite, &json!([answer]), words);
    };
    let respond = format!("[ {{ response: {{ body: {{ id: {BIG} }} }} }} ]");
    row(&respond, "", &format!("200 {{\"id\":{BIG}}}"), &[]);
    let equals = format!(
        "[ {{ match: {{ bodyJsonPathEquals: {{ $.id: {BIG} }} }}, response: {{ body: ok }} }} ]"
    );
    row(&equals, &format!("{{\"id\":{BIG}}}"), "200 ok", &[]);
    let other = BIG.replace("645", "646");
    row(
        &equals,
        &format!("{{\"id\":{other}}}"),
        "",
        &["1 outbound call missed", BIG, &other],
    );
    let body = format!(
        "[ {{ match: {{ body: {{ equals: {{ id: {LONG} }} }} }}, response: {{ body: ok }} }} ]"
    );
    row(&body, &format!("{{\"id\":{LONG}}}"), "200 ok", &[]);
    row(&body, &format!("{{\"id\":{LONG}0}}"), "200 ok", &[]);
    row(
        &body,
        &format!("{{\"id\":{LONG}1}}"),
        "",
        &["differs on body.equals"],
    );
    table.check_relayed();
}

#[test]
fn rules_keep_their_digits_on_every_way_to_a_runtime() {
    let rules = format!(
        "{{\"rules\": [{{\"when\": {{\"bodyJsonPathEquals\": {{\"$.id\": {BIG}}}}}, \"then\": {{\"action\": \"mock\", \"response\": {{\"body\": {{\"x\": {LONG}}}}}}}}}]}}"
    );
    let call = |address, number: &str| {
        let body = format!("{{\"id\":{number}}}");
        let head = format!(
            "POST http://up.example/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        send(address, head + &body)
    };
    let answer = format!("{{\"x\":{LONG}}}");
    // From a file, by the command, to a server.
    let served = crate::command::Served::start(&["--refuse-idle"]);
    let project = Project::new();
    let yaml = format!(
        "when: {{ bodyJsonPathEquals: {{ $.id: {BIG} }} }}\nthen: {{ action: mock, response: {{ body: {{ x: {LONG} }} }} }}\n"
    );
    for (file, text) in [("rules.json", &rules), ("rule.yaml", &yaml)] {
        project.write(file, text);
        let run = |args: &[&str]| {
            let url = served.url();
            let args = [args, &["--runtime-url", &url]].concat();
            run_in(project.path(), &args)
        };
        let started = run(&["session", "start", "--strict"]);
        let id = started.stdout.trim();
        run(&["session", "rules", "apply", file, "--session", id]).ends(0, &[]);
        assert_eq!(call(served.proxy(), BIG).text(), answer, "{file}");
        assert_eq!(call(served.proxy(), "1236546565217899832646").status, 599);
        let state = crate::support::send(
            served.address(),
            format!("GET /v1/sessions/{id}/state HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        );
        assert!(
            state.text().contains(BIG) && state.text().contains(LONG),
            "{}",
            state.text()
        );
        run(&["session", "close", "--session", id]).ends(0, &[]);
    }
    // From the rules of a case, in this process.
    let mut case = document(&[]).to_string();
    case.pop();
    let case = format!("{case},{}", rules.strip_prefix('{').unwrap());
    let file = project.write("with-rules.case.json", case);
    let softprobe = Softprobe::embedded(&EmbeddedRuntime::new());
    let proxy = Proxy::start(&softprobe).unwrap();
    let session = softprobe.start_session(Mode::Replay).unwrap();
    session.load_case_from_file(file).unwrap();
    assert_eq!(call(proxy.address(), BIG).text(), answer);
}

const PYTHON: &str = r#"
def same(actual, captured, **_):
    return [] if actual["id"] == captured["id"] and isinstance(actual["id"], int) else [{"path": "$.id", "actual": actual["id"]}]

def next_id(request, **_):
    import json
    return {"body": {"id": json.loads(request["body"])["id"] + 1}}
"#;

const NODE: &str = r#"
export const same = ({ actual, captured }) => (actual.id === captured.id ? [] : [{ path: "$.id", actual: actual.id }]);
export const next_id = () => ({ body: { id: 1236546565217899832645n, small: 7, text: "1236546565217899832645" } });
"#;

#[test]
fn hooks_see_the_digits_and_keep_them() {
    let near = BIG.replace("645", "646");
    let sent = |number: &str| format!("{{\"id\":{number}}}");
    let app = echo();
    for (program, file, text) in [("python3", "h.py", PYTHON), ("node", "h.mjs", NODE)] {
        if !crate::hookfiles::is_there(program) {
            continue;
        }
        let run = |captured: &str, actual: &str, more: &str| {
            let suite = format!(
                "hooks: [ {file} ]\nassertions: {{ body: {{ mode: ignore, custom: h.same }} }}\n{more}"
            );
            let project = project(&sent(actual), &sent(captured), &suite);
            project.write(file, text);
            project.against(&app, &[])
        };
        run(BIG, BIG, "").passes();
        run(BIG, &near, "").fails(&[&format!("actual    {near}")]);
        let next = match program {
            "python3" => run(&near, BIG, "request: { transform: h.next_id }"),
            _ => run(BIG, "1", "request: { transform: h.next_id }"),
        };
        next.passes();
        let last: Vec<u8> = app.received().last().unwrap().body.clone();
        let last = String::from_utf8(last).unwrap();
        let wanted = match program {
            "python3" => sent(&near),
            _ => format!("{{\"id\":{BIG},\"small\":7,\"text\":\"{BIG}\"}}"),
        };
        assert_eq!(last, wanted, "{program}");
    }
}

/// Hooks in Rust get `serde_json` values, which have no such numbers.
#[test]
fn a_hook_in_rust_sees_the_digits_as_text() {
    let app = echo();
    let suite = "assertions: { body: { mode: ignore, custom: t.seen } }";
    let sent = format!("{{\"id\":{BIG},\"small\":7}}");
    let run = project(&sent, &sent, suite).against(&app, &[]);
    run.fails(&[&format!("{{\"id\":\"{BIG}\",\"small\":7}}")]);
}

/// Returns the value as an issue, so that a test sees it.
pub(crate) fn seen(actual: &Value) -> softprobe::hook::Issue {
    softprobe::hook::Issue::new("$", actual.to_string())
}
