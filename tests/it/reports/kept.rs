//! What is kept of a run, and what is made of it afterwards.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::failing;
use crate::command::{Output, run_in, softprobe};
use crate::languages::is_there;
use crate::support::{Project, Stub, output, without_settings};

/// Returns an application that answers the cases of [`failing`] rightly, but for those numbers.
pub(super) fn app(wrong: &'static [&'static str]) -> Stub {
    Stub::start(move |request| {
        let path = request.line.split(' ').nth(1).unwrap();
        let (reason, n) = path.trim_start_matches('/').split_once('/').unwrap();
        let reason: u32 = reason.parse().unwrap();
        let value = if wrong.contains(&n) { 2 } else { 1 };
        let body = format!("{{\"p{reason:02}\":{value},\"n\":{n}}}");
        crate::support::http(200, &[], &body)
    })
}

pub(super) fn run(project: &Project, app: &Stub, more: &[&str]) -> Output {
    let mut command = softprobe(&["suite", "run", "--app-url", &app.url()]);
    Output::of(command.args(more).current_dir(project.path()))
}

pub(super) fn kept(project: &Project, file: &str) -> Value {
    serde_json::from_str(&super::text(project, file)).unwrap()
}

#[test]
fn what_failed_runs_again() {
    let project = failing(1, 6);
    let (bad, good) = (app(&["2", "4"]), app(&[]));
    run(&project, &bad, &["s.suite.yaml", "--failed"]).ends(
        5,
        &[".softprobe/last-run.json: no run is kept there; run a suite first"],
    );
    run(&project, &bad, &["s.suite.yaml"]).ends(20, &["4 passed; 2 failed"]);
    // Of the suites of that run, and of others.
    run(&project, &bad, &["--failed"]).ends(20, &["0 passed; 2 failed", "s::r00-2", "s::r00-4"]);
    run(
        &project,
        &bad,
        &["s.suite.yaml", "--failed", "--filter", "r00-4"],
    )
    .ends(20, &["0 passed; 1 failed"]);
    run(&project, &good, &["--failed"]).ends(0, &["2 passed; 0 failed"]);
    let told = run(&project, &good, &["--failed"]);
    told.ends(
        0,
        &[
            "no case failed in the last run, so none is run again",
            "running 0 tests",
        ],
    );
    // What has been kept stays the same, so that it is not forgotten.
    let last = kept(&project, ".softprobe/last-run.json");
    assert_eq!(last["cases"][1]["name"], "s::r00-4");
    // Failures that were not looked at are not forgotten.
    run(&project, &bad, &["s.suite.yaml"]).ends(20, &["4 passed; 2 failed"]);
    run(&project, &good, &["--failed", "--filter", "r00-4"]).ends(0, &["1 passed"]);
    run(&project, &bad, &["--failed"]).ends(20, &["0 passed; 1 failed", "s::r00-2"]);
    // Nor are they by a run of other cases.
    run(&project, &bad, &["s.suite.yaml"]).ends(20, &["4 passed; 2 failed"]);
    run(&project, &bad, &["s.suite.yaml", "--filter", "r00-1"]).ends(0, &["1 passed"]);
    run(&project, &bad, &["--failed"]).ends(20, &["0 passed; 2 failed", "s::r00-2", "s::r00-4"]);
    run(&project, &good, &["s.suite.yaml", "--filter", "r00-2"]).ends(0, &["1 passed"]);
    run(&project, &bad, &["--failed"]).ends(20, &["0 passed; 1 failed", "s::r00-4"]);
    // The commands that it prints are whole, and what had other flags is told.
    let told = run(&project, &bad, &["--failed", "--one-at-a-time"]);
    told.ends(
        20,
        &[
            "softprobe suite run s.suite.yaml --app-url",
            "give its flags again where they matter",
        ],
    );
    // What did not get to run is run.
    run(
        &project,
        &bad,
        &["s.suite.yaml", "--fail-fast", "--test-threads", "1"],
    )
    .ends(20, &["2 passed; 1 failed; 3 ignored"]);
    run(&project, &good, &["--failed"]).ends(0, &["4 passed; 0 failed"]);
    run(&project, &bad, &["s.suite.yaml"]).ends(20, &[]);
    project.write("s.suite.yaml", "name: other\ncases: cases/*.case.json\n");
    run(&project, &good, &["--failed"]).ends(
        5,
        &["--failed: none of the 2 that failed in the last run is selected here"],
    );
    // So does a test target.
    let target = failing(1, 3);
    target.run(&["--app-url", &bad.url()]).fails(&["s::r00-2"]);
    target.run(&["--app-url", &good.url(), "--failed"]).passes();
    run_in(target.path(), &["suite", "run"]).ends(2, &["<SUITE>"]);
}

