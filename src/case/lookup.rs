//! Finding captured exchanges by predicate.

use std::fmt;
use std::ops::ControlFlow;

use serde_json::Value;
use thiserror::Error;

use super::document::Case;
use super::exchange::{CapturedResponse, Exchange, SpanSummary};
use crate::base::http::{Direction, Request, host_ends_with, host_equals, path_equals};

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
#[non_exhaustive]
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

    /// Tells the tally of each given field, until it has heard enough.
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
            tally.note(host_equals(wanted, &request.host), || {
                Difference::new("host", wanted, &request.host)
            })?;
        }
        if let Some(wanted) = host_suffix {
            tally.note(host_ends_with(wanted, &request.host), || {
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
            tally.note(holds, || Difference::new("path", wanted, request.target()))?;
        }
        if let Some(wanted) = path_prefix {
            tally.note(request.path.starts_with(wanted.as_str()), || {
                Difference::new("pathPrefix", wanted, &request.path)
            })?;
        }
        ControlFlow::Continue(())
    }

    /// Whether the exchange is what this asks for.
    pub fn matches(&self, exchange: &Exchange) -> bool {
        exchange.is_candidate() && self.check(exchange.subject(), &mut AllHold).is_continue()
    }
}

/// What a predicate is asked about.
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

/// A field of a predicate that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The field: `host`, `headers.accept`.
    pub field: String,
    /// What is wanted there.
    pub wanted: String,
    /// What is there.
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

/// What is made of the fields of a predicate as they are looked at.
pub(crate) trait Tally {
    /// Takes note of a field; `difference` is only called where somebody wants to know.
    fn note(&mut self, holds: bool, difference: impl FnOnce() -> Difference) -> ControlFlow<()>;
}

/// Wants to know whether every field holds, and no more.
pub(crate) struct AllHold;

impl Tally for AllHold {
    fn note(&mut self, holds: bool, _: impl FnOnce() -> Difference) -> ControlFlow<()> {
        match holds {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }
}

/// How near a predicate comes: how many fields hold, and the first that does not.
#[derive(Debug, Default)]
pub(crate) struct Nearness {
    pub(crate) held: usize,
    pub(crate) first: Option<Difference>,
}

impl Tally for Nearness {
    fn note(&mut self, holds: bool, difference: impl FnOnce() -> Difference) -> ControlFlow<()> {
        if holds {
            self.held += 1;
        } else if self.first.is_none() {
            self.first = Some(difference());
        }
        ControlFlow::Continue(())
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
#[non_exhaustive]
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
        self.find_exchange(predicate).map(hit)
    }

    /// The same without a copy: an exchange that has a response.
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

    /// Every exchange that the predicate fits, in captured order, perhaps none.
    ///
    /// # Errors
    ///
    /// [`CaseLookupError`] when one of them has no status.
    pub fn find_all(&self, predicate: &Predicate) -> Result<Vec<CapturedHit>, CaseLookupError> {
        let found = self.find_exchanges(predicate)?;
        Ok(found.into_iter().map(hit).collect())
    }

    /// The same without a copy: exchanges that have a response.
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
    /// The raw span as it stands in the case document.
    pub fn span(&self) -> &Value {
        self.exchange.span()
    }
}
