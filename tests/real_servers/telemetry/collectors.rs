//! Metrics at a collector, and collectors that take nothing.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::collector::Collector;
use crate::support::population::deletable;
use crate::support::process::tail;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, promises, servers, trial};

/// What a log says, once for traces and once for metrics.
const COMPLAINT: &str = "the collector does not";

trial!(
    "the metrics that a collector gets are those of the worker's own page",
    metrics
);

fn metrics(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 1, 4));
    let collector = Collector::start(world.directory.path());
    let attributes = "deployment.environment.name=test";
    world.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint("http"));
    world.set("OTEL_TRACES_EXPORTER", "none");
    world.set("OTEL_RESOURCE_ATTRIBUTES", attributes);
    let worker = world.start(&["worker"]);
    world.publish_all();
    promises::await_quiet(&world, PATIENCE);
    let page = http::text(&worker.admin(), "/metrics");
    World::drain(worker);

    let on_page: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .map(|name| name.strip_suffix("_total").unwrap_or(name))
        .collect();
    assert!(on_page.contains("offboarder_jobs"), "{on_page:?}");
    let metrics = eventually(Duration::from_secs(30), || {
        let metrics = collector.metrics();
        let names = metrics.iter().filter_map(|metric| metric["name"].as_str());
        let names: BTreeSet<&str> = names.collect();
        if names == on_page {
            Ok(metrics)
        } else {
            Err(format!("{names:?} instead of {on_page:?}"))
        }
    });
    let resource = &metrics[0]["resource"];
    assert_eq!(resource["deployment.environment.name"], "test");
    assert!(collector.spans().is_empty(), "traces were not asked for");
}

trial!(
    "a collector that is dead, silent or refuses holds up neither work nor end, and is logged once",
    no_collector
);

fn no_collector(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 9, 4));
    // Often, and in small lots: there is always one under way.
    world.set("OTEL_BSP_SCHEDULE_DELAY", "200");
    world.set("OTEL_METRIC_EXPORT_INTERVAL", "500");
    let listen = || TcpListener::bind("127.0.0.1:0").expect("a port");
    let url =
        |listener: &TcpListener| format!("http://{}", listener.local_addr().expect("an address"));
    // The listener is dropped at once, so the port is closed.
    let dead = url(&listen());
    let silent = listen();
    let refusing = world.simulator.clone();

    off_board_with(&mut world, 0, "dead", &dead);
    off_board_with(&mut world, 3, "silent", &url(&silent));
    off_board_with(&mut world, 6, "refusing", &refusing);
    drop(silent);
    promises::assert_manifests(&world, &servers::shared());
}

/// Three users, by a worker with this collector.
fn off_board_with(world: &mut World, first: usize, kind: &str, collector: &str) {
    world.set("OTEL_EXPORTER_OTLP_ENDPOINT", collector);
    let mut worker = world.start(&["worker"]);
    world.publish_users(&world.users[first..][..3]);
    promises::await_quiet(world, PATIENCE);
    let complaints = |log: &str| log.matches(COMPLAINT).count();
    if kind != "silent" {
        eventually(Duration::from_secs(30), || {
            match complaints(&worker.errors()) {
                2 => Ok(()),
                count => Err(format!("{kind}: {count} complaints")),
            }
        });
    }

    let asked = Instant::now();
    worker.signal("TERM");
    let status = worker.end(Duration::from_secs(35));
    let took = asked.elapsed();
    let log = worker.errors();
    assert_eq!(status.code(), Some(0), "{kind}: {}", tail(&log));
    assert!(took < Duration::from_secs(5), "{kind}: {took:?} to end");
    let count = complaints(&log);
    assert!(count <= 2, "{kind}: {count} complaints");
}
