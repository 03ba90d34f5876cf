//! Applications that a run launches: when they are ready, what is seen of them, and that nothing of them is left.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::command::{Output, softprobe};
use crate::support::{
    LIMIT, Project, Stub, Watch, document, free_port, http, response_body, send, span, through,
    watch,
};

/// Not a test in itself: the application that the tests launch. What it does is in its environment.
#[test]
fn application_process() {
    let Ok(ways) = std::env::var("SOFTPROBE_TEST_APP") else {
        return;
    };
    // With one thread, libtest leaves its line about the test open.
    println!();
    let ways: Vec<&str> = ways.split(' ').collect();
    let mut port: u16 = std::env::var("PORT").unwrap().parse().unwrap();
    if let Ok(log) = std::env::var("SOFTPROBE_TEST_STARTS") {
        let log = std::fs::File::options().append(true).create(true).open(log);
        writeln!(log.unwrap(), "{port}").unwrap();
    }
    for way in ways {
        match way {
            "ends" => {
                println!("there is no database");
                std::process::exit(3);
            }
            "reads" => {
                std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
                std::process::exit(0);
            }
            "prints" => {
                for _ in 0..16 * 1024 {
                    println!("{}", "x".repeat(63));
                }
            }
            "elsewhere" => port = free_port(),
            "calls" => {
                let proxy = std::env::var("HTTP_PROXY").unwrap();
                let proxy = proxy.strip_prefix("http://").unwrap().parse().unwrap();
                let call = std::env::var("SOFTPROBE_TEST_CALL").unwrap();
                let head = format!("GET http://{call} HTTP/1.1\r\nhost: a.example\r\n\r\n");
                let answer = send(proxy, head);
                println!("{call}: {} {}", answer.status, answer.text());
            }
            _ => {}
        }
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    println!("listening on {port}");
    let counts: Mutex<HashMap<String, u32>> = Mutex::default();
    std::thread::scope(|scope| {
        for stream in listener.incoming() {
            let counts = &counts;
            scope.spawn(move || serve(stream.unwrap(), counts));
        }
    });
}

/// Answers one request by its path.
fn serve(mut stream: TcpStream, counts: &Mutex<HashMap<String, u32>>) {
    let mut line = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let _ = reader.read_line(&mut line);
    let Some(path) = line.split(' ').nth(1) else {
        return;
    };
    let mut header = String::new();
    while reader.read_line(&mut header).is_ok_and(|n| n > 2) {
        header.clear();
    }
    let mut counts = counts.lock().unwrap();
    let count = counts.entry(path.to_owned()).or_default();
    *count += 1;
    let count = *count;
    println!("request {path}");
    let mut status = 200;
    let body = match path {
        "/die" => {
            println!("out of memory");
            std::process::exit(7);
        }
        "/late" => {
            let _ = stream.write_all(&http(200, &[], json!({"is": "late"}).to_string()));
            let _ = stream.shutdown(std::net::Shutdown::Both);
            println!("out of memory, later");
            std::process::exit(9);
        }
        "/hang" => {
            drop(counts);
            std::thread::sleep(Duration::from_secs(3600));
            return;
        }
        "/health" => {
            status = if count < 3 { 503 } else { 204 };
            String::new()
        }
        "/never" => {
            status = 503;
            String::new()
        }
        "/reset" => {
            counts.clear();
            String::new()
        }
        "/count" => json!({"is": count}).to_string(),
        path => json!({"is": &path[1..]}).to_string(),
    };
    let _ = stream.write_all(&http(status, &[("content-type", "application/json")], body));
}

/// The command that runs [`application_process`], as YAML.
fn command() -> String {
    json!([
        std::env::current_exe().unwrap(),
        "--exact",
        "launch::application_process",
        "--nocapture"
    ])
    .to_string()
}

/// The same for a shell.
fn shell_command() -> String {
    let program = std::env::current_exe().unwrap();
    format!(
        "'{}' --exact launch::application_process --nocapture",
        program.display()
    )
}

/// A project whose cases are requests of these paths; each is answered as the application does, unless the path begins
/// with `wrong`.
pub(crate) fn project(paths: &[&str], app: &str) -> Project {
    let project = Project::new();
    for path in paths {
        let answer = response_body(&json!({"is": path}).to_string());
        let call = format!(
            "GET shop.example/{}",
            path.strip_prefix("wrong-").unwrap_or(path)
        );
        let spans = [span(1, "inbound", &call, Some(200), &[answer])];
        project.write(&format!("{path}.case.json"), document(&spans).to_string());
    }
    project.write(
        "s.suite.yaml",
        format!("name: s\ncases: '*.case.json'\n{}", with_command(app)),
    );
    project
}

fn with_command(app: &str) -> String {
    app.replace("COMMAND", &command())
}

fn suite_run(project: &Project, args: &[&str]) -> Command {
    let mut command = softprobe(&[&["suite", "run"], args].concat());
    command.current_dir(project.path());
    command
}

#[track_caller]
fn run(project: &Project, args: &[&str]) -> Output {
    Output::of(&mut suite_run(project, args))
}

/// Returns how many applications have been started, and forgets them.
fn starts(project: &Project) -> usize {
    let log = project.path().join("starts");
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let _ = std::fs::remove_file(log);
    text.lines().count()
}

/// An `app` whose starts are counted.
const COUNTED: &str =
    "app:\n  command: COMMAND\n  env: { SOFTPROBE_TEST_APP: '', SOFTPROBE_TEST_STARTS: starts }\n";

#[test]
fn an_application_is_launched_only_when_a_case_needs_it() {
    let project = project(&["a", "b"], COUNTED);
    let passed = run(&project, &["s.suite.yaml"]);
    passed.ends(0, &["2 passed", "softprobe: application http://127.0.0.1:"]);
    assert!(!passed.stdout.contains("request /a"), "{}", passed.stdout);
    assert_eq!(starts(&project), 1);
    run(&project, &["s.suite.yaml", "--list"]).ends(0, &["s::a: test"]);
    run(&project, &["s.suite.yaml", "--filter", "nothing"]).ends(5, &["no case's name"]);
    assert_eq!(starts(&project), 0);
    project.write(
        "a.suite.yaml",
        "name: other\ncases: a.case.json\napp: {command: no-such-program}\n",
    );
    let both = ["s.suite.yaml", "a.suite.yaml"];
    run(&project, &[&both[..], &["--filter", "s::b"]].concat()).ends(0, &["1 passed"]);
    run(&project, &both).ends(
        1,
        &["the application `no-such-program` for other did not start: there is no program"],
    );
    project.write(
        "a.suite.yaml",
        "name: other\ncases: {path: a.case.json, skip: later}\napp: {command: no-such-program}\n",
    );
    run(&project, &both).ends(0, &["2 passed; 0 failed; 1 ignored"]);
}

#[test]
fn suites_share_an_application_that_they_launch_in_the_same_way() {
    let project = project(&["a"], COUNTED);
    let other = format!("name: two\ncases: a.case.json\n{}", with_command(COUNTED));
    project.write("two.suite.yaml", other);
    run(&project, &["*.suite.yaml"]).ends(0, &["2 passed"]);
    assert_eq!(starts(&project), 1);
    let other = "name: three\ncases: a.case.json\n".to_owned()
        + &with_command(COUNTED).replace("env: {", "env: { OTHER: 1,");
    project.write("three.suite.yaml", other);
    run(&project, &["*.suite.yaml"]).ends(0, &["3 passed"]);
    assert_eq!(starts(&project), 2);
}

#[test]
fn an_application_that_does_not_start_is_told_with_what_happened() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = port.local_addr().unwrap().port();
    let taken = format!("port: {taken}");
    for (way, more, wanted) in [
        (
            "ends",
            "",
            vec![
                "it ended before it was ready (exit status: 3); ",
                "\n    there is no database",
            ],
        ),
        (
            "reads",
            "",
            vec!["(exit status: 0; it has to keep running, and its standard input is empty)"],
        ),
        (
            "",
            "cwd: nowhere",
            vec!["its folder ", "nowhere does not exist"],
        ),
        (
            "",
            taken.as_str(),
            vec![
                "something listens at http://127.0.0.1:",
                " already; stop it, or choose another `port`",
            ],
        ),
        (
            "elsewhere",
            "startTimeoutMs: 3000",
            vec![
                "it was not ready within 3000 ms (`startTimeoutMs`): nothing listens at",
                "warning: the application is not ready: it listens at 127.0.0.1:",
                "have it read PORT, give it `${PORT}` in its command or in `env`, or say `port: ",
            ],
        ),
        (
            "",
            "startTimeoutMs: 1000\n  ready: {path: /never}",
            vec!["GET /never was answered with 503", "request /never"],
        ),
        (
            "",
            "startTimeoutMs: 1000\n  ready: {line: never}",
            vec!["it wrote no line with `never`", "listening on"],
        ),
    ] {
        let app = format!(
            "app:\n  command: COMMAND\n  env: {{ SOFTPROBE_TEST_APP: '{way}' }}\n  {more}\n"
        );
        let project = project(&["a"], &app);
        let failed = run(&project, &["s.suite.yaml"]);
        failed.ends(1, &["did not start: "]).ends(1, &wanted);
        assert!(!failed.stdout.contains("running"), "{}", failed.stdout);
    }
}

