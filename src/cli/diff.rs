//! `suite diff`: compares two sets of captures.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::files;
use super::output::{Exit, Failed, Output};
use crate::base::decode::decoded;
use crate::base::http::{self, Direction, Headers, Response};
use crate::case::{Case, Exchange};
use crate::compare::{
    Assertions, BodyMode, BodyRules, Expected, HeaderRules, MessagePlace, Mismatch, Reached,
    compare, is_volatile,
};
use crate::report;
use crate::runner::expected;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Cases are paired by their path below the fixed part of each glob; if each side has a single case, \
    the two are paired. Exchanges are paired by direction, method, host (except for the inbound one) and path, equal ones in captured order; the \
    order of different calls is not compared. \
    Volatile headers are ignored, as with `headers: {mode: captured}`.\n\n\
    Exits with 0 if nothing differs, and with 1 if something does."
)]
pub(super) struct Diff {
    /// Old captures: a file or a glob
    #[arg(long, value_name = "GLOB")]
    baseline: String,
    /// New captures: a file or a glob
    #[arg(long, value_name = "GLOB")]
    current: String,
}

/// Cases by name.
type Cases = BTreeMap<String, Case>;

impl Diff {
    pub(super) fn run(self) -> Result<Output, Failed> {
        let (baseline, mut current) = (read(&self.baseline)?, read(&self.current)?);
        if let ([old], [new]) = (keys(&baseline).as_slice(), keys(&current).as_slice())
            && old != new
            && let Some(case) = current.remove(new)
        {
            current.insert(old.clone(), case);
        }
        let names: BTreeSet<&String> = baseline.keys().chain(current.keys()).collect();
        let changes: Vec<CaseChange> = names
            .into_iter()
            .map(|name| CaseChange::of(name, baseline.get(name), current.get(name)))
            .collect();
        let text: String = changes.iter().map(CaseChange::text).collect();
        let total: usize = changes.iter().map(CaseChange::count).sum();
        let values: Vec<Value> = changes.iter().map(CaseChange::value).collect();
        let calls = |wanted: Kind| -> Vec<String> {
            let calls = changes.iter().flat_map(|change| change.calls(wanted));
            calls.collect()
        };
        let told = |answer: Output| {
            answer
                .field("added", calls(Kind::Added))
                .field("removed", calls(Kind::Removed))
                .field("cases", values.clone())
        };
        if total == 0 {
            let text = format!("{text}nothing differs\n");
            return Ok(told(Output::fine(text)));
        }
        let message = format!("{total} differences between the captures");
        let answer = Output::failed(Exit::Failure, "captures_differ", message);
        Err(Failed::from(told(answer.text(text))))
    }
}

fn keys(cases: &Cases) -> Vec<String> {
    cases.keys().cloned().collect()
}

fn read(pattern: &str) -> Result<Cases, Failed> {
    let found = files::find_one(pattern)?;
    let cases = files::read_all(found.files.clone())?.into_iter();
    Ok(cases
        .map(|file| (found.name_of(&file.path), file.case))
        .collect())
}

/// How a case changed.
struct CaseChange {
    name: String,
    /// Whether all of it was added or removed.
    whole: Option<Kind>,
    exchanges: Vec<ExchangeChange>,
}

/// How an exchange changed; unchanged exchanges are not kept.
struct ExchangeChange {
    kind: Kind,
    exchange: String,
    differences: Vec<Divergence>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Added,
    Removed,
    Changed,
}

