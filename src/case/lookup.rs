//! Looks up captured exchanges by predicate.

use std::fmt;
use std::ops::ControlFlow;

use serde_json::Value;
use thiserror::Error;

use super::document::Case;
use super::exchange::{CapturedResponse, Exchange, SpanSummary};
use crate::base::http::{Direction, Host, Request, path_equals, same_path};

/// A description of the exchanges to select. All fields that are given must match; an empty predicate
/// matches every exchange.
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
#[non_exhaustive]
pub struct Predicate {
    /// The direction in which it crossed the boundary of the application.
    pub direction: Option<Direction>,
    /// The exact name of the service that was captured.
    pub service: Option<String>,
    /// The host, compared without regard to case or a final dot; without a port it matches any port.
    pub host: Option<String>,
    /// The end of the host, compared without regard to case: `stripe.com` matches `api.stripe.com`, and
    /// `notstripe.com` too; `.stripe.com` does not.
    pub host_suffix: Option<String>,
    /// The method, compared without regard to case.
    pub method: Option<String>,
    /// The path, compared without its query; if it contains a `?`, compared with path and query, whose names
    /// may stand in any order. Equivalent escapes are equal.
    pub path: Option<String>,
    /// The beginning of the path.
    pub path_prefix: Option<String>,
}

impl Predicate {
    /// Creates a predicate that matches every exchange.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a predicate that matches every outbound exchange.
    pub fn outbound() -> Self {
        Self::new().direction(Direction::Outbound)
    }

    /// Requires this direction.
    #[must_use]
    pub fn direction(mut self, direction: Direction) -> Self {
        self.direction = Some(direction);
        self
    }

    /// Requires this service.
    #[must_use]
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.service = Some(service.into());
        self
    }

    /// Requires this host: `api.stripe.com`, or `api.stripe.com:8443` for one port only.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Requires a host that ends with this suffix: `stripe.com`.
    #[must_use]
    pub fn host_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.host_suffix = Some(suffix.into());
        self
    }

    /// Requires this method: `POST`.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Requires this path: `/v1/items`, or `/v1/items?page=2` to compare the query too.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Requires a path that starts with this prefix: `/v1/`.
    #[must_use]
    pub fn path_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.path_prefix = Some(prefix.into());
        self
    }

    /// Reports each given field to the tally, until the tally stops the check.
    pub(crate) fn check(&self, subject: Subject<'_>, tally: &mut impl Tally) -> ControlFlow<()> {
        let Self {
            direction,
            service,
            host,
            host_suffix,
            method,
            path,
            path_prefix,
        } = self;
        let Subject {
            request,
            direction: has_direction,
            service: has_service,
        } = subject;
        if let Some(wanted) = direction {
            tally.note(has_direction == Some(*wanted), || {
                let has = has_direction.map_or("none", Direction::name);
                Difference::new("direction", wanted.name(), has)
            })?;
        }
        if let Some(wanted) = service {
            let has = has_service.unwrap_or_default();
            tally.note(wanted == has, || Difference::new("service", wanted, has))?;
        }
        if let Some(wanted) = host {
            tally.note(Host::of(request).is(wanted), || {
                Difference::new("host", wanted, &request.host)
            })?;
        }
        if let Some(wanted) = host_suffix {
            tally.note(Host::of(request).ends_with(wanted), || {
                Difference::new("hostSuffix", wanted, &request.host)
            })?;
        }
        if let Some(wanted) = method {
            tally.note(wanted.eq_ignore_ascii_case(&request.method), || {
                Difference::new("method", wanted, &request.method)
            })?;
        }
        if let Some(wanted) = path {
            let holds = path_equals(wanted, &request.path, request.query.as_deref());
            tally.note(holds, || path_difference(wanted, request))?;
        }
        if let Some(wanted) = path_prefix {
            tally.note(request.path.starts_with(wanted.as_str()), || {
                Difference::new("pathPrefix", wanted, &request.path)
            })?;
        }
        ControlFlow::Continue(())
    }

    /// Returns whether a lookup with this predicate finds the exchange.
    pub fn matches(&self, exchange: &Exchange) -> bool {
        exchange.is_candidate() && self.check(exchange.subject(), &mut AllHold).is_continue()
    }
}

/// Returns whether the path differs or only its query.
fn path_difference(wanted: &str, request: &Request) -> Difference {
    match wanted.split_once('?') {
        Some((path, query)) if same_path(path, &request.path) => {
            let shown = |query: &str| match query {
                "" => "no query".to_owned(),
                query => query.to_owned(),
            };
            let has = request.query.as_deref().unwrap_or_default();
            Difference::new("query", shown(query), shown(has))
        }
        Some((path, "")) => Difference::new("path", path, &request.path),
        _ => Difference::new("path", wanted, request.target()),
    }
}

/// What a predicate is checked against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) request: &'a Request,
    pub(crate) direction: Option<Direction>,
    pub(crate) service: Option<&'a str>,
}

impl Exchange {
    fn subject(&self) -> Subject<'_> {
        Subject {
            request: &self.request,
            direction: self.direction,
            service: self.service.as_deref(),
        }
    }
}

/// A field of a predicate that does not match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The field's name: `host` or `headers.accept`.
    pub field: String,
    /// What the predicate requires.
    pub wanted: String,
    /// What the request has.
    pub has: String,
}

