//! The JSON Schema of suites, for editors, made from the tables that the reader uses.

use serde_json::{Map, Value, json};

use super::fields::SUITE;
use crate::base::document::{Fields, Shape};

/// Returns the JSON Schema of a suite's YAML (draft 7, which editors support).
pub(crate) fn schema() -> Value {
    let mut definitions = Map::new();
    let suite = object(&SUITE, &mut definitions);
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "softprobe suite",
        "description": "which captured cases to replay, and what to assert",
    });
    if let (Some(schema), Value::Object(suite)) = (schema.as_object_mut(), suite) {
        schema.extend(suite);
        schema.insert("definitions".to_owned(), definitions.into());
    }
    schema
}

fn object(fields: &Fields, definitions: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for field in fields.list {
        let mut schema = of(&field.shape, definitions);
        if schema.get("$ref").is_some() {
            // Draft 7 ignores everything next to a `$ref`.
            schema = json!({"allOf": [schema]});
        }
        schema["description"] = field.doc.into();
        properties.insert(field.name.to_owned(), schema);
    }
    let required: Vec<&str> = fields
        .list
        .iter()
        .filter(|field| field.required)
        .map(|field| field.name)
        .collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

fn of(shape: &Shape, definitions: &mut Map<String, Value>) -> Value {
    match shape {
        Shape::Any => json!({}),
        Shape::Null => json!({"type": "null"}),
        Shape::Text => json!({"type": "string"}),
        Shape::Scalar => json!({"type": ["string", "number", "boolean"]}),
        Shape::Flag => or_text(json!({"type": "boolean"}), "true|false"),
        Shape::Number => or_text(
            json!({"type": "number"}),
            r"\s*[-+]?[0-9.]+([eE][-+]?[0-9]+)?\s*",
        ),
        Shape::Integer(min, max) => {
            let mut integer = json!({"type": "integer"});
            if *min > i64::MIN {
                integer["minimum"] = (*min).into();
            }
            if *max < i64::MAX {
                integer["maximum"] = (*max).into();
            }
            or_text(integer, r"\s*[-+]?[0-9]+\s*")
        }
        Shape::Choice(words) => {
            json!({"anyOf": [{"enum": words()}, {"type": "string", "pattern": VARIABLE}]})
        }
        Shape::List(element) => {
            json!({"type": "array", "items": of(element, definitions)})
        }
        Shape::Map(value) => {
            json!({"type": "object", "additionalProperties": of(value, definitions)})
        }
        Shape::Either(shapes) => {
            let shapes: Vec<Value> = shapes.iter().map(|s| of(s, definitions)).collect();
            json!({"anyOf": shapes})
        }
        Shape::Object(fields) => {
            if !definitions.contains_key(fields.title) {
                // The name is reserved first, since an object's fields may contain the object itself.
                definitions.insert(fields.title.to_owned(), Value::Null);
                let schema = object(fields, definitions);
                definitions.insert(fields.title.to_owned(), schema);
            }
            json!({"$ref": format!("#/definitions/{}", fields.title)})
        }
    }
}

/// Matches text that contains a variable, which is accepted because its value is not known here.
const VARIABLE: &str = r"\$\{";

/// Extends a schema to accept text that can be read as the value, or that contains a variable.
fn or_text(schema: Value, reads_as: &str) -> Value {
    json!({"anyOf": [schema, {"type": "string", "pattern": format!(r"^({reads_as})$|{VARIABLE}")}]})
}
