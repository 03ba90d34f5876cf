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
    Answer, LIMIT, Project, Received, Stub, Watch, free_port, http, read_answer, send, through,
    until, watch,
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
    if let Ok(start) = std::env::var("SOFTPROBE_TEST_STARTUP_POST") {
        let parts: Vec<&str> = start.split('|').collect();
        let headers = format!("content-type: {}\r\n", parts[1]);
        let answer = call("POST", parts[0], &headers, parts[2].as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
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
    let mut host = String::new();
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
        if let Some(value) = lower.strip_prefix("host:") {
            value.trim().clone_into(&mut host);
        }
        header.clear();
    }
    // An application that leaves some of a request unread resets the connection, its answer included.
    let mut sent_in_chunks = 0;
    if chunked {
        let mut size = String::new();
        while reader.read_line(&mut size).is_ok_and(|n| n > 2) {
            let mut chunk = vec![0; usize::from_str_radix(size.trim(), 16).unwrap() + 2];
            reader.read_exact(&mut chunk).unwrap();
            sent_in_chunks += chunk.len() - 2;
            if chunk.len() == 2 {
                break;
            }
            size.clear();
        }
    }
    let mut steps = target.trim_start_matches('/').splitn(2, '/');
    let (way, id) = (steps.next().unwrap(), steps.next().unwrap_or_default());
    let upstream = std::env::var("SOFTPROBE_TEST_RECORDED").unwrap();
    let url = |what: &str| format!("{upstream}/{what}/{id}");
    let traced = traced.as_str();
    let shown = |answer: &Answer| json!({"status": answer.status, "body": answer.text()});
    let json_type = [("content-type", "application/json")];
    let answer = match way {
        "named" => json!([
            shown(&get(&url("a"), traced)),
            shown(&get(&url("b"), traced))
        ]),
        "unnamed" => json!([shown(&get(&url("a"), "")), shown(&get(&url("b"), ""))]),
        // One of two clients carries the headers on.
        "mixed" => json!([shown(&get(&url("a"), traced)), shown(&get(&url("b"), ""))]),
        "none" => json!([]),
        // It answers and sends who it thinks a user is.
        "json" => {
            let user = match id {
                "masked" => std::env::var("SOFTPROBE_TEST_CONTACT").unwrap(),
                _ => std::env::var("SOFTPROBE_TEST_USER").unwrap_or_else(|_| "ada".to_owned()),
            };
            let value = json!({"user": user});
            let headers = format!("{traced}content-type: application/json\r\n");
            let body = value.to_string();
            call(
                "POST",
                &format!("{upstream}/charge"),
                &headers,
                body.as_bytes(),
            );
            value
        }
        // What a timer does, while a request is answered and after that.
        "tick" => {
            let ping = format!("{upstream}/ping/1");
            get(&ping, "");
            json!([shown(&get(&url("a"), traced))])
        }
        "tock" => {
            let ping = format!("{upstream}/ping/1");
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(300));
                get(&ping, "")
            });
            json!([])
        }
        "page" => {
            let contact = std::env::var("SOFTPROBE_TEST_CONTACT").unwrap();
            let page = format!("<p>Write to {contact}.</p>");
            let headers = format!("{traced}content-type: text/plain\r\n");
            call("POST", &url("mail"), &headers, page.as_bytes());
            let _ = stream.write_all(&http(200, &[("content-type", "text/html")], page));
            return;
        }
        "own" => {
            let own = format!("http://{host}/back");
            let headers = format!("{traced}content-type: application/json\r\n");
            let body = json!({"return": own}).to_string();
            call("POST", &url("pay"), &headers, body.as_bytes());
            json!({"at": own})
        }
        "odd" => {
            let answer = http(
                200,
                &[("content-encoding", "zstd")],
                "no zstd: s3cret-9876543210",
            );
            let _ = stream.write_all(&answer);
            return;
        }
        "hang" => {
            std::thread::sleep(LIMIT);
            return;
        }
        "slow" => {
            std::thread::sleep(Duration::from_millis(200));
            json!([shown(&get(&url("a"), traced))])
        }
        "get" => {
            let answer = get(&format!("{upstream}/{id}"), traced);
            json!([shown(&answer)])
        }
        // It has two requests at the same time, and calls without the headers.
        "together" => {
            static WAITING: AtomicUsize = AtomicUsize::new(0);
            WAITING.fetch_add(1, Ordering::SeqCst);
            until(|| WAITING.load(Ordering::SeqCst) > 1);
            json!([shown(&get(&url("a"), ""))])
        }
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
            let headers = format!("{traced}connection: close\r\n");
            let mut call = begin("GET", &url, &headers, b"");
            let mut got = Vec::new();
            let read = call.read_to_end(&mut got);
            let status = got
                .get(9..12)
                .map(|s| String::from_utf8_lossy(s).into_owned());
            json!({"status": status, "broken": read.is_err() || got.is_empty()})
        }
        "headers" => json!([shown(&call("HEAD", &url("head"), traced, b""))["status"]]),
        "bytes" => {
            let answer = get(&url("bytes"), traced);
            json!([answer.body.len()])
        }
        "upload" => {
            let mut seen = sent_in_chunks;
            let mut piece = vec![0; 64 * 1024];
            while seen < length {
                let most = piece.len().min(length - seen);
                let count = reader.read(&mut piece[..most]).unwrap();
                assert!(count > 0);
                seen += count;
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
    let _ = stream.write_all(&http(
        200,
        &json_type,
        if method == "HEAD" { "" } else { &body },
    ));
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
    let step = target
        .trim_start_matches('/')
        .split(['/', '?'])
        .next()
        .unwrap();
    let json_type = ("content-type", "application/json");
    match step {
        "head" => b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\nconnection: close\r\n\r\n".to_vec(),
        // Though nobody has asked for it.
        "bytes" => {
            let mut packed = Vec::new();
            flate2::read::GzEncoder::new(&b"\xff\x00plain"[..], flate2::Compression::fast())
                .read_to_end(&mut packed)
                .unwrap();
            http(200, &[("content-encoding", "gzip")], packed)
        }
        "hints" => [
            b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".to_vec(),
            http(200, &[json_type], "{\"hinted\":true}"),
        ]
        .concat(),
        "big" => http(200, &[json_type], json!("x".repeat(2 << 20)).to_string()),
        "trailers" => {
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\nconnection: close\r\n\r\n\
              2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n"
                .to_vec()
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
        Self::of(&mut Self::command(
            project,
            &upstream.url(),
            &[more, &["--json"]].concat(),
        ))
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
            assert!(
                stderr.read_line(&mut line).unwrap() > 0,
                "it did not start: {said}"
            );
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
        crate::support::kill(signal, self.child.id());
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
    calls
        .map(|call| text(call, "url.path").to_owned())
        .collect()
}

/// Replays the suite with the application launched as the suite says.
fn replay(project: &Project, upstream: &str) -> Output {
    let mut command = softprobe(&["suite", "run", "suites/first.suite.yaml"]);
    command
        .current_dir(project.path())
        .envs([("URL", "http://db.example"), ("API_KEY", "k")])
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
    let said = recording.end();
    let lost = &said.document()["notRecorded"];
    assert_eq!(said.code, 0, "{lost}\n{}", said.stderr);
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
        let port = free_port();
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

/// Returns the one recorded call of a case.
fn only_call(case: &Value) -> BTreeMap<String, Value> {
    let spans = spans(case).into_iter();
    let mut calls = spans.filter(|span| text(span, "sp.traffic.direction") == "outbound");
    let call = calls.next().unwrap();
    assert!(calls.next().is_none());
    call
}

/// A dependency that sends events until nobody takes them.
struct Events(SocketAddr);

impl Events {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    // What comes before a request is no answer to it.
                    let mut asked = Vec::new();
                    while !asked.ends_with(b"\r\n\r\n") {
                        let mut byte = [0];
                        if stream.read_exact(&mut byte).is_err() {
                            return;
                        }
                        asked.push(byte[0]);
                    }
                    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
                    let mut sent = stream.write_all(head.as_bytes());
                    for n in 0.. {
                        if sent.is_err() {
                            break;
                        }
                        sent = stream.write_all(format!("data: {n}\n\n").as_bytes());
                        std::thread::sleep(Duration::from_millis(5));
                    }
                });
            }
        });
        Self(address)
    }

    fn url(&self) -> String {
        format!("http://{}", self.0)
    }
}

