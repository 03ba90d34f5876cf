//! Reports: each format tells each kind of failure, and nothing that a run met can change what is shown.

mod kept;
mod pace;
mod pages;
mod parts;
mod secrets;
mod shop;

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use crate::command::{Output, softprobe};
use crate::languages::is_there;
use crate::support::{Project, Stub, kill, output, without_settings};
use shop::text;

/// The failures of the shop, in their order, each with what has to be told of it.
const FAILURES: [(&str, &str); 9] = [
    ("shop::a-body", "$.lines[0].cents"),
    ("shop::b-sent", "POST pay.example/charge"),
    (
        "shop::c-missed",
        "nearest captured exchange `GET stock.example/items/1` differs on path",
    ),
    ("shop::e-secure", "does not trust the certificate"),
    ("shop::g-late", "GET stock.example/recount"),
    ("shop::h-big", "the first difference is at byte 10000000"),
    ("shop::i-odd", "<img src=x onerror=alert(1)>"),
    ("shop::f-hook", "the total is not that of the lines"),
    (
        "dying::dies",
        "the application ended in the middle of the run",
    ),
];

/// Undoes what a format writes otherwise so that it means nothing to whoever reads it.
fn unescaped(text: &str) -> String {
    let pairs = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    pairs
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[test]
fn every_format_tells_each_kind_of_failure() {
    if !is_there(&["python3", "--version"]) {
        return;
    }
    let project = shop::project(3);
    let told = shop::run(
        &project,
        &[
            "--html",
            "out/page.html",
            "--markdown",
            "out/run.md",
            "--trace",
            "out/trace.json",
            "--junit",
            "out/junit.xml",
        ],
    );
    told.ends(20, &["9 of 14 cases failed"]);
    let page = unescaped(&text(&project, "out/page.html"));
    let summary = text(&project, "out/run.md");
    let xml = unescaped(&text(&project, "out/junit.xml"));
    let kept = text(&project, ".softprobe/last-run.json");
    let mut files = BTreeSet::new();
    for (name, words) in FAILURES {
        for (format, all) in [
            ("text", &told.stdout),
            ("page", &page),
            ("Markdown", &summary),
            ("JUnit", &xml),
        ] {
            let own = all.contains(name) || format == "JUnit";
            assert!(
                own && all.contains(words),
                "{format} lacks {name}: {words}\n{all}"
            );
        }
        let file = format!("out/run/{}.md", name.replace("::", "-"));
        let own = text(&project, &file);
        assert!(
            own.contains(words) && own.contains("Run just this case"),
            "{file}: {own}"
        );
        files.insert(file.rsplit('/').next().unwrap().to_owned());
    }
    let written = std::fs::read_dir(project.path().join("out/run")).unwrap();
    let written = written.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(written.collect::<BTreeSet<_>>(), files);
    // Values under the names of secrets are in none, and a large body is in none whole but where all is kept.
    for (format, all) in [
        ("text", &told.stdout),
        ("page", &page),
        ("Markdown", &summary),
        ("JUnit", &xml),
        ("last run", &kept),
    ] {
        assert!(
            !all.contains("tok_s3cret") && !all.contains("tok_0ther"),
            "{format}"
        );
        assert!(all.len() < 200_000, "{format}: {} bytes", all.len());
    }
    // Another run removes the failures that are none any more, and nothing else.
    project.write("out/run/notes.md", "mine");
    let args = [
        "suite",
        "run",
        "shop.suite.yaml",
        "--filter",
        "a-body",
        "--markdown",
        "out/run.md",
    ];
    Output::of(softprobe(&args).current_dir(project.path())).ends(20, &[]);
    let left = std::fs::read_dir(project.path().join("out/run")).unwrap();
    let left = left.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(
        left.collect::<BTreeSet<_>>(),
        BTreeSet::from(["notes.md".to_owned(), "shop-a-body.md".to_owned()])
    );
}

#[test]
fn a_consumer_reads_the_junit_report() {
    let python = "tests/readers/.venv/bin/python";
    if !is_there(&["python3", "--version"])
        || !is_there(&[python, "-c", "import junitparser, xmlschema"])
    {
        return;
    }
    let project = shop::project(2);
    shop::run(&project, &["--junit", "junit.xml"]).ends(20, &[]);
    let read = output(
        Command::new(python)
            .arg("tests/readers/junit.py")
            .arg(project.path().join("junit.xml")),
    );
    let told: Value = serde_json::from_slice(&read.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&read.stderr)));
    assert_eq!(
        told["suites"],
        json!({
            "shop": {"tests": 12, "failures": 8, "errors": 0, "skipped": 1},
            "dying": {"tests": 1, "failures": 0, "errors": 1, "skipped": 0},
        })
    );
    let cases = told["cases"].as_object().unwrap();
    assert_eq!(cases.len(), 13);
    assert_eq!(cases["shop::00000"], json!([]));
    assert_eq!(cases["shop::j-skipped"][0]["message"], "too slow & <odd>");
    assert_eq!(cases["dying::dies"][0]["kind"], "error");
    let odd = cases["shop::i-odd"][0]["text"].as_str().unwrap();
    assert!(
        odd.contains("<img src=x onerror=alert(1)>") && odd.contains("]]> -->"),
        "{odd}"
    );
}

