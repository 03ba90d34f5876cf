//! How long the steps of a replay take: `cargo bench --bench replay`.

#![allow(
    missing_docs,
    reason = "criterion's macro makes a function without any"
)]

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use criterion::{Criterion, criterion_group, criterion_main};
use softprobe::{
    Case, EmbeddedRuntime, Idle, Mock, MockResponse, Mode, Predicate, Proxy, Softprobe,
};

const CASE: &str = include_str!("../cases/checkout/happy.case.json");

fn reading(c: &mut Criterion) {
    c.bench_function("parse a case", |b| {
        b.iter(|| Case::parse(black_box(CASE)));
    });
    let Ok(case) = Case::parse(CASE) else {
        return;
    };
    let payment = Predicate::outbound().host("payments.example");
    c.bench_function("find an exchange", |b| {
        b.iter(|| case.find(black_box(&payment)));
    });
}

fn answering(c: &mut Criterion) {
    let answered = || -> Result<_, Box<dyn std::error::Error>> {
        let runtime = EmbeddedRuntime::new();
        let proxy = Proxy::start(&runtime, "127.0.0.1:0", Idle::Refuse)?;
        let session = Softprobe::embedded(&runtime).start_session(Mode::Replay)?;
        let mock = Mock::new(Predicate::outbound()).response(MockResponse::new(200).body("yes"));
        session.mock_outbound(mock)?;
        let stream = TcpStream::connect(proxy.address())?;
        stream.set_nodelay(true)?;
        Ok((proxy, session, stream))
    };
    let Ok((_proxy, _session, mut stream)) = answered() else {
        return;
    };
    c.bench_function("answer a call at the proxy", |b| {
        b.iter(|| -> std::io::Result<usize> {
            stream.write_all(b"GET http://a.example/ HTTP/1.1\r\nhost: a.example\r\n\r\n")?;
            stream.read(&mut [0; 4096])
        });
    });
}

criterion_group!(benches, reading, answering);
criterion_main!(benches);
