//! One run with a case of every kind, in every report format.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::base::decode::Undecoded;
use crate::base::document::Step;
use crate::base::http::Headers;
use crate::compare::{Change, Excerpt, MessagePlace, Mismatch, Repeated, Risk, Side, Why};
use crate::control::{Miss, NearestRule, OutboundCall, UncorrelatedCall, UnheldPredicate};

fn case(trial: &str) -> CaseOutcome {
    CaseOutcome {
        case_id: Some("order-1".to_owned()),
        trial: format!("shop::{trial}"),
        suite: "shop".into(),
        file: format!("cases/{trial}.case.json").into(),
        end: End::Judged,
        findings: Vec::new(),
        notes: Vec::new(),
        request: None,
        bodies: None,
        calls: Vec::new(),
        captured: Vec::new(),
        any_call_seen: false,
        launched: Launched::Not,
        written: Written::default(),
        acceptance: Acceptance::NotAsked,
        rerun: Arc::new(Rerun {
            command: "softprobe suite run s.yaml --exact --filter".to_owned(),
            whole: "softprobe suite run s.yaml".to_owned(),
            is_target: false,
        }),
        started_us: Some(STARTED_US + 5_000),
        lane: 0,
        took: Duration::from_millis(12),
    }
}

#[expect(clippy::vec_box, reason = "a run has them so")]
fn boxed(cases: Vec<CaseOutcome>) -> Vec<Box<CaseOutcome>> {
    cases.into_iter().map(Box::new).collect()
}

/// When the run began.
const STARTED_US: u64 = 1_776_679_200_000_000;

fn call(path: &str, answer: &str, rule: Option<&str>) -> OutboundCall {
    OutboundCall {
        method: "GET".to_owned(),
        host: "stock.example".to_owned(),
        path: path.to_owned(),
        answer: serde_json::from_value(answer.into()).unwrap(),
        rule: rule.map(str::to_owned),
        arrived_us: Some(STARTED_US + 6_000),
        took_us: (answer != "missed").then_some(2_500),
    }
}

fn sent() -> SentRequest {
    SentRequest {
        method: "POST".to_owned(),
        url: "http://127.0.0.1:3000/orders?q=1".to_owned(),
        headers: Headers::from_iter([
            ("content-type", "application/json"),
            ("cookie", "id=s3cret"),
        ]),
        body: Excerpt::of("{\"note\":\"tür\",\"token\":\"s3cret-token\"}".as_bytes()),
    }
}

fn mismatched() -> CaseOutcome {
    let place = |steps: &[&str]| {
        MessagePlace::Json(steps.iter().map(|s| Step::Key((*s).to_owned())).collect())
    };
    let bytes = |text: &str| Side::Bytes(Excerpt::of(text.as_bytes()));
    let found = [
        Mismatch::new(MessagePlace::Status, Side::Status(200), Side::Status(500)),
        Mismatch::new(
            MessagePlace::Header("set-cookie".to_owned()),
            Side::Values(vec!["[masked]".to_owned()]),
            Side::Values(vec!["[masked]".to_owned(), "[masked]".to_owned()]),
        ),
        Mismatch::new(
            place(&["order", "odd key", "total"]),
            Side::Json(json!("3040")),
            Side::Json(json!(3043)),
        )
        .because(Why::Kinds {
            expected: "string",
            actual: "number",
        }),
        Mismatch::missing(place(&["order", "id"]), Side::Json(json!({"a": [1, 2]}))),
        Mismatch {
            diff: Some("@@ -1,2 +1,2 @@\n one\n-two\n+three\n".to_owned()),
            ..Mismatch::new(MessagePlace::Body, bytes("one\ntwo"), bytes("one\nthree"))
        },
        Mismatch {
            place: MessagePlace::Written("$.total".to_owned()),
            expected: None,
            actual: None,
            why: Some(Why::Hook {
                name: "shop.total".to_owned(),
                reason: Some("the total is not that of the items".to_owned()),
            }),
            ..Mismatch::new(MessagePlace::Status, Side::Hidden, Side::Hidden)
        },
    ];
    CaseOutcome {
        findings: found.map(|found| Fault::Mismatch(found).fatal()).into(),
        notes: vec![Note::AnswerOfWrongStatus("broken <&> \u{7}".to_owned())],
        bodies: Some(Bodies {
            expected: json!({
                "order": {"odd key": {"total": "3040"}, "id": {"a": [1, 2]}, "at": 1, "lines": [{"sku": "tea"}]},
                "token": "s3cret", "same": {"deep": [1, 2, 3]},
            }),
            actual: json!({
                "order": {"odd key": {"total": 3043}, "at": 2, "lines": [{"sku": "tea"}]},
                "token": "s4cret", "same": {"deep": [1, 2, 3]},
            }),
        }),
        captured: vec![
            CapturedCall {
                call: "GET stock.example/items/1".to_owned(),
                at: Some(Duration::from_millis(3)),
                took: Some(Duration::from_millis(40)),
            },
            CapturedCall {
                call: "GET stock.example/gone".to_owned(),
                at: None,
                took: None,
            },
        ],
        request: Some(sent()),
        calls: vec![
            call("/items/1", "mock", Some("stock")),
            call("/items/2", "forwarded", None),
        ],
        written: Written {
            lines: vec!["GET /orders".to_owned(), "odd \u{1b}[2J line\r".to_owned()],
            cut: true,
        },
        any_call_seen: true,
        ..case("mismatched")
    }
}

