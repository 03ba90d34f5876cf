//! The human-readable report of one case.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::causes::way_out;
use super::outcome::{CaseOutcome, MissedCall, SentDifference, SentRequest};
use super::sides;
use super::words;
use crate::base::http::shown_target;
use crate::base::{visible, visible_line};
use crate::compare::Mismatch;
use crate::control::{CallAnswer, Miss, OutboundCall, UncorrelatedCall};

/// The number of characters after which a value is cut; the JSON report has it whole.
const LONGEST_VALUE: usize = 1_000;

/// The colours of a report, or none.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Palette {
    bold: Style,
    bad: Style,
    good: Style,
    dim: Style,
}

impl Palette {
    /// Returns whether there are no colours.
    pub(super) fn is_plain(self) -> bool {
        self.bold.is_plain()
    }

    /// Returns a text whose control characters are shown as escapes, apart from those that begin and end these colours.
    fn visible(self, text: &str) -> String {
        let Self {
            bold,
            bad,
            good,
            dim,
        } = self;
        let mut shown = visible(text).into_owned();
        if !self.is_plain() {
            for style in [bold, bad, good, dim] {
                for own in [style.render().to_string(), style.render_reset().to_string()] {
                    shown = shown.replace(&*visible(&own), &own);
                }
            }
        }
        shown
    }

    /// Returns the colours for a terminal.
    pub(crate) fn coloured() -> Self {
        Self {
            bold: Style::new().bold(),
            bad: AnsiColor::Red.on_default(),
            good: AnsiColor::Green.on_default(),
            dim: Style::new().dimmed(),
        }
    }
}

fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// How much a report tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What helps to find out what is wrong.
    Usual,
    /// The headers by which calls are told apart, too.
    All,
}

/// Returns the report: what is wrong, every difference, the outbound calls, the request, what the application wrote, and the
/// commands that run the case again and that accept it.
pub(crate) fn text(outcome: &CaseOutcome, palette: Palette, detail: Detail) -> String {
    let CaseOutcome {
        trial: _,
        suite: _,
        file,
        case_id: _,
        end: _,
        findings: _,
        notes,
        request,
        bodies: _,
        calls,
        captured: _,
        any_call_seen,
        launched,
        written,
        acceptance,
        rerun: _,
        started_us: _,
        lane: _,
        took: _,
    } = outcome;
    let mut page = Page {
        out: String::new(),
        palette,
    };
    page.line(0, &paint(palette.bold, &words::headline(outcome)));
    page.line(1, &file.display().to_string());
    page.section("differences", outcome.mismatches(), Page::mismatch);
    page.section(
        "missed: no mock answers these calls, and the policy is strict",
        outcome.misses(),
        Page::miss,
    );
    let (refused, uncorrelated): (Vec<_>, Vec<_>) =
        outcome.uncorrelated().partition(|(call, _)| call.refused);
    if !refused.is_empty() {
        page.refused(&refused);
    }
    if !uncorrelated.is_empty() {
        page.uncorrelated(&uncorrelated);
    }
    let sent: Vec<_> = outcome.sent().collect();
    if !calls.is_empty() {
        page.heading("outbound calls");
        page.calls(calls, &sent);
    }
    if let Some(count) = outcome.not_compared() {
        page.line(1, &words::not_compared(count));
    }
    let late: Vec<_> = outcome.late().collect();
    if !late.is_empty() {
        page.heading("outbound calls that came after the case had ended");
        for (call, _) in &late {
            page.line(1, &words::late_call(call));
        }
        page.line(
            1,
            "if the application makes them in the background, wait for them: `mocks` that answer them, and \
             `outbound: {settleMs: …}`",
        );
    }
    let extra: Vec<_> = outcome.extra().collect();
    if !extra.is_empty() {
        page.heading("outbound calls made more often than captured");
        for (calls, _) in &extra {
            page.line(1, &words::extra_calls(calls));
        }
        if extra.iter().any(|(_, fails)| *fails) {
            page.line(
                1,
                "if this is right, allow it: `outbound: {extra: warn}` in the suite or in a mock",
            );
        }
    }
    let unused: Vec<_> = outcome.unused().collect();
    if !unused.is_empty() {
        page.heading("unused mocks");
        for (name, fails) in unused {
            let verdict = if fails { " (unused: fail)" } else { "" };
            page.line(1, &format!("{}{verdict}", shown_target(name)));
        }
        if !any_call_seen {
            page.line(1, &words::no_call(launched));
        }
    }
    if let Some(way_out) = way_out(outcome) {
        page.heading("what to do");
        page.line(1, &way_out);
    }
    page.section("notes", notes.iter(), |page, note| {
        page.block(1, &words::note(note));
    });
    if let Some(request) = request {
        page.request(request, detail);
    }
    if !written.lines.is_empty() {
        page.heading("the application wrote meanwhile");
        if written.cut {
            page.line(1, "…");
        }
        for line in &written.lines {
            page.line(1, &visible_line(line));
        }
    }
    page.heading("run just this case");
    page.line(1, &words::rerun(outcome));
    if let Some(why) = words::not_accepted(acceptance) {
        page.heading("not accepted");
        page.line(1, why);
    }
    if let Some((title, command)) = words::accept(outcome) {
        page.heading(title);
        page.line(1, &command);
    }
    page.out
}

