//! Replays cases several times, and gathers what varies among the replays.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::answer::expected;
use super::args::Args;
use super::discover::Trial;
use super::judge::{SentCall, calls_of};
use super::observe::{Observer, Seen};
use super::refusal::{Ended, Refusal, RefusalKind};
use super::replay::Replay;
use crate::base::decode::decoded;
use crate::base::http::{Headers, Host, query_pairs, same_path, split_target};
use crate::base::json;
use crate::base::with_causes;
use crate::case::{Case, Exchange};
use crate::compare::{Barrier, BodyRules, Change, MessagePlace, Mismatch, Side, form_as_json};
use crate::noise::{Moment, Noise, Place, Sent, Varying, compare_bodies, proposed};
use crate::report::{End, Fault, Unacceptable, side, summary, unacceptable};

/// A message, as a suite can speak of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Message {
    /// The answers of the application.
    Answer,
    /// What it sends in a call.
    Call {
        method: String,
        host: String,
        path: String,
        /// The captured query.
        query: Option<String>,
        /// The mock that answers it, if it is one of the suite's own.
        mock: Option<String>,
    },
}

impl Message {
    fn of_call(exchange: &Exchange, mock: Option<String>) -> Self {
        let request = &exchange.request;
        Self::Call {
            method: request.method.clone(),
            host: request.host.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            mock,
        }
    }
}

/// What was found about a message of a case.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) trial: String,
    pub(crate) suite: Arc<Path>,
    pub(crate) file: PathBuf,
    pub(crate) message: Message,
    pub(crate) noise: Noise,
    /// Headers and names in the query whose values vary.
    pub(crate) names: Vec<Named>,
    /// What varies or differs besides, in words.
    pub(crate) others: Vec<(Kind, String)>,
    /// How far the case was looked at; if it was not, this says only that there is such a message.
    pub(crate) look: Look,
}

/// Something with a name whose value varies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// A header, and a pattern that its value has to have instead of the captured one, if there is one.
    Header(String, Option<String>),
    /// A name in the query.
    Query(String),
}

/// How far a case was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// It was.
    Seen,
    /// It could not be judged.
    Unjudged,
    /// It was not replayed.
    LeftOut,
}

/// Whether something varies, or differs in the same way in every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Varies,
    Differs,
}

/// What was found in all replays.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) told: Vec<Told>,
    /// The cases that could not be looked at, with the reason.
    pub(crate) unjudged: Vec<(String, String)>,
    /// The cases, for what comes back in which.
    pub(crate) cases: BTreeMap<String, Arc<Case>>,
}

/// Replays the cases so many times, and returns what varies.
///
/// # Errors
///
/// Why the cases can't be replayed, or the signal that interrupted it.
pub(crate) fn find(args: &Args, runs: usize) -> Result<Found, Refusal> {
    let mut by_trial: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
    for run in 1..=runs {
        if !args.quiet {
            let _ = writeln!(std::io::stderr(), "softprobe: run {run} of {runs}");
        }
        let observer = Arc::new(Observer::default());
        match Replay::new()
            .observed_by(&observer)
            .run_with(args.clone())?
        {
            Ended::Passed(_) | Ended::Failed(_) => {}
            Ended::Signal(signal, _) => {
                return Err(Refusal {
                    kind: RefusalKind::Signal(signal),
                    lines: vec!["interrupted".to_owned()],
                });
            }
        }
        for seen in observer.take() {
            by_trial
                .entry(seen.trial.name.clone())
                .or_default()
                .push(seen);
        }
    }
    let mut found = Found::default();
    let all = Replay::new().trials(args.without_filters())?;
    let unseen = all
        .iter()
        .filter(|trial| !by_trial.contains_key(&trial.name));
    let left_out = |trial| Told::unseen(trial, Look::LeftOut);
    found.told.extend(unseen.map(left_out));
    for (name, seen) in by_trial {
        let Some(Seen { trial, .. }) = seen.first() else {
            continue;
        };
        // What the suite leaves out is nothing to look at.
        if seen
            .iter()
            .any(|one| matches!(one.outcome.end, End::Skipped(_)))
        {
            found.told.push(Told::unseen(trial, Look::LeftOut));
            continue;
        }
        match look(trial, &seen) {
            Ok((case, told)) => {
                found.cases.insert(name, case);
                found.told.extend(told);
            }
            Err(why) => {
                // A case that can't be read has no calls to tell of, and `why` says so.
                let case = Case::from_file(&trial.file).ok();
                let calls: Vec<&Exchange> = case.iter().flat_map(Case::outbound).collect();
                let missed = missed_queries(trial, &calls, &seen);
                found.unjudged.push((
                    name,
                    match missed.is_empty() {
                        true => why,
                        false => "its calls have other queries in each run; with what is proposed for them in the suite, look again".to_owned(),
                    },
                ));
                found.told.push(Told::unseen(trial, Look::Unjudged));
                found.told.extend(unseen_calls(trial, &calls, &missed));
                found.told.extend(missed);
            }
        }
    }
    Ok(found)
}

