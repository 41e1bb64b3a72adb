//! Approvals that come and go while workers are killed and Redis loses everything.

use std::ops::Range;
use std::time::Duration;

use serde_json::json;

use super::desk::Desk;
use crate::support::process::Process;
use crate::support::world::{PATIENCE, World};
use crate::support::{eventually, redis, trial};

/// The users of each plan; the last one is alone in its plan.
const NEVER_APPROVED: Range<usize> = 0..4;
const APPROVED: Range<usize> = 4..10;
const REVOKED_AT_ONCE: Range<usize> = 10..14;
const REVOKED_LATER: Range<usize> = 14..20;
const HIRED_AGAIN: Range<usize> = 20..21;

trial!(
    "kills and a Redis that loses everything delete nobody whose plan is not approved or who was hired again",
    nobody_else_is_deleted,
    seconds = 120
);

fn nobody_else_is_deleted(place: usize) {
    let mut desk = Desk::new(place, HIRED_AGAIN.end, "always");
    desk.world.set("OFFBOARDER_WORKER_LEASE", "5s");
    let all = [
        NEVER_APPROVED,
        APPROVED,
        REVOKED_AT_ONCE,
        REVOKED_LATER,
        HIRED_AGAIN,
    ];
    let plans = all.clone().map(|users| desk.plan_of(users));
    let workers = [desk.worker(), desk.worker()];
    for (plan, users) in plans.iter().zip(all) {
        for user in users {
            desk.send(user, Some(plan));
        }
    }
    desk.await_waiting("not_approved", HIRED_AGAIN.end);
    for worker in workers {
        kill(worker);
    }

    // No worker sees an approval that was revoked before any runs, nor the user as the plan saw the user.
    let [_, approved, at_once, later, hired] = &plans;
    for plan in [approved, at_once, later, hired] {
        desk.decide(plan, "approval.1", "bob");
    }
    desk.decide(at_once, "revoked.1", "carol");
    let returned = desk.id(HIRED_AGAIN.start);
    desk.world.put_user(returned, &json!({ "id": returned }));
    redis::forget(desk.world.setting("OFFBOARDER_CHECKPOINTS_URL"));

    let mut worker = desk.worker();
    for deletions in [1, 3, 5] {
        eventually(PATIENCE, || {
            let now = desk.world.deletions();
            let enough = now >= deletions;
            enough.then_some(()).ok_or_else(|| format!("{now} deleted"))
        });
        kill(worker);
        if deletions == 3 {
            desk.decide(later, "revoked.1", "carol");
            redis::forget(desk.world.setting("OFFBOARDER_CHECKPOINTS_URL"));
        }
        worker = desk.worker();
    }

    assert_who_is_left(&desk);
    World::drain(worker);
}

fn assert_who_is_left(desk: &Desk) {
    let exists = |user: usize| desk.world.user_now(desk.id(user))["exists"] == true;
    eventually(PATIENCE, || {
        let left = APPROVED.filter(|user| exists(*user)).count();
        (left == 0)
            .then_some(())
            .ok_or_else(|| format!("{left} of the approved plan are left"))
    });
    let waiting = |word: &str, users: Range<usize>| {
        let left: Vec<&str> = users
            .filter(|user| exists(*user))
            .map(|user| desk.id(user))
            .collect();
        desk.await_waiting_users(word, &left);
        left.len()
    };
    assert_eq!(
        waiting("not_approved", NEVER_APPROVED),
        NEVER_APPROVED.len()
    );
    let revoked = REVOKED_AT_ONCE.start..REVOKED_LATER.end;
    assert!(waiting("plan_revoked", revoked) >= REVOKED_AT_ONCE.len());
    let mut at_once = REVOKED_AT_ONCE;
    assert!(at_once.all(exists));
    assert_eq!(waiting("plan_moved", HIRED_AGAIN), 1);
}

fn kill(mut worker: Process) {
    worker.signal("KILL");
    worker.end(Duration::from_secs(35));
}
