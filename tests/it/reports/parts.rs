//! The parts of a run, each on a machine of its own, are the whole when they are put together.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::kept::{app, kept, run};
use super::{failing, text};
use crate::command::{Output, run_in};
use crate::languages::is_there;
use crate::support::{Project, Stub, output, without_cargo, without_settings};

const PARTS: usize = 5;
/// The cases that fail, of each reason.
const WRONG: [&str; 3] = ["7", "123", "199"];

/// Panics with the first lines that differ, unless two texts are the same.
#[track_caller]
fn same(actual: &str, expected: &str) {
    let mut lines = actual.lines().zip(expected.lines());
    if let Some((actual, expected)) = lines.find(|(actual, expected)| actual != expected) {
        panic!("{actual}\n  should be\n{expected}");
    }
    assert_eq!(actual.lines().count(), expected.lines().count());
}

/// Returns a run as it is kept, without what differs from run to run: times, the ids of sessions, and the thread that a case ran on.
fn timeless(mut run: Value) -> String {
    // Those of sessions and traces.
    fn is_id(text: &str) -> bool {
        text.contains("sess_")
            || text.len() == 55 && text.starts_with("00-") && text.ends_with("-01")
    }
    fn visit(value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    match name.as_str() {
                        "startedUs" | "tookMs" | "tookUs" | "lane" | "atUs" => *value = json!(0),
                        _ => visit(value),
                    }
                }
            }
            Value::Array(elements) => elements.iter_mut().for_each(visit),
            Value::String(text) if is_id(text) => *text = "an id".to_owned(),
            _ => {}
        }
    }
    visit(&mut run);
    format!("{run:#}")
}

/// Returns a JUnit file without times, ids, and the order of its cases.
fn sorted(xml: &str) -> String {
    let timeless = |line: &str| {
        let differs = ["time=", "timestamp=", "uuid="];
        let words = line
            .trim()
            .split(' ')
            .map(|word| match word.split_once('>') {
                // The last attribute of a tag.
                Some((word, rest)) if differs.iter().any(|name| word.starts_with(name)) => {
                    format!(">{rest}")
                }
                _ => word.to_owned(),
            });
        let words = words.filter(|word| !differs.iter().any(|name| word.starts_with(name)));
        words.collect::<Vec<_>>().join(" ")
    };
    // Times of libtest, empty lines, which readers trim, and where a list ends.
    let xml = regex::Regex::new("finished in [0-9.]+s")
        .unwrap()
        .replace_all(xml, "finished");
    let lines = xml.lines().filter(|line| !line.trim().is_empty());
    let lines = lines.filter(|line| !line.trim().starts_with("</testsuite"));
    let text = lines
        .map(timeless)
        .collect::<Vec<_>>()
        .join("\n")
        .replace("\n</", "</")
        .replace(">\n", ">");
    let mut cases = text.split("<testcase ");
    let head = cases.next().unwrap().to_owned();
    let mut cases: Vec<&str> = cases.collect();
    cases.sort();
    head + &cases.join("<testcase ")
}

/// Panics unless the application got one request for each case of [`failing`], after those that it had got before.
#[track_caller]
fn once_each(app: &Stub, cases: usize, before: usize) {
    let mut lines: Vec<String> = app
        .received()
        .into_iter()
        .skip(before)
        .map(|request| request.line)
        .collect();
    let count = lines.len();
    lines.sort();
    lines.dedup();
    assert_eq!((lines.len(), count), (cases, cases));
}

/// Puts files of a project together.
fn merge(project: &Project, args: &[&str]) -> Output {
    run_in(project.path(), &[&["report", "merge"], args].concat())
}