struct Page {
    out: String,
    palette: Palette,
}

impl Page {
    fn line(&mut self, depth: usize, text: &str) {
        let text = self.palette.visible(text);
        // Writing to a String can't fail.
        let _ = writeln!(self.out, "{:width$}{text}", "", width = depth * 2);
    }

    /// Adds several lines, each indented.
    fn block(&mut self, depth: usize, text: &str) {
        for line in text.lines() {
            self.line(depth, line);
        }
    }

    fn heading(&mut self, text: &str) {
        self.out.push('\n');
        let text = paint(self.palette.bold, text);
        self.line(0, &text);
    }

    /// Adds a heading and the items below it, or nothing if there are no items.
    fn section<T>(
        &mut self,
        title: &str,
        items: impl Iterator<Item = T>,
        mut show: impl FnMut(&mut Self, T),
    ) {
        let mut items = items.peekable();
        if items.peek().is_some() {
            self.heading(title);
            items.for_each(|item| show(self, item));
        }
    }

    fn request(&mut self, request: &SentRequest, detail: Detail) {
        let SentRequest {
            method,
            url,
            headers,
            body,
        } = request;
        self.heading("the request was");
        self.line(1, &format!("{method} {}", words::url(url)));
        let headers = words::headers(headers);
        let headers =
            headers.filter(|(name, _)| detail == Detail::All || !words::is_trace_header(name));
        for (name, value) in headers {
            let header = paint(self.palette.dim, &format!("{name}: {value}"));
            self.line(1, &header);
        }
        for line in cut(&words::sent_body(body)).lines() {
            self.line(1, line);
        }
    }

    fn mismatch(&mut self, mismatch: &Mismatch) {
        self.mismatch_at(1, mismatch);
    }

    fn mismatch_at(&mut self, depth: usize, mismatch: &Mismatch) {
        let Mismatch {
            place,
            expected,
            actual,
            why: _,
            diff: _,
            accepts: _,
            changes: _,
        } = mismatch;
        self.line(depth, &place.to_string());
        if let Some(diff) = sides::diff(mismatch) {
            for line in cut(&diff).lines() {
                let style = match line.as_bytes().first() {
                    Some(b'-') => self.palette.good,
                    Some(b'+') => self.palette.bad,
                    _ => self.palette.dim,
                };
                let line = paint(style, line);
                self.line(depth + 1, &line);
            }
            let legend = paint(self.palette.dim, "(- expected, + actual)");
            self.line(depth + 1, &legend);
        } else if expected.is_some() || actual.is_some() {
            let side = |side: Option<String>, style: Style| match side {
                Some(side) => paint(style, &cut(&side)),
                None => "nothing".to_owned(),
            };
            let [expected, actual] = sides::sides_in_view(mismatch);
            let expected = side(expected, self.palette.good);
            let actual = side(actual, self.palette.bad);
            self.line(depth + 1, &format!("expected  {expected}"));
            self.line(depth + 1, &format!("actual    {actual}"));
        }
        if let Some(reason) = sides::reason_of(mismatch) {
            self.line(depth + 1, &reason);
        }
    }