/// Checks a timeline against the format as Chrome's trace viewer documents it.
fn check_trace(trace: &Value, cases: &BTreeSet<String>) {
    assert_eq!(trace["displayTimeUnit"], "ms");
    let mut seen = BTreeSet::new();
    let mut rows: Vec<(u64, u64, u64, u64)> = Vec::new();
    for event in trace["traceEvents"].as_array().unwrap() {
        let name = event["name"].as_str().unwrap();
        let (process, thread) = (
            event["pid"].as_u64().unwrap(),
            event["tid"].as_u64().unwrap(),
        );
        match event["ph"].as_str().unwrap() {
            "M" => {
                assert!(["process_name", "thread_name"].contains(&name), "{event}");
                assert!(event["args"]["name"].is_string(), "{event}");
            }
            "X" => {
                let (from, took) = (
                    event["ts"].as_u64().unwrap(),
                    event["dur"].as_u64().unwrap(),
                );
                rows.push((process, thread, from, from + took));
                assert!(event["args"].is_object(), "{event}");
                match event["cat"].as_str().unwrap() {
                    "case" => assert!(seen.insert(name.to_owned()), "{event}"),
                    "call" => assert!(
                        cases.contains(event["args"]["case"].as_str().unwrap()),
                        "{event}"
                    ),
                    other => panic!("{other}: {event}"),
                }
            }
            other => panic!("{other}: {event}"),
        }
    }
    assert_eq!(&seen, cases);
    // What is in one row of the picture does not overlap.
    rows.sort_unstable();
    for pair in rows.windows(2) {
        let ((process, thread, _, end), next) = (pair[0], pair[1]);
        assert!(
            (process, thread) != (next.0, next.1) || end <= next.2,
            "{pair:?}"
        );
    }
}

#[test]
fn a_timeline_shows_cases_and_calls() {
    if !is_there(&["python3", "--version"]) {
        return;
    }
    let project = shop::project(40);
    let args = [
        "suite",
        "run",
        "shop.suite.yaml",
        "--test-threads",
        "8",
        "--trace",
        "trace.json",
    ];
    Output::of(softprobe(&args).current_dir(project.path())).ends(20, &[]);
    let trace: Value = serde_json::from_str(&text(&project, "trace.json")).unwrap();
    let names = (0..40).map(|n| format!("shop::{n:05}"));
    let more = [
        "a-body", "b-sent", "c-missed", "d-lost", "e-secure", "f-hook", "g-late", "h-big", "i-odd",
    ];
    let cases: BTreeSet<String> = names
        .chain(more.iter().map(|name| format!("shop::{name}")))
        .collect();
    check_trace(&trace, &cases);
    let events = trace["traceEvents"].as_array().unwrap();
    let call = events
        .iter()
        .find(|event| event["name"] == "POST pay.example/charge")
        .unwrap();
    assert_eq!(call["args"]["answer"], "mock");
    let case = events
        .iter()
        .find(|event| event["name"] == "shop::b-sent")
        .unwrap();
    let at = |event: &Value| {
        (
            event["ts"].as_u64().unwrap(),
            event["dur"].as_u64().unwrap(),
        )
    };
    let ((from, took), (call, _)) = (at(case), at(call));
    assert!(from <= call && call <= from + took, "{from} {took} {call}");
    let late = events
        .iter()
        .find(|event| event["name"] == "GET stock.example/recount");
    assert_eq!(late.unwrap()["args"]["case"], "shop::g-late");
}

