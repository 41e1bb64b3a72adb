//! Access first, archives after; urgent users before all others.

use std::time::{Duration, Instant};

use crate::support::ledger;
use crate::support::population::deletable;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, promises, servers, trial};

const OTHERS: usize = 300;

trial!(
    "an urgent user overtakes hundreds, and all lose their access long before most are archived",
    access_first,
    seconds = 120
);

/// The last user is the urgent one, who comes when the others wait.
fn access_first(place: usize) {
    let users = deletable(place, OTHERS + 1, 12);
    let flags = ["--latency", "10ms", "--latency-analytics", "300ms"];
    let world = World::on(servers::shared(), place, users, &flags);
    world.declare();
    let (urgent, others) = world.users.split_last().expect("users");
    world.publish_users(others);
    let worker = world.start(&["worker"]);
    world.await_calls("put_scim_user", 21);

    world.run(&["submit", &urgent.id, "--urgent"]).expect(0);
    let deactivated = || ledger::count(&world.simulator, "put_scim_user");
    let begun = Instant::now();
    eventually(Duration::from_secs(5), || {
        match world.user_now(&urgent.id)["active"].as_bool() {
            Some(false) => Ok(()),
            _ => Err(format!(
                "the urgent user still has access; {} have none",
                deactivated()
            )),
        }
    });
    let took = begun.elapsed();
    assert!(
        deactivated() < OTHERS,
        "all others were done before the urgent one, after {took:?}"
    );

    world.await_calls("put_scim_user", OTHERS + 1);
    let archived = world.deletions();
    assert!(
        archived < OTHERS / 2,
        "{archived} were archived and deleted before all had lost their access"
    );

    let admin = worker.admin();
    let count = |series: &str| http::sample(&admin, series);
    let all = Some(301.0);
    let removed = "offboarder_access_removed_seconds";
    assert_eq!(count(&format!("{removed}_count")), all);
    let within_two_minutes = format!("{removed}_bucket{{le=\"120\"}}");
    assert_eq!(count(&within_two_minutes), all);
    promises::await_quiet(&world, PATIENCE);
    assert_eq!(count("offboarder_jobs_total{outcome=\"deleted\"}"), all);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
}

trial!(
    "with a quota that is too small for both, all users lose their access before one in ten is deleted",
    access_before_deletions,
    seconds = 70
);

/// The deletions that wait spend no attempt, say what they wait for, and are all done in the end.
fn access_before_deletions(place: usize) {
    const USERS: usize = 20;
    let mut world = World::with_topology(place, deletable(place, USERS, 5));
    world.set("OFFBOARDER_CXONE_RATE_ROUTING", "10/s");
    let worker = world.start(&["worker"]);
    world.publish_all();

    let first = &world.users[0].id;
    let waiting = eventually(PATIENCE, || {
        let status = world.run(&["status", first, "--output", "json"]).json();
        match status["users"][0]["waitsFor"].as_str() {
            Some("access_first") => Ok(status),
            _ => Err(format!("{first} does not wait yet: {status:#}")),
        }
    });
    assert_eq!(waiting["users"][0]["attempts"], 0, "{waiting:#}");

    world.await_calls("put_scim_user", USERS);
    let deleted = world.deletions();
    assert!(
        deleted <= USERS / 10,
        "{deleted} were deleted before all {USERS} had lost their access"
    );

    promises::await_quiet(&world, PATIENCE);
    assert_eq!(world.deletions(), USERS);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
}
