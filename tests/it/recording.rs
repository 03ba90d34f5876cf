//! Recordings: an application, what is sent to it and what it calls, and the cases that come of that.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::command::{Output, softprobe};
use crate::support::{
    Answer, LIMIT, Project, Received, Stub, Watch, http, read_answer, send, watch,
};

/// Not a test in itself: the application that the tests record. The path of a request says what it does:
/// `/<way>/<id>`.
#[test]
fn application_process() {
    if std::env::var_os("SOFTPROBE_TEST_RECORDED").is_none() {
        return;
    }
    println!();
    let port: u16 = std::env::var("PORT").unwrap().parse().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    if let Ok(call) = std::env::var("SOFTPROBE_TEST_STARTUP_CALL") {
        get(&call, "");
    }
    if let Ok(call) = std::env::var("SOFTPROBE_TEST_TIMER") {
        std::thread::spawn(move || {
            loop {
                get(&call, "");
                std::thread::sleep(Duration::from_millis(20));
            }
        });
    }
    for stream in listener.incoming() {
        std::thread::spawn(move || serve(stream.unwrap()));
    }
}

/// Calls a URL through the proxy, with these header lines.
fn get(url: &str, headers: &str) -> Answer {
    call("GET", url, headers, b"")
}

fn proxy() -> SocketAddr {
    let proxy = std::env::var("HTTP_PROXY").unwrap();
    proxy.strip_prefix("http://").unwrap().parse().unwrap()
}

