use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// An exporter that says once when the collector takes no more, and once when it does again. What it did not take
/// is dropped: telemetry never holds the work up.
#[derive(Debug)]
pub(super) struct Told<E> {
    exporter: E,
    what: &'static str,
    failing: AtomicBool,
}

impl<E> Told<E> {
    pub(super) const fn new(exporter: E, what: &'static str) -> Self {
        Self {
            exporter,
            what,
            failing: AtomicBool::new(false),
        }
    }

    fn tell(&self, result: OTelSdkResult) -> OTelSdkResult {
        let failed = result.is_err();
        let changed = self.failing.swap(failed, Ordering::Relaxed) != failed;
        match &result {
            Err(error) if changed => tracing::warn!(%error, what = self.what,
                "the collector does not take these: they are dropped until it does; look at OTEL_EXPORTER_OTLP_ENDPOINT"),
            Ok(()) if changed => {
                tracing::info!(what = self.what, "the collector takes these again")
            }
            Ok(()) | Err(_) => {}
        }
        result
    }
}

impl<E: SpanExporter> SpanExporter for Told<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.tell(self.exporter.export(batch).await)
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

impl<E: PushMetricExporter> PushMetricExporter for Told<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.tell(self.exporter.export(metrics).await)
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
    fn only_a_change_is_told() {
        let told = Told::new((), "traces");
        let refused = || Err(OTelSdkError::InternalFailure("refused".to_owned()));
        assert!(told.tell(Ok(())).is_ok() && !told.failing.load(Ordering::Relaxed));
        assert!(told.tell(refused()).is_err() && told.failing.load(Ordering::Relaxed));
        assert!(told.tell(refused()).is_err() && told.failing.load(Ordering::Relaxed));
        assert!(told.tell(Ok(())).is_ok() && !told.failing.load(Ordering::Relaxed));
    }
}
