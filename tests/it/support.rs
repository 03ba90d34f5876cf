//! Servers, clients, captures and runs for the tests.

use std::collections::BTreeMap;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

/// The longest that a test waits for an answer or an event.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A request as a stub server received it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some(value)
    }
}

/// A response as received over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Vec<String> {
        let head = String::from_utf8_lossy(&self.head).into_owned();
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
            .collect()
    }
}

type Respond = dyn Fn(&Received) -> Vec<u8> + Send + Sync;

/// A server that answers in raw bytes and records the requests it receives; it stops when dropped.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stub {
    pub(crate) fn start(respond: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let respond: Arc<Respond> = Arc::new(respond);
        let (log, stop) = (Arc::clone(&received), Arc::clone(&stopped));
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (log, respond) = (Arc::clone(&log), Arc::clone(&respond));
                std::thread::spawn(move || {
                    let mut stream = stream;
                    stream.set_read_timeout(Some(LIMIT)).unwrap();
                    if let Some(request) = read_request(&mut stream) {
                        log.lock().unwrap().push(request.clone());
                        let _ = stream.write_all(&respond(&request));
                    }
                });
            }
        });
        Self {
            address,
            received,
            stopped,
            thread: Some(thread),
        }
    }

    /// Starts a server that answers every request with this JSON.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let bytes = http(
            status,
            &[("content-type", "application/json")],
            body.to_string(),
        );
        Self::start(move |_| bytes.clone())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Returns a complete response as bytes.
pub(crate) fn http(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut out = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n",
        body.len()
    );
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut out = out.into_bytes();
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out
}

/// Returns a message's head, or why there is none.
fn read_head(stream: &mut impl Read) -> Result<Vec<u8>, String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        let shown = || String::from_utf8_lossy(&head).into_owned();
        match stream.read(&mut byte) {
            Ok(0) => return Err(format!("the connection ended after {:?}", shown())),
            Ok(_) => head.push(byte[0]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("{error} after {:?}", shown())),
        }
    }
    Ok(head)
}

fn read_request(stream: &mut TcpStream) -> Option<Received> {
    let head = String::from_utf8_lossy(&read_head(stream).ok()?).into_owned();
    let mut lines = head.lines();
    let line = lines.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some(Received {
        line,
        headers,
        body,
    })
}

/// Sends raw bytes on a new connection and reads the answer.
pub(crate) fn send(address: SocketAddr, request: impl AsRef<[u8]>) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(request.as_ref()).unwrap();
    let no_body = request.as_ref().starts_with(b"HEAD ");
    read_answer(&mut stream, no_body)
}

/// Reads one answer. Its body is framed by length or by chunks; without either, it is read as
/// empty.
pub(crate) fn read_answer(stream: &mut impl Read, no_body: bool) -> Answer {
    let head = read_head(stream).expect("the peer should send an answer");
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let status: u16 = text.split(' ').nth(1).unwrap().parse().unwrap();
    let mut body = Vec::new();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    if no_body || status == 204 || status == 304 || (status == 200 && length == Some(0)) {
    } else if let Some(length) = length {
        body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
    } else if text.contains("transfer-encoding: chunked") {
        loop {
            let mut size = Vec::new();
            while !size.ends_with(b"\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                size.push(byte[0]);
            }
            let size = String::from_utf8_lossy(&size).trim().to_owned();
            let mut chunk = vec![0; usize::from_str_radix(&size, 16).unwrap() + 2];
            stream.read_exact(&mut chunk).unwrap();
            chunk.truncate(chunk.len() - 2);
            if chunk.is_empty() {
                break;
            }
            body.extend(chunk);
        }
    }
    Answer { status, head, body }
}

