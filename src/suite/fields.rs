//! The fields of a suite, of its settings and of its entries; those of each setting stand beside its reader.

use super::assertions::ASSERTIONS;
use super::mocks::{MOCKS, UNUSED};
use super::request::REQUEST;
use crate::base::document::{Field, Fields, Shape};
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
