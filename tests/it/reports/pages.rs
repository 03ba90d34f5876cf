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
