//! Who is never touched, who is not deleted, and who not yet.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::ledger;
use crate::support::population::{Outcome, User};
use crate::support::process::{Process, tail};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, promises, redis, trial};

const DEAD: &str = "offboarding.dead";

fn list(world: &World) -> PathBuf {
    world.directory.path().join("protected.txt")
}

fn await_letters(world: &World, count: usize, worker: &Process) -> Vec<Value> {
    eventually(PATIENCE, || match world.dead_letters() {
        letters if letters.len() == count => Ok(letters),
        letters => Err(format!(
            "{} dead letters, not {count}; {}",
            letters.len(),
            tail(&worker.errors())
        )),
    })
}

fn user_name(world: &World, user: usize) -> String {
    world.user_now(&world.users[user].id)["scim"]["userName"]
        .as_str()
        .expect("a user name")
        .to_owned()
}

trial!("a protected user is never touched, and an unreadable list stops the work until it can be read", protected);

fn protected(place: usize) {
    let users = (0..5)
        .map(|number| User::new(place, number, Outcome::Deleted, 4))
        .collect();
    let mut world = World::with_topology(place, users);
    let list = list(&world);
    let ids = format!("# the board\n{}\n", world.users[0].id.to_uppercase());
    std::fs::write(&list, &ids).expect("the list is written");
    world.set("OFFBOARDER_GUARD_PROTECTED", &list.display().to_string());
    let worker = world.start(&["worker"]);
    world.publish(&[
        json!({ "body": world.users[0].id }),
        json!({ "body": world.users[1].id }),
    ]);
    let letters = await_letters(&world, 1, &worker);
    assert_eq!(
        letters[0]["headers"]["x-offboarder-reason"],
        "protected_user"
    );
    promises::await_quiet(&world, PATIENCE);

    // A pattern that was added later counts from the next look on.
    let pattern = format!("*{}*", user_name(&world, 2).to_uppercase());
    std::fs::write(&list, format!("{ids}{pattern}\n")).expect("the list is written");
    world.publish(&[
        json!({ "body": world.users[2].id }),
        json!({ "body": world.users[3].id }),
    ]);
    await_letters(&world, 2, &worker);
    promises::await_quiet(&world, PATIENCE);

    // Half of it, as while somebody writes it, and then none of it.
    std::fs::write(&list, &ids).expect("the list is written");
    world.publish(&[json!({ "body": world.users[4].id })]);
    let admin = worker.admin();
    let not_ready = || match http::status(&admin, "/readyz") {
        503 => Ok(()),
        status => Err(format!("/readyz: {status} though the list is not whole")),
    };
    eventually(Duration::from_secs(30), not_ready);
    for says in [
        "1 of 2 entries are gone",
        "check OFFBOARDER_GUARD_PROTECTED",
    ] {
        assert!(worker.errors().contains(says), "{}", tail(&worker.errors()));
    }
    std::fs::remove_file(&list).expect("the list is removed");
    assert_eq!(not_ready(), Ok(()));
    assert_eq!(
        world.user_now(&world.users[4].id)["active"],
        true,
        "nobody is touched meanwhile"
    );
    std::fs::write(&list, format!("{ids}{pattern}\n")).expect("the list is written");
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);

    for user in [0, 2] {
        let now = world.user_now(&world.users[user].id);
        assert_eq!(
            (&now["exists"], &now["active"]),
            (&json!(true), &json!(true)),
            "user {user}"
        );
        assert_eq!(
            ledger::writes_of(&world.simulator, &world.users[user].id),
            0
        );
    }
    for user in [1, 3, 4] {
        assert_eq!(
            world.user_now(&world.users[user].id)["exists"],
            false,
            "user {user}"
        );
    }
}

trial!("no guard can be passed by what changes between archive and deletion", changed_in_between);

