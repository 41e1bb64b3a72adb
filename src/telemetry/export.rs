//! Where metrics and traces go: the standard variables of OpenTelemetry decide.

use std::env::var;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::SdkTracerProvider;

use super::collector::Reporting;
use super::logging;
use super::metrics::{self, Exposition};
use super::span;

/// How long the end of the process waits for a collector that does not answer.
const END_WITHIN: Duration = Duration::from_secs(3);

/// Logs, metrics and traces of this process.
///
/// Metrics are always counted, for `/metrics`, and every trace has its ID, for the logs. They leave
/// the process by OTLP only if a standard variable asks for it: `OTEL_EXPORTER_OTLP_ENDPOINT`, the
/// same for one signal (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `…_METRICS_ENDPOINT`), or
/// `OTEL_TRACES_EXPORTER=otlp` (`OTEL_METRICS_…`). Without these nothing is sent, although the
/// specification would send to this host. The other variables set protocol, headers, timeouts,
/// batches, sampling and resource
/// (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>).
///
/// Separate threads send, from bounded queues that drop what does not fit.
pub(crate) struct Telemetry {
    traces: SdkTracerProvider,
    meters: SdkMeterProvider,
    exposition: Exposition,
}

/// What can be exported.
#[derive(Debug, Clone, Copy)]
enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    const fn word(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
        }
    }

    /// Whether these variables ask to export it; `Err` says which value of them is unknown.
    fn is_wanted(self, variable: impl Fn(&str) -> Option<String>) -> Result<bool, String> {
        let word = self.word();
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());

        if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(false);
        }

        let own = format!("OTEL_EXPORTER_OTLP_{word}_ENDPOINT");
        let somewhere = set("OTEL_EXPORTER_OTLP_ENDPOINT")
            .or_else(|| set(&own))
            .is_some();

        let exporter = format!("OTEL_{word}_EXPORTER");
        let Some(named) = set(&exporter) else {
            return Ok(somewhere);
        };

        let named: Vec<&str> = named.split(',').map(str::trim).collect();
        // `prometheus` changes nothing: /metrics always serves it.
        match named
            .iter()
            .find(|name| !matches!(**name, "otlp" | "none" | "prometheus"))
        {
            Some(unknown) => Err(format!(
                "{exporter}: {unknown} is not known here; give otlp or none"
            )),
            None => Ok(named.contains(&"otlp")),
        }
    }

    /// A protocol in the variables that this program does not know. The exporter uses
    /// `http/protobuf` instead.
    fn unknown_protocol(self, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_PROTOCOL", self.word());
        let set = |name: &str| {
            Some((
                name.to_owned(),
                variable(name).filter(|value| !value.is_empty())?,
            ))
        };
        let (name, protocol) = set(&own).or_else(|| set("OTEL_EXPORTER_OTLP_PROTOCOL"))?;
        let known = matches!(protocol.as_str(), "grpc" | "http/protobuf");
        (!known)
            .then(|| format!("{name}: {protocol} is not known here; give http/protobuf or grpc"))
    }
}

impl Telemetry {
    /// Starts logs, metrics and traces. Call it once, before anything else, inside the runtime.
    pub(crate) fn begin(is_worker: bool) -> Result<Self, String> {
        let mut complaints = Vec::new();
        let mut wanted = |signal: Signal| {
            complaints.extend(signal.unknown_protocol(|name| var(name).ok()));
            let wanted = signal.is_wanted(|name| var(name).ok());
            wanted.unwrap_or_else(|complaint| {
                complaints.push(complaint);
                false
            })
        };
        let export_traces = wanted(Signal::Traces);
        let export_metrics = wanted(Signal::Metrics);

        let mut traces = SdkTracerProvider::builder().with_resource(resource());
        if export_traces {
            match SpanExporter::builder().build() {
                Ok(exporter) => {
                    traces = traces.with_batch_exporter(Reporting::new(exporter, "traces"));
                }
                Err(error) => complaints.push(format!("traces are not exported: {error}")),
            }
        }
        let traces = traces.build();
        if !export_traces {
            span::not_exported();
        }

        let (exposition, reader) = Exposition::new()?;
        let mut meters = SdkMeterProvider::builder()
            .with_resource(resource())
            .with_reader(reader);
        if export_metrics {
            match MetricExporter::builder().build() {
                Ok(exporter) => {
                    meters = meters.with_reader(
                        PeriodicReader::builder(Reporting::new(exporter, "metrics")).build(),
                    );
                }
                Err(error) => complaints.push(format!("metrics are not exported: {error}")),
            }
        }
        let meters = meters.build();
        global::set_meter_provider(meters.clone());
        metrics::begin();

        let disabled =
            var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
        logging::init(is_worker, (!disabled).then(|| traces.tracer("offboarder")));
        for complaint in complaints {
            tracing::warn!("{complaint}");
        }
        Ok(Self {
            traces,
            meters,
            exposition,
        })
    }

