//! Case files as found in practice: both dialects of OTLP JSON, and the quirks of captures.

use serde_json::{Value, json};
use softprobe::{Case, Direction, Predicate};

use crate::support::{attribute, document, response_body, span};

fn case(document: Value) -> Case {
    Case::from_document(document).unwrap()
}

fn spans(spans: &[Value]) -> Case {
    case(document(spans))
}

#[test]
fn an_envoy_capture_is_read_correctly() {
    let text = include_str!("../../cases/fulfilment/envoy-hello.case.json");
    let case = text.parse::<Case>().unwrap();
    // Both legs are labelled outbound, with base64 ids; only the first hop has the session header.
    let inbound = case.inbound().unwrap().unwrap();
    assert_eq!(inbound.request.to_string(), "GET 127.0.0.1:8082/hello");
    assert_eq!(inbound.span_id, "18a8ea057a59671e");
    assert_eq!(inbound.direction, Some(Direction::Inbound));
    let outbound: Vec<String> = case.outbound().map(|x| x.request.to_string()).collect();
    assert_eq!(outbound, ["GET fragments.example:8084/fragment"]);
    // The inbound exchange is never a candidate for an outbound lookup.
    assert!(case.find(&Predicate::outbound()).is_ok());
    let sent = inbound.replayable_request();
    let names = sent.headers.names();
    assert_eq!(names, ["x-sp-num", "x-forwarded-proto", "accept"]);
}

#[test]
fn a_hand_made_capture_of_a_masked_card_is_read_correctly() {
    let case = spans(&[
        json!({"spanId": "00aabbccddeeff01", "kind": 3, "attributes": [
            attribute("sp.span.type", "extract"), attribute("url.host", "api.stripe.com"),
            attribute("url.path", "/v1/tokens"), attribute("http.request.method", "POST"),
            attribute("http.response.status_code", "200"), response_body("{}"),
        ]}),
        json!({"spanId": "00aabbccddeeff02", "kind": "SPAN_KIND_SERVER", "attributes": [
            attribute("sp.span.type", "inject"), attribute("url.host", "shop.local"),
            attribute("url.path", "/checkout"), attribute("http.request.method", "POST"),
            attribute("http.request.header.x-request-id", "mine"),
            attribute("http.response.status_code", "200"),
        ]}),
    ]);
    let inbound = case.inbound().unwrap().unwrap();
    assert_eq!(inbound.span_id, "00aabbccddeeff02");
    assert_eq!(inbound.response().unwrap().status, 200);
    assert_eq!(inbound.response().unwrap().body, None);
    // Without Envoy's hop counter beside it, the request id is the application's own.
    assert!(
        inbound
            .replayable_request()
            .headers
            .contains("x-request-id")
    );
    assert!(
        case.find(&Predicate::outbound().host_suffix("stripe.com"))
            .is_ok()
    );
}

#[test]
fn snake_case_numbers_and_older_names_are_understood() {
    let document = json!({
        "version": "1.4.0-rc.1", "caseId": "c", "unknown": {"kept": true},
        "traces": [{"resource_spans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"string_value": "old"}}]},
            "scope_spans": [{"spans": [{
                "trace_id": "5B8EFFF798038103D269B633813FC60C", "span_id": "EEE19B7EC3C1B174",
                "parent_span_id": "", "kind": 3, "start_time_unix_nano": 17,
                "attributes": [
                    {"key": "http.method", "value": {"string_value": "GET"}},
                    {"key": "url.full", "value": {"string_value": "https://u:p@api.example:444/p/q?r=1#f"}},
                    {"key": "http.status_code", "value": {"int_value": 204}},
                    {"key": "http.response.header.x-many", "value": {"array_value": {"values": [
                        {"string_value": "1"}, {"string_value": "2"}]}}},
                ],
            }]}],
        }]}],
    });
    let case = case(document.clone());
    let exchange = &case.exchanges()[0];
    assert_eq!(exchange.trace_id, "5b8efff798038103d269b633813fc60c");
    assert_eq!(exchange.service.as_deref(), Some("old"));
    assert_eq!(
        (exchange.parent_span_id.as_deref(), exchange.start_ns),
        (None, 17)
    );
    let request = &exchange.request;
    assert_eq!(request.to_string(), "GET api.example:444/p/q?r=1");
    assert_eq!(request.scheme, "https");
    let response = exchange.response().unwrap();
    assert_eq!(response.status, 204);
    let many: Vec<&[u8]> = response.headers.all("x-many").collect();
    assert_eq!(many, [b"1", b"2"]);
    assert_eq!(case.document(), &document);
}

