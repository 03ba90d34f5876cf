//! `suite noise`: what varies among equal replays is told from what differs, and nothing more is accepted than that.

use serde_json::{Value, json};

use crate::command::{Output, softprobe};
use crate::languages::is_there;
use crate::support::{Project, attribute, document, response_body, span};

/// An application that varies all that can vary, in its answer and in what it sends. Each launch has another number, which says
/// what is there and of which type.
const APP: &str = r#"
import json, os, random, urllib.request, uuid
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer

DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
defect = os.environ.get("DEFECT", "")
with open("launches", "a+") as file:
    file.write("x")
    file.flush()
    file.seek(0)
    launch = len(file.read())

def ulid():
    return "01" + "".join(random.choice(DIGITS) for _ in range(24))

def turned(items):
    first = launch % len(items)
    return items[first:] + items[:first]

def thing(odd):
    # Its orders and the size of its number are others in each of two launches that follow each other.
    tags = turned(["a", "b", "c", "d", "e"])
    lines = turned([{"sku": sku, "line": str(uuid.uuid4())} for sku in ("tea", "cup", "pot")])
    now = datetime.now(timezone.utc)
    out = {
        "id": str(uuid.uuid4()),
        "ref": ulid(),
        "at": now.isoformat().replace("+00:00", "Z"),
        "day": now.strftime("%Y-%m-%d"),
        "epoch": int(now.timestamp()),
        "number": random.randint(1, 1000) * (1000 if launch % 2 == 0 else 1),
        "took": round(100.5 + launch % 2 / 20 + random.random() / 20, 3),
        "token": "tok_" + "".join(random.choice("0123456789abcdef") for _ in range(32)),
        "tags": tags,
        "lines": lines,
        "total": 12,
        "fixed": "6f0f9f0e-7a3c-4c58-8f0e-0a9f5f1f2b3c",
    }
    if odd and launch % 2 == 0:
        out["coupon"] = "x"
    if odd:
        out["score"] = 1 if launch % 2 == 0 else "1"
        out["total"] = 13
    if defect == "total": out["total"] = 14
    if defect == "fixed": out["fixed"] = str(uuid.uuid4())
    if defect == "id": out["id"] = "7"
    if defect == "ref": out["ref"] = out["ref"][:-1]
    if defect == "at": out["at"] = "yesterday"
    if defect == "number": out["number"] = "7"
    if defect == "took": out["took"] = 300.5
    if defect == "token": out["token"] = "tok_7"
    if defect == "tags": out["tags"] = tags[1:] + ["a"] * 2
    if defect == "lines": out["lines"][0]["sku"] = "tin"
    if defect == "gone": del out["id"]
    return out

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        odd = self.path == "/odd"
        body = json.dumps(thing(odd)).encode()
        call = urllib.request.Request("http://pay.example/charge", body, {"content-type": "application/json"})
        for name in ("traceparent", "tracestate"):
            call.add_header(name, self.headers[name])
        with urllib.request.urlopen(call) as answer:
            answer.read()
        body = json.dumps(thing(odd)).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// Returns what was captured of the application, 2026-04-20 10:00:00 UTC.
fn captured(odd: bool) -> Value {
    let mut thing = json!({
        "id": "67e55044-10b1-426f-9247-bb680e5fe0c8",
        "ref": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "at": "2026-04-20T10:00:00.123456Z",
        "day": "2026-04-20",
        "epoch": 1_776_679_200,
        "number": 431_207,
        "took": 100.0,
        "token": "tok_0123456789abcdef0123456789abcdef",
        "tags": ["a", "b", "c", "d", "e"],
        "lines": [
            {"sku": "tea", "line": "5b8efff7-9803-4103-a269-b633813fc60c"},
            {"sku": "cup", "line": "1c8efff7-9803-4103-a269-b633813fc60c"},
            {"sku": "pot", "line": "2d8efff7-9803-4103-a269-b633813fc60c"},
        ],
        "total": 12,
        "fixed": "6f0f9f0e-7a3c-4c58-8f0e-0a9f5f1f2b3c",
    });
    if odd {
        thing["coupon"] = "x".into();
        thing["score"] = 1.into();
    }
    thing
}

