//! `request`: what is sent to the application.

use std::time::Duration;

use serde_json::Value;

use crate::base::document::{Field, Fields, Node, Object, Problems, Shape, names};
use crate::base::http::{
    Headers, Request, join_target, split_target, split_url, without_credentials,
};
use crate::hook::{Hook, HookKind, Hooks};
use crate::rule::{NO_HEADER_NAME, NO_HEADER_VALUE, body_bytes, is_header_name, is_header_value};

/// How the request to the application is made.
#[derive(Debug, Clone)]
pub(crate) struct RequestPlan {
    /// Where the request comes from.
    pub source: RequestSource,
    /// The application's base URL, if the suite gives one.
    pub url: Option<String>,
    /// The hook that changes the request, if any.
    pub transform: Option<Hook>,
    /// The timeout for the whole exchange.
    pub timeout: Duration,
    overrides: Overrides,
}

/// The source of a request.
#[derive(Debug, Clone)]
pub(crate) enum RequestSource {
    /// The case's captured inbound exchange.
    Captured,
    /// The suite itself, with this request.
    Inline(Request),
}

impl Default for RequestPlan {
    fn default() -> Self {
        Self {
            source: RequestSource::Captured,
            url: None,
            transform: None,
            timeout: Duration::from_secs(30),
            overrides: Overrides::default(),
        }
    }
}

/// Individual request fields that a suite sets.
#[derive(Debug, Clone, Default)]
struct Overrides {
    method: Option<String>,
    path: Option<String>,
    /// Names with their values; `None` removes the header.
    headers: Vec<(String, Option<Vec<String>>)>,
    /// Names with their values; `None` removes the parameter.
    query: Vec<(String, Option<String>)>,
    body: Option<Value>,
}

const METHOD: Field = Field::new("method", Shape::Text, "the HTTP method");
const PATH: Field = Field::new(
    "path",
    Shape::Text,
    "the path, optionally with a query; without `source`, it makes the request inline",
);
const HEADERS: Field = Field::new(
    "headers",
    Shape::Map(&Shape::Either(&[
        Shape::Scalar,
        Shape::List(&Shape::Text),
        Shape::Null,
    ])),
    "header names, each with a value or a list of values; merged by name, and null removes a header",
);
const BODY: Field = Field::new(
    "body",
    Shape::Any,
    "the body; a string is sent as it is, anything else as JSON",
);
const QUERY: Field = Field::new(
    "query",
    Shape::Map(&Shape::Either(&[Shape::Scalar, Shape::Null])),
    "query parameters by name; merged by name, and null removes a parameter",
);

/// The fields of an inline request.
const INLINE: Fields = Fields {
    title: "inlineRequest",
    list: &[
        METHOD,
        Field::required("path", Shape::Text, "the path, optionally with a query"),
        HEADERS,
        BODY,
        QUERY,
    ],
};

/// The longest `timeoutMs` that is allowed: one hour.
const LONGEST_TIMEOUT_MS: i64 = 3_600_000;

const SOURCES: [(&str, bool); 2] = [("case.ingress", false), ("inline", true)];

/// The fields of `request`.
pub(super) const REQUEST: Fields = Fields {
    title: "request",
    list: &[
        Field::new(
            "source",
            Shape::Either(&[Shape::Choice(|| names(&SOURCES)), Shape::Object(&INLINE)]),
            "where the request comes from: the capture (case.ingress, the default unless a path is given), the fields \
             next to this one (inline), or a request given here",
        ),
        METHOD,
        PATH,
        HEADERS,
        BODY,
        QUERY,
        Field::new(
            "url",
            Shape::Text,
            "the application's base URL; defaults to --app-url",
        ),
        Field::new(
            "transform",
            Shape::Text,
            "the name of a request hook that changes the request",
        ),
        Field::new(
            "timeoutMs",
            Shape::Integer(1, LONGEST_TIMEOUT_MS),
            "timeout for the whole exchange, in milliseconds; defaults to 30000",
        ),
    ],
};

impl RequestPlan {
    pub(super) fn read(node: &Node<'_>, hooks: &Hooks, problems: &mut Problems) -> Option<Self> {
        let object = node.fields(&REQUEST, problems)?;
        let before = problems.0.len();
        let mut plan = Self {
            overrides: Overrides::read(&object, problems),
            ..Self::default()
        };
        match object.get("source") {
            Some(source) => plan.read_source(&source, &object, problems),
            // A path alone says which request is meant, and nothing of the captured one goes with it.
            None if object.get("path").is_some() => plan.source = plan.take_inline(),
            None => {}
        }
        if let Some(url) = object.get("url") {
            plan.url = read_url(&url, problems);
        }
        if let Some(transform) = object.get("transform") {
            plan.transform = read_hook(&transform, HookKind::Request, hooks, problems);
        }
        if let Some(timeout) = object.get("timeoutMs") {
            let ms = timeout
                .integer(1, LONGEST_TIMEOUT_MS, problems)
                .unwrap_or(1);
            plan.timeout = Duration::from_millis(ms.unsigned_abs());
        }
        (problems.0.len() == before).then_some(plan)
    }

    fn read_source(&mut self, source: &Node<'_>, beside: &Object<'_>, problems: &mut Problems) {
        let fields = match source.value {
            Value::Object(_) => {
                let Some(object) = source.fields(&INLINE, problems) else {
                    return;
                };
                Overrides::read(&object, problems)
            }
            _ => {
                if source.choice(&SOURCES, problems) == Some(true) {
                    beside.require("path", problems);
                    self.source = self.take_inline();
                }
                return;
            }
        };
        self.source = fields.inline();
    }

