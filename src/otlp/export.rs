//! A collector's answer to an export of spans.

use prost::Message;
use serde_json::Value;

use super::json::{field, integer};

/// `ExportTraceServiceResponse`
#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// Reads from a collector's answer, in protobuf or JSON, how many spans it rejected and why; returns `None`
/// if it rejected none.
pub(crate) fn rejected_spans(answer: &[u8]) -> Option<(usize, String)> {
    let json: Option<Value> = serde_json::from_slice(answer).ok();
    let partial = match &json {
        Some(json) => {
            let partial = field(json, "partialSuccess")?;
            PartialSuccess {
                rejected_spans: field(partial, "rejectedSpans").and_then(integer)?,
                error_message: field(partial, "errorMessage")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
            }
        }
        None => ExportResponse::decode(answer).ok()?.partial_success?,
    };
    let rejected = usize::try_from(partial.rejected_spans)
        .ok()
        .filter(|n| *n > 0)?;
    Some((rejected, partial.error_message))
}