fn begin(method: &str, url: &str, headers: &str, body: &[u8]) -> TcpStream {
    let host = url.strip_prefix("http://").unwrap();
    let host = host.split('/').next().unwrap();
    let mut stream = TcpStream::connect(proxy()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let head = format!(
        "{method} {url} HTTP/1.1\r\nhost: {host}\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    stream
}

fn call(method: &str, url: &str, headers: &str, body: &[u8]) -> Answer {
    read_answer(&mut begin(method, url, headers, body), method == "HEAD")
}

/// Answers one request.
fn serve(mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    let _ = reader.read_line(&mut line);
    let Some(target) = line.split(' ').nth(1) else {
        return;
    };
    let method = line.split(' ').next().unwrap().to_owned();
    let (mut traced, mut length, mut chunked) = (String::new(), 0, false);
    let mut header = String::new();
    while reader.read_line(&mut header).is_ok_and(|n| n > 2) {
        let lower = header.to_ascii_lowercase();
        if lower.starts_with("tracestate:") || lower.starts_with("traceparent:") {
            traced.push_str(&header);
        }
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        chunked |= lower.starts_with("transfer-encoding:");
        header.clear();
    }
    let mut steps = target.trim_start_matches('/').splitn(2, '/');
    let (way, id) = (steps.next().unwrap(), steps.next().unwrap_or_default());
    let upstream = std::env::var("SOFTPROBE_TEST_RECORDED").unwrap();
    let url = |what: &str| format!("{upstream}/{what}/{id}");
    let traced = traced.as_str();
    let shown = |answer: &Answer| json!({"status": answer.status, "body": answer.text()});
    let json_type = [("content-type", "application/json")];
    let answer = match way {
        "named" => json!([shown(&get(&url("a"), traced)), shown(&get(&url("b"), traced))]),
        "unnamed" => json!([shown(&get(&url("a"), "")), shown(&get(&url("b"), ""))]),
        // One of two clients carries the headers on.
        "mixed" => json!([shown(&get(&url("a"), traced)), shown(&get(&url("b"), ""))]),
        "none" => json!([]),
        "late" => {
            let (url, traced) = (url("late"), traced.to_owned());
            std::thread::spawn(move || get(&url, &traced));
            json!([])
        }
        // Itself by the address that it is known by.
        "self" | "self-unnamed" => {
            let own = std::env::var("SOFTPROBE_TEST_OWN").unwrap();
            let (traced, inner) = match way {
                "self" => (traced, "named"),
                _ => ("", "unnamed"),
            };
            let answers = [
                get(&format!("{own}/{inner}/{id}"), traced),
                get(&url("after"), traced),
            ];
            json!(answers.each_ref().map(shown))
        }
        // Itself past the proxy, as Go and Ruby do it.
        "self-past" => {
            let own = std::env::var("SOFTPROBE_TEST_OWN").unwrap();
            let own: SocketAddr = own.strip_prefix("http://").unwrap().parse().unwrap();
            let head = format!("GET /unnamed/{id} HTTP/1.1\r\nhost: own\r\n\r\n");
            json!([shown(&send(own, head))])
        }
        // It waits for the start of an answer, and takes no more of it.
        "events" => {
            let mut call = begin("GET", &url("events"), traced, b"");
            let mut seen = Vec::new();
            while !String::from_utf8_lossy(&seen).contains("data: 2") {
                let mut byte = [0];
                call.read_exact(&mut byte).unwrap();
                seen.push(byte[0]);
            }
            json!(["seen"])
        }
        // It gives a call up that takes too long.
        "impatient" => {
            let mut call = begin("GET", &url("slow"), traced, b"");
            call.set_read_timeout(Some(Duration::from_millis(300)))
                .unwrap();
            json!([call.read(&mut [0]).is_ok_and(|count| count > 0)])
        }
        // What its call ended in.
        "breaks" => {
            let (what, host) = id.split_once('/').unwrap();
            let url = match what {
                "upstream" => format!("{upstream}/reset"),
                _ => format!("http://{host}/x"),
            };
            let mut call = begin("GET", &url, traced, b"");
            let mut got = Vec::new();
            let read = call.read_to_end(&mut got);
            let status = got.get(9..12).map(|s| String::from_utf8_lossy(s).into_owned());
            json!({"status": status, "broken": read.is_err() || got.is_empty()})
        }
        "headers" => json!([shown(&call("HEAD", &url("head"), traced, b""))["status"]]),
        "bytes" => {
            let answer = get(&url("bytes"), traced);
            json!([answer.body.len()])
        }
        "upload" => {
            let mut seen = 0;
            if chunked {
                let mut rest = Vec::new();
                reader.read_to_end(&mut rest).unwrap();
                seen = rest.len();
            } else {
                let mut piece = vec![0; 64 * 1024];
                while seen < length {
                    let most = piece.len().min(length - seen);
                    let count = reader.read(&mut piece[..most]).unwrap();
                    assert!(count > 0);
                    seen += count;
                }
            }
            json!([seen])
        }
        "stream" => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
            let mut sent = stream.write_all(head.as_bytes());
            for n in 0.. {
                if sent.is_err() {
                    return;
                }
                sent = stream.write_all(format!("data: {n}\n\n").as_bytes());
                std::thread::sleep(Duration::from_millis(5));
            }
            return;
        }
        "silent" => return,
        "login" => {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let sent: Value = serde_json::from_slice(&body).unwrap();
            let key = std::env::var("SOFTPROBE_TEST_KEY").unwrap();
            let charge = json!({"password": key, "n": 1}).to_string();
            let headers = format!("{traced}content-type: application/json\r\n");
            let url = format!("{}?api_key={key}", url("charge"));
            let answer = call("POST", &url, &headers, charge.as_bytes());
            json!({"user": sent["user"], "access_token": key, "odd": sent["odd"], "charge": answer.status})
        }
        _ => json!(format!("{method} {target}")),
    };
    let body = answer.to_string();
    let _ = stream.write_all(&http(200, &json_type, if method == "HEAD" { "" } else { &body }));
}

/// The words that launch [`application_process`].
fn application() -> Vec<String> {
    let program = std::env::current_exe().unwrap();
    let program = program.to_string_lossy().into_owned();
    let rest = ["--exact", "recording::application_process", "--nocapture"];
    std::iter::once(program)
        .chain(rest.map(str::to_owned))
        .collect()
}

/// A dependency of the application: answers with its path and counts what it is asked.
fn dependency() -> Stub {
    Stub::start(answer_of_dependency)
}

fn answer_of_dependency(request: &Received) -> Vec<u8> {
    let target = request.line.split(' ').nth(1).unwrap();
    let step = target.trim_start_matches('/').split(['/', '?']).next().unwrap();
    let json_type = ("content-type", "application/json");
    match step {
        "head" => {
            b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\nconnection: close\r\n\r\n".to_vec()
        }
        // Though nobody has asked for it.
        "bytes" => {
            let mut packed = Vec::new();
            flate2::read::GzEncoder::new(&b"\xff\x00plain"[..], flate2::Compression::fast())
                .read_to_end(&mut packed)
                .unwrap();
            http(200, &[("content-encoding", "gzip")], packed)
        }
        "charge" => http(201, &[json_type], "{\"id\":\"ch_1\"}"),
        _ => http(200, &[json_type], json!({"of": target}).to_string()),
    }
}

/// A recording that goes on until it is interrupted.
struct Recording {
    child: Child,
    _watch: Watch,
    url: String,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Recording {
    fn command(project: &Project, upstream: &str, more: &[&str]) -> Command {
        let application = application();
        let mut args = vec![
            "capture",
            "run",
            "--out",
            "cases",
            "--suite",
            "suites/first.suite.yaml",
        ];
        args.extend(more);
        args.push("--");
        args.extend(application.iter().map(String::as_str));
        let mut command = softprobe(&args);
        command
            .current_dir(project.path())
            .env("SOFTPROBE_TEST_RECORDED", upstream)
            .env("SOFTPROBE_TEST_KEY", "key-0123456789abc");
        command
    }

    fn start(project: &Project, upstream: &Stub, more: &[&str]) -> Self {
        Self::of(&mut Self::command(project, &upstream.url(), &[more, &["--json"]].concat()))
    }

    fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let watch = watch(&child);
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let url = loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "it did not start: {said}");
            if let Some((_, url)) = line.split_once("recording what is sent to ") {
                break url.split(',').next().unwrap().to_owned();
            }
            said += &line;
        };
        Self {
            child,
            _watch: watch,
            url,
            stderr,
        }
    }

    fn address(&self) -> SocketAddr {
        self.url.strip_prefix("http://").unwrap().parse().unwrap()
    }

    fn get(&self, path: &str) -> Answer {
        self.send("GET", path, b"")
    }

    fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let host = self.address();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        send(host, [head.as_bytes(), body].concat())
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Ends it as a person does, and returns what it says in the end.
    fn end(mut self) -> Output {
        self.signal("-INT");
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let mut out = self.child.stdout.take().unwrap();
        out.read_to_string(&mut stdout).unwrap();
        self.stderr.read_to_string(&mut stderr).unwrap();
        Output {
            code: self.child.wait().unwrap().code().unwrap_or(-1),
            stdout,
            stderr,
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Returns the cases in a folder, by the names of their files.
fn cases(project: &Project) -> BTreeMap<String, Value> {
    let folder = project.path().join("cases");
    let entries = std::fs::read_dir(folder).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    files
        .filter(|file| file.to_string_lossy().ends_with(".case.json"))
        .map(|file| {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            (name.trim_end_matches(".case.json").to_owned(), read(&file))
        })
        .collect()
}

fn read(file: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// Returns the spans of a case, each with its attributes by their names.
fn spans(case: &Value) -> Vec<BTreeMap<String, Value>> {
    let mut found = Vec::new();
    for trace in case["traces"].as_array().unwrap() {
        for resource in trace["resourceSpans"].as_array().unwrap() {
            for scope in resource["scopeSpans"].as_array().unwrap() {
                for span in scope["spans"].as_array().unwrap() {
                    let attributes = span["attributes"].as_array().unwrap().iter();
                    found.push(
                        attributes
                            .map(|a| (a["key"].as_str().unwrap().to_owned(), a["value"].clone()))
                            .collect(),
                    );
                }
            }
        }
    }
    found
}

fn text<'s>(span: &'s BTreeMap<String, Value>, name: &str) -> &'s str {
    let value = span.get(name).unwrap_or(&Value::Null);
    value["stringValue"]
        .as_str()
        .or_else(|| value["intValue"].as_str())
        .unwrap_or_default()
}

/// Returns the paths of the calls of a case, in order.
fn calls(case: &Value) -> Vec<String> {
    let spans = spans(case);
    let calls = spans
        .iter()
        .filter(|span| text(span, "sp.traffic.direction") == "outbound");
    calls.map(|call| text(call, "url.path").to_owned()).collect()
}

/// Replays the suite with the application launched as the suite says.
fn replay(project: &Project, upstream: &str) -> Output {
    let mut command = softprobe(&["suite", "run", "suites/first.suite.yaml"]);
    command
        .current_dir(project.path())
        .env("SOFTPROBE_TEST_RECORDED", upstream)
        .env("SOFTPROBE_TEST_KEY", "key-0123456789abc");
    Output::of(&mut command)
}

fn suite(project: &Project) -> String {
    std::fs::read_to_string(project.path().join("suites/first.suite.yaml")).unwrap()
}

#[test]
fn two_commands_lead_from_no_captures_to_a_green_replay() {
    let project = Project::new();
    let upstream = dependency();
    let driver = "for id in 1 2 3; do curl -sf $APP_URL/named/$id >> answers || exit 1; done";
    let mut command = Recording::command(&project, &upstream.url(), &["--driver", driver]);
    let recorded = Output::of(&mut command);
    recorded.ends(
        0,
        &[
            "GET /named/1",
            "cases/get-named-1.case.json",
            "recorded 3 cases",
            "wrote suites/first.suite.yaml; replay it with:\n\n  softprobe suite run suites/first.suite.yaml\n",
        ],
    );
    let cases = cases(&project);
    assert_eq!(cases.len(), 3);
    for (n, (name, case)) in cases.iter().enumerate() {
        let id = n + 1;
        assert_eq!(*name, format!("get-named-{id}"));
        assert_eq!(calls(case), [format!("/a/{id}"), format!("/b/{id}")]);
    }
    let suite = suite(&project);
    for line in [
        "cases: \"../cases/*.case.json\"",
        "  externalHttp: strict",
        "unused: fail",
        "  difference: fail",
        "mocks: auto",
    ] {
        assert!(suite.contains(line), "{line:?} is not in\n{suite}");
    }
    assert!(!suite.contains("concurrency"), "{suite}");
    // Its dependency is gone.
    let (url, asked) = (upstream.url(), upstream.received().len());
    assert_eq!(asked, 6);
    drop(upstream);
    replay(&project, &url).ends(0, &["3 passed"]);
    // What has changed is seen.
    let file = project.path().join("cases/get-named-2.case.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("/b/2", "/c/2")).unwrap();
    replay(&project, &url).ends(20, &["first::get-named-2", "/b/2", "2 passed; 1 failed"]);
}

#[test]
fn calls_belong_to_the_requests_that_cause_them() {
    let upstream = dependency();
    // Ways of an application, whether it names its sessions, and how it is replayed.
    for (ways, serial) in [
        (&["named"][..], false),
        (&["unnamed"], true),
        (&["named", "mixed"], true),
        (&["none", "named", "unnamed"], true),
    ] {
        let project = Project::new();
        let recording = Recording::start(&project, &upstream, &["--settle", "100"]);
        // The first ones show what it does; later ones are as many at a time as it is trusted with.
        let count = 12;
        std::thread::scope(|scope| {
            for way in ways {
                for id in 0..count {
                    let recording = &recording;
                    scope.spawn(move || {
                        let answer = recording.get(&format!("/{way}/{id}"));
                        assert_eq!(answer.status, 200, "{}", answer.text());
                    });
                }
            }
        });
        let said = recording.end();
        assert_eq!(said.code, 0, "{ways:?}: {}\n{}", said.stdout, said.stderr);
        let cases = cases(&project);
        assert_eq!(cases.len(), count * ways.len());
        for way in ways {
            for id in 0..count {
                let case = &cases[&format!("get-{way}-{id}")];
                let wanted = match *way {
                    "none" => vec![],
                    _ => vec![format!("/a/{id}"), format!("/b/{id}")],
                };
                assert_eq!(calls(case), wanted, "{ways:?}: {way} {id}");
            }
        }
        let suite = suite(&project);
        assert_eq!(suite.contains("concurrency: serial"), serial, "{suite}");
        replay(&project, &upstream.url()).ends(0, &[&format!("{} passed", cases.len())]);
    }
}

#[test]
fn a_thousand_requests_at_thirty_two_at_a_time_are_a_thousand_right_cases() {
    let project = Project::new();
    let upstream = dependency();
    let recording = Recording::start(&project, &upstream, &["--settle", "50"]);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                loop {
                    let id = next.fetch_add(1, Ordering::SeqCst);
                    if id >= 1000 {
                        break;
                    }
                    assert_eq!(recording.get(&format!("/named/{id}")).status, 200);
                }
            });
        }
    });
    let said = recording.end().document();
    assert_eq!(said["recorded"].as_array().unwrap().len(), 1000);
    let cases = cases(&project);
    assert_eq!(cases.len(), 1000);
    for id in 0..1000 {
        let case = &cases[&format!("get-named-{id}")];
        assert_eq!(calls(case), [format!("/a/{id}"), format!("/b/{id}")]);
    }
    replay(&project, &upstream.url()).ends(0, &["1000 passed"]);
}