#[test]
fn streams_without_end_are_recorded_as_far_as_they_are_taken() {
    let project = Project::new();
    let events = Events::start();
    let args = ["--settle", "50", "--json"];
    let recording = Recording::of(&mut Recording::command(&project, &events.url(), &args));
    assert_eq!(recording.get("/events/1").text(), "[\"seen\"]");
    // A client of the application takes some of an answer, and goes.
    let mut client = TcpStream::connect(recording.address()).unwrap();
    client
        .write_all(b"GET /stream/1 HTTP/1.1\r\nhost: a\r\n\r\n")
        .unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("data: 2") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    drop(client);
    let wanted = project.path().join("cases/get-stream-1.case.json");
    until(|| wanted.exists());
    let said = recording.end();
    let document = said.document();
    assert_eq!(said.code, 1, "{document}");
    let cases = cases(&project);
    let call = only_call(&cases["get-events-1"]);
    assert!(text(&call, "http.response.body").contains("data: 2"));
    assert_eq!(call["sp.response.cut_off"], json!({"boolValue": true}));
    // What has no end can't be compared, and the suite says so.
    let unusable = &document["recorded"][1];
    assert_eq!(unusable["request"], "GET /stream/1");
    assert!(
        unusable["unusable"].as_str().unwrap().contains("went away"),
        "{document}"
    );
    let suite = suite(&project);
    assert!(
        suite.contains("{ path: ../cases/get-stream-1.case.json, skip: "),
        "{suite}"
    );
    replay(&project, &events.url()).ends(0, &["1 passed; 0 failed; 1 ignored"]);
}

#[test]
fn a_client_that_goes_away_does_not_end_its_request() {
    let project = Project::new();
    let upstream = dependency();
    let recording = Recording::start(&project, &upstream, &["--settle", "0"]);
    let mut client = TcpStream::connect(recording.address()).unwrap();
    client
        .write_all(b"GET /slow/1 HTTP/1.1\r\nhost: a\r\n\r\n")
        .unwrap();
    drop(client);
    assert_eq!(recording.get("/named/2").status, 200);
    let case = project.path().join("cases/get-slow-1.case.json");
    until(|| case.exists());
    let said = recording.end();
    assert_eq!(said.code, 0, "{}\n{}", said.stdout, said.stderr);
    let cases = cases(&project);
    assert_eq!(calls(&cases["get-slow-1"]), ["/a/1"]);
    assert_eq!(calls(&cases["get-named-2"]), ["/a/2", "/b/2"]);
    replay(&project, &upstream.url()).ends(0, &["2 passed"]);
}

#[test]
fn calls_without_an_answer_are_recorded_as_what_they_ended_in() {
    let project = Project::new();
    let upstream = Stub::start(|request| match request.line.split('/').nth(1) {
        Some(way) if way.starts_with("slow") => {
            std::thread::sleep(Duration::from_secs(5));
            http(200, &[], "too late")
        }
        Some(way) if way.starts_with("reset") => Vec::new(),
        _ => http(200, &[], "ok"),
    });
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let recording = Recording::start(&project, &upstream, &["--settle", "50"]);
    let refused = format!("/breaks/refused/{gone}");
    let rows = [
        ("/impatient/1", "timeout", json!([false])),
        (
            "/breaks/upstream/x",
            "connection_reset",
            json!({"status": null, "broken": true}),
        ),
        (
            &refused,
            "connection_refused",
            json!({"status": "502", "broken": false}),
        ),
        (
            "/breaks/unknown/nobody.invalid",
            "name_not_resolved",
            json!({"status": "502", "broken": false}),
        ),
    ];
    for (path, _, answer) in &rows {
        assert_eq!(recording.get(path).json(), *answer, "{path}");
    }
    let said = recording.end();
    assert_eq!(said.code, 0, "{}\n{}", said.stdout, said.stderr);
    let cases = cases(&project);
    for (path, kind, _) in &rows {
        let is_it = |case: &&Value| {
            let inbound = &spans(case)[0];
            text(inbound, "url.path") == *path
        };
        let case = cases.values().find(is_it).unwrap();
        let call = only_call(case);
        assert_eq!(text(&call, "error.type"), *kind, "{path}");
        assert!(!call.contains_key("http.response.status_code"), "{path}");
    }
    let url = upstream.url();
    drop(upstream);
    replay(&project, &url).ends(0, &["4 passed"]);
}

