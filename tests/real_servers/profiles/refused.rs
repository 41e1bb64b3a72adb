//! Calls that the API refuses: for one user, or for all.

use serde_json::{Value, json};

use super::{assert_well, files, row, run, scenario, shorten_history, users};
use crate::support::ledger::Repetition;
use crate::support::process::tail;
use crate::support::profile::Profile;
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{http, manifests, promises, servers};

/// The rights of the simulator's clients, and the operation that needs each.
const fn rights(profile: Profile) -> &'static [&'static str] {
    match profile {
        Profile::Tutorial => &[],
        Profile::Cxone => &[
            "employees.view",
            "employees.edit",
            "agents.view",
            "agents.edit",
            "skills.edit",
            "groups.view",
            "groups.edit",
            "access-keys.view",
            "access-keys.edit",
            "reporting.view",
            "teams.view",
            "teams.all",
        ],
        Profile::Genesys => &[
            "directory:user:edit",
            "directory:user:delete",
            "routing:queue:view",
            "routing:queueMember:manage",
            "routing:skill:assign",
            "groups:team:assign",
            "oauth:token:delete",
            "analytics:conversationDetail:view",
        ],
    }
}

fn grant(world: &World, rights: &[&str]) {
    http::request(
        "PUT",
        &world.simulator,
        "/_simulator/scopes",
        Some(&json!(rights)),
    );
}

scenario!(
    "a permission that is missing stops the work, whichever it is, and the user ends right when it is granted",
    missing_permissions
);

fn missing_permissions(profile: Profile, place: usize) {
    let rights = rights(profile);
    let mut world = files(profile, place, users(profile, place, rights.len()), &[]);
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    for (user, missing) in rights.iter().enumerate() {
        let granted: Vec<&str> = rights
            .iter()
            .filter(|one| *one != missing)
            .copied()
            .collect();
        grant(&world, &granted);
        let id = &world.users[user].id;
        let ended = world.run(&["run", "--output", "json", id]);
        if is_needless(profile, missing) {
            ended.expect(0);
            continue;
        }
        // Whose fault it is that NICE refuses a write, or the rows of one team, only further users show.
        let is_one_users =
            matches!(missing.rsplit_once('.'), Some((_, "edit"))) || *missing == "teams.all";
        let is_alone = profile == Profile::Cxone && is_one_users;
        let ended = ended.expect(if is_alone { 1 } else { 3 });
        assert!(manifest(&world, user).is_none(), "without {missing}");
        let shown = format!("{}\n{}", ended.output, ended.errors);
        assert!(shown.contains("permission"), "without {missing}: {shown}");

        grant(&world, rights);
        world.run(&["run", "--output", "json", id]).expect(0);
    }
    assert_well(&world, Repetition::AfterCrash);
}

/// Who leads a team is a record only, so that a run can do without.
fn is_needless(profile: Profile, right: &str) -> bool {
    profile == Profile::Cxone && right == "teams.view"
}

scenario!(
    cxone,
    "a write that is refused for everyone stops the work after a few users",
    a_write_for_everyone
);

fn a_write_for_everyone(profile: Profile, place: usize) {
    let world = files(profile, place, users(profile, place, 12), &[]);
    let rights = rights(profile);
    let is_granted = |right: &&&str| **right != "employees.edit";
    let granted: Vec<&str> = rights.iter().filter(is_granted).copied().collect();
    grant(&world, &granted);
    let ended = run(&world).expect(3);
    assert!(
        ended.errors.contains("every user would"),
        "{}",
        ended.errors
    );

    grant(&world, rights);
    run(&world).expect(0);
    assert_well(&world, Repetition::AfterCrash);
}

scenario!(
    "a worker without a permission waits, makes no dead letter, and continues when it is granted",
    a_worker_waits
);

fn a_worker_waits(profile: Profile, place: usize) {
    let mut world = World::of(
        profile,
        servers::shared(),
        place,
        users(profile, place, 3),
        &[],
    );
    shorten_history(&mut world);
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    world.declare();
    let rights = rights(profile);
    let missing = match profile {
        Profile::Cxone => "reporting.view",
        Profile::Genesys | Profile::Tutorial => "analytics:conversationDetail:view",
    };
    let granted: Vec<&str> = rights
        .iter()
        .filter(|one| **one != missing)
        .copied()
        .collect();
    grant(&world, &granted);
    let worker = world.start(&["worker"]);
    world.publish_all();
    worker.await_not_ready("cxone_missing_scope");
    for user in &world.users {
        let now = world.user_now(&user.id);
        assert_eq!(now["exists"], true, "{now}");
    }
    assert_eq!(world.depth(DEAD), Some(0), "{}", tail(&worker.errors()));

    grant(&world, rights);
    manifests::assert_true_in(&world, &servers::shared(), PATIENCE);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
}

scenario!(
    "a call that is refused for one user stops that user only, and leaves nothing half true",
    one_user_is_refused
);

