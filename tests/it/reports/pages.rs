//! The page of a run, in a browser.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{FAILURES, shop};
use crate::command::run_in;
use crate::languages::is_there;
use crate::support::{Project, output};

/// What a page, a style, a script or a browser could take for its own.
const INJECTIONS: [&str; 16] = [
    "<script>globalThis.pwned = 1</script>",
    "</script><script>globalThis.pwned = 1</script>",
    "<img src=x onerror=\"globalThis.pwned = 1\">",
    "<svg onload=globalThis.pwned=1>",
    "<svg><script>globalThis.pwned = 1</script></svg>",
    "\"><iframe src=\"javascript:parent.pwned=1\"></iframe>",
    "' autofocus onfocus='globalThis.pwned=1' x='",
    "\" onmouseover=\"globalThis.pwned=1\" x=\"",
    "</style><style>* { display: none }</style>",
    "</title><base href=\"http://evil.example/\">",
    "<!--",
    "-->",
    "]]>",
    "<a href=\"javascript:alert(1)\">here</a>",
    "&lt;b&gt;&#x3c;script&#x3e;",
    "<meta http-equiv=refresh content=\"0;url=http://evil.example/\">",
];

/// Returns whether the browser and its driver are there.
fn has_browser() -> bool {
    is_there(&["node", "--version"])
        && is_there(&["chromium", "--version"])
        && is_there(&[
            "node",
            "--input-type=module",
            "--eval",
            "process.exit((await import('node:fs')).existsSync('tests/browser/node_modules/axe-core') ? 0 : 1)",
        ])
}

/// Checks a page in the browser.
fn check(page: &Path, expected: &Value) {
    let wanted = page.with_extension("expected.json");
    std::fs::write(&wanted, expected.to_string()).unwrap();
    let mut command = Command::new("node");
    command
        .arg("tests/browser/check.mjs")
        .arg(page)
        .arg(&wanted);
    let checked = output(&mut command);
    assert!(
        checked.status.success(),
        "{}{}",
        String::from_utf8_lossy(&checked.stdout),
        String::from_utf8_lossy(&checked.stderr)
    );
}

#[test]
fn the_page_is_right_in_a_browser() {
    if !is_there(&["python3", "--version"]) || !has_browser() {
        return;
    }
    let project = shop::project(20);
    shop::run(&project, &["--html", "page.html"]).ends(20, &[]);
    let names: Vec<&str> = FAILURES.iter().map(|(name, _)| *name).collect();
    let shown: Vec<&str> = FAILURES.iter().map(|(_, words)| *words).collect();
    let expected = json!({
        "failures": names, "passing": 21, "others": 1, "shown": shown, "unfold": "\"customer\"",
        "copy": "softprobe suite run shop.suite.yaml dying.suite.yaml --exact --filter shop::a-body",
    });
    check(&project.path().join("page.html"), &expected);
}

/// Returns a kept run whose texts are all such: what traffic, files and applications may hold.
fn hostile() -> Value {
    let cases = INJECTIONS.iter().enumerate().map(|(n, text)| {
        let side = format!("{text} {n}");
        let difference = json!({
            "path": format!("$.{text}"), "expected": side, "actual": text, "reason": text, "diff": null, "fails": true,
        });
        let lines = json!({
            "path": text, "expected": text, "actual": text, "reason": text, "fails": true,
            "diff": format!("@@\n {text}\n-{text}\n+{text}!\n"),
        });
        let call = json!({
            "method": text, "host": text, "path": text, "answer": text, "rule": text, "differences": [difference],
            "arrivedUs": 1_000_500, "tookUs": 20, "fails": true,
        });
        json!({
            "name": format!("odd::{text}"), "suite": "odd", "file": text, "result": if n % 2 == 0 { "failed" } else { "errored" },
            "startedUs": 1_000_000, "tookUs": 1_000, "error": text, "message": text,
            "differences": [difference, lines],
            "misses": [{
                "method": text, "host": text, "path": text, "count": 2, "nearest": text, "nearestCaptured": text, "captured": text,
                "differs": [{"field": text, "captured": text, "actual": text}],
            }],
            "uncorrelated": [
                {"method": text, "host": text, "path": text, "reason": text, "refused": n % 3 == 0},
            ],
            "outbound": [call], "late": [call], "notCompared": 2,
            "extra": [{"name": text, "made": 2, "captured": 1, "fails": true}],
            "unused": [{"name": text, "fails": true}],
            "warnings": [text], "advice": text, "applicationOutput": [text, text], "rerun": format!("run {text}"),
            "accept": text, "notAccepted": text,
            "request": {"method": text, "url": text, "headers": [[text, text]], "body": text},
            "bodies": {
                "expected": json!({*text: text, "same": [text]}).to_string(), "actual": json!({*text: 1, "same": [text]}).to_string(),
            },
            "captured": [{"call": text, "atUs": 10, "tookUs": 5}],
        })
    });
    let mut cases: Vec<Value> = cases.collect();
    cases.push(json!({"name": "odd::passed<b>", "suite": "odd", "file": "f", "result": "passed", "warnings": ["<i>"]}));
    cases.push(json!({"name": "odd::ignored<b>", "suite": "odd", "file": "f", "result": "ignored", "message": "<u>why"}));
    let causes = INJECTIONS.iter().map(|text| {
        json!({"key": text, "message": text, "mend": text, "cases": [format!("odd::{text}")]})
    });
    json!({"cases": cases, "causes": causes.collect::<Vec<_>>(), "tookMs": 5})
}