#[test]
fn a_thousand_cases_in_five_parts_are_the_whole() {
    let project = failing(5, 200);
    let whole = app(&WRONG);
    let reports = |name: &str| ["--junit".to_owned(), format!("{name}.xml")];
    let [flag, file] = reports("whole");
    run(&project, &whole, &["s.suite.yaml", &flag, &file]).ends(20, &["985 passed; 15 failed"]);
    once_each(&whole, 1_000, 0);
    let keep = |name: &str| {
        let last = project.path().join(".softprobe/last-run.json");
        std::fs::copy(last, project.path().join(name)).unwrap();
    };
    keep("whole.json");
    // The same address, so that the commands in the reports are the same.
    let parts = whole;
    let before = parts.received().len();
    for part in 1..=PARTS {
        let [flag, file] = reports(&format!("part-{part}"));
        let shard = format!("{part}/{PARTS}");
        run(
            &project,
            &parts,
            &["s.suite.yaml", "--shard", &shard, &flag, &file],
        );
        keep(&format!("part-{part}.json"));
    }
    once_each(&parts, 1_000, before);

    let merge = |args: &[&str]| merge(&project, args);
    let told = "1000 cases: 985 passed, 15 failed, 0 not run";
    merge(&[
        "part-*.json",
        "--junit",
        "merged.xml",
        "--out",
        "merged.json",
    ])
    .ends(0, &["5 runs, ", told]);
    same(
        &timeless(kept(&project, "merged.json")),
        &timeless(kept(&project, "whole.json")),
    );
    let whole_xml = text(&project, "whole.xml");
    same(&sorted(&text(&project, "merged.xml")), &sorted(&whole_xml));
    // The page is made of what is kept.
    for name in ["whole", "merged"] {
        let file = format!("{name}-timeless.json");
        project.write(&file, timeless(kept(&project, &format!("{name}.json"))));
        run_in(
            project.path(),
            &["report", "html", &file, "--out", &format!("{name}.html")],
        )
        .ends(0, &[told]);
    }
    same(
        &text(&project, "merged.html"),
        &text(&project, "whole.html"),
    );
    // So do the JUnit files alone, and with what runs have kept.
    for files in [&["part-*.xml"][..], &["part-1.json", "part-[2-5].xml"]] {
        let args = [files, &["--junit", "again.xml"]].concat();
        merge(&args).ends(0, &["5 files, ", told]);
        same(&sorted(&text(&project, "again.xml")), &sorted(&whole_xml));
    }
    // What is put together can be put together with the rest.
    merge(&["part-[1-3].json", "--out", "three.json"]).ends(1, &["parts are missing: 4/5, 5/5"]);
    merge(&["three.json", "part-4.json", "part-5.json"]).ends(0, &["3 runs, ", told]);
    // Until then, it looks green nowhere.
    run_in(project.path(), &["report", "html", "three.json"]).ends(0, &["; it broke off"]);
    let page = text(&project, "three.html");
    assert!(page.contains("of this run, parts are missing: 4/5, 5/5"));
    // Nor does one of which a part broke off, whatever tells it.
    let first = text(&project, "part-1.json");
    let broken = first.replacen("\"brokeOff\":false", "\"brokeOff\":true", 1);
    project.write("broken-1.json", broken);
    for files in [
        &["broken-1.json", "part-[2-5].json"],
        &["broken-1.json", "part-[2-5].xml"],
    ] {
        let args = [&files[..], &["--junit", "broken.xml"]].concat();
        merge(&args).ends(
            1,
            &["one of these runs broke off before all of its cases had ended"],
        );
        assert!(text(&project, "broken.xml").contains("name=\"the run\""));
    }
    merge(&["broken.xml"]).ends(1, &["one of these runs broke off"]);
    // A part that is missing is told, and no file looks green without it.
    merge(&["part-[1-4].xml", "--junit", "four.xml"])
        .ends(1, &["of this run, a part is missing: 5/5"]);
    let four = text(&project, "four.xml");
    assert!(
        four.contains("<error message=\"of this run, a part is missing: 5/5\""),
        "{four}"
    );
    // Two files with one case tell it twice.
    merge(&["part-1.xml", "part-1.json"]).ends(
        1,
        &[
            "is in several of these files, and is told for each",
            "parts are missing: 2/5, 3/5, 4/5, 5/5",
            "nothing was written; --junit names a file",
        ],
    );
    // What a JUnit file does not hold can't be made of it.
    for flag in ["--html", "--markdown", "--trace", "--out"] {
        merge(&["part-*.xml", flag, "out"]).ends(
            2,
            &[
                flag,
                "can't be made of part-1.xml: a JUnit file holds too little",
            ],
        );
        assert!(!project.path().join("out").exists());
    }
    project.write("odd.xml", "<testsuites><testsuite/></testsuites>");
    merge(&["odd.xml"]).ends(
        5,
        &[
            "odd.xml: no JUnit file: ",
            "missing required attribute: name",
        ],
    );
}

#[test]
fn parts_without_a_case_are_parts() {
    let project = failing(1, 1);
    let good = app(&[]);
    for part in 1..=4 {
        let (shard, file) = (format!("{part}/4"), format!("part-{part}.xml"));
        run(
            &project,
            &good,
            &["s.suite.yaml", "--shard", &shard, "--junit", &file],
        )
        .ends(0, &[]);
    }
    let merge = |files: &str| merge(&project, &[files, "--junit", "all.xml"]);
    merge("part-*.xml").ends(0, &["4 files, 1 case: 1 passed, 0 failed, 0 not run"]);
    let all = text(&project, "all.xml");
    assert!(
        !all.contains("softprobe.shard") && all.matches("<testsuite ").count() == 1,
        "{all}"
    );
    merge("part-[12].xml").ends(1, &["parts are missing: 3/4, 4/4"]);
}

