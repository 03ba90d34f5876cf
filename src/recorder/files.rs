//! Writes cases to files: without secrets, under names that nothing else has.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::names::{ENDING, name, paths};
use super::shape::shape;
use super::summary::{Recorded, Summary};
use crate::base::http::{Request, shown_target};
use crate::case::{Case, unusable};
use crate::disk::{Readers, write_new, write_whole};
use crate::scrub::Scrubber;
use crate::suite::Masked;

/// Where cases are written, and how.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) folder: PathBuf,
    /// What removes secrets, unless they are kept.
    pub(crate) scrubber: Option<Scrubber>,
    /// Whether an exchange is left out that is like one which stands already.
    pub(crate) distinct: bool,
}

/// The files of a recording.
#[derive(Debug)]
pub(super) struct Files {
    destination: Destination,
    /// The shapes of the cases that stand.
    shapes: HashSet<String>,
    /// The number of the next file of each name.
    next: HashMap<String, usize>,
    /// What was masked.
    pub(super) masked: Masked,
    /// The cases that were written, for what is found out later to be a secret.
    written: Vec<Written>,
    /// Whether nothing more is written.
    is_closed: bool,
}

/// A case that was written.
#[derive(Debug)]
struct Written {
    /// The session that recorded it.
    session: String,
    path: PathBuf,
    /// How many secrets were known then.
    known: usize,
}

impl Files {
    /// Creates the folder, and reads the cases that stand there if they count.
    ///
    /// # Errors
    ///
    /// The file or folder that can't be used, and why.
    pub(super) fn new(destination: Destination) -> Result<Self, (PathBuf, String)> {
        let folder = &destination.folder;
        let failed = |error: std::io::Error| (folder.clone(), error.to_string());
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut shapes = HashSet::new();
        if destination.distinct {
            for entry in std::fs::read_dir(folder).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                if path.to_string_lossy().ends_with(ENDING) {
                    let case = Case::from_file(&path);
                    let case = case.map_err(|error| (path, error.cause.to_string()))?;
                    shapes.insert(shape(&case));
                }
            }
        }
        Ok(Self {
            destination,
            shapes,
            next: HashMap::new(),
            masked: Masked::default(),
            written: Vec::new(),
            is_closed: false,
        })
    }

    /// Writes what a session has recorded, unless nothing is to be written of it.
    ///
    /// # Errors
    ///
    /// What was not recorded of it, and why.
    pub(super) fn write(
        &mut self,
        session: &str,
        mut document: Value,
        summary: &mut Summary,
    ) -> Result<(), (String, String)> {
        let broken = |why: String| ("a request".to_owned(), why);
        if self.is_closed {
            return Err(broken("the recording is over".to_owned()));
        }
        let case = Case::from_document(document.clone());
        let case = case.map_err(|error| broken(error.to_string()))?;
        let inbound = case.inbound().map_err(|error| broken(error.to_string()))?;
        let inbound = inbound.ok_or_else(|| broken("it was not recorded".to_owned()))?;
        let request = shown(&inbound.request);
        if let Some(error) = inbound.error_type() {
            let why = format!("the application gave no answer ({error})");
            return Err((request, why));
        }
        let shape = self.destination.distinct.then(|| shape(&case));
        if let Some(shape) = &shape
            && self.shapes.contains(shape)
        {
            summary.alike += 1;
            return Ok(());
        }
        if tells_host(&case, &inbound.request.host) {
            summary.host = Some(inbound.request.host.clone());
        }
        let status = inbound.response().map_or(0, |response| response.status);
        let clean = self.clean(&mut document, &case);
        let clean = clean.map_err(|why| (request.clone(), why))?;
        // From here on, nothing is from before.
        let case = clean.as_ref().unwrap_or(&case);
        let inbound = case.inbound().ok().flatten();
        let (request, name) = match inbound.map(|inbound| &inbound.request) {
            Some(clean) => (shown(clean), name(&clean.method, &clean.path)),
            None => (request, "request".to_owned()),
        };
        let from = self.next.get(&name).copied().unwrap_or(1);
        let folder = &self.destination.folder;
        let mut number = from;
        let candidates = paths(folder, &name, from).enumerate().map(|(n, path)| {
            number = from + n + 1;
            path
        });
        document["caseId"] = name.clone().into();
        let text = format!("{document:#}\n");
        let file = write_new(candidates, &text, Readers::Owner)
            .map_err(|error| (request.clone(), format!("{}: {error}", folder.display())))?;
        self.next.insert(name, number);
        self.shapes.extend(shape);
        self.written.push(Written {
            session: session.to_owned(),
            path: file.clone(),
            known: self.known(),
        });
        summary.recorded.push(Recorded {
            file,
            request,
            status,
            calls: case.outbound().count(),
            unusable: case
                .unusable()
                .map(|(exchange, why)| format!("{}: {why}", exchange.summary())),
        });
        Ok(())
    }

    /// Writes no more cases.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Takes calls out of the cases of sessions: they have turned out to be no request's.
    pub(super) fn move_out(&mut self, misplaced: &[(String, String)], summary: &mut Summary) {
        for Written { session, path, .. } in &self.written {
            let spans = misplaced.iter().filter(|(owner, _)| owner == session);
            let spans: HashSet<&str> = spans.map(|(_, span)| span.as_str()).collect();
            if spans.is_empty() {
                continue;
            }
            match without_spans(path, &spans) {
                Ok(()) => {
                    let mut recorded = summary.recorded.iter_mut();
                    if let Some(recorded) = recorded.find(|recorded| recorded.file == *path) {
                        recorded.calls = recorded.calls.saturating_sub(spans.len());
                    }
                }
                Err(why) => summary.lose(path.display().to_string(), why),
            }
        }
    }

    /// Writes the exchanges that belong to no request, and returns the file.
    ///
    /// # Errors
    ///
    /// Why they can't be written.
    pub(super) fn write_others(&mut self, mut document: Value) -> Result<PathBuf, String> {
        let case = Case::from_document(document.clone()).map_err(|error| error.to_string())?;
        self.clean(&mut document, &case)?;
        document["caseId"] = "shared".into();
        let folder = self.destination.folder.clone();
        let names = std::iter::once("shared.json".to_owned())
            .chain((2..).map(|n| format!("shared-{n}.json")));
        let text = format!("{document:#}\n");
        write_new(names.map(|name| folder.join(name)), &text, Readers::Owner)
            .map_err(|error| format!("{}: {error}", folder.display()))
    }

    /// Removes the secrets from a case, and returns it as it is without them; `None` if they are kept.
    fn clean(&mut self, document: &mut Value, case: &Case) -> Result<Option<Case>, String> {
        let Some(scrubber) = &mut self.destination.scrubber else {
            return Ok(None);
        };
        scrubber.collect(document);
        let found = scrubber.scrub(document);
        if !found.unread.is_empty() {
            drop_unread(document, &found.unread);
        }
        let clean = Case::from_document(document.clone()).map_err(|error| error.to_string())?;
        if !found.list.is_empty() {
            self.masked.add(case, &clean);
        }
        Ok(Some(clean))
    }

    fn known(&self) -> usize {
        let scrubber = self.destination.scrubber.as_ref();
        scrubber.map_or(0, Scrubber::known)
    }

    /// Removes what turned out to be a secret after its case was written.
    pub(super) fn finish(&mut self, summary: &mut Summary) {
        let Some(scrubber) = &mut self.destination.scrubber else {
            return;
        };
        let known = scrubber.known();
        let old = self.written.iter().filter(|written| written.known < known);
        for Written { path, .. } in old {
            if let Err(why) = clean_file(path, scrubber, &mut self.masked) {
                let why = format!("it may still hold a secret that was found out later: {why}");
                summary.lose(path.display().to_string(), why);
            }
        }
    }
}