fn one_user_is_refused(profile: Profile, place: usize) {
    let operations: Vec<&str> = profile
        .reads()
        .iter()
        .copied()
        .chain(profile.writes())
        .filter(|operation| *operation != "search_teams")
        .collect();
    for (round, (status, code)) in [(400, "bad.request"), (403, "not.authorized")]
        .into_iter()
        .enumerate()
    {
        let place_of_round = place + round * 0x10_0000;
        let users = users(profile, place_of_round, operations.len() + 1);
        let mut world = files(profile, place, users, &[]);
        world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "3");
        for (user, operation) in operations.iter().enumerate() {
            let refusal = json!({ "kind": "status", "status": status, "code": code });
            world.strike(user, operation, 0, 10_000, &refusal);
        }

        let ended = run(&world);
        assert_eq!(ended.code, Some(1), "{}\n{}", ended.output, ended.errors);
        let answer = ended.json();
        for (user, operation) in operations.iter().enumerate() {
            assert_nothing_half_true(&world, &answer, user, operation);
        }
        // The one who was not refused.
        world.users.drain(..operations.len());
        assert_well(&world, Repetition::AfterCrash);
    }
}

/// A user whose call was refused has failed, or has an end that says so.
fn assert_nothing_half_true(world: &World, answer: &Value, user: usize, operation: &str) {
    let row = row(answer, &world.users[user]);
    let now = world.user_now(&world.users[user].id);
    let manifest = manifest(world, user);
    if let Some(manifest) = &manifest {
        let end = &manifest["status"];
        assert_eq!(
            *end == "DELETED",
            now["exists"] == false,
            "{operation}: {manifest:#}"
        );
        let is_left = now["queues"]
            .as_array()
            .is_some_and(|left| !left.is_empty());
        let is_cleared = manifest["queueAssignmentsCleared"] == true;
        assert!(
            now["exists"] == false || is_left != is_cleared,
            "{operation}: {now:#} {manifest:#}"
        );
        assert_ne!(now["active"], true, "{operation}");
        assert_eq!(now["sessions"], 0, "{operation}");
        assert_eq!(now["accessKeys"], json!([]), "{operation}");
    } else {
        assert_eq!(row["result"], "failed", "{operation}: {row:#}");
        assert_eq!(row["reason"], "api_rejected", "{operation}: {row:#}");
        assert_eq!(now["exists"], true, "{operation}: {now:#}");
    }
}

/// The manifest of a user in a world of files, if there is one.
pub(super) fn manifest(world: &World, user: usize) -> Option<Value> {
    let archive = world.setting("OFFBOARDER_ARCHIVE_URL");
    let directory = archive.trim_start_matches("file:");
    let path = format!("{directory}/{}_audit.json", world.users[user].id);
    let bytes = std::fs::read(path).ok()?;
    Some(serde_json::from_slice(&bytes).expect("JSON"))
}

scenario!(
    "a 404, an empty answer or HTML that is not the API's is never taken for not there, or for done",
    not_the_apis
);

fn not_the_apis(profile: Profile, place: usize) {
    let answers = [
        json!({ "kind": "status", "status": 404, "body": "<html>no</html>", "contentType": "text/html" }),
        json!({ "kind": "status", "status": 200, "body": "<html>ok</html>", "contentType": "text/html" }),
        json!({ "kind": "status", "status": 200, "body": "[]" }),
    ];
    let operations: Vec<&str> = profile
        .reads()
        .iter()
        .copied()
        .chain(profile.writes())
        .filter(|operation| *operation != "search_teams")
        .collect();
    // A write may be answered with whatever JSON; reads prove what it did, which takes its time.
    let cases = operations.iter().flat_map(|operation| {
        let is_read = profile.reads().contains(operation);
        let answers = answers.iter().take(if is_read { 3 } else { 2 });
        answers.map(move |answer| (*operation, answer))
    });
    let users = users(profile, place, cases.clone().count());
    let mut world = files(profile, place, users, &[]);
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "1");
    for (user, (operation, answer)) in cases.enumerate() {
        world.strike(user, operation, 0, 10_000, answer);
        // Each by itself, since some of it stops all work.
        let id = &world.users[user].id;
        let ended = world.run(&["run", "--output", "json", id]);
        let is_read = profile.reads().contains(&operation);
        let shown = format!("{operation} {answer}: {}\n{}", ended.output, ended.errors);
        if is_read {
            assert!(matches!(ended.code, Some(1 | 3)), "{shown}");
            assert!(manifest(&world, user).is_none(), "{shown}");
        }
        if let Some(manifest) = manifest(&world, user) {
            let now = world.user_now(id);
            assert_eq!(
                manifest["status"] == "DELETED",
                now["exists"] == false,
                "{shown}"
            );
            assert_ne!(now["active"], true, "{shown}");
            assert_eq!(now["sessions"], 0, "{shown}");
        }
    }
}
