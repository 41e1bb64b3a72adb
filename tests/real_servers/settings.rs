//! What an operator sees: status, and the answer to wrong settings.

use serde_json::Value;

use crate::support::Test;
use crate::support::population::{Fate, User, user_id};
use crate::support::world::World;

pub(crate) const TESTS: &[Test] = &[
    ("status shows the terminal state of each user as JSON", status_shows_the_terminal_state),
    ("wrong settings end with status 2, name every fault and show no secret", wrong_settings_are_all_named),
];

/// The object that tells this user's state.
fn about<'a>(value: &'a Value, id: &str) -> Option<&'a Value> {
    match value {
        Value::Array(items) => items.iter().find_map(|item| about(item, id)),
        Value::Object(members) => {
            let own = members.contains_key("state") && members.values().any(|member| member == id);
            if own { Some(value) } else { members.values().find_map(|member| about(member, id)) }
        }
        _ => None,
    }
}

fn status_shows_the_terminal_state(place: usize) {
    let world = World::new(
        place,
        vec![User::new(place, 0, Fate::Deleted, 6), User::new(place, 1, Fate::Refused(409), 0)],
    );
    let [gone, kept] = [world.users[0].id.as_str(), world.users[1].id.as_str()];
    world.run(&["run", gone, kept]).expect(0);
    let ended = world.run(&["status", gone, kept, "--output", "json"]).expect(0);
    let status: Value = serde_json::from_str(&ended.output).expect("one JSON document on standard output");
    for (id, state) in [(gone, "Deleted"), (kept, "DeactivatedOnly")] {
        let shown = about(&status, id).unwrap_or_else(|| panic!("{id} in {status:#}"));
        assert_eq!(shown["state"], state, "{shown:#}");
    }
    world.run(&["status", &user_id(place, 999)]).expect(1);
}

fn wrong_settings_are_all_named(place: usize) {
    let mut world = World::new(place, Vec::new());
    let secrets = ["hunter2-of-the-client", "hunter2-of-the-broker", "hunter2-of-the-store"];
    world.set("OFFBOARDER_CXONE_CLIENT_SECRET", secrets[0]);
    world.set("OFFBOARDER_QUEUE_URL", &format!("http://guest:{}@127.0.0.1/", secrets[1]));
    world.set("OFFBOARDER_CHECKPOINTS_URL", &format!("gopher://:{}@127.0.0.1/", secrets[2]));
    world.set("OFFBOARDER_CXONE_BASE_URI", "http://api.tenant.example");
    world.set("OFFBOARDER_WORKER_CONCURRENCY", "many");
    world.set("OFFBOARDER_WORKER_RETRY_CAP", "soon");
    world.set("OFFBOARDER_CXONE_RATE_SCIM", "fast");
    world.unset("OFFBOARDER_CXONE_CLIENT_ID");
    let ended = world.run(&["worker"]).expect(2);
    for name in [
        "QUEUE_URL",
        "CHECKPOINTS_URL",
        "CXONE_BASE_URI",
        "CXONE_CLIENT_ID",
        "WORKER_CONCURRENCY",
        "WORKER_RETRY_CAP",
        "CXONE_RATE_SCIM",
    ] {
        assert!(ended.errors.contains(name), "{name} is named in: {}", ended.errors);
    }
    for secret in secrets {
        let shown = ended.errors.contains(secret) || ended.output.contains(secret);
        assert!(!shown, "a secret is shown: {}", ended.errors);
    }
}
