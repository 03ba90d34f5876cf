//! A runtime's counters over all its sessions, for Prometheus.

use prometheus::{Encoder as _, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

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
            started: IntCounter::new("softprobe_sessions_started_total", "Sessions started.")?,
            calls: IntCounterVec::new(
                Opts::new(
                    "softprobe_outbound_calls_total",
                    "Outbound calls, by answer.",
                ),
                &["answer"],
            )?,
            extracted: IntCounter::new(
                "softprobe_extracted_spans_total",
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
        registry.register(Box::new(metrics.extracted.clone()))?;
        registry.register(Box::new(metrics.idle.clone()))?;
        registry.register(Box::new(metrics.requests.clone()))?;
        Ok(metrics)
    }

    /// Returns the counters as Prometheus text.
    pub(super) fn text(&self) -> String {
        let mut out = Vec::new();
        // Writing to memory can't fail, and every label is UTF-8.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut out);
        String::from_utf8(out).unwrap_or_default()
    }
}
