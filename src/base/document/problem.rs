//! The faults of a document, each with its place.

use std::fmt;

use super::place::Place;

/// A fault at one place in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where it is.
    pub(crate) place: Place,
    /// What is wrong and how to fix it: lower case, no full stop.
    pub(crate) message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.0.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.place, self.message)
        }
    }
}

/// The faults found so far, in the order they were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl Problems {
    /// Adds a fault.
    pub(crate) fn add(&mut self, place: &Place, message: impl Into<String>) {
        self.0.push(Problem {
            place: place.clone(),
            message: message.into(),
        });
    }

    /// Returns the faults without the values that were found instead of what was expected, for documents that hold
    /// secrets.
    #[cfg(feature = "embedded")]
    pub(crate) fn without_values(mut self) -> Self {
        for problem in &mut self.0 {
            if let Some((expected, _)) = problem.message.split_once(", found ") {
                problem.message = expected.to_owned();
            }
        }
        self
    }

    /// Returns whether no fault was found.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the value if it is not `None` and no fault was found.
    ///
    /// # Errors
    ///
    /// The faults, if any were found or `value` is `None`.
    pub(crate) fn into_result<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.is_empty() => Ok(value),
            _ => Err(self),
        }
    }
}

/// How many faults of one document are told; the others are counted.
pub(crate) const MOST_TOLD: usize = 50;

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().take(MOST_TOLD).enumerate() {
            if n > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{problem}")?;
        }
        match self.0.len().saturating_sub(MOST_TOLD) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for Problems {}
