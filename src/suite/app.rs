//! `app`: how the application under test is launched.

use std::path::PathBuf;
use std::time::Duration;

use super::request::is_base_url;
use super::upstream::{TUNNEL, UPSTREAM_CA, UPSTREAM_CERT, UpstreamPlan};
use crate::base::document::{Field, Fields, Node, Object, Problems, Shape, names};
use crate::base::http::{split_port, split_url, without_credentials};

/// Stands for `${PORT}` in a text of `app` until the port is known. It is no character that a text may hold.
pub(super) const PORT_MARK: &str = "\u{FDD0}";

/// The variable that holds an application's port.
pub(crate) const PORT: &str = "PORT";

/// A text of `app` in which `${PORT}` is filled in when the application is launched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PortText(String);

impl PortText {
    /// Creates a text; every `${PORT}` in it stands for the port.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.replace("${PORT}", PORT_MARK))
    }

    /// Returns the text with this port.
    pub(crate) fn at(&self, port: u16) -> String {
        self.0.replace(PORT_MARK, &port.to_string())
    }

    /// Returns the text as it was written.
    pub(crate) fn written(&self) -> String {
        self.0.replace(PORT_MARK, "${PORT}")
    }
}

/// How an application is launched. Suites of one run with equal plans share an application.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AppPlan {
    /// The program and its arguments; no shell reads them.
    pub(crate) command: Vec<PortText>,
    /// The folder in which it runs: as written in the suite, and absolute once the suite is loaded.
    pub(crate) folder: Option<PathBuf>,
    /// Variables beside the inherited ones.
    pub(crate) env: Vec<(String, PortText)>,
    /// The port that it is given.
    pub(crate) port: Port,
    /// Its base URL.
    pub(crate) url: Option<PortText>,
    /// When it is ready.
    pub(crate) ready: Ready,
    /// How long it may take until it is.
    pub(crate) start_limit: Duration,
    /// The signal that ends it.
    pub(crate) stop_signal: StopSignal,
    /// How long it may take to end after this signal.
    pub(crate) grace: Duration,
    /// How its calls are made to come to the proxy.
    pub(crate) intercept: Intercept,
    /// What brings it back to its first state before each case.
    pub(crate) reset: Option<Reset>,
    /// How its upstreams are reached.
    pub(crate) upstreams: UpstreamPlan,
}

/// The port that an application is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Port {
    /// The one that its URL names, else a free one.
    OfUrl,
    /// A free one.
    Free,
    /// This one.
    Fixed(u16),
}

/// When an application is ready.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Ready {
    /// As soon as something listens at its URL.
    Listens,
    /// As soon as a GET of this path is answered with a status from 200 to 399.
    Path(String),
    /// As soon as it has written a line with this text.
    Line(String),
}

/// A signal that ends an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum StopSignal {
    Term,
    Int,
    Hup,
    Quit,
    Kill,
}

/// How an application's calls are made to come to the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Intercept {
    /// By variables and files that its HTTP clients read.
    Variables,
    /// Not at all.
    None,
}

/// What brings an application back to its first state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Reset {
    /// A request to it.
    Request {
        /// The method.
        method: String,
        /// The path, with a query if there is one.
        path: String,
    },
    /// A command, run in its folder and its environment.
    Command(Vec<PortText>),
}

/// The values of `app.stop.signal`.
const SIGNALS: [(&str, StopSignal); 5] = [
    ("TERM", StopSignal::Term),
    ("INT", StopSignal::Int),
    ("HUP", StopSignal::Hup),
    ("QUIT", StopSignal::Quit),
    ("KILL", StopSignal::Kill),
];

/// The values of `app.intercept`.
pub(crate) const WAYS: [(&str, Intercept); 2] = [
    ("variables", Intercept::Variables),
    ("none", Intercept::None),
];

const COMMAND: Shape = Shape::Either(&[Shape::Text, Shape::List(&Shape::Scalar)]);

