//! What waits for a decision: the differences of a case, in a file beside it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Accepted, Part};
use crate::base::encoding::{decode_base64, encode_base64};
use crate::base::json;
use crate::compare::{Change, Risk};

/// The file of what waits for a decision about a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Pending {
    /// The name of the case's file, which is in the same folder.
    pub(crate) case: String,
    /// The SHA-256 of that file's text, to which all changes apply.
    digest: String,
    /// The differences.
    pub(crate) differences: Vec<Undecided>,
}

/// A difference that nobody has decided about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Undecided {
    /// The trial that found it.
    pub(crate) trial: String,
    /// The file of the trial's suite.
    pub(crate) suite: PathBuf,
    /// `low`, `medium` or `high`.
    pub(crate) risk: String,
    /// The call, for display; `None` for the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) call: Option<String>,
    /// The place of the difference, for display.
    pub(crate) place: String,
    /// What was captured there, for display.
    pub(crate) expected: Option<String>,
    /// What is there now, for display.
    pub(crate) actual: Option<String>,
    /// The exchange's index among those of the case.
    exchange: usize,
    /// How the case has to change.
    changes: Vec<Stored>,
}

/// A change as it stands in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Stored {
    Status(u16),
    Header {
        name: String,
        values: Vec<Text>,
    },
    Query {
        name: String,
        parts: Vec<Text>,
    },
    /// `to` is JSON as text, so that numbers keep their digits.
    Json {
        at: String,
        to: Option<String>,
    },
    Form {
        name: String,
        parts: Vec<Text>,
    },
    Body(Text),
}

/// Bytes, as text if they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Bytes { base64: String },
}

impl Text {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Plain(text.to_owned()),
            Err(_) => Self::Bytes {
                base64: encode_base64(bytes),
            },
        }
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Plain(text) => Some(text.clone().into_bytes()),
            Self::Bytes { base64 } => decode_base64(base64),
        }
    }
}

impl Stored {
    fn of(change: &Change) -> Self {
        let texts = |parts: &[Vec<u8>]| parts.iter().map(|part| Text::of(part)).collect();
        match change {
            Change::Status(status) => Self::Status(*status),
            Change::Header { name, values } => Self::Header {
                name: name.clone(),
                values: texts(values),
            },
            Change::Query { name, parts } => Self::Query {
                name: name.clone(),
                parts: texts(parts),
            },
            Change::Form { name, parts } => Self::Form {
                name: name.clone(),
                parts: texts(parts),
            },
            Change::Json { at, to } => Self::Json {
                at: at.clone(),
                to: to.as_ref().map(json::show),
            },
            Change::Body(body) => Self::Body(Text::of(body)),
        }
    }

    fn change(&self) -> Option<Change> {
        let bytes = |parts: &[Text]| parts.iter().map(Text::bytes).collect::<Option<_>>();
        Some(match self {
            Self::Status(status) => Change::Status(*status),
            Self::Header { name, values } => Change::Header {
                name: name.clone(),
                values: bytes(values)?,
            },
            Self::Query { name, parts } => Change::Query {
                name: name.clone(),
                parts: bytes(parts)?,
            },
            Self::Form { name, parts } => Change::Form {
                name: name.clone(),
                parts: bytes(parts)?,
            },
            Self::Json { at, to } => Change::Json {
                at: at.clone(),
                to: match to {
                    Some(text) => Some(json::read(text.as_bytes()).ok()?.value),
                    None => None,
                },
            },
            Self::Body(body) => Change::Body(body.bytes()?),
        })
    }
}

/// A place that a suite can leave out of the comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ignorable {
    /// A place in a JSON body or a form, as a JSONPath.
    Body(String),
    /// A header, by its name.
    Header(String),
    /// A name in the query.
    Query(String),
}

impl Undecided {
    /// Returns a difference that the case's file may have, for display with these words.
    pub(crate) fn new(
        (trial, suite): (&str, &Path),
        risk: Risk,
        accepted: &[Accepted],
        call: Option<String>,
        place: String,
        (expected, actual): (Option<String>, Option<String>),
    ) -> Self {
        let risk = match risk {
            Risk::Low => "low",
            Risk::Medium => "medium",
            Risk::High => "high",
        };
        Self {
            trial: trial.to_owned(),
            suite: suite.to_owned(),
            risk: risk.to_owned(),
            call,
            place,
            expected,
            actual,
            exchange: accepted.first().map_or(usize::MAX, |first| first.exchange),
            changes: accepted.iter().map(|one| Stored::of(&one.change)).collect(),
        }
    }

    /// Returns the changes; `None` if the file is damaged.
    pub(crate) fn accepted(&self) -> Option<Vec<Accepted>> {
        let accepted = self.changes.iter().map(|change| {
            Some(Accepted {
                exchange: self.exchange,
                part: self.part(),
                change: change.change()?,
            })
        });
        accepted.collect()
    }

    fn part(&self) -> Part {
        match self.call {
            Some(_) => Part::Request,
            None => Part::Response,
        }
    }

