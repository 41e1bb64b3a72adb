//! The console in a real browser, driven by `tests/python/browser`.

use serde_json::{Value, json};

use super::with_ada_and;
use crate::admin_api::await_end;
use crate::dead_letters::fail_calls;
use crate::support::failpoint::MANY_DEAD_LETTERS;
use crate::support::population::{User, deletable};
use crate::support::process::Process;
use crate::support::world::World;
use crate::support::{python, status, trial};

/// Batches whose users are all given up; each is replayed in a way of its own.
const GIVEN_UP: [(&str, usize); 4] = [
    ("b-keyboard", 11),
    ("b-plain", 2),
    ("b-two", 2),
    ("b-killed", 16),
];
const DONE: (&str, usize) = ("b-done", 3);

trial!(
    "in a real browser people sign in, replay by keyboard and without script, and axe finds nothing serious on any page",
    in_a_browser,
    seconds = 120
);

fn in_a_browser(place: usize) {
    let given_up: usize = GIVEN_UP.iter().map(|(_, users)| users).sum();
    let (mut world, ada) = with_ada_and(World::with_topology(
        place,
        deletable(place, given_up + DONE.1, 1),
    ));
    world.set("OFFBOARDER_ADMIN_NAME", "staging");
    world.set(MANY_DEAD_LETTERS.0, MANY_DEAD_LETTERS.1);
    let [bob, cyd] =
        [("bob", "operator"), ("cyd", "reader")].map(|(name, role)| world.add_person(name, role));
    (0..given_up).for_each(|user| fail_calls(&world, user, "get_routing_profile", &status(400)));

    let worker = world.start(&["worker"]);
    let mut messages = messages(&world.users);
    messages.extend(hostile().map(|body| json!({ "body": body })));
    world.publish(&messages);
    world.await_dead_letters(given_up + hostile().len());
    for user in &world.users[given_up..] {
        await_end(&world, &user.id);
    }
    world.end_faults();
    let other = world.start(&["worker"]);
    let workers = [worker, other];

    let known = json!({
        "workers": workers.each_ref().map(|one| json!({ "admin": one.admin(), "pid": one.id() })),
        "people": { "ada": ada, "bob": bob, "cyd": cyd },
        "users": world.users.iter().map(|user| &user.id).collect::<Vec<_>>(),
        "program": env!("CARGO_BIN_EXE_offboarder"),
    });
    let passed = python::answer(
        "browser/run.py",
        &[world.directory.path()],
        &world.environment(),
        &known.to_string(),
    );
    assert!(passed["passed"].as_u64() >= Some(10), "{passed:#}");
    assert_one_is_left(&world, workers);
}

/// A message for each user, with its batch.
fn messages(users: &[User]) -> Vec<Value> {
    let batches = GIVEN_UP.iter().chain([&DONE]);
    let names = batches.flat_map(|(name, users)| std::iter::repeat_n(name, *users));
    let message = |(user, batch): (&User, &&str)| {
        let body = json!({ "userId": user.id, "batchId": batch });
        json!({ "body": body.to_string() })
    };
    users.iter().zip(names).map(message).collect()
}

/// Bodies that a page has to show and not obey.
fn hostile() -> [String; 3] {
    [
        "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">"
            .to_owned(),
        "\u{202e}\u{2066}reversed\u{0007}".to_owned(),
        "w".repeat(10_240),
    ]
}

/// The script killed one worker; the other drains.
fn assert_one_is_left(world: &World, workers: [Process; 2]) {
    let mut left = Vec::new();
    for mut worker in workers {
        if worker.ended().is_none() {
            left.push(worker);
        }
    }
    assert_eq!(
        left.len(),
        1,
        "of two workers in {}",
        world.directory.path().display()
    );
    left.into_iter().for_each(World::drain);
}
