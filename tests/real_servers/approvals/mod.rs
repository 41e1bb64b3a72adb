//! Deletions that a second person has to approve: what happens in each case of failure.

mod desk;
mod kills;
mod limits;

use serde_json::json;

use self::desk::{Desk, act};
use crate::support::s3_proxy::S3Proxy;
use crate::support::world::{DEAD, PATIENCE, World};
use crate::support::{eventually, http, promises, redis, trial};

trial!(
    "without an approved plan a user loses its access, is archived, and waits, and is deleted once a plan is approved",
    no_plan,
    seconds = 30
);

fn no_plan(place: usize) {
    let desk = Desk::new(place, 2, "always");
    let worker = desk.worker();
    desk.world.publish_users(&desk.world.users[..1]);
    desk.send(1, None);
    desk.await_waiting("not_approved", 2);
    let expected = "2 users wait for a second person's approval";
    eventually(PATIENCE, || {
        let (status, ready) = http::answer(&worker.admin(), "/readyz");
        assert_eq!(status, 200, "others are taken");
        let notices = ready["notices"].to_string();
        notices.contains(expected).then_some(()).ok_or(notices)
    });
    let series = "offboarder_approval_waiting{why=\"not_approved\"}";
    eventually(PATIENCE, || {
        let now = http::sample(&worker.admin(), series).map(|now| now.to_string());
        (now.as_deref() == Some("2"))
            .then_some(())
            .ok_or(format!("{now:?}"))
    });
    let shown = desk.world.run(&["status", desk.id(0)]);
    let shown = format!("{}{}", shown.output, shown.errors);
    assert!(shown.contains("a second person has to approve"), "{shown}");
    for user in [0, 1] {
        assert_eq!(desk.world.user_now(desk.id(user))["active"], false);
    }
    assert_eq!(desk.world.deletions(), 0);

    // Later messages of the same users, of which one has a plan that names only the first.
    let plan = desk.plan(1);
    desk.decide(&plan, "approval.1", "bob");
    desk.send(0, Some(&plan));
    desk.send(1, Some(&plan));
    desk.world.await_deleted(desk.id(0));
    let request = desk.manifest(0)["request"].clone();
    assert_eq!(request["plan"], plan);
    assert_eq!(request["approvals"][0]["person"], "bob");
    desk.await_waiting("not_approved", 1);
    desk.world.assert_exist(&[(0, false), (1, true)]);
    assert_eq!(desk.world.depth(DEAD), Some(0));
    World::drain(worker);
    desk.world.run(&["verify", "--all"]).expect(0);
}

trial!(
    "a plan or an approval that was changed in the archive store permits no deletion, nor does one that was revoked or rejected",
    altered,
    seconds = 30
);

fn altered(place: usize) {
    let desk = Desk::new(place, 5, "always");
    let worker = desk.worker();
    let objects = desk.world.objects();
    let plans: Vec<String> = (1..=5).map(|users| desk.plan(users)).collect();
    for plan in &plans {
        desk.decide(plan, "approval.1", "bob");
    }
    let plan = format!("_plan_{}.json", plans[0]);
    objects.put(&plan, objects.text(&plan).replace("ada", "eve"));
    desk.decide(&plans[1], "approval.1", "carol");
    desk.decide(&plans[2], "rejection.1", "carol");
    desk.decide(&plans[3], "revoked.1", "carol");
    objects.delete(&format!("_plan_{}.approval.1.json", plans[4]));
    for (user, plan) in plans.iter().enumerate() {
        desk.send(user, Some(plan));
    }
    desk.await_waiting("plan_altered", 2);
    desk.await_waiting("plan_rejected", 1);
    desk.await_waiting("plan_revoked", 1);
    assert_eq!(desk.world.deletions(), 0);
    World::drain(worker);
}

trial!(
    "an approver who leaves before the deletion no longer counts, and a lost Redis approves nothing",
    leaves,
    seconds = 30
);

fn leaves(place: usize) {
    let desk = Desk::new(place, 2, "always");
    let plan = desk.plan(2);
    desk.decide(&plan, "approval.1", "bob");
    desk.leave("bob");
    let worker = desk.worker();
    desk.send(0, Some(&plan));
    desk.await_waiting("not_approved", 1);
    worker.await_log("bob is no longer in the people file");

    let url = desk.world.setting("OFFBOARDER_CHECKPOINTS_URL").to_owned();
    redis::ask(&url, &["FLUSHDB"]);
    desk.await_waiting("not_approved", 1);
    assert_eq!(desk.world.deletions(), 0);

    desk.come_back();
    desk.world.await_deleted(desk.id(0));
    desk.send(1, Some(&plan));
    desk.world.await_deleted(desk.id(1));
    promises::await_quiet(&desk.world, PATIENCE);
    World::drain(worker);
}

