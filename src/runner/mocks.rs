//! Turns a plan's mocks into those of a session: lookups, hooks, sequences.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use super::narrow::narrowed;
use super::shared::SharedMocks;
use crate::base::document::Problems;
use crate::base::http::{
    Direction, Host, Request, Response, same_path, same_query_without, split_port, with_port,
};
use crate::base::with_causes;
use crate::case::{Answered, Case, CaseLookupError, Exchange, SpanSummary};
use crate::compare::RequestRules;
use crate::hook::{Hook, HookContext, HookError, MockContext};
use crate::rule::{Consume, Question, Turn, When};
use crate::sdk::{Mock, MockResponse};
use crate::suite::{Expect, Extra, MockAction, MockPlan, MockSource, Severity, Unused};

/// A rule of the session, and what is expected of its use.
#[derive(Debug, Clone)]
pub(super) struct Watched<'c> {
    pub(super) name: String,
    pub(super) unused: Unused,
    /// How long to wait after the answer for its first use.
    pub(super) settle: Duration,
    /// Whether it answers only once.
    pub(super) once: bool,
    /// The exchange that the rule replays, if it replays one.
    pub(super) replays: Option<Replays<'c>>,
}

/// A captured exchange that a rule replays.
#[derive(Debug, Clone)]
pub(super) struct Replays<'c> {
    pub(super) exchange: &'c Exchange,
    /// The name of the suite's entry that replays it; `None` for `mocks: auto`.
    pub(super) entry: Option<&'c str>,
    /// How often an equal request was captured.
    pub(super) captured: u64,
    /// What happens if the request is made more often.
    pub(super) extra: Extra,
    /// What happens if a request differs from the captured one.
    pub(super) difference: Severity,
    /// The setting that the suite states and that needs to know how the rule was used, if any.
    pub(super) stated: Option<&'static str>,
    /// How requests are compared.
    pub(super) rules: Arc<RequestRules>,
    /// The hook that judges the bodies of requests.
    pub(super) body_hook: Option<&'c Hook>,
}

/// How long a session stays open for calls that have not come yet.
const SETTLE: Duration = Duration::from_millis(500);

impl<'c> Replays<'c> {
    fn new(
        plan: &'c MockPlan,
        exchange: &'c Exchange,
        captured: usize,
        rules: &Arc<RequestRules>,
    ) -> Self {
        let outbound = &plan.outbound;
        let (difference, extra) = match plan.auto {
            true => (Severity::Fail, Extra::Unsafe),
            false => (Severity::Warn, Extra::Always(Severity::Warn)),
        };
        let method = &exchange.request.method;
        let stated = match (outbound.extra, outbound.difference) {
            (Some(extra), _) if extra.severity(method) == Severity::Fail => Some("outbound.extra"),
            (_, Some(Severity::Fail)) => Some("outbound.difference"),
            _ => None,
        };
        Self {
            exchange,
            entry: (!plan.auto).then_some(plan.name.as_str()),
            captured: captured as u64,
            extra: outbound.extra.unwrap_or(extra),
            difference: outbound.difference.unwrap_or(difference),
            stated,
            rules: Arc::clone(rules),
            body_hook: outbound.body.as_ref().and_then(|(_, hook)| hook.as_ref()),
        }
    }
}

/// Returns how the requests that a plan's mocks answer are compared.
fn request_rules(plan: &MockPlan) -> Arc<RequestRules> {
    let outbound = &plan.outbound;
    let body = outbound.body.as_ref().map(|(rules, _)| rules.clone());
    Arc::new(RequestRules {
        body: body.unwrap_or_default(),
        query_ignore: outbound.query_ignore.clone().unwrap_or_default(),
        headers: outbound.headers.clone().unwrap_or_default(),
    })
}

/// Why a case's mocks can't be registered.
#[derive(Debug, thiserror::Error)]
pub(super) enum MockError {
    #[error("mock `{mock}`: {error}")]
    Lookup {
        mock: String,
        error: Box<CaseLookupError>,
    },
    #[error("mock `{mock}`: {problems}")]
    Fixture { mock: String, problems: Problems },
    /// The exchange says too little of its call for a mock that answers this call alone.
    #[error(
        "{span}: it has no {lacking}, so its answer would be given to calls with any; add the attribute, or answer the call by a mock \
         with a `match` for it"
    )]
    Vague {
        span: Box<SpanSummary>,
        lacking: &'static str,
    },
    #[error("mock `{mock}`: {}", with_causes(.error))]
    Hook { mock: String, error: HookError },
}

