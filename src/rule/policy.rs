//! A session's policy: what happens to an outbound request that no rule matched.

use std::sync::Arc;

use serde_json::Value;
use thiserror::Error;

use super::message::{RESPONSE_FIELDS, check_response, read_response, response_value};
use crate::base::document::{Node, Place, Problems};
use crate::base::http::{Response, split_port};

/// A session's policy: what happens to an outbound request that no rule matched.
///
/// Blocked hosts take precedence over allowed ones, and both over the mode. A host in a list includes its
/// subdomains: `stripe.com` includes `api.stripe.com`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// The mode for hosts that are not internal, and for all hosts if `internal_http` is not given.
    pub external_http: PolicyMode,
    /// Hosts that pass even under a strict mode; see [`allow_host`](Self::allow_host).
    pub allow_hosts: Vec<String>,
    /// Hosts that miss under any mode; see [`block_host`](Self::block_host).
    pub block_hosts: Vec<String>,
    /// What `allow` does with the other unmatched requests.
    pub on_miss: OnMiss,
    /// The mode for loopback addresses, names without a dot and names below `.localhost`, if given.
    pub internal_http: Option<PolicyMode>,
    /// Hosts that the application calls on its own behalf; see [`ambient_host`](Self::ambient_host).
    pub ambient: Vec<String>,
}

/// Whether a policy lets requests that no rule matched pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum PolicyMode {
    /// They are treated as [`Policy::on_miss`] specifies; by default, they pass.
    #[default]
    Allow,
    /// They are strict misses, which are answered with status 599.
    Strict,
}

/// What an `allow` policy does with an unmatched request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnMiss {
    /// Forwards it.
    #[default]
    Passthrough,
    /// Answers it as a strict miss.
    Error,
    /// Answers it with this response, as a mock.
    Mock(Arc<Response>),
}

/// The error for a document that is not a policy; its message lists every fault with its place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct PolicyError(Problems);

#[derive(Clone, Copy)]
pub(super) enum OnMissWord {
    Passthrough,
    Error,
    Mock,
}

pub(super) const MODES: [(&str, PolicyMode); 2] =
    [("allow", PolicyMode::Allow), ("strict", PolicyMode::Strict)];

pub(super) const MISS_WORDS: [(&str, OnMissWord); 3] = [
    ("passthrough", OnMissWord::Passthrough),
    ("error", OnMissWord::Error),
    ("mock", OnMissWord::Mock),
];

/// The fields of a policy.
pub(super) const POLICY_FIELDS: &[&str] = &[
    "externalHttp",
    "externalAllowlist",
    "allowHosts",
    "blockHosts",
    "defaultOnMiss",
    "mock",
    "internalHttp",
    "ambient",
];

impl Policy {
    /// Creates a policy under which every unmatched outbound request is a miss.
    pub fn strict() -> Self {
        Self {
            external_http: PolicyMode::Strict,
            ..Self::default()
        }
    }