/// The call before each DELETE is held back for some seconds; all guards change meanwhile.
fn changed_in_between(place: usize) {
    let users = (0..4)
        .map(|number| User::new(place, number, Outcome::Deleted, 4))
        .collect();
    let mut world = World::with_topology(place, users);
    let list = list(&world);
    std::fs::write(&list, "# nobody\n").expect("the list is written");
    world.set("OFFBOARDER_GUARD_PROTECTED", &list.display().to_string());
    let throttled = json!({ "kind": "status", "status": 429, "headers": { "Retry-After": "10" } });
    for user in 0..4 {
        world.strike(user, "get_user", 1, 1, &throttled);
    }
    let worker = world.start(&["worker"]);
    world.publish_all();
    eventually(PATIENCE, || {
        let stands = |user: &User| {
            world.objects().exists(&format!("{}_sealed.json", user.id))
        };
        if world.users.iter().all(stands) {
            Ok(())
        } else {
            Err(tail(&worker.errors()))
        }
    });
    std::fs::write(
        &list,
        format!("{}\n{}\n", world.users[0].id, user_name(&world, 1)),
    )
    .expect("it is written");
    world
        .run(&["hold", "add", &world.users[2].id, "--why", "case 4711"])
        .expect(0);
    assert_eq!(
        ledger::count(&world.simulator, "delete_user"),
        0,
        "all was changed in time"
    );
    let holds = world
        .run(&["hold", "list", "--output", "json"])
        .expect(0)
        .output;
    assert!(
        holds.contains(&world.users[2].id) && holds.contains("case 4711"),
        "{holds}"
    );

    let letters = await_letters(&world, 2, &worker);
    assert!(
        letters
            .iter()
            .all(|letter| letter["headers"]["x-offboarder-reason"] == "protected_user")
    );
    promises::await_quiet(&world, PATIENCE);
    for user in 0..3 {
        assert_eq!(
            world.user_now(&world.users[user].id)["exists"],
            true,
            "user {user}"
        );
    }
    assert_eq!(world.user_now(&world.users[3].id)["exists"], false);
    assert_eq!(ledger::count(&world.simulator, "delete_user"), 1);
    let held = world
        .run(&["status", &world.users[2].id, "--output", "json"])
        .expect(0)
        .output;
    assert!(
        held.contains("DeactivatedOnly") && held.contains("held"),
        "{held}"
    );

    // Lifted, and asked for once more.
    world
        .run(&["hold", "remove", &world.users[2].id, "--why", "closed"])
        .expect(0);
    world.run(&["hold", "list", &world.users[2].id]).expect(1);
    assert_acts(&world);
    world
        .run(&["submit", &world.users[2].id, "--action", "delete"])
        .expect(0);
    promises::await_quiet(&world, PATIENCE);
    assert_eq!(world.user_now(&world.users[2].id)["exists"], false);
    World::drain(worker);
}

trial!("a plan says what a worker would do and which guard stops it, and writes nothing", the_plan);

/// One user for each end that there is; the first one is done before.
fn the_plan(place: usize) {
    let users = (0..7)
        .map(|number| User::new(place, number, Outcome::Deleted, 25))
        .collect();
    let mut world = World::with_topology(place, users);
    let list = list(&world);
    std::fs::write(
        &list,
        format!("{}\n{}\n", world.users[1].id, user_name(&world, 2)),
    )
    .expect("it is written");
    world.set("OFFBOARDER_GUARD_PROTECTED", &list.display().to_string());
    let id = |user: usize| world.users[user].id.as_str();
    let nobody = "0b8f9e1c-3d5a-4c57-9a55-5b1d0f6a7e21";
    world.run(&["run", id(0)]).expect(0);
    world
        .run(&["hold", "add", id(3), "--why", "case 4711"])
        .expect(0);
    let leavers = world.directory.path().join("leavers.csv");
    let rows: String = (0..7)
        .map(|user| match user {
            4 => format!("{},2999-01-01T00:00:00Z,\n", id(user)),
            5 => format!("{},,deactivate\n", id(user)),
            _ => format!("{},,\n", id(user)),
        })
        .collect();
    std::fs::write(
        &leavers,
        format!("userId,deleteAfter,action\n{rows}{nobody},,\n"),
    )
    .expect("it is written");
    let before = ledger::calls(&world.simulator).len();
    let leavers = leavers.display().to_string();
    let planned = world
        .run(&[
            "plan", "--file", &leavers, "--pages", "2", "--output", "json",
        ])
        .expect(1)
        .output;
    let told = world.run(&["plan", id(6)]).expect(0).output;
    let calls = ledger::calls(&world.simulator).split_off(before);
    assert!(
        calls.len() > 20 && !calls.iter().any(ledger::Call::is_write),
        "{} calls",
        calls.len()
    );

    let planned: Value = serde_json::from_str(&planned).expect("JSON");
    let ends: Vec<&str> = planned["users"]
        .as_array()
        .expect("users")
        .iter()
        .map(|user| user["end"].as_str().expect("an end"))
        .collect();
    assert_eq!(
        ends,
        [
            "done",
            "protected",
            "protected",
            "held",
            "delete",
            "deactivateOnly",
            "delete",
            "notFound"
        ]
    );
    let users = &planned["users"];
    assert_eq!(users[0]["state"], "Deleted");
    assert!(
        users[1]["guard"]
            .as_str()
            .expect("why")
            .contains("protected list"),
        "{}",
        users[1]
    );
    assert_eq!(users[4]["deleteNotBefore"], "2999-01-01T00:00:00Z");
    assert_eq!(
        users[6]["conversations"],
        json!({ "count": 10, "pages": 2, "atLeast": true })
    );
    assert_eq!(users[6]["queues"].as_array().expect("queues").len(), 3);
    let total = &planned["total"];
    assert_eq!(
        (&total["users"], &total["delete"], &total["deleteLater"]),
        (&json!(8), &json!(2), &json!(1))
    );
    assert_eq!(total["calls"]["analytics"], 8, "two pages of four users");
    assert!(
        told.contains("25 conversations") && told.contains("1 to delete"),
        "{told}"
    );
}

