//! What each assertion finds. Each row has the captured answer, the assertions as written in a
//! suite, the actual answer, and every difference.

use super::{Expected, Mismatch, Reached, compare, compares_anything};
use crate::base::document::{Node, Problems};
use crate::base::http::{Headers, Response};
use crate::hook::Hooks;
use crate::report::{side, why};
use crate::suite::{AssertionPlan, parse_yaml};

/// The status, headers and body of an answer.
type Answer<'a> = (u16, &'a [(&'a str, &'a str)], &'a [u8]);

fn assertions(yaml: &str) -> AssertionPlan {
    let value = parse_yaml(yaml).unwrap();
    let mut problems = Problems::default();
    let node = Node::root(&value).lenient();
    let plan = AssertionPlan::read(&node, &Hooks::new(), &mut problems);
    problems.into_result(plan).unwrap()
}

fn shown(mismatch: &Mismatch) -> String {
    let Mismatch {
        place,
        expected,
        actual,
        why: reason,
        diff,
        accepts: _,
        changes: _,
    } = mismatch;
    let word = |given: &Option<_>| given.as_ref().map_or("nothing".to_owned(), side);
    let mut text = format!("{place}: {} / {}", word(expected), word(actual));
    if let Some(reason) = reason {
        text.push_str(&format!(" ({})", why(reason)));
    }
    if let Some(diff) = diff {
        let changed = diff.lines().skip(1).filter(|l| l.starts_with(['-', '+']));
        text.push_str(&format!(" [{}]", changed.collect::<Vec<_>>().join(" ")));
    }
    text
}

#[track_caller]
fn check(captured: Answer<'_>, yaml: &str, actual: Answer<'_>, wanted: &[&str]) {
    let headers = |fields: &[(&str, &str)]| -> Headers { fields.iter().copied().collect() };
    let captured_headers = headers(captured.1);
    let expected = Expected {
        status: captured.0,
        headers: &captured_headers,
        body: Some(captured.2.into()),
        reached: Reached::default(),
    };
    let actual = Response {
        status: actual.0,
        headers: headers(actual.1),
        body: actual.2.to_vec(),
        trailers: Headers::new(),
    };
    let plan = assertions(yaml);
    let found = compare(Some(&expected), &actual, &plan.rules);
    let found: Vec<String> = found.mismatches.iter().map(shown).collect();
    assert_eq!(found, wanted, "{yaml}");
    assert!(compares_anything(Some(&expected), &plan.rules), "{yaml}");
}

/// Checks two bodies under an assertion about bodies.
#[track_caller]
fn check_body(captured: &str, yaml: &str, actual: &str, wanted: &[&str]) {
    let (captured, actual) = (captured.as_bytes(), actual.as_bytes());
    check((200, &[], captured), yaml, (200, &[], actual), wanted);
}

