//! Which requests a predicate matches, which rule answers, and what a policy decides.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, Layer, Policy, Question, Rule, RuleState, Then, resolve, rules_document};
use crate::base::http::{Direction, Headers, Request};
use crate::compare::COMPARISON_FIELDS;

fn request(line: &str) -> Request {
    let (method, url) = line.split_once(' ').unwrap();
    let (host, target) = url.split_at(url.find('/').unwrap());
    let (path, query) = target
        .split_once('?')
        .map_or((target, None), |(p, q)| (p, Some(q)));
    Request {
        method: method.to_owned(),
        scheme: "http".to_owned(),
        host: host.to_owned(),
        path: path.to_owned(),
        query: query.map(str::to_owned),
        headers: Headers::from_iter([("x-a", "one"), ("X-A", "two"), ("authorization", "s3cret")]),
        body: b"{\"k\":{\"n\":1.0}}".to_vec(),
        unread: false,
    }
}

fn rules(list: &Value) -> Vec<RuleState> {
    let rules = Rule::read_document(&json!({"rules": list})).unwrap();
    let rules = rules.into_iter().map(Arc::new);
    rules.map(RuleState::new).collect()
}

/// Returns what a request gets under these rules and this policy: a mock's body or the word for any
/// other answer, and for a miss the nearest rule.
fn ruling(line: &str, case: &[RuleState], session: &[RuleState], policy: &Value) -> String {
    let request = request(line);
    let question = Question::new(&request, Direction::Outbound, "s", Some("shop"), &[]);
    let decision = resolve(
        &question,
        &Policy::from_value(policy).unwrap(),
        case,
        session,
    );
    let mut text = match &decision.answer {
        Answer::Mock { response, .. } => String::from_utf8_lossy(&response.body).into_owned(),
        other => other.word().to_owned(),
    };
    if let Some(nearest) = decision.nearest {
        let difference = nearest.difference;
        text.push_str(&format!(
            "; {} wants {} {}, has {}",
            nearest.rule, difference.field, difference.wanted, difference.has
        ));
    }
    text
}

#[test]
fn a_body_is_read_through_its_encoding() {
    use std::io::Write as _;

    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"{\"kind\":\"invoice\"}").unwrap();
    let mut request = request("POST bulk.example/in");
    request.headers.set("content-encoding", "gzip");
    request.body = encoder.finish().unwrap();
    let question = Question::new(&request, Direction::Outbound, "s", None, &[]);
    for (kind, wanted) in [("invoice", true), ("order", false)] {
        let rule = &rules(&json!([mock(
            "m",
            json!({"bodyJsonPathEquals": {"$.kind": kind}})
        )]))[0];
        assert_eq!(rule.rule.when.matches(&question), wanted, "{kind}");
    }
}

#[test]
fn a_document_may_be_a_single_rule() {
    let one = Rule::read_document(&mock("m", json!({}))).unwrap();
    assert_eq!(one[0].name.as_deref(), Some("m"));
    let problems = Rule::read_document(&mock("m", json!({"pth": 1}))).unwrap_err();
    assert_eq!(
        problems.0[0].to_string(),
        "when.pth: unknown field; did you mean path?"
    );
}

fn mock(name: &str, when: Value) -> Value {
    json!({"name": name, "when": when, "then": {"action": "mock", "response": {"body": name}}})
}

