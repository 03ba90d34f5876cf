//! A plan's mocks as rules of a session: lookup, hooks, sequences.

use std::collections::HashSet;

use serde_json::Map;

use crate::case::{Case, CaseLookupError, Exchange};
use crate::hook::{HookContext, MockContext};
use crate::http::{Direction, Response};
use crate::mock::{Mock, MockResponse};
use crate::reader::{Node, Problems};
use crate::rule::{Consume, Question, When};
use crate::suite::{Expect, MockAction, MockPlan, MockSource, Unused};

/// A rule, with what it means when no request uses it.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) name: String,
    pub(super) unused: Unused,
    pub(super) mock: Mock,
}

/// The rules of all mocks, in their order.
///
/// # Errors
///
/// A message that names the mock whose lookup or hook failed.
pub(super) fn register(
    plans: &[MockPlan],
    case: &Case,
    hooks: &HookContext<'_>,
) -> Result<Vec<Registered>, MockError> {
    let mut rules = Vec::new();
    for plan in plans {
        let exchanges = exchanges(plan, plans, case).map_err(|source| MockError::Lookup {
            mock: plan.name.clone(),
            source: Box::new(source),
        })?;
        match &plan.action {
            MockAction::Respond(MockSource::Case(expect)) => {
                let sequence = matches!(expect, Expect::All | Expect::Any);
                rules.extend(from_exchanges(plan, &exchanges, sequence, hooks)?);
            }
            MockAction::Respond(MockSource::Inline(response)) => {
                let response = changed(plan, response.clone(), None, hooks)?;
                rules.push(plan.rule(plan.base().response(MockResponse::from(response))));
            }
            MockAction::Error(response) => {
                let response = MockResponse::from(response.clone());
                rules.push(plan.rule(plan.base().error(response)));
            }
            MockAction::Passthrough | MockAction::CaptureOnly => {
                rules.push(plan.rule(plan.base().passthrough()));
            }
        }
    }
    Ok(rules)
}

/// Why a case's mocks can't be registered.
#[derive(Debug, thiserror::Error)]
pub(super) enum MockError {
    #[error("mock `{mock}`: {source}")]
    Lookup {
        mock: String,
        source: Box<CaseLookupError>,
    },
    #[error("mock `{mock}`: {source}")]
    Hook {
        mock: String,
        source: crate::hook::HookError,
    },
}

/// The captured exchanges that a mock replays; none for one that does not look any up.
fn exchanges(
    plan: &MockPlan,
    all: &[MockPlan],
    case: &Case,
) -> Result<Vec<Exchange>, CaseLookupError> {
    let MockAction::Respond(MockSource::Case(expect)) = &plan.action else {
        return Ok(Vec::new());
    };
    let hits = match expect {
        Expect::One => vec![case.find(&plan.predicate)?],
        Expect::Optional => match case.find(&plan.predicate) {
            Ok(hit) => vec![hit],
            Err(none) if none.matches.is_empty() => Vec::new(),
            Err(several) => return Err(several),
        },
        Expect::All | Expect::Any => {
            let hits = case.find_all(&plan.predicate)?;
            if hits.is_empty() && *expect == Expect::All {
                // For its message alone: it names the nearest spans.
                case.find(&plan.predicate)?;
            }
            hits
        }
    };
    let mut exchanges: Vec<Exchange> = hits.into_iter().map(|hit| hit.exchange).collect();
    if plan.auto {
        let taken = taken_by_others(all, case);
        exchanges.retain(|exchange| !taken.contains(&key(exchange)));
    }
    Ok(exchanges)
}

fn key(exchange: &Exchange) -> (String, u64, String) {
    let request = &exchange.request;
    (
        exchange.span_id.clone(),
        exchange.start_ns,
        request.to_string(),
    )
}

/// The exchanges that entries beside `mocks: auto` answer.
fn taken_by_others(plans: &[MockPlan], case: &Case) -> HashSet<(String, u64, String)> {
    let mut taken = HashSet::new();
    for plan in plans.iter().filter(|plan| !plan.auto) {
        let looks_up = matches!(plan.action, MockAction::Respond(MockSource::Case(_)));
        let when = plan.compiled();
        for exchange in case.outbound() {
            let service = exchange.service.as_deref();
            let question = Question::new(&exchange.request, Direction::Outbound, "", service, &[]);
            let answers = when.as_ref().is_some_and(|when| when.matches(&question));
            if answers && (!looks_up || plan.predicate.matches(exchange)) {
                taken.insert(key(exchange));
            }
        }
    }
    taken
}

/// The rules that replay exchanges. Of equal calls each but the last answers once; the later rule
/// wins a tie, so that the first exchange comes last.
fn from_exchanges(
    plan: &MockPlan,
    exchanges: &[Exchange],
    sequence: bool,
    hooks: &HookContext<'_>,
) -> Result<Vec<Registered>, MockError> {
    let mut rules = Vec::new();
    for (n, exchange) in exchanges.iter().enumerate().rev() {
        // The lookup has made sure that there is a response.
        let Ok(captured) = exchange.response() else {
            continue;
        };
        let response = changed(plan, captured.replayable(), Some(exchange), hooks)?;
        let mut mock = plan.base().response(MockResponse::from(response));
        let mut name = plan.name.clone();
        if sequence {
            mock = narrowed(mock, exchange);
            let repeats = exchanges[n + 1..]
                .iter()
                .any(|later| same_call(exchange, later));
            if repeats {
                mock = mock.once();
            }
            name = format!("{name}[{}] {}", n + 1, exchange.request);
        }
        rules.push(Registered {
            mock: mock.name(name.clone()),
            name,
            unused: plan.unused.unwrap_or_default(),
        });
    }
    Ok(rules)
}

fn same_call(a: &Exchange, b: &Exchange) -> bool {
    let (a, b) = (&a.request, &b.request);
    a.method.eq_ignore_ascii_case(&b.method)
        && a.host.eq_ignore_ascii_case(&b.host)
        && a.target() == b.target()
}

/// The mock for this very call: a path that ends in a bare `?` wants no query.
fn narrowed(mock: Mock, exchange: &Exchange) -> Mock {
    let request = &exchange.request;
    let query = request.query.as_deref().unwrap_or_default();
    let mut mock = mock.when("path", format!("{}?{query}", request.path));
    if !request.method.is_empty() {
        mock = mock.when("method", request.method.clone());
    }
    if !request.host.is_empty() {
        mock = mock.when("host", request.host.clone());
    }
    mock
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
        captured_span: exchange.map(|exchange| &exchange.span),
        mock_name: &plan.name,
    };
    let change = hook
        .change_response(&context, hooks)
        .map_err(|source| MockError::Hook {
            mock: plan.name.clone(),
            source,
        })?;
    Ok(change.apply(response))
}

impl MockPlan {
    fn base(&self) -> Mock {
        let mut mock = Mock::when_object(self.when.clone())
            .name(self.name.clone())
            .priority(self.priority)
            .latency(self.latency);
        if self.consume == Consume::Once {
            mock = mock.once();
        }
        mock
    }

    fn rule(&self, mock: Mock) -> Registered {
        Registered {
            name: self.name.clone(),
            unused: self.unused.unwrap_or_default(),
            mock,
        }
    }

    /// The `when` ready to match; it was checked when the suite was read.
    fn compiled(&self) -> Option<When> {
        let when = serde_json::Value::Object(Map::clone(&self.when));
        When::read(&Node::root(&when).lenient(), &mut Problems::default())
    }
}