impl Difference {
    pub(crate) fn new(
        field: impl Into<String>,
        wanted: impl Into<String>,
        has: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            wanted: wanted.into(),
            has: has.into(),
        }
    }
}

/// Collects the results of checking a predicate's fields.
pub(crate) trait Tally {
    /// Notes whether a field matches and returns whether to continue. `difference` is called only if the
    /// tally uses it, so that an unused one costs nothing.
    fn note(&mut self, holds: bool, difference: impl FnOnce() -> Difference) -> ControlFlow<()>;
}

/// Stops at the first field that does not match, to find out whether all of them match.
pub(crate) struct AllHold;

impl Tally for AllHold {
    fn note(&mut self, holds: bool, _: impl FnOnce() -> Difference) -> ControlFlow<()> {
        match holds {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }
}

/// How close a predicate comes to matching: how many fields match, the first that does not, and others.
#[derive(Debug, Default)]
pub(crate) struct Nearness {
    pub(crate) held: usize,
    pub(crate) first: Option<Difference>,
    pub(crate) more: Vec<Difference>,
}

/// How many more fields than the first one are told.
const MOST_MORE: usize = 7;

impl Tally for Nearness {
    fn note(&mut self, holds: bool, difference: impl FnOnce() -> Difference) -> ControlFlow<()> {
        if holds {
            self.held += 1;
        } else if self.first.is_none() {
            self.first = Some(difference());
        } else if self.more.len() < MOST_MORE {
            self.more.push(difference());
        }
        ControlFlow::Continue(())
    }
}

impl Predicate {
    /// Returns each field's name in the rule language with its value, if any.
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
#[non_exhaustive]
pub struct CapturedHit {
    /// The response as it was captured.
    pub response: CapturedResponse,
    /// The whole exchange, including its raw span.
    pub exchange: Exchange,
}

/// A lookup that did not find exactly one exchange, or that found one without a response.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct CaseLookupError {
    /// The spans that matched: none, several if the predicate is too broad, or the one without a response.
    pub matches: Vec<SpanSummary>,
    message: String,
}

impl Case {
    /// Returns the one exchange that the predicate matches.
    ///
    /// # Errors
    ///
    /// [`CaseLookupError`] when the predicate matches no exchange or several, or when the only match
    /// has no response. Its `matches` are the spans that matched; if there are none, its message names
    /// the nearest spans and the first field in which each differs.
    pub fn find(&self, predicate: &Predicate) -> Result<CapturedHit, CaseLookupError> {
        self.find_exchange(predicate).map(hit)
    }

    /// Finds an exchange as [`find`](Self::find) does, without copying it.
    pub(crate) fn find_exchange(
        &self,
        predicate: &Predicate,
    ) -> Result<Answered<'_>, CaseLookupError> {
        let found: Vec<&Exchange> = self.matching(predicate).collect();
        match found.as_slice() {
            [one] => answered(one),
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

    /// Returns every exchange that the predicate matches, in captured order; the list may be empty.
    ///
    /// # Errors
    ///
    /// [`CaseLookupError`] when one of them has no response.
    pub fn find_all(&self, predicate: &Predicate) -> Result<Vec<CapturedHit>, CaseLookupError> {
        let found = self.find_exchanges(predicate)?;
        Ok(found.into_iter().map(hit).collect())
    }

    /// Finds exchanges as [`find_all`](Self::find_all) does, without copying them.
    pub(crate) fn find_exchanges(
        &self,
        predicate: &Predicate,
    ) -> Result<Vec<Answered<'_>>, CaseLookupError> {
        self.matching(predicate).map(answered).collect()
    }

    fn matching<'a>(&'a self, predicate: &Predicate) -> impl Iterator<Item = &'a Exchange> {
        self.exchanges().iter().filter(|x| predicate.matches(x))
    }

    fn explain_none(&self, predicate: &Predicate) -> String {
        let mut message = format!("no captured exchange matches {{{predicate}}}");
        let mut near: Vec<(usize, &Exchange, String)> = self
            .exchanges()
            .iter()
            .filter(|x| x.is_candidate())
            .filter_map(|x| {
                let mut nearness = Nearness::default();
                let _ = predicate.check(x.subject(), &mut nearness);
                let Difference { field, has, .. } = nearness.first?;
                Some((nearness.held, x, format!("{field} is `{has}`")))
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

/// A captured exchange with its response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered<'c> {
    pub(crate) exchange: &'c Exchange,
    pub(crate) response: &'c CapturedResponse,
}

fn answered(exchange: &Exchange) -> Result<Answered<'_>, CaseLookupError> {
    match exchange.response() {
        Ok(response) => Ok(Answered { exchange, response }),
        Err(missing) => Err(CaseLookupError {
            message: missing.to_string(),
            matches: vec![missing.span().clone()],
        }),
    }
}

fn hit(Answered { exchange, response }: Answered<'_>) -> CapturedHit {
    CapturedHit {
        response: response.clone(),
        exchange: exchange.clone(),
    }
}

impl CapturedHit {
    /// Returns the raw span as written in the case document.
    pub fn span(&self) -> &Value {
        self.exchange.span()
    }
}