/// Returns the plans with the case's fixtures in their places.
///
/// # Errors
///
/// An error that names the mock, and the fixture that the case does not have.
pub(super) fn filled<'p>(
    plans: &'p [MockPlan],
    case: &Case,
) -> Result<Cow<'p, [MockPlan]>, MockError> {
    if plans.iter().all(|plan| plan.template.is_none()) {
        return Ok(plans.into());
    }
    let fixture = |name: &str| {
        let mut fixtures = case.fixtures().iter();
        fixtures
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    };
    let plans = plans.iter().map(|plan| {
        let filled = plan.filled(&fixture);
        filled.map_err(|problems| MockError::Fixture {
            mock: plan.name.clone(),
            problems,
        })
    });
    plans.collect()
}

/// Returns the mocks of all plans, in order, and for each what is expected of its use.
///
/// # Errors
///
/// An error that names the mock whose lookup or hook failed.
pub(super) fn register<'c>(
    plans: &'c [MockPlan],
    shared: &'c SharedMocks,
    case: &'c Arc<Case>,
    hooks: &HookContext<'_>,
) -> Result<Registered<'c>, MockError> {
    let mut list = List {
        case,
        shared,
        bodiless: Vec::new(),
        mocks: Vec::new(),
        watched: Vec::new(),
        calls: 0,
    };
    // They come first, so that everything else wins a tie.
    for (name, mock) in &shared.mocks {
        list.mocks.push(mock.clone().name(name));
        list.watched.push(Watched {
            name: name.clone(),
            unused: Unused::Ignore,
            settle: Duration::ZERO,
            once: false,
            replays: None,
        });
    }
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
            MockAction::Fault(failure, response) => {
                let response = MockResponse::from(response.clone()).failure(*failure);
                list.add(plan, base(plan).response(response));
            }
            MockAction::Passthrough => list.add(plan, base(plan).passthrough()),
            MockAction::CaptureOnly => list.add(plan, base(plan).capture_only()),
        }
    }
    Ok(Registered {
        mocks: list.mocks,
        watched: list.watched,
        bodiless: list.bodiless,
    })
}

/// The mocks of a session.
pub(super) struct Registered<'c> {
    pub(super) mocks: Vec<Mock>,
    /// What is expected of the use of each.
    pub(super) watched: Vec<Watched<'c>>,
    /// The names of those whose body was not captured, so that they send none.
    pub(super) bodiless: Vec<String>,
}

struct List<'c> {
    case: &'c Arc<Case>,
    shared: &'c SharedMocks,
    bodiless: Vec<String>,
    mocks: Vec<Mock>,
    watched: Vec<Watched<'c>>,
    /// How many different calls have been given a number.
    calls: usize,
}

impl<'c> List<'c> {
    fn add(&mut self, plan: &MockPlan, mock: Mock) {
        self.add_as(plan, plan.name.clone(), mock, None);
    }

    fn add_as(&mut self, plan: &MockPlan, name: String, mock: Mock, replays: Option<Replays<'c>>) {
        let unused = plan.unused.unwrap_or_default();
        if let Some(exchange) = replays.as_ref().map(|replays| replays.exchange)
            && lacks_body(exchange)
            && plan.hook.is_none()
        {
            self.bodiless.push(name.clone());
        }
        let is_optional = matches!(
            plan.action,
            MockAction::Respond(MockSource::Case(Expect::Optional))
        );
        let settle = plan.outbound.settle.unwrap_or(SETTLE);
        let once = mock.is_once();
        self.mocks.push(mock.name(name.clone()));
        self.watched.push(Watched {
            name,
            unused,
            settle: if is_optional { Duration::ZERO } else { settle },
            once,
            replays,
        });
    }
}