    /// Makes a request of the fields beside `source`, which then change nothing.
    fn take_inline(&mut self) -> RequestSource {
        std::mem::take(&mut self.overrides).inline()
    }

    /// Returns the request with the fields that the suite sets.
    pub(crate) fn apply(&self, request: Request) -> Request {
        self.overrides.apply(request)
    }
}

impl Overrides {
    fn read(object: &Object<'_>, problems: &mut Problems) -> Self {
        let mut fields = Self::default();
        if let Some(method) = object.get("method") {
            fields.method = method.string(problems);
            if fields.method.as_deref().is_some_and(|m| !is_header_name(m)) {
                problems.add(&method.place, "not an HTTP method");
            }
        }
        if let Some(path) = object.get("path") {
            fields.path = path.string(problems);
            if fields.path.as_deref().is_some_and(|p| !p.starts_with('/')) {
                problems.add(
                    &path.place,
                    "a path must start with `/`; the host belongs in `url`",
                );
            }
        }
        if let Some(headers) = object.get("headers").and_then(|n| n.map(problems)) {
            for (name, node) in headers.members() {
                if !is_header_name(name) {
                    problems.add(&node.place, NO_HEADER_NAME);
                }
                let values = match node.value {
                    Value::Null => None,
                    Value::Array(_) => node.strings(problems),
                    _ => node.scalar_text(problems).map(|text| vec![text]),
                };
                if values
                    .iter()
                    .flatten()
                    .any(|v| !is_header_value(v.as_bytes()))
                {
                    problems.add(&node.place, NO_HEADER_VALUE);
                }
                fields.headers.push((name.to_owned(), values));
            }
        }
        if let Some(query) = object.get("query").and_then(|n| n.map(problems)) {
            for (name, node) in query.members() {
                let value = match node.value {
                    Value::Null => None,
                    _ => node.scalar_text(problems),
                };
                fields.query.push((name.to_owned(), value));
            }
        }
        fields.body = object.get("body").map(|node| node.value.clone());
        fields
    }

    /// Returns a request that has these fields alone.
    fn inline(&self) -> RequestSource {
        RequestSource::Inline(self.apply(Request {
            method: "GET".to_owned(),
            scheme: "http".to_owned(),
            path: "/".to_owned(),
            ..Request::default()
        }))
    }

    fn apply(&self, mut request: Request) -> Request {
        let Self {
            method,
            path,
            headers,
            query,
            body,
        } = self;
        if let Some(method) = method {
            request.method.clone_from(method);
        }
        if let Some(target) = path {
            let (path, query) = split_target(target);
            request.path = path.to_owned();
            request.query = query.map(str::to_owned);
        }
        if let Some(body) = body {
            let mut implied = Headers::new();
            request.body = body_bytes(body, &mut implied);
            request.headers.remove("content-encoding");
            for (name, value) in implied.iter() {
                if !request.headers.contains(name) {
                    request.headers.push(name, value);
                }
            }
        }
        for (name, values) in headers {
            request.headers.remove(name);
            for value in values.iter().flatten() {
                request.headers.push(name.clone(), value.clone());
            }
        }
        for (name, value) in query {
            request.query = with_query(request.query.as_deref(), name, value.as_deref());
        }
        request
    }
}

/// Returns the query with one parameter set, or removed if there is no value.
fn with_query(query: Option<&str>, name: &str, value: Option<&str>) -> Option<String> {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    let mut pairs: Vec<String> = query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| {
            let mut read = form_urlencoded::parse(pair.as_bytes());
            read.next().is_some_and(|(key, _)| key != name)
        })
        .map(str::to_owned)
        .collect();
    if let Some(value) = value {
        pairs.push(format!(
            "{}={}",
            utf8_percent_encode(name, KEPT),
            utf8_percent_encode(value, KEPT)
        ));
    }
    (!pairs.is_empty()).then(|| pairs.join("&"))
}

/// Returns the URL of a request below a base URL, escaping the characters that HTTP does not allow.
pub(crate) fn request_url(base: &str, request: &Request) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const UNFIT: &AsciiSet = &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'<')
        .add(b'>')
        .add(b'\\')
        .add(b'^')
        .add(b'`')
        .add(b'{')
        .add(b'|')
        .add(b'}');
    let target = join_target(&request.path, request.query.as_deref());
    let target = utf8_percent_encode(&target, UNFIT);
    // Without the slash, a path such as `@elsewhere/` would become part of the authority.
    let slash = if request.path.starts_with('/') {
        ""
    } else {
        "/"
    };
    format!("{}{slash}{target}", base.trim_end_matches('/'))
}

/// Returns whether a text is the base URL of an application, such as `http://127.0.0.1:3000`.
pub(crate) fn is_base_url(text: &str) -> bool {
    split_url(text).is_some_and(|(scheme, authority, target)| {
        ["http", "https"].contains(&scheme)
            && !target.contains('?')
            && !authority.contains(char::is_whitespace)
    })
}

fn read_url(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let url = node.string(problems)?;
    if !is_base_url(&url) {
        problems.add(
            &node.place,
            format!(
                "`{}` is not a base URL such as `http://127.0.0.1:3000`",
                without_credentials(&url)
            ),
        );
        return None;
    }
    Some(url)
}

/// Returns the hook named at this place; one that is unknown or of another kind is a problem.
pub(super) fn read_hook(
    node: &Node<'_>,
    kind: HookKind,
    hooks: &Hooks,
    problems: &mut Problems,
) -> Option<Hook> {
    let word = node.string(problems)?;
    match hooks.resolve(&word, kind) {
        Ok(hook) => Some(hook),
        Err(message) => {
            problems.add(&node.place, message);
            None
        }
    }
}