fn missed() -> CaseOutcome {
    let miss = |path: &str, nearest: Option<NearestRule>, why: Option<NotAnswering>| MissedCall {
        miss: Miss {
            method: "GET".to_owned(),
            host: "stock.example".to_owned(),
            path: path.to_owned(),
            count: 2,
            nearest,
        },
        captured: why.map(|why| NearestExchange {
            exchange: "GET stock.example/items/1".to_owned(),
            why,
        }),
    };
    let differs = NotAnswering::Differs(vec![
        FieldDifference {
            field: "path".to_owned(),
            captured: Some("/items/1".to_owned()),
            actual: Some("/items/9".to_owned()),
        },
        FieldDifference {
            field: "query.page".to_owned(),
            captured: None,
            actual: Some("2".to_owned()),
        },
    ]);
    let nearest = NearestRule {
        rule: "stock".to_owned(),
        field: "path".to_owned(),
        wanted: "/items/1".to_owned(),
        has: "/items/9".to_owned(),
        more: vec![UnheldPredicate {
            field: "query".to_owned(),
            wanted: "api_key=k".to_owned(),
            has: "page=2".to_owned(),
        }],
    };
    let unused = |name: &str, fails: bool| Finding {
        fault: Fault::Unused(name.to_owned()),
        fails,
    };
    let extra = |mock: &str, captured: u64, fails: bool| Finding {
        fault: Fault::Extra(ExtraCalls {
            mock: mock.to_owned(),
            captured,
            made: captured + 1,
        }),
        fails,
    };
    CaseOutcome {
        findings: vec![
            Fault::Missed(miss("/items/9?page=2", Some(nearest), Some(differs))).fatal(),
            Fault::Missed(miss("/other", None, None)).fatal(),
            Fault::Missed(miss(
                "/items/1",
                None,
                Some(NotAnswering::Spent { captured: 2 }),
            ))
            .fatal(),
            Fault::Missed(miss("/items/1", None, Some(NotAnswering::NotMocked))).fatal(),
            Fault::Missed(miss("/items/1", None, Some(NotAnswering::Alike))).fatal(),
            extra("auto[1] POST pay.example/charge", 1, true),
            extra("auto[2] GET stock.example/", 2, false),
            unused("stock", true),
            unused("spare", false),
        ],
        notes: vec![Note::Repeated(Repeated {
            place: MessagePlace::Written("$.role".to_owned()),
            in_expected: false,
        })],
        calls: vec![call("/items/9", "missed", None)],
        any_call_seen: true,
        ..case("missed")
    }
}