/// Returns whether an exchange has a response of a kind that has a body, but none was captured.
fn lacks_body(exchange: &Exchange) -> bool {
    let response = exchange.captured_response().ok().flatten();
    response.is_some_and(|response| {
        response.body.is_none()
            && ![204, 304].contains(&response.status)
            && !exchange.request.method.eq_ignore_ascii_case("HEAD")
    })
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

/// Adds the rules that replay exchanges, numbered after those `before`. Of the rules for one call, all but the
/// last answer only once. The rule added later wins a tie, so the rule for the first exchange is added last.
fn from_exchanges<'c>(
    plan: &'c MockPlan,
    found: &[Answered<'c>],
    before: usize,
    sequence: bool,
    hooks: &HookContext<'_>,
    list: &mut List<'c>,
) -> Result<(), MockError> {
    let rules = request_rules(plan);
    if !sequence {
        for Answered { exchange, response } in found {
            let response = changed(plan, response.replayable(), Some(exchange), hooks)?;
            let response = MockResponse::from(response).failure(exchange.failure());
            let mock = base(plan).response(response);
            let replays = Replays::new(plan, exchange, 1, &rules);
            list.add_as(plan, plan.name.clone(), mock, Some(replays));
        }
        return Ok(());
    }
    let calls = by_call(found, &rules.query_ignore);
    for (n, Answered { exchange, response }) in found.iter().enumerate().rev() {
        let response = changed(plan, response.replayable(), Some(exchange), hooks)?;
        let mut when = narrowed(&plan.when, exchange, &rules.query_ignore);
        if let Some(lacking) = lacks(&when) {
            return Err(MockError::Vague {
                span: Box::new(exchange.summary()),
                lacking,
            });
        }
        let mut others = found
            .iter()
            .map(|found| found.exchange.request.host.as_str());
        if others.any(|other| is_other_port(other, &exchange.request.host)) {
            let Request { scheme, host, .. } = &exchange.request;
            when.lookup.host = Some(with_port(scheme, host));
        }
        let response = MockResponse::from(response).failure(exchange.failure());
        let mut mock = with_when(plan, when).response(response);
        let group = || (0..found.len()).filter(|other| calls[*other] == calls[n]);
        if group().any(|other| other > n) {
            mock = mock.once();
        }
        if group().nth(1).is_some() {
            mock = mock.turn(Some(Turn {
                call: list.calls + calls[n],
                position: group().take_while(|other| *other < n).count(),
                case: Arc::clone(list.case),
                exchange: index_of(exchange, list.case),
                rules: Arc::clone(&rules),
            }));
        }
        let is_equal = |other: &usize| {
            let (a, b) = (found[*other].exchange, exchange);
            a.request_body() == b.request_body()
        };
        let captured = group().filter(is_equal).count();
        let mut replays = Replays::new(plan, exchange, captured, &rules);
        let is_shared = list.shared.contains(exchange);
        if is_shared {
            replays.extra = Extra::Always(Severity::Ignore);
        }
        let name = format!("{}[{}] {}", plan.name, before + n + 1, exchange.request);
        list.add_as(plan, name, mock, Some(replays));
        if let (true, Some(watched)) = (is_shared, list.watched.last_mut()) {
            watched.unused = Unused::Ignore;
        }
    }
    list.calls += found.len();
    Ok(())
}

/// Returns a number for each exchange, the same for exchanges of one call.
fn by_call(found: &[Answered<'_>], ignore: &[String]) -> Vec<usize> {
    if found.len() == 1 {
        return vec![0];
    }
    let mut firsts: Vec<usize> = Vec::new();
    let number = |(n, found_here): (usize, &Answered<'_>)| {
        let same = |first: &&usize| same_call(found[**first].exchange, found_here.exchange, ignore);
        match firsts.iter().find(same) {
            Some(first) => *first,
            None => {
                firsts.push(n);
                n
            }
        }
    };
    found.iter().enumerate().map(number).collect()
}

/// Returns the index of an exchange among those of its case.
pub(super) fn index_of(exchange: &Exchange, case: &Case) -> usize {
    let mut all = case.exchanges().iter();
    all.position(|other| ptr::eq(other, exchange))
        .unwrap_or(usize::MAX)
}

fn same_call(a: &Exchange, b: &Exchange, ignore: &[String]) -> bool {
    let (a, b) = (&a.request, &b.request);
    a.method.eq_ignore_ascii_case(&b.method)
        && same_path(&a.path, &b.path)
        && Host::of(a).is(&b.host)
        && Host::of(b).is(&a.host)
        && same_query_without(
            ignore,
            a.query.as_deref().unwrap_or_default(),
            b.query.as_deref().unwrap_or_default(),
        )
}

/// Returns the attribute without which predicates fit calls to any host, or by any method.
fn lacks(when: &When) -> Option<&'static str> {
    let lookup = &when.lookup;
    if lookup.host.is_none() && lookup.host_suffix.is_none() {
        return Some("url.host");
    }
    lookup.method.is_none().then_some("http.request.method")
}

/// Returns whether two hosts are one, but their ports are not: a host without a port would then answer for the
/// other one too.
fn is_other_port(other: &str, host: &str) -> bool {
    let (name, port) = split_port(host);
    let (other_name, other_port) = split_port(other);
    port.is_none() && other_port.is_some() && Host::read(other_name).is(name)
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
