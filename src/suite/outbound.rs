//! `outbound`: what the application may send to others.

use std::time::Duration;

use super::assertions::{HEADERS, read_header_rules};
use super::request::read_hook;
use crate::base::document::{Field, Fields, Node, Object, Problems, Shape, names};
use crate::compare::{BODY, BodyRules, HeaderRules};
use crate::hook::{Hook, HookKind, Hooks};

/// What is stated about the calls of the application; what is not is left to the settings below, and then to the
/// defaults.
#[derive(Debug, Clone, Default)]
pub(crate) struct OutboundPlan {
    /// What happens if a request differs from the captured one whose answer it got.
    pub(crate) difference: Option<Severity>,
    /// How bodies are compared, and the hook that judges them besides.
    pub(crate) body: Option<(BodyRules, Option<Hook>)>,
    /// Names in the query that are not compared.
    pub(crate) query_ignore: Option<Vec<String>>,
    /// Which headers are compared.
    pub(crate) headers: Option<HeaderRules>,
    /// What happens if there are more calls than were captured.
    pub(crate) extra: Option<Extra>,
    /// How long a session stays open for calls that have not come yet.
    pub(crate) settle: Option<Duration>,
}

impl OutboundPlan {
    /// Returns what is stated here and, where nothing is, what is stated in `below`.
    pub(super) fn over(&self, below: &Self) -> Self {
        let (own, below) = (self.clone(), below.clone());
        Self {
            difference: own.difference.or(below.difference),
            body: own.body.or(below.body),
            query_ignore: own.query_ignore.or(below.query_ignore),
            headers: own.headers.or(below.headers),
            extra: own.extra.or(below.extra),
            settle: own.settle.or(below.settle),
        }
    }
}

/// What happens if something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The case fails.
    Fail,
    /// A warning is reported.
    Warn,
    /// Nothing.
    Ignore,
}

const SEVERITIES: [(&str, Severity); 3] = [
    ("fail", Severity::Fail),
    ("warn", Severity::Warn),
    ("ignore", Severity::Ignore),
];

/// What happens if the application makes more calls than were captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extra {
    /// The same for every method.
    Always(Severity),
    /// The case fails if the calls' method is not safe (RFC 9110, 9.2.1); otherwise, a warning is reported.
    Unsafe,
}

impl Extra {
    /// Returns what happens after further calls with this method.
    pub(crate) fn severity(self, method: &str) -> Severity {
        const SAFE: [&str; 4] = ["GET", "HEAD", "OPTIONS", "TRACE"];
        match self {
            Self::Always(severity) => severity,
            Self::Unsafe if SAFE.iter().any(|safe| safe.eq_ignore_ascii_case(method)) => {
                Severity::Warn
            }
            Self::Unsafe => Severity::Fail,
        }
    }
}

const EXTRAS: [(&str, Extra); 4] = [
    ("unsafe", Extra::Unsafe),
    ("fail", Extra::Always(Severity::Fail)),
    ("warn", Extra::Always(Severity::Warn)),
    ("ignore", Extra::Always(Severity::Ignore)),
];

const QUERY: Fields = Fields {
    title: "queryComparison",
    list: &[Field::new(
        "ignore",
        Shape::List(&Shape::Text),
        "names in the query that are not compared, and take no part in choosing the exchange",
    )],
};

/// The longest time that a session stays open after the answer, in milliseconds.
const LONGEST_SETTLE_MS: i64 = 600_000;

/// The fields of `outbound`.
const OUTBOUND: Fields = Fields {
    title: "outbound",
    list: &[
        Field::new(
            "difference",
            Shape::Choice(|| names(&SEVERITIES)),
            "what happens if a request differs from the captured one whose answer it got: a failure (fail), a \
             warning (warn) or nothing (ignore); defaults to fail for `mocks: auto`, and to warn for other mocks \
             from the case",
        ),
        Field::new(
            "body",
            Shape::Object(&BODY),
            "how the bodies of requests are compared; forms are compared by their names and values",
        ),
        Field::new(
            "query",
            Shape::Object(&QUERY),
            "how queries are compared; by default, as a whole",
        ),
        Field::new(
            "headers",
            Shape::Object(&HEADERS),
            "which headers of requests are compared; by default, none",
        ),
        Field::new(
            "extra",
            Shape::Choice(|| names(&EXTRAS)),
            "what happens if the application makes a captured call more often than it was captured: a failure \
             (fail), a warning (warn), nothing (ignore), or a failure unless the method is safe, like GET, and \
             then a warning (unsafe); defaults to unsafe for `mocks: auto`, and to warn for other mocks from the \
             case",
        ),
        Field::new(
            "settleMs",
            Shape::Integer(0, LONGEST_SETTLE_MS),
            "how long to wait after the answer for captured calls that were not made yet, in milliseconds; \
             defaults to 500",
        ),
    ],
};

/// The field `outbound`, in a mock or next to `mocks`.
pub(super) const OUTBOUND_FIELD: Field = Field::new(
    "outbound",
    Shape::Either(&[Shape::Object(&OUTBOUND), Shape::Null]),
    "what the application may send to others",
);

/// Reads `outbound`.
pub(super) fn read(node: &Node<'_>, hooks: &Hooks, problems: &mut Problems) -> OutboundPlan {
    let mut plan = OutboundPlan::default();
    if node.value.is_null() {
        return plan;
    }
    let Some(object) = node.fields(&OUTBOUND, problems) else {
        return plan;
    };
    if let Some(node) = object.get("difference") {
        plan.difference = node.choice(&SEVERITIES, problems);
    }
    if let Some(body) = object
        .get("body")
        .and_then(|node| node.fields(&BODY, problems))
    {
        plan.body = Some(read_body(&body, hooks, problems));
    }
    if let Some(query) = object
        .get("query")
        .and_then(|node| node.fields(&QUERY, problems))
    {
        let ignore = query.get("ignore").map(|node| node.strings(problems));
        plan.query_ignore = Some(ignore.flatten().unwrap_or_default());
    }
    if let Some(headers) = object
        .get("headers")
        .and_then(|node| node.fields(&HEADERS, problems))
    {
        if let Some(custom) = headers.get("custom") {
            problems.add(
                &custom.place,
                "`custom` can't judge the headers of requests; compare them with `include` and `mode`",
            );
        }
        plan.headers = Some(read_header_rules(&headers, problems));
    }
    if let Some(node) = object.get("extra") {
        plan.extra = node.choice(&EXTRAS, problems);
    }
    if let Some(node) = object.get("settleMs") {
        let ms = node.integer(0, LONGEST_SETTLE_MS, problems);
        plan.settle = ms.map(|ms| Duration::from_millis(ms.unsigned_abs()));
    }
    plan
}

fn read_body(
    body: &Object<'_>,
    hooks: &Hooks,
    problems: &mut Problems,
) -> (BodyRules, Option<Hook>) {
    let hook = body
        .get("custom")
        .and_then(|node| read_hook(&node, HookKind::AssertBody, hooks, problems));
    (BodyRules::read(body, problems), hook)
}
