//! Writes exchanges that were recorded elsewhere as cases.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::files::{Destination, Files, shown};
use super::summary::Summary;
use crate::base::decode::stored;
use crate::base::http::{Direction, Request, Response};
use crate::case::{Recording, SpanPurpose, Without, unusable};
use crate::net::random_trace;
use crate::suite::Masked;

/// Writes exchanges that were recorded elsewhere as cases, each without calls.
#[derive(Debug)]
pub(crate) struct Importer {
    files: Files,
    summary: Summary,
}

/// An exchange that was recorded elsewhere.
#[derive(Debug)]
pub(crate) struct Imported<'a> {
    pub(crate) request: &'a Request,
    pub(crate) response: &'a Response,
    /// When it began and ended, in nanoseconds since 1970.
    pub(crate) times_ns: (u64, u64),
    /// The bodies that are not known.
    pub(crate) without: Without,
    /// Why it can't be replayed, if it can't.
    pub(crate) unusable: Option<&'a str>,
}

impl Importer {
    /// Creates the folder, and reads the cases that stand there if they count.
    ///
    /// # Errors
    ///
    /// The file or folder that can't be used, and why.
    pub(crate) fn new(destination: Destination) -> Result<Self, (PathBuf, String)> {
        Ok(Self {
            files: Files::new(destination)?,
            summary: Summary::default(),
        })
    }

    /// Writes an exchange as a case.
    pub(crate) fn write(&mut self, imported: &Imported<'_>) {
        if let Err((what, why)) = self.files.write("", document(imported), &mut self.summary) {
            self.summary.lose(what, why);
        }
    }

    /// Tells that a request is left out though it should be a case.
    pub(crate) fn lose(&mut self, request: &Request, why: String) {
        self.summary.lose(shown(request), why);
    }

    /// Tells what is left out.
    pub(crate) fn leave(&mut self, what: String, why: &str) {
        self.summary.leave(what, why.to_owned(), false);
    }

    /// Tells what to know of a request.
    pub(crate) fn note(&mut self, request: &Request, note: &str) {
        self.summary.note(format!("{}: {note}", shown(request)));
    }

    /// Removes what turned out to be a secret late, and returns what came of it and what was masked.
    pub(crate) fn finish(mut self) -> (Summary, Masked) {
        self.files.finish(&mut self.summary);
        (self.summary, self.files.masked)
    }
}

fn document(imported: &Imported<'_>) -> Value {
    let Imported {
        request,
        response,
        times_ns,
        without,
        unusable: why,
    } = *imported;
    let trace = random_trace();
    let decoded = stored(&response.headers, &response.body).map(|(headers, body)| Response {
        headers,
        body,
        ..response.clone()
    });
    let recording = Recording {
        purpose: SpanPurpose::Extract,
        session: None,
        direction: Direction::Inbound,
        trace_id: trace.trace_id,
        span_id: trace.span_id,
        parent_span_id: None,
        times_ns,
        request,
        response: Some(decoded.as_ref().unwrap_or(response)),
        without,
        more: why.map(unusable).into_iter().collect(),
    };
    json!({
        "version": "1.0.0",
        "caseId": "imported",
        "mode": "capture",
        "traces": [recording.document()],
    })
}
