//! A runtime elsewhere that breaks in every way: no run is green, none hangs, and each says what happened.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc;

use serde_json::json;
use softprobe::{ControlServer, EmbeddedRuntime};

use crate::command::{Output, Served, run_in, softprobe};
use crate::support::{LIMIT, Project, Received, Stub, http, through, watch};

/// Runs a case with a runtime that answers a request as `respond` says; without an answer of its own, as a runtime does
/// that knows one session.
fn run(respond: impl Fn(&Received) -> Option<Vec<u8>> + Send + Sync + 'static) -> Output {
    let runtime = Stub::start(move |request| {
        respond(request).unwrap_or_else(|| {
            let answer = json!({
                "status": "ok", "specVersion": "http-control-api@v1", "sessionId": "sess_1", "sessionRevision": 1,
                "closed": true, "stats": {}, "requests": [], "dropped": 0,
            });
            let headers = [("content-type", "application/json")];
            http(200, &headers, answer.to_string())
        })
    });
    replay(&runtime.url())
}

fn replay(runtime: &str) -> Output {
    let app = Stub::json(200, &json!({}));
    let project = Project::with_answer(200, "{}", "name: s\ncases: a.case.json\n");
    let args = [
        "suite",
        "run",
        "s.suite.yaml",
        "--app-url",
        &app.url(),
        "--runtime-url",
        runtime,
    ];
    run_in(project.path(), &args)
}

fn is_start(request: &Received) -> bool {
    request.line.starts_with("POST /v1/sessions ")
}

#[test]
fn a_runtime_that_is_whole_lets_the_case_pass() {
    run(|_| None).ends(0, &["1 passed"]);
}

#[test]
fn a_runtime_that_freezes_fails_the_run() {
    std::thread::scope(|scope| {
        for at in ["GET /health ", "POST /v1/sessions ", "/close"] {
            scope.spawn(move || {
                let (frozen, is_frozen) = mpsc::channel::<()>();
                let is_frozen = Mutex::new(is_frozen);
                let output = run(move |request| {
                    if request.line.contains(at) {
                        let _ = is_frozen.lock().unwrap().recv_timeout(LIMIT);
                    }
                    None
                });
                let code = if at.contains("health") { 3 } else { 20 };
                output.ends(code, &["gave no answer to"]);
                drop(frozen);
            });
        }
    });
}

#[test]
fn a_runtime_that_breaks_off_or_talks_nonsense_fails_the_run() {
    let json = [("content-type", "application/json")];
    let answers: [(Vec<u8>, &str); 6] = [
        (Vec::new(), "no runtime answers at"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec(),
            "no runtime answers at",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "no runtime answers at"),
        (http(200, &json, "<html>"), "does not speak the control API"),
        (
            http(200, &json, "{\"sessionId\": 7}"),
            "does not speak the control API",
        ),
        (
            http(
                500,
                &json,
                "{\"error\": {\"code\": \"internal_error\", \"message\": \"out of luck\"}}",
            ),
            "out of luck",
        ),
    ];
    for (answer, words) in answers {
        let shown = String::from_utf8_lossy(&answer).into_owned();
        let output = run(move |request| is_start(request).then(|| answer.clone()));
        assert_eq!(
            output.code, 20,
            "{shown}: {}{}",
            output.stdout, output.stderr
        );
        output.ends(20, &[words, "can't be judged"]);
    }
}

#[test]
fn a_runtime_that_disappears_fails_the_run_and_serves_the_next_one() {
    // The port stays the same, so that the runtime can come back.
    let runtime = EmbeddedRuntime::new();
    let server = ControlServer::start(&runtime).unwrap();
    let address = server.address();
    let url = server.url();
    replay(&url).ends(0, &["1 passed"]);
    drop(server);
    replay(&url).ends(3, &["no runtime answers at"]);
    let again = ControlServer::builder(&runtime).listen(address.to_string());
    let _server = again.start().unwrap();
    replay(&url).ends(0, &["1 passed"]);
}

