//! Users from the message to the manifest, checked from every side.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::contract::ContractProxy;
use crate::support::ledger::{self, Repetition};
use crate::support::population::{Outcome, User, mixed};
use crate::support::world::{PATIENCE, World};
use crate::support::{manifests, trial};

trial!(
    "two workers off-board two hundred users in order, once, and truthfully",
    two_workers_off_board_two_hundred_users
);

fn two_workers_off_board_two_hundred_users(place: usize) {
    let world = World::with_topology(place, mixed(place, 200));
    let workers = [world.start(&["worker"]), world.start(&["worker"])];
    let messages: Vec<Value> = world
        .users
        .iter()
        .enumerate()
        .map(|(number, user)| message(number, &user.id))
        .collect();
    world.publish(&messages);

    manifests::assert_true(
        &world.simulator,
        world.setting("OFFBOARDER_ARCHIVE_URL"),
        &world.users,
        PATIENCE,
    );
    workers.into_iter().for_each(World::drain);
    ledger::assert_histories(&world.simulator, &world.users, Repetition::None);
    for user in &world.users {
        let now = world.user_now(&user.id);
        assert_eq!(
            now["exists"],
            !user.outcome.is_deleted(),
            "{} with outcome {:?}",
            user.id,
            user.outcome
        );
    }
    assert_eq!(
        world.queues_in_use(),
        Vec::<String>::new(),
        "queues that are not empty at the end"
    );
}

/// JSON, bare and urgent messages, mixed.
fn message(number: usize, id: &str) -> Value {
    let json = json!({ "userId": id, "batchId": "two-hundred", "requestedBy": "tests", "unknown": number });
    match number % 4 {
        0 => json!({ "body": id }),
        1 => json!({ "body": id, "key": "users.urgent" }),
        2 => {
            json!({ "body": json.to_string(), "properties": { "content_type": "application/json" } })
        }
        _ => json!({ "body": json.to_string(), "key": "users.urgent" }),
    }
}

trial!(
    "every request and every answer keeps to the contract of the API",
    every_exchange_keeps_to_the_contract
);

fn every_exchange_keeps_to_the_contract(place: usize) {
    let users = vec![
        User::new(place, 0, Outcome::Deleted, 13),
        User::new(place, 1, Outcome::DeletedLater, 0),
        User::new(place, 2, Outcome::Refused(409), 6),
        User::new(place, 3, Outcome::Refused(423), 1),
        User::new(place, 4, Outcome::Deleted, 5),
    ];
    let mut world = World::new(place, users);
    let proxy = ContractProxy::before(&mut world);
    run_all(&world).expect(0);

    proxy.assert_kept();
    let judged = proxy.judged();
    let seen: BTreeSet<&str> = judged.iter().map(String::as_str).collect();
    let all = BTreeSet::from([
        "POST /api/v2/oauth/token",
        "GET /api/v2/iam/users/{userId}",
        "DELETE /api/v2/iam/users/{userId}",
        "GET /api/v2/routing/users/{userId}/routingprofile",
        "PATCH /api/v2/routing/users/{userId}/routingprofile",
        "GET /api/v2/routing/queues/{queueId}",
        "PATCH /api/v2/routing/queues/{queueId}",
        "GET /api/v2/scim/v2/Users/{userId}",
        "PUT /api/v2/scim/v2/Users/{userId}",
        "POST /api/v2/conversations/details/query",
        "GET /api/v2/conversations/details/query",
    ]);
    assert_eq!(seen, all, "operations that were checked");
    manifests::assert_true(
        &world.simulator,
        world.setting("OFFBOARDER_ARCHIVE_URL"),
        &world.users,
        std::time::Duration::ZERO,
    );
}

fn run_all(world: &World) -> crate::support::world::Ended {
    let ids = world.users.iter().map(|user| user.id.as_str());
    let arguments: Vec<&str> = std::iter::once("run").chain(ids).collect();
    world.run(&arguments)
}

trial!(
    "run with Redis and S3 off-boards, and a second run changes nothing",
    run_with_redis_and_s3
);

fn run_with_redis_and_s3(place: usize) {
    runs_twice(&World::new(place, mixed(place, 20)));
}

trial!(
    "run with file stores off-boards, and a second run changes nothing",
    run_with_file_stores
);

fn run_with_file_stores(place: usize) {
    let mut world = World::new(place, mixed(place, 20));
    let stores = world.directory.path().join("stores");
    world.set(
        "OFFBOARDER_CHECKPOINTS_URL",
        &format!("file:{}", stores.display()),
    );
    world.set(
        "OFFBOARDER_ARCHIVE_URL",
        &format!("file:{}/archive", stores.display()),
    );
    world.unset("OFFBOARDER_QUEUE_URL");
    runs_twice(&world);
}

fn runs_twice(world: &World) {
    let assert_true = || {
        manifests::assert_true(
            &world.simulator,
            world.setting("OFFBOARDER_ARCHIVE_URL"),
            &world.users,
            std::time::Duration::ZERO,
        );
    };
    run_all(world).expect(0);
    assert_true();
    ledger::assert_histories(&world.simulator, &world.users, Repetition::None);
    let seen = ledger::calls(&world.simulator)
        .last()
        .map_or(0, |call| call.seq);

    run_all(world).expect(0);
    assert_true();
    let later = ledger::calls(&world.simulator);
    let writes: Vec<_> = later
        .iter()
        .filter(|call| call.seq > seen && call.is_write())
        .collect();
    assert!(writes.is_empty(), "the second run wrote: {writes:#?}");
}
