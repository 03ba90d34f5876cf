//! What editors show of rules and policies: the fields that their readers know, each with its shape.

use super::policy::{MISS_WORDS, MODES};
use super::when::DIRECTIONS;
use crate::base::document::{Field, Fields, Shape, names};

/// The predicates of a `when`, and of a mock's `match`.
pub(crate) const WHEN: Fields = Fields {
    title: "match",
    list: &[
        Field::new(
            "direction",
            Shape::Choice(|| names(&DIRECTIONS)),
            "which way the call crosses the application; outbound when it is not given",
        ),
        Field::new("service", Shape::Text, "the service that calls"),
        Field::new("method", Shape::Text, "the method, without regard to case"),
        Field::new(
            "host",
            Shape::Text,
            "the host, without regard to case; without a port it fits every port",
        ),
        Field::new(
            "hostSuffix",
            Shape::Text,
            "what the host ends with: stripe.com fits api.stripe.com",
        ),
        Field::new(
            "notHostSuffix",
            Shape::List(&Shape::Text),
            "what the host ends with none of",
        ),
        Field::new(
            "path",
            Shape::Text,
            "the path without its query; with a `?` in it, path and query",
        ),
        Field::new("pathPrefix", Shape::Text, "what the path starts with"),
        Field::new(
            "query",
            Shape::Map(&Shape::Scalar),
            "name to value; each is among the request's",
        ),
        Field::new(
            "headers",
            Shape::Map(&Shape::Either(&[Shape::Scalar, Shape::List(&Shape::Text)])),
            "name to value, or to values that are all among the header's",
        ),
        Field::new(
            "headerMatch",
            Shape::Map(&Shape::Scalar),
            "name to regular expression, found anywhere in a value",
        ),
        Field::new(
            "bodyJsonPath",
            Shape::Text,
            "a JSONPath that selects something in the request's body",
        ),
        Field::new(
            "bodyJsonPathEquals",
            Shape::Map(&Shape::Any),
            "JSONPath to a value that a selected node equals",
        ),
        Field::new(
            "traceTags",
            Shape::Map(&Shape::Any),
            "attribute of the inject span to its value",
        ),
        Field::new(
            "traceTagEquals",
            Shape::Map(&Shape::Any),
            "the same as traceTags",
        ),
    ],
};

/// The fields of a response.
pub(crate) const RESPONSE: Fields = Fields {
    title: "response",
    list: &[
        Field::new("status", Shape::Integer(100, 999), "the HTTP status"),
        Field::new(
            "headers",
            Shape::Map(&Shape::Either(&[
                Shape::Scalar,
                Shape::List(&Shape::Scalar),
                Shape::Map(&Shape::Text),
            ])),
            "name to value, or to a list of values for a repeated header",
        ),
        Field::new(
            "body",
            Shape::Any,
            "text as it stands; anything else is written as JSON",
        ),
        Field::new(
            "bodyEncoding",
            Shape::Choice(|| vec!["base64"]),
            "base64 for a body that is not text",
        ),
    ],
};

const HOSTS: Shape = Shape::List(&Shape::Text);

/// The fields of a policy.
pub(crate) const POLICY: Fields = Fields {
    title: "policy",
    list: &[
        Field::new(
            "externalHttp",
            Shape::Choice(|| names(&MODES)),
            "whether an unmatched call passes (allow, the default) or is a miss, which fails the case",
        ),
        Field::new(
            "externalAllowlist",
            HOSTS,
            "hosts that pass all the same, and names below them",
        ),
        Field::new("allowHosts", HOSTS, "the same as externalAllowlist"),
        Field::new("blockHosts", HOSTS, "hosts that miss even under allow"),
        Field::new(
            "defaultOnMiss",
            Shape::Choice(|| names(&MISS_WORDS)),
            "what allow does with the rest: forward it (passthrough), answer as a miss, or with `mock`",
        ),
        Field::new(
            "mock",
            Shape::Object(&RESPONSE),
            "the answer of defaultOnMiss: mock",
        ),
        Field::new(
            "internalHttp",
            Shape::Choice(|| names(&MODES)),
            "the same for loopback and single-label hosts; as externalHttp when it is not given",
        ),
    ],
};