#[test]
fn junit_files_of_others_become_one() {
    let project = Project::new();
    // As Maven's Surefire writes a file for each class, and pytest one for all.
    project.write(
        "surefire.xml",
        "<?xml version=\"1.0\"?>\n<!-- by class -->\n<testsuite version=\"3.0\" name=\"ShopTest\" time=\"0.5\" tests=\"2\" errors=\"0\" failures=\"1\">\
         <properties><property name=\"os\" value=\"x\"/></properties>\
         <testcase name=\"a\" classname=\"ShopTest\" time=\"0.25\"/>\
         <testcase name=\"b\" classname=\"ShopTest\" time=\"0.25\"><failure message=\"no\" type=\"T\"><![CDATA[a < b]]></failure></testcase></testsuite>",
    );
    project.write(
        "pytest.xml",
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><testsuites name=\"pytest tests\"><testsuite name=\"pytest\" errors=\"0\" failures=\"0\" skipped=\"1\" tests=\"1\" time=\"0.5\" hostname=\"h\">\
         <testcase classname=\"t\" name=\"test_skip\" time=\"0.0\"><skipped type=\"pytest.skip\" message=\"why\">x</skipped></testcase></testsuite></testsuites>",
    );
    let merge = |files: &str| merge(&project, &[files, "--junit", "all.xml"]);
    merge("[ps]*.xml").ends(0, &["2 files, 3 cases: 1 passed, 1 failed, 1 not run"]);
    let all = text(&project, "all.xml");
    for told in [
        "tests=\"3\" skipped=\"1\" failures=\"1\" errors=\"0\"",
        "<testsuite name=\"ShopTest\" tests=\"2\" skipped=\"0\" errors=\"0\" failures=\"1\" time=\"0.500\"",
        "<property name=\"os\" value=\"x\"/>",
        "<failure message=\"no\" type=\"T\">a &lt; b</failure>",
        "<skipped message=\"why\" type=\"pytest.skip\">x</skipped>",
        "hostname=\"h\"",
    ] {
        assert!(all.contains(told), "{told} is not in\n{all}");
    }
    // What was put together once can be again, and nothing is counted twice.
    merge("all.xml").ends(0, &["1 file, 3 cases"]);
    assert_eq!(text(&project, "all.xml"), all);
    project.write("cut.xml", &all[..all.len() / 2]);
    merge("cut.xml").ends(5, &["cut.xml: no JUnit file: "]);
    // What would be lost, and look green, is refused.
    let inner = "<testsuite name=\"Inner\"><testcase name=\"b\"><failure>no</failure></testcase></testsuite>";
    for outer in [
        "<testsuite name=\"outer\">",
        "<testsuite name=\"outer\" tests=\"1\" failures=\"1\">",
    ] {
        let nested =
            format!("<testsuites>{outer}<!-- <testcase> -->{inner}</testsuite></testsuites>");
        project.write("nested.xml", nested);
        merge("nested.xml").ends(5, &["nested.xml: it holds 1 cases, of which 0 can be read"]);
    }
    for (suites, suite) in [("", "errors=\"1\""), ("failures=\"1\"", "")] {
        let case =
            "<testcase name=\"a\"><system-out><![CDATA[<testcase>]]></system-out></testcase>";
        let xml = format!(
            "<testsuites name=\"all\" {suites}><testsuite name=\"s\" {suite}>{case}</testsuite></testsuites>"
        );
        project.write("untold.xml", xml);
        merge("untold.xml").ends(
            5,
            &["counts 1 failures and errors, and holds 0: the others would be lost"],
        );
    }
    for (xml, why) in [
        // As a process that died after its first case left it.
        (
            "<testsuite name=\"s\" tests=\"200\"><testcase name=\"a\"/></testsuite>",
            "\"s\" counts 200 cases, and holds 1",
        ),
        ("<testcase name=\"a\"/>", "odd.xml: "),
        (
            "<testsuite name=\"s\"><testcase name=\"a\"/><error>died</error></testsuite>",
            "it holds 1 failures and errors that stand in no case",
        ),
    ] {
        project.write("odd.xml", format!("<testsuites>{xml}</testsuites>"));
        merge("odd.xml").ends(5, &[why]);
    }
    // What an earlier call has made does not stay where nothing can be made, and what was given does.
    assert!(!project.path().join("all.xml").exists());
    let to = ["report", "merge", "cut.xml", "--junit", "cut.xml"];
    run_in(project.path(), &to).ends(5, &[]);
    assert!(project.path().join("cut.xml").exists());
    project.write("page.html", "of an earlier run");
    let page = ["report", "html", "cut.xml", "--out", "page.html"];
    run_in(project.path(), &page).ends(5, &[]);
    assert!(!project.path().join("page.html").exists());
    // Times of day without an offset are left out.
    project.write("day.xml", "<testsuites name=\"x\"><testsuite name=\"s\" timestamp=\"2026-12-01T10:00:00.5\"><testcase name=\"a\"/></testsuite></testsuites>");
    merge("day.xml").ends(0, &["1 case: 1 passed"]);
    project.write("time.xml", all.replace("0.250", "soon"));
    merge("time.xml").ends(
        5,
        &["testsuite[0](\"ShopTest\")/testcase[0]/@time: invalid"],
    );
}

