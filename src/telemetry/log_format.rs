//! The two forms of a log line.

use std::fmt;
use std::io;

use json_subscriber::JsonLayer;
use opentelemetry::trace::TraceContextExt as _;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::printable;

/// The ID of the current trace, in hexadecimal form.
fn trace_id() -> Option<String> {
    let context = opentelemetry::Context::current();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| span.trace_id().to_string())
}

/// Standard error for whole lines of JSON. People read logs on terminals, so deceptive characters
/// are escaped.
pub(super) struct JsonLines(io::Stderr);

impl io::Write for JsonLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::Write::write_all(
            &mut self.0,
            printable::json(&String::from_utf8_lossy(line)).as_bytes(),
        )?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::Write::flush(&mut self.0)
    }
}

/// For programs: one flat JSON object a line, with the ID of the trace if there is one.
pub(super) fn json<S>() -> JsonLayer<S, fn() -> JsonLines>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let to_stderr: fn() -> JsonLines = || JsonLines(io::stderr());
    let mut layer = JsonLayer::new(to_stderr);
    layer.with_timer("timestamp", SystemTime);
    layer.with_level("level");
    layer.with_target("target");
    layer.add_dynamic_field("trace_id", |_event, _context| trace_id());
    layer.with_flattened_event();
    layer
}

/// For people: time, level, what happened, and the ID of the trace if there is one.
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
        let (dim, coloured, plain) = if writer.has_ansi_escapes() {
            ("\x1b[2m", format!("\x1b[{colour}m"), "\x1b[0m")
        } else {
            ("", String::new(), "")
        };

        write!(writer, "{dim}")?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, "{plain} {coloured}{level:>5}{plain} ")?;

        let mut fields = String::new();
        context.format_fields(Writer::new(&mut fields), event)?;
        write!(writer, "{}", printable::line(&fields))?;

        if let Some(trace_id) = trace_id() {
            write!(writer, " {dim}trace_id={trace_id}{plain}")?;
        }
        writeln!(writer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::printable::{ATTACKS, is_deceptive};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_one_line_for_people_whatever_is_in_it() {
        for attack in ATTACKS {
            let kept = Kept::default();
            let to = kept.clone();
            let layer = tracing_subscriber::fmt::layer()
                .event_format(Human)
                .with_ansi(false);
            let subscriber =
                tracing_subscriber::registry().with(layer.with_writer(move || to.clone()));
            tracing::subscriber::with_default(subscriber, || {
                tracing::warn!(who = attack, text = %attack, shown = ?attack, "{attack}");
            });
            let text = String::from_utf8(kept.0.lock().clone()).unwrap();
            let line = text.strip_suffix('\n').unwrap();
            assert!(!line.chars().any(is_deceptive), "{line:?}");
            assert!(line.contains(" WARN "), "{line}");
        }
    }
}
