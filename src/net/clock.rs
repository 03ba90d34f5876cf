//! The time of day.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::base::in_micros;

/// Returns the microseconds since 1970; `None` on a machine that has its clock before that.
pub(crate) fn now_us() -> Option<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(in_micros(now))
}