/// The longest time that an application may take to start, in milliseconds.
const LONGEST_START_MS: i64 = 3_600_000;
/// The longest time that an application may take to end, in milliseconds.
const LONGEST_GRACE_MS: i64 = 600_000;

const READY: Fields = Fields {
    title: "ready",
    list: &[
        Field::new(
            "path",
            Shape::Text,
            "ready as soon as a GET of this path is answered with a status from 200 to 399",
        ),
        Field::new(
            "line",
            Shape::Text,
            "ready as soon as it has written a line that contains this text",
        ),
        Field::new(
            "port",
            Shape::Flag,
            "true: ready as soon as something listens at its URL; this is the default",
        ),
    ],
};

const STOP: Fields = Fields {
    title: "stop",
    list: &[
        Field::new(
            "signal",
            Shape::Choice(|| names(&SIGNALS)),
            "the signal that ends it; defaults to TERM",
        ),
        Field::new(
            "graceMs",
            Shape::Integer(0, LONGEST_GRACE_MS),
            "how long it may take to end after this signal, before it is killed; defaults to 5000",
        ),
    ],
};

const RESET: Fields = Fields {
    title: "reset",
    list: &[
        Field::new(
            "method",
            Shape::Text,
            "the method of the request; defaults to POST",
        ),
        Field::new(
            "path",
            Shape::Text,
            "the path of the request, which has to be answered with a status from 200 to 299",
        ),
        Field::new(
            "command",
            COMMAND,
            "a command instead of a request, which has to end with exit status 0",
        ),
    ],
};

const APP: Fields = Fields {
    title: "app",
    list: &[
        Field::required(
            "command",
            COMMAND,
            "the program and its arguments, as a list or as one text that is split as a shell splits words; no shell runs \
             it; ${PORT} is its port",
        ),
        Field::new(
            "cwd",
            Shape::Text,
            "the folder in which it runs, relative to the suite's file; defaults to the project's root",
        ),
        Field::new(
            "env",
            Shape::Either(&[Shape::Map(&Shape::Scalar), Shape::Null]),
            "variables beside the inherited ones; ${PORT} is its port",
        ),
        Field::new(
            "port",
            Shape::Either(&[Shape::Integer(1, 65_535), Shape::Choice(|| vec!["auto"])]),
            "the port that it is given as PORT: a number, or auto for a free one; defaults to the port of `url`, else auto",
        ),
        Field::new(
            "url",
            Shape::Text,
            "its base URL; defaults to http://127.0.0.1:${PORT}",
        ),
        Field::new(
            "ready",
            Shape::Object(&READY),
            "when it is ready: {path}, {line} or {port: true}",
        ),
        Field::new(
            "startTimeoutMs",
            Shape::Integer(1, LONGEST_START_MS),
            "how long it may take until it is ready; defaults to 60000",
        ),
        Field::new("stop", Shape::Object(&STOP), "how it is ended"),
        Field::new(
            "intercept",
            Shape::Choice(|| names(&WAYS)),
            "how its calls are made to come to the proxy: by variables and files that its HTTP clients read (variables, \
             the default), or not at all (none)",
        ),
        Field::new(
            "reset",
            Shape::Object(&RESET),
            "what brings it back to its first state before each case, by a request {method, path} or a {command}; the \
             cases are then run one at a time",
        ),
        TUNNEL,
        UPSTREAM_CA,
        UPSTREAM_CERT,
    ],
};

/// The field itself.
pub(super) const APP_FIELD: Field = Field::new(
    "app",
    Shape::Either(&[Shape::Object(&APP), Shape::Null]),
    "how the application under test is launched for the run",
);

impl AppPlan {
    /// Returns the plan for a command, with everything else as it is by default.
    pub(crate) fn of_command(command: Vec<PortText>) -> Self {
        Self {
            command,
            folder: None,
            env: Vec::new(),
            port: Port::OfUrl,
            url: None,
            ready: Ready::Listens,
            start_limit: Duration::from_secs(60),
            stop_signal: StopSignal::Term,
            grace: Duration::from_secs(5),
            intercept: Intercept::Variables,
            reset: None,
            upstreams: UpstreamPlan::default(),
        }
    }