impl Kind {
    fn sign(self) -> char {
        match self {
            Self::Added => '+',
            Self::Removed => '-',
            Self::Changed => '~',
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

impl CaseChange {
    fn of(name: &str, baseline: Option<&Case>, current: Option<&Case>) -> Self {
        let (whole, exchanges) = match (baseline, current) {
            (Some(baseline), Some(current)) => (None, exchanges(baseline, current)),
            (Some(case), None) => (Some(Kind::Removed), all(case, Kind::Removed)),
            (None, Some(case)) => (Some(Kind::Added), all(case, Kind::Added)),
            (None, None) => (None, Vec::new()),
        };
        Self {
            name: name.to_owned(),
            whole,
            exchanges,
        }
    }

    /// Returns the outbound calls that were added or removed, without their direction.
    fn calls(&self, wanted: Kind) -> impl Iterator<Item = String> {
        let changes = self.exchanges.iter();
        let calls = changes.filter(move |change| change.kind == wanted);
        calls.filter_map(|change| Some(change.exchange.strip_prefix("outbound ")?.to_owned()))
    }

    fn count(&self) -> usize {
        match self.whole {
            Some(_) => 1,
            None => self.exchanges.len(),
        }
    }

    fn text(&self) -> String {
        let name = &self.name;
        if let Some(kind) = self.whole {
            return format!("{} case {name}\n", kind.sign());
        }
        if self.exchanges.is_empty() {
            return String::new();
        }
        let mut text = format!("{name}\n");
        for change in &self.exchanges {
            let ExchangeChange {
                kind,
                exchange,
                differences,
            } = change;
            text.push_str(&format!("  {} {exchange}\n", kind.sign()));
            for difference in differences {
                text.push_str(&difference.text());
            }
        }
        text
    }

    fn value(&self) -> Value {
        let word = match self.whole {
            Some(kind) => kind.name(),
            None if self.exchanges.is_empty() => "none",
            None => Kind::Changed.name(),
        };
        let exchanges = self.exchanges.iter().map(|change| {
            let differences = change.differences.iter();
            json!({
                "change": change.kind.name(),
                "exchange": change.exchange,
                "differences": differences.map(Divergence::value).collect::<Vec<_>>(),
            })
        });
        json!({"name": self.name, "change": word, "exchanges": exchanges.collect::<Vec<_>>()})
    }
}

/// A difference between two captures of an exchange, as text.
struct Divergence {
    place: String,
    was: Option<String>,
    is: Option<String>,
    why: Option<String>,
    diff: Option<String>,
}

impl Divergence {
    fn new(place: impl Into<String>, was: impl Into<String>, is: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            was: Some(was.into()),
            is: Some(is.into()),
            why: None,
            diff: None,
        }
    }

    /// Converts a mismatch found in the request or the response.
    fn of(side: &str, mismatch: Mismatch) -> Self {
        let Mismatch {
            place,
            expected,
            actual,
            why,
            diff,
            accepts: _,
            changes: _,
        } = mismatch;
        Self {
            place: format!("{side} {place}"),
            was: expected.as_ref().map(report::side),
            is: actual.as_ref().map(report::side),
            why: why.as_ref().map(report::why),
            diff,
        }
    }

    fn text(&self) -> String {
        let Self {
            place,
            was,
            is,
            why,
            diff,
        } = self;
        let mut text = format!("      {place}\n");
        if let Some(diff) = diff {
            text.extend(diff.lines().map(|line| format!("        {line}\n")));
        } else if was.is_some() || is.is_some() {
            let side = |value: &Option<String>| value.clone().unwrap_or("nothing".to_owned());
            text.push_str(&format!("        was  {}\n", side(was)));
            text.push_str(&format!("        is   {}\n", side(is)));
        }
        text.extend(why.iter().map(|why| format!("        {why}\n")));
        text
    }

    fn value(&self) -> Value {
        let Self {
            place,
            was,
            is,
            why,
            diff: _,
        } = self;
        json!({"path": place, "baseline": was, "current": is, "reason": why})
    }
}

/// What exchanges are paired by: direction, method, host, path, and the number among equal ones, from 1.
type Key = (String, String, String, String, usize);

fn keyed(case: &Case) -> Vec<(Key, &Exchange)> {
    let mut seen: BTreeMap<(String, String, String, String), usize> = BTreeMap::new();
    let keyed = case.exchanges().iter().map(|exchange| {
        let request = &exchange.request;
        let direction = exchange.direction.map_or("-", Direction::name);
        // The application's own host depends on where it was captured, not on what it does.
        let host = match exchange.direction {
            Some(Direction::Inbound) => String::new(),
            _ => request.host.to_ascii_lowercase(),
        };
        let method = request.method.to_ascii_uppercase();
        let call = (direction.to_owned(), method, host, request.path.clone());
        let n = seen.entry(call.clone()).or_default();
        *n += 1;
        ((call.0, call.1, call.2, call.3, *n), exchange)
    });
    keyed.collect()
}

fn shown(key: &Key) -> String {
    let (direction, method, host, path, n) = key;
    let nth = if *n > 1 {
        format!(" (call {n})")
    } else {
        String::new()
    };
    format!("{direction} {method} {host}{path}{nth}")
}

/// Returns every exchange of a case that was added or removed.
fn all(case: &Case, kind: Kind) -> Vec<ExchangeChange> {
    let keyed = keyed(case).into_iter();
    keyed
        .map(|(key, _)| ExchangeChange {
            kind,
            exchange: shown(&key),
            differences: Vec::new(),
        })
        .collect()
}

fn exchanges(baseline: &Case, current: &Case) -> Vec<ExchangeChange> {
    let (old, new) = (keyed(baseline), keyed(current));
    let by_key: BTreeMap<&Key, &Exchange> = new.iter().map(|(key, x)| (key, *x)).collect();
    let known: BTreeSet<&Key> = old.iter().map(|(key, _)| key).collect();
    let mut changes = Vec::new();
    for (key, was) in &old {
        let (kind, differences) = match by_key.get(key) {
            None => (Kind::Removed, Vec::new()),
            Some(is) => {
                let differences = differences(was, is);
                if differences.is_empty() {
                    continue;
                }
                (Kind::Changed, differences)
            }
        };
        changes.push(ExchangeChange {
            kind,
            exchange: shown(key),
            differences,
        });
    }
    let added = new.iter().filter(|(key, _)| !known.contains(key));
    changes.extend(added.map(|(key, _)| ExchangeChange {
        kind: Kind::Added,
        exchange: shown(key),
        differences: Vec::new(),
    }));
    changes
}

fn differences(was: &Exchange, is: &Exchange) -> Vec<Divergence> {
    let mut found = Vec::new();
    let query = |x: &Exchange| x.request.query.clone().unwrap_or_default();
    if query(was) != query(is) {
        found.push(Divergence::new("request query", query(was), query(is)));
    }
    if was.request.scheme != is.request.scheme {
        let (was, is) = (was.request.scheme.as_str(), is.request.scheme.as_str());
        found.push(Divergence::new("request scheme", was, is));
    }
    found.extend(side("request", &request_side(was), &request_side(is)));
    match (response_side(was), response_side(is)) {
        (Some(was_side), Some(is_side)) => {
            found.extend(side("response", &was_side, &is_side));
            let (was, is) = (trailers(was), trailers(is));
            if was != is {
                found.push(Divergence::new("response trailers", was, is));
            }
        }
        // Responses that can't be read may still differ.
        (None, None) => found.extend(raw_difference(was, is)),
        (was, _) => {
            let word = |there: bool| if there { "captured" } else { "not captured" };
            let there = was.is_some();
            found.push(Divergence::new("response", word(there), word(!there)));
        }
    }
    found
}

/// Returns how the response attributes of two spans without a readable response differ, if they do.
fn raw_difference(was: &Exchange, is: &Exchange) -> Option<Divergence> {
    let raw = |exchange: &Exchange| {
        let mut attributes = exchange.attributes();
        attributes.retain(|(name, _)| name.starts_with("http.response."));
        attributes
    };
    let (was, is) = (raw(was), raw(is));
    (was != is).then(|| {
        let shown = |attributes: &[(String, Value)]| format!("{} attributes", attributes.len());
        Divergence {
            why: Some("neither has a status".to_owned()),
            ..Divergence::new("response", shown(&was), shown(&is))
        }
    })
}

/// Returns a request in the form in which answers are compared.
fn request_side(exchange: &Exchange) -> Expected<'_> {
    let request = &exchange.request;
    Expected {
        status: 200,
        headers: &request.headers,
        body: exchange
            .request_body()
            .map(|body| decoded(&request.headers, body).0),
        reached: Reached::default(),
    }
}

/// Returns the trailers of the response, for display.
fn trailers(exchange: &Exchange) -> String {
    let response = exchange.captured_response().ok().flatten();
    let fields = response
        .iter()
        .flat_map(|response| response.trailers.iter());
    let fields = fields.map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)));
    fields.collect::<Vec<_>>().join(", ")
}

