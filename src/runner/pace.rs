//! How a run goes on, in a line at the end of a terminal.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, stderr, stdout};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::sources::on_ci;
use crate::base::visible_line;
use crate::screen;

/// How often the line is renewed.
const BEAT: Duration = Duration::from_millis(100);

/// How long a case may run before it is named.
const SLOW: Duration = Duration::from_secs(2);

/// The line, until this is dropped.
pub(super) struct Pace {
    counts: Arc<Mutex<Counts>>,
    /// Ends the thread that renews the line.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How far the run has come.
#[derive(Debug)]
struct Counts {
    start: Instant,
    all: usize,
    done: usize,
    failed: usize,
    /// The cases that run, by their number, each with its name and when it began.
    running: BTreeMap<usize, (String, Instant)>,
}

/// Returns whether standard error is a terminal on which a line can be shown.
pub(super) fn can_show() -> bool {
    stderr().is_terminal() && !screen::is_dumb() && !on_ci()
}

impl Pace {
    /// Shows the line for a run of so many cases.
    pub(super) fn show(all: usize, coloured: bool) -> Self {
        let counts = Arc::new(Mutex::new(Counts {
            start: Instant::now(),
            all,
            done: 0,
            failed: 0,
            running: BTreeMap::new(),
        }));
        let bar = ProgressBar::with_draw_target(Some(all as u64), ProgressDrawTarget::stderr());
        // The template is right, and a wrong one would only look otherwise.
        if let Ok(style) = ProgressStyle::with_template("[{bar:20}] {wide_msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        screen::show(&bar);
        let (stop, stopped) = channel();
        let own = Arc::clone(&counts);
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                let counts = lock(&own);
                let text = counts.text(Instant::now(), coloured);
                let done = counts.done as u64;
                drop(counts);
                bar.set_position(done);
                bar.set_message(text);
            }
        });
        Self {
            counts,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Notes that a case begins.
    pub(super) fn begin(&self, number: usize, name: &str) {
        let mut counts = lock(&self.counts);
        counts
            .running
            .insert(number, (name.to_owned(), Instant::now()));
    }

    /// Notes that a case has ended.
    pub(super) fn end(&self, number: usize, failed: bool) {
        let mut counts = lock(&self.counts);
        counts.running.remove(&number);
        counts.done += 1;
        counts.failed += usize::from(failed);
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        screen::take_away();
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Counts {
    fn text(&self, now: Instant, coloured: bool) -> String {
        let Self {
            start,
            all,
            done,
            failed,
            running,
        } = self;
        let elapsed = now.saturating_duration_since(*start).as_secs_f64();
        let red = match coloured && *failed > 0 {
            true => AnsiColor::Red.on_default(),
            false => Style::new(),
        };
        let mut text = format!(
            "{done}/{all} done, {red}{failed} failed{red:#}, {} running",
            running.len()
        );
        if *done > 0 && elapsed > 0.0 {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a rate needs few digits, and no run has so many cases"
            )]
            let (rate, left) = (*done as f64 / elapsed, all.saturating_sub(*done) as f64);
            text.push_str(&format!(
                ", {rate:.0}/s, {:.0} s left",
                (left / rate).ceil()
            ));
        }
        let slowest = running.values().min_by_key(|(_, began)| *began);
        if let Some((name, began)) = slowest {
            let took = now.saturating_duration_since(*began);
            if took >= SLOW {
                let name = visible_line(name);
                text.push_str(&format!("; {name} for {} s", took.as_secs()));
            }
        }
        text
    }
}

/// Returns whether results on standard output would be written into the line: those that end no line of the same terminal.
pub(super) fn shares_lines(ends_no_line: bool) -> bool {
    ends_no_line && stdout().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_how_far_a_run_has_come() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut counts = Counts {
            start,
            all: 40,
            done: 0,
            failed: 0,
            running: BTreeMap::from([
                (1, ("shop::a\n".to_owned(), at(0))),
                (2, ("shop::b".to_owned(), at(1))),
            ]),
        };
        assert_eq!(counts.text(at(1), true), "0/40 done, 0 failed, 2 running");
        (counts.done, counts.failed) = (10, 1);
        assert_eq!(
            counts.text(at(5), false),
            "10/40 done, 1 failed, 2 running, 2/s, 15 s left; shop::a\\n for 5 s"
        );
        assert!(
            counts
                .text(at(5), true)
                .contains("\u{1b}[31m1 failed\u{1b}[0m")
        );
    }
}
