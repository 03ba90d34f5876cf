//! `mocks`: what answers the outbound calls.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::outbound::{self, OUTBOUND_FIELD, OutboundPlan};
use super::request::read_hook;
use super::shared::{self, SHARED, Shared, read_match};
use crate::base::document::{Field, Fields, Node, Object, Place, Problems, Shape, names};
use crate::base::http::{Failure, Response};
use crate::case::Predicate;
use crate::hook::{Hook, HookKind, Hooks};
use crate::rule::{
    CONSUMES, Consume, LONGEST_DELAY_MS, RESPONSE, WHEN, When, checkable, filled, read_consume,
    read_error, read_latency, read_response,
};

/// One entry of `mocks`.
#[derive(Debug, Clone)]
pub(crate) struct MockPlan {
    /// The name, for reports and for merging.
    pub name: String,
    /// Which calls it answers and which exchanges it looks up; the direction is always set.
    pub when: Arc<When>,
    /// What it does with those calls.
    pub action: MockAction,
    /// The hook that changes its response, if any.
    pub hook: Option<Hook>,
    /// The priority of its rules.
    pub priority: i64,
    /// Whether each of its rules answers every call or only one.
    pub consume: Consume,
    /// How long its answers are delayed.
    pub latency: Duration,
    /// Whether this is `mocks: auto`, which leaves the exchanges that other entries look up to them.
    pub auto: bool,
    /// What happens if no call uses the mock; `None` means `warn`.
    pub unused: Option<Unused>,
    /// What is stated about the calls that it answers.
    pub outbound: OutboundPlan,
    /// The mock as it is written, if fixtures have to be put into it. Until then, its other fields only stand for them.
    pub template: Option<Arc<Value>>,
}

/// What a mock does with a call.
#[derive(Debug, Clone)]
pub(crate) enum MockAction {
    /// Answers it.
    Respond(MockSource),
    /// Answers it with an error.
    Error(Response),
    /// Breaks the exchange; the response is the one whose body breaks off, if that is how.
    Fault(Failure, Response),
    /// Forwards it.
    Passthrough,
    /// Forwards it, as `Passthrough` does.
    CaptureOnly,
}

/// Where a mock's response comes from.
#[derive(Debug, Clone)]
pub(crate) enum MockSource {
    /// The case's captured exchanges.
    Case(Expect),
    /// The suite itself.
    Inline(Response),
}

/// How many captured exchanges a mock expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Expect {
    /// Exactly one.
    #[default]
    One,
    /// At most one.
    Optional,
    /// At least one; all are replayed in captured order.
    All,
    /// Any number, including none; all are replayed in captured order.
    Any,
}

/// What happens if no call uses a mock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Unused {
    /// A warning is reported.
    #[default]
    Warn,
    /// The case fails.
    Fail,
    /// Nothing.
    Ignore,
}

const UNUSED_WORDS: [(&str, Unused); 3] = [
    ("warn", Unused::Warn),
    ("fail", Unused::Fail),
    ("ignore", Unused::Ignore),
];

const ACTIONS: [(&str, Option<Word>); 5] = [
    ("mock", None),
    ("error", Some(Word::Error)),
    ("fault", Some(Word::Fault)),
    ("passthrough", Some(Word::Passthrough)),
    ("capture_only", Some(Word::CaptureOnly)),
];

const SOURCES: [(&str, Word); 2] = [("case", Word::Case), ("inline", Word::Inline)];

const EXPECTS: [(&str, Expect); 4] = [
    ("one", Expect::One),
    ("optional", Expect::Optional),
    ("all", Expect::All),
    ("any", Expect::Any),
];

/// The field `unused`, in a mock or next to `mocks`.
pub(super) const UNUSED: Field = Field::new(
    "unused",
    Shape::Choice(|| names(&UNUSED_WORDS)),
    "what happens if no call uses a mock: a warning (warn, the default), a failure (fail) or \
     nothing (ignore)",
);

