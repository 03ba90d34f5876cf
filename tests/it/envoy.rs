//! The runtime's interface to proxies, checked against an independent implementation of OTLP: a
//! stand-in for Envoy's filter that speaks inject and traces in protobuf.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, TracesData};
use prost::Message as _;
use serde_json::{Value, json};

use crate::command::{Served, run_in, softprobe};
use crate::support::{
    Answer, Project, Received, Stub, document, http, response_body, send, span, watch,
};

fn text(key: &str, value: &str) -> KeyValue {
    of(key, AnyKind::StringValue(value.to_owned()))
}

fn of(key: &str, value: AnyKind) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn traces(spans: Vec<Span>) -> TracesData {
    TracesData {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![text("service.name", "shop")],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: None,
                spans,
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        }],
    }
}

fn post(server: SocketAddr, path: &str, headers: &str, body: &[u8]) -> Answer {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    send(server, [head.as_bytes(), body].concat())
}

const PROTOBUF: &str = "content-type: application/x-protobuf\r\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Starts the filter's two listeners in one: calls from the application and calls to it both pass
/// through here.
fn filter(runtime: SocketAddr) -> Stub {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    Stub::start(move |request: &Received| {
        let mut parts = request.line.split(' ');
        let (method, url) = (parts.next().unwrap(), parts.next().unwrap());
        let (host, path) = match url.strip_prefix("http://") {
            Some(rest) => rest.split_at(rest.find('/').unwrap()),
            None => (request.header("x-upstream").unwrap(), url),
        };
        let first_hop = request.header("x-softprobe-session-id");
        let state = request.header("tracestate").unwrap_or_default();
        let session = first_hop
            .or_else(|| state.strip_prefix("x-softprobe-session-id="))
            .unwrap_or_default()
            .to_owned();
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let mut span = Span {
            trace_id: vec![7; 16],
            span_id: number.to_be_bytes().to_vec(),
            kind: 2,
            start_time_unix_nano: 1_776_927_363_150_714_000 + number,
            attributes: vec![
                text("sp.service.name", "shop"),
                // Both legs are labelled outbound.
                text("sp.traffic.direction", "outbound"),
                text("sp.span.type", "inject"),
                text("sp.session.id", &session),
                text("http.request.header.:method", method),
                text("http.request.header.:path", path),
                text("http.request.header.:authority", host),
                text("url.host", host),
                text("url.path", path),
                of(
                    "http.request.body",
                    AnyKind::BytesValue(request.body.clone()),
                ),
            ],
            ..Span::default()
        };
        for (name, value) in &request.headers {
            let key = format!("http.request.header.{}", name.to_ascii_lowercase());
            span.attributes.push(text(&key, value));
        }
        if first_hop.is_none() {
            let question = gzip(&traces(vec![span.clone()]).encode_to_vec());
            let headers = format!("{PROTOBUF}content-encoding: gzip\r\n");
            let answer = post(runtime, "/v1/inject", &headers, &question);
            match answer.status {
                200 => return mock(&answer),
                404 => {}
                _ => return http(answer.status, &[("x-from", "runtime")], &answer.body),
            }
        }
        let upstream: SocketAddr = host.parse().unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\ntracestate: x-softprobe-session-id={session}\r\ncontent-length: {}\r\n\r\n",
            request.body.len()
        );
        let answer = send(upstream, [head.as_bytes(), &request.body].concat());
        span.attributes[2] = text("sp.span.type", "extract");
        let status = AnyKind::IntValue(answer.status.into());
        span.attributes
            .push(of("http.response.status_code", status));
        span.attributes
            .push(text("http.response.body", &answer.text()));
        for value in answer.header("content-type") {
            span.attributes
                .push(text("http.response.header.content-type", &value));
        }
        let taken = post(
            runtime,
            "/v1/traces",
            PROTOBUF,
            &traces(vec![span]).encode_to_vec(),
        );
        assert_eq!((taken.status, taken.body.len()), (204, 0));
        http(
            answer.status,
            &[("content-type", "application/json")],
            answer.body,
        )
    })
}

