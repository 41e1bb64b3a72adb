//! What a plain user costs, counted and not timed: calls of the tenant, requests to S3, round trips to Redis.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Instant;

use serde_json::json;

use crate::support::population::{Outcome, User};
use crate::support::redis_monitor::RedisMonitor;
use crate::support::s3_proxy::S3Proxy;
use crate::support::world::{PATIENCE, World};
use crate::support::{ledger, promises, servers, trial};

/// And one more before them, for which Redis gets the scripts.
const USERS: usize = 40;
/// How often the worker itself lists the registers, beside what it asks for a user.
const POLL_SECONDS: u64 = 2;

/// Of the user who costs least, exactly: whatever each of them costs.
const CALLS: &[(&str, usize)] = &[
    ("get_user", 1),
    ("get_routing_profile", 1),
    ("get_queue", 3),
    ("patch_routing_profile", 1),
    ("get_scim_user", 1),
    ("put_scim_user", 1),
    ("query_conversations", 1),
    ("delete_user", 1),
];
/// The same: requests that name the user.
const OBJECTS: &[(&str, usize)] = &[
    ("LIST ID", 1),
    ("PUT ID.json", 1),
    ("HEAD ID.json", 1),
    ("LIST VERSIONS _hold_ID.", 1),
    ("PUT ID_sealed.json", 1),
    ("PUT ID_audit.json", 1),
];
/// At most, for each check of the guards before a DELETE: requests that name no user.
const REGISTERS: &[(&str, usize)] = &[
    ("LIST VERSIONS _pause.", 1),
    ("LIST VERSIONS _stop_order.", 1),
];
/// The same. One of each limit is admitted: of deletions, and of users whom no order names.
const REDIS: &[(&str, usize)] = &[("admit", 2), ("claim", 2), ("save", 4)];
/// One record in the archive store is of that many users whom no order names.
const USERS_A_RECORD: usize = 10;

trial!(
    "a plain user costs the calls, S3 requests and Redis round trips of the budget, and not one more",
    a_plain_user,
    seconds = 20
);

fn a_plain_user(place: usize) {
    assert_costs(place, &[], 0..=0);
}

trial!(
    "where the evidence log is on, a plain user costs at most one request to S3 more, which several share",
    with_the_evidence_log,
    seconds = 20
);

fn with_the_evidence_log(place: usize) {
    let origin = ("OFFBOARDER_EVIDENCE_ORIGIN", "example.com/budget");
    assert_costs(place, &[origin], 1..=USERS);
}

/// One page of conversations, three queues that it does not own.
fn plain_users(place: usize, settings: &[(&str, &str)]) -> World {
    let queues = json!({ "queues": 3, "ownsNoQueue": true });
    let user = |number| User::new(place, number, Outcome::Deleted, 4).with(&queues);
    let mut world = World::with_topology(place, (0..=USERS).map(user).collect());
    // As deploy/ sets one: without a key, account and routing are read again before the seal.
    world.set("OFFBOARDER_INTEGRITY_KEY", &"k".repeat(32));
    for (name, value) in settings {
        world.set(name, value);
    }
    world
}