/// Returns a span of a case document; `call` is a method and a URL without its scheme.
pub(crate) fn span(
    id: u64,
    direction: &str,
    call: &str,
    status: Option<u16>,
    more: &[Value],
) -> Value {
    let (method, url) = call.split_once(' ').unwrap();
    let (host, path) = url.split_at(url.find('/').unwrap());
    let mut attributes = vec![
        attribute("sp.traffic.direction", direction),
        attribute("sp.span.type", "extract"),
        attribute("http.request.method", method),
        attribute("url.host", host),
        attribute("url.path", path),
    ];
    if let Some(status) = status {
        attributes.push(json!({
            "key": "http.response.status_code", "value": {"intValue": status.to_string()}
        }));
    }
    attributes.extend(more.iter().cloned());
    json!({
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": format!("{id:016x}"),
        "startTimeUnixNano": (1_000 + id).to_string(),
        "attributes": attributes,
    })
}

pub(crate) fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

pub(crate) fn response_body(body: &str) -> Value {
    attribute("http.response.body", body)
}

/// Returns a case document with these spans.
pub(crate) fn document(spans: &[Value]) -> Value {
    json!({
        "version": "1.0.0",
        "caseId": "test-case",
        "traces": [{"resourceSpans": [{
            "resource": {"attributes": [attribute("service.name", "shop")]},
            "scopeSpans": [{"spans": spans}],
        }]}],
    })
}

/// A temporary project folder for a test's own suites and cases.
pub(crate) struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, file: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Creates a project with one case, an inbound `GET /a` answered with this status and body.
    pub(crate) fn with_answer(status: u16, body: &str, suite: &str) -> Self {
        let project = Self::new();
        let inbound = span(
            1,
            "inbound",
            "GET shop.example/a",
            Some(status),
            &[response_body(body)],
        );
        project.write("a.case.json", document(&[inbound]).to_string());
        project.write("s.suite.yaml", suite);
        project
    }

    /// Runs the project's suites in a separate process.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.run_with(args, &[])
    }

    pub(crate) fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> Run {
        Run::of(&mut self.command(args, env))
    }

    pub(crate) fn command(&self, args: &[&str], env: &[(&str, &str)]) -> Command {
        let mut command = child(self.path(), args);
        command.env("SOFTPROBE_TEST_SUITES", "*.suite.yaml");
        command.envs(env.iter().copied());
        command
    }

    /// Runs the project's suites against an application in a separate process.
    pub(crate) fn against(&self, app: &Stub, args: &[&str]) -> Run {
        let mut all = vec!["--app-url".to_owned(), app.url()];
        if !args.contains(&"--runtime-url") {
            // Mocks and policies need a proxy that the application could have used.
            all.extend(["--proxy-listen", "127.0.0.1:0"].map(str::to_owned));
        }
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        self.run(&all)
    }
}

/// Runs a table of one [`Table::relayed`] row.
pub(crate) fn relayed(calls: &Value, outbound: &[Value], suite: &str, answers: &Value) -> Run {
    let mut table = Table::new();
    table.relayed(calls, outbound, suite, answers, &[]);
    table.run_relayed()
}

