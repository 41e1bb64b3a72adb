//! A telemetry collector: Rotel, which others wrote, takes OTLP and passes it to the sink below,
//! which keeps what arrives.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::{Mutex, MutexGuard};
use prost::Message;
use serde_json::{Map, Value, json};

use super::process::{Process, command};
use super::runtime::{block_on, runtime};
use super::{eventually, http, repository};

/// It ends with its owner.
pub(crate) struct Collector {
    http: u16,
    grpc: u16,
    arrived: Arrived,
    _rotel: Process,
    sink: tokio::task::JoinHandle<()>,
}

/// What arrived at the sink, a value for each span and each metric.
#[derive(Clone, Default)]
struct Arrived(Arc<Mutex<Telemetry>>);

#[derive(Default)]
struct Telemetry {
    spans: Vec<Value>,
    metrics: Vec<Value>,
}

impl Arrived {
    fn lock(&self) -> MutexGuard<'_, Telemetry> {
        self.0.lock()
    }
}

impl Collector {
    /// Starts one; its log goes below `directory`.
    pub(crate) fn start(directory: &Path) -> Self {
        let arrived = Arrived::default();
        let (sink_port, sink) = start_sink(arrived.clone());
        let [http, grpc] = [free_port(), free_port()];

        let mut rotel = command(&rotel_agent());
        rotel
            .arg("start")
            .args(["--otlp-http-endpoint", &address(http)])
            .args(["--otlp-grpc-endpoint", &address(grpc)])
            .args(["--exporter", "otlp", "--otlp-exporter-protocol", "http"])
            .args(["--otlp-exporter-endpoint", &url(sink_port)])
            .current_dir(directory);
        let mut rotel = Process::start(rotel, directory, "rotel");
        await_rotel(&mut rotel, http);
        Self {
            http,
            grpc,
            arrived,
            _rotel: rotel,
            sink,
        }
    }

    /// Where it takes OTLP: `http` or `grpc`.
    pub(crate) fn endpoint(&self, protocol: &str) -> String {
        match protocol {
            "http" => url(self.http),
            "grpc" => url(self.grpc),
            other => panic!("no such protocol: {other}"),
        }
    }

    /// The spans that have arrived.
    pub(crate) fn spans(&self) -> Vec<Value> {
        self.arrived.lock().spans.clone()
    }

