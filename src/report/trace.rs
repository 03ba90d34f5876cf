//! A run over time in the Chrome trace format, which ui.perfetto.dev and chrome://tracing open.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::json;

use super::outcome::Verdict;
use super::told::{CallReport, CaseReport, RunReport};

/// The numbers of the two processes that the format wants things to belong to.
const CASES: u64 = 1;
const CALLS: u64 = 2;

/// An event, in the words of the format.
#[derive(Debug, Serialize)]
struct Event<'r> {
    /// `M` for a name, `X` for something that goes on for a while.
    ph: &'static str,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cat: Option<&'static str>,
    /// When it begins, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<u64>,
    /// How long it goes on, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<u64>,
    pid: u64,
    tid: u64,
    args: Args<'r>,
}

/// What a viewer tells of an event.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Args<'r> {
    Name {
        name: &'r str,
    },
    Case {
        result: Verdict,
        file: &'r str,
        error: Option<&'r str>,
    },
    Call {
        case: &'r str,
        answer: &'r str,
        rule: Option<&'r str>,
    },
}

/// Returns the timeline: the cases, each in the lane in which it ran, and below them their outbound calls.
pub(crate) fn trace(run: &RunReport) -> String {
    let started = run.cases.iter().filter_map(|case| case.started_us);
    let start = run.started_us.or_else(|| started.min()).unwrap_or_default();
    let mut out = format!(
        "{{\"displayTimeUnit\":\"ms\",\"otherData\":{},\"traceEvents\":[\n",
        json!({"brokeOff": run.broke_off})
    );
    let mut add = |event: &Event<'_>| {
        if !out.ends_with("[\n") {
            out.push_str(",\n");
        }
        // Texts and numbers can be written.
        out.push_str(&serde_json::to_string(event).unwrap_or_default());
    };
    add(&named("process_name", CASES, 0, "cases"));
    add(&named("process_name", CALLS, 0, "outbound calls"));
    let lanes = run.cases.iter().filter(|case| case.started_us.is_some());
    let lanes: BTreeSet<usize> = lanes.map(|case| case.lane).collect();
    for lane in lanes {
        let name = format!("lane {}", lane + 1);
        add(&named("thread_name", CASES, lane as u64, &name));
    }
    let mut rows = Rows::default();
    for case in &run.cases {
        let Some(began) = case.started_us else {
            continue;
        };
        add(&case_event(case, began.saturating_sub(start)));
        for call in case.outbound.iter().chain(&case.late) {
            if let Some(arrived) = call.arrived_us {
                let from = arrived.saturating_sub(start);
                let took = call.took_us.unwrap_or_default();
                let row = rows.free(case.lane, from, from + took);
                add(&call_event(case, call, from, took, row));
            }
        }
    }
    for (lane, row) in rows.all() {
        let name = format!("calls of lane {}", lane + 1);
        add(&named("thread_name", CALLS, row, &name));
    }
    out + "\n]}\n"
}

fn named<'r>(what: &str, process: u64, thread: u64, name: &'r str) -> Event<'r> {
    Event {
        ph: "M",
        name: what.to_owned(),
        cat: None,
        ts: None,
        dur: None,
        pid: process,
        tid: thread,
        args: Args::Name { name },
    }
}

fn case_event(case: &CaseReport, from: u64) -> Event<'_> {
    Event {
        ph: "X",
        name: case.name.clone(),
        cat: Some("case"),
        ts: Some(from),
        dur: Some(case.took_us),
        pid: CASES,
        tid: case.lane as u64,
        args: Args::Case {
            result: case.result,
            file: &case.file,
            error: case.error.as_deref(),
        },
    }
}

fn call_event<'r>(
    case: &'r CaseReport,
    call: &'r CallReport,
    from: u64,
    took: u64,
    row: u64,
) -> Event<'r> {
    Event {
        ph: "X",
        name: call.to_string(),
        cat: Some("call"),
        ts: Some(from),
        dur: Some(took),
        pid: CALLS,
        tid: row,
        args: Args::Call {
            case: &case.name,
            answer: &call.answer,
            rule: call.rule.as_deref(),
        },
    }
}

/// Rows for calls, since those in one row must not overlap.
#[derive(Debug, Default)]
struct Rows {
    /// The lane and the end of the last call of each row.
    rows: Vec<(usize, u64)>,
}

impl Rows {
    /// Returns the number of a row of a lane that is free from then on, and takes it until that time.
    fn free(&mut self, lane: usize, from: u64, until: u64) -> u64 {
        let free = |(own, end): &(usize, u64)| *own == lane && *end <= from;
        let at = self.rows.iter().position(free).unwrap_or(self.rows.len());
        match self.rows.get_mut(at) {
            Some(row) => row.1 = until.max(from + 1),
            None => self.rows.push((lane, until.max(from + 1))),
        }
        at as u64
    }

    fn all(&self) -> impl Iterator<Item = (usize, u64)> {
        let rows = self.rows.iter().enumerate();
        rows.map(|(n, (lane, _))| (*lane, n as u64))
    }
}