/// The fields of an entry of `mocks`.
const MOCK: Fields = Fields {
    title: "mock",
    list: &[
        Field::new(
            "name",
            Shape::Text,
            "the mock's name, for reports and for merging: an override replaces the entry with the same \
             name",
        ),
        Field::new(
            "match",
            Shape::Object(&WHEN),
            "which calls the mock answers; all the given predicates must hold",
        ),
        Field::new(
            "source",
            Shape::Choice(|| names(&SOURCES)),
            "where the response comes from: the capture (case), or `response` (inline); defaults to case \
             if no `response` is given",
        ),
        Field::new(
            "response",
            Shape::Object(&RESPONSE),
            "the response, instead of a captured one",
        ),
        Field::new(
            "error",
            Shape::Object(&RESPONSE),
            "an error response; its status defaults to 500",
        ),
        Field::new(
            "fault",
            Shape::Choice(|| names(&Failure::NAMES)),
            "how the exchange breaks: the connection is reset (reset), or ends without an answer (empty), there is no \
             answer (timeout), or the body of `response` breaks off (truncated)",
        ),
        Field::new(
            "action",
            Shape::Choice(|| names(&ACTIONS)),
            "what the mock does with a call: answers it (mock, the default), answers it with `error` \
             (error), breaks it (fault), or forwards it (passthrough, capture_only)",
        ),
        Field::new(
            "hook",
            Shape::Text,
            "the name of a mock response hook that changes the response",
        ),
        Field::new(
            "priority",
            Shape::Integer(i64::MIN, i64::MAX),
            "the mock with the highest priority answers; on a tie, the later entry; defaults to 0",
        ),
        Field::new(
            "consume",
            Shape::Choice(|| names(&CONSUMES)),
            "whether the mock answers every call (many, the default) or only one (once)",
        ),
        Field::new(
            "latencyMs",
            Shape::Integer(0, LONGEST_DELAY_MS),
            "how long to delay each answer, in milliseconds; defaults to 0",
        ),
        Field::new(
            "expect",
            Shape::Choice(|| names(&EXPECTS)),
            "how many captured exchanges the mock replays: exactly one (one, the default), at most one \
             (optional), at least one (all), or any number (any)",
        ),
        Field::new(
            "expand",
            Shape::Flag,
            "whether ${fixtures.name} in `match` and in the response stands for the case's fixture of that name",
        ),
        OUTBOUND_FIELD,
        UNUSED,
    ],
};

/// The fields of `mocks` when it is an object.
const AUTO: Fields = Fields {
    title: "autoMocks",
    list: &[
        Field::required(
            "auto",
            Shape::Flag,
            "whether to replay every outbound exchange of the case",
        ),
        Field::new(
            "rules",
            Shape::List(&Shape::Object(&MOCK)),
            "further mocks; they take precedence over what `auto` replays",
        ),
        SHARED,
    ],
};

/// `mocks` in all its forms.
pub(super) const MOCKS: Shape = Shape::Either(&[
    Shape::Choice(|| vec!["auto"]),
    Shape::List(&Shape::Object(&MOCK)),
    Shape::Object(&AUTO),
    Shape::Null,
]);

pub(super) fn read_unused(node: &Node<'_>, problems: &mut Problems) -> Option<Unused> {
    node.choice(&UNUSED_WORDS, problems)
}

/// Reads the field `shared` of `mocks`, if it has one.
pub(super) fn read_shared(node: &Node<'_>, problems: &mut Problems) -> Option<Arc<[Shared]>> {
    let member = node.value.get("shared")?;
    let node = Node::at(member, node.place.key("shared"));
    Some(shared::read(&node, problems))
}

