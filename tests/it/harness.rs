//! The runner as a process: libtest's flags, exit codes, reports, signals, remote runtimes.

use std::io::{BufRead as _, BufReader, Read as _};
use std::sync::mpsc;

use serde_json::{Value, json};
use softprobe::{ControlServer, EmbeddedRuntime};

use crate::support::{
    LIMIT, Project, Run, Stub, attribute, document, http, response_body, span, through, watch,
};

/// A project with the cases `one`, `two` and `bad`, of which the last fails, and `off`, which is
/// ignored.
struct Three {
    project: Project,
    app: Stub,
}

impl Three {
    fn new() -> Self {
        let project = Project::new();
        for name in ["one", "two", "bad", "off"] {
            let path = format!("GET shop.example/{name}");
            let body = response_body(&format!("{{\"is\":\"{name}\"}}"));
            let secret = attribute("http.request.header.authorization", "Bearer hidden-value");
            let inbound = span(1, "inbound", &path, Some(200), &[body, secret]);
            project.write(
                &format!("c/{name}.case.json"),
                document(&[inbound]).to_string(),
            );
        }
        project.write(
            "s.suite.yaml",
            "name: s\ncases: [ c/one.case.json, c/two.case.json, c/bad.case.json, { path: c/off.case.json, skip: not today } ]\n",
        );
        let app = Stub::start(|request| {
            let name = request.line.split(['/', ' ']).nth(2).unwrap();
            let name = if name == "bad" {
                "w\u{1b}rong\u{0}"
            } else {
                name
            };
            http(200, &[], json!({"is": name}).to_string())
        });
        Self { project, app }
    }

    fn run(&self, args: &[&str]) -> Run {
        self.project.against(&self.app, args)
    }

    /// Returns the names of the trials that ran, without the ignored ones.
    fn ran(&self, args: &[&str]) -> Vec<String> {
        let results = self.run(args).results();
        let ran = results
            .into_iter()
            .filter(|(_, result)| result != "ignored");
        ran.map(|(name, _)| name.trim_start_matches("s::").to_owned())
            .collect()
    }
}

#[test]
fn filters_select_as_in_libtest() {
    let three = Three::new();
    assert_eq!(three.ran(&[]), ["bad", "one", "two"]);
    assert_eq!(three.ran(&["one", "two"]), ["one", "two"]);
    assert_eq!(
        three.ran(&["s::", "--skip", "bad", "--skip", "on"]),
        ["two"]
    );
    assert_eq!(three.ran(&["--exact", "s::one", "s::two"]), ["one", "two"]);
    assert_eq!(
        three.ran(&["--exact", "s::one", "--exact", "--nocapture", "--nocapture"]),
        ["one"]
    );
    assert_eq!(three.ran(&["--ignored"]), ["off"]);
    assert_eq!(
        three.ran(&["--include-ignored", "o"]),
        ["off", "one", "two"]
    );
    assert_eq!(
        three.ran(&["--exact", "s::off", "--include-ignored"]),
        ["off"]
    );
    three.run(&["nothing-like-it"]).passes();
    three
        .run(&["--exact", "s::nope"])
        .fails(&["error: no case is called s::nope"]);
}

#[test]
fn an_exact_name_opens_no_other_case() {
    let three = Three::new();
    three.project.write(
        "s.suite.yaml",
        "name: s\ncases: [ \"c/*.case.json\", \"gone/*.json\" ]\n",
    );
    // Expanding the globs would show that the second one matches nothing.
    three.run(&["--exact", "s::one"]).passes();
    three
        .run(&["one"])
        .fails(&["`gone/*.json` matches no file"]);
}

