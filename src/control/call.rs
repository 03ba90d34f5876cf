//! The calls of the control API, and their HTTP form.

use serde_json::{Value, json};

use crate::case::Mode;
use crate::rule::Policy;

/// One call of the control API.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    /// `GET /health`
    #[cfg(feature = "embedded")]
    Health,
    /// `GET /v1/meta`
    #[cfg(feature = "embedded")]
    Meta,
    /// `POST /v1/sessions`
    Start {
        /// `{"mode", "policy", "caseId"}`
        body: Value,
    },
    /// `GET /v1/sessions`
    #[cfg(feature = "embedded")]
    Sessions,
    /// `GET /v1/captures/{id}`
    #[cfg(feature = "embedded")]
    Capture {
        /// The id of the session that captured it, which is closed.
        id: String,
    },
    /// A call on one session.
    Session {
        /// The session's id.
        id: String,
        /// What to do with it.
        action: Action,
    },
}

/// A call on one session, `/v1/sessions/{id}/…`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// `POST …/load-case`: a case document.
    LoadCase(Value),
    /// `POST …/rules`: `{"version": 1, "rules": […]}`, which replaces the rules.
    SetRules(Value),
    /// `POST …/policy`: a policy, which replaces the current one.
    SetPolicy(Value),
    /// `POST …/fixtures/auth`: auth fixtures, which replace the current ones.
    SetAuthFixtures(Value),
    /// `GET …/stats`
    Stats,
    /// `GET …/requests`: the requests that the session's rules have answered.
    #[cfg(feature = "embedded")]
    Requests,
    /// `GET …/state`
    #[cfg(feature = "embedded")]
    State,
    /// `GET …/case`
    Case,
    /// `POST …/close`
    Close(Closing),
}

/// What to do with a capture when its session is closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Closing {
    /// `?out=`: the file to write the case to, below the folder for captures that the runtime was started
    /// with.
    pub(crate) out: Option<String>,
    /// `?include=case`: whether the answer contains the case.
    pub(crate) include_case: bool,
}

impl Closing {
    /// Returns the query with its `?`; empty if neither option is set.
    fn query(&self) -> String {
        let Self { out, include_case } = self;
        // `%20` and not `+` for a space: older servers read it too.
        let out = out.as_deref().map(|out| {
            let out =
                percent_encoding::utf8_percent_encode(out, percent_encoding::NON_ALPHANUMERIC);
            format!("out={out}")
        });
        let include = include_case.then(|| "include=case".to_owned());
        let parameters: Vec<String> = out.into_iter().chain(include).collect();
        match parameters.is_empty() {
            true => String::new(),
            false => format!("?{}", parameters.join("&")),
        }
    }
}

impl Action {
    /// Returns the path below the session's: `load-case`.
    pub(crate) fn path(&self) -> &'static str {
        match self {
            Self::LoadCase(_) => "load-case",
            Self::SetRules(_) => "rules",
            Self::SetPolicy(_) => "policy",
            Self::SetAuthFixtures(_) => "fixtures/auth",
            Self::Stats => "stats",
            #[cfg(feature = "embedded")]
            Self::Requests => "requests",
            #[cfg(feature = "embedded")]
            Self::State => "state",
            Self::Case => "case",
            Self::Close(_) => "close",
        }
    }
}

/// The HTTP form of a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Route<'a> {
    /// `GET` or `POST`.
    pub(crate) method: &'static str,
    /// The path below the runtime's base URL: `/v1/sessions`.
    pub(crate) path: String,
    /// The JSON body of a `POST`.
    pub(crate) body: Option<&'a Value>,
}

impl Call {
    /// Returns the call that opens a session in this mode, with a policy if one is given.
    pub(crate) fn start(mode: Mode, policy: Option<&Policy>) -> Self {
        let mut body = json!({"mode": mode.name()});
        if let Some(policy) = policy {
            body["policy"] = policy.to_value();
        }
        Self::Start { body }
    }

    /// Returns the call that performs an action on a session.
    pub(crate) fn on(id: &str, action: Action) -> Self {
        Self::Session {
            id: id.to_owned(),
            action,
        }
    }

    /// Returns the HTTP form of the call.
    pub(crate) fn route(&self) -> Route<'_> {
        let get = |path: &str| Route {
            method: "GET",
            path: path.to_owned(),
            body: None,
        };
        match self {
            #[cfg(feature = "embedded")]
            Self::Health => get("/health"),
            #[cfg(feature = "embedded")]
            Self::Meta => get("/v1/meta"),
            #[cfg(feature = "embedded")]
            Self::Sessions => get("/v1/sessions"),
            #[cfg(feature = "embedded")]
            Self::Capture { id } => get(&format!("/v1/captures/{id}")),
            Self::Start { body } => Route {
                method: "POST",
                path: "/v1/sessions".to_owned(),
                body: Some(body),
            },
            Self::Session { id, action } => {
                let path = format!("/v1/sessions/{id}/{}", action.path());
                match action {
                    #[cfg(feature = "embedded")]
                    Action::State | Action::Requests => get(&path),
                    Action::Stats | Action::Case => get(&path),
                    Action::LoadCase(body)
                    | Action::SetRules(body)
                    | Action::SetPolicy(body)
                    | Action::SetAuthFixtures(body) => Route {
                        method: "POST",
                        path,
                        body: Some(body),
                    },
                    Action::Close(closing) => Route {
                        method: "POST",
                        path: path + &closing.query(),
                        body: None,
                    },
                }
            }
        }
    }
}
