//! The text that `/metrics` serves.

use opentelemetry_prometheus::PrometheusExporter;
use prometheus::{Encoder as _, Registry, TextEncoder};

/// The metrics as `/metrics` serves them.
#[derive(Clone)]
pub(crate) struct Exposition {
    registry: Registry,
}

impl Exposition {
    /// Also returns the reader that the meter provider needs for it.
    pub(in crate::telemetry) fn new() -> Result<(Self, PrometheusExporter), String> {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build()
            .map_err(|error| error.to_string())?;
        Ok((Self { registry }, reader))
    }

    /// The text format of Prometheus, version 0.0.4.
    pub(crate) fn text(&self) -> Result<Vec<u8>, String> {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .map_err(|error| error.to_string())?;
        Ok(text)
    }
}
