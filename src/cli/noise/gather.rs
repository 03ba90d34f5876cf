//! Gathers what varies in the cases of a suite, and decides where a suite can say so without hiding more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::base::json;
use crate::case::{Case, Exchange};
use crate::noise::{Structure, Varying, proposed};
use crate::runner::{Found, Kind, Message, NameOf, Told};

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
    let suites = by_suite.into_iter().map(|(file, told)| SuiteReport {
        file: file.to_owned(),
        proposals: proposals(&told, &found.cases),
        varies: lines(&told, Kind::Varies),
        differs: lines(&told, Kind::Differs),
    });
    Report {
        suites: suites.collect(),
        unjudged: found.unjudged.clone(),
    }
}

/// A place at which something varies, whatever the case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Spot {
    /// The call; `None` for answers.
    call: Option<Message>,
    path: [&'static str; 2],
    name: String,
}

/// What varies at a spot.
#[derive(Default)]
struct Spots<'f> {
    /// The messages in which it does, by their numbers.
    messages: BTreeSet<usize>,
    varying: Option<Varying>,
    /// What is known of where its values come from or go to.
    issued: BTreeSet<String>,
    files: BTreeMap<&'f str, &'f Path>,
}

fn proposals(told: &[&Told], cases: &BTreeMap<String, Arc<Case>>) -> Vec<Proposal> {
    let mut spots: BTreeMap<Spot, Spots<'_>> = BTreeMap::new();
    for (n, one) in told.iter().enumerate() {
        let call = match &one.message {
            Message::Answer => None,
            call @ Message::Call { .. } => Some(call.clone()),
        };
        for varying in &one.noise.varying {
            let spot = entry(
                &mut spots,
                &call,
                ["body", "match"],
                varying.place.to_string(),
            );
            note(spot, n, one);
            spot.issued.extend(issued(one, varying, cases));
            match &mut spot.varying {
                Some(all) => all.add(varying.clone()),
                none => *none = Some(varying.clone()),
            }
        }
        for place in &one.noise.orders {
            let spot = entry(&mut spots, &call, ["body", "unordered"], place.to_string());
            note(spot, n, one);
        }
        for (kind, name) in &one.names {
            let part = match kind {
                NameOf::Header => "headers",
                NameOf::Query => "query",
            };
            let spot = entry(&mut spots, &call, [part, "ignore"], name.clone());
            note(spot, n, one);
        }
    }
    merged(&spots, told)
}

fn entry<'s, 'f>(
    spots: &'s mut BTreeMap<Spot, Spots<'f>>,
    call: &Option<Message>,
    path: [&'static str; 2],
    name: String,
) -> &'s mut Spots<'f> {
    let spot = Spot {
        call: call.clone(),
        path,
        name,
    };
    spots.entry(spot).or_default()
}

fn note<'f>(spot: &mut Spots<'f>, number: usize, told: &'f Told) {
    spot.messages.insert(number);
    spot.files.insert(&told.trial, &told.file);
}

/// Returns a proposal for each spot, for as many messages as it varies in and no more.
fn merged(spots: &BTreeMap<Spot, Spots<'_>>, told: &[&Told]) -> Vec<Proposal> {
    let numbers = |wanted: &dyn Fn(&Message) -> bool| -> BTreeSet<usize> {
        let all = told.iter().enumerate();
        let all = all.filter(|(_, one)| wanted(&one.message));
        all.map(|(n, _)| n).collect()
    };
    let answers = numbers(&|message| *message == Message::Answer);
    // A name that is ignored where it is not does no harm; a place that has to match does.
    let judged = |n: &usize| told.get(*n).is_some_and(|one| one.is_judged);
    let judged: BTreeSet<usize> = answers.iter().copied().filter(judged).collect();
    let calls = numbers(&|message| *message != Message::Answer);
    let mut proposals = Vec::new();
    let mut is_told: BTreeSet<([&str; 2], &str)> = BTreeSet::new();
    for (spot, found) in spots {
        let mut varying = found.varying.clone();
        let mut issued = found.issued.clone();
        let scope = match &spot.call {
            None if found.messages == answers => Scope::Suite,
            None if spot.path[1] == "ignore" && found.messages == judged => Scope::Suite,
            None => {
                let files = found.files.iter();
                let files = files.map(|(trial, file)| ((*trial).to_owned(), (*file).to_owned()));
                Scope::Cases(files.collect())
            }
            Some(own) => {
                // The same place in whatever call.
                let like = |(other, _): &(&Spot, &Spots<'_>)| {
                    other.call.is_some() && (other.path, &other.name) == (spot.path, &spot.name)
                };
                let same: Vec<_> = spots.iter().filter(like).collect();
                let messages: BTreeSet<usize> = same
                    .iter()
                    .flat_map(|(_, found)| &found.messages)
                    .copied()
                    .collect();
                if messages == calls {
                    if !is_told.insert((spot.path, &spot.name)) {
                        continue;
                    }
                    let others = same.iter().filter(|(other, _)| *other != spot);
                    for (_, found) in others {
                        issued.extend(found.issued.iter().cloned());
                        if let (Some(all), Some(more)) = (&mut varying, &found.varying) {
                            all.add(more.clone());
                        }
                    }
                    Scope::Suite
                } else {
                    Scope::Calls(own.clone())
                }
            }
        };
        let (matcher, what) = match (&varying, spot.path) {
            (Some(varying), _) => {
                let proposed = proposed(varying);
                (Some(proposed.value), proposed.what.to_owned())
            }
            (None, ["body", _]) => (None, "its order means nothing".to_owned()),
            (None, _) => (None, "another value in each run".to_owned()),
        };
        let issued: String = issued.iter().map(|told| format!("; {told}")).collect();
        proposals.push(Proposal {
            scope,
            is_sent: spot.call.is_some(),
            path: spot.path,
            name: spot.name.clone(),
            matcher,
            what: what + &issued,
        });
    }
    proposals
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
fn lines(told: &[&Told], kind: Kind) -> Vec<Line> {
    let mut lines = BTreeSet::new();
    for one in told {
        let mut line = |text: String| {
            lines.insert(Line {
                trial: one.trial.clone(),
                call: match &one.message {
                    Message::Answer => None,
                    Message::Call {
                        method, host, path, ..
                    } => Some(format!("{method} {host}{path}")),
                },
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
                    let shown = |value: &Option<Value>| match value {
                        Some(value) => json::show(value),
                        None => "nothing".to_owned(),
                    };
                    let (was, is) = (shown(&difference.captured), shown(&difference.now));
                    line(format!("{}: expected {was}, actual {is}", difference.place));
                }
            }
        }
    }
    lines.into_iter().collect()
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
