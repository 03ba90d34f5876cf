//! Writes a first suite for captures.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::app::{AppPlan, Intercept, PortText, Ready, WAYS};
use super::masked::Masked;
use super::upstream::UpstreamPlan;
use crate::case::Case;

/// A first suite.
#[derive(Debug, Default)]
pub(crate) struct FirstSuite<'s> {
    pub(crate) name: String,
    /// Its elements of `cases`.
    pub(crate) cases: Vec<FirstCase>,
    /// How its application is launched.
    pub(crate) app: Option<&'s AppPlan>,
    /// Where it runs, relative to the suite's file.
    pub(crate) folder: String,
    /// The words of its command that are or hold secrets, by their positions, with variables in place of those.
    pub(crate) hidden_words: BTreeMap<usize, String>,
    /// The variables of the application whose values are left out, since they are or hold secrets.
    pub(crate) hidden: BTreeSet<String>,
    /// Why its cases have to run one at a time, if they have to.
    pub(crate) serial: Option<&'static str>,
    /// Files with exchanges that belong to no case.
    pub(crate) shared: Vec<String>,
    pub(crate) masked: Masked,
    /// The `Host` that the application saw, if its answers hold it.
    pub(crate) host: Option<String>,
    pub(crate) calls: Calls,
}

/// An element of `cases`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FirstCase {
    /// The file or the glob, as it is written.
    pub(crate) path: String,
    /// Why it can't be replayed.
    pub(crate) skip: Option<String>,
    /// The `Host` that the application saw, if its own differs from that of the suite.
    pub(crate) host: Option<String>,
    /// What to know of it.
    pub(crate) comment: Option<&'static str>,
}

impl FirstCase {
    pub(crate) fn new(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            skip: None,
            host: None,
            comment: None,
        }
    }

    /// Returns the element as YAML.
    pub(crate) fn yaml(&self) -> String {
        let path = quoted(&self.path);
        match (&self.skip, &self.host) {
            (None, None) => path,
            (Some(why), _) => format!("{{ path: {path}, skip: {} }}", quoted(why)),
            (None, Some(host)) => format!(
                "{{ path: {path}, overrides: {{ request: {{ headers: {{ host: {} }} }} }} }}",
                quoted(host)
            ),
        }
    }
}

/// What is known of the calls of cases.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// Whether there are any.
    any: bool,
    /// Calls whose captured answer has no status: their methods, hosts and paths.
    unanswered: BTreeSet<(String, String, String)>,
    /// Calls that some cases make and others do not, and that look like fetching what an application keeps.
    kept: BTreeSet<(String, String)>,
}

impl Calls {
    /// Returns what is known of the calls of these cases.
    pub(crate) fn of<'c>(cases: impl Iterator<Item = &'c Case>) -> Self {
        let mut calls = Self::default();
        let mut fetched: BTreeMap<(String, String), usize> = BTreeMap::new();
        let mut count = 0;
        for case in cases {
            count += 1;
            let mut own = BTreeSet::new();
            for exchange in case.outbound() {
                calls.any = true;
                let request = &exchange.request;
                if exchange.response().is_err() {
                    calls.unanswered.insert((
                        request.method.clone(),
                        request.host.clone(),
                        request.path.clone(),
                    ));
                }
                if is_kept(&request.path) {
                    own.insert((request.host.clone(), request.path.clone()));
                }
            }
            for call in own {
                *fetched.entry(call).or_default() += 1;
            }
        }
        let some = fetched.into_iter().filter(|(_, own)| *own < count);
        calls.kept = some.map(|(call, _)| call).collect();
        calls
    }
}

/// Returns whether a path looks like one of what an application fetches once and keeps.
fn is_kept(path: &str) -> bool {
    const WORDS: [&str; 9] = [
        "token",
        "oauth",
        "jwks",
        "keys",
        "flags",
        "features",
        "config",
        ".well-known",
        "certs",
    ];
    let path = path.to_ascii_lowercase();
    let mut steps = path.split(['/', '.', '-', '_']);
    steps.any(|step| WORDS.contains(&step)) || path.contains("/.well-known/")
}

