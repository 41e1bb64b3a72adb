//! Who is never touched, who is not deleted, and who not yet.

use serde_json::{Value, json};

use crate::support::population::deletable;
use crate::support::process::{Process, tail};
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{eventually, http, ledger, list, promises, redis, throttle, trial};

const LIST: &str = "protected.txt";
/// What a worker logs when the deletion rate limit delays a job.
const LIMITED: &str = "(OFFBOARDER_GUARD_MAX_DELETIONS)";

/// Sets the protected list.
fn protect(world: &mut World, text: &str) {
    let path = world.write(LIST, text);
    world.set("OFFBOARDER_GUARD_PROTECTED", &path);
}

fn user_name(world: &World, user: usize) -> String {
    let user = world.user_now(&world.users[user].id);
    let name = user["scim"]["userName"].as_str();
    name.expect("a user name").to_owned()
}

fn reason(dead_letter: &Value) -> &Value {
    &dead_letter["headers"]["x-offboarder-reason"]
}

trial!(
    "a protected user is never touched, and an unreadable list stops the work until it can be read",
    protected
);

fn protected(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 5, 4));
    let ids = format!("# the board\n{}\n", world.users[0].id.to_uppercase());
    protect(&mut world, &ids);
    let worker = world.start(&["worker"]);
    world.publish_users(&world.users[..2]);
    let dead_letters = world.await_dead_letters(1);
    assert_eq!(reason(&dead_letters[0]), "protected_user");
    promises::await_quiet(&world, PATIENCE);

    // A pattern that is added counts from the next reading.
    let pattern = format!("*{}*", user_name(&world, 2).to_uppercase());
    let whole = format!("{ids}{pattern}\n");
    world.write(LIST, &whole);
    world.publish_users(&world.users[2..4]);
    world.await_dead_letters(2);
    promises::await_quiet(&world, PATIENCE);

    assert_half_a_list_stops(&world, &worker, &ids);
    world.write(LIST, &whole);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);

    world.assert_exist(&[(1, false), (3, false), (4, false)]);
    for user in [0, 2] {
        let id = &world.users[user].id;
        let now = world.user_now(id);
        assert_eq!(now["exists"], true, "user {user}");
        assert_eq!(now["active"], true, "user {user}");
        assert_eq!(ledger::writes_of(&world.simulator, id), 0);
    }
}

/// Half a list, as while somebody writes it, and then no list.
fn assert_half_a_list_stops(world: &World, worker: &Process, half: &str) {
    world.write(LIST, half);
    world.publish_users(&world.users[4..]);
    worker.await_readyz(503);
    for says in [
        "1 of 2 entries are gone",
        "check OFFBOARDER_GUARD_PROTECTED",
    ] {
        assert!(worker.errors().contains(says), "{}", tail(&worker.errors()));
    }

    let path = world.directory.path().join(LIST);
    std::fs::remove_file(path).expect("the list is removed");
    assert_eq!(http::status(&worker.admin(), "/readyz"), 503);
    let user = world.user_now(&world.users[4].id);
    assert_eq!(user["active"], true, "nobody is touched until then");
}

trial!(
    "no guard can be passed by what changes between archive and deletion",
    changed_in_between
);

/// All guards change while each DELETE is held back, the first of which is throttled.
fn changed_in_between(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 4, 4));
    protect(&mut world, "# nobody\n");
    for user in 0..4 {
        world.strike(user, "delete_user", 0, 1, &throttle(30));
    }
    let worker = world.start(&["worker"]);
    world.publish_all();
    world.await_sealed(&world.users);

    let both = format!("{}\n{}\n", world.users[0].id, user_name(&world, 1));
    world.write(LIST, &both);
    let held = world.users[2].id.as_str();
    world
        .run(&["hold", "add", held, "--why", "case 4711"])
        .expect(0);
    let again = world.write("held.csv", &format!("User ID,Name\n{held},Jo\n"));
    let hold_again = ["hold", "add", "--file", &again, "--why", "another case"];
    let again = world.run(&hold_again).expect(0).output;
    let is_said = again.starts_with(&format!("{held} already on hold since 2"));
    assert!(is_said && again.contains(": case 4711\n"), "{again}");
    // The last user has no guard, and may be deleted by now.
    world.assert_exist(&[(0, true), (1, true), (2, true)]);
    let holds = world.json(&["hold", "list"], 0).to_string();
    assert!(
        holds.contains(held) && holds.contains("case 4711"),
        "{holds}"
    );

    let dead_letters = world.await_dead_letters(2);
    assert!(
        dead_letters
            .iter()
            .all(|one| reason(one) == "protected_user")
    );
    promises::await_quiet(&world, PATIENCE);
    world.assert_exist(&[(0, true), (1, true), (2, true), (3, false)]);
    assert_eq!(world.accepted_deletions(), 1);
    let status = world.json(&["status", held], 0).to_string();
    assert!(
        status.contains("DeactivatedOnly") && status.contains("held"),
        "{status}"
    );
    let manifest = world.objects().text(&format!("{held}_audit.json"));
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    let named = &manifest["deletion"]["hold"];
    assert_eq!(named["why"], "case 4711", "{manifest:#}");
    let since = |text: &Value| text.as_str().expect("a text").to_owned();
    let expected = format!(
        "a legal hold of {} since {}: case 4711",
        since(&named["who"]),
        since(&named["at"])
    );
    assert_eq!(manifest["error"], expected, "{manifest:#}");

    assert_removed_hold_deletes(&world, held);
    World::drain(worker);
}

