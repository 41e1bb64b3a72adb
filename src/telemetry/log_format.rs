use std::fmt;

use json_subscriber::JsonLayer;
use opentelemetry::trace::TraceContextExt as _;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The trace that whatever is logged now belongs to, in the W3C's hexadecimal form.
fn trace_id() -> Option<String> {
    let context = opentelemetry::Context::current();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| span.trace_id().to_string())
}

/// For programs: one JSON object a line, flat, with the trace's ID where there is one.
pub(super) fn json<S>() -> JsonLayer<S, fn() -> std::io::Stderr>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let mut layer = JsonLayer::stderr();
    layer.with_timer("timestamp", SystemTime);
    layer.with_level("level");
    layer.with_target("target");
    layer.add_dynamic_field("trace_id", |_event, _context| trace_id());
    layer.with_flattened_event();
    layer
}

/// For people: time, level, what happened, and the trace's ID at the end.
pub(super) struct Human;

impl<S> FormatEvent<S, DefaultFields> for Human
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        let colour = match level {
            tracing::Level::ERROR => 31,
            tracing::Level::WARN => 33,
            tracing::Level::INFO => 32,
            tracing::Level::DEBUG | tracing::Level::TRACE => 34,
        };
        let ansi = writer.has_ansi_escapes();
        let (dim, coloured, plain) =
            if ansi { ("\x1b[2m", format!("\x1b[{colour}m"), "\x1b[0m") } else { ("", String::new(), "") };
        write!(writer, "{dim}")?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, "{plain} {coloured}{level:>5}{plain} ")?;
        context.format_fields(writer.by_ref(), event)?;
        if let Some(trace_id) = trace_id() {
            write!(writer, " {dim}trace_id={trace_id}{plain}")?;
        }
        writeln!(writer)
    }
}