impl FirstSuite<'_> {
    /// Returns the suite as YAML, with comments that explain it.
    pub(crate) fn write(&self) -> String {
        let Self {
            name,
            cases,
            app,
            folder,
            hidden_words,
            hidden,
            serial,
            shared,
            masked,
            host,
            calls,
        } = self;
        let run = match app {
            Some(_) => "softprobe suite run <this file>",
            None => "softprobe suite run <this file> -- node server.js",
        };
        let mut out = format!(
            "# Replays captured cases: sends each request to the application, answers its outbound calls from the\n\
             # capture, and compares its answer and what it sends with what was captured.\n\
             #\n\
             #   {run}\n\
             name: {}\n",
            quoted(name)
        );
        if let Some(why) = serial {
            let _ = writeln!(out, "concurrency: serial # {why}");
        }
        if let Some(app) = app {
            out.push('\n');
            write_app(app, folder, hidden_words, hidden, &mut out);
        }
        write_cases(cases, &mut out);
        out.push_str(
            "\n# A call that no captured exchange answers fails the case and does not leave this machine.\n\
             policy:\n  externalHttp: strict\n",
        );
        write_request(masked, host.as_deref(), &mut out);
        write_mocks(calls, shared, masked, &mut out);
        write_assertions(masked, &mut out);
        out
    }
}

fn write_cases(cases: &[FirstCase], out: &mut String) {
    if let [one] = cases
        && one.path.contains('*')
    {
        let _ = writeln!(out, "\ncases: {}", one.yaml());
        return;
    }
    out.push_str("\ncases:\n");
    for case in cases {
        let _ = writeln!(out, "  - {}", case.yaml());
        if let Some(comment) = case.comment {
            let _ = writeln!(out, "    # {comment}");
        }
    }
}

/// Writes how an application is launched.
fn write_app(
    app: &AppPlan,
    folder: &str,
    hidden_words: &BTreeMap<usize, String>,
    hidden: &BTreeSet<String>,
    out: &mut String,
) {
    let AppPlan {
        command,
        folder: _,
        env,
        port: _,
        url,
        ready,
        start_limit: _,
        stop_signal: _,
        grace: _,
        intercept,
        reset: _,
        upstreams:
            UpstreamPlan {
                tunnels,
                roots,
                certs: _,
            },
    } = app;
    let words = command.iter().enumerate();
    let words = words.map(|(n, word)| match hidden_words.get(&n) {
        Some(word) => serde_json::Value::from(word.as_str()).to_string(),
        None => with_port(word),
    });
    let _ = writeln!(
        out,
        "app:\n  command: {}\n  cwd: {}",
        list(words),
        quoted(folder)
    );
    if !env.is_empty() {
        let env = env.iter().map(|(name, value)| match hidden.contains(name) {
            // What is in the environment stays there.
            true => format!("{}: \"${{{name}}}\"", quoted(name)),
            false => format!("{}: {}", quoted(name), with_port(value)),
        });
        let _ = writeln!(out, "  env: {{ {} }}", env.collect::<Vec<_>>().join(", "));
    }
    if let Some(url) = url {
        let _ = writeln!(out, "  url: {}", with_port(url));
    }
    match ready {
        Ready::Listens => {}
        Ready::Line(line) => {
            let _ = writeln!(out, "  ready: {{ line: {} }}", quoted(line));
        }
        Ready::Path(path) => {
            let _ = writeln!(out, "  ready: {{ path: {} }}", quoted(path));
        }
    }
    if *intercept != Intercept::Variables {
        let known = WAYS.iter().find(|(_, way)| way == intercept);
        let name = known.map_or("none", |(name, _)| name);
        let _ = writeln!(out, "  intercept: {name}");
    }
    if !tunnels.is_empty() {
        let tunnels = tunnels.iter().map(|host| quoted(host));
        let _ = writeln!(out, "  tunnel: {}", list(tunnels));
    }
    if !roots.is_empty() {
        let roots = roots.iter().map(|file| quoted(&file.to_string_lossy()));
        let _ = writeln!(out, "  upstreamCa: {}", list(roots));
    }
}

fn with_port(text: &PortText) -> String {
    // Only the port is filled in.
    quoted(&text.written()).replace("$${PORT}", "${PORT}")
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[ {} ]", items.collect::<Vec<_>>().join(", "))
}

/// Writes what the request needs besides the captured one, as comments where only a person knows it.
fn write_request(masked: &Masked, host: Option<&str>, out: &mut String) {
    if let Some(host) = host {
        let _ = write!(
            out,
            "\n# The application's answers hold the host by which it was called.\n\
             request:\n  headers: {{ host: {} }}\n",
            quoted(host)
        );
    }
    let Masked {
        request_headers,
        request_queries,
        request_bodies,
        request_paths,
        ..
    } = masked;
    let nothing = request_headers.is_empty()
        && request_queries.is_empty()
        && request_bodies.is_empty()
        && request_paths.is_empty();
    if nothing {
        return;
    }
    out.push_str(
        "\n# The requests hold values that were masked when they were recorded. If the application checks them, replays need\n\
         # valid ones:\n\
         #\n\
         #   request:\n",
    );
    let line = |kind: &str, names: &BTreeSet<String>, out: &mut String| {
        if names.is_empty() {
            return;
        }
        let fields = names
            .iter()
            .map(|name| format!("{}: \"${{{}}}\"", quoted(name), variable(name)));
        let fields = fields.collect::<Vec<_>>().join(", ");
        let _ = writeln!(out, "#     {kind}: {{ {fields} }}");
    };
    line("headers", request_headers, out);
    line("query", request_queries, out);
    for (what, places) in [("bodies", request_bodies), ("paths", request_paths)] {
        if !places.is_empty() {
            let places = places.iter().cloned().collect::<Vec<_>>().join(", ");
            let _ = writeln!(
                out,
                "#     transform: fill_in # a hook of yours, for the {what}: {}",
                comment(&places)
            );
        }
    }
}