/// The hold is removed, and the deletion asked for once more.
fn assert_removed_hold_deletes(world: &World, held: &str) {
    world
        .run(&["hold", "remove", held, "--why", "closed"])
        .expect(0);
    world.run(&["hold", "list", held]).expect(1);
    assert_audit_log(world, held);

    world.run(&["submit", held, "--action", "delete"]).expect(0);
    promises::await_quiet(world, PATIENCE);
    assert_eq!(world.user_now(held)["exists"], false);
}

/// Both changes of the hold are in the log, the newest first.
fn assert_audit_log(world: &World, held: &str) {
    let entries = world.audit_log(&["--since", "1h"]);
    let shown: Vec<_> = entries
        .iter()
        .map(|entry| [&entry["what"], &entry["why"]])
        .collect();
    assert_eq!(
        shown,
        [["hold remove", "closed"], ["hold add", "case 4711"]]
    );
    for entry in &entries {
        assert_eq!(entry["count"], 1);
        assert_eq!(entry["details"]["users"], json!([held]));
        let who = entry["who"].as_str().expect("who");
        assert!(who.contains('@') && entry["at"].is_string(), "{entry}");
    }

    let newest = world.audit_log(&["--limit", "1"]);
    assert_eq!(newest.len(), 1);
    assert_eq!(newest[0]["what"], "hold remove");
}

trial!(
    "a plan says what a worker would do and which guard stops it, and writes nothing",
    the_plan
);

/// One user for each end that there is; the first one was deleted before.
fn the_plan(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 7, 25));
    let both = format!("{}\n{}\n", world.users[1].id, user_name(&world, 2));
    protect(&mut world, &both);
    let id = |user: usize| world.users[user].id.as_str();
    world.run(&["run", id(0)]).expect(0);
    world
        .run(&["hold", "add", id(3), "--why", "case 4711"])
        .expect(0);
    let row = |user: usize| match user {
        4 => format!("{},2999-01-01T00:00:00Z,\n", id(user)),
        5 => format!("{},,deactivate\n", id(user)),
        _ => format!("{},,\n", id(user)),
    };
    let rows: String = (0..7).map(row).collect();
    let unknown = "0b8f9e1c-3d5a-4c57-9a55-5b1d0f6a7e21,,\n";
    let leavers = format!("userId,deleteAfter,action\n{rows}{unknown}");
    let leavers = world.write("leavers.csv", &leavers);

    let before = ledger::calls(&world.simulator).len();
    let planned = world.json(&["plan", "--file", &leavers, "--pages", "2"], 1);
    let printed = world.run(&["plan", id(6)]).expect(0).output;
    let calls = ledger::calls(&world.simulator).split_off(before);
    assert!(calls.len() > 20, "{} calls", calls.len());
    assert!(!calls.iter().any(ledger::Call::is_write));

    assert_planned(&planned);
    assert!(printed.contains("25 conversations"), "{printed}");
    assert!(printed.contains("1 to delete"), "{printed}");
}

fn assert_planned(planned: &Value) {
    let users = list(&planned["users"]);
    let ends: Vec<&Value> = users.iter().map(|user| &user["end"]).collect();
    let expected = [
        "done",
        "protected",
        "protected",
        "held",
        "delete",
        "deactivateOnly",
        "delete",
        "notFound",
    ];
    assert_eq!(ends, expected);

    assert_eq!(users[0]["state"], "Deleted");
    let guard = users[1]["guard"].as_str().expect("a guard");
    assert!(guard.contains("protected list"), "{guard}");
    assert_eq!(users[4]["deleteNotBefore"], "2999-01-01T00:00:00Z");
    assert_eq!(
        users[6]["conversations"],
        json!({ "count": 10, "pages": 2, "atLeast": true })
    );
    assert_eq!(list(&users[6]["queues"]).len(), 3);

    let total = &planned["total"];
    assert_eq!(total["users"], 8);
    assert_eq!(total["delete"], 2);
    assert_eq!(total["deleteLater"], 1);
    assert_eq!(total["calls"]["analytics"], 8, "two pages of four users");
}

trial!(
    "the deletion rate limit counts over all workers, and deactivations continue",
    the_deletion_rate_limit
);

fn the_deletion_rate_limit(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 12, 4));
    world.set("OFFBOARDER_GUARD_MAX_DELETIONS", "5/1h");
    let workers = [world.start(&["worker"]), world.start(&["worker"])];
    world.publish_all();
    await_limited(&workers, 7);
    for user in &world.users {
        let now = world.user_now(&user.id);
        assert_eq!(now["active"], false, "access is removed all the same");
    }
    assert_eq!(world.deletions(), 5);

    // Neither a Redis that lost everything nor one that lost only the count lets a deletion through.
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL");
    for (loss, limited) in [
        (&["FLUSHDB"][..], 14),
        (&["DEL", "offboarder:deletions"], 21),
    ] {
        redis::ask(url, loss);
        world.publish_all();
        await_limited(&workers, limited);
        assert_eq!(world.deletions(), 5, "after {loss:?}");
    }
    workers.into_iter().for_each(World::drain);
    assert_eq!(world.depth(DEAD), Some(0), "nothing fails");
}

/// Waits until the workers have delayed this many jobs by the deletion rate limit.
fn await_limited(workers: &[Process], wanted: usize) {
    let limited = |worker: &Process| worker.errors().matches(LIMITED).count();
    eventually(PATIENCE, || {
        match workers.iter().map(limited).sum::<usize>() {
            now if now >= wanted => Ok(()),
            now => Err(format!(
                "{now} of {wanted} jobs are delayed; {}",
                tail(&workers[0].errors())
            )),
        }
    });
}
