//! Turns a plan's mocks into those of a session: lookups, hooks, sequences.

use std::collections::HashSet;
use std::ptr;

use crate::base::http::{
    Direction, Request, Response, host_equals, same_path, same_query, split_port, with_port,
};
use crate::base::with_causes;
use crate::case::{Answered, Case, CaseLookupError, Exchange};
use crate::hook::{HookContext, HookError, MockContext};
use crate::rule::{Consume, Question, When};
use crate::sdk::{Mock, MockResponse};
use crate::suite::{Expect, Extra, MockAction, MockPlan, MockSource, Unused};

/// A rule of the session, and what happens if no request uses it.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) name: String,
    pub(super) unused: Unused,
    /// The call whose exchange the rule replays; `None` if it replays none, or if a later rule answers further
    /// calls.
    pub(super) replays: Option<Replays>,
}

/// A captured call that a rule replays, as often as it is made.
#[derive(Debug)]
pub(super) struct Replays {
    /// The call's method.
    pub(super) method: String,
    /// How often it was captured.
    pub(super) captured: u64,
    /// What happens if it is made more often.
    pub(super) extra: Extra,
    /// Whether the suite says so.
    pub(super) is_stated: bool,
}

impl Replays {
    fn new(plan: &MockPlan, exchange: &Exchange, captured: usize) -> Self {
        let fallback = if plan.auto {
            Extra::Unsafe
        } else {
            Extra::Warn
        };
        Self {
            method: exchange.request.method.clone(),
            captured: captured as u64,
            extra: plan.extra.unwrap_or(fallback),
            is_stated: plan.extra.is_some(),
        }
    }
}

/// Why a case's mocks can't be registered.
#[derive(Debug, thiserror::Error)]
pub(super) enum MockError {
    #[error("mock `{mock}`: {error}")]
    Lookup {
        mock: String,
        error: Box<CaseLookupError>,
    },
    #[error("mock `{mock}`: {}", with_causes(.error))]
    Hook { mock: String, error: HookError },
}

/// Returns the mocks of all plans, in order, and for each what happens if no request uses it.
///
/// # Errors
///
/// An error that names the mock whose lookup or hook failed.
pub(super) fn register(
    plans: &[MockPlan],
    case: &Case,
    hooks: &HookContext<'_>,
) -> Result<(Vec<Mock>, Vec<Watched>), MockError> {
    let mut list = List::default();
    for plan in plans {
        match &plan.action {
            MockAction::Respond(MockSource::Case(expect)) => {
                let found = exchanges(plan, *expect, plans, case);
                let found = found.map_err(|error| MockError::Lookup {
                    mock: plan.name.clone(),
                    error: Box::new(error),
                })?;
                let sequence = matches!(expect, Expect::All | Expect::Any);
                let is_behind =
                    |found: &Answered<'_>| plan.auto && is_behind_another(found.exchange, plans);
                let (behind, found): (Vec<_>, Vec<_>) = found.into_iter().partition(is_behind);
                // Of equal calls, those without another entry before them answer first, and then for ever.
                let first = list.watched.len();
                from_exchanges(plan, &behind, found.len(), sequence, hooks, &mut list)?;
                for watched in &mut list.watched[first..] {
                    watched.unused = Unused::Ignore;
                }
                from_exchanges(plan, &found, 0, sequence, hooks, &mut list)?;
            }
            MockAction::Respond(MockSource::Inline(response)) => {
                let response = changed(plan, response.clone(), None, hooks)?;
                list.add(plan, base(plan).response(MockResponse::from(response)));
            }
            MockAction::Error(response) => {
                let response = MockResponse::from(response.clone());
                list.add(plan, base(plan).error(response));
            }
            MockAction::Passthrough => list.add(plan, base(plan).passthrough()),
            MockAction::CaptureOnly => list.add(plan, base(plan).capture_only()),
        }
    }
    Ok((list.mocks, list.watched))
}

#[derive(Default)]
struct List {
    mocks: Vec<Mock>,
    watched: Vec<Watched>,
}

impl List {
    fn add(&mut self, plan: &MockPlan, mock: Mock) {
        self.add_as(plan, plan.name.clone(), mock, None);
    }

    fn add_as(&mut self, plan: &MockPlan, name: String, mock: Mock, replays: Option<Replays>) {
        self.mocks.push(mock.name(name.clone()));
        self.watched.push(Watched {
            name,
            unused: plan.unused.unwrap_or_default(),
            replays,
        });
    }
}

/// Returns a plan's mock without its response.
fn base(plan: &MockPlan) -> Mock {
    with_when(plan, (*plan.when).clone())
}

fn with_when(plan: &MockPlan, when: When) -> Mock {
    let mock = Mock::read(when)
        .priority(plan.priority)
        .latency(plan.latency);
    match plan.consume {
        Consume::Once => mock.once(),
        Consume::Many => mock,
    }
}

/// Returns the captured exchanges that a mock replays.
fn exchanges<'c>(
    plan: &MockPlan,
    expect: Expect,
    all: &[MockPlan],
    case: &'c Case,
) -> Result<Vec<Answered<'c>>, CaseLookupError> {
    let predicate = &plan.when.lookup;
    let mut found = match expect {
        Expect::One => vec![case.find_exchange(predicate)?],
        Expect::Optional => match case.find_exchange(predicate) {
            Ok(found) => vec![found],
            Err(none) if none.matches.is_empty() => Vec::new(),
            Err(several) => return Err(several),
        },
        Expect::All | Expect::Any => {
            let found = case.find_exchanges(predicate)?;
            if found.is_empty() && expect == Expect::All {
                // Only for its error message, which names the nearest spans.
                case.find_exchange(predicate)?;
            }
            found
        }
    };
    if plan.auto {
        let taken = taken_by_others(all, case);
        found.retain(|found| !taken.contains(&ptr::from_ref(found.exchange)));
    }
    Ok(found)
}

