//! What the API does wrong, and how users end all the same.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::ledger::{self, Repetition};
use crate::support::population::{Outcome, User, deletable};
use crate::support::world::{Ended, World};
use crate::support::{manifests, status, throttle, trial};

/// A world of files only, without a queue.
fn world(place: usize, users: Vec<User>) -> World {
    let mut world = World::new(place, users);
    world.use_file_stores();
    world.unset("OFFBOARDER_QUEUE_URL");
    world
}

fn strike(world: &World, user: usize, operation: &str, times: u32, fault: &Value) {
    world.strike(user, operation, 0, times, fault);
}

fn run(world: &World) -> Ended {
    let ids: Vec<&str> = world.users.iter().map(|user| user.id.as_str()).collect();
    world.run(&[&["run", "--output", "json"], ids.as_slice()].concat())
}

/// A place where no request may arrive.
struct Elsewhere(TcpListener);

impl Elsewhere {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener
            .set_nonblocking(true)
            .expect("a listener that does not block");
        Self(listener)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("an address")
    }

    #[track_caller]
    fn assert_not_reached(&self) {
        assert!(self.0.accept().is_err(), "a request arrived elsewhere");
    }
}

trial!(
    "faults of the API that pass leave every user right, once",
    passing_faults
);

fn passing_faults(place: usize) {
    let mut users = deletable(place, 8, 12);
    users[0].outcome = Outcome::Refused(403);
    users[1].outcome = Outcome::Refused(422);
    let world = world(place, users);
    let kind = |kind: &str| json!({ "kind": kind });
    for (user, operation, times, fault) in [
        (2, "patch_routing_profile", 1, kind("lost_reply")),
        (2, "put_scim_user", 1, kind("lost_reply")),
        (2, "delete_user", 1, kind("lost_reply")),
        (3, "put_scim_user", 2, kind("conflict")),
        (3, "get_routing_profile", 1, status(503)),
        (4, "next_conversations", 1, status(410)),
        (5, "query_conversations", 1, kind("truncate")),
        (5, "next_conversations", 1, throttle(1)),
        (6, "next_conversations", 1, kind("empty_page")),
        (7, "get_scim_user", 1, kind("revoke_token")),
    ] {
        strike(&world, user, operation, times, &fault);
    }

    run(&world).expect(0);
    assert_true(&world);
    ledger::assert_histories(&world.simulator, &world.users, Repetition::AfterCrash);
}

fn assert_true(world: &World) {
    let archive = world.setting("OFFBOARDER_ARCHIVE_URL");
    manifests::assert_true(&world.simulator, archive, &world.users, Duration::ZERO);
}

trial!(
    "a next page elsewhere is refused, sees no request, and stops the deletion",
    a_foreign_next_page
);

fn a_foreign_next_page(place: usize) {
    let world = world(place, deletable(place, 1, 12));
    let elsewhere = Elsewhere::open();
    let origin = format!("http://{}", elsewhere.address());
    let uri = format!("{origin}/api/v2/conversations/details/query?cursor=x");
    let next_page = json!({ "kind": "next_page", "uri": uri });
    strike(&world, 0, "query_conversations", 1, &next_page);

    // Every user with a second page would meet it.
    let ended = run(&world).expect(3);
    let named = format!("another origin, {origin}, than");
    assert!(ended.errors.contains(&named), "{}", ended.errors);
    elsewhere.assert_not_reached();
    assert_eq!(world.deletions(), 0);
    assert_eq!(world.user_now(&world.users[0].id)["active"], false);
}

trial!("what is plain on loopback goes through no proxy", no_proxy);

/// Secret and tokens would be sent to the proxy in clear.
fn no_proxy(place: usize) {
    let mut world = world(place, deletable(place, 1, 4));
    let proxy = Elsewhere::open();
    let uri = format!("http://{}", proxy.address());
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        world.set(name, &uri);
        world.set(&name.to_uppercase(), &uri);
    }
    world.set("no_proxy", "");
    world.set("NO_PROXY", "");

    run(&world).expect(0);
    proxy.assert_not_reached();
    world.assert_exist(&[(0, false)]);
}