/// A table whose rows are each a case with its own suite; one run replays them all.
pub(crate) struct Table {
    project: Project,
    /// The application's answer to each row's request, unless it relays.
    answers: Vec<Vec<u8>>,
    /// The texts that each row's failure must contain; empty for a row that must pass.
    wanted: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self {
            project: Project::new(),
            answers: Vec::new(),
            wanted: Vec::new(),
        }
    }

    /// Adds a row: the spans of its case, its suite, the application's answer, and the texts that
    /// its failure must contain, or none if it must pass.
    pub(crate) fn row(&mut self, spans: &[Value], suite: &str, answer: Vec<u8>, words: &[&str]) {
        let n = self.answers.len();
        self.project
            .write(&format!("r{n}.case.json"), document(spans).to_string());
        self.project.write(
            &format!("r{n}.suite.yaml"),
            format!("name: r{n}\ncases: r{n}.case.json\n{suite}\n"),
        );
        self.answers.push(answer);
        self.wanted
            .push(words.iter().map(|word| (*word).to_owned()).collect());
    }

    /// Adds a row whose application makes these calls; `answers` are the answers they should get.
    pub(crate) fn relayed(
        &mut self,
        calls: &Value,
        outbound: &[Value],
        suite: &str,
        answers: &Value,
        words: &[&str],
    ) {
        let call = format!("POST shop.example{}", self.path());
        let exchanged = [
            attribute("http.request.body", &calls.to_string()),
            response_body(&answers.to_string()),
        ];
        let mut spans = vec![span(1, "inbound", &call, Some(200), &exchanged)];
        spans.extend(outbound.iter().cloned());
        self.row(&spans, suite, Vec::new(), words);
    }

    /// Returns the path of the next row's request.
    pub(crate) fn path(&self) -> String {
        format!("/r{}", self.answers.len())
    }

    /// Returns the folder of the rows' cases and suites.
    pub(crate) fn folder(&self) -> &Path {
        self.project.path()
    }

    /// Replays all rows against an application that returns each row's answer.
    pub(crate) fn run(&self) -> Run {
        self.run_with(&[])
    }

    pub(crate) fn run_with(&self, args: &[&str]) -> Run {
        let answers = self.answers.clone();
        let app = Stub::start(move |request| {
            let row = request.line.split(['/', ' ']).nth(2).unwrap();
            answers[row[1..].parse::<usize>().unwrap()].clone()
        });
        self.project.against(&app, args)
    }

    /// Replays all rows against an application that makes the calls listed in the request's body.
    pub(crate) fn run_relayed(&self) -> Run {
        self.run_relayed_with(&[])
    }

    pub(crate) fn run_relayed_with(&self, args: &[&str]) -> Run {
        self.project
            .run_with(args, &[("SOFTPROBE_TEST_CALLS", "[]")])
    }

    /// Replays all rows and checks each result.
    #[track_caller]
    pub(crate) fn check(&self) {
        self.compare(&self.run());
    }

    /// Replays all rows with an application that relays, and checks each result.
    #[track_caller]
    pub(crate) fn check_relayed(&self) {
        self.compare(&self.run_relayed());
    }

    #[track_caller]
    fn compare(&self, run: &Run) {
        let results = run.results();
        assert_eq!(results.len(), self.wanted.len(), "{}", run.all());
        for (n, words) in self.wanted.iter().enumerate() {
            let suite =
                std::fs::read_to_string(self.project.path().join(format!("r{n}.suite.yaml")));
            let suite = suite.unwrap();
            let name = format!("r{n}::r{n}");
            let heading = format!("---- {name} ----\n");
            let after = run.stdout.split_once(&heading).map(|(_, after)| after);
            let shown = after.map(|after| after.split("\n---- ").next().unwrap_or_default());
            let shown = shown.unwrap_or_default();
            let wanted = if words.is_empty() { "ok" } else { "FAILED" };
            assert_eq!(results[&name], wanted, "{suite}\n{shown}");
            for word in words {
                assert!(shown.contains(word), "{word:?} is not in\n{suite}\n{shown}");
            }
        }
    }
}

/// The output and exit code of a runner process.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Ends a process with the limit of a test's waits, unless it is dropped before: whoever waits for the process then sees
/// that it was killed, instead of waiting for ever.
#[derive(Debug)]
pub(crate) struct Watch(
    #[expect(dead_code, reason = "it tells by being dropped")] mpsc::Sender<()>,
);

/// Ends a process with the limit of a test's waits, unless the returned watch is dropped before.
#[must_use]
pub(crate) fn watch(child: &Child) -> Watch {
    let (watch, dropped) = mpsc::channel::<()>();
    let pid = child.id().to_string();
    std::thread::spawn(move || {
        if dropped.recv_timeout(2 * LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = Command::new("kill").args(["-KILL", &pid]).status();
        }
    });
    Watch(watch)
}

