//! `topology` and `submit`.

use std::fs;

use serde_json::json;

use crate::support::ledger::{self, Repetition};
use crate::support::population::{Fate, User, mixed};
use crate::support::world::{PATIENCE, World};
use crate::support::{Test, manifests};

pub(crate) const TESTS: &[Test] = &[
    ("submit takes IDs, a list, CSV and JSON Lines, and a worker finishes them", submit_takes_every_form),
    ("submit --dry-run sends nothing", dry_run_sends_nothing),
    ("submit reports messages that no queue takes", unroutable_messages_are_reported),
    ("topology a second time changes nothing", topology_twice_changes_nothing),
];

fn submit_takes_every_form(place: usize) {
    let world = World::with_topology(place, mixed(place, 12));
    let ids: Vec<&str> = world.users.iter().map(|user| user.id.as_str()).collect();
    let write = |name: &str, text: String| {
        let path = world.directory.path().join(name);
        fs::write(&path, text).expect("the file is written");
        path.display().to_string()
    };
    let list = write("users.txt", format!("{}\n{}\n", ids[3], ids[4]));
    let csv =
        write("users.csv", format!("name,userId,reason\nA,{},left\n\"B, C\",{},\"\"\n", ids[5], ids[6]));
    let lines = write(
        "users.jsonl",
        format!("{}\n{}\n", json!({ "userId": ids[7], "requestedBy": "hr" }), json!({ "userId": ids[8] })),
    );
    let urgent = write("urgent.txt", format!("{}\n", ids[11]));
    world.run(&["submit", ids[0], ids[1], ids[2], "--batch-id", "forms"]).expect(0);
    world.run(&["submit", "--file", &list, "--batch-id", "forms"]).expect(0);
    world.run(&["submit", "--file", &csv, "--requested-by", "hr", "--reason", "left"]).expect(0);
    world.run(&["submit", "--file", &lines]).expect(0);
    world.run(&["submit", ids[9], ids[10], "--file", &urgent, "--urgent"]).expect(0);
    assert_eq!(world.depth("offboarding.users"), Some(9));
    assert_eq!(world.depth("offboarding.users.urgent"), Some(3));

    let worker = world.start(&["worker"]);
    manifests::assert_true(&world.simulator, world.setting("OFFBOARDER_ARCHIVE_URL"), &world.users, PATIENCE);
    World::drain(worker);
    ledger::assert_histories(&world.simulator, &world.users, Repetition::None);
    assert_eq!(world.queues_in_use(), Vec::<String>::new());
}

fn dry_run_sends_nothing(place: usize) {
    let world = World::with_topology(place, vec![User::new(place, 0, Fate::Deleted, 1)]);
    world.run(&["submit", &world.users[0].id, "--dry-run"]).expect(0);
    world.run(&["submit", &world.users[0].id, "--dry-run", "--urgent"]).expect(0);
    assert_eq!(world.queues_in_use(), Vec::<String>::new());
}

fn unroutable_messages_are_reported(place: usize) {
    let world = World::new(place, vec![User::new(place, 0, Fate::Deleted, 1)]);
    let assert_reported = |when: &str| {
        let ended = world.run(&["submit", &world.users[0].id]);
        assert!(matches!(ended.code, Some(1 | 3)), "{when}: exit status {:?}: {}", ended.code, ended.errors);
        assert!(!ended.errors.trim().is_empty(), "{when}: it says why");
    };
    assert_reported("without a topology");
    world.run(&["topology"]).expect(0);
    world.rabbitmqctl("delete_queue", &["offboarding.users"]);
    assert_reported("with an exchange that leads nowhere");
}

fn topology_twice_changes_nothing(place: usize) {
    let world = World::with_topology(place, Vec::new());
    let declared = || {
        let sorted = |listed: String| {
            let mut lines: Vec<String> = listed.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        [
            sorted(world.rabbitmqctl("list_queues", &["name", "durable", "arguments"])),
            sorted(world.rabbitmqctl("list_exchanges", &["name", "type", "durable", "arguments"])),
            sorted(world.rabbitmqctl("list_bindings", &[])),
        ]
    };
    let once = declared();
    let queues = once[0].join("\n");
    for queue in ["offboarding.users", "offboarding.users.urgent", "offboarding.dead"] {
        assert!(queues.lines().any(|line| line.split('\t').next() == Some(queue)), "{queue} in {queues}");
    }
    let exchanges = once[1].join("\n");
    for exchange in ["offboarding", "offboarding.dead", "offboarding.events"] {
        assert!(
            exchanges.lines().any(|line| line.split('\t').next() == Some(exchange)),
            "{exchange} in {exchanges}"
        );
    }
    world.run(&["topology"]).expect(0);
    assert_eq!(declared(), once);
}