#[test]
fn nothing_that_a_run_met_can_run_in_its_page() {
    if !has_browser() {
        return;
    }
    let project = Project::new();
    project.write("run.json", hostile().to_string());
    run_in(
        project.path(),
        &["report", "html", "run.json", "--out", "page.html"],
    )
    .ends(0, &[]);
    let names: Vec<String> = INJECTIONS
        .iter()
        .map(|text| format!("odd::{text}"))
        .collect();
    let expected = json!({
        "failures": names, "passing": 1, "others": 1, "shown": INJECTIONS,
        "copy": format!("run {}", INJECTIONS[0]),
    });
    check(&project.path().join("page.html"), &expected);
}

/// Returns a kept run of so many cases, of which some fail.
pub(super) fn many(all: usize, failed: usize, body: usize) -> String {
    let mut cases = String::new();
    for n in 0..all {
        let comma = if n == 0 { "" } else { "," };
        let name = format!("shop::orders of customers/case-{n:06}");
        if n < failed {
            let case = json!({
                "name": name, "suite": "shop", "file": format!("cases/{name}.case.json"), "result": "failed", "tookUs": 2_000,
                "error": "1 difference; first: $.total expected 1, actual 2",
                "differences": [
                    {"path": "$.total", "expected": "1", "actual": "2", "fails": true},
                    {"path": "$.text", "expected": "x".repeat(body), "actual": "y".repeat(body), "fails": true},
                ],
                "outbound": [{"method": "GET", "host": "stock.example", "path": "/items", "answer": "mock", "arrivedUs": 5, "tookUs": 1}],
                "applicationOutput": vec!["a line of the log"; 100], "rerun": format!("softprobe suite run --exact --filter '{name}'"),
                "request": {"method": "GET", "url": "http://127.0.0.1/orders", "headers": [["accept", "*/*"]], "body": ""},
                "bodies": {"expected": "{\"total\":1,\"same\":[1,2,3]}", "actual": "{\"total\":2,\"same\":[1,2,3]}"},
            });
            let _ = write!(cases, "{comma}{case}");
        } else {
            let case = json!({"name": name, "suite": "shop", "file": "f", "result": "passed", "tookUs": 1_000});
            let _ = write!(cases, "{comma}{case}");
        }
    }
    let names: Vec<String> = (0..failed)
        .map(|n| format!("shop::orders of customers/case-{n:06}"))
        .collect();
    let causes = json!([{"key": "k", "message": "$.total differs in the answer, such as $.total: 1 -> 2", "mend": "", "cases": names}]);
    format!("{{\"cases\":[{cases}],\"causes\":{causes},\"tookMs\":2500}}")
}

#[test]
fn a_page_stays_small_whatever_the_run_was() {
    let project = Project::new();
    for (all, failed, body, words) in [
        // A usual one is whole.
        (10_000, 200, 300, None),
        (
            10_000,
            200,
            300_000,
            Some("values are cut after 2000 characters"),
        ),
        (10_000, 10_000, 1_000, Some("failures are shown whole")),
        (120_000, 0, 0, Some("lists end after 10000 lines")),
    ] {
        project.write("run.json", many(all, failed, body));
        run_in(
            project.path(),
            &["report", "html", "run.json", "--out", "page.html"],
        )
        .ends(0, &[]);
        let page = super::text(&project, "page.html");
        assert!(page.len() <= 5_000_000, "{} bytes", page.len());
        let (passed, title) = (all - failed, "To keep this page below 5 MB");
        match words {
            None => assert!(!page.contains(title)),
            Some(words) => assert!(
                page.contains(title) && page.contains(words),
                "{words}: {}",
                &page[..8_000]
            ),
        }
        if failed > 0 {
            assert!(page.contains(&format!("{failed} of {all} cases failed")));
        }
        if passed > 0 {
            assert!(page.contains(&format!("Passed ({passed})")));
        }
    }
}