/// Returns the exchanges that entries other than `mocks: auto` look up.
fn taken_by_others(plans: &[MockPlan], case: &Case) -> HashSet<*const Exchange> {
    let mut taken = HashSet::new();
    for plan in plans.iter().filter(|plan| !plan.auto && looks_up(plan)) {
        let found = case
            .outbound()
            .filter(|exchange| answers(plan, exchange) && plan.when.lookup.matches(exchange));
        taken.extend(found.map(ptr::from_ref));
    }
    taken
}

/// Returns whether an entry that looks nothing up also answers the call. The captured exchange then only answers
/// once that entry is spent, if ever.
fn is_behind_another(exchange: &Exchange, plans: &[MockPlan]) -> bool {
    let mut others = plans.iter().filter(|plan| !plan.auto && !looks_up(plan));
    others.any(|plan| answers(plan, exchange))
}

fn looks_up(plan: &MockPlan) -> bool {
    matches!(plan.action, MockAction::Respond(MockSource::Case(_)))
}

/// Returns whether a plan's rules would answer a captured call.
fn answers(plan: &MockPlan, exchange: &Exchange) -> bool {
    let service = exchange.service.as_deref();
    let question = Question::new(&exchange.request, Direction::Outbound, "", service, &[]);
    plan.when.matches(&question)
}

/// Adds the rules that replay exchanges, numbered after those `before`. Of the rules for equal calls, all but the
/// last answer only once. The rule added later wins a tie, so the rule for the first exchange is added last.
fn from_exchanges(
    plan: &MockPlan,
    found: &[Answered<'_>],
    before: usize,
    sequence: bool,
    hooks: &HookContext<'_>,
    list: &mut List,
) -> Result<(), MockError> {
    for (n, Answered { exchange, response }) in found.iter().enumerate().rev() {
        let response = changed(plan, response.replayable(), Some(exchange), hooks)?;
        let response = MockResponse::from(response);
        if !sequence {
            let replays = Replays::new(plan, exchange, 1);
            let mock = base(plan).response(response);
            list.add_as(plan, plan.name.clone(), mock, Some(replays));
            continue;
        }
        let mut when = narrowed(&plan.when, exchange);
        let mut others = found
            .iter()
            .map(|found| found.exchange.request.host.as_str());
        if others.any(|other| is_other_port(other, &exchange.request.host)) {
            let Request { scheme, host, .. } = &exchange.request;
            when.lookup.host = Some(with_port(scheme, host));
        }
        let mut mock = with_when(plan, when).response(response);
        let same = |other: &&Answered<'_>| same_call(exchange, other.exchange);
        let mut replays = None;
        if found[n + 1..].iter().any(|later| same(&later)) {
            mock = mock.once();
        } else {
            let captured = found.iter().filter(same).count();
            replays = Some(Replays::new(plan, exchange, captured));
        }
        let number = before + n + 1;
        let name = format!("{}[{number}] {}", plan.name, exchange.request);
        list.add_as(plan, name, mock, replays);
    }
    Ok(())
}

fn same_call(a: &Exchange, b: &Exchange) -> bool {
    let (a, b) = (&a.request, &b.request);
    a.method.eq_ignore_ascii_case(&b.method)
        && host_equals(&a.host, &b.host)
        && host_equals(&b.host, &a.host)
        && same_path(&a.path, &b.path)
        && same_query(
            a.query.as_deref().unwrap_or_default(),
            b.query.as_deref().unwrap_or_default(),
        )
}

/// Returns whether two hosts are one, but their ports are not: a host without a port would then answer for the
/// other one too.
fn is_other_port(other: &str, host: &str) -> bool {
    let (name, port) = split_port(host);
    let (other_name, other_port) = split_port(other);
    port.is_none() && other_port.is_some() && host_equals(name, other_name)
}

/// Returns the predicates for exactly this call; a path that ends in a bare `?` only matches a request
/// without a query.
fn narrowed(when: &When, exchange: &Exchange) -> When {
    let request = &exchange.request;
    let query = request.query.as_deref().unwrap_or_default();
    let mut narrowed = when.clone();
    let lookup = &mut narrowed.lookup;
    lookup.path = Some(format!("{}?{query}", request.path));
    if !request.method.is_empty() {
        lookup.method = Some(request.method.clone());
    }
    if !request.host.is_empty() {
        lookup.host = Some(request.host.clone());
    }
    narrowed
}

fn changed(
    plan: &MockPlan,
    response: Response,
    exchange: Option<&Exchange>,
    hooks: &HookContext<'_>,
) -> Result<Response, MockError> {
    let Some(hook) = &plan.hook else {
        return Ok(response);
    };
    let context = MockContext {
        captured_response: &response,
        captured_span: exchange.map(Exchange::span),
        mock_name: &plan.name,
    };
    let change = hook
        .change_response(&context, hooks)
        .map_err(|error| MockError::Hook {
            mock: plan.name.clone(),
            error,
        })?;
    Ok(change.apply(response))
}
