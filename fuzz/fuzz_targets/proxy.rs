//! Any bytes as what a client sends to the proxy: the connection ends, and every answer is HTTP. The only
//! open session is strict, so nothing is forwarded.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use softprobe::control::Policy;
use softprobe::internals::ProxyInMemory;
use softprobe::{
    EmbeddedRuntime, Mock, MockResponse, Mode, Predicate, Softprobe, SoftprobeSession,
};

const LIMIT: Duration = Duration::from_secs(5);

static PROXY: LazyLock<(ProxyInMemory, SoftprobeSession)> = LazyLock::new(|| {
    let softprobe = Softprobe::embedded(&EmbeddedRuntime::new());
    let session = softprobe
        .start_session_with_policy(Mode::Replay, &Policy::strict())
        .expect("a session");
    let mock = Mock::new(Predicate::outbound().host_suffix("mock.example"))
        .response(MockResponse::new(200).body("mocked"));
    session.mock_outbound(mock).expect("a mock");
    let proxy = ProxyInMemory::new(&softprobe).expect("a proxy");
    (proxy, session)
});

fuzz_target!(|bytes: &[u8]| {
    let answer = PROXY.0.answer(bytes, LIMIT).expect("the connection ends");
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1."),
        "{}",
        String::from_utf8_lossy(&answer)
    );
});