/// Returns the name of a variable for a header or a field.
fn variable(name: &str) -> String {
    let upper = |c: char| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_uppercase(),
        false => '_',
    };
    name.chars().map(upper).collect()
}

/// Returns a text that can stand in a comment.
fn comment(text: &str) -> String {
    text.replace(char::is_control, "?")
}

fn write_mocks(calls: &Calls, shared: &[String], masked: &Masked, out: &mut String) {
    out.push_str(
        "\n# Every captured call has to be made, as it was captured, and is answered from the capture.\n",
    );
    out.push_str("unused: fail\noutbound:\n  difference: fail\n");
    let Masked {
        sent, sent_queries, ..
    } = masked;
    if !sent.is_empty() {
        out.push_str("  body: # where values were masked when they were recorded\n");
        write_matchers(sent, out);
    }
    if !sent_queries.is_empty() {
        let names = sent_queries.iter().map(|name| quoted(name));
        let _ = writeln!(out, "  query: {{ ignore: {} }}", list(names));
    }
    let Calls {
        any,
        unanswered,
        kept,
    } = calls;
    if !any && shared.is_empty() {
        out.push_str("# The captures have no outbound calls.\n");
    }
    if shared.is_empty() && unanswered.is_empty() {
        out.push_str("mocks: auto\n");
    } else {
        out.push_str("mocks:\n  auto: true\n");
    }
    if !unanswered.is_empty() {
        out.push_str(
            "  # A captured response has no status and can't be replayed, so these answers are made up.\n  rules:\n",
        );
        for (n, (method, host, path)) in unanswered.iter().enumerate() {
            let _ = writeln!(
                out,
                "    - {{ name: {}, match: {{ method: {}, host: {}, path: {} }}, response: {{ status: 200 }} }}",
                quoted(&format!("made up {}", n + 1)),
                quoted(method),
                quoted(host),
                quoted(path)
            );
        }
    }
    if !shared.is_empty() {
        out.push_str(
            "  # What the application called outside of requests: when it started, by timers.\n  shared:\n",
        );
        for file in shared {
            let _ = writeln!(out, "    - {{ from: {} }}", quoted(file));
        }
    }
    if !kept.is_empty() {
        out.push_str(
            "# Some cases fetch what an application may keep. If others then do without, share it:\n\
             #   mocks:\n\
             #     auto: true\n\
             #     shared:\n",
        );
        for (host, path) in kept {
            let line = format!("{{ host: {}, path: {} }}", quoted(host), quoted(path));
            let _ = writeln!(out, "#       - {}", comment(&line));
        }
    }
}

fn write_assertions(masked: &Masked, out: &mut String) {
    let Masked {
        answers,
        answer_headers,
        ..
    } = masked;
    // Of the others, nothing is compared unless it is asked for.
    let location = answer_headers.contains("location");
    out.push('\n');
    if answers.is_empty() && !location {
        out.push_str(
            "# The answer must have the captured status, and its body everything that the captured one has. Values that differ\n\
             # from run to run, such as ids and times, are ignored or described here:\n\
             # assertions:\n\
             #   body:\n\
             #     ignore: [ $.created_at ]\n\
             #     match: { $.id: uuid }\n",
        );
        return;
    }
    out.push_str("assertions:\n");
    if location {
        out.push_str("  headers: { ignore: [ location ] } # masked when it was recorded\n");
    }
    if !answers.is_empty() {
        out.push_str("  body: # where values were masked when they were recorded\n");
        write_matchers(answers, out);
    }
}

/// Has what stands in place of secrets stand for any text.
fn write_matchers(places: &BTreeSet<String>, out: &mut String) {
    out.push_str("    match:\n");
    for place in places {
        let _ = writeln!(out, "      {}: masked", quoted(place));
    }
}

/// Returns the text as a YAML scalar that can only be read as a string; `${` is escaped to stay literal.
pub(crate) fn quoted(text: &str) -> String {
    with_variables(&text.replace("${", "$${"))
}

/// Returns a text as YAML, in which `${NAME}` stays a variable.
pub(super) fn with_variables(text: &str) -> String {
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
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}