#[test]
fn the_last_run_is_kept_where_it_is_ignored() {
    let project = failing(1, 2);
    let bad = app(&["1"]);
    run(&project, &bad, &["s.suite.yaml"]).ends(20, &[]);
    let file = project.path().join(".softprobe/last-run.json");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(super::text(&project, ".softprobe/.gitignore"), "*\n");
    let last = kept(&project, ".softprobe/last-run.json");
    assert_eq!(last["cases"][1]["result"], "failed", "{last}");
    assert_eq!(last["suiteFiles"], json!(["s.suite.yaml"]));
    // In a package of Rust, below its target; a list is no run, and one in which nothing is selected neither.
    project.write("Cargo.toml", "");
    run(&project, &app(&[]), &["s.suite.yaml"]).ends(0, &[]);
    run(&project, &bad, &["s.suite.yaml", "--list"]).ends(0, &[]);
    run(&project, &bad, &["s.suite.yaml", "--filter", "nothing"]).ends(5, &[]);
    let last = kept(&project, "target/softprobe/last-run.json");
    assert_eq!(last["cases"][1]["result"], "passed");
    // One whose suites can't be read takes the place of the one before, which would be taken for it.
    run(&project, &bad, &["s.suite.yaml"]).ends(20, &[]);
    project.write(
        "bad.suite.yaml",
        "name: bad\ncases: cases/*.case.json\nunsed: fail\n",
    );
    run(&project, &bad, &["bad.suite.yaml"]).ends(5, &["unsed"]);
    let last = kept(&project, "target/softprobe/last-run.json");
    assert_eq!(
        (&last["brokeOff"], &last["cases"]),
        (&json!(true), &json!([]))
    );
    run_in(project.path(), &["report", "html"]).ends(0, &["0 cases", "; it broke off"]);
    run(&project, &bad, &["--failed"]).ends(20, &["0 passed; 1 failed"]);
    // Where nothing can be kept, the run counts all the same.
    let other = failing(1, 1);
    other.write(".softprobe", "a file");
    run(&other, &app(&[]), &["s.suite.yaml"]).ends(0, &["1 passed", "the run can't be kept"]);
}

#[test]
fn a_page_is_made_of_a_run_that_is_over() {
    let project = failing(1, 3);
    run(
        &project,
        &app(&["1"]),
        &["s.suite.yaml", "--html", "with.html"],
    )
    .ends(20, &[]);
    let report = |args: &[&str]| {
        let args = [&["report"], args].concat();
        run_in(project.path(), &args)
    };
    report(&["html"]).ends(
        0,
        &["3 cases: 2 passed, 1 failed, 0 not run\nwrote .softprobe/report.html\n"],
    );
    let made = super::text(&project, ".softprobe/report.html");
    assert_eq!(made, super::text(&project, "with.html"));
    // Of what the command has printed, too.
    let printed = run(&project, &app(&["1"]), &["s.suite.yaml", "--json"]);
    project.write("printed.json", &printed.stdout);
    report(&["html", "printed.json", "--out", "other/page.html"])
        .ends(0, &["wrote other/page.html"]);
    assert!(super::text(&project, "other/page.html").contains("1 of 3 cases failed"));
    let told = report(&["html", "--json"]).document();
    assert_eq!(told["path"], ".softprobe/report.html");
    // What is no run is refused with its place.
    project.write("odd.json", "{\"cases\": [{\"name\": 1}]}");
    project.write("none.json", "{\"a\": 1}");
    project.write("text.json", "{");
    for (file, why) in [
        (
            "odd.json",
            "odd.json: not a report of a run: invalid type: integer `1`, expected a string at line 1 column 21",
        ),
        (
            "none.json",
            "none.json: not a report of a run: it has no `cases`",
        ),
        (
            "text.json",
            "text.json: not a report of a run: EOF while parsing an object at line 1 column 1",
        ),
        ("gone.json", "gone.json: no run is kept there"),
    ] {
        report(&["html", file]).ends(5, &[why]);
    }
}