    /// Returns the port that has to be used, or `None` if any free one will do.
    pub(crate) fn fixed_port(&self) -> Option<u16> {
        match (self.port, &self.url) {
            (Port::Fixed(port), _) => Some(port),
            (Port::OfUrl, Some(url)) => {
                let (_, authority, _) = split_url(&url.0)?;
                split_port(authority).1?.parse().ok()
            }
            (Port::OfUrl, None) | (Port::Free, _) => None,
        }
    }

    /// Returns its base URL on this port.
    pub(crate) fn url(&self, port: u16) -> String {
        match &self.url {
            Some(url) => url.at(port),
            None => format!("http://127.0.0.1:{port}"),
        }
    }

    /// Reads `app`; `None` if it has faults.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let before = problems.0.len();
        let app = node.fields(&APP, problems)?;
        let command = read_command(&app.get("command")?, problems);
        let mut plan = Self::of_command(command.unwrap_or_default());
        if let Some(cwd) = app.given("cwd") {
            plan.folder = cwd.string(problems).map(PathBuf::from);
        }
        if let Some(env) = app.given("env") {
            let env = env.string_map(problems).unwrap_or_default();
            let env = env.into_iter();
            plan.env = env.map(|(name, value)| (name, PortText(value))).collect();
            if plan.env.iter().any(|(name, _)| name == PORT) {
                let place = app.place.key("env").key(PORT);
                problems.add(&place, "the port is that of `port`, which is given as PORT");
            }
        }
        if let Some(port) = app.given("port") {
            plan.port = read_port(&port, problems).unwrap_or(plan.port);
        }
        if let Some(url) = app.given("url") {
            plan.url = read_url(&url, problems);
        }
        if let Some(ready) = app.given("ready") {
            plan.ready = read_ready(&ready, problems).unwrap_or(plan.ready);
        }
        if let Some(limit) = app.given("startTimeoutMs") {
            let limit = limit.integer(1, LONGEST_START_MS, problems);
            plan.start_limit = millis(limit).unwrap_or(plan.start_limit);
        }
        if let Some(stop) = app
            .given("stop")
            .and_then(|node| node.fields(&STOP, problems))
        {
            if let Some(signal) = stop.given("signal") {
                plan.stop_signal = signal
                    .choice(&SIGNALS, problems)
                    .unwrap_or(plan.stop_signal);
            }
            if let Some(grace) = stop.given("graceMs") {
                let grace = grace.integer(0, LONGEST_GRACE_MS, problems);
                plan.grace = millis(grace).unwrap_or(plan.grace);
            }
        }
        if let Some(way) = app.given("intercept") {
            plan.intercept = way.choice(&WAYS, problems).unwrap_or(plan.intercept);
        }
        if let Some(reset) = app
            .given("reset")
            .and_then(|node| node.fields(&RESET, problems))
        {
            plan.reset = read_reset(&reset, problems);
        }
        plan.upstreams = UpstreamPlan::read(&app, problems);
        (problems.0.len() == before).then_some(plan)
    }
}

fn millis(ms: Option<i64>) -> Option<Duration> {
    ms.map(|ms| Duration::from_millis(ms.unsigned_abs()))
}

/// What a shell would do something with, and no program takes as an argument.
const OPERATORS: [&str; 10] = ["&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1", "2>"];

/// Splits a command as a shell splits words.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn split_command(text: &str) -> Result<Vec<PortText>, String> {
    let Some(words) = shlex::split(text) else {
        return Err(format!("a quote in `{text}` is never closed"));
    };
    // One in quotes is an argument.
    let bare: Vec<&str> = text.split_whitespace().collect();
    let is_operator =
        |word: &&String| OPERATORS.contains(&word.as_str()) && bare.contains(&word.as_str());
    if let Some(operator) = words.iter().find(is_operator) {
        return Err(format!(
            "no shell runs the command, so `{operator}` would be one of its arguments; give it to a shell: sh -c '…'"
        ));
    }
    checked(words.iter().map(|word| PortText::new(word)).collect())
}

