//! Half an off-boarding that a worker of another profile meets.

use super::{scenario, shorten_history, users};
use crate::support::profile::Profile;
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{promises, servers, status};

scenario!(
    "a worker of another profile stops at half an off-boarding, touches nobody, and one of the right profile ends it",
    stops
);

fn stops(profile: Profile, place: usize) {
    let mut world = World::of(
        profile,
        servers::shared(),
        place,
        users(profile, place, 2),
        &[],
    );
    shorten_history(&mut world);
    world.set("OFFBOARDER_WORKER_LEASE", "1s");
    world.declare();
    // The queues are cleared, and no more.
    let mut worker = world.start(&["worker"]);
    world.strike(0, profile.deactivation(), 0, 10_000, &status(503));
    world.publish_users(&world.users[..1]);
    world.await_calls(profile.deactivation(), 1);
    worker.signal("KILL");
    worker.end(PATIENCE);
    world.end_faults();
    let before = world.changes();

    // The same place: the same queues, Redis and bucket.
    for other in [Profile::Tutorial, Profile::Cxone, Profile::Genesys] {
        if other == profile {
            continue;
        }
        let mut elsewhere = World::of(other, servers::shared(), place, Vec::new(), &[]);
        elsewhere.set("OFFBOARDER_WORKER_LEASE", "1s");
        let worker = elsewhere.start(&["worker"]);
        worker.await_not_ready("cxone_other_profile");
        let errors = worker.errors();
        let named = format!("began with the profile {}", profile.word());
        assert!(errors.contains(&named), "{errors}");
        World::drain(worker);
        assert_eq!(elsewhere.changes(), 0, "at {other:?}");
    }
    assert_eq!(world.changes(), before);
    assert_eq!(world.depth(DEAD), Some(0));

    let worker = world.start(&["worker"]);
    world.publish_users(&world.users[1..]);
    promises::await_quiet(&world, PATIENCE);
    World::drain(worker);
    promises::assert_kept(&world, &servers::shared());
}