#[test]
fn a_page_opens_in_the_browser_that_is_named() {
    let project = failing(1, 1);
    run(&project, &app(&[]), &["s.suite.yaml"]).ends(0, &[]);
    let browser = project.write("browser", "#!/bin/sh\nprintf '%s|' \"$@\" >> opened\n");
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).unwrap();
    let open = |args: &[&str], named: &str| {
        let args = [&["report", "open"], args].concat();
        let mut command = softprobe(&args);
        Output::of(command.env("BROWSER", named).current_dir(project.path()))
    };
    let named = format!("no-such-browser:{} --new %s", browser.display());
    open(&[], &named).ends(0, &[".softprobe/report.html is open in the browser"]);
    let whole = project.path().canonicalize().unwrap();
    let page = whole.join(".softprobe/report.html");
    assert_eq!(
        super::text(&project, "opened"),
        format!("--new|{}|", page.display())
    );
    project.write("mine.html", "<p>");
    open(&["mine.html"], &browser.display().to_string()).ends(0, &["mine.html is open"]);
    assert!(
        super::text(&project, "opened")
            .ends_with(&format!("{}|", whole.join("mine.html").display()))
    );
    open(&["gone.html"], &named).ends(5, &["gone.html: "]);
    let mut command = softprobe(&["report", "open"]);
    command.env("BROWSER", "false").env("PATH", project.path());
    Output::of(command.current_dir(project.path()))
        .ends(1, &["no browser could be started; open ", "BROWSER"]);
}

#[test]
fn runs_on_several_machines_become_one() {
    let whole = failing(2, 6);
    let bad = app(&["1", "3"]);
    let args = [
        "s.suite.yaml",
        "--junit",
        "j.xml",
        "--markdown",
        "r.md",
        "--test-threads",
        "1",
    ];
    run(&whole, &bad, &args).ends(20, &[]);
    let parts = failing(2, 6);
    for (n, filter) in ["r00", "r01"].into_iter().enumerate() {
        let part = ["s.suite.yaml", "--filter", filter, "--test-threads", "1"];
        run(&parts, &bad, &part).ends(20, &[]);
        std::fs::copy(
            parts.path().join(".softprobe/last-run.json"),
            parts.path().join(format!("part-{n}.json")),
        )
        .unwrap();
    }
    let merge = |more: &[&str]| {
        let args = [&["report", "merge", "part-*.json"], more].concat();
        run_in(parts.path(), &args)
    };
    merge(&[
        "--junit",
        "j.xml",
        "--html",
        "r.html",
        "--markdown",
        "r.md",
        "--out",
        "all.json",
    ])
    .ends(0, &["2 runs, 12 cases: 8 passed, 4 failed, 0 not run"]);
    // But for times, and for the filters in the commands, it is what the whole run has written.
    let plain = |text: &str| {
        let lines = text.lines().map(|line| {
            let words = line.split(' ').filter(|word| !word.starts_with("time="));
            words.collect::<Vec<_>>().join(" ")
        });
        lines
            .filter(|line| !line.contains(" not run, in "))
            .collect::<Vec<_>>()
    };
    for file in ["j.xml", "r.md"] {
        let port = |text: String| text.replace(&bad.url(), "http://app");
        assert_eq!(
            plain(&port(super::text(&parts, file))),
            plain(&port(super::text(&whole, file))),
            "{file}"
        );
    }
    assert_eq!(
        kept(&parts, "all.json")["cases"].as_array().unwrap().len(),
        12
    );
    let told = merge(&["--json"]).document();
    assert_eq!(
        (&told["failed"], &told["causes"][0]["cases"]),
        (&json!(4), &json!(["s::r00-1", "s::r00-3"]))
    );
    // A case that is in several is told.
    std::fs::copy(
        parts.path().join("part-0.json"),
        parts.path().join("part-9.json"),
    )
    .unwrap();
    merge(&[]).ends(
        0,
        &[
            "warning: s::r00-0 is in several of these files, and is told for each",
            "3 runs, 18 cases",
        ],
    );
}