    /// Lets requests to a host and its subdomains pass under a strict policy.
    #[must_use]
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.allow_hosts.push(host.into());
        self
    }

    /// Makes unmatched requests to a host and its subdomains misses under any policy.
    #[must_use]
    pub fn block_host(mut self, host: impl Into<String>) -> Self {
        self.block_hosts.push(host.into());
        self
    }

    /// Declares that calls to a host and its subdomains which carry no session are the application's own business,
    /// such as telemetry or a licence check. They are forwarded, or under a strict policy answered with status 503,
    /// and never make a session's verdict doubtful.
    #[must_use]
    pub fn ambient_host(mut self, host: impl Into<String>) -> Self {
        self.ambient.push(host.into());
        self
    }

    /// Sets what an `allow` policy does with an unmatched request. The default is
    /// [`OnMiss::Passthrough`].
    #[must_use]
    pub fn on_miss(mut self, on_miss: OnMiss) -> Self {
        self.on_miss = on_miss;
        self
    }

    /// Sets the mode for loopback and single-label hosts. The default is the mode for other hosts.
    #[must_use]
    pub fn internal_http(mut self, mode: PolicyMode) -> Self {
        self.internal_http = Some(mode);
        self
    }

    /// Reads a policy from its JSON, `{"externalHttp": "strict", "allowHosts": ["login.example"]}`; unknown
    /// fields are ignored, as the runtime ignores them.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] lists every fault with its place.
    pub fn from_value(value: &Value) -> Result<Self, PolicyError> {
        let mut problems = Problems::default();
        let policy = Self::read(&Node::root(value), false, &mut problems);
        problems.into_result(policy).map_err(PolicyError)
    }

    /// Reads a policy; unknown fields are problems if `closed`.
    pub(crate) fn read(node: &Node<'_>, closed: bool, problems: &mut Problems) -> Option<Self> {
        let object = if closed {
            node.object(POLICY_FIELDS, problems)?
        } else {
            node.map(problems)?
        };
        let before = problems.0.len();
        let mut policy = Self::default();
        if let Some(node) = object.given("externalHttp") {
            policy.external_http = node.choice(&MODES, problems).unwrap_or_default();
        }
        if let Some(node) = object.given("internalHttp") {
            policy.internal_http = node.choice(&MODES, problems);
        }
        for name in ["externalAllowlist", "allowHosts"] {
            if let Some(node) = object.given(name) {
                policy.allow_hosts.extend(read_hosts(&node, problems));
            }
        }
        if let Some(node) = object.given("blockHosts") {
            policy.block_hosts = read_hosts(&node, problems);
        }
        if let Some(node) = object.given("ambient") {
            policy.ambient = read_hosts(&node, problems);
        }
        let word = match object.given("defaultOnMiss") {
            Some(node) => node.choice(&MISS_WORDS, problems)?,
            None => OnMissWord::Passthrough,
        };
        policy.on_miss = match word {
            OnMissWord::Passthrough => OnMiss::Passthrough,
            OnMissWord::Error => OnMiss::Error,
            OnMissWord::Mock => {
                let node = object.require("mock", problems)?;
                let mock = node.object(RESPONSE_FIELDS, problems)?;
                OnMiss::Mock(Arc::new(read_response(&mock, 200, problems)?))
            }
        };
        if let (Some(node), OnMissWord::Passthrough | OnMissWord::Error) =
            (object.given("mock"), word)
            && closed
        {
            problems.add(&node.place, "`mock` needs `defaultOnMiss: mock`");
        }
        (problems.0.len() == before).then_some(policy)
    }

    /// Checks a policy that was not read from JSON, and adds whatever reading it would have
    /// rejected to `problems`.
    pub(crate) fn check(&self, place: &Place, problems: &mut Problems) {
        let Self {
            external_http: _,
            internal_http: _,
            allow_hosts,
            block_hosts,
            on_miss,
            ambient,
        } = self;
        for (name, hosts) in [
            ("allowHosts", allow_hosts),
            ("blockHosts", block_hosts),
            ("ambient", ambient),
        ] {
            for (n, host) in hosts.iter().enumerate() {
                check_host(host, &place.key(name).index(n), problems);
            }
        }
        if let OnMiss::Mock(response) = on_miss {
            check_response(response, &place.key("mock"), problems);
        }
    }

    /// Returns the policy as JSON, in the form that the control API expects.
    pub fn to_value(&self) -> Value {
        let Self {
            external_http,
            allow_hosts,
            block_hosts,
            on_miss,
            internal_http,
            ambient,
        } = self;
        let mode = |mode: &PolicyMode| match mode {
            PolicyMode::Allow => "allow",
            PolicyMode::Strict => "strict",
        };
        let mut value = serde_json::json!({"externalHttp": mode(external_http)});
        if let Some(internal) = internal_http {
            value["internalHttp"] = mode(internal).into();
        }
        if !allow_hosts.is_empty() {
            value["allowHosts"] = allow_hosts.clone().into();
        }
        if !block_hosts.is_empty() {
            value["blockHosts"] = block_hosts.clone().into();
        }
        if !ambient.is_empty() {
            value["ambient"] = ambient.clone().into();
        }
        match on_miss {
            OnMiss::Passthrough => {}
            OnMiss::Error => value["defaultOnMiss"] = "error".into(),
            OnMiss::Mock(response) => {
                value["defaultOnMiss"] = "mock".into();
                value["mock"] = response_value(response);
            }
        }
        value
    }
}

fn read_hosts(node: &Node<'_>, problems: &mut Problems) -> Vec<String> {
    let mut hosts = Vec::new();
    for node in node.list(problems).unwrap_or_default() {
        let Some(host) = node.string(problems) else {
            continue;
        };
        if check_host(&host, &node.place, problems) {
            hosts.push(host);
        }
    }
    hosts
}

/// Returns whether a text can be a host in a list; if not, adds a problem.
fn check_host(host: &str, place: &Place, problems: &mut Problems) -> bool {
    let name = split_port(host).0.trim_start_matches('.');
    let fits = !name.is_empty() && !host.contains(['/', '*', ' ']);
    if !fits {
        problems.add(
            place,
            format!(
                "`{host}` is not a host; write a name such as `stripe.com`, which also matches `api.stripe.com`"
            ),
        );
    }
    fits
}