fn assert_costs(place: usize, settings: &[(&str, &str)], announced: RangeInclusive<usize>) {
    let mut world = plain_users(place, settings);
    let s3 = S3Proxy::before(&mut world);
    let redis = RedisMonitor::start(world.setting("OFFBOARDER_CHECKPOINTS_URL"));
    let worker = world.start(&["worker"]);
    worker.await_ready();
    world.publish_users(&world.users[..1]);
    promises::await_quiet(&world, PATIENCE);
    let at_start = s3.requests().len();
    let begun = Instant::now();
    world.publish_users(&world.users[1..]);
    promises::await_quiet(&world, PATIENCE);
    let mut requests = s3.requests().split_off(at_start);
    let announcements = requests.extract_if(.., |one| one.contains("_log_inbox_"));
    let announcements = announcements.count();
    assert!(announced.contains(&announcements), "{announcements}");
    let took = begun.elapsed();
    let polls = took.as_secs() / POLL_SECONDS + 2;
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());

    let calls = ledger::calls(&world.simulator);
    let commands = redis.end();
    let mut shared = requests.clone();
    let mut least = [const { None::<Counts> }; 3];
    for user in &world.users[1..] {
        let id = user.id.as_str();
        let own = calls
            .iter()
            .filter(|call| call.path.contains(id) || call.user() == Some(id));
        let own_calls = counted(own.map(|call| call.operation.clone()));
        let own = requests.iter().filter(|request| request.contains(id));
        let own_requests = counted(own.map(|one| kind(one, id)));
        let own = commands.iter().filter(|command| command.names(id));
        let own_commands = counted(own.map(|one| one.name.clone()));
        for (least, found) in least
            .iter_mut()
            .zip([own_calls, own_requests, own_commands])
        {
            *least = Some(
                least
                    .take()
                    .map_or(found.clone(), |known| least_of(known, &found)),
            );
        }
        shared.retain(|request| !request.contains(id));
    }
    let least = least.map(Option::unwrap_or_default);
    assert_eq!(
        least,
        [table(CALLS), table(OBJECTS), table(REDIS)],
        "of each user"
    );

    // As often as the guards were checked, but no more than four times a second, and by the worker for itself.
    let looks = requests
        .iter()
        .filter(|request| kind(request, "-").starts_with("LIST VERSIONS _hold_"))
        .count();
    take_records(&mut shared);
    let quarters = usize::try_from(took.as_millis() / 250 + 1).expect("a count");
    let most = looks.min(quarters) + usize::try_from(polls).expect("a count");
    let shared = counted(shared.iter().map(|one| kind(one, "-")));
    let budget = table(REGISTERS);
    let allowed = |kind: &String| budget.get(kind).map_or(0, |each| each * most);
    assert!(
        shared.iter().all(|(kind, count)| *count <= allowed(kind)),
        "{shared:#?} instead of {budget:#?}, each at most {most} times"
    );
}

/// Takes the records of users whom no order names out of the requests.
fn take_records(shared: &mut Vec<String>) {
    let all = shared.len();
    shared.retain(|request| !request.contains("_requests_"));
    let records = all - shared.len();
    let most = USERS / USERS_A_RECORD + 1;
    assert!((1..=most).contains(&records), "{records} records");
}

type Counts = BTreeMap<String, usize>;

/// What both have. On a slow machine the guards of a user may be checked again before the DELETE, and its lease renewed.
fn least_of(mut known: Counts, found: &Counts) -> Counts {
    known.retain(|kind, count| {
        *count = found.get(kind).map_or(0, |other| *other.min(count));
        *count > 0
    });
    known
}

fn counted(found: impl Iterator<Item = String>) -> Counts {
    let mut counts = BTreeMap::new();
    for one in found {
        *counts.entry(one).or_default() += 1;
    }
    counts
}

fn table(rows: &[(&str, usize)]) -> Counts {
    rows.iter()
        .map(|(name, count)| ((*name).to_owned(), *count))
        .collect()
}

/// Method and kind of object, e.g. `PUT ID_sealed.json`, or `LIST _pause.`; `LIST VERSIONS` also shows delete markers.
fn kind(request: &str, id: &str) -> String {
    let (method, target) = request.split_once(' ').expect("a target");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let members: Vec<&str> = query.split('&').collect();
    let prefix = members
        .iter()
        .find_map(|member| member.strip_prefix("prefix="));
    let (method, object) = match prefix {
        Some(prefix) if members.iter().any(|member| member.starts_with("versions")) => {
            ("LIST VERSIONS", prefix)
        }
        Some(prefix) => ("LIST", prefix),
        None => (method, path),
    };
    let object = object.rsplit("%2F").next().unwrap_or(object);
    let object = object.rsplit('/').next().unwrap_or(object);
    format!("{method} {}", object.replace(id, "ID"))
}
