//! The answer to a strict miss.

use std::hash::Hasher as _;

use serde_json::json;

use crate::base::http::{Headers, MISS_HEADER, Request, Response};

/// The status of the answer to a strict miss.
pub(crate) const STRICT_MISS_STATUS: u16 = 599;

/// Returns the answer to a strict miss; `session` is empty for a request that belongs to no session.
pub(crate) fn strict_miss(request: &Request, session: &str) -> Response {
    let body = json!({
        "error": "strict policy blocked unmatched outbound",
        "sessionId": session,
        "requestFingerprint": fingerprint(request),
        "request": {
            "method": request.method,
            "host": request.host,
            "path": request.path,
            "query": request.query.clone().unwrap_or_default(),
        },
    });
    Response {
        status: STRICT_MISS_STATUS,
        headers: Headers::from_iter([(MISS_HEADER, "1"), ("content-type", "application/json")]),
        body: body.to_string().into_bytes(),
        trailers: Headers::new(),
    }
}

/// Returns a hash of method, host, path and body that is the same in every run.
fn fingerprint(request: &Request) -> String {
    let mut hasher = fnv::FnvHasher::default();
    for part in [
        request.method.as_bytes(),
        request.host.as_bytes(),
        request.path.as_bytes(),
        &request.body,
    ] {
        hasher.write(&part.len().to_le_bytes());
        hasher.write(part);
    }
    format!("{:016x}", hasher.finish())
}