/// Returns a project whose cases all fail: those of a suite at one path each, for `reasons` reasons.
fn failing(reasons: usize, each: usize) -> Project {
    let project = Project::new();
    for reason in 0..reasons {
        for n in 0..each {
            let body = format!("{{\"p{reason:02}\":1,\"n\":{n}}}");
            let inbound = crate::support::span(
                1,
                "inbound",
                &format!("GET shop.example/{reason}/{n}"),
                Some(200),
                &[crate::support::response_body(&body)],
            );
            let document = crate::support::document(&[inbound]);
            project.write(
                &format!("cases/r{reason:02}-{n}.case.json"),
                format!("{document:#}\n"),
            );
        }
    }
    project.write("s.suite.yaml", "name: s\ncases: cases/*.case.json\n");
    project
}

#[test]
fn github_shows_few_annotations_at_the_right_lines() {
    let project = failing(11, 3);
    let app = Stub::start(|request| {
        let path = request.line.split(' ').nth(1).unwrap();
        let mut steps = path.trim_start_matches('/').split('/');
        let (reason, n) = (steps.next().unwrap(), steps.next().unwrap());
        let name = format!("p{:02}", reason.parse::<u32>().unwrap());
        let body = format!("{{\"{name}\":2,\"n\":{n}}}");
        crate::support::http(200, &[("content-type", "application/json")], &body)
    });
    let summary = project.write("summary.md", "what another step wrote\n");
    let run = |more: &[(&str, &str)]| {
        let mut command = softprobe(&["suite", "run", "s.suite.yaml", "--app-url", &app.url()]);
        command
            .current_dir(project.path())
            .envs(more.iter().copied());
        Output::of(&mut command)
    };
    let told = run(&[
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
        ("GITHUB_WORKSPACE", project.path().to_str().unwrap()),
    ]);
    told.ends(20, &[]);
    let lines: Vec<&str> = told
        .stderr
        .lines()
        .filter(|line| line.starts_with("::"))
        .collect();
    assert_eq!(lines.len(), 10, "{}", told.stderr);
    let case = text(&project, "cases/r00-0.case.json");
    let line = case
        .lines()
        .position(|line| line.contains("http.response.body"))
        .unwrap()
        + 1;
    // The attribute begins a line before its key.
    let wanted = format!(
        "::error file=cases/r00-0.case.json,line={},title=softprobe%3A 3 cases fail::$.p00 differs in the answer, such as $.p00: 1 -> 2%0As::r00-0, s::r00-1, s::r00-2%0A",
        line - 1
    );
    assert!(lines[0].starts_with(&wanted), "{}\n{wanted}", lines[0]);
    assert_eq!(
        lines[9],
        "::error title=softprobe::and 2 more reasons, for which 6 cases fail"
    );
    let shown = std::fs::read_to_string(&summary).unwrap();
    assert!(
        shown.starts_with("what another step wrote\n# Softprobe: 33 of 33 failed\n"),
        "{shown}"
    );
    assert!(!run(&[]).stderr.contains("::error"));
}