#[test]
fn an_application_is_waited_for_until_it_is_ready() {
    let shell =
        |script: &str| json!(["sh", "-c", script.replace("APP", &shell_command())]).to_string();
    for (way, command, more) in [
        ("prints", command(), ""),
        ("", command(), "ready: {path: /health}"),
        ("prints", command(), "ready: {line: 'listening on'}"),
        (
            "",
            command(),
            "port: auto\n  url: http://localhost:${PORT}/",
        ),
        // The first process ends, and the application goes on in its group.
        ("", shell("APP & exit 0"), ""),
        // It leaves the group as well.
        #[cfg(target_os = "linux")]
        ("", shell("setsid APP & exit 0"), ""),
    ] {
        let app = format!(
            "app:\n  command: {command}\n  env: {{ SOFTPROBE_TEST_APP: '{way}' }}\n  {more}\n"
        );
        let project = project(&["a"], &app);
        run(&project, &["s.suite.yaml"]).ends(0, &["1 passed"]);
    }
}

/// A mark in the environment of an application, by which its processes are found.
#[cfg(target_os = "linux")]
pub(crate) struct Mark(String);

#[cfg(target_os = "linux")]
impl Mark {
    pub(crate) fn new() -> Self {
        Self(format!("{}-{}", std::process::id(), free_port()))
    }