fn response_side(exchange: &Exchange) -> Option<Expected<'_>> {
    let response = exchange.captured_response().ok().flatten()?;
    Some(expected(response))
}

fn side(name: &str, was: &Expected<'_>, is: &Expected<'_>) -> Vec<Divergence> {
    let strict = Assertions {
        headers: HeaderRules {
            captured: true,
            ..HeaderRules::default()
        },
        body: BodyRules {
            mode: Some(BodyMode::Exact),
            ..BodyRules::default()
        },
        ..Assertions::default()
    };
    let actual = Response {
        status: is.status,
        headers: is.headers.clone(),
        body: is.body.as_deref().unwrap_or_default().to_vec(),
        trailers: Headers::new(),
    };
    let both = was.body.is_some() == is.body.is_some();
    let found = compare(Some(was), &actual, &strict).mismatches.into_iter();
    let mut found: Vec<Divergence> = found
        .filter(|mismatch| {
            both || matches!(
                mismatch.place,
                MessagePlace::Status | MessagePlace::Header(_)
            )
        })
        .map(|mismatch| Divergence::of(name, mismatch))
        .collect();
    if !both {
        let word = |there: bool| if there { "captured" } else { "not captured" };
        let (was, is) = (was.body.is_some(), is.body.is_some());
        found.push(Divergence::new(format!("{name} body"), word(was), word(is)));
    }
    // The comparison only checks the headers of the baseline; an additional header is a change as well.
    for header in is.headers.names() {
        if !is_volatile(&header) && !was.headers.contains(&header) {
            let value = is.headers.text(&header).unwrap_or_default();
            let value = http::shown(&header, value.as_bytes()).into_owned();
            found.push(Divergence {
                was: None,
                ..Divergence::new(format!("{name} headers.{header}"), "", value)
            });
        }
    }
    found
}
