//! Times as numbers.

use std::time::Duration;

/// Returns a time in microseconds.
pub(crate) fn in_micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
