//! Reads a case document: its fields and its spans, with warnings about what is unusually large.

#[cfg(feature = "embedded")]
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;

use super::attribute::{Attributes, each_child, list};
use super::exchange::{Exchange, Span};
use super::fault::{CaseError, Faults};
use super::inbound::{self, AmbiguousInbound};
use super::mode::{Mode, ParseModeError};
use super::source::Source;
use crate::base::document::Way;
use crate::base::encoding::split_mark;
use crate::base::http::Direction;
#[cfg(feature = "embedded")]
use crate::base::json;
use crate::base::json::{Json, Tree};
use crate::otlp::json::field;

const MOST_SPANS: usize = 100;
const MOST_ATTRIBUTES: usize = 128;
const LONGEST_STRING: usize = 64 * 1024;
const LARGEST_TRACE: usize = 1024 * 1024;

/// A captured scenario, read from a case file.
#[derive(Clone)]
pub struct Case {
    id: String,
    suite: Option<String>,
    mode: Option<Mode>,
    created_at: Option<String>,
    rules: Vec<Value>,
    fixtures: Vec<(String, Value)>,
    warnings: Vec<String>,
    source: Arc<Source>,
    /// The number of traces.
    traces: usize,
    exchanges: Vec<Exchange>,
    inbound: Result<Option<usize>, AmbiguousInbound>,
}

impl fmt::Debug for Case {
    /// Leaves out everything that was captured, since it may contain secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("id", &self.id)
            .field("exchanges", &self.exchanges.len())
            .finish_non_exhaustive()
    }
}

impl Case {
    /// Reads the text of a case file, without copying it.
    pub(crate) fn from_text(mut text: String) -> Result<Self, CaseError> {
        let (mark, _) = split_mark(&text);
        text.drain(..mark.len());
        let source = Arc::new(Source::of_text(text));
        let tree = Tree::parse(source.text()).map_err(|error| CaseError::syntax(&error))?;
        let case = read(&tree, &source, source.text().len() > LARGEST_TRACE);
        let mut repeated = Faults::default();
        tree.repeated(&Way::ROOT, &mut |way| {
            repeated.add(way, "appears twice; only one of the two would be read");
        });
        match repeated.into_result(()) {
            Ok(()) => case,
            Err(repeated) => Err(match case {
                Ok(_) => repeated,
                Err(faults) => faults.and(repeated),
            }),
        }
    }

    /// Reads a case from its parsed JSON document.
    ///
    /// # Errors
    ///
    /// [`CaseError`] names the missing field, the unsupported version, or the place of a value of the
    /// wrong shape; several faults are reported together.
    pub fn from_document(document: Value) -> Result<Self, CaseError> {
        let source = Arc::new(Source::of_document(document));
        read(source.document(), &source, true)
    }

    /// Returns the stable id, `caseId` in the file.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the group that the case was assigned to, `suite` in the file, if any.
    pub fn suite(&self) -> Option<&str> {
        self.suite.as_deref()
    }

    /// Returns the mode of the session that recorded it, if the file gives one.
    pub fn mode(&self) -> Option<Mode> {
        self.mode
    }

    /// Returns the time of the capture in RFC 3339 format, if the file gives one. It is not checked.
    pub fn created_at(&self) -> Option<&str> {
        self.created_at.as_deref()
    }

    /// Returns the embedded rules as written in the file; the runtime reads them when the case is loaded.
    pub fn rules(&self) -> &[Value] {
        &self.rules
    }

    /// Returns the embedded rules with numbers that keep their digits.
    #[cfg(feature = "embedded")]
    pub(crate) fn exact_rules(&self) -> Cow<'_, [Value]> {
        let exact = match self.rules.as_slice() {
            [] => None,
            _ => json::parse_inexact(self.source.text()),
        };
        match exact.and_then(|mut exact| exact.get_mut("rules").map(Value::take)) {
            Some(Value::Array(rules)) => rules.into(),
            _ => self.rules.as_slice().into(),
        }
    }

    /// Returns the document with numbers that keep their digits.
    #[cfg(feature = "runner")]
    pub(crate) fn exact_document(&self) -> Value {
        let exact = json::parse_inexact(self.source.text());
        exact.unwrap_or_else(|| self.document().clone())
    }

    /// Returns the names and values of the `fixtures` that are `{name, value}` objects, in order.
    pub fn fixtures(&self) -> &[(String, Value)] {
        &self.fixtures
    }

    /// Returns warnings for display, about parts that exceed the recommended sizes and bodies that were cut off;
    /// they are never errors.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns the document as it was read, including unknown fields.
    pub fn document(&self) -> &Value {
        self.source.document()
    }

    /// Returns every span of the case as an exchange, in captured order: by start time, then as in the
    /// document.
    pub fn exchanges(&self) -> &[Exchange] {
        &self.exchanges
    }

    /// Returns the number of traces in the document.
    pub fn trace_count(&self) -> usize {
        self.traces
    }

    /// Returns the inbound exchange; `None` if the case has none.
    ///
    /// # Errors
    ///
    /// [`AmbiguousInbound`] when several spans could be the inbound exchange; it lists them.
    pub fn inbound(&self) -> Result<Option<&Exchange>, AmbiguousInbound> {
        let found = self.inbound.clone()?;
        Ok(found.and_then(|n| self.exchanges.get(n)))
    }

    /// Returns the name of the captured service, which is that of the inbound exchange.
    pub fn service(&self) -> Option<&str> {
        self.inbound().ok().flatten()?.service.as_deref()
    }

    /// Returns the first exchange that can't be replayed since it was not recorded whole, with the reason: whoever recorded it
    /// says so, or the answer to the inbound request was cut off.
    pub fn unusable(&self) -> Option<(&Exchange, &str)> {
        let mut exchanges = self.exchanges.iter();
        let marked = exchanges.find_map(|exchange| Some((exchange, exchange.unusable()?)));
        let inbound = self.inbound().ok().flatten();
        let cut_off = inbound.filter(|inbound| inbound.is_cut_off());
        marked.or_else(|| Some((cut_off?, "the answer's client went away before its end")))
    }

    /// Returns the outbound exchanges that a lookup can find, in captured order.
    pub fn outbound(&self) -> impl Iterator<Item = &Exchange> {
        self.exchanges
            .iter()
            .filter(|x| x.is_candidate() && x.direction == Some(Direction::Outbound))
    }
}

