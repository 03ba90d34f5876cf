//! The calls that come while no session is open.

use std::sync::{Mutex, PoisonError};

use crate::base::http::Request;

/// A call that came while no session was open, and that nothing shared answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdleCall {
    /// The call, for display.
    pub(crate) call: String,
    /// How often it came.
    pub(crate) count: u64,
    /// Whether it was forwarded; refused otherwise.
    pub(crate) is_forwarded: bool,
}

/// How many different calls are kept.
const MOST: usize = 100;

/// The calls that have come and have not been told of.
#[derive(Debug, Default)]
pub(super) struct IdleCalls(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    calls: Vec<IdleCall>,
    /// How many different ones there was no room for.
    others: u64,
}

impl IdleCalls {
    pub(super) fn note(&self, request: &Request, is_forwarded: bool) {
        let call = request.to_string();
        log::info!("{call} came while no session is open");
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { calls, others } = &mut *kept;
        let known = calls
            .iter()
            .position(|known| known.call == call && known.is_forwarded == is_forwarded);
        match known {
            Some(known) => calls[known].count += 1,
            None if calls.len() < MOST => calls.push(IdleCall {
                call,
                count: 1,
                is_forwarded,
            }),
            None => *others += 1,
        }
    }

    /// Returns the calls that have come since the last time, and how many came besides.
    pub(super) fn take(&self) -> (Vec<IdleCall>, u64) {
        let kept = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        (kept.calls, kept.others)
    }
}
