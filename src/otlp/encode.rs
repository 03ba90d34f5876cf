//! Converts the JSON of a trace document, in any of its dialects, to protobuf.

use prost::Message as _;
use serde_json::Value;

use super::json::{Any, field};
use super::message::{
    AnyValue, ArrayValue, Event, InstrumentationScope, KeyValue, KeyValueList, Kind, Link,
    Resource, ResourceSpans, ScopeSpans, Span, Status, TracesData,
};
use crate::base::document::{Place, Problem};
use crate::base::encoding::decode_base64;

/// Encodes a trace document as protobuf, from JSON in any of its dialects.
///
/// # Errors
///
/// The first value that does not fit, with its place.
pub(crate) fn encode(document: &Value) -> Result<Vec<u8>, Problem> {
    let root = At {
        value: document,
        place: Place::root(),
    };
    let data = TracesData {
        resource_spans: root.each("resourceSpans", |resource| resource.resource_spans())?,
    };
    Ok(data.encode_to_vec())
}

/// A value at its place in a document.
struct At<'a> {
    value: &'a Value,
    place: Place,
}

impl<'a> At<'a> {
    fn get(&self, name: &str) -> Option<At<'a>> {
        Some(At {
            value: field(self.value, name)?,
            place: self.place.key(name),
        })
    }

    fn each<T>(
        &self,
        name: &str,
        read: impl Fn(At<'a>) -> Result<T, Problem>,
    ) -> Result<Vec<T>, Problem> {
        if !self.value.is_object() {
            return self.wrong("expected an object");
        }
        let Some(list) = self.get(name) else {
            return Ok(Vec::new());
        };
        let Some(elements) = list.value.as_array() else {
            return list.wrong("expected a list");
        };
        let elements = elements.iter().enumerate().map(|(n, value)| At {
            value,
            place: list.place.index(n),
        });
        elements.map(read).collect()
    }

    fn wrong<T>(&self, message: impl Into<String>) -> Result<T, Problem> {
        Err(Problem {
            place: self.place.clone(),
            message: message.into(),
        })
    }

    fn text(&self, name: &str) -> Result<String, Problem> {
        match self.get(name) {
            None => Ok(String::new()),
            Some(at) => match at.value.as_str() {
                Some(text) => Ok(text.to_owned()),
                None => at.wrong("expected a string"),
            },
        }
    }

    /// Reads an integer, written as a number or as text; 0 if it is absent.
    fn number<T: TryFrom<i128> + Default>(&self, name: &str) -> Result<T, Problem> {
        let Some(at) = self.get(name) else {
            return Ok(T::default());
        };
        let number = match at.value {
            Value::Number(number) => number.to_string().parse::<i128>().ok(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number.and_then(|number| T::try_from(number).ok()) {
            Some(number) => Ok(number),
            None => at.wrong("expected an integer that fits its field"),
        }
    }

    /// Reads an id of `len` bytes, written in hex or base64; empty if it is absent.
    fn id(&self, name: &str, len: usize) -> Result<Vec<u8>, Problem> {
        let Some(at) = self.get(name) else {
            return Ok(Vec::new());
        };
        let text = at.value.as_str().unwrap_or_default();
        if at.value == "" {
            return Ok(Vec::new());
        }
        let bytes = if text.len() == 2 * len {
            hex::decode(text).ok()
        } else {
            decode_base64(text)
        };
        match bytes {
            Some(bytes) if bytes.len() == len => Ok(bytes),
            _ => at.wrong(format!("expected {len} bytes as hex or base64")),
        }
    }

    fn resource_spans(self) -> Result<ResourceSpans, Problem> {
        let resource = match self.get("resource") {
            None => None,
            Some(at) => Some(Resource {
                attributes: at.attributes()?,
                dropped_attributes_count: at.number("droppedAttributesCount")?,
            }),
        };
        Ok(ResourceSpans {
            resource,
            scope_spans: self.each("scopeSpans", At::scope_spans)?,
            schema_url: self.text("schemaUrl")?,
        })
    }

    fn scope_spans(self) -> Result<ScopeSpans, Problem> {
        let scope = match self.get("scope") {
            None => None,
            Some(at) => Some(InstrumentationScope {
                name: at.text("name")?,
                version: at.text("version")?,
                attributes: at.attributes()?,
                dropped_attributes_count: at.number("droppedAttributesCount")?,
            }),
        };
        Ok(ScopeSpans {
            scope,
            spans: self.each("spans", At::span)?,
            schema_url: self.text("schemaUrl")?,
        })
    }

    fn span(self) -> Result<Span, Problem> {
        let status = match self.get("status") {
            None => None,
            Some(at) => Some(Status {
                message: at.text("message")?,
                code: at.named(
                    "code",
                    &["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"],
                )?,
            }),
        };
        Ok(Span {
            trace_id: self.id("traceId", 16)?,
            span_id: self.id("spanId", 8)?,
            trace_state: self.text("traceState")?,
            parent_span_id: self.id("parentSpanId", 8)?,
            name: self.text("name")?,
            kind: self.named("kind", &KINDS)?,
            start_time_unix_nano: self.number("startTimeUnixNano")?,
            end_time_unix_nano: self.number("endTimeUnixNano")?,
            attributes: self.attributes()?,
            dropped_attributes_count: self.number("droppedAttributesCount")?,
            events: self.each("events", At::event)?,
            dropped_events_count: self.number("droppedEventsCount")?,
            links: self.each("links", At::link)?,
            dropped_links_count: self.number("droppedLinksCount")?,
            status,
            flags: self.number("flags")?,
        })
    }

    /// Reads the number of an enumeration's value, written as a number or by name.
    fn named(&self, name: &str, names: &[&str]) -> Result<i32, Problem> {
        let found = self
            .get(name)
            .and_then(|at| names.iter().position(|known| at.value == *known));
        match found.and_then(|n| i32::try_from(n).ok()) {
            Some(number) => Ok(number),
            None => self.number(name),
        }
    }

    fn event(self) -> Result<Event, Problem> {
        Ok(Event {
            time_unix_nano: self.number("timeUnixNano")?,
            name: self.text("name")?,
            attributes: self.attributes()?,
            dropped_attributes_count: self.number("droppedAttributesCount")?,
        })
    }

    fn link(self) -> Result<Link, Problem> {
        Ok(Link {
            trace_id: self.id("traceId", 16)?,
            span_id: self.id("spanId", 8)?,
            trace_state: self.text("traceState")?,
            attributes: self.attributes()?,
            dropped_attributes_count: self.number("droppedAttributesCount")?,
            flags: self.number("flags")?,
        })
    }

    fn attributes(&self) -> Result<Vec<KeyValue>, Problem> {
        self.each("attributes", |at| {
            let value = match at.get("value") {
                None => None,
                Some(value) => match Any::read(value.value) {
                    Ok(any) => Some(from_any(any)),
                    Err(message) => return value.wrong(message),
                },
            };
            Ok(KeyValue {
                key: at.text("key")?,
                value,
            })
        })
    }
}

const KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

fn from_any(any: Any<'_>) -> AnyValue {
    let value = match any {
        Any::Text(text) => Some(Kind::Text(text.to_owned())),
        Any::Int(number) => Some(Kind::Int(number)),
        Any::Double(number) => Some(Kind::Double(number)),
        Any::Bool(flag) => Some(Kind::Bool(flag)),
        Any::Bytes(bytes) => Some(Kind::Bytes(bytes)),
        Any::List(values) => Some(Kind::List(ArrayValue {
            values: values.into_iter().map(from_any).collect(),
        })),
        Any::Map(members) => Some(Kind::Map(KeyValueList {
            values: members
                .into_iter()
                .map(|(key, value)| KeyValue {
                    key: key.to_owned(),
                    value: Some(from_any(value)),
                })
                .collect(),
        })),
        Any::None => None,
    };
    AnyValue { value }
}