/// Reads the text of a case file.
///
/// # Errors
///
/// [`CaseError`] names the line and column of a syntax error, a missing field, the unsupported version, or
/// the place of a value of the wrong shape; several faults in a document are reported together.
impl FromStr for Case {
    type Err = CaseError;

    fn from_str(text: &str) -> Result<Self, CaseError> {
        Self::from_text(text.to_owned())
    }
}

/// Reads a whole document. Its traces are measured only if `large`; otherwise, none of them can exceed the
/// recommended size.
fn read<'a, J: Json<'a>>(
    document: J,
    source: &Arc<Source>,
    large: bool,
) -> Result<Case, CaseError> {
    let root = Way::ROOT;
    if !document.is_members() {
        return Err(CaseError::Shape {
            place: "$".to_owned(),
            message: "a case must be a JSON object".to_owned(),
        });
    }
    let mut faults = Faults::default();
    let version = required_text(document, "version", &mut faults);
    if let Some(version) = version {
        check_version(&version, &mut faults);
    }
    let id = required_text(document, "caseId", &mut faults);
    let mode = optional_text(document, "mode", &mut faults).and_then(|mode| {
        let known = mode.parse();
        known
            .map_err(|error: ParseModeError| faults.add(&root.key("mode"), error.to_string()))
            .ok()
    });
    let mut warnings = Vec::new();
    let (traces, mut exchanges) = read_traces(document, source, large, &mut warnings, &mut faults);
    exchanges.sort_by_key(|x| x.start_ns);
    warnings.extend(exchanges.iter().flat_map(Exchange::truncated));
    let inbound = inbound::find(&exchanges);
    if let Ok(Some(n)) = inbound {
        exchanges[n].direction = Some(Direction::Inbound);
    }
    let case = Case {
        id: id.unwrap_or_default(),
        suite: optional_text(document, "suite", &mut faults),
        mode,
        created_at: optional_text(document, "createdAt", &mut faults),
        rules: optional_list(document, "rules", &mut faults)
            .map(Json::copied)
            .collect(),
        fixtures: optional_list(document, "fixtures", &mut faults)
            .filter_map(|fixture| {
                let name = fixture.member("name")?.text()?;
                Some((name.to_owned(), fixture.member("value")?.copied()))
            })
            .collect(),
        warnings,
        traces,
        exchanges,
        inbound,
        source: Arc::clone(source),
    };
    faults.into_result(case)
}

fn check_version(version: &str, faults: &mut Faults) {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    if numbers.len() > 3 || numbers.iter().any(|number| number.parse::<u64>().is_err()) {
        faults.add(
            &Way::ROOT.key("version"),
            format!("`{version}` is not a version such as `1.0.0`"),
        );
    } else if numbers[0] != "1" {
        faults.push(CaseError::Version {
            found: version.to_owned(),
        });
    }
}

fn read_traces<'a, J: Json<'a>>(
    document: J,
    source: &Arc<Source>,
    large: bool,
    warnings: &mut Vec<String>,
    faults: &mut Faults,
) -> (usize, Vec<Exchange>) {
    let way = Way::ROOT.key("traces");
    let Some(traces) = field(document, "traces") else {
        faults.push(CaseError::Missing { field: "traces" });
        return (0, Vec::new());
    };
    let (mut count, mut exchanges) = (0, Vec::new());
    for (t, trace) in list(traces, &way, faults).enumerate() {
        count += 1;
        let way = way.index(t);
        let size = if large {
            trace.copied().to_string().len()
        } else {
            0
        };
        if size > LARGEST_TRACE {
            warnings.push(format!(
                "{}: {size} bytes; at most {LARGEST_TRACE} are recommended",
                way.place()
            ));
        }
        read_trace(source, trace, &way, warnings, faults, |_, _, exchange| {
            exchanges.push(exchange);
        });
    }
    if exchanges.len() > MOST_SPANS {
        let found = exchanges.len();
        warnings.push(format!(
            "{found} spans; at most {MOST_SPANS} per case are recommended"
        ));
    }
    (count, exchanges)
}