    /// Returns the variables of an `app` with the mark.
    fn env(&self, way: &str) -> String {
        format!(
            "env: {{ SOFTPROBE_TEST_APP: '{way}', SOFTPROBE_TEST_MARK: '{}' }}",
            self.0
        )
    }

    pub(crate) fn processes(&self) -> Vec<String> {
        let wanted = format!("SOFTPROBE_TEST_MARK={}", self.0);
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let marked = entries.filter(|entry| {
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == wanted.as_bytes())
        });
        let commands =
            marked.map(|entry| std::fs::read(entry.path().join("cmdline")).unwrap_or_default());
        commands
            .map(|command| String::from_utf8_lossy(&command).replace('\0', " "))
            .collect()
    }

    #[track_caller]
    pub(crate) fn wait(&self, what: &str, is_right: impl Fn(&[String]) -> bool) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let processes = self.processes();
            if is_right(&processes) {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {processes:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// An application with a child in its group and one outside.
#[cfg(target_os = "linux")]
pub(crate) fn family(mark: &Mark, more: &str) -> String {
    let script = format!("sleep 3600 & setsid sleep 3600 & {}", shell_command());
    let command = json!(["sh", "-c", script]);
    format!("app:\n  command: {command}\n  {}\n  {more}\n", mark.env(""))
}

#[test]
#[cfg(target_os = "linux")]
fn everything_that_an_application_started_ends_with_the_run() {
    let mark = Mark::new();
    run(&project(&["a"], &family(&mark, "")), &["s.suite.yaml"]).ends(0, &["1 passed"]);
    assert_eq!(mark.processes(), [""; 0]);
    // What does not end by itself is killed.
    let stubborn = format!("trap '' TERM; {}", shell_command());
    let app = format!(
        "app:\n  command: {}\n  {}\n  stop: {{graceMs: 100}}\n",
        json!(["sh", "-c", stubborn]),
        mark.env("")
    );
    run(&project(&["a"], &app), &["s.suite.yaml"]).ends(0, &["1 passed"]);
    assert_eq!(mark.processes(), [""; 0]);
    // An application that never gets ready is ended too.
    let app = family(&mark, "ready: {path: /never}\n  startTimeoutMs: 500");
    run(&project(&["a"], &app), &["s.suite.yaml"]).ends(1, &["was not ready within 500 ms"]);
    assert_eq!(mark.processes(), [""; 0]);
}

/// Starts a run in the background.
#[cfg(target_os = "linux")]
fn started(project: &Project) -> (Child, Watch) {
    let mut command = through("setsid", &[], &suite_run(project, &["s.suite.yaml"]));
    command.current_dir(project.path()).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let watch = watch(&child);
    (child, watch)
}

#[cfg(target_os = "linux")]
fn kill(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill")
        .args(["-s", signal, "--", &pid])
        .status()
        .unwrap();
    assert!(sent.success());
}

#[test]
#[cfg(target_os = "linux")]
fn no_process_of_an_application_survives_its_runner() {
    for signal in ["KILL", "INT", "TERM", "HUP", "QUIT"] {
        for (case, more) in [("hang", ""), ("a", "ready: {path: /never}")] {
            let mark = Mark::new();
            let project = project(&[case], &family(&mark, more));
            let (mut child, _watch) = started(&project);
            mark.wait("it should start", |processes| {
                processes
                    .iter()
                    .filter(|command| command.starts_with("sleep"))
                    .count()
                    == 2
            });
            kill(&child, signal);
            let mut said = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut said)
                .unwrap();
            let status = child.wait().unwrap();
            if signal != "KILL" {
                let number =
                    HashMap::from([("HUP", 1), ("INT", 2), ("QUIT", 3), ("TERM", 15)])[signal];
                assert_eq!(status.code(), Some(128 + number), "{signal}: {said}");
                assert_eq!(mark.processes(), [""; 0], "{signal}: {said}");
                // It was ended, and did not end by itself.
                assert!(
                    !said.contains("in the middle of the run"),
                    "{signal}: {said}"
                );
            }
            mark.wait("it should end", <[String]>::is_empty);
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_signal_ends_an_application_that_takes_its_time_to_end() {
    let mark = Mark::new();
    let command = json!(["sh", "-c", format!("trap '' TERM; {}", shell_command())]);
    let app = format!(
        "app:\n  command: {command}\n  {}\n  stop: {{graceMs: 600000}}\n",
        mark.env("")
    );
    let project = project(&["a"], &app);
    let mut command = suite_run(&project, &["s.suite.yaml"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let _watch = watch(&child);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "test s::a ... ok"));
    kill(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(mark.processes(), [""; 0]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_case_that_passed_before_a_signal_stays_passed() {
    let mark = Mark::new();
    let app = format!("app:\n  command: COMMAND\n  {}\n", mark.env(""));
    let project = project(&["a", "hang"], &app);
    let args = [
        "s.suite.yaml",
        "--test-threads",
        "1",
        "--app-output",
        "--junit",
        "junit.xml",
    ];
    let mut command = suite_run(&project, &args);
    let mut child = command
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let _watch = watch(&child);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "app | request /hang"));
    kill(&child, "INT");
    for line in lines {
        line.unwrap();
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let junit = std::fs::read_to_string(project.path().join("junit.xml")).unwrap();
    let case = junit.split_once("<testcase name=\"a\"").unwrap().1;
    let case = case.split_once("<testcase").unwrap().0;
    assert!(!case.contains("<error"), "{junit}");
}

#[test]
fn an_application_that_dies_fails_the_case_and_all_that_follow() {
    let app = "app: {command: COMMAND, env: {SOFTPROBE_TEST_APP: ''}}";
    let project = project(&["a", "die", "z"], app);
    let failed = run(&project, &["s.suite.yaml", "--test-threads", "1"]);
    failed.ends(
        20,
        &[
            "test s::a   ... ok",
            "test s::die ... FAILED",
            "test s::z   ... FAILED",
            "s::die: can't be judged: the application ended in the middle of the run (exit status: 7)",
            "s::z: can't be judged: the application ended in the middle of the run (exit status: 7)",
            "the application wrote meanwhile\n  request /die\n  out of memory\n",
        ],
    );
}

#[test]
fn an_application_that_dies_after_its_last_answer_fails_that_case() {
    let app = "app: {command: COMMAND, env: {SOFTPROBE_TEST_APP: ''}}";
    let failed = run(
        &project(&["a", "late"], app),
        &["s.suite.yaml", "--test-threads", "1"],
    );
    failed.ends(
        20,
        &[
            "1 passed; 1 failed",
            "s::late: can't be judged: the application ended in the middle of the run (exit status: 9)",
        ],
    );
}

#[test]
fn a_failing_case_shows_what_the_application_wrote_meanwhile() {
    let app = "app: {command: COMMAND, env: {SOFTPROBE_TEST_APP: ''}}";
    let project = project(&["a", "wrong-b"], app);
    let failed = run(&project, &["s.suite.yaml", "--test-threads", "1"]);
    failed.ends(
        20,
        &["the application wrote meanwhile\n  request /b\n\nrun just this case"],
    );
    assert!(!failed.stdout.contains("request /a"), "{}", failed.stdout);
    let shown = run(&project, &["s.suite.yaml", "--app-output"]);
    assert!(
        shown.stderr.contains("app | request /a\n"),
        "{}",
        shown.stderr
    );
    let json = run(&project, &["s.suite.yaml", "--json", "--test-threads", "1"]);
    let document = json.document();
    assert_eq!(
        document["cases"][1]["applicationOutput"],
        json!(["request /b"])
    );
}

#[test]
fn calls_while_an_application_starts_are_answered_and_told() {
    let upstream = Stub::json(200, &json!({"real": true}));
    let call = format!("{}/config", upstream.address);
    let app = format!(
        "app: {{command: COMMAND, env: {{SOFTPROBE_TEST_APP: calls, SOFTPROBE_TEST_CALL: '{call}'}}}}\n"
    );
    let project = project(&["a"], &app);
    let told = format!(
        "warning: while the application started, it called GET {call}: it was answered with 599"
    );
    run(&project, &["s.suite.yaml", "--app-output"])
        .ends(0, &[&told, &format!("app | {call}: 599")]);
    let told = format!("it called GET {call}: it was forwarded");
    let forwarded = run(
        &project,
        &["s.suite.yaml", "--forward-idle", "--app-output"],
    );
    forwarded.ends(0, &[&told, &format!("app | {call}: 200 {{\"real\":true}}")]);
    assert_eq!(upstream.received().len(), 1);
    let captured = format!("GET {call}");
    let config = span(
        1,
        "outbound",
        &captured,
        Some(200),
        &[response_body("captured")],
    );
    project.write("config.json", document(&[config]).to_string());
    let suite = std::fs::read_to_string(project.path().join("s.suite.yaml")).unwrap();
    project.write(
        "s.suite.yaml",
        suite + "mocks: {auto: true, shared: [{from: config.json}]}\n",
    );
    let shared = run(&project, &["s.suite.yaml", "--app-output"]);
    shared.ends(0, &[&format!("app | {call}: 200 captured")]);
    assert!(!shared.stderr.contains("warning"), "{}", shared.stderr);
    assert_eq!(upstream.received().len(), 1);
}

#[test]
fn an_application_is_reset_before_each_case() {
    let app = "app:\n  command: COMMAND\n  env: {SOFTPROBE_TEST_APP: '', SOFTPROBE_TEST_STARTS: starts}\n  reset: RESET\n";
    let with = |reset: &str| {
        let project = Project::new();
        for name in ["one", "two"] {
            let answer = response_body(&json!({"is": 1}).to_string());
            let spans = [span(
                1,
                "inbound",
                "GET shop.example/count",
                Some(200),
                &[answer],
            )];
            project.write(&format!("{name}.case.json"), document(&spans).to_string());
        }
        let app = with_command(&app.replace("RESET", reset));
        project.write(
            "s.suite.yaml",
            format!("name: s\ncases: '*.case.json'\n{app}"),
        );
        project
    };
    run(&with("{path: /reset}"), &["s.suite.yaml"]).ends(0, &["2 passed"]);
    let project = with("{command: [sh, -c, 'echo $PORT >> resets']}");
    run(&project, &["s.suite.yaml"])
        .ends(20, &["1 passed; 1 failed", "expected  1", "actual    2"]);
    let (resets, starts) = ["resets", "starts"]
        .map(|file| std::fs::read_to_string(project.path().join(file)).unwrap())
        .into();
    assert_eq!(resets, starts.repeat(2));
    for (reset, wanted) in [
        (
            "{method: DELETE, path: /never}",
            "(`reset`): DELETE /never was answered with 503",
        ),
        (
            "{command: 'sh -c \"echo gone; exit 4\"'}",
            "failed (exit status: 4); it wrote:\n    gone",
        ),
        (
            "{command: no-such-program}",
            "`no-such-program` can't be started",
        ),
        (
            "{path: /die}",
            "the application ended in the middle of the run (exit status: 7)",
        ),
    ] {
        let failed = run(&with(reset), &["s.suite.yaml"]);
        failed.ends(20, &["s::one: can't be judged", wanted]);
    }
}

#[test]
fn the_command_line_beats_the_environment() {
    let project = project(&["a"], "");
    let shell = shell_command();
    let words: Vec<&str> = shell
        .split(' ')
        .map(|word| word.trim_matches('\''))
        .collect();
    let args = [
        &["s.suite.yaml", "--app-env", "SOFTPROBE_TEST_APP=", "--"][..],
        &words,
    ]
    .concat();
    let mut both = suite_run(&project, &args);
    both.env("SOFTPROBE_APP_COMMAND", "no-such-program");
    both.env("APP_URL", "http://127.0.0.1:1");
    Output::of(&mut both).ends(0, &["1 passed"]);
    // Without a command on the command line, a URL is that of an application that runs.
    let app = Stub::json(200, &json!({"is": "a"}));
    let mut running = suite_run(&project, &["s.suite.yaml"]);
    running.env("SOFTPROBE_APP_COMMAND", "no-such-program");
    running.env("APP_URL", app.url());
    Output::of(&mut running).ends(0, &["1 passed"]);
}

#[test]
#[cfg(target_os = "linux")]
fn another_process_at_the_port_is_not_taken_for_the_application() {
    // It takes the port as soon as the application has begun, which never does.
    let port = free_port();
    let project = project(&["a"], "");
    let command = json!(["sh", "-c", "touch begun; exec sleep 3600"]);
    project.write(
        "s.suite.yaml",
        format!("name: s\ncases: '*.case.json'\napp:\n  command: {command}\n  port: {port}\n"),
    );
    let begun = project.path().join("begun");
    let stranger = std::thread::spawn(move || {
        let deadline = Instant::now() + LIMIT;
        while !begun.exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        TcpListener::bind(("127.0.0.1", port)).unwrap()
    });
    let failed = run(&project, &["s.suite.yaml"]);
    drop(stranger.join().unwrap());
    let told = format!("which it did not start, listens at http://127.0.0.1:{port} instead of it");
    failed.ends(1, &[&told]);
}

#[test]
fn an_exit_status_is_known_though_children_are_ignored() {
    if !crate::hookfiles::is_there("python3") {
        return;
    }
    // As a program does that wants no exit statuses, and starts this one.
    let ignoring = |command: &Command| {
        let script = "import os, signal, sys\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n\
                      os.execvp(sys.argv[1], sys.argv[1:])";
        through("python3", &["-c", script], command)
    };
    let exec = softprobe(&["exec", "--", "sh", "-c", "exit 7"]);
    Output::of(&mut ignoring(&exec)).ends(7, &[]);
    let project = project(&["a"], "app: {command: [sh, -c, 'exit 3']}");
    let mut failed = ignoring(&suite_run(&project, &["s.suite.yaml"]));
    Output::of(failed.current_dir(project.path())).ends(1, &["(exit status: 3)"]);
}

#[test]
fn passwords_in_urls_are_not_shown() {
    let app = "app: {command: COMMAND, env: {SOFTPROBE_TEST_APP: elsewhere}, startTimeoutMs: 500, \
               url: 'http://bob:hunter2@127.0.0.1:${PORT}'}";
    let failed = run(&project(&["a"], app), &["s.suite.yaml"]);
    failed.ends(1, &["nothing listens at http://[masked]@127.0.0.1:"]);
    assert!(!failed.stderr.contains("hunter2"), "{}", failed.stderr);
}

#[test]
fn different_applications_need_different_ports() {
    let project = project(&["a"], "app: {command: COMMAND, port: 41999}");
    let other =
        "name: two\ncases: a.case.json\napp: {command: COMMAND, url: 'http://localhost:41999'}\n";
    project.write("two.suite.yaml", with_command(other));
    run(&project, &["*.suite.yaml"]).ends(
        2,
        &["the applications of s and of two are different, but have one port, 41999"],
    );
}

#[test]
fn an_application_that_has_to_be_killed_is_told() {
    let command = json!(["sh", "-c", format!("trap '' TERM; {}", shell_command())]);
    let app = format!(
        "app:\n  command: {command}\n  env: {{SOFTPROBE_TEST_APP: ''}}\n  stop: {{graceMs: 50}}\n"
    );
    run(&project(&["a"], &app), &["s.suite.yaml"])
        .ends(0, &["did not end within 50 ms, and was killed"]);
}

#[test]
fn flags_launch_an_application_as_a_suite_does() {
    let shell = shell_command();
    let plain = project(&["a"], "");
    let launched = [
        "s.suite.yaml",
        "--app-env",
        "SOFTPROBE_TEST_APP=prints",
        "--ready",
        "/health",
    ];
    run(
        &plain,
        &[&launched[..], &["--app-command", &shell]].concat(),
    )
    .ends(0, &["1 passed"]);
    let words: Vec<&str> = shell
        .split(' ')
        .map(|word| word.trim_matches('\''))
        .collect();
    run(&plain, &[&launched[..], &["--"], &words].concat()).ends(0, &["1 passed"]);
    // A URL beside a command is that of the launched application.
    let url = format!("http://127.0.0.1:{}", free_port());
    let told = format!("softprobe: application {url}");
    run(
        &plain,
        &[&launched[..], &["--app-url", &url, "--"], &words].concat(),
    )
    .ends(0, &[&told]);

    let app = Stub::json(200, &json!({"is": "a"}));
    let suite = project(&["a"], COUNTED);
    let told =
        "softprobe: the `app` of s is not launched, since --app-url or APP_URL names one that runs";
    run(&suite, &["s.suite.yaml", "--app-url", &app.url()]).ends(0, &["1 passed", told]);
    assert_eq!(starts(&suite), 0);
    run(
        &plain,
        &[
            "s.suite.yaml",
            "--ready",
            "/health",
            "--app-url",
            &app.url(),
        ],
    )
    .ends(
        2,
        &["--ready is for an application that is launched, and none is"],
    );
    run(&plain, &["s.suite.yaml"]).ends(
        20,
        &["launch it by `-- COMMAND`, --app-command or `app: {command: …}`"],
    );
    for (flags, wanted) in [
        (
            vec!["--app-command", "a 'b"],
            "--app-command: a quote in `a 'b` is never closed",
        ),
        (
            vec!["--app-command", "a | b"],
            "no shell runs the command, so `|`",
        ),
        (
            vec!["--app-command", "a", "--app-env", "b"],
            "--app-env: expected NAME=value",
        ),
        (
            vec!["--app-command", "a", "--ready", "b"],
            "--ready: `b` is not a path",
        ),
        (
            vec!["--app-command", "a", "--intercept", "b"],
            "--intercept: `b` is not one of variables, none",
        ),
        (
            vec!["--app-command", "a", "--app-url", "b"],
            "`b` is not a base URL such as `http://127.0.0.1:${PORT}`",
        ),
        (
            vec!["--app-command", "a", "--", "b"],
            "stands after `--` and in --app-command; keep one of them",
        ),
        (
            vec!["--app-command", "a", "--app-env", "PORT=1"],
            "--app-env: the port is given as PORT",
        ),
        (
            vec!["--tunnel", "a"],
            "--tunnel is for an application that is launched, and none is",
        ),
        (
            vec!["--app-command", "a", "--tunnel", "https://a"],
            "--tunnel: `https://a` is not a host",
        ),
    ] {
        run(&plain, &[&["s.suite.yaml"][..], &flags].concat()).ends(2, &[wanted]);
    }
}

#[test]
fn the_command_that_runs_a_case_again_launches_the_application() {
    let project = project(&["wrong-a"], "");
    let flags = [
        "--app-env",
        "SOFTPROBE_TEST_APP=x y",
        "--app-env",
        "API_KEY=hunter2",
        "--app-command",
        &shell_command(),
    ];
    let failed = run(&project, &[&["s.suite.yaml"][..], &flags].concat());
    failed.ends(20, &["--app-env 'API_KEY=[masked]'"]);
    let line = failed
        .stdout
        .lines()
        .find(|line| line.contains("--exact --filter"))
        .unwrap();
    let script = line.replacen("softprobe", env!("CARGO_BIN_EXE_softprobe"), 1);
    let mut again = through("sh", &["-c", &script], &softprobe(&[]));
    let again = Output::of(again.current_dir(project.path()));
    assert_eq!(
        (
            again.code,
            again.stdout.contains("test s::wrong-a ... FAILED")
        ),
        (20, true),
        "{again:?}"
    );
}

#[test]
fn a_test_target_launches_by_flag_by_variable_and_in_code() {
    let project = project(&["a", "wrong-b"], "");
    let shell = shell_command();
    let env = [
        ("SOFTPROBE_APP_COMMAND", shell.as_str()),
        ("SOFTPROBE_TEST_APP", ""),
    ];
    let run = project.run_with(&["--skip", "wrong"], &env);
    run.passes();
    let failed = project.run_with(&["--app-command", &shell], &[("SOFTPROBE_TEST_APP", "")]);
    failed.fails(&["request /b"]);
    let in_code = [
        ("SOFTPROBE_TEST_APP_COMMAND", shell.as_str()),
        ("SOFTPROBE_TEST_APP", ""),
    ];
    project.run_with(&["--skip", "wrong"], &in_code).passes();
    let refused = project.run_with(&[], &[("SOFTPROBE_TEST_APP_COMMAND", "a 'b")]);
    refused.fails(&["Replay::app_command: a quote in `a 'b` is never closed"]);
}

#[test]
fn exec_runs_a_command_beside_an_application() {
    let project = project(&["a"], "");
    let exec = |app: &[&str], command: &[&str]| {
        let mut exec = softprobe(&[&["exec"], app, &["--"], command].concat());
        exec.current_dir(project.path());
        Output::of(&mut exec)
    };
    let shell = shell_command();
    let app = ["--app-env", "SOFTPROBE_TEST_APP=", "--app-command", &shell];
    let script = "test -n \"$HTTP_PROXY\" && test -z \"$SOFTPROBE_APP_COMMAND\" && echo \"$NO_PROXY\" && \
                  curl --silent --fail $SOFTPROBE_RUNTIME_URL/health && curl --silent --fail $APP_URL/hello";
    exec(&app, &["sh", "-c", script]).ends(0, &["localhost,127.0.0.1", "{\"is\":\"hello\"}"]);
    exec(&app, &["sh", "-c", "exit 7"]).ends(7, &[]);
    exec(&app, &["sh", "-c", "kill -KILL $$"]).ends(137, &[]);
    exec(&app, &["no-such-program"]).ends(2, &["`no-such-program` can't be run"]);
    exec(&["--app-command", "no-such-program"], &["true"])
        .ends(1, &["there is no program no-such-program"]);
    exec(&[], &["sh", "-c", "test -z \"$APP_URL\""]).ends(0, &[]);
    exec(
        &["--app-url", "http://127.0.0.1:1"],
        &["sh", "-c", "echo $APP_URL"],
    )
    .ends(0, &["http://127.0.0.1:1"]);
    exec(&["--app-url", "nowhere"], &["true"]).ends(2, &["`nowhere` is not a base URL"]);

    // The same run as without it, by the runner of a test target or of the command.
    let suite = [
        env!("CARGO_BIN_EXE_softprobe"),
        "suite",
        "run",
        "s.suite.yaml",
    ];
    exec(&app, &suite).ends(0, &["1 passed", "softprobe: runtime http://127.0.0.1:"]);
}

#[test]
fn exec_fails_if_the_application_ended_meanwhile() {
    let project = Project::new();
    let shell = shell_command();
    let exec = |code: &str| {
        let script = format!("curl --silent $APP_URL/die; exit {code}");
        let args = [
            "exec",
            "--app-env",
            "SOFTPROBE_TEST_APP=",
            "--app-command",
            &shell,
        ];
        let mut exec = softprobe(&[&args[..], &["--", "sh", "-c", &script]].concat());
        Output::of(exec.current_dir(project.path()))
    };
    exec("0").ends(
        20,
        &["ended meanwhile (exit status: 7); ", "\n    out of memory"],
    );
    exec("3").ends(3, &["ended meanwhile (exit status: 7)"]);
}

#[test]
fn exec_tells_of_calls_that_come_too_late() {
    let project = Project::new();
    let script = r#"
        head='content-type: application/json'
        id=$(curl -sf -H "$head" -d '{"mode":"replay"}' $SOFTPROBE_RUNTIME_URL/v1/sessions | sed 's/.*"sessionId":"\([^"]*\)".*/\1/')
        [ "$1" = lax ] || curl -sf -o /dev/null -H "$head" -d '{"externalHttp":"strict"}' $SOFTPROBE_RUNTIME_URL/v1/sessions/$id/policy
        curl -sf -o /dev/null -d '' $SOFTPROBE_RUNTIME_URL/v1/sessions/$id/close
        curl -s -o /dev/null -x $HTTP_PROXY -H "tracestate: x-softprobe-session-id=$id" http://late.invalid/x
        exit $2"#;
    project.write("late.sh", script);
    let exec = |args: [&str; 2]| {
        let mut exec = softprobe(&[&["exec", "--", "sh", "late.sh"], &args[..]].concat());
        Output::of(exec.current_dir(project.path()))
    };
    exec(["strict", "0"]).ends(
        20,
        &[
            "after session sess_",
            "GET late.invalid/x",
            "1 calls of closed sessions were missed",
        ],
    );
    exec(["strict", "3"]).ends(3, &["GET late.invalid/x"]);
    exec(["lax", "0"]).ends(0, &["GET late.invalid/x"]);
}

#[test]
#[cfg(target_os = "linux")]
fn exec_ends_with_everything_on_a_signal() {
    let project = Project::new();
    let mark = Mark::new();
    let variable = format!("SOFTPROBE_TEST_MARK={}", mark.0);
    // The command inherits this one.
    let own = Mark::new();
    let shell = shell_command();
    let args = [
        "exec",
        "--app-env",
        "SOFTPROBE_TEST_APP=",
        "--app-env",
        &variable,
        "--app-command",
        &shell,
    ];
    for (signal, code) in [("INT", 130), ("TERM", 143), ("KILL", -1)] {
        let command = softprobe(
            &[
                &args[..],
                &[
                    "--",
                    "sh",
                    "-c",
                    "sleep 3600 & echo begun; sleep 3600; true",
                ],
            ]
            .concat(),
        );
        let mut command = through("setsid", &[], &command);
        command
            .env("SOFTPROBE_TEST_MARK", &own.0)
            .current_dir(project.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let _watch = watch(&child);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "begun\n");
        kill(&child, signal);
        assert_eq!(child.wait().unwrap().code().unwrap_or(-1), code);
        mark.wait("it should end", <[String]>::is_empty);
        own.wait("the command should end", <[String]>::is_empty);
    }
}

#[test]
fn the_doctor_launches_an_application_and_says_what_works() {
    let project = Project::new();
    let upstream = "a.example/config";
    let doctor = |env: &[&str], more: &[&str]| {
        let env: Vec<&str> = env
            .iter()
            .flat_map(|variable| ["--app-env", variable])
            .collect();
        let mut doctor = softprobe(&[&["doctor"], &env[..], more].concat());
        Output::of(doctor.current_dir(project.path()))
    };
    let shell = shell_command();
    let words: Vec<&str> = shell
        .split(' ')
        .map(|word| word.trim_matches('\''))
        .collect();
    let command = [&["--"], &words[..]].concat();
    let call = format!("SOFTPROBE_TEST_CALL={upstream}");
    doctor(&["SOFTPROBE_TEST_APP=calls", &call], &command).ends(
        0,
        &[
            "ok       starts",
            "ok       listens          at http://127.0.0.1:",
            "unclear  start-up calls   while it started it called GET a.example/config, answered with 599",
            "ok       application      http://127.0.0.1:",
            "unclear  proxy            no call came through the proxy: give a --probe",
            "ok       ends             with everything that it started",
        ],
    );
    doctor(&["SOFTPROBE_TEST_APP=ends"], &command).ends(
        10,
        &[
            "fault    listens          it ended before it was ready (exit status: 3)",
            "there is no database",
        ],
    );
    doctor(&[], &["--", "no-such-program"]).ends(
        10,
        &["fault    starts           there is no program no-such-program on PATH"],
    );
}

#[test]
fn env_prints_what_an_application_started_by_hand_needs() {
    let project = Project::new();
    let env = |args: &[&str]| {
        let mut env = softprobe(&[&["env", "--files", "files"], args].concat());
        Output::of(
            env.current_dir(project.path())
                .env("NODE_OPTIONS", "--no-deprecation")
                .env_remove("PYTHONPATH"),
        )
    };
    let folder = project.path().join("files");
    let node = format!(
        "export NODE_OPTIONS='--no-deprecation --require {}/node/softprobe.cjs'\n",
        folder.display()
    );
    let shell = env(&["--proxy-listen", "127.0.0.1:4199"]);
    shell.ends(
        0,
        &[
            "export HTTP_PROXY=http://127.0.0.1:4199\n",
            "export NO_PROXY=''\n",
            &node,
        ],
    );
    let script = format!("{}\nexec \"$0\" \"$@\"", shell.stdout);
    let inner = softprobe(&[
        "env",
        "--files",
        "files",
        "--proxy-listen",
        "127.0.0.1:4199",
    ]);
    let mut again = through("sh", &["-c", &script], &inner);
    let again = Output::of(again.current_dir(project.path()));
    assert_eq!(again.stdout, shell.stdout);
    env(&["--dotenv"]).ends(
        0,
        &[
            "HTTP_PROXY=http://127.0.0.1:4100\nhttp_proxy=",
            "\nNO_PROXY=\n",
        ],
    );
    let document = env(&["--json"]).document();
    assert_eq!(
        document["variables"]["PYTHONPATH"],
        json!(folder.join("python"))
    );
    assert!(folder.join("python/sitecustomize.py").is_file());
}