#[test]
fn a_summary_is_cut_before_github_shows_nothing() {
    let project = failing(2, 1_500);
    let app = Stub::json(200, &json!({"x": "y".repeat(2_000)}));
    let summary = project.write("summary.md", "");
    let mut command = softprobe(&["suite", "run", "s.suite.yaml", "--app-url", &app.url()]);
    command
        .current_dir(project.path())
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &summary);
    Output::of(&mut command).ends(20, &[]);
    let shown = std::fs::read_to_string(&summary).unwrap();
    assert!(
        (500_000..=900 * 1024).contains(&shown.len()),
        "{}",
        shown.len()
    );
    assert!(shown.contains(" more failures, for which there is no room here"));
}

#[test]
fn reports_of_an_earlier_run_are_not_taken_for_those_of_a_later_one() {
    let project = Project::with_answer(200, "{}", "name: s\ncases: a.case.json\n");
    let app = Stub::json(200, &json!({}));
    let files = ["page.html", "run.md", "junit.xml", "log"];
    let is_green = |file: &str| {
        let path = project.path().join(file);
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.contains("1 passed")
            || text.contains("failures=\"0\" errors=\"0\" time")
            || text.starts_with("ok")
    };
    Output::of(&mut all_reports(&project, &app)).ends(0, &[]);
    assert!(files.iter().all(|file| is_green(file)));
    // The application of the next one does not start.
    let mut command = softprobe(&["suite", "run", "s.suite.yaml", "--app-command", "false"]);
    command.args(REPORTS);
    Output::of(command.current_dir(project.path())).ends(1, &["did not start"]);
    assert!(files[..3].iter().all(|file| !is_green(file)));
    assert!(text(&project, "junit.xml").contains("<skipped message=\"not run: "));
    // Another one can't be written.
    Output::of(&mut all_reports(&project, &app)).ends(0, &[]);
    std::fs::remove_file(project.path().join("run.md")).unwrap();
    std::fs::create_dir_all(project.path().join("run.md/summary.md/x")).unwrap();
    Output::of(&mut all_reports(&project, &app)).ends(1, &["run.md: can't be written: "]);
    // Nothing was run.
    Output::of(all_reports(&project, &app).args(["--ignored", "--no-progress"]));
    assert!(!text(&project, "page.html").contains("<h1 class=\"passed\">"));
}

#[test]
fn a_name_of_any_length_has_its_file() {
    let project = Project::new();
    let inbound = |path: &str| {
        let call = format!("GET shop.example/{path}");
        crate::support::span(
            1,
            "inbound",
            &call,
            Some(200),
            &[crate::support::response_body("{}")],
        )
    };
    let mut suite = "name: s\ncases:\n".to_owned();
    for n in 0..3 {
        project.write(
            &format!("c{n}.case.json"),
            crate::support::document(&[inbound(&n.to_string())]).to_string(),
        );
        let name = format!("{}{n}", "\u{30b1}".repeat(120));
        suite.push_str(&format!(
            "  - {{ path: c{n}.case.json, name: \"{name}\" }}\n"
        ));
    }
    project.write("s.suite.yaml", suite);
    let app = Stub::json(500, &json!({}));
    Output::of(&mut all_reports(&project, &app)).ends(20, &[]);
    assert_eq!(
        std::fs::read_dir(project.path().join("run"))
            .unwrap()
            .count(),
        3
    );
    assert!(text(&project, "run.md").contains("3 of 3 failed"));
}

#[test]
fn what_an_application_writes_is_no_command_to_github() {
    if !is_there(&["python3", "--version"]) {
        return;
    }
    let project = Project::with_answer(200, "{\"a\":1}", "name: s\ncases: a.case.json\n");
    let app = "import os, sys\nfrom http.server import *\nclass H(BaseHTTPRequestHandler):\n    def do_GET(self):\n        \
               sys.stderr.write('::stop-commands::zzz\\n##[error]old\\n')\n        self.send_response(500)\n        self.end_headers()\n    \
               def log_message(self, *args): pass\nHTTPServer(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()\n";
    project.write("app.py", app);
    let mut command = softprobe(&[
        "suite",
        "run",
        "s.suite.yaml",
        "--app-command",
        "python3 app.py",
    ]);
    command
        .env("GITHUB_ACTIONS", "true")
        .current_dir(project.path());
    let told = Output::of(&mut command);
    told.ends(20, &["| ::stop-commands::zzz", "# #[error]old"]);
    assert!(
        told.stdout
            .lines()
            .all(|line| !line.trim_start().starts_with("::")),
        "{}",
        told.stdout
    );
}

