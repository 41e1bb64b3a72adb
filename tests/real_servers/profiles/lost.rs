//! Calls whose answers or requests are lost, and calls that the API asks to be sent later.

use std::collections::BTreeMap;

use serde_json::json;

use super::{assert_well, files, run, scenario, users};
use crate::support::ledger::{self, Repetition};
use crate::support::profile::Profile;
use crate::support::world::World;
use crate::support::{http, throttle};

/// All operations of a run about a user.
fn operations(profile: Profile) -> Vec<&'static str> {
    let reads = profile.reads().iter().copied();
    reads
        .filter(|operation| *operation != "search_teams")
        .chain(profile.writes())
        .collect()
}

/// Panics with every fault that met fewer calls than it was meant for: the trial would prove nothing of them.
pub(super) fn assert_faults_used(world: &World) {
    let rules = http::request("GET", &world.simulator, "/_simulator/faults", None);
    let rules = rules.as_array().expect("rules").iter();
    let unused: Vec<_> = rules.filter(|rule| rule["times"] != 0).collect();
    assert!(unused.is_empty(), "faults that met no call: {unused:#?}");
}

scenario!(
    "a lost answer to any read or write, and a lost request, leave every user right, once",
    lost_calls
);

fn lost_calls(profile: Profile, place: usize) {
    let operations = operations(profile);
    let kinds = ["lost_reply", "lost_request"];
    let count = operations.len() * kinds.len();
    let world = files(profile, place, users(profile, place, count), &[]);
    let cases = operations
        .iter()
        .flat_map(|operation| kinds.map(|kind| (operation, kind)));
    for (user, (operation, kind)) in cases.enumerate() {
        world.strike(user, operation, 0, 1, &json!({ "kind": kind }));
    }
    world.strike_once("get_token", &json!({ "kind": "lost_reply" }));

    run(&world).expect(0);
    assert_faults_used(&world);
    assert_well(&world, Repetition::AfterCrash);
    assert_applied_once(&world);
}

/// Whatever was sent twice, each change was made once.
fn assert_applied_once(world: &World) {
    let mut changes: BTreeMap<(String, String, Option<String>), usize> = BTreeMap::new();
    for call in ledger::calls(&world.simulator) {
        // The keys of a user have one path.
        if call.applied && !call.is("disable_access_key") {
            let user = call.user().map(str::to_owned);
            *changes
                .entry((call.operation, call.path, user))
                .or_default() += 1;
        }
    }
    changes.retain(|_, count| *count > 1);
    assert!(changes.is_empty(), "applied more than once: {changes:#?}");
}

scenario!(
    "a 429 to any call is waited for as long as it asks, and spends no attempt",
    throttled_calls
);

fn throttled_calls(profile: Profile, place: usize) {
    let operations = operations(profile);
    let world = files(profile, place, users(profile, place, operations.len()), &[]);
    for (user, operation) in operations.iter().enumerate() {
        world.strike(user, operation, 0, 2, &throttle(1));
    }
    throttled(world);
}

scenario!(
    "the quota of the API makes a run slower, and nothing else",
    a_small_quota
);

fn a_small_quota(profile: Profile, place: usize) {
    let flags = ["--quota-routing", "25"];
    let world = files(profile, place, users(profile, place, 6), &flags);
    let world = throttled(world);
    let refused = ledger::calls(&world.simulator);
    let refused = refused.iter().filter(|call| call.status == 429).count();
    assert!(refused > 0, "the quota was never used up");
}

fn throttled(mut world: World) -> World {
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    run(&world).expect(0);
    assert_faults_used(&world);
    assert_well(&world, Repetition::AfterCrash);
    assert_applied_once(&world);
    assert_waited(&world);
    world
}

/// After a 429 the same call comes a second later at the earliest.
fn assert_waited(world: &World) {
    let calls = ledger::calls(&world.simulator);
    let time = |text: &str| text.parse::<jiff::civil::DateTime>().expect("a time");
    for (number, call) in calls.iter().enumerate() {
        // A call that names no user may be another user's.
        if call.status != 429 || call.user().is_none() {
            continue;
        }
        let again = calls[number + 1..]
            .iter()
            .find(|next| next.operation == call.operation && next.user() == call.user());
        let Some(again) = again else { continue };
        let waited = time(&again.started_at) - time(&call.ended_at);
        let waited = waited.total(jiff::Unit::Second).expect("seconds");
        assert!(
            waited >= 0.99,
            "{} came again after {waited} s",
            call.operation
        );
    }
}
