use std::env::var;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::SdkTracerProvider;

use super::collector::Told;
use super::logging;
use super::metrics::{self, Exposition};

/// What the end of the process waits at most for a collector that does not answer.
const END_WITHIN: Duration = Duration::from_secs(3);

/// Logs, metrics and traces of this process.
///
/// Metrics are always counted, for `/metrics`, and every span has its IDs, for the logs. By OTLP they leave the
/// process where a standard variable asks for it: `OTEL_EXPORTER_OTLP_ENDPOINT`, that of one signal alone
/// (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `…_METRICS_ENDPOINT`), or `OTEL_TRACES_EXPORTER=otlp` (`OTEL_METRICS_…`).
/// Without any of them nothing is sent, though the specification would send to this host.
/// Protocol, headers, timeouts, batches, sampling and resource are what the other variables say
/// (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>).
///
/// Threads of their own send, from queues that are bounded and drop what does not fit.
pub(crate) struct Telemetry {
    traces: SdkTracerProvider,
    meters: SdkMeterProvider,
    exposition: Exposition,
}

/// What may be exported, as the variables call it.
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

    /// Whether it is to be exported, as these variables say; `Err` says what in them means nothing here.
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
        // `prometheus` is on /metrics whatever is said here.
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

    /// A protocol that is asked for and not known here: the exporter takes `http/protobuf` instead.
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
    /// Begins to log, to count and to trace; to be called once, before anything else. Needs the runtime.
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
        let (export_traces, export_metrics) = (wanted(Signal::Traces), wanted(Signal::Metrics));

        let mut traces = SdkTracerProvider::builder().with_resource(resource());
        if export_traces {
            match SpanExporter::builder().build() {
                Ok(exporter) => traces = traces.with_batch_exporter(Told::new(exporter, "traces")),
                Err(error) => complaints.push(format!("traces are not exported: {error}")),
            }
        }
        let traces = traces.build();

        let (exposition, reader) = Exposition::new()?;
        let mut meters = SdkMeterProvider::builder()
            .with_resource(resource())
            .with_reader(reader);
        if export_metrics {
            match MetricExporter::builder().build() {
                Ok(exporter) => {
                    meters = meters.with_reader(
                        PeriodicReader::builder(Told::new(exporter, "metrics")).build(),
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

    /// What `/metrics` shows.
    pub(crate) fn exposition(&self) -> Exposition {
        self.exposition.clone()
    }

    /// Sends what is left, within three seconds, whatever the collector does.
    pub(crate) async fn end(self) {
        let (traces, meters) = (self.traces, self.meters);
        // Threads of their own, which the end of the runtime does not wait for: neither of the two keeps to a
        // time that it is given while it is sending.
        let traces = on_a_thread(move || traces.shutdown_with_timeout(END_WITHIN));
        let meters = on_a_thread(move || meters.shutdown_with_timeout(END_WITHIN));
        // A collector that takes nothing has been told of.
        tokio::time::timeout(END_WITHIN, futures_util::future::join(traces, meters))
            .await
            .ok();
    }
}

/// Done when the thread is, or cannot be.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) {
    let (done, ended) = tokio::sync::oneshot::channel();
    let begun = std::thread::Builder::new()
        .name("telemetry ends".to_owned())
        .spawn(move || {
            work();
            // Nobody may be waiting any more.
            done.send(()).ok();
        });
    if begun.is_ok() {
        ended.await.ok();
    }
}

/// Who this is; `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` have the last word.
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
    fn a_protocol_that_nobody_speaks_here_is_named() {
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
    fn a_process_says_who_it_is() {
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
