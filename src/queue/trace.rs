//! The trace context that messages carry, so that a trace follows a job through the queues.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use tracing::Span;

use super::headers::{TRACE_LINK, TRACEPARENT, TRACESTATE};
use super::{AddedHeaders, Properties};
use crate::telemetry::span;

/// The span of a delivery: below its publisher's, linked to what the message took the place of.
pub(crate) fn delivery_span(queue: &'static str, properties: &Properties) -> Span {
    let span = span::delivery(queue, parent(properties), links(properties));
    if let Some(id) = &properties.message_id {
        span.record("messaging.message.id", id.as_str());
    }
    span
}

/// For a message that takes the place of another one: it stays in the publisher's trace, or else in that of its
/// first delivery, and is linked to the current span.
pub(crate) fn onward(properties: &Properties) -> AddedHeaders {
    let Some(here) = span::context_of(&Span::current()) else {
        return Vec::new();
    };
    let mut headers = if parent(properties).span().span_context().is_valid() {
        Vec::new()
    } else {
        below(&here)
    };
    headers.push((TRACE_LINK, span::to_links(&[here]).into()));
    headers
}

/// For a dead letter that is replayed: linked to the delivery that gave it up, and to the replay.
pub(crate) fn replayed(properties: &Properties) -> AddedHeaders {
    let gave_up = links(properties).into_iter().next();
    let links: Vec<_> = gave_up
        .into_iter()
        .chain(span::context_of(&Span::current()))
        .collect();
    if links.is_empty() {
        Vec::new()
    } else {
        vec![(TRACE_LINK, span::to_links(&links).into())]
    }
}

/// For a message that follows from the current span: its delivery is below that.
pub(crate) fn following() -> AddedHeaders {
    span::context_of(&Span::current())
        .map(|here| below(&here))
        .unwrap_or_default()
}

fn below(span: &SpanContext) -> AddedHeaders {
    let mut headers = span::to_headers(span);
    let known = [TRACEPARENT, TRACESTATE].into_iter();
    known
        .filter_map(|name| Some((name, headers.remove(name)?.into())))
        .collect()
}

fn parent(properties: &Properties) -> Context {
    let header = |name| properties.headers.get(name)?.as_text();
    header(TRACEPARENT).map_or_else(Context::new, |parent| {
        span::from_headers(parent, header(TRACESTATE))
    })
}

fn links(properties: &Properties) -> Vec<SpanContext> {
    let links = properties.headers.get(TRACE_LINK);
    links
        .and_then(super::HeaderValue::as_text)
        .map(span::from_links)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::HeaderValue;
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_publisher_is_found_in_either_kind_of_text() {
        for value in [
            HeaderValue::from(PARENT),
            HeaderValue::ShortText(PARENT.to_owned()),
        ] {
            let parent = parent(&Properties::of_headers([(TRACEPARENT, value)]));
            assert_eq!(
                parent.span().span_context().span_id().to_string(),
                "b7ad6b7169203331"
            );
        }
        for value in [HeaderValue::I32(1), HeaderValue::Text(vec![0xff])] {
            let parent = parent(&Properties::of_headers([(TRACEPARENT, value)]));
            assert!(!parent.span().span_context().is_valid());
        }
    }

    #[test]
    fn without_a_trace_no_header_is_added() {
        let none = Properties::default();
        assert!(onward(&none).is_empty() && following().is_empty());
        assert!(replayed(&none).is_empty());

        let dead_letter = Properties::of_headers([(TRACE_LINK, PARENT.into())]);
        assert_eq!(
            replayed(&dead_letter),
            [(TRACE_LINK, PARENT.into())],
            "the link to what gave it up stays"
        );
    }
}