#[test]
fn bodies_are_text_unless_the_span_says_otherwise() {
    let body = |more: &[Value]| {
        let case = spans(&[span(1, "outbound", "GET a.example/", Some(200), more)]);
        case.exchanges()[0].response().unwrap().clone()
    };
    let encoding = attribute("http.response.body.encoding", "base64");
    assert_eq!(body(&[response_body("aGk=")]).body.unwrap(), b"aGk=");
    assert_eq!(
        body(&[response_body("aGk="), encoding.clone()])
            .body
            .unwrap(),
        b"hi"
    );
    let bytes = json!({"key": "http.response.body", "value": {"bytesValue": "/wA="}});
    let gzip = attribute("http.response.header.content-encoding", "gzip");
    let captured = body(&[bytes, gzip.clone()]);
    assert_eq!(captured.body.as_deref(), Some(&[0xff, 0][..]));
    assert!(captured.replayable().headers.contains("content-encoding"));
    assert!(
        !body(&[response_body("text"), gzip])
            .replayable()
            .headers
            .contains("content-encoding")
    );
    let length = attribute("http.response.header.content-length", "99");
    let hop = attribute("http.response.header.transfer-encoding", "chunked");
    let framing = [length, hop];
    let with_body = [&framing[..], &[response_body("text")]].concat();
    assert!(body(&with_body).replayable().headers.is_empty());
    // Without a body, the length is that of another answer's, as for HEAD.
    let kept = body(&framing).replayable().headers;
    assert_eq!(kept.text("content-length").as_deref(), Some("99"));
    assert_eq!(kept.len(), 1);
    let damaged = document(&[span(
        1,
        "outbound",
        "GET a.example/",
        Some(200),
        &[response_body("!"), encoding],
    )]);
    let error = Case::from_document(damaged).unwrap_err().to_string();
    assert!(
        error.contains("spans[0].attributes[6].value: http.response.body"),
        "{error}"
    );
}

#[test]
fn the_inbound_exchange_is_the_ancestor_if_nothing_else_identifies_it() {
    let bare = |id: &str, parent: &str, kind: u8| {
        json!({"spanId": id, "parentSpanId": parent, "kind": kind, "attributes": [
            attribute("sp.traffic.direction", "outbound"), attribute("http.request.method", "GET"),
            attribute("url.path", format!("/{id}").as_str()), attribute("http.response.status_code", "200"),
        ]})
    };
    let (a, b, c) = ("00000000000000aa", "00000000000000bb", "00000000000000cc");
    let tree = spans(&[bare(c, b, 3), bare(a, "00000000000000ff", 2), bare(b, a, 3)]);
    assert_eq!(tree.inbound().unwrap().unwrap().span_id, a);
    assert!(spans(&[bare(a, "", 2)]).inbound().unwrap().is_none());
    assert!(
        spans(&[bare(a, b, 2), bare(b, a, 2), bare(c, "", 3)])
            .inbound()
            .unwrap()
            .is_none()
    );
    let two = spans(&[
        span(1, "inbound", "GET a.example/x", Some(200), &[]),
        span(2, "inbound", "GET a.example/y", Some(200), &[]),
    ]);
    let error = two.inbound().unwrap_err();
    assert_eq!(error.spans.len(), 2);
    assert!(
        error
            .to_string()
            .contains("2 spans could be the inbound exchange"),
        "{error}"
    );
}

#[test]
fn every_field_of_a_predicate_has_its_effect() {
    let case = spans(&[
        span(1, "inbound", "POST shop.example/checkout", Some(200), &[]),
        span(
            2,
            "outbound",
            "POST api.Stripe.com:443/v1/pay?a=1",
            Some(200),
            &[],
        ),
    ]);
    let wants = |predicate: Predicate| case.find_all(&predicate).unwrap().len();
    let any = Predicate::new;
    assert_eq!(wants(any()), 2);
    for (holds, fails) in [
        (
            any().direction(Direction::Inbound),
            any().direction(Direction::Inbound).method("GET"),
        ),
        (
            any().service("shop").host_suffix("com"),
            any().service("other"),
        ),
        (
            any().host("API.stripe.com"),
            any().host("api.stripe.com:80"),
        ),
        (
            any().host_suffix("ripe.com"),
            any().host_suffix("stripe.com:80"),
        ),
        (any().method("post").path("/checkout"), any().method("put")),
        (any().path("/v1/pay"), any().path("/v1/pay?a=2")),
        (any().path("/v1/pay?a=1"), any().path("/v1")),
        (any().path_prefix("/v1"), any().path_prefix("v1")),
    ] {
        assert_eq!(wants(holds.clone()), 1, "{holds}");
        assert_eq!(wants(fails.clone()), 0, "{fails}");
    }
}