#[test]
fn a_subset_is_the_default() {
    for (captured, actual, wanted) in [
        (r#"{"a":1}"#, r#"{"b":2,"a":1.0}"#, &[][..]),
        (r#"{"a":1}"#, r#"{"a":2}"#, &["$.a: 1 / 2"]),
        ("[1,2]", "[1,2]", &[]),
        ("[1,2]", "[2,1]", &["$[0]: 1 / 2", "$[1]: 2 / 1"]),
        (
            "[1]",
            "[1,2]",
            &["$: 1 element / 2 elements", "$[1]: nothing / 2"],
        ),
        (r#"{"a":null}"#, "{}", &["$.a: null / nothing"]),
        (r#"{"a":null}"#, r#"{"a":null}"#, &[]),
        (
            r#"{"a":"1"}"#,
            r#"{"a":1}"#,
            &["$.a: \"1\" / 1 (expected string, found number)"],
        ),
        (
            r#"{"id":9007199254740993}"#,
            r#"{"id":9007199254740993}"#,
            &[],
        ),
        (
            r#"{"id":9007199254740993}"#,
            r#"{"id":9007199254740992}"#,
            &["$.id: 9007199254740993 / 9007199254740992"],
        ),
        (
            r#"{"odd key":{"x":1}}"#,
            r#"{"odd key":{"x":2}}"#,
            &["$['odd key'].x: 1 / 2"],
        ),
        ("plain", "plain", &[]),
        ("plain", "other", &["body: plain / other"]),
        ("a\nb\nc", "a\nx\nc", &["body: a\nb\nc / a\nx\nc [-b +x]"]),
        (
            "{}",
            "<html>",
            &["body: {} / <html> (the expected body is JSON, but the actual one is not)"],
        ),
        (
            "<html>",
            "{}",
            &["body: <html> / {} (the actual body is JSON, but the expected one is not)"],
        ),
        ("", "", &[]),
        ("x", "", &["body: x / an empty body"]),
        (
            r#"{"text":"a\nb"}"#,
            r#"{"text":"a\nc"}"#,
            &["$.text: \"a\\nb\" / \"a\\nc\" [-b +c]"],
        ),
    ] {
        check_body(captured, "{}", actual, wanted);
    }
}

#[test]
fn binary_bodies_report_the_first_byte_that_differs() {
    check(
        (200, &[], &[0xff, 0, 1]),
        "{}",
        (200, &[], &[0xff, 0, 2]),
        &["body: 3 bytes: ff 00 01 / 3 bytes: ff 00 02 (the first difference is at byte 2)"],
    );
}

#[test]
fn the_other_body_modes_compare_as_documented() {
    let exact = "body: { mode: exact }";
    check_body(r#"{"a":1}"#, exact, r#"{ "a": 1.0 }"#, &[]);
    check_body(
        r#"{"a":1}"#,
        exact,
        r#"{"a":1,"b":2}"#,
        &["$.b: nothing / 2"],
    );
    let string = "body: { mode: string }";
    check_body(r#"{"a":1}"#, string, r#"{"a":1}"#, &[]);
    check_body(
        r#"{"a":1}"#,
        string,
        r#"{ "a": 1 }"#,
        &["body: \"{\"a\":1}\" / \"{ \"a\": 1 }\" (they differ only in white space or line ends)"],
    );
    check_body("{}", "body: { mode: ignore }", "x", &[]);
    let expected = "body: { expected: { n: 2 } }";
    check_body(r#"{"n":1}"#, expected, r#"{"n":2}"#, &[]);
    check_body(r#"{"n":1}"#, expected, r#"{"n":1}"#, &["$.n: 2 / 1"]);
}

#[test]
fn ignored_and_redacted_values_are_not_compared() {
    let ignore = "body: { ignore: [ \"$..at\" ] }";
    check_body(r#"{"at":1,"n":1}"#, ignore, r#"{"at":2,"n":1}"#, &[]);
    check_body(
        r#"{"at":1,"n":1}"#,
        ignore,
        r#"{"at":2,"n":2}"#,
        &["$.n: 1 / 2"],
    );
    // A value that is removed from one side only counts as missing there.
    let nulls = "body: { ignore: [ \"$[?@ == null]\" ] }";
    check_body(r#"{"a":5}"#, nulls, r#"{"a":5,"b":null}"#, &[]);
    check_body(r#"{"a":5}"#, nulls, r#"{"a":null}"#, &["$.a: 5 / nothing"]);
    let exact = "body: { mode: exact, ignore: [ \"$[?@ == null]\" ] }";
    check_body(r#"{"a":null}"#, exact, "{}", &[]);
    check_body(r#"{"a":null}"#, exact, r#"{"a":5}"#, &["$.a: nothing / 5"]);

    let redact = "body: { redactions: [ { path: $.pan, replacement: xxxx } ] }";
    check_body(
        r#"{"pan":"4111","n":1}"#,
        redact,
        r#"{"pan":"4222","n":1}"#,
        &[],
    );
    check_body(
        r#"{"pan":"4111","n":1}"#,
        redact,
        r#"{"n":2}"#,
        &["$.pan: \"xxxx\" / nothing", "$.n: 1 / 2"],
    );
    let hidden = "(not shown: body.redactions is set, and this is not JSON)";
    check_body(
        r#"{"pan":"4111"}"#,
        redact,
        "pan=4222",
        &[&format!(
            "body: {hidden} / {hidden} (the expected body is JSON, but the actual one is not)"
        )],
    );
}

#[test]
fn unordered_arrays_pair_each_element_once() {
    let unordered = "body: { unordered: [ $.list ] }";
    check_body(
        r#"{"list":[{"a":1},{"a":1,"b":2}]}"#,
        unordered,
        r#"{"list":[{"a":1,"b":2},{"a":1}]}"#,
        &[],
    );
    check_body(
        r#"{"list":[{"a":1},{"a":1,"b":2}]}"#,
        unordered,
        r#"{"list":[{"a":1},{"a":1}]}"#,
        &[
            "$.list[1]: {\"a\":1,\"b\":2} / nothing (no remaining element of the actual array matches)",
            "$.list[1]: nothing / {\"a\":1} (it matches no remaining element of the expected array)",
        ],
    );
    let many = format!("{{\"list\":[{}0]}}", "0,".repeat(2_000));
    check_body(
        &many,
        unordered,
        &many.replace("[0,", "[1,"),
        &[
            "$.list: 2001 elements / 2001 elements (at most 2000 elements can be compared without regard to \
           order; compare the array in order, or ignore it)",
        ],
    );
}

#[test]
fn matchers_apply_whatever_was_captured() {
    let body = |value: &str| format!("{{\"v\":{value}}}");
    for (matcher, words, good, bad) in [
        (
            "uuid",
            "a UUID",
            "\"67e55044-10b1-426f-9247-bb680e5fe0c8\"",
            "\"x\"",
        ),
        (
            "timestamp",
            "an RFC 3339 timestamp",
            "\"2026-04-20T10:00:00Z\"",
            "\"today\"",
        ),
        ("{ type: string }", "a value of type string", "\"x\"", "1"),
        (
            "{ regex: ^a }",
            "a string that matches /^a/",
            "\"ab\"",
            "\"b\"",
        ),
        (
            "{ near: 9.5, by: 0.01 }",
            "a number within 0.01 of 9.5",
            "9.505",
            "9.6",
        ),
    ] {
        let yaml = format!("body: {{ match: {{ $.v: {matcher} }} }}");
        check_body(&body("0"), &yaml, &body(good), &[]);
        let wanted = format!("$.v: {words} / {bad}");
        check_body(&body("0"), &yaml, &body(bad), &[&wanted]);
        let none = format!("$.v: {words} / nothing (the path selects nothing in the actual body)");
        check_body("{}", &yaml, "{}", &[&none]);
        let text = format!("$.v: {words} / text (the actual body is not JSON)");
        check_body("text", &yaml, "text", &[&text]);
    }
    // The length of an array is still compared.
    let elements = "body: { match: { \"$.tags[*]\": { type: string } } }";
    check_body(
        r#"{"tags":["x","y"]}"#,
        elements,
        r#"{"tags":["p","q"]}"#,
        &[],
    );
    check_body(
        r#"{"tags":["x","y"]}"#,
        elements,
        r#"{"tags":["x"]}"#,
        &[
            "$.tags: 2 elements / 1 element",
            "$.tags[1]: \"y\" / nothing",
        ],
    );
}

#[test]
fn what_a_matcher_judges_has_to_be_there() {
    let items =
        |ids: [&str; 2]| format!(r#"{{"items":[{{"n":1{}}},{{"n":2{}}}]}}"#, ids[0], ids[1]);
    let id = r#","id":"67e55044-10b1-426f-9247-bb680e5fe0c8""#;
    let captured = items([id, id]);
    let shown = "\"67e55044-10b1-426f-9247-bb680e5fe0c8\"";
    let each = "body: { match: { \"$.items[*].id\": uuid } }";
    check_body(&captured, each, &items([id, id]), &[]);
    let gone = format!("$.items[1].id: {shown} / nothing");
    check_body(&captured, each, &items([id, ""]), &[&gone]);
    // One that was not captured is not too many, even where others would be.
    let exact = "body: { mode: exact, match: { \"$.items[*].id\": uuid } }";
    check_body(&items([id, ""]), exact, &items([id, id]), &[]);
    check_body(&captured, exact, &items([id, ""]), &[&gone]);
    // Elements of arrays without order are paired by the rest of them.
    let unordered = "body: { unordered: [ $.items ], match: { \"$.items[*].id\": uuid } }";
    let swapped = format!(r#"{{"items":[{{"n":2{id}}},{{"n":1{id}}}]}}"#);
    check_body(&captured, unordered, &swapped, &[]);
}

#[test]
fn members_that_appear_twice_are_told() {
    let twice = r#"{"role":"admin","role":"user"}"#;
    let exact = "body: { mode: exact }";
    let words = "this member appears more than once in the actual body, and parsers disagree about which one \
                 counts";
    check_body(
        r#"{"role":"user"}"#,
        exact,
        twice,
        &[&format!("$.role: nothing / nothing ({words})")],
    );
    let ignored = "body: { mode: exact, ignore: [ $.role ] }";
    check_body(r#"{"role":"user"}"#, ignored, twice, &[]);
    // Equal bytes need no reading.
    check_body(twice, exact, twice, &[]);
    let headers = Headers::new();
    let expected = Expected {
        status: 200,
        headers: &headers,
        body: Some(br#"{"role":"user"}"#[..].into()),
        reached: Reached::default(),
    };
    let actual = Response {
        status: 200,
        headers: Headers::new(),
        body: twice.into(),
        trailers: Headers::new(),
    };
    let found = compare(Some(&expected), &actual, &assertions("{}").rules);
    assert!(found.mismatches.is_empty(), "{found:?}");
    let told: Vec<_> = found
        .repeated
        .iter()
        .map(|r| (r.place.to_string(), r.in_expected))
        .collect();
    assert_eq!(told, [("$.role".to_owned(), false)]);
}

#[test]
fn text_that_could_be_read_as_json_is_text_where_both_say_so() {
    let plain = [("content-type", "text/plain; charset=utf-8")];
    let json = [("content-type", "application/problem+json")];
    for (yaml, captured, actual, wanted) in [
        ("{}", &plain, &plain, &["body: 1.10 / 1.1"][..]),
        ("{}", &json, &json, &[]),
        // The suite states that it is JSON.
        ("body: { mode: json-subset }", &plain, &plain, &[]),
        ("body: { ignore: [ $.x ] }", &plain, &plain, &[]),
        ("body: { expected: 1.1 }", &plain, &plain, &[]),
        (
            "body: { expected: \"1.10\" }",
            &plain,
            &plain,
            &["body: 1.10 / 1.1"],
        ),
        ("headers: { ignore: [ content-type ] }", &plain, &json, &[]),
    ] {
        check(
            (200, captured, b"1.10"),
            yaml,
            (200, actual, b"1.1"),
            wanted,
        );
    }
}

#[test]
fn json_is_read_as_people_send_it() {
    check_body("\u{FEFF}[1]", "{}", "[1.0]", &[]);
    let halves = r#"{"a": "\ud800", "n": 1}"#;
    check_body(
        halves,
        "body: { ignore: [ $.n ] }",
        r#"{"a": "\uD800", "n": 2}"#,
        &[],
    );
    check_body(
        halves,
        "{}",
        r#"{"a": "\udfff", "n": 1}"#,
        &[r#"$.a: "\ud800" / "\udfff""#],
    );
    check_body(
        "[1]",
        "{}",
        "[1",
        &[
            "body: [1] / [1 (the expected body is JSON, but the actual one is not: EOF while parsing a list at \
           line 1 column 2)",
        ],
    );
    check_body(
        "[1",
        "{}",
        "[2",
        &[
            "body: [1 / [2 (compared as text; the actual body looks like JSON, but is not: EOF while parsing a \
           list at line 1 column 2)",
        ],
    );
}

#[test]
fn differences_in_white_space_can_be_seen() {
    let words = "they differ only in white space or line ends";
    for (captured, actual, wanted) in [
        (
            "a\nb",
            "a\nb\n",
            format!(r#"body: "a\nb" / "a\nb\n" ({words})"#),
        ),
        (
            "a\nb",
            "a\r\nb",
            format!(r#"body: "a\nb" / "a\r\nb" ({words})"#),
        ),
        (
            "a b",
            "a\u{a0}b",
            format!(r#"body: "a b" / "a\u{{a0}}b" ({words})"#),
        ),
        (
            r#"["a "]"#,
            r#"["a"]"#,
            format!(r#"$[0]: "a " / "a" ({words})"#),
        ),
    ] {
        check_body(captured, "{}", actual, &[&wanted]);
    }
    let long = "x".repeat(300);
    let shown = format!("…\"{}", "x".repeat(40));
    check_body(
        &format!("{long}\n{long}"),
        "{}",
        &format!("{long}\r\n{long}"),
        &[&format!(
            "body: {shown}\\n{}\"… / {shown}\\r\\n{}\"… ({words})",
            "x".repeat(79),
            "x".repeat(78)
        )],
    );
}

#[test]
fn the_expected_status_is_captured_or_stated() {
    for (yaml, actual, wanted) in [
        ("{}", 201, &["status: 200 / 201"][..]),
        ("status: 201", 201, &[]),
        ("status: \"201\"", 201, &[]),
        ("status: [200, 202]", 202, &[]),
        ("status: [200, 202]", 201, &["status: 200 or 202 / 201"]),
        ("status: { min: 200, max: 299 }", 299, &[]),
        (
            "status: { min: 200, max: 299 }",
            300,
            &["status: 200 to 299 / 300"],
        ),
        ("status: { min: 201 }", 599, &[]),
        ("status: { min: 201 }", 200, &["status: at least 201 / 200"]),
        ("status: { max: 299 }", 200, &[]),
        ("status: { max: 299 }", 300, &["status: at most 299 / 300"]),
    ] {
        check((200, &[], b""), yaml, (actual, &[], b""), wanted);
    }
    // What the suite states overrides what was captured.
    let captured = (200, &[][..], &b"{\"a\":1}"[..]);
    check(captured, "status: 404", (404, &[], b"gone"), &[]);
    check(
        captured,
        "{ status: 404, body: { mode: exact } }",
        (404, &[], b"gone"),
        &["body: {\"a\":1} / gone (the expected body is JSON, but the actual one is not)"],
    );
}

#[test]
fn headers_are_included_compared_or_ignored() {
    let captured = [("x-kept", "1"), ("date", "then")];
    let include = "headers: { include: { x-a: ^b, x-any: \"\" } }";
    for (yaml, actual, wanted) in [
        ("{}", &[][..], &[][..]),
        (include, &[("x-a", "c"), ("x-a", "b1"), ("x-any", "")], &[]),
        (
            include,
            &[("x-a", "ab")],
            &[
                "headers.x-a: a value that matches /^b/ / ab",
                "headers.x-any: any value / nothing",
            ],
        ),
        (
            "headers: { mode: captured }",
            &[("x-kept", "1"), ("date", "now")],
            &[],
        ),
        (
            "headers: { mode: captured }",
            &[("x-kept", "2"), ("X-Kept", "3")],
            &["headers.x-kept: 1 / 2 | 3"],
        ),
        (
            "headers: { mode: captured, ignore: [ X-Kept ] }",
            &[("x-kept", "2")],
            &[],
        ),
        (
            "headers: { include: { set-cookie: hidden } }",
            &[],
            &["headers.set-cookie: a value that matches /[masked]/ / nothing"],
        ),
    ] {
        check((200, &captured, b""), yaml, (200, actual, b""), wanted);
    }
}

#[test]
fn the_media_type_and_the_place_of_a_redirect_always_count() {
    let captured = [
        ("content-type", "text/html; charset=utf-8"),
        ("location", "/home"),
    ];
    let html = ("Content-Type", "text/html");
    let kept = &[html, ("location", "/home")][..];
    let other = &[("content-type", "text/plain"), ("location", "/evil")][..];
    let both = &[
        "headers.content-type: text/html; charset=utf-8 / text/plain",
        "headers.location: /home / /evil",
    ][..];
    for (status, yaml, actual, wanted) in [
        (302, "{}", kept, &[][..]),
        (302, "{}", other, both),
        (302, "body: { mode: ignore }", other, both),
        (302, "{}", &[html], &["headers.location: /home / nothing"]),
        (
            302,
            "headers: { ignore: [ Location, content-type ] }",
            other,
            &[],
        ),
        // A stated pattern takes precedence over what was captured.
        (
            302,
            "headers: { include: { Location: ^/, content-type: plain } }",
            other,
            &[],
        ),
        (201, "{}", &[html, ("location", "/evil")], &[]),
    ] {
        check(
            (status, &captured, b""),
            yaml,
            (status, actual, b""),
            wanted,
        );
    }
    // The captured answer is not what is expected.
    check((302, &captured, b""), "status: 200", (200, &[], b""), &[]);
    // What was not captured is not compared.
    check((302, &[], b""), "{}", (302, other, b""), &[]);
}

#[test]
fn captured_headers_compare_as_http_means_them() {
    let mode = "headers: { mode: captured }";
    let captured = [
        ("set-cookie", "role=user; Path=/"),
        ("vary", "Accept, Origin"),
    ];
    let fields = |cookie| {
        [
            ("set-cookie", cookie),
            ("vary", "origin"),
            ("vary", "accept"),
        ]
    };
    check(
        (200, &captured, b""),
        mode,
        (200, &fields("role=user; path=/"), b""),
        &[],
    );
    check(
        (200, &captured, b""),
        mode,
        (200, &fields("role=admin; Path=/"), b""),
        &[
            "headers.set-cookie: role=[masked]; Path=/ / role=[masked]; Path=/ (what differs is masked)",
        ],
    );
    check((200, &captured, b""), "{}", (200, &[], b""), &[]);
}

#[test]
fn a_comparison_of_nothing_is_detected_beforehand() {
    let headers = Headers::from_iter([("x-kept", "1"), ("date", "then")]);
    let captured = |body: Option<&'static [u8]>| Expected {
        status: 200,
        headers: &headers,
        body: body.map(Into::into),
        reached: Reached::default(),
    };
    let anything = |captured: Option<&Expected<'_>>, yaml: &str| {
        compares_anything(captured, &assertions(yaml).rules)
    };
    // A captured response has at least a status.
    assert!(anything(Some(&captured(None)), "{}"));
    for (yaml, wanted) in [
        ("{}", false),
        ("body: { mode: ignore }", false),
        ("headers: { mode: captured }", false),
        ("headers: { include: { a: b }, ignore: [ A ] }", false),
        ("headers: { include: { a: b } }", true),
        ("status: 200", true),
        ("body: { expected: 1 }", true),
        ("body: { match: { $.a: uuid } }", true),
        ("body: { match: { $.a: uuid }, mode: exact }", true),
    ] {
        assert_eq!(anything(None, yaml), wanted, "{yaml}");
    }
}

#[test]
fn a_body_is_compared_up_to_a_thousand_levels() {
    let nested = |levels: usize, core: &str| {
        let open = "{\"a\":[".repeat(levels / 2);
        format!("{open}{core}{}", "]}".repeat(levels / 2))
    };
    let json: &[(&str, &str)] = &[("content-type", "application/json")];
    let check_levels = |levels: usize, yaml: &str, wanted: &[String]| {
        let (captured, actual) = (nested(levels, "1"), nested(levels, "2"));
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let captured = (200, json, captured.as_bytes());
        check(captured, yaml, captured, &[]);
        check(captured, yaml, (200, json, actual.as_bytes()), &wanted);
    };
    for levels in [126, 128, 1000] {
        let place = format!("${}", ".a[0]".repeat(levels / 2));
        check_levels(levels, "{}", &[format!("{place}: 1 / 2")]);
    }
    check_levels(1000, "body: { ignore: [\"$.a[0].a\"] }", &[]);
    // One more is text, which says why it is none.
    let deep = nested(1002, "1");
    let yaml = "body: { mode: json-subset }";
    let plan = assertions(yaml);
    let answer = |body: &str| Response {
        status: 200,
        headers: json.iter().copied().collect(),
        body: body.into(),
        trailers: Headers::new(),
    };
    let (plain, deep) = (answer("{}"), answer(&deep));
    let expected = Expected {
        status: 200,
        headers: &plain.headers,
        body: Some(plain.body.as_slice().into()),
        reached: Reached::default(),
    };
    let found = compare(Some(&expected), &deep, &plan.rules);
    let reason = found.mismatches[0].why.as_ref().map(why);
    let wanted = "the expected body is JSON, but the actual one is not: it is nested more than 1000 levels deep";
    assert_eq!(reason.as_deref(), Some(wanted));
}
