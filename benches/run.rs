//! Measures how fast a run is: `cargo bench --bench run`.
//!
//! Generates cases, starts a minimal application in its own process, and replays the cases with the
//! `softprobe` command. The result is compared with two loops. In the *bare loop*, a keep-alive
//! client sends the same requests to the same application, and a local server answers the
//! application's calls with a fixed response. The *fresh loop* does the same with a new connection
//! per request, as a replay opens one per case. The loops and the replays are measured in turn, and
//! the medians are reported. Then come calls through the proxy, without TLS and with it.
//!
//! `SOFTPROBE_BASELINE=PATH` also measures another build of the command, and this one with every setting of `outbound`
//! on `ignore`; `-- --quick` leaves out the
//! largest run, `-- --proxy` measures calls through the proxy alone, and `-- --reports` what writing all reports costs. The figures are printed as a table and written to `target/bench-run.json`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its results and stops if a step fails"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};
use softprobe::{EmbeddedRuntime, Mock, MockResponse, Mode, Predicate, Proxy, Softprobe};

#[path = "run/tls.rs"]
mod tls;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("--app") => return server::run(Some(args[2].parse().unwrap())),
        Some("--fixed") => return server::run(None),
        _ => {}
    }
    // `cargo test --benches` passes `--test` and only checks that the benchmark runs.
    let quick = args.iter().any(|arg| arg == "--quick" || arg == "--test");
    let smoke = args.iter().any(|arg| arg == "--test");
    let mut bench = Bench::new(smoke);
    if args.iter().any(|arg| arg == "--proxy") {
        bench.proxy(5_000);
        tls::measure(&command(), 2_000);
        return;
    }
    if args.iter().any(|arg| arg == "--reports") {
        bench.generate(10_000);
        bench.reports(10_000, 10);
        return;
    }
    bench.run(quick, smoke);
}

/// The minimal application and the fixed server: one program, which makes an outbound call if it is
/// given a proxy.
mod server {
    use std::convert::Infallible;
    use std::net::SocketAddr;
    use std::sync::{Arc, Mutex};

    use http_body_util::{BodyExt as _, Full};
    use hyper::body::{Bytes, Incoming};
    use hyper::client::conn::http1::SendRequest;
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use hyper_util::rt::TokioIo;

    /// Idle connections to the proxy.
    type Pool = Arc<Mutex<Vec<SendRequest<Full<Bytes>>>>>;

