//! Imports: what other tools keep of HTTP traffic becomes cases that replay.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::command::{Output, run_in, softprobe};
use crate::support::{Project, Received, Stub, free_port, http};

/// The application: answers of different kinds, `/orders` as `n` says.
fn shop(n: u32) -> Stub {
    Stub::start(move |request: &Received| {
        let kind = [("content-type", "application/json")];
        match request.line.split(' ').nth(1).unwrap_or_default() {
            "/v1/orders" => {
                let sent: Value = serde_json::from_slice(&request.body).unwrap_or_default();
                http(201, &kind, json!({"n": n, "got": sent}).to_string())
            }
            "/v1/form" => {
                let sent = String::from_utf8_lossy(&request.body).into_owned();
                http(200, &kind, json!({ "form": sent }).to_string())
            }
            "/v1/me"
                if request.header("authorization")
                    == Some("Bearer sk_live_4eC39HqLyjWDarjtT1zdp7dc") =>
            {
                let token = "sk_live_4eC39HqLyjWDarjtT1zdp7dc";
                http(
                    200,
                    &kind,
                    json!({"name": "me", "access_token": token}).to_string(),
                )
            }
            "/v1/me" => http(401, &kind, "{}"),
            "/v1/picture" => http(200, &[("content-type", "image/png")], b"\xff\x00\x01"),
            _ => http(404, &[("content-type", "text/plain")], "none"),
        }
    })
}

/// An entry of an archive.
fn entry(method: &str, path: &str, sent: Option<(&str, &str)>, answer: Value) -> Value {
    let mut request = json!({
        "method": method, "url": format!("https://api.shop.example{path}"), "httpVersion": "HTTP/2",
        "headers": [{"name": ":authority", "value": "api.shop.example"}, {"name": "accept", "value": "*/*"}],
        "cookies": [], "queryString": [], "headersSize": -1, "bodySize": 0,
    });
    if let Some((kind, text)) = sent {
        request["headers"]
            .as_array_mut()
            .unwrap()
            .push(json!({"name": "content-type", "value": kind}));
        request["postData"] = json!({"mimeType": kind, "text": text});
    }
    json!({
        "startedDateTime": "2026-01-31T09:30:00.000+02:00", "time": 5,
        "request": request, "response": answer, "cache": {}, "timings": {},
    })
}

fn answer(status: u16, kind: &str, text: &str) -> Value {
    json!({
        "status": status, "statusText": "", "httpVersion": "HTTP/2", "cookies": [], "redirectURL": "",
        "headers": [
            {"name": "content-type", "value": kind}, {"name": "content-encoding", "value": "br"},
            {"name": "content-length", "value": "12"},
        ],
        "content": {"size": text.len(), "mimeType": kind, "text": text},
    })
}

fn archive(entries: &[Value]) -> String {
    json!({"log": {"version": "1.2", "creator": {"name": "x", "version": "1"}, "entries": entries}})
        .to_string()
}

const JSON: &str = "application/json";

