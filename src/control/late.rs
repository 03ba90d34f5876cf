//! Calls that name a session which is closed.

use std::collections::{HashMap, VecDeque};

use super::ruling::Ruling;
use super::stats::OutboundCall;
use crate::base::http::{Host, Request};
use crate::rule::{Answer, Policy};

/// The most closed sessions that are remembered; a call that names an older one belongs to no session.
const MOST_CLOSED: usize = 100_000;
/// The most late calls that are kept; twice as many if they are misses.
const MOST_LATE: usize = 1_000;

/// A call that names a session which was already closed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LateCall {
    /// The session's id.
    pub(crate) session: String,
    /// The call, with what the session's policy did with it.
    pub(crate) call: OutboundCall,
}

/// The closed sessions, and the calls that came too late for them.
#[derive(Debug, Default)]
pub(crate) struct ClosedSessions {
    policies: HashMap<String, Policy>,
    /// The sessions, the oldest first.
    order: VecDeque<String>,
    late: Vec<LateCall>,
}

impl ClosedSessions {
    /// Remembers a session that is closed now.
    pub(crate) fn add(&mut self, id: &str, policy: Policy) {
        if self.policies.insert(id.to_owned(), policy).is_none() {
            self.order.push_back(id.to_owned());
        }
        if self.order.len() > MOST_CLOSED
            && let Some(oldest) = self.order.pop_front()
        {
            self.policies.remove(&oldest);
        }
    }

    /// Decides about a call that names this session, and keeps it as a late one; `None` if no such session was
    /// closed here. The session's rules are gone, and its policy alone decides.
    pub(crate) fn decide(
        &mut self,
        id: &str,
        request: &Request,
        arrived_us: Option<u64>,
    ) -> Option<Ruling> {
        let mut answer = self.policies.get(id)?.decide(&Host::of(request));
        if request.method == "CONNECT" && answer != Answer::Forward {
            answer = Answer::Miss;
        }
        self.keep(id, request, &answer, arrived_us);
        Some(Ruling {
            answer,
            rule: None,
            nearest: None,
            call: None,
            records: false,
        })
    }

    /// Keeps a call that the proxy refused as a miss of this session; returns whether the session was closed here.
    pub(crate) fn refuse(&mut self, id: &str, request: &Request, arrived_us: Option<u64>) -> bool {
        let is_known = self.policies.contains_key(id);
        if is_known {
            self.keep(id, request, &Answer::Miss, arrived_us);
        }
        is_known
    }

    fn keep(&mut self, id: &str, request: &Request, answer: &Answer, arrived_us: Option<u64>) {
        log::warn!(
            "{request} came after its session {id} was closed: {}",
            answer.word()
        );
        // Calls that passed must not crowd out those that fail their cases.
        let most = match answer {
            Answer::Miss => 2 * MOST_LATE,
            _ => MOST_LATE,
        };
        if self.late.len() < most {
            self.late.push(LateCall {
                session: id.to_owned(),
                call: OutboundCall::new(request, answer, None, arrived_us),
            });
        }
    }

    /// Returns the calls that came too late since the last time this was called.
    #[cfg(feature = "runner")]
    pub(crate) fn take_late(&mut self) -> Vec<LateCall> {
        std::mem::take(&mut self.late)
    }
}
