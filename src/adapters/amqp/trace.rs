use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use tracing::Span;

use super::headers::{Headers, text};
use crate::telemetry::span;

/// The delivery, or the replay, that a message took the place of: one or two spans, as `traceparent` would have
/// them, with a comma between. They are linked, since a job that waits has one trace and many deliveries.
pub(crate) const LINK_HEADER: &str = "x-offboarder-trace-link";

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The span of a delivery: below its publisher's, linked to what the message took the place of.
pub(crate) fn delivery_span(queue: &'static str, properties: &BasicProperties) -> Span {
    let span = span::delivery(queue, parent(properties), links(properties));
    if let Some(id) = properties.message_id() {
        span.record("messaging.message.id", id.as_str());
    }
    span
}

/// For a message that takes the place of another one: it stays in the publisher's trace, or else in that of its
/// first delivery, and is linked to the span that is current now.
pub(crate) fn onward(properties: &BasicProperties) -> Headers {
    let Some(here) = span::context_of(&Span::current()) else {
        return Vec::new();
    };
    let mut headers = if parent(properties).span().span_context().is_valid() {
        Vec::new()
    } else {
        below(&here)
    };
    headers.push((LINK_HEADER, text(&span::to_links(&[here]))));
    headers
}

/// For a letter that is put back to work: linked to the delivery that gave it up, and to the replay.
pub(crate) fn replayed(properties: &BasicProperties) -> Headers {
    let gave_up = links(properties).into_iter().next();
    let links: Vec<_> = gave_up
        .into_iter()
        .chain(span::context_of(&Span::current()))
        .collect();
    if links.is_empty() {
        Vec::new()
    } else {
        vec![(LINK_HEADER, text(&span::to_links(&links)))]
    }
}

/// For a message that follows from the current span: whoever takes it is below that.
pub(crate) fn following() -> Headers {
    span::context_of(&Span::current())
        .map(|here| below(&here))
        .unwrap_or_default()
}

fn below(span: &SpanContext) -> Headers {
    let mut headers = span::to_headers(span);
    let known = [TRACEPARENT, TRACESTATE].into_iter();
    known
        .filter_map(|name| Some((name, text(&headers.remove(name)?))))
        .collect()
}

fn parent(properties: &BasicProperties) -> Context {
    let header = |name| header(properties, name);
    header(TRACEPARENT).map_or_else(Context::new, |parent| {
        span::from_headers(&parent, header(TRACESTATE).as_deref())
    })
}

fn links(properties: &BasicProperties) -> Vec<SpanContext> {
    header(properties, LINK_HEADER)
        .map(|links| span::from_links(&links))
        .unwrap_or_default()
}

/// A header that is text, whichever of AMQP's two kinds.
fn header(properties: &BasicProperties, name: &str) -> Option<String> {
    match properties
        .headers()
        .iter()
        .find_map(|headers: &FieldTable| headers.inner().get(name))?
    {
        AMQPValue::LongString(value) => std::str::from_utf8(value.as_bytes())
            .ok()
            .map(str::to_owned),
        AMQPValue::ShortString(value) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn properties(headers: &[(&'static str, AMQPValue)]) -> BasicProperties {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), value.clone());
        }
        BasicProperties::default().with_headers(table)
    }

    #[test]
    fn the_publisher_is_found_in_either_kind_of_text() {
        for value in [text(PARENT), AMQPValue::ShortString(PARENT.into())] {
            let parent = parent(&properties(&[(TRACEPARENT, value)]));
            assert_eq!(
                parent.span().span_context().span_id().to_string(),
                "b7ad6b7169203331"
            );
        }
        for value in [
            AMQPValue::LongInt(1),
            AMQPValue::LongString([0xff].as_slice().into()),
        ] {
            assert!(
                !parent(&properties(&[(TRACEPARENT, value)]))
                    .span()
                    .span_context()
                    .is_valid()
            );
        }
    }

    #[test]
    fn without_a_trace_no_header_is_added() {
        assert!(onward(&properties(&[])).is_empty() && following().is_empty());
        assert!(replayed(&properties(&[])).is_empty());
        let letter = properties(&[(LINK_HEADER, text(PARENT))]);
        assert_eq!(
            replayed(&letter),
            [(LINK_HEADER, text(PARENT))],
            "the link to what gave it up stays"
        );
    }
}