/// Returns the mock in an inject answer, as the filter sends it on.
fn mock(answer: &Answer) -> Vec<u8> {
    assert_eq!(answer.header("content-type"), ["application/x-protobuf"]);
    let data = TracesData::decode(answer.body.as_slice()).unwrap();
    let span = &data.resource_spans[0].scope_spans[0].spans[0];
    let value = |key: &str| {
        let found = span.attributes.iter().find(|a| a.key == key);
        found.and_then(|a| a.value.clone()?.value)
    };
    let Some(AnyKind::IntValue(status)) = value("http.response.status_code") else {
        panic!("{span:?}");
    };
    let body = match value("http.response.body") {
        Some(AnyKind::StringValue(text)) => text.into_bytes(),
        Some(AnyKind::BytesValue(bytes)) => bytes,
        other => panic!("{other:?}"),
    };
    let mut headers = Vec::new();
    for attribute in &span.attributes {
        if let (Some(name), Some(AnyKind::StringValue(value))) = (
            attribute.key.strip_prefix("http.response.header."),
            value(&attribute.key),
        ) {
            headers.push((name.to_owned(), value));
        }
    }
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    http(u16::try_from(status).unwrap(), &headers, body)
}

/// Starts an application that calls its upstream through the filter and wraps the answer.
fn shop(filter: SocketAddr, upstream: String) -> Stub {
    Stub::start(move |request| {
        let trace = request.header("tracestate").unwrap_or_default();
        let call =
            format!("GET {upstream}/v1/price HTTP/1.1\r\nhost: up\r\ntracestate: {trace}\r\n\r\n");
        let answer = send(filter, call);
        let body = json!({"status": answer.status, "price": answer.json()});
        http(
            200,
            &[("content-type", "application/json")],
            body.to_string(),
        )
    })
}

#[test]
fn a_stand_in_for_envoys_filter_captures_and_replays() {
    let served = Served::start(&[]);
    let upstream = Stub::json(200, &json!({"cents": 4200}));
    let envoy = filter(served.address());
    let app = shop(envoy.address, upstream.url());
    let project = Project::new();
    let started = run_in(
        project.path(),
        &[
            "session",
            "start",
            "--mode",
            "capture",
            "--runtime-url",
            &served.url(),
        ],
    );
    let session = started.stdout.trim();
    let inbound = format!(
        "GET /order HTTP/1.1\r\nhost: shop\r\nx-upstream: {}\r\nx-softprobe-session-id: {session}\r\n\r\n",
        app.address
    );
    let answer = send(envoy.address, inbound);
    assert_eq!(answer.json()["price"]["cents"], 4200);
    run_in(
        project.path(),
        &[
            "session",
            "close",
            "--session",
            session,
            "--save",
            "order.case.json",
            "--runtime-url",
            &served.url(),
        ],
    )
    .ends(0, &["the case is in order.case.json"]);
    run_in(project.path(), &["inspect", "case", "order.case.json"])
        .ends(0, &["→ ", "/order", "/v1/price"]);
    assert_eq!(upstream.received().len(), 1);

    // The upstream is gone: the capture answers instead, through the same filter.
    drop(upstream);
    project.write(
        "s.suite.yaml",
        "name: s\ncases: order.case.json\nmocks: auto\npolicy: { externalHttp: strict }\nunused: fail\n",
    );
    let app_url = app.url();
    let args = [
        "suite",
        "run",
        "s.suite.yaml",
        "--app-url",
        &app_url,
        "--runtime-url",
        &served.url(),
    ];
    run_in(project.path(), &args).ends(0, &["test s::order ... ok"]);

    // Without the mock, the strict policy's miss reaches the application and fails the case.
    project.write(
        "s.suite.yaml",
        "name: s\ncases: order.case.json\npolicy: { externalHttp: strict }\n",
    );
    run_in(project.path(), &args).ends(
        20,
        &[
            "1 outbound call missed",
            "GET 127.0.0.1:",
            "$.status\n    expected  200\n    actual    599",
        ],
    );
}

