//! Decides what a policy does with a request that no rule matched.

use std::sync::Arc;

use super::answer::Answer;
use super::policy::{OnMiss, Policy, PolicyMode};
use crate::base::http::Host;

impl Policy {
    /// Returns whether a verdict under this policy can't be trusted after a call to this host that belongs
    /// to no session: the policy is strict, or would not let the call pass.
    pub(crate) fn distrusts_uncorrelated(&self, host: &Host<'_>) -> bool {
        self.external_http == PolicyMode::Strict || self.answer(host).is_some()
    }

    /// Returns whether a call to this host that no rule matched merely passes.
    pub(crate) fn lets_pass(&self, host: &Host<'_>) -> bool {
        self.answer(host).is_none()
    }

    /// Returns what the policy does with a request to this host that no rule matched.
    pub(crate) fn decide(&self, host: &Host<'_>) -> Answer {
        self.answer(host).unwrap_or(Answer::Forward)
    }

    /// Returns whether the policy lists this host as ambient.
    pub(crate) fn is_ambient(&self, host: &Host<'_>) -> bool {
        self.ambient.iter().any(|entry| host.is_within(entry))
    }

    /// Returns the policy's own answer to a request to this host; `None` if the policy lets it pass.
    pub(super) fn answer(&self, host: &Host<'_>) -> Option<Answer> {
        let listed = |list: &[String]| list.iter().any(|entry| host.is_within(entry));
        if listed(&self.block_hosts) {
            return Some(Answer::Miss);
        }
        if listed(&self.allow_hosts) {
            return None;
        }
        let mode = match self.internal_http {
            Some(internal) if host.is_internal() => internal,
            _ => self.external_http,
        };
        match (mode, &self.on_miss) {
            (PolicyMode::Strict, _) | (PolicyMode::Allow, OnMiss::Error) => Some(Answer::Miss),
            (PolicyMode::Allow, OnMiss::Passthrough) => None,
            (PolicyMode::Allow, OnMiss::Mock(response)) => Some(Answer::Mock {
                response: Arc::clone(response),
                latency: std::time::Duration::ZERO,
            }),
        }
    }
}
