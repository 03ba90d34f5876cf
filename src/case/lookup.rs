//! Finding captured exchanges by predicate.

use std::fmt;

use serde_json::Value;
use thiserror::Error;

use super::{CapturedResponse, Case, Exchange, SpanSummary};
use crate::http::{Direction, host_ends_with, host_equals, path_equals};

/// What a captured exchange must be; every given field must hold, none given fits all.
///
/// ```
/// use softprobe::Predicate;
///
/// let payment = Predicate::outbound()
///     .method("POST")
///     .host_suffix("stripe.com")
///     .path_prefix("/v1/payment_intents");
/// # assert_eq!(payment.method.as_deref(), Some("POST"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Predicate {
    /// Which way it crossed the application.
    pub direction: Option<Direction>,
    /// The service that was captured.
    pub service: Option<String>,
    /// The host, without regard to case; without a port it fits every port.
    pub host: Option<String>,
    /// What the host ends with: `stripe.com` fits `api.stripe.com`.
    pub host_suffix: Option<String>,
    /// The method, without regard to case.
    pub method: Option<String>,
    /// The path without its query; with a `?` in it, path and query.
    pub path: Option<String>,
    /// What the path starts with.
    pub path_prefix: Option<String>,
}

impl Predicate {
    /// Fits every exchange.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fits every outbound exchange.
    pub fn outbound() -> Self {
        Self::new().direction(Direction::Outbound)
    }

    /// Wants this direction.
    #[must_use]
    pub fn direction(mut self, direction: Direction) -> Self {
        self.direction = Some(direction);
        self
    }

    /// Wants this service.
    #[must_use]
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.service = Some(service.into());
        self
    }

    /// Wants this host.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Wants a host that ends so.
    #[must_use]
    pub fn host_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.host_suffix = Some(suffix.into());
        self
    }

    /// Wants this method.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Wants this path.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Wants a path that starts so.
    #[must_use]
    pub fn path_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.path_prefix = Some(prefix.into());
        self
    }

    /// Each given field with whether it holds for the exchange, and what the exchange has there.
    fn check(&self, x: &Exchange) -> Vec<(&'static str, bool, String)> {
        let Self {
            direction,
            service,
            host,
            host_suffix,
            method,
            path,
            path_prefix,
        } = self;
        let request = &x.request;
        let mut checks = Vec::new();
        if let Some(wanted) = direction {
            let has = x.direction.map_or("none", Direction::name);
            checks.push(("direction", x.direction == Some(*wanted), has.to_owned()));
        }
        if let Some(wanted) = service {
            let has = x.service.clone().unwrap_or_default();
            checks.push(("service", *wanted == has, has));
        }
        if let Some(wanted) = host {
            let holds = host_equals(wanted, &request.host);
            checks.push(("host", holds, request.host.clone()));
        }
        if let Some(wanted) = host_suffix {
            let holds = host_ends_with(wanted, &request.host);
            checks.push(("hostSuffix", holds, request.host.clone()));
        }
        if let Some(wanted) = method {
            let holds = wanted.eq_ignore_ascii_case(&request.method);
            checks.push(("method", holds, request.method.clone()));
        }
        if let Some(wanted) = path {
            let holds = path_equals(wanted, &request.path, request.query.as_deref());
            checks.push(("path", holds, request.target()));
        }
        if let Some(wanted) = path_prefix {
            let holds = request.path.starts_with(wanted.as_str());
            checks.push(("pathPrefix", holds, request.path.clone()));
        }
        checks
    }

    /// Whether the exchange is what this asks for.
    pub fn matches(&self, exchange: &Exchange) -> bool {
        exchange.is_candidate() && self.check(exchange).iter().all(|(_, holds, _)| *holds)
    }
}