#[test]
fn bodies_are_stored_as_they_are_read() {
    let project = Project::new();
    let upstream = dependency();
    let recording = Recording::start(&project, &upstream, &["--settle", "0"]);
    assert_eq!(recording.get("/headers/1").json(), json!([200]));
    // The application gets what was sent.
    assert!(recording.get("/bytes/1").json()[0].as_u64().unwrap() > 7);
    let head = format!(
        "HEAD /x/1 HTTP/1.1\r\nhost: {}\r\n\r\n",
        recording.address()
    );
    let answer = send(recording.address(), head);
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    for path in ["/get/hints", "/get/trailers"] {
        assert_eq!(recording.get(path).json()[0]["status"], 200, "{path}");
    }
    recording.end().document();
    let cases = cases(&project);
    let call = only_call(&cases["get-get-hints"]);
    assert_eq!(text(&call, "http.response.status_code"), "200");
    assert_eq!(text(&call, "http.response.body"), "{\"hinted\":true}");
    let call = only_call(&cases["get-get-trailers"]);
    assert_eq!(text(&call, "http.response.body"), "ok");
    assert_eq!(text(&call, "http.response.trailer.x-sum"), "7");
    let call = only_call(&cases["get-headers-1"]);
    assert_eq!(text(&call, "http.response.header.content-length"), "1234");
    let call = only_call(&cases["get-bytes-1"]);
    assert_eq!(
        call["http.response.body"],
        json!({"bytesValue": "/wBwbGFpbg=="})
    );
    assert!(!call.contains_key("http.response.header.content-encoding"));
    assert!(cases.contains_key("head-x-1"));
}

#[test]
fn bodies_that_are_too_large_pass_without_being_held() {
    let project = Project::new();
    let upstream = dependency();
    let args = ["--max-recorded-body", "100000", "--settle", "0"];
    let recording = Recording::start(&project, &upstream, &args);
    let size = 100 * 1024 * 1024;
    let host = recording.address();
    let mut stream = TcpStream::connect(host).unwrap();
    let head = format!("POST /upload/1 HTTP/1.1\r\nhost: {host}\r\ncontent-length: {size}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let piece = vec![b'x'; 1024 * 1024];
    for _ in 0..size / piece.len() {
        stream.write_all(&piece).unwrap();
    }
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(read_answer(&mut stream, false).json(), json!([size]));
    let status = format!("/proc/{}/status", recording.child.id());
    if let Ok(status) = std::fs::read_to_string(status) {
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.unwrap().trim().trim_end_matches(" kB");
        assert!(peak.parse::<usize>().unwrap() < 80 * 1024, "{peak} kB");
    }
    // One whose length is known at its end alone.
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let head =
        format!("POST /none/2 HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..3 {
        let chunk = format!("{:x}\r\n{}\r\n", 60_000, "y".repeat(60_000));
        stream.write_all(chunk.as_bytes()).unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut stream, false).status, 200);
    let said = recording.end();
    let document = said.document();
    assert_eq!(said.code, 1);
    let cases = cases(&project);
    for (n, name) in ["post-upload-1", "post-none-2"].into_iter().enumerate() {
        let inbound = &spans(&cases[name])[0];
        assert_eq!(
            text(inbound, "sp.recording.unusable"),
            "the request's body is larger than 100000 bytes"
        );
        assert!(!inbound.contains_key("http.request.body"));
        let told = document["recorded"][n]["unusable"].as_str().unwrap();
        assert!(told.contains("larger than 100000 bytes"), "{told}");
    }
    // Nothing is made green of it.
    replay(&project, &upstream.url()).ends(0, &["0 passed; 0 failed; 2 ignored"]);
    let skipping = suite(&project);
    let without = skipping
        .lines()
        .map(|line| match line.split_once(", skip:") {
            Some((before, _)) => format!("{before} }}\n"),
            None => format!("{line}\n"),
        });
    project.write("suites/first.suite.yaml", without.collect::<String>());
    replay(&project, &upstream.url()).ends(20, &["it was not recorded whole"]);
}

