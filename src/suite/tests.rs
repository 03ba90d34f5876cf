//! What a suite's text is read as, and every error that is found in it.

use std::path::Path;

use super::{Draft, Suite, SuiteContext};
use crate::base::http::{Headers, Request};
use crate::hook::{Hooks, RequestChange};

fn context(env: &[(&str, &str)]) -> SuiteContext {
    let pairs = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let process: std::collections::BTreeMap<String, String> = pairs.collect();
    SuiteContext {
        env: process.clone(),
        process,
        forbid_only: false,
    }
}

fn hooks() -> Hooks {
    Hooks::new()
        .request("t.request", |_, _| Ok(RequestChange::default()))
        .assert_body("t.body", |_, _, _| Ok(vec![]))
}

/// Reads a suite; returns the suite, if the text could be read as one, and its errors.
fn read(text: &str) -> (Option<Suite>, Vec<String>) {
    let context = context(&[("HOME_HOST", "api.example"), ("EMPTY", "")]);
    match Draft::parse(Path::new("s.yaml"), text, &context) {
        Err(faults) => (None, faults),
        Ok(draft) => {
            let (suite, faults) = draft.finish(&context, &hooks());
            (Some(suite), faults)
        }
    }
}

#[track_caller]
fn fails(text: &str, wanted: &[&str]) {
    let (_, faults) = read(text);
    assert_eq!(faults.len(), wanted.len(), "{faults:#?}");
    for (fault, wanted) in faults.iter().zip(wanted) {
        assert!(fault.contains(wanted), "{fault}\ndoes not contain {wanted}");
    }
}

#[track_caller]
fn passes(text: &str) -> Suite {
    let (suite, faults) = read(text);
    assert!(faults.is_empty(), "{faults:#?}");
    suite.unwrap()
}

#[test]
fn errors_that_make_a_suite_unreadable_are_reported() {
    for (text, wanted) in [
        ("name: s\nname: t\ncases: a", "duplicate"),
        ("cases: a", "s.yaml:1:1: `name` is missing"),
        ("name: s", "`cases` is missing"),
        (
            "name: s\ncases: []",
            "s.yaml:2:1: cases: a suite needs at least one case",
        ),
        (
            "name: s\ncases: \"${NOWHERE}\"",
            "2:1: cases: the variable `NOWHERE` is not set",
        ),
        (
            "name: s\ncases: [ { path: a, nam: x } ]",
            "2:21: cases[0].nam: unknown field; did you mean name?",
        ),
        (
            "name: s\nversion: 2\ncases: a",
            "2:1: version: expected an integer from 1 to 1, found 2",
        ),
        (
            "name: \"\"\ncases: a",
            "1:1: name: a name must not be empty",
        ),
        ("name: -s\ncases: a", "must not be empty or start with `-`"),
        (
            "name: s\ncases: [ { path: \"\" } ]",
            "a path or a glob must not be empty",
        ),
        (
            "name: s\ncases: a\nmocks: []\ndefaults: { mocks: [] }",
            "4:13: defaults.mocks: `mocks` is also set at the top level",
        ),
        (
            "name: s\ncases: a\nenv: { A: [] }",
            "3:8: env.A: expected a string, found a list",
        ),
        ("name: !x s\ncases: a", "the tag !x is not supported"),
    ] {
        fails(text, &[wanted]);
    }
}

