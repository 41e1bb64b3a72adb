//! Archives whose rows move while they are paged, and archives that are interrupted.

use std::time::Duration;

use serde_json::json;

use super::{assert_well, files, run, scenario, user, users};
use crate::support::ledger::{self, Repetition};
use crate::support::population::User;
use crate::support::process::tail;
use crate::support::profile::Profile;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, promises, servers};

scenario!(
    "rows that appear or vanish while a window is paged are archived whole, and each once",
    drift
);

fn drift(profile: Profile, place: usize) {
    let cases: [&[(u32, i64)]; 6] = [
        // After how many pages, by how many rows. The second page is in the middle of a window.
        &[(1, 1)],
        &[(1, -1)],
        &[(2, 3)],
        &[(4, -2)],
        &[(1, 1), (0, -1)],
        &[],
    ];
    let world = files(profile, place, users(profile, place, cases.len()), &[]);
    let page = profile.page();
    for (user, moves) in cases.iter().enumerate() {
        for (skip, by) in *moves {
            let drift = json!({ "kind": "drift", "by": by });
            world.strike(user, page, *skip, 1, &drift);
        }
    }

    run(&world).expect(0);
    super::lost::assert_faults_used(&world);
    assert_well(&world, Repetition::AfterCrash);
    let pages = |user: usize| pages_of(&world, &world.users[user]);
    for (user, moves) in cases.iter().enumerate() {
        if moves.first().is_none_or(|(skip, _)| *skip != 1) {
            continue;
        }
        assert!(
            pages(user) > pages(cases.len() - 1),
            "the archive of {moves:?} began again: {} pages",
            pages(user)
        );
    }
}

fn pages_of(world: &World, user: &User) -> usize {
    let calls = ledger::calls(&world.simulator);
    let calls = calls.iter().filter(|call| call.is(world.profile.page()));
    calls.filter(|call| call.user() == Some(&user.id)).count()
}

scenario!(
    "an archive that never settles is given up, and its user is not deleted",
    endless_drift
);

fn endless_drift(profile: Profile, place: usize) {
    let mut world = files(profile, place, users(profile, place, 1), &[]);
    world.set("OFFBOARDER_WORKER_MAX_ATTEMPTS", "3");
    let drift = json!({ "kind": "drift", "by": 1 });
    world.strike(0, profile.page(), 1, 10_000, &drift);
    let ended = run(&world);
    assert_eq!(ended.code, Some(1), "{}\n{}", ended.output, ended.errors);
    assert!(super::refused::manifest(&world, 0).is_none());
    let now = world.user_now(&world.users[0].id);
    assert_eq!(now["exists"], true, "{now}");
    assert_eq!(now["active"], false, "{now}");
}

scenario!(
    "a long archive is resumed after a kill, and fetches only the pages of one part twice",
    resumed,
    on_request = true,
    seconds = 60
);

fn resumed(profile: Profile, place: usize) {
    // About fifty rows in a week, and a page is larger than the smallest part.
    let large = json!({ "conversations": 2600, "conversationBytes": 1_300_000 });
    let users = (0..2).map(|number| user(profile, place, number).with(&large));
    let flags = ["--latency-analytics", "300ms"];
    let mut world = World::of(profile, servers::shared(), place, users.collect(), &flags);
    world.set("OFFBOARDER_CXONE_HISTORY", "7d");
    world.set("OFFBOARDER_CXONE_WINDOW", "7d");
    // Long enough for a busy machine: a worker that loses its leases counts as dead.
    world.set("OFFBOARDER_WORKER_LEASE", "10s");
    world.declare();

    let mut worker = world.start(&["worker"]);
    world.publish_users(&world.users[..1]);
    eventually(PATIENCE, || match world.objects().parts() {
        there if there >= 5 => Ok(()),
        there => Err(format!("{there} parts; {}", tail(&worker.errors()))),
    });
    worker.signal("KILL");
    worker.end(Duration::from_secs(10));
    let before = pages_of(&world, &world.users[0]);

    let worker = world.start(&["worker"]);
    world.publish_users(&world.users[1..]);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
    let pages = pages_of(&world, &world.users[1]);
    let fetched = pages_of(&world, &world.users[0]);
    assert!(before < pages, "{before} of {pages} pages before the kill");
    assert!(
        (pages..=pages + 4).contains(&fetched),
        "{fetched} pages fetched of {pages}"
    );
}
