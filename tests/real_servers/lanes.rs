//! Access first, archives after; urgent users before all others.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::ledger;
use crate::support::population::{Outcome, User};
use crate::support::process::tail;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, promises, servers, trial};

const USERS: usize = 300;

trial!("an urgent user overtakes hundreds, and all lose their access long before most are archived", access_first);

/// The last user is the urgent one, who comes when the others wait.
fn access_first(place: usize) {
    let users = (0..=USERS)
        .map(|number| User::new(place, number, Outcome::Deleted, 12))
        .collect();
    let flags = ["--latency", "10ms", "--latency-analytics", "300ms"];
    let world = World::on(servers::shared(), place, users, &flags);
    world.declare();
    let (urgent, others) = world.users.split_last().expect("users");
    let ids: Vec<_> = others
        .iter()
        .map(|user| json!({ "body": user.id }))
        .collect();
    world.publish(&ids);
    let worker = world.start(&["worker"]);
    let deactivated = || ledger::count(&world.simulator, "put_scim_user");
    eventually(PATIENCE, || {
        if deactivated() > 20 {
            Ok(())
        } else {
            Err(tail(&worker.errors()))
        }
    });
    world.run(&["submit", &urgent.id, "--urgent"]).expect(0);
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
    let (took, before) = (begun.elapsed(), deactivated());
    assert!(
        before < USERS,
        "all others were done before the urgent one, after {took:?}"
    );
    eventually(PATIENCE, || {
        if deactivated() > USERS {
            Ok(())
        } else {
            Err(format!("{} of {USERS}", deactivated()))
        }
    });
    let archived = ledger::count(&world.simulator, "delete_user");
    assert!(
        archived < USERS / 2,
        "{archived} of {USERS} were archived and deleted before all had lost their access"
    );
    let admin = worker.admin();
    let sample =
        |series: &str| http::sample(&admin, series).unwrap_or_else(|| panic!("no {series}"));
    assert!((sample("offboarder_access_removed_seconds_count") - 301.0).abs() < 0.5);
    let slowest = sample("offboarder_access_removed_seconds_bucket{le=\"120\"}");
    assert!(
        (slowest - 301.0).abs() < 0.5,
        "{slowest} of 301 lost their access within two minutes"
    );
    promises::await_quiet(&world, PATIENCE);
    let deleted = sample("offboarder_jobs_total{outcome=\"deleted\"}");
    assert!(
        (deleted - 301.0).abs() < 0.5,
        "{deleted} of 301 were counted"
    );
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
}
