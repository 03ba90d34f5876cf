//! The fields of rules and policies, with their shapes and the descriptions that editors show.

use super::policy::{MISS_WORDS, MODES};
use super::when::DIRECTIONS;
use crate::base::document::{Field, Fields, Shape, names};
use crate::compare::BODY_COMPARISON;

/// The fields of the predicate `body`.
pub(super) const BODY: Fields = Fields {
    title: "bodyPredicate",
    list: &[
        Field::new(
            "equals",
            Shape::Any,
            "a text that the body must equal, or JSON that it must equal by value",
        ),
        Field::new(
            "regex",
            Shape::Text,
            "a regular expression to find in the body",
        ),
        Field::new(
            "form",
            Shape::Map(&Shape::Scalar),
            "names of form fields, each with a value that the body must have",
        ),
        Field::new(
            "like",
            Shape::Any,
            "a body that this one must match, as captured bodies are compared; a text is compared as JSON if it \
             is JSON",
        ),
        BODY_COMPARISON[0],
        BODY_COMPARISON[1],
        BODY_COMPARISON[2],
        BODY_COMPARISON[3],
    ],
};

/// The predicates of a `when`, and of a mock's `match`.
pub(crate) const WHEN: Fields = Fields {
    title: "match",
    list: &[
        Field::new(
            "direction",
            Shape::Choice(|| names(&DIRECTIONS)),
            "the direction of the call, seen from the application; defaults to outbound",
        ),
        Field::new("service", Shape::Text, "the service that makes the call"),
        Field::new(
            "method",
            Shape::Text,
            "the HTTP method, compared without regard to case",
        ),
        Field::new(
            "host",
            Shape::Text,
            "the host, compared without regard to case; without a port it matches any port",
        ),
        Field::new(
            "hostSuffix",
            Shape::Text,
            "what the host must end with: stripe.com matches api.stripe.com",
        ),
        Field::new(
            "notHostSuffix",
            Shape::List(&Shape::Text),
            "endings that the host must not have",
        ),
        Field::new(
            "path",
            Shape::Text,
            "the path, compared without its query; if it contains a `?`, compared with path and query",
        ),
        Field::new("pathPrefix", Shape::Text, "what the path must start with"),
        Field::new(
            "pathRegex",
            Shape::Text,
            "a regular expression that the whole path must match",
        ),
        Field::new(
            "query",
            Shape::Map(&Shape::Scalar),
            "names of query parameters, each with a value that the request must have",
        ),
        Field::new(
            "headers",
            Shape::Map(&Shape::Either(&[Shape::Scalar, Shape::List(&Shape::Text)])),
            "header names, each with a value or a list of values, all of which the request must have",
        ),
        Field::new(
            "headerMatch",
            Shape::Map(&Shape::Scalar),
            "header names, each with a regular expression to find in a value",
        ),
        Field::new(
            "bodyJsonPath",
            Shape::Text,
            "a JSONPath that must select something in the request's body",
        ),
        Field::new(
            "bodyJsonPathEquals",
            Shape::Map(&Shape::Any),
            "JSONPaths, each with a value that one of the selected nodes must equal",
        ),
        Field::new(
            "body",
            Shape::Object(&BODY),
            "what the request's body must be",
        ),
        Field::new(
            "traceTags",
            Shape::Map(&Shape::Any),
            "attributes of the inject span, each with the value that it must have",
        ),
        Field::new(
            "traceTagEquals",
            Shape::Map(&Shape::Any),
            "further attributes, as in traceTags",
        ),
    ],
};

const HEADERS: Shape = Shape::Map(&Shape::Either(&[
    Shape::Scalar,
    Shape::List(&Shape::Scalar),
    Shape::Map(&Shape::Text),
]));

/// The fields of a response.
pub(crate) const RESPONSE: Fields = Fields {
    title: "response",
    list: &[
        Field::new("status", Shape::Integer(200, 999), "the HTTP status"),
        Field::new(
            "headers",
            HEADERS,
            "header names, each with a value or a list of values; {base64: …} is a value that is not text",
        ),
        Field::new(
            "body",
            Shape::Any,
            "the body; a string is sent as it is, anything else as JSON",
        ),
        Field::new(
            "bodyEncoding",
            Shape::Choice(|| vec!["base64"]),
            "the encoding of `body`: base64, for a body that is not text",
        ),
        Field::new(
            "trailers",
            HEADERS,
            "header fields that follow the body, such as gRPC's grpc-status",
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
            "whether unmatched calls pass (allow, the default) or are misses, which fail the case (strict)",
        ),
        Field::new(
            "externalAllowlist",
            HOSTS,
            "hosts, including their subdomains, that pass even under strict",
        ),
        Field::new(
            "allowHosts",
            HOSTS,
            "further hosts, as in externalAllowlist",
        ),
        Field::new(
            "blockHosts",
            HOSTS,
            "hosts, including their subdomains, that miss even under allow",
        ),
        Field::new(
            "defaultOnMiss",
            Shape::Choice(|| names(&MISS_WORDS)),
            "how allow treats unmatched calls: it forwards them (passthrough, the default), answers them \
             as misses (error), or answers them with `mock` (mock)",
        ),
        Field::new(
            "mock",
            Shape::Object(&RESPONSE),
            "the response for defaultOnMiss: mock; its status defaults to 200",
        ),
        Field::new(
            "internalHttp",
            Shape::Choice(|| names(&MODES)),
            "like externalHttp, for loopback addresses, names without a dot and names below .localhost; defaults to externalHttp",
        ),
        Field::new(
            "ambient",
            HOSTS,
            "hosts, including their subdomains, that the application calls on its own behalf; calls to them that \
             carry no session fail no case",
        ),
    ],
};