#[test]
fn only_traffic_spans_are_candidates_and_a_hit_needs_a_status() {
    let other = attribute("sp.span.type", "internal");
    let mut internal = span(1, "outbound", "GET a.example/", Some(200), &[]);
    internal["attributes"][1] = other;
    let none = spans(&[internal]).find(&Predicate::outbound()).unwrap_err();
    assert!(
        none.to_string().contains("no exchange to look up"),
        "{none}"
    );
    let bare = spans(&[span(1, "outbound", "GET a.example/", None, &[])]);
    let error = bare.find(&Predicate::outbound()).unwrap_err();
    assert!(
        error.to_string().contains("span 0000000000000001"),
        "{error}"
    );
    assert!(
        error.to_string().contains("http.response.status_code"),
        "{error}"
    );
}

#[test]
fn bodies_that_were_cut_off_are_told() {
    let warnings = |method: &str, more: &[(&str, &str)]| {
        let fields: Vec<Value> = more.iter().map(|(k, v)| attribute(k, v)).collect();
        let call = format!("{method} a.example/x");
        let case = spans(&[span(1, "outbound", &call, Some(200), &fields)]);
        case.warnings().to_vec()
    };
    let length = ("http.response.header.content-length", "9");
    let whole = ("http.response.body", "123456789");
    let cut = ("http.response.body", "1234");
    assert_eq!(warnings("GET", &[length, whole]), [""; 0]);
    assert_eq!(
        warnings("HEAD", &[length, ("http.response.body", "")]),
        [""; 0]
    );
    // A decoded body has another length.
    let gzip = ("http.response.header.content-encoding", "gzip");
    assert_eq!(warnings("GET", &[length, cut, gzip]), [""; 0]);
    let told = warnings("GET", &[length, cut]);
    let words = "the body of the response is cut off: it has 4 of 9 bytes";
    assert!(told.len() == 1 && told[0].contains(words), "{told:?}");
    let request = [
        ("http.request.header.content-length", "9"),
        ("http.request.body", "1234"),
    ];
    let told = warnings("POST", &request);
    assert!(
        told.len() == 1 && told[0].contains("of the request is cut off"),
        "{told:?}"
    );
}

#[test]
fn size_guidance_warns_and_never_fails() {
    let long = response_body(&"x".repeat(70_000));
    let many: Vec<Value> = (0..101)
        .map(|n| {
            span(
                n,
                "outbound",
                "GET a.example/",
                Some(200),
                if n == 0 {
                    std::slice::from_ref(&long)
                } else {
                    &[]
                },
            )
        })
        .collect();
    let warnings = spans(&many).warnings().join("\n");
    assert!(warnings.contains("101 spans"), "{warnings}");
    assert!(
        warnings.contains("http.response.body is 70000 bytes long"),
        "{warnings}"
    );
}

#[test]
fn captured_order_is_by_start_time_then_document_order() {
    let at = |id: u64, start: u64| {
        let mut span = span(id, "outbound", "GET a.example/", Some(200), &[]);
        span["startTimeUnixNano"] = start.into();
        span
    };
    let case = spans(&[at(1, 9), at(2, 5), at(3, 5)]);
    let hits = case.find_all(&Predicate::outbound()).unwrap();
    let ids: Vec<&str> = hits.iter().map(|hit| &hit.exchange.span_id[14..]).collect();
    assert_eq!(ids, ["02", "03", "01"]);
}