/// Both acts are in the log, the newest first.
fn assert_acts(world: &World) {
    let listed = world
        .run(&["acts", "list", "--since", "1h", "--output", "json"])
        .expect(0)
        .output;
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let acts: Vec<_> = listed["acts"].as_array().expect("acts").iter().collect();
    let told: Vec<_> = acts
        .iter()
        .map(|act| [&act["what"], &act["why"], &act["count"]])
        .collect();
    let [one, case, closed] = [json!(1), json!("case 4711"), json!("closed")];
    assert_eq!(
        told,
        [
            [&json!("hold remove"), &closed, &one],
            [&json!("hold add"), &case, &one]
        ]
    );
    for act in acts {
        assert_eq!(act["details"]["users"], json!([world.users[2].id]));
        assert!(
            act["who"].as_str().is_some_and(|who| who.contains('@')) && act["at"].is_string(),
            "{act}"
        );
    }
    let newest = world.run(&["acts", "ls", "--limit", "1"]).expect(0).output;
    assert!(
        newest.contains("hold remove") && !newest.contains("hold add"),
        "{newest}"
    );
}

trial!("the brake on deletions counts over all workers, and deactivations go on", the_brake);

fn the_brake(place: usize) {
    let users = (0..12)
        .map(|number| User::new(place, number, Outcome::Deleted, 4))
        .collect();
    let mut world = World::with_topology(place, users);
    world.set("OFFBOARDER_GUARD_MAX_DELETIONS", "5/1h");
    let workers = [world.start(&["worker"]), world.start(&["worker"])];
    world.publish_all();
    let braked = |worker: &Process| {
        worker
            .errors()
            .matches("the brake on deletions is engaged")
            .count()
    };
    eventually(PATIENCE, || match workers.iter().map(braked).sum() {
        7.. => Ok(()),
        waiting => Err(format!(
            "{waiting} wait for the brake; {}",
            tail(&workers[0].errors())
        )),
    });
    for user in &world.users {
        assert_eq!(
            world.user_now(&user.id)["active"],
            false,
            "access is gone all the same"
        );
    }
    assert_eq!(ledger::count(&world.simulator, "delete_user"), 5);

    // A Redis that lost everything, and then the count alone, lets nobody through.
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL").to_owned();
    for (loss, waited) in [
        (&["FLUSHDB"][..], 14),
        (&["DEL", "offboarder:deletions"][..], 21),
    ] {
        redis::ask(&url, loss);
        world.publish_all();
        eventually(PATIENCE, || {
            match workers.iter().map(braked).sum::<usize>() {
                now if now >= waited => Ok(()),
                now => Err(format!(
                    "{now} of {waited} waits for the brake; {}",
                    tail(&workers[0].errors())
                )),
            }
        });
        assert_eq!(
            ledger::count(&world.simulator, "delete_user"),
            5,
            "after {loss:?}"
        );
    }
    workers.into_iter().for_each(World::drain);
    assert_eq!(world.depth(DEAD), Some(0), "nothing fails");
}
