//! Converts protobuf to the JSON of a trace document.

use prost::Message as _;
use serde_json::{Map, Value, json};

use super::message::{
    AnyValue, ArrayValue, Event, InstrumentationScope, KeyValue, KeyValueList, Kind, Link,
    Resource, ResourceSpans, ScopeSpans, Span, Status, TracesData,
};
use crate::base::encoding::encode_base64;

/// Decodes a trace document from protobuf to OTLP's own JSON.
///
/// # Errors
///
/// A message that names the malformed field.
pub(crate) fn decode(bytes: &[u8]) -> Result<Value, String> {
    let data = TracesData::decode(bytes).map_err(|error| error.to_string())?;
    let resources = data.resource_spans.into_iter().map(resource_to_json);
    Ok(json!({"resourceSpans": resources.collect::<Vec<_>>()}))
}

/// Builds a JSON object without the members that hold protobuf's default values, which OTLP's JSON omits.
fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let says_something = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty() && text != "0",
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Array(elements) => !elements.is_empty(),
        _ => true,
    };
    members
        .into_iter()
        .filter(|(_, value)| says_something(value))
        .map(|(name, value)| (name.to_owned(), value))
        .collect::<Map<_, _>>()
        .into()
}

fn list<T>(items: Vec<T>, to_json: impl Fn(T) -> Value) -> Value {
    items.into_iter().map(to_json).collect()
}

fn resource_to_json(resource_spans: ResourceSpans) -> Value {
    let ResourceSpans {
        resource,
        scope_spans,
        schema_url,
    } = resource_spans;
    let resource = resource.map(|resource| {
        let Resource {
            attributes,
            dropped_attributes_count,
        } = resource;
        object([
            ("attributes", list(attributes, attribute_to_json)),
            ("droppedAttributesCount", dropped_attributes_count.into()),
        ])
    });
    object([
        ("resource", resource.into()),
        ("scopeSpans", list(scope_spans, scope_to_json)),
        ("schemaUrl", schema_url.into()),
    ])
}

fn scope_to_json(scope_spans: ScopeSpans) -> Value {
    let ScopeSpans {
        scope,
        spans,
        schema_url,
    } = scope_spans;
    let scope = scope.map(|scope| {
        let InstrumentationScope {
            name,
            version,
            attributes,
            dropped_attributes_count,
        } = scope;
        object([
            ("name", name.into()),
            ("version", version.into()),
            ("attributes", list(attributes, attribute_to_json)),
            ("droppedAttributesCount", dropped_attributes_count.into()),
        ])
    });
    object([
        ("scope", scope.into()),
        ("spans", list(spans, span_to_json)),
        ("schemaUrl", schema_url.into()),
    ])
}

fn span_to_json(span: Span) -> Value {
    let Span {
        trace_id,
        span_id,
        trace_state,
        parent_span_id,
        name,
        kind,
        start_time_unix_nano,
        end_time_unix_nano,
        attributes,
        dropped_attributes_count,
        events,
        dropped_events_count,
        links,
        dropped_links_count,
        status,
        flags,
    } = span;
    let status = status.map(|Status { message, code }| {
        object([("message", message.into()), ("code", code.into())])
    });
    object([
        ("traceId", hex::encode(&trace_id).into()),
        ("spanId", hex::encode(&span_id).into()),
        ("traceState", trace_state.into()),
        ("parentSpanId", hex::encode(&parent_span_id).into()),
        ("name", name.into()),
        ("kind", kind.into()),
        ("startTimeUnixNano", start_time_unix_nano.to_string().into()),
        ("endTimeUnixNano", end_time_unix_nano.to_string().into()),
        ("attributes", list(attributes, attribute_to_json)),
        ("droppedAttributesCount", dropped_attributes_count.into()),
        ("events", list(events, event_to_json)),
        ("droppedEventsCount", dropped_events_count.into()),
        ("links", list(links, link_to_json)),
        ("droppedLinksCount", dropped_links_count.into()),
        ("status", status.into()),
        ("flags", flags.into()),
    ])
}

fn event_to_json(event: Event) -> Value {
    let Event {
        time_unix_nano,
        name,
        attributes,
        dropped_attributes_count,
    } = event;
    object([
        ("timeUnixNano", time_unix_nano.to_string().into()),
        ("name", name.into()),
        ("attributes", list(attributes, attribute_to_json)),
        ("droppedAttributesCount", dropped_attributes_count.into()),
    ])
}

fn link_to_json(link: Link) -> Value {
    let Link {
        trace_id,
        span_id,
        trace_state,
        attributes,
        dropped_attributes_count,
        flags,
    } = link;
    object([
        ("traceId", hex::encode(&trace_id).into()),
        ("spanId", hex::encode(&span_id).into()),
        ("traceState", trace_state.into()),
        ("attributes", list(attributes, attribute_to_json)),
        ("droppedAttributesCount", dropped_attributes_count.into()),
        ("flags", flags.into()),
    ])
}

fn attribute_to_json(attribute: KeyValue) -> Value {
    let KeyValue { key, value } = attribute;
    json!({"key": key, "value": value.map_or_else(|| json!({}), value_to_json)})
}

fn value_to_json(value: AnyValue) -> Value {
    match value.value {
        None => json!({}),
        Some(Kind::Text(text)) => json!({"stringValue": text}),
        Some(Kind::Bool(flag)) => json!({"boolValue": flag}),
        Some(Kind::Int(number)) => json!({"intValue": number.to_string()}),
        // JSON has no NaN or infinities; protobuf's JSON mapping writes them as strings.
        Some(Kind::Double(number)) if number.is_finite() => json!({"doubleValue": number}),
        Some(Kind::Double(number)) => json!({"doubleValue": number.to_string()}),
        Some(Kind::Bytes(bytes)) => json!({"bytesValue": encode_base64(&bytes)}),
        Some(Kind::List(ArrayValue { values })) => {
            json!({"arrayValue": {"values": list(values, value_to_json)}})
        }
        Some(Kind::Map(KeyValueList { values })) => {
            json!({"kvlistValue": {"values": list(values, attribute_to_json)}})
        }
    }
}
