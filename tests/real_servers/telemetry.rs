//! What leaves a process for a telemetry collector, and what becomes of the work when that takes nothing.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::replaying::{await_letters, mend, spoil, status};
use crate::support::collector::Collector;
use crate::support::population::{Outcome, User};
use crate::support::process::tail;
use crate::support::world::{CLIENT_SECRET, PATIENCE, World};
use crate::support::{eventually, http, promises, trial};

const KIND_CONSUMER: u64 = 5;
const STATUS_ERROR: u64 = 2;

fn trace_of(user: usize) -> String {
    format!("0af7651916cd43dd8448eb211c8031{user:02x}")
}

fn publisher_of(user: usize) -> String {
    format!("b7ad6b71692033{user:02x}")
}

/// The spans of one trace, the earliest first.
fn of_trace<'a>(spans: &'a [Value], trace: &str) -> Vec<&'a Value> {
    let mut ours: Vec<&Value> = spans.iter().filter(|span| span["trace"] == trace).collect();
    ours.sort_by_key(|span| span["from"].as_u64());
    ours
}

fn named<'a>(spans: &[&'a Value], name: &str) -> Vec<&'a Value> {
    spans
        .iter()
        .filter(|span| span["name"].as_str().is_some_and(|of| of.starts_with(name)))
        .copied()
        .collect()
}

fn links(span: &Value) -> Vec<&str> {
    span["links"]
        .as_array()
        .expect("links")
        .iter()
        .filter_map(|link| link["id"].as_str())
        .collect()
}

/// Every span hangs together, and each delivery is linked to the one that it took the place of.
fn assert_whole(spans: &[&Value], user: usize) {
    let ids: BTreeSet<&str> = spans
        .iter()
        .filter_map(|span| span["id"].as_str())
        .collect();
    let deliveries = named(spans, "process ");
    for span in spans {
        let parent = span["parent"].as_str().expect("a parent");
        if span["kind"] == KIND_CONSUMER {
            assert_eq!(
                parent,
                publisher_of(user),
                "a delivery is below its publisher: {span:#}"
            );
        } else {
            assert!(ids.contains(parent), "below nothing that arrived: {span:#}");
        }
    }
    assert_eq!(
        links(deliveries[0]),
        Vec::<&str>::new(),
        "the first took nobody's place"
    );
    for pair in deliveries.windows(2) {
        let before = pair[0]["id"].as_str().expect("an id");
        assert!(
            links(pair[1]).contains(&before),
            "not linked to {before}: {:#}",
            pair[1]
        );
    }
}

fn dispositions(spans: &[&Value]) -> Vec<String> {
    let told = |span: &&Value| {
        let at = |name: &str| {
            span["attributes"][name]
                .as_str()
                .unwrap_or("none")
                .to_owned()
        };
        format!(
            "{}: {}",
            at("messaging.destination.name"),
            at("offboarder.disposition")
        )
    };
    named(spans, "process ").iter().map(told).collect()
}

trial!("a job is one trace from its publisher to its end, over lanes, parks and a replay", traces);