/// Runs cargo-nextest without what cargo gave this test, which would have it build everything anew.
fn nextest(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    without_cargo(&mut command);
    without_settings(&mut command);
    command.arg("nextest").args(args).current_dir(folder);
    command
}

#[test]
fn nextest_runs_an_archive_in_five_parts() {
    if !is_there(&["cargo", "nextest", "--version"]) {
        return;
    }
    let root = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from);
    let project = failing(5, 200);
    project.write(
        ".config/nextest.toml",
        "[profile.default.junit]\npath = \"junit.xml\"\n",
    );
    project.write("Cargo.toml", "[workspace]\n");
    let archive = project.path().join("replay.tar.zst").display().to_string();
    let made = output(&mut nextest(
        &root,
        &[
            "archive",
            "--locked",
            "--test",
            "replay",
            "--archive-file",
            &archive,
        ],
    ));
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );

    let stub = app(&WRONG);
    // As on another machine, where only the archive and the files are.
    let run = |more: &[&str], shard: Option<&str>| {
        let mut command = nextest(
            project.path(),
            &[
                "run",
                "--archive-file",
                &archive,
                "--workspace-remap",
                ".",
                "--no-fail-fast",
            ],
        );
        command
            .args(more)
            .env("SOFTPROBE_SUITE", "s.suite.yaml")
            .env("APP_URL", stub.url());
        command.envs(shard.map(|shard| ("SOFTPROBE_SHARD", shard)));
        Output::of(&mut command)
    };
    let keep = |name: &str| {
        let junit = project.path().join("target/nextest/default/junit.xml");
        std::fs::rename(junit, project.path().join(format!("{name}.xml"))).unwrap();
        // What its processes have kept lies in a folder of the run's own.
        let runs = project.path().join("target/softprobe/nextest");
        let own: Vec<_> = std::fs::read_dir(runs).unwrap().collect();
        let [Ok(own)] = own.as_slice() else {
            panic!("{own:?}");
        };
        std::fs::rename(own.path(), project.path().join(name)).unwrap();
    };
    run(&[], None).ends(100, &["1000 tests run: 985 passed, 15 failed"]);
    once_each(&stub, 1_000, 0);
    keep("whole");
    run_in(
        project.path(),
        &["report", "merge", "whole/*.json", "--out", "whole.json"],
    )
    .ends(0, &["1000 runs, 1000 cases"]);
    let told = "1000 cases: 985 passed, 15 failed, 0 not run";
    let merge = |args: &[&str]| merge(&project, args);
    for (way, by_nextest) in [("slice", true), ("shard", false)] {
        let before = stub.received().len();
        for part in 1..=PARTS {
            let part_of = format!("{part}/{PARTS}");
            match by_nextest {
                true => run(&["--partition", &format!("slice:{part_of}")], None),
                false => run(&[], Some(&part_of)),
            };
            keep(&format!("{way}-{part}"));
        }
        once_each(&stub, 1_000, before);
        let (json, xml) = (format!("{way}-?/*.json"), format!("{way}-?.xml"));
        merge(&[&json, "--out", "merged.json"]).ends(0, &["1000 runs, ", told]);
        same(
            &timeless(kept(&project, "merged.json")),
            &timeless(kept(&project, "whole.json")),
        );
        merge(&[&xml, "--junit", "merged.xml"]).ends(0, &["5 files, ", told]);
        same(
            &sorted(&text(&project, "merged.xml")),
            &sorted(&text(&project, "whole.xml")),
        );
    }
    // Of our own parts it is known that one is missing.
    merge(&["shard-[1-4]/*.json"]).ends(1, &["of this run, a part is missing: 5/5"]);
}
