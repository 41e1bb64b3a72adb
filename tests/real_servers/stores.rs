//! An S3 that answers, and does not do what it is asked for.

use serde_json::{Value, json};

use crate::support::population::deletable;
use crate::support::process::tail;
use crate::support::s3_proxy::{Damage, S3Proxy};
use crate::support::world::{PATIENCE, World};
use crate::support::{ledger, list, promises, redis, servers, status, throttle, trial};

/// One failure that spends an attempt would be a dead letter.
fn world(place: usize, count: usize, attempts: u32) -> (World, S3Proxy) {
    let mut world = World::with_topology(place, deletable(place, count, 4));
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", &attempts.to_string());
    let proxy = S3Proxy::before(&mut world);
    (world, proxy)
}

trial!(
    "an S3 that asks to slow down is obeyed, and spends no attempt",
    slow_down
);

/// More often than the client library tries by itself, at each kind of request. A HEAD has no body
/// to say it in.
fn slow_down(place: usize) {
    let (world, proxy) = world(place, 5, 1);
    let id = |user: usize| &world.users[user].id;
    for (method, text) in [
        ("PUT", format!("/{}.json", id(0))),
        ("HEAD", format!("/{}.json", id(1))),
        ("PUT", format!("/{}_sealed.json", id(2))),
        ("PUT", format!("/{}_audit.json", id(3))),
        ("GET", format!("prefix=place-{place}%2F{}", id(4))),
    ] {
        proxy.refuse_times(4, method, &text, 503, "SlowDown");
    }

    let worker = world.start(&["worker"]);
    world.publish_all();
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    assert_eq!(
        proxy.unspent(),
        Vec::<String>::new(),
        "every kind of request was refused"
    );
    promises::assert_kept(&world, &servers::shared());
}

trial!(
    "a bucket that is denied or missing stops the work, spends no attempt, and the work continues by itself",
    denied_and_missing
);

fn denied_and_missing(place: usize) {
    let (world, proxy) = world(place, 36, 1);
    let worker = world.start(&["worker"]);
    let faults = [
        ("*", 403, "AccessDenied", "does not let us"),
        ("*", 404, "NoSuchBucket", "no such bucket"),
        // An answer to a HEAD could not say why.
        (
            "PUT",
            403,
            "RequestTimeTooSkewed",
            "the clock of this machine is wrong",
        ),
    ];
    for (batch, (method, status, code, cause)) in world.users.chunks(12).zip(faults) {
        let before = ledger::count(&world.simulator, "put_scim_user");
        let (at_work, to_come) = batch.split_at(6);
        world.publish_users(at_work);
        world.await_calls("put_scim_user", before + 1);
        proxy.refuse(method, "", status, code);
        world.publish_users(to_come);
        worker.await_not_ready(cause);
        proxy.stop_refusing();
        worker.await_ready();
    }

    promises::await_quiet(&world, PATIENCE);
    // Deliveries were in flight while the intake was paused and resumed.
    assert!(
        !worker.errors().contains("the intake broke"),
        "the broker was not the one at fault"
    );

    World::drain(worker);
    assert!(
        proxy.refused() > 1,
        "{} requests were refused",
        proxy.refused()
    );
    promises::assert_kept(&world, &servers::shared());
}

trial!(
    "a bucket that is gone between seal and DELETE contradicts nobody's archive, and the work continues by itself",
    missing_before_the_delete
);

/// The evidence is sealed, and the first DELETE is throttled for some seconds. S3 answers
/// 404 for an object of a bucket that is gone, as it does for an object that is gone.
fn missing_before_the_delete(place: usize) {
    let (world, proxy) = world(place, 1, 1);
    world.strike(0, "delete_user", 0, 1, &throttle(12));
    let worker = world.start(&["worker"]);
    world.publish_all();
    world.await_sealed(&world.users);
    proxy.refuse("*", "", 404, "NoSuchBucket");
    worker.await_not_ready("no such bucket");
    world.assert_exist(&[(0, true)]);
    proxy.stop_refusing();
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
}

trial!(
    "objects of one user that cannot be read concern only that user",
    unreadable_objects
);

/// For a while, and for good.
fn unreadable_objects(place: usize) {
    let (mut world, proxy) = world(place, 4, 2);
    let archive = |user: usize| format!("/{}.json", world.users[user].id);
    proxy.refuse_times(4, "HEAD", &archive(0), 500, "InternalError");
    proxy.refuse("HEAD", &archive(1), 500, "InternalError");
    let worker = world.start(&["worker"]);
    world.publish_all();
    let dead_letters = world.await_dead_letters(1);
    promises::await_quiet(&world, PATIENCE);
    worker.await_ready();
    World::drain(worker);
    assert_eq!(proxy.unspent(), Vec::<String>::new());

    let unreadable = world.users.remove(1);
    assert_eq!(dead_letters[0]["body"], unreadable.id, "{dead_letters:#?}");
    let headers = &dead_letters[0]["headers"];
    assert_eq!(headers["x-offboarder-reason"], "retries_exhausted");

    let error = headers["x-offboarder-error"].as_str().expect("a text");
    assert!(
        error.contains("S3 answered 500") && error.contains(&unreadable.id),
        "{error}"
    );
    assert_eq!(world.user_now(&unreadable.id)["exists"], true);
    world.await_dead_letters(1);
    promises::assert_manifests(&world, &servers::shared());
}

trial!(
    "an S3 that ignores checksums and keeps zeros, or other bytes, deletes nobody whose archive is not what was sent",
    other_bytes
);