#[test]
fn parts_of_a_run_are_a_whole_one() {
    let project = failing(3, 100);
    let bad = app(&["7"]);
    let mut names = Vec::new();
    for part in 1..=5 {
        let shard = format!("{part}/5");
        let told = run(
            &project,
            &bad,
            &["s.suite.yaml", "--shard", &shard, "--json"],
        );
        let document = told.document();
        let cases = document["cases"].as_array().unwrap();
        assert!((40..=80).contains(&cases.len()), "{}", cases.len());
        names.extend(
            cases
                .iter()
                .map(|case| case["name"].as_str().unwrap().to_owned()),
        );
        std::fs::copy(
            project.path().join(".softprobe/last-run.json"),
            project.path().join(format!("part-{part}.json")),
        )
        .unwrap();
    }
    // Each case ran once.
    names.sort();
    let all: Vec<String> = (0..3)
        .flat_map(|reason| (0..100).map(move |n| format!("s::r{reason:02}-{n}")))
        .collect();
    let mut all: Vec<String> = all;
    all.sort();
    assert_eq!(names, all);
    let merge = |files: &[&str]| {
        let args = [&["report", "merge", "--html", "all.html"], files].concat();
        run_in(project.path(), &args)
    };
    merge(&["part-*.json"]).ends(0, &["5 runs, 300 cases: 297 passed, 3 failed, 0 not run"]);
    // What nobody has looked at does not look green.
    merge(&["part-1.json", "part-2.json", "part-4.json", "part-5.json"])
        .ends(1, &["of this run, a part is missing: 3/5"]);
    let page = super::text(&project, "all.html");
    assert!(page.contains("The run broke off before all of its cases had ended"));
    // So it is for runs that broke off, and for what the command has printed.
    let first = super::text(&project, "part-1.json");
    project.write(
        "part-1.json",
        first.replacen("\"brokeOff\":false", "\"brokeOff\":true", 1),
    );
    merge(&["part-*.json"]).ends(
        1,
        &["one of these runs broke off before all of its cases had ended"],
    );
    for part in ["1/5", "2/5"] {
        let printed = run(&project, &bad, &["s.suite.yaml", "--shard", part, "--json"]);
        project.write(&format!("printed-{}.json", &part[..1]), printed.stdout);
    }
    merge(&["printed-*.json"]).ends(1, &["parts are missing: 3/5, 4/5, 5/5"]);
    // A part without any case is no fault, and a wrong part is one.
    let small = failing(1, 1);
    let codes: Vec<i32> = (1..=4)
        .map(|part| {
            run(
                &small,
                &app(&[]),
                &["s.suite.yaml", "--shard", &format!("{part}/4")],
            )
            .code
        })
        .collect();
    assert_eq!(codes, [0; 4]);
    // It is kept, so that the whole is known to be whole.
    for part in 1..=4 {
        run(
            &small,
            &app(&[]),
            &["s.suite.yaml", "--shard", &format!("{part}/4")],
        )
        .ends(0, &[]);
        let kept = small.path().join(".softprobe/last-run.json");
        std::fs::copy(kept, small.path().join(format!("part-{part}.json"))).unwrap();
    }
    run_in(small.path(), &["report", "merge", "part-*.json"]).ends(0, &["4 runs, 1 case"]);
    for wrong in ["0/5", "6/5", "x"] {
        run(&small, &bad, &["s.suite.yaml", "--shard", wrong]).ends(
            2,
            &["is no part of a run, such as 2/5 for the second of five"],
        );
    }
}

#[test]
fn runs_by_nextest_are_kept_together() {
    if !is_there(&["cargo", "nextest", "--version"]) {
        return;
    }
    let project = failing(1, 4);
    let bad = app(&["2"]);
    let part = |app: &Stub, name: &str, id: &str| {
        let mut command = project.command(
            &["--exact", name, "--nocapture", "--app-url", &app.url()],
            &[],
        );
        without_settings(&mut command);
        command
            .env("NEXTEST", "1")
            .env("NEXTEST_RUN_ID", id)
            .env("SOFTPROBE_HTML", "page.html");
        output(&mut command)
    };
    part(&bad, "s::r00-0", "an-old-run");
    let told = String::from_utf8_lossy(&part(&bad, "s::r00-1", "a-new-run").stderr).into_owned();
    assert!(
        told.contains("after the run, `softprobe report html` makes a page of all"),
        "{told}"
    );
    part(&bad, "s::r00-2", "a-new-run");
    part(&bad, "s::r00-3", "a-new-run");
    assert!(!project.path().join("page.html").exists());
    run_in(project.path(), &["report", "html"])
        .ends(0, &["3 cases: 2 passed, 1 failed, 0 not run"]);
    run(&project, &bad, &["s.suite.yaml", "--failed"])
        .ends(20, &["0 passed; 1 failed", "s::r00-2"]);
    // What fails in processes at the same time is not lost when a part of the others runs next.
    let bad = app(&["0", "1", "2", "3"]);
    let (part, app_of_all) = (&part, &bad);
    std::thread::scope(|scope| {
        for n in 0..4 {
            scope.spawn(move || part(app_of_all, &format!("s::r00-{n}"), "another-run"));
        }
    });
    run(&project, &app(&[]), &["s.suite.yaml", "--filter", "r00-0"]).ends(0, &["1 passed"]);
    run(&project, &bad, &["s.suite.yaml", "--failed"]).ends(20, &["0 passed; 3 failed"]);
}
