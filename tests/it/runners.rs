//! Other test runners, with `softprobe exec` around them: one application for all of their tests.

use std::path::Path;

use crate::command::{Output, softprobe};
use crate::languages::{SERVICES, is_there};

/// Runs a test runner in a service's folder against the service, which has to pass, and against a wrong one.
#[track_caller]
fn check(folder: &str, app: &str, runner: &[&str], code: i32) {
    let run = |flags: &[&str]| {
        let mut exec = softprobe(&["exec", "--app-command", app]);
        exec.args(flags).arg("--").args(runner);
        exec.current_dir(Path::new(SERVICES).join(folder));
        Output::of(&mut exec)
    };
    run(&[]).ends(0, &["softprobe: application http://127.0.0.1:"]);
    run(&["--app-env", "DEFECT=1"]).ends(code, &[]);
}

#[test]
fn pytest() {
    let pytest = ".venv/bin/pytest";
    if is_there(&["examples/services/python/.venv/bin/pytest", "--version"]) {
        check(
            "python",
            ".venv/bin/python server.py",
            &[pytest, "-p", "no:cacheprovider"],
            1,
        );
    }
}

#[test]
fn jest() {
    let jest = "node_modules/.bin/jest";
    if is_there(&["examples/services/node/node_modules/.bin/jest", "--version"]) {
        check("node", "node server.mjs", &[jest, "--no-cache"], 1);
    }
}

#[test]
fn junit_by_maven() {
    if is_there(&["mvn", "--version"]) && is_there(&["javac", "-version"]) {
        check(
            "java",
            "java Server.java",
            &["mvn", "--quiet", "--batch-mode", "test"],
            1,
        );
    }
}

#[test]
fn go_test() {
    if is_there(&["go", "version"]) {
        check("go", "go run .", &["go", "test", "-count=1", "./..."], 1);
    }
}

#[test]
fn cargo_nextest() {
    if !is_there(&["cargo", "nextest", "--version"]) {
        return;
    }
    // A process for each case, and one shop for all of them.
    let run = |defect: &str| {
        let shop = "cargo run --locked --quiet --example checkout";
        let mut exec = softprobe(&["exec", "--app-command", shop]);
        exec.args([
            "--",
            "cargo",
            "nextest",
            "run",
            "--locked",
            "--no-fail-fast",
            "--test",
            "replay",
        ]);
        crate::support::without_cargo(&mut exec);
        Output::of(exec.env("CHECKOUT_DEFECT", defect))
    };
    let right = run("");
    right.ends(
        0,
        &[
            "11 tests run: 11 passed",
            "softprobe: application http://127.0.0.1:",
        ],
    );
    assert_eq!(
        right.stderr.matches("softprobe: application").count(),
        1,
        "{}",
        right.stderr
    );
    run("price").ends(100, &["checkout::happy"]);
}
