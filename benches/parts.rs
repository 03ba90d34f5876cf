//! Measures the individual parts of a replay: `cargo bench --bench parts`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macro generates an undocumented function, and a benchmark stops if a step fails"
)]

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};
use softprobe::internals::{Compared, Resolved, load_suite};
use softprobe::{Case, EmbeddedRuntime, Mock, MockResponse, Mode, Predicate, Proxy, Softprobe};

const CASE: &str = include_str!("../cases/checkout/happy.case.json");

/// Returns the sample's case, padded with a response body to about this many bytes of text.
fn case_of(bytes: usize) -> String {
    let mut case: Value = serde_json::from_str(CASE).unwrap();
    let rows = bytes.saturating_sub(case.to_string().len()) / 60;
    let span = &mut case["traces"][0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    let attributes = span["attributes"].as_array_mut().unwrap();
    let body = rows_of(rows).to_string();
    attributes.retain(|attribute| attribute["key"] != "http.response.body");
    attributes.push(json!({"key": "http.response.body", "value": {"stringValue": body}}));
    case.to_string()
}

/// Returns a JSON body with this many rows of about 50 bytes each.
fn rows_of(rows: usize) -> Value {
    let rows = (0..rows).map(|n| json!({"id": n, "sku": format!("sku-{n:06}"), "cents": n * 7}));
    rows.collect()
}

fn reading(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse a case");
    for bytes in [5_000, 50_000, 1_000_000] {
        let text = case_of(bytes);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(bytes), &text, |b, text| {
            b.iter(|| black_box(text).parse::<Case>());
        });
    }
    group.finish();
    let case = CASE.parse::<Case>().unwrap();
    let payment = Predicate::outbound().host("payments.example");
    c.bench_function("find an exchange", |b| {
        b.iter(|| case.find(black_box(&payment)));
    });
}

fn resolving(c: &mut Criterion) {
    let mut group = c.benchmark_group("resolve among rules");
    for rules in [1, 100, 1_000] {
        let resolved = Resolved::among(rules);
        group.bench_with_input(BenchmarkId::new("hit", rules), &resolved, |b, resolved| {
            b.iter(|| resolved.hit());
        });
        group.bench_with_input(BenchmarkId::new("miss", rules), &resolved, |b, resolved| {
            b.iter(|| resolved.miss());
        });
    }
    group.finish();
}

fn comparing(c: &mut Criterion) {
    let mut group = c.benchmark_group("compare bodies");
    for bytes in [1_000, 100_000] {
        let expected = rows_of(bytes / 50);
        let mut actual = expected.clone();
        actual[0]["cents"] = 1.into();
        let compared = Compared::new(expected.to_string(), actual.to_string());
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_with_input(
            BenchmarkId::from_parameter(bytes),
            &compared,
            |b, compared| {
                b.iter(|| compared.differences());
            },
        );
    }
    group.finish();
}

fn loading(c: &mut Criterion) {
    let entries: String = (0..10_000)
        .map(|n| format!("  - cases/order-{n:06}.case.json\n"))
        .collect();
    let suite = format!("name: s\ncases:\n{entries}mocks: auto\n");
    let mut group = c.benchmark_group("load a suite");
    group.sample_size(10);
    group.bench_function("10000 entries", |b| {
        b.iter(|| load_suite(black_box(&suite)))
    });
    group.finish();
}

fn answering(c: &mut Criterion) {
    let softprobe = Softprobe::embedded(&EmbeddedRuntime::new());
    let proxy = Proxy::start(&softprobe).unwrap();
    let session = softprobe.start_session(Mode::Replay).unwrap();
    let mock = Mock::new(Predicate::outbound()).response(MockResponse::new(200).body("yes"));
    session.mock_outbound(mock).unwrap();
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    c.bench_function("answer a call at the proxy", |b| {
        b.iter(|| {
            stream
                .write_all(b"GET http://a.example/ HTTP/1.1\r\nhost: a.example\r\n\r\n")
                .unwrap();
            stream.read(&mut [0; 4096]).unwrap()
        });
    });
}

criterion_group!(benches, reading, resolving, comparing, loading, answering);
criterion_main!(benches);