#[test]
fn an_invalid_setting_is_reported_with_its_place() {
    for (setting, wanted) in [
        (
            "request: { transform: t.body }",
            "request.transform: `t.body` is a body assert hook, but a request hook is needed here",
        ),
        (
            "request: { timeoutMs: x }",
            "request.timeoutMs: expected an integer",
        ),
        (
            "request: { path: a }",
            "request.path: a path must start with `/`",
        ),
        (
            "request: { url: nowhere }",
            "request.url: `nowhere` is not a base URL",
        ),
        (
            "request: { method: \"a b\" }",
            "request.method: not an HTTP method",
        ),
        ("request: { headers: { \"a b\": c } }", "not a header name"),
        (
            "policy: { externalHttp: strikt }",
            "policy.externalHttp: `strikt` is not one of allow, strict; did you mean strict?",
        ),
        ("policy: { extra: 1 }", "policy.extra: unknown field"),
        (
            "policy: { allowHosts: [ \"*\" ] }",
            "policy.allowHosts[0]: `*` is not a host",
        ),
        (
            "mocks: [ { match: { hostSufix: x } } ]",
            "mocks[0].match.hostSufix: unknown field; did you mean hostSuffix?",
        ),
        (
            "mocks: [ { match: { headerMatch: { b: \"(\" } } } ]",
            "mocks[0].match.headerMatch.b: `(` is not a regular expression",
        ),
        (
            "mocks: [ { hook: t.gone, response: {} } ]",
            "mocks[0].hook: unknown hook `t.gone`; did you mean t.body?",
        ),
        (
            "mocks: [ { source: case, response: {} } ]",
            "mocks[0].response: `response` can't be used with",
        ),
        (
            "mocks: [ { name: b, response: {} }, { name: b, response: {} } ]",
            "mocks[1]: two mocks here are named `b`",
        ),
        (
            "mocks: [ { latencyMs: 600001 } ]",
            "mocks[0].latencyMs: expected an integer from 0 to 600000",
        ),
        (
            "mocks: [ { expect: all, response: {} } ]",
            "`expect` can't be used with",
        ),
        ("mocks: often", "mocks: expected a list or `auto`"),
        (
            "unused: never",
            "unused: `never` is not one of warn, fail, ignore",
        ),
        (
            "assertions: { status: 99 }",
            "assertions.status: expected an integer from 100 to 999",
        ),
        ("assertions: { status: [] }", "expected at least one status"),
        (
            "assertions: { status: { min: 300, max: 200 } }",
            "expected a `min` no greater than `max`",
        ),
        (
            "assertions: { body: { ignore: [ items ] } }",
            "assertions.body.ignore[0]: `items` is not a JSONPath",
        ),
        (
            "assertions: { body: { mode: string, ignore: [ $.a ] } }",
            "assertions.body.ignore: `ignore` has no effect with this `mode`",
        ),
        (
            "assertions: { body: { match: { $.a: uid } } }",
            "`uid` is not one of uuid, timestamp, masked; did you mean uuid?",
        ),
        (
            "assertions: { body: { match: { $.a: { type: text } } } }",
            "`text` is not one of string, number",
        ),
        (
            "assertions: { body: { match: { $.a: { near: 1 } } } }",
            "`by` is missing",
        ),
    ] {
        fails(&format!("name: s\ncases: a\n{setting}"), &[wanted]);
    }
}

#[test]
fn all_errors_are_reported_at_once_in_text_order() {
    fails(
        "name: s\nhoks: []\ncases: a\nmocks:\n  - { match: { hostSufix: x } }\n  - { hook: t.gone, response: {} }\nassertions: { status: 99 }\n",
        &[
            "2:1: hoks",
            "5:16: mocks[0].match.hostSufix",
            "6:7: mocks[1].hook",
            "7:15: assertions.status",
        ],
    );
}

#[test]
fn variables_are_expanded_and_text_is_read_as_numbers_and_booleans() {
    let suite = passes(
        "name: \"${NAME:-s}-${EMPTY:-e}\"\nenv: { WORD: w }\ncases: [ { path: \"${WORD}.json\", skip: \"false\" } ]\n\
         request: { timeoutMs: \"${MS:-100}\" }\n",
    );
    assert_eq!(suite.name, "s-e");
    assert_eq!(suite.env["WORD"], "w");
    let entry = &suite.entries[0];
    assert_eq!((entry.path.as_str(), &entry.skip), ("w.json", &None));
    assert_eq!(entry.plan.request.timeout.as_millis(), 100);
}

#[test]
fn overrides_replace_whole_fields_and_mocks_merge_by_name() {
    let suite = passes(
        "name: s\ncases:\n  - { path: a, overrides: { mocks: [ { name: one, response: { body: b } }, { name: three } ] } }\n  - b\n\
         mocks: [ { name: one }, { name: two } ]\nunused: fail\n",
    );
    let names = |n: usize| -> Vec<&str> {
        let mocks = suite.entries[n].plan.mocks.iter();
        mocks.map(|mock| mock.name.as_str()).collect()
    };
    assert_eq!(names(0), ["one", "two", "three"]);
    assert_eq!(names(1), ["one", "two"]);
    let plan = &suite.entries[0].plan;
    assert!(format!("{:?}", plan.mocks[0].action).contains("Inline"));
    assert!(
        plan.mocks
            .iter()
            .all(|mock| mock.unused == Some(super::Unused::Fail))
    );
}