#[test]
fn every_predicate_has_its_effect() {
    const CALL: &str = "POST api.example:80/v1/pay?a=1&b=x%20y";
    let strict = json!({"externalHttp": "strict"});
    for (fits, misfits, has) in [
        (
            json!({"direction": "outbound"}),
            json!({"direction": "inbound"}),
            "direction inbound, has outbound",
        ),
        (
            json!({"service": "shop"}),
            json!({"service": "other"}),
            "service other, has shop",
        ),
        (
            json!({"method": "post"}),
            json!({"method": "GET"}),
            "method GET, has POST",
        ),
        (
            json!({"host": "API.example"}),
            json!({"host": "api.exampl"}),
            "host api.exampl, has api.example:80",
        ),
        (
            json!({"hostSuffix": "example"}),
            json!({"hostSuffix": "example.org"}),
            "hostSuffix example.org, has api.example:80",
        ),
        (
            json!({"notHostSuffix": ["org"]}),
            json!({"notHostSuffix": ["org", "example"]}),
            "notHostSuffix none of org, example, has api.example:80",
        ),
        (
            json!({"path": "/v1/pay"}),
            json!({"path": "/v1"}),
            "path /v1, has /v1/pay?a=1&b=x%20y",
        ),
        (
            json!({"path": "/v1/pay?a=1&b=x%20y"}),
            json!({"path": "/v1/pay?a=1"}),
            "query a=1, has a=1&b=x%20y",
        ),
        (
            json!({"path": "/v1/p%61y?b=x+y&a=1"}),
            json!({"path": "/v1/pay?"}),
            "query no query, has a=1&b=x%20y",
        ),
        (
            json!({"host": "API.example."}),
            json!({"host": "api.example.org."}),
            "host api.example.org., has api.example:80",
        ),
        (
            json!({"pathPrefix": "/v1"}),
            json!({"pathPrefix": "/v2"}),
            "pathPrefix /v2, has /v1/pay",
        ),
        (
            json!({"query": {"b": "x y", "a": 1}}),
            json!({"query": {"a": 2}}),
            "query a=2, has a=1&b=x%20y",
        ),
        (
            json!({"headers": {"X-A": "two"}}),
            json!({"headers": {"x-a": ["two", "three"]}}),
            "headers.x-a two, three, has one, two",
        ),
        (
            json!({"headers": {"x-a": ["two", "one"]}}),
            json!({"headers": {"x-b": "on"}}),
            "headers.x-b on, has no such header",
        ),
        (
            json!({"headerMatch": {"x-a": "^t"}}),
            json!({"headerMatch": {"x-a": "^$"}}),
            "headerMatch.x-a ^$, has one, two",
        ),
        (
            json!({"headerMatch": {"authorization": "^s"}}),
            json!({"headerMatch": {"authorization": "^x"}}),
            "headerMatch.authorization [masked], has [masked]",
        ),
        (
            json!({"bodyJsonPath": "$.k.n"}),
            json!({"bodyJsonPath": "$.k.m"}),
            "bodyJsonPath $.k.m, has no such node in the body",
        ),
        (
            json!({"bodyJsonPathEquals": {"$.k.n": 1}}),
            json!({"bodyJsonPathEquals": {"$.k.n": 2}}),
            "bodyJsonPathEquals.$.k.n 2, has 1.0",
        ),
        (
            json!({"traceTags": {"http.request.method": "POST"}}),
            json!({"traceTags": {"http.request.method": "GET"}}),
            "traceTags.http.request.method \"GET\", has \"POST\"",
        ),
        (
            json!({"traceTagEquals": {"url.path": "/v1/pay"}}),
            json!({"traceTagEquals": {"gone": 1}}),
            "traceTagEquals.gone 1, has no such attribute",
        ),
        (
            json!({"traceTags": {"http.request.header.authorization": "s3cret"}}),
            json!({"traceTags": {"http.request.header.authorization": "x"}}),
            "traceTags.http.request.header.authorization [masked], has [masked]",
        ),
    ] {
        let found = ruling(
            CALL,
            &[],
            &rules(&json!([mock("m", fits.clone())])),
            &strict,
        );
        assert_eq!(found, "m", "{fits}");
        let missed = ruling(
            CALL,
            &[],
            &rules(&json!([mock("m", misfits.clone())])),
            &strict,
        );
        assert_eq!(missed, format!("missed; m wants {has}"), "{misfits}");
        // A rule is the same after it has been written and read again.
        let list = rules(&json!([
            mock("m", fits.clone()),
            mock("n", misfits.clone())
        ]));
        let list: Vec<Arc<Rule>> = list.iter().map(|state| Arc::clone(&state.rule)).collect();
        let document = rules_document(&list);
        let again = Rule::read_document(&document).unwrap();
        let again: Vec<Arc<Rule>> = again.into_iter().map(Arc::new).collect();
        assert_eq!(rules_document(&again), document);
        assert_eq!(
            ruling(CALL, &[], &rules(&document["rules"]), &strict),
            "m",
            "{fits}"
        );
    }
}

