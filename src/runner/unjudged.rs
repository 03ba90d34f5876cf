//! Why a case can't be judged.

use super::mocks::MockError;
use crate::base::with_causes;
use crate::case::{AmbiguousInbound, CaseLoadError, NoResponse, SpanSummary};
use crate::error::SoftprobeError;
use crate::hook::HookError;

/// Why a case can't be judged.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unjudged {
    /// The case file can't be read.
    #[error("{file}: {}", .error.cause)]
    File {
        /// Its path for display.
        file: String,
        error: CaseLoadError,
    },
    /// The runtime refuses the case.
    #[error("{file}: {}", with_causes(.error))]
    Refused {
        file: String,
        error: Box<SoftprobeError>,
    },
    /// More than one exchange could be the inbound one.
    #[error(transparent)]
    Inbound(#[from] AmbiguousInbound),
    /// The inbound exchange has a damaged response.
    #[error(transparent)]
    Response(#[from] NoResponse),
    /// An exchange was not recorded whole.
    #[error(
        "{span}: it can't be replayed, since it was not recorded whole: {why}; record it again, or leave the case out (`skip`)"
    )]
    Unusable { span: Box<SpanSummary>, why: String },
    /// The inbound exchange has no method.
    #[error("{0}: no http.request.method")]
    NoMethod(Box<SpanSummary>),
    /// The inbound exchange is no request and answer.
    #[error(
        "{span}: it switched to another protocol (upgrade: {protocol}), which can't be replayed; leave the case \
         out, or give `request: {{source: inline, …}}`"
    )]
    Upgrade {
        span: Box<SpanSummary>,
        protocol: String,
    },
    /// The inbound exchange is a call of gRPC.
    #[error(
        "{0}: it is a call of gRPC (HTTP/2), which can't be sent to the application yet; leave the case out, or give \
         `request: {{source: inline, …}}`"
    )]
    Grpc(Box<SpanSummary>),
    #[error(
        "the case has no inbound exchange, so there is no request to send; mark one with \
         sp.traffic.direction = inbound, or give `request: {{source: inline, …}}`"
    )]
    NoRequest,
    #[error(
        "there is no application to send the request to; launch it by `-- COMMAND`, --app-command or \
         `app: {{command: …}}`, or give --app-url, APP_URL, or `request: {{url: …}}`"
    )]
    NoApplication,
    #[error(
        "nothing would be compared: the case has no captured response, and the suite asserts nothing; give \
         `assertions: {{status: …}}` or an expected body"
    )]
    NothingToCompare,
    #[error(
        "the application ended in the middle of the run ({how}); --one-at-a-time tells in which case, and --app-output \
         shows all that it wrote"
    )]
    ApplicationEnded {
        how: String,
        /// Whether the case had begun.
        running: bool,
    },
    #[error("the application was not brought back to its first state (`reset`): {why}")]
    NotReset { why: String },
    #[error("the application gave no whole answer to {url}: {why}")]
    NoAnswer { url: String, why: String },
    #[error(transparent)]
    Runtime(Box<SoftprobeError>),
    #[error(transparent)]
    Mock(#[from] MockError),
    #[error(transparent)]
    Hook(#[from] HookError),
    #[error(
        "mock `{mock}` has `{setting}`, but this runtime does not report how often mocks were used"
    )]
    UsesUnknown { mock: String, setting: &'static str },
    #[error(
        "another captured exchange would answer one of the calls with the file changed, so the calls would get other answers; record \
         the case again"
    )]
    AnsweredByAnother,
    #[error("the run broke off while this case ran")]
    CutOff,
    #[error("the runner panicked, which is a bug in softprobe; the panic message is above")]
    Panicked,
}

impl From<SoftprobeError> for Unjudged {
    fn from(error: SoftprobeError) -> Self {
        Self::Runtime(Box::new(error))
    }
}
