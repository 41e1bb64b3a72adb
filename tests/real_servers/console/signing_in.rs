//! Signing in to the console, and how long it holds.

use super::{get, page, post, sign_in, with_ada};
use crate::admin_api::put_behind_proxy;
use crate::support::http::exchange;
use crate::support::process::Process;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, trial};

trial!(
    "a person signs in to the console on one worker, is known on another, and is gone with the entry in the people file",
    signing_in
);

fn signing_in(place: usize) {
    let (world, key) = with_ada(place);
    let bob = world.add_person("bob", "reader");
    let workers = [world.start(&["worker"]), world.start(&["worker"])];
    let admin = workers[0].admin();
    let nobody = get(&admin, "/workers?x=1", &[]);
    nobody.expect_status(303);
    assert_eq!(
        nobody.header("location").as_deref(),
        Some("/sign-in?to=%2Fworkers%3Fx%3D1")
    );
    get(&admin, "/_/workers", &[]).expect_status(401);
    assert!(page(&admin, "/sign-in").contains("name=\"key\""));

    for (name, given) in [("ada", bob.as_str()), ("eve", &key)] {
        let form = [("name", name), ("key", given)];
        let wrong = post(&admin, "/sign-in", "", &form);
        wrong.expect_status(401);
        assert!(
            wrong
                .text()
                .contains("This name and key do not go together.")
        );
        assert!(!wrong.text().contains(given));
    }
    let foreign = exchange(
        "POST",
        &admin,
        "/sign-in",
        &[
            ("Origin", "http://evil.example"),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ],
        format!("name=ada&key={key}").as_bytes(),
    );
    foreign.expect_status(403);
    assert!(foreign.header("set-cookie").is_none());

    assert_removed_person_is_gone(&world, &workers, &bob);
    assert_signed_out(&admin, &key);
    for worker in workers {
        assert!(!worker.errors().contains(&key), "{}", worker.errors());
        World::drain(worker);
    }
}

/// Another worker knows the session, the API does not, and without the entry in the file there is none.
fn assert_removed_person_is_gone(world: &World, workers: &[Process], key: &str) {
    let admin = workers[0].admin();
    let cookie = sign_in(&admin, "bob", key);
    for worker in workers {
        let shown = get(&worker.admin(), "/workers", &[("Cookie", &cookie)]);
        shown.expect_status(200);
        assert!(shown.text().contains("bob (reader)"), "{}", shown.text());
    }
    // A cookie opens pages, and not the API.
    get(&admin, "/api/v1/me", &[("Cookie", &cookie)]).expect_status(401);

    world
        .run(&["people", "remove", "bob", "--why", "left"])
        .expect(0);
    eventually(PATIENCE, || {
        let gone = get(&admin, "/workers", &[("Cookie", &cookie)]);
        if gone.status == 303 {
            Ok(())
        } else {
            Err(gone.text())
        }
    });
}

fn assert_signed_out(admin: &str, key: &str) {
    let cookie = sign_in(admin, "ada", key);
    let foreign = exchange(
        "POST",
        admin,
        "/sign-out",
        &[("Cookie", &cookie), ("Sec-Fetch-Site", "cross-site")],
        b"",
    );
    foreign.expect_status(403);
    get(admin, "/workers", &[("Cookie", &cookie)]).expect_status(200);
    post(admin, "/sign-out", &cookie, &[]).expect_status(303);
    get(admin, "/workers", &[("Cookie", &cookie)]).expect_status(303);
}

trial!(
    "while Redis is away a person signs in to one worker of the console for a short time, and pages say what is not known",
    without_redis
);

fn without_redis(place: usize) {
    let (mut world, key) = with_ada(place);
    let proxy = put_behind_proxy(&mut world, "OFFBOARDER_CHECKPOINTS_URL");
    let worker = world.start(&["worker"]);
    let admin = worker.admin();
    worker.await_ready();
    let before = sign_in(&admin, "ada", &key);
    drop(proxy);

    let unknown = get(&admin, "/workers", &[("Cookie", &before)]);
    unknown.expect_status(503);
    assert!(
        unknown.text().contains("it is not known who you are"),
        "{}",
        unknown.text()
    );
    let cookie = sign_in(&admin, "ada", &key);
    assert!(cookie.contains("=w."), "it is of this worker");
    let shown = get(&admin, "/workers", &[("Cookie", &cookie)]);
    shown.expect_status(200);
    for expected in [
        "Not known",
        "checkpoints_unreachable",
        "you may read and pause",
    ] {
        assert!(
            shown.text().contains(expected),
            "{expected}: {}",
            shown.text()
        );
    }
    assert!(!shown.text().contains("None."), "{}", shown.text());
    let other = cookie.replace("=w.", "=w.x");
    get(&admin, "/workers", &[("Cookie", &other)]).expect_status(303);
    World::drain(worker);
}

trial!(
    "beyond loopback the console is there only at the origin that the settings name, with a cookie for HTTPS",
    beyond_loopback
);

fn beyond_loopback(place: usize) {
    let (mut world, key) = with_ada(place);
    world.set("OFFBOARDER_ADMIN_LISTEN", "0.0.0.0:0");
    let worker = world.start(&["worker"]);
    let admin = worker.admin().replace("0.0.0.0", "127.0.0.1");
    let closed = get(&admin, "/sign-in", &[]);
    closed.expect_status(403);
    assert!(
        closed.text().contains("OFFBOARDER_ADMIN_ORIGIN"),
        "{}",
        closed.text()
    );
    let form = [("name", "ada"), ("key", key.as_str())];
    post(&admin, "/sign-in", "", &form).expect_status(403);
    World::drain(worker);

    world.set("OFFBOARDER_ADMIN_ORIGIN", "https://console.example");
    let worker = world.start(&["worker"]);
    let admin = worker.admin().replace("0.0.0.0", "127.0.0.1");
    let body = format!("name=ada&key={key}");
    let ask = |host: &str, origin: &str| {
        let headers = [
            ("Host", host),
            ("Origin", origin),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        exchange("POST", &admin, "/sign-in", &headers, body.as_bytes())
    };
    let signed_in = ask("console.example", "https://console.example");
    signed_in.expect_status(303);
    let cookie = signed_in.header("set-cookie").expect("a cookie");
    assert!(
        cookie.starts_with("__Host-offboarder=") && cookie.contains("Secure"),
        "{cookie}"
    );
    assert!(signed_in.header("strict-transport-security").is_some());
    ask("evil.example", "https://console.example").expect_status(403);
    ask("console.example", "https://evil.example").expect_status(403);
    World::drain(worker);
}