#[test]
fn secrets_do_not_reach_the_disk_and_masked_values_are_no_differences() {
    let project = Project::new();
    let upstream = dependency();
    let secret = "key-0123456789abc";
    let url = format!("URL=http://user:{secret}@db.example/x");
    let key = format!("API_KEY={secret}");
    let args = [
        "--settle",
        "0",
        "--app-env",
        &url,
        "--app-env",
        &key,
        "--app-env",
        "LEVEL=debug",
    ];
    let recording = Recording::start(&project, &upstream, &args);
    let host = recording.address();
    let log_in = |odd: &str| {
        let body = json!({"user": "a@b.example", "password": secret, "odd": odd}).to_string();
        let head = format!(
            "POST /login/1 HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {secret}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        assert_eq!(send(host, head + &body).status, 200);
    };
    // The second value is a secret only by what comes later.
    log_in("late-9876543210xyz");
    let head = format!(
        "GET /none/1 HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer late-9876543210xyz\r\n\r\n"
    );
    assert_eq!(send(host, head).status, 200);
    let said = recording.end();
    assert_eq!(said.code, 0, "{}\n{}", said.stdout, said.stderr);
    let all = said.stdout + &said.stderr;
    for folder in ["cases", "suites"] {
        for entry in std::fs::read_dir(project.path().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            for secret in [secret, "late-9876543210xyz", "a@b.example"] {
                assert!(!text.contains(secret), "{secret} is in {}", path.display());
                assert!(!all.contains(secret), "{secret} is in {all}");
            }
            if folder == "cases" {
                use std::os::unix::fs::PermissionsExt as _;
                let mode = path.metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{}", path.display());
            }
        }
    }
    let suite = suite(&project);
    for line in [
        "  env: { URL: \"${URL}\", API_KEY: \"${API_KEY}\", LEVEL: debug }\n",
        "      \"$.access_token\": masked\n",
        "      \"$.password\": masked\n",
        "  query: { ignore: [ api_key ] }\n",
        "#     headers: { authorization: \"${AUTHORIZATION}\" }\n",
        "#     transform: fill_in # a hook of yours, for the bodies: $.odd, $.password, $.user\n",
    ] {
        assert!(suite.contains(line), "{line:?} is not in\n{suite}");
    }
    replay(&project, &upstream.url()).ends(0, &["2 passed"]);
    // Whoever wants them has them.
    let open = Project::new();
    let recording = Recording::start(&open, &upstream, &["--no-scrub", "--settle", "0"]);
    let head = format!("GET /none/1 HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {secret}\r\n\r\n");
    assert_eq!(send(recording.address(), head).status, 200);
    assert_eq!(recording.end().code, 0);
    assert!(cases(&open)["get-none-1"].to_string().contains(secret));
}

#[test]
fn calls_outside_of_requests_are_shared() {
    let project = Project::new();
    let upstream = dependency();
    let url = upstream.url();
    let mut command = Recording::command(&project, &url, &["--settle", "50", "--json"]);
    command
        .env("SOFTPROBE_TEST_STARTUP_CALL", format!("{url}/config/1"))
        .env("SOFTPROBE_TEST_TIMER", format!("{url}/ping/1"));
    let recording = Recording::of(&mut command);
    std::thread::scope(|scope| {
        for id in 0..8 {
            let recording = &recording;
            scope.spawn(move || assert_eq!(recording.get(&format!("/named/{id}")).status, 200));
        }
    });
    let said = recording.end();
    assert_eq!(said.code, 0, "{}\n{}", said.stdout, said.stderr);
    let shared = read(&project.path().join("cases/shared.json"));
    let mut paths = calls(&shared);
    paths.sort();
    assert_eq!(paths, ["/config/1", "/ping/1"], "each once: {shared}");
    let suite = suite(&project);
    for line in [
        "  shared:\n    - { from: ../cases/shared.json }\n",
        "concurrency: serial",
    ] {
        assert!(suite.contains(line), "{suite}");
    }
    drop(upstream);
    let mut command = softprobe(&["suite", "run", "suites/first.suite.yaml"]);
    command
        .current_dir(project.path())
        .env("SOFTPROBE_TEST_RECORDED", &url)
        .env("SOFTPROBE_TEST_STARTUP_CALL", format!("{url}/config/1"))
        .env("SOFTPROBE_TEST_TIMER", format!("{url}/ping/1"));
    Output::of(&mut command).ends(0, &["8 passed"]);
}

#[test]
fn what_is_like_a_case_that_stands_is_left_out_on_demand() {
    let project = Project::new();
    let upstream = dependency();
    for wanted in [2, 0] {
        let recording = Recording::start(&project, &upstream, &["--distinct", "--settle", "0"]);
        for path in ["/named/1", "/named/2", "/unnamed/1"] {
            assert_eq!(recording.get(path).status, 200);
        }
        let document = recording.end().document();
        assert_eq!(document["recorded"].as_array().unwrap().len(), wanted);
        assert_eq!(document["alike"], 3 - wanted);
    }
    assert_eq!(cases(&project).len(), 2);
}

#[test]
fn a_second_recording_adds_to_what_stands_and_changes_nothing() {
    let project = Project::new();
    let upstream = dependency();
    let record = || {
        let recording = Recording::start(&project, &upstream, &["--settle", "0"]);
        assert_eq!(recording.get("/named/1").status, 200);
        assert_eq!(recording.end().code, 0);
    };
    record();
    let first = std::fs::read(project.path().join("cases/get-named-1.case.json")).unwrap();
    let edited = suite(&project).replace("unused: fail", "unused: warn # mine");
    project.write("suites/first.suite.yaml", &edited);
    record();
    assert_eq!(
        std::fs::read(project.path().join("cases/get-named-1.case.json")).unwrap(),
        first
    );
    assert!(cases(&project).contains_key("get-named-1-2"));
    let wanted = edited.replace(
        "  - ../cases/get-named-1.case.json\n",
        "  - ../cases/get-named-1.case.json\n  - ../cases/get-named-1-2.case.json\n",
    );
    assert_eq!(suite(&project), wanted);
    replay(&project, &upstream.url()).ends(0, &["2 passed"]);
}

#[test]
fn recording_what_was_recorded_gives_equal_cases() {
    let project = Project::new();
    let upstream = dependency();
    let listen = format!("127.0.0.1:{}", free_port());
    let mut recorded = Vec::new();
    for folder in ["first", "second"] {
        let args = ["--settle", "0", "--json", "--listen", &listen];
        let recording = Recording::of(&mut Recording::command(&project, &upstream.url(), &args));
        for path in ["/named/1", "/headers/1", "/mixed/1", "/none/1"] {
            assert_eq!(recording.get(path).status, 200);
        }
        assert_eq!(recording.end().code, 0);
        let cases = cases(&project);
        replay(&project, &upstream.url()).ends(0, &["4 passed"]);
        let folder = project.path().join(folder);
        std::fs::rename(project.path().join("cases"), folder).unwrap();
        std::fs::remove_dir_all(project.path().join("suites")).unwrap();
        recorded.push(cases);
    }
    let plain = |cases: &BTreeMap<String, Value>| -> Vec<_> {
        let spans = cases.iter().flat_map(|(name, case)| {
            let spans = spans(case).into_iter();
            spans.map(move |span| (name.clone(), span))
        });
        spans
            .map(|(name, mut span)| {
                for id in [
                    "sp.session.id",
                    "http.request.header.traceparent",
                    "http.request.header.tracestate",
                ] {
                    span.remove(id);
                }
                (name, span)
            })
            .collect()
    };
    assert_eq!(plain(&recorded[0]), plain(&recorded[1]));
}

#[test]
fn a_recording_that_is_broken_off_leaves_whole_files() {
    let upstream = dependency();
    for signal in ["-TERM", "-KILL"] {
        let project = Project::new();
        let mut command = Recording::command(&project, &upstream.url(), &["--settle", "0"]);
        let mut recording = Recording::of(&mut command);
        let folder = project.path().join("cases");
        let count = Mutex::new(0);
        std::thread::scope(|scope| {
            for n in 0..4 {
                let (recording, count) = (&recording, &count);
                scope.spawn(move || {
                    for id in 0.. {
                        let head = format!(
                            "GET /named/{n}-{id} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
                        );
                        let Ok(mut stream) = TcpStream::connect(recording.address()) else {
                            return;
                        };
                        stream.set_read_timeout(Some(LIMIT)).unwrap();
                        let sent = stream.write_all(head.as_bytes());
                        let mut got = Vec::new();
                        if sent.is_err() || stream.read_to_end(&mut got).is_err() {
                            return;
                        }
                        if !got.starts_with(b"HTTP/1.1 200") {
                            return;
                        }
                        *count.lock().unwrap() += 1;
                    }
                });
            }
            until(|| std::fs::read_dir(&folder).is_ok_and(|entries| entries.count() > 20));
            recording.signal(signal);
        });
        recording.child.wait().unwrap();
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
        assert!(files.len() > 20);
        let mut cases = 0;
        for file in files {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.ends_with(".case.json") {
                read(&path);
                cases += 1;
            } else {
                // A temporary file is nobody's case.
                assert!(signal == "-KILL" && name.starts_with('.'), "{name}");
            }
        }
        if signal == "-TERM" {
            let mut said = String::new();
            let mut out = recording.child.stdout.take().unwrap();
            out.read_to_string(&mut said).unwrap();
            assert!(said.contains(&format!("recorded {cases} cases")), "{said}");
        }
    }
}

#[test]
fn a_driver_that_fails_fails_the_recording_and_loses_nothing() {
    let project = Project::new();
    let upstream = dependency();
    let driver = "curl -sf $APP_URL/named/1 && exit 7";
    let mut command =
        Recording::command(&project, &upstream.url(), &["--driver", driver, "--json"]);
    let said = Output::of(&mut command);
    let document = said.document();
    assert_eq!((said.code, &document["driverExitCode"]), (7, &json!(7)));
    assert_eq!(document["recorded"].as_array().unwrap().len(), 1);
    assert!(
        said.stderr.contains("/a/1"),
        "what the driver prints is not in the document"
    );
    let nothing = ["--driver", "true"];
    Output::of(&mut Recording::command(&project, &upstream.url(), &nothing))
        .ends(1, &["recorded 0 cases", "error: nothing was recorded"]);
    // The application gives no answer.
    let silent = ["--driver", "curl -s $APP_URL/silent/1 || true"];
    Output::of(&mut Recording::command(&project, &upstream.url(), &silent)).ends(
        1,
        &["not recorded: GET /silent/1: the application gave no answer (connection_reset)"],
    );
}

#[test]
fn a_recording_that_can_not_be_made_says_why() {
    let project = Project::new();
    let run = |args: &[&str]| {
        let mut command = softprobe(&[&["capture", "run"], args].concat());
        Output::of(command.current_dir(project.path()))
    };
    run(&["--out", "cases"]).ends(2, &["there is no application to record", "after `--`"]);
    run(&["--out", "cases", "--", "/nowhere/app"]).ends(1, &["there is no program /nowhere/app"]);
    run(&["--out", "cases", "--concurrency", "some", "--", "true"])
        .ends(2, &["expected auto, serial or parallel"]);
    run(&["--out", "one.case.json"]).ends(2, &["needs --driver"]);
    run(&["--out", "one.case.json", "--driver", "true", "--", "true"])
        .ends(2, &["launches no application"]);
    run(&[
        "--out",
        "one.case.json",
        "--driver",
        "true",
        "--runtime-url",
        "http://127.0.0.1:1",
    ])
    .ends(3, &["127.0.0.1:1"]);
    project.write("file", "");
    run(&["--out", "file", "--", "true"]).ends(5, &["file: "]);
    project.write("rules.json", "{\"header\": []}");
    run(&[
        "--out",
        "cases",
        "--scrub-rules",
        "rules.json",
        "--",
        "true",
    ])
    .ends(5, &["rules.json: header: unknown field"]);
    run(&[
        "--out",
        "cases",
        "--runtime-url",
        "http://127.0.0.1:1",
        "--",
        "true",
    ])
    .ends(2, &["leave out --runtime-url"]);
}

#[test]
fn one_session_of_a_runtime_is_captured_around_a_command() {
    let served = crate::command::Served::start(&[]);
    let upstream = dependency();
    let project = Project::new();
    let (proxy, host) = (served.proxy(), upstream.address);
    let driver = format!(
        "curl -sf -H \"x-softprobe-session-id: $SOFTPROBE_SESSION_ID\" http://{proxy}/__softprobe/http/{host}/a/1"
    );
    let run = |driver: &str| {
        let args = [
            "capture",
            "run",
            "--driver",
            driver,
            "--out",
            "here/one.case.json",
        ];
        let mut command = softprobe(&args);
        command
            .args(["--json", "--runtime-url", &served.url()])
            .current_dir(project.path());
        Output::of(&mut command)
    };
    let said = run(&driver).document();
    assert!(said["sessionId"].as_str().unwrap().starts_with("sess_"));
    assert_eq!(said["capturePath"], "here/one.case.json");
    assert_eq!(said["stats"]["extractedSpans"], 1);
    assert_eq!(
        calls(&read(&project.path().join("here/one.case.json"))),
        Vec::<String>::new()
    );
    // What the driver does is told, and what can't be replayed.
    let failed = run("exit 9");
    assert_eq!(failed.code, 9, "{}", failed.stderr);
    failed.document();
    run("true").ends(1, &["no inbound exchange was captured"]);
}

#[test]
fn calls_that_may_belong_to_any_of_several_requests_are_told() {
    let project = Project::new();
    let upstream = dependency();
    let args = ["--concurrency", "parallel", "--settle", "0"];
    let recording = Recording::start(&project, &upstream, &args);
    std::thread::scope(|scope| {
        for id in 0..2 {
            let recording = &recording;
            scope.spawn(move || {
                assert_eq!(recording.get(&format!("/together/{id}")).status, 200);
            });
        }
    });
    let said = recording.end();
    let document = said.document();
    // What is with none may be what a case lacks.
    assert_eq!(said.code, 1, "{document}");
    let why = document["notRecorded"][0]["why"].as_str().unwrap();
    for words in [
        "record with --concurrency serial",
        "neither `tracestate` nor `traceparent`",
    ] {
        assert!(why.contains(words), "{why}");
    }
    let mut shared = calls(&read(&project.path().join("cases/shared.json")));
    shared.sort();
    assert_eq!(shared, ["/a/0", "/a/1"]);
    assert!(suite(&project).contains("concurrency: serial"));
}

#[test]
fn a_recording_behind_a_proxy_reaches_dependencies_through_it() {
    let project = Project::new();
    let company = dependency();
    let args = ["--driver", "curl -sf $APP_URL/named/1"];
    let mut command = Recording::command(&project, "http://real.example", &args);
    command.env_remove("NO_PROXY").env_remove("no_proxy");
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"] {
        command.env(name, company.url());
    }
    Output::of(&mut command).ends(0, &["recorded 1 case\n"]);
    let asked: Vec<String> = company.received().into_iter().map(|r| r.line).collect();
    assert_eq!(
        asked,
        [
            "GET http://real.example/a/1 HTTP/1.1",
            "GET http://real.example/b/1 HTTP/1.1"
        ]
    );
    drop(company);
    replay(&project, "http://real.example").ends(0, &["1 passed"]);
}

