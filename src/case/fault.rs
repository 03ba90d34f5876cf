//! The errors of documents that are not cases, and of case files that can't be loaded.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::base::document::{MOST_TOLD, Way};

/// The reason why a document is not a case.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CaseError {
    /// The text is not JSON.
    #[error("line {line}, column {column}: not JSON: {message}")]
    #[non_exhaustive]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The parser's message.
        message: String,
    },
    /// A required field is missing.
    #[error("`{field}` is missing; a case needs `version`, `caseId` and `traces`")]
    #[non_exhaustive]
    Missing {
        /// The field's name.
        field: &'static str,
    },
    /// The document has a major version other than 1.
    #[error("version: `{found}` is not supported; this library reads major version 1")]
    #[non_exhaustive]
    Version {
        /// The version in the document.
        found: String,
    },
    /// A value of the wrong shape.
    #[error("{place}: {message}")]
    #[non_exhaustive]
    Shape {
        /// Its place in the document: `traces[0].resourceSpans`.
        place: String,
        /// What is wrong with it.
        message: String,
    },
    /// Several faults; the message has the first fifty, and how many more there are.
    #[error("{}", told(.0))]
    Several(Vec<Self>),
}

fn told(faults: &[CaseError]) -> String {
    let told = faults.iter().take(MOST_TOLD).map(CaseError::to_string);
    let mut told: Vec<String> = told.collect();
    if faults.len() > MOST_TOLD {
        told.push(format!("and {} more", faults.len() - MOST_TOLD));
    }
    told.join("; ")
}

impl CaseError {
    /// Returns the faults one by one; a single fault is a list of one.
    pub fn each(&self) -> &[Self] {
        match self {
            Self::Several(faults) => faults,
            one => std::slice::from_ref(one),
        }
    }
}

impl CaseError {
    /// These faults and then those.
    pub(super) fn and(self, others: Self) -> Self {
        let mut all = self.each().to_vec();
        all.extend_from_slice(others.each());
        Self::Several(all)
    }

    /// Converts a syntax error of the JSON parser.
    pub(super) fn syntax(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        // serde_json ends its text with the position, which has its own fields here.
        let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
        Self::Json {
            line: error.line(),
            column: error.column(),
            message,
        }
    }
}

/// A case file that can't be loaded.
///
/// Its message names the file, the place in it and the fault:
/// `cases/checkout.case.json: traces[0].resourceSpans: expected a list`.
#[derive(Debug, Error)]
#[error("{}: {cause}", path.display())]
#[non_exhaustive]
pub struct CaseLoadError {
    /// The file.
    pub path: PathBuf,
    /// The reason.
    pub cause: CaseLoadCause,
}

/// The reason why a case file can't be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaseLoadCause {
    /// The file can't be opened or read.
    #[error("can't be read: {0}")]
    Io(std::io::Error),
    /// The content is not a case.
    #[error("{0}")]
    Content(CaseError),
}

impl CaseLoadError {
    pub(crate) fn io(path: &Path, error: std::io::Error) -> Self {
        Self {
            path: path.to_owned(),
            cause: CaseLoadCause::Io(error),
        }
    }

    pub(crate) fn content(path: &Path, error: CaseError) -> Self {
        Self {
            path: path.to_owned(),
            cause: CaseLoadCause::Content(error),
        }
    }
}

/// The faults found so far; all of them are reported together.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<CaseError>);

impl Faults {
    /// Adds the fault that a value has the wrong shape.
    pub(super) fn add(&mut self, way: &Way<'_>, message: impl Into<String>) {
        let place = way.place();
        self.0.push(CaseError::Shape {
            place: match place.0.as_slice() {
                [] => "$".to_owned(),
                _ => place.to_string(),
            },
            message: message.into(),
        });
    }

    /// Adds a fault of another kind.
    pub(super) fn push(&mut self, fault: CaseError) {
        self.0.push(fault);
    }

    /// Returns the value if no fault was found, otherwise the faults.
    pub(super) fn into_result<T>(mut self, value: T) -> Result<T, CaseError> {
        match self.0.len() {
            0 => Ok(value),
            1 => Err(self.0.remove(0)),
            _ => Err(CaseError::Several(self.0)),
        }
    }
}
