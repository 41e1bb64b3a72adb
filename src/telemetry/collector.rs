//! Reports once when the collector stops accepting telemetry, and once when it accepts it again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// An exporter that logs each change between success and failure. Telemetry that the collector does
/// not accept is dropped: it must never delay the work.
#[derive(Debug)]
pub(super) struct Reporting<E> {
    exporter: E,
    what: &'static str,
    failing: AtomicBool,
}

impl<E> Reporting<E> {
    pub(super) const fn new(exporter: E, what: &'static str) -> Self {
        Self {
            exporter,
            what,
            failing: AtomicBool::new(false),
        }
    }

    fn report(&self, result: OTelSdkResult) -> OTelSdkResult {
        let failed = result.is_err();
        let changed = self.failing.swap(failed, Ordering::Relaxed) != failed;
        match &result {
            Err(error) if changed => tracing::warn!(%error, what = self.what,
                "the collector does not accept these; they are dropped until it does; check \
                 OTEL_EXPORTER_OTLP_ENDPOINT"),
            Ok(()) if changed => {
                tracing::info!(what = self.what, "the collector accepts these again");
            }
            Ok(()) | Err(_) => {}
        }
        result
    }
}

impl<E: SpanExporter> SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.report(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Reporting<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.report(self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::error::OTelSdkError;

    use super::*;

    #[test]
    fn only_a_change_is_reported() {
        let reporting = Reporting::new((), "traces");
        let refused = || Err(OTelSdkError::InternalFailure("refused".to_owned()));
        assert!(reporting.report(Ok(())).is_ok() && !reporting.failing.load(Ordering::Relaxed));
        assert!(reporting.report(refused()).is_err() && reporting.failing.load(Ordering::Relaxed));
        assert!(reporting.report(refused()).is_err() && reporting.failing.load(Ordering::Relaxed));
        assert!(reporting.report(Ok(())).is_ok() && !reporting.failing.load(Ordering::Relaxed));
    }
}