trial!(
    "answers that are HTML, a compressed bomb or endless are bounded, and stop no other user",
    hostile_answers
);

fn hostile_answers(place: usize) {
    let world = world(place, deletable(place, 5, 12));
    for (user, operation, kind) in [
        (0, "get_scim_user", "html"),
        (1, "get_routing_profile", "gzip_bomb"),
        (2, "next_conversations", "html"),
        (3, "query_conversations", "gzip_bomb"),
        (4, "query_conversations", "endless"),
    ] {
        strike(&world, user, operation, 1, &json!({ "kind": kind }));
    }

    let begun = Instant::now();
    let answer = run(&world).expect(1).json();
    let took = begun.elapsed();
    assert!(took < Duration::from_mins(1), "bounded in time: {took:?}");
    for user in 0..4 {
        assert_eq!(answer["users"][user]["result"], "finished", "{answer:#}");
    }
    assert_eq!(answer["users"][4]["result"], "failed", "{answer:#}");
    assert_eq!(answer["users"][4]["reason"], "api_rejected");
    world.assert_exist(&[(4, true)]);
}

trial!(
    "a redirect is never followed, and stops the work",
    a_redirect
);

fn a_redirect(place: usize) {
    let world = world(place, deletable(place, 1, 12));
    let elsewhere = Elsewhere::open();
    let location = format!("http://{}/stolen", elsewhere.address());
    let redirect = json!({ "kind": "redirect", "location": location });
    strike(&world, 0, "get_scim_user", 1, &redirect);

    let ended = run(&world).expect(3);
    let named = ended.errors.contains("a redirect, which is never followed");
    assert!(named, "{}", ended.errors);
    elsewhere.assert_not_reached();
}

trial!(
    "a cursor that leads in a circle is refused, and stops the deletion",
    a_circle
);

/// The second page leads to itself.
fn a_circle(place: usize) {
    let world = world(place, deletable(place, 2, 12));
    let same_page = json!({ "kind": "same_page" });
    strike(&world, 0, "next_conversations", 1000, &same_page);

    let answer = run(&world).expect(1).json();
    assert_eq!(answer["users"][0]["reason"], "api_rejected", "{answer:#}");
    let why = answer["users"][0]["detail"].as_str().expect("a text");
    assert!(why.contains("the conversations do not end"), "{why}");
    assert_eq!(answer["users"][1]["result"], "finished", "{answer:#}");

    // Three pages of the user without a circle, and as many of the other.
    let calls = |operation: &str| ledger::count(&world.simulator, operation);
    let fetched = calls("query_conversations") + calls("next_conversations");
    assert!(fetched <= 6, "{fetched} pages were fetched");
    let user = world.user_now(&world.users[0].id);
    assert_eq!(user["exists"], true);
    assert_eq!(user["active"], false);
    let archive = world.setting("OFFBOARDER_ARCHIVE_URL");
    let archive = Path::new(archive.trim_start_matches("file:"));
    let archive = archive.join(format!("{}.json", world.users[0].id));
    assert!(!archive.exists(), "half an archive is none");
}

trial!(
    "an answer that comes in drips is given up in time, and stops no other user",
    a_drip,
    seconds = 60
);

/// With a byte a second a connection is never silent: the limit for the whole call ends it.
fn a_drip(place: usize) {
    let world = world(place, deletable(place, 4, 12));
    let drip = json!({ "kind": "drip", "bytesPerSecond": 1 });
    strike(&world, 0, "get_scim_user", 1, &drip);

    let begun = Instant::now();
    run(&world).expect(0);
    let took = begun.elapsed();
    assert!(took < Duration::from_mins(2), "bounded in time: {took:?}");
    let calls = ledger::calls(&world.simulator);
    let of = |user: usize, operation: &str| {
        let id = Some(world.users[user].id.as_str());
        let calls = calls.iter();
        calls
            .filter(|call| call.operation == operation && call.user() == id)
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
    assert_true(&world);
}
