//! Times and counts of approvals, a rule that is weakened, and what it all costs.

use jiff::SignedDuration;
use serde_json::json;

use super::desk::{Desk, now};
use crate::support::eventually;
use crate::support::s3_proxy::S3Proxy;
use crate::support::world::{PATIENCE, World};
use crate::support::{http, promises, redis, trial};

trial!(
    "an approval that comes too late, or is too long ago, permits no deletion",
    expired,
    seconds = 30
);

fn expired(place: usize) {
    let mut desk = Desk::new(place, 2, "always");
    desk.world.set("OFFBOARDER_GUARD_APPROVAL_EXPIRY", "10s");
    desk.world.set("OFFBOARDER_GUARD_EXECUTION_EXPIRY", "3s");
    let plan = desk.plan(2);
    desk.decide(&plan, "approval.1", "bob");
    let approved = now();
    eventually(PATIENCE, || {
        let age = now().duration_since(approved);
        (age > SignedDuration::from_secs(5))
            .then_some(())
            .ok_or_else(|| "too young".to_owned())
    });
    let worker = desk.worker();
    desk.send(0, Some(&plan));
    desk.await_waiting("plan_expired", 1);

    // Nobody approves this one in time, and then it is too late.
    let late = desk.plan(1);
    desk.send(1, Some(&late));
    desk.await_waiting("plan_expired", 2);
    desk.decide(&late, "approval.1", "bob");
    assert_eq!(desk.world.deletions(), 0);
    worker.await_log("has expired");
    World::drain(worker);
}

trial!(
    "a requester has a number of deletions a day without an approval, also when Redis is lost",
    without_approval,
    seconds = 30
);

fn without_approval(place: usize) {
    let desk = Desk::new(place, 5, "deletions:3");
    let worker = desk.worker();
    for user in 0..5 {
        desk.send(user, None);
    }
    desk.await_waiting("not_approved", 2);
    assert_eq!(desk.world.deletions(), 3);
    let url = desk.world.setting("OFFBOARDER_CHECKPOINTS_URL").to_owned();
    redis::ask(&url, &["FLUSHDB"]);
    desk.await_waiting("not_approved", 2);
    assert_eq!(desk.world.deletions(), 3);
    World::drain(worker);
}

trial!(
    "settings that weaken the rule of approvals are not used before a plan of settings permits it",
    weakened,
    seconds = 30
);

fn weakened(place: usize) {
    let mut desk = Desk::new(place, 1, "always");
    World::drain(desk.worker());
    assert!(desk.world.objects().exists("_approval_rule.1.json"));
    desk.world.set("OFFBOARDER_GUARD_APPROVAL", "off");
    let worker = desk.worker();
    desk.send(0, None);
    desk.await_waiting("not_approved", 1);
    let (_, ready) = http::answer(&worker.admin(), "/readyz");
    let notices = ready["notices"].to_string();
    assert!(notices.contains("weaker than the rule"), "{notices}");

    // What the approved plan leads to.
    let off = json!({
        "needed": "off", "approvers": 1, "approvalExpirySeconds": 259_200, "executionExpirySeconds": 1_209_600,
    });
    let plan = desk.store_plan(&json!({
        "kind": "settings", "rule": off, "parts": [], "totals": {
            "users": 0, "delete": 0, "deactivateOnly": 0, "held": 0, "protected": 0, "done": 0, "notFound": 0,
        },
    }));
    desk.decide(&plan, "approval.1", "bob");
    let record = json!({ "rule": off, "plan": plan, "at": now() });
    desk.world
        .objects()
        .put("_approval_rule.2.json", record.to_string());
    desk.world.await_deleted(desk.id(0));
    World::drain(worker);
}

trial!(
    "a worker reads a plan at most once a minute, however many users it has",
    cost,
    seconds = 60
);

const USERS: usize = 30;

fn cost(place: usize) {
    let mut desk = Desk::new(place, USERS, "always");
    desk.world.unset(crate::support::failpoint::TIME_SCALE);
    let s3 = S3Proxy::before(&mut desk.world);
    let plan = desk.plan(USERS);
    desk.decide(&plan, "approval.1", "bob");
    let worker = desk.worker();
    let at_start = s3.requests().len();
    let begun = std::time::Instant::now();
    for user in 0..USERS {
        desk.send(user, Some(&plan));
    }
    promises::await_quiet(&desk.world, PATIENCE);
    let minutes = usize::try_from(begun.elapsed().as_secs() / 60).expect("a count") + 1;
    assert_eq!(desk.world.deletions(), USERS);
    let requests = s3.requests().split_off(at_start);
    let of_plans: Vec<&String> = requests
        .iter()
        .filter(|one| one.contains("_plan_"))
        .collect();
    // The plan, the part of its users and the approval, each once, and a listing a minute.
    assert!(of_plans.len() <= 3 + minutes, "{of_plans:#?}");
    let rules = requests
        .iter()
        .filter(|one| one.contains("_approval_rule"))
        .count();
    assert!(rules <= minutes, "{rules} reads of the rule");
    World::drain(worker);
}
