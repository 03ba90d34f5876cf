//! What stands between a session and the runtime that it lives in, and between a proxy and the runtime that it
//! asks: the calls, their refusals, and the two ports.
//!
//! In one process cases, rules and policies are handed over as they are; [`Call`] is the form for a wire.

mod call;
#[cfg(feature = "embedded")]
mod inject;
mod mode;
#[cfg(feature = "embedded")]
mod oracle;
mod refusal;
mod runtime;
mod stats;
mod token;

pub use crate::rule::{OnMiss, Policy, PolicyError, PolicyMode};
pub(crate) use call::{Action, Call, Closing};
#[cfg(feature = "embedded")]
pub(crate) use inject::{NO_MATCH, PROTOBUF, REFUSAL_HEADER, UNCORRELATED};
pub use mode::{Mode, ParseModeError};
#[cfg(feature = "embedded")]
pub(crate) use oracle::{Oracle, Ruling};
pub(crate) use refusal::ControlError;
pub(crate) use runtime::Runtime;
pub use stats::{Miss, NearestRule, OutboundCall, SessionStats, UncorrelatedCall};
pub(crate) use token::Token;

/// The version of the control API that is spoken here.
#[cfg(feature = "embedded")]
pub(crate) const SPEC_VERSION: &str = "http-control-api@v1";
/// The version of the case schema that is understood here.
#[cfg(feature = "embedded")]
pub(crate) const SCHEMA_VERSION: &str = "1";
