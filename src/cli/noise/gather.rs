//! Gathers what varies in the cases of a suite, and decides where a suite can say so without hiding more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::base::json;
use crate::case::{Case, Exchange};
use crate::noise::{Structure, Varying, unified};
use crate::runner::{Found, Kind, Look, Message, Named, Told};

/// The longest value that is shown whole, in characters.
const LONGEST_VALUE: usize = 200;

/// What there is to say about the suites.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) suites: Vec<SuiteReport>,
    /// The cases that could not be looked at, with the reason.
    pub(super) unjudged: Vec<(String, String)>,
}

/// What there is to say about a suite.
#[derive(Debug)]
pub(super) struct SuiteReport {
    pub(super) file: PathBuf,
    pub(super) proposals: Vec<Proposal>,
    /// What varies, and no setting accepts without hiding more.
    pub(super) varies: Vec<Line>,
    /// What differs from the capture in the same way in every run.
    pub(super) differs: Vec<Line>,
}

/// Something about a message of a case.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    pub(super) trial: String,
    /// The call, for display; `None` for the answer.
    pub(super) call: Option<String>,
    pub(super) text: String,
}

/// A setting that is proposed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Proposal {
    pub(super) scope: Scope,
    /// Whether it is about what the application sends; else about its answers.
    pub(super) is_sent: bool,
    /// Where it stands below `assertions` or `outbound`.
    pub(super) path: [&'static str; 2],
    /// A JSONPath or a name.
    pub(super) name: String,
    pub(super) matcher: Option<Value>,
    /// What the values are, in a few words.
    pub(super) what: String,
}

/// What a setting is for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scope {
    /// All cases of the suite.
    Suite,
    /// These cases, each with its file.
    Cases(BTreeMap<String, PathBuf>),
    /// These calls.
    Calls(Message),
}

impl Report {
    /// Returns whether nothing is left that fails a case once the proposals are in the suites.
    pub(super) fn is_clean(&self) -> bool {
        let is_clean = |suite: &SuiteReport| suite.varies.is_empty() && suite.differs.is_empty();
        self.unjudged.is_empty() && self.suites.iter().all(is_clean)
    }
}

/// Gathers what was found.
pub(super) fn gather(found: &Found) -> Report {
    let mut by_suite: BTreeMap<&Path, Vec<&Told>> = BTreeMap::new();
    for told in &found.told {
        by_suite.entry(&told.suite).or_default().push(told);
    }
    let suites = by_suite.into_iter().map(|(file, told)| {
        let (proposals, more) = proposals(&told, &found.cases);
        let mut varies = lines(&told, Kind::Varies);
        varies.extend(more);
        SuiteReport {
            file: file.to_owned(),
            proposals,
            varies: varies.into_iter().collect(),
            differs: lines(&told, Kind::Differs).into_iter().collect(),
        }
    });
    Report {
        suites: suites.collect(),
        unjudged: found.unjudged.clone(),
    }
}

/// A setting that something needs, whatever the case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Spot {
    path: [&'static str; 2],
    name: String,
    /// The matcher, if it is told already.
    matcher: Option<String>,
}

/// What needs a setting in a message.
#[derive(Debug)]
struct Need<'f> {
    /// The message's number.
    number: usize,
    told: &'f Told,
    varying: Option<&'f Varying>,
    /// What is known of where its values come from or go to.
    issued: Vec<String>,
}

/// Returns what each message needs, by the settings.
fn needs<'f>(
    told: &[&'f Told],
    cases: &BTreeMap<String, Arc<Case>>,
) -> BTreeMap<(bool, Spot), Vec<Need<'f>>> {
    let mut needs: BTreeMap<(bool, Spot), Vec<Need<'f>>> = BTreeMap::new();
    for (number, one) in told.iter().enumerate() {
        let is_sent = one.message != Message::Answer;
        let mut need =
            |path, name: String, matcher: Option<String>, varying: Option<&'f Varying>| {
                let spot = Spot {
                    path,
                    name,
                    matcher,
                };
                needs.entry((is_sent, spot)).or_default().push(Need {
                    number,
                    told: one,
                    varying,
                    issued: varying.map_or_else(Vec::new, |varying| issued(one, varying, cases)),
                });
            };
        for varying in &one.noise.varying {
            need(
                ["body", "match"],
                varying.place.to_string(),
                None,
                Some(varying),
            );
        }
        for place in &one.noise.orders {
            need(["body", "unordered"], place.to_string(), None, None);
        }
        for named in &one.names {
            match named {
                Named::Header(name, None) => need(["headers", "ignore"], name.clone(), None, None),
                Named::Header(name, pattern) => {
                    need(["headers", "include"], name.clone(), pattern.clone(), None);
                }
                Named::Query(name) => need(["query", "ignore"], name.clone(), None, None),
            }
        }
    }
    needs
}

