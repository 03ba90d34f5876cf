//! The case document: required fields, the walk over its spans, the size guidance.

#[cfg(feature = "embedded")]
use std::sync::Arc;

use serde_json::Value;
use thiserror::Error;

use super::{Case, Exchange, inbound};
use crate::otlp::json::{Any, field};
use crate::reader::Place;

const MOST_SPANS: usize = 100;
const MOST_ATTRIBUTES: usize = 128;
const LONGEST_STRING: usize = 64 * 1024;
const LARGEST_TRACE: usize = 1024 * 1024;

/// Why a document is not a case.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CaseError {
    /// The text is not JSON.
    #[error("line {line}, column {column}: not JSON: {message}")]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What the parser found.
        message: String,
    },
    /// A required field is not there.
    #[error("`{field}` is missing; a case needs `version`, `caseId` and `traces`")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A schema of another major version.
    #[error("version: `{found}` is not understood; this library reads major version 1")]
    Version {
        /// What the document says.
        found: String,
    },
    /// A value of the wrong shape.
    #[error("{place}: {message}")]
    Shape {
        /// Where, as a path into the document.
        place: String,
        /// What is wrong there.
        message: String,
    },
    /// More than one of these.
    #[error("{}", .0.iter().map(Self::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<Self>),
}

impl CaseError {
    /// The faults one by one, in the order of the document.
    pub fn each(&self) -> &[Self] {
        match self {
            Self::Several(faults) => faults,
            one => std::slice::from_ref(one),
        }
    }
}

/// The faults found so far: all of them are told at once.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<CaseError>);

impl Faults {
    pub(super) fn add(&mut self, place: &Place, message: impl Into<String>) {
        self.0.push(shape(place, message));
    }

    /// The value, or what was wrong on the way to it.
    fn into_result<T>(mut self, value: T) -> Result<T, CaseError> {
        match self.0.len() {
            0 => Ok(value),
            1 => Err(self.0.remove(0)),
            _ => Err(CaseError::Several(self.0)),
        }
    }
}

impl From<serde_json::Error> for CaseError {
    fn from(error: serde_json::Error) -> Self {
        let text = error.to_string();
        // serde_json ends its text with the position, which stands in its own fields here.
        let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
        Self::Json {
            line: error.line(),
            column: error.column(),
            message,
        }
    }
}

fn shape(place: &Place, message: impl Into<String>) -> CaseError {
    let place = match place.0.as_slice() {
        [] => "$".to_owned(),
        _ => place.to_string(),
    };
    CaseError::Shape {
        place,
        message: message.into(),
    }
}

/// Reads a whole document.
pub(super) fn read(document: Value) -> Result<Case, CaseError> {
    let root = Place::root();
    if !document.is_object() {
        return Err(CaseError::Shape {
            place: "$".to_owned(),
            message: "a case is a JSON object".to_owned(),
        });
    }
    let mut faults = Faults::default();
    let version = required_text(&document, "version", &mut faults);
    if let Some(version) = version {
        check_version(&version, &mut faults);
    }
    let id = required_text(&document, "caseId", &mut faults);
    let mode = optional_text(&document, "mode", &mut faults);
    if let Some(mode) = &mode
        && !["capture", "replay", "generate"].contains(&mode.as_str())
    {
        faults.add(
            &root.key("mode"),
            format!("`{mode}` is not one of capture, replay, generate"),
        );
    }
    let mut warnings = Vec::new();
    let mut exchanges = read_traces(&document, &mut warnings, &mut faults);
    exchanges.sort_by_key(|x| x.start_ns);
    let inbound = inbound::find(&exchanges);
    if let Ok(Some(n)) = inbound {
        exchanges[n].direction = Some(crate::http::Direction::Inbound);
    }
    let case = Case {
        id: id.unwrap_or_default(),
        suite: optional_text(&document, "suite", &mut faults),
        mode,
        created_at: optional_text(&document, "createdAt", &mut faults),
        rules: optional_list(&document, "rules", &mut faults).to_vec(),
        fixtures: optional_list(&document, "fixtures", &mut faults)
            .iter()
            .filter_map(|fixture| {
                let name = fixture.get("name")?.as_str()?;
                Some((name.to_owned(), fixture.get("value")?.clone()))
            })
            .collect(),
        warnings,
        exchanges,
        inbound,
        document,
    };
    faults.into_result(case)
}

fn check_version(version: &str, faults: &mut Faults) {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    if numbers.len() > 3 || numbers.iter().any(|number| number.parse::<u64>().is_err()) {
        faults.add(
            &Place::root().key("version"),
            format!("`{version}` is not a version such as `1.0.0`"),
        );
    } else if numbers[0] != "1" {
        faults.0.push(CaseError::Version {
            found: version.to_owned(),
        });
    }
}

fn read_traces(document: &Value, warnings: &mut Vec<String>, faults: &mut Faults) -> Vec<Exchange> {
    let place = Place::root().key("traces");
    let Some(traces) = field(document, "traces") else {
        faults.0.push(CaseError::Missing { field: "traces" });
        return Vec::new();
    };
    let mut exchanges = Vec::new();
    for (t, trace) in list(traces, &place, faults).iter().enumerate() {
        let place = place.index(t);
        let size = trace.to_string().len();
        if size > LARGEST_TRACE {
            warnings.push(format!(
                "{place}: {size} bytes; {LARGEST_TRACE} are advised at the most"
            ));
        }
        read_trace(trace, &place, warnings, faults, |_, _, exchange| {
            exchanges.push(exchange);
        });
    }
    if exchanges.len() > MOST_SPANS {
        let found = exchanges.len();
        warnings.push(format!(
            "{found} spans; {MOST_SPANS} a case are advised at the most"
        ));
    }
    exchanges
}

