//! What must be in no log, no checkpoint, no object and no message.

use serde_json::{Value, json};

use crate::support::population::{Outcome, User};
use crate::support::process::last;
use crate::support::world::{CLIENT_SECRET, PATIENCE, RESULTS, World};
use crate::support::{http, promises, redis, status, trial};

const SECRETS: [&str; 5] = [
    CLIENT_SECRET,
    "local-secret-key",
    "Authorization: Basic",
    "authorization: Basic",
    "Bearer sim-",
];
/// How the simulator's tokens begin; eight hexadecimal digits follow.
const TOKEN: &str = "sim-";

trial!(
    "no secret is in a log at trace level, a checkpoint, an object, a dead letter, an event or a metric",
    nowhere
);

/// Users who are deleted, refused and given up, over failures of the token's own endpoint.
fn nowhere(place: usize) {
    let users = vec![
        User::new(place, 0, Outcome::Deleted, 4),
        User::new(place, 1, Outcome::Refused(403), 4),
        User::new(place, 2, Outcome::Deleted, 4),
    ];
    let mut world = World::with_topology(place, users);
    world.set("RUST_LOG", "trace");
    let body = "{\"code\":\"no\",\"token\":\"sim-00000000-x\"}";
    let refused = json!({ "kind": "status", "status": 400, "body": body });
    let revoked = json!({ "kind": "revoke_token" });
    world.strike(2, "get_scim_user", 0, 1, &refused);
    world.strike(0, "get_routing_profile", 0, 1, &revoked);
    world.strike(1, "get_scim_user", 0, 1, &status(503));
    let worker = world.start(&["worker"]);
    world.publish_all();
    let dead_letters = Value::from(world.await_dead_letters(1)).to_string();
    promises::await_quiet(&world, PATIENCE);

    let log = worker.errors();
    let metrics = http::text(&worker.admin(), "/metrics");
    let events = Value::from(world.messages(RESULTS)).to_string();
    World::drain(worker);
    let checkpoints = checkpoints(&world);
    let objects = ["_sealed.json", "_audit.json"]
        .map(|end| world.objects().text(&format!("{}{end}", world.users[0].id)))
        .concat();

    // There is something in each.
    assert!(metrics.contains("offboarder_jobs_total"));
    assert!(events.contains("user.dead-lettered"));
    assert!(log.contains("TRACE") && log.contains("CXone call"));
    assert!(checkpoints.len() > 1000);
    assert!(objects.contains("deletion") || objects.contains("archive"));
    // The broker's password as lapin shows it, and whatever else it would log.
    for lapin in ["103, 117, 101, 115, 116", "lapin::"] {
        assert!(!log.contains(lapin), "lapin logs at trace level: {lapin}");
    }
    for (place, text) in [
        ("the log", &log),
        ("a checkpoint", &checkpoints),
        ("an object", &objects),
        ("a dead letter", &dead_letters),
        ("an event", &events),
        ("a metric", &metrics),
    ] {
        assert_no_secret(place, text);
    }
}

fn checkpoints(world: &World) -> String {
    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL");
    let users = world.users.iter();
    users
        .filter_map(|user| redis::body(url, &user.id))
        .collect()
}

fn assert_no_secret(place: &str, text: &str) {
    for secret in SECRETS {
        let found = text.lines().find(|line| line.contains(secret));
        assert!(
            found.is_none(),
            "{place} holds {secret:?}: {}",
            last(found.unwrap_or_default(), 1)
        );
    }

    let is_token = |at: &usize| {
        let rest = text.get(at + 4..at + 12).unwrap_or_default();
        rest.len() == 8 && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let mut starts = text.match_indices(TOKEN).map(|(at, _)| at);
    let token = starts.find(is_token);
    let around = token.map(|at| text.get(at.saturating_sub(200)..at + 8).unwrap_or_default());
    assert_eq!(around, None, "{place} holds a token");
}
