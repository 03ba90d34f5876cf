//! What a policy does with a request that no rule matched.

use std::sync::Arc;

use super::answer::Answer;
use super::policy::{OnMiss, Policy, PolicyMode};
use crate::base::http::{host_is_internal, host_within};

impl Policy {
    /// Whether a call to this host that fits no session makes a verdict under this policy worthless:
    /// it is strict, or would not merely let the call pass.
    pub(crate) fn distrusts_uncorrelated(&self, host: &str) -> bool {
        self.external_http == PolicyMode::Strict || self.answer(host).is_some()
    }

    /// What the policy itself says of a request to this host; `None` where it merely lets it pass.
    pub(super) fn answer(&self, host: &str) -> Option<Answer> {
        let listed = |list: &[String]| list.iter().any(|entry| host_within(entry, host));
        if listed(&self.block_hosts) {
            return Some(Answer::Miss);
        }
        if listed(&self.allow_hosts) {
            return None;
        }
        let mode = match self.internal_http {
            Some(internal) if host_is_internal(host) => internal,
            _ => self.external_http,
        };
        match (mode, &self.default_on_miss) {
            (PolicyMode::Strict, _) | (PolicyMode::Allow, OnMiss::Error) => Some(Answer::Miss),
            (PolicyMode::Allow, OnMiss::Passthrough) => None,
            (PolicyMode::Allow, OnMiss::Mock(response)) => Some(Answer::Mock {
                response: Arc::clone(response),
                latency: std::time::Duration::ZERO,
            }),
        }
    }
}
