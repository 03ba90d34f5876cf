//! What a runtime counts over all its sessions, as Prometheus reads it.

use prometheus::{Encoder as _, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

/// The counters of a runtime. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    registry: Registry,
    /// Sessions that are open.
    pub(super) open: IntGauge,
    /// Sessions that were started.
    pub(super) started: IntCounter,
    /// Outbound calls, by what answered them.
    pub(super) calls: IntCounterVec,
    /// Spans that were recorded.
    pub(super) extracted: IntCounter,
    /// Sessions that were closed because nobody used them.
    pub(super) idle: IntCounter,
    /// Requests of the control API, by status.
    pub(super) requests: IntCounterVec,
}

impl Default for Metrics {
    fn default() -> Self {
        // The names and labels are fixed and distinct: none of this can fail.
        Self::build().unwrap_or_else(|error| unreachable!("metrics: {error}"))
    }
}

impl Metrics {
    fn build() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let metrics = Self {
            open: IntGauge::new("softprobe_sessions_open", "Sessions that are open.")?,
            started: IntCounter::new(
                "softprobe_sessions_started_total",
                "Sessions that were started.",
            )?,
            calls: IntCounterVec::new(
                Opts::new(
                    "softprobe_outbound_calls_total",
                    "Outbound calls, by what answered them.",
                ),
                &["answer"],
            )?,
            extracted: IntCounter::new(
                "softprobe_extracted_spans_total",
                "Spans of exchanges that proxies recorded.",
            )?,
            idle: IntCounter::new(
                "softprobe_sessions_idle_closed_total",
                "Sessions that were closed because nobody used them.",
            )?,
            requests: IntCounterVec::new(
                Opts::new(
                    "softprobe_http_requests_total",
                    "Requests of the runtime's HTTP API, by status.",
                ),
                &["status"],
            )?,
            registry,
        };
        let registry = &metrics.registry;
        registry.register(Box::new(metrics.open.clone()))?;
        registry.register(Box::new(metrics.started.clone()))?;
        registry.register(Box::new(metrics.calls.clone()))?;
        registry.register(Box::new(metrics.extracted.clone()))?;
        registry.register(Box::new(metrics.idle.clone()))?;
        registry.register(Box::new(metrics.requests.clone()))?;
        Ok(metrics)
    }

    /// The counters as Prometheus text.
    pub(super) fn text(&self) -> String {
        let mut out = Vec::new();
        // Writing to memory can't fail, and every label is UTF-8.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut out);
        String::from_utf8(out).unwrap_or_default()
    }
}
