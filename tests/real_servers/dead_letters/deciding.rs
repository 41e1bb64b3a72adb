//! What operators pick and decide: groups by their first digits, notes, ignored and resolved groups.

use serde_json::{Value, json};

use super::{ask, fail_calls};
use crate::support::population::deletable;
use crate::support::process::ON_A_TERMINAL;
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{list, promises, status, trial};

trial!(
    "a group is picked by its first digits, and what is unknown or ambiguous is refused with the candidates",
    picking
);

fn picking(place: usize) {
    let world = two_groups(place);
    let groups = ask(&world, &["groups"], 0);
    let fingerprints: Vec<&str> = list(&groups["groups"])
        .iter()
        .map(|group| group["fingerprint"].as_str().expect("a fingerprint"))
        .collect();
    let [one, other] = fingerprints.as_slice() else {
        panic!("{groups:#}")
    };
    let digits = one
        .bytes()
        .zip(other.bytes())
        .take_while(|(one, other)| one == other);
    let unique = &one[..=digits.count()];

    let listed = ask(&world, &["list", "--group", unique], 0);
    for dead_letter in list(&listed["letters"]) {
        assert_eq!(dead_letter["fingerprint"], *one, "{listed:#}");
    }
    for filter in [
        ["--code", "cxone_rejected"],
        ["--step", "archive"],
        ["--state", "Deactivated"],
    ] {
        let listed = ask(&world, &["list", filter[0], filter[1]], 0);
        assert!(!list(&listed["letters"]).is_empty(), "{filter:?}");
    }
    let gone = ask(&world, &["list", "--state", "Deactivated"], 0);
    assert_eq!(gone["letters"][0]["access"], "gone", "{gone:#}");
    assert_eq!(gone["letters"][0]["lastState"], "Deactivated", "{gone:#}");

    let absent = if one.starts_with('0') || other.starts_with('0') {
        "f000"
    } else {
        "0000"
    };
    for command in [["list"], ["groups"], ["show"], ["replay"], ["discard"]] {
        let unknown = world.run(&[&["dlq"], &command[..], &["--group", absent]].concat());
        let unknown = unknown.expect(1).errors;
        assert!(
            unknown.contains("no group") && unknown.contains(one),
            "{unknown}"
        );
    }
    if one[..1] == other[..1] {
        let ambiguous = world.run(&["dlq", "list", "--group", &one[..1]]).expect(2);
        assert!(ambiguous.errors.contains(other), "{}", ambiguous.errors);
    }

    world.run(&["dlq", "discard"]).expect(2);
    world.run(&["dlq", "replay"]).expect(2);
    assert_eq!(world.depth(DEAD), Some(3));
    assert_shown(&world);
}

/// Two users who still have access, and one whose access is gone; no worker runs.
fn two_groups(place: usize) -> World {
    let world = World::with_topology(place, deletable(place, 3, 2));
    (0..2).for_each(|user| fail_calls(&world, user, "get_routing_profile", &status(400)));
    fail_calls(&world, 2, "query_conversations", &status(400));
    let worker = world.start(&["worker"]);
    world.publish_all();
    world.await_dead_letters(3);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    world
}

fn assert_shown(world: &World) {
    let id = &world.users[2].id;
    let shown = world.start_with(
        &["dlq", "show", "--user", id],
        &[(
            "OFFBOARDER_RUNBOOK_URL".to_owned(),
            "https://wiki.example.com/runbook".to_owned(),
        )],
    );
    let shown = ended(shown);
    for line in [
        "access       gone",
        "safe         unproven: ",
        "next         offboarder explain cxone_rejected; once it is fixed",
        "runbook      https://wiki.example.com/runbook#cxone_rejected",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    for once in ["cxone_rejected]", "Deactivated", "retries"] {
        assert!(shown.matches(once).count() <= 1, "{once}: {shown}");
    }
}

fn ended(mut process: crate::support::process::Process) -> String {
    assert_eq!(
        process.end(PATIENCE).code(),
        Some(0),
        "{}",
        process.errors()
    );
    process.output()
}

trial!(
    "a group is ignored only while nobody in it has access, and a resolved one that comes back is open again",
    deciding
);

fn deciding(place: usize) {
    let world = two_groups(place);
    let groups = ask(&world, &["groups"], 0);
    let name = |access: &str| {
        let mut groups = list(&groups["groups"]).iter();
        let group = groups.find(|group| group["access"][access] != 0);
        group.expect("a group")["fingerprint"]
            .as_str()
            .expect("it")
            .to_owned()
    };
    let open = name("stillThere");
    let gone = name("gone");

    let ignore = ["dlq", "ignore", &open, "--until", "7d", "--why", "later"];
    let refused = world.run(&ignore).expect(4).errors;
    assert!(refused.contains("2 in it still have access"), "{refused}");
    assert_eq!(handling(&world, &open)["state"], "open");

    ask(
        &world,
        &["ignore", &gone, "--until", "7d", "--why", "vendor"],
        0,
    );
    ask(&world, &["note", &gone, "ticket 4711"], 0);
    let ignored = handling(&world, &gone);
    assert_eq!(ignored["state"], "ignored", "{ignored:#}");
    assert_eq!(ignored["note"], "ticket 4711", "{ignored:#}");
    assert!(
        ignored["who"].is_string() && ignored["at"].is_string(),
        "{ignored:#}"
    );

    let release = ["resolve", &gone, "--release", "0.3.0", "--why", "fixed"];
    let resolved = ask(&world, &release, 0);
    assert_eq!(resolved["handling"]["state"], "resolved", "{resolved:#}");
    let worker = world.start(&["worker"]);
    ask(&world, &["replay", "--group", &gone, "--anyway"], 0);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    let reopened = handling(&world, &gone);
    assert_eq!(reopened["state"], "open", "{reopened:#}");
    let why = reopened["reopened"].as_str().expect("why");
    assert!(
        why.starts_with("came back") && why.contains("0.3.0"),
        "{why}"
    );

    ask(&world, &["reopen", &gone, "--why", "it is not fixed"], 0);
    assert_eq!(handling(&world, &gone)["reopened"], Value::Null);
    assert_in_audit_log(&world);
}

fn handling(world: &World, group: &str) -> Value {
    let groups = ask(world, &["groups", "--group", group], 0);
    groups["groups"][0]["handling"].clone()
}

fn assert_in_audit_log(world: &World) {
    let entries = world.audit_log(&[]);
    let what: Vec<&Value> = entries.iter().map(|entry| &entry["what"]).collect();
    assert_eq!(
        what,
        [
            "dead-letters reopen",
            "dead-letters replay ended",
            "dead-letters replay",
            "dead-letters resolve",
            "dead-letters note",
            "dead-letters ignore",
        ]
        .map(|what| json!(what))
        .iter()
        .collect::<Vec<_>>()
    );
}

trial!(
    "on a terminal a change needs a reason, and nothing is changed without one",
    a_reason
);

fn a_reason(place: usize) {
    let world = two_groups(place);
    let id = &world.users[0].id;
    let discard = ["dlq", "discard", "--user", id, "--yes"];
    let refused = world.run_under(&ON_A_TERMINAL, &discard).expect(2);
    assert!(refused.output.contains("--why"), "{}", refused.output);
    assert_eq!(world.depth(DEAD), Some(3));

    let with_reason = [&discard[..], &["--why", "a test"]].concat();
    let discarded = world.run_under(&ON_A_TERMINAL, &with_reason).expect(0);
    assert!(
        discarded.output.contains("discarded: 1"),
        "{}",
        discarded.output
    );
    assert_eq!(world.depth(DEAD), Some(2));
}
