//! What clients and servers may do, they may do behind the proxy and towards the runner too.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use serde_json::json;
use softprobe::{EmbeddedRuntime, Mode, Proxy, Softprobe};

use crate::support::{
    LIMIT, Project, attribute, document, http, relayed, response_body, send, span,
};

const STRICT: &str = "policy: { externalHttp: strict }";

/// Starts a server that answers each connection with this; it ends with the process.
fn server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Reads to the end of a request's head; returns whether there was one.
fn read_head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return false,
        }
    }
    true
}

#[test]
fn an_answer_before_the_end_of_the_request_counts() {
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    // It answers once it has seen the head, and reads no more.
    let app = server(move |mut stream| {
        if read_head(&mut stream) {
            stream.write_all(&http(413, &[], "too large")).unwrap();
            let _ = released.lock().unwrap().recv_timeout(LIMIT);
        }
    });
    let project = Project::new();
    let exchanged = [
        attribute("http.request.body", &"a".repeat(12 * 1024 * 1024)),
        response_body("too large"),
    ];
    let inbound = span(1, "inbound", "POST shop.example/a", Some(413), &exchanged);
    project.write("a.case.json", document(&[inbound]).to_string());
    project.write("s.suite.yaml", "name: s\ncases: a.case.json\n");
    project
        .run(&["--app-url", &format!("http://{app}")])
        .passes();
    release.send(()).unwrap();
}

#[test]
fn an_idempotent_call_is_repeated_when_its_connection_was_just_closed() {
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    // Each connection answers one request, and ends without a word at the second.
    let upstream = server(move |mut stream| {
        for n in 0..2 {
            if !read_head(&mut stream) {
                return;
            }
            seen.fetch_add(1, Ordering::SeqCst);
            if n == 0 {
                stream.write_all(&http(200, &[], "ok")).unwrap();
            }
        }
    });
    let softprobe = Softprobe::embedded(&EmbeddedRuntime::new());
    let proxy = Proxy::start(&softprobe).unwrap();
    let _session = softprobe.start_session(Mode::Replay).unwrap();
    let call = |method: &str| {
        let head = format!(
            "{method} http://{upstream}/x HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
        );
        send(proxy.address(), head).status
    };
    let statuses: Vec<u16> = (0..6).map(|_| call("GET")).collect();
    assert_eq!(statuses, [200; 6]);
    let before = requests.load(Ordering::SeqCst);
    // What is not idempotent is sent once, whatever becomes of it.
    let statuses: Vec<u16> = (0..4).map(|_| call("POST")).collect();
    assert_eq!(requests.load(Ordering::SeqCst) - before, 4, "{statuses:?}");
}

#[test]
fn a_target_may_have_characters_that_a_url_escapes() {
    let captured = |id: u64, target: &str| {
        let call = format!("GET up.example{target}");
        span(id, "outbound", &call, Some(200), &[response_body("ok")])
    };
    let targets = ["/x?q=\"<a>\"", "/<y>", "/`z^"];
    let captured: Vec<_> = targets
        .iter()
        .zip(2..)
        .map(|(target, id)| captured(id, target))
        .collect();
    let calls: Vec<_> = targets
        .iter()
        .map(|target| json!([format!("GET up.example{target}"), "", ""]))
        .collect();
    let suite = format!("{STRICT}\nmocks: auto\nunused: fail");
    let answers = json!(["200 ok", "200 ok", "200 ok"]);
    relayed(&json!(calls), &captured, &suite, &answers).passes();
}

#[test]
fn a_captured_target_with_such_characters_is_sent() {
    let app = crate::support::Stub::json(200, &json!({}));
    let project = Project::new();
    let inbound = span(
        1,
        "inbound",
        "GET shop.example/<a>?q=\"b c\"",
        Some(200),
        &[response_body("{}")],
    );
    project.write("a.case.json", document(&[inbound]).to_string());
    project.write("s.suite.yaml", "name: s\ncases: a.case.json\n");
    project.against(&app, &[]).passes();
    assert_eq!(
        app.received()[0].line,
        "GET /%3Ca%3E?q=%22b%20c%22 HTTP/1.1"
    );
}

#[test]
fn a_call_may_have_many_headers() {
    let captured = [span(
        2,
        "outbound",
        "GET up.example/x",
        Some(200),
        &[response_body("ok")],
    )];
    let headers: String = (0..200).map(|n| format!("x-{n}: {n}\r\n")).collect();
    let calls = json!([["GET up.example/x", headers, ""]]);
    let suite = format!("{STRICT}\nmocks: auto");
    relayed(&calls, &captured, &suite, &json!(["200 ok"])).passes();
}
