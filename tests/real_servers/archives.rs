//! Archives that are interrupted, tampered with, or in the way.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::json;
use url::Url;

use crate::support::ledger;
use crate::support::population::{Outcome, PAGE_SIZE, User, deletable};
use crate::support::process::{Process, tail};
use crate::support::proxy::{Proxy, Trick};
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, http, promises, redis, servers, status, throttle, trial};

/// A page is larger than the smallest part, so each is a part.
fn large(place: usize, number: usize) -> User {
    User::new(place, number, Outcome::Deleted, 60).with_large_conversations(1_300_000)
}

fn await_parts(world: &World, worker: &Process, parts: usize) {
    eventually(PATIENCE, || match world.objects().parts() {
        there if there >= parts => Ok(()),
        there => Err(format!("{there} parts; {}", tail(&worker.errors()))),
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

trial!(
    "an archive resumed after a kill is byte for byte that of an undisturbed run, and fetches only the pages of one part twice",
    resumed_byte_for_byte
);

fn resumed_byte_for_byte(place: usize) {
    let flags = ["--latency-analytics", "300ms"];
    let mut world = World::on(servers::shared(), place, vec![large(place, 0)], &flags);
    world.declare();
    world.set("OFFBOARDER_WORKER_LEASE", "1s");
    let id = world.users[0].id.clone();
    let archive = format!("{id}.json");
    let undisturbed = undisturbed_archive(&mut world, &id);
    world.publish_all();

    let worker = world.start(&["worker"]);
    await_parts(&world, &worker, 6);
    kill(worker);
    assert_eq!(world.deletions(), 0, "it was killed in the middle");
    finish(&world);

    assert_eq!(world.objects().sha256(&archive), Some(undisturbed));
    let calls = |operation: &str| ledger::count(&world.simulator, operation);
    let fetched = calls("query_conversations") + calls("next_conversations");
    let pages = 60 / PAGE_SIZE;
    // Before a slow store: a part that is being sent and one that is gathered, a page that waits for
    // it and one that is being fetched. An archive from the start would be six at least.
    assert!(
        (pages..=pages + 4).contains(&fetched),
        "{fetched} pages fetched of {pages}"
    );
    assert_eq!(
        calls("query_conversations"),
        1,
        "it was resumed, not begun again"
    );
    promises::assert_kept(&world, &servers::shared());
}

/// The digest of the archive that an undisturbed run makes below another prefix. After it the user
/// is at the simulator again, as if nothing had happened.
fn undisturbed_archive(world: &mut World, id: &str) -> String {
    let archive = world.setting("OFFBOARDER_ARCHIVE_URL").to_owned();
    let elsewhere = archive.replace("/place-", "/undisturbed-");
    world.set("OFFBOARDER_ARCHIVE_URL", &elsewhere);
    let run = world.json(&["run", id, "--action", "deactivate"], 0);
    assert!(run.to_string().contains("DeactivatedOnly"), "{run}");
    let undisturbed = world.objects().sha256(&format!("{id}.json"));

    world.set("OFFBOARDER_ARCHIVE_URL", &archive);
    redis::forget(world.setting("OFFBOARDER_CHECKPOINTS_URL"));
    world.put_user(id, &world.users[0].record());
    http::request("DELETE", &world.simulator, "/_simulator/ledger", None);
    undisturbed.expect("an archive")
}

trial!(
    "an upload aborted behind our back, and a cursor that expired, begin again and leave no upload",
    begun_again
);

fn begun_again(place: usize) {
    let users = vec![large(place, 0), large(place, 1)];
    let flags = ["--latency-analytics", "200ms"];
    let mut world = World::on(servers::shared(), place, users, &flags);
    world.declare();
    world.set("OFFBOARDER_WORKER_LEASE", "3s");

    // The second user's cursor expires when parts of it are stored.
    world.strike(1, "next_conversations", 6, 1, &status(410));
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
            "begun again, once"
        );
    }
    promises::assert_kept(&world, &servers::shared());
}

trial!(
    "an archive changed or deleted between seal and DELETE stops the DELETE",
    changed_after_the_seal
);

/// Changes the objects once they are sealed. The first DELETEs are throttled for some seconds until then.
fn changed_after_the_seal(place: usize) {
    let mut world = World::with_topology(place, deletable(place, 3, 12));
    for user in 0..3 {
        world.strike(user, "delete_user", 0, 1, &throttle(8));
    }
    let worker = world.start(&["worker"]);
    world.publish_all();
    world.await_sealed(&world.users);

    let archive = |user: usize| format!("{}.json", world.users[user].id);
    world.objects().put(&archive(0), "[]");
    world.objects().delete(&archive(1));
    // All was changed in time.
    world.assert_exist(&[(0, true), (1, true), (2, true)]);

    for dead_letter in world.await_dead_letters(2) {
        let headers = &dead_letter["headers"];
        assert_eq!(headers["x-offboarder-reason"], "archive_conflict");
        assert_eq!(headers["x-offboarder-state"], "Archived");
    }
    world.await_deleted(&world.users[2].id);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    assert_eq!(world.accepted_deletions(), 1);
    world.assert_exist(&[(0, true), (1, true), (2, false)]);
    world.users.drain(..2);
    promises::assert_manifests(&world, &servers::shared());
}

trial!(
    "a foreign object in the archive's place is not touched, and nobody is deleted",
    a_foreign_object
);

fn a_foreign_object(place: usize) {
    let world = World::with_topology(place, deletable(place, 1, 12));
    let key = format!("{}.json", world.users[0].id);
    world.objects().put(&key, "[\n]\n");
    let foreign = world.objects().sha256(&key);
    let worker = world.start(&["worker"]);
    world.publish_all();
    let dead_letters = world.await_dead_letters(1);
    World::drain(worker);

    let headers = &dead_letters[0]["headers"];
    assert_eq!(headers["x-offboarder-reason"], "archive_conflict");
    let error = headers["x-offboarder-error"].as_str().expect("a text");
    assert!(error.contains(&key), "{error}");
    assert!(error.contains("not an archive of ours"), "{error}");
    assert_eq!(world.objects().sha256(&key), foreign, "it is as it was");
    let user = world.user_now(&world.users[0].id);
    assert_eq!(user["exists"], true);
    assert_eq!(user["active"], false);
}

trial!(
    "S3 answers that are lost and parts that arrive damaged leave one archive, and the right one",
    a_bad_network
);

/// Every kind of write is applied once without an answer, and one part arrives with a bit flipped.
fn a_bad_network(place: usize) {
    let mut users: Vec<User> = (0..4).map(|number| large(place, number)).collect();
    users.push(User::new(place, 4, Outcome::Deleted, 4));
    let world = World::with_topology(place, users);
    let endpoint = Url::parse(world.setting("AWS_ENDPOINT_URL_S3")).expect("a URL");
    let port = endpoint.port().expect("a port");
    let proxy = Proxy::start((Ipv4Addr::LOCALHOST, port).into());

    let request = |method: &str, user: usize, rest: &str| {
        let id = &world.users[user].id;
        format!("{method} /cxone-audit-archives/place-{place}/{id}{rest}")
    };
    for trick in [
        Trick::lose_answer(&request("PUT", 0, "_sealed.json")),
        Trick::lose_answer(&request("PUT", 1, "_audit.json")),
        Trick::lose_answer(&request("POST", 2, ".json?uploadId=")),
        Trick::lose_answer(&request("POST", 1, ".json?uploads")),
        Trick::flip_bit(&request("PUT", 3, ".json?")),
        Trick::lose_answer(&request("PUT", 4, ".json")),
    ] {
        proxy.play(&trick);
    }
    let behind = format!("http://127.0.0.1:{}", proxy.port);
    let behind = ("AWS_ENDPOINT_URL_S3".to_owned(), behind);
    let worker = world.start_with(&["worker"], &[behind]);
    world.publish_all();
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    assert!(
        proxy.unplayed().is_empty(),
        "not played: {:?}",
        proxy.unplayed()
    );
    promises::assert_kept(&world, &servers::shared());
}