#[test]
fn an_application_that_calls_itself_does_not_wait_for_itself() {
    let upstream = dependency();
    for (way, inner) in [
        ("self", "named"),
        ("self-unnamed", "unnamed"),
        ("self-past", "unnamed"),
    ] {
        let project = Project::new();
        let port = crate::support::free_port();
        let own = format!("127.0.0.1:{port}");
        let args = ["--listen", &own, "--json"];
        let mut command = Recording::command(&project, &upstream.url(), &args);
        let url = format!("http://{own}");
        let recording = Recording::of(command.env("SOFTPROBE_TEST_OWN", &url));
        std::thread::scope(|scope| {
            for id in 0..3 {
                let recording = &recording;
                scope.spawn(move || {
                    let answer = recording.get(&format!("/{way}/{id}"));
                    assert_eq!(answer.status, 200, "{}", answer.text());
                });
            }
        });
        let said = recording.end();
        assert_eq!(said.code, 0, "{way}: {}\n{}", said.stdout, said.stderr);
        let cases = cases(&project);
        assert_eq!(cases.len(), 6, "{way}");
        for id in 0..3 {
            let nested = &cases[&format!("get-{inner}-{id}")];
            assert_eq!(
                calls(nested),
                [format!("/a/{id}"), format!("/b/{id}")],
                "{way}"
            );
            let outer = &cases[&format!("get-{way}-{id}")];
            let wanted = match way {
                "self-past" => vec![],
                _ => vec![format!("/{inner}/{id}"), format!("/after/{id}")],
            };
            assert_eq!(calls(outer), wanted, "{way}");
        }
    }
}