/// Reads the spans of one trace of a document, in order, and passes each to `take` with the `resourceSpans`
/// and the `scopeSpans` that contain it.
fn read_trace<'a, J: Json<'a>>(
    source: &Arc<Source>,
    trace: J,
    way: &Way<'_>,
    warnings: &mut Vec<String>,
    faults: &mut Faults,
    mut take: impl FnMut(J, J, Exchange),
) {
    each_child(
        trace,
        "resourceSpans",
        way,
        faults,
        |resource_spans, way, _, faults| {
            let resource = match field(resource_spans, "resource") {
                None => Attributes::default(),
                Some(resource) => Attributes::read(resource, &way.key("resource"), faults),
            };
            each_child(
                resource_spans,
                "scopeSpans",
                way,
                faults,
                |scope_spans, way, _, faults| {
                    each_child(scope_spans, "spans", way, faults, |span, way, _, faults| {
                        let attributes = Attributes::read(span, way, faults);
                        note_sizes(&attributes, way, warnings);
                        let place = Span::at(source, way);
                        let exchange =
                            Exchange::read(span, place, way, &attributes, &resource, faults);
                        take(resource_spans, scope_spans, exchange);
                    });
                },
            );
        },
    );
}

fn note_sizes(attributes: &Attributes<'_>, way: &Way<'_>, warnings: &mut Vec<String>) {
    if attributes.len() > MOST_ATTRIBUTES {
        let found = attributes.len();
        warnings.push(format!(
            "{}: {found} attributes; at most {MOST_ATTRIBUTES} per span are recommended",
            way.place()
        ));
    }
    for (key, text) in attributes
        .texts()
        .filter(|(_, text)| text.len() > LONGEST_STRING)
    {
        warnings.push(format!(
            "{}: {key} is {} bytes long; at most {LONGEST_STRING} are recommended",
            way.place(),
            text.len()
        ));
    }
}

/// A span of a trace document with its resource and scope, which other spans may share.
#[cfg(feature = "embedded")]
#[derive(Debug, Clone)]
pub(crate) struct ScopedSpan {
    /// The span's `resource`; `null` if it has none.
    pub(crate) resource: Arc<Value>,
    /// The span's `scope`; `null` if it has none.
    pub(crate) scope: Arc<Value>,
    /// The span, read as an exchange.
    pub(crate) exchange: Exchange,
}

/// Returns the spans of a trace document that is not part of a case, in document order.
///
/// # Errors
///
/// [`CaseError`] names every value of the wrong shape by its place in the document.
#[cfg(feature = "embedded")]
pub(crate) fn read_spans(trace: Value) -> Result<Vec<ScopedSpan>, CaseError> {
    let source = Arc::new(Source::of_document(trace));
    let trace = source.document();
    let mut faults = Faults::default();
    let mut spans: Vec<ScopedSpan> = Vec::new();
    let mut owners: Option<(&Value, &Value)> = None;
    let part =
        |owner: &Value, name: &str| Arc::new(field(owner, name).cloned().unwrap_or_default());
    let take = |resource_spans, scope_spans, exchange| {
        let before = spans.last().zip(owners);
        let same = |a: &Value, b: &Value| std::ptr::eq(a, b);
        let resource = match &before {
            Some((last, (owner, _))) if same(owner, resource_spans) => Arc::clone(&last.resource),
            _ => part(resource_spans, "resource"),
        };
        let scope = match &before {
            Some((last, (_, owner))) if same(owner, scope_spans) => Arc::clone(&last.scope),
            _ => part(scope_spans, "scope"),
        };
        owners = Some((resource_spans, scope_spans));
        spans.push(ScopedSpan {
            resource,
            scope,
            exchange,
        });
    };
    read_trace(
        &source,
        trace,
        &Way::ROOT,
        &mut Vec::new(),
        &mut faults,
        take,
    );
    faults.into_result(spans)
}

fn required_text<'a>(
    document: impl Json<'a>,
    name: &'static str,
    faults: &mut Faults,
) -> Option<String> {
    if field(document, name).is_none() {
        faults.push(CaseError::Missing { field: name });
    }
    optional_text(document, name, faults)
}

fn optional_text<'a>(document: impl Json<'a>, name: &str, faults: &mut Faults) -> Option<String> {
    let text = field(document, name)?.text().map(str::to_owned);
    if text.is_none() {
        faults.add(&Way::ROOT.key(name), "expected a string");
    }
    text
}

fn optional_list<'a, J: Json<'a>>(
    document: J,
    name: &str,
    faults: &mut Faults,
) -> impl Iterator<Item = J> + use<'a, J> {
    let value = field(document, name);
    let elements = value.map(|value| list(value, &Way::ROOT.key(name), faults));
    elements.into_iter().flatten()
}
