//! What takes minutes: thousands of interrupts, a million calls, memory over time. `just endure` runs these tests one
//! after the other and shows their figures; each can be run alone, and `COUNT` sets how much it does.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::command::{Served, softprobe};
#[cfg(target_os = "linux")]
use crate::launch::{Mark, family};
use crate::server::{call, start};
use crate::support::{
    LIMIT, Project, Stub, attribute, document, http, read_answer, response_body, send, span, watch,
};

/// Returns `COUNT`, or how much is done without it.
fn count(usual: u64) -> u64 {
    std::env::var("COUNT").map_or(usual, |count| count.parse().unwrap())
}

/// Prints a figure, past libtest's capture.
fn tell(line: &str) {
    std::io::stderr()
        .write_all(format!("  {line}\n").as_bytes())
        .unwrap();
}

fn post(server: SocketAddr, path: &str, body: &Value) -> Value {
    let answer = call(server, &format!("POST {path}"), "", &body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Returns the processes whose parent this is.
fn children(pid: u32) -> Vec<String> {
    let output = Command::new("ps")
        .args(["-o", "pid=", "--ppid", &pid.to_string()])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

fn is_alive(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

/// A suite of twelve cases with hooks in both languages, one of which takes its time, and an application that does.
fn slow_project() -> (Project, Stub) {
    let project = Project::new();
    for n in 0..12 {
        let inbound = span(
            1,
            "inbound",
            &format!("GET shop.example/{n}"),
            Some(200),
            &[response_body("{}")],
        );
        project.write(
            &format!("cases/{n}.case.json"),
            document(&[inbound]).to_string(),
        );
    }
    project.write(
        "hooks/a.py",
        "import time\ndef check(**_): time.sleep(0.05); return []\n",
    );
    project.write("hooks/b.mjs", "export const look = () => [];\n");
    project.write(
        "s.suite.yaml",
        "name: s\ncases: cases/*.case.json\nhooks: [ hooks/a.py, hooks/b.mjs ]\n\
         assertions: { body: { custom: a.check }, headers: { custom: b.look } }\n",
    );
    let app = Stub::start(|_| {
        std::thread::sleep(Duration::from_millis(30));
        http(200, &[], "{}")
    });
    (project, app)
}

struct Interrupted {
    code: Option<i32>,
    took: Duration,
}

/// Starts a run, ends it with a signal after a while, and checks that nothing is left.
fn interrupt(
    project: &Project,
    app: &Stub,
    runtime: Option<&str>,
    signal: &str,
    after: Duration,
    temporary: &Path,
) -> Interrupted {
    let app = app.url();
    let mut args = vec![
        "suite",
        "run",
        "s.suite.yaml",
        "--app-url",
        &app,
        "--proxy-listen",
        "127.0.0.1:0",
    ];
    args.extend(["--parallel", "4"]);
    args.extend(runtime.iter().flat_map(|url| ["--runtime-url", url]));
    let mut child = softprobe(&args)
        .current_dir(project.path())
        .env("TMPDIR", temporary)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _watch = watch(&child);
    std::thread::sleep(after);
    let hooks = children(child.id());
    let sent = Instant::now();
    let pid = child.id().to_string();
    let _ = Command::new("kill")
        .args([signal, &pid])
        .stderr(Stdio::null())
        .status();
    let code = child.wait().unwrap().code();
    let took = sent.elapsed();
    let deadline = Instant::now() + Duration::from_secs(2);
    while hooks.iter().any(|pid| is_alive(pid)) {
        assert!(
            Instant::now() < deadline,
            "{signal}: a hook's process is left"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(
        std::fs::read_dir(temporary).unwrap().count(),
        0,
        "{signal}: a temporary file is left"
    );
    Interrupted { code, took }
}

#[test]
#[ignore = "takes minutes; run it with `just endure`"]
fn interrupts_leave_nothing_behind() {
    let (project, app) = slow_project();
    let temporary = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    for runtime in [false, true] {
        for signal in ["-INT", "-TERM", "-HUP", "-QUIT", "-KILL"] {
            let served = Served::start(&[]).endures();
            let url = served.url();
            let url = runtime.then_some(url.as_str());
            let runs = count(200) / 2;
            let (mut slowest, mut codes) = (Duration::ZERO, BTreeMap::new());
            for _ in 0..runs {
                let after = Duration::from_millis(random.u64(0..700));
                let ended = interrupt(&project, &app, url, signal, after, temporary.path());
                slowest = slowest.max(ended.took);
                *codes.entry(ended.code).or_insert(0_u64) += 1;
                if signal != "-KILL" {
                    let open = call(served.address(), "GET /v1/sessions", "", "").json();
                    assert_eq!(open["sessions"], json!([]), "{signal}: a session is left");
                }
            }
            assert!(slowest < Duration::from_secs(5), "{signal}: {slowest:?}");
            let place = if runtime { "remote" } else { "local" };
            tell(&format!(
                "{runs} runs, {place} runtime, {signal}: no process, no temporary file, no session left; at most {slowest:.1?} to \
                 the end; exit codes {codes:?}"
            ));
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "takes minutes; run it with `just endure`"]
fn launched_applications_leave_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(9);
    for signal in ["-INT", "-TERM", "-HUP", "-QUIT", "-KILL"] {
        let runs = count(200) / 2;
        let (mut slowest, mut codes) = (Duration::ZERO, BTreeMap::new());
        for _ in 0..runs {
            let mark = Mark::new();
            let project = crate::launch::project(&["a", "hang"], &family(&mark, ""));
            let mut child = softprobe(&["suite", "run", "s.suite.yaml"])
                .current_dir(project.path())
                .env("TMPDIR", temporary.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let _watch = watch(&child);
            std::thread::sleep(Duration::from_millis(random.u64(0..400)));
            let sent = Instant::now();
            let pid = child.id().to_string();
            let _ = Command::new("kill")
                .args([signal, &pid])
                .stderr(Stdio::null())
                .status();
            let code = child.wait().unwrap().code();
            slowest = slowest.max(sent.elapsed());
            *codes.entry(code).or_insert(0_u64) += 1;
            if code.is_some() {
                assert_eq!(mark.processes(), [""; 0], "{signal}: a process is left");
            }
            // What is killed leaves the rest to its keeper.
            mark.wait("it should end", <[String]>::is_empty);
            let deadline = Instant::now() + LIMIT;
            while std::fs::read_dir(temporary.path()).unwrap().count() > 0 {
                assert!(
                    Instant::now() < deadline,
                    "{signal}: a temporary file is left"
                );
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        assert!(slowest < Duration::from_secs(5), "{signal}: {slowest:?}");
        tell(&format!(
            "{runs} launches, {signal}: no process, no temporary file left; at most {slowest:.1?} to the end; exit codes {codes:?}"
        ));
    }
}

#[test]
#[ignore = "takes minutes; run it with `just endure`"]
fn sessions_do_not_see_each_other() {
    const SESSIONS: u64 = 64;
    let served = Served::start(&[]).endures();
    let calls = count(1_000_000) / SESSIONS;
    let started = Instant::now();
    let wrong = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..SESSIONS {
            let id = start(
                served.address(),
                &json!({"mode": "replay", "policy": {"externalHttp": "strict"}}),
            );
            let mock = json!({"when": {"host": "a.example"}, "then": {"action": "mock", "response": {"body": id}}});
            post(
                served.address(),
                &format!("/v1/sessions/{id}/rules"),
                &json!({"rules": [mock]}),
            );
            let (wrong, proxy) = (&wrong, served.proxy());
            scope.spawn(move || {
                let mut stream = TcpStream::connect(proxy).unwrap();
                stream.set_read_timeout(Some(LIMIT)).unwrap();
                stream.set_nodelay(true).unwrap();
                let head = format!("GET http://a.example/ HTTP/1.1\r\nhost: a\r\nx-softprobe-session-id: {id}\r\n\r\n");
                for _ in 0..calls {
                    stream.write_all(head.as_bytes()).unwrap();
                    if read_answer(&mut stream, false).text() != id {
                        wrong.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner();
    tell(&format!(
        "{} calls from {SESSIONS} sessions in {:.0?}: {wrong} with another session's answer",
        calls * SESSIONS,
        started.elapsed()
    ));
    assert_eq!(wrong, 0);
}

/// Returns the memory of a process, in megabytes.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[test]
#[ignore = "takes ten minutes; run it with `just endure`"]
fn memory_does_not_grow_with_time() {
    let length = Duration::from_secs(count(600));
    let upstream = Stub::json(200, &json!({"from": "upstream"}));
    let url = upstream.url();
    let served = Served::start(&[]).endures();
    let (server, proxy) = (served.address(), served.proxy());
    let done = AtomicBool::new(false);
    let calls = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let id = start(server, &json!({"mode": "capture"}));
                    for n in 0..100 {
                        let body = "x".repeat(n * 100);
                        let head = format!(
                            "POST {url}/{n} HTTP/1.1\r\nhost: a\r\nx-softprobe-session-id: {id}\r\ncontent-length: {}\r\n\r\n{body}",
                            body.len()
                        );
                        assert_eq!(send(proxy, head).status, 200);
                        calls.fetch_add(1, Ordering::Relaxed);
                    }
                    // A call of no session, and one of a session that is gone.
                    let _ = send(proxy, "GET http://a.example/x HTTP/1.1\r\nhost: a\r\nx-softprobe-session-id: gone\r\n\r\n");
                    let _ = call(server, &format!("POST /v1/sessions/{id}/close"), "", "");
                }
            });
        }
        std::thread::sleep(length / 10);
        let early = memory(served.pid());
        std::thread::sleep(length - length / 10);
        let late = memory(served.pid());
        done.store(true, Ordering::Relaxed);
        tell(&format!(
            "{} calls in {} s: {early} MB after a tenth of the time, {late} MB at its end",
            calls.load(Ordering::Relaxed),
            length.as_secs()
        ));
        assert!(late < early + 32, "{early} MB, then {late} MB");
    });
}

#[test]
#[ignore = "opens many connections; run it with `just endure`"]
fn delayed_answers_hold_up_no_other() {
    let served = Served::start(&[]).endures();
    let id = start(served.address(), &json!({"mode": "replay"}));
    let rules = json!({"rules": [
        {"when": {"path": "/late"}, "then": {"action": "mock", "response": {"body": "late", "latencyMs": 600_000}}},
        {"when": {"path": "/now"}, "then": {"action": "mock", "response": {"body": "now"}}},
    ]});
    post(
        served.address(),
        &format!("/v1/sessions/{id}/rules"),
        &rules,
    );
    let (_proxy, address) = proxy(&served.url());
    let head = |path: &str| {
        format!(
            "GET http://a.example{path} HTTP/1.1\r\nhost: a\r\nx-softprobe-session-id: {id}\r\n\r\n"
        )
    };
    let late: Vec<TcpStream> = (0..count(600))
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(head("/late").as_bytes()).unwrap();
            stream
        })
        .collect();
    let asked = Instant::now();
    assert_eq!(send(address, head("/now")).text(), "now");
    tell(&format!(
        "beside {} delayed answers, another one took {:.1?}",
        late.len(),
        asked.elapsed()
    ));
}

#[test]
#[ignore = "holds hundreds of megabytes; run it with `just endure`"]
fn a_capture_that_memory_does_not_hold_leaves_its_session_open() {
    let served = Served::start(&[]);
    let server = served.address();
    let id = start(server, &json!({"mode": "capture"}));
    let body = response_body(&"x".repeat(34 * 1024 * 1024));
    for n in 1..=2 {
        let more = [body.clone(), attribute("sp.session.id", &id)];
        let span = span(n, "outbound", "GET a.example/x", Some(200), &more);
        let spans = json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]});
        let taken = call(
            server,
            "POST /v1/traces",
            "content-type: application/json\r\n",
            &spans.to_string(),
        );
        assert_eq!(taken.status, 204, "{}", taken.text());
    }
    let close = || call(server, &format!("POST /v1/sessions/{id}/close"), "", "");
    let refused = close();
    assert_eq!(refused.status, 507);
    assert_eq!(refused.json()["error"]["code"], "capture_not_written");
    assert!(refused.text().contains("the session is still open"));
    // Whoever has it may close the session.
    let case = call(server, &format!("GET /v1/sessions/{id}/case"), "", "");
    assert!(case.body.len() > 68 * 1024 * 1024);
    assert_eq!(close().status, 200);
    assert_eq!(
        call(server, &format!("GET /v1/captures/{id}"), "", "").status,
        404
    );
}

/// A process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `softprobe proxy` in front of a runtime.
fn proxy(runtime: &str) -> (Ended, SocketAddr) {
    let args = ["proxy", "--listen", "127.0.0.1:0", "--runtime-url", runtime];
    let mut child = softprobe(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).unwrap();
    let address = address.split(',').next().unwrap().trim().parse().unwrap();
    // The rest of its output is of no interest, but has to go somewhere.
    std::thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
    (Ended(child), address)
}
