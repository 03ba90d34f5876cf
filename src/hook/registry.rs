//! The registry of hooks, and how the names in suites are resolved.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::Value;
use thiserror::Error;

use super::foreign::{self, ForeignFunction};
use super::{
    HookContext, HookError, HookFailure, HookKind, Issue, MockContext, RequestChange,
    ResponseChange,
};
use crate::base::document::did_you_mean;
use crate::base::http::{Headers, Request};
use crate::base::json;

type RequestFn =
    dyn Fn(&Request, &HookContext<'_>) -> Result<RequestChange, HookFailure> + Send + Sync;
type MockResponseFn =
    dyn Fn(&MockContext<'_>, &HookContext<'_>) -> Result<ResponseChange, HookFailure> + Send + Sync;
type BodyAssertFn =
    dyn Fn(&Value, &Value, &HookContext<'_>) -> Result<Vec<Issue>, HookFailure> + Send + Sync;
type HeadersAssertFn =
    dyn Fn(&Headers, &Headers, &HookContext<'_>) -> Result<Vec<Issue>, HookFailure> + Send + Sync;

#[derive(Clone)]
enum Function {
    Request(Arc<RequestFn>),
    MockResponse(Arc<MockResponseFn>),
    AssertBody(Arc<BodyAssertFn>),
    AssertHeaders(Arc<HeadersAssertFn>),
    /// A function in another language, which can serve as any kind of hook.
    Foreign(Arc<dyn ForeignFunction>),
}

/// A hook that a suite's name was resolved to.
#[derive(Clone)]
pub(crate) struct Hook {
    name: String,
    /// `None` for a function in another language until its name has been resolved.
    kind: Option<HookKind>,
    function: Function,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hook({} {})", self.kind_name(), self.name)
    }
}

impl Hook {
    /// Returns the name that the hook is registered under.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs a request hook.
    ///
    /// # Errors
    ///
    /// [`HookError`] when it returns an error or panics.
    pub(crate) fn change_request(
        &self,
        request: &Request,
        context: &HookContext<'_>,
    ) -> Result<RequestChange, HookError> {
        self.run(HookKind::Request, || match &self.function {
            Function::Request(function) => function(request, context),
            Function::Foreign(function) => {
                foreign::change_request(function.as_ref(), request, context)
            }
            _ => Err(self.misplaced()),
        })
    }

    /// Runs a mock response hook.
    ///
    /// # Errors
    ///
    /// [`HookError`] when it returns an error or panics.
    pub(crate) fn change_response(
        &self,
        mock: &MockContext<'_>,
        context: &HookContext<'_>,
    ) -> Result<ResponseChange, HookError> {
        self.run(HookKind::MockResponse, || match &self.function {
            Function::MockResponse(function) => function(mock, context),
            Function::Foreign(function) => {
                foreign::change_response(function.as_ref(), mock, context)
            }
            _ => Err(self.misplaced()),
        })
    }

    /// Runs a body assert hook.
    ///
    /// # Errors
    ///
    /// [`HookError`] when it returns an error or panics.
    pub(crate) fn assert_body(
        &self,
        actual: &Value,
        captured: &Value,
        context: &HookContext<'_>,
    ) -> Result<Vec<Issue>, HookError> {
        self.run(HookKind::AssertBody, || match &self.function {
            Function::AssertBody(function) => {
                function(&json::unmarked(actual), &json::unmarked(captured), context)
            }
            Function::Foreign(function) => {
                foreign::assert_body(function.as_ref(), actual, captured, context)
            }
            _ => Err(self.misplaced()),
        })
    }

    /// Runs a headers assert hook.
    ///
    /// # Errors
    ///
    /// [`HookError`] when it returns an error or panics.
    pub(crate) fn assert_headers(
        &self,
        actual: &Headers,
        captured: &Headers,
        context: &HookContext<'_>,
    ) -> Result<Vec<Issue>, HookError> {
        self.run(HookKind::AssertHeaders, || match &self.function {
            Function::AssertHeaders(function) => function(actual, captured, context),
            Function::Foreign(function) => {
                foreign::assert_headers(function.as_ref(), actual, captured, context)
            }
            _ => Err(self.misplaced()),
        })
    }

    fn misplaced(&self) -> HookFailure {
        format!("it is a {} hook", self.kind_name()).into()
    }

    fn kind_name(&self) -> String {
        self.kind
            .map_or_else(|| "any kind".to_owned(), |kind| kind.to_string())
    }

    fn run<T>(
        &self,
        kind: HookKind,
        call: impl FnOnce() -> Result<T, HookFailure>,
    ) -> Result<T, HookError> {
        let source = match catch_unwind(AssertUnwindSafe(call)) {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(failure)) => failure,
            Err(panic) => {
                let text = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied());
                Panicked(text.unwrap_or("without a message").to_owned()).into()
            }
        };
        Err(HookError {
            name: self.name.clone(),
            kind,
            source,
        })
    }
}

