//! Hooks in other languages, run by real Python and Node if they are installed.

use std::process::Command;

use serde_json::json;

use crate::command::{Output, run_in, softprobe};
use crate::support::{Project, Stub, attribute, document, http, response_body, span};

/// Returns whether a program is installed; if not, prints that its test is skipped.
pub(crate) fn is_there(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        skipped(&format!(
            "{program} is not installed, so its hooks are not tested"
        ));
    }
    there
}

/// Prints why a test is skipped. Bypasses libtest's capture, which would hide the message.
pub(crate) fn skipped(why: &str) {
    use std::io::Write as _;
    let line = format!("SKIPPED: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Returns whether the machine's Node loads TypeScript, with or without a flag.
fn node_strips_types() -> bool {
    let output = Command::new("node").arg("--version").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = text
        .trim()
        .trim_start_matches('v')
        .split('.')
        .map(|n| n.parse::<u32>().unwrap());
    let version = (numbers.next().unwrap(), numbers.next().unwrap());
    version >= (22, 6)
}

/// Returns a project whose case is an order with a masked card and a call to `pay.example`, and an
/// application that accepts only the unmasked card and returns the request it got.
fn shop() -> (Project, Stub) {
    let project = Project::new();
    let sent = |text: &str| attribute("http.request.body", text);
    let order = "{\"card\":\"****\",\"items\":[{\"cents\":5},{\"cents\":7}]}";
    let answer = "{\"total\":12,\"paid\":\"captured\"}";
    let inbound = span(
        1,
        "inbound",
        "POST shop.example/order?x=1",
        Some(200),
        &[
            sent(order),
            attribute("http.request.header.x-a", "1"),
            response_body(answer),
        ],
    );
    let pay = span(
        2,
        "outbound",
        "POST pay.example/charge",
        Some(200),
        &[response_body("{\"state\":\"captured\"}")],
    );
    let mut case = document(&[inbound, pay]);
    case["fixtures"] = json!([{"name": "currency", "value": "EUR"}]);
    project.write("cases/order.case.json", case.to_string());
    let app = Stub::start(|request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let (status, body) = match body.contains("4242") {
            true => (
                200,
                json!({"total": 12, "paid": "captured", "line": request.line, "body": body}),
            ),
            false => (422, json!({"error": "card"})),
        };
        http(
            status,
            &[("content-type", "application/json"), ("x-trace", "t")],
            body.to_string(),
        )
    });
    (project, app)
}

fn suite(hooks: &str, names: [&str; 4]) -> String {
    let [request, mock, body, headers] = names;
    format!(
        "name: s\ncases: ../cases/*.case.json\nhooks: [ {hooks} ]\nenv: {{ CARD: \"4242\" }}\n\
         request: {{ transform: {request} }}\n\
         mocks: [ {{ name: pay, match: {{ host: pay.example }}, hook: {mock}, unused: ignore }} ]\n\
         assertions: {{ headers: {{ custom: {headers} }}, body: {{ custom: {body} }} }}\n"
    )
}

fn run_suite(project: &Project, app: &Stub, more: &[&str]) -> Output {
    let url = app.url();
    let args = [
        "suite",
        "run",
        "suites/*.suite.yaml",
        "--app-url",
        &url,
        "--proxy-listen",
        "127.0.0.1:0",
    ];
    run_in(project.path(), &[&args[..], more].concat())
}

const PYTHON: &str = r#"
import asyncio, json, sys
print("loading says hello")

def unmask_card(request, env, **_):
    body = json.loads(request["body"])
    body["card"] = env["CARD"]
    assert request["method"] == "POST" and request["path"] == "/order?x=1", request
    return {"body": json.dumps(body), "headers": {**request["headers"], "x-list": ["1", "2"]}, "path": "/order?y=2"}

async def fresh(captured_response, captured_span, mock_name, fixtures, case, case_file, **_):
    await asyncio.sleep(0)
    assert mock_name == "pay" and fixtures == {"currency": "EUR"}
    assert captured_span["spanId"] == "0000000000000002"
    assert case["caseId"] == "test-case" and case_file.endswith("order.case.json")
    return {"status": 201, "body": {**json.loads(captured_response["body"]), "fresh": True}}

def totals(*, actual, captured, **_):
    print("to the user")
    if actual["total"] != 12:
        return [{"path": "$.total", "expected": 12, "actual": actual["total"], "reason": "sums"}]
    assert captured["total"] == 12
    assert actual["line"] == "POST /order?y=2 HTTP/1.1", actual
    assert json.loads(actual["body"])["card"] == "4242"

def headers(actual, captured):
    assert actual["x-trace"] == "t", actual
    return []

def _private(): pass
"#;

#[test]
fn python_hooks_of_each_kind_run() {
    if !is_there("python3") {
        return;
    }
    let (project, app) = shop();
    project.write("suites/hooks/shop.py", PYTHON);
    let names = ["shop.unmask_card", "shop.fresh", "totals", "shop.headers"];
    project.write("suites/a.suite.yaml", suite("hooks/shop.py", names));
    let passed = run_suite(&project, &app, &[]);
    passed.ends(0, &["test s::order ... ok"]);
    // What hooks print goes to standard error, and no file is left beside them.
    assert!(
        passed.stderr.contains("loading says hello\n") && passed.stderr.contains("to the user")
    );
    let left: Vec<_> = std::fs::read_dir(project.path().join("suites/hooks"))
        .unwrap()
        .collect();
    assert_eq!(left.len(), 1);
    run_in(
        project.path(),
        &["suite", "validate", "suites/a.suite.yaml"],
    )
    .ends(0, &["no errors"]);
    // Unknown hooks are reported together with the registered ones.
    let names = [
        "shop.unmask_card",
        "shop.gone",
        "shop._private",
        "unmask_cart",
    ];
    project.write("suites/a.suite.yaml", suite("hooks/shop.py", names));
    run_suite(&project, &app, &[]).ends(
        5,
        &[
            "unknown hook `shop.gone`",
            "unknown hook `shop._private`",
            "unknown hook `unmask_cart`; did you mean",
            "registered: `shop.fresh` (any kind), `shop.headers` (any kind), `shop.totals` (any kind), `shop.unmask_card` (any kind)",
        ],
    );
    // The flag loads a file that the suite does not name, for the test target's runner as well.
    project.write(
        "suites/a.suite.yaml",
        suite(
            "",
            [
                "shop.unmask_card",
                "shop.fresh",
                "shop.totals",
                "shop.headers",
            ],
        ),
    );
    run_suite(&project, &app, &["--hooks", "suites/hooks/shop.py"]).ends(0, &["... ok"]);
    let url = app.url();
    let args = [
        "--suite",
        "suites/*.suite.yaml",
        "--app-url",
        &url,
        "--proxy-listen",
        "127.0.0.1:0",
        "--hooks",
        "suites/hooks/shop.py",
    ];
    project.run(&args).passes();
    project
        .run(&[&args[..6], &["--hooks", "gone.py"]].concat())
        .fails(&["--hooks: `gone.py` does not exist"]);
}

#[test]
fn a_failing_python_hook_fails_only_its_case() {
    if !is_there("python3") {
        return;
    }
    let (project, app) = shop();
    // Each file fails in one way, and one run covers them all.
    let hooks = [
        (
            "def ok(**_): pass\ndef issues(**_):\n    raise KeyError('card')\n",
            "the body assert hook `bad{n}.issues` failed: KeyError: 'card' (bad{n}.py:3)",
        ),
        (
            "def ok(**_): pass\ndef issues(**_): return {'path': 1}\n",
            "the body assert hook `bad{n}.issues` failed: result: expected a list, found an object",
        ),
        (
            "def ok(**_): pass\ndef issues(**_): return [{'path': '$', 'reson': 'x'}]\n",
            "result[0].reson: unknown field; did you mean reason?",
        ),
        (
            "def ok(**_): pass\ndef issues(**_): return [object()]\n",
            "Object of type object is not JSON serializable",
        ),
        (
            "def ok(**_): pass\ndef issues(**_): return [{'path': '$.total', 'expected': 1, 'actual': 2, 'reason': 'odd sum'}]\n",
            "hook `bad{n}.issues`: odd sum",
        ),
        (
            "def ok(**_): pass\ndef issues(**_): return [{'path': '$.a'}]\n",
            "$.a\n    hook `bad{n}.issues`",
        ),
    ];
    for (n, (text, _)) in hooks.iter().enumerate() {
        let [ok, issues] = ["ok", "issues"].map(|name| format!("bad{n}.{name}"));
        let names = [&ok, &ok, &issues, &ok].map(String::as_str);
        let suite = suite(&format!("../bad{n}.py"), names).replace(
            &format!("request: {{ transform: {ok} }}"),
            "request: { body: \"4242\" }",
        );
        project.write(&format!("bad{n}.py"), text);
        let suite = suite.replace("name: s\n", &format!("name: s{n}\n"));
        project.write(&format!("suites/{n}.suite.yaml"), suite);
    }
    let run = run_suite(&project, &app, &[]);
    for (n, (_, message)) in hooks.iter().enumerate() {
        let message = message.replace("{n}", &n.to_string());
        let failed = format!("test s{n}::order ... FAILED");
        run.ends(20, &[&failed, &message]);
        std::fs::remove_file(project.path().join(format!("suites/{n}.suite.yaml"))).unwrap();
    }
    let names = ["bad.ok", "bad.ok", "bad.issues", "bad.ok"];
    project.write(
        "bad.py",
        "def ok(**_): return {'bdy': ''}\ndef issues(**_): pass\n",
    );
    project.write("suites/a.suite.yaml", suite("../bad.py", names));
    run_suite(&project, &app, &[]).ends(
        20,
        &["the mock response hook `bad.ok` failed: result.bdy: unknown field; did you mean body?"],
    );
    for (text, message) in [
        (
            "def ok(:\n",
            "hooks[0]: `bad.py`: it can't be loaded: SyntaxError: invalid syntax (bad.py, line 1)",
        ),
        (
            "import nothing_like_it\n",
            "ModuleNotFoundError: No module named 'nothing_like_it' (bad.py:1)",
        ),
        ("import sys; sys.exit(3)\n", "SystemExit: 3"),
        (
            "import os, sys\nsys.stderr.write('last words'); sys.stderr.flush(); os._exit(7)\n",
            "Python hooks can't be run: exit status: 7; it said:\nlast words",
        ),
    ] {
        project.write("bad.py", text);
        run_suite(&project, &app, &[]).ends(5, &[message]);
    }
}

#[test]
fn a_crash_fails_only_the_cases_that_needed_the_process() {
    if !is_there("python3") {
        return;
    }
    let (project, app) = shop();
    project.write(
        "hooks.py",
        "import os, sys\ndef crash(**_):\n    sys.stderr.write('Ouch: the disk is gone\\n'); sys.stderr.flush()\n    os._exit(9)\n",
    );
    project.write(
        "suites/a.suite.yaml",
        "name: s\nhooks: [ ../hooks.py ]\nrequest: { body: \"4242\" }\ncases:\n\
         \x20 - { path: ../cases/order.case.json, name: crashes, overrides: { assertions: { body: { custom: hooks.crash } } } }\n\
         \x20 - { path: ../cases/order.case.json, name: needs it too, overrides: { assertions: { body: { custom: hooks.crash } } } }\n\
         \x20 - { path: ../cases/order.case.json, name: stands alone }\n",
    );
    let run = run_suite(&project, &app, &["--parallel", "1"]);
    run.ends(
        20,
        &[
            "test s::crashes      ... FAILED",
            "test s::needs it too ... FAILED",
            "test s::stands alone ... ok",
            "the body assert hook `hooks.crash` failed: the process of the Python hooks ended: exit status: 9; it said:\nOuch: the disk is gone",
        ],
    );
    // A hook that does not answer in time fails its case; the run does not hang.
    project.write(
        "hooks.py",
        "import threading\ndef crash(**_):\n    threading.Event().wait()\n",
    );
    run_suite(&project, &app, &["--hook-timeout", "1"]).ends(
        20,
        &["the body assert hook `hooks.crash` failed: it gave no answer within 1000 ms; --hook-timeout allows more", "stands alone ... ok"],
    );
}

#[test]
fn hook_calls_can_be_answered_out_of_order() {
    if !is_there("python3") {
        return;
    }
    let (project, app) = shop();
    // The two hooks wait for each other: called one after the other, neither would return.
    project.write(
        "both.py",
        "import threading\nmeet = threading.Barrier(2)\ndef a(**_):\n    meet.wait(50)\ndef b(**_):\n    meet.wait(50)\n",
    );
    project.write(
        "suites/a.suite.yaml",
        "name: s\nhooks: [ ../both.py ]\nrequest: { body: \"4242\" }\ncases:\n\
         \x20 - { path: ../cases/order.case.json, name: a, overrides: { assertions: { body: { custom: both.a } } } }\n\
         \x20 - { path: ../cases/order.case.json, name: b, overrides: { assertions: { body: { custom: both.b } } } }\n",
    );
    run_suite(&project, &app, &["--parallel", "2", "--hook-timeout", "60"]).ends(0, &["2 passed"]);
}

const JAVASCRIPT: &str = r#"
import { strict as assert } from "node:assert";
console.log("loading says hello");

export function unmaskCard({ request, env }) {
  const body = JSON.parse(request.body);
  body.card = env.CARD;
  return { body: JSON.stringify(body), path: "/order?y=2" };
}

export const fresh = async ({ capturedResponse, capturedSpan, mockName, fixtures, caseFile }) => {
  await null;
  assert.equal(mockName, "pay");
  assert.deepEqual(fixtures, { currency: "EUR" });
  assert.equal(capturedSpan.spanId, "0000000000000002");
  assert.ok(caseFile.endsWith("order.case.json"));
  return { status: 201, body: { ...JSON.parse(capturedResponse.body), fresh: true } };
};

export function totals({ actual, captured }) {
  console.log("to the user");
  assert.equal(captured.total, 12);
  assert.equal(JSON.parse(actual.body).card, "4242");
  return actual.total === 12 ? undefined : [{ path: "$.total" }];
}

export const headers = ({ actual }) => (actual["x-trace"] === "t" ? [] : [{ path: "x-trace", reason: "gone" }]);
"#;

#[test]
fn javascript_hooks_of_each_kind_run() {
    if !is_there("node") {
        return;
    }
    let (project, app) = shop();
    project.write("shop.mjs", JAVASCRIPT);
    let names = [
        "shop.unmaskCard",
        "shop.fresh",
        "shop.totals",
        "shop.headers",
    ];
    project.write("suites/a.suite.yaml", suite("shop.mjs", names));
    let passed = run_suite(&project, &app, &[]);
    passed.ends(0, &["test s::order ... ok"]);
    assert!(
        passed.stderr.contains("loading says hello\n") && passed.stderr.contains("to the user")
    );
    // CommonJS, with the file extension that most projects use.
    project.write(
        "shop.js",
        "module.exports = { ok: () => null, bad() { throw new TypeError('no card'); } };\n",
    );
    let names = ["shop.bad", "shop.ok", "shop.ok", "shop.ok"];
    project.write("suites/a.suite.yaml", suite("shop.js", names));
    run_suite(&project, &app, &[]).ends(
        20,
        &["the request hook `shop.bad` failed: TypeError: no card (shop.js:1)"],
    );
    project.write("shop.js", "export const = 1;\n");
    run_suite(&project, &app, &[])
        .ends(5, &["hooks[0]: `shop.js`: it can't be loaded: SyntaxError"]);
    project.write("shop.js", "exports.ok = () => null; exports.bad = () => { setTimeout(() => { throw new Error('later'); }); return new Promise(() => {}); };\n");
    run_suite(&project, &app, &[]).ends(
        20,
        &[
            "the process of the JavaScript hooks ended: exit status: 1; it said:",
            "Error: later",
        ],
    );
}

#[test]
fn typescript_loads_if_node_strips_types_and_is_reported_otherwise() {
    if !is_there("node") {
        return;
    }
    let (project, app) = shop();
    project.write(
        "shop.ts",
        "interface Payload { request: { body: string }; env: Record<string, string> }\n\
         export function unmaskCard({ request, env }: Payload): { body: string } {\n\
         \x20 return { body: request.body.replace(\"****\", env.CARD as string) };\n}\n\
         export const ok = (_: unknown): null => null;\n",
    );
    project.write(
        "suites/a.suite.yaml",
        suite(
            "shop.ts",
            ["shop.unmaskCard", "shop.ok", "shop.ok", "shop.ok"],
        ),
    );
    let run = run_suite(&project, &app, &[]);
    if node_strips_types() {
        run.ends(0, &["test s::order ... ok"]);
    } else {
        skipped("this Node does not strip types, so only TypeScript's error is tested");
        run.ends(
            5,
            &[
                "hooks[0]: `shop.ts`: it can't be loaded: shop.ts is TypeScript, but this Node (v",
                "use Node 22.6 or later",
            ],
        );
    }
}

#[test]
fn a_language_that_is_not_installed_is_reported() {
    let (project, app) = shop();
    project.write("shop.py", "def ok(**_): pass\n");
    project.write("shop.mjs", "export const ok = () => null;\n");
    project.write(
        "suites/a.suite.yaml",
        suite("shop.py, shop.mjs", ["shop.ok"; 4]),
    );
    let url = app.url();
    let mut command = softprobe(&["suite", "run", "suites/a.suite.yaml", "--app-url", &url]);
    command
        .current_dir(project.path())
        .env("SOFTPROBE_PYTHON", "no-such-python")
        .env("SOFTPROBE_NODE", "no-such-node");
    Output::of(&mut command).ends(
        5,
        &[
            "hooks[0]: `shop.py`: Python hooks can't be run: the process did not start: No such file",
            "(`no-such-python`; set SOFTPROBE_PYTHON to use another program)",
            "hooks[1]: `shop.mjs`: JavaScript hooks can't be run",
        ],
    );
    if is_there("python3") && is_there("node") {
        // Two languages at once: a name that both define is ambiguous.
        run_suite(&project, &app, &[]).ends(
            5,
            &["2 request hooks are registered under the name shop.ok; give their files"],
        );
    }
}

#[test]
fn a_misbehaving_hook_is_not_mistaken_for_an_answer() {
    if !is_there("python3") || !is_there("node") {
        return;
    }
    let (project, app) = shop();
    let suite = |hooks: &str| {
        format!(
            "name: s\ncases: ../cases/*.case.json\nhooks: [ {hooks} ]\nrequest: {{ body: \"4242\" }}\nassertions: {{ body: {{ custom: odd.check }} }}\n"
        )
    };
    let hooks = [
        (
            "import sys\ndef check(**_): sys.exit(3)\n",
            "SystemExit: 3 (odd0.py:2)",
        ),
        (
            "def check(**_): return [{'path': '$', 'actual': float('nan')}]\n",
            "ValueError: Out of range float values",
        ),
        (
            "import sys\ndef check(**_): return [{'path': '$', 'reason': 'read ' + repr(sys.stdin.read())}]\n",
            "read ''",
        ),
        (
            "def check(**_): return [{'path': '$', 'reason': '\\ud800'}]\n",
            "its result is not valid JSON",
        ),
    ];
    for (n, (text, _)) in hooks.iter().enumerate() {
        project.write(&format!("odd{n}.py"), text);
        let suite = suite(&format!("../odd{n}.py")).replace("odd.check", &format!("odd{n}.check"));
        let suite = suite.replace("name: s\n", &format!("name: s{n}\n"));
        project.write(&format!("suites/{n}.suite.yaml"), suite);
    }
    let run = run_suite(&project, &app, &[]);
    for (n, (_, message)) in hooks.iter().enumerate() {
        let failed = format!("test s{n}::order ... FAILED");
        run.ends(20, &[&failed, message]);
        std::fs::remove_file(project.path().join(format!("suites/{n}.suite.yaml"))).unwrap();
    }
    // Writing directly to the process's standard output does not swallow the reply.
    project.write(
        "odd.mjs",
        "import { writeSync } from 'node:fs';\nexport const check = () => { writeSync(1, 'partial '); return [{ path: '$', reason: 'told' }]; };\n",
    );
    project.write("suites/a.suite.yaml", suite("../odd.mjs"));
    let run = run_suite(&project, &app, &[]);
    run.ends(20, &["hook `odd.check`: told"]);
    assert!(run.stderr.contains("partial "), "{}", run.stderr);
    // A hook that blocks its process is named, and holds up nothing else.
    project.write("odd.mjs", "export const check = () => { for (;;); };\n");
    let twice = "cases: [ { path: ../cases/order.case.json, name: a }, { path: ../cases/order.case.json, name: b } ]";
    project.write(
        "suites/a.suite.yaml",
        suite("../odd.mjs").replace("cases: ../cases/*.case.json", twice),
    );
    run_suite(&project, &app, &["--hook-timeout", "1", "--parallel", "1"]).ends(
        20,
        &[
            "it gave no answer within 1000 ms",
            "blocked it, so it was killed",
        ],
    );
}

#[test]
fn a_body_that_a_hook_returns_as_bytes_keeps_its_encoding() {
    if !is_there("python3") {
        return;
    }
    let project = Project::new();
    let inbound = span(
        1,
        "inbound",
        "POST shop.example/order",
        Some(200),
        &[
            attribute("http.request.header.content-encoding", "gzip"),
            attribute("http.request.header.x-a", "1"),
            json!({"key": "http.request.body", "value": {"bytesValue": "H4sI"}}),
            response_body("{}"),
        ],
    );
    project.write("cases/a.case.json", document(&[inbound]).to_string());
    project.write(
        "odd.py",
        "def send(**_): return {'body': 'AQID', 'bodyEncoding': 'base64'}\n",
    );
    project.write(
        "suites/a.suite.yaml",
        "name: s\ncases: ../cases/*.case.json\nhooks: [ ../odd.py ]\nrequest: { transform: odd.send }\n",
    );
    let app = Stub::start(|request| {
        let kept = request.header("content-encoding") == Some("gzip");
        let same = request.header("x-a") == Some("1") && request.body == [1, 2, 3];
        http(if kept && same { 200 } else { 415 }, &[], "{}")
    });
    run_suite(&project, &app, &[]).ends(0, &["1 passed"]);
}

#[test]
fn what_json_leaves_out_is_no_answer_of_a_javascript_hook() {
    if !is_there("node") {
        return;
    }
    let (project, app) = shop();
    let rows = [
        ("() => []", "its result has a function, which is no JSON"),
        ("Symbol('x')", "its result has a symbol, which is no JSON"),
        (
            "new Map([['path', '$']])",
            "its result has a Map, which is no JSON",
        ),
        (
            "[{ path: '$', actual: NaN }]",
            "its result has NaN at `actual`, which is no JSON",
        ),
        (
            "[{ path: '$', reason: () => 1 }]",
            "its result has a function at `reason`, which is no JSON",
        ),
        ("true", "expected"),
        ("({})", "expected"),
        ("'no issues'", "expected"),
    ];
    let functions = rows.iter().enumerate();
    let functions =
        functions.map(|(n, (result, _))| format!("export const f{n} = () => {result};\n"));
    project.write("odd.mjs", functions.collect::<String>());
    for n in 0..rows.len() {
        let suite = format!(
            "name: s{n}\ncases: ../cases/*.case.json\nhooks: [ ../odd.mjs ]\nrequest: {{ body: \"4242\" }}\n\
             assertions: {{ body: {{ custom: odd.f{n} }} }}\n"
        );
        project.write(&format!("suites/{n}.suite.yaml"), suite);
    }
    let run = run_suite(&project, &app, &[]);
    for (n, (_, message)) in rows.iter().enumerate() {
        let failed = format!("test s{n}::order ... FAILED");
        run.ends(20, &[&failed, message]);
    }
}

#[test]
fn a_hook_file_may_have_the_name_of_a_standard_module() {
    if !is_there("python3") {
        return;
    }
    let (project, app) = shop();
    // Its own folder is the working directory too, and the host imports a module of this name.
    project.write(
        "json.py",
        "import helper\ndef check(**_): return [{'path': '$', 'reason': helper.WORD}]\n",
    );
    project.write(
        "helper.py",
        "import random\nWORD = str(hasattr(random, 'Random'))\n",
    );
    project.write("random.py", "raise Exception('shadowed')\n");
    project.write(
        "suites/a.suite.yaml",
        "name: s\ncases: ../cases/*.case.json\nhooks: [ ../json.py ]\nrequest: { body: \"4242\" }\n\
         assertions: { body: { custom: json.check } }\n",
    );
    run_suite(&project, &app, &[]).ends(20, &["hook `json.check`: True"]);
}
