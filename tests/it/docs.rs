//! Runs the documentation's console sessions as shown, in a copy of the sample.
//!
//! In a block, `$ ` starts a command and `> ` continues it; what follows is its output. `…` matches
//! any text within a line, and a line of only `…` matches any number of lines. Ports that the pages
//! name are replaced by free ones. A block whose first line is a comment with a path is a file.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::command::run_in;
use crate::hookfiles::is_there;
use crate::support::{Project, Stub, document, free_port, http, output, span};

/// A command and the output that the page shows for it.
#[derive(Debug)]
struct Step {
    command: String,
    shown: Vec<String>,
}

fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| ".".into(), PathBuf::from)
}

/// Returns the steps of a page, and writes its files into the project.
fn steps(page: &str, project: &Project) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```").filter(|kind| !kind.is_empty()) else {
            continue;
        };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if kind != "console" {
            let comment = block[0].trim_start_matches(['#', '/', ' ']);
            if block[0] != comment
                && comment.contains('/')
                && Path::new(comment).extension().is_some()
            {
                project.write(comment, block.join("\n") + "\n");
            }
            continue;
        }
        for line in block {
            if let Some(command) = line.strip_prefix("$ ") {
                let command = command.to_owned();
                steps.push(Step {
                    command,
                    shown: Vec::new(),
                });
                continue;
            }
            let step = steps.last_mut().unwrap();
            match line.strip_prefix("> ").filter(|_| step.shown.is_empty()) {
                Some(more) => step.command += &format!("\n{more}"),
                None => step.shown.push(line.to_owned()),
            }
        }
    }
    steps
}

/// Collapses repeated spaces and repeated strokes of a table's rules, because widths change with
/// the ports.
fn narrow(line: &str) -> String {
    let mut narrow = String::new();
    for c in line.chars() {
        if !([' ', '─', '═'].contains(&c) && narrow.ends_with(c)) {
            narrow.push(c);
        }
    }
    narrow
}

/// Returns whether a line matches the one shown.
fn line_fits(shown: &str, line: &str) -> bool {
    let (shown, line) = (&narrow(shown), narrow(line));
    let line = line.as_str();
    let mut rest = line;
    for (n, part) in shown.split('…').enumerate() {
        match rest.find(part) {
            Some(at) if n > 0 || at == 0 => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    rest.is_empty() || shown.ends_with('…')
}

fn fits(shown: &[String], lines: &[&str]) -> bool {
    match shown.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=lines.len()).any(|skipped| fits(rest, &lines[skipped..]))
        }
        Some((first, rest)) => lines
            .split_first()
            .is_some_and(|(line, more)| line_fits(first, line) && fits(rest, more)),
    }
}

/// What the script prints before each step, to separate their outputs.
const MARK: &str = "<<<step>>>";

#[track_caller]
fn page_is_true(name: &str, programs: &[&str]) {
    for program in programs {
        let mut version = Command::new(program);
        let there = version.arg("--version").stdout(Stdio::null()).status();
        if there.is_err() {
            let on_ci = std::env::var("CI").is_ok_and(|ci| !ci.is_empty());
            assert!(!on_ci, "{program} is not installed, and CI is set");
            let why = format!("{program} is not installed, so {name} is not run");
            return crate::hookfiles::skipped(&why);
        }
    }
    let project = crate::breakage::sample("", "", "");
    for file in ["server.mjs", "server.py"] {
        let file = format!("examples/recording/{file}");
        project.write(&file, std::fs::read(root().join(&file)).unwrap());
    }
    let (runtime, proxy, other) = (free_port(), free_port(), free_port());
    let shop = crate::breakage::start(&format!("http://127.0.0.1:{proxy}")).unwrap();
    let collector = Stub::start(|_| http(200, &[], ""));
    let ports = [
        ("127.0.0.1:8080", format!("127.0.0.1:{runtime}")),
        ("127.0.0.1:4100", format!("127.0.0.1:{proxy}")),
        ("127.0.0.1:4101", format!("127.0.0.1:{other}")),
        (
            "127.0.0.1:3000",
            shop.url().trim_start_matches("http://").to_owned(),
        ),
        ("127.0.0.1:4318", collector.address.to_string()),
        ("8443", free_port().to_string()),
        ("8444", free_port().to_string()),
    ];
    let real = |text: &str| {
        ports.iter().fold(text.to_owned(), |text, (shown, real)| {
            text.replace(shown, real)
        })
    };
    let page = std::fs::read_to_string(root().join(name)).unwrap();
    let steps = steps(&page, &project);
    assert!(!steps.is_empty(), "{name} shows no command");
    // The default addresses may belong to other programs here, so the commands get the free ports.
    let mut script = format!(
        "exec 2>&1\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\nsoftprobe() {{\n\
         case \" $* \" in *' -- '*) command softprobe \"$@\"; return;; esac\n\
         case \"$1 $2\" in\n\
         session*|'inspect session') command softprobe \"$@\" --runtime-url http://127.0.0.1:{runtime};;\n\
         doctor*) command softprobe \"$@\" --proxy-listen 127.0.0.1:{proxy};;\n\
         *) command softprobe \"$@\";;\nesac; }}\n"
    );
    for step in &steps {
        let mut command = real(&step.command);
        if let Some(served) = command.strip_suffix(" &") {
            // Its default ports may be taken here, and the next command must find it listening, which it
            // says once it does.
            let mut served = served.replace("--proxy ", &format!("--proxy 127.0.0.1:{proxy} "));
            if served.starts_with("softprobe ") && !served.contains("--listen ") {
                served += &format!(" --listen 127.0.0.1:{runtime}");
            }
            command = format!(
                ": > said.txt\nexec {served} > said.txt &\nuntil [ -s said.txt ]; do kill -0 $! || exit 99; done\ncat said.txt"
            );
        }
        script += &format!("echo '{MARK}'\n{command}\n");
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_softprobe")).parent().unwrap();
    // The page is read in the repository, and its steps are taken elsewhere.
    let manifest = std::path::absolute(root().join("Cargo.toml")).unwrap();
    let shim = format!(
        "#!/bin/sh\nshift\nPATH=${{PATH#*:}}\nexec cargo run --manifest-path '{}' \"$@\"\n",
        manifest.display()
    );
    let shim = project.write("bin/cargo", shim);
    let runs = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&shim, runs).unwrap();
    let path = format!(
        "{}:{}:{}",
        shim.parent().unwrap().display(),
        binary.display(),
        std::env::var("PATH").unwrap()
    );
    let mut bash = Command::new("bash");
    crate::support::without_settings(&mut bash);
    bash.args(["-c", &script])
        .current_dir(project.path())
        .env("PATH", path)
        .env("NO_PROXY", "*")
        .env_remove("CARGO_MANIFEST_DIR")
        .stdin(Stdio::null());
    let output = output(&mut bash);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let outputs: Vec<&str> = text.split(&format!("{MARK}\n")).skip(1).collect();
    assert_eq!(outputs.len(), steps.len(), "{text}");
    for (step, output) in steps.iter().zip(&outputs) {
        let output = ports
            .iter()
            .fold((*output).to_owned(), |text, (shown, real)| {
                text.replace(real, shown)
            });
        let mut lines: Vec<&str> = output.lines().collect();
        while lines.last().is_some_and(|line| line.is_empty()) {
            lines.pop();
        }
        let mut shown = step.shown.clone();
        while shown.last().is_some_and(String::is_empty) {
            shown.pop();
        }
        assert!(
            fits(&shown, &lines),
            "{name}: $ {}\n--- shown\n{}\n--- printed\n{}",
            step.command,
            shown.join("\n"),
            lines.join("\n")
        );
    }
}

#[test]
fn the_command_page_shows_real_output() {
    page_is_true("docs/command.md", &["bash", "curl"]);
}

#[test]
fn the_page_of_the_first_replay_shows_real_output() {
    page_is_true("docs/first-replay.md", &["bash", "python3"]);
}

#[test]
fn the_recording_page_shows_real_output() {
    page_is_true("docs/recording.md", &["bash", "curl", "node", "python3"]);
}

#[test]
fn the_reports_page_shows_real_output() {
    page_is_true("docs/reports.md", &["bash", "curl", "python3"]);
}

#[test]
fn the_hooks_page_shows_real_output() {
    page_is_true("docs/hooks.md", &["bash", "python3", "node"]);
}

#[test]
fn the_application_page_shows_real_output() {
    page_is_true("docs/application.md", &["bash", "python3"]);
}

#[test]
fn the_suites_page_shows_every_field_in_a_suite_that_is_valid() {
    let page = std::fs::read_to_string(root().join("docs/suites.md")).unwrap();
    let project = Project::new();
    steps(&page, &project);
    let hooks =
        "def sign(**_): pass\ndef fresh(**_): pass\ndef headers(**_): pass\ndef body(**_): pass\n";
    project.write("hooks/every.py", hooks);
    let outbound = |n: u64, name: &str| span(n, "outbound", name, Some(200), &[]);
    let mut case = document(&[
        span(1, "inbound", "POST shop.example/orders", Some(200), &[]),
        outbound(2, "POST pay.example/charge"),
        outbound(3, "POST auth.example/token"),
    ]);
    case["fixtures"] = json!([{"name": "key", "value": "k"}]);
    let authority = crate::secure::TestAuthority::new();
    let (certificate, key) = authority.certificate("us.test");
    project.write("certs/internal.pem", &authority.pem);
    project.write("certs/us.pem", certificate);
    project.write("certs/us-key.pem", key);
    for name in ["order", "refund", "startup"] {
        let path = format!("cases/every/{name}.case.json");
        project.write(&path, case.to_string());
    }
    if is_there("python3") {
        let file = "suites/every.suite.yaml";
        let run = run_in(project.path(), &["suite", "validate", file]);
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
    let yaml = std::fs::read_to_string(project.path().join("suites/every.suite.yaml")).unwrap();
    let schema = run_in(project.path(), &["suite", "schema"]).stdout;
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let mut names = Vec::new();
    property_names(&schema, &mut names);
    assert!(names.len() > 100, "{names:?}");
    for name in names {
        let shows = |start: char| yaml.contains(&format!("{start}{name}:"));
        assert!(shows(' ') || shows('\n'), "{name} is not shown");
    }
}

/// Collects the names of the fields that a JSON Schema describes.
fn property_names(schema: &Value, names: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                names.extend(properties.keys().cloned());
            }
            for member in members.values() {
                property_names(member, names);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                property_names(element, names);
            }
        }
        _ => {}
    }
}
