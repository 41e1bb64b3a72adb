//! What must be in no log, no checkpoint, no object and no message.

use serde_json::json;

use crate::support::population::{Outcome, User};
use crate::support::process::last;
use crate::support::world::{CLIENT_SECRET, PATIENCE, RESULTS, World};
use crate::support::{eventually, http, promises, redis, trial};

trial!("no secret is in a log at trace level, a checkpoint, an object, a dead letter, an event or a metric", nowhere);

/// Users who are deleted, refused and given up, over failures of the token's own endpoint.
fn nowhere(place: usize) {
    let users = vec![
        User::new(place, 0, Outcome::Deleted, 4),
        User::new(place, 1, Outcome::Refused(403), 4),
        User::new(place, 2, Outcome::Deleted, 4),
    ];
    let mut world = World::with_topology(place, users);
    world.set("RUST_LOG", "trace");
    let refused = json!({ "kind": "status", "status": 400, "body": "{\"code\":\"no\",\"token\":\"sim-00000000-x\"}" });
    world.strike(2, "get_scim_user", 0, 1, &refused);
    world.strike(
        0,
        "get_routing_profile",
        0,
        1,
        &json!({ "kind": "revoke_token" }),
    );
    world.strike(
        1,
        "get_scim_user",
        0,
        1,
        &json!({ "kind": "status", "status": 503 }),
    );
    let worker = world.start(&["worker"]);
    world.publish_all();
    let letters = eventually(PATIENCE, || match world.dead_letters() {
        letters if letters.len() == 1 => Ok(letters),
        letters => Err(format!("{} dead letters", letters.len())),
    });
    promises::await_quiet(&world, PATIENCE);
    let log = worker.errors();
    let metrics = http::text(&worker.admin(), "/metrics");
    assert!(
        metrics.contains("offboarder_jobs_total"),
        "there are metrics"
    );
    let events = serde_json::Value::from(world.messages(RESULTS)).to_string();
    assert!(events.contains("user.dead-lettered"), "there are events");
    World::drain(worker);
    assert!(
        log.contains("TRACE") && log.contains("CXone call"),
        "the log is at trace level"
    );
    // The broker's password as lapin shows it, and whatever else it would say.
    for lapin in ["103, 117, 101, 115, 116", "lapin::"] {
        assert!(!log.contains(lapin), "lapin logs at trace level: {lapin}");
    }

    let url = world.setting("OFFBOARDER_CHECKPOINTS_URL");
    let checkpoints = world
        .users
        .iter()
        .filter_map(|user| redis::body(url, &user.id))
        .collect::<String>();
    assert!(checkpoints.len() > 1000, "there are checkpoints");
    let keys = ["_sealed.json", "_audit.json"].map(|end| format!("{}{end}", world.users[0].id));
    let stored = keys
        .map(|key| world.objects().text(&key).to_string())
        .concat();
    assert!(
        stored.contains("deletion") || stored.contains("archive"),
        "there are objects"
    );
    let letters = serde_json::Value::from(letters).to_string();
    for (place, text) in [
        ("the log", &log),
        ("a checkpoint", &checkpoints),
        ("an object", &stored),
        ("a dead letter", &letters),
        ("an event", &events),
        ("a metric", &metrics),
    ] {
        for secret in [
            CLIENT_SECRET,
            "local-secret-key",
            "Authorization: Basic",
            "authorization: Basic",
            "Bearer sim-",
        ] {
            let found = text.lines().find(|line| line.contains(secret));
            assert!(
                found.is_none(),
                "{place} holds {secret:?}: {}",
                last(found.unwrap_or_default(), 1)
            );
        }
        // Tokens of the simulator.
        let token = text.match_indices("sim-").find(|(at, _)| {
            let rest = text.get(at + 4..at + 12).unwrap_or_default();
            rest.len() == 8 && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        let around =
            token.map(|(at, _)| text.get(at.saturating_sub(200)..at + 8).unwrap_or_default());
        assert_eq!(around, None, "{place} holds a token");
    }
}