#[test]
fn priority_then_layer_then_order_decide() {
    let call = "GET up.example/x";
    let with = |name: &str, priority: i64| {
        let mut rule = mock(name, json!({}));
        rule["priority"] = priority.into();
        rule
    };
    let strict = json!({"externalHttp": "strict"});
    let allow = json!({});
    for (case, session, policy, wanted) in [
        (json!([]), json!([with("a", 0), with("b", 0)]), &strict, "b"),
        (json!([]), json!([with("a", 1), with("b", 0)]), &strict, "a"),
        (
            json!([with("case", 0)]),
            json!([with("mine", 0)]),
            &strict,
            "mine",
        ),
        (
            json!([with("case", 1)]),
            json!([with("mine", 0)]),
            &strict,
            "case",
        ),
        (
            json!([with("case", 0)]),
            json!([with("mine", -1)]),
            &strict,
            "case",
        ),
        // A strict policy has priority 0; a policy that lets calls pass has none.
        (json!([with("case", -1)]), json!([]), &strict, "missed"),
        (json!([with("case", -1)]), json!([]), &allow, "case"),
        (json!([]), json!([]), &allow, "forwarded"),
        (json!([]), json!([]), &strict, "missed"),
    ] {
        assert_eq!(
            ruling(call, &rules(&case), &rules(&session), policy),
            wanted
        );
    }
}

#[test]
fn a_spent_rule_no_longer_matches() {
    let mut once = mock("once", json!({"host": "up.example"}));
    once["consume"] = "once".into();
    let mut session = rules(&json!([mock("many", json!({"path": "/x"})), once]));
    let strict = json!({"externalHttp": "strict"});
    assert_eq!(ruling("GET up.example/x", &[], &session, &strict), "once");
    session[1].uses = 1;
    assert_eq!(ruling("GET up.example/x", &[], &session, &strict), "many");
    assert_eq!(
        ruling("GET up.example/y", &[], &session, &strict),
        "missed; once wants consume once, has already spent"
    );
}

#[test]
fn every_field_of_a_policy_has_its_effect() {
    let here = "GET 127.0.0.1:1/x";
    for (call, policy, wanted) in [
        (here, json!({"externalHttp": "allow"}), "forwarded"),
        (here, json!({"externalHttp": "strict"}), "missed"),
        (
            here,
            json!({"externalHttp": "strict", "internalHttp": "allow"}),
            "forwarded",
        ),
        (
            here,
            json!({"externalHttp": "allow", "internalHttp": "strict"}),
            "missed",
        ),
        (
            "GET payments/x",
            json!({"internalHttp": "strict"}),
            "missed",
        ),
        (
            "GET api.stripe.com/x",
            json!({"internalHttp": "strict"}),
            "forwarded",
        ),
        (
            here,
            json!({"externalHttp": "strict", "allowHosts": ["127.0.0.1"]}),
            "forwarded",
        ),
        (
            here,
            json!({"externalHttp": "strict", "externalAllowlist": ["127.0.0.1:1"]}),
            "forwarded",
        ),
        (
            here,
            json!({"externalHttp": "strict", "externalAllowlist": ["127.0.0.1:2"]}),
            "missed",
        ),
        (
            "GET api.stripe.com/x",
            json!({"externalHttp": "strict", "allowHosts": [".stripe.com"]}),
            "forwarded",
        ),
        (
            "GET evilstripe.com/x",
            json!({"externalHttp": "strict", "allowHosts": ["stripe.com"]}),
            "missed",
        ),
        (
            here,
            json!({"allowHosts": ["127.0.0.1"], "blockHosts": ["127.0.0.1"]}),
            "missed",
        ),
        (
            "GET a.example/x",
            json!({"defaultOnMiss": "error"}),
            "missed",
        ),
        (
            "GET a.example/x",
            json!({"defaultOnMiss": "mock", "mock": {"body": "m"}}),
            "m",
        ),
        ("GET a.example/x", json!({"unknown": 1}), "forwarded"),
    ] {
        assert_eq!(ruling(call, &[], &[], &policy), wanted, "{call} {policy}");
        let read = Policy::from_value(&policy).unwrap();
        assert_eq!(Policy::from_value(&read.to_value()), Ok(read), "{policy}");
    }
}

#[test]
fn a_decision_gives_the_layer_and_index_of_its_rule() {
    let request = request("GET up.example/x");
    let question = Question::new(&request, Direction::Outbound, "s", None, &[]);
    let case = rules(&json!([
        mock("a", json!({"host": "no"})),
        mock("b", json!({}))
    ]));
    let decision = resolve(&question, &Policy::strict(), &case, &[]);
    assert_eq!(decision.rule, Some((Layer::Case, 1)));
}