    fn miss(&mut self, missed: &MissedCall) {
        let MissedCall { miss, captured } = missed;
        let Miss {
            method,
            host,
            path,
            count,
            nearest,
        } = miss;
        let times = match count {
            0 | 1 => String::new(),
            n => format!(" ({n} times)"),
        };
        let call = paint(self.palette.bad, &words::call(method, host, path));
        self.line(1, &format!("{call}{times}"));
        if method == "CONNECT" {
            return self.line(2, words::UNREAD);
        }
        if let Some(captured) = captured {
            self.line(2, &words::nearest_exchange(captured));
        }
        match nearest {
            Some(nearest) => self.line(2, &words::nearest(nearest)),
            None => self.line(2, "there are no rules at all; add a mock for this call"),
        }
    }

    /// Lists the calls that the proxy could not answer, equal ones once.
    fn refused(&mut self, calls: &[(&UncorrelatedCall, bool)]) {
        self.heading("outbound calls that could not be answered");
        let mut told: Vec<(String, &str, usize)> = Vec::new();
        for (call, _) in calls {
            let shown = words::call(&call.method, &call.host, &call.path);
            let known = told
                .iter_mut()
                .find(|(known, reason, _)| *known == shown && *reason == call.reason);
            match known {
                Some((.., count)) => *count += 1,
                None => told.push((shown, &call.reason, 1)),
            }
        }
        for (shown, reason, count) in told {
            let times = match count {
                1 => String::new(),
                n => format!(" ({n} times)"),
            };
            self.line(1, &format!("{shown}{times}"));
            self.line(2, reason);
        }
        if calls.iter().any(|(call, _)| call.open_sessions > 1) {
            let hint = "another case that ran at the time may have made it: --one-at-a-time, or SOFTPROBE_ONE_AT_A_TIME=1, tells";
            self.line(1, hint);
        }
    }

    fn uncorrelated(&mut self, calls: &[(&UncorrelatedCall, bool)]) {
        self.heading(if calls.iter().any(|(_, fails)| *fails) {
            "outbound calls that belong to no session, so this verdict can't be trusted"
        } else {
            "outbound calls that belong to no session"
        });
        for (call, _) in calls {
            let UncorrelatedCall {
                method,
                host,
                path,
                reason,
                open_sessions: _,
                distrusted: _,
                ambient: _,
                refused: _,
            } = call;
            self.line(1, &words::call(method, host, path));
            self.line(2, reason);
        }
        if calls.iter().all(|(call, _)| call.ambient) {
            return;
        }
        self.line(
            1,
            "the application must pass `tracestate` or `traceparent` on to the calls it makes; a host that it calls \
             on its own behalf belongs into `policy.ambient`",
        );
        if calls.iter().any(|(call, _)| call.open_sessions > 1) {
            self.line(
                1,
                "if it can't, replay one case at a time: --one-at-a-time, or \
                 SOFTPROBE_ONE_AT_A_TIME=1",
            );
        }
    }

    /// Lists the calls, and below each how it differs from the captured request.
    fn calls(&mut self, calls: &[OutboundCall], sent: &[(&SentDifference, bool)]) {
        let shown: Vec<String> = calls
            .iter()
            .map(|call| words::call(&call.method, &call.host, &call.path))
            .collect();
        let width = shown
            .iter()
            .map(|c| c.chars().count())
            .max()
            .unwrap_or(0)
            .min(60);
        for (n, (call, shown)) in calls.iter().zip(shown).enumerate() {
            let by = match (&call.rule, call.answer) {
                (Some(rule), answer) => format!("{answer} `{}`", shown_target(rule)),
                (None, CallAnswer::Missed) => paint(self.palette.bad, "missed"),
                (None, answer) => answer.to_string(),
            };
            self.line(1, &format!("{shown:width$}  {by}"));
            let own = sent.iter().filter(|(difference, _)| difference.call == n);
            self.sent(own);
        }
    }

    fn sent<'d>(&mut self, differences: impl Iterator<Item = &'d (&'d SentDifference, bool)>) {
        let mut told = false;
        for (difference, fails) in differences {
            if !told {
                let warning = if *fails { "" } else { " (a warning)" };
                self.line(2, &format!("differs from the captured request{warning}:"));
                told = true;
            }
            self.mismatch_at(2, &difference.mismatch);
        }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_VALUE) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
    }
}