fn uncorrelated() -> CaseOutcome {
    let lost = |distrusted: bool| Finding {
        fails: distrusted,
        fault: Fault::Uncorrelated(UncorrelatedCall {
            method: "GET".to_owned(),
            host: "stock.example".to_owned(),
            path: "/items/1".to_owned(),
            reason: "it carries no session".to_owned(),
            open_sessions: 2,
            distrusted,
            ambient: false,
            refused: false,
        }),
    };
    let refused = || Finding {
        fails: true,
        fault: Fault::Uncorrelated(UncorrelatedCall {
            method: "CONNECT".to_owned(),
            host: "pay.example".to_owned(),
            reason: "its client does not trust the certificate (certain: TLS alert 48, unknown CA)"
                .to_owned(),
            open_sessions: 1,
            distrusted: true,
            refused: true,
            ..UncorrelatedCall::default()
        }),
    };
    let unread = Finding {
        fails: true,
        fault: Fault::Uncorrelated(UncorrelatedCall {
            method: "?".to_owned(),
            host: "an unreadable request".to_owned(),
            reason: "it can't be read as a request: it was answered with 400".to_owned(),
            open_sessions: 2,
            distrusted: true,
            refused: true,
            ..UncorrelatedCall::default()
        }),
    };
    CaseOutcome {
        findings: vec![lost(true), lost(false), refused(), refused(), unread],
        notes: vec![Note::PassedUnread("db.example:5432".to_owned())],
        any_call_seen: true,
        ..case("uncorrelated")
    }
}

fn changed() -> CaseOutcome {
    let amount = |fails: bool| Finding {
        fails,
        fault: Fault::Sent(SentDifference {
            call: usize::from(!fails),
            exchange: 1,
            request: "POST pay.example/charge?api_key=s3cret".to_owned(),
            mismatch: Mismatch::new(
                MessagePlace::Written("$.amount".to_owned()),
                Side::Json(json!(4999)),
                Side::Json(json!(1)),
            ),
        }),
    };
    let late = |answer: &str| call("/late?token=s3cret", answer, None);
    CaseOutcome {
        findings: vec![
            amount(true),
            amount(false),
            Finding {
                fails: true,
                fault: Fault::Late(late("missed")),
            },
            Finding {
                fails: false,
                fault: Fault::Late(late("forwarded")),
            },
            Finding {
                fails: false,
                fault: Fault::NotCompared(3),
            },
        ],
        notes: vec![
            Note::RepeatedInCall {
                call: "POST pay.example/charge".to_owned(),
                repeated: Repeated {
                    place: MessagePlace::Written("$.role".to_owned()),
                    in_expected: true,
                },
            },
            Note::CallsNotCompared,
            Note::TurnsInOrder,
            Note::MockWithoutBody("auto[2] GET up.example/x?token=s3cret".to_owned()),
        ],
        calls: vec![
            call(
                "/charge?api_key=s3cret",
                "mock",
                Some("auto[1] POST pay.example/charge?api_key=s3cret"),
            ),
            call("/charge", "mock", Some("pay")),
        ],
        any_call_seen: true,
        ..case("changed")
    }
}

fn run() -> RunOutcome {
    let errored = CaseOutcome {
        end: End::Errored(Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(
            "cases/errored.case.json: line 1, column 1: not JSON\n  a second line",
        ))),
        ..case("errored")
    };
    let died = CaseOutcome {
        end: End::Errored(Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(
            "the application ended in the middle of the case (exit status: 3)",
        ))),
        written: Written {
            lines: vec!["out of memory".to_owned()],
            cut: false,
        },
        ..case("died")
    };
    let large = "x".repeat(4096).into_bytes();
    let large = |last: &str| {
        Side::Bytes(Excerpt {
            start: large.clone(),
            len: 10_000_000 + last.len(),
        })
    };
    let large = CaseOutcome {
        findings: vec![
            Fault::Mismatch(Mismatch::new(MessagePlace::Body, large("a"), large("bc"))).fatal(),
        ],
        ..case("large")
    };
    let warned = CaseOutcome {
        findings: vec![Finding {
            fault: Fault::Unused("spare".to_owned()),
            fails: false,
        }],
        notes: vec![
            Note::Size("traces[0]: 2000000 bytes; at most 1048576 are recommended".to_owned()),
            Note::Undecoded(Undecoded {
                coding: "lzma".to_owned(),
                why: "`lzma` is not known".to_owned(),
            }),
        ],
        ..case("warned")
    };
    let skipped = |name: &str, why: Skip| CaseOutcome {
        end: End::Skipped(why),
        ..case(name)
    };
    RunOutcome {
        cases: boxed(vec![
            case("passed"),
            mismatched(),
            missed(),
            uncorrelated(),
            changed(),
            errored,
            died,
            large,
            warned,
            skipped("odd ' name", Skip::Suite("too slow & odd".to_owned())),
            skipped("interrupted", Skip::Interrupted),
            skipped("behind", Skip::AnotherFailed),
        ]),
        started_us: Some(STARTED_US),
        took: Duration::from_millis(345),
        broke_off: false,
    }
}

