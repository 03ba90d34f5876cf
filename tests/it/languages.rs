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
struct Service<'c> {
    name: &'static str,
    /// The program that runs it, with arguments that do nothing.
    program: &'static [&'static str],
    clients: &'c [Client],
    /// The command that runs it, beside unset variables, so that none of its clients trusts the authority; `PYTHON` is the
    /// Python that has the packages.
    distrusting: &'static str,
}

/// An HTTP client of a service.
struct Client {
    name: &'static str,
    /// A file that has to be there for it, or an empty text.
    file: &'static str,
    /// What the report says when it does not trust the certificate: how sure that is, and what to set.
    refuses: (&'static str, &'static str),
}

impl Client {
    const fn new(
        name: &'static str,
        file: &'static str,
        refuses: (&'static str, &'static str),
    ) -> Self {
        Self {
            name,
            file,
            refuses,
        }
    }
}

const UNKNOWN_CA: &str = "(certain: TLS alert 48, unknown CA)";
const DURING: &str = "(likely: it ended the connection during the TLS handshake";

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
        "{what}, and CI is set; examples/services/install and tests/readers/install install most"
    );
    skipped(&format!("{what}, so services that need it are not tested"));
}

/// Variables that make one client or another trust the authority of a run.
const TRUST: [&str; 6] = [
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "WGETRC",
];

fn check(service: &Service<'_>) {
    let Service {
        name,
        program,
        clients,
        distrusting,
    } = service;
    if !is_there(program) {
        return;
    }
    let folder = Path::new(SERVICES).join(name);
    let suite = folder.join(format!("{name}.suite.yaml"));
    let is_installed = |client: &&Client| {
        let is_installed = client.file.is_empty() || folder.join(client.file).exists();
        if !is_installed {
            let Client {
                name: client, file, ..
            } = client;
            missing(&format!("{client} of {name} ({file}) is not installed"));
        }
        is_installed
    };
    let clients: Vec<&Client> = clients.iter().filter(is_installed).collect();
    let python = Path::new(SERVICES).join("python/.venv/bin/python");
    // Not canonical: the link is what makes it the environment's.
    let python = match python.exists() {
        true => std::path::absolute(&python).unwrap(),
        false => "python3".into(),
    };
    let run = |clients: &[&Client], more: &[&str]| {
        let mut run = softprobe(&["suite", "run"]);
        run.arg(&suite).args(more).arg("--exact");
        run.env("PYTHON", &python);
        for client in clients {
            run.args(["--filter", &format!("{name}::{}", client.name)]);
        }
        Output::of(&mut run)
    };
    let all = format!("{} passed; 0 failed", clients.len());
    run(&clients, &[]).ends(0, &[&all]);
    let wrong = run(&clients, &["--app-env", "DEFECT=1"]);
    let none = format!("0 passed; {} failed", clients.len());
    wrong.ends(20, &[&none, "expected  3", "actual    4"]);

    let plain = run(&clients, &["--app-env", "STOCK=http://stock.example"]);
    plain.ends(0, &[&all]);

    let unset = TRUST.map(|variable| format!("-u {variable}")).join(" ");
    let distrusting = distrusting.replace("PYTHON", &python.display().to_string());
    let command = format!("env {unset} {distrusting}");
    // One at a time, so that each case has its own client's refusal alone.
    let refused = run(&clients, &["--app-command", &command, "--serial"]);
    refused.ends(20, &[&none]);
    for Client {
        name: client,
        refuses: (certainty, advice),
        ..
    } in clients
    {
        let report = refused
            .stdout
            .split("\n---- ")
            .find_map(|part| part.strip_prefix(&format!("{name}::{client} ----")));
        let report = report.unwrap_or_else(|| panic!("{client}: {}", refused.stdout));
        for wanted in [
            "could not be answered",
            "CONNECT stock.example",
            certainty,
            advice,
        ] {
            assert!(report.contains(wanted), "{client}: {wanted}: {report}");
        }
    }
}

