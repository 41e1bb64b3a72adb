//! What the API does wrong, and what becomes of it.

use serde_json::{Value, json};

use crate::support::ledger::{self, Repetition};
use crate::support::population::{Outcome, User};
use crate::support::world::World;
use crate::support::{manifests, trial};

fn world(place: usize, users: Vec<User>) -> World {
    let mut world = World::new(place, users);
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
    world
}

fn strike(world: &World, user: usize, operation: &str, times: u32, fault: &Value) {
    world.strike(user, operation, 0, times, fault);
}

fn run(world: &World) -> crate::support::world::Ended {
    let ids: Vec<&str> = world.users.iter().map(|user| user.id.as_str()).collect();
    world.run(&[&["run", "--output", "json"], ids.as_slice()].concat())
}

trial!("faults of the API that pass leave every user right, once", passing_faults);

fn passing_faults(place: usize) {
    let fates = [
        Outcome::Refused(403),
        Outcome::Refused(422),
        Outcome::Deleted,
        Outcome::Deleted,
        Outcome::Deleted,
        Outcome::Deleted,
        Outcome::Deleted,
        Outcome::Deleted,
    ];
    let users = fates
        .into_iter()
        .enumerate()
        .map(|(number, outcome)| User::new(place, number, outcome, 12));
    let world = world(place, users.collect());
    let lost = json!({ "kind": "lost_reply" });
    for write in ["patch_routing_profile", "put_scim_user", "delete_user"] {
        strike(&world, 2, write, 1, &lost);
    }
    strike(
        &world,
        3,
        "put_scim_user",
        2,
        &json!({ "kind": "conflict" }),
    );
    strike(
        &world,
        3,
        "get_user",
        1,
        &json!({ "kind": "status", "status": 503 }),
    );
    strike(
        &world,
        4,
        "next_conversations",
        1,
        &json!({ "kind": "status", "status": 410 }),
    );
    strike(
        &world,
        5,
        "query_conversations",
        1,
        &json!({ "kind": "truncate" }),
    );
    let throttled = json!({ "kind": "status", "status": 429, "headers": { "Retry-After": "1" } });
    strike(&world, 5, "next_conversations", 1, &throttled);
    strike(
        &world,
        6,
        "next_conversations",
        1,
        &json!({ "kind": "empty_page" }),
    );
    strike(
        &world,
        7,
        "get_scim_user",
        1,
        &json!({ "kind": "revoke_token" }),
    );

    run(&world).expect(0);
    let archive = world.setting("OFFBOARDER_ARCHIVE_URL");
    manifests::assert_true(
        &world.simulator,
        archive,
        &world.users,
        std::time::Duration::ZERO,
    );
    ledger::assert_histories(&world.simulator, &world.users, Repetition::AfterCrash);
}

trial!("a next page elsewhere is refused, sees no request, and stops the deletion", a_foreign_next_page);

fn a_foreign_next_page(place: usize) {
    let world = world(place, vec![User::new(place, 0, Outcome::Deleted, 12)]);
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    elsewhere
        .set_nonblocking(true)
        .expect("a listener that does not block");
    let port = elsewhere.local_addr().expect("an address").port();
    let uri = format!("http://127.0.0.1:{port}/api/v2/conversations/details/query?cursor=x");
    strike(
        &world,
        0,
        "query_conversations",
        1,
        &json!({ "kind": "next_page", "uri": uri }),
    );

    // Every user with a second page would meet it.
    let ended = run(&world).expect(3);
    assert!(
        ended
            .errors
            .contains(&format!("another origin, http://127.0.0.1:{port}, than")),
        "{}",
        ended.errors
    );
    assert!(
        elsewhere.accept().is_err(),
        "somebody connected to the foreign origin"
    );
    assert_eq!(ledger::count(&world.simulator, "delete_user"), 0);
    assert_eq!(world.user_now(&world.users[0].id)["active"], false);
}

trial!("what is plain on loopback goes through no proxy", no_proxy);

/// Secret and tokens would go there in clear.
fn no_proxy(place: usize) {
    let mut world = world(place, vec![User::new(place, 0, Outcome::Deleted, 4)]);
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    proxy
        .set_nonblocking(true)
        .expect("a listener that does not block");
    let uri = format!("http://{}", proxy.local_addr().expect("an address"));
    for name in [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ] {
        world.set(name, &uri);
    }
    world.set("no_proxy", "");
    world.set("NO_PROXY", "");
    run(&world).expect(0);
    assert!(proxy.accept().is_err(), "somebody connected to the proxy");
    assert_eq!(world.user_now(&world.users[0].id)["exists"], false);
}

trial!("answers that are HTML, a compressed bomb or endless are bounded, and stop no other user", hostile_answers);

