//! Tells of secrets that come into a case file with what is accepted.

use serde_json::json;

use crate::accept::{Accepted, Part};
use crate::compare::Change;
use crate::report::Note;
use crate::scrub::{Rules, Scrubber};

/// Returns what looks like a secret in accepted changes.
pub(crate) fn secrets(changes: &[(Vec<Accepted>, String)]) -> Vec<Note> {
    let mut notes = Vec::new();
    let changes = changes
        .iter()
        .flat_map(|(accepted, place)| accepted.iter().map(move |one| (one, place)));
    for (Accepted { part, change, .. }, place) in changes {
        let side = match part {
            Part::Request => "http.request",
            Part::Response => "http.response",
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let joined = |parts: &[Vec<u8>]| text(&parts.join(&b"&"[..]));
        let (key, value) = match change {
            Change::Status(_) | Change::Json { to: None, .. } => continue,
            Change::Header { name, values } => (
                format!("{side}.header.{name}"),
                text(&values.join(&b", "[..])),
            ),
            Change::Query { parts, .. } => (
                "url.full".to_owned(),
                format!("http://a/?{}", joined(parts)),
            ),
            Change::Form { parts, .. } => (format!("{side}.body"), joined(parts)),
            Change::Body(body) => (format!("{side}.body"), text(body)),
            Change::Json {
                at,
                to: Some(value),
            } => {
                // The name of a member tells what its value is.
                let mut names = at.rsplit('/').filter(|step| step.parse::<u64>().is_err());
                let name = names.next().unwrap_or_default();
                (format!("{side}.body"), json!({name: value}).to_string())
            }
        };
        let attribute = json!({"key": key, "value": {"stringValue": value}});
        let mut document = json!({"traces": [{"spanId": "", "attributes": [attribute]}]});
        let found = Scrubber::new(Rules::default(), &[]).scrub(&mut document);
        notes.extend(found.list.into_iter().map(|found| Note::AcceptedSecret {
            place: place.clone(),
            kind: found.kind,
        }));
    }
    notes
}