fn inject(attributes: Vec<KeyValue>) -> Vec<u8> {
    let span = Span {
        attributes,
        ..Span::default()
    };
    traces(vec![span]).encode_to_vec()
}

fn question(session: &str) -> Vec<KeyValue> {
    vec![
        text("sp.span.type", "inject"),
        text("sp.session.id", session),
        text("sp.traffic.direction", "outbound"),
        text("url.host", "a.example"),
        text("url.path", "/p"),
        text("http.request.method", "GET"),
        text("tenant", "acme"),
    ]
}

fn session(server: SocketAddr, rules: &Value) -> String {
    let started = post(server, "/v1/sessions", "", b"{\"mode\":\"replay\"}");
    let id = started.json()["sessionId"].as_str().unwrap().to_owned();
    let path = format!("/v1/sessions/{id}/rules");
    let set = post(
        server,
        &path,
        "",
        json!({"rules": rules}).to_string().as_bytes(),
    );
    assert_eq!(set.status, 200, "{}", set.text());
    id
}

#[test]
fn inject_answers_as_documented() {
    let served = Served::start(&[]);
    let server = served.address();
    let mock =
        |then: Value| json!([{"when": {"traceTagEquals": {"tenant": "acme"}}, "then": then}]);
    let ask = |rules: &Value| {
        let id = session(server, rules);
        post(server, "/v1/inject", PROTOBUF, &inject(question(&id)))
    };
    let answer = ask(&mock(
        json!({"action": "mock", "response": {"status": 201, "body": {"a": 1}, "headers": {"x": ["1", "2"]}, "latencyMs": 1}}),
    ));
    assert_eq!(answer.status, 200);
    let data = TracesData::decode(answer.body.as_slice()).unwrap();
    let attributes = &data.resource_spans[0].scope_spans[0].spans[0].attributes;
    let list = |values: [&str; 2]| {
        AnyKind::ArrayValue(ArrayValue {
            values: values
                .map(|v| AnyValue {
                    value: Some(AnyKind::StringValue(v.to_owned())),
                })
                .to_vec(),
        })
    };
    for wanted in [
        of("http.response.status_code", AnyKind::IntValue(201)),
        text("http.response.body", "{\"a\":1}"),
        text("http.response.header.content-type", "application/json"),
        of("http.response.header.x", list(["1", "2"])),
    ] {
        assert!(
            attributes.contains(&wanted),
            "{wanted:?} is not in {attributes:?}"
        );
    }
    for action in ["passthrough", "capture_only"] {
        let answer = ask(&mock(json!({"action": action})));
        assert_eq!(
            (answer.status, answer.json()),
            (404, json!({"error": "no inject match"}))
        );
    }
    let answer = ask(&mock(
        json!({"action": "error", "error": {"status": 503, "body": "down"}}),
    ));
    assert_eq!((answer.status, answer.text().as_str()), (503, "down"));
    // 200 and 404 would be misread, so they travel as mocks.
    for status in [200, 404] {
        let answer = ask(&mock(
            json!({"action": "error", "error": {"status": status}}),
        ));
        assert_eq!(answer.status, 200);
        let data = TracesData::decode(answer.body.as_slice()).unwrap();
        let attributes = &data.resource_spans[0].scope_spans[0].spans[0].attributes;
        let wanted = of("http.response.status_code", AnyKind::IntValue(status));
        assert!(attributes.contains(&wanted));
    }
    let other = json!([{"when": {"service": "other"}, "then": {"action": "mock", "response": {}}}]);
    assert_eq!(ask(&other).status, 404);
    let own = json!([{"when": {"service": "shop"}, "then": {"action": "mock", "response": {}}}]);
    assert_eq!(ask(&own).status, 200);
    let gone = post(
        server,
        "/v1/inject",
        PROTOBUF,
        &inject(question("sess_gone")),
    );
    assert_eq!(
        (gone.status, &gone.json()["error"]["code"]),
        (404, &json!("unknown_session"))
    );
    let mut nobody = question("");
    nobody.remove(1);
    for (attributes, why) in [
        (nobody, "no sp.session.id"),
        (vec![], "no span has sp.span.type"),
    ] {
        let answer = post(server, "/v1/inject", PROTOBUF, &inject(attributes));
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (400, &json!("invalid_request"))
        );
        assert!(answer.text().contains(why), "{}", answer.text());
    }
}

