//! Runs in which nothing goes wrong.

use std::time::Duration;

use serde_json::json;

use super::{SOME, scenario, shorten_history, user};
use crate::support::contract::ContractProxy;
use crate::support::ledger::Repetition;
use crate::support::population::{Outcome, User};
use crate::support::profile::Profile;
use crate::support::world::{PATIENCE, World};
use crate::support::{histories, http, manifests, promises, servers};

scenario!(
    "a worker off-boards users of every kind in order, once, truthfully, and as the document of the API says",
    users_of_every_kind,
    on_request = false,
    seconds = 30
);

fn users_of_every_kind(profile: Profile, place: usize) {
    let users = every_kind(profile, place);
    let mut world = World::of(profile, servers::shared(), place, users, &[]);
    shorten_history(&mut world);
    let proxy = ContractProxy::before(&mut world);
    world.declare();
    let worker = world.start(&["worker"]);
    world.publish_all();
    manifests::assert_true_in(&world, &servers::shared(), PATIENCE);
    promises::await_quiet(&world, Duration::from_mins(1));
    let ended = http::sample(&worker.admin(), "offboarder_sessions_ended_seconds_count");
    World::drain(worker);

    let all = u32::try_from(world.users.len()).expect("a few users");
    assert_eq!(ended, Some(f64::from(all)), "whose sessions ended");
    promises::assert_kept(&world, &servers::shared());
    histories::assert_kept(&world, Repetition::None);
    proxy.assert_kept();
    let unused = &proxy.used_by_runs() - &proxy.judged();
    // The operator has said what discovery would say; `doctor` compares.
    let expected: &[&str] = match profile {
        Profile::Cxone => &[
            "GET /.well-known/cxone-configuration",
            "GET /.well-known/openid-configuration",
        ],
        Profile::Genesys | Profile::Tutorial => &[],
    };
    assert!(
        unused.iter().eq(expected),
        "operations that no user needed: {unused:?}"
    );
}

/// One user of each kind, each of whom ends without a person.
fn every_kind(profile: Profile, place: usize) -> Vec<User> {
    let usual = |number| user(profile, place, number);
    let mut users = vec![
        usual(0),
        User::new(place, 1, profile.usual_end(), 0),
        User::new(place, 2, profile.usual_end(), SOME)
            .with(&json!({ "skills": 0, "queues": 0, "groups": 0 })),
        usual(3).with(&json!({ "sessions": 0, "accessKeys": 0 })),
        usual(4).with(&json!({ "inactive": true, "sessions": 2 })),
        usual(5).with(&json!({ "laggingReads": 2 })),
    ];
    match profile {
        Profile::Cxone => users.extend([
            usual(6).with(&json!({ "agent": false })),
            usual(7).with(&json!({ "lead": true })),
            usual(8).with(&json!({ "inactive": true, "externalIdentity": true })),
            usual(9).with(&json!({ "skills": 120 })),
        ]),
        Profile::Genesys | Profile::Tutorial => {
            let ending = |number, outcome| User::new(place, number, outcome, SOME);
            users.extend([
                ending(6, Outcome::DeletedLater),
                refused(ending(7, Outcome::Refused(409)), "user.in.use"),
                refused(ending(8, Outcome::Refused(403)), "not.authorized"),
                usual(9).with(&json!({ "openConversation": true })),
                usual(10).with(&json!({ "queues": 120, "skills": 60 })),
            ]);
        }
    }
    users
}

/// The same with the error code of the refusal.
fn refused(user: User, code: &str) -> User {
    let Outcome::Refused(status) = user.outcome else {
        return user;
    };
    user.with(&json!({ "deletion": { "status": status, "code": code } }))
}

scenario!(
    cxone,
    "the lead of a team is noted beside the calls, and stops nothing",
    leads
);

fn leads(profile: Profile, place: usize) {
    let users = [true, false].map(|lead| {
        let number = usize::from(lead);
        user(profile, place, number).with(&json!({ "lead": lead }))
    });
    let world = super::files(profile, place, users.into(), &[]);
    super::run(&world).expect(0);
    super::assert_well(&world, Repetition::None);
    for (number, lead) in [true, false].into_iter().enumerate() {
        let manifest = super::refused::manifest(&world, number).expect("a manifest");
        let is_noted = manifest.to_string().contains("lead of the team");
        assert_eq!(is_noted, lead, "{manifest:#}");
        assert_eq!(manifest["residual"], json!([]), "{manifest:#}");
    }
}

scenario!(
    "a second run of the same users changes nothing",
    a_second_run,
    on_request = true,
    seconds = 0
);

fn a_second_run(profile: Profile, place: usize) {
    let world = super::files(profile, place, every_kind(profile, place), &[]);
    super::run(&world).expect(0);
    super::assert_well(&world, Repetition::None);
    let before = world.changes();

    super::run(&world).expect(0);
    super::assert_well(&world, Repetition::None);
    assert_eq!(world.changes(), before, "writes of the second run");
}

scenario!(
    "a year of history is archived whole, in windows, and each conversation once",
    a_year
);

fn a_year(profile: Profile, place: usize) {
    let mut world = super::files(profile, place, super::users(profile, place, 2), &[]);
    world.unset("OFFBOARDER_CXONE_HISTORY");
    world.unset("OFFBOARDER_CXONE_WINDOW");
    super::run(&world).expect(0);
    super::assert_well(&world, Repetition::None);
}

scenario!(
    "the archive begins only when the conversations have settled after the deactivation",
    settles
);

fn settles(profile: Profile, place: usize) {
    let users = super::users(profile, place, 1);
    let mut world = World::of(profile, servers::shared(), place, users, &[]);
    shorten_history(&mut world);
    world.set("OFFBOARDER_CXONE_SETTLE", "4s");
    world.declare();
    let worker = world.start(&["worker"]);
    world.publish_all();
    manifests::assert_true_in(&world, &servers::shared(), PATIENCE);
    promises::await_quiet(&world, Duration::from_mins(1));
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
    histories::assert_kept(&world, Repetition::None);

    let calls = crate::support::ledger::calls(&world.simulator);
    let at = |operation: &str| {
        let call = calls.iter().find(|call| call.is(operation));
        let call = call.unwrap_or_else(|| panic!("no {operation}"));
        call.started_at
            .parse::<jiff::civil::DateTime>()
            .expect("a time")
    };
    let waited = at(profile.page()) - at(profile.deactivation());
    let waited = waited.total(jiff::Unit::Second).expect("seconds");
    assert!(waited >= 4.0, "the archive began after {waited} s");
}