/// Returns a command that names a program.
///
/// # Errors
///
/// That it names none.
fn checked(words: Vec<PortText>) -> Result<Vec<PortText>, String> {
    match words.first() {
        Some(program) if !program.0.trim().is_empty() => Ok(words),
        _ => Err("the command names no program".to_owned()),
    }
}

fn read_command(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<PortText>> {
    let words = if node.value.is_array() {
        let words = node.list(problems)?.into_iter();
        let words = words.map(|word| word.scalar_text(problems).map(PortText));
        checked(words.collect::<Option<_>>()?)
    } else {
        split_command(&node.string(problems)?)
    };
    words.map_err(|why| problems.add(&node.place, why)).ok()
}

fn read_port(node: &Node<'_>, problems: &mut Problems) -> Option<Port> {
    if node.value == "auto" {
        return Some(Port::Free);
    }
    let before = problems.0.len();
    let port = node.integer(1, 65_535, problems);
    if problems.0.len() > before {
        problems.0.truncate(before);
        return node.wrong("a port from 1 to 65535, or auto", problems);
    }
    u16::try_from(port?).ok().map(Port::Fixed)
}

fn read_url(node: &Node<'_>, problems: &mut Problems) -> Option<PortText> {
    let url = PortText(node.string(problems)?);
    match is_base_url(&url.at(1)) {
        true => Some(url),
        false => {
            problems.add(
                &node.place,
                format!(
                    "`{}` is not a base URL such as `http://127.0.0.1:${{PORT}}`",
                    without_credentials(&url.written())
                ),
            );
            None
        }
    }
}

fn read_ready(node: &Node<'_>, problems: &mut Problems) -> Option<Ready> {
    let ready = node.fields(&READY, problems)?;
    let (path, line, port) = (
        ready.given("path"),
        ready.given("line"),
        ready.given("port"),
    );
    match (path, line, port) {
        (Some(path), None, None) => read_path(&path, problems).map(Ready::Path),
        (None, Some(line), None) => {
            let text = line.string(problems)?;
            if text.trim().is_empty() {
                problems.add(&line.place, "every line contains an empty text");
                return None;
            }
            Some(Ready::Line(text))
        }
        (None, None, Some(port)) => {
            if port.boolean(problems)? {
                return Some(Ready::Listens);
            }
            problems.add(&port.place, "only `true` says when it is ready");
            None
        }
        _ => {
            problems.add(&node.place, "give one of `path`, `line` and `port: true`");
            None
        }
    }
}

/// Reads a path, with a query if there is one.
fn read_path(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let path = node.string(problems)?;
    if !is_path(&path) {
        problems.add(
            &node.place,
            format!("`{path}` is not a path such as `/health`"),
        );
        return None;
    }
    Some(path)
}

/// Returns whether a text is a path that a request can have.
pub(crate) fn is_path(text: &str) -> bool {
    text.starts_with('/') && !text.contains(char::is_whitespace)
}

fn read_reset(reset: &Object<'_>, problems: &mut Problems) -> Option<Reset> {
    let (method, path) = (reset.given("method"), reset.given("path"));
    match (reset.given("command"), path) {
        (Some(command), None) if method.is_none() => {
            read_command(&command, problems).map(Reset::Command)
        }
        (None, Some(path)) => {
            let method = match method {
                Some(method) => method.string(problems)?,
                None => "POST".to_owned(),
            };
            let path = read_path(&path, problems)?;
            Some(Reset::Request { method, path })
        }
        _ => {
            problems.add(
                &reset.place,
                "give either `path`, with or without `method`, or `command`",
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(app: &Value) -> Result<AppPlan, String> {
        let mut problems = Problems::default();
        let plan = AppPlan::read(&Node::root(app).lenient(), &mut problems);
        plan.ok_or_else(|| problems.to_string())
    }

    #[test]
    fn a_command_is_split_as_a_shell_splits_words() {
        let plan = read(&json!({"command": "node 'my server.js' --port=${PORT}"})).unwrap();
        let words: Vec<String> = plan.command.iter().map(|word| word.at(80)).collect();
        assert_eq!(words, ["node", "my server.js", "--port=80"]);
        assert_eq!(plan.url(80), "http://127.0.0.1:80");
    }

    #[test]
    fn a_port_is_fixed_by_its_number_or_by_the_url() {
        for (app, wanted) in [
            (json!({"command": "a"}), None),
            (json!({"command": "a", "port": "auto"}), None),
            (json!({"command": "a", "port": "8080"}), Some(8080)),
            (
                json!({"command": "a", "url": "http://localhost:3000"}),
                Some(3000),
            ),
            (
                json!({"command": "a", "url": "http://[::1]:3000/x"}),
                Some(3000),
            ),
            (
                json!({"command": "a", "url": "http://localhost:3000", "port": "auto"}),
                None,
            ),
            (
                json!({"command": "a", "url": format!("http://a:{PORT_MARK}")}),
                None,
            ),
            (
                json!({"command": "a", "url": format!("http://a:{PORT_MARK}"), "port": 9}),
                Some(9),
            ),
        ] {
            assert_eq!(read(&app).unwrap().fixed_port(), wanted, "{app}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (more, wanted) in [
            (
                json!({"command": ""}),
                "command: the command names no program",
            ),
            (
                json!({"command": []}),
                "command: the command names no program",
            ),
            (
                json!({"command": "a 'b"}),
                "a quote in `a 'b` is never closed",
            ),
            (
                json!({"command": "a && b"}),
                "no shell runs the command, so `&&` would be",
            ),
            (
                json!({"port": 0}),
                "port: expected a port from 1 to 65535, or auto, found 0",
            ),
            (json!({"port": "3000x"}), "port: expected a port"),
            (
                json!({"url": "localhost:1"}),
                "url: `localhost:1` is not a base URL",
            ),
            (
                json!({"ready": {}}),
                "ready: give one of `path`, `line` and `port: true`",
            ),
            (json!({"ready": {"path": "/a", "line": "b"}}), "give one of"),
            (
                json!({"ready": {"path": "a"}}),
                "ready.path: `a` is not a path such as `/health`",
            ),
            (
                json!({"ready": {"line": " "}}),
                "ready.line: every line contains",
            ),
            (json!({"ready": {"port": false}}), "ready.port: only `true`"),
            (
                json!({"startTimeoutMs": 0}),
                "startTimeoutMs: expected an integer from 1",
            ),
            (
                json!({"stop": {"signal": "TREM"}}),
                "`TREM` is not one of TERM, INT, HUP, QUIT, KILL; did you mean TERM?",
            ),
            (
                json!({"stop": {"graceMs": -1}}),
                "stop.graceMs: expected an integer from 0",
            ),
            (
                json!({"intercept": "namespace"}),
                "`namespace` is not one of variables, none",
            ),
            (
                json!({"reset": {"method": "POST"}}),
                "reset: give either `path`",
            ),
            (
                json!({"reset": {"command": "a", "path": "/"}}),
                "reset: give either `path`",
            ),
            (
                json!({"env": {"PORT": 1}}),
                "env.PORT: the port is that of `port`",
            ),
            (
                json!({"tunnel": ["a", "https://b"]}),
                "tunnel: `https://b` is not a host",
            ),
            (json!({"upstreamCa": 1}), "upstreamCa: expected"),
            (
                json!({"upstreamCert": [{"host": "a", "cert": "b"}]}),
                "upstreamCert[0]: `key` is missing",
            ),
        ] {
            let mut app = json!({"command": "a"});
            app.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            let message = read(&app).unwrap_err();
            assert!(message.contains(wanted), "{message}");
        }
        assert!(
            read(&json!({}))
                .unwrap_err()
                .contains("`command` is missing")
        );
    }
}
