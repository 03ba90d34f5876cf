//! The case document: required fields, the walk over its spans, the size guidance.

use serde_json::Value;
use thiserror::Error;

use super::otlp::{Any, field};
use super::{Case, Exchange, inbound};
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

pub(super) fn shape(place: &Place, message: impl Into<String>) -> CaseError {
    CaseError::Shape {
        place: place.to_string(),
        message: message.into(),
    }
}

/// Reads a whole document.
pub(super) fn read(document: Value) -> Result<Case, CaseError> {
    let root = Place::root();
    if !document.is_object() {
        return Err(shape(&root.key("$"), "a case is a JSON object"));
    }
    let version = required_text(&document, "version")?;
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    let major = numbers[0];
    if numbers.len() > 3 || numbers.iter().any(|number| number.parse::<u64>().is_err()) {
        return Err(shape(
            &root.key("version"),
            format!("`{version}` is not a version such as `1.0.0`"),
        ));
    }
    if major != "1" {
        return Err(CaseError::Version { found: version });
    }
    let id = required_text(&document, "caseId")?;
    let mode = optional_text(&document, "mode")?;
    if let Some(mode) = &mode
        && !["capture", "replay", "generate"].contains(&mode.as_str())
    {
        return Err(shape(
            &root.key("mode"),
            format!("`{mode}` is not one of capture, replay, generate"),
        ));
    }

    let mut warnings = Vec::new();
    let mut exchanges = read_traces(&document, &mut warnings)?;
    exchanges.sort_by_key(|x| x.start_ns);
    let inbound = inbound::find(&exchanges);
    if let Ok(Some(n)) = inbound {
        exchanges[n].direction = Some(crate::http::Direction::Inbound);
    }

    Ok(Case {
        id,
        suite: optional_text(&document, "suite")?,
        mode,
        created_at: optional_text(&document, "createdAt")?,
        rules: optional_list(&document, "rules")?.to_vec(),
        fixtures: optional_list(&document, "fixtures")?
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
    })
}

fn read_traces(document: &Value, warnings: &mut Vec<String>) -> Result<Vec<Exchange>, CaseError> {
    let place = Place::root().key("traces");
    let traces = match field(document, "traces") {
        None => return Err(CaseError::Missing { field: "traces" }),
        Some(traces) => list(traces, &place)?,
    };
    let mut exchanges = Vec::new();
    for (t, trace) in traces.iter().enumerate() {
        let place = place.index(t);
        let size = trace.to_string().len();
        if size > LARGEST_TRACE {
            warnings.push(format!(
                "{place}: {size} bytes; {LARGEST_TRACE} are advised at the most"
            ));
        }
        for (resource_spans, place) in children(trace, "resourceSpans", &place)? {
            let resource = resource_attributes(resource_spans, &place)?;
            for (scope_spans, place) in children(resource_spans, "scopeSpans", &place)? {
                for (span, place) in children(scope_spans, "spans", &place)? {
                    let attributes = attributes(span, &place)?;
                    note_sizes(&attributes, &place, warnings);
                    exchanges.push(Exchange::read(span, &place, &attributes, &resource)?);
                }
            }
        }
    }
    if exchanges.len() > MOST_SPANS {
        let found = exchanges.len();
        warnings.push(format!(
            "{found} spans; {MOST_SPANS} a case are advised at the most"
        ));
    }
    Ok(exchanges)
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

pub(super) fn attributes(owner: &Value, place: &Place) -> Result<Vec<Attribute>, CaseError> {
    let mut attributes = Vec::new();
    for (attribute, place) in children(owner, "attributes", place)? {
        let key = attribute.get("key").and_then(Value::as_str);
        let key = key.ok_or_else(|| shape(&place, "an attribute needs a `key`"))?;
        let place = place.key("value");
        let value = match field(attribute, "value") {
            None => Any::Other,
            Some(value) => {
                Any::read(value).map_err(|why| shape(&place, format!("{key}: {why}")))?
            }
        };
        attributes.push(Attribute {
            key: key.to_owned(),
            value,
            place,
        });
    }
    Ok(attributes)
}

fn resource_attributes(owner: &Value, place: &Place) -> Result<Vec<Attribute>, CaseError> {
    match field(owner, "resource") {
        None => Ok(Vec::new()),
        Some(resource) => attributes(resource, &place.key("resource")),
    }
}

fn children<'a>(
    owner: &'a Value,
    name: &str,
    place: &Place,
) -> Result<Vec<(&'a Value, Place)>, CaseError> {
    if !owner.is_object() {
        return Err(shape(place, "expected an object"));
    }
    let place = place.key(name);
    match field(owner, name) {
        None => Ok(Vec::new()),
        Some(value) => Ok(list(value, &place)?
            .iter()
            .enumerate()
            .map(|(n, child)| (child, place.index(n)))
            .collect()),
    }
}

fn list<'a>(value: &'a Value, place: &Place) -> Result<&'a [Value], CaseError> {
    let list = value
        .as_array()
        .ok_or_else(|| shape(place, "expected a list"))?;
    Ok(list)
}

fn required_text(document: &Value, name: &'static str) -> Result<String, CaseError> {
    optional_text(document, name)?.ok_or(CaseError::Missing { field: name })
}

fn optional_text(document: &Value, name: &str) -> Result<Option<String>, CaseError> {
    match field(document, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(shape(&Place::root().key(name), "expected a string")),
    }
}

fn optional_list<'a>(document: &'a Value, name: &str) -> Result<&'a [Value], CaseError> {
    match field(document, name) {
        None => Ok(&[]),
        Some(value) => list(value, &Place::root().key(name)),
    }
}