fn case(path: &str, odd: bool) -> Value {
    let body = captured(odd).to_string();
    let json = |side: &str| {
        attribute(
            &format!("http.{side}.header.content-type"),
            "application/json",
        )
    };
    let inbound = [json("response"), response_body(&body)];
    let call = [
        json("request"),
        attribute("http.request.body", &body),
        response_body("paid"),
    ];
    let mut spans = [
        span(
            1,
            "inbound",
            &format!("GET shop.example{path}"),
            Some(200),
            &inbound,
        ),
        span(2, "outbound", "POST pay.example/charge", Some(200), &call),
    ];
    for span in &mut spans {
        span["startTimeUnixNano"] = "1776679200000000000".into();
    }
    document(&spans)
}

const HEAD: &str = "# The shop.\nname: shop\ncases: # all of them\n  - a.case.json\n";
const REST: &str =
    "policy: { externalHttp: strict }\nunused: fail\nmocks: auto # from the capture\n";

/// What a person who knows the application would write of its answers, and of what it sends: the same.
const WANTED: [(&str, &str, &str); 9] = [
    ("$.at", "timestamp", "a time that moves with the clock"),
    (
        "$.day",
        "{ regex: \"^[0-9]{4}-[0-9]{2}-[0-9]{2}$\" }",
        "a time that moves with the clock",
    ),
    (
        "$.epoch",
        "{ type: integer }",
        "a time that moves with the clock",
    ),
    ("$.id", "uuid", "a UUID"),
    ("$.lines[*].line", "uuid", "a UUID"),
    ("$.number", "{ type: integer }", "a random number"),
    (
        "$.ref",
        "{ regex: \"^[0-7][0-9A-HJKMNP-TV-Z]{25}$\" }",
        "a ULID",
    ),
    (
        "$.token",
        "{ regex: \"^tok_[0-9a-f]{32}$\" }",
        "a random token",
    ),
    ("$.took", "{ near: …, by: … }", "a number within bounds"),
];

/// Returns the proposals for the application as YAML.
fn wanted() -> String {
    let matches: String = WANTED
        .iter()
        .map(|(place, matcher, what)| format!("      \"{place}\": {matcher}  # {what}\n"))
        .collect();
    let unordered: String = ["$.lines", "$.tags"]
        .map(|place| format!("      - \"{place}\"  # its order means nothing\n"))
        .concat();
    let part =
        |part: &str| format!("{part}:\n  body:\n    match:\n{matches}    unordered:\n{unordered}");
    format!("{}{}", part("assertions"), part("outbound"))
}

/// Returns a text without the numbers of bounds, which no person can know.
fn without_bounds(text: &str) -> String {
    let mut parts = text.split("{ near: ");
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.map(|part| {
        let after = part.split_once(" }").unwrap().1;
        format!("{{ near: …, by: … }}{after}")
    });
    first + &rest.collect::<String>()
}

fn project(odd: bool) -> Project {
    let project = Project::new();
    project.write("app.py", APP);
    project.write(
        "a.case.json",
        case(if odd { "/odd" } else { "/" }, odd).to_string(),
    );
    project.write("s.suite.yaml", format!("{HEAD}{REST}"));
    project
}

fn run(project: &Project, args: &[&str], defect: &str) -> Output {
    let mut command = softprobe(args);
    command.args([
        "--app-env",
        &format!("DEFECT={defect}"),
        "--",
        "python3",
        "app.py",
    ]);
    Output::of(command.current_dir(project.path()))
}

