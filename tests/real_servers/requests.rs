//! Users whom messages name without an order of `submit`, when more come than the limit allows.

use serde_json::json;

use crate::support::population::deletable;
use crate::support::process::{ON_A_TERMINAL, Process, tail};
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{eventually, http, list, promises, redis, trial};

const USERS: usize = 300;
const LIMIT: usize = 10;
const SLOTS: usize = 16;
/// What a worker logs when such a user is delayed.
const DELAYED: &str = "(OFFBOARDER_GUARD_MAX_REQUESTS)";

trial!(
    "of three hundred IDs that a stranger publishes ten are off-boarded, and the others wait, are seen, and are let on by a person",
    a_stranger,
    seconds = 90
);

fn a_stranger(place: usize) {
    let mut world = World::with_topology(place, deletable(place, USERS, 1));
    world.set("OFFBOARDER_GUARD_MAX_REQUESTS", &format!("{LIMIT}/1h"));
    let worker = world.start(&["worker"]);
    worker.await_ready();
    world.publish_all();
    await_delayed(&worker, USERS - LIMIT);
    assert_seen(&world, &worker);
    assert_left_alone(&world);

    // A Redis that loses everything in the middle lets nobody more through.
    let before = delayed(&worker);
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL").to_owned();
    redis::ask(&url, &["FLUSHDB"]);
    await_delayed(&worker, before + USERS - LIMIT);
    assert_left_alone(&world);

    // An order is never held up, also not of a user who waits.
    let waiting = waiting(&world);
    let ordered = waiting[0].as_str();
    world.run(&["submit", ordered]).expect(0);
    world.await_deleted(ordered);
    assert_eq!(world.deletions(), LIMIT + 1);

    let why = "the list is right";
    let resumed = world.run(&["resume", "--intake", "--why", why]).expect(0);
    assert!(resumed.output.contains("are let on"), "{}", resumed.output);
    let log = world.audit_log(&["--limit", "1"]);
    assert_eq!(
        (&log[0]["what"], &log[0]["why"]),
        (&json!("resume --intake"), &json!(why))
    );
    promises::await_quiet(&world, PATIENCE);
    assert_eq!(world.deletions(), USERS);
    assert_eq!(world.depth(DEAD), Some(0));
    World::drain(worker);
}

fn delayed(worker: &Process) -> usize {
    worker.errors().matches(DELAYED).count()
}

fn await_delayed(worker: &Process, wanted: usize) {
    eventually(PATIENCE, || match delayed(worker) {
        now if now >= wanted => Ok(()),
        now => Err(format!("{now} of {wanted}; {}", tail(&worker.errors()))),
    });
}

/// In `/readyz`, in a metric, in `status`, and above every answer.
fn assert_seen(world: &World, worker: &Process) {
    eventually(PATIENCE, || {
        let (status, ready) = http::answer(&worker.admin(), "/readyz");
        assert_eq!(status, 200, "others are taken");
        let notices = ready["notices"].to_string();
        says_all(&notices).then_some(()).ok_or(notices)
    });
    eventually(PATIENCE, || {
        match http::sample(&worker.admin(), "offboarder_requests_waiting") {
            Some(now) if says_all(&format!("{now} users wait")) => Ok(()),
            now => Err(format!("{now:?} users wait")),
        }
    });
    let waiting = eventually(PATIENCE, || {
        let waiting = waiting(world);
        says_all(&format!("{} users wait", waiting.len()))
            .then_some(waiting)
            .ok_or_else(|| "not all wait".to_owned())
    });
    eventually(PATIENCE, || {
        let shown = world.run(&["status", &waiting[0]]);
        let shown = format!("{}{}", shown.output, shown.errors);
        let says = says_all(&shown) && shown.contains(DELAYED);
        says.then_some(()).ok_or(shown)
    });
}

/// Whether it says that all wait. A user who asks again is not counted until it has asked: at most one in each slot, and as
/// many whose turn has come.
fn says_all(text: &str) -> bool {
    let number = |before: &str| {
        let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse::<usize>().ok())
    };
    let mut counts = text.split(" users wait").filter_map(number);
    let all = USERS - LIMIT;
    counts.any(|count| (all - 2 * SLOTS..=all).contains(&count))
}

/// The users who wait, as the list of users says.
fn waiting(world: &World) -> Vec<String> {
    let arguments = [
        "users",
        "list",
        "--waiting-for",
        "request_limit",
        "--limit",
        "1000",
    ];
    let listed = world.json(&arguments, 0);
    let users = list(&listed["users"]).iter();
    users
        .map(|user| user["userId"].as_str().expect("an ID").to_owned())
        .collect()
}

/// Ten lost their access, nobody else was changed, and nothing failed.
fn assert_left_alone(world: &World) {
    eventually(PATIENCE, || match world.deletions() {
        LIMIT => Ok(()),
        now => Err(format!("{now} deletions")),
    });
    let active = world
        .users
        .iter()
        .filter(|user| world.user_now(&user.id)["active"] == true);
    assert_eq!(active.count(), USERS - LIMIT);
    assert_eq!(world.depth(DEAD), Some(0));
}

trial!(
    "on a terminal more than a hundred users are sent only when their number is typed",
    the_number
);

fn the_number(place: usize) {
    let world = World::with_topology(place, Vec::new());
    let id = |number: usize| format!("{number:08x}-9a51-4b4b-8f6c-1f9a4f9b7c11\n");
    let many: String = (0..101).map(id).collect();
    let many = world.write("many.txt", &many);
    let few: String = (0..100).map(id).collect();
    let few = world.write("few.txt", &few);

    let types = |script: &'static str| [&["sh", "-c", script], &ON_A_TERMINAL[..]].concat();
    let wrong = types("echo 100 | exec \"$0\" \"$@\"");
    let refused = world.run_under(&wrong, &["submit", "--file", &many]);
    let refused = refused.expect(1).output;
    assert!(
        refused.contains("101 users will lose their access"),
        "{refused}"
    );
    assert!(refused.contains("nothing was sent"), "{refused}");
    assert_eq!(world.depth("offboarding.users"), Some(0));

    let right = types("echo 101 | exec \"$0\" \"$@\"");
    world
        .run_under(&right, &["submit", "--file", &many])
        .expect(0);
    world
        .run_under(&ON_A_TERMINAL, &["submit", "--file", &few])
        .expect(0);
    assert_eq!(world.depth("offboarding.users"), Some(201));
}

trial!(
    "what runs without a queue counts its deletions with those of the workers",
    without_a_queue
);

fn without_a_queue(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 4, 1));
    world.set("OFFBOARDER_GUARD_MAX_DELETIONS", "3/1h");
    let worker = world.start(&["worker"]);
    world.publish_users(&world.users[..2]);
    promises::await_quiet(&world, PATIENCE);
    let [one, other] = [2, 3].map(|user| world.users[user].id.as_str());
    let ran = world.json(&["run", one, other], 0);
    let results: Vec<_> = list(&ran["users"])
        .iter()
        .map(|user| &user["result"])
        .collect();
    assert!(
        results.contains(&&json!("finished")) && results.contains(&&json!("waiting")),
        "{ran}"
    );
    assert_eq!(world.deletions(), 3);
    World::drain(worker);
}
