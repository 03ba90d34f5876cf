//! The fields of a suite, and the JSON Schema made from them for editors.

use serde_json::{Map, Value, json};

use super::assertions::ASSERTIONS;
use super::mocks::{MOCKS, UNUSED};
use super::request::REQUEST;
use crate::reader::{Field, Fields, Shape};
use crate::rule::POLICY;

const REQUEST_FIELD: Field = Field::new(
    "request",
    Shape::Either(&[Shape::Object(&REQUEST), Shape::Null]),
    "what is sent to the application",
);
const POLICY_FIELD: Field = Field::new(
    "policy",
    Shape::Either(&[Shape::Object(&POLICY), Shape::Null]),
    "what happens to outbound calls that no mock answers",
);
const MOCKS_FIELD: Field = Field::new("mocks", MOCKS, "what answers the outbound calls");
const ASSERTIONS_FIELD: Field = Field::new(
    "assertions",
    Shape::Either(&[Shape::Object(&ASSERTIONS), Shape::Null]),
    "what is asserted about the answer",
);

/// The settings that stand in `defaults`, at the top level, and in an entry's `overrides`.
pub(super) const SETTINGS: Fields = Fields {
    title: "settings",
    list: &[
        REQUEST_FIELD,
        POLICY_FIELD,
        MOCKS_FIELD,
        ASSERTIONS_FIELD,
        UNUSED,
    ],
};

/// An entry of `cases` that is an object.
pub(super) const ENTRY: Fields = Fields {
    title: "entry",
    list: &[
        Field::required(
            "path",
            Shape::Text,
            "a case file or a glob, relative to the suite's file, else to the project's root",
        ),
        Field::new(
            "name",
            Shape::Text,
            "the display name; a prefix where the glob finds several files",
        ),
        Field::new(
            "overrides",
            Shape::Either(&[Shape::Object(&SETTINGS), Shape::Null]),
            "replaces defaults whole; mocks are merged by name",
        ),
        Field::new(
            "skip",
            Shape::Either(&[Shape::Flag, Shape::Text, Shape::Null]),
            "true, or the reason why it is not run",
        ),
        Field::new("only", Shape::Flag, "every entry without it is ignored"),
    ],
};

/// A whole suite.
pub(super) const SUITE: Fields = Fields {
    title: "suite",
    list: &[
        Field::required("name", Shape::Text, "the first part of every trial's name"),
        Field::new("version", Shape::Integer(1, 1), "the format's version"),
        Field::required(
            "cases",
            Shape::Either(&[
                Shape::Text,
                Shape::Object(&ENTRY),
                Shape::List(&Shape::Either(&[Shape::Text, Shape::Object(&ENTRY)])),
            ]),
            "a glob, or a list of globs and entries",
        ),
        Field::new(
            "env",
            Shape::Either(&[Shape::Map(&Shape::Scalar), Shape::Null]),
            "variables for ${NAME}; the process's environment wins over them",
        ),
        Field::new(
            "hooks",
            Shape::Either(&[Shape::List(&Shape::Text), Shape::Null]),
            "hook files of other languages: .ts, .mts, .js, .mjs, .py",
        ),
        Field::new(
            "defaults",
            Shape::Either(&[Shape::Object(&SETTINGS), Shape::Null]),
            "the settings of every case",
        ),
        REQUEST_FIELD,
        POLICY_FIELD,
        MOCKS_FIELD,
        ASSERTIONS_FIELD,
        UNUSED,
    ],
};

/// The JSON Schema (draft 7, which editors know) of a suite's YAML.
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
            // In draft 7 nothing beside a `$ref` counts.
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
                // Claimed first: fields may hold themselves.
                definitions.insert(fields.title.to_owned(), Value::Null);
                let schema = object(fields, definitions);
                definitions.insert(fields.title.to_owned(), schema);
            }
            json!({"$ref": format!("#/definitions/{}", fields.title)})
        }
    }
}

/// Where a variable stands, its value decides.
const VARIABLE: &str = r"\$\{";

/// Text that reads as the value counts as one, and a variable may become it.
fn or_text(schema: Value, reads_as: &str) -> Value {
    json!({"anyOf": [schema, {"type": "string", "pattern": format!(r"^({reads_as})$|{VARIABLE}")}]})
}
