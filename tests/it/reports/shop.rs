//! A service with a fault of each kind, and the cases that show them.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::command::{Output, softprobe};
use crate::support::{Project, attribute, document, response_body, span};

/// The service. A path says what it does.
const SERVICE: &str = r#"
import json, os, ssl, sys, threading, time, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

def call(url, headers={}, body=None, context=None):
    request = urllib.request.Request(url, body, dict(headers))
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return answer.read().decode()
    except Exception as error:
        return str(error)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        traced = {name: self.headers[name] for name in ("traceparent", "tracestate")}
        path = self.path
        answer = {"ok": True}
        if path == "/orders/1":
            call("http://stock.example/items/1", traced)
            answer = {"id": 1, "customer": {"name": "Ada", "city": "London"}, "token": "tok_s3cret",
                      "lines": [{"sku": "tea", "cents": 500}, {"sku": "cup", "cents": 1250}], "notes": ["fragile"]}
        elif path == "/pay":
            body = json.dumps({"amount": 1750, "currency": "EUR"}).encode()
            call("http://pay.example/charge", {**traced, "content-type": "application/json"}, body)
        elif path == "/stock":
            call("http://stock.example/items/9?page=2", traced)
        elif path == "/quote":
            call("http://quotes.example/today")
        elif path == "/secure":
            call("https://vault.example/key", traced, context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        elif path == "/dies":
            print("out of memory", file=sys.stderr, flush=True)
            os._exit(3)
        elif path == "/big":
            answer = "x" * 10_000_000 + "now"
        body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain" if isinstance(answer, str) else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if path == "/late":
            time.sleep(0.1)
            call("http://stock.example/recount", traced)
    def log_message(self, *args):
        sys.stderr.write("served " + self.path + "\n")

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

const HOOKS: &str = r#"
def totals(**_):
    return [{"path": "$.total", "expected": 1, "actual": 2, "reason": "the total is not that of the lines <b>"}]
"#;

/// A text with what browsers, shells, XML and Markdown could take for their own.
pub(crate) const ODD: &str =
    "<img src=x onerror=alert(1)>\"'`$(x) ]]> --> | \u{202e}\u{7} &amp; ${{x}} %0A::error::";

fn inbound(path: &str, body: &str, kind: &str) -> Value {
    span(
        1,
        "inbound",
        &format!("GET shop.example{path}"),
        Some(200),
        &[
            attribute("http.response.header.content-type", kind),
            response_body(body),
        ],
    )
}

fn outbound(id: u64, call: &str, more: &[Value]) -> Value {
    let mut span = span(id, "outbound", call, Some(200), more);
    let start = 1_776_679_200_000_000_000 + id * 4_000_000;
    span["startTimeUnixNano"] = start.to_string().into();
    span["endTimeUnixNano"] = (start + 3_000_000).to_string().into();
    span
}

fn case(project: &Project, name: &str, path: &str, answer: &Value, calls: &[Value]) {
    let mut first = inbound(path, &answer.to_string(), "application/json");
    first["startTimeUnixNano"] = "1776679200000000000".into();
    let spans: Vec<Value> = std::iter::once(first).chain(calls.to_vec()).collect();
    project.write(
        &format!("cases/{name}.case.json"),
        format!("{:#}\n", document(&spans)),
    );
}

/// Returns a project with a suite of failures of each kind, one of a service that dies, and `passing` cases that pass.
pub(crate) fn project(passing: usize) -> Project {
    let project = Project::new();
    project.write("service.py", SERVICE);
    project.write("hooks.py", HOOKS);
    let ok = json!({"ok": true});
    let item = outbound(2, "GET stock.example/items/1", &[response_body("1")]);
    case(
        &project,
        "a-body",
        "/orders/1",
        &json!({
            "id": 1, "customer": {"name": "Ada", "city": "London"}, "token": "tok_0ther",
            "lines": [{"sku": "tea", "cents": 499}, {"sku": "cup", "cents": 1250}], "notes": ["fragile"],
        }),
        std::slice::from_ref(&item),
    );
    let json_type = attribute("http.request.header.content-type", "application/json");
    let sent = attribute(
        "http.request.body",
        r#"{"amount": 1749, "currency": "EUR"}"#,
    );
    let charge = outbound(
        2,
        "POST pay.example/charge",
        &[json_type, sent, response_body("paid")],
    );
    case(&project, "b-sent", "/pay", &ok, &[charge]);
    case(
        &project,
        "c-missed",
        "/stock",
        &ok,
        std::slice::from_ref(&item),
    );
    let today = outbound(2, "GET quotes.example/today", &[response_body("1")]);
    case(&project, "d-lost", "/quote", &ok, &[today]);
    case(&project, "e-secure", "/secure", &ok, &[]);
    case(&project, "f-hook", "/ok", &ok, &[]);
    case(&project, "g-late", "/late", &ok, &[]);
    let big = format!("{}then", "x".repeat(10_000_000));
    let inbound = inbound("/big", &big, "text/plain");
    project.write("cases/h-big.case.json", document(&[inbound]).to_string());
    case(
        &project,
        "i-odd",
        &format!("/{}", "odd"),
        &json!({"odd": ODD}),
        &[],
    );
    case(&project, "j-skipped", "/ok", &ok, &[]);
    for n in 0..passing {
        case(&project, &format!("ok/{n:05}"), "/ok", &ok, &[]);
    }
    let mut suite = String::from(
        "name: shop\napp: { command: [python3, service.py] }\nhooks: [ hooks.py ]\npolicy: { externalHttp: strict }\nmocks: auto\ncases:\n",
    );
    for name in [
        "a-body", "b-sent", "c-missed", "d-lost", "e-secure", "g-late", "h-big", "i-odd",
    ] {
        suite.push_str(&format!("  - cases/{name}.case.json\n"));
    }
    suite.push_str("  - { path: cases/f-hook.case.json, overrides: { assertions: { body: { custom: hooks.totals } } } }\n");
    suite.push_str("  - { path: cases/j-skipped.case.json, skip: \"too slow & <odd>\" }\n");
    if passing > 0 {
        suite.push_str("  - cases/ok/*.case.json\n");
    }
    project.write("shop.suite.yaml", suite);
    case(&project, "dies", "/dies", &ok, &[]);
    project.write(
        "dying.suite.yaml",
        "name: dying\napp: { command: [python3, service.py] }\npolicy: { externalHttp: strict }\nmocks: auto\ncases: cases/dies.case.json\n",
    );
    project
}

/// Runs the project's suites, one case at a time, so that equal runs tell equal things.
pub(crate) fn run(project: &Project, more: &[&str]) -> Output {
    let mut args = vec![
        "suite",
        "run",
        "shop.suite.yaml",
        "dying.suite.yaml",
        "--test-threads",
        "1",
    ];
    args.extend(more);
    Output::of(softprobe(&args).current_dir(project.path()))
}

/// Returns the text of a file of the project.
pub(crate) fn text(project: &Project, file: &str) -> String {
    let path: PathBuf = project.path().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