impl Predicate {
    /// Each field's name in the rule language, with what it wants.
    pub(crate) fn fields(&self) -> [(&'static str, Option<&str>); 7] {
        let Self {
            direction,
            service,
            host,
            host_suffix,
            method,
            path,
            path_prefix,
        } = self;
        [
            ("direction", direction.map(Direction::name)),
            ("service", service.as_deref()),
            ("host", host.as_deref()),
            ("hostSuffix", host_suffix.as_deref()),
            ("method", method.as_deref()),
            ("path", path.as_deref()),
            ("pathPrefix", path_prefix.as_deref()),
        ]
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.fields();
        let given: Vec<String> = fields
            .iter()
            .filter_map(|(name, value)| Some(format!("{name}: {}", (*value)?)))
            .collect();
        if given.is_empty() {
            f.write_str("anything")
        } else {
            f.write_str(&given.join(", "))
        }
    }
}

/// A captured exchange that a lookup found.
#[derive(Debug, Clone, PartialEq)]
pub struct CapturedHit {
    /// The response as it was captured.
    pub response: CapturedResponse,
    /// The whole exchange, the raw span in it.
    pub exchange: Exchange,
}

/// A lookup that did not find exactly one exchange, or one that has no response.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct CaseLookupError {
    /// The spans that matched: empty for none, several where the predicate is too broad.
    pub matches: Vec<SpanSummary>,
    message: String,
}

impl Case {
    /// The one exchange that the predicate fits.
    ///
    /// # Errors
    ///
    /// [`CaseLookupError`] when none or several fit: its `matches` are those spans, and for none its
    /// message names the nearest spans and the first field on which each differs. Also when the one
    /// that fits has no status.
    pub fn find(&self, predicate: &Predicate) -> Result<CapturedHit, CaseLookupError> {
        let found: Vec<&Exchange> = self.matching(predicate).collect();
        match found.as_slice() {
            [one] => hit(one),
            [] => Err(CaseLookupError {
                matches: Vec::new(),
                message: self.explain_none(predicate),
            }),
            several => {
                let matches: Vec<_> = several.iter().map(|x| x.summary()).collect();
                let mut message = format!(
                    "{} captured exchanges match {{{predicate}}}, expected one; narrow the match, \
                     or take all of them (`find_all_in_case`, `expect: all`):",
                    matches.len()
                );
                for span in &matches {
                    message.push_str(&format!("\n  {span}"));
                }
                Err(CaseLookupError { matches, message })
            }
        }
    }

    /// Every exchange that the predicate fits, in captured order, perhaps none.
    ///
    /// # Errors
    ///
    /// [`CaseLookupError`] when one of them has no status.
    pub fn find_all(&self, predicate: &Predicate) -> Result<Vec<CapturedHit>, CaseLookupError> {
        self.matching(predicate).map(hit).collect()
    }

    fn matching<'a>(&'a self, predicate: &'a Predicate) -> impl Iterator<Item = &'a Exchange> {
        self.exchanges().iter().filter(|x| predicate.matches(x))
    }

    fn explain_none(&self, predicate: &Predicate) -> String {
        let mut message = format!("no captured exchange matches {{{predicate}}}");
        let mut near: Vec<(usize, &Exchange, String)> = self
            .exchanges()
            .iter()
            .filter(|x| x.is_candidate())
            .filter_map(|x| {
                let checks = predicate.check(x);
                let held = checks.iter().filter(|(_, holds, _)| *holds).count();
                let (field, _, has) = checks.into_iter().find(|(_, holds, _)| !holds)?;
                Some((held, x, format!("{field} is `{has}`")))
            })
            .collect();
        if near.is_empty() {
            message.push_str("; the case has no exchange to look up");
            return message;
        }
        near.sort_by_key(|(held, _, _)| std::cmp::Reverse(*held));
        let most = near[0].0;
        message.push_str("; nearest:");
        for (_, exchange, differs) in near.iter().take_while(|(held, ..)| *held == most).take(3) {
            message.push_str(&format!("\n  {}: {differs}", exchange.summary()));
        }
        message
    }
}

fn hit(exchange: &Exchange) -> Result<CapturedHit, CaseLookupError> {
    match exchange.response() {
        Ok(response) => Ok(CapturedHit {
            response: response.clone(),
            exchange: exchange.clone(),
        }),
        Err(message) => Err(CaseLookupError {
            matches: vec![exchange.summary()],
            message,
        }),
    }
}

impl CapturedHit {
    /// The raw span as it stands in the case document.
    pub fn span(&self) -> &Value {
        &self.exchange.span
    }
}