#[test]
fn what_varies_is_proposed_and_nothing_more() {
    if !is_there(&["python3", "--version"]) {
        return;
    }
    let project = project(false);
    let told = run(&project, &["suite", "noise", "s.suite.yaml"], "");
    told.ends(0, &["softprobe: run 5 of 5"]);
    assert_eq!(
        without_bounds(&told.stdout),
        format!("s.suite.yaml\n\n{}", wanted())
    );
    let file = project.path().join("s.suite.yaml");
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        format!("{HEAD}{REST}")
    );
    let wrote = run(
        &project,
        &["suite", "noise", "s.suite.yaml", "--write", "--runs", "3"],
        "",
    );
    wrote.ends(0, &["wrote 22 settings into s.suite.yaml"]);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.starts_with(&format!("{HEAD}{REST}assertions: {{ body: {{ match: {{")),
        "{text}"
    );
    for _ in 0..5 {
        run(&project, &["suite", "run", "s.suite.yaml"], "").ends(0, &["1 passed"]);
    }
    run(&project, &["suite", "noise", "s.suite.yaml"], "")
        .ends(0, &["nothing varies in 5 runs, and nothing differs"]);
    // What is wrong is still seen, in the answer and in what is sent.
    for defect in [
        "total", "fixed", "id", "ref", "at", "number", "took", "token", "tags", "lines", "gone",
    ] {
        run(&project, &["suite", "run", "s.suite.yaml"], defect)
            .ends(20, &["differences\n", "differs from the captured request:"]);
    }
}

#[test]
fn what_no_setting_accepts_is_told() {
    if !is_there(&["python3", "--version"]) {
        return;
    }
    let project = project(true);
    let told = run(&project, &["suite", "noise", "s.suite.yaml"], "");
    told.ends(1, &["something varies or differs that no setting accepts"]);
    let line = |call: &str, text: &str| format!("  shop::a: {call}{text}\n");
    let call = "POST pay.example/charge: ";
    let lines = |texts: &[&str]| {
        let both = ["", call].map(|call| {
            texts
                .iter()
                .map(|text| line(call, text))
                .collect::<String>()
        });
        both.concat()
    };
    let presence =
        |runs: u8| format!("$.coupon: it is there in {runs} of the runs, and not in the others");
    let wanted = format!(
        "s.suite.yaml\n\n{}\nvaries, and no setting accepts it without hiding more:\n{}\n\
         no noise, but a difference from the capture in every run:\n{}",
        wanted(),
        lines(&[&presence(2), "$.score: its type varies"]),
        lines(&["$.total: expected 12, actual 13"]),
    );
    assert_eq!(without_bounds(&told.stdout), wanted);
    let told = run(&project, &["suite", "noise", "s.suite.yaml", "--json"], "").document();
    let suite = &told["suites"][0];
    assert_eq!(suite["proposals"].as_array().unwrap().len(), 22);
    assert_eq!(
        suite["proposals"][3],
        json!({"setting": "assertions.body.match", "name": "$.id", "matcher": "uuid", "what": "a UUID", "cases": null, "call": null})
    );
    assert_eq!(
        suite["differs"][1],
        json!({"case": "shop::a", "call": "POST pay.example/charge", "message": "$.total: expected 12, actual 13"})
    );
}

/// An application whose answers and calls vary in some cases only.
const OTHER: &str = r#"
import json, os, urllib.request, uuid
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        id = str(uuid.uuid4())
        if self.path == "/orders":
            body = {"id": id, "name": "tea"}
        elif self.path.startswith("/orders/"):
            body = {"id": self.path[8:], "name": "tea"}
        else:
            for path, sent in (("/a", {"n": 1}), ("/b", {"nonce": id, "n": 1})):
                call = urllib.request.Request("http://pay.example" + path + "?key=" + id, json.dumps(sent).encode(), {"content-type": "application/json"})
                for name in ("traceparent", "tracestate"):
                    call.add_header(name, self.headers[name])
                urllib.request.urlopen(call).read()
            body = {"name": "tea"}
        body = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("x-request", id)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