/// Reads `mocks` on top of those in `below`: an entry replaces the one with the same name, and the
/// others are appended.
pub(super) fn read(
    node: &Node<'_>,
    below: &[MockPlan],
    hooks: &Hooks,
    problems: &mut Problems,
) -> Option<Vec<MockPlan>> {
    let mut mocks = below.to_vec();
    let mut auto = false;
    let mut list_place = node.clone();
    match node.value {
        Value::String(text) if text == "auto" => auto = true,
        Value::Object(_) => {
            let object = node.fields(&AUTO, problems)?;
            auto = object.get("auto")?.boolean(problems)?;
            if let Some(rules) = object.get("rules") {
                list_place = rules;
            }
        }
        Value::Array(_) => {}
        _ => return node.wrong("a list or `auto`", problems),
    }
    if matches!(node.value, Value::Object(_)) && !auto {
        mocks.retain(|mock| !mock.auto);
    }
    if auto && !mocks.iter().any(|mock| mock.auto) {
        mocks.insert(0, MockPlan::auto());
    }
    let entries = match list_place.value {
        Value::Array(_) => list_place.list(problems)?,
        _ => Vec::new(),
    };
    let mut seen: Vec<String> = Vec::new();
    for entry in entries {
        let fallback = format!("mock-{}", below.len() + seen.len() + 1);
        let Some(mock) = MockPlan::read(&entry, &fallback, hooks, problems) else {
            seen.push(fallback);
            continue;
        };
        if seen.contains(&mock.name) || mock.name == "auto" && auto {
            problems.add(
                &entry.place,
                format!("two mocks here are named `{}`", mock.name),
            );
        }
        seen.push(mock.name.clone());
        match mocks.iter_mut().find(|other| other.name == mock.name) {
            Some(other) => *other = mock,
            None => mocks.push(mock),
        }
    }
    Some(mocks)
}

impl MockPlan {
    /// Returns the mock that `mocks: auto` stands for.
    fn auto() -> Self {
        Self {
            name: "auto".to_owned(),
            when: Arc::new(Predicate::outbound().into()),
            action: MockAction::Respond(MockSource::Case(Expect::Any)),
            hook: None,
            priority: 0,
            consume: Consume::Many,
            latency: Duration::ZERO,
            auto: true,
            unused: None,
            outbound: OutboundPlan::default(),
            template: None,
        }
    }

    /// Returns the mock with fixtures in their places.
    ///
    /// # Errors
    ///
    /// The place of each fixture that is not known, and what is wrong with the mock that results.
    pub(crate) fn filled(&self, fixture: &dyn Fn(&str) -> Option<Value>) -> Result<Self, Problems> {
        let Some(template) = &self.template else {
            return Ok(self.clone());
        };
        let mut problems = Problems::default();
        let value = filled(template, &Place::root(), fixture, &mut problems);
        let node = Node::root(&value).lenient();
        let mock = Self::read_filled(&node, &self.name, &Hooks::new(), &mut problems);
        // What other settings state about it has been merged already.
        let mock = mock.map(|mock| Self {
            unused: self.unused,
            outbound: self.outbound.clone(),
            ..mock
        });
        problems.into_result(mock)
    }

    fn read(
        node: &Node<'_>,
        fallback: &str,
        hooks: &Hooks,
        problems: &mut Problems,
    ) -> Option<Self> {
        if !is_template(node.value) {
            return Self::read_filled(node, fallback, hooks, problems);
        }
        let checkable = checkable(node.value);
        let shown = Node::at(&checkable, node.place.clone()).lenient();
        let mock = Self::read_filled(&shown, fallback, hooks, problems)?;
        let looks_up = matches!(mock.action, MockAction::Respond(MockSource::Case(_)));
        if looks_up || mock.hook.is_some() {
            problems.add(
                &node.place.key("expand"),
                "`expand` is for mocks with their own `response`, `error` or `fault`, and without a hook",
            );
            return None;
        }
        Some(Self {
            template: Some(Arc::new(node.value.clone())),
            ..mock
        })
    }