fn hostile_answers(place: usize) {
    let world = world(
        place,
        (0..5)
            .map(|number| User::new(place, number, Outcome::Deleted, 12))
            .collect(),
    );
    for (user, operation, kind) in [
        (0, "get_scim_user", "html"),
        (1, "get_routing_profile", "gzip_bomb"),
        (2, "next_conversations", "html"),
        (3, "query_conversations", "gzip_bomb"),
        (4, "query_conversations", "endless"),
    ] {
        strike(&world, user, operation, 1, &json!({ "kind": kind }));
    }
    let begun = std::time::Instant::now();
    let answer: Value = serde_json::from_str(&run(&world).expect(1).output).expect("JSON");
    assert!(
        begun.elapsed() < std::time::Duration::from_mins(1),
        "bounded in time: {:?}",
        begun.elapsed()
    );
    for (user, result) in ["finished", "finished", "finished", "finished", "failed"]
        .into_iter()
        .enumerate()
    {
        assert_eq!(answer["users"][user]["result"], result, "{answer:#}");
    }
    assert_eq!(answer["users"][4]["reason"], "api_rejected");
    assert_eq!(world.user_now(&world.users[4].id)["exists"], true);
}

trial!("a redirect is never followed, and stops the work", a_redirect);

fn a_redirect(place: usize) {
    let world = world(place, vec![User::new(place, 0, Outcome::Deleted, 12)]);
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    elsewhere
        .set_nonblocking(true)
        .expect("a listener that does not block");
    let location = format!(
        "http://127.0.0.1:{}/stolen",
        elsewhere.local_addr().expect("an address").port()
    );
    strike(
        &world,
        0,
        "get_scim_user",
        1,
        &json!({ "kind": "redirect", "location": location }),
    );
    let ended = run(&world).expect(3);
    assert!(
        ended.errors.contains("a redirect, which is never followed"),
        "{}",
        ended.errors
    );
    assert!(
        elsewhere.accept().is_err(),
        "somebody followed the redirect"
    );
}

trial!("a cursor that leads in a circle is refused, and stops the deletion", a_circle);

/// The second page leads to itself.
fn a_circle(place: usize) {
    let world = world(
        place,
        (0..2)
            .map(|number| User::new(place, number, Outcome::Deleted, 12))
            .collect(),
    );
    strike(
        &world,
        0,
        "next_conversations",
        1000,
        &json!({ "kind": "same_page" }),
    );
    let answer: Value = serde_json::from_str(&run(&world).expect(1).output).expect("JSON");
    assert_eq!(answer["users"][0]["reason"], "api_rejected", "{answer:#}");
    let why = answer["users"][0]["detail"].as_str().expect("a text");
    assert!(why.contains("the conversations do not end"), "{why}");
    assert_eq!(answer["users"][1]["result"], "finished", "{answer:#}");
    let (straight, round) = (3, 3);
    let fetched = ledger::count(&world.simulator, "query_conversations")
        + ledger::count(&world.simulator, "next_conversations");
    assert!(fetched <= straight + round, "{fetched} pages were fetched");
    let user = world.user_now(&world.users[0].id);
    assert_eq!(
        (&user["exists"], &user["active"]),
        (&Value::Bool(true), &Value::Bool(false))
    );
    assert!(
        !std::path::Path::new(&archive_file(&world, 0)).exists(),
        "half an archive is none"
    );
}

fn archive_file(world: &World, user: usize) -> String {
    let directory = world
        .setting("OFFBOARDER_ARCHIVE_URL")
        .trim_start_matches("file:");
    format!("{directory}/{}.json", world.users[user].id)
}

trial!("an answer that comes in drips is given up in time, and stops no other user", a_drip);

/// A byte a second never lets a connection fall silent: the time that the whole call may take ends it.
fn a_drip(place: usize) {
    let world = world(
        place,
        (0..4)
            .map(|number| User::new(place, number, Outcome::Deleted, 12))
            .collect(),
    );
    strike(
        &world,
        0,
        "get_scim_user",
        1,
        &json!({ "kind": "drip", "bytesPerSecond": 1 }),
    );
    let begun = std::time::Instant::now();
    run(&world).expect(0);
    let taken = begun.elapsed();
    assert!(
        taken < std::time::Duration::from_mins(2),
        "bounded in time: {taken:?}"
    );
    let calls = ledger::calls(&world.simulator);
    let of = |user: usize, operation: &str| {
        let id = &world.users[user].id;
        calls
            .iter()
            .filter(|call| call.operation == operation && call.user() == Some(id.as_str()))
            .map(|call| call.seq)
            .collect::<Vec<_>>()
    };
    // Read once in drips, again after that was given up, and once more after the write.
    let reads = of(0, "get_scim_user");
    assert!(reads.len() > 2, "it was given up and read again: {reads:?}");
    for other in 1..4 {
        assert!(
            of(other, "delete_user")[0] < reads[1],
            "user {other} waited for the drips"
        );
    }
    let archive = world.setting("OFFBOARDER_ARCHIVE_URL");
    manifests::assert_true(
        &world.simulator,
        archive,
        &world.users,
        std::time::Duration::ZERO,
    );
}