fn traces(place: usize) {
    let users = vec![
        User::new(place, 0, Outcome::Deleted, 4).with_large_conversations(3_000_000),
        User::new(place, 1, Outcome::Refused(409), 9),
        User::new(place, 2, Outcome::Deleted, 4),
    ];
    let mut world = World::with_topology(place, users);
    let collector = Collector::start(world.directory.path());
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "2");
    world.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint("http"));
    // One waits once, one is given up.
    world.strike(1, "get_scim_user", 0, 1, &status(503));
    spoil(&world, 2, "query_conversations", &status(500));
    let worker = world.start(&["worker"]);
    let messages = world.users.iter().enumerate().map(|(user, of)| {
        let parent = format!("00-{}-{}-01", trace_of(user), publisher_of(user));
        json!({ "body": of.id, "headers": { "traceparent": parent } })
    });
    world.publish(&messages.collect::<Vec<_>>());
    await_letters(&world, 1);
    promises::await_quiet(&world, PATIENCE);
    let log = worker.errors();
    World::drain(worker);

    // The rest goes over the other protocol.
    mend(&world);
    world.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint("grpc"));
    world.set("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    world
        .run(&["dead-letters", "replay", "--anyway", "--why", "mended"])
        .expect(0);
    let worker = world.start(&["worker"]);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);

    let spans = eventually(Duration::from_secs(30), || {
        let spans = collector.spans();
        let ended = |user| {
            dispositions(&of_trace(&spans, &trace_of(user)))
                .iter()
                .any(|told| told.ends_with("finished"))
        };
        if (0..3).all(ended) {
            Ok(spans.clone())
        } else {
            Err(format!("{} spans", spans.len()))
        }
    });
    for user in 0..3 {
        let spans = of_trace(&spans, &trace_of(user));
        assert_whole(&spans, user);
        let steps = named(&spans, "step ");
        assert!(
            steps
                .iter()
                .all(|step| step["attributes"]["offboarder.user_id"] == world.users[user].id)
        );
    }

    // Every kind of span, in a user who went straight through, parts of an upload included.
    let straight = of_trace(&spans, &trace_of(0));
    assert_eq!(
        dispositions(&straight),
        [
            "offboarding.users: forwarded",
            "offboarding.archive: finished"
        ]
    );
    for name in [
        "checkpoint claim",
        "checkpoint save",
        "checkpoint release",
        "step clear_queues",
        "step deactivate",
        "step archive",
        "step seal",
        "step delete",
        "step record",
        "GET /api/v2/routing/users/{userId}/routingprofile",
        "PUT /api/v2/scim/v2/Users/{userId}",
        "POST /api/v2/conversations/details/query",
        "DELETE /api/v2/iam/users/{userId}",
        "S3 CreateMultipartUpload",
        "S3 UploadPart",
        "S3 CompleteMultipartUpload",
        "S3 PutObject",
        "send offboarding",
        "send offboarding.events",
    ] {
        assert!(
            !named(&straight, name).is_empty(),
            "no {name:?} in {:?}",
            names(&straight)
        );
    }
    let deleted = named(&straight, "DELETE ")[0];
    assert_eq!(
        deleted["attributes"]["http.response.status_code"], 204,
        "{deleted:#}"
    );
    assert_eq!(deleted["resource"]["service.name"], "offboarder");
    let put = named(&straight, "S3 PutObject")[0];
    assert!(
        put["attributes"]["url.path"]
            .as_str()
            .is_some_and(|path| path.contains(&world.users[0].id)),
        "{put:#}"
    );

    // One who waited: the call that failed says so, and the wait is in the trace.
    let waited = of_trace(&spans, &trace_of(1));
    let expected = [
        "offboarding.users: parked",
        "offboarding.users: forwarded",
        "offboarding.archive: finished",
    ];
    assert_eq!(dispositions(&waited), expected);
    let failed: Vec<_> = waited
        .iter()
        .filter(|span| span["status"] == STATUS_ERROR)
        .collect();
    let types: BTreeSet<_> = failed
        .iter()
        .filter_map(|span| span["attributes"]["error.type"].as_str())
        .collect();
    assert_eq!(
        types,
        BTreeSet::from(["409", "503", "cxone_server_error"]),
        "{failed:#?}"
    );

    // One who was replayed: linked to the delivery that gave it up, and to the replay.
    let replayed = of_trace(&spans, &trace_of(2));
    let told = dispositions(&replayed);
    let given_up = told
        .iter()
        .position(|told| told.ends_with("dead-lettered"))
        .expect("it was given up");
    let links = links(named(&replayed, "process ")[given_up + 1]);
    let replay = spans
        .iter()
        .find(|span| span["name"] == "offboarder dead-letters")
        .expect("the replay's span");
    assert_eq!(links.len(), 2, "{links:?}");
    assert!(
        links.contains(&replay["id"].as_str().expect("an id")),
        "{links:?}"
    );

    assert_logged(&world, &log);
    // What a worker does by itself has no trace.
    let known: BTreeSet<String> = (0..3).map(trace_of).collect();
    let roots = spans
        .iter()
        .filter(|span| !known.contains(span["trace"].as_str().expect("a trace")));
    let others: BTreeSet<_> = roots
        .filter(|span| span["parent"] == "")
        .filter_map(|span| span["name"].as_str())
        .collect();
    assert_eq!(
        others,
        BTreeSet::from(["offboarder dead-letters"]),
        "traces of nobody's work"
    );
    assert_private(&world, spans);
}