#[test]
fn a_full_disk_loses_no_verdict_and_no_capture() {
    let app = Stub::json(200, &json!({}));
    let project = Project::with_answer(200, "{}", "name: s\ncases: a.case.json\n");
    // No file may be larger than this many blocks; without the signal, writing more is an error.
    let limited = |args: &[&str], blocks: u32| {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut limited = through("bash", &["-c", &script], &softprobe(args));
        limited.current_dir(project.path());
        limited
    };
    let args = [
        "suite",
        "run",
        "s.suite.yaml",
        "--app-url",
        &app.url(),
        "--junit",
        "j.xml",
    ];
    let mut command = limited(&args, 0);
    Output::of(&mut command).ends(1, &["j.xml: can't be written"]);

    let captures = project.path().join("captures");
    let serve = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--proxy",
        "127.0.0.1:0",
        "--captures",
        captures.to_str().unwrap(),
    ];
    let served = Served::of(&mut limited(&serve, 1));
    let session = crate::server::start(served.address(), &json!({"mode": "capture"}));
    let large = Stub::start(|_| http(200, &[], "x".repeat(10_000)));
    let head = format!("GET {}/x HTTP/1.1\r\nhost: a\r\n\r\n", large.url());
    assert_eq!(crate::support::send(served.proxy(), head).status, 200);
    let path = format!("/v1/sessions/{session}");
    let close = format!("POST {path}/close?out=a.case.json");
    let refused = crate::server::call(served.address(), &close, "", "");
    assert_eq!(refused.status, 507, "{}", refused.text());
    assert!(
        refused.text().contains("the session is still open"),
        "{}",
        refused.text()
    );
    // It can be asked for in another way, and nothing half-written is left.
    let whole = crate::server::call(served.address(), &format!("GET {path}/case"), "", "");
    assert_eq!(whole.status, 200);
    assert_eq!(std::fs::read_dir(&captures).unwrap().count(), 0);
}

#[test]
fn a_runtime_that_answers_late_lets_the_case_pass() {
    let (asked, is_asked) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (asked, released) = (Mutex::new(asked), Mutex::new(released));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            is_asked.recv_timeout(LIMIT).unwrap();
            release.send(()).unwrap();
        });
        run(move |request| {
            if is_start(request) {
                asked.lock().unwrap().send(()).unwrap();
                released.lock().unwrap().recv_timeout(LIMIT).unwrap();
            }
            None
        })
        .ends(0, &["1 passed"]);
    });
}

#[test]
fn a_proxy_without_free_descriptors_waits_and_goes_on() {
    let script = "ulimit -n 40; exec \"$0\" \"$@\"";
    let serve = ["serve", "--listen", "127.0.0.1:0", "--proxy", "127.0.0.1:0"];
    let mut command = through("bash", &["-c", script], &softprobe(&serve));
    let piped = std::process::Stdio::piped;
    let mut child = command.stdout(piped()).stderr(piped()).spawn().unwrap();
    let _watch = watch(&child);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let (mut runtime, mut proxy) = (String::new(), String::new());
    stdout.read_line(&mut runtime).unwrap();
    stdout.read_line(&mut proxy).unwrap();
    let address = proxy.trim().rsplit("http://").next().unwrap();
    // More connections than there are descriptors; those that are not accepted wait.
    let open: Vec<TcpStream> = (0..60)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.contains("can't accept a connection"), "{line}");
    let mut last = open.last().unwrap();
    last.set_read_timeout(Some(LIMIT)).unwrap();
    last.write_all(b"GET /x HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .unwrap();
    // Descriptors become free, and the last one gets its answer.
    for stream in &open[..59] {
        stream.shutdown(std::net::Shutdown::Both).unwrap();
    }
    let mut answer = String::new();
    last.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("this is a proxy"), "{answer}");
    child.kill().unwrap();
    child.wait().unwrap();
}