    /// Prints the address it listens on, and serves until it is killed.
    #[tokio::main(flavor = "multi_thread", worker_threads = 2)]
    pub(super) async fn run(proxy: Option<SocketAddr>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        let pool = Pool::default();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let pool = Arc::clone(&pool);
            tokio::spawn(async move {
                let service = service_fn(|request| answer(request, proxy, Arc::clone(&pool)));
                let serving = hyper::server::conn::http1::Builder::new();
                let _ = serving
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    }

    async fn answer(
        request: Request<Incoming>,
        proxy: Option<SocketAddr>,
        pool: Pool,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let body = match proxy {
            None => Bytes::from_static(super::STOCK.as_bytes()),
            Some(proxy) => {
                let stock = call(&request, proxy, &pool).await;
                let stock = String::from_utf8_lossy(&stock).into_owned();
                super::order(&stock).into()
            }
        };
        let mut response = Response::new(Full::new(body));
        let json = hyper::header::HeaderValue::from_static("application/json");
        response.headers_mut().insert("content-type", json);
        Ok(response)
    }

    /// Makes the application's one outbound call, passing the trace headers on.
    async fn call(request: &Request<Incoming>, proxy: SocketAddr, pool: &Pool) -> Bytes {
        loop {
            let free = pool.lock().unwrap().pop();
            let mut sender = match free {
                Some(sender) => sender,
                None => connect(proxy).await,
            };
            let path = request.uri().path();
            let mut call =
                Request::get(format!("http://stock.example{path}")).header("host", "stock.example");
            for name in ["traceparent", "tracestate"] {
                if let Some(value) = request.headers().get(name) {
                    call = call.header(name, value);
                }
            }
            let call = call.body(Full::new(Bytes::new())).unwrap();
            if sender.ready().await.is_err() {
                continue;
            }
            let Ok(response) = sender.send_request(call).await else {
                continue;
            };
            let body = response.into_body().collect().await.unwrap().to_bytes();
            pool.lock().unwrap().push(sender);
            return body;
        }
    }

    async fn connect(proxy: SocketAddr) -> SendRequest<Full<Bytes>> {
        let stream = tokio::net::TcpStream::connect(proxy).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let io = TokioIo::new(stream);
        let (sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

/// The stock service's answer.
const STOCK: &str = r#"{"sku":"tea","available":12,"warehouse":"north","reserved":[{"order":"A-1","quantity":2},{"order":"A-2","quantity":1}]}"#;

/// Returns the application's answer, built from that of the stock service.
fn order(stock: &str) -> String {
    format!(
        r#"{{"order":{{"status":"accepted","lines":[{{"sku":"tea","quantity":2,"cents":1000}},{{"sku":"cup","quantity":1,"cents":550}}],"total":2550}},"stock":{stock}}}"#
    )
}

const REQUEST_BODY: &str = r#"{"customer":{"name":"Ada","country":"DE"},"items":[{"sku":"tea","quantity":2},{"sku":"cup","quantity":1}],"note":"leave it at the door"}"#;

/// A child process that is killed on drop.
struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        Self {
            child,
            address: line.trim().parse().unwrap(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The cost of a run.
#[derive(Clone, Copy)]
struct Taken {
    cases: usize,
    wall: Duration,
    /// Processor time of the command, user and system.
    cpu: Duration,
    /// Peak memory, in KiB.
    peak_kb: u64,
}

impl Taken {
    /// Returns the medians over several equal runs.
    fn median(runs: &[Self]) -> Self {
        Self {
            cases: runs[0].cases,
            wall: median(runs.iter().map(|run| run.wall)),
            cpu: median(runs.iter().map(|run| run.cpu)),
            peak_kb: median(runs.iter().map(|run| run.peak_kb)),
        }
    }

    fn shown(&self) -> String {
        format!(
            "{:>8.0} {:>12.0} {:>8.1}",
            self.cases as f64 / self.wall.as_secs_f64(),
            self.cpu_us_per_case(),
            self.peak_kb as f64 / 1024.0
        )
    }

    fn cpu_us_per_case(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.cases as f64
    }

    fn value(&self) -> Value {
        json!({
            "cases": self.cases,
            "seconds": self.wall.as_secs_f64(),
            "casesPerSecond": self.cases as f64 / self.wall.as_secs_f64(),
            "cpuMicrosecondsPerCase": self.cpu_us_per_case(),
            "peakMegabytes": self.peak_kb as f64 / 1024.0,
        })
    }
}

fn median<T: Ord + Copy>(of: impl IntoIterator<Item = T>) -> T {
    let mut sorted: Vec<T> = of.into_iter().collect();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

struct Bench {
    folder: tempfile::TempDir,
    fixed: Running,
    sizes: Vec<usize>,
}

impl Bench {
    fn new(smoke: bool) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            fixed: Running::start(&["--fixed"]),
            sizes: if smoke {
                vec![20]
            } else {
                vec![1_000, 10_000, 100_000]
            },
        }
    }

    fn run(&mut self, quick: bool, smoke: bool) {
        let mut figures = json!({"cores": std::thread::available_parallelism().unwrap().get()});
        let mut rows = Vec::new();
        println!(
            "cases    threads   bare loop  fresh loop      replay      ratio  cases/s  µs cpu/case  peak MB"
        );
        for size in self.sizes.clone() {
            if quick && size > 10_000 {
                continue;
            }
            self.generate(size);
            let threads: &[usize] = if size > 10_000 { &[8] } else { &[1, 8, 32] };
            for &threads in threads {
                rows.push(self.row(size, threads));
            }
        }
        figures["runs"] = rows.into();
        figures["listing"] = self.listing(quick);
        figures["reports"] = match smoke {
            true => self.reports(20, 1),
            false => self.reports(10_000, 10),
        };
        figures["proxy"] = self.proxy(if smoke { 50 } else { 5_000 });
        figures["tls"] = tls::measure(&command(), if smoke { 20 } else { 2_000 });
        let path = target().join("bench-run.json");
        std::fs::write(&path, format!("{figures:#}\n")).unwrap();
        println!("\nwritten to {}", path.display());
    }

    /// Measures the loops and the replays in turn, and reports their medians.
    fn row(&self, size: usize, threads: usize) -> Value {
        let rounds = match size {
            0..=100 => 1,
            101..=1_000 => 9,
            1_001..=10_000 => 3,
            _ => 1,
        };
        let baseline = baseline().filter(|_| size <= 1_000 || threads == 8 && size <= 10_000);
        let (mut bare, mut fresh) = (Vec::new(), Vec::new());
        let (mut ours, mut lax, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            bare.push(self.loops(size, threads, false));
            fresh.push(self.loops(size, threads, true));
            ours.push(self.replay(&command(), &self.suite(size), size, threads, &[]));
            if let Some(baseline) = &baseline {
                lax.push(self.replay(&command(), &self.lax_suite(size), size, threads, &[]));
                theirs.push(self.replay(baseline, &self.suite(size), size, threads, &[]));
            }
        }
        let (bare, fresh) = (median(bare).as_secs_f64(), median(fresh).as_secs_f64());
        let ours = Taken::median(&ours);
        let ratio = ours.wall.as_secs_f64() / bare;
        println!(
            "{size:<8} {threads:<7} {bare:>9.3} s {fresh:>9.3} s {:>9.3} s {ratio:>10.1} {}",
            ours.wall.as_secs_f64(),
            ours.shown(),
        );
        let mut row = ours.value();
        row["threads"] = threads.into();
        row["bareLoopSeconds"] = bare.into();
        row["freshLoopSeconds"] = fresh.into();
        row["ratio"] = ratio.into();
        if baseline.is_some() {
            for (name, taken) in [("ignoring", &lax), ("baseline", &theirs)] {
                let taken = Taken::median(taken);
                println!(
                    "  {name} {:>37.3} s {:>10.1} {}",
                    taken.wall.as_secs_f64(),
                    taken.wall.as_secs_f64() / bare,
                    taken.shown(),
                );
                row[name] = taken.value();
            }
        }
        row
    }

    fn suite(&self, size: usize) -> PathBuf {
        self.folder.path().join(format!("{size}/s.suite.yaml"))
    }

    /// Returns the suite that does not judge what the application sends.
    fn lax_suite(&self, size: usize) -> PathBuf {
        self.folder.path().join(format!("{size}/lax.suite.yaml"))
    }

    /// Writes `size` cases and their suite.
    fn generate(&self, size: usize) {
        let folder = self.folder.path().join(size.to_string());
        std::fs::create_dir_all(folder.join("cases")).unwrap();
        for n in 0..size {
            let path = folder.join(format!("cases/order-{n:06}.case.json"));
            std::fs::write(path, format!("{:#}\n", case(n))).unwrap();
        }
        let suite = "name: bench\ncases: cases/*.case.json\nmocks: auto\nunused: fail\npolicy: { externalHttp: strict }\n";
        std::fs::write(self.suite(size), suite).unwrap();
        let lax = "outbound: { difference: ignore, extra: ignore, settleMs: 0 }\n";
        std::fs::write(self.lax_suite(size), suite.to_owned() + lax).unwrap();
    }

    /// Times the requests without a replay around them; `fresh` opens a connection for each.
    fn loops(&self, size: usize, threads: usize, fresh: bool) -> Duration {
        let app = Running::start(&["--app", &self.fixed.address.to_string()]);
        let next = Arc::new(AtomicUsize::new(0));
        // Warm up: during a replay, the application is warm after its first requests.
        send(&mut connect(app.address), 0);
        let start = Instant::now();
        let clients: Vec<_> = (0..threads)
            .map(|_| {
                let (next, address) = (Arc::clone(&next), app.address);
                std::thread::spawn(move || {
                    let mut stream = connect(address);
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= size {
                            return;
                        }
                        send(&mut stream, n);
                        if fresh {
                            stream = connect(address);
                        }
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        start.elapsed()
    }

    /// Measures runs that write all reports and runs that write none, in turn, and reports the medians.
    fn reports(&self, size: usize, rounds: usize) -> Value {
        const THREADS: usize = 8;
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        let files = ["page.html", "run.md", "trace.json", "junit.xml", "log"].map(file);
        let flags = ["--html", "--markdown", "--trace", "--junit", "--logfile"];
        let all: Vec<&str> = flags
            .iter()
            .zip(&files)
            .flat_map(|(flag, file)| [*flag, file.as_str()])
            .collect();
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let run =
                |more: &[&str]| self.replay(&command(), &self.suite(size), size, THREADS, more);
            without.push(run(&[]));
            with.push(run(&all));
        }
        let (with, without) = (Taken::median(&with), Taken::median(&without));
        println!(
            "\n{size} cases with all reports: {:.0} µs of processor time a case, without any: {:.0} µs ({:+.1} %)",
            with.cpu_us_per_case(),
            without.cpu_us_per_case(),
            (with.cpu_us_per_case() / without.cpu_us_per_case() - 1.0) * 100.0
        );
        json!({"cases": size, "with": with.value(), "without": without.value()})
    }

    fn replay(
        &self,
        program: &Path,
        suite: &Path,
        size: usize,
        threads: usize,
        more: &[&str],
    ) -> Taken {
        let port = free_port();
        let proxy = format!("127.0.0.1:{port}");
        let app = Running::start(&["--app", &proxy]);
        let mut run = Command::new(program);
        run.args(["suite", "run"])
            .arg(suite)
            .args(["--app-url", &format!("http://{}", app.address)])
            .args(["--proxy-listen", &proxy])
            .args(["--test-threads", &threads.to_string()])
            .args(more);
        let taken = measure(&mut run, size);
        drop(app);
        taken
    }

    fn listing(&self, quick: bool) -> Value {
        let mut rows = Vec::new();
        println!();
        for size in self.sizes.iter().filter(|size| !quick || **size <= 10_000) {
            let mut list = Command::new(command());
            list.args(["suite", "run"])
                .arg(self.suite(*size))
                .arg("--list");
            let listed = measure(&mut list, *size);
            let app = Running::start(&["--app", &self.fixed.address.to_string()]);
            let mut exact = Command::new(command());
            exact.args(["suite", "run"]).arg(self.suite(*size));
            exact.args(["--app-url", &format!("http://{}", app.address)]);
            exact.args([
                "--proxy-listen",
                "127.0.0.1:0",
                "--exact",
                "--filter",
                "bench::order-000007",
            ]);
            // The application calls the fixed server instead of the proxy, so the case fails. That does
            // not matter here: only finding it is measured.
            let found = measure_any(&mut exact, 1).0;
            println!(
                "{size:<8} cases listed in {:.3} s, peak {:.1} MB; one of them by --exact in {:.3} s",
                listed.wall.as_secs_f64(),
                listed.peak_kb as f64 / 1024.0,
                found.wall.as_secs_f64()
            );
            rows.push(json!({
                "cases": size, "listSeconds": listed.wall.as_secs_f64(),
                "exactSeconds": found.wall.as_secs_f64(),
            }));
        }
        rows.into()
    }

    /// Measures the proxy's latencies over one keep-alive connection.
    fn proxy(&self, calls: usize) -> Value {
        let softprobe = Softprobe::embedded(&EmbeddedRuntime::new());
        let proxy = Proxy::start(&softprobe).unwrap();
        let session = softprobe.start_session(Mode::Replay).unwrap();
        let answer = MockResponse::new(200).body(STOCK);
        session
            .mock_outbound(Mock::new(Predicate::outbound().host("mocked.example")).response(answer))
            .unwrap();
        let fixed = self.fixed.address.to_string();
        println!();
        let mut measured = json!({});
        for (name, host) in [("mocked", "mocked.example"), ("forwarded", fixed.as_str())] {
            let mut stream = connect(proxy.address());
            let request = format!("GET http://{host}/items/1 HTTP/1.1\r\nhost: {host}\r\n\r\n");
            let mut times: Vec<Duration> = (0..calls)
                .map(|_| {
                    let start = Instant::now();
                    stream.write_all(request.as_bytes()).unwrap();
                    receive(&mut stream);
                    start.elapsed()
                })
                .collect();
            times.sort_unstable();
            let at = |part: f64| times[(times.len() as f64 * part) as usize].as_secs_f64() * 1e6;
            let (p50, p99) = (at(0.5), at(0.99));
            println!("a {name} call through the proxy: p50 {p50:.0} µs, p99 {p99:.0} µs");
            measured[name] = json!({"p50Microseconds": p50, "p99Microseconds": p99});
        }
        measured
    }
}

/// Runs a command that has to succeed, and returns its cost.
fn measure(command: &mut Command, cases: usize) -> Taken {
    let (taken, passed) = measure_any(command, cases);
    assert!(passed, "{command:?} failed");
    taken
}

fn measure_any(command: &mut Command, cases: usize) -> (Taken, bool) {
    let before = children();
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let peak = Arc::new(Mutex::new(0));
    let watcher = std::thread::spawn({
        let (peak, status) = (Arc::clone(&peak), format!("/proc/{}/status", child.id()));
        move || {
            // The shortest runs end within ten milliseconds.
            let mut pause = Duration::from_millis(1);
            while let Some(kb) = std::fs::read_to_string(&status)
                .ok()
                .and_then(|s| high_water(&s))
            {
                *peak.lock().unwrap() = kb;
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(10));
            }
        }
    });
    let passed = child.wait().unwrap().success();
    let wall = start.elapsed();
    watcher.join().unwrap();
    let taken = Taken {
        cases,
        wall,
        cpu: children() - before,
        peak_kb: *peak.lock().unwrap(),
    };
    (taken, passed)
}

fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Returns the processor time of all child processes that have ended.
fn children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let time = |t: nix::sys::time::TimeVal| {
        Duration::from_micros((t.tv_sec() * 1_000_000 + t.tv_usec()).unsigned_abs())
    };
    time(usage.user_time()) + time(usage.system_time())
}

fn command() -> PathBuf {
    env!("CARGO_BIN_EXE_softprobe").into()
}

fn baseline() -> Option<PathBuf> {
    std::env::var_os("SOFTPROBE_BASELINE").map(PathBuf::from)
}

fn target() -> PathBuf {
    let command = command();
    command.parent().unwrap().parent().unwrap().to_owned()
}

/// Returns a port that was free a moment ago, for a process that needs to be given one.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends the request of case `n` and reads its answer.
fn send(stream: &mut TcpStream, n: usize) {
    let request = format!(
        "POST /orders/{n} HTTP/1.1\r\nhost: shop.example\r\naccept: */*\r\ncontent-type: application/json\r\n\
         user-agent: bench/1\r\ntraceparent: 00-5b8efff798038103d269b633813fc60c-00f067aa0ba902b7-01\r\n\
         content-length: {}\r\n\r\n{REQUEST_BODY}",
        REQUEST_BODY.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    receive(stream);
}

/// Reads one answer, whose length is given by its `content-length`.
fn receive(stream: &mut impl std::io::Read) {
    let mut buffer = [0; 4096];
    let mut got = 0;
    loop {
        let n = stream.read(&mut buffer[got..]).unwrap();
        assert!(n > 0, "the connection ended");
        got += n;
        let text = String::from_utf8_lossy(&buffer[..got]).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().unwrap())
        });
        if body.len() >= length.unwrap_or(0) {
            return;
        }
    }
}

/// Returns a case with one inbound exchange and the outbound call that it caused.
fn case(n: usize) -> Value {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let common = |direction: &str, host: &str, path: &str, method: &str| {
        vec![
            text("sp.traffic.direction", direction),
            text("sp.span.type", "extract"),
            text("sp.session.id", "sess_bench"),
            text("sp.service.name", "shop"),
            text("http.request.method", method),
            text("url.scheme", "http"),
            text("url.host", host),
            text("url.path", path),
            text("http.request.header.accept", "*/*"),
            text("http.request.header.user-agent", "bench/1"),
            text("http.response.header.content-type", "application/json"),
            json!({"key": "http.response.status_code", "value": {"intValue": "200"}}),
        ]
    };
    let path = format!("/orders/{n}");
    let mut inbound = common("inbound", "shop.example", &path, "POST");
    inbound.push(text("http.request.header.content-type", "application/json"));
    inbound.push(text("http.request.body", REQUEST_BODY));
    inbound.push(text("http.response.body", &order(STOCK)));
    let mut outbound = common("outbound", "stock.example", &path, "GET");
    outbound.push(text("http.request.body", ""));
    outbound.push(text("http.response.body", STOCK));
    let span = |id: u64, name: &str, attributes: Vec<Value>| {
        json!({
            "traceId": format!("{:032x}", n + 1), "spanId": format!("{id:016x}"), "name": name,
            "kind": id + 1, "startTimeUnixNano": (1_776_000_000_000_000_000 + id).to_string(),
            "endTimeUnixNano": (1_776_000_000_000_500_000 + id).to_string(), "attributes": attributes,
        })
    };
    json!({
        "version": "1.0.0", "caseId": format!("order-{n}"), "suite": "bench", "mode": "capture",
        "createdAt": "2026-04-20T10:00:00Z",
        "traces": [{"resourceSpans": [{
            "resource": {"attributes": [text("service.name", "shop")]},
            "scopeSpans": [{"scope": {"name": "softprobe"}, "spans": [
                span(1, "POST /orders", inbound), span(2, "GET /orders", outbound),
            ]}],
        }]}],
    })
}
