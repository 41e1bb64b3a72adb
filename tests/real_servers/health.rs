//! Whether a worker makes progress, as `/healthz` says, and how much waits, as `/metrics` says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::support::erlang::HangingChannels;
use crate::support::failpoint::TIME_SCALE;
use crate::support::ledger;
use crate::support::population::{User, deletable};
use crate::support::process::{Process, tail};
use crate::support::servers::Servers;
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{eventually, http, promises, servers, status, throttle, trial};

/// A worker calls itself stuck after 2.5 s without a delivery, and 10 s without progress.
const SCALE: &str = "120";

trial!(
    "a worker to which nothing comes though work waits is unhealthy until it makes progress; a confirm that never comes is not waited for",
    stuck
);

fn stuck(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 12, 4));
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "2");
    world.set(TIME_SCALE, SCALE);
    let worker = world.start(&["worker"]);
    worker.await_ready();
    await_healthy(&worker);

    // What it may have in flight never arrives; the rest waits in the queue.
    let consuming = "consumer_count";
    let hanging = HangingChannels::suspend(servers::shared(), place, consuming, 4);
    world.publish_users(&world.users[..8]);
    let cause = "jobs wait in offboarding.users, slots are free, and RabbitMQ delivered none for";
    await_unhealthy(&worker, cause);
    // The worker's own probe at the start asks for a user that does not exist.
    let of_users =
        |call: &ledger::Call| world.users.iter().any(|user| call.user() == Some(&user.id));
    let calls = ledger::calls(&world.simulator);
    assert!(!calls.iter().any(of_users), "nobody is worked on");
    let healthz = format!("{}/healthz", worker.admin());
    let asked = world.run(&["healthcheck", "--url", &healthz]).expect(1);
    let named = asked.errors.contains("jobs wait in offboarding.users");
    assert!(named, "{}", asked.errors);
    drop(hanging);
    await_healthy(&worker);
    promises::await_quiet(&world, PATIENCE);

    // All its channels for publishing are open by then; no confirm comes on any of them.
    let hanging = HangingChannels::suspend(servers::shared(), place, "confirm", 4);
    world.publish_users(&world.users[8..]);
    worker.await_not_ready("RabbitMQ confirms nothing");
    promises::await_quiet(&world, PATIENCE);
    worker.await_ready();
    // What was published on them comes after all, and is done already.
    drop(hanging);
    promises::await_quiet(&world, PATIENCE);
    await_healthy(&worker);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
}

fn await_unhealthy(worker: &Process, because: &str) {
    let admin = worker.admin();
    eventually(PATIENCE, || match http::answer(&admin, "/healthz") {
        (503, shown) if shown["causes"].to_string().contains(because) => Ok(()),
        (status, shown) => Err(format!(
            "no {because:?} in {status} {shown}; {}",
            tail(&worker.errors())
        )),
    });

    eventually(PATIENCE, || {
        match http::sample(&admin, "offboarder_unhealthy") {
            Some(1.0) => Ok(()),
            sample => Err(format!("{sample:?} in the metrics")),
        }
    });
    assert_eq!(
        http::not_ready_because(&admin),
        None,
        "nothing else is known to hold users up"
    );
}

fn await_healthy(worker: &Process) {
    let admin = worker.admin();
    eventually(PATIENCE, || match http::answer(&admin, "/healthz") {
        (200, shown) if shown == json!({ "status": "ok" }) => Ok(()),
        (status, shown) => Err(format!("{status} {shown}")),
    });
}

trial!(
    "a worker that waits for an operator, a quota, CXone or a broker that is away or frozen stays healthy",
    has_to_wait,
    seconds = 150
);

/// Each wait is longer than the worker waits for progress, and users wait in the queue.
fn has_to_wait(place: usize) {
    let servers = Arc::new(Servers::start(place..=place));
    let mut world = World::on(Arc::clone(&servers), place, deletable(place, 24, 4), &[]);
    world.set(TIME_SCALE, SCALE);
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "4");
    world.declare();
    let worker = world.start(&["worker"]);
    worker.await_ready();
    assert_stays_healthy(&worker, "nothing waits");

    world.run(&["pause", "--why", "lunch"]).expect(0);
    worker.await_not_ready("lunch");
    world.publish_users(&world.users[..8]);
    assert_stays_healthy(&worker, "an operator paused it");

    world.strike_all("*", &status(503));
    world.run(&["resume"]).expect(0);
    worker.await_not_ready("cxone_server_error");
    assert_stays_healthy(&worker, "CXone is away");
    world.end_faults();
    worker.await_ready();

    servers.signal_one("rabbitmq", "STOP");
    worker.await_not_ready("not consuming");
    assert_stays_healthy(&worker, "the broker is frozen");
    servers.signal_one("rabbitmq", "CONT");
    worker.await_ready();
    servers.kill_one("rabbitmq");
    worker.await_not_ready("not consuming");
    assert_stays_healthy(&worker, "the broker is gone");
    servers.restart_one("rabbitmq");
    worker.await_ready();
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);

    wait_for_quota(&mut world);
    promises::assert_kept(&world, &servers);
    servers.stop();
}

