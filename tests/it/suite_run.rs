//! `softprobe suite run`: flags, results, exit codes, interrupts.

use std::time::Duration;

use serde_json::{Value, json};

use crate::command::{Served, run, run_in, softprobe};
use crate::support::{Project, Stub, document, free_port, http, response_body, send, span};

/// Returns a project whose suite has three cases, of which `bad` fails, and its application.
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
fn suites_run_from_the_command_line() {
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
    suite_run(&["--parallel", "0"]).ends(2, &["expected a number of at least 1"]);
    suite_run(&["--test-threads", "0"]).ends(2, &["must be a number of at least 1"]);
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
    run_in(project.path(), &["suite", "run", "gone.yaml"]).ends(5, &["`gone.yaml` does not exist"]);
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
    .ends(2, &["`x` is not a base URL"]);
}

#[test]
fn a_run_with_a_remote_runtime_may_have_its_own_proxy() {
    let served = Served::start(&[]);
    let free = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let project = Project::with_answer(
        200,
        "[\"200 mocked\"]",
        "name: s\ncases: a.case.json\npolicy: { externalHttp: strict }\nmocks: [ { response: { body: mocked } } ]\n",
    );
    // The application passes on only the traceparent, which the proxy's process issued.
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
    let _watch = crate::support::watch(&child);
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

#[test]
fn a_run_that_cannot_print_its_results_fails() {
    let (project, app) = three();
    let url = app.url();
    let full = || {
        std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    for args in [
        &[
            "suite",
            "run",
            "s.suite.yaml",
            "--app-url",
            &url,
            "--filter",
            "one",
        ][..],
        &[
            "suite",
            "run",
            "s.suite.yaml",
            "--app-url",
            &url,
            "--filter",
            "one",
            "--json",
        ],
        &["suite", "schema"],
    ] {
        let mut command = softprobe(args);
        let child = command
            .current_dir(project.path())
            .stdout(full())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let _watch = crate::support::watch(&child);
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        assert!(stderr.contains("standard output"), "{args:?}: {stderr}");
    }
    // A reader that closes the pipe ends the output, not the run.
    let mut command = softprobe(&["suite", "run", "s.suite.yaml", "--app-url", &url]);
    let mut child = command
        .current_dir(project.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let _watch = crate::support::watch(&child);
    drop(child.stdout.take());
    assert!(child.wait().unwrap().code().is_some_and(|code| code != 0));
}

#[test]
fn a_failure_shows_the_answer_and_says_that_no_call_reached_the_proxy() {
    let project = Project::with_answer(
        200,
        "{}",
        "name: s\ncases: a.case.json\npolicy: { externalHttp: strict }\nmocks: [ { name: pay, match: { host: a.example }, response: {} } ]\n",
    );
    let run = |app: &Stub, more: &[&str]| {
        let url = app.url();
        let args = ["suite", "run", "s.suite.yaml", "--app-url", &url];
        run_in(project.path(), &[&args[..], more].concat())
    };
    let proxied = ["--proxy-listen", "127.0.0.1:0"];
    let app = Stub::start(|_| http(502, &[], "{\"error\":\"Connection refused\"}"));
    run(&app, &proxied).ends(
        20,
        &[
            "status\n    expected  200\n    actual    502",
            "the answer's body: {\"error\":\"Connection refused\"}",
            "unused mocks\n  pay\n  no outbound call reached the proxy; check that the application's HTTP_PROXY points to it",
        ],
    );
    // A passing case with unused mocks gets the warning too.
    let app = Stub::start(|_| http(200, &[], "{}"));
    run(&app, &proxied).ends(
        0,
        &[
            "warning: s::a: no outbound call reached the proxy",
            "NODE_USE_ENV_PROXY=1",
        ],
    );
    run(&app, &[]).ends(
        2,
        &["s::a has mocks or a policy, but the application's calls do not go through a softprobe proxy"],
    );
}

#[test]
fn filters_that_select_nothing_fail_the_run() {
    let (project, app) = three();
    let url = app.url();
    let args = [
        "suite",
        "run",
        "s.suite.yaml",
        "--app-url",
        &url,
        "--filter",
        "oen",
    ];
    run_in(project.path(), &args).ends(
        5,
        &["no case's name matches the filters; 3 cases are known"],
    );
}

#[test]
fn a_server_that_is_not_a_runtime_is_reported_once() {
    let (project, app) = three();
    let (url, page) = (app.url(), Stub::json(200, &json!({"hello": 1})));
    let args = [
        "suite",
        "run",
        "s.suite.yaml",
        "--app-url",
        &url,
        "--runtime-url",
        &page.url(),
    ];
    let refused = run_in(project.path(), &args);
    refused.ends(
        1,
        &[
            "does not speak the control API",
            "is this a Softprobe runtime?",
        ],
    );
    assert!(refused.stdout.is_empty(), "{}", refused.stdout);
    run_in(project.path(), &[&args[..6], &["nowhere"]].concat())
        .ends(2, &["--runtime-url: `nowhere` is not a base URL"]);
}