#[test]
fn the_accept_header_decides_the_format_of_an_answer() {
    let served = Served::start(&[]);
    let server = served.address();
    let rules = json!([{"then": {"action": "mock", "response": {"body": "hi"}}}]);
    let id = session(server, &rules);
    let bytes = inject(question(&id));
    let data = TracesData::decode(bytes.as_slice()).unwrap();
    let as_json = serde_json::to_vec(&data).unwrap();
    let json_type = "content-type: application/json; charset=utf-8\r\n";
    for (sent, content, accept, wanted) in [
        (&bytes, PROTOBUF, "", "application/x-protobuf"),
        (
            &bytes,
            PROTOBUF,
            "accept: application/json\r\n",
            "application/json",
        ),
        (
            &bytes,
            PROTOBUF,
            "accept: text/html, application/json;q=0.9\r\n",
            "application/json",
        ),
        (&as_json, json_type, "", "application/json"),
        (&as_json, json_type, "accept: */*\r\n", "application/json"),
        (
            &as_json,
            json_type,
            "accept: application/x-protobuf\r\n",
            "application/x-protobuf",
        ),
    ] {
        let answer = post(server, "/v1/inject", &format!("{content}{accept}"), sent);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), [wanted], "{content}{accept}");
        // The independent implementation reads both.
        let data: TracesData = match wanted {
            "application/json" => serde_json::from_slice(&answer.body).unwrap(),
            _ => TracesData::decode(answer.body.as_slice()).unwrap(),
        };
        let attributes = &data.resource_spans[0].scope_spans[0].spans[0].attributes;
        assert!(attributes.contains(&text("http.response.body", "hi")));
    }
}

#[test]
fn an_unreadable_body_is_a_400_that_says_where() {
    let served = Served::start(&[]);
    let server = served.address();
    let mut broken = inject(question("sess_x"));
    let at = broken
        .windows(4)
        .position(|bytes| bytes == b"acme")
        .unwrap();
    broken[at] = 0xff;
    let answer = post(server, "/v1/inject", PROTOBUF, &broken);
    assert_eq!(answer.status, 400);
    for text in [
        "TracesData.resource_spans",
        "Span.attributes",
        "invalid string value",
    ] {
        assert!(answer.text().contains(text), "{}", answer.text());
    }
    for (content, body, why) in [
        ("application/json", "{\"resourceSpans\": [", "line 1 column"),
        (
            "application/json",
            "{\"resourceSpans\": {}}",
            "resourceSpans: expected a list",
        ),
        (
            "application/json",
            "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"attributes\":[{\"key\":\"a\",\"value\":{\"intValue\":\"x\"}}]}]}]}]}",
            "resourceSpans[0].scopeSpans[0].spans[0].attributes[0].value: a: intValue is not an integer",
        ),
        ("text/plain", "x", "content-type: `text/plain` is not OTLP"),
        (
            "application/x-protobuf\r\ncontent-encoding: gzip",
            "x",
            "the body is not gzip",
        ),
        (
            "application/json\r\ncontent-encoding: br",
            "{}",
            "content-encoding: `br` is not supported",
        ),
    ] {
        for path in ["/v1/inject", "/v1/traces"] {
            let answer = post(
                server,
                path,
                &format!("content-type: {content}\r\n"),
                body.as_bytes(),
            );
            assert_eq!(answer.status, 400, "{content} {body}: {}", answer.text());
            assert!(answer.text().contains(why), "{}", answer.text());
        }
    }
}

