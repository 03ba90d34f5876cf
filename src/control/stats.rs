//! What a runtime reports of a session, as plain data.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What has happened in a session so far.
///
/// The lists are kept by this project's runtime; another runtime may send the counters alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct SessionStats {
    /// Requests that a rule answered.
    pub injected_spans: u64,
    /// Spans that were recorded.
    pub extracted_spans: u64,
    /// Requests that were answered as strict misses.
    pub strict_misses: u64,
    /// The strict misses, equal ones counted together.
    pub misses: Vec<Miss>,
    /// The outbound calls in the order they came, the first thousand.
    pub calls: Vec<OutboundCall>,
    /// Calls that came while the session was open and fitted none.
    pub uncorrelated: Vec<UncorrelatedCall>,
    /// How many requests each of the session's rules answered, in the order of the rules; `None`
    /// where the runtime does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_uses: Option<Vec<u64>>,
}

/// A request that was answered as a strict miss.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Miss {
    /// The method.
    pub method: String,
    /// The host.
    pub host: String,
    /// The path with its query.
    pub path: String,
    /// How often.
    pub count: u64,
    /// The rule that came closest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<NearestRule>,
}

/// A rule that did not match, with the first of its predicates that did not hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NearestRule {
    /// The rule's name.
    pub rule: String,
    /// The predicate: `host`, `headers.accept`.
    pub field: String,
    /// What the rule wants there.
    pub wanted: String,
    /// What the request has.
    pub has: String,
}

/// An outbound call and what answered it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct OutboundCall {
    /// The method.
    pub method: String,
    /// The host.
    pub host: String,
    /// The path with its query.
    pub path: String,
    /// `mock`, `error`, `forwarded` or `missed`.
    pub answer: String,
    /// The rule that answered, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// A call that fitted no session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct UncorrelatedCall {
    /// The method.
    pub method: String,
    /// The host.
    pub host: String,
    /// The path with its query.
    pub path: String,
    /// Why it fitted none.
    pub reason: String,
    /// How many sessions were open then.
    pub open_sessions: u64,
    /// Whether the session's policy can't let such a call be, so that its verdict can't be trusted.
    pub distrusted: bool,
}

impl fmt::Display for NearestRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule,
            field,
            wanted,
            has,
        } = self;
        write!(
            f,
            "nearest rule `{rule}` differs on {field}: it wants `{wanted}`, the call has `{has}`"
        )
    }
}
