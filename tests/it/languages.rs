//! Services in several languages, each replayed with each of its HTTP clients: their calls are seen, and answered from the
//! capture.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::command::{Output, softprobe};
use crate::hookfiles::skipped;
use crate::support::Project;

/// Where the services are.
pub(crate) const SERVICES: &str = "examples/services";

/// A service, and what it needs.
struct Service {
    name: &'static str,
    /// The program that runs it, with arguments that do nothing.
    program: &'static [&'static str],
    /// Its clients, each with a file that has to be there for it, or an empty text.
    clients: &'static [(&'static str, &'static str)],
}

/// Returns whether a program is there. On CI, it has to be.
pub(crate) fn is_there(program: &[&str]) -> bool {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).stdin(Stdio::null());
    let run = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = run.is_ok_and(|status| status.success());
    if !there {
        missing(&format!("`{}` does not run", program.join(" ")));
    }
    there
}

fn missing(what: &str) {
    let on_ci = std::env::var("CI").is_ok_and(|ci| !ci.is_empty());
    assert!(
        !on_ci,
        "{what}, and CI is set; examples/services/install installs clients"
    );
    skipped(&format!("{what}, so services that need it are not tested"));
}

fn check(service: &Service) {
    let Service {
        name,
        program,
        clients,
    } = service;
    if !is_there(program) {
        return;
    }
    let folder = Path::new(SERVICES).join(name);
    let suite = folder.join(format!("{name}.suite.yaml"));
    let is_installed = |(client, file): &&(&str, &str)| {
        let is_installed = file.is_empty() || folder.join(file).exists();
        if !is_installed {
            missing(&format!("{client} of {name} ({file}) is not installed"));
        }
        is_installed
    };
    let clients: Vec<&str> = clients
        .iter()
        .filter(is_installed)
        .map(|(client, _)| *client)
        .collect();
    let run = |more: &[&str]| {
        let mut run = softprobe(&["suite", "run"]);
        run.arg(&suite).args(more).arg("--exact");
        let python = Path::new(SERVICES).join("python/.venv/bin/python");
        if python.exists() {
            // Not canonical: the link is what makes it the environment's.
            run.env("PYTHON", std::path::absolute(&python).unwrap());
        }
        for client in &clients {
            run.args(["--filter", &format!("{name}::{client}")]);
        }
        Output::of(&mut run)
    };
    let right = run(&[]);
    right.ends(0, &[&format!("{} passed; 0 failed", clients.len())]);
    let wrong = run(&["--app-env", "DEFECT=1"]);
    wrong.ends(
        20,
        &[
            &format!("0 passed; {} failed", clients.len()),
            "expected  3",
            "actual    4",
        ],
    );
}

#[test]
fn node() {
    check(&Service {
        name: "node",
        program: &["node", "--version"],
        clients: &[
            ("fetch", ""),
            ("http", ""),
            ("agent", ""),
            ("subclass", ""),
            ("axios", "node_modules/axios"),
            ("undici", "node_modules/undici"),
            ("got", "node_modules/got"),
            ("node-fetch", "node_modules/node-fetch"),
        ],
    });
}

#[test]
fn python() {
    check(&Service {
        name: "python",
        program: &["python3", "--version"],
        clients: &[
            ("urllib", ""),
            ("requests", ".venv/bin/python"),
            ("httpx", ".venv/bin/python"),
            ("aiohttp", ".venv/bin/python"),
        ],
    });
}

#[test]
fn python_modules_are_found_while_aiohttp_is_changed() {
    if !is_there(&["python3", "--version"]) {
        return;
    }
    let project = Project::new();
    project.write("aiohttp/__init__.py", "");
    project.write(
        "aiohttp/client.py",
        "class ClientSession:\n    def __init__(self, trust_env=False):\n        self.trust_env = trust_env\n",
    );
    // Another thread's import that goes through the list of finders would skip one if the list changed.
    let code = "import sys\nbefore = list(sys.meta_path)\nimport aiohttp.client\nassert sys.meta_path == before\n\
                assert aiohttp.client.ClientSession().trust_env\n";
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/launch/interception");
    let mut python = Command::new("python3");
    python.args(["-c", code]).current_dir(project.path());
    python
        .env("PYTHONPATH", ours)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Output::of(&mut python).ends(0, &[]);
}

#[test]
fn java() {
    check(&Service {
        name: "java",
        program: &["javac", "-version"],
        clients: &[("client", ""), ("connection", "")],
    });
}

#[test]
fn go() {
    check(&Service {
        name: "go",
        program: &["go", "version"],
        clients: &[("http", "")],
    });
}

#[test]
fn ruby() {
    check(&Service {
        name: "ruby",
        program: &["ruby", "--version"],
        clients: &[("http", "")],
    });
}

#[test]
fn php() {
    check(&Service {
        name: "php",
        program: &["php", "-r", "curl_version();"],
        clients: &[("streams", ""), ("curl", "")],
    });
}

#[test]
fn php_runs_without_a_configuration_and_with_odd_ones() {
    if !is_there(&["php", "-r", "curl_version();"]) {
        return;
    }
    let service = Path::new(SERVICES).join("php");
    let service = service.canonicalize().unwrap();
    let project = Project::new();
    project.write("empty/.keep", "");
    project.write("none/php.ini", "auto_prepend_file = none\n");
    project.write("own/php.ini", "auto_prepend_file = \"${PREPENDED}\"\n");
    let own = project.write("prepended.php", "<?php header('x-prepended: 1');\n");
    let suite = std::fs::read_to_string(service.join("php.suite.yaml")).unwrap();
    let case = service.parent().unwrap().join("item.case.json");
    let suite = suite
        .replace("cwd: .", &format!("cwd: {}", service.display()))
        .replace("../item.case.json", case.to_str().unwrap());
    project.write("php.suite.yaml", &suite);
    project.write(
        "own.suite.yaml",
        suite.replace(
            "mocks: auto",
            "assertions: { headers: { include: { x-prepended: '1' } } }\nmocks: auto",
        ),
    );
    for (folder, suite) in [("empty", "php"), ("none", "php"), ("own", "own")] {
        let ini = project.path().join(folder);
        let mut run = softprobe(&["suite", "run"]);
        run.arg(format!("{suite}.suite.yaml"))
            .args(["--filter", "streams"]);
        run.current_dir(project.path())
            .env("PHPRC", &ini)
            .env("PREPENDED", &own);
        Output::of(&mut run).ends(0, &["1 passed"]);
    }
}

#[test]
fn programs() {
    if is_there(&["curl", "--version"]) && is_there(&["wget", "--version"]) {
        check(&Service {
            name: "shell",
            program: &["python3", "--version"],
            clients: &[("curl", ""), ("wget", "")],
        });
    }
}