#[test]
fn a_setting_stands_where_it_is_needed_and_nowhere_else() {
    if !is_there(&["python3", "--version"]) {
        return;
    }
    let project = Project::new();
    project.write("app.py", OTHER);
    let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    let json = attribute("http.response.header.content-type", "application/json");
    let traced = attribute("http.response.header.x-request", "1");
    let inbound = |path: &str, body: Value| {
        let more = [
            json.clone(),
            traced.clone(),
            response_body(&body.to_string()),
        ];
        span(
            1,
            "inbound",
            &format!("GET shop.example{path}"),
            Some(200),
            &more,
        )
    };
    let call = |n: u64, path: &str, body: Value| {
        let more = [
            attribute("http.request.header.content-type", "application/json"),
            attribute("http.request.body", &body.to_string()),
            attribute("url.query", &format!("key={id}")),
            response_body("ok"),
        ];
        span(
            n,
            "outbound",
            &format!("POST pay.example{path}"),
            Some(200),
            &more,
        )
    };
    let write = |file: &str, spans: &[Value]| project.write(file, document(spans).to_string());
    write(
        "create.case.json",
        &[inbound("/orders", json!({"id": id, "name": "tea"}))],
    );
    let get = inbound(&format!("/orders/{id}"), json!({"id": id, "name": "tea"}));
    write("get.case.json", &[get]);
    let pay = inbound("/pay", json!({"name": "tea"}));
    let calls = [
        call(2, "/a", json!({"n": 1})),
        call(3, "/b", json!({"nonce": id, "n": 1})),
    ];
    write("pay.case.json", &[vec![pay], calls.to_vec()].concat());
    let suite = "name: shop\ncases:\n  - create.case.json\n  - get.case.json # by its id\n  - pay.case.json\n\
        policy: { externalHttp: strict }\nassertions: { headers: { mode: captured } }\n\
        outbound: { query: { ignore: [ key ] } }\nmocks: auto\n";
    project.write("s.suite.yaml", suite);
    let noise = |more: &[&str]| {
        let mut command = softprobe(&["suite", "noise", "s.suite.yaml"]);
        command.args(more).args(["--", "python3", "app.py"]);
        Output::of(command.current_dir(project.path()))
    };
    let told = noise(&[]);
    told.ends(
        0,
        &[
            "assertions:\n  headers:\n    ignore:\n      - x-request  # another value in each run\n",
            "# in some cases only, so each needs an entry of its own\ncases:\n  # $.id: a UUID; issued here, and comes back in the \
             request of shop::get, which can't know the new one\n  - { path: create.case.json, overrides: { assertions: { headers: \
             { mode: captured, ignore: [ x-request ] }, body: { match: { \"$.id\": uuid } } } } }\n",
            "# $.nonce: a UUID; issued by the answer of shop::create; issued by the answer of shop::get\nmocks:\n  auto: true\n  rules:\n    - { name: \
             POST pay.example/b, match: { method: POST, host: pay.example, path: /b }, expect: any, outbound: { query: { ignore: \
             [ key ] }, body: { match: { \"$.nonce\": uuid } }, difference: fail, extra: unsafe } }\n",
        ],
    );
    noise(&["--write"]).ends(0, &["wrote 3 settings into s.suite.yaml"]);
    let text = std::fs::read_to_string(project.path().join("s.suite.yaml")).unwrap();
    assert!(text.contains("  - get.case.json # by its id\n"), "{text}");
    for _ in 0..5 {
        let mut command = softprobe(&["suite", "run", "s.suite.yaml", "--", "python3", "app.py"]);
        Output::of(command.current_dir(project.path())).ends(0, &["3 passed"]);
    }
    // A query that is new in each run is told from a missed call; the rest shows once it is ignored.
    let with_query = suite.replace("query: { ignore: [ key ] }", "difference: fail");
    project.write("s.suite.yaml", &with_query);
    noise(&["--write"]).ends(
        1,
        &[
            "- { name: POST pay.example/a, match: { method: POST, host: pay.example, path: /a }, expect: any, outbound: \
             { difference: fail, query: { ignore: [ key ] }, extra: unsafe } }\n",
            "not looked at:\n  shop::pay: its calls have other queries in each run; with what is proposed for them in the suite, look again",
        ],
    );
    noise(&["--write"]).ends(1, &["wrote 1 setting into s.suite.yaml"]);
    noise(&["--write"]).ends(
        0,
        &["# in the mock POST pay.example/b\n", "wrote 2 settings"],
    );
    for _ in 0..3 {
        let mut command = softprobe(&["suite", "run", "s.suite.yaml", "--", "python3", "app.py"]);
        Output::of(command.current_dir(project.path())).ends(0, &["3 passed"]);
    }
    // A glob has no entry of its own for a case.
    let glob = suite.replace(
        "\n  - create.case.json\n  - get.case.json # by its id\n  - pay.case.json",
        " \"*.case.json\"",
    );
    project.write("s.suite.yaml", glob);
    noise(&["--write"]).ends(
        1,
        &["s.suite.yaml: shop::create is found by a glob, which has no settings for a case alone; list the cases, and write for it: `{ path: create.case.json, overrides:"],
    );
    noise(&["--junit", "j.xml"]).ends(2, &["--junit says nothing for suite noise"]);
    noise(&["--filter", "nothing"]).ends(5, &[]);
}