/// Returns a proposal for each setting, for as many messages as need it and no more. Where a suite can't say so of these alone,
/// a line tells it.
fn proposals(
    told: &[&Told],
    cases: &BTreeMap<String, Arc<Case>>,
) -> (Vec<Proposal>, BTreeSet<Line>) {
    let numbers = |wanted: &dyn Fn(&Message) -> bool| numbers_of(told, &|one| wanted(&one.message));
    let (mut proposals, mut lines) = (Vec::new(), BTreeSet::new());
    let is_whole = told.iter().all(|one| one.look == Look::Seen);
    let is_left_out = told.iter().any(|one| one.look == Look::LeftOut);
    for ((is_sent, spot), needs) in &needs(told, cases) {
        let all: Vec<&Need<'_>> = needs.iter().collect();
        let own = |needs: &[&Need<'_>]| -> BTreeSet<usize> {
            needs.iter().map(|one| one.number).collect()
        };
        let everywhere = numbers(&|message| (*message != Message::Answer) == *is_sent);
        let has_mock =
            |one: &&Need<'_>| matches!(&one.told.message, Message::Call { mock: Some(_), .. });
        let is_everywhere = own(&all) == everywhere && is_whole;
        let fits_suite = is_everywhere && !all.iter().any(has_mock);
        if let Some(proposal) = proposal(Scope::Suite, *is_sent, spot, &all).filter(|_| fits_suite)
        {
            proposals.push(proposal);
            continue;
        }
        let mut groups: BTreeMap<(&Message, &str), Vec<&Need<'_>>> = BTreeMap::new();
        for one in all {
            let trial = if *is_sent {
                ""
            } else {
                one.told.trial.as_str()
            };
            groups
                .entry((&one.told.message, trial))
                .or_default()
                .push(one);
        }
        for ((message, _), needs) in groups {
            let files = needs
                .iter()
                .map(|one| (one.told.trial.clone(), one.told.file.clone()));
            let scope = match is_sent {
                true => Scope::Calls(message.clone()),
                false => Scope::Cases(files.collect()),
            };
            // A mock is for all calls like it.
            let fits =
                !is_sent || (own(&needs) == numbers(&|other| other == message) && !is_left_out);
            match proposal(scope, *is_sent, spot, &needs).filter(|_| fits) {
                Some(proposal) => proposals.push(proposal),
                None => lines.extend(needs.iter().map(|one| Line {
                    trial: one.told.trial.clone(),
                    call: call_of(message),
                    text: format!(
                        "{}: it varies, but not in all calls like this one, or with values of another kind; a mock for this call alone \
                         can say so",
                        spot.name
                    ),
                })),
            }
        }
    }
    (proposals, lines)
}