fn orders() -> Value {
    entry(
        "POST",
        "/v1/orders",
        Some((JSON, r#"{"item":7}"#)),
        answer(201, JSON, r#"{"n":1,"got":{"item":7}}"#),
    )
}

/// Returns the arguments that import a file, with a suite.
fn import<'a>(kind: &'a str, file: &'a str) -> [&'a str; 7] {
    [
        "import",
        kind,
        file,
        "--out",
        "cases",
        "--suite",
        "first.suite.yaml",
    ]
}

/// Returns the command that replays the suite against an application.
fn replaying(folder: &Path, app: &Stub) -> Command {
    let url = app.url();
    let args = [
        "suite",
        "run",
        "first.suite.yaml",
        "--app-url",
        &url,
        "--proxy-listen",
        "127.0.0.1:0",
    ];
    let mut command = softprobe(&args);
    command.current_dir(folder);
    command
}

fn replay(folder: &Path, app: &Stub) -> Output {
    Output::of(&mut replaying(folder, app))
}

fn cases(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder.join("cases"))
        .map(|entries| {
            entries
                .map(|e| e.unwrap().file_name().into_string().unwrap())
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

#[test]
fn an_archive_becomes_cases_that_replay() {
    let project = Project::new();
    let mut picture = entry("GET", "/v1/picture", None, answer(200, "image/png", "/wAB"));
    picture["response"]["content"]["encoding"] = "base64".into();
    let mut elsewhere = orders();
    elsewhere["request"]["url"] = "https://metrics.example/collect".into();
    let mut socket = orders();
    socket["request"]["url"] = "wss://api.shop.example/live".into();
    let entries = [
        orders(),
        picture,
        entry("HEAD", "/none", None, answer(404, "text/plain", "")),
        elsewhere,
        socket,
    ];
    project.write("s.har", archive(&entries));
    // Whose requests are meant has to be said.
    let import = import("har", "s.har");
    let refused = run_in(project.path(), &import);
    refused.ends(
        2,
        &["--host says whose to import: api.shop.example (3), metrics.example (1)"],
    );
    assert!(!project.path().join("cases").exists());
    let wrong = run_in(
        project.path(),
        &[&import[..], &["--host", "other.example"]].concat(),
    );
    wrong.ends(2, &["--host: no request went to it"]);

    let done = run_in(
        project.path(),
        &[&import[..], &["--host", "api.shop.example"]].concat(),
    );
    done.ends(
        0,
        &[
            "imported 3 cases",
            "not imported: requests to metrics.example: --host names another",
            "not imported: POST wss://api.shop.example/live: it opened a WebSocket",
            "softprobe suite run first.suite.yaml -- COMMAND",
        ],
    );
    let names = [
        "get-v1-picture.case.json",
        "head-none.case.json",
        "post-v1-orders.case.json",
    ];
    assert_eq!(cases(project.path()), names);
    let mode = project
        .path()
        .join("cases")
        .join(names[0])
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    replay(project.path(), &shop(1)).ends(0, &["3 passed"]);
    replay(project.path(), &shop(2)).ends(20, &["$.n", "2 passed; 1 failed"]);
    // Nothing is overwritten; what stands is left out if that is asked for.
    let again = [
        &import[..],
        &["--host", "api.shop.example", "--distinct", "--json"],
    ]
    .concat();
    let again = run_in(project.path(), &again).document();
    assert_eq!(
        (&again["alike"], &again["imported"]),
        (&json!(3), &json!([]))
    );
}

#[test]
fn what_an_archive_lacks_is_told_or_sent() {
    let project = Project::new();
    let failed = |path: &str, sent| {
        let answer =
            json!({"status": 0, "headers": [], "content": {}, "_error": "net::ERR_TIMED_OUT"});
        entry("POST", path, sent, answer)
    };
    let mut no_body = orders();
    no_body["response"]["content"] = json!({"size": 24, "mimeType": JSON});
    let mut form = failed("/v1/form", None);
    form["request"]["postData"] = json!({
        "mimeType": "multipart/form-data", "params": [{"name": "f", "fileName": "a.txt"}],
    });
    let entries = [
        failed("/v1/orders", Some((JSON, r#"{"item":8}"#))),
        no_body,
        form,
    ];
    project.write("s.har", archive(&entries));
    let import = import("har", "s.har");
    let partly = run_in(project.path(), &import);
    partly.ends(
        1,
        &[
            "imported 1 case",
            "not imported: POST /v1/orders: s.har: log.entries[0]: it failed: net::ERR_TIMED_OUT; --send URL sends it",
            "log.entries[2]: it failed",
            "can't be replayed: cases/post-v1-orders.case.json",
            "its answer's body is not in the file; save the archive with the contents",
        ],
    );
    replay(project.path(), &shop(1)).ends(0, &["0 passed", "1 ignored"]);

    let project = Project::new();
    project.write("s.har", archive(&entries));
    let app = shop(1);
    let url = app.url();
    let sent = [&import[..], &["--send", &url]].concat();
    let sent = run_in(project.path(), &sent);
    sent.ends(
        1,
        &[
            "imported 2 cases",
            "log.entries[2]: it failed: net::ERR_TIMED_OUT, and it can't be sent: its request's body is not in the file",
        ],
    );
    assert_eq!(app.received().len(), 2);
    replay(project.path(), &app).ends(0, &["2 passed"]);
    replay(project.path(), &shop(2)).ends(20, &["2 failed"]);

    // An application that is not there is no answer.
    let project = Project::new();
    project.write("s.har", archive(&entries[..1]));
    let url = format!("http://127.0.0.1:{}", free_port());
    let none = run_in(project.path(), &[&import[..], &["--send", &url]].concat());
    none.ends(
        1,
        &["sent to --send, it got no answer", "nothing was imported"],
    );
    assert!(cases(project.path()).is_empty() && !project.path().join("first.suite.yaml").exists());
}

#[test]
fn an_import_leaves_no_secret_in_files() {
    let project = Project::new();
    let token = "sk_live_4eC39HqLyjWDarjtT1zdp7dc";
    let body = json!({"name": "me", "access_token": token}).to_string();
    let mut me = entry("GET", "/v1/me", None, answer(200, JSON, &body));
    let header = json!({"name": "Authorization", "value": format!("Bearer {token}")});
    me["request"]["headers"]
        .as_array_mut()
        .unwrap()
        .push(header);
    project.write("s.har", archive(&[me]));
    let import = import("har", "s.har");
    run_in(project.path(), &import).ends(0, &["imported 1 case"]);
    let case = std::fs::read_to_string(project.path().join("cases/get-v1-me.case.json")).unwrap();
    let suite = std::fs::read_to_string(project.path().join("first.suite.yaml")).unwrap();
    assert!(
        !case.contains(token) && !suite.contains(token),
        "{case}\n{suite}"
    );
    assert!(
        suite.contains("\"$.access_token\": masked") && suite.contains("${AUTHORIZATION}"),
        "{suite}"
    );
    // As the suite's comment says, the application gets a valid one.
    let headers = "request:\n  headers: { authorization: \"Bearer ${TOKEN}\" }\n";
    project.write("first.suite.yaml", suite + headers);
    let app = shop(1);
    let replayed = Output::of(replaying(project.path(), &app).env("TOKEN", token));
    replayed.ends(0, &["1 passed"]);
}

#[test]
fn command_lines_of_curl_become_cases_with_the_answers_of_an_application() {
    let project = Project::new();
    project.write("body.json", "{\"item\":\n 9}\n");
    project.write(
        "requests.sh",
        "# an order\ncurl 'http://api.shop.example/v1/orders' \\\n  -H 'content-type: application/json' --data-binary @body.json --compressed\n\
         curl api.shop.example/v1/form -d a=1 -d 'b=x y'; curl -I http://api.shop.example/v1/none\n",
    );
    let import = import("curl", "requests.sh");
    let refused = run_in(project.path(), &import);
    refused.ends(
        1,
        &["requests.sh: line 2: a command line has no answer; --send URL sends it to the application", "nothing was imported"],
    );
    let app = shop(1);
    let url = app.url();
    let sent = [&import[..], &["--send", &url]].concat();
    run_in(project.path(), &sent).ends(0, &["imported 3 cases"]);
    let lines: Vec<String> = app
        .received()
        .iter()
        .map(|request| request.line.clone())
        .collect();
    let wanted = [
        "POST /v1/orders HTTP/1.1",
        "POST /v1/form HTTP/1.1",
        "HEAD /v1/none HTTP/1.1",
    ];
    assert_eq!(lines, wanted);
    assert_eq!(app.received()[0].body, b"{\"item\":\n 9}\n");
    assert_eq!(app.received()[1].body, b"a=1&b=x y");
    replay(project.path(), &app).ends(0, &["3 passed"]);
    replay(project.path(), &shop(2)).ends(20, &["1 failed"]);

    project.write(
        "broken.sh",
        "curl http://h/\ncurl -F a=@b http://h/\ncurl --fancy http://h/\n",
    );
    let broken = run_in(
        project.path(),
        &["import", "curl", "broken.sh", "--out", "other"],
    );
    broken.ends(
        5,
        &[
            "broken.sh: line 2: -F is not read",
            "broken.sh: line 3: the option --fancy",
            "softprobe capture run records it",
        ],
    );
    assert!(!project.path().join("other").exists());
}

#[test]
fn a_collection_of_postman_becomes_cases() {
    let project = Project::new();
    let schema = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";
    let collection = json!({
        "info": {"name": "shop", "schema": schema},
        "item": [{"name": "orders", "item": [
            {
                "name": "create",
                "request": {
                    "method": "POST", "url": {"raw": "{{base}}/orders"},
                    "header": [{"key": "Content-Type", "value": "application/json"}],
                    "body": {"mode": "raw", "raw": "{\"item\": 7}"},
                },
                "response": [{
                    "name": "created", "code": 201, "body": "{\"n\": 1, \"got\": {\"item\": 7}}",
                    "header": [{"key": "Content-Type", "value": "application/json"}],
                }],
            },
            {
                "name": "form",
                "request": {
                    "method": "POST", "url": "{{base}}/form",
                    "body": {"mode": "urlencoded", "urlencoded": [{"key": "a", "value": "1"}]},
                },
                "response": [],
            },
        ]}],
    });
    project.write("shop.json", collection.to_string());
    let import = import("postman", "shop.json");
    let unknown = run_in(project.path(), &import);
    unknown.ends(
        5,
        &["shop.json: item[0].item[0].request.url: the variable `base` has no value here; give it with --variable base=VALUE"],
    );
    let app = shop(1);
    let values =
        json!({"values": [{"key": "base", "value": format!("{}/v1", app.url()), "enabled": true}]});
    project.write("env.json", values.to_string());
    let import = [&import[..], &["--environment", "env.json"]].concat();
    let partly = run_in(project.path(), &import);
    partly.ends(
        1,
        &[
            "imported 1 case",
            "shop.json: item[0].item[1]: no answer is saved with it; --send URL sends it",
        ],
    );
    let url = app.url();
    let sent = [&import[..], &["--send", &url]].concat();
    run_in(project.path(), &sent).ends(0, &["imported 2 cases", "added to first.suite.yaml"]);
    replay(project.path(), &app).ends(0, &["3 passed"]);
    replay(project.path(), &shop(2)).ends(20, &["2 failed"]);
    let named = format!("base={}/v2", app.url());
    let named = [&import[..], &["--variable", &named, "--distinct"]].concat();
    run_in(project.path(), &named).ends(1, &["POST /v2/form"]);
}

#[test]
fn what_is_no_archive_is_refused_with_its_place() {
    let project = Project::new();
    project.write("a.har", "<html>");
    let mut wrong = orders();
    wrong["request"]["url"] = "/v1/orders".into();
    wrong["response"]["status"] = "201".into();
    let mut other = orders();
    other["request"]["method"] = "".into();
    project.write("b.har", archive(&[wrong, other]));
    let import = [
        "import", "har", "a.har", "b.har", "--out", "cases", "--json",
    ];
    let refused = run_in(project.path(), &import);
    let told = refused.document()["errors"].to_string();
    assert_eq!(refused.code, 5);
    for wanted in [
        "a.har: not JSON",
        "b.har: log.entries[0].request.url: expected an absolute URL of http or https",
        "b.har: log.entries[1].request.method: expected a method",
    ] {
        assert!(told.contains(wanted), "{wanted:?} is not in {told}");
    }
    assert!(!project.path().join("cases").exists());
    let missing = run_in(
        project.path(),
        &["import", "har", "none.har", "--out", "cases"],
    );
    missing.ends(5, &["none.har"]);
    let base = run_in(
        project.path(),
        &["import", "har", "b.har", "--out", "cases", "--send", "shop"],
    );
    base.ends(2, &["--send: `shop` is not a base URL"]);
}

/// The site whose traffic the archives in `tests/it/har` hold.
fn site() -> Stub {
    Stub::start(|request: &Received| {
        let mut line = request.line.split(' ');
        let (method, path) = (
            line.next().unwrap_or_default(),
            line.next().unwrap_or_default(),
        );
        let json = [("content-type", "application/json")];
        let sent = String::from_utf8_lossy(&request.body).into_owned();
        match (method, path) {
            ("POST", _) => http(201, &json, json!({"got": sent, "path": path}).to_string()),
            ("DELETE", _) => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
            (_, "/page") => {
                let kind = [("content-type", "text/html; charset=utf-8")];
                http(200, &kind, include_str!("har/page.html"))
            }
            (_, "/picture") => http(
                200,
                &[("content-type", "image/png")],
                b"\x89PNG\r\n\x00\xff",
            ),
            _ => http(404, &[("content-type", "text/plain")], "none"),
        }
    })
}

/// The first two were written by the tools themselves, the others after what their makers document.
#[test]
fn archives_of_each_maker_replay() {
    for (maker, code, told) in [
        (
            "chromium",
            1,
            vec![
                "imported 6 cases",
                "log.entries[6]: it failed: net::ERR_EMPTY_RESPONSE",
            ],
        ),
        (
            "mitmproxy",
            1,
            vec![
                "imported 6 cases",
                "log.entries[6]: it failed: server closed connection",
            ],
        ),
        ("firefox", 0, vec!["imported 3 cases"]),
        (
            "charles",
            1,
            vec![
                "imported 2 cases",
                "log.entries[2]: it was not completed: EXCEPTION",
                "made again from its parameters",
            ],
        ),
        ("reqable", 0, vec!["imported 1 case"]),
    ] {
        let project = Project::new();
        let file = format!("{}/tests/it/har/{maker}.har", env!("CARGO_MANIFEST_DIR"));
        let import = import("har", &file);
        let import = [&import[..], &["--host", "127.0.0.1:8931"]].concat();
        run_in(project.path(), &import).ends(code, &told);
        let count = cases(project.path()).len();
        replay(project.path(), &site()).ends(0, &[&format!("{count} passed")]);
        replay(project.path(), &shop(1)).ends(20, &["failed"]);
    }
}