/// An application whose `handle(path)` returns an answer, as a body or as a status, headers and a body, and may `call` others.
const ANY: &str = r#"
import json, os, random, urllib.request, uuid
from http.server import BaseHTTPRequestHandler, HTTPServer

DEFECT = os.environ.get("DEFECT", "")
with open("launches", "a+") as file:
    file.write("x")
    file.flush()
    file.seek(0)
    LAUNCH = len(file.read())

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        def call(url, body):
            request = urllib.request.Request("http://" + url, json.dumps(body).encode(), {"content-type": "application/json"})
            for name in ("traceparent", "tracestate"):
                request.add_header(name, self.headers[name])
            urllib.request.urlopen(request).read()
        answer = handle(self.path, call)
        status, headers, body = answer if isinstance(answer, tuple) else (200, {}, answer)
        body = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
"#;

/// An application, and a suite of cases for it.
struct Scenario {
    project: Project,
}

/// A case: its path, the captured answer, and the captured calls, each with its URL and body.
type Captured<'a> = (&'a str, Value, &'a [(&'a str, Value)]);

impl Scenario {
    /// Creates a project with this `handle`, suite and cases.
    fn new(handle: &str, suite: &str, cases: &[Captured<'_>]) -> Self {
        let project = Project::new();
        let end =
            "HTTPServer((\"127.0.0.1\", int(os.environ[\"PORT\"])), Handler).serve_forever()\n";
        project.write("app.py", format!("{ANY}\n{handle}\n{end}"));
        project.write("s.suite.yaml", format!("name: s\n{suite}\n"));
        let json = |side: &str| {
            attribute(
                &format!("http.{side}.header.content-type"),
                "application/json",
            )
        };
        for (n, (path, answer, calls)) in cases.iter().enumerate() {
            let more = [json("response"), response_body(&answer.to_string())];
            let call = format!("GET shop.example{path}");
            let mut spans = vec![span(1, "inbound", &call, Some(200), &more)];
            for (n, (url, body)) in calls.iter().enumerate() {
                let more = [
                    json("request"),
                    attribute("http.request.body", &body.to_string()),
                    response_body("ok"),
                ];
                spans.push(span(
                    n as u64 + 2,
                    "outbound",
                    &format!("POST {url}"),
                    Some(200),
                    &more,
                ));
            }
            project.write(&format!("c{n}.case.json"), document(&spans).to_string());
        }
        Self { project }
    }

    fn run(&self, args: &[&str], defect: &str) -> Output {
        run(&self.project, args, defect)
    }

    fn noise(&self, more: &[&str]) -> Output {
        self.run(&[&["suite", "noise", "s.suite.yaml"], more].concat(), "")
    }

    fn suite(&self) -> String {
        std::fs::read_to_string(self.project.path().join("s.suite.yaml")).unwrap()
    }

    /// Runs the suite several times against the application as it is, which has to pass, and once against a wrong one, which must not.
    #[track_caller]
    fn holds(&self, defect: &str) {
        for _ in 0..3 {
            self.run(&["suite", "run", "s.suite.yaml"], "").ends(0, &[]);
        }
        self.run(&["suite", "run", "s.suite.yaml"], defect)
            .ends(20, &[]);
    }
}

const ID: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8";

#[test]
fn a_stable_value_keeps_its_comparison() {
    if !is_there(&["python3", "--version"]) {
        return;
    }
    let cases = "cases: [ c0.case.json, c1.case.json ]";
    // Kinds that differ from case to case, in a list on one line.
    let mixed = Scenario::new(
        "def handle(path, call):\n    id = str(uuid.uuid4()) if path == '/0' or DEFECT else random.randint(1, 10**9)\n    return {'id': id}",
        cases,
        &[
            ("/0", json!({"id": ID}), &[]),
            ("/1", json!({"id": 7}), &[]),
        ],
    );
    mixed.noise(&["--write"]).ends(0, &["wrote 2 settings"]);
    mixed.holds("x");
    // A case that was not looked at.
    let filtered = Scenario::new(
        "def handle(path, call):\n    return {'id': str(uuid.uuid4()) if path == '/0' or DEFECT else 'fixed'}",
        cases,
        &[
            ("/0", json!({"id": ID}), &[]),
            ("/1", json!({"id": "fixed"}), &[]),
        ],
    );
    filtered
        .noise(&["--filter", "s::c0", "--write"])
        .ends(0, &["wrote 1 setting"]);
    filtered.holds("x");
    // Calls of one kind, of which one varies: by its query they can be told apart, else they can't.
    let calls = |query: [&str; 2]| {
        let [a, b] = query;
        let handle = format!(
            "def handle(path, call):\n    call('pay.example/c{a}', {{'id': str(uuid.uuid4()), 'n': 1}})\n    \
             call('pay.example/c{b}', {{'id': str(uuid.uuid4()) if DEFECT else 'fixed', 'n': 2}})\n    return {{}}"
        );
        let (a, b) = (format!("pay.example/c{a}"), format!("pay.example/c{b}"));
        Scenario::new(
            &handle,
            "cases: c0.case.json\npolicy: { externalHttp: strict }\nmocks: auto",
            &[(
                "/0",
                json!({}),
                &[
                    (&a, json!({"id": ID, "n": 1})),
                    (&b, json!({"id": "fixed", "n": 2})),
                ],
            )],
        )
    };
    let told_apart = calls(["?op=a", "?op=b"]);
    told_apart
        .noise(&["--write"])
        .ends(0, &["path: \"/c?op=a\"", "wrote 1 setting"]);
    told_apart.holds("x");
    let strict = told_apart.suite() + "unused: fail\n";
    told_apart.project.write("s.suite.yaml", strict);
    told_apart.holds("x");
    // Numbers that changed once, soon after the capture, are no times.
    let numbers = Scenario::new(
        "def handle(path, call):\n    return {'account': 1776679201, 'card': '4012888888882000'}",
        "cases: c0.case.json",
        &[(
            "/0",
            json!({"account": 1_776_679_200_u64, "card": "4012888888881881"}),
            &[],
        )],
    );
    numbers.noise(&[]).ends(
        1,
        &[
            "$.account: expected 1776679200, actual 1776679201",
            "$.card: expected \"4012888888881881\", actual \"4012888888882000\"",
        ],
    );
    // Two entries for one file.
    let twice = Scenario::new(
        "def handle(path, call):\n    return {'id': random.randint(1, 10**9) if 'v=1' in path or DEFECT else 7}",
        "cases: [ c0.case.json, { path: c0.case.json, name: b, overrides: { request: { query: { v: \"1\" } } } } ]",
        &[("/0", json!({"id": 7}), &[])],
    );
    twice.noise(&["--write"]).ends(1, &["s::b"]);
    assert!(!twice.suite().contains("integer"), "{}", twice.suite());
    let alike = calls(["", ""]);
    alike
        .noise(&["--write"])
        .ends(1, &["$.id: it varies, but not in all calls like this one"]);
    assert!(!alike.suite().contains("$.id"), "{}", alike.suite());
    // A redirect keeps its path.
    let redirect = Scenario::new(
        "def handle(path, call):\n    to = 'http://evil.example/orders/' if DEFECT else '/orders/'\n    return 302, {'location': to + str(uuid.uuid4())}, {}",
        "cases: c0.case.json\nassertions: { status: 302 }",
        &[("/0", json!({}), &[])],
    );
    let text = std::fs::read_to_string(redirect.project.path().join("c0.case.json")).unwrap();
    let text = text.replace("\"200\"", "\"302\"").replace(
        "{\"key\":\"http.response.body\"",
        &format!("{{\"key\":\"http.response.header.location\",\"value\":{{\"stringValue\":\"/orders/{ID}\"}}}},{{\"key\":\"http.response.body\""),
    );
    redirect.project.write("c0.case.json", text);
    redirect
        .noise(&["--write"])
        .ends(0, &["include:", "it leads elsewhere in each run"]);
    redirect.holds("x");
}

#[test]
fn what_is_written_loads_and_has_an_effect() {
    if !is_there(&["python3", "--version"]) {
        return;
    }
    let random = "def handle(path, call):\n    return {'id': 'x' if DEFECT else str(uuid.uuid4()), 'a\\tb': 'x' if DEFECT else str(uuid.uuid4()), '${HOME}': 1}";
    let answer = json!({"id": ID, "a\tb": ID, "${HOME}": 1});
    // Names with control characters, and a suite with the line ends of Windows.
    let names = Scenario::new(
        random,
        "cases:\r\n  - c0.case.json\r",
        &[("/0", answer.clone(), &[])],
    );
    names.noise(&["--write"]).ends(0, &["wrote 2 settings"]);
    names.holds("x");
    // A text has no places.
    let text = Scenario::new(
        random,
        "cases: c0.case.json\nassertions: { body: { mode: string } }",
        &[("/0", answer.clone(), &[])],
    );
    text.noise(&["--write"]).ends(1, &["body: expected"]);
    text.run(&["suite", "validate", "s.suite.yaml"], "")
        .ends(2, &[]);
    // A case with settings of its own.
    let own = Scenario::new(
        random,
        "cases: [ { path: c0.case.json, name: zero, overrides: { assertions: { body: { ignore: [ $.v ] } } } } ]",
        &[("/0", answer, &[])],
    );
    own.noise(&["--write"])
        .ends(1, &["a case replaces `assertions` in its `overrides`"]);
    // Two calls with settings of their own.
    let two = Scenario::new(
        "def handle(path, call):\n    call('pay.example/a', {'x': 'x' if DEFECT else str(uuid.uuid4())})\n    call('pay.example/b', {'y': str(uuid.uuid4())})\n    \
         call('pay.example/c', {})\n    return {}",
        "cases: c0.case.json\npolicy: { externalHttp: strict }\nmocks: auto",
        &[(
            "/0",
            json!({}),
            &[
                ("pay.example/a", json!({"x": ID})),
                ("pay.example/b", json!({"y": ID})),
                ("pay.example/c", json!({})),
            ],
        )],
    );
    let told = two.noise(&[]);
    told.ends(0, &[]);
    let pasted = told.stdout.split_once("\n\n").unwrap().1;
    let suite = two.suite();
    two.project
        .write("s.suite.yaml", suite.replace("mocks: auto\n", pasted));
    two.holds("x");
    two.project.write("s.suite.yaml", &suite);
    two.noise(&["--write"]).ends(0, &["wrote 2 settings"]);
    two.holds("x");
    // A call that is not made each time, and a list in another order than the captured one.
    let some = Scenario::new(
        "def handle(path, call):\n    if LAUNCH % 2: call('pay.example/a', {'x': str(uuid.uuid4())})\n    return {'l': [3, 2, 1]}",
        "cases: c0.case.json\nmocks: auto",
        &[(
            "/0",
            json!({"l": [1, 2, 3]}),
            &[("pay.example/a", json!({"x": ID}))],
        )],
    );
    some.noise(&["--runs", "4"]).ends(
        1,
        &[
            "s::c0: POST pay.example/a: it is made in 2 of 4 runs",
            "$.x\": uuid",
            "s::c0: $.l: expected [1,2,3], actual [3,2,1]",
        ],
    );
}