#[test]
fn an_invalid_rule_says_where_and_why() {
    let then = json!({"action": "passthrough"});
    for (rule, wanted) in [
        (
            json!({"then": then, "wen": {}}),
            "rules[0].wen: unknown field; did you mean when?",
        ),
        (json!({"when": {}}), "rules[0]: `then` is missing"),
        (
            json!({"when": {"direciton": "x"}, "then": then}),
            "rules[0].when.direciton: unknown field; did you mean direction?",
        ),
        (
            json!({"when": {"headerMatch": {"a": "("}}, "then": then}),
            "rules[0].when.headerMatch.a: `(` is not a regular expression",
        ),
        (
            json!({"when": {"bodyJsonPath": "x["}, "then": then}),
            "rules[0].when.bodyJsonPath: `x[` is not a JSONPath",
        ),
        (
            json!({"then": {"action": "replay"}}),
            "rules[0].then.action: `replay` is no longer supported",
        ),
        (
            json!({"then": {"action": "mock", "response": {"status": 42}}}),
            "rules[0].then.response.status: expected an integer from 200 to 999",
        ),
        (
            json!({"then": {"action": "mock", "response": {"status": 101}}}),
            "rules[0].then.response.status: expected an integer from 200 to 999",
        ),
        (
            json!({"then": {"action": "error", "error": {"status": 199}}}),
            "rules[0].then.error.status: expected an integer from 200 to 999",
        ),
        (
            json!({"then": {"action": "mock", "response": {"headers": {"a b": "c"}}}}),
            "not a header name",
        ),
        (
            json!({"then": {"action": "error", "response": {}, "error": {}}}),
            "`response` can't be used with this action",
        ),
        (
            json!({"priority": "high", "then": then}),
            "rules[0].priority: expected an integer",
        ),
        (
            json!({"consume": "twice", "then": then}),
            "rules[0].consume: `twice` is not one of many, once",
        ),
    ] {
        let problems = Rule::read_document(&json!({"rules": [rule]})).unwrap_err();
        assert!(
            problems.to_string().contains(wanted),
            "{problems}: {wanted}"
        );
    }
}

#[test]
fn editors_are_shown_the_fields_that_are_read() {
    assert_eq!(super::WHEN.names(), super::when::PREDICATES);
    let body = [super::body::BODY_FIELDS, COMPARISON_FIELDS].concat();
    assert_eq!(super::fields::BODY.names(), body);
    assert_eq!(super::POLICY.names(), super::policy::POLICY_FIELDS);
    assert_eq!(super::RESPONSE.names(), super::message::RESPONSE_FIELDS);
}

#[test]
fn names_and_values_of_headers_are_those_that_http_can_send() {
    for name in ["accept", "X-1", "a!#$%&'*+-.^_`|~b"] {
        assert!(super::is_header_name(name), "{name}");
    }
    for name in ["", "a b", "a:", "ä", "a\n", "(a)", "a\u{7f}"] {
        assert!(!super::is_header_name(name), "{name}");
    }
    assert!(super::is_header_value(b"a, \xff"));
    for value in [&b"a\r"[..], b"\na", b"a\0"] {
        assert!(!super::is_header_value(value), "{value:?}");
    }
}

#[test]
fn a_body_predicate_needs_all_that_it_gives() {
    let body = |when: Value| mock("m", json!({"body": when}));
    for (when, matches) in [
        (json!({"equals": {"k": {"n": 1}}}), true),
        (json!({"equals": {"k": {"n": 2}}}), false),
        (json!({"equals": "{\"k\":{\"n\":1.0}}"}), true),
        (json!({"equals": "{\"k\":{\"n\":1}}"}), false),
        (json!({"regex": "n.:1"}), true),
        (json!({"regex": "^n"}), false),
        (json!({"regex": "n.:1", "equals": "x"}), false),
        (json!({"like": {"k": {}}}), true),
        (json!({"like": {"k": {"n": 2}}}), false),
        (json!({"like": {"k": {"n": 2}}, "ignore": ["$.k.n"]}), true),
        (
            json!({"like": {"k": {"n": 2}}, "match": {"$.k.n": {"type": "number"}}}),
            true,
        ),
        (json!({"like": {"k": {}}, "mode": "exact"}), false),
        (json!({"like": "{\"k\": {}}"}), true),
        (json!({"form": {"k": "v"}}), false),
    ] {
        let rules = rules(&json!([body(when.clone())]));
        let found = ruling(
            "POST up.example/x",
            &[],
            &rules,
            &json!({"externalHttp": "strict"}),
        );
        assert_eq!(found == "m", matches, "{when}: {found}");
    }
    for (when, wanted) in [
        (json!({}), "`equals`, `regex`, `form` or `like`"),
        (json!({"mode": "exact"}), "`mode` needs `like`"),
        (json!({"equls": 1}), "did you mean equals?"),
        (json!({"regex": "("}), "not a regular expression"),
    ] {
        let document =
            json!({"rules": [{"when": {"body": when}, "then": {"action": "passthrough"}}]});
        let problems = Rule::read_document(&document).unwrap_err().to_string();
        assert!(problems.contains(wanted), "{problems}");
    }
}

