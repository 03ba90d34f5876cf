//! The mode and the policy of a session, and what it reports.
//!
//! A session has a [`Mode`] and a [`Policy`], which decides about outbound calls that no rule matches. Its
//! [`SessionStats`] list the calls, the [misses](Miss) with the [rule that came closest](NearestRule), and
//! the calls that could not be [assigned to a session](UncorrelatedCall).
//!
//! ```
//! use softprobe::control::{OnMiss, Policy};
//! use softprobe::{EmbeddedRuntime, Mode, Softprobe};
//!
//! # fn main() -> Result<(), softprobe::SoftprobeError> {
//! let softprobe = Softprobe::embedded(&EmbeddedRuntime::new());
//! let policy = Policy::strict().allow_host("localhost");
//! let session = softprobe.start_session_with_policy(Mode::Replay, &policy)?;
//! assert_eq!(session.stats()?.strict_misses, 0);
//!
//! session.set_policy(&Policy::default().on_miss(OnMiss::Error))?;
//! session.close()
//! # }
//! ```
//!
//! The repository's `docs/rules.md` describes policies, and `docs/runtime.md` the control API that carries
//! all of this over HTTP.
//
// Inside the crate, this room holds the interfaces between a session and its runtime, and between a
// proxy and the runtime that it asks: the two ports, the calls of the control API, and their refusals.
// Within one process, cases, rules and policies are passed as they are; `Call` is their form on the
// wire.

#[cfg(feature = "embedded")]
mod answered;
mod call;
#[cfg(feature = "embedded")]
mod inject;
#[cfg(feature = "embedded")]
mod late;
#[cfg(feature = "embedded")]
mod oracle;
mod refusal;
#[cfg(feature = "embedded")]
mod ruling;
mod runtime;
mod stats;
mod token;

pub use crate::case::Mode;
pub use crate::rule::{OnMiss, Policy, PolicyError, PolicyMode};
#[cfg(feature = "embedded")]
pub(crate) use answered::{AnsweredRequest, AnsweredRequests};
pub(crate) use call::{Action, Call, Closing};
#[cfg(feature = "embedded")]
pub(crate) use inject::{
    DELAY_HEADER, NO_MATCH, OWN_DELAY, PROTOBUF, REFUSAL_HEADER, REFUSED, UNCORRELATED,
};
#[cfg(feature = "embedded")]
pub(crate) use late::ClosedSessions;
#[cfg(feature = "runner")]
pub(crate) use late::LateCall;
#[cfg(feature = "embedded")]
pub(crate) use oracle::{CutOff, Oracle};
pub(crate) use refusal::ControlError;
#[cfg(feature = "embedded")]
pub(crate) use ruling::Ruling;
pub(crate) use runtime::Runtime;
pub use stats::{
    CallAnswer, Miss, NearestRule, OutboundCall, SessionStats, UncorrelatedCall, UnheldPredicate,
};
#[cfg(feature = "embedded")]
pub(crate) use stats::{MOST_LISTED, listed_path};
pub(crate) use token::Token;

/// The version of the control API that this library implements.
#[cfg(feature = "embedded")]
pub(crate) const SPEC_VERSION: &str = "http-control-api@v1";
/// The major version of the case schema that this library reads.
#[cfg(feature = "embedded")]
pub(crate) const SCHEMA_VERSION: &str = "1";