    /// Returns the list in which the difference adds or removes an element, as a JSON pointer, if it does.
    fn resized(&self) -> Option<&str> {
        let is_one = self.expected.is_none() || self.actual.is_none();
        let mut changes = self.changes.iter().filter(|_| is_one);
        changes.find_map(|change| match change {
            Stored::Json { at, .. } => {
                let (list, step) = at.rsplit_once('/')?;
                step.parse::<usize>().ok().map(|_| list)
            }
            _ => None,
        })
    }

    /// Returns whether the difference is within a list.
    fn is_within(&self, list: &str) -> bool {
        self.changes.iter().any(|change| match change {
            Stored::Json { at, .. } => {
                let rest = at.strip_prefix(list);
                rest.is_some_and(|rest| rest.starts_with('/'))
            }
            _ => false,
        })
    }

    /// Returns what a suite has to leave out for this to be no difference; `None` if no such thing can be left out.
    pub(crate) fn ignorable(&self) -> Option<Ignorable> {
        match self.changes.first()? {
            Stored::Json { .. } | Stored::Form { .. } => Some(Ignorable::Body(self.place.clone())),
            Stored::Header { name, .. } => Some(Ignorable::Header(name.clone())),
            Stored::Query { name, .. } => Some(Ignorable::Query(name.clone())),
            Stored::Status(_) | Stored::Body(_) => None,
        }
    }
}

impl Pending {
    /// Returns an empty list for the case with this file name and text.
    pub(crate) fn new(case: &str, text: &str) -> Self {
        Self {
            case: case.to_owned(),
            digest: digest(text),
            differences: Vec::new(),
        }
    }

    /// Reads a file of this kind.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Returns whether the differences are those of a case file with this text.
    pub(crate) fn is_about(&self, text: &str) -> bool {
        self.digest == digest(text)
    }

    /// Has the remaining differences apply to the text of the case file in which others were accepted. Those that other trials
    /// found too are dropped, and those in a list that got or lost elements, since they may be about other elements there;
    /// returns how many the latter are.
    pub(crate) fn move_to(&mut self, text: &str, accepted: &[Undecided]) -> usize {
        self.digest = digest(text);
        let is_known = |one: &Undecided| {
            let mut same = accepted.iter();
            same.any(|known| {
                (known.exchange, known.part(), &known.changes)
                    == (one.exchange, one.part(), &one.changes)
            })
        };
        self.differences.retain(|one| !is_known(one));
        let before = self.differences.len();
        self.differences.retain(|one| {
            let mut accepted = accepted.iter();
            !accepted.any(|known| {
                (known.exchange, known.part()) == (one.exchange, one.part())
                    && known.resized().is_some_and(|list| one.is_within(list))
            })
        });
        before - self.differences.len()
    }

    /// Returns the text of the file.
    pub(crate) fn text(&self) -> String {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        text + "\n"
    }

    /// Returns the path of the file that belongs to a case file.
    pub(crate) fn path_of(case: &Path) -> PathBuf {
        let name = case.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_suffix(".case.json").unwrap_or(&name);
        let name = name.strip_suffix(".json").unwrap_or(name);
        case.with_file_name(format!("{name}.pending.json"))
    }
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pending_change_is_read_as_it_was_written() {
        let number = json::read(b"36893488147419103233").unwrap().value;
        for change in [
            Change::Status(201),
            Change::Header {
                name: "x-a".to_owned(),
                values: vec![b"a".to_vec(), vec![0xff]],
            },
            Change::Json {
                at: "/a/1".to_owned(),
                to: Some(number),
            },
            Change::Json {
                at: "/a".to_owned(),
                to: Some(json!(null)),
            },
            Change::Json {
                at: "/a".to_owned(),
                to: None,
            },
            Change::Form {
                name: "a".to_owned(),
                parts: Vec::new(),
            },
            Change::Query {
                name: "a".to_owned(),
                parts: vec![b"a=1".to_vec()],
            },
            Change::Body(vec![0xff, 0]),
        ] {
            let accepted = Accepted {
                exchange: 1,
                part: Part::Request,
                change,
            };
            let owner = ("s::a", Path::new("s.yaml"));
            let words = (None, Some("x".to_owned()));
            let call = Some("GET a".to_owned());
            let place = "$.a".to_owned();
            let accepted = [accepted];
            let one = Undecided::new(owner, Risk::High, &accepted, call, place, words);
            let mut pending = Pending::new("a.case.json", "text");
            pending.differences.push(one);
            let read = Pending::read(&pending.text()).unwrap();
            assert_eq!(read, pending);
            assert!(read.is_about("text") && !read.is_about("other"));
            assert_eq!(read.differences[0].accepted(), Some(accepted.into()));
        }
        assert_eq!(
            Pending::path_of(Path::new("cases/a.case.json")),
            Path::new("cases/a.pending.json")
        );
        assert_eq!(
            Pending::path_of(Path::new("a.json")),
            Path::new("a.pending.json")
        );
    }
}
