//! The constants of `/v1/inject` and `/v1/traces` that both the caller and the runtime use.

/// The media type of Protobuf.
pub(crate) const PROTOBUF: &str = "application/x-protobuf";

/// The attribute with which our proxy says why a call belongs to no session. A span with this attribute
/// needs no `sp.session.id`: the call is listed in every open session.
pub(crate) const UNCORRELATED: &str = "sp.uncorrelated.reason";
/// The attribute of such a call that the proxy could not answer.
pub(crate) const REFUSED: &str = "sp.uncorrelated.refused";

/// The error in the body if nothing answers a call, so that the proxy forwards it.
pub(crate) const NO_MATCH: &str = "no inject match";

/// The header with which our proxy says that it waits for an answer's delay itself, with the value [`OWN_DELAY`], and
/// with which the runtime then says how many milliseconds that is. Otherwise the runtime waits, and the proxy holds a
/// thread for each delayed call.
pub(crate) const DELAY_HEADER: &str = "x-softprobe-delay-ms";

/// The value of [`DELAY_HEADER`] in a question.
pub(crate) const OWN_DELAY: &str = "own";

/// The header that distinguishes our runtime's own refusals from answers that a rule sends; its value is the
/// error code.
pub(crate) const REFUSAL_HEADER: &str = "x-softprobe-error";
