//! Whether a worker gets on, as `/healthz` says, and how much waits, as `/metrics` says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::support::erlang::HangingChannels;
use crate::support::population::{Outcome, User};
use crate::support::process::{Process, tail};
use crate::support::servers::Servers;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, ledger, promises, servers, trial};

/// A worker loses patience with itself after 2.5 s without a delivery, and 10 s without progress.
const HURRY: (&str, &str) = ("HURRY_OFFBOARDER", "120");

fn users(place: usize, count: usize) -> Vec<User> {
    (0..count)
        .map(|number| User::new(place, number, Outcome::Deleted, 4))
        .collect()
}

fn publish(world: &World, users: &[User]) {
    let messages: Vec<_> = users
        .iter()
        .map(|user| json!({ "body": user.id }))
        .collect();
    world.publish(&messages);
}

fn await_unhealthy(worker: &Process, because: &str) {
    let admin = worker.admin();
    let unhealthy = || http::sample(&admin, "offboarder_unhealthy");
    eventually(PATIENCE, || match http::answer(&admin, "/healthz") {
        (503, told) if told["causes"].to_string().contains(because) => Ok(()),
        (status, told) => Err(format!(
            "no {because:?} in {status} {told}; {}",
            tail(&worker.errors())
        )),
    });
    eventually(PATIENCE, || {
        if unhealthy() == Some(1.0) {
            Ok(())
        } else {
            Err("not in the metrics".to_owned())
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
        (200, told) if told == json!({ "status": "ok" }) => Ok(()),
        (status, told) => Err(format!("{status} {told}")),
    });
}

trial!("a worker to which nothing comes though work waits is unhealthy until it gets on; a confirm that never comes is not waited for", one_that_does_not_get_on);

fn one_that_does_not_get_on(place: usize) {
    let mut world = World::with_topology(place, users(place, 12));
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "2");
    world.set(HURRY.0, HURRY.1);
    let worker = world.start(&["worker"]);
    worker.await_ready();
    await_healthy(&worker);

    // What it may have in hand is on its way for ever; the rest waits in the queue.
    let hanging = HangingChannels::suspend(servers::shared(), place, "consumer_count", 4);
    publish(&world, &world.users[..8]);
    await_unhealthy(
        &worker,
        "jobs wait in offboarding.users, slots are free, and none has come for",
    );
    // The worker's own probe at the start asks for a user whom nobody has.
    let of_users =
        |call: &ledger::Call| world.users.iter().any(|user| call.user() == Some(&user.id));
    assert!(
        !ledger::calls(&world.simulator).iter().any(of_users),
        "nobody is worked on"
    );
    let asked = world
        .run(&[
            "healthcheck",
            "--url",
            &format!("{}/healthz", worker.admin()),
        ])
        .expect(1);
    assert!(
        asked.errors.contains("jobs wait in offboarding.users"),
        "{}",
        asked.errors
    );
    drop(hanging);
    await_healthy(&worker);
    promises::await_quiet(&world, PATIENCE);

    // All its channels for publishing are open after that; no confirm comes on any of them.
    let hanging = HangingChannels::suspend(servers::shared(), place, "confirm", 4);
    publish(&world, &world.users[8..]);
    worker.await_not_ready("RabbitMQ did not confirm the message");
    promises::await_quiet(&world, PATIENCE);
    worker.await_ready();
    // What was published on them comes after all, and is done already.
    drop(hanging);
    promises::await_quiet(&world, PATIENCE);
    await_healthy(&worker);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
}

trial!("a worker that waits for an operator, a quota, CXone or a broker that is away or frozen stays healthy", ones_that_have_to_wait);

