//! The JSON Schema of suites, checked against the samples, examples of every field, and the reader.

use serde_json::{Value, json};

use crate::command::{run, run_in};
use crate::support::{Project, document, span};

fn schema() -> Value {
    let printed = run(&["suite", "schema"]);
    serde_json::from_str(&printed.ends(0, &[]).stdout).unwrap()
}

/// Returns YAML as the JSON value that the schema checks.
fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

/// Returns what the schema objects to.
fn faults(schema: &Value, suite: &Value) -> Vec<String> {
    let validator = jsonschema::draft7::new(schema).unwrap();
    validator
        .iter_errors(suite)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// Suites that together use every field.
const EXAMPLES: &[&str] = &[
    r#"
name: checkout-nightly
version: 1
cases: cases/checkout/**/*.case.json
env:    { TEST_CARD: "4242424242424242", N: 1, FLAG: true }
hooks:  [ hooks/checkout.ts ]
defaults:
  request:    { source: case.ingress, transform: checkout.unmaskCard }
  policy:     { externalHttp: strict }
  mocks:
    - { name: stripe, match: { hostSuffix: stripe.com, pathPrefix: /v1/payment_intents }, source: case, hook: stripe.fresh }
  assertions: { status: 200, body: { mode: json-subset, ignore: [ "$.paymentId" ] } }
"#,
    r#"
name: launched
app: { command: ./server, ready: { line: listening }, reset: { command: [ ./reset, 1 ] } }
cases: a.json
"#,
    r#"
name: launched-at-once
app: { command: "./server --port ${PORT}", ready: { port: true } }
cases: a.json
"#,
    r#"
name: everything
app:
  command: [ node, 1 ]
  cwd: ..
  env: { A: "${PORT}", B: 1 }
  port: 3000
  url: http://127.0.0.1:${PORT}
  ready: { path: /health }
  startTimeoutMs: 1
  stop: { signal: INT, graceMs: 0 }
  intercept: none
  reset: { method: POST, path: /reset }
  tunnel: [ "*.internal.test", db ]
  upstreamCa: certs/internal.pem
  upstreamCert: [ { host: bank.test, cert: certs/us.pem, key: certs/us-key.pem } ]
cases:
  - a/*.case.json
  - path: b.case.json
    name: b
    only: true
    skip: not today
    overrides:
      unused: fail
      outbound: { extra: ignore }
      request: { source: inline, method: POST, path: /x, headers: { a: "1", b: [ "1", "2" ], c: null }, body: { a: 1 }, query: { q: 1, r: null }, url: "${APP}", timeoutMs: "${MS:-100}" }
      mocks: { auto: true, rules: [ { action: passthrough, match: { host: a.example } } ] }
  - { path: c.json, skip: true }
mocks: auto
outbound: { extra: unsafe }
policy:
  externalHttp: allow
  internalHttp: strict
  externalAllowlist: [ a.example ]
  allowHosts: [ b.example ]
  blockHosts: [ c.example ]
  ambient: [ d.example ]
  defaultOnMiss: mock
  mock: { status: 204, headers: { a: b } }
assertions:
  status: { min: 200, max: 299 }
  headers: { include: { content-type: json }, ignore: [ date ], mode: captured, custom: h }
  custom-headers: h
  body:
    mode: exact
    ignore: [ $.a ]
    redactions: [ { path: $.b, replacement: x } ]
    unordered: [ $.c ]
    match: { $.d: { type: string }, $.e: { regex: "^x" }, $.f: uuid, $.g: timestamp, $.h: { near: 9.5, by: 0.01 } }
    expected: { a: 1 }
    custom: b
"#,
    r#"
name: mocks
cases: [ a.json ]
request: { source: { method: GET, path: /a, headers: {}, body: x, query: {} } }
assertions: { status: [ 200, 201 ] }
mocks:
  - name: all
    priority: -5
    consume: once
    latencyMs: 10
    expect: all
    unused: ignore
    outbound:
      difference: warn
      body: { mode: json-subset, ignore: [ $.a ], unordered: [ $.b ], match: { $.c: uuid }, custom: b }
      query: { ignore: [ t ] }
      headers: { include: { a: b }, mode: captured }
      extra: fail
      settleMs: 100
    match:
      direction: outbound
      service: shop
      method: GET
      host: a.example
      notHostSuffix: [ x ]
      path: /a
      pathRegex: /a.*
      body: { regex: x, form: { a: b }, equals: { a: 1 }, like: { a: 1 }, mode: exact, ignore: [ $.a ], unordered: [ $.b ], match: { $.c: uuid } }
      query: { a: b }
      headers: { a: b, c: [ d, e ] }
      headerMatch: { a: "^b" }
      bodyJsonPath: $.a
      bodyJsonPathEquals: { $.a: { b: 1 } }
      traceTags: { a: 1 }
      traceTagEquals: { a: b }
  - { response: { status: 500, body: { a: 1 }, headers: { set-cookie: [ a, b ] } } }
  - { response: { body: aGk=, bodyEncoding: base64, trailers: { grpc-status: 0 } }, source: inline }
  - { error: { status: 503, body: down } }
  - { fault: reset, expand: false }
"#,
    r#"
name: shared
cases: a.json
concurrency: serial
mocks: { auto: true, rules: [ { name: all, match: { host: a.example } } ], shared: [ { path: /token }, { from: shared.json } ] }
"#,
];

#[test]
fn the_schema_accepts_the_samples_and_the_contracts_examples() {
    let schema = schema();
    assert!(jsonschema::meta::is_valid(&schema));
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| ".".to_owned());
    let mut suites: Vec<String> = EXAMPLES.iter().map(|text| (*text).to_owned()).collect();
    for entry in std::fs::read_dir(std::path::Path::new(&root).join("suites")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(".suite.yaml") {
            suites.push(std::fs::read_to_string(path).unwrap());
        }
    }
    assert!(suites.len() >= 6);
    for text in suites {
        assert_eq!(
            faults(&schema, &yaml(&text)),
            Vec::<String>::new(),
            "{text}"
        );
    }
}

/// Returns every object of the schema by name, with its fields.
fn each_object(schema: &Value) -> Vec<(String, Vec<String>)> {
    let mut objects = vec![("suite".to_owned(), fields(schema))];
    for (name, definition) in schema["definitions"].as_object().unwrap() {
        objects.push((name.clone(), fields(definition)));
    }
    objects
}

fn fields(object: &Value) -> Vec<String> {
    object["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

#[test]
fn the_schema_and_the_reader_know_the_same_fields() {
    // Every field in the schema appears in one of the examples, and the reader accepts those; both
    // refuse an unknown field.
    let schema = schema();
    let all: String = EXAMPLES.concat();
    for (object, fields) in each_object(&schema) {
        for field in fields {
            let told = all.contains(&format!("{field}:"));
            assert!(told, "{object}.{field} appears in no example");
        }
    }
    let project = Project::new();
    project.write(
        "hooks/checkout.mjs",
        "export const unmaskCard = () => null; export const fresh = () => null;\nexport const h = () => null; export const b = () => null;\n",
    );
    let inbound = span(1, "inbound", "GET shop.example/a", Some(200), &[]);
    for name in [
        "a/x.case.json",
        "b.case.json",
        "c.json",
        "a.json",
        "shared.json",
        "cases/checkout/x.case.json",
    ] {
        project.write(name, document(std::slice::from_ref(&inbound)).to_string());
    }
    for text in EXAMPLES {
        // Hooks are found by the part after the last dot; TypeScript needs a newer Node than some
        // machines have.
        let text = text
            .replace("hooks/checkout.ts", "hooks/checkout.mjs")
            .replace("stripe.fresh", "checkout.fresh");
        project.write("s.suite.yaml", &text);
        let mut command = crate::command::softprobe(&[
            "suite",
            "validate",
            "s.suite.yaml",
            "--hooks",
            "hooks/checkout.mjs",
        ]);
        command
            .current_dir(project.path())
            .env("APP", "http://127.0.0.1:1");
        if std::process::Command::new("node")
            .arg("--version")
            .output()
            .is_err()
        {
            crate::hookfiles::skipped("node is not installed, so the examples' hooks are unknown");
            return;
        }
        let output = crate::command::Output::of(&mut command);
        if text.contains("custom-headers") {
            // The two names of this field can't be used together.
            output.ends(5, &["`headers.custom` already sets this hook"]);
            assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
        } else {
            output.ends(0, &["no errors"]);
        }
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let schema = schema();
    let project = Project::with_answer(200, "{}", "");
    for (suite, place) in [
        ("{ cases: a.case.json }", ""),
        ("{ name: s }", ""),
        ("{ name: s, cases: a.case.json, hoks: [] }", ""),
        ("{ name: s, cases: [ { pth: a } ] }", "/cases"),
        ("{ name: s, cases: a.case.json, version: 2 }", "/version"),
        (
            "{ name: s, cases: a.case.json, policy: { externalHttp: strikt } }",
            "/policy",
        ),
        (
            "{ name: s, cases: a.case.json, mocks: [ { match: { hots: a } } ] }",
            "/mocks",
        ),
        ("{ name: s, cases: a.case.json, mocks: all }", "/mocks"),
        (
            "{ name: s, cases: a.case.json, request: { timeoutMs: soon } }",
            "/request",
        ),
        (
            "{ name: s, cases: a.case.json, request: { source: { method: GET } } }",
            "/request",
        ),
        (
            "{ name: s, cases: a.case.json, assertions: { status: 99 } }",
            "/assertions",
        ),
        (
            "{ name: s, cases: a.case.json, assertions: { body: { match: { $.a: uid } } } }",
            "/assertions",
        ),
        (
            "{ name: s, cases: a.case.json, assertions: { body: { redactions: [ {} ] } } }",
            "/assertions",
        ),
        ("{ name: s, cases: a.case.json, unused: never }", "/unused"),
        (
            "{ name: s, cases: a.case.json, outbound: { extra: never } }",
            "/outbound",
        ),
        ("{ name: s, cases: a.case.json, env: { A: [] } }", "/env"),
        (
            "{ name: s, cases: a.case.json, defaults: { mocks: { rules: [] } } }",
            "/defaults",
        ),
    ] {
        let found = faults(&schema, &yaml(suite));
        assert!(!found.is_empty(), "the schema accepts {suite}");
        assert!(found[0].starts_with(place), "{suite}: {found:?}");
        project.write("s.suite.yaml", suite);
        run_in(project.path(), &["suite", "validate", "s.suite.yaml"])
            .ends(5, &["error: s.suite.yaml:1:"]);
    }
}

#[test]
fn the_schema_is_written_to_a_file_or_standard_output() {
    let project = Project::new();
    run_in(
        project.path(),
        &["suite", "schema", "--out", "suite.schema.json"],
    )
    .ends(0, &["wrote suite.schema.json"]);
    let text = std::fs::read_to_string(project.path().join("suite.schema.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), schema());
    let document = run(&["suite", "schema", "--json"]).document();
    assert_eq!(document["schema"]["required"], json!(["name", "cases"]));
    // Editors show these descriptions to explain the fields.
    assert!(document["schema"]["properties"]["mocks"]["description"].is_string());
}

#[cfg(unix)]
#[test]
fn an_output_that_is_a_pipe_is_written_to_and_stays_one() {
    use std::os::unix::fs::FileTypeExt as _;
    let project = Project::new();
    let pipe = project.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let reader = {
        let pipe = pipe.clone();
        std::thread::spawn(move || std::fs::read_to_string(pipe).unwrap())
    };
    crate::command::run_in(project.path(), &["suite", "schema", "--out", "pipe"]).ends(0, &[]);
    let text = reader.join().unwrap();
    assert!(text.contains("\"$schema\""), "{text}");
    assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo());
}
