//! Archives that are interrupted, tampered with, or in the way.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::ledger;
use crate::support::population::{Outcome, PAGE_SIZE, User};
use crate::support::process::{Process, tail};
use crate::support::proxy::{Proxy, Trick};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, promises, servers, trial};

/// A page is larger than the smallest part, so each is a part.
fn large(place: usize, number: usize) -> User {
    User::new(place, number, Outcome::Deleted, 60).with_large_conversations(1_300_000)
}

fn await_parts(world: &World, worker: &Process, parts: usize) {
    eventually(PATIENCE, || {
        match world.objects().parts() {
            there if there >= parts => Ok(()),
            there => Err(format!("{there} parts; {}", tail(&worker.errors()))),
        }
    });
}

fn kill(mut worker: Process) {
    worker.signal("KILL");
    worker.end(Duration::from_secs(10));
}

fn finish(world: &World) {
    let worker = world.start(&["worker"]);
    promises::await_quiet(world, PATIENCE);
    World::drain(worker);
}

trial!("an archive resumed after a kill is byte for byte that of a run in peace, and fetches no page twice but a part's", resumed_byte_for_byte);

fn resumed_byte_for_byte(place: usize) {
    let flags = ["--latency-analytics", "300ms"];
    let mut world = World::on(servers::shared(), place, vec![large(place, 0)], &flags);
    world.declare();
    world.set("OFFBOARDER_WORKER_LEASE", "1s");
    let id = world.users[0].id.clone();

    let bucket = world.setting("OFFBOARDER_ARCHIVE_URL").to_owned();
    world.set(
        "OFFBOARDER_ARCHIVE_URL",
        &bucket.replace("/place-", "/in-peace-"),
    );
    let in_peace = world
        .run(&["run", &id, "--action", "deactivate", "--output", "json"])
        .expect(0);
    assert!(
        in_peace.output.contains("DeactivatedOnly"),
        "{}",
        in_peace.output
    );
    let undisturbed = world.objects().sha256(&format!("{id}.json"));
    assert!(undisturbed.is_some());
    world.set("OFFBOARDER_ARCHIVE_URL", &bucket);
    crate::support::redis::forget(world.setting("OFFBOARDER_CHECKPOINTS_URL"));
    http::request(
        "PUT",
        &world.simulator,
        &format!("/_simulator/users/{id}"),
        Some(&world.users[0].record()),
    );
    http::request("DELETE", &world.simulator, "/_simulator/ledger", None);

    let worker = world.start(&["worker"]);
    world.publish_all();
    await_parts(&world, &worker, 6);
    kill(worker);
    assert_eq!(
        ledger::count(&world.simulator, "delete_user"),
        0,
        "it was killed in the midst"
    );
    finish(&world);
    assert_eq!(
        world.objects().sha256(&format!("{id}.json")),
        undisturbed
    );
    let fetched = ledger::count(&world.simulator, "query_conversations")
        + ledger::count(&world.simulator, "next_conversations");
    let pages = 60 / PAGE_SIZE;
    // Before a slow store: a part that is on its way and one that is gathered, a page that waits for it
    // and one that is being fetched. Begun anew it would be six at least.
    assert!(
        (pages..=pages + 4).contains(&fetched),
        "{fetched} pages fetched of {pages}"
    );
    assert_eq!(
        ledger::count(&world.simulator, "query_conversations"),
        1,
        "it was resumed, not begun anew"
    );
    promises::assert_kept(&world, &servers::shared());
}

trial!("an upload aborted behind our back, and a cursor that expired, begin anew and leave no upload", begun_anew);

fn begun_anew(place: usize) {
    let users = vec![large(place, 0), large(place, 1)];
    let mut world = World::on(
        servers::shared(),
        place,
        users,
        &["--latency-analytics", "200ms"],
    );
    world.declare();
    world.set("OFFBOARDER_WORKER_LEASE", "1s");
    // The second user's cursor expires when parts of it are stored.
    world.strike(
        1,
        "next_conversations",
        6,
        1,
        &json!({ "kind": "status", "status": 410 }),
    );
    let worker = world.start(&["worker"]);
    world.publish(&[json!({ "body": world.users[0].id })]);
    await_parts(&world, &worker, 2);
    kill(worker);
    assert_eq!(world.objects().abort_uploads(), 1);
    world.publish(&[json!({ "body": world.users[1].id })]);
    finish(&world);
    for user in &world.users {
        assert_eq!(
            ledger::queries_of(&world.simulator, &user.id),
            2,
            "begun anew, once"
        );
    }
    promises::assert_kept(&world, &servers::shared());
}

trial!("an archive changed or deleted between seal and DELETE stops the DELETE", changed_after_the_seal);