trial!(
    "while the archive store does not say what was approved nobody is deleted",
    store_away,
    seconds = 30
);

fn store_away(place: usize) {
    let mut desk = Desk::new(place, 1, "always");
    let s3 = S3Proxy::before(&mut desk.world);
    let plan = desk.plan(1);
    desk.decide(&plan, "approval.1", "bob");
    let worker = desk.worker();
    let listing = format!("_plan_{plan}.");
    s3.refuse("GET", &listing, 503, "SlowDown");
    desk.send(0, Some(&plan));
    eventually(PATIENCE, || {
        let refused = s3.refused();
        (refused > 2)
            .then_some(())
            .ok_or(format!("{refused} refused"))
    });
    assert_eq!(desk.world.deletions(), 0);
    s3.stop_refusing();
    desk.world.await_deleted(desk.id(0));
    World::drain(worker);
}

trial!(
    "a user who was hired again after the approval is not deleted, and too many of them stop the plan",
    hired_again,
    seconds = 60
);

fn hired_again(place: usize) {
    let desk = Desk::new(place, 4, "always");
    let worker = desk.worker();
    let plan = desk.plan(4);
    for user in 0..4 {
        desk.send(user, Some(&plan));
    }
    desk.await_waiting("not_approved", 4);
    for user in 0..2 {
        let again = json!({ "id": desk.id(user) });
        desk.world.put_user(desk.id(user), &again);
    }
    desk.decide(&plan, "approval.1", "bob");
    eventually(PATIENCE, || {
        let key = format!("_plan_{plan}.moved.{}.json", desk.id(0));
        let moved = desk.world.objects().exists(&key);
        moved.then_some(()).ok_or_else(|| "not moved".to_owned())
    });
    eventually(PATIENCE, || {
        let stale = format!("_plan_{plan}.stale.json");
        let stale = desk.world.objects().exists(&stale);
        stale.then_some(()).ok_or_else(|| "not stale".to_owned())
    });
    for user in 0..2 {
        let now = desk.world.user_now(desk.id(user));
        assert_eq!(
            (&now["exists"], &now["active"]),
            (&json!(true), &json!(true))
        );
    }
    // Those who did not move were deleted, or wait for a new plan: who comes first is up to the queue.
    let word = ["users", "list", "--waiting-for", "plan_stale"];
    eventually(PATIENCE, || {
        let listed = desk.world.json(&word, 0);
        let waiting = listed["users"].as_array().map_or(0, Vec::len);
        let all = waiting + desk.world.deletions();
        (all == 4).then_some(()).ok_or(listed.to_string())
    });
    assert!(desk.world.deletions() <= 2);
    World::drain(worker);
}

trial!(
    "two who approve at once are two objects, and both count",
    at_once
);

fn at_once(place: usize) {
    let mut desk = Desk::new(place, 1, "always");
    desk.world.set("OFFBOARDER_GUARD_APPROVERS", "2");
    let worker = desk.worker();
    let plan = desk.plan(1);
    desk.send(0, Some(&plan));
    desk.decide(&plan, "approval.1", "bob");
    desk.decide(&plan, "approval.2", "bob");
    desk.await_waiting("not_approved", 1);
    std::thread::scope(|scope| {
        scope.spawn(|| desk.decide(&plan, "approval.3", "carol"));
        scope.spawn(|| desk.decide(&plan, "approval.4", "dora"));
    });
    desk.world.await_deleted(desk.id(0));
    promises::await_quiet(&desk.world, PATIENCE);
    let approvals = desk.manifest(0)["request"]["approvals"].clone();
    let names: Vec<&str> = approvals
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|approval| approval["person"].as_str())
        .collect();
    assert!(names.contains(&"bob") && names.len() >= 2, "{names:?}");
    World::drain(worker);
}

trial!(
    "an admin alone breaks the glass, and the metric, the log and the manifest say so",
    break_glass
);

fn break_glass(place: usize) {
    let mut desk = Desk::new(place, 1, "always");
    desk.world.set("OFFBOARDER_GUARD_APPROVERS", "2");
    let plan = desk.plan(1);
    let mut emergency = act("dora");
    emergency["breakGlass"] = json!(true);
    desk.put_act(&plan, "approval.1", &emergency);
    let worker = desk.worker();
    desk.send(0, Some(&plan));
    desk.world.await_deleted(desk.id(0));
    worker.await_log("broke the glass");
    let count = http::sample(&worker.admin(), "offboarder_break_glass_total");
    assert_eq!(count, Some(1.0));
    promises::await_quiet(&desk.world, PATIENCE);
    let approval = desk.manifest(0)["request"]["approvals"][0].clone();
    assert_eq!(approval["breakGlass"], true);
    World::drain(worker);
}