    fn read_filled(
        node: &Node<'_>,
        fallback: &str,
        hooks: &Hooks,
        problems: &mut Problems,
    ) -> Option<Self> {
        let object = node.fields(&MOCK, problems)?;
        let before = problems.0.len();
        let name = match object.get("name") {
            Some(name) => name.string(problems)?,
            None => fallback.to_owned(),
        };
        // All fields are read before the first return, so that every fault is reported.
        let when = read_match(object.get("match"), problems);
        let action = read_action(&object, problems);
        let hook = object
            .get("hook")
            .and_then(|node| read_hook(&node, HookKind::MockResponse, hooks, problems));
        let priority = object
            .get("priority")
            .and_then(|node| node.integer(i64::MIN, i64::MAX, problems));
        let consume = object
            .get("consume")
            .and_then(|node| read_consume(&node, problems));
        let latency = object
            .get("latencyMs")
            .and_then(|node| read_latency(&node, problems));
        if let Some(expand) = object.get("expand") {
            expand.boolean(problems);
        }
        let unused = object
            .get("unused")
            .and_then(|node| read_unused(&node, problems));
        let outbound = object
            .get("outbound")
            .map(|node| outbound::read(&node, hooks, problems));
        let mock = Self {
            name,
            when: Arc::new(when?),
            action: action?,
            hook,
            priority: priority.unwrap_or_default(),
            consume: consume.unwrap_or_default(),
            latency: latency.unwrap_or_default(),
            auto: false,
            unused,
            outbound: outbound.unwrap_or_default(),
            template: None,
        };
        (problems.0.len() == before).then_some(mock)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Case,
    Inline,
    Error,
    Fault,
    Passthrough,
    CaptureOnly,
}

fn read_action(object: &Object<'_>, problems: &mut Problems) -> Option<MockAction> {
    let (response, error) = (object.get("response"), object.get("error"));
    let fault = object.get("fault");
    let action = match object.get("action") {
        Some(node) => node.choice(&ACTIONS, problems)?,
        None => None,
    };
    let source = match object.get("source") {
        Some(node) => Some((node.choice(&SOURCES, problems)?, node.place)),
        None => None,
    };
    let word = match (action, &source) {
        (Some(action), _) => action,
        (None, _) if error.is_some() => Word::Error,
        (None, _) if fault.is_some() => Word::Fault,
        (None, Some((word, _))) => *word,
        (None, None) if response.is_some() => Word::Inline,
        (None, None) => Word::Case,
    };
    if let Some((_, place)) = source
        && !matches!(word, Word::Case | Word::Inline)
    {
        problems.add(&place, "`source` can't be used with this action");
    }
    let failure = match &fault {
        Some(node) if word == Word::Fault => Some(node.choice(&Failure::NAMES, problems)?),
        _ => None,
    };
    refuse(
        response.as_ref(),
        "response",
        word == Word::Inline || failure == Some(Failure::Truncated),
        problems,
    );
    refuse(error.as_ref(), "error", word == Word::Error, problems);
    refuse(fault.as_ref(), "fault", word == Word::Fault, problems);
    let answers = matches!(word, Word::Case | Word::Inline);
    for name in ["hook", "latencyMs"] {
        refuse(object.get(name).as_ref(), name, answers, problems);
    }
    let expect = object.get("expect");
    refuse(expect.as_ref(), "expect", word == Word::Case, problems);
    Some(match word {
        Word::Case => {
            let expect = match expect {
                Some(node) => read_expect(&node, problems)?,
                None => Expect::One,
            };
            MockAction::Respond(MockSource::Case(expect))
        }
        Word::Inline => {
            let node = object.require("response", problems)?;
            let response = node.fields(&RESPONSE, problems)?;
            MockAction::Respond(MockSource::Inline(read_response(&response, 200, problems)?))
        }
        Word::Error => {
            MockAction::Error(read_error(&object.require("error", problems)?, problems)?)
        }
        Word::Fault => {
            object.require("fault", problems)?;
            let failure = failure?;
            let response = match failure {
                Failure::Truncated => {
                    let node = object.require("response", problems)?;
                    read_response(&node.fields(&RESPONSE, problems)?, 200, problems)?
                }
                _ => Response::default(),
            };
            MockAction::Fault(failure, response)
        }
        Word::Passthrough => MockAction::Passthrough,
        Word::CaptureOnly => MockAction::CaptureOnly,
    })
}

/// Returns whether fixtures have to be put into a mock.
pub(super) fn is_template(mock: &Value) -> bool {
    match mock.get("expand") {
        Some(Value::Bool(expand)) => *expand,
        Some(Value::String(text)) => text == "true",
        _ => false,
    }
}

/// Adds a problem if the field is given but would have no effect.
fn refuse(node: Option<&Node<'_>>, name: &str, fits: bool, problems: &mut Problems) {
    if let Some(Node { place, .. }) = node
        && !fits
    {
        let place: &Place = place;
        problems.add(
            place,
            format!("`{name}` can't be used with this kind of mock"),
        );
    }
}

fn read_expect(node: &Node<'_>, problems: &mut Problems) -> Option<Expect> {
    node.choice(&EXPECTS, problems)
}