/// Returns a command that runs another one through a program, with the other's environment.
pub(crate) fn through(program: &str, args: &[&str], inner: &Command) -> Command {
    let mut command = Command::new(program);
    command
        .args(args)
        .arg(inner.get_program())
        .args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Runs a command to its end, which it has to reach within the limit of a test's waits.
pub(crate) fn output(command: &mut Command) -> Output {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _watch = watch(&child);
    child.wait_with_output().unwrap()
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = output(command);
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let (_, stdout) = stdout
            .split_once(MARK)
            .expect("the child should have reached the runner");
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: stdout.to_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Returns standard output and standard error together.
    pub(crate) fn all(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// Panics unless the run passed.
    #[track_caller]
    pub(crate) fn passes(&self) -> &Self {
        assert_eq!(self.code, 0, "{}", self.all());
        self
    }

    /// Panics unless the run failed and printed every one of these texts.
    #[track_caller]
    pub(crate) fn fails(&self, texts: &[&str]) -> &Self {
        assert_eq!(self.code, 101, "{}", self.all());
        for text in texts {
            assert!(
                self.all().contains(text),
                "{text:?} is not in\n{}",
                self.all()
            );
        }
        self
    }

    /// Returns the result of each trial by name: `ok`, `FAILED` or `ignored`.
    pub(crate) fn results(&self) -> BTreeMap<String, String> {
        self.stdout
            .lines()
            .filter_map(|line| line.strip_prefix("test ")?.split_once(" ... "))
            .map(|(name, result)| {
                let word = result.split(' ').next().unwrap_or_default();
                (name.trim_end().to_owned(), word.to_owned())
            })
            .collect()
    }
}

/// What a child prints before the runner starts; libtest's own lines come before it.
const MARK: &str = "<<<the runner starts>>>\n";

/// Returns a command that runs this test binary as a runner process.
pub(crate) fn child(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "support::runner_process",
            "--nocapture",
            "--test-threads=1",
        ])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("CARGO_MANIFEST_DIR", folder)
        .env("SOFTPROBE_TEST_ARGS", json!(args).to_string());
    without_settings(&mut command);
    command
}

/// Removes from a command the settings that the tests inherited from their environment.
pub(crate) fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let ours = [
            "CI",
            "NEXTEST",
            "NEXTEST_RUN_ID",
            "APP_URL",
            "NO_COLOR",
            "CLICOLOR_FORCE",
        ]
        .contains(&name.as_ref())
            || name.starts_with("RUST_TEST_")
            || name.starts_with("OTEL_")
            || name.starts_with("GITHUB_")
            || name.starts_with("SOFTPROBE_") && !name.starts_with("SOFTPROBE_TEST_");
        if ours {
            command.env_remove(name.as_ref());
        }
    }
}

/// Removes from a command what cargo gave this test, which would have cargo build everything anew.
pub(crate) fn without_cargo(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_") && name != "CARGO_HOME" && name != "CARGO_TARGET_DIR" {
            command.env_remove(&*name);
        }
    }
}