/// The flags of the reports that are read as a whole.
const REPORTS: [&str; 6] = [
    "--html",
    "page.html",
    "--markdown",
    "run.md",
    "--junit",
    "junit.xml",
];

/// Returns a command that runs a project's suite, one case at a time, on GitHub, and writes every report.
fn all_reports(project: &Project, app: &Stub) -> Command {
    let mut command = softprobe(&[
        "suite",
        "run",
        "s.suite.yaml",
        "--json",
        "--test-threads",
        "1",
    ]);
    command
        .args(["--app-url", &app.url()])
        .args(REPORTS)
        .args(["--trace", "trace.json", "--logfile", "log"])
        .current_dir(project.path())
        .env("GITHUB_ACTIONS", "true");
    command
}

#[test]
fn a_run_that_breaks_off_looks_green_nowhere() {
    let project = failing(1, 40);
    let (reached, is_reached) = std::sync::mpsc::channel();
    let reached = std::sync::Mutex::new(reached);
    // Right answers, but none for the second request.
    let app = Stub::start(move |request| {
        let path = request.line.split(' ').nth(1).unwrap().to_owned();
        let n = path.rsplit('/').next().unwrap().to_owned();
        if n != "0" {
            let _ = reached.lock().unwrap().send(());
            return Vec::new();
        }
        crate::support::http(200, &[], "{\"p00\":1,\"n\":0}")
    });
    let told = Output::of(all_reports(&project, &app).arg("--fail-fast"));
    is_reached.recv().unwrap();
    let document = told.document();
    assert_eq!(document["passed"], 1, "{document}");
    assert_eq!(document["ignored"], 38);
    assert!(text(&project, "page.html").contains("1 of 40 cases failed"));
    assert!(text(&project, "run.md").contains("# Softprobe: 1 of 40 failed"));
    assert!(text(&project, "junit.xml").contains("not run: another case failed"));
    // Interrupted, it has an end in no report, and none on the terminal.
    let (reached, is_reached) = std::sync::mpsc::channel();
    let reached = std::sync::Mutex::new(reached);
    let (release, is_released) = std::sync::mpsc::channel::<()>();
    let is_released = std::sync::Mutex::new(is_released);
    let slow = Stub::start(move |_| {
        let _ = reached.lock().unwrap().send(());
        let _ = is_released.lock().unwrap().recv();
        Vec::new()
    });
    let mut command = all_reports(&project, &slow);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    is_reached.recv().unwrap();
    kill("-TERM", child.id());
    let ended = child.wait_with_output().unwrap();
    drop(release);
    assert_eq!(ended.status.code(), Some(143));
    let document: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(
        (&document["brokeOff"], &document["passed"]),
        (&json!(true), &json!(0))
    );
    assert_eq!(document["cases"].as_array().unwrap().len(), 40);
    let page = text(&project, "page.html");
    assert!(page.contains("The run broke off before all of its cases had ended"));
    assert!(!page.contains("class=\"passed\">"), "{page}");
    assert!(text(&project, "run.md").contains("**The run broke off"));
    assert!(text(&project, "junit.xml").contains("not run: interrupted"));
    assert!(!text(&project, "junit.xml").contains("failures=\"0\" errors=\"0\" time"));
    assert!(text(&project, "junit.xml").contains("<error message=\"the run broke off"));
    assert!(text(&project, "trace.json").contains("\"brokeOff\":true"));
    let log = text(&project, "log");
    assert!(
        log.ends_with("\nfailed (the run broke off before all of its cases had ended)\n"),
        "{log}"
    );
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(
        told.contains("::error title=softprobe::the run broke off"),
        "{told}"
    );
}

