//! The fields that say how bodies are compared, with their shapes and the descriptions that editors show.

use super::rules::{BODY_MODES, Matcher, WORDS};
use crate::base::document::{Field, Fields, Shape, names};

const REDACTION: Fields = Fields {
    title: "redaction",
    list: &[
        Field::required(
            "path",
            Shape::Text,
            "a JSONPath that selects the values to replace",
        ),
        Field::new(
            "replacement",
            Shape::Any,
            "the value to use instead; defaults to [redacted]",
        ),
    ],
};

const MATCHER: Fields = Fields {
    title: "matcher",
    list: &[
        Field::new(
            "type",
            Shape::Choice(|| Matcher::TYPES.to_vec()),
            "the JSON type that the value must have",
        ),
        Field::new(
            "regex",
            Shape::Text,
            "a regular expression to find in the value, which must be a string",
        ),
        Field::new(
            "near",
            Shape::Number,
            "the number that the value must be close to; needs `by`",
        ),
        Field::new(
            "by",
            Shape::Number,
            "the largest difference from `near` that is allowed",
        ),
    ],
};

const PATHS: Shape = Shape::List(&Shape::Text);

/// The fields that say how bodies are compared, wherever that is said.
pub(crate) const BODY_COMPARISON: [Field; 4] = [
    Field::new(
        "mode",
        Shape::Choice(|| names(&BODY_MODES)),
        "how bodies are compared; defaults to json-subset",
    ),
    Field::new(
        "ignore",
        PATHS,
        "JSONPaths of values to remove from both sides before comparing",
    ),
    Field::new(
        "unordered",
        PATHS,
        "JSONPaths of arrays whose order does not matter",
    ),
    Field::new(
        "match",
        Shape::Map(&Shape::Either(&[
            Shape::Choice(|| names(&WORDS)),
            Shape::Object(&MATCHER),
        ])),
        "JSONPaths, each with a matcher for every selected value, whatever was captured",
    ),
];

/// The fields of `assertions.body`.
pub(crate) const BODY: Fields = Fields {
    title: "bodyAssertions",
    list: &[
        BODY_COMPARISON[0],
        BODY_COMPARISON[1],
        BODY_COMPARISON[2],
        BODY_COMPARISON[3],
        Field::new(
            "redactions",
            Shape::List(&Shape::Object(&REDACTION)),
            "values to replace on both sides before comparing; they are never printed",
        ),
        Field::new(
            "expected",
            Shape::Any,
            "the expected body, instead of the captured one",
        ),
        Field::new("custom", Shape::Text, "the name of a body assert hook"),
    ],
};

#[cfg(test)]
mod tests {
    use super::super::rules::{COMPARISON_FIELDS, MATCHER_FIELDS, REDACTION_FIELDS};
    use super::*;

    #[test]
    fn editors_are_shown_the_fields_that_are_read() {
        assert_eq!(BODY_COMPARISON.map(|field| field.name), COMPARISON_FIELDS);
        assert_eq!(REDACTION.names(), REDACTION_FIELDS);
        assert_eq!(MATCHER.names(), MATCHER_FIELDS);
    }
}
