//! What no public source says of an API: every value of every switch of the simulator, with a user each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde_json::{Value, json};

use super::refused::manifest;
use super::{assert_well, files, run, scenario, user};
use crate::support::ledger::Repetition;
use crate::support::population::{Outcome, User};
use crate::support::profile::Profile;
use crate::support::world::World;
use crate::support::{eventually, http};

/// What follows from a value for the user who meets it.
#[derive(Clone, Copy, Debug)]
enum Follows {
    /// It ends as usual.
    Well,
    /// It ends like this.
    Ends(Outcome),
    /// It ends as usual or not at all.
    Safe,
    /// It does not end.
    Nothing,
    /// The archive is empty, which only `doctor --user` can see.
    Unseen,
}

scenario!(
    "whatever the API does where no public source says it, users end right or not at all",
    every_value,
    on_request = true,
    seconds = 250
);

fn every_value(profile: Profile, place: usize) {
    let mut world = files(profile, place, Vec::new(), &[]);
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "2");
    let usual = http::request("GET", &world.simulator, "/_simulator/unknowns", None);
    let cases = cases(&world);
    assert!(cases.len() > 50, "{} values", cases.len());

    let mut failed = Vec::new();
    for (number, (name, value)) in cases.iter().enumerate() {
        let user = user(profile, place, number);
        world.set_unknown(name, value);
        let play = || play(&mut world, user, name, value);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(play)) {
            let why = panic
                .downcast_ref::<String>()
                .map_or("no text", String::as_str);
            failed.push(format!("{name}={value}: {why}"));
        }
        world.set_unknown(name, usual[name].as_str().expect("a value"));
        world.end_faults();
    }
    assert!(
        failed.is_empty(),
        "{} failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

/// All switches with all their values, as `offboarder simulator` prints them.
fn cases(world: &World) -> Vec<(String, String)> {
    let list = [
        "simulator",
        "--profile",
        world.profile.word(),
        "--unknown",
        "list",
    ];
    let printed = world.run(&list).expect(0).output;
    let mut cases = Vec::new();
    for line in printed.lines() {
        let Some((name, values)) = line.trim().split_once('=') else {
            continue;
        };
        let is_name = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if is_name && !values.contains(' ') {
            cases.extend(
                values
                    .split('|')
                    .map(|value| (name.to_owned(), value.to_owned())),
            );
        }
    }
    cases
}

fn play(world: &mut World, user: User, name: &str, value: &str) {
    let (extras, follows) = meets(world.profile, name, value);
    let mut user = user.with(&extras);
    if let Follows::Ends(outcome) = follows {
        user.outcome = outcome;
    }
    world.put_user(&user.id, &user.record());
    world.users = vec![user];
    if name == "version_conflict" {
        world.strike(0, "set_user_state", 0, 1, &json!({ "kind": "conflict" }));
    }
    let is_late = name.ends_with("_late");
    world.set("OFFBOARDER_CXONE_SETTLE", if is_late { "3s" } else { "0s" });

    let ended = run(world);
    let shown = format!(
        "status {:?}: {}\n{}",
        ended.code, ended.output, ended.errors
    );
    let stored = manifest(world, 0);
    let is_well = ended.code == Some(0);
    if name == "interval_matching" {
        // The adapter asks from midnight on, whatever matches: so its archive has the days that are touched.
        world.set_unknown(name, "touched_days");
    }
    if (name, value) == ("revoke_answer", "accepted") {
        eventually(Duration::from_secs(10), || {
            let now = world.user_now(&world.users[0].id);
            let has_ended = now["sessions"] == 0;
            has_ended.then_some(()).ok_or_else(|| now.to_string())
        });
    }
    match follows {
        Follows::Well | Follows::Ends(_) => {
            assert!(is_well, "{shown}");
            assert_well(world, Repetition::AfterCrash);
        }
        Follows::Safe if is_well => assert_well(world, Repetition::AfterCrash),
        Follows::Safe | Follows::Nothing => {
            assert!(matches!(ended.code, Some(1 | 3)), "{shown}");
            assert!(stored.is_none(), "{shown}");
            let now = world.user_now(&world.users[0].id);
            assert_eq!(now["exists"], true, "{now:#}");
        }
        Follows::Unseen => {
            let stored = stored.unwrap_or_else(|| panic!("no manifest: {shown}"));
            assert_eq!(stored["archive"]["conversations"], 0, "{stored:#}");
        }
    }
}

/// Members of the record with which a user meets the switch, and what follows.
fn meets(profile: Profile, name: &str, value: &str) -> (Value, Follows) {
    match profile {
        Profile::Cxone => at_cxone(name, value),
        Profile::Genesys | Profile::Tutorial => at_genesys(name, value),
    }
}

fn at_cxone(name: &str, value: &str) -> (Value, Follows) {
    let follows = match (name, value) {
        // A run has what `doctor` found.
        ("client", "refused")
        | ("deactivate_idp", _)
        | ("longest_window", "1d")
        | ("inactive_rows", "404") => Follows::Nothing,
        ("agent_of_inactive", "404" | "204" | "200_empty" | "404_and_no_acd_info")
        | ("deactivated_user", "404") => Follows::Safe,
        ("inactive_rows", "nothing") => Follows::Unseen,
        ("remove_skill_inactive", "400") => Follows::Ends(Outcome::Held),
        _ => Follows::Well,
    };
    let extras = match name {
        "no_agent" => json!({ "agent": false }),
        "deactivate_idp" => json!({ "externalIdentity": true }),
        "deactivate_repeat" | "remove_skill_inactive" => json!({ "inactive": true }),
        "logout_no_session" => json!({ "sessions": 0 }),
        // Nobody waits for half an hour here.
        "contacts_late" if value.ends_with('m') => json!({ "conversations": 0 }),
        _ => json!({}),
    };
    (extras, follows)
}

fn at_genesys(name: &str, value: &str) -> (Value, Follows) {
    let follows = match (name, value) {
        ("leave_rule_group", _) => Follows::Ends(Outcome::Held),
        ("delete_answer", "accepted") => Follows::Ends(Outcome::DeletedLater),
        ("unseen_divisions", "listed") => Follows::Safe,
        _ => Follows::Well,
    };
    let extras = match name {
        "leave_rule_group" => json!({ "derivedMembership": true }),
        "unseen_divisions" => json!({ "unseenQueues": 1 }),
        "revoke_without_tokens" => json!({ "sessions": 0 }),
        "conversations_late" if value.ends_with('m') => json!({ "conversations": 0 }),
        _ => json!({}),
    };
    (extras, follows)
}
