//! What a runtime reports about a session, as plain data.

use std::fmt;
#[cfg(feature = "embedded")]
use std::time::Duration;

use serde::{Deserialize, Serialize};

#[cfg(feature = "embedded")]
use crate::base::http::Request;
#[cfg(feature = "embedded")]
use crate::base::in_micros;
#[cfg(feature = "embedded")]
use crate::rule::Answer;

/// The most entries of each list of a session's stats; the counters keep counting.
#[cfg(feature = "embedded")]
pub(crate) const MOST_LISTED: usize = 1_000;

/// The most bytes of a call's path and query that a session's stats keep.
#[cfg(feature = "embedded")]
const LONGEST_PATH: usize = 4 * 1024;

/// Returns a request's path and query as stats keep it: what is too long ends with `…`.
#[cfg(feature = "embedded")]
pub(crate) fn listed_path(request: &Request) -> String {
    let mut path = request.target();
    if path.len() > LONGEST_PATH {
        let mut end = LONGEST_PATH;
        while !path.is_char_boundary(end) {
            end -= 1;
        }
        path.truncate(end);
        path.push('…');
        path.shrink_to_fit();
    }
    path
}

/// What has happened in a session so far.
///
/// This project's runtime fills the lists; `misses`, `calls` and `uncorrelated` hold at most 1,000 entries
/// each. Another runtime may send only the counters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct SessionStats {
    /// The number of requests that were answered with a mock's response.
    pub injected_spans: u64,
    /// The number of recorded exchanges that arrived for the session; only a capture session keeps them.
    pub extracted_spans: u64,
    /// The number of requests that were answered as strict misses.
    pub strict_misses: u64,
    /// The strict misses; those with the same method, host and path share one entry.
    pub misses: Vec<Miss>,
    /// The outbound calls, in the order they arrived.
    pub calls: Vec<OutboundCall>,
    /// The calls that arrived while the session was open but belong to no session.
    pub uncorrelated: Vec<UncorrelatedCall>,
    /// How many requests each of the session's rules has answered or let pass, in the order of the rules;
    /// `None` if the runtime does not report it.
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
    /// The host, with a port if one was given.
    pub host: String,
    /// The path with its query.
    pub path: String,
    /// How many times it was missed.
    pub count: u64,
    /// The rule that came closest, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<NearestRule>,
}

/// A rule that did not match, with the predicates that did not hold, the first one apart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NearestRule {
    /// The rule, as [`OutboundCall::rule`] names it.
    pub rule: String,
    /// The predicate's name: `host` or `headers.accept`.
    pub field: String,
    /// What the rule requires.
    pub wanted: String,
    /// What the request has.
    pub has: String,
    /// Further predicates that did not hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<UnheldPredicate>,
}

/// A predicate of a rule that did not hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UnheldPredicate {
    /// The predicate's name: `path` or `headers.accept`.
    pub field: String,
    /// What the rule requires.
    pub wanted: String,
    /// What the request has.
    pub has: String,
}

/// An outbound call and how it was answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct OutboundCall {
    /// The method.
    pub method: String,
    /// The host, with a port if one was given.
    pub host: String,
    /// The path with its query.
    pub path: String,
    /// What answered it.
    pub answer: CallAnswer,
    /// The rule that decided, if one did: its name, or `rules[2]` for the third rule of the session and
    /// `case rules[2]` for that of the case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// When it arrived, in microseconds since 1970; `None` if the runtime does not tell.
    #[serde(rename = "arrivedUs", skip_serializing_if = "Option::is_none")]
    pub arrived_us: Option<u64>,
    /// How long its answer took, in microseconds: a mock's latency, or what a forwarded call took; `None` if there was none, or
    /// the runtime does not know.
    #[serde(rename = "tookUs", skip_serializing_if = "Option::is_none")]
    pub took_us: Option<u64>,
}

/// What answered an outbound call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CallAnswer {
    /// A mock's response.
    Mock,
    /// A mock's error response.
    Error,
    /// None: a mock broke the exchange.
    Fault,
    /// Its own target: the call was forwarded.
    Forwarded,
    /// Nothing: it was a strict miss.
    Missed,
    /// An answer for which the runtime gives another word, or none.
    #[default]
    #[serde(other)]
    Unknown,
}

impl CallAnswer {
    /// Returns `mock`, `error`, `fault`, `forwarded`, `missed` or `unknown`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mock => "mock",
            Self::Error => "error",
            Self::Fault => "fault",
            Self::Forwarded => "forwarded",
            Self::Missed => "missed",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for CallAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(feature = "embedded")]
impl From<&Answer> for CallAnswer {
    fn from(answer: &Answer) -> Self {
        match answer {
            Answer::Mock { .. } => Self::Mock,
            Answer::Error(_) => Self::Error,
            Answer::Fault(..) => Self::Fault,
            Answer::Forward => Self::Forwarded,
            Answer::Miss => Self::Missed,
        }
    }
}

/// A call that belongs to no session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct UncorrelatedCall {
    /// The method.
    pub method: String,
    /// The host, with a port if one was given.
    pub host: String,
    /// The path with its query.
    pub path: String,
    /// Why it belongs to none.
    pub reason: String,
    /// How many sessions were open at the time.
    pub open_sessions: u64,
    /// Whether the session's policy is strict or would not let the call pass, so that the session's verdict
    /// can't be trusted.
    pub distrusted: bool,
    /// Whether it is the application's own business, such as telemetry, and no concern of the session.
    pub ambient: bool,
    /// Whether the proxy could not answer it, whatever session it belongs to: it could not be read, or its client does not
    /// trust the proxy.
    pub refused: bool,
}

#[cfg(feature = "embedded")]
impl UncorrelatedCall {
    /// Returns a request as a call that belongs to no session, while this many are open.
    pub(crate) fn new(request: &Request, reason: &str, open: usize) -> Self {
        Self {
            method: request.method.clone(),
            host: request.host.clone(),
            path: listed_path(request),
            reason: reason.to_owned(),
            open_sessions: open as u64,
            distrusted: false,
            ambient: false,
            refused: false,
        }
    }
}

#[cfg(feature = "embedded")]
impl OutboundCall {
    /// Returns a request as a call with this answer, by this rule if one decided, which arrived at this time in microseconds since
    /// 1970.
    pub(crate) fn new(
        request: &Request,
        answer: &Answer,
        rule: Option<String>,
        arrived_us: Option<u64>,
    ) -> Self {
        let took = match answer {
            Answer::Mock { latency, .. } => Some(*latency),
            Answer::Error(_) => Some(Duration::ZERO),
            Answer::Fault(..) | Answer::Forward | Answer::Miss => None,
        };
        Self {
            method: request.method.clone(),
            host: request.host.clone(),
            path: listed_path(request),
            answer: answer.into(),
            rule,
            arrived_us,
            took_us: took.map(in_micros),
        }
    }
}

impl fmt::Display for NearestRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule,
            field,
            wanted,
            has,
            more,
        } = self;
        write!(
            f,
            "nearest rule `{rule}` differs on {field}: it wants `{wanted}`, the call has `{has}`"
        )?;
        for UnheldPredicate { field, wanted, has } in more {
            write!(f, "; on {field}: it wants `{wanted}`, the call has `{has}`")?;
        }
        Ok(())
    }
}