    /// The metrics that have arrived.
    pub(crate) fn metrics(&self) -> Vec<Value> {
        self.arrived.lock().metrics.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.sink.abort();
    }
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn url(port: u16) -> String {
    format!("http://{}", address(port))
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

/// The program inside its Python package.
fn rotel_agent() -> PathBuf {
    let found = Command::new(repository(".venv/bin/python"))
        .args(["-c", "import rotel; print(*rotel.__path__)"])
        .output()
        .expect("no .venv; run deploy/local/install.sh");
    let package = String::from_utf8(found.stdout).expect("a path");
    Path::new(package.trim()).join("rotel-agent")
}

/// Waits until it takes an empty export.
fn await_rotel(rotel: &mut Process, port: u16) {
    let headers = [("Content-Type", "application/x-protobuf")];
    eventually(Duration::from_secs(30), || {
        assert!(rotel.ended().is_none(), "Rotel ended: {}", rotel.errors());
        TcpStream::connect(address(port)).map_err(|error| error.to_string())?;
        let answer = http::exchange("POST", &url(port), "/v1/traces", &headers, b"");
        match answer.status {
            200 => Ok(()),
            status => Err(format!("{status}: {}", answer.text())),
        }
    });
}

fn start_sink(arrived: Arrived) -> (u16, tokio::task::JoinHandle<()>) {
    let listener = block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let listener = listener.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let routes = Router::new()
        .route("/v1/traces", post(take_traces))
        .route("/v1/metrics", post(take_metrics))
        .with_state(arrived);

    let serving = async {
        if let Err(error) = axum::serve(listener, routes).await {
            eprintln!("the sink of the collector ended: {error}");
        }
    };
    (port, runtime().spawn(serving))
}

async fn take_traces(State(arrived): State<Arrived>, headers: HeaderMap, body: Bytes) {
    let request: ExportTraceServiceRequest = decode(&headers, &body);
    let spans = request.resource_spans.iter().flat_map(|of_resource| {
        let spans = of_resource.scope_spans.iter().flat_map(|one| &one.spans);
        spans.map(|span| span_as_json(span, of_resource.resource.as_ref()))
    });
    arrived.lock().spans.extend(spans);
}

async fn take_metrics(State(arrived): State<Arrived>, headers: HeaderMap, body: Bytes) {
    let request: ExportMetricsServiceRequest = decode(&headers, &body);
    let metrics = request.resource_metrics.iter().flat_map(|of_resource| {
        let metrics = of_resource
            .scope_metrics
            .iter()
            .flat_map(|one| &one.metrics);
        metrics.map(|metric| metric_as_json(metric, of_resource.resource.as_ref()))
    });
    arrived.lock().metrics.extend(metrics);
}

fn decode<M: Message + Default>(headers: &HeaderMap, body: &Bytes) -> M {
    let is_compressed = headers
        .get("content-encoding")
        .is_some_and(|encoding| encoding == "gzip");
    let mut bytes = Vec::new();
    if is_compressed {
        flate2::read::GzDecoder::new(&body[..])
            .read_to_end(&mut bytes)
            .expect("gzip");
    } else {
        bytes.extend_from_slice(body);
    }
    M::decode(&bytes[..]).expect("OTLP")
}

fn span_as_json(span: &Span, resource: Option<&Resource>) -> Value {
    let link =
        |trace: &[u8], id: &[u8]| json!({ "trace": hex::encode(trace), "id": hex::encode(id) });
    json!({
        "name": span.name,
        "trace": hex::encode(&span.trace_id),
        "id": hex::encode(&span.span_id),
        "parent": hex::encode(&span.parent_span_id),
        "kind": span.kind,
        "status": span.status.as_ref().map_or(0, |status| status.code),
        "from": span.start_time_unix_nano,
        "to": span.end_time_unix_nano,
        "attributes": attributes(&span.attributes),
        "links": span.links.iter().map(|one| link(&one.trace_id, &one.span_id)).collect::<Value>(),
        "events": span.events.iter().map(|event| event.name.clone()).collect::<Value>(),
        "resource": of_resource(resource),
    })
}

fn metric_as_json(metric: &Metric, resource: Option<&Resource>) -> Value {
    let numbers = |points: &[opentelemetry_proto::tonic::metrics::v1::NumberDataPoint]| {
        points
            .iter()
            .map(|point| attributes(&point.attributes))
            .collect::<Value>()
    };

    let (kind, points) = match metric.data.as_ref().expect("data") {
        metric::Data::Gauge(gauge) => ("gauge", numbers(&gauge.data_points)),
        metric::Data::Sum(sum) => ("sum", numbers(&sum.data_points)),
        metric::Data::Histogram(histogram) => {
            let points = histogram.data_points.iter();
            (
                "histogram",
                points.map(|point| attributes(&point.attributes)).collect(),
            )
        }
        other => panic!("no metric of ours: {other:?}"),
    };

    json!({
        "name": metric.name, "kind": kind, "points": points, "resource": of_resource(resource),
    })
}

fn of_resource(resource: Option<&Resource>) -> Value {
    resource.map_or(json!({}), |resource| attributes(&resource.attributes))
}

fn attributes(attributes: &[KeyValue]) -> Value {
    let members = attributes.iter();
    members
        .map(|one| (one.key.clone(), plain(one.value.as_ref())))
        .collect::<Map<_, _>>()
        .into()
}

fn plain(value: Option<&AnyValue>) -> Value {
    use any_value::Value as Kind;
    match value.and_then(|value| value.value.as_ref()) {
        Some(Kind::StringValue(value)) => json!(value),
        Some(Kind::BoolValue(value)) => json!(value),
        Some(Kind::IntValue(value)) => json!(value),
        Some(Kind::DoubleValue(value)) => json!(value),
        Some(Kind::BytesValue(value)) => json!(hex::encode(value)),
        Some(Kind::ArrayValue(list)) => list.values.iter().map(|one| plain(Some(one))).collect(),
        Some(Kind::KvlistValue(list)) => attributes(&list.values),
        _ => Value::Null,
    }
}