/// Returns a document in which every field of every message is set.
fn full() -> TracesData {
    let attributes = vec![
        text("text", "é"),
        of("bool", AnyKind::BoolValue(true)),
        of("int", AnyKind::IntValue(i64::MIN)),
        of("double", AnyKind::DoubleValue(0.1)),
        of("bytes", AnyKind::BytesValue(vec![0, 255])),
        of(
            "list",
            AnyKind::ArrayValue(ArrayValue {
                values: vec![AnyValue {
                    value: Some(AnyKind::IntValue(1)),
                }],
            }),
        ),
        of(
            "map",
            AnyKind::KvlistValue(KeyValueList {
                values: vec![text("inner", "x")],
            }),
        ),
        text("sp.span.type", "extract"),
    ];
    let span = Span {
        trace_id: (1..=16).collect(),
        span_id: (1..=8).collect(),
        trace_state: "a=b".to_owned(),
        parent_span_id: (11..=18).collect(),
        flags: 257,
        name: "GET /p".to_owned(),
        kind: 3,
        start_time_unix_nano: u64::MAX - 1,
        end_time_unix_nano: u64::MAX,
        attributes: attributes.clone(),
        dropped_attributes_count: 1,
        events: vec![Event {
            time_unix_nano: 5,
            name: "event".to_owned(),
            attributes: attributes.clone(),
            dropped_attributes_count: 2,
        }],
        dropped_events_count: 3,
        links: vec![Link {
            trace_id: vec![9; 16],
            span_id: vec![8; 8],
            trace_state: "c=d".to_owned(),
            attributes: vec![text("k", "v")],
            dropped_attributes_count: 4,
            flags: 1,
        }],
        dropped_links_count: 5,
        status: Some(Status {
            message: "bad".to_owned(),
            code: 2,
        }),
    };
    TracesData {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![
                    text("service.name", "shop"),
                    text("sp.session.id", "SESSION"),
                ],
                dropped_attributes_count: 6,
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "scope".to_owned(),
                    version: "1".to_owned(),
                    attributes: vec![text("s", "t")],
                    dropped_attributes_count: 7,
                }),
                spans: vec![span],
                schema_url: "https://schema/scope".to_owned(),
            }],
            schema_url: "https://schema/resource".to_owned(),
        }],
    }
}

#[test]
fn every_field_survives_a_round_trip_through_protobuf_and_json() {
    // Protobuf goes in, through a capture, and out by export: the independent implementation writes
    // what goes in and reads what comes out.
    let served = Served::start(&[]);
    let server = served.address();
    let started = post(server, "/v1/sessions", "", b"{\"mode\":\"capture\"}").json();
    let id = started["sessionId"].as_str().unwrap();
    let mut sent = full();
    let resource = sent.resource_spans[0].resource.as_mut().unwrap();
    resource.attributes[1] = text("sp.session.id", id);
    let taken = post(server, "/v1/traces", PROTOBUF, &sent.encode_to_vec());
    assert_eq!(taken.status, 204, "{}", taken.text());
    let close = format!("/v1/sessions/{id}/close?include=case");
    let case = post(server, &close, "", b"").json()["case"].take();
    let project = Project::new();
    let collector = Stub::start(|_| http(200, &[], "{}"));
    for protocol in ["http/protobuf", "http/json"] {
        project.write("full.case.json", case.to_string());
        run_in(
            project.path(),
            &[
                "export",
                "otlp",
                "full.case.json",
                "--endpoint",
                &collector.url(),
                "--protocol",
                protocol,
                "--header",
                "x-key=1",
            ],
        )
        .ends(0, &["sent 1 span of 1 case file to http://127.0.0.1:"]);
        let received = collector.received().pop().unwrap();
        assert_eq!(received.line, "POST /v1/traces HTTP/1.1");
        assert_eq!(received.header("x-key"), Some("1"));
        let mut got: TracesData = match protocol {
            "http/json" => serde_json::from_slice(&received.body).unwrap(),
            _ => TracesData::decode(received.body.as_slice()).unwrap(),
        };
        // A case groups spans by resource and scope; it has no place for their schema URLs.
        got.resource_spans[0].schema_url = sent.resource_spans[0].schema_url.clone();
        let scope = &mut got.resource_spans[0].scope_spans[0];
        scope.schema_url = sent.resource_spans[0].scope_spans[0].schema_url.clone();
        assert_eq!(got, sent, "{protocol}");
    }
}