/// Waits until the seals stand. The calls before the DELETEs are throttled for some seconds meanwhile.
fn changed_after_the_seal(place: usize) {
    let users = (0..3)
        .map(|number| User::new(place, number, Outcome::Deleted, 12))
        .collect();
    let mut world = World::with_topology(place, users);
    let throttled = json!({ "kind": "status", "status": 429, "headers": { "Retry-After": "8" } });
    for user in 0..3 {
        // The first of these calls is the very first of the user, the next comes before the DELETE.
        world.strike(user, "get_user", 1, 1, &throttled);
    }
    let worker = world.start(&["worker"]);
    world.publish_all();
    let archive = |user: usize| format!("{}.json", world.users[user].id);
    eventually(PATIENCE, || {
        let stands = |user: usize| {
            let key = format!("{}_sealed.json", world.users[user].id);
            world.objects().exists(&key)
        };
        if (0..3).all(stands) {
            Ok(())
        } else {
            Err(tail(&worker.errors()))
        }
    });
    world.objects().put(&archive(0), "[]");
    world.objects().delete(&archive(1));
    let deletions = || ledger::count(&world.simulator, "delete_user");
    assert_eq!(deletions(), 0, "all was changed in time");
    let letters = eventually(PATIENCE, || match world.dead_letters() {
        letters if letters.len() == 2 => Ok(letters),
        letters => Err(format!(
            "{} dead letters; {}",
            letters.len(),
            tail(&worker.errors())
        )),
    });
    for letter in letters {
        assert_eq!(
            letter["headers"]["x-offboarder-reason"], "archive_conflict",
            "{letter:#}"
        );
        assert_eq!(letter["headers"]["x-offboarder-state"], "Archived");
    }
    eventually(PATIENCE, || {
        if deletions() == 1 {
            Ok(())
        } else {
            Err(tail(&worker.errors()))
        }
    });
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    for (user, exists) in [(0, true), (1, true), (2, false)] {
        assert_eq!(
            world.user_now(&world.users[user].id)["exists"],
            exists,
            "user {user}"
        );
    }
    world.users.drain(..2);
    promises::assert_manifests(&world, &servers::shared());
}

trial!("a foreign object in the archive's place is left alone, and nobody is deleted", a_foreign_object);

fn a_foreign_object(place: usize) {
    let world = World::with_topology(place, vec![User::new(place, 0, Outcome::Deleted, 12)]);
    let key = format!("{}.json", world.users[0].id);
    world.objects().put(&key, "[\n]\n");
    let foreign = world.objects().sha256(&key);
    let worker = world.start(&["worker"]);
    world.publish_all();
    let letters = eventually(PATIENCE, || match world.dead_letters() {
        letters if letters.is_empty() => Err(tail(&worker.errors())),
        letters => Ok(letters),
    });
    World::drain(worker);
    assert_eq!(
        letters[0]["headers"]["x-offboarder-reason"],
        "archive_conflict"
    );
    let error = letters[0]["headers"]["x-offboarder-error"]
        .as_str()
        .expect("a text");
    assert!(
        error.contains(&key) && error.contains("no archive of ours"),
        "{error}"
    );
    assert_eq!(
        world.objects().sha256(&key),
        foreign,
        "it is as it was"
    );
    let user = world.user_now(&world.users[0].id);
    assert_eq!(
        (&user["exists"], &user["active"]),
        (&Value::Bool(true), &Value::Bool(false))
    );
}

trial!("S3 answers that are lost and parts that arrive damaged leave one archive, and the right one", a_bad_network);

/// Every kind of write is applied once without an answer, and one part arrives with a bit flipped.
fn a_bad_network(place: usize) {
    let users = (0..4)
        .map(|number| large(place, number))
        .chain([User::new(place, 4, Outcome::Deleted, 4)])
        .collect();
    let world = World::with_topology(place, users);
    let (_, port) = world
        .setting("AWS_ENDPOINT_URL_S3")
        .rsplit_once(':')
        .expect("a port");
    let port: u16 = port.trim_end_matches('/').parse().expect("a port");
    let proxy = Proxy::start((std::net::Ipv4Addr::LOCALHOST, port).into());
    let behind = (
        "AWS_ENDPOINT_URL_S3".to_owned(),
        format!("http://127.0.0.1:{}", proxy.port),
    );
    let id = |user: usize| world.users[user].id.clone();
    let tricks = [
        Trick::lose_answer(&format!(
            "PUT /cxone-audit-archives/place-{place}/{}_sealed.json",
            id(0)
        )),
        Trick::lose_answer(&format!(
            "PUT /cxone-audit-archives/place-{place}/{}_audit.json",
            id(1)
        )),
        Trick::lose_answer(&format!(
            "POST /cxone-audit-archives/place-{place}/{}.json?uploadId=",
            id(2)
        )),
        Trick::lose_answer(&format!(
            "POST /cxone-audit-archives/place-{place}/{}.json?uploads",
            id(1)
        )),
        Trick::flip_bit(&format!(
            "PUT /cxone-audit-archives/place-{place}/{}.json?",
            id(3)
        )),
        Trick::lose_answer(&format!(
            "PUT /cxone-audit-archives/place-{place}/{}.json",
            id(4)
        )),
    ];
    for trick in &tricks {
        proxy.play(trick);
    }
    let worker = world.start_with(&["worker"], &[behind]);
    world.publish_all();
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    assert_eq!(
        proxy.unplayed(),
        Vec::<String>::new(),
        "every trick was played"
    );
    promises::assert_kept(&world, &servers::shared());
}
