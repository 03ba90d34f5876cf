use serde_json::{Value, json};

use super::*;
use crate::base::encoding::encode_base64;

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn case(attributes: &[Value]) -> Value {
    json!({
        "version": "1.0.0", "caseId": "c",
        "traces": [{"resourceSpans": [{"scopeSpans": [{"spans": [{
            "spanId": "00f067aa0ba902b7", "startTimeUnixNano": "1776927363150714000",
            "attributes": attributes,
        }]}]}]}],
    })
}

fn scrubbed(document: &Value, rules: Rules) -> (Value, SecretsFound) {
    let mut scrubber = Scrubber::new(rules, b"");
    scrubber.collect(document);
    let mut document = document.clone();
    let findings = scrubber.scrub(&mut document);
    (document, findings)
}

fn value(document: &Value, n: usize) -> String {
    let pointer =
        format!("/traces/0/resourceSpans/0/scopeSpans/0/spans/0/attributes/{n}/value/stringValue");
    document
        .pointer(&pointer)
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn each_kind_of_secret_is_replaced_and_nothing_else() {
    let body = r#"{"user":{"email":"ada@example.com"},"card":"4242 4242 4242 4242","pan":4000056655665556,"n":1.50,"big":12345678901234567890123,"password":"hunter2","pin":{"cvc":123}}"#;
    let document = case(&[
        attribute(
            "http.request.header.authorization",
            "Bearer abcdef1234567890",
        ),
        attribute(
            "http.request.header.cookie",
            "sid=s3cr3t-c00kie; theme=dark",
        ),
        attribute(
            "http.response.header.set-cookie",
            "sid=s3cr3t-c00kie; Path=/; HttpOnly",
        ),
        attribute("http.request.body", body),
        attribute(
            "url.query",
            "page=2&access_token=abcdef1234567890&mail=ada%40example.com",
        ),
        attribute(
            "http.response.body",
            "token is abcdef1234567890, order 1234567890123456",
        ),
        attribute("http.request.header.accept", "application/json"),
    ]);
    let (clean, findings) = scrubbed(&document, Rules::default());
    let token = value(&clean, 0);
    let token = token.strip_prefix("Bearer ").unwrap();
    assert!(token.starts_with("scrubbed-"), "{token}");
    let cookie = value(&clean, 1);
    let sid = cookie.split(['=', ';']).nth(1).unwrap();
    assert!(
        cookie.starts_with("sid=scrubbed-") && !cookie.contains("dark"),
        "{cookie}"
    );
    assert_eq!(value(&clean, 2), format!("sid={sid}; Path=/; HttpOnly"));
    let body = value(&clean, 3);
    let tree: Value = serde_json::from_str(&body).unwrap();
    assert!(
        tree["user"]["email"]
            .as_str()
            .unwrap()
            .ends_with("@scrubbed.invalid")
    );
    assert_eq!(tree["card"].as_str().unwrap().len(), 19);
    assert!(
        tree["card"].as_str().unwrap().starts_with("9999 99"),
        "{body}"
    );
    assert!(
        tree["pan"].is_u64() && tree["pan"] != json!(4_000_056_655_665_556_u64),
        "{body}"
    );
    assert!(
        body.contains("\"n\":1.50,\"big\":12345678901234567890123,"),
        "{body}"
    );
    assert!(
        !body.contains("hunter2") && tree["pin"]["cvc"] != 123,
        "{body}"
    );
    let query = value(&clean, 4);
    assert!(
        query.starts_with(&format!("page=2&access_token={token}&mail=user-")),
        "{query}"
    );
    // The same address gets the same placeholder, escaped or not.
    let address = tree["user"]["email"].as_str().unwrap().replace('@', "%40");
    assert!(query.ends_with(&address), "{query} {address}");
    assert_eq!(
        value(&clean, 5),
        format!("token is {token}, order 1234567890123456")
    );
    assert_eq!(value(&clean, 6), "application/json");
    assert_eq!(
        clean["traces"][0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["startTimeUnixNano"],
        "1776927363150714000"
    );
    let kinds: Vec<&str> = findings.list.iter().map(|f| f.kind).collect();
    for kind in [
        "authorization",
        "cookie",
        "card number",
        "e-mail address",
        "token",
    ] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    assert!(
        findings.list[0]
            .place
            .contains("span 00f067aa0ba902b7, http.request.header")
    );
}

#[test]
fn scrubbing_a_scrubbed_case_changes_nothing() {
    let document = case(&[
        attribute("http.request.header.authorization", "Basic dXNlcjpwYXNz"),
        attribute(
            "http.request.body",
            r#"{"card":"4111111111111111","id_token":"x1","to":"a@b.io"}"#,
        ),
        attribute(
            "http.response.body",
            "eyJhbGciOiJI.eyJzdWIiOiIx.c2ln and sk_live_abcdefghijkl",
        ),
    ]);
    let (once, findings) = scrubbed(&document, Rules::default());
    assert_eq!(findings.list.len(), 5, "{findings:?}");
    let (twice, findings) = scrubbed(&once, Rules::default());
    assert_eq!((&once, findings.list), (&twice, vec![]));
}

#[test]
fn rules_add_headers_and_paths() {
    let rules = json!({"headers": ["X-Tenant"], "jsonPaths": ["$.items[*].note", "$.who"]});
    let document = case(&[
        attribute("http.request.header.x-tenant", "acme"),
        attribute(
            "http.request.body",
            r#"{"items":[{"note":"hi","n":1}],"who":{"name":"Ada","age":36}}"#,
        ),
    ]);
    let (clean, _) = scrubbed(&document, Rules::read(&rules).unwrap());
    assert!(value(&clean, 0).starts_with("scrubbed-"));
    let body: Value = serde_json::from_str(&value(&clean, 1)).unwrap();
    assert!(
        body["items"][0]["note"]
            .as_str()
            .unwrap()
            .starts_with("scrubbed-")
    );
    assert_eq!(body["items"][0]["n"], 1);
    assert!(
        body["who"]["name"]
            .as_str()
            .unwrap()
            .starts_with("scrubbed-")
    );
    assert_eq!(body["who"]["age"], 99);
    let wrong = json!({"headrs": [], "jsonPaths": ["x["]});
    let why = Rules::read(&wrong).unwrap_err().to_string();
    assert!(
        why.contains("headrs: unknown field; did you mean headers?"),
        "{why}"
    );
    assert!(
        why.contains("jsonPaths[0]: `x[` is not a JSONPath"),
        "{why}"
    );
}

#[test]
fn a_key_changes_the_placeholders() {
    let document = case(&[attribute("http.request.header.x-api-key", "k-123456")]);
    let with = |key: &[u8]| {
        let mut document = document.clone();
        Scrubber::new(Rules::default(), key).scrub(&mut document);
        value(&document, 0)
    };
    assert_eq!(with(b""), with(b""));
    assert_ne!(with(b""), with(b"key"));
}

#[test]
fn bodies_captured_as_bytes_are_searched() {
    let bytes = |value: &[u8]| json!({"bytesValue": encode_base64(value)});
    let mut gzip = Vec::new();
    std::io::Read::read_to_end(
        &mut flate2::read::GzEncoder::new(
            &br#"{"email":"ada@example.com"}"#[..],
            flate2::Compression::fast(),
        ),
        &mut gzip,
    )
    .unwrap();
    let document = case(&[
        attribute("http.response.header.content-encoding", "gzip"),
        json!({"key": "http.response.body", "value": bytes(&gzip)}),
        json!({"key": "http.request.body", "value": bytes(&[0xff, 0xfe])}),
    ]);
    let (clean, findings) = scrubbed(&document, Rules::default());
    assert!(value(&clean, 1).contains("@scrubbed.invalid"));
    assert_eq!(
        findings.opaque,
        ["span 00f067aa0ba902b7, http.request.body"]
    );
}

#[test]
fn secrets_are_found_wherever_a_name_reveals_them() {
    let secret = "hunter2hunter2";
    for body in [
        "user=bob&password=hunter2hunter2\n",
        "password=hunter2hunter2&next=/a?b=c",
        "--x\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhunter2hunter2\r\n--x--",
        "{\"password\":\"hunter2hunter2\"}\n{\"a\":1}\n",
        "<login><password>hunter2hunter2</password></login>",
        "{\"payload\":\"{\\\"password\\\":\\\"hunter2hunter2\\\"}\"}",
        "https://a.example/#access_token=hunter2hunter2",
        "https://bob:hunter2hunter2@a.example/x",
        "first ?a=1 then ?api_key=hunter2hunter2 here",
    ] {
        let document = case(&[attribute("http.request.body", body)]);
        let (clean, findings) = scrubbed(&document, Rules::default());
        assert!(
            !clean.to_string().contains(secret),
            "{body}: {}",
            value(&clean, 0)
        );
        assert!(!findings.list.is_empty(), "{body}");
        let (again, findings) = scrubbed(&clean, Rules::default());
        assert_eq!((&again, findings.list), (&clean, vec![]), "{body}");
    }
    // A URL keeps its host.
    let url = case(&[attribute(
        "url.full",
        "https://bob:hunter2hunter2@a.example/x",
    )]);
    let (clean, _) = scrubbed(&url, Rules::default());
    let clean = value(&clean, 0);
    assert!(
        clean.ends_with("@a.example/x") && !clean.contains("bob"),
        "{clean}"
    );
    for name in [
        "x-vault-token",
        "x-goog-api-key",
        "Private-Token",
        "x_api_key",
        "x-client-secret",
    ] {
        let key = format!("http.request.header.{name}");
        let (clean, _) = scrubbed(&case(&[attribute(&key, "abc-1")]), Rules::default());
        assert!(value(&clean, 0).starts_with("scrubbed-"), "{name}");
    }
}

#[test]
fn secrets_outside_spans_are_found() {
    let mut document = case(&[json!({
        "key": "http.request.header.authorization",
        "value": {"bytesValue": encode_base64(b"Bearer tok-0")},
    })]);
    document["fixtures"] =
        json!([{"name": "auth_token", "value": "tok-1"}, {"name": "n", "value": 1}]);
    document["rules"] = json!([{
        "when": {"headers": {"authorization": "Bearer tok-2"}, "bodyJsonPathEquals": {"$.user.password": "tok-3", "$.n": 4}},
        "then": {"action": "mock", "response": {
            "headers": {"set-cookie": ["a=tok-4", "b=tok-5"]},
            "body": {"cvv": 123, "card": 4_242_424_242_424_242_u64, "total": 12},
        }},
    }]);
    let (clean, _) = scrubbed(&document, Rules::default());
    let text = clean.to_string();
    for secret in ["tok-", "dG9rL", "123,", "4242424242424242"] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    assert_eq!(clean["fixtures"][1], json!({"name": "n", "value": 1}));
    let body = &clean["rules"][0]["then"]["response"]["body"];
    assert_eq!((&body["total"], &body["cvv"]), (&json!(12), &json!(999)));
}

#[test]
fn rules_reach_every_kind_of_value() {
    let rules = json!({"jsonPaths": ["$.geo.lat", "$.flag", "$.big"]});
    let body = "{\"geo\":{\"lat\":52.5200,\"lon\":13.4},\"flag\":true,\"big\":1.5e300}";
    let document = case(&[attribute("http.request.body", body)]);
    let (clean, findings) = scrubbed(&document, Rules::read(&rules).unwrap());
    let wanted = "{\"geo\":{\"lat\":99.9999,\"lon\":13.4},\"flag\":null,\"big\":9.9e300}";
    assert_eq!(value(&clean, 0), wanted);
    assert_eq!(findings.list[0].kind, "JSONPath in the rules");
}

/// Generates any JSON, often with the words and shapes of secrets in it.
fn any_json() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let text = prop_oneof![
        any::<String>(),
        Just("ada@example.com".to_owned()),
        Just("4242 4242 4242 4242".to_owned()),
        Just("a=1&token=x%20y&é=ü".to_owned()),
        Just("https://h/p?password=\"q\"#f".to_owned()),
        Just("\\\" \u{1f600} \\u0041".to_owned()),
    ];
    let name = prop_oneof![
        any::<String>(),
        Just("token".to_owned()),
        Just("a/b~c".to_owned())
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6).prop_map(|members| members
                .into_iter()
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

/// Returns the value with its texts and numbers replaced by fixed ones.
fn skeleton(value: &Value) -> Value {
    match value {
        Value::Array(elements) => elements.iter().map(skeleton).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), skeleton(member)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::String(_) => "text".into(),
        Value::Number(_) => 0.into(),
        other => other.clone(),
    }
}

#[test]
fn card_numbers_are_found_beside_other_digits() {
    let clean = |text: &str| {
        let (clean, _) = scrubbed(&case(&[attribute("a", text)]), Rules::default());
        value(&clean, 0)
    };
    for (text, card) in [
        ("Card 4111 1111 1111 1111 12/26", "4111 1111 1111 1111"),
        ("4111111111111111 123", "4111111111111111"),
        ("04/27 4111-1111-1111-1111 999", "4111-1111-1111-1111"),
        ("2221000000000009", "2221000000000009"),
        ("5105 1051 0510 5100 4000056655665556", "4000056655665556"),
        ("it was 4111111111111111.", "4111111111111111"),
        ("id_4111111111111111x", "4111111111111111"),
    ] {
        let clean = clean(text);
        assert!(!clean.contains(card), "{clean}");
        // All but the card number is as it was.
        let (before, after) = text.split_once(card).unwrap();
        if text.matches(|c: char| c.is_ascii_digit()).count() < 24 {
            assert!(
                clean.starts_with(before) && clean.ends_with(after),
                "{clean}"
            );
        }
    }
    for text in [
        "translate(0%, -0.4111111111111111%)",
        "4111111111111111.5",
        "41111111111111112",
        "/img/logo@2x.png",
        "1776927363150714000",
    ] {
        assert_eq!(clean(text), text);
    }
}

#[test]
fn tokens_are_known_by_their_shape() {
    for token in [
        "AIzaSyDdI0hCZtE6vySjMm-WEfRq3CPzqKqqsHI",
        "github_pat_11ABCDEFG0abcdefghijkl_MNOPQRSTUVWXYZabcdef",
        "ASIAIOSFODNN7EXAMPLE",
        "AKIAIOSFODNN7EXAMPLE",
        "glpat-AbCdEfGhIjKlMnOpQrSt",
        "npm_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
        "whsec_AbCdEfGhIjKlMnOpQrSt",
        "sk-proj-AbCdEfGhIjKlMnOpQrSt0123",
        "services/T00000000/B00000000/abcdabcdabcdabcdabcdabcd",
        "SG.AbCdEfGhIjKlMnOpQrStUv.AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcdefg",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nZk9q\n-----END PGP PRIVATE KEY BLOCK-----",
    ] {
        let text = format!("before {token} after");
        let (clean, _) = scrubbed(&case(&[attribute("a", &text)]), Rules::default());
        let clean = value(&clean, 0);
        assert!(!clean.contains(token), "{clean}");
        assert!(
            clean.starts_with("before ") && clean.ends_with(" after"),
            "{clean}"
        );
    }
}

/// Generates a text of the pieces that the patterns look at, in any order.
fn any_text() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let piece = prop::sample::select(vec![
        "ada@example.com",
        "9@xb.eampleTT",
        "%40",
        "@",
        "4111 1111 1111 1111",
        "4111111111111111",
        "12/26",
        "999999",
        "password",
        "token",
        "user[pin]",
        "=",
        ":",
        ": ",
        "\"",
        "'",
        "<",
        ">",
        "</",
        "{",
        "}",
        "&",
        ";",
        " ",
        "\n",
        "\r\n",
        "\\",
        "Bearer ",
        "eyJhbGciOiJ9.eyJzdWIi.sig",
        "scrubbed-",
        "scrubbed-0123456789ab",
        "@scrubbed.invalid",
        "://",
        "hunter2hunter2",
        "a",
        "7",
        ".",
        "-",
        "%3D",
        "[1]",
        "null",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest::proptest! {
    #[test]
    fn scrubbing_twice_is_scrubbing_once(text in any_text(), other in any_text()) {
        for key in ["http.response.body", "http.request.header.x-a", "http.request.header.cookie", "url.query"] {
            let document = case(&[attribute(key, &text), attribute("note", &other)]);
            let (once, _) = scrubbed(&document, Rules::default());
            let (twice, _) = scrubbed(&once, Rules::default());
            proptest::prop_assert_eq!(value(&once, 0), value(&twice, 0));
        }
    }

    #[test]
    fn any_body_keeps_its_shape_and_is_clean_after_scrubbing(body in any_json(), pretty: bool) {
        let text = if pretty { format!("{body:#}") } else { body.to_string() };
        let document = case(&[attribute("http.request.body", &text)]);
        let (once, _) = scrubbed(&document, Rules::default());
        let clean: Value = match serde_json::from_str(&value(&once, 0)) {
            Ok(clean) => clean,
            // A bare string is not a JSON body: it is scrubbed as text.
            Err(_) => return Ok(()),
        };
        proptest::prop_assert_eq!(skeleton(&clean), skeleton(&body));
        let (twice, findings) = scrubbed(&once, Rules::default());
        proptest::prop_assert_eq!((&once, findings.list), (&twice, vec![]));
    }

    #[test]
    fn a_rewritten_text_has_the_new_values_and_no_other_change(old in any_json(), new in any_json(), pretty: bool) {
        let text = if pretty { format!("{old:#}") } else { old.to_string() };
        // Both values are read from text, which may not represent the generated ones exactly.
        let old: Value = serde_json::from_str(&text).unwrap();
        let new: Value = serde_json::from_str(&new.to_string()).unwrap();
        let rewritten = rewrite(&text, &old, &new);
        proptest::prop_assert_eq!(serde_json::from_str::<Value>(&rewritten).unwrap(), new);
        proptest::prop_assert_eq!(rewrite(&text, &old, &old), text);
    }
}

#[test]
fn secrets_are_found_in_other_text_formats() {
    let key = "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----";
    for text in [
        "data: {\"access_token\":\"hunter2\"}\n\ndata: [DONE]\n",
        "data:\n  -----BEGIN PRIVATE KEY-----\n  hunter2\n  -----END PRIVATE KEY-----\n",
        "a log\n{\"password\":\"hunter2\"}\nits end",
        "\u{feff}{\"password\":\"hunter2\"}",
        "{\"user\":1,\"password\":\"hunter2",
        "{\"user\":1,\"password\":\"hunter2\\\"hunter2\",",
        "callback({\"api_key\": \"hunter2\"});",
        "log: {\\\"secret\\\":\\\"hunter2\\\"}",
        "{'password': 'hunter2'}",
        "<login user='a' password='hunter2'/>",
        "<login password=\"hunter2\"/>",
        "user: a\npassword: hunter2\n",
        "GET / HTTP/1.1\r\nAuthorization: Bearer hunter2\r\n\r\n",
        "it was sent with Bearer hunter2hunter2 as before",
        "--b\r\nContent-Disposition: form-data; name=token\r\n\r\nhunter2\r\n--b--",
        "[{\"name\":\"Authorization\",\"value\":\"Bearer hunter2\"}]",
        "{\"headers\":[{\"value\":\"hunter2\",\"key\":\"x-api-key\"}]}",
        "{\"otp\":\"hunter2\",\"credentials\":{\"who\":\"hunter2\"}}",
        "user[password]=hunter2&user[name]=a",
        "{\"headers\":{\"Set-Cookie\":\"sid=hunter2; Path=/\"}}",
        "DB_PASSWORD=\"hunter2 and more\"",
        "<password><![CDATA[hunter2]]></password>",
        key,
    ] {
        let document = case(&[attribute("http.response.body", text)]);
        let (clean, findings) = scrubbed(&document, Rules::default());
        let body = value(&clean, 0);
        assert!(!body.contains("hunter2"), "{text} became {body}");
        assert!(!findings.list.is_empty(), "{text}");
        let (again, findings) = scrubbed(&clean, Rules::default());
        assert_eq!((&again, findings.list), (&clean, vec![]), "{text}");
    }
    for (text, kind) in [
        ("card_4242424242424242x", "card number"),
        ("4242.4242.4242.4242", "card number"),
        ("to jürgen@müller.example now", "e-mail address"),
    ] {
        let document = case(&[attribute("http.response.body", text)]);
        let (_, findings) = scrubbed(&document, Rules::default());
        let kinds: Vec<_> = findings.list.iter().map(|f| f.kind).collect();
        assert_eq!(kinds, [kind], "{text}");
    }
}

#[test]
fn text_that_only_resembles_a_secret_is_kept() {
    for text in [
        "{\"usage\":{\"total_tokens\":12},\"x\":0.4242424242424242,\"author\":\"a\"}",
        "Basic understanding of what the bearer presented",
        "key=value; secretary: none\n",
        "data: {\"x\":1.50}\n\n",
        "{'name': 'value'}",
    ] {
        let document = case(&[attribute("http.response.body", text)]);
        let (clean, findings) = scrubbed(&document, Rules::default());
        assert_eq!(
            (value(&clean, 0).as_str(), findings.list),
            (text, vec![]),
            "{text}"
        );
    }
}

#[test]
fn secrets_are_found_wherever_an_attribute_holds_them() {
    let mut document = case(&[
        attribute("http.request.header.cookie", "hunter2; a=b"),
        attribute("http.response.header.set-cookie", "hunter2; Path=/"),
        attribute("db.password", "hunter2"),
        attribute("sp.session.id", "sess-1"),
        json!({"key": "http.request.header.x-api-key",
            "value": {"bytesValue": encode_base64(b"\xffhunter2")}}),
        json!({"key": "config", "value": {"kvlistValue": {"values": [
            attribute("password", "hunter2")]}}}),
    ]);
    document["caseId"] = "case-of-ada@example.com".into();
    let (clean, _) = scrubbed(&document, Rules::default());
    let text = clean.to_string();
    assert!(
        !text.contains("hunter2") && !text.contains("ada@example.com"),
        "{text}"
    );
    assert!(text.contains("a=scrubbed-") && text.contains("; Path=/"));
    assert_eq!(value(&clean, 3), "sess-1");
    assert!(value(&clean, 4).starts_with("scrubbed-"), "{text}");
}