/// Returns a setting as a proposal; `None` if the messages would need different ones.
fn proposal(scope: Scope, is_sent: bool, spot: &Spot, needs: &[&Need<'_>]) -> Option<Proposal> {
    let varying: Option<Vec<&Varying>> = needs.iter().map(|one| one.varying).collect();
    let (matcher, what) = match (varying, &spot.matcher, spot.path) {
        (Some(varying), ..) => {
            let (_, proposed) = unified(varying.into_iter())?;
            (Some(proposed.value), proposed.what)
        }
        (None, Some(pattern), _) => (
            Some(pattern.as_str().into()),
            "it leads elsewhere in each run",
        ),
        (None, None, ["body", _]) => (None, "its order means nothing"),
        (None, None, _) => (None, "another value in each run"),
    };
    let issued: BTreeSet<&String> = needs.iter().flat_map(|one| &one.issued).collect();
    let issued: String = issued.iter().map(|told| format!("; {told}")).collect();
    Some(Proposal {
        scope,
        is_sent,
        path: spot.path,
        name: spot.name.clone(),
        matcher,
        what: what.to_owned() + &issued,
    })
}

/// Returns the numbers of messages.
fn numbers_of(told: &[&Told], wanted: &dyn Fn(&Told) -> bool) -> BTreeSet<usize> {
    let all = told.iter().enumerate().filter(|(_, one)| wanted(one));
    all.map(|(n, _)| n).collect()
}

fn call_of(message: &Message) -> Option<String> {
    match message {
        Message::Answer => None,
        Message::Call {
            method, host, path, ..
        } => Some(format!("{method} {host}{path}")),
    }
}

/// Returns where a value that an answer issues comes back, and where a value that is sent was issued.
fn issued(told: &Told, varying: &Varying, cases: &BTreeMap<String, Arc<Case>>) -> Vec<String> {
    /// Shorter values are found anywhere.
    const SHORTEST: usize = 6;
    let captured = varying.values.iter().take(varying.captured);
    let captured: Vec<String> = captured
        .filter_map(|value| match json::as_text(value) {
            Some(text) => Some(text.to_owned()),
            None => json::number_text(value).map(std::borrow::Cow::into_owned),
        })
        .filter(|text| text.len() >= SHORTEST)
        .collect();
    let holds = |text: &str| captured.iter().any(|value| text.contains(value.as_str()));
    let asks = |exchange: &Exchange| {
        let request = &exchange.request;
        let mut headers = request.headers.iter();
        holds(&request.target())
            || holds(&String::from_utf8_lossy(&request.body))
            || headers.any(|(_, value)| holds(&String::from_utf8_lossy(value)))
    };
    let answers = |exchange: &Exchange| {
        let response = exchange.captured_response().ok().flatten();
        response.is_some_and(|response| holds(&response.text()))
    };
    let mut found = Vec::new();
    for (trial, case) in cases {
        let is_own = *trial == told.trial;
        let Some(inbound) = case.inbound().ok().flatten() else {
            continue;
        };
        match &told.message {
            Message::Answer if !is_own && asks(inbound) => found.push(format!(
                "issued here, and comes back in the request of {trial}, which can't know the new one"
            )),
            Message::Call { .. } if !is_own && answers(inbound) => {
                found.push(format!("issued by the answer of {trial}"));
            }
            _ => {}
        }
    }
    found
}

/// Returns what is not proposed, a line for each.
fn lines(told: &[&Told], kind: Kind) -> BTreeSet<Line> {
    let mut lines = BTreeSet::new();
    for one in told {
        let mut line = |text: String| {
            lines.insert(Line {
                trial: one.trial.clone(),
                call: call_of(&one.message),
                text,
            });
        };
        let others = one.others.iter().filter(|(own, _)| *own == kind);
        others.for_each(|(_, text)| line(text.clone()));
        match kind {
            Kind::Varies => {
                for (place, structure) in &one.noise.structures {
                    line(format!("{place}: {}", words(*structure)));
                }
            }
            Kind::Differs => {
                for difference in &one.noise.differences {
                    let shown = |value: &Option<Value>| match value.as_ref().map(json::show) {
                        Some(text) if text.chars().count() > LONGEST_VALUE => {
                            text.chars().take(LONGEST_VALUE).collect::<String>() + "…"
                        }
                        Some(text) => text,
                        None => "nothing".to_owned(),
                    };
                    let (was, is) = (shown(&difference.captured), shown(&difference.now));
                    line(format!("{}: expected {was}, actual {is}", difference.place));
                }
            }
        }
    }
    lines
}

fn words(structure: Structure) -> String {
    match structure {
        Structure::Presence(runs) => {
            format!("it is there in {runs} of the runs, and not in the others")
        }
        Structure::Type => "its type varies".to_owned(),
        Structure::Length => "how many elements it has varies".to_owned(),
        Structure::Order => {
            "its order varies, and so much in its elements that they can't be told apart".to_owned()
        }
    }
}