/// The log of a job names its trace, and why it waits.
fn assert_logged(world: &World, log: &str) {
    for line in log.lines().filter(|line| line.contains("\"moved\"")) {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let user = world
            .users
            .iter()
            .position(|user| user.id == line["user_id"])
            .expect("a user");
        assert_eq!(line["trace_id"], trace_of(user), "{line}");
    }
    let parked: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("\"parked\""))
        .collect();
    assert!(
        parked
            .iter()
            .any(|line| line.contains("\"WARN\"") && line.contains("cxone_server_error")),
        "{parked:#?}"
    );
}

/// IDs, and nothing that belongs to a person or lets one in.
fn assert_private(world: &World, spans: Vec<Value>) {
    let text = Value::from(spans).to_string();
    let name = world.user_now(&world.users[1].id)["scim"]["userName"]
        .as_str()
        .expect("a name")
        .to_owned();
    for private in [
        name.as_str(),
        "participants",
        CLIENT_SECRET,
        "local-secret-key",
        "Bearer",
        "guest:guest",
    ] {
        assert!(!text.contains(private), "a span holds {private:?}");
    }
}

fn names(spans: &[&Value]) -> BTreeSet<String> {
    spans
        .iter()
        .filter_map(|span| span["name"].as_str().map(str::to_owned))
        .collect()
}

trial!("the metrics that a collector gets are those of the worker's own page", metrics);

fn metrics(place: usize) {
    let mut world = World::with_topology(place, vec![User::new(place, 0, Outcome::Deleted, 4)]);
    let collector = Collector::start(world.directory.path());
    world.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint("http"));
    world.set("OTEL_TRACES_EXPORTER", "none");
    world.set(
        "OTEL_RESOURCE_ATTRIBUTES",
        "deployment.environment.name=test",
    );
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
        let arrived: BTreeSet<&str> = metrics
            .iter()
            .filter_map(|metric| metric["name"].as_str())
            .collect();
        if arrived == on_page {
            Ok(metrics)
        } else {
            Err(format!("{arrived:?} instead of {on_page:?}"))
        }
    });
    assert_eq!(
        metrics[0]["resource"]["deployment.environment.name"],
        "test"
    );
    assert_eq!(
        collector.spans(),
        Vec::<Value>::new(),
        "traces were not asked for"
    );
}

trial!("a collector that is dead, silent or refuses holds up neither work nor end, and is told of once", no_collector);

fn no_collector(place: usize) {
    // Three of them, each of which is met by a worker of its own.
    let users: Vec<User> = (0..9)
        .map(|number| User::new(place, number, Outcome::Deleted, 4))
        .collect();
    let mut world = World::with_topology(place, users);
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_at = format!("http://{}", silent.local_addr().expect("an address"));
    let dead = TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address");
    let refusing = world.simulator.clone();
    let collectors = [
        ("dead", format!("http://{dead}")),
        ("silent", silent_at),
        ("refusing", refusing),
    ];
    for (number, (kind, endpoint)) in collectors.into_iter().enumerate() {
        world.set("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint);
        // Often, and in small lots: there is always one under way.
        world.set("OTEL_BSP_SCHEDULE_DELAY", "200");
        world.set("OTEL_METRIC_EXPORT_INTERVAL", "500");
        let mut worker = world.start(&["worker"]);
        let ours = &world.users[number * 3..][..3];
        world.publish(
            &ours
                .iter()
                .map(|user| json!({ "body": user.id }))
                .collect::<Vec<_>>(),
        );
        promises::await_quiet(&world, PATIENCE);
        if kind != "silent" {
            eventually(Duration::from_secs(30), || {
                let told = complaints(&worker.errors());
                if told == 2 {
                    Ok(())
                } else {
                    Err(format!("{kind}: told of {told} times"))
                }
            });
        }
        let asked = Instant::now();
        worker.signal("TERM");
        let status = worker.end(Duration::from_secs(35));
        let took = asked.elapsed();
        assert_eq!(status.code(), Some(0), "{kind}: {}", tail(&worker.errors()));
        assert!(
            took < Duration::from_secs(5),
            "{kind}: it took {took:?} to end"
        );
        let told = complaints(&worker.errors());
        assert!(
            told <= 2,
            "{kind}: told of {told} times, traces and metrics together"
        );
    }
    drop(silent);
    promises::assert_manifests(&world, &crate::support::servers::shared());
}

/// How often a log says that a collector takes nothing.
fn complaints(log: &str) -> usize {
    log.lines()
        .filter(|line| line.contains("the collector does not take these"))
        .count()
}
