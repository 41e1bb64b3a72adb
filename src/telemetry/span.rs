//! The spans of a process. Each kind has one function, so that names and attributes are the same
//! everywhere. Attributes follow the semantic conventions
//! (<https://opentelemetry.io/docs/specs/semconv/>) if there is one, and are `offboarder.…`
//! otherwise. They hold IDs and words of ours, never a body, a name or a text from outside.
//!
//! Most spans exist only below another one, and only if traces are exported: what a process does by itself, e.g. check whether it is
//! paused, belongs to no trace.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::failure::Code;
use crate::job::UserId;
use crate::limits::QuotaClass;

/// Distinguishes our spans from those of libraries.
pub(super) const TARGET: &str = "offboarder::span";

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// A span, with the attributes that every kind may get later.
macro_rules! span {
    ($($parent:ident: $of:expr,)? $name:literal, $($fields:tt)*) => {
        tracing::info_span!(
            target: TARGET,
            $($parent: $of,)?
            $name,
            otel.status_code = field::Empty,
            "error.type" = field::Empty,
            $($fields)*
        )
    };
}

/// Whether somebody receives the spans. Otherwise only those are made that begin a trace: their IDs are in the log and in
/// the headers of messages.
static IS_EXPORTED: AtomicBool = AtomicBool::new(true);

/// Nobody receives the spans of this process.
pub(super) fn not_exported() {
    IS_EXPORTED.store(false, Ordering::Relaxed);
}

fn may_have_children() -> bool {
    IS_EXPORTED.load(Ordering::Relaxed) && !Span::current().is_none()
}

/// The same, but no span if there is no current one, or if nobody would receive it.
macro_rules! child {
    ($($rest:tt)*) => {
        if !may_have_children() { Span::none() } else { span!($($rest)*) }
    };
}

/// A whole command.
pub(crate) fn command(name: &str) -> Span {
    span!(parent: None, "command", otel.name = format!("offboarder {name}"))
}

/// A delivery from a queue, from its arrival to its settlement, below `parent` and linked to
/// `links`.
pub(crate) fn delivery(queue: &'static str, parent: Context, links: Vec<SpanContext>) -> Span {
    let span = span!(
        parent: None,
        "delivery",
        otel.name = format!("process {queue}"),
        otel.kind = "consumer",
        messaging.system = "rabbitmq",
        messaging.destination.name = queue,
        "messaging.operation.type" = "process",
        messaging.message.id = field::Empty,
        offboarder.user_id = field::Empty,
        offboarder.batch_id = field::Empty,
        offboarder.disposition = field::Empty,
        offboarder.reason = field::Empty,
    );
    // This fails only without a layer that makes traces.
    span.set_parent(parent).ok();
    for link in links {
        span.add_link(link);
    }

    span
}

/// One user of a command that works without a broker.
pub(crate) fn user(user_id: UserId) -> Span {
    child!("user", otel.name = "off-board", offboarder.user_id = %user_id)
}

/// The creation of a message: it starts a new trace that is linked to the current span.
pub(crate) fn message(exchange: &str, user_id: UserId) -> Span {
    let link = context_of(&Span::current());
    let span = span!(
        parent: None,
        "message",
        otel.name = format!("create {exchange}"),
        otel.kind = "producer",
        messaging.system = "rabbitmq",
        messaging.destination.name = exchange,
        "messaging.operation.type" = "create",
        offboarder.user_id = %user_id,
    );

    if let Some(link) = link {
        span.add_link(link);
    }
    span
}

/// The publishing of a message, until the broker confirms it.
pub(crate) fn publish(exchange: &str, key: &str) -> Span {
    child!(
        "publish",
        otel.name = format!("send {exchange}"),
        otel.kind = "producer",
        messaging.system = "rabbitmq",
        messaging.destination.name = exchange,
        "messaging.operation.type" = "send",
        messaging.rabbitmq.destination.routing_key = key,
    )
}

/// A step of the state machine.
pub(crate) fn step(step: &'static str, user_id: UserId) -> Span {
    child!(
        "step",
        otel.name = format!("step {step}"),
        offboarder.step = step,
        offboarder.user_id = %user_id,
    )
}

/// An operation on a checkpoint.
pub(crate) fn checkpoint(operation: &'static str, user_id: UserId) -> Span {
    child!(
        "checkpoint",
        otel.name = format!("checkpoint {operation}"),
        otel.kind = "client",
        "db.operation.name" = operation,
        offboarder.user_id = %user_id,
    )
}

/// One call of the API. The query of its URL is left out: it may be a cursor.
pub(crate) fn api_call(method: &str, url: &url::Url, class: Option<QuotaClass>) -> Span {
    if !may_have_children() {
        return Span::none();
    }
    let template = template(url.path());
    span!(
        "API call",
        otel.name = format!("{method} {template}"),
        otel.kind = "client",
        "http.request.method" = method,
        url.path = url.path(),
        url.template = template,
        server.address = url.host_str(),
        server.port = url.port_or_known_default().map(i64::from),
        offboarder.quota_class = class.map(QuotaClass::as_str),
        offboarder.quota_wait_ms = field::Empty,
        "http.response.status_code" = field::Empty,
        offboarder.correlation_id = field::Empty,
    )
}