fn assert_stays_healthy(worker: &Process, though: &str) {
    let admin = worker.admin();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(13) {
        let (status, shown) = http::answer(&admin, "/healthz");
        assert_eq!(
            status,
            200,
            "{though}, {:?}: {shown}; {}",
            begun.elapsed(),
            tail(&worker.errors())
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The first call is sent at once, the next in half a minute.
fn wait_for_quota(world: &mut World) {
    world.set("OFFBOARDER_CXONE_RATE_ROUTING", "2/m");
    let worker = world.start(&["worker"]);
    world.publish_users(&world.users[8..]);
    eventually(PATIENCE, || {
        match http::sample(&worker.admin(), "offboarder_in_flight") {
            Some(3.0..) => Ok(()),
            in_flight => Err(format!("{in_flight:?}; {}", tail(&worker.errors()))),
        }
    });
    assert_stays_healthy(&worker, "all wait for a quota");
    World::drain(worker);

    world.set("OFFBOARDER_CXONE_RATE_ROUTING", "off");
    let worker = world.start(&["worker"]);
    promises::await_quiet(world, PATIENCE);
    World::drain(worker);
}

trial!(
    "metrics give depth and oldest age of queues of work, of delayed jobs and of dead letters",
    depths_and_ages
);

fn depths_and_ages(place: usize) {
    let users = deletable(place, 6, 4);
    let mut world = World::on(servers::shared(), place, users, &["--latency", "2s"]);
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "1");
    world.set(TIME_SCALE, SCALE);
    world.declare();
    let worker = world.start(&["worker"]);
    world.publish(&[json!({ "body": "nobody" })]);
    let dead_letters = world.await_dead_letters(1);
    let written = dead_letters[0]["headers"]["x-offboarder-dead-lettered-at"].as_str();
    let written: Timestamp = written.and_then(|at| at.parse().ok()).expect("a time");
    World::drain(worker);

    // Another worker, that has never seen the dead letter being written.
    world.strike(0, "get_routing_profile", 0, 1, &throttle(29));
    world.publish_users(&world.users[..1]);
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    let delayed = "offboarding.wait.10s";
    await_sample(&admin, &depth_of(delayed), |depth| depth > 0.5);
    await_sample(&admin, "offboarder_lane_held{lane=\"access\"}", |held| {
        held > 0.5
    });
    // It grows, and not beyond the delay.
    let age = await_sample(&admin, &age_of(delayed), |age| age > 3.0);
    assert!(age < 11.0, "delayed for {age} s");

    assert_ages_of_work(&world, &admin);
    assert_age_of_dead_letter(&admin, written);
    let discard = ["dead-letters", "discard", "--reason", "malformed_message"];
    world.run(&[&discard[..], &["--yes"]].concat()).expect(0);
    await_sample(&admin, &age_of(DEAD), |age| age < 0.1);
    World::drain(worker);
}

fn depth_of(queue: &str) -> String {
    format!("offboarder_queue_depth{{queue=\"{queue}\"}}")
}

fn age_of(queue: &str) -> String {
    format!("offboarder_oldest_job_seconds{{queue=\"{queue}\"}}")
}

fn await_sample(admin: &str, series: &str, holds: impl Fn(f64) -> bool) -> f64 {
    eventually(PATIENCE, || match http::sample(admin, series) {
        Some(value) if holds(value) => Ok(value),
        value => Err(format!("{series} is {value:?}")),
    })
}

/// Users who were asked for an hour ago.
fn assert_ages_of_work(world: &World, admin: &str) {
    let hour_ago = (Timestamp::now() - SignedDuration::from_hours(1)).to_string();
    let message = |user: &User| {
        let body = json!({ "userId": user.id, "requestedAt": hour_ago });
        json!({ "body": body.to_string() })
    };
    let messages: Vec<_> = world.users[1..].iter().map(message).collect();
    world.publish(&messages);

    await_sample(admin, &depth_of("offboarding.users"), |depth| depth > 1.5);
    for series in [
        age_of("offboarding.users"),
        "offboarder_lane_oldest_job_seconds{lane=\"access\"}".to_owned(),
    ] {
        let waited = await_sample(admin, &series, |age| age > 3599.0);
        assert!(waited < 3900.0, "{series} is {waited}");
    }
    await_sample(admin, "offboarder_lane_depth{lane=\"access\"}", |depth| {
        depth > 1.5
    });
}

fn assert_age_of_dead_letter(admin: &str, written: Timestamp) {
    let age_now = || Timestamp::now().duration_since(written).as_secs_f64();
    await_sample(admin, &depth_of(DEAD), |depth| (depth - 1.0).abs() < 0.5);
    let before = age_now();
    let shown = await_sample(admin, &age_of(DEAD), |age| age > 1.0);
    let after = age_now();
    assert!(
        (before - 3.0..=after + 1.0).contains(&shown),
        "the dead letter is {shown} s old, not {before} to {after}"
    );
}