/// Returns whether what the application answers or sends holds the host by which it was called.
fn tells_host(case: &Case, host: &str) -> bool {
    // One without a port is the same in each run.
    if !host.contains(':') {
        return false;
    }
    let holds = |text: &[u8]| text.windows(host.len()).any(|part| part == host.as_bytes());
    let query_holds = |query: Option<&str>| {
        let query = percent_encoding::percent_decode_str(query.unwrap_or_default());
        holds(&query.collect::<Vec<u8>>())
    };
    let answer = case.inbound().ok().flatten();
    let answer = answer.and_then(|inbound| inbound.response().ok());
    let body = answer.and_then(|answer| answer.body.as_deref());
    let location = answer.and_then(|answer| answer.headers.text("location"));
    let is_passed_on = location.is_some_and(|url| query_holds(url.split_once('?').map(|(_, q)| q)));
    let is_sent = case.outbound().any(|call| {
        let request = &call.request;
        holds(request.host.as_bytes())
            || holds(&request.body)
            || query_holds(request.query.as_deref())
    });
    body.is_some_and(holds) || is_passed_on || is_sent
}

/// Takes out bodies that can't be read, and may hold secrets.
fn drop_unread(document: &mut Value, places: &[String]) {
    for_each_span_list(document, &mut |list| {
        for span in list {
            let id = span["spanId"].as_str().unwrap_or_default().to_owned();
            let Some(attributes) = span["attributes"].as_array_mut() else {
                continue;
            };
            let before = attributes.len();
            attributes.retain(|attribute| {
                let key = attribute["key"].as_str().unwrap_or_default();
                !places.contains(&format!("span {id}, {key}"))
            });
            if attributes.len() < before {
                attributes.push(unusable(
                    "a body of it can't be decoded, and may hold secrets; --no-scrub keeps it",
                ));
            }
        }
    });
}

/// Writes a case without some of its spans.
fn without_spans(path: &Path, spans: &HashSet<&str>) -> Result<(), String> {
    let case = Case::from_file(path).map_err(|error| error.cause.to_string())?;
    let mut document = case.document().clone();
    for_each_span_list(&mut document, &mut |list| {
        list.retain(|span| !span["spanId"].as_str().is_some_and(|id| spans.contains(id)));
    });
    let text = format!("{document:#}\n");
    write_whole(path, text, Readers::Owner).map_err(|error| error.to_string())
}

/// Calls `change` with each list of spans in a document.
fn for_each_span_list(value: &mut Value, change: &mut impl FnMut(&mut Vec<Value>)) {
    match value {
        Value::Array(elements) => {
            for element in elements {
                for_each_span_list(element, change);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("spans", Value::Array(spans)) => change(spans),
                    ("traces" | "resourceSpans" | "scopeSpans", member) => {
                        for_each_span_list(member, change);
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// Returns a request for display, without secrets.
pub(super) fn shown(request: &Request) -> String {
    format!("{} {}", request.method, shown_target(&request.target()))
}

fn clean_file(path: &Path, scrubber: &mut Scrubber, masked: &mut Masked) -> Result<(), String> {
    let case = Case::from_file(path).map_err(|error| error.cause.to_string())?;
    let mut document = case.document().clone();
    scrubber.scrub(&mut document);
    if document == *case.document() {
        return Ok(());
    }
    let clean = Case::from_document(document.clone()).map_err(|error| error.to_string())?;
    masked.add(&case, &clean);
    let text = format!("{document:#}\n");
    write_whole(path, text, Readers::Owner).map_err(|error| error.to_string())
}