/// Returns the run in words.
fn told() -> RunReport {
    let run = run();
    let causes = CauseReport::all(&run, &secrets());
    RunReport::new(run, causes, &secrets())
}

fn secrets() -> Vec<String> {
    vec!["s3cret-token".to_owned()]
}

fn printed(style: Style, times: bool, reports_passed: bool) -> String {
    let run = run();
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, style, Palette::default(), times, secrets());
    let names = run.cases.iter().map(|case| case.trial.as_str());
    printer.start(names).unwrap();
    for (n, case) in run.cases.iter().enumerate() {
        if n % 2 == 0 {
            printer.begin(&case.trial).unwrap();
            printer.result(case).unwrap();
        } else {
            printer.whole(case).unwrap();
        }
    }
    printer.end(&run, reports_passed).unwrap();
    drop(printer);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_name_of_any_length_is_printed() {
    let long = case(&"x".repeat(70_000));
    let mut out = Vec::new();
    let mut printer = Printer::new(&mut out, Style::Pretty, Palette::default(), false, vec![]);
    printer.start([long.trial.as_str()].into_iter()).unwrap();
    printer.whole(&long).unwrap();
    drop(printer);
    let out = String::from_utf8(out).unwrap();
    assert!(out.ends_with("xxx ... ok\n"), "{}", out.len());
}

#[test]
fn the_lines_of_libtest() {
    insta::assert_snapshot!(printed(Style::Pretty, false, false));
}

#[test]
fn what_several_cases_fail_for_is_told_once_and_first() {
    let named = |name: &str, outcome: CaseOutcome| CaseOutcome {
        trial: format!("shop::{name}"),
        ..outcome
    };
    let missed = |path: &str| {
        let miss = Miss {
            method: "GET".to_owned(),
            host: "stock.example".to_owned(),
            path: path.to_owned(),
            count: 1,
            nearest: None,
        };
        let missed = MissedCall {
            miss,
            captured: None,
        };
        CaseOutcome {
            findings: vec![Fault::Missed(missed).fatal()],
            ..case("x")
        }
    };
    let differs = |index: usize| {
        let place = MessagePlace::Json(vec![
            Step::Key("items".to_owned()),
            Step::Index(index),
            Step::Key("cents".to_owned()),
        ]);
        let mismatch = Mismatch::new(place, Side::Json(json!(499)), Side::Json(json!(500)));
        let change = Change::Json {
            at: String::new(),
            to: None,
        };
        CaseOutcome {
            findings: vec![Fault::Mismatch(mismatch.accepted_by(Risk::Medium, change)).fatal()],
            ..case("x")
        }
    };
    let run = RunOutcome {
        cases: boxed(vec![
            named("a", missed("/items/1?token=s3cret")),
            named("b", differs(0)),
            named("c", missed("/items/2")),
            named("d", missed("/items/3")),
            named("e", differs(7)),
            named("f", missed("/items/4")),
            CaseOutcome {
                end: End::Errored(Arc::new(std::fmt::Error)),
                ..case("g")
            },
        ]),
        ..RunOutcome::default()
    };
    let mut out = Vec::new();
    let mut printer = Printer::new(
        &mut out,
        Style::Pretty,
        Palette::default(),
        false,
        secrets(),
    );
    printer.end(&run, false).unwrap();
    drop(printer);
    let out = String::from_utf8(out).unwrap();
    let (first, _) = out.split_once("---- ").unwrap();
    insta::assert_snapshot!(first);
}

#[test]
fn characters_times_and_the_reports_of_those_that_passed() {
    let terse = printed(Style::Terse, false, false);
    let shown: String = terse.lines().take(3).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(shown);
    let timed = printed(Style::Pretty, true, true);
    assert!(
        timed.contains("test shop::passed       ... ok <0.012s>\n"),
        "{timed}"
    );
    assert!(
        timed.contains("successes:\n\n---- shop::passed ----\n"),
        "{timed}"
    );
}

#[test]
fn the_events_of_libtest() {
    insta::assert_snapshot!(printed(Style::Json, true, false));
}

