//! `softprobe sample` and `softprobe man`: what they write, and that they write over nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::command::{Output, run_in, softprobe};
use crate::languages::is_there;
use crate::support::Project;

#[test]
fn the_sample_is_written_and_replayed_in_each_language() {
    for (language, program, service) in [
        ("python", "python3", "server.py"),
        ("node", "node", "server.mjs"),
    ] {
        if !is_there(&[program, "--version"]) {
            continue;
        }
        let project = Project::new();
        let folder = "a folder/sample";
        let told = run_in(project.path(), &["sample", folder, "--language", language]);
        let next = format!("softprobe suite run '{folder}/sample.suite.yaml' --app-env DEFECT=1");
        told.ends(
            0,
            &["test result: ok. 2 passed", "sample::get-items-12", &next],
        );
        assert!(project.path().join(folder).join(service).exists());
        // What is written is whole: it is replayed without the command that wrote it, and breaks where it is told to.
        let suite = format!("{folder}/sample.suite.yaml");
        run_in(project.path(), &["suite", "validate", &suite]).ends(0, &[]);
        let broken = ["suite", "run", &suite, "--app-env", "DEFECT=1"];
        run_in(project.path(), &broken).ends(20, &["0 passed; 2 failed", "$.currency"]);
        // Nothing is written over.
        fs::write(project.path().join(folder).join(service), "mine").unwrap();
        let again = run_in(project.path(), &["sample", folder]);
        again.ends(
            5,
            &["a folder/sample: is not empty; name another folder: softprobe sample FOLDER"],
        );
        let kept = fs::read_to_string(project.path().join(folder).join(service)).unwrap();
        assert_eq!(kept, "mine");
    }
}

#[test]
fn the_sample_takes_the_language_that_is_there() {
    let project = Project::new();
    let with = |path: &str, args: &[&str]| {
        let mut command = softprobe(args);
        Output::of(command.current_dir(project.path()).env("PATH", path))
    };
    let told = with("/nowhere", &["sample", "none"]);
    told.ends(1, &["needs python3 or node, and neither is in PATH"]);
    assert!(!project.path().join("none").exists());
    // A folder of that name is no program.
    fs::create_dir_all(project.path().join("bin/python3")).unwrap();
    let bin = project.path().join("bin").display().to_string();
    with(&bin, &["sample", "none"]).ends(1, &["neither is in PATH"]);
    // One that does not run is told by the run, which fails.
    let node = project.write("bin/node", "#!/bin/sh\nexit 7\n");
    fs::set_permissions(&node, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{bin}:/bin:/usr/bin");
    let told = with(&path, &["sample", "broken", "--language", "node"]);
    assert_ne!(told.code, 0);
    told.ends(told.code, &["exit status: 7"]);
    // One that begins with a dash is no flag of the commands that are told.
    if is_there(&["python3", "--version"]) {
        let path = std::env::var("PATH").unwrap();
        with(&path, &["sample", "--language", "python", "--", "-x"])
            .ends(0, &["softprobe suite run ./-x/sample.suite.yaml"]);
        let told = with(&path, &["sample", "json", "--language", "python", "--json"]).document();
        assert_eq!(
            (&told["folder"], &told["passed"]),
            (&json!("json"), &json!(2))
        );
    }
    project.write("file", "");
    with(&path, &["sample", "file", "--language", "node"]).ends(5, &["file: can't be read: "]);
}

#[test]
fn each_command_has_a_manual_page() {
    let project = Project::new();
    run_in(project.path(), &["man", "share/man1"]).ends(0, &["to share/man1"]);
    let folder = project.path().join("share/man1");
    for name in [
        "",
        "-sample",
        "-suite-run",
        "-report-merge",
        "-session-policy-set",
    ] {
        let page = fs::read_to_string(folder.join(format!("softprobe{name}.1"))).unwrap();
        assert!(page.contains(".TH softprobe"), "{page}");
    }
    let run = fs::read_to_string(folder.join("softprobe-suite-run.1")).unwrap();
    assert!(run.contains("\\-\\-app\\-command"), "{run}");
    project.write("file", "");
    run_in(project.path(), &["man", "file"]).ends(5, &["file: can't be written: "]);
}