#[test]
fn a_case_in_either_dialect_is_exported_and_a_refusal_is_reported() {
    let project = Project::new();
    let odd = span(
        1,
        "inbound",
        "GET shop.example/a",
        Some(200),
        &[response_body("{}")],
    );
    let mut case = document(&[odd]);
    let span = &mut case["traces"][0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    span["traceId"] = "W47/95gDgQPSabYzgT/GDA==".into();
    span["spanId"] = "AAAAAAAAAAE=".into();
    span["kind"] = "SPAN_KIND_SERVER".into();
    span["parentSpanId"] = Value::Null;
    project.write("odd.case.json", case.to_string());
    let collector = Stub::start(|_| http(200, &[], ""));
    let args = [
        "export",
        "otlp",
        "*.case.json",
        "--endpoint",
        &collector.url(),
    ];
    run_in(project.path(), &args).ends(0, &["sent 1 span"]);
    let received = collector.received().pop().unwrap();
    let got = TracesData::decode(received.body.as_slice()).unwrap();
    let span = &got.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(
        (span.span_id.as_slice(), span.kind),
        (&[0, 0, 0, 0, 0, 0, 0, 1][..], 2)
    );
    let refusing = Stub::start(|_| http(429, &[], "slow down"));
    let output = run_in(
        project.path(),
        &[
            "export",
            "otlp",
            "*.case.json",
            "--endpoint",
            &refusing.url(),
            "--json",
        ],
    );
    assert_eq!(
        (output.code, &output.document()["error"]["code"]),
        (1, &json!("export_failed"))
    );
    output.ends(1, &["the collector answered 429: slow down"]);
    run_in(
        project.path(),
        &[
            "export",
            "otlp",
            "*.case.json",
            "--endpoint",
            "http://127.0.0.1:1",
        ],
    )
    .ends(1, &["odd.case.json: http://127.0.0.1:1/v1/traces"]);
    case["traces"][0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["spanId"] = "zz".into();
    project.write("bad.case.json", case.to_string());
    run_in(project.path(), &args).ends(
        5,
        &["bad.case.json: traces[0].resourceSpans[0].scopeSpans[0].spans[0].spanId: expected 8 bytes"],
    );
    // Nothing of the valid case was sent either.
    assert_eq!(collector.received().len(), 1);
    run_in(
        project.path(),
        &["export", "otlp", "*.case.json", "--header", "x"],
    )
    .ends(2, &["--header: expected NAME=VALUE"]);
    let mut help = String::new();
    let mut child = softprobe(&["export", "otlp", "--help"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let _watch = watch(&child);
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut help)
        .unwrap();
    assert!(child.wait().unwrap().success() && help.contains("--protocol"));
}

#[test]
fn spans_that_a_collector_rejects_are_not_reported_as_sent() {
    let project = Project::new();
    let inbound = span(1, "inbound", "GET shop.example/a", Some(200), &[]);
    project.write("a.case.json", document(&[inbound]).to_string());
    let as_json = json!({"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too old"}});
    let as_json = as_json.to_string().into_bytes();
    // partial_success { rejected_spans: 2, error_message: "too old" }
    let as_protobuf = b"\x0a\x0b\x08\x02\x12\x07too old".to_vec();
    for answer in [as_json, as_protobuf] {
        let collector = Stub::start(move |_| http(200, &[], &answer));
        let args = [
            "export",
            "otlp",
            "a.case.json",
            "--endpoint",
            &collector.url(),
        ];
        run_in(project.path(), &args).ends(1, &["the collector rejected 2 spans: too old"]);
    }
}