/// A hook that panicked.
#[derive(Debug, Error)]
#[error("it panicked: {0}")]
struct Panicked(String);

/// The hooks that suites can refer to, by name; the [module](crate::hook) shows an example.
///
/// A suite refers to a hook by its full name, or by the part after the last dot if no other hook of
/// that kind ends in it.
#[derive(Debug, Clone, Default)]
pub struct Hooks {
    hooks: Vec<Hook>,
}

impl Hooks {
    /// Creates a registry without hooks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a request hook, which gets the request before it is sent.
    #[must_use]
    pub fn request<F>(self, name: &str, hook: F) -> Self
    where
        F: Fn(&Request, &HookContext<'_>) -> Result<RequestChange, HookFailure>
            + Send
            + Sync
            + 'static,
    {
        self.add(name, HookKind::Request, Function::Request(Arc::new(hook)))
    }

    /// Registers a mock response hook, which gets the mock before its rule is registered.
    #[must_use]
    pub fn mock_response<F>(self, name: &str, hook: F) -> Self
    where
        F: Fn(&MockContext<'_>, &HookContext<'_>) -> Result<ResponseChange, HookFailure>
            + Send
            + Sync
            + 'static,
    {
        let function = Function::MockResponse(Arc::new(hook));
        self.add(name, HookKind::MockResponse, function)
    }

    /// Registers a body assert hook, which gets the actual body, then the captured one: the JSON value if the
    /// body parses as JSON, otherwise a string, with redacted places masked. The captured one is `null` if it
    /// was not captured.
    #[must_use]
    pub fn assert_body<F>(self, name: &str, hook: F) -> Self
    where
        F: Fn(&Value, &Value, &HookContext<'_>) -> Result<Vec<Issue>, HookFailure>
            + Send
            + Sync
            + 'static,
    {
        let function = Function::AssertBody(Arc::new(hook));
        self.add(name, HookKind::AssertBody, function)
    }

    /// Registers a headers assert hook, which gets the actual headers, then the captured ones, both without
    /// ignored headers.
    #[must_use]
    pub fn assert_headers<F>(self, name: &str, hook: F) -> Self
    where
        F: Fn(&Headers, &Headers, &HookContext<'_>) -> Result<Vec<Issue>, HookFailure>
            + Send
            + Sync
            + 'static,
    {
        let function = Function::AssertHeaders(Arc::new(hook));
        self.add(name, HookKind::AssertHeaders, function)
    }

    /// Adds the hooks of another registry.
    #[must_use]
    pub fn merge(mut self, other: Hooks) -> Self {
        self.hooks.extend(other.hooks);
        self
    }

    /// Returns the registered names, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.hooks.iter().map(|hook| hook.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// Registers a function in another language.
    #[must_use]
    pub(crate) fn foreign(mut self, name: &str, function: Arc<dyn ForeignFunction>) -> Self {
        self.hooks.push(Hook {
            name: name.to_owned(),
            kind: None,
            function: Function::Foreign(function),
        });
        self
    }

    fn add(mut self, name: &str, kind: HookKind, function: Function) -> Self {
        self.hooks.push(Hook {
            name: name.to_owned(),
            kind: Some(kind),
            function,
        });
        self
    }

    /// Returns the hook of this kind that a name in a suite refers to: the hook with exactly this name or, if
    /// there is none, the one whose name has the same part after its last dot.
    ///
    /// # Errors
    ///
    /// A message that says what is wrong and what is registered, when the name is unknown, ambiguous, or that
    /// of another kind of hook.
    pub(crate) fn resolve(&self, word: &str, kind: HookKind) -> Result<Hook, String> {
        let whole = self.of(|hook| hook.name == word);
        let candidates = match whole.is_empty() {
            false => whole,
            true => self.of(|hook| tail(&hook.name) == tail(word)),
        };
        let fitting: Vec<&Hook> = candidates
            .iter()
            .copied()
            .filter(|hook| hook.kind.is_none_or(|own| own == kind))
            .collect();
        match (fitting.as_slice(), candidates.as_slice()) {
            ([one], _) => Ok(Hook {
                kind: Some(kind),
                ..(*one).clone()
            }),
            ([], []) => Err(format!(
                "unknown hook `{word}`{}; registered: {}",
                did_you_mean(word, self.names().into_iter()),
                self.listing()
            )),
            ([], others) => Err(format!(
                "`{word}` is a {} hook, but a {kind} hook is needed here; registered: {}",
                others[0].kind_name(),
                self.listing()
            )),
            (several, _) if several.iter().all(|hook| hook.name == several[0].name) => {
                Err(format!(
                    "`{word}` is ambiguous: {} {kind} hooks are registered under the name {}; \
                     give their files, or the hooks, different names",
                    several.len(),
                    several[0].name
                ))
            }
            (several, _) => Err(format!(
                "`{word}` is ambiguous: {} {kind} hooks match it ({}); write one name in full, \
                 and register each name only once",
                several.len(),
                several
                    .iter()
                    .map(|hook| hook.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
        }
    }

    fn of(&self, keep: impl Fn(&Hook) -> bool) -> Vec<&Hook> {
        self.hooks.iter().filter(|hook| keep(hook)).collect()
    }

    fn listing(&self) -> String {
        if self.hooks.is_empty() {
            return "none".to_owned();
        }
        let mut hooks: Vec<&Hook> = self.hooks.iter().collect();
        hooks.sort_by(|a, b| a.name.cmp(&b.name).then(a.kind.cmp(&b.kind)));
        let listed: Vec<String> = hooks
            .iter()
            .map(|hook| format!("`{}` ({})", hook.name, hook.kind_name()))
            .collect();
        listed.join(", ")
    }
}

fn tail(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, tail)| tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hooks() -> Hooks {
        Hooks::new()
            .request("checkout.unmask", |_, _| Ok(RequestChange::default()))
            .request("fill", |_, _| Ok(RequestChange::default()))
            .assert_body("checkout.totals", |_, _, _| Ok(vec![]))
            .assert_body("refund.totals", |_, _, _| Ok(vec![]))
    }

    #[test]
    fn a_name_resolves_in_full_or_by_its_last_part() {
        let find = |word| hooks().resolve(word, HookKind::Request).unwrap().name;
        assert_eq!(find("checkout.unmask"), "checkout.unmask");
        assert_eq!(find("unmask"), "checkout.unmask");
        assert_eq!(find("any.fill"), "fill");
        assert_eq!(find("checkout.stripe.unmask"), "checkout.unmask");
        assert_eq!(find("refund.unmask"), "checkout.unmask");
    }

    #[test]
    fn an_unresolved_hook_name_says_why() {
        let why = |word, kind| hooks().resolve(word, kind).unwrap_err();
        let missing = why("checkout.unmaks", HookKind::Request);
        assert!(
            missing.contains("did you mean checkout.unmask?"),
            "{missing}"
        );
        assert!(
            missing.contains("`refund.totals` (body assert)"),
            "{missing}"
        );
        let other_part = why("unmask.card", HookKind::Request);
        assert!(other_part.contains("unknown hook"), "{other_part}");
        let ambiguous = why("totals", HookKind::AssertBody);
        assert!(ambiguous.contains("ambiguous"), "{ambiguous}");
        let kind = why("fill", HookKind::AssertBody);
        assert!(kind.contains("is a request hook"), "{kind}");
    }
}