/// It takes what it should refuse, so that its answer proves nothing. One object stays undamaged: its
/// user shows that reading back is no obstacle.
fn other_bytes(place: usize) {
    let (mut world, proxy) = world(place, 3, 3);
    // It is there, because it was taken once.
    proxy.refuse(
        "PUT",
        "/_offboarder_probe_checksum",
        412,
        "PreconditionFailed",
    );
    let damages = [Damage::Zeros, Damage::FlippedBit, Damage::None];
    for (user, damage) in world.users.iter().zip(damages) {
        proxy.damage(&format!("/{}.json", user.id), damage);
    }
    let worker = world.start(&["worker"]);
    world.publish_all();
    let dead_letters = world.await_dead_letters(2);
    promises::await_quiet(&world, PATIENCE);
    assert!(
        worker.errors().contains("does not refuse wrong checksums"),
        "{}",
        tail(&worker.errors())
    );

    World::drain(worker);
    for dead_letter in &dead_letters {
        assert_eq!(
            dead_letter["headers"]["x-offboarder-reason"], "archive_conflict",
            "{dead_letter:#}"
        );
    }
    world.assert_exist(&[(0, true), (1, true), (2, false)]);

    world.users.drain(..2);
    promises::assert_manifests(&world, &servers::shared());
}

trial!(
    "a checkpoint with an interval of a millisecond deletes nobody before the whole history is archived",
    forged_interval
);

/// Both are dead letters in `Deactivated` when an intruder writes into Redis: one gets two dates a
/// millisecond apart, the other a year that was over long ago, with a time for the end of access that
/// fits.
fn forged_interval(place: usize) {
    let world = World::with_topology(place, deletable(place, 2, 4));
    for user in 0..2 {
        world.strike(user, "query_conversations", 0, 1, &status(400));
    }
    let worker = world.start(&["worker"]);
    world.publish_all();
    world.await_dead_letters(2);
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL");
    let intervals = [
        ("2026-11-27T00:00:00Z", "2026-11-27T00:00:00.001Z"),
        ("2019-11-28T00:00:00Z", "2020-11-27T00:00:00Z"),
    ];
    for (user, (from, to)) in world.users.iter().zip(intervals) {
        let body = redis::body(url, &user.id).expect("a checkpoint");
        let mut forged: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(forged["state"]["name"], "Deactivated", "{forged:#}");
        forged["step"]["archive"] = json!({ "dateFrom": from, "dateTo": to });
        forged["state"]["access"]["at"] = json!(to);
        redis::set_body(url, &user.id, &forged.to_string());
    }

    world.publish_all();
    world.await_calls("delete_user", 2);
    promises::await_quiet(&world, PATIENCE);
    assert!(
        worker.errors().contains("it begins again"),
        "{}",
        tail(&worker.errors())
    );

    World::drain(worker);
    for user in &world.users {
        let text = world.objects().text(&format!("{}_audit.json", user.id));
        let manifest: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(manifest["archive"]["conversations"], 4, "{manifest:#}");
    }
    promises::assert_manifests(&world, &servers::shared());
}

trial!(
    "a store without versions off-boards, verify and doctor say what they could not read, and one that hides versions is refused",
    no_versions
);

fn no_versions(place: usize) {
    let (mut world, proxy) = world(place, 2, 3);
    proxy.refuse("GET", "versions", 501, "NotImplemented");
    // The bucket of the trials does keep versions.
    let doctor = world.run(&["doctor"]).expect(1).output;
    let says = "keeps versions and does not list them";
    assert!(doctor.contains(says), "{doctor}");
    proxy.refuse("GET", "versioning", 403, "AccessDenied");
    let doctor = world.run(&["doctor"]).expect(1).output;
    assert!(doctor.contains("s3:GetBucketVersioning"), "{doctor}");
    proxy.stop_refusing();
    for question in ["versions", "versioning"] {
        proxy.refuse("GET", question, 501, "NotImplemented");
    }
    // Its answers name versions all the same.
    let doctor = world.run(&["doctor"]).expect(1).output;
    assert!(doctor.contains(says), "{doctor}");
    proxy.stop_refusing();

    world.set("OFFBOARDER_ARCHIVE_URL", &format!("s3://plain-{place}/"));
    world.objects().make_bucket();
    proxy.refuse("GET", "versions", 501, "NotImplemented");
    proxy.refuse("GET", "versioning", 501, "NotImplemented");
    let worker = world.start(&["worker"]);
    world.publish_all();
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    assert!(proxy.refused() > 0, "versions were asked for");

    let limit = "does not list versions";
    let unlooked = |report: &Value| report["cannotFind"].to_string().contains(limit);
    let report = world.json(&["verify", "--all"], 0);
    assert!(unlooked(&report), "{report:#}");
    for user in list(&report["users"]) {
        assert_eq!(user["olderVersions"], false, "{user:#}");
    }
    let findings = world.json(&["doctor"], 0);
    let is_named = |finding: &Value| {
        let detail = finding["detail"].as_str().unwrap_or_default();
        finding["check"] == "archive versions"
            && finding["warning"] == true
            && detail.contains(limit)
    };
    assert!(
        list(&findings["findings"]).iter().any(is_named),
        "{findings:#}"
    );

    // What the store returns now is checked all the same, also the version that the manifest names.
    world
        .objects()
        .flip_bit(&format!("{}.json", world.users[0].id));
    let report = world.json(&["verify", "--all"], 1);
    let found = list(&report["users"])
        .iter()
        .flat_map(|user| list(&user["findings"]));
    let kinds: Vec<&Value> = found.map(|finding| &finding["kind"]).collect();
    assert_eq!(kinds, ["archive_changed"], "{report:#}");
    proxy.stop_refusing();
    let report = world.json(&["verify", "--all"], 1);
    assert!(!unlooked(&report), "{report:#}");
    for user in list(&report["users"]) {
        assert_eq!(user["olderVersions"], true, "{user:#}");
    }
}