#[test]
fn json_for_machines() {
    insta::assert_snapshot!(format!("{:#}", run_value(&told())));
}

#[test]
fn junit_for_ci() {
    insta::assert_snapshot!(junit(&told()).unwrap());
}

#[test]
fn a_page_for_a_browser() {
    let page = page(&told());
    // The style and the script are files of their own.
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, rest) = rest.split_once("</style>").unwrap();
    let (body, _) = rest.split_once("<script>").unwrap();
    let (before, _) = head.split_once("style-src").unwrap();
    // A line for each element that begins one for a reader.
    let body = [
        "<h", "<p", "<details", "<table", "<tr", "<td", "<li", "<div", "<pre", "<section",
    ]
    .iter()
    .fold(body.to_owned(), |body, tag| {
        body.replace(tag, &format!("\n{tag}"))
    });
    insta::assert_snapshot!(format!("{before}…{body}"));
}

#[test]
fn markdown_for_tickets() {
    let told = told();
    let file_of = |case: &CaseReport| Some(format!("run/{}.md", case.own_name()));
    insta::assert_snapshot!(markdown(&told, &file_of));
    // What looks like Markdown is no Markdown.
    let odd = CaseReport {
        name: "a ``` `b` <b>".to_owned(),
        ..CaseReport::default()
    };
    assert!(markdown_of_failure(&odd).starts_with("### ```` a ``` `b` <b> ````\n"));
}

#[test]
fn annotations_for_github() {
    let mut told = told();
    let place = |cause: &mut CauseReport, line| {
        (cause.file, cause.line) = (Some("cases/a, b: c.case.json".to_owned()), line);
    };
    place(&mut told.causes[0], Some(12));
    place(&mut told.causes[1], None);
    told.broke_off = true;
    insta::assert_snapshot!(annotations(&told));
}

#[test]
fn a_timeline_for_viewers() {
    insta::assert_snapshot!(trace(&told()));
}

#[test]
fn what_is_kept_is_what_is_told() {
    let told = told();
    let kept = serde_json::to_string(&told).unwrap();
    assert_eq!(RunReport::read(&kept).unwrap(), told);
    let printed = run_value(&told).to_string();
    assert_eq!(RunReport::read(&printed).unwrap(), told);
    // Whole or in parts.
    let parts = told.cases.iter().map(|case| RunReport {
        cases: vec![case.clone()],
        ..told.clone()
    });
    let merged = RunReport::merged(parts.collect());
    let mut cases = told.cases.clone();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(merged.cases, cases);
}

#[test]
fn summaries_and_warnings_are_lines() {
    let lines: Vec<String> = run()
        .cases
        .iter()
        .map(|case| {
            let warnings = warnings(case);
            format!("{}: {} {warnings:?}", case.trial, summary(case))
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn the_log_and_the_list() {
    insta::assert_snapshot!(log_lines(&run()));
    let trials = [
        Listed {
            name: "s::a",
            file: std::path::Path::new("a.case.json"),
            ignored: None,
        },
        Listed {
            name: "s::b",
            file: std::path::Path::new("b.case.json"),
            ignored: Some("slow"),
        },
    ];
    let listed = [Style::Pretty, Style::Terse, Style::Json].map(|style| {
        let mut out = Vec::new();
        list(&mut out, style, &trials).unwrap();
        String::from_utf8(out).unwrap()
    });
    insta::assert_snapshot!(listed.join("--\n"));
}

#[test]
fn long_texts_are_cut_and_secrets_masked() {
    let long = "x".repeat(10_000_000);
    let mut outcome = case("long");
    let side = |text: &str| Side::Bytes(Excerpt::of(text.as_bytes()));
    let found = Mismatch::new(
        MessagePlace::Body,
        side(&long),
        Side::Json(long.clone().into()),
    );
    outcome.findings.push(Fault::Mismatch(found).fatal());
    let run = RunOutcome {
        cases: boxed(vec![outcome]),
        ..RunOutcome::default()
    };
    let xml = junit(&RunReport::new(run, Vec::new(), &[])).unwrap();
    assert!(xml.len() < 10_000, "{}", xml.len());
    assert!(xml.contains("… (10000000 bytes)"));
    let text = printed(Style::Pretty, false, false);
    assert!(!text.contains("s3cret"), "{text}");
}
