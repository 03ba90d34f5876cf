//! `inspect`: shows a case or a session in human-readable form.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::output::{Failed, Output};
use super::session::Id;
use super::validate::counted;
use super::{Global, files};
use crate::base::http::Direction;
use crate::base::visible_line;
use crate::case::{Case, Exchange};
use crate::control::Action;
use crate::rule::mask_secret_headers;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Inspect {
    /// Show the exchanges of case files: direction, method, URL, status and sizes; the inbound one is marked
    Case {
        /// Files or globs
        #[arg(value_name = "FILE", required = true)]
        files: Vec<String>,
    },
    /// Show what a session holds and what has happened in it
    Session {
        #[command(flatten)]
        id: Id,
    },
}

impl Inspect {
    pub(super) fn run(self, global: &Global) -> Result<Output, Failed> {
        match self {
            Self::Case { files } => cases(&files),
            Self::Session { id } => {
                let mut state = id.call(global, Action::State)?;
                mask_secret_headers(&mut state);
                Ok(Output::fine(session_text(&state)).fields(&state))
            }
        }
    }
}

fn cases(patterns: &[String]) -> Result<Output, Failed> {
    let mut text = String::new();
    let mut reported = Vec::new();
    for (path, case) in files::read_cases(patterns)? {
        let shown = path.display().to_string();
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&case_text(&shown, &case));
        reported.push(json!({
            "file": shown,
            "caseId": case.id(),
            "version": case.document()["version"],
            "traceCount": case.trace_count(),
            "spanSummary": case.exchanges().iter().map(summary).collect::<Vec<_>>(),
            "exchanges": case.exchanges().iter().map(|x| exchange_value(&case, x)).collect::<Vec<_>>(),
            "warnings": case.warnings(),
        }));
    }
    Ok(Output::fine(text).one_or_all("cases", reported))
}

/// Returns an exchange in the fields that scripts for another command read.
fn summary(exchange: &Exchange) -> Value {
    let response = exchange.captured_response().ok().flatten();
    json!({
        "direction": exchange.direction.map(Direction::name),
        "method": exchange.request.method,
        "host": exchange.request.host,
        "path": exchange.request.path,
        "status": response.map(|r| r.status),
    })
}

fn is_inbound(case: &Case, exchange: &Exchange) -> bool {
    let inbound = case.inbound().ok().flatten();
    inbound.is_some_and(|inbound| std::ptr::eq(inbound, exchange))
}

fn url(exchange: &Exchange) -> String {
    let request = &exchange.request;
    format!("{}://{}{}", request.scheme, request.host, request.target())
}

fn exchange_value(case: &Case, exchange: &Exchange) -> Value {
    let response = exchange.captured_response().ok().flatten();
    let request_bytes = exchange.request_body().map(<[u8]>::len);
    json!({
        "spanId": exchange.span_id,
        "inbound": is_inbound(case, exchange),
        "direction": exchange.direction.map(Direction::name),
        "service": exchange.service,
        "method": exchange.request.method,
        "url": url(exchange),
        "status": response.map(|r| r.status),
        "requestBytes": request_bytes,
        "responseBytes": response.and_then(|r| r.body.as_ref()).map(Vec::len),
    })
}

/// Returns a cell with a text that may come from traffic.
pub(super) fn cell(text: impl AsRef<str>) -> Cell {
    Cell::new(visible_line(text.as_ref()))
}

pub(super) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().copied());
    table
}

fn number(value: Option<impl ToString>) -> Cell {
    let text = value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    cell(text).set_alignment(CellAlignment::Right)
}

fn case_text(file: &str, case: &Case) -> String {
    let mut table = table(&[
        "",
        "direction",
        "method",
        "url",
        "status",
        "request",
        "response",
    ]);
    for exchange in case.exchanges() {
        let response = exchange.captured_response().ok().flatten();
        let sent = exchange.request_body().map(<[u8]>::len);
        let came = response.and_then(|r| r.body.as_ref()).map(Vec::len);
        table.add_row(vec![
            cell(if is_inbound(case, exchange) {
                "→"
            } else {
                ""
            }),
            cell(exchange.direction.map_or("-", Direction::name)),
            cell(&exchange.request.method),
            cell(url(exchange)),
            number(response.map(|r| r.status)),
            number(sent),
            number(came),
        ]);
    }
    let mut text = format!("{file}: case {}\n{table}\n", case.id());
    match case.inbound() {
        Ok(Some(_)) => text.push_str("→ the inbound exchange; sizes are body sizes in bytes\n"),
        Ok(None) => text.push_str("there is no inbound exchange\n"),
        Err(ambiguous) => text.push_str(&format!("{ambiguous}\n")),
    }
    text
}

fn session_text(state: &Value) -> String {
    let stats = &state["stats"];
    let case = match state["caseSummary"]["caseId"].as_str() {
        Some(id) => {
            let traces = state["caseSummary"]["traceCount"]
                .as_u64()
                .unwrap_or_default();
            format!(
                "{id} ({})",
                counted(usize::try_from(traces).unwrap_or_default(), "trace")
            )
        }
        None => "none".to_owned(),
    };
    let rules = state["rules"]["rules"].as_array().map_or(0, Vec::len);
    let policy = match &state["policy"] {
        Value::Null => "none".to_owned(),
        policy => policy.to_string(),
    };
    let mut text = format!(
        "session   {}\nmode      {}\nrevision  {}\npolicy    {}\ncase      {case}\nrules     {rules}\n\
         injected  {}\nextracted {}\nmisses    {}\n",
        state["sessionId"].as_str().unwrap_or_default(),
        state["mode"].as_str().unwrap_or_default(),
        state["sessionRevision"],
        policy,
        stats["injectedSpans"],
        stats["extractedSpans"],
        stats["strictMisses"],
    );
    let list = |name: &str| stats[name].as_array().cloned().unwrap_or_default();
    let (calls, uncorrelated) = (list("calls"), list("uncorrelated"));
    if calls.is_empty() && uncorrelated.is_empty() {
        return text;
    }
    let mut table = table(&["method", "url", "answer", "by"]);
    let word = |value: &Value| cell(value.as_str().unwrap_or_default());
    let called = |call: &Value| {
        let part = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
        cell(part("host") + &part("path"))
    };
    for call in &calls {
        table.add_row(vec![
            word(&call["method"]),
            called(call),
            word(&call["answer"]),
            word(&call["rule"]),
        ]);
    }
    for call in &uncorrelated {
        table.add_row(vec![
            word(&call["method"]),
            called(call),
            cell("belongs to no session"),
            word(&call["reason"]),
        ]);
    }
    text.push_str(&format!("{table}\n"));
    text
}