#[test]
fn no_green_report_stays_from_a_run_before_one_that_could_not_begin() {
    let project = Project::with_answer(200, "{}", "name: s\ncases: a.case.json\n");
    let app = Stub::json(200, &json!({}));
    let reports = ["page.html", "run.md", "junit.xml", "trace.json"];
    Output::of(&mut all_reports(&project, &app)).ends(0, &[]);
    assert!(text(&project, "run.md").contains("# Softprobe: 1 passed"));
    for (suite, why) in [
        ("name: s\ncases: b.case.json\n", "b.case.json"),
        ("name: s\ncases: [a.case.json\n", "s.suite.yaml"),
        ("name: s\ncases: a.case.json\nno_field: 1\n", "no_field"),
    ] {
        project.write("s.suite.yaml", suite);
        let told = Output::of(&mut all_reports(&project, &app));
        assert_ne!(told.code, 0, "{}", told.stdout);
        for report in reports {
            let text = text(&project, report);
            let sign = match report {
                "trace.json" => "\"brokeOff\":true",
                _ => why,
            };
            assert!(text.contains(sign), "{report}: {text}");
        }
        let junit = text(&project, "junit.xml");
        assert!(
            junit.contains("errors=\"1\"") && junit.contains("<error "),
            "{junit}"
        );
    }
}

#[test]
fn a_report_that_can_not_be_written_is_told_and_keeps_none_from_being_written() {
    let project = Project::with_answer(200, "{}", "name: s\ncases: a.case.json\n");
    let app = Stub::json(200, &json!({}));
    project.write("file", "");
    let run = |more: &[&str]| {
        let mut command = softprobe(&["suite", "run", "s.suite.yaml", "--app-url", &app.url()]);
        Output::of(command.args(more).current_dir(project.path()))
    };
    let told = run(&[
        "--html",
        "file/page.html",
        "--junit",
        "file/j.xml",
        "--markdown",
        "run.md",
    ]);
    told.ends(
        1,
        &[
            "error: file/page.html: can't be written: ",
            "error: file/j.xml: can't be written: ",
        ],
    );
    assert!(text(&project, "run.md").contains("1 passed"));
    // To what is no regular file, a report is written as it comes; one of a run has its own name for the same flag.
    let told = run(&["--report", "/dev/stdout", "-q"]);
    told.ends(0, &["<!DOCTYPE html>", "1 case passed"]);
    assert!(project.path().join("file").metadata().unwrap().len() == 0);
    // A file that stands keeps its mode.
    let page = project.write("page.html", "old");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
    std::fs::set_permissions(&page, mode).unwrap();
    run(&["--html", "page.html"]).ends(0, &[]);
    let mode = std::os::unix::fs::PermissionsExt::mode(&page.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn colours_are_as_usual() {
    let project = Project::with_answer(200, "{\"a\":1}", "name: s\ncases: a.case.json\n");
    let app = Stub::json(200, &json!({"a": 2}));
    let run = |args: &[&str], env: &[(&str, &str)]| {
        let mut command = softprobe(&["suite", "run", "s.suite.yaml", "--app-url", &app.url()]);
        command.args(args).envs(env.iter().copied());
        without_settings(&mut command);
        command.envs(env.iter().copied());
        Output::of(command.current_dir(project.path()))
            .stdout
            .contains("\u{1b}[31m")
    };
    for (args, env, coloured) in [
        (&[][..], &[][..], false),
        (&[], &[("CLICOLOR_FORCE", "1")], true),
        (&[], &[("CLICOLOR_FORCE", "0")], false),
        (&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        (&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")], true),
        (&["--color", "always"], &[("NO_COLOR", "1")], true),
        (&["--color", "never"], &[("CLICOLOR_FORCE", "1")], false),
        (&["--no-color"], &[("CLICOLOR_FORCE", "1")], false),
    ] {
        assert_eq!(run(args, env), coloured, "{args:?} {env:?}");
    }
}
