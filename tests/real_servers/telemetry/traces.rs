//! A job as a trace.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::spans::{
    STATUS_ERROR, assert_whole, endings, links, named, names, of_trace, publisher_of, trace_of,
};
use crate::dead_letters::fail_calls;
use crate::support::collector::Collector;
use crate::support::population::{Outcome, User};
use crate::support::world::{CLIENT_SECRET, PATIENCE, World};
use crate::support::{eventually, promises, status, trial};

/// What a user has who is off-boarded without a fault, with an archive of several parts.
const SPANS: [&str; 19] = [
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
];

trial!(
    "a job is one trace from its publisher to its end, over lanes, delays and a replay",
    traces
);

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
    let log = off_board(&world);

    // The rest is sent by the other protocol.
    world.end_faults();
    world.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint("grpc"));
    world.set("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let replay = [
        "dead-letters",
        "replay",
        "--all",
        "--anyway",
        "--why",
        "fixed",
    ];
    world.run(&replay).expect(0);
    let worker = world.start(&["worker"]);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);

    let spans = await_ends(&collector);
    for user in 0..3 {
        let spans = of_trace(&spans, &trace_of(user));
        assert_whole(&spans, user);
        for step in named(&spans, "step ") {
            let id = &step["attributes"]["offboarder.user_id"];
            assert_eq!(*id, world.users[user].id);
        }
    }
    assert_straight(&world, &spans);
    assert_delayed(&spans);
    assert_replayed(&spans);
    assert_logged(&world, &log);
    assert_no_other_traces(&spans);
    assert_private(&world, spans);
}

/// One user without a fault, one who waits once, and one who is given up; the log.
fn off_board(world: &World) -> String {
    world.strike(1, "get_scim_user", 0, 1, &status(503));
    fail_calls(world, 2, "query_conversations", &status(500));
    let messages = world.users.iter().enumerate().map(|(user, of)| {
        let parent = format!("00-{}-{}-01", trace_of(user), publisher_of(user));
        json!({ "body": of.id, "headers": { "traceparent": parent } })
    });

    let worker = world.start(&["worker"]);
    world.publish(&messages.collect::<Vec<_>>());
    world.await_dead_letters(1);
    promises::await_quiet(world, PATIENCE);
    let log = worker.errors();
    World::drain(worker);
    log
}

/// Waits for the last span of each user; all spans.
fn await_ends(collector: &Collector) -> Vec<Value> {
    eventually(Duration::from_secs(30), || {
        let spans = collector.spans();
        let has_ended = |user| {
            let endings = endings(&of_trace(&spans, &trace_of(user)));
            endings.iter().any(|ending| ending.ends_with("finished"))
        };
        if (0..3).all(has_ended) {
            Ok(spans)
        } else {
            Err(format!("{} spans", spans.len()))
        }
    })
}

/// Every kind of span, in the user without a fault.
fn assert_straight(world: &World, spans: &[Value]) {
    let straight = of_trace(spans, &trace_of(0));
    assert_eq!(
        endings(&straight),
        [
            "offboarding.users: forwarded",
            "offboarding.archive: finished"
        ]
    );
    for name in SPANS {
        assert!(
            !named(&straight, name).is_empty(),
            "no {name:?} in {:?}",
            names(&straight)
        );
    }

    let deleted = named(&straight, "DELETE ")[0];
    let code = &deleted["attributes"]["http.response.status_code"];
    assert_eq!(*code, 204, "{deleted:#}");
    assert_eq!(deleted["resource"]["service.name"], "offboarder");
    // Whichever user is first also stores what the tenant was asked for.
    let puts = named(&straight, "S3 PutObject");
    let is_of_user = |put: &&Value| {
        let path = put["attributes"]["url.path"].as_str().expect("a path");
        path.contains(&world.users[0].id)
    };
    assert!(puts.iter().any(is_of_user), "{puts:#?}");
}

/// The call that failed says so, and the delay is in the trace.
fn assert_delayed(spans: &[Value]) {
    let delayed = of_trace(spans, &trace_of(1));
    let expected = [
        "offboarding.users: parked",
        "offboarding.users: forwarded",
        "offboarding.archive: finished",
    ];
    assert_eq!(endings(&delayed), expected);

    let failed = delayed.iter().filter(|span| span["status"] == STATUS_ERROR);
    let types: BTreeSet<_> = failed
        .filter_map(|span| span["attributes"]["error.type"].as_str())
        .collect();
    let expected = BTreeSet::from(["409", "503", "cxone_server_error"]);
    assert_eq!(types, expected);
}

/// Linked to the delivery that was given up, and to the replay.
fn assert_replayed(spans: &[Value]) {
    let replayed = of_trace(spans, &trace_of(2));
    let endings = endings(&replayed);
    let mut each = endings.iter();
    let given_up = each.position(|ending| ending.ends_with("dead-lettered"));
    let given_up = given_up.expect("it was given up");
    let links = links(named(&replayed, "process ")[given_up + 1]);
    assert_eq!(links.len(), 2, "{links:?}");

    let mut spans = spans.iter();
    let replay = spans.find(|span| span["name"] == "offboarder dead-letters");
    let replay = replay.expect("the replay's span")["id"].as_str();
    assert!(links.contains(&replay.expect("an id")), "{links:?}");
}

/// The log of a job names its trace, and why it waits.
fn assert_logged(world: &World, log: &str) {
    for line in log.lines().filter(|line| line.contains("\"moved\"")) {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let mut users = world.users.iter();
        let user = users.position(|user| user.id == line["user_id"]);
        assert_eq!(line["trace_id"], trace_of(user.expect("a user")), "{line}");
    }

    let delayed = |line: &str| {
        line.contains("\"until\"")
            && line.contains("\"WARN\"")
            && line.contains("cxone_server_error")
    };
    assert!(log.lines().any(delayed), "{log}");
}

/// What a worker does by itself has no trace.
fn assert_no_other_traces(spans: &[Value]) {
    let known: BTreeSet<String> = (0..3).map(trace_of).collect();
    let is_root = |span: &&Value| {
        let trace = span["trace"].as_str().expect("a trace");
        !known.contains(trace) && span["parent"] == ""
    };
    let roots = spans.iter().filter(is_root);
    let roots: BTreeSet<_> = roots.filter_map(|span| span["name"].as_str()).collect();
    assert_eq!(roots, BTreeSet::from(["offboarder dead-letters"]));
}

/// IDs, and nothing that belongs to a person or lets one in.
fn assert_private(world: &World, spans: Vec<Value>) {
    let text = Value::from(spans).to_string();
    let user = world.user_now(&world.users[1].id);
    let name = user["scim"]["userName"].as_str().expect("a name");
    for private in [
        name,
        "participants",
        CLIENT_SECRET,
        "local-secret-key",
        "Bearer",
        "guest:guest",
    ] {
        assert!(!text.contains(private), "a span holds {private:?}");
    }
}