/// Each wait is longer than its patience, and users wait in the queue.
fn ones_that_have_to_wait(place: usize) {
    const LONG: Duration = Duration::from_secs(13);
    let servers = Arc::new(Servers::start(place..=place));
    let mut world = World::on(Arc::clone(&servers), place, users(place, 24), &[]);
    world.set(HURRY.0, HURRY.1);
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "4");
    world.declare();
    let stays_healthy = |worker: &Process, while_so: &str| {
        let (admin, begun) = (worker.admin(), Instant::now());
        while begun.elapsed() < LONG {
            let (status, told) = http::answer(&admin, "/healthz");
            assert_eq!(
                status,
                200,
                "{while_so}, {:?}: {told}; {}",
                begun.elapsed(),
                tail(&worker.errors())
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let worker = world.start(&["worker"]);
    worker.await_ready();
    stays_healthy(&worker, "nothing waits");

    world.run(&["pause", "--why", "lunch"]).expect(0);
    worker.await_not_ready("lunch");
    publish(&world, &world.users[..8]);
    stays_healthy(&worker, "an operator paused it");

    let fault = json!({ "operation": "*", "fault": { "kind": "status", "status": 503 } });
    http::request("POST", &world.simulator, "/_simulator/faults", Some(&fault));
    world.run(&["resume"]).expect(0);
    worker.await_not_ready("cxone_server_error");
    stays_healthy(&worker, "CXone is away");
    http::request("DELETE", &world.simulator, "/_simulator/faults", None);
    worker.await_ready();

    servers.signal_one("rabbitmq", "STOP");
    worker.await_not_ready("not consuming");
    stays_healthy(&worker, "the broker is frozen");
    servers.signal_one("rabbitmq", "CONT");
    worker.await_ready();
    servers.kill_one("rabbitmq");
    worker.await_not_ready("not consuming");
    stays_healthy(&worker, "the broker is gone");
    servers.restart_one("rabbitmq");
    worker.await_ready();
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);

    // The first call is sent at once, the next in half a minute.
    world.set("OFFBOARDER_CXONE_RATE_ROUTING", "2/m");
    let worker = world.start(&["worker"]);
    publish(&world, &world.users[8..]);
    let routing = || http::sample(&worker.admin(), "offboarder_in_flight").unwrap_or_default();
    eventually(PATIENCE, || {
        if routing() > 2.0 {
            Ok(())
        } else {
            Err(tail(&worker.errors()))
        }
    });
    stays_healthy(&worker, "all wait for a quota");
    World::drain(worker);
    world.set("OFFBOARDER_CXONE_RATE_ROUTING", "off");
    let worker = world.start(&["worker"]);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers);
    servers.stop();
}

trial!("depth and oldest age of queues of work, of parked jobs and of dead letters are told", depths_and_ages);

fn depths_and_ages(place: usize) {
    let mut world = World::on(
        servers::shared(),
        place,
        users(place, 6),
        &["--latency", "2s"],
    );
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "1");
    world.set(HURRY.0, HURRY.1);
    world.declare();
    let worker = world.start(&["worker"]);
    world.publish(&[json!({ "body": "nobody" })]);
    let letter = eventually(PATIENCE, || {
        world
            .dead_letters()
            .pop()
            .ok_or_else(|| tail(&worker.errors()))
    });
    World::drain(worker);

    // Another worker, that has never seen the letter being written.
    let throttled = json!({ "kind": "status", "status": 429, "headers": { "Retry-After": "29" } });
    world.strike(0, "get_user", 0, 1, &throttled);
    let hour_ago = (Timestamp::now() - SignedDuration::from_hours(1)).to_string();
    let message = |user: &User| json!({ "body": json!({ "userId": user.id, "requestedAt": hour_ago }).to_string() });
    world.publish(&[json!({ "body": world.users[0].id })]);
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    let await_sample = |series: &str, holds: &dyn Fn(f64) -> bool| {
        eventually(PATIENCE, || match http::sample(&admin, series) {
            Some(value) if holds(value) => Ok(value),
            value => Err(format!("{series} is {value:?}")),
        })
    };
    let of = |metric: &str, queue: &str| format!("offboarder_{metric}{{queue=\"{queue}\"}}");

    let parked = "offboarding.wait.10s";
    await_sample(&of("queue_depth", parked), &|depth| depth > 0.5);
    await_sample("offboarder_lane_held{lane=\"access\"}", &|held| held > 0.5);
    // It grows, and not beyond the pause.
    let parked_for = await_sample(&of("oldest_job_seconds", parked), &|age| age > 3.0);
    assert!(parked_for < 11.0, "parked for {parked_for} s");

    let rest: Vec<_> = world.users[1..].iter().map(message).collect();
    world.publish(&rest);
    await_sample(&of("queue_depth", "offboarding.users"), &|depth| {
        depth > 1.5
    });
    for series in [
        of("oldest_job_seconds", "offboarding.users"),
        "offboarder_lane_oldest_job_seconds{lane=\"access\"}".to_owned(),
    ] {
        let waited = await_sample(&series, &|age| age > 3599.0);
        assert!(waited < 3900.0, "{series} is {waited}");
    }
    await_sample("offboarder_lane_depth{lane=\"access\"}", &|depth| {
        depth > 1.5
    });

    let written: Timestamp = letter["headers"]["x-offboarder-dead-lettered-at"]
        .as_str()
        .and_then(|at| at.parse().ok())
        .expect("a time");
    await_sample(&of("queue_depth", "offboarding.dead"), &|depth| {
        (depth - 1.0).abs() < 0.5
    });
    let before = Timestamp::now().duration_since(written).as_secs_f64();
    let stood = await_sample(&of("oldest_job_seconds", "offboarding.dead"), &|age| {
        age > 1.0
    });
    let after = Timestamp::now().duration_since(written).as_secs_f64();
    assert!(
        (before - 3.0..=after + 1.0).contains(&stood),
        "the letter stands for {stood} s, not {before} to {after}"
    );
    world
        .run(&[
            "dead-letters",
            "discard",
            "--reason",
            "malformed_message",
            "--yes",
        ])
        .expect(0);
    await_sample(&of("oldest_job_seconds", "offboarding.dead"), &|age| {
        age < 0.1
    });
    World::drain(worker);
}
