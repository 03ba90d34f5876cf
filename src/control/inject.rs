//! The words of `/v1/inject` and `/v1/traces` that both of their ends have to know.

/// Protobuf's media type.
pub(crate) const PROTOBUF: &str = "application/x-protobuf";

/// The attribute by which a proxy of ours says why a call fits no session. A span that has it needs no
/// `sp.session.id`: the call is listed in every session that is open.
pub(crate) const UNCORRELATED: &str = "sp.uncorrelated.reason";

/// What the body says where nothing answers a call, so that the proxy forwards it.
pub(crate) const NO_MATCH: &str = "no inject match";

/// The header by which a runtime of ours tells its own refusals, value the code, from answers that a rule
/// sends.
pub(crate) const REFUSAL_HEADER: &str = "x-softprobe-error";