/// One call of S3, including its retries.
pub(crate) fn s3_call(operation: &str) -> Span {
    child!(
        "S3 call",
        otel.name = format!("S3 {operation}"),
        otel.kind = "client",
        rpc.system = "aws-api",
        rpc.service = "S3",
        rpc.method = operation,
        url.path = field::Empty,
        "http.response.status_code" = field::Empty,
        aws.request_id = field::Empty,
    )
}

/// A call was answered with this status. 404 is no failure: a read gets it before the first
/// archive, and after a deletion.
pub(crate) fn answered(span: &Span, status: u16) {
    span.record("http.response.status_code", i64::from(status));
    if status >= 400 && status != 404 {
        failed_with(span, &status.to_string());
    }
}

/// Marks the span as failed, with this code.
pub(crate) fn failed(span: &Span, code: Code) {
    failed_with(span, code.as_str());
}

/// Marks the span as failed, with a word that is no code of ours.
pub(crate) fn failed_with(span: &Span, word: &str) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", word);
}

/// A path with placeholders for user and queue IDs.
fn template(path: &str) -> String {
    let mut before = "";
    let segments = path.split('/').map(|segment| {
        let of = std::mem::replace(&mut before, segment);
        match of {
            "users" | "Users" => "{userId}",
            "queues" => "{queueId}",
            _ => segment,
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

// Trace context in headers follows the W3C's standard (<https://www.w3.org/TR/trace-context/>).

/// The context of a span, if it is part of a trace.
pub(crate) fn context_of(span: &Span) -> Option<SpanContext> {
    let context = span.context();
    let span_context = context.span().span_context().clone();
    span_context.is_valid().then_some(span_context)
}

/// The headers that make a reader's span a child of this one.
pub(crate) fn to_headers(span: &SpanContext) -> HashMap<String, String> {
    let mut headers = HashMap::new();
    let context = Context::new().with_remote_span_context(span.clone());
    TraceContextPropagator::new().inject_context(&context, &mut headers);
    headers.retain(|_name, value| !value.is_empty());
    headers
}

/// The parent that such headers name; none if they cannot be read.
pub(crate) fn from_headers(traceparent: &str, tracestate: Option<&str>) -> Context {
    let mut headers = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    headers.extend(tracestate.map(|state| (TRACESTATE.to_owned(), state.to_owned())));
    TraceContextPropagator::new().extract_with_context(&Context::new(), &headers)
}

/// Writes links to other spans as one text. [`from_links`] reads it and leaves out what it cannot
/// read.
pub(crate) fn to_links(links: &[SpanContext]) -> String {
    let texts = links
        .iter()
        .filter_map(|link| to_headers(link).remove(TRACEPARENT));
    texts.collect::<Vec<_>>().join(",")
}

pub(crate) fn from_links(text: &str) -> Vec<SpanContext> {
    let contexts = text
        .split(',')
        .map(|one| from_headers(one.trim(), None).span().span_context().clone());
    contexts.filter(SpanContext::is_valid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_template_of_a_path_has_no_ids() {
        for (path, expected) in [
            (
                "/api/v2/iam/users/3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11",
                "/api/v2/iam/users/{userId}",
            ),
            (
                "/api/v2/routing/users/x/routingprofile",
                "/api/v2/routing/users/{userId}/routingprofile",
            ),
            (
                "/api/v2/routing/queues/q-1",
                "/api/v2/routing/queues/{queueId}",
            ),
            ("/api/v2/scim/v2/Users/x", "/api/v2/scim/v2/Users/{userId}"),
            (
                "/api/v2/conversations/details/query",
                "/api/v2/conversations/details/query",
            ),
        ] {
            assert_eq!(template(path), expected);
        }
    }

    #[test]
    fn the_context_of_a_span_survives_headers() {
        let context = from_headers(PARENT, Some("vendor=1"));
        let span = context.span().span_context().clone();
        assert!(span.is_valid() && span.is_sampled() && span.is_remote());
        let headers = to_headers(&span);
        assert_eq!(
            (headers[TRACEPARENT].as_str(), headers[TRACESTATE].as_str()),
            (PARENT, "vendor=1")
        );
        assert_eq!(
            to_links(&from_links(&format!("{PARENT}, {PARENT}"))),
            format!("{PARENT},{PARENT}")
        );
    }

    #[test]
    fn a_text_that_is_no_trace_context_gives_no_parent_and_no_link() {
        for wrong in [
            "",
            "x",
            "00-0af7651916cd43dd8448eb211c80319c-x-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        ] {
            assert!(
                !from_headers(wrong, None).span().span_context().is_valid(),
                "{wrong}"
            );
            assert_eq!(from_links(wrong), []);
        }
    }

    #[test]
    fn a_span_that_needs_a_parent_is_not_made_without_one() {
        assert!(
            step(
                "archive",
                "3f1f0d4e-9a51-4b4b-8f6c-1f9a4f9b7c11".parse().unwrap()
            )
            .is_none()
        );
        assert_eq!(context_of(&Span::none()), None);
    }
}