/// Reads the spans of one trace document, in document order; `take` gets each with the `resourceSpans` and the
/// `scopeSpans` that it stands under.
fn read_trace<'a>(
    trace: &'a Value,
    place: &Place,
    warnings: &mut Vec<String>,
    faults: &mut Faults,
    mut take: impl FnMut(&'a Value, &'a Value, Exchange),
) {
    for (resource_spans, place) in children(trace, "resourceSpans", place, faults) {
        let resource = resource_attributes(resource_spans, &place, faults);
        for (scope_spans, place) in children(resource_spans, "scopeSpans", &place, faults) {
            for (span, place) in children(scope_spans, "spans", &place, faults) {
                let attributes = attributes(span, &place, faults);
                note_sizes(&attributes, &place, warnings);
                let exchange = Exchange::read(span, &place, &attributes, &resource, faults);
                take(resource_spans, scope_spans, exchange);
            }
        }
    }
}

/// A span of a trace document with what it stands under, shared with the others there.
#[cfg(feature = "embedded")]
#[derive(Debug, Clone)]
pub(crate) struct ScopedSpan {
    /// `resource`; `null` where there is none.
    pub(crate) resource: Arc<Value>,
    /// `scope`; `null` where there is none.
    pub(crate) scope: Arc<Value>,
    /// The span.
    pub(crate) exchange: Exchange,
}

/// The spans of a trace document that stands by itself, in document order.
///
/// # Errors
///
/// Every value of the wrong shape, with its place in the document.
#[cfg(feature = "embedded")]
pub(crate) fn read_spans(trace: &Value) -> Result<Vec<ScopedSpan>, CaseError> {
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
    read_trace(trace, &Place::root(), &mut Vec::new(), &mut faults, take);
    faults.into_result(spans)
}

fn note_sizes(attributes: &[Attribute], place: &Place, warnings: &mut Vec<String>) {
    if attributes.len() > MOST_ATTRIBUTES {
        let found = attributes.len();
        warnings.push(format!(
            "{place}: {found} attributes; {MOST_ATTRIBUTES} a span are advised at the most"
        ));
    }
    for attribute in attributes {
        if let Any::Text(text) = &attribute.value
            && text.len() > LONGEST_STRING
        {
            warnings.push(format!(
                "{place}: {} is {} bytes long; {LONGEST_STRING} are advised at the most",
                attribute.key,
                text.len()
            ));
        }
    }
}

/// An attribute at its place.
#[derive(Debug, Clone)]
pub(super) struct Attribute {
    pub(super) key: String,
    pub(super) value: Any,
    pub(super) place: Place,
}

fn attributes(owner: &Value, place: &Place, faults: &mut Faults) -> Vec<Attribute> {
    let mut attributes = Vec::new();
    for (attribute, place) in children(owner, "attributes", place, faults) {
        let Some(key) = attribute.get("key").and_then(Value::as_str) else {
            faults.add(&place, "an attribute needs a `key`");
            continue;
        };
        let place = place.key("value");
        let value = field(attribute, "value").map_or(Ok(Any::None), Any::read);
        match value {
            Ok(value) => attributes.push(Attribute {
                key: key.to_owned(),
                value,
                place,
            }),
            Err(why) => faults.add(&place, format!("{key}: {why}")),
        }
    }
    attributes
}

fn resource_attributes(owner: &Value, place: &Place, faults: &mut Faults) -> Vec<Attribute> {
    match field(owner, "resource") {
        None => Vec::new(),
        Some(resource) => attributes(resource, &place.key("resource"), faults),
    }
}

fn children<'a>(
    owner: &'a Value,
    name: &str,
    place: &Place,
    faults: &mut Faults,
) -> Vec<(&'a Value, Place)> {
    if !owner.is_object() {
        faults.add(place, "expected an object");
        return Vec::new();
    }
    let place = place.key(name);
    let Some(value) = field(owner, name) else {
        return Vec::new();
    };
    let children = list(value, &place, faults).iter().enumerate();
    children.map(|(n, child)| (child, place.index(n))).collect()
}

fn list<'a>(value: &'a Value, place: &Place, faults: &mut Faults) -> &'a [Value] {
    match value.as_array() {
        Some(list) => list,
        None => {
            faults.add(place, "expected a list");
            &[]
        }
    }
}

fn required_text(document: &Value, name: &'static str, faults: &mut Faults) -> Option<String> {
    if field(document, name).is_none() {
        faults.0.push(CaseError::Missing { field: name });
    }
    optional_text(document, name, faults)
}

fn optional_text(document: &Value, name: &str, faults: &mut Faults) -> Option<String> {
    match field(document, name)? {
        Value::String(text) => Some(text.clone()),
        _ => {
            faults.add(&Place::root().key(name), "expected a string");
            None
        }
    }
}

fn optional_list<'a>(document: &'a Value, name: &str, faults: &mut Faults) -> &'a [Value] {
    match field(document, name) {
        None => &[],
        Some(value) => list(value, &Place::root().key(name), faults),
    }
}