impl Told {
    /// Returns that a suite has a case at which nobody has looked, so that nothing is said of all of its cases.
    fn unseen(trial: &Trial, look: Look) -> Self {
        Self {
            look,
            ..Self::new(trial, Message::Answer, Noise::default())
        }
    }

    fn new(trial: &Trial, message: Message, noise: Noise) -> Self {
        Self {
            trial: trial.name.clone(),
            suite: Arc::clone(&trial.suite_file),
            file: trial.shown.clone(),
            message,
            noise,
            names: Vec::new(),
            others: Vec::new(),
            look: Look::Seen,
        }
    }
}

/// Returns that a case that could not be judged makes calls at which nobody could look, besides these.
fn unseen_calls(trial: &Trial, calls: &[&Exchange], known: &[Told]) -> Vec<Told> {
    let calls = calls.iter();
    let messages = calls.map(|exchange| Message::of_call(exchange, None));
    let unknown = messages.filter(|message| !known.iter().any(|told| told.message == *message));
    let unseen = unknown.map(|message| Told {
        look: Look::Unjudged,
        ..Told::new(trial, message, Noise::default())
    });
    unseen.collect()
}

/// Returns calls that no captured exchange answered because names in their queries have other values in each run.
fn missed_queries(trial: &Trial, calls: &[&Exchange], seen: &[Seen]) -> Vec<Told> {
    let mut told = Vec::new();
    for exchange in calls {
        let request = &exchange.request;
        let captured = query_pairs(request.query.as_deref().unwrap_or_default());
        let runs = seen.iter().map(|one| {
            let misses = one.outcome.misses().map(|missed| &missed.miss);
            let misses = misses.filter(|miss| {
                miss.method.eq_ignore_ascii_case(&request.method)
                    && Host::of(request).is(&miss.host)
                    && same_path(split_target(&miss.path).0, &request.path)
            });
            let mut queries =
                misses.map(|miss| query_pairs(split_target(&miss.path).1.unwrap_or_default()));
            queries.next()
        });
        let runs: Vec<Option<BTreeMap<String, Vec<String>>>> = runs.collect();
        let Some(runs) = runs.into_iter().collect::<Option<Vec<_>>>() else {
            continue;
        };
        let names: BTreeSet<&String> = runs
            .iter()
            .flat_map(BTreeMap::keys)
            .chain(captured.keys())
            .collect();
        let differs = |name: &&String| runs.iter().any(|run| run.get(*name) != captured.get(*name));
        let varies = |name: &&String| {
            runs.iter().all(|run| run.contains_key(*name))
                && runs.iter().any(|run| run.get(*name) != runs[0].get(*name))
        };
        let differing: Vec<&String> = names.into_iter().filter(differs).collect();
        if !differing.is_empty() && differing.iter().all(varies) {
            let message = Message::of_call(exchange, None);
            let names = differing.into_iter().map(|name| Named::Query(name.clone()));
            told.push(Told {
                names: names.collect(),
                ..Told::new(trial, message, Noise::default())
            });
        }
    }
    told
}