    /// The source of `/metrics`.
    pub(crate) fn exposition(&self) -> Exposition {
        self.exposition.clone()
    }

    /// Sends the rest. Ends within three seconds, whatever the collector does.
    pub(crate) async fn end(self) {
        let Self { traces, meters, .. } = self;

        // Both ignore their timeout while they send. So they run on threads that the end of the
        // runtime does not wait for.
        let traces = on_a_thread(move || traces.shutdown_with_timeout(END_WITHIN));
        let meters = on_a_thread(move || meters.shutdown_with_timeout(END_WITHIN));
        let both = futures_util::future::join(traces, meters);

        // If time runs out here, `Reporting` has already logged that the collector accepts nothing.
        tokio::time::timeout(END_WITHIN, both).await.ok();
    }
}

/// Ends when the thread ends, or when none can be started.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) {
    let (done, ended) = tokio::sync::oneshot::channel();
    let begun = std::thread::Builder::new()
        .name("telemetry ends".to_owned())
        .spawn(move || {
            work();
            // The receiver is gone if the timeout was over first.
            done.send(()).ok();
        });
    if begun.is_ok() {
        ended.await.ok();
    }
}

/// Describes this process. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` override it.
fn resource() -> Resource {
    let ours = [
        KeyValue::new("service.name", "offboarder"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance()),
    ];
    let mut resource = Resource::builder()
        .with_attributes(ours)
        .with_detector(Box::new(EnvResourceDetector::new()));

    if let Some(name) = var("OTEL_SERVICE_NAME")
        .ok()
        .filter(|name| !name.is_empty())
    {
        resource = resource.with_service_name(name);
    }

    resource.build()
}

/// The name of this process: in manifests, dead letters and traces.
pub(crate) fn instance() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty());
    format!(
        "{}-{}",
        host.as_deref().unwrap_or("worker"),
        std::process::id()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(signal: Signal, variables: &[(&str, &str)]) -> Result<bool, String> {
        signal.is_wanted(|name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_signal_is_exported_where_a_standard_variable_asks_for_it_and_nowhere_else() {
        type Variables = &'static [(&'static str, &'static str)];
        const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        let cases: [(Variables, bool, bool); 9] = [
            (&[], false, false),
            (&[ENDPOINT], true, true),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")], false, false),
            (
                &[(
                    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                    "http://collector:4318/v1/traces",
                )],
                true,
                false,
            ),
            (&[("OTEL_TRACES_EXPORTER", "otlp")], true, false),
            (&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")], false, true),
            (
                &[ENDPOINT, ("OTEL_METRICS_EXPORTER", "prometheus")],
                true,
                false,
            ),
            (
                &[ENDPOINT, ("OTEL_METRICS_EXPORTER", "prometheus, otlp")],
                true,
                true,
            ),
            (&[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")], false, false),
        ];
        for (variables, traces, metrics) in cases {
            assert_eq!(
                wanted(Signal::Traces, variables),
                Ok(traces),
                "{variables:?}"
            );
            assert_eq!(
                wanted(Signal::Metrics, variables),
                Ok(metrics),
                "{variables:?}"
            );
        }
        let unknown = wanted(Signal::Traces, &[("OTEL_TRACES_EXPORTER", "zipkin")]).unwrap_err();
        assert!(
            unknown.contains("OTEL_TRACES_EXPORTER: zipkin"),
            "{unknown}"
        );
    }

    #[test]
    fn an_unknown_protocol_is_named() {
        let unknown = |variables: &'static [(&str, &str)]| {
            Signal::Metrics.unknown_protocol(|name| {
                variables
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(unknown(&[]), None);
        assert_eq!(unknown(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]), None);
        let both = unknown(&[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json"),
        ]);
        assert!(
            both.unwrap()
                .starts_with("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: http/json")
        );
    }

    #[test]
    fn the_resource_names_service_and_instance() {
        let resource = resource();
        let of = |name: &'static str| resource.get(&name.into()).map(|value| value.to_string());
        assert_eq!(of("service.name").as_deref(), Some("offboarder"));
        assert!(
            of("service.instance.id")
                .unwrap()
                .ends_with(&std::process::id().to_string())
        );
    }
}
