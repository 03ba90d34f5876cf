//! A run over time in the Chrome trace format, which ui.perfetto.dev and chrome://tracing open.

use serde_json::{Value, json};

use super::told::{CallReport, CaseReport, RunReport};

/// The numbers of the two processes that the format wants things to belong to.
const CASES: u64 = 1;
const CALLS: u64 = 2;

/// Returns the timeline: the cases, each in the lane in which it ran, and below them their outbound calls.
pub(crate) fn trace(run: &RunReport) -> String {
    let started = run.cases.iter().filter_map(|case| case.started_us);
    let start = run.started_us.or_else(|| started.min()).unwrap_or_default();
    let mut events = vec![
        named("process_name", CASES, 0, "cases"),
        named("process_name", CALLS, 0, "outbound calls"),
    ];
    let lanes = run.cases.iter().filter(|case| case.started_us.is_some());
    let lanes = lanes.map(|case| case.lane + 1).max().unwrap_or_default();
    for lane in 0..lanes {
        let name = format!("lane {}", lane + 1);
        events.push(named("thread_name", CASES, lane as u64, &name));
    }
    let mut rows = Rows::default();
    for case in &run.cases {
        let Some(began) = case.started_us else {
            continue;
        };
        events.push(case_event(case, began.saturating_sub(start)));
        for call in case.outbound.iter().chain(&case.late) {
            if let Some(arrived) = call.arrived_us {
                let from = arrived.saturating_sub(start);
                let took = call.took_us.unwrap_or_default();
                let row = rows.free(case.lane, from, from + took);
                events.push(call_event(case, call, from, took, row));
            }
        }
    }
    for (lane, row) in rows.all() {
        let name = format!("calls of lane {}", lane + 1);
        events.push(named("thread_name", CALLS, row, &name));
    }
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    format!(
        "{{\"displayTimeUnit\":\"ms\",\"otherData\":{},\"traceEvents\":[\n{}\n]}}\n",
        json!({"brokeOff": run.broke_off}),
        lines.join(",\n")
    )
}

fn named(what: &str, process: u64, thread: u64, name: &str) -> Value {
    json!({"ph": "M", "name": what, "pid": process, "tid": thread, "args": {"name": name}})
}

fn case_event(case: &CaseReport, from: u64) -> Value {
    json!({
        "ph": "X", "name": case.name, "cat": "case", "ts": from, "dur": case.took_us,
        "pid": CASES, "tid": case.lane,
        "args": {"result": case.result, "file": case.file, "error": case.error},
    })
}

fn call_event(case: &CaseReport, call: &CallReport, from: u64, took: u64, row: u64) -> Value {
    json!({
        "ph": "X", "name": call.to_string(), "cat": "call", "ts": from, "dur": took,
        "pid": CALLS, "tid": row,
        "args": {"case": case.name, "answer": call.answer, "rule": call.rule},
    })
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