#[test]
fn node() {
    const REFUSES: (&str, &str) = (DURING, "Node reads NODE_EXTRA_CA_CERTS");
    check(&Service {
        name: "node",
        program: &["node", "--version"],
        clients: &[
            Client::new("fetch", "", REFUSES),
            Client::new("http", "", REFUSES),
            Client::new("agent", "", REFUSES),
            Client::new("subclass", "", REFUSES),
            Client::new("axios", "node_modules/axios", REFUSES),
            Client::new("undici", "node_modules/undici", REFUSES),
            Client::new("got", "node_modules/got", REFUSES),
            Client::new("node-fetch", "node_modules/node-fetch", REFUSES),
        ],
        distrusting: "node server.mjs",
    });
}

#[test]
fn python() {
    const REFUSES: (&str, &str) = (UNKNOWN_CA, "urllib, httpx and aiohttp read SSL_CERT_FILE");
    const REQUESTS: (&str, &str) = (UNKNOWN_CA, "requests REQUESTS_CA_BUNDLE");
    const AIOHTTP: (&str, &str) = (DURING, REFUSES.1);
    const GRPC: (&str, &str) = ("(likely: ", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH");
    const PACKAGES: &str = ".venv/bin/python";
    check(&Service {
        name: "python",
        program: &["python3", "--version"],
        clients: &[
            Client::new("urllib", "", REFUSES),
            Client::new("requests", PACKAGES, REQUESTS),
            Client::new("httpx", PACKAGES, REFUSES),
            Client::new("http2", PACKAGES, REFUSES),
            Client::new("aiohttp", PACKAGES, AIOHTTP),
            Client::new("unary", PACKAGES, GRPC),
            Client::new("stream", PACKAGES, GRPC),
        ],
        distrusting: "PYTHON server.py",
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
    const ADVICE: &str = "Java reads -Djavax.net.ssl.trustStore";
    check(&Service {
        name: "java",
        program: &["javac", "-version"],
        clients: &[
            Client::new("client", "", (DURING, ADVICE)),
            Client::new(
                "connection",
                "",
                ("(certain: TLS alert 46, certificate unknown)", ADVICE),
            ),
        ],
        // What is on the command line beats the variable, and without a file Java takes its own roots.
        distrusting: "java -Djavax.net.ssl.trustStore=none Server.java",
    });
}

#[test]
fn go() {
    const REFUSES: (&str, &str) = (
        "(certain: TLS alert 42, bad certificate)",
        "Go reads SSL_CERT_FILE",
    );
    check(&Service {
        name: "go",
        program: &["go", "version"],
        clients: &[Client::new("http", "", REFUSES)],
        distrusting: "go run .",
    });
}

#[test]
fn ruby() {
    check(&Service {
        name: "ruby",
        program: &["ruby", "--version"],
        clients: &[Client::new(
            "http",
            "",
            (UNKNOWN_CA, "Ruby reads SSL_CERT_FILE"),
        )],
        distrusting: "ruby server.rb",
    });
}

#[test]
fn php() {
    const REFUSES: (&str, &str) = (UNKNOWN_CA, "PHP reads openssl.cafile and curl.cainfo");
    check(&Service {
        name: "php",
        program: &["php", "-r", "curl_version();"],
        clients: &[
            Client::new("streams", "", REFUSES),
            Client::new("curl", "", REFUSES),
        ],
        distrusting: "php -d openssl.cafile= -d curl.cainfo= -S 127.0.0.1:${PORT} -t .",
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
            clients: &[
                Client::new("curl", "", (UNKNOWN_CA, "curl reads CURL_CA_BUNDLE")),
                Client::new(
                    "wget",
                    "",
                    (
                        "(likely: it ended the connection without a request",
                        "WGETRC names",
                    ),
                ),
            ],
            distrusting: "python3 server.py",
        });
    }
}
