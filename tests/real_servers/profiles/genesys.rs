//! What only Genesys Cloud has: versions that conflict, queues that come from groups, and a deletion that an
//! administrator can take back.

use serde_json::json;

use super::refused::manifest;
use super::{assert_well, files, row, run, scenario, user, users};
use crate::support::ledger::{self, Repetition};
use crate::support::list;
use crate::support::population::{Outcome, User};
use crate::support::profile::Profile;
use crate::support::world::World;

scenario!(
    genesys,
    "an account that changes between read and write is read again, in both forms of the conflict",
    conflicts
);

fn conflicts(profile: Profile, place: usize) {
    let world = files(profile, place, users(profile, place, 4), &[]);
    for (user, operation, status) in [
        (0, "set_user_state", 409),
        (1, "set_user_state", 400),
        (2, "delete_user", 409),
        (3, "delete_user", 400),
    ] {
        let conflict = json!({ "kind": "conflict", "status": status });
        world.strike(user, operation, 0, 2, &conflict);
    }
    run(&world).expect(0);
    super::lost::assert_faults_used(&world);
    assert_well(&world, Repetition::AfterCrash);
    assert_eq!(
        world.deletions(),
        4 + 4,
        "two users were asked for three times"
    );
}

scenario!(
    genesys,
    "a queue that comes from a group is left through the group, and other groups stay",
    through_the_group
);

fn through_the_group(profile: Profile, place: usize) {
    let users = (0..4).map(|number| user(profile, place, number).with(&json!({ "groups": 2 })));
    let world = files(profile, place, users.collect(), &[]);
    for (user, value) in ["bad_request", "not_found", "conflict", "stays"]
        .into_iter()
        .enumerate()
    {
        world.set_unknown("remove_group_member", value);
        world.run(&["run", &world.users[user].id]).expect(0);
    }
    assert_well(&world, Repetition::AfterCrash);
    // A queue does not say which of its groups the user is in, so that others are asked, too.
    let calls = ledger::calls(&world.simulator);
    for operation in ["leave_group", "leave_team"] {
        let left = calls
            .iter()
            .filter(|call| call.is(operation) && call.applied);
        assert_eq!(left.count(), 4, "{operation}");
    }
    for user in &world.users {
        let now = world.user_now(&user.id);
        assert_eq!(list(&now["otherGroups"]).len(), 2, "{now:#}");
        assert_eq!(now["groups"], json!([]), "{now:#}");
    }
}

fn held(profile: Profile, place: usize, number: usize) -> User {
    let mut user = user(profile, place, number);
    user.outcome = Outcome::Held;
    user
}

scenario!(
    genesys,
    "groups that are not to be left are a residual that names them, and hold the deletion",
    groups_are_kept
);

fn groups_are_kept(profile: Profile, place: usize) {
    let mut world = files(profile, place, vec![held(profile, place, 0)], &[]);
    let planned = user(profile, place, 1);
    world.put_user(&planned.id, &planned.record());
    let plan = |world: &World| {
        let answer = world.json(&["plan", &planned.id], 0);
        row(&answer, &planned)["end"].clone()
    };
    assert_eq!(plan(&world), "delete");
    world.set("OFFBOARDER_CXONE_LEAVE_GROUPS", "false");
    assert_eq!(plan(&world), "held");
    run(&world).expect(0);
    assert_well(&world, Repetition::AfterCrash);
    assert_left(&world, 0);
    assert_eq!(world.deletions(), 0);
}

fn assert_left(world: &World, user: usize) {
    let manifest = manifest(world, user).expect("a manifest");
    let residual = list(&manifest["residual"]);
    assert_eq!(residual.len(), 3, "{manifest:#}");
    for one in residual {
        let note = one["note"].as_str().unwrap_or_default();
        assert!(note.contains("group"), "{one:#}");
    }
}

scenario!(
    genesys,
    "a group that a rule fills cannot be left, which is a residual and holds the deletion",
    filled_by_a_rule
);

fn filled_by_a_rule(profile: Profile, place: usize) {
    let users = (0..4)
        .map(|number| held(profile, place, number).with(&json!({ "derivedMembership": true })));
    let world = files(profile, place, users.collect(), &[]);
    for (user, value) in ["bad_request", "forbidden", "conflict", "stays"]
        .into_iter()
        .enumerate()
    {
        world.set_unknown("leave_rule_group", value);
        let id = &world.users[user].id;
        let ended = world.run(&["run", id]);
        assert_eq!(
            ended.code,
            Some(0),
            "{value}: {}\n{}",
            ended.output,
            ended.errors
        );
    }
    assert_well(&world, Repetition::AfterCrash);
    for user in 0..4 {
        assert_left(&world, user);
    }
    assert_eq!(world.deletions(), 0);
}

scenario!(
    genesys,
    "without a word nobody is deleted, and with one the manifest says that it can be taken back",
    soft_deletion
);

fn soft_deletion(profile: Profile, place: usize) {
    let mut world = files(
        profile,
        place,
        vec![User::new(place, 0, Outcome::NeverOffered, 6)],
        &[],
    );
    world.unset("OFFBOARDER_GUARD_DELETE");
    run(&world).expect(0);
    assert_well(&world, Repetition::None);
    assert_eq!(world.deletions(), 0);

    let mut world = files(profile, place, vec![user(profile, place, 1)], &[]);
    world.set("OFFBOARDER_GUARD_DELETE", "attempt");
    run(&world).expect(0);
    assert_well(&world, Repetition::None);
    let manifest = manifest(&world, 0).expect("a manifest").to_string();
    assert!(
        manifest.contains("an administrator can restore"),
        "{manifest}"
    );
}
