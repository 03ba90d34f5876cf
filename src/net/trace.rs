//! New trace ids, and the current time.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::base::http::Trace;

/// Returns a new random trace. Its ids need to be distinct, not secret: if the machine has no source of
/// randomness, they come from the clock.
pub(crate) fn random_trace() -> Trace {
    let mut bytes = [0_u8; 24];
    if getrandom::fill(&mut bytes).is_err() {
        for (byte, source) in bytes.iter_mut().zip(now_ns().to_le_bytes().iter().cycle()) {
            *byte = *source;
        }
    }
    Trace {
        trace_id: hex::encode(&bytes[..16]),
        span_id: hex::encode(&bytes[16..]),
    }
}

/// Returns the current time in nanoseconds since 1970.
pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}
