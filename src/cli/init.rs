//! `suite init`: writes a first suite for captures.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use super::files;
use super::output::{Exit, Failed, Output, arguments, failure};
use crate::base::http::split_port;
use crate::case::Case;
use crate::disk::Readers;

#[derive(Debug, clap::Args)]
pub(super) struct Init {
    /// Capture files or globs
    #[arg(value_name = "CASE", required = true)]
    cases: Vec<String>,
    /// Name of the suite, the first part of every trial's name; by default the output file's name, or `first`
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Write the suite to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

impl Init {
    pub(super) fn run(self) -> Result<Output, Failed> {
        let stem = self.out.as_deref().and_then(Path::file_name);
        let stem = stem.map(|name| name.to_string_lossy().into_owned());
        let stem = stem.and_then(|name| Some(name.split('.').next()?.to_owned()));
        let name = self.name.or(stem).unwrap_or_else(|| "first".to_owned());
        if name.trim().is_empty() || name.starts_with('-') {
            return Err(arguments(
                "--name: a name must not be empty or start with `-`",
            ));
        }
        let cases = files::read_cases(&self.cases)?;
        let ambiguous = cases.iter().filter_map(|(path, case)| {
            let why = case.inbound().err()?;
            Some(format!("{}: {why}", path.display()))
        });
        let ambiguous: Vec<String> = ambiguous.collect();
        if !ambiguous.is_empty() {
            let answer = Output::all_failed(Exit::InvalidInput, "invalid_input", ambiguous);
            return Err(Failed::from(answer));
        }
        let folder = self
            .out
            .as_deref()
            .and_then(Path::parent)
            .unwrap_or(Path::new(""));
        let suite = write_suite(&name, &cases, folder);
        let Some(out) = self.out else {
            return Ok(Output::fine(suite.clone()).field("suite", suite));
        };
        if out.exists() && !self.force {
            return Err(failure(
                "file_exists",
                format!("{}: already exists; --force replaces it", out.display()),
            ));
        }
        files::write(&out, &suite, Readers::Usual)?;
        let shown = out.display().to_string();
        Ok(Output::fine(format!(
            "wrote {shown}; check it with: softprobe suite validate {shown}\n"
        ))
        .field("path", shown)
        .field("suite", suite))
    }
}

/// The calls to one host and path in all cases.
#[derive(Default)]
struct Calls {
    methods: Vec<String>,
    /// How many answered calls each case has, by the case's index.
    answered: BTreeMap<usize, usize>,
    /// How many calls have no captured status.
    unanswered: usize,
}

/// Returns the suite as YAML, with explanatory comments.
fn write_suite(name: &str, cases: &[(PathBuf, Case)], folder: &Path) -> String {
    let mut out = String::new();
    // Writing to a String can't fail.
    let _ = write!(
        out,
        "# Replays captured cases: sends each request to the application, answers its outbound calls from the\n\
         # capture, and compares its answer with the captured one.\n\
         #\n\
         #   softprobe suite run <this file> -- node server.js\n\
         name: {}\n\n\
         cases:\n",
        quoted(name)
    );
    for (path, case) in cases {
        let path = relative_to(folder, path);
        let _ = writeln!(out, "  - {}", quoted(&with_slashes(&path)));
        if let Ok(None) = case.inbound() {
            out.push_str(
                "    # This case has no inbound exchange: give `request: {source: inline, method, path, body}` in overrides.\n",
            );
        }
    }
    out.push_str(
        "\n# A call that no mock answers fails the case and does not leave this machine.\n\
         policy:\n  externalHttp: strict\n\n",
    );
    write_mocks(&mut out, cases);
    out.push_str(
        "\n# The answer must have the captured status, and its body must contain everything in the captured\n\
         # body. Values that differ from run to run, such as ids and times, can be ignored or described here:\n\
         # assertions:\n\
         #   body:\n\
         #     ignore: [ $.created_at ]\n\
         #     match:\n\
         #       $.id: uuid\n",
    );
    out
}

fn write_mocks(out: &mut String, cases: &[(PathBuf, Case)]) {
    // A host without a port matches every port, so calls to all its ports count as its own.
    let bare: Vec<String> = cases
        .iter()
        .flat_map(|(_, case)| case.outbound())
        .map(|exchange| exchange.request.host.clone())
        .filter(|host| split_port(host).1.is_none())
        .collect();
    let mut by_target: BTreeMap<(String, String), Calls> = BTreeMap::new();
    for (n, (_, case)) in cases.iter().enumerate() {
        for exchange in case.outbound() {
            let request = &exchange.request;
            let name = split_port(&request.host).0;
            let host = bare.iter().find(|host| host.eq_ignore_ascii_case(name));
            let key = (host.unwrap_or(&request.host).clone(), request.path.clone());
            let calls = by_target.entry(key).or_default();
            if !calls.methods.contains(&request.method) {
                calls.methods.push(request.method.clone());
            }
            if exchange.response().is_ok() {
                *calls.answered.entry(n).or_default() += 1;
            } else {
                calls.unanswered += 1;
            }
        }
    }
    if by_target.is_empty() {
        out.push_str("# The captures have no outbound calls.\nmocks: []\n");
        return;
    }
    out.push_str(
        "# Each host and path that was called has a mock, which answers with the captured response. A mock that\n\
         # no call uses fails the case: the application called something else, or bypassed the proxy.\n\
         unused: fail\n\
         mocks:\n",
    );
    let mut names: Vec<String> = Vec::new();
    for ((host, path), calls) in by_target {
        let name = free_name(&host, &path, &names);
        let called = format!("{} {host}{path}", calls.methods.join(", "));
        let _ = writeln!(out, "  # {}", called.replace(char::is_control, "?"));
        if calls.unanswered > 0 {
            out.push_str(
                "  # A captured response has no status and can't be replayed, so this answer is made up.\n",
            );
        }
        let _ = writeln!(out, "  - name: {}", quoted(&name));
        let host = match host.as_str() {
            "" => String::new(),
            host => format!("host: {}, ", quoted(host)),
        };
        let _ = writeln!(out, "    match: {{ {host}path: {} }}", quoted(&path));
        if calls.unanswered > 0 {
            out.push_str("    response: { status: 200 }\n");
        } else if let Some((word, why)) = calls.expect(cases.len()) {
            let _ = writeln!(out, "    expect: {word} # {why}");
        }
        names.push(name);
    }
}

impl Calls {
    /// Returns the value for `expect` and the reason, or `None` if it is the default.
    fn expect(&self, cases: usize) -> Option<(&'static str, &'static str)> {
        let several = self.answered.values().any(|n| *n > 1);
        let everywhere = self.answered.len() == cases;
        match (several, everywhere) {
            (false, true) => None,
            (false, false) => Some(("optional", "not every case makes this call")),
            (true, true) => Some((
                "all",
                "it is called several times; the answers come in captured order",
            )),
            (true, false) => Some((
                "any",
                "some cases call it several times, in captured order; others do not call it at all",
            )),
        }
    }
}

/// Returns a name, made of the host and the path's last segment, that no other mock has.
fn free_name(host: &str, path: &str, taken: &[String]) -> String {
    let host = host.split(':').next().unwrap_or(host);
    let step = path.rsplit('/').find(|step| !step.is_empty());
    let name = match step {
        Some(step) => format!("{host} {step}"),
        None => host.to_owned(),
    };
    let mut free = name.clone();
    let mut n = 2;
    while taken.contains(&free) {
        free = format!("{name} {n}");
        n += 1;
    }
    free
}

/// Returns a file's path relative to a folder; unchanged unless both are plain paths below the working
/// directory.
fn relative_to(folder: &Path, file: &Path) -> PathBuf {
    let is_plain = |path: &Path| {
        let mut parts = path.components();
        parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    };
    if !is_plain(folder) || !is_plain(file) {
        return file.to_owned();
    }
    let parts = |path: &Path| -> Vec<PathBuf> {
        let parts = path.components().filter(|part| *part != Component::CurDir);
        parts.map(|part| PathBuf::from(part.as_os_str())).collect()
    };
    let (folder, file) = (parts(folder), parts(file));
    let common = folder.iter().zip(&file).take_while(|(a, b)| a == b).count();
    let up = folder[common..].iter().map(|_| PathBuf::from(".."));
    up.chain(file[common..].iter().cloned()).collect()
}

fn with_slashes(path: &Path) -> String {
    let parts = path
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    let parts: Vec<_> = parts.collect();
    match parts.first().map(AsRef::as_ref) {
        Some("/") => format!("/{}", parts[1..].join("/")),
        Some(".") => parts[1..].join("/"),
        _ => parts.join("/"),
    }
}

/// Returns the text as a YAML scalar that can only be read as a string; `${` is escaped to stay literal.
fn quoted(text: &str) -> String {
    let text = text.replace("${", "$${");
    let first = text.chars().next();
    let plain = (first.is_some_and(|c| c.is_ascii_alphabetic() || c == '/')
        || text.starts_with("../"))
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./ ".contains(c))
        && !text.ends_with(' ')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if plain {
        text
    } else {
        serde_json::Value::from(text).to_string()
    }
}