/// Looks at the replays of a case; the error says why it can't be.
fn look(trial: &Trial, seen: &[Seen]) -> Result<(Arc<Case>, Vec<Told>), String> {
    let mut heard = Vec::new();
    for one in seen {
        let is_difference = |fault: &Fault| matches!(fault, Fault::Mismatch(_) | Fault::Sent(_));
        let mut findings = one.outcome.findings.iter();
        let other = findings.find(|finding| finding.fails && !is_difference(&finding.fault));
        if let Some(finding) = other {
            return Err(unacceptable(Unacceptable::Fault(&finding.fault)));
        }
        heard.push(one.heard.as_ref().ok_or_else(|| summary(&one.outcome))?);
    }
    let Some(case) = heard.first().map(|heard| &heard.case) else {
        return Err("it was not replayed".to_owned());
    };
    let told = |message, noise| Told::new(trial, message, noise);
    let moments: Vec<Option<Moment>> = seen.iter().map(|one| moment(one.at)).collect();
    let mut all = Vec::new();

    let rules = &trial.plan.assertions.rules;
    let captured = case.inbound().ok().flatten();
    let response = captured.and_then(|inbound| inbound.captured_response().ok().flatten());
    let admitted = response.is_some_and(|response| rules.status.admits(response.status));
    let was = response.map(expected).filter(|_| admitted);
    let was_body = was
        .as_ref()
        .and_then(|was| json_of(was.headers, was.body.as_deref()?, false));
    let bodies: Vec<Option<Value>> = heard
        .iter()
        .map(|heard| json_of(&heard.answer.headers, &heard.answer.body, false))
        .collect();
    let mut answer = told(
        Message::Answer,
        noise_of(
            &rules.body,
            (was_body.as_ref(), captured),
            &bodies,
            &moments,
        ),
    );
    let runs: Vec<Vec<&Mismatch>> = seen
        .iter()
        .map(|one| one.outcome.mismatches().collect())
        .collect();
    let own = captured.map_or("", |inbound| inbound.request.host.as_str());
    others(&runs, rules.headers.captured, own, &mut answer);
    all.push(answer);

    let calls = heard.iter().map(|heard| calls_of(trial, heard));
    let calls: Result<Vec<Vec<SentCall>>, _> = calls.collect();
    let calls = calls.map_err(|error| with_causes(&error))?;
    let exchanges: BTreeSet<usize> = calls.iter().flatten().map(|call| call.exchange).collect();
    for index in exchanges {
        let Some(exchange) = case.exchanges().get(index) else {
            continue;
        };
        let own = |calls: &[SentCall]| calls.iter().find(|call| call.exchange == index).cloned();
        let sent: Vec<Option<SentCall>> = calls.iter().map(|calls| own(calls)).collect();
        let Some(SentCall { mock, rules, .. }) = sent.iter().flatten().next() else {
            continue;
        };
        let request = &exchange.request;
        let was = exchange.request_body().and_then(|body| {
            let body = decoded(&request.headers, body).0;
            json_of(&request.headers, &body, true)
        });
        let bodies: Vec<Option<Value>> = sent
            .iter()
            .map(|call| {
                let request = &call.as_ref()?.request;
                let body = decoded(&request.headers, &request.body).0;
                json_of(&request.headers, &body, true)
            })
            .collect();
        let message = Message::of_call(exchange, mock.clone());
        let noise = noise_of(
            &rules.body,
            (was.as_ref(), Some(exchange)),
            &bodies,
            &moments,
        );
        let mut call = told(message, noise);
        let made = sent.iter().flatten().count();
        if made < sent.len() {
            let text = format!("it is made in {made} of {} runs", sent.len());
            call.others.push((Kind::Varies, text));
        }
        let runs: Vec<Vec<&Mismatch>> = seen
            .iter()
            .map(|one| {
                let sent = one
                    .outcome
                    .sent()
                    .filter(|(sent, _)| sent.exchange == index);
                sent.map(|(sent, _)| &sent.mismatch).collect()
            })
            .collect();
        others(&runs, true, "", &mut call);
        all.push(call);
    }
    Ok((Arc::clone(case), all))
}

fn moment(at: SystemTime) -> Option<Moment> {
    let since = at.duration_since(UNIX_EPOCH).ok()?;
    Some(Moment(since.as_secs_f64()))
}

fn json_of(headers: &Headers, body: &[u8], as_form: bool) -> Option<Value> {
    let form = as_form.then(|| form_as_json(headers, body)).flatten();
    let media_type = headers.text("content-type");
    if form.is_none() && media_type.is_some_and(|media_type| !media_type.contains("json")) {
        return None;
    }
    form.or_else(|| json::read(body).ok().map(|document| document.value))
}