/// Returns the kept run of which the documentation shows pictures.
fn pictured() -> Value {
    let call = |method: &str, host: &str, path: &str, at: u64, rule: &str| {
        json!({
            "method": method, "host": host, "path": path, "answer": "mock", "rule": rule,
            "arrivedUs": 1_000_000 + at, "tookUs": 400, "differences": [],
        })
    };
    let mut cases = vec![
        json!({
            "name": "shop::order-7", "suite": "shop", "file": "cases/order-7.case.json", "result": "failed", "startedUs": 1_000_000, "tookUs": 9_400,
            "error": "1 difference; first: $.lines[0].cents expected 499, actual 500",
            "differences": [{"path": "$.lines[0].cents", "expected": "499", "actual": "500", "fails": true}],
            "bodies": {
                "expected": r#"{"id":7,"customer":{"name":"Ada","city":"London"},"lines":[{"sku":"tea","cents":499,"count":2},{"sku":"cup","cents":1250,"count":1}],"paid":true}"#,
                "actual": r#"{"id":7,"customer":{"name":"Ada","city":"London"},"lines":[{"sku":"tea","cents":500,"count":2},{"sku":"cup","cents":1250,"count":1}],"paid":true}"#,
            },
            "outbound": [
                call("GET", "stock.example", "/items/tea", 1_200, "auto[1] GET stock.example/items/tea"),
                call("POST", "payments.example", "/charges", 4_800, "auto[2] POST payments.example/charges"),
            ],
            "captured": [
                {"call": "GET stock.example/items/tea", "atUs": 3_000, "tookUs": 21_000},
                {"call": "POST payments.example/charges", "atUs": 26_000, "tookUs": 140_000},
            ],
            "request": {"method": "GET", "url": "http://127.0.0.1:3000/orders/7", "headers": [["accept", "*/*"]], "body": ""},
            "rerun": "softprobe suite run shop.suite.yaml --exact --filter shop::order-7",
            "accept": "softprobe suite run shop.suite.yaml --exact --filter shop::order-7 --bless",
        }),
        json!({
            "name": "shop::refund", "suite": "shop", "file": "cases/refund.case.json", "result": "failed", "startedUs": 1_000_000, "tookUs": 6_100,
            "error": "1 outbound call missed",
            "misses": [{
                "method": "POST", "host": "payments.example", "path": "/refunds/7", "count": 1,
                "nearest": "nearest rule `auto[1] POST payments.example/refunds` differs on path: it wants `/refunds`, the call has `/refunds/7`",
                "nearestCaptured": "nearest captured exchange `POST payments.example/refunds` differs on path: captured `/refunds`, the call has `/refunds/7`",
                "captured": "POST payments.example/refunds",
                "differs": [{"field": "path", "captured": "/refunds", "actual": "/refunds/7"}],
            }],
            "rerun": "softprobe suite run shop.suite.yaml --exact --filter shop::refund",
        }),
    ];
    for n in 0..38 {
        cases.push(json!({"name": format!("shop::catalogue-{n:02}"), "suite": "shop", "file": "f", "result": "passed", "tookUs": 2_000}));
    }
    let causes = json!([
        {
            "key": "1", "message": "$.lines[*].cents differs in the answer, such as $.lines[0].cents: 499 -> 500", "cases": ["shop::order-7"],
            "mend": "if this is right now, accept it, with whatever else the run finds: softprobe suite run shop.suite.yaml --bless",
        },
        {
            "key": "2", "message": "nothing answers calls to payments.example, such as POST payments.example/refunds/7", "cases": ["shop::refund"],
            "mend": "record the cases again, answer it in the suite (`mocks: [ { match: { host: payments.example }, response: { … } } ]`), or let it pass (`policy: { allowHosts: [ payments.example ] }`)",
        },
    ]);
    json!({"cases": cases, "causes": causes, "tookMs": 412})
}

/// The pictures are made by `SOFTPROBE_TEST_PICTURES=write`, and belong to one page to the byte, so that they can't be out of
/// date.
#[test]
fn the_pictures_of_the_documentation_are_those_of_the_page() {
    let project = Project::new();
    project.write("run.json", pictured().to_string());
    run_in(
        project.path(),
        &["report", "html", "run.json", "--out", "page.html"],
    )
    .ends(0, &[]);
    let page = project.path().join("page.html");
    let folder = Path::new("docs/pictures");
    let digest = output(Command::new("sha256sum").arg(&page));
    let digest = String::from_utf8(digest.stdout).unwrap();
    let digest = digest.split(' ').next().unwrap();
    let file = folder.join("page.sha256");
    if std::env::var("SOFTPROBE_TEST_PICTURES").is_ok_and(|what| what == "write") {
        let taken = output(
            Command::new("node")
                .arg("tests/browser/picture.mjs")
                .arg(&page)
                .arg(folder),
        );
        assert!(
            taken.status.success(),
            "{}",
            String::from_utf8_lossy(&taken.stderr)
        );
        std::fs::write(&file, format!("{digest}\n")).unwrap();
    }
    let known = std::fs::read_to_string(&file).unwrap();
    assert_eq!(
        known.trim(),
        digest,
        "the page looks otherwise now: SOFTPROBE_TEST_PICTURES=write cargo test --test it pictures takes new pictures"
    );
    for name in ["page-light.png", "page-dark.png"] {
        assert!(std::fs::metadata(folder.join(name)).unwrap().len() > 10_000);
    }
}
