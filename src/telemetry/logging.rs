//! What is logged, and in which form.

use std::io::IsTerminal as _;

use opentelemetry_sdk::trace::SdkTracer;
use tracing::Metadata;
use tracing_subscriber::filter::{FilterExt as _, FilterFn, LevelFilter};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use super::{log_format, span};

/// Logs go to standard error: as text on a terminal, as JSON otherwise. `RUST_LOG` decides what is
/// logged, but not what is traced; by default a worker logs more than a command. Only our own spans
/// go to `tracer`.
pub(super) fn init(is_worker: bool, tracer: Option<SdkTracer>) {
    // `collector` reports failures of OpenTelemetry, once each.
    let default = if is_worker {
        "info,opentelemetry=off"
    } else {
        "warn,opentelemetry=off"
    };
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_not_set| EnvFilter::new(default));
    let least = if is_worker {
        LevelFilter::ERROR
    } else {
        LevelFilter::OFF
    };
    let asked = std::env::var("RUST_LOG").unwrap_or_default();
    let names_redis = names_redis(&asked);
    // A filter without a hint would make every event of a library ask both filters, whatever its level.
    let may_be_logged = FilterFn::new(move |metadata| may_be_logged(metadata, least, names_redis))
        .with_max_level_hint(LevelFilter::TRACE);
    let filter = filter.and(may_be_logged);

    let spans = tracer.map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(
                FilterFn::new(|metadata| metadata.is_span() && metadata.target() == span::TARGET)
                    .with_max_level_hint(LevelFilter::INFO),
            )
    });

    let registry = tracing_subscriber::registry().with(spans);
    // `try_init` fails only if a subscriber is set already; this runs once, before anything else.
    if std::io::stderr().is_terminal() {
        let human = fmt::layer()
            .event_format(log_format::Human)
            .with_writer(std::io::stderr);
        registry.with(human.with_filter(filter)).try_init().ok();
    } else {
        registry
            .with(log_format::json().with_filter(filter))
            .try_init()
            .ok();
    }
}

/// Whether a directive of `RUST_LOG` is about the library, and not about our adapter of the same name.
fn names_redis(asked: &str) -> bool {
    asked.split(',').any(|directive| {
        let target = directive.trim().split(['=', '[']).next();
        let library = target.unwrap_or_default().split("::").next();
        library == Some("redis")
    })
}

/// The client library of RabbitMQ logs whole frames, with passwords and bodies, at all levels below
/// error. So only its errors are logged, whatever `RUST_LOG` says; and nothing by a command, which
/// prints the error of the broker itself, with what to do. The verifier of certificates logs nothing
/// that our own error does not say, but with a path of the machine that built this program. The client
/// library of Redis warns a hundred times a second while a cluster fails over, of what our own error
/// says once: it is logged only where `RUST_LOG` names it.
fn may_be_logged(metadata: &Metadata<'_>, of_library: LevelFilter, names_redis: bool) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    let of_queue = [
        "log",
        "lapin",
        "amq_protocol",
        "amq_protocol_tcp",
        "amq_protocol_types",
        "amq_protocol_uri",
        "async_rs",
    ];
    library != "rustls_platform_verifier"
        && (library != "redis" || names_redis)
        && (!of_queue.contains(&library) || *metadata.level() <= of_library)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[test]
    fn the_library_logs_where_a_directive_names_it() {
        for (asked, named) in [
            ("info,redis=debug", true),
            ("redis::cluster_handling=warn, info", true),
            ("redis", true),
            ("offboarder::adapters::redis=debug", false),
            ("info,redis-like=off", false),
            ("", false),
        ] {
            assert_eq!(names_redis(asked), named, "{asked}");
        }
    }

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_client_of_rabbitmq_logs_errors_only_whatever_rust_log_says() {
        for said in [
            "trace",
            "lapin=trace",
            "info,lapin::io_loop=trace,amq_protocol=trace",
        ] {
            let written = Written::default();
            let writer = written.clone();
            let of_worker =
                |metadata: &Metadata<'_>| may_be_logged(metadata, LevelFilter::ERROR, false);
            let filter = EnvFilter::new(said).and(FilterFn::new(of_worker));
            let layer = fmt::layer()
                .with_writer(move || writer.clone())
                .with_filter(filter);
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
                tracing::trace!(target: "lapin::io_loop", response = ?b"\0user\0secret", "StartOk");
                tracing::warn!(target: "lapin::returned_messages", "secret body");
                tracing::debug!(target: "amq_protocol::frame", "secret frame");
                tracing::warn!(target: "redis::cluster_handling::async_connection", "secret node");
                tracing::error!(target: "lapin::io_loop", "gone");
                tracing::error!(target: "rustls_platform_verifier::verification", "secret path");
                let _span = tracing::info_span!(target: "lapin::io_loop", "secret span").entered();
            });
            let log = String::from_utf8(written.0.lock().clone()).unwrap();
            assert!(
                !log.contains("secret") && !log.contains("115, 101"),
                "{said}: {log}"
            );
            assert!(log.contains("gone"), "{said}: {log}");
        }
    }
}