fn noise_of(
    rules: &BodyRules,
    (was, exchange): (Option<&Value>, Option<&Exchange>),
    bodies: &[Option<Value>],
    moments: &[Option<Moment>],
) -> Noise {
    // What is expected stands in the suite, and varies with nothing.
    // Of one replay, nothing can be said.
    let count = bodies.iter().flatten().count();
    if rules.expected.is_some() || count < 2 {
        return Noise::default();
    }
    let then = exchange
        .map(|exchange| exchange.start_ns)
        .filter(|start| *start > 0);
    let captured = Sent {
        body: was,
        at: then.map(|start| Moment(Duration::from_nanos(start).as_secs_f64())),
    };
    let replays: Vec<Sent<'_>> = bodies
        .iter()
        .zip(moments)
        .filter(|(body, _)| body.is_some())
        .map(|(body, at)| Sent {
            body: body.as_ref(),
            at: *at,
        })
        .collect();
    compare_bodies(captured, &replays, rules)
}

/// Adds what the bodies don't tell: the status, headers, queries, texts, and what the suite states.
fn others(runs: &[Vec<&Mismatch>], compares_headers: bool, own: &str, told: &mut Told) {
    let mut places: BTreeMap<String, Vec<&Mismatch>> = BTreeMap::new();
    for mismatch in runs.iter().flatten() {
        let is_told = matches!(mismatch.place, MessagePlace::Json(_))
            && matches!(mismatch.accepts, Ok(_) | Err(Barrier::Secret));
        if !is_told {
            places
                .entry(mismatch.place.to_string())
                .or_default()
                .push(mismatch);
        }
    }
    for (place, all) in places {
        let first = all[0];
        let is_same = all.len() == runs.len() && all.iter().all(|one| *one == first);
        let shown = |one: &Mismatch| match &one.actual {
            Some(actual) => side(actual),
            None => "nothing".to_owned(),
        };
        let captured = first.expected.as_ref().map_or("nothing".to_owned(), side);
        let is_there = all
            .iter()
            .all(|one| one.actual.is_some() && one.accepts.is_ok());
        match (is_same, &first.place) {
            (false, MessagePlace::Header(name)) if is_there => {
                let pattern =
                    redirect_pattern(name, own, first, &all).filter(|_| !compares_headers);
                told.names.push(Named::Header(name.clone(), pattern));
            }
            (false, MessagePlace::Query(name)) if is_there => {
                told.names.push(Named::Query(name.clone()));
            }
            (true, _) => told.others.push((
                Kind::Differs,
                format!("{place}: expected {captured}, actual {}", shown(first)),
            )),
            (false, _) => told.others.push((
                Kind::Varies,
                format!(
                    "{place}: expected {captured}, and it is wrong in {} of {} runs",
                    all.len(),
                    runs.len()
                ),
            )),
        }
    }
}

/// Returns a pattern for where redirects lead, as far as it is the same in all runs; `own` is the captured host of the application.
fn redirect_pattern(name: &str, own: &str, first: &Mismatch, all: &[&Mismatch]) -> Option<String> {
    let targets = all
        .iter()
        .flat_map(|one| &one.changes)
        .filter_map(|change| match change {
            Change::Header { values, .. } => std::str::from_utf8(values.first()?).ok(),
            _ => None,
        });
    let captured = match &first.expected {
        Some(Side::Values(values)) if name == "location" => values.first()?.as_str(),
        _ => return None,
    };
    let values: Vec<&str> = std::iter::once(captured).chain(targets).collect();
    // Those into the application itself name another port in each run.
    let own_path = |value: &str| -> Option<String> {
        let (_, rest) = value.split_once("://")?;
        let (host, _) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        (host == own).then(|| rest[host.len()..].to_owned())
    };
    let paths: Option<Vec<String>> = values.iter().map(|value| own_path(value)).collect();
    let (prefix, values) = match paths {
        Some(paths) => {
            let host = regex::escape(own.split(':').next().unwrap_or_default());
            let loopback = r"127\.0\.0\.1|localhost|\[::1\]";
            (format!("https?://({host}|{loopback})(:[0-9]+)?"), paths)
        }
        None => (
            String::new(),
            values.into_iter().map(str::to_owned).collect(),
        ),
    };
    let proposal = proposed(&Varying {
        place: Place::default(),
        values: values.into_iter().map(Value::from).collect(),
        captured: 1,
        at: None,
    })?;
    let pattern = proposal.value.get("regex")?.as_str()?;
    Some(format!("^{prefix}{}", pattern.trim_start_matches('^')))
}
