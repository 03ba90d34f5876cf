//! What the doctor sees of the application's calls.

use std::sync::{Arc, Mutex, PoisonError};

use super::{SESSION, TRACE};
use crate::base::http::{Request, SESSION_HEADER};
use crate::case::Recording;
use crate::control::{Oracle, Ruling};
use crate::error::SoftprobeError;
use crate::rule::Answer;

/// What ties a call to the probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carried {
    Tracestate,
    Traceparent,
    Nothing,
    /// The id of a session other than the probe's.
    Other,
    /// It is inside TLS and can't be seen.
    Unseen,
}

#[derive(Debug, Clone)]
pub(super) struct SeenCall {
    /// The call, for display.
    pub(super) call: String,
    pub(super) carried: Carried,
    /// Whether it came over TLS that was read.
    pub(super) over_tls: bool,
}

/// A call that the proxy could not answer.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    /// The call, for display.
    pub(super) call: String,
    /// Why.
    pub(super) why: String,
}

/// An oracle that answers every call as a miss and records what it carried.
#[derive(Debug, Default)]
pub(super) struct Seen {
    calls: Mutex<Vec<SeenCall>>,
    refused: Mutex<Vec<Refused>>,
}

impl Seen {
    /// Returns the calls since the last time.
    pub(super) fn take(&self) -> Vec<SeenCall> {
        std::mem::take(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the calls that could not be answered, since the last time.
    pub(super) fn take_refused(&self) -> Vec<Refused> {
        std::mem::take(&mut self.refused.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, request: &Request) {
        let has = |name: &str, text: &str| {
            let mut values = request.headers.all(name);
            values.any(|value| String::from_utf8_lossy(value).contains(text))
        };
        let carried = if request.method == "CONNECT" {
            Carried::Unseen
        } else if has("tracestate", SESSION) || has(SESSION_HEADER, SESSION) {
            Carried::Tracestate
        } else if has("tracestate", &format!("{SESSION_HEADER}=")) {
            Carried::Other
        } else if has("traceparent", TRACE) {
            Carried::Traceparent
        } else {
            Carried::Nothing
        };
        let call = SeenCall {
            call: request.to_string(),
            over_tls: request.scheme == "https" && carried != Carried::Unseen,
            carried,
        };
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(call);
    }
}

impl Oracle for Seen {
    fn blocks(&self) -> bool {
        false
    }

    fn open_sessions(&self) -> Result<Vec<String>, SoftprobeError> {
        // Two sessions: with only one, even calls that name no session would be correlated with it.
        Ok(vec![SESSION.to_owned(), format!("{SESSION}-other")])
    }

    fn issue_trace(&self, _trace_id: &str, _session: &str) {}

    fn session_of_trace(&self, trace_id: &str) -> Option<String> {
        (trace_id == TRACE).then(|| SESSION.to_owned())
    }

    fn decide(
        &self,
        session: &str,
        request: &Arc<Request>,
    ) -> Result<Option<Ruling>, SoftprobeError> {
        if session != SESSION {
            return Ok(None);
        }
        self.note(request);
        Ok(Some(Ruling {
            answer: Answer::Miss,
            rule: None,
            nearest: None,
            call: None,
            records: false,
        }))
    }

    fn record(&self, _recording: &Recording<'_>) -> Result<(), SoftprobeError> {
        Ok(())
    }

    fn note_refused(
        &self,
        _session: Option<&str>,
        request: &Request,
        reason: &str,
    ) -> Result<(), SoftprobeError> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.push(Refused {
            call: request.to_string(),
            why: reason.to_owned(),
        });
        Ok(())
    }

    fn note_uncorrelated(&self, request: &Request, _reason: &str) -> Result<bool, SoftprobeError> {
        self.note(request);
        Ok(false)
    }
}