/// Sends a signal, such as `-TERM`, to a process.
#[track_caller]
pub(crate) fn kill(signal: &str, id: u32) {
    let sent = Command::new("kill")
        .args([signal, &id.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// Starts an application that makes calls for each request, passing on the tracestate, and answers
/// with their results: `["200 body", …]`. The calls are `[[call, headers, body], …]` from the
/// request's body, or these if it is empty. One that starts with `later ` is made while the request is answered, one
/// that starts with `next ` when the next request arrives, and the result of neither is in the answer. One that starts
/// with `untraced ` carries no tracestate.
pub(crate) fn relay(proxy: SocketAddr, calls: &Value) -> Stub {
    type Call = (String, String, String);
    let calls = calls.to_string().into_bytes();
    let held: Mutex<Vec<(String, Call)>> = Mutex::default();
    let make = move |trace: &str, (call, headers, body): &Call| {
        let traced = format!("tracestate: {trace}\r\n");
        let (call, traced) = match call.strip_prefix("untraced ") {
            Some(call) => (call, ""),
            None => (call.as_str(), traced.as_str()),
        };
        let (method, url) = call.split_once(' ').unwrap();
        let host = url.split('/').next().unwrap();
        let head = format!(
            "{method} http://{url} HTTP/1.1\r\nhost: {host}\r\n{traced}{headers}content-length: {}\r\n\r\n",
            body.len()
        );
        let answer = send(proxy, head + body);
        format!("{} {}", answer.status, answer.text())
    };
    Stub::start(move |request| {
        let trace = request.header("tracestate").unwrap_or_default().to_owned();
        for (trace, call) in std::mem::take(&mut *held.lock().unwrap()) {
            make(&trace, &call);
        }
        let calls = match request.body.as_slice() {
            [] => &calls,
            own => own,
        };
        let mut answers = Vec::new();
        let calls: Vec<Call> = serde_json::from_slice(calls).unwrap();
        for (call, headers, body) in calls {
            let then = |call: &str| (call.to_owned(), headers.clone(), body.clone());
            if let Some(call) = call.strip_prefix("next ") {
                held.lock().unwrap().push((trace.clone(), then(call)));
            } else if let Some(call) = call.strip_prefix("later ") {
                let (call, trace) = (then(call), trace.clone());
                std::thread::spawn(move || make(&trace, &call));
            } else {
                answers.push(make(&trace, &then(&call)));
            }
        }
        http(
            200,
            &[("content-type", "application/json")],
            json!(answers).to_string(),
        )
    })
}

/// Not a test in itself: the body of the runner process that other tests start.
#[test]
fn runner_process() {
    use softprobe::{App, Replay};
    let Ok(args) = std::env::var("SOFTPROBE_TEST_ARGS") else {
        return;
    };
    print!("{MARK}");
    std::io::stdout().flush().unwrap();
    softprobe::install_logger();
    let args: Vec<String> = serde_json::from_str(&args).unwrap();
    let args = std::iter::once("replay".to_owned()).chain(args);
    let mut replay = Replay::new().hooks(crate::suites::hooks());
    for suite in std::env::var("SOFTPROBE_TEST_SUITES")
        .iter()
        .flat_map(|s| s.split(','))
    {
        replay = replay.suites(suite);
    }
    if std::env::var_os("SOFTPROBE_TEST_CHECKOUT").is_some() {
        replay = replay.hooks(crate::breakage::hooks()).app(|proxy| {
            eprintln!("the application starts");
            let shop = crate::breakage::start(&proxy.url())?;
            Ok(App::new(shop.url(), shop))
        });
    }
    if let Ok(command) = std::env::var("SOFTPROBE_TEST_APP_COMMAND") {
        replay = replay.app_command(command);
    }
    if let Ok(calls) = std::env::var("SOFTPROBE_TEST_CALLS") {
        replay = replay.app(move |proxy| {
            let relay = relay(proxy.address(), &serde_json::from_str(&calls)?);
            Ok(App::new(relay.url(), relay))
        });
    }
    if let Ok(calls) = std::env::var("SOFTPROBE_TEST_STARTUP") {
        replay = replay.app(move |proxy| {
            let calls: Vec<String> = serde_json::from_str(&calls)?;
            let answers = calls.iter().map(|call| {
                let (method, url) = call.split_once(' ').unwrap();
                let call = format!("{method} http://{url} HTTP/1.1\r\nhost: localhost\r\n\r\n");
                let answer = send(proxy.address(), call);
                let text = if answer.status == 200 {
                    answer.text()
                } else {
                    String::new()
                };
                format!("{} {text}", answer.status).trim().to_owned()
            });
            let stub = Stub::json(200, &json!(answers.collect::<Vec<_>>()));
            Ok(App::new(stub.url(), stub))
        });
    }
    let code = replay.run(args);
    // An `ExitCode` shows its number only in its debug form.
    let digits: String = format!("{code:?}")
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    std::process::exit(digits.parse().unwrap());
}

/// Waits until something is so, which it has to be within the limit of a test's waits.
#[track_caller]
pub(crate) fn until(is_so: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LIMIT, "it is not so");
        std::thread::yield_now();
    }
}

/// Returns a free port for a program that must be given its port in advance. It is below the range
/// from which systems assign ports on request, so no other test is assigned it in the meantime.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let place = std::process::id().wrapping_mul(61).wrapping_add(next) % 20_000;
        let port = 10_000 + u16::try_from(place).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