#[test]
fn an_application_that_runs_already_is_recorded() {
    let project = Project::new();
    let upstream = dependency();
    let (port, proxy) = (free_port(), format!("127.0.0.1:{}", free_port()));
    let words = application();
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .env("SOFTPROBE_TEST_RECORDED", upstream.url())
        .env("PORT", port.to_string())
        .env("HTTP_PROXY", format!("http://{proxy}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
    let url = format!("http://127.0.0.1:{port}");
    let args = [
        "record",
        "--out",
        "cases",
        "--suite",
        "suites/first.suite.yaml",
        "--app-url",
        &url,
        "--proxy-listen",
        &proxy,
        "--driver",
        "curl -sf $APP_URL/unnamed/1",
    ];
    let said = Output::of(softprobe(&args).current_dir(project.path()));
    said.ends(
        0,
        &[
            "recorded 1 case\n",
            "suite run suites/first.suite.yaml --app-url URL",
        ],
    );
    assert_eq!(calls(&cases(&project)["get-unnamed-1"]), ["/a/1", "/b/1"]);
    let suite = suite(&project);
    assert!(!suite.contains("\napp:"), "{suite}");
    let args = [
        "suite",
        "run",
        "suites/first.suite.yaml",
        "--app-url",
        &url,
        "--proxy-listen",
        &proxy,
    ];
    Output::of(softprobe(&args).current_dir(project.path())).ends(0, &["1 passed"]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn captures_of_a_session_have_what_passes_while_it_ends() {
    let served = crate::command::Served::start(&[]);
    let events = Events::start();
    let project = Project::new();
    let start = |args: &[&str]| {
        let url = served.url();
        let mut command = softprobe(args);
        command
            .args(["--runtime-url", &url])
            .current_dir(project.path());
        Output::of(&mut command)
    };
    let id = start(&["session", "start", "--mode", "capture"]).stdout;
    let id = id.trim();
    let mut stream = TcpStream::connect(served.proxy()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let head = format!(
        "GET {}/events HTTP/1.1\r\nhost: a\r\ntracestate: x-softprobe-session-id={id}\r\n\r\n",
        events.url()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("data: 3") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    let close = ["session", "close", "--session", id, "--save", "a.case.json"];
    start(&close).ends(1, &["no inbound exchange was captured"]);
    let call = only_call(&read(&project.path().join("a.case.json")));
    assert!(text(&call, "http.response.body").contains("data: 3"));
    assert_eq!(call["sp.response.cut_off"], json!({"boolValue": true}));
    // The stream goes on.
    stream.read_exact(&mut [0; 64]).unwrap();
}

#[test]
fn the_sample_is_recorded_replayed_and_recorded_again() {
    let company = Stub::start(|request| {
        let body = match request.line.contains("shipping.example") {
            true => json!({"id": 9, "state": "delivered"}),
            false => json!({"id": "en_1", "status": "booked"}),
        };
        http(
            200,
            &[("content-type", "application/json")],
            body.to_string(),
        )
    });
    let project = Project::new();
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    let manifest = Path::new(&manifest).join("Cargo.toml");
    let driver = "curl -sf $APP_URL/parcels/9 && curl -sf $APP_URL/transfers -H 'content-type: application/json' \
                  -d '{\"from\": \"a\", \"to\": \"b\", \"cents\": 700}'";
    let mut recorded = Vec::new();
    for folder in ["first", "second"] {
        let suite = format!("{folder}.suite.yaml");
        let mut args = vec![
            "record", "--out", folder, "--suite", &suite, "--driver", driver,
        ];
        args.extend(["--", "cargo", "run", "--quiet", "--manifest-path"]);
        args.extend([manifest.to_str().unwrap(), "--example", "checkout"]);
        let mut command = softprobe(&args);
        command.current_dir(project.path()).env_remove("NO_PROXY");
        command.env_remove("no_proxy");
        for name in ["HTTP_PROXY", "http_proxy"] {
            command.env(name, company.url());
        }
        Output::of(&mut command).ends(0, &["recorded 2 cases"]);
        Output::of(softprobe(&["suite", "run", &suite]).current_dir(project.path()))
            .ends(0, &["2 passed"]);
        let files = ["get-parcels-9", "post-transfers"];
        let read = files.map(|name| {
            let case = read(&project.path().join(format!("{folder}/{name}.case.json")));
            let mut spans = spans(&case);
            for span in &mut spans {
                // Ids, times, and the port that the recording was given.
                span.retain(|name, value| {
                    let is_own = value["stringValue"]
                        .as_str()
                        .is_some_and(|value| value.starts_with("127.0.0.1:"));
                    name != "sp.session.id"
                        && !name.contains(".trace")
                        && !name.ends_with(".date")
                        && !is_own
                });
            }
            spans
        });
        recorded.push(read);
    }
    assert_eq!(recorded[0], recorded[1]);
    assert!(
        recorded[0][1].len() > 2,
        "a transfer has an entry for each account"
    );
}

#[test]
fn a_full_disk_leaves_no_half_files() {
    let project = Project::new();
    let upstream = dependency();
    let driver = "curl -sf $APP_URL/none/1 && curl -sf $APP_URL/get/big | wc -c";
    let command = Recording::command(&project, &upstream.url(), &["--driver", driver]);
    // The first case fits, and what the application is given.
    let script = "trap '' XFSZ; ulimit -f 2000; exec \"$0\" \"$@\"";
    let mut limited = through("bash", &["-c", script], &command);
    limited.current_dir(project.path());
    Output::of(&mut limited).ends(
        1,
        &[
            "recorded 1 case\n",
            "not recorded: GET /get/big: cases: File too large",
            "error: not everything was recorded",
        ],
    );
    let entries = std::fs::read_dir(project.path().join("cases")).unwrap();
    let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["get-none-1.case.json"]);
    replay(&project, &upstream.url()).ends(0, &["1 passed"]);
}

#[test]
fn a_terminal_shows_how_a_recording_goes_on() {
    let project = Project::new();
    let upstream = dependency();
    let driver = "curl -sf $APP_URL/none/1; sleep 1.5";
    let args = ["--settle", "0", "--driver", driver];
    let command = Recording::command(&project, &upstream.url(), &args);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<String> = words
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let mut shown = Command::new("script");
    shown.args(["-qec", &line.join(" "), "/dev/null"]);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shown.env(name, value),
            None => shown.env_remove(name),
        };
    }
    shown
        .current_dir(project.path())
        .env("TERM", "xterm")
        .stdin(Stdio::null());
    Output::of(&mut shown).ends(
        0,
        &["softprobe: recording: 1 recorded, 0 in progress (1 s)\r\n"],
    );
}

#[test]
fn only_masked_values_are_let_be() {
    let project = Project::new();
    let upstream = dependency();
    let mut command = Recording::command(&project, &upstream.url(), &["--settle", "0", "--json"]);
    let recording = Recording::of(command.env("SOFTPROBE_TEST_CONTACT", "ada@corp.example"));
    // In one case the user is an address, in the other a name.
    for path in ["/json/masked", "/json/plain"] {
        assert_eq!(recording.get(path).status, 200);
    }
    assert_eq!(recording.end().code, 0);
    let suite = suite(&project);
    assert_eq!(suite.matches("\"$.user\": masked").count(), 2, "{suite}");
    let replay = |user: &str| {
        let mut command = softprobe(&["suite", "run", "suites/first.suite.yaml"]);
        command
            .current_dir(project.path())
            .env("SOFTPROBE_TEST_RECORDED", upstream.url())
            .env("SOFTPROBE_TEST_CONTACT", "ada@corp.example")
            .env("SOFTPROBE_TEST_USER", user);
        Output::of(&mut command)
    };
    replay("ada").ends(0, &["2 passed"]);
    replay("mallory").ends(
        20,
        &[
            "1 difference, 1 difference in what was sent",
            "1 passed; 1 failed",
        ],
    );
}

#[test]
fn masked_texts_are_compared_around_what_was_masked() {
    let project = Project::new();
    let upstream = dependency();
    let with = |command: &mut Command, contact: &str| {
        command
            .current_dir(project.path())
            .env("SOFTPROBE_TEST_RECORDED", upstream.url())
            .env("SOFTPROBE_TEST_CONTACT", contact);
    };
    let mut command = Recording::command(&project, &upstream.url(), &["--settle", "0", "--json"]);
    with(&mut command, "ada@corp.example");
    let recording = Recording::of(&mut command);
    assert_eq!(
        recording.get("/page/1").text(),
        "<p>Write to ada@corp.example.</p>"
    );
    assert_eq!(recording.end().code, 0);
    let again = || {
        let mut command = softprobe(&["suite", "run", "suites/first.suite.yaml"]);
        with(&mut command, "ada@corp.example");
        Output::of(&mut command)
    };
    again().ends(0, &["1 passed"]);
    let file = project.path().join("cases/get-page-1.case.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("Write to", "Call")).unwrap();
    again().ends(20, &["1 difference, 1 difference in what was sent"]);
}

#[test]
fn what_an_application_fetches_with_a_secret_when_it_starts_is_answered() {
    for (kind, body) in [
        (
            "application/json",
            "{\"client_secret\": \"SECRET\", \"scope\": \"all\"}",
        ),
        (
            "application/x-www-form-urlencoded",
            "client_secret=SECRET&scope=all",
        ),
    ] {
        let project = Project::new();
        let upstream = dependency();
        let url = format!("{}/token?api_key=SECRET", upstream.url());
        let start = format!("{url}|{kind}|{body}").replace("SECRET", "s3cret-9876543210");
        let driver = ["--driver", "curl -sf $APP_URL/named/1"];
        let mut command = Recording::command(&project, &upstream.url(), &driver);
        command.env("SOFTPROBE_TEST_STARTUP_POST", &start);
        Output::of(&mut command).ends(0, &["recorded 1 case"]);
        let shared = std::fs::read_to_string(project.path().join("cases/shared.json")).unwrap();
        assert!(!shared.contains("s3cret"), "{shared}");
        let address = upstream.url();
        drop(upstream);
        let mut command = softprobe(&["suite", "run", "suites/first.suite.yaml"]);
        command
            .current_dir(project.path())
            .env("SOFTPROBE_TEST_RECORDED", &address)
            .env("SOFTPROBE_TEST_STARTUP_POST", &start);
        Output::of(&mut command).ends(0, &["1 passed"]);
        // Another scope is another token.
        command.env("SOFTPROBE_TEST_STARTUP_POST", start.replace("all", "some"));
        Output::of(&mut command).ends(20, &["it was answered with 599"]);
    }
}

#[test]
fn a_call_of_a_request_has_to_be_made_though_the_application_makes_it_when_it_starts() {
    let project = Project::new();
    let upstream = dependency();
    let url = upstream.url();
    let mut command = Recording::command(&project, &url, &["--settle", "0", "--json"]);
    command.env("SOFTPROBE_TEST_STARTUP_CALL", format!("{url}/a/1"));
    let recording = Recording::of(&mut command);
    assert_eq!(recording.get("/named/1").status, 200);
    assert_eq!(recording.end().code, 0);
    let case = project.path().join("cases/get-named-1.case.json");
    assert_eq!(calls(&read(&case)), ["/a/1", "/b/1"]);
    replay(&project, &url).ends(0, &["1 passed"]);
    // As if the application left it out.
    let text = std::fs::read_to_string(&case).unwrap();
    std::fs::write(&case, text.replace("/named/1", "/none/1")).unwrap();
    replay(&project, &url).ends(20, &["unused mocks", "/a/1 (unused: fail)"]);
}

#[test]
fn an_application_is_called_by_the_host_that_its_answers_hold() {
    let project = Project::new();
    let upstream = dependency();
    for id in 1..3 {
        let recording = Recording::start(&project, &upstream, &["--settle", "0"]);
        assert_eq!(recording.get(&format!("/own/{id}")).status, 200);
        assert_eq!(recording.end().code, 0);
    }
    let suite = suite(&project);
    assert!(
        suite.contains("request:\n  headers: { host: \"127.0.0.1:"),
        "{suite}"
    );
    assert!(
        suite.contains("get-own-2.case.json, overrides: { request: { headers: { host: "),
        "{suite}"
    );
    replay(&project, &upstream.url()).ends(0, &["2 passed"]);
    // From anywhere.
    let file = project.path().join("suites/first.suite.yaml");
    let mut command = softprobe(&["suite", "run", file.to_str().unwrap()]);
    command
        .current_dir("/")
        .env("SOFTPROBE_TEST_RECORDED", upstream.url());
    Output::of(&mut command).ends(0, &["2 passed"]);
}

#[test]
fn nobody_waits_for_ever_behind_another() {
    let project = Project::new();
    let upstream = dependency();
    let recording = Recording::start(&project, &upstream, &["--settle", "0"]);
    // One client goes without an answer, another one stays with an answer that has no end.
    let begin = |path: &str| {
        let mut client = TcpStream::connect(recording.address()).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        client.write_all(head.as_bytes()).unwrap();
        client
    };
    drop(begin("/hang/1"));
    assert_eq!(recording.get("/named/1").status, 200);
    let mut stays = begin("/stream/1");
    stays.read_exact(&mut [0; 64]).unwrap();
    assert_eq!(recording.get("/named/2").status, 200);
    let said = recording.end();
    let document = said.document();
    assert_eq!(said.code, 1, "{document}");
    let told = document.to_string();
    for words in [
        "GET /hang/1",
        "the application gave no answer (timeout)",
        "GET /stream/1: its answer went on",
        "the answer's client went away before its end",
    ] {
        assert!(told.contains(words), "{words} is not in {document:#}");
    }
    assert_eq!(cases(&project).len(), 3);
}

#[test]
fn what_can_not_be_recorded_whole_is_no_case_to_replay() {
    let project = Project::new();
    let upstream = dependency();
    let recording = Recording::start(&project, &upstream, &["--settle", "0"]);
    assert_eq!(recording.get("/odd/1").status, 200);
    let said = recording.end();
    let document = said.document();
    assert_eq!(said.code, 1, "{document}");
    let unusable = document["recorded"][0]["unusable"].as_str().unwrap();
    assert!(unusable.contains("can't be decoded"), "{unusable}");
    let file = project.path().join("cases/get-odd-1.case.json");
    let text = std::fs::read_to_string(file).unwrap();
    assert!(!text.contains("http.response.body"), "{text}");
}

#[test]
fn a_suite_that_can_not_be_added_to_is_told_before_anything_runs() {
    let project = Project::new();
    let upstream = dependency();
    project.write(
        "suites/first.suite.yaml",
        "name: a\nbase: &c [x]\ncases: *c\n",
    );
    let driver = ["--driver", "curl -sf $APP_URL/named/1"];
    let said = Output::of(&mut Recording::command(&project, &upstream.url(), &driver));
    said.ends(
        5,
        &[
            "suites/first.suite.yaml",
            "add `../cases/some.case.json` to `cases` by hand",
        ],
    );
    assert!(upstream.received().is_empty());
    // What can't be added in the end does not hide what was recorded.
    let list = "name: a\ncases: []\nmocks: []\n";
    project.write("suites/first.suite.yaml", list);
    let mut command = Recording::command(&project, &upstream.url(), &driver);
    command.env(
        "SOFTPROBE_TEST_STARTUP_CALL",
        format!("{}/x/1", upstream.url()),
    );
    Output::of(&mut command).ends(
        1,
        &[
            "recorded 1 case",
            "the suite can't be written",
            "`mocks` is a list",
        ],
    );
}

#[test]
fn what_turns_out_to_be_a_timers_is_taken_out_of_cases() {
    let project = Project::new();
    let upstream = dependency();
    let recording = Recording::start(&project, &upstream, &["--settle", "0"]);
    // Its calls carry the headers on, but for one that comes outside of requests as well.
    for path in ["/named/1", "/tick/1", "/tock/1"] {
        assert_eq!(recording.get(path).status, 200);
    }
    let pings = || {
        let received = upstream.received();
        let pings = received
            .iter()
            .filter(|request| request.line.contains("/ping/"));
        pings.count()
    };
    until(|| pings() > 1);
    let said = recording.end();
    assert_eq!(said.code, 0, "{}\n{}", said.stdout, said.stderr);
    let cases = cases(&project);
    assert_eq!(calls(&cases["get-tick-1"]), ["/a/1"]);
    let shared = read(&project.path().join("cases/shared.json"));
    assert_eq!(calls(&shared), ["/ping/1"]);
    replay(&project, &upstream.url()).ends(0, &["3 passed"]);
}
