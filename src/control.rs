//! The control API as data: its calls, its answers' errors, and the trait that stands between a
//! session and the runtime it lives in.

use std::fmt;

use serde_json::{Value, json};

use crate::error::{SoftprobeError, UNKNOWN_SESSION};

/// The version of the control API that is spoken here.
pub(crate) const SPEC_VERSION: &str = "http-control-api@v1";
/// The version of the case schema that is understood here.
pub(crate) const SCHEMA_VERSION: &str = "1";

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Records what passes.
    Capture,
    /// Answers from what was recorded.
    #[default]
    Replay,
    /// Serves the generation of tests.
    Generate,
}

impl Mode {
    /// `capture`, `replay` or `generate`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Replay => "replay",
            Self::Generate => "generate",
        }
    }

    /// Each mode beside its name.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("capture", Self::Capture),
        ("replay", Self::Replay),
        ("generate", Self::Generate),
    ];
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One call of the control API.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// `GET /health`
    Health,
    /// `GET /v1/meta`
    Meta,
    /// `POST /v1/sessions`
    Start {
        /// `{"mode", "policy", "caseId"}`
        body: Value,
    },
    /// `GET /v1/sessions`
    Sessions,
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
pub enum Action {
    /// `POST …/load-case`: a case document.
    LoadCase(Value),
    /// `POST …/rules`: `{"version": 1, "rules": […]}`, replaces.
    SetRules(Value),
    /// `POST …/policy`: replaces.
    SetPolicy(Value),
    /// `POST …/fixtures/auth`: replaces.
    SetAuthFixtures(Value),
    /// `GET …/stats`
    Stats,
    /// `GET …/state`
    State,
    /// `GET …/case`
    Case,
    /// `POST …/close`
    Close(Closing),
}

/// What is wanted of a capture when its session closes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closing {
    /// `?out=`: where the runtime writes the case, below the folder that it was started with for that.
    pub out: Option<String>,
    /// `?include=case`: whether the answer has the case.
    pub include_case: bool,
}

impl Closing {
    /// The query, with its `?`; empty where nothing is asked for.
    fn query(&self) -> String {
        let Self { out, include_case } = self;
        let out = out.as_deref().map(|out| {
            let out =
                percent_encoding::utf8_percent_encode(out, percent_encoding::NON_ALPHANUMERIC);
            format!("out={out}")
        });
        let include = include_case.then(|| "include=case".to_owned());
        let asked: Vec<String> = out.into_iter().chain(include).collect();
        match asked.is_empty() {
            true => String::new(),
            false => format!("?{}", asked.join("&")),
        }
    }
}

impl Action {
    /// The path below the session.
    pub fn path(&self) -> &'static str {
        match self {
            Self::LoadCase(_) => "load-case",
            Self::SetRules(_) => "rules",
            Self::SetPolicy(_) => "policy",
            Self::SetAuthFixtures(_) => "fixtures/auth",
            Self::Stats => "stats",
            Self::State => "state",
            Self::Case => "case",
            Self::Close(_) => "close",
        }
    }
}

/// The HTTP form of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Route<'a> {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Below the runtime's base URL: `/v1/sessions`.
    pub path: String,
    /// The JSON body of a `POST`.
    pub body: Option<&'a Value>,
}

impl Call {
    /// Opens a session of this mode.
    pub fn start(mode: Mode) -> Self {
        Self::Start {
            body: json!({"mode": mode.name()}),
        }
    }

    /// Opens a session of this mode under a policy.
    pub fn start_under(mode: Mode, policy: &Value) -> Self {
        Self::Start {
            body: json!({"mode": mode.name(), "policy": policy}),
        }
    }

    /// The call on that session.
    pub fn on(id: &str, action: Action) -> Self {
        Self::Session {
            id: id.to_owned(),
            action,
        }
    }

    /// How the call goes over HTTP.
    pub fn route(&self) -> Route<'_> {
        let get = |path: &str| Route {
            method: "GET",
            path: path.to_owned(),
            body: None,
        };
        match self {
            Self::Health => get("/health"),
            Self::Meta => get("/v1/meta"),
            Self::Sessions => get("/v1/sessions"),
            Self::Start { body } => Route {
                method: "POST",
                path: "/v1/sessions".to_owned(),
                body: Some(body),
            },
            Self::Session { id, action } => {
                let path = format!("/v1/sessions/{id}/{}", action.path());
                match action {
                    Action::Stats | Action::State | Action::Case => get(&path),
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

/// Why a runtime refuses a call: `{"error": {"code", "message"}}` with a status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ControlError {
    /// The HTTP status.
    pub status: u16,
    /// The code of the contract's table: `unknown_session`.
    pub code: &'static str,
    /// What is wrong and where, for people.
    pub message: String,
}

impl ControlError {
    /// 400 `invalid_request`
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request", message)
    }

    /// 404 `unknown_session`
    pub fn unknown_session(id: &str) -> Self {
        Self::new(
            404,
            UNKNOWN_SESSION,
            format!("no session `{id}` is open; it was closed, or never started here"),
        )
    }

    /// An error of that status and code.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    /// The body that goes out with it.
    pub fn to_value(&self) -> Value {
        json!({"error": {"code": self.code, "message": self.message}})
    }
}

/// A runtime that sessions live in, in this process or behind HTTP.
pub trait Runtime: fmt::Debug + Send + Sync {
    /// Carries a call out; the answer is the JSON of the contract's table.
    ///
    /// # Errors
    ///
    /// [`SoftprobeError::Runtime`] when the runtime refuses, [`SoftprobeError::Unreachable`] when no
    /// runtime answers.
    fn call(&self, call: &Call) -> Result<Value, SoftprobeError>;

    /// Where the runtime is, for people: a URL, or `embedded`.
    fn address(&self) -> &str;
}