#[test]
fn request_fields_change_the_captured_request() {
    let captured = Request {
        method: "POST".to_owned(),
        scheme: "http".to_owned(),
        host: "shop.example".to_owned(),
        path: "/a".to_owned(),
        query: Some("x=1&y=2".to_owned()),
        headers: Headers::from_iter([("x-one", "1"), ("x-two", "2")]),
        body: b"captured".to_vec(),
        ..Request::default()
    };
    let changed = |yaml: &str| {
        let suite = passes(&format!("name: s\ncases: a\nrequest: {yaml}"));
        let request = suite.entries[0].plan.request.apply(captured.clone());
        let headers = request.headers.iter();
        let headers: Vec<String> = headers
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
            .collect();
        let body = String::from_utf8(request.body.clone()).unwrap();
        format!(
            "{} {} [{}] {body}",
            request.method,
            request.target(),
            headers.join(", ")
        )
    };
    for (yaml, wanted) in [
        ("{}", "POST /a?x=1&y=2 [x-one: 1, x-two: 2] captured"),
        (
            "{ method: PUT }",
            "PUT /a?x=1&y=2 [x-one: 1, x-two: 2] captured",
        ),
        (
            "{ source: case.ingress, path: /b }",
            "POST /b [x-one: 1, x-two: 2] captured",
        ),
        (
            "{ source: case.ingress, path: /b?q=1 }",
            "POST /b?q=1 [x-one: 1, x-two: 2] captured",
        ),
        (
            "{ query: { x: null, z: a b } }",
            "POST /a?y=2&z=a%20b [x-one: 1, x-two: 2] captured",
        ),
        (
            "{ headers: { x-one: null, X-Two: 3, x-new: [ a, b ] } }",
            "POST /a?x=1&y=2 [X-Two: 3, x-new: a, x-new: b] captured",
        ),
        (
            "{ body: { k: 1 } }",
            "POST /a?x=1&y=2 [x-one: 1, x-two: 2, content-type: application/json] {\"k\":1}",
        ),
        (
            "{ body: text }",
            "POST /a?x=1&y=2 [x-one: 1, x-two: 2] text",
        ),
    ] {
        assert_eq!(changed(yaml), wanted, "{yaml}");
    }
}

#[test]
fn skip_takes_a_flag_or_a_reason_and_no_other_word_for_no() {
    let skip = |word: &str| {
        let (suite, faults) = read(&format!("name: s\ncases: [ {{ path: a, skip: {word} }} ]"));
        (suite.unwrap().entries[0].skip.clone(), faults.join("\n"))
    };
    for (word, reason) in [
        ("true", Some("skipped by the suite")),
        ("\"true\"", Some("skipped by the suite")),
        ("false", None),
        ("\"false\"", None),
        ("~", None),
        ("until it is mended", Some("until it is mended")),
        ("nowhere to run it", Some("nowhere to run it")),
    ] {
        assert_eq!(
            skip(word),
            (reason.map(str::to_owned), String::new()),
            "{word}"
        );
    }
    for word in ["no", "No", "off", "n", "\"NO\""] {
        let (_, faults) = skip(word);
        let wanted = "cases[0].skip: `";
        assert!(
            faults.contains(wanted) && faults.contains("write `false`"),
            "{faults}"
        );
    }
}

#[test]
fn a_byte_order_mark_before_a_suite_is_no_part_of_it() {
    let (suite, faults) = read("\u{feff}name: s\ncases: a");
    assert_eq!((suite.unwrap().name.as_str(), faults), ("s", vec![]));
    let (_, faults) = read("\u{feff}name: s\ncases: a\nnope: 1");
    assert!(faults[0].contains(":3:1: nope"), "{faults:?}");
}

#[test]
fn of_many_errors_fifty_are_told_and_the_others_counted() {
    let mocks = (0..3000).map(|n| format!("  - {{ name: m{n}, mtch: {{}} }}\n"));
    let (_, faults) = read(&format!(
        "name: s\ncases: a\nmocks:\n{}",
        mocks.collect::<String>()
    ));
    assert_eq!(faults.len(), 51);
    assert!(faults[0].starts_with("s.yaml:4:"), "{}", faults[0]);
    let rest = faults[50].strip_prefix("s.yaml:1:1: and ").unwrap();
    assert!(rest.ends_with(" more faults"), "{rest}");
}
