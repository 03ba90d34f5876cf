//! A runtime's counters over all its sessions, for Prometheus.

use std::time::Duration;

use prometheus::{
    Encoder as _, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

use crate::rule::Answer;

/// The results of a question: a rule answered, none did, or it could not be asked.
const HIT: &str = "hit";
const MISS: &str = "miss";
const ERROR: &str = "error";

/// The counters of a runtime. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    registry: Registry,
    /// Open sessions.
    pub(super) open: IntGauge,
    /// Sessions started.
    pub(super) started: IntCounter,
    /// Outbound calls, by answer.
    pub(super) calls: IntCounterVec,
    /// Questions of proxies, by result.
    asked: IntCounterVec,
    /// How long it took to decide about a question.
    latency: Histogram,
    /// Spans recorded by proxies.
    pub(super) extracted: IntCounter,
    /// Sessions closed because they were idle.
    pub(super) idle: IntCounter,
    /// Requests to the HTTP API, by status.
    pub(super) requests: IntCounterVec,
}

impl Default for Metrics {
    fn default() -> Self {
        // The names and labels are fixed and distinct, so this can't fail.
        Self::build().unwrap_or_else(|error| unreachable!("metrics: {error}"))
    }
}

impl Metrics {
    fn build() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let metrics = Self {
            open: IntGauge::new("softprobe_sessions_open", "Open sessions.")?,
            started: IntCounter::new("softprobe_sessions_total", "Sessions started.")?,
            calls: IntCounterVec::new(
                Opts::new(
                    "softprobe_outbound_calls_total",
                    "Outbound calls, by answer.",
                ),
                &["answer"],
            )?,
            asked: IntCounterVec::new(
                Opts::new(
                    "softprobe_inject_requests_total",
                    "Questions of proxies, by result.",
                ),
                &["result"],
            )?,
            latency: Histogram::with_opts(
                HistogramOpts::new(
                    "softprobe_inject_latency_seconds",
                    "Time to decide about a question.",
                )
                .buckets(vec![
                    0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5,
                ]),
            )?,
            extracted: IntCounter::new(
                "softprobe_extract_spans_total",
                "Spans recorded by proxies.",
            )?,
            idle: IntCounter::new(
                "softprobe_sessions_idle_closed_total",
                "Sessions closed because they were idle.",
            )?,
            requests: IntCounterVec::new(
                Opts::new(
                    "softprobe_http_requests_total",
                    "Requests to the runtime's HTTP API, by status.",
                ),
                &["status"],
            )?,
            registry,
        };
        let registry = &metrics.registry;
        registry.register(Box::new(metrics.open.clone()))?;
        registry.register(Box::new(metrics.started.clone()))?;
        registry.register(Box::new(metrics.calls.clone()))?;
        registry.register(Box::new(metrics.asked.clone()))?;
        registry.register(Box::new(metrics.latency.clone()))?;
        registry.register(Box::new(metrics.extracted.clone()))?;
        registry.register(Box::new(metrics.idle.clone()))?;
        registry.register(Box::new(metrics.requests.clone()))?;
        // They are there from the start, at 0, so that a dashboard finds them.
        for result in [HIT, MISS, ERROR] {
            metrics.asked.with_label_values(&[result]);
        }
        Ok(metrics)
    }

    /// Counts a question that was decided in this time.
    pub(super) fn note(&self, answer: &Answer, took: Duration) {
        self.calls.with_label_values(&[answer.word()]).inc();
        let result = match answer {
            Answer::Mock { .. } | Answer::Error(_) | Answer::Fault(..) => HIT,
            Answer::Forward | Answer::Miss => MISS,
        };
        self.asked.with_label_values(&[result]).inc();
        self.latency.observe(took.as_secs_f64());
    }

    /// Counts a question that could not be decided: it is no question, or its session is not open.
    pub(super) fn note_refused(&self) {
        self.asked.with_label_values(&[ERROR]).inc();
    }

    /// Returns the counters as Prometheus text.
    pub(super) fn text(&self) -> String {
        let mut out = Vec::new();
        // Writing to memory can't fail, and every label is UTF-8.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut out);
        String::from_utf8(out).unwrap_or_default()
    }
}
