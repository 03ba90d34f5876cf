//! Rules of a remote runtime that replay several exchanges of one call.

use std::sync::Arc;

use serde_json::Value;

use super::http_runtime::HttpRuntime;
use super::remote_oracle::lock;
use crate::base::encoding::decode_base64;
use crate::base::http::{Headers, Request};
use crate::control::{Action, AnsweredRequest, AnsweredRequests, SessionStats};
use crate::error::SoftprobeError;
use crate::rule::{Rule, rules_document, tells_bodies, without_turns};

impl HttpRuntime {
    /// Replaces the session's rules by ones that the runtime knows. One that does not know the predicate `body`
    /// gets them without it.
    pub(super) fn set_rules_in_turn(
        &self,
        session: &str,
        rules: &[Arc<Rule>],
    ) -> Result<bool, SoftprobeError> {
        let set = |rules: &[Arc<Rule>]| {
            self.on(session, Action::SetRules(rules_document(rules)))
                .map(drop)
        };
        let (owners, by_body): (Vec<usize>, Vec<Arc<Rule>>) =
            without_turns(rules).into_iter().unzip();
        let mut changed = by_body.len() > rules.len();
        match set(if changed { &by_body } else { rules }) {
            Err(error) if changed && error.status() == Some(400) => {
                set(rules)?;
                changed = false;
            }
            set => set?,
        }
        let mut known = lock(&self.memory.owners);
        match changed {
            true => known.insert(session.to_owned(), owners),
            false => known.remove(session),
        };
        let has_turns = rules.iter().any(|rule| rule.turn.is_some());
        Ok(!has_turns || (changed && tells_bodies(rules)))
    }

    /// Returns the stats with the uses of the rules as they were given.
    pub(super) fn stats_in_turn(&self, session: &str, mut stats: SessionStats) -> SessionStats {
        if let (Some(uses), Some(owners)) =
            (&mut stats.rule_uses, lock(&self.memory.owners).get(session))
        {
            let count = owners.iter().max().map_or(0, |last| last + 1);
            let mut summed = vec![0; count];
            for (owner, uses) in owners.iter().zip(uses.iter()) {
                summed[*owner] += uses;
            }
            *uses = summed;
        }
        stats
    }

    /// Returns the requests that the session's rules have answered.
    pub(super) fn answered_in_turn(
        &self,
        session: &str,
    ) -> Result<Option<AnsweredRequests>, SoftprobeError> {
        let answer = match self.on(session, Action::Requests) {
            Err(error) if matches!(error.status(), Some(404 | 405)) => return Ok(None),
            answer => answer?,
        };
        let wrong = || self.protocol("", "the session's requests can't be read");
        let owners = lock(&self.memory.owners).get(session).cloned();
        let dropped = answer["dropped"].as_u64().ok_or_else(wrong)?;
        let mut answered = AnsweredRequests::with_dropped(dropped);
        for value in answer["requests"].as_array().ok_or_else(wrong)? {
            let index = |name: &str| value[name].as_u64().and_then(|n| usize::try_from(n).ok());
            let (rule, call) = index("rule").zip(index("call")).ok_or_else(wrong)?;
            let rule = match &owners {
                Some(owners) => *owners.get(rule).ok_or_else(wrong)?,
                None => rule,
            };
            answered.add(AnsweredRequest {
                rule,
                call,
                request: Arc::new(read_request(&value["request"]).ok_or_else(wrong)?),
            });
        }
        Ok(Some(answered))
    }
}

/// Reads a request as the runtime writes it.
fn read_request(value: &Value) -> Option<Request> {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let mut headers = Headers::new();
    for field in value["headers"].as_array()? {
        headers.push(field[0].as_str()?, decode_base64(field[1].as_str()?)?);
    }
    Some(Request {
        method: text("method")?,
        scheme: text("scheme")?,
        host: text("host")?,
        path: text("path")?,
        query: text("query"),
        headers,
        body: decode_base64(value["body"].as_str()?)?,
        unread: false,
    })
}
