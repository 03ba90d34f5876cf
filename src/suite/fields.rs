//! The fields of a suite, its settings and its entries. The fields within each setting are defined
//! next to the code that reads it.

use super::app::APP_FIELD;
use super::assertions::ASSERTIONS;
use super::mocks::{MOCKS, UNUSED};
use super::outbound::OUTBOUND_FIELD;
use super::request::REQUEST;
use crate::base::document::{Field, Fields, Shape, names};
use crate::rule::POLICY;

const REQUEST_FIELD: Field = Field::new(
    "request",
    Shape::Either(&[Shape::Object(&REQUEST), Shape::Null]),
    "the request to send to the application",
);
const POLICY_FIELD: Field = Field::new(
    "policy",
    Shape::Either(&[Shape::Object(&POLICY), Shape::Null]),
    "what happens to outbound calls that no mock answers",
);
const MOCKS_FIELD: Field = Field::new(
    "mocks",
    MOCKS,
    "what answers outbound calls: auto, which replays every captured outbound exchange, a list of mocks, or both: {auto, rules}",
);
const ASSERTIONS_FIELD: Field = Field::new(
    "assertions",
    Shape::Either(&[Shape::Object(&ASSERTIONS), Shape::Null]),
    "what to assert about the application's answer",
);

/// The settings that may be given in `defaults`, at the top level and in an entry's `overrides`.
pub(super) const SETTINGS: Fields = Fields {
    title: "settings",
    list: &[
        REQUEST_FIELD,
        POLICY_FIELD,
        MOCKS_FIELD,
        ASSERTIONS_FIELD,
        OUTBOUND_FIELD,
        UNUSED,
    ],
};

/// The fields of an entry of `cases` that is an object.
pub(super) const ENTRY: Fields = Fields {
    title: "entry",
    list: &[
        Field::required(
            "path",
            Shape::Text,
            "a case file or a glob, looked up in the suite file's folder, then in the project's root",
        ),
        Field::new(
            "name",
            Shape::Text,
            "the display name; used as a prefix if the glob matches several files",
        ),
        Field::new(
            "overrides",
            Shape::Either(&[Shape::Object(&SETTINGS), Shape::Null]),
            "settings for this entry; each replaces the default as a whole, except that mocks are merged \
             by name",
        ),
        Field::new(
            "skip",
            Shape::Either(&[Shape::Flag, Shape::Text, Shape::Null]),
            "whether to skip this entry: true, false, or the reason for skipping it",
        ),
        Field::new(
            "only",
            Shape::Flag,
            "whether to ignore every entry without `only`",
        ),
    ],
};

/// The values of `concurrency`, each with whether the cases run one at a time.
pub(super) const CONCURRENCY: [(&str, bool); 1] = [("serial", true)];

/// The fields of a suite.
pub(super) const SUITE: Fields = Fields {
    title: "suite",
    list: &[
        Field::required("name", Shape::Text, "the first part of every trial's name"),
        Field::new(
            "version",
            Shape::Integer(1, 1),
            "the version of the suite format",
        ),
        Field::required(
            "cases",
            Shape::Either(&[
                Shape::Text,
                Shape::Object(&ENTRY),
                Shape::List(&Shape::Either(&[Shape::Text, Shape::Object(&ENTRY)])),
            ]),
            "a glob, an entry, or a list of globs and entries",
        ),
        APP_FIELD,
        Field::new(
            "concurrency",
            Shape::Choice(|| names(&CONCURRENCY)),
            "serial runs the suite's cases one at a time and beside no other, for an application that passes no trace \
             headers on",
        ),
        Field::new(
            "env",
            Shape::Either(&[Shape::Map(&Shape::Scalar), Shape::Null]),
            "variables for ${NAME}; the process's environment and --env-file take precedence",
        ),
        Field::new(
            "hooks",
            Shape::Either(&[Shape::List(&Shape::Text), Shape::Null]),
            "hook files in other languages: .ts, .mts, .js, .mjs, .py",
        ),
        Field::new(
            "defaults",
            Shape::Either(&[Shape::Object(&SETTINGS), Shape::Null]),
            "settings that apply to every case",
        ),
        REQUEST_FIELD,
        POLICY_FIELD,
        MOCKS_FIELD,
        ASSERTIONS_FIELD,
        OUTBOUND_FIELD,
        UNUSED,
    ],
};