#[test]
fn the_other_flags_of_libtest_work() {
    let three = Three::new();
    let ok = ["--skip", "bad"];
    for args in [
        &[
            "--no-capture",
            "-Z",
            "unstable-options",
            "-Zunstable-options",
        ][..],
        &["--test-threads", "1"],
        &["--test-threads=64"],
        &["--color", "never"],
        &["--test"],
    ] {
        three.run(&[&ok[..], args].concat()).passes();
    }
    three
        .run(&["--test-threads", "0"])
        .fails(&["--test-threads must be a number of at least 1"]);
    three
        .run(&["--no-such-flag"])
        .fails(&["unexpected argument"]);
    let url = three.app.url();
    let args = ["--app-url", url.as_str(), "one"];
    three
        .project
        .run_with(&args, &[("RUST_TEST_THREADS", "0")])
        .fails(&["RUST_TEST_THREADS"]);
    three
        .project
        .run_with(&args, &[("RUST_TEST_THREADS", "1")])
        .passes();
    assert!(
        three
            .run(&["--color", "always", "one"])
            .stdout
            .contains("\u{1b}[")
    );
    assert!(!three.run(&["bad"]).stdout.contains("\u{1b}["));
    let timed = three.run(&["--report-time", "one"]);
    assert!(
        timed.passes().stdout.contains("test s::one ... ok <0."),
        "{}",
        timed.stdout
    );
    let shown = three.run(&["--show-output", "one"]);
    assert!(
        shown
            .passes()
            .stdout
            .contains("successes:\n\n---- s::one ----"),
        "{}",
        shown.stdout
    );
    let terse = three.run(&["-q", "--skip", "bad"]);
    assert!(
        terse.passes().stdout.contains("\n..i\n")
            || terse.stdout.contains(".i")
            || terse.stdout.contains("i."),
        "{}",
        terse.stdout
    );
    let help = three.run(&["--help"]);
    assert!(
        help.passes().stdout.contains("--proxy-listen"),
        "{}",
        help.stdout
    );
    let seeded = || {
        let run = three.run(&["--shuffle-seed", "7", "--test-threads", "1"]);
        assert!(run.stderr.contains("shuffle seed: 7"));
        let lines = run.stdout.lines().filter(|l| l.starts_with("test s::"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(seeded(), seeded());
    let random = three.run(&["--shuffle", "--skip", "bad"]);
    assert!(random.passes().stderr.contains("shuffle seed: "));
    let fast = three.run(&[
        "--fail-fast",
        "--test-threads",
        "1",
        "bad",
        "off",
        "--include-ignored",
    ]);
    fast.fails(&["ignored (not run: another case failed)"]);
    let log = three.project.path().join("log");
    three.run(&["--logfile", log.to_str().unwrap()]).fails(&[]);
    let log = std::fs::read_to_string(log).unwrap();
    assert_eq!(log, "ok s::one\nok s::two\nfailed s::bad\nignored s::off\n");
}

#[test]
fn lists_look_like_those_of_libtest() {
    let three = Three::new();
    let pretty = three.run(&["--list"]);
    assert_eq!(
        pretty.passes().stdout,
        "s::one: test\ns::two: test\ns::bad: test\ns::off: test\n\n4 tests, 0 benchmarks\n"
    );
    let terse = three.run(&["--list", "--format", "terse", "--ignored"]);
    assert_eq!(terse.passes().stdout, "s::off: test\n");
    let events = three.run(&["--list", "--format", "json", "-Z", "unstable-options"]);
    let events: Vec<Value> = events
        .passes()
        .stdout
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(events[4]["name"], "s::off");
    assert_eq!(
        (&events[4]["ignore"], &events[4]["ignore_message"]),
        (&json!(true), &json!("not today"))
    );
    assert_eq!(events[5]["total"], 4);
}

#[test]
fn json_events_are_valid_json_whatever_bytes_they_contain() {
    let three = Three::new();
    let run = three.run(&[
        "--format",
        "json",
        "-Z",
        "unstable-options",
        "--report-time",
    ]);
    assert_eq!(run.code, 101);
    let events: Vec<Value> = run
        .stdout
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let of = |name: &str| {
        events
            .iter()
            .find(|e| e["name"] == name && e["event"] != "started")
            .unwrap()
    };
    assert_eq!(of("s::one")["event"], "ok");
    assert!(of("s::one")["exec_time"].is_f64());
    assert!(of("s::bad")["stdout"].as_str().unwrap().contains("$.is"));
    assert_eq!(events.last().unwrap()["failed"], 1);
}

#[test]
fn junit_tells_failures_errors_and_skips_apart() {
    let three = Three::new();
    std::fs::write(three.project.path().join("c/two.case.json"), "{").unwrap();
    let path = three.project.path().join("out/junit.xml");
    three.run(&["--junit", path.to_str().unwrap()]).fails(&[]);
    let xml = std::fs::read_to_string(&path).unwrap();
    let printed = three.run(&["--format", "junit"]);
    assert!(printed.stdout.starts_with("<?xml"), "{}", printed.stdout);
    for text in [
        "<testsuite name=\"s\" tests=\"4\" skipped=\"1\" errors=\"1\" failures=\"1\"",
        "<testcase name=\"bad\" classname=\"s\"",
        "<failure message=\"1 difference; first: $.is expected",
        "<error message=\"c/two.case.json: line 1, column 1: not JSON",
        "<skipped message=\"not today\"/>",
        "file=\"c/bad.case.json\"",
        "run just this case",
        "authorization: [masked]",
    ] {
        for xml in [&xml, &printed.stdout] {
            assert!(xml.contains(text), "{text} is not in\n{xml}");
        }
    }
    assert!(!xml.contains(['\u{0}', '\u{1b}']));
    assert!(!format!("{xml}{}", printed.all()).contains("hidden-value"));
}

#[test]
fn junit_is_xml_whatever_a_body_holds() {
    let body = json!({"is": "\u{fffe}\u{ffff}\u{0}\u{1b}[1m"});
    let app = Stub::json(200, &body);
    let suite = "name: s\ncases: a.case.json\nassertions: { body: { expected: { is: b } } }";
    let project = Project::with_answer(200, "{}", suite);
    let run = project.run(&["--format", "junit", "--app-url", &app.url()]);
    run.fails(&[]);
    assert!(run.stdout.contains("\\u{fffe}\\u{ffff}"), "{}", run.stdout);
    assert!(
        !run.stdout
            .contains(['\u{fffe}', '\u{ffff}', '\u{0}', '\u{1b}'])
    );
}

#[test]
fn a_failure_report_explains_the_failure() {
    let three = Three::new();
    let run = three.run(&["bad"]);
    run.fails(&[
        "s::bad: 1 difference\n  c/bad.case.json\n\ndifferences\n",
        "the request was\n  GET http://127.0.0.1:",
        "authorization: [masked]",
        "differences\n  $.is\n    expected  \"bad\"\n    actual    \"w",
        "run just this case\n  cargo test --test replay -- --app-url http://127.0.0.1:",
        " --exact s::bad\n",
    ]);
    assert!(!run.all().contains("hidden-value"));
    let exact = three.run(&["--exact", "s::bad", "--nocapture"]);
    assert!(
        exact
            .stderr
            .contains("\nError: 1 difference; first: $.is expected \"bad\""),
        "{}",
        exact.stderr
    );
}

#[test]
fn errors_that_prevent_a_run_are_reported() {
    let project = Project::with_answer(200, "{}", "name: s\ncases: a.case.json");
    let mut none = project.command(&[], &[]);
    none.env_remove("SOFTPROBE_TEST_SUITES");
    Run::of(&mut none).fails(&["error: there is no suite to run"]);
    let gone = project.run(&["--suite", "gone/*.yaml"]);
    gone.fails(&["error: suite `gone/*.yaml` matches no file"]);
    assert!(gone.stdout.is_empty());
    project
        .run(&["--suite", "gone.yaml"])
        .fails(&["`gone.yaml` does not exist"]);
    project
        .run(&["--suite", "{s,t}.suite.yaml", "--list"])
        .passes();
    project.write("t.suite.yaml", "name: s\ncases: a.case.json");
    project
        .run(&["--suite", "s.suite.yaml,t.suite.yaml"])
        .fails(&["two cases are called s::a"]);
    project.run(&[]).fails(&["two cases are called s::a"]);
    project.run(&["--suite", "t.suite.yaml", "--list"]).passes();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args = [
        "--suite",
        "s.suite.yaml",
        "--proxy-listen",
        &address,
        "--app-url",
        "http://127.0.0.1:1",
    ];
    project
        .run(&args)
        .fails(&[&format!("can't listen on {address}")]);
}

#[test]
fn a_remote_runtime_serves_the_sessions() {
    let runtime = EmbeddedRuntime::new();
    let server = ControlServer::start(&runtime).unwrap();
    let three = Three::new();
    let run = three.run(&["one", "--runtime-url", &server.url()]);
    assert!(
        run.passes()
            .stderr
            .contains(&format!("runtime {}", server.url())),
        "{}",
        run.stderr
    );
    assert!(
        runtime.open_sessions().is_empty(),
        "a session is still open"
    );
    three
        .run(&["one", "--runtime-url", "http://127.0.0.1:1"])
        .fails(&["no runtime answers at"]);
}

#[test]
fn answers_are_decoded_before_they_are_compared() {
    let project = Project::with_answer(200, "{\"a\":1}", "name: s\ncases: a.case.json");
    let gzip = {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"{\"a\":1}").unwrap();
        encoder.finish().unwrap()
    };
    let answer = http(200, &[("content-encoding", "gzip")], &gzip);
    project
        .against(&Stub::start(move |_| answer.clone()), &[])
        .passes();
    let broken = http(200, &[("content-encoding", "gzip")], "{\"a\":1}");
    let run = project.against(&Stub::start(move |_| broken.clone()), &[]);
    assert!(
        run.passes().stderr.contains("could not be decoded"),
        "{}",
        run.all()
    );
    let redirect = http(302, &[("location", "http://127.0.0.1:1/")], "{\"a\":1}");
    project
        .against(&Stub::start(move |_| redirect.clone()), &[])
        .fails(&["expected  200\n    actual    302"]);
}

/// Returns an application that signals when a request arrives, and answers only once released.
fn held() -> (Stub, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (asked, is_asked) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (asked, released) = (
        std::sync::Mutex::new(asked),
        std::sync::Mutex::new(released),
    );
    let app = Stub::start(move |_| {
        asked.lock().unwrap().send(()).unwrap();
        let _ = released.lock().unwrap().recv_timeout(LIMIT);
        http(200, &[], "{}")
    });
    (app, is_asked, release)
}

#[test]
fn an_interrupt_closes_sessions_and_exits_with_its_code() {
    // Each run waits a while for the hanging request, so the two run at the same time.
    std::thread::scope(|scope| {
        scope.spawn(|| signalled("-INT", 130));
        scope.spawn(|| signalled("-TERM", 143));
        scope.spawn(|| signalled("-HUP", 129));
        scope.spawn(|| signalled("-QUIT", 131));
    });
}

/// Sends a signal to a process.
fn kill(signal: &str, child: &std::process::Child) {
    crate::support::kill(signal, child.id());
}

#[test]
fn a_frozen_runtime_does_not_hold_up_an_interrupted_run() {
    let (frozen, is_frozen) = mpsc::channel::<()>();
    let is_frozen = std::sync::Mutex::new(is_frozen);
    let runtime = Stub::start(move |request| {
        if request.line.contains("/close") {
            let _ = is_frozen.lock().unwrap().recv_timeout(LIMIT);
        }
        let answer =
            json!({"sessionId": "sess_1", "status": "ok", "specVersion": "http-control-api@v1"});
        http(
            200,
            &[("content-type", "application/json")],
            answer.to_string(),
        )
    });
    let project = Project::with_answer(200, "{}", "name: s\ncases: \"*.case.json\"");
    let (app, is_asked, release) = held();
    let args = ["--app-url", &app.url(), "--runtime-url", &runtime.url()];
    let child = project.command(&args, &[]).spawn().unwrap();
    let _watch = watch(&child);
    is_asked.recv_timeout(LIMIT).unwrap();
    kill("-TERM", &child);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(143), "{stderr}");
    assert!(stderr.contains("1 sessions may still be open"), "{stderr}");
    release.send(()).unwrap();
    drop(frozen);
}

#[test]
fn a_signal_that_was_ignored_from_the_start_stays_ignored() {
    let project = Project::with_answer(200, "{}", "name: s\ncases: \"*.case.json\"");
    let (app, is_asked, release) = held();
    let inner = project.command(&["--app-url", &app.url()], &[]);
    let trap = ["-c", "trap '' HUP; exec \"$0\" \"$@\""];
    let mut command = through("sh", &trap, &inner);
    command
        .current_dir(project.path())
        .stdout(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let _watch = watch(&child);
    is_asked.recv_timeout(LIMIT).unwrap();
    kill("-HUP", &child);
    release.send(()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

fn signalled(signal: &str, code: i32) {
    let runtime = EmbeddedRuntime::new();
    let server = ControlServer::start(&runtime).unwrap();
    let project = Project::with_answer(200, "{}", "name: s\ncases: \"*.case.json\"");
    let case = std::fs::read(project.path().join("a.case.json")).unwrap();
    project.write("b.case.json", case);
    let (app, is_asked, release) = held();
    let (app_url, url) = (app.url(), server.url());
    let args = [
        "--app-url",
        &app_url,
        "--runtime-url",
        &url,
        "--test-threads",
        "1",
        "--junit",
        "j.xml",
    ];
    let mut child = project.command(&args, &[]).spawn().unwrap();
    let _watch = watch(&child);
    is_asked.recv_timeout(LIMIT).unwrap();
    kill(signal, &child);
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(code), "{stderr}");
    assert!(stderr.contains("interrupted"), "{stderr}");
    assert!(
        runtime.open_sessions().is_empty(),
        "a session is still open"
    );
    // The report has both cases: the one that ran, and the one that did not.
    let junit = std::fs::read_to_string(project.path().join("j.xml")).unwrap();
    for part in [
        "tests=\"2\" skipped=\"1\" failures=\"0\" errors=\"1\"",
        "the run broke off while this case ran",
        "not run: interrupted",
    ] {
        assert!(junit.contains(part), "{part}: {junit}");
    }
    release.send(()).unwrap();
}

#[test]
fn a_proxy_can_listen_at_a_given_address() {
    let project = Project::with_answer(
        200,
        "\"mocked\"",
        "name: s\ncases: a.case.json\npolicy: { externalHttp: strict }\nmocks: [ { response: { body: { from: mock } } } ]",
    );
    let (tell, told) = mpsc::channel::<std::net::SocketAddr>();
    let told = std::sync::Mutex::new(told);
    let app = Stub::start(move |request| {
        let proxy = told.lock().unwrap().recv_timeout(LIMIT).unwrap();
        let trace = request.header("tracestate").unwrap_or_default();
        let call = format!(
            "GET http://a.example/ HTTP/1.1\r\nhost: a.example\r\ntracestate: {trace}\r\n\r\n"
        );
        let answer = crate::support::send(proxy, call);
        assert_eq!(answer.json()["from"], "mock");
        http(200, &[], "\"mocked\"")
    });
    let args = ["--app-url", &app.url(), "--proxy-listen", "127.0.0.1:0"];
    let mut child = project.command(&args, &[]).spawn().unwrap();
    let _watch = watch(&child);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.find_map(|line| {
        let line = line.unwrap();
        Some(
            line.strip_prefix("softprobe: the proxy listens at http://")?
                .to_owned(),
        )
    });
    tell.send(line.unwrap().parse().unwrap()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_test_binary_works_under_nextest() {
    // nextest asks for two lists, then runs one name at a time, each in its own process.
    let three = Three::new();
    let all = three.run(&["--list", "--format", "terse"]);
    let ignored = three.run(&["--list", "--format", "terse", "--ignored"]);
    assert_eq!(all.stdout.lines().count(), 4);
    assert_eq!(ignored.stdout, "s::off: test\n");
    for line in all.stdout.lines() {
        let name = line.strip_suffix(": test").unwrap();
        let run = three.run(&["--exact", name, "--nocapture"]);
        assert_eq!(run.code == 0, name != "s::bad", "{}", run.all());
    }
}