#[test]
fn a_form_predicate_reads_the_body_as_a_form() {
    let form = Request {
        body: b"to=a+b&amount=1&amount=2".to_vec(),
        ..request("POST up.example/x")
    };
    for (fields, matches) in [
        (json!({"to": "a b"}), true),
        (json!({"amount": 2, "to": "a b"}), true),
        (json!({"amount": 3}), false),
    ] {
        let rules = rules(&json!([mock("m", json!({"body": {"form": fields}}))]));
        let question = Question::new(&form, Direction::Outbound, "s", None, &[]);
        let decision = resolve(&question, &Policy::strict(), &[], &rules);
        assert_eq!(decision.rule.is_some(), matches, "{fields}");
    }
}

#[test]
fn a_path_pattern_is_for_the_whole_path() {
    for (pattern, matches) in [
        ("/items/[0-9]+", true),
        ("/items", false),
        ("items/.*", false),
        ("/items/1|/x", true),
    ] {
        let rules = rules(&json!([mock("m", json!({"pathRegex": pattern}))]));
        let found = ruling(
            "GET up.example/items/1?q=2",
            &[],
            &rules,
            &json!({"externalHttp": "strict"}),
        );
        assert_eq!(found == "m", matches, "{pattern}: {found}");
    }
    // What is sent to a runtime elsewhere is what was given.
    let sent = rules(&json!([mock(
        "m",
        json!({"pathRegex": "/a|/b", "body": {"like": {"a": 1}, "ignore": ["$.b"]}})
    )]));
    let document = rules_document(&[Arc::clone(&sent[0].rule)]);
    assert_eq!(document["rules"][0]["when"]["pathRegex"], "/a|/b");
    assert_eq!(
        document["rules"][0]["when"]["body"],
        json!({"like": {"a": 1}, "ignore": ["$.b"]})
    );
    Rule::read_document(&document).unwrap();
}

#[test]
fn what_other_clients_send_for_nothing_is_nothing() {
    let rule = json!({
        "name": null, "priority": null, "consume": null, "expand": null,
        "when": {"host": "a.example", "direction": null, "method": null, "query": null, "headers": null, "body": null,
                 "bodyJsonPathEquals": null, "pathRegex": null, "notHostSuffix": null, "traceTags": null},
        "then": {"action": "mock", "error": null, "fault": null, "captureOnly": null,
                 "response": {"status": 0, "headers": null, "body": null, "bodyEncoding": null, "latencyMs": null}},
    });
    let rules = Rule::read_document(&json!({"version": null, "rules": [rule]})).unwrap();
    let Then::Mock { response, .. } = &rules[0].then else {
        panic!("{rules:?}");
    };
    assert_eq!((response.status, response.body.len()), (200, 0));
    assert_eq!(response.headers.iter().count(), 0);
    let error = json!({"then": {"action": "error", "error": {"status": 0}}});
    let rules = Rule::read_document(&json!({"rules": [error]})).unwrap();
    assert!(matches!(&rules[0].then, Then::Error(error) if error.status == 500));
}

#[test]
fn the_fields_of_http_2_are_no_headers_of_an_answer() {
    let response = json!({"headers": {":status": "200", "x-a": "1"}});
    let rules = json!({"rules": [{"then": {"action": "mock", "response": response}}]});
    let rules = Rule::read_document(&rules).unwrap();
    let Then::Mock { response, .. } = &rules[0].then else {
        panic!("{rules:?}");
    };
    let headers: Vec<_> = response.headers.iter().collect();
    assert_eq!(headers, [("x-a", &b"1"[..])]);
}