#[test]
fn each_name_of_a_request_s_parts_is_read_in_its_turn() {
    let read = |kind: i64, attributes: &[(&str, &str)]| {
        let attributes: Vec<Value> = attributes.iter().map(|(k, v)| attribute(k, v)).collect();
        let span = json!({"spanId": "00aabbccddeeff01", "kind": kind, "attributes": attributes});
        let request = spans(&[span]).exchanges()[0].request.clone();
        format!(
            "{} {}://{}{}",
            request.method,
            request.scheme,
            request.host,
            request.target()
        )
    };
    const SERVER: i64 = 2;
    const CLIENT: i64 = 3;
    let url = ("http.url", "https://dep.example:8081/v2?y=2");
    for (kind, attributes, wanted) in [
        (CLIENT, &[url][..], " https://dep.example:8081/v2?y=2"),
        (
            CLIENT,
            &[url, ("url.full", "http://new.example/")],
            " http://new.example/",
        ),
        (
            CLIENT,
            &[url, ("url.host", "h.example")],
            " https://h.example/v2?y=2",
        ),
        (
            CLIENT,
            &[("http.scheme", "https"), ("http.host", "a.example")],
            " https://a.example/",
        ),
        (
            CLIENT,
            &[("server.address", "::1"), ("server.port", "80")],
            " http://[::1]:80/",
        ),
        (
            CLIENT,
            &[("server.address", "10.0.0.1")],
            " http://10.0.0.1/",
        ),
        // The peer is what a client calls, but a server's caller.
        (
            CLIENT,
            &[("net.peer.name", "p.example")],
            " http://p.example/",
        ),
        (SERVER, &[("net.peer.name", "p.example")], " http:///"),
        (
            CLIENT,
            &[
                ("http.request.method", "_OTHER"),
                ("http.request.method_original", "PURGE"),
            ],
            "PURGE http:///",
        ),
        (
            CLIENT,
            &[("http.request.method", "_OTHER"), ("http.method", "LINK")],
            "LINK http:///",
        ),
        (
            CLIENT,
            &[
                ("http.request.method", "GET"),
                ("http.request.method_original", "get"),
            ],
            "GET http:///",
        ),
    ] {
        assert_eq!(read(kind, attributes), wanted, "{attributes:?}");
    }
}

#[test]
fn an_underscore_in_a_header_s_name_is_a_hyphen_if_no_other_header_has_one() {
    let headers = |more: &[Value]| {
        let case = spans(&[span(1, "outbound", "GET a.example/", Some(200), more)]);
        case.exchanges()[0].request.headers.clone()
    };
    let old = attribute("http.request.header.content_type", "text/old");
    let new = attribute("http.request.header.content-type", "text/new");
    assert_eq!(
        headers(std::slice::from_ref(&old))
            .text("content-type")
            .unwrap(),
        "text/old"
    );
    let both = headers(&[old, new]);
    assert_eq!(both.text("content-type").unwrap(), "text/new");
    assert_eq!(both.text("content_type").unwrap(), "text/old");
}

#[test]
fn spans_under_another_name_are_an_error_and_not_lost() {
    let one = span(1, "outbound", "GET a.example/", Some(200), &[]);
    let fails = |trace: Value, place: &str, name: &str| {
        let document = json!({"version": "1.0.0", "caseId": "c", "traces": [trace]});
        let error = Case::from_document(document).unwrap_err().to_string();
        assert!(
            error.starts_with(place) && error.contains(&format!("`{name}`")),
            "{error}"
        );
    };
    let spans = json!([{"spans": [one]}]);
    fails(
        json!({"batches": [{"scopeSpans": spans}]}),
        "traces[0]: ",
        "batches",
    );
    fails(
        json!({"result": {"resourceSpans": []}}),
        "traces[0]: ",
        "result",
    );
    fails(
        json!({"resourceSpans": [{"resource": {}, "instrumentationLibrarySpans": spans}]}),
        "traces[0].resourceSpans[0]: ",
        "instrumentationLibrarySpans",
    );
    fails(
        json!({"resourceSpans": [{"scopeSpans": [{"scope": {}, "items": [one]}]}]}),
        "traces[0].resourceSpans[0].scopeSpans[0]: ",
        "items",
    );
    // Nothing is lost here.
    for trace in [
        json!({}),
        json!({"resourceSpans": [], "note": ["kept"]}),
        json!({"note": "kept"}),
        json!({"resourceSpans": [{"resource": {"attributes": []}, "schemaUrl": "x"}]}),
    ] {
        let document = json!({"version": "1.0.0", "caseId": "c", "traces": [trace]});
        assert!(case(document).exchanges().is_empty());
    }
}

#[test]
fn a_member_that_appears_twice_is_an_error_with_its_place() {
    let text = |traces: &str| format!("{{\"version\":\"1.0.0\",\"caseId\":\"c\",{traces}}}");
    let error = |traces: &str| text(traces).parse::<Case>().unwrap_err().to_string();
    let twice = error("\"traces\":[],\"traces\":[]");
    assert!(twice.contains("traces: appears twice"), "{twice}");
    let deep = error("\"traces\":[{\"resourceSpans\":[{\"resource\":{},\"resource\":{}}]}]");
    assert!(
        deep.contains("traces[0].resourceSpans[0].resource: appears twice"),
        "{deep}"
    );
    // Beside another fault, and in an object of many members.
    let many: Vec<String> = (0..40).map(|n| format!("\"m{n}\":1")).collect();
    let both = error(&format!("{},\"m7\":2,\"traces\":1", many.join(",")));
    assert!(
        both.contains("m7: appears twice") && both.contains("traces: expected a list"),
        "{both}"
    );
}
